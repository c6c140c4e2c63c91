"""What passes read and return, and what every source of rows can do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastem.engine.compiled import Passes
from fastem.families._contract import Float, Params


class Mixture(NamedTuple):
    """Mixing weights (K,) and the family's parameters."""

    weights: Float
    params: Params

    @property
    def log_weights(self) -> Float:
        """Logarithms of the weights; -inf for a component without mass."""
        from fastem.families._arithmetic import logarithm

        return logarithm(self.weights)


class Rows(NamedTuple):
    """What a pass reads: values (n, m), weights (n,) or (0,) where all are one, origin (m,), seed of what is drawn.

    The rest is that of `Annotations`, of length zero where nothing is known.
    """

    values: NDArray[Any]
    weights: Float
    origin: Float
    key: int
    labels: NDArray[np.int64]
    plausibility: Float
    noise: Float
    projection: Float
    log_widths: Float

    @property
    def has_errors(self) -> bool:
        """Whether tiles hold covariances of errors."""
        return len(self.noise) + len(self.projection) > 0

    @property
    def width(self) -> int:
        """Rows of a tile."""
        m = self.values.shape[1]
        return m + self.has_errors * (m * (m + 1) // 2) + int(self.projection.shape[1])


@dataclass(frozen=True)
class Sweep:
    """Expected sufficient statistics of some rows; those of more rows are their sum."""

    mass: Float
    stats: Float
    log_likelihood: float

    def __add__(self, other: "Sweep") -> "Sweep":
        """Statistics of both sets of rows, taken at the same parameters."""
        return Sweep(
            self.mass + other.mass,
            self.stats + other.stats,
            self.log_likelihood + other.log_likelihood,
        )


class Wanted(NamedTuple):
    """What a score pass computes."""

    labels: bool = False
    posterior: bool = True
    entropy: bool = False
    densities: bool = False
    responsibilities: bool = False


class RowScores(NamedTuple):
    """Arrays that a score pass fills where wanted; of length zero elsewhere."""

    densities: Float  # (n,)
    labels: NDArray[np.int64]  # (n,)
    responsibilities: NDArray[Any]  # (n, K)


class Marks(NamedTuple):
    """What a sweep keeps of each row where it is asked to; of length zero elsewhere."""

    labels: NDArray[np.int64]  # (n,)
    densities: Float  # (n,)


class Scores(NamedTuple):
    """Results of a score pass: by row, and weighted totals."""

    rows: RowScores
    log_likelihood: float
    entropy: float

    @classmethod
    def joined(cls, parts: Sequence["Scores"]) -> "Scores":
        """Scores of rows that follow each other."""
        rows = RowScores(*(np.concatenate(arrays) for arrays in zip(*(part.rows for part in parts), strict=True)))
        return cls(rows, sum(part.log_likelihood for part in parts), sum(part.entropy for part in parts))


class Sweepable(Protocol):
    """Rows to be read once."""

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass: the E-step at `mixture` and its statistics of length `n_stats`; `key` seeds draws."""


class RowSource(Sweepable, Protocol):
    """Rows that can be read again and again."""

    n_features: int
    restricted: bool  # whether anything is known of the rows' components

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
