"""What the range of the columns allows: an origin near the data, evaluation in float32."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families._contract import Float

LARGEST_SINGLE, SMALLEST_SINGLE = 1e9, 1e-9  # their ratio, squared and whitened, is still a float32


class Range(NamedTuple):
    """Least and largest value of each column (d,), in the type of the data."""

    low: NDArray[Any]
    high: NDArray[Any]

    def __or__(self, other: "Range") -> "Range":
        """Range of both."""
        return Range(np.fmin(self.low, other.low), np.fmax(self.high, other.high))


def range_of(values: NDArray[Any], *, missing: bool = False) -> Range:
    """Range of rows (n, d), of which there is at least one; of the values that are there, if some may be missing."""
    if missing:
        return Range(np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0))
    return Range(values.min(axis=0), values.max(axis=0))


def range_of_present(values: NDArray[Any], weights: Float | None, *, missing: bool = False) -> Range:
    """Range of the rows of positive weight; from inf to -inf if there is none."""
    if weights is None or weights.all():
        return range_of(values, missing=missing)
    present = weights[:, None] > 0.0
    return Range(
        np.fmin.reduce(values, axis=0, where=present, initial=np.inf),
        np.fmax.reduce(values, axis=0, where=present, initial=-np.inf),
    )


def log_widths(extent: Range) -> Float:
    """Logarithms of the widths of a box (1, d)."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(extent.high.astype(np.float64) - extent.low))[None]


def single_suffices(extent: Range, origin: Float) -> bool:
    """Whether rows may be evaluated in float32: they are float32, and their squares neither overflow nor vanish.

    What float32 arithmetic adds to the error of a whitened residual is then no more than the rounding of the data.
    """
    low, high = extent
    if low.dtype != np.float32:
        return False
    farthest = np.maximum(np.abs(low - origin), np.abs(high - origin))
    spread = high.astype(np.float64) - low
    return bool((farthest < LARGEST_SINGLE).all() and ((spread > SMALLEST_SINGLE) | (spread == 0.0)).all())


def common_origin(extent: Range) -> Float:
    """Origin near the data in each column where subtracting it is exact, else zero.

    A column on one side of zero within a factor of two loses no bit by the subtraction (Sterbenz), and densities far
    from zero gain all that the data has: a mean of 1e9 with a standard deviation of 1 is as good as a mean of zero.
    """
    low, high = (bound.astype(np.float64) for bound in extent)
    exact = (low > 0.0) & (0.5 * high <= low) | (high < 0.0) & (0.5 * low >= high)  # doubled they might overflow
    middle = (low + 0.5 * (high - low)).astype(extent.low.dtype).astype(np.float64)
    return np.where(exact, middle, 0.0)
