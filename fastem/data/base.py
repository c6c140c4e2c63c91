"""Protocols of the sources of rows."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from fastem.engine.compiled import Passes
from fastem.engine.records import Mixture, Scores, Sweep, Wanted
from fastem.families._contract import Float


class Sweepable(Protocol):
    """Rows that are swept once."""

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass: the E-step at `mixture` and its statistics of length `n_stats`; `key` seeds draws."""


class RowSource(Sweepable, Protocol):
    """Rows that can be read repeatedly."""

    @property
    def n_features(self) -> int:
        """Number of features."""

    @property
    def restricted(self) -> bool:
        """Whether rows have labels or plausibilities."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def total_weight(self) -> float:
        """Sum of the rows' weights."""

    @property
    def origin(self) -> Float:
        """Origin that is subtracted from every row (d,)."""

    @property
    def most_blocks(self) -> int:
        """Largest number of blocks that the rows can be cut into."""

    def score(
        self, passes: Passes, mixture: Mixture, wanted: Wanted | None = None, *, parallel: bool | None = None
    ) -> Scores:
        """Evaluate every row at `mixture`."""

    def close(self) -> None:
        """Release rows that other processes hold for this source."""

    def unrestricted(self) -> "RowSource":
        """The same rows without labels and plausibilities."""

    def start_squares(self) -> Float:
        """Mean squares (d,) of the features about the origin, as initial variances, see `squares.start_squares`."""

    def digest(self) -> str:
        """Fingerprint of all rows and weights, in their order."""

    def blocks(self, n_blocks: int, order: Sequence[int]) -> Iterable["Sweepable"]:
        """Yield runs of rows of about equal length, in the given order. Use each before asking for the next."""

    def batches(self, n_rows: int, random_state: np.random.RandomState) -> Iterable["RowSource"]:
        """Yield batches of about `n_rows` rows, in an order as random as possible. Use each before the next."""
