"""Squares of incomplete rows, which a single component starts with whatever their units."""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from fastem.data.row_info import Annotations
from fastem.engine.records import Rows
from fastem.families._contract import Float

NEXT_TO_NOTHING = 2.0**-60  # of the squares


class Part(Protocol):
    """Some rows."""

    rows: Rows
    annotations: Annotations
    n_features: int
    n_rows: int


def start_squares(parts: Iterable[Part]) -> Float:
    """Mean squares of what is there, of the rows of positive weight; of all features alike if rows are projections.

    Next to nothing of them if rows have no errors: a first M-step then has what is there, and nothing else.
    """
    counts: Any = 0.0
    sums: Any = 0.0
    scale, n_rows, n_features, factor = 0.0, 0, 0, 1.0
    for part in parts:
        rows, annotations, n_features = part.rows, part.annotations, part.n_features
        factor = 1.0 if annotations.has_errors else NEXT_TO_NOTHING
        present = rows.weights > 0.0 if rows.weights.size else slice(None)
        squares = (rows.values[present] - rows.origin) ** 2
        there = ~np.isnan(squares)
        counts = counts + there.sum(axis=0)
        sums = sums + np.where(there, squares, 0.0).sum(axis=0)
        if annotations.projection is not None:
            scale += float(np.mean(annotations.projection**2)) * part.n_rows
        n_rows += part.n_rows
    means: Float = factor * (sums / np.maximum(counts, 1))
    return np.full(n_features, means.mean() * n_rows / (scale * n_features)) if scale > 0.0 else means
