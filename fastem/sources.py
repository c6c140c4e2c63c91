"""Where rows come from, and the sweeps over them."""

import copy
import functools
import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.compiled import Passes
from fastem.families._contract import Float, Params

LARGEST_SINGLE, SMALLEST_SINGLE = 1e9, 1e-9  # their ratio, squared and whitened, is still a float32
TILE_BYTES = 40 * 1024  # most of a first-level cache
MIN_TILE_BLOCKS, MAX_TILE_BLOCKS = 9, 13  # smaller tiles sum their lanes too often, larger ones gain nothing
MAX_SLABS = 64  # enough for 64 threads; a power of two, so that 2, 4, 8 ... threads get equal shares
CACHE_LINE = 64
SLAB_BYTES = 2**25  # all slabs' statistics together, where their number can be chosen
TILES_PER_SLAB = 8  # fewer, and adding up the slabs begins to cost
PARALLEL_WORK = 5_000_000  # row-statistics, about a millisecond: a busy machine may take as long to wake a thread


class Mixture(NamedTuple):
    """Mixing weights (K,) and the family's parameters."""

    weights: Float
    params: Params

    @property
    def log_weights(self) -> Float:
        """Logarithms of the weights; -inf for a component without mass."""
        with np.errstate(divide="ignore"):
            return np.log(self.weights)


class Rows(NamedTuple):
    """What a pass reads: values (n, d), weights (n,) or (0,) where all are one, origin (d,), seed of what is drawn."""

    values: NDArray[Any]
    weights: Float
    origin: Float
    key: int


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

    densities: NDArray[Any]  # (n,)
    labels: NDArray[np.int64]  # (n,)
    responsibilities: NDArray[Any]  # (n, K)


class Scores(NamedTuple):
    """Results of a score pass: by row, and weighted totals."""

    rows: RowScores
    log_likelihood: float
    entropy: float


