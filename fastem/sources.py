"""Where rows come from, and the sweeps over them."""

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from fastem.compiled import Passes
from fastem.families._contract import Float, Params

LARGEST_SINGLE, SMALLEST_SINGLE = 1e9, 1e-9  # their ratio, squared and whitened, is still a float32
LANE_BLOCK = 64  # rows of a tile come in multiples of four vectors of float32
MAX_SLABS = 64  # enough for 64 threads; a power of two, so that 2, 4, 8 ... threads get equal shares
SLAB_BYTES = 2**25  # all slabs' statistics together, where their number can be chosen
TILES_PER_SLAB = 8  # fewer, and adding up the slabs begins to cost
PARALLEL_WORK = 10_000_000  # row-statistics of about two milliseconds: a busy machine may take as long to wake a thread


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
    """What a pass reads: values (n, d), weights (n,) or (0,) where all are one, origin (d,)."""

    values: NDArray[Any]
    weights: Float
    origin: Float


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
        )
        self.n_rows, self.n_features = values.shape
        self.total_weight = float(self.n_rows if weights is None else weights.sum())
        self.tile_rows = _tile_rows(self.n_rows, self.n_features)
        self.precision = np.float32 if single else np.float64

    def sweep(self, passes: Passes, mixture: Mixture, n_stats: int, *, parallel: bool | None = None) -> Sweep:
        """Run one fused pass: the E-step at `mixture` and its statistics of length `n_stats`."""
        n_slabs = self._n_slabs(n_stats)
        mass = np.zeros((n_slabs, mixture.weights.size))
        stats = np.zeros((n_slabs, n_stats))
        log_likelihood = np.zeros(n_slabs)
        if parallel is None:
            parallel = self._parallel_pays(n_slabs, n_stats)
        run = passes.fused.choose(parallel=parallel)
        params, log_weights = self._in_precision(mixture)
        run(self.rows, params, log_weights, self.tile_rows, mass, stats, log_likelihood)
        return Sweep(mass.sum(axis=0), stats.sum(axis=0), float(log_likelihood.sum()))

    def given(self, passes: Passes, params: Params, n_stats: int, blocks: Iterable[NDArray[Any]]) -> Sweep:
        """Statistics about `params` for given responsibilities: arrays (rows, K) that follow each other in `blocks`."""
        mass: Float | None = None
        stats = np.zeros(n_stats)
        start = 0
        params = _cast(params, self.precision)
        for block in blocks:
            if mass is None:
                mass = np.zeros(block.shape[1])
            stop = start + len(block)
            weights = self.rows.weights[start:stop]
            rows = self.rows._replace(values=self.rows.values[start:stop], weights=weights)
            responsibilities = np.ascontiguousarray(block, dtype=self.precision)
            passes.given(rows, params, responsibilities, self.tile_rows, mass, stats)
            start = stop
        assert mass is not None
        return Sweep(mass, stats, 0.0)

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
        n_slabs = self._n_slabs(n_components * self.n_features)
        by_row = RowScores(
            np.empty(self.n_rows if wanted.densities else 0, dtype),
            np.empty(self.n_rows if wanted.labels else 0, np.int64),
            np.empty((self.n_rows if wanted.responsibilities else 0, n_components), dtype),
        )
        sums = np.zeros((n_slabs, 2))
        if parallel is None:
            parallel = self._parallel_pays(n_slabs, n_components * self.n_features)
        run = passes.score.choose(parallel=parallel)
        params, log_weights = self._in_precision(mixture)
        run(self.rows, params, log_weights, self.tile_rows, wanted, by_row, sums)
        return Scores(by_row, *map(float, sums.sum(axis=0)))

    def _in_precision(self, mixture: Mixture) -> tuple[Params, NDArray[Any]]:
        """Parameters and logarithms of the weights, in the type that rows are evaluated in."""
        return _cast(mixture.params, self.precision), mixture.log_weights.astype(self.precision)

    def _n_slabs(self, n_stats: int) -> int:
        """Number of slabs: a function of the data's shape only, or results would depend on the machine."""
        n_tiles = -(-self.n_rows // self.tile_rows)
        limit = min(MAX_SLABS, n_tiles // TILES_PER_SLAB, SLAB_BYTES // (8 * n_stats))
        return 1 << max(limit, 1).bit_length() - 1

    def _parallel_pays(self, n_slabs: int, n_stats: int) -> bool:
        from fastem import _jit

        work = self.n_rows * (n_stats + 8)
        return n_slabs > 1 and work >= PARALLEL_WORK and _jit.n_threads() > 1


@contextmanager
def limit_threads(n_jobs: int | None) -> Iterator[None]:
    """Run passes, and scikit-learn's k-means, with at most `n_jobs` threads; None leaves both as they are."""
    from fastem import _jit

    if n_jobs is None:
        yield
        return
    with _jit.limit_threads(n_jobs) as n_threads, _threadpools().limit(limits=n_threads):
        yield


@functools.cache
def _threadpools() -> ThreadpoolController:
    """Thread pools of the libraries loaded by now; looking for them takes longer than a small fit."""
    return ThreadpoolController()


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _tile_rows(n_rows: int, n_features: int) -> int:
    """Rows of a tile: as many as the inner cache levels hold, or all rows, rounded up to whole vectors."""
    best = 384 if n_features <= 4 else 256 if n_features <= 32 else 192
    return min(best, -(-n_rows // LANE_BLOCK) * LANE_BLOCK)


def _cast(params: Params, dtype: Any) -> Params:
    """The same parameters in arrays of another type."""
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
    return np.where(exact, low + 0.5 * (high - low), 0.0)
