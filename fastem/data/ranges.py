"""Choices that the ranges of the columns allow: an origin near the data, and evaluation in float32."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families._contract import Float

LARGEST_SINGLE, SMALLEST_SINGLE = 1e9, 1e-9  # their squares, and that of their ratio, are in the range of float32
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-15, 1e15  # times such squares of residuals, likewise
LARGEST_WHITE = 1e18  # whitened residual whose square is in the range of float32
RUN = 16384  # numbers that are compared at once: numpy takes ten times as long for rows of a few columns
BLOCK_ROWS = 65536  # rows that are copied at once if some have no weight


class Range(NamedTuple):
    """Least and largest value of each column (d,), in the type of the data."""

    low: NDArray[Any]
    high: NDArray[Any]

    def __or__(self, other: "Range") -> "Range":
        """Range of the rows of both."""
        return Range(np.fmin(self.low, other.low), np.fmax(self.high, other.high))


def range_of(values: NDArray[Any], *, missing: bool = False) -> Range:
    """Range of rows (n, d), of which there is at least one; `missing` says that NaN is to be ignored."""
    least, largest = (np.fmin, np.fmax) if missing else (np.minimum, np.maximum)
    n_rows, n_features = values.shape
    rows_at_once = RUN // max(n_features, 1)
    n_runs = n_rows // max(rows_at_once, 1)
    if n_features == 1 or not (n_runs > 4 and rows_at_once > 1 and values.flags.c_contiguous):
        return Range(least.reduce(values, axis=0), largest.reduce(values, axis=0))
    whole = n_runs * rows_at_once
    runs = values[:whole].reshape(n_runs, -1)
    low, high = runs[0].copy(), runs[0].copy()
    for run in runs[1:]:
        least(low, run, out=low)
        largest(high, run, out=high)
    rest = values[whole:]
    lows, highs = (np.concatenate([bound.reshape(-1, n_features), rest]) for bound in (low, high))
    return Range(least.reduce(lows, axis=0), largest.reduce(highs, axis=0))


def range_of_present(values: NDArray[Any], weights: Float | None, *, missing: bool = False) -> Range:
    """Range of the rows of positive weight; from inf to -inf if there is none."""
    if weights is None or weights.all():
        return range_of(values, missing=missing)
    infinity = np.full(values.shape[1], np.inf, values.dtype)
    extent = Range(infinity, -infinity)
    for start in range(0, len(values), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        present = values[part][weights[part] > 0.0]
        if len(present):
            extent = extent | range_of(present, missing=missing)
    return extent


def log_widths(extent: Range) -> Float:
    """Logarithms of the widths of a range (1, d)."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(extent.high.astype(np.float64) - extent.low))[None]


def single_suffices(extent: Range, origin: Float, weights: Float | None = None) -> bool:
    """Whether rows may be evaluated in float32: rows and origin are float32, and squares neither overflow nor vanish.

    This holds for squares of residuals, and for these times a weight. Float32 arithmetic then adds no more to the error
    of a whitened residual than the rounding of the data does.
    """
    low, high = extent
    if low.dtype != np.float32 or (origin != origin.astype(np.float32)).any():
        return False
    farthest = np.maximum(np.abs(low - origin), np.abs(high - origin))
    spread = high.astype(np.float64) - low
    suffices = (farthest < LARGEST_SINGLE).all() and ((spread > SMALLEST_SINGLE) | (spread == 0.0)).all()
    return bool(suffices) and (weights is None or weights_suffice(weights))


def weights_suffice(weights: Float) -> bool:
    """Whether weights (n,) allow evaluation in float32."""
    present = weights[weights > 0.0]
    return not present.size or bool(present.min() > SMALLEST_WEIGHT and present.max() < LARGEST_WEIGHT)


def reaches_single(extent: Range, origin: Float, means: Float, inverse_deviation: float) -> bool:
    """Whether whitened residuals of rows from means (K, d), given about the origin, have squares within float32."""
    low, high = extent
    farthest = max(np.abs(low - origin).max(), np.abs(high - origin).max(), np.abs(means).max())
    return bool(2.0 * farthest * inverse_deviation * math.sqrt(len(low)) < LARGEST_WHITE)


def common_origin(extent: Range, dtype: Any = None) -> Float:
    """Origin (d,) near the data in each column where subtracting it is exact, else zero; rounded to `dtype`.

    A column whose values have one sign and lie within a factor of two loses no bit by the subtraction (Sterbenz).
    Densities of data far from zero are then as precise as the data: a mean of 1e9 with a standard deviation of 1 is as
    good as a mean of zero.
    """
    low, high = (bound.astype(np.float64) for bound in extent)
    exact = (low > 0.0) & (0.5 * high <= low) | (high < 0.0) & (0.5 * low >= high)  # doubled they might overflow
    middle = (low + 0.5 * (high - low)).astype(extent.low.dtype if dtype is None else dtype).astype(np.float64)
    return np.where(exact, middle, 0.0)


def exact_origin(origin: Float, extent: Range) -> Float:
    """The origin (d,) in the columns where subtracting it from all values of a range is exact, else zero."""
    low, high = (bound.astype(np.float64) for bound in extent)
    sign = np.sign(origin)
    nearest, farthest = np.minimum(sign * low, sign * high), np.maximum(sign * low, sign * high)
    exact = (0.5 * np.abs(origin) <= nearest) & (0.5 * farthest <= np.abs(origin))
    return np.where(exact, origin, 0.0)
