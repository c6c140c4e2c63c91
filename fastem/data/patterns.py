"""Rows with missing values, sorted by pattern: by the columns whose values are observed.

Rows of one pattern are complete rows of fewer features. So the passes for complete data serve them, with marginal
parameters that are computed once for each pattern, not once for each row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data.row_info import Annotations
from fastem.families._contract import Float

FEWEST_ROWS = 48  # rows of a pattern that is not rare: its marginal parameters cost as much as some rows
SLAB_ROWS = 4096  # rows of a slab at most, so that threads have equal shares


class Group(NamedTuple):
    """Patterns with the same number of observed values.

    Attributes
    ----------
    columns : ndarray of shape (P, m)
        Columns that are observed in each pattern.
    values : ndarray of shape (n, m)
        A copy of the observed values, pattern after pattern.
    weights : ndarray of shape (n,), optional
    annotations : Annotations
    which : ndarray of shape (S,)
        Pattern of each slab.
    bounds : ndarray of shape (S + 1,)
        First row of each slab, and the end of the last.
    """

    columns: NDArray[np.int64]
    values: NDArray[Any]
    weights: Float | None
    annotations: Annotations
    which: NDArray[np.int64]
    bounds: NDArray[np.int64]


class Patterns(NamedTuple):
    """Groups, and the indices of the rows with rare patterns."""

    groups: list[Group]
    rest: NDArray[np.intp]


def find_patterns(
    values: NDArray[Any], weights: Float | None, annotations: Annotations, origin: Float
) -> Patterns | None:
    """Sort rows (n, d), less an origin whose subtraction is exact, by pattern; None if most have rare patterns."""
    missing = np.isnan(values)
    _, first, pattern_of, counts = np.unique(
        _codes(missing), return_index=True, return_inverse=True, return_counts=True
    )
    there = ~missing[first]
    common = (counts >= FEWEST_ROWS) & there.any(axis=1)
    if 2 * counts[common].sum() < len(values):
        return None
    order = np.argsort(pattern_of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    sizes = there.sum(axis=1)
    groups = []
    for size in np.unique(sizes[common]):
        chosen = np.flatnonzero(common & (sizes == size))
        runs = [order[starts[p] : starts[p + 1]] for p in chosen]
        columns = np.array([np.flatnonzero(there[p]) for p in chosen])
        groups.append(_group(values, weights, annotations, runs, columns, origin.astype(values.dtype)))
    rare = np.flatnonzero(~common)
    rest = np.sort(np.concatenate([order[:0], *(order[starts[p] : starts[p + 1]] for p in rare)]))
    return Patterns(groups, rest)


def _codes(missing: NDArray[np.bool_]) -> NDArray[Any]:
    """Code of each row's pattern (n,), a single item that can be sorted."""
    packed = np.packbits(missing, axis=1)
    width = -(-packed.shape[1] // 8) * 8
    words = np.zeros((len(packed), width), np.uint8)
    words[:, : packed.shape[1]] = packed
    if width == 8:
        return words.view(np.uint64).ravel()
    return words.view(f"V{width}").ravel()


def _group(
    values: NDArray[Any],
    weights: Float | None,
    annotations: Annotations,
    runs: list[NDArray[np.intp]],
    columns: NDArray[np.int64],
    origin: NDArray[Any],
) -> Group:
    """Group of patterns with observed `columns` (P, m), each with the rows of one of the `runs`."""
    order = np.concatenate(runs)
    parts = [values[np.ix_(run, mine)] - origin[mine] for run, mine in zip(runs, columns, strict=True)]
    which: list[int] = []
    bounds = [0]
    for p, run in enumerate(runs):
        n_slabs = -(-len(run) // SLAB_ROWS)
        start = bounds[-1]
        which += [p] * n_slabs
        bounds += [start + len(run) * (slab + 1) // n_slabs for slab in range(n_slabs)]
    return Group(
        columns,
        np.concatenate(parts),
        None if weights is None else weights[order],
        annotations.take(order),
        np.array(which),
        np.array(bounds),
    )
