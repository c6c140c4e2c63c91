"""Arguments and results of passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families._contract import Float, Params


class Mixture(NamedTuple):
    """Mixing weights (K,) and the family's parameters, or their expected values under a posterior, see `Family`."""

    weights: Float
    params: Params
    posterior: Any = None

    @property
    def log_weights(self) -> Float:
        """Logarithms of the weights (K,), or a posterior's own `log_weights`; -inf for a component without mass."""
        if self.posterior is not None:
            own: Float = self.posterior.log_weights
            return own
        from fastem.families._arithmetic import logarithm

        return logarithm(self.weights)


class Rows(NamedTuple):
    """Rows that a pass reads: values (n, m), weights (n,) or (0,) if all are one, origin (m,), and seed of draws.

    The other fields are those of `Annotations`, of length zero where nothing is known.
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
    def n_features(self) -> int:
        """Number of features: that of the columns, or of the vectors that the columns are projections of."""
        m = self.values.shape[1]
        return int(self.projection.shape[1]) // m if self.projection.shape[0] > 0 else m

    @property
    def has_errors(self) -> bool:
        """Whether tiles hold covariances of errors: if rows have noise or projections."""
        return len(self.noise) + len(self.projection) > 0

    @property
    def width(self) -> int:
        """Number of rows of a tile: columns, distinct entries of the errors' covariances, and projections."""
        m = self.values.shape[1]
        return m + self.has_errors * (m * (m + 1) // 2) + int(self.projection.shape[1])


@dataclass(frozen=True)
class Sweep:
    """Expected sufficient statistics of some rows, `mass` (K,) and `stats` (S,); those of more rows are their sum."""

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
    """Which results a score pass computes."""

    labels: bool = False
    posterior: bool = True
    entropy: bool = False
    densities: bool = False
    responsibilities: bool = False


class RowScores(NamedTuple):
    """Arrays that a score pass fills; of length zero if they are not wanted."""

    densities: Float  # (n,)
    labels: NDArray[np.int64]  # (n,)
    responsibilities: NDArray[Any]  # (n, K)


class Marks(NamedTuple):
    """Most probable component and log-density of each row; of length zero if a sweep need not record them."""

    labels: NDArray[np.int64]  # (n,)
    densities: Float  # (n,)


NO_MARKS = Marks(np.empty(0, np.int64), np.empty(0))


class Scores(NamedTuple):
    """Results of a score pass: by row, and weighted totals."""

    rows: RowScores
    log_likelihood: float
    entropy: float

    @classmethod
    def joined(cls, parts: Sequence["Scores"]) -> "Scores":
        """Concatenate the scores of consecutive rows."""
        rows = RowScores(*(np.concatenate(arrays) for arrays in zip(*(part.rows for part in parts), strict=True)))
        return cls(rows, sum(part.log_likelihood for part in parts), sum(part.entropy for part in parts))