class ArraySource:
    """Rows of one array in memory or in a memory map.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features), float64 or float32
        Any strides; never copied, never written to.
    weights : ndarray of shape (n_samples,), optional
        Weights of the rows; None counts each row once.
    origin : ndarray of shape (n_features,), optional
        Subtracted from every row as it is read.
    single : bool, default=False
        Whether rows are evaluated in float32, see `single_suffices`; sums over tiles are float64 in any case.
    """

    def __init__(
        self,
        values: NDArray[Any],
        weights: Float | None = None,
        origin: Float | None = None,
        *,
        single: bool = False,
    ) -> None:
        # Read-only views: kernels cannot write to the data, and both kinds of array share one compiled pass.
        self.rows = Rows(
            _read_only(np.asarray(values)),
            _read_only(np.empty(0) if weights is None else weights),
            _read_only(np.zeros(values.shape[1]) if origin is None else origin),
            0,
        )
        self.n_rows, self.n_features = values.shape
        self.total_weight = float(self.n_rows if weights is None else weights.sum())
        self.precision = np.float32 if single else np.float64
        self._memory = threading.local()  # the last sweep's workspaces; parts share it

    def part(self, selection: slice, share: Float | None = None) -> "ArraySource":
        """Some of the rows, in C order where they are not neighbours; `share` (n,) multiplies their weights."""
        part = copy.copy(self)
        values = self.rows.values[selection]
        if selection.step not in (None, 1):
            values = _read_only(np.ascontiguousarray(values))
        weights = self.rows.weights[selection]
        if share is not None:
            weights = share * weights if weights.size else share
        part.rows = self.rows._replace(values=values, weights=_read_only(np.ascontiguousarray(weights)))
        part.n_rows = len(values)
        part.total_weight = float(weights.sum()) if weights.size else float(len(values))
        return part

    def reordered(self, order: NDArray[Any]) -> "ArraySource":
        """A copy of the rows in another order."""
        source = copy.copy(self)
        weights = self.rows.weights[order] if self.rows.weights.size else self.rows.weights
        source.rows = self.rows._replace(values=_read_only(self.rows.values[order]), weights=_read_only(weights))
        return source

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass: the E-step at `mixture` and its statistics of length `n_stats`; `key` seeds draws."""
        nothing = np.empty((0, mixture.weights.size), self.precision)
        return self._fold(passes, self.rows._replace(key=key), mixture, nothing, n_stats, parallel)

    def given(self, passes: Passes, mixture: Mixture, n_stats: int, blocks: Iterable[NDArray[Any]]) -> Sweep:
        """Statistics about `mixture` for given responsibilities: arrays (rows, K) that follow each other."""
        sweep: Sweep | None = None
        start = 0
        for block in blocks:
            stop = start + len(block)
            rows = self.rows._replace(values=self.rows.values[start:stop], weights=self.rows.weights[start:stop])
            responsibilities = np.ascontiguousarray(block, dtype=self.precision)
            part = self._fold(passes, rows, mixture, responsibilities, n_stats, parallel=False)
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
    ) -> Sweep:
        bounds = slab_bounds(len(rows.values), self._tile_rows(mixture), n_stats)
        n_slabs = len(bounds) - 1
        mass = np.zeros((n_slabs, mixture.weights.size))
        stats = np.zeros((n_slabs, n_stats))
        log_likelihood = np.zeros(n_slabs)
        workspaces = self._workspaces(mixture, self._n_workers(n_slabs, n_stats, parallel))
        fixed = (rows, self._weighted_params(mixture), given)
        if len(workspaces) > 1:
            passes.fused.parallel(*fixed, workspaces, bounds, mass, stats, log_likelihood)
        else:
            for p in range(n_slabs):
                log_likelihood[p] = passes.fused.slab(
                    *fixed, workspaces[0], bounds[p], bounds[p + 1], mass[p], stats[p]
                )
        return Sweep(mass.sum(axis=0), stats.sum(axis=0), float(log_likelihood.sum()))

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
        n_components, dtype = mixture.weights.size, self.rows.values.dtype
        n_stats = n_components * self.n_features
        bounds = slab_bounds(self.n_rows, self._tile_rows(mixture), n_stats)
        n_slabs = len(bounds) - 1
        by_row = RowScores(
            np.empty(self.n_rows if wanted.densities else 0, dtype),
            np.empty(self.n_rows if wanted.labels else 0, np.int64),
            np.empty((self.n_rows if wanted.responsibilities else 0, n_components), dtype),
        )
        sums = np.zeros((n_slabs, 2))
        workspaces = self._workspaces(mixture, self._n_workers(n_slabs, n_stats, parallel))
        fixed = (self.rows, self._weighted_params(mixture), mixture.log_weights)
        if len(workspaces) > 1:
            passes.score.parallel(*fixed, workspaces, bounds, wanted, by_row, sums)
        else:
            for p in range(n_slabs):
                passes.score.slab(*fixed, workspaces[0], bounds[p], bounds[p + 1], wanted, by_row, sums[p])
        return Scores(by_row, *map(float, sums.sum(axis=0)))

    def _weighted_params(self, mixture: Mixture) -> Params:
        """Parameters with the weights in their constants, in the type that rows are evaluated in."""
        params = mixture.params
        return _cast(params._replace(log_constant=params.log_constant + mixture.log_weights), self.precision)

    def _tile_rows(self, mixture: Mixture) -> int:
        return tile_rows(self.n_rows, self.n_features, mixture.weights.size, self.precision)

    def _n_workers(self, n_slabs: int, n_stats: int, parallel: bool | None) -> int:
        """Number of threads that share the slabs; `parallel` overrules what would pay."""
        from fastem import _jit

        if parallel is None:
            parallel = n_slabs > 1 and self.n_rows * (n_stats + 8) >= PARALLEL_WORK and _jit.n_threads() > 1
        return max(2, min(n_slabs, _jit.n_threads())) if parallel else 1

    def _workspaces(self, mixture: Mixture, n_workers: int) -> NDArray[Any]:
        """Memory of each thread (W, R, b); it starts where a cache line does, for no load to need two of them."""
        shape = (n_workers, workspace_rows(self.n_features, mixture.weights.size), self._tile_rows(mixture))
        kept: NDArray[Any] | None = getattr(self._memory, "workspaces", None)
        if kept is None or kept.shape != shape:
            n_bytes = math.prod(shape) * np.dtype(self.precision).itemsize
            buffer = np.empty(n_bytes + CACHE_LINE, np.uint8)
            first = -buffer.ctypes.data % CACHE_LINE
            kept = buffer[first : first + n_bytes].view(self.precision).reshape(shape)
            self._memory.workspaces = kept
        return kept


def workspace_rows(n_features: int, n_components: int) -> int:
    """Rows of a workspace: tile, responsibilities, four of numbers of rows, and a family's scratch."""
    return n_features + n_components + 4 + n_features + max(n_features, n_components) + 8


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def tile_rows(n_rows: int, n_features: int, n_components: int, precision: Any) -> int:
    """Rows of a tile: as many as fit into the first-level cache with their responsibilities, or all rows.

    An odd number of blocks of four cache lines: columns of the tile would otherwise compete for the same cache sets.
    """
    block = 4 * CACHE_LINE // np.dtype(precision).itemsize
    fitting = TILE_BYTES // ((n_features + n_components) * np.dtype(precision).itemsize * block)
    best = min(max(fitting - 1 + fitting % 2, MIN_TILE_BLOCKS), MAX_TILE_BLOCKS)
    return block * min(best, -(-n_rows // block))


@functools.lru_cache(maxsize=64)  # an iteration over a hundred rows is shorter than its bounds take
def slab_bounds(n_rows: int, rows_of_tile: int, n_stats: int) -> NDArray[np.int64]:
    """Where slabs begin: a function of shapes only, or results would depend on the machine."""
    n_tiles = -(-n_rows // rows_of_tile)
    limit = min(MAX_SLABS, n_tiles // TILES_PER_SLAB, SLAB_BYTES // (8 * n_stats))
    n_slabs = 1 << max(limit, 1).bit_length() - 1
    tiles = n_tiles * np.arange(n_slabs + 1, dtype=np.int64) // n_slabs
    return np.minimum(tiles * rows_of_tile, n_rows)


def _cast(params: Params, dtype: Any) -> Params:
    """The same parameters in arrays of another type."""
    if dtype == np.float64:
        return params
    return type(params)(*(array.astype(dtype, copy=False) for array in params))


def single_suffices(values: NDArray[Any], origin: Float) -> bool:
    """Whether rows may be evaluated in float32: they are float32, and their squares neither overflow nor vanish.

    What float32 arithmetic adds to the error of a whitened residual is then no more than the rounding of the data.
    """
    if values.dtype != np.float32 or not len(values):
        return False
    low, high = values.min(axis=0), values.max(axis=0)
    farthest = np.maximum(np.abs(low - origin), np.abs(high - origin))
    spread = high.astype(np.float64) - low
    return bool((farthest < LARGEST_SINGLE).all() and ((spread > SMALLEST_SINGLE) | (spread == 0.0)).all())


def common_origin(points: NDArray[Any]) -> Float:
    """Origin near `points` (n, d) in each column where subtracting it is exact, else zero.

    A column on one side of zero within a factor of two loses no bit by the subtraction (Sterbenz), and densities far
    from zero gain all that the data has: a mean of 1e9 with a standard deviation of 1 is as good as a mean of zero.
    """
    low = points.min(axis=0).astype(np.float64)
    high = points.max(axis=0).astype(np.float64)
    exact = (low > 0.0) & (high <= 2.0 * low) | (high < 0.0) & (low >= 2.0 * high)
    middle = (low + 0.5 * (high - low)).astype(points.dtype).astype(np.float64)
    return np.where(exact, middle, 0.0)
