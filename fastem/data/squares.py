"""Mean squares of incomplete rows: initial variances of a single component, in the units of the data."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastem.data.row_info import Annotations
from fastem.engine.records import Rows
from fastem.families._contract import Float

NEXT_TO_NOTHING = 2.0**-60  # factor of the squares for rows without errors


class Part(Protocol):
    """Some rows of a source."""

    rows: Rows
    annotations: Annotations
    n_features: int
    n_rows: int


class Squares(NamedTuple):
    """Sums of squares of rows of positive weight; those of more rows are their sum.

    Attributes
    ----------
    counts, sums : ndarray of shape (m,)
        Number of observed values in each column, and sum of their squares.
    scale : float
        Sum over the rows of the mean squared entry of their projections, 0 if there are none.
    n_rows, n_features : int
    factor : float
        Ratio of initial variances to mean squares.
    """

    counts: Any
    sums: Any
    scale: float
    n_rows: int
    n_features: int
    factor: float

    def joined(self, other: Squares) -> Squares:
        """Sums over these rows and others."""
        counts, sums, n_rows = self.counts + other.counts, self.sums + other.sums, self.n_rows + other.n_rows
        return Squares(counts, sums, self.scale + other.scale, n_rows, self.n_features, self.factor)

    def for_start(self) -> Float:
        """Mean squares (d,) of observed values, times `factor`; one number for all features if rows are projections."""
        means: Float = self.factor * (self.sums / np.maximum(self.counts, 1))
        if self.scale > 0.0:
            return np.full(self.n_features, means.mean() * self.n_rows / (self.scale * self.n_features))
        return means


def squares_of(part: Part) -> Squares:
    """Squares of rows about their origin.

    For rows without errors, `factor` is so small that missing values have next to no variance in the first E-step: the
    first M-step then depends on the observed values only.
    """
    rows, annotations = part.rows, part.annotations
    present = rows.weights > 0.0 if rows.weights.size else slice(None)
    squares = (rows.values[present] - rows.origin) ** 2
    there = ~np.isnan(squares)
    sums = np.where(there, squares, 0.0).sum(axis=0)
    projection = annotations.projection
    scale = 0.0 if projection is None else float(np.mean(projection**2)) * part.n_rows
    factor = 1.0 if annotations.has_errors else NEXT_TO_NOTHING
    return Squares(there.sum(axis=0), sums, scale, part.n_rows, part.n_features, factor)


def start_squares(parts: Iterable[Part]) -> Float:
    """Initial variances (d,) of the features, from consecutive parts of the rows."""
    return functools.reduce(Squares.joined, map(squares_of, parts)).for_start()
