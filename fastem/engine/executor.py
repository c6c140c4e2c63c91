"""Runs passes over the rows of an array: slabs, threads, memory, and the type in which rows are evaluated."""

from __future__ import annotations  # else those of inner functions would be evaluated in each pass

import copy
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem.engine.compiled import Passes
from fastem.engine.helpers import share_slabs
from fastem.engine.records import NO_MARKS, Marks, Mixture, Rows, RowScores, Scores, Sweep, Wanted
from fastem.engine.threads import n_threads
from fastem.engine.tiling import (
    FACTOR_TILE_ROWS,
    LONG_WORK,
    PARALLEL_WORK,
    aligned_zeros,
    slab_bounds,
    tile_rows,
    workspace_rows,
)
from fastem.families._contract import Params

Result = TypeVar("Result", Sweep, Scores)


class Executor:
    """Runs passes over the rows of arrays.

    Parameters
    ----------
    single : bool, default=False
        Whether rows are evaluated in float32; sums over tiles are float64 in any case.
    whole : bool, default=False
        Whether all rows are one slab, for one thread; other threads then work on other rows.
    """

    def __init__(self, *, single: bool = False, whole: bool = False) -> None:
        self.precision = np.float32 if single else np.float64
        self._whole = whole
        self._memory = threading.local()  # workspaces of the last pass of each calling thread

    def within_range(self, run: Callable[[Executor], Result]) -> Result:
        """Result of a pass, which is repeated in float64 if numbers leave the range of float32."""
        if self.precision == np.float64:
            return run(self)
        try:
            result = run(self)
            if math.isfinite(result.log_likelihood):
                return result
        except FloatingPointError:
            pass
        wide = copy.copy(self)
        wide.precision, wide._memory = np.float64, threading.local()
        return run(wide)

    def fold(
        self,
        passes: Passes,
        rows: Rows,
        mixture: Mixture,
        n_stats: int,
        *,
        given: NDArray[Any] | None = None,
        parallel: bool | None = None,
        marks: Marks = NO_MARKS,
    ) -> Sweep:
        """Sum the statistics of rows, with responsibilities at `mixture` or given ones (n, K)."""
        passes, family, n_components = passes.of(rows.values.shape[1]), passes.family, mixture.weights.size
        given = np.empty((0, n_components), self.precision) if given is None else given
        n_sums = n_stats if family.n_raw is None else family.n_raw(rows.n_features, n_components)
        bounds = self._bounds(passes, rows, n_components, n_sums)
        n_slabs = len(bounds) - 1
        mass = np.zeros((n_slabs, n_components))
        stats = aligned_zeros((n_slabs, n_sums), np.float64)
        log_likelihood = np.zeros(n_slabs)
        n_workers = self.n_workers(rows, n_slabs, n_sums, parallel)
        workspaces = self.workspaces(passes, rows, n_components, n_workers)
        params, which = self._weighted_params(passes, rows, mixture), np.zeros(n_slabs, np.int64)

        def fold(turns: NDArray[np.int64], workspace: NDArray[Any]) -> None:
            passes.fused(rows, params, which, given, marks, workspace, turns, bounds, mass, stats, log_likelihood)

        share_slabs(fold, n_slabs, list(workspaces), at_once(rows, n_sums))
        one = n_slabs == 1  # for a hundred rows these sums would take longer than the slab
        total_mass, total = (mass[0], stats[0]) if one else (mass.sum(axis=0), stats.sum(axis=0))
        if family.finish is not None:
            total = family.finish(total_mass, total, mixture.params)
        return Sweep(total_mass, total, float(log_likelihood[0] if one else log_likelihood.sum()))

    def score(self, passes: Passes, rows: Rows, mixture: Mixture, wanted: Wanted, parallel: bool | None) -> Scores:
        """Compute the wanted scores of every row, and their weighted totals."""
        (n, m), n_components, dtype = rows.values.shape, mixture.weights.size, rows.values.dtype
        passes = passes.of(m)
        n_stats = n_components * rows.n_features
        bounds = self._bounds(passes, rows, n_components, n_stats)
        n_slabs = len(bounds) - 1
        by_row = RowScores(
            np.empty(n if wanted.densities else 0),
            np.empty(n if wanted.labels else 0, np.int64),
            np.empty((n if wanted.responsibilities else 0, n_components), dtype),
        )
        sums = np.zeros((n_slabs, 2))
        n_workers = self.n_workers(rows, n_slabs, n_stats, parallel)
        workspaces = self.workspaces(passes, rows, n_components, n_workers)
        log_weights = mixture._replace(posterior=None).log_weights  # posterior of rows that no component allows
        fixed = (rows, self._weighted_params(passes, rows, mixture), log_weights)

        def evaluate(turns: NDArray[np.int64], workspace: NDArray[Any]) -> None:
            passes.score(*fixed, workspace, turns, bounds, wanted, by_row, sums)

        share_slabs(evaluate, n_slabs, list(workspaces), at_once(rows, n_stats))
        return Scores(by_row, *map(float, sums.sum(axis=0)))

    def n_workers(self, rows: Rows, n_slabs: int, n_stats: int, parallel: bool | None) -> int:
        """Number of threads that share the slabs; None for `parallel` decides by the amount of work."""
        if parallel is None:
            parallel = n_slabs > 1 and _work(rows, n_stats) >= PARALLEL_WORK and n_threads() > 1
        return max(2, min(n_slabs, n_threads())) if parallel else 1

    def workspaces(self, passes: Passes, rows: Rows, n_components: int, n_workers: int) -> NDArray[Any]:
        """Workspace of each thread (n_workers, n_rows, b), kept for the next pass of the same shape."""
        b, m, d = self.tile_rows(passes, rows, n_components), rows.values.shape[1], rows.n_features
        n_rows = workspace_rows(d, n_components)
        if passes.family.scratch_rows is not None:
            n_rows = rows.width + n_components + 4 + passes.family.scratch_rows(m, d, n_components, b)
        shape = (n_workers, n_rows, b)
        kept: NDArray[Any] | None = getattr(self._memory, "workspaces", None)
        if kept is None or kept.shape != shape:
            kept = self._memory.workspaces = aligned_zeros(shape, self.precision)
        return kept

    def tile_rows(self, passes: Passes, rows: Rows, n_components: int) -> int:
        """Number of samples in a tile."""
        if passes.family.load_errors is not None:
            return FACTOR_TILE_ROWS
        return tile_rows(len(rows.values), rows.n_features, n_components, self.precision)

    def _bounds(self, passes: Passes, rows: Rows, n_components: int, n_stats: int) -> NDArray[np.int64]:
        """First row of each slab, and the end of the last (n_slabs + 1,)."""
        n = len(rows.values)
        return np.array([0, n]) if self._whole else slab_bounds(n, self.tile_rows(passes, rows, n_components), n_stats)

    def _weighted_params(self, passes: Passes, rows: Rows, mixture: Mixture) -> Params:
        """Parameters with the logarithms of the weights added to `log_constant`, in the dtype of the evaluation."""
        prepare, params = passes.family.prepare, mixture.params
        params = params if prepare is None else prepare(params, rows)
        return _cast(params._replace(log_constant=params.log_constant + mixture.log_weights), self.precision)


def at_once(rows: Rows, n_stats: int) -> int | None:
    """Number of slabs that a call may take: one if a pass takes long, as interrupts are handled between calls."""
    return 1 if _work(rows, n_stats) >= LONG_WORK else None


def _work(rows: Rows, n_stats: int) -> int:
    """Work of a pass: rows times statistics."""
    return len(rows.values) * (n_stats + 8)


def _cast(params: Params, dtype: Any) -> Params:
    """The same parameters in arrays of another dtype; FloatingPointError if a value overflows."""
    if dtype == np.float64:
        return params
    with np.errstate(over="raise"):
        return type(params)(*(array.astype(dtype, copy=False) for array in params))
