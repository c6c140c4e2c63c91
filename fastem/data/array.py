"""Rows of one array, in memory or in a memory map."""

import copy
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem.data.base import Marks, Mixture, Rows, RowScores, Scores, Sweep, Wanted
from fastem.data.fingerprints import fingerprint
from fastem.data.row_info import NOTHING, Annotations, or_empty
from fastem.data.squares import start_squares
from fastem.engine.compiled import Passes
from fastem.engine.helpers import share_slabs
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
from fastem.families._contract import Float, Params

Result = TypeVar("Result", Sweep, Scores)

NO_MARKS = Marks(np.empty(0, np.int64), np.empty(0))


class ArraySource:
    """Rows of one array in memory or in a memory map.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features), float64 or float32
        Any strides; never copied, never written to.
    weights : ndarray of shape (n_samples,), optional
        Weights of the rows; None counts each row once.
    origin : ndarray of shape (n_features,), optional
        Subtracted from every row as it is read; from projections, what they see of it has been.
    single : bool, default=False
        Whether rows are evaluated in float32, see `single_suffices`; sums over tiles are float64 in any case.
    whole : bool, default=False
        Whether all rows are one slab: they are for one thread, beside others that have rows of their own.
    annotations : Annotations
        What else is known of the rows.
    """

    def __init__(
        self,
        values: NDArray[Any],
        weights: Float | None = None,
        origin: Float | None = None,
        *,
        single: bool = False,
        whole: bool = False,
        annotations: Annotations = NOTHING,
    ) -> None:
        origin = np.zeros(annotations.n_features(values.shape[1])) if origin is None else origin
        self._hold(np.asarray(values), weights, annotations, origin)
        self.precision = np.float32 if single else np.float64
        self._whole = whole
        self._memory = threading.local()  # the last sweep's workspaces; parts share it

    def _hold(self, values: NDArray[Any], weights: Float | None, annotations: Annotations, origin: Float) -> None:
        """Set the rows, and what is known of them."""
        annotations.check_rows(len(values))
        # Read-only views: kernels cannot write to the data, and both kinds of array share one compiled pass.
        given = np.empty(0) if weights is None else weights
        known = map(_read_only, or_empty(annotations))
        about = origin if annotations.projection is None else np.zeros(values.shape[1])
        self.rows = Rows(_read_only(values), _read_only(given), _read_only(about), 0, *known)
        self.origin = origin
        self.annotations = annotations
        self.n_rows = len(values)
        self.n_features = annotations.n_features(values.shape[1])
        self.restricted = annotations.restricts
        self.total_weight = float(self.n_rows if weights is None else weights.sum())

    @property
    def most_blocks(self) -> int:
        """Number of blocks that the rows can be cut into."""
        return self.n_rows

    def digest(self) -> str:
        """Fingerprint of all rows and of what is known of them, whatever their layout."""
        values, weights = self.rows.values, self._given_weights
        return fingerprint([("values", values), ("weights", weights), *self.annotations._asdict().items()])

    def holding(self, values: NDArray[Any], weights: Float | None, annotations: Annotations = NOTHING) -> "ArraySource":
        """A source of other rows, read in the same way."""
        source = copy.copy(self)
        source._hold(values, weights, annotations, self.origin)
        return source

    def unrestricted(self) -> "ArraySource":
        """The same rows where nothing is known of their components."""
        return self.holding(self.rows.values, self._given_weights, self.annotations.unrestricted)

    def start_squares(self) -> Float:
        """Squares of each feature (d,) about the origin that a start may have, see `start_squares`."""
        return start_squares([self])

    def among(self, components: NDArray[np.intp]) -> "ArraySource":
        """The same rows where these are all components."""
        return self.holding(self.rows.values, self._given_weights, self.annotations.among(components))

    @property
    def _given_weights(self) -> Float | None:
        return self.rows.weights if self.rows.weights.size else None

    def part(self, selection: slice, share: Float | None = None) -> "ArraySource":
        """Some of the rows, in C order where they are not neighbours; `share` (n,) multiplies their weights."""
        values, weights = self.rows.values[selection], self.rows.weights[selection]
        if selection.step not in (None, 1):
            values = np.ascontiguousarray(values)
        if share is not None:
            weights = share * weights if weights.size else share
        weights_or_none = np.ascontiguousarray(weights) if weights.size else None
        return self.holding(values, weights_or_none, self.annotations.take(selection))

    def reordered(self, order: NDArray[Any]) -> "ArraySource":
        """A copy of the rows in another order."""
        weights = self.rows.weights[order] if self.rows.weights.size else None
        return self.holding(self.rows.values[order], weights, self.annotations.take(order))

    def blocks(self, n_blocks: int, order: Sequence[int]) -> Iterator["ArraySource"]:
        """The rows in runs of equal length but for one row, in the given order."""
        bounds = np.linspace(0, self.n_rows, n_blocks + 1).astype(int)
        for b in order:
            yield self.part(slice(bounds[b], bounds[b + 1]))

    def batches(self, n_rows: int, random_state: np.random.RandomState) -> Iterator["ArraySource"]:
        """The rows in batches of about `n_rows`, each taken at equal distances, in random order."""
        n_batches = max(1, round(self.n_rows / n_rows))
        for b in random_state.permutation(n_batches):
            yield self.part(slice(b, None, n_batches))

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass: the E-step at `mixture` and its statistics of length `n_stats`; `key` seeds draws."""
        return self._swept(passes, self.rows._replace(key=key), mixture, n_stats, parallel)

    def marked_sweep(self, passes: Passes, mixture: Mixture, n_stats: int) -> tuple[Sweep, Marks]:
        """Run one fused pass that keeps the most probable component and the log-density of each row."""
        marks = Marks(np.empty(self.n_rows, np.int64), np.empty(self.n_rows))
        return self._swept(passes, self.rows, mixture, n_stats, None, marks), marks

    def _swept(
        self,
        passes: Passes,
        rows: Rows,
        mixture: Mixture,
        n_stats: int,
        parallel: bool | None,
        marks: Marks = NO_MARKS,
    ) -> Sweep:
        """One fused pass."""

        def fold(source: ArraySource) -> Sweep:
            nothing = np.empty((0, mixture.weights.size), source.precision)
            return source._fold(passes, rows, mixture, nothing, n_stats, parallel, marks)

        return self._within_range(fold)

    def _within_range(self, evaluate: Callable[["ArraySource"], Result]) -> Result:
        """What `evaluate` makes of the rows, in float64 if numbers leave the range of float32."""
        if self.precision == np.float64:
            return evaluate(self)
        try:
            result = evaluate(self)
            if math.isfinite(result.log_likelihood):
                return result
        except FloatingPointError:
            pass
        wide = copy.copy(self)
        wide.precision, wide._memory = np.float64, threading.local()
        return evaluate(wide)

    def given(self, passes: Passes, mixture: Mixture, n_stats: int, blocks: Iterable[NDArray[Any]]) -> Sweep:
        """Statistics about `mixture` for given responsibilities: arrays (rows, K) that follow each other."""
        sweep: Sweep | None = None
        start = 0
        for block in blocks:
            stop = start + len(block)
            rows = self.part(slice(start, stop)).rows
            responsibilities = np.ascontiguousarray(block, dtype=self.precision)
            part = self._fold(passes, rows, mixture, responsibilities, n_stats, None)
            sweep = part if sweep is None else sweep + part
            start = stop
        assert sweep is not None
        return sweep

    def _fold(
        self,
        passes: Passes,
        rows: Rows,
        mixture: Mixture,
        given: NDArray[Any],
        n_stats: int,
        parallel: bool | None,
        marks: Marks = NO_MARKS,
    ) -> Sweep:
        passes, family = passes.of(rows.values.shape[1]), passes.family
        n_sums = n_stats if family.n_raw is None else family.n_raw(self.n_features, mixture.weights.size)
        bounds = self._bounds(passes, len(rows.values), mixture.weights.size, n_sums)
        n_slabs = len(bounds) - 1
        mass = np.zeros((n_slabs, mixture.weights.size))
        stats = aligned_zeros((n_slabs, n_sums), np.float64)
        log_likelihood = np.zeros(n_slabs)
        workspaces = self._workspaces(passes, mixture.weights.size, self._n_workers(n_slabs, n_sums, parallel))
        params, which = self._weighted_params(passes, mixture.params, mixture.log_weights), np.zeros(n_slabs, np.int64)

        def fold(turns: NDArray[np.int64], workspace: NDArray[Any]) -> None:
            passes.fused(rows, params, which, given, marks, workspace, turns, bounds, mass, stats, log_likelihood)

        share_slabs(fold, n_slabs, list(workspaces), self._at_once(n_sums))
        one = n_slabs == 1  # a fit to a hundred rows spends more time in these sums than in a slab
        total_mass, total = (mass[0], stats[0]) if one else (mass.sum(axis=0), stats.sum(axis=0))
        if family.finish is not None:
            total = family.finish(total_mass, total, mixture.params)
        return Sweep(total_mass, total, float(log_likelihood[0] if one else log_likelihood.sum()))

    def score(
        self,
        passes: Passes,
        mixture: Mixture,
        wanted: Wanted | None = None,
        *,
        parallel: bool | None = None,
    ) -> Scores:
        """Evaluate every row at `mixture`."""
        wanted = Wanted() if wanted is None else wanted
        return self._within_range(lambda source: source._scored(passes, mixture, wanted, parallel))

    def _scored(self, passes: Passes, mixture: Mixture, wanted: Wanted, parallel: bool | None) -> Scores:
        n_components, dtype = mixture.weights.size, self.rows.values.dtype
        passes = passes.of(self.rows.values.shape[1])
        n_stats = n_components * self.n_features
        bounds = self._bounds(passes, self.n_rows, n_components, n_stats)
        n_slabs = len(bounds) - 1
        by_row = RowScores(
            np.empty(self.n_rows if wanted.densities else 0),
            np.empty(self.n_rows if wanted.labels else 0, np.int64),
            np.empty((self.n_rows if wanted.responsibilities else 0, n_components), dtype),
        )
        sums = np.zeros((n_slabs, 2))
        workspaces = self._workspaces(passes, mixture.weights.size, self._n_workers(n_slabs, n_stats, parallel))
        log_weights = mixture.log_weights
        fixed = (self.rows, self._weighted_params(passes, mixture.params, log_weights), log_weights)

        def evaluate(turns: NDArray[np.int64], workspace: NDArray[Any]) -> None:
            passes.score(*fixed, workspace, turns, bounds, wanted, by_row, sums)

        share_slabs(evaluate, n_slabs, list(workspaces), self._at_once(n_stats))
        return Scores(by_row, *map(float, sums.sum(axis=0)))

    def _weighted_params(self, passes: Passes, params: Params, log_weights: Float) -> Params:
        """Parameters with the weights in their constants, in the type that rows are evaluated in."""
        prepare = passes.family.prepare
        params = params if prepare is None else prepare(params, self.rows)
        return _cast(params._replace(log_constant=params.log_constant + log_weights), self.precision)

    def _bounds(self, passes: Passes, n_rows: int, n_components: int, n_stats: int) -> NDArray[np.int64]:
        """Where slabs begin and the last one ends."""
        if self._whole:
            return np.array([0, n_rows])
        tile = self._tile_rows(passes, n_components)
        return slab_bounds(n_rows, tile, n_stats)

    def _tile_rows(self, passes: Passes, n_components: int) -> int:
        if passes.family.scratch_rows is not None:
            return FACTOR_TILE_ROWS
        return tile_rows(self.n_rows, self.n_features, n_components, self.precision)

    def _n_workers(self, n_slabs: int, n_stats: int, parallel: bool | None) -> int:
        """Number of threads that share the slabs; `parallel` overrules what would pay."""
        if parallel is None:
            parallel = n_slabs > 1 and self._work(n_stats) >= PARALLEL_WORK and n_threads() > 1
        return max(2, min(n_slabs, n_threads())) if parallel else 1

    def _work(self, n_stats: int) -> int:
        """Row-statistics of a pass."""
        return self.n_rows * (n_stats + 8)

    def _at_once(self, n_stats: int) -> int | None:
        """Slabs that a call may take."""
        return 1 if self._work(n_stats) >= LONG_WORK else None

    def _workspaces(self, passes: Passes, n_components: int, n_workers: int) -> NDArray[Any]:
        """Memory of each thread (W, R, b)."""
        b = self._tile_rows(passes, n_components)
        n_rows = workspace_rows(self.n_features, n_components)
        if passes.family.scratch_rows is not None:
            scratch = passes.family.scratch_rows(self.rows.values.shape[1], self.n_features, n_components, b)
            n_rows = self.rows.width + n_components + 4 + scratch
        shape = (n_workers, n_rows, b)
        kept: NDArray[Any] | None = getattr(self._memory, "workspaces", None)
        if kept is None or kept.shape != shape:
            kept = self._memory.workspaces = aligned_zeros(shape, self.precision)
        return kept


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def _cast(params: Params, dtype: Any) -> Params:
    """The same parameters in arrays of another type; FloatingPointError if one has no room in it."""
    if dtype == np.float64:
        return params
    with np.errstate(over="raise"):
        return type(params)(*(array.astype(dtype, copy=False) for array in params))
