"""What every source of rows can do."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from fastem.engine.compiled import Passes
from fastem.engine.records import Mixture, Scores, Sweep, Wanted
from fastem.families._contract import Float


class Sweepable(Protocol):
    """Rows to be read once."""

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass: the E-step at `mixture` and its statistics of length `n_stats`; `key` seeds draws."""


class RowSource(Sweepable, Protocol):
    """Rows that can be read again and again."""

    @property
    def n_features(self) -> int:
        """Number of features."""

    @property
    def restricted(self) -> bool:
        """Whether anything is known of the rows' components."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def total_weight(self) -> float:
        """Sum of their weights."""

    @property
    def origin(self) -> Float:
        """What is subtracted from every row (d,)."""

    @property
    def most_blocks(self) -> int:
        """Number of blocks that the rows can be cut into."""

    def score(
        self, passes: Passes, mixture: Mixture, wanted: Wanted | None = None, *, parallel: bool | None = None
    ) -> Scores:
        """Evaluate every row at `mixture`."""

    def close(self) -> None:
        """Let go of rows that others hold for this."""

    def unrestricted(self) -> "RowSource":
        """The same rows where nothing is known of their components."""

    def start_squares(self) -> Float:
        """Squares of each feature (d,) about the origin that a start may have, see `squares.start_squares`."""

    def digest(self) -> str:
        """Fingerprint of all rows and weights, in their order."""

    def blocks(self, n_blocks: int, order: Sequence[int]) -> Iterable["Sweepable"]:
        """The rows in runs of about equal length, in the given order. Use each before the next is asked for."""

    def batches(self, n_rows: int, random_state: np.random.RandomState) -> Iterable["RowSource"]:
        """The rows in batches of about `n_rows`, in as random an order as can be had. Use each before the next."""
