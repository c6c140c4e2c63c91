"""Degrees of freedom of t components: normalisers and estimates, with the same bits on every processor."""

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from fastem.families._contract import Float
from fastem.kernels import degrees
from fastem.kernels.jit import specialise

NEWTON_STEPS = 12
NONE, NO_SUMS, NO_GROUP = np.empty(0), np.empty((0, 7)), np.empty(0, dtype=np.int64)


@functools.cache
def _compiled() -> Callable[..., float]:
    return specialise(degrees.climb, "double", {})


def log_normalisers(inverse_df: Float, n_features: int) -> Float:
    """What log-densities of t components have beside those of normal ones (K,), at their centres."""
    found = np.empty(len(inverse_df))
    _compiled()(NONE, NO_SUMS, np.ascontiguousarray(inverse_df), n_features, NO_GROUP, NO_GROUP, NONE, NONE, found)
    return found


def climb(
    mass: Float,
    sums: Float,
    inverse_df: Float,
    n_features: int,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[Float, Float, float]:
    """Inverse degrees of freedom (K,), factors of the scale matrices (K,), and by how much they raise the likelihood.

    `groups` are numbers of those that share degrees of freedom, and a factor, which is 1 where the number is -1.
    """
    found, scale, normalisers = (np.empty(len(mass)) for _ in range(3))
    gain = _compiled()(mass, np.ascontiguousarray(sums), inverse_df, n_features, *groups, found, scale, normalisers)
    return found, scale, float(gain)


def degrees_from(deficit: Float) -> Float:
    """Degrees of freedom df whose weights have log(df / 2) - digamma(df / 2) = `deficit`, above 0.

    That is the mean of w - 1 - log(w). By Newton's method for the logarithm, within the bounds of estimates.
    """
    least, most = 0.5 / degrees.LARGEST, 0.5 / degrees.SMALLEST
    half = np.clip(1.0 / np.maximum(deficit, 1.0 / most), least, most)  # 1 / (2 z) < log(z) - digamma(z) < 1 / z
    for _ in range(NEWTON_STEPS):
        slope = half * polygamma(1, half) - 1.0
        half = np.clip(half * np.exp((np.log(half) - digamma(half) - deficit) / slope), least, most)
    return np.asarray(2.0 * half)
