"""Degrees of freedom of t components: normalisers and estimates, with the same bits on every processor."""

import functools
from collections.abc import Callable
from typing import NamedTuple

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


class Incomplete(NamedTuple):
    """Sums over rows with missing values beside the sums over all rows, see `fastem.kernels.student_t_missing`.

    Attributes
    ----------
    none : ndarray of shape (K, 5)
        Shares of rows without any value in the second to the sixth of the seven sums.
    counts : ndarray of shape (K, d)
        Masses of rows with 0, 1, ..., d - 1 observed values.
    """

    none: Float
    counts: Float

    @property
    def hidden(self) -> Float:
        """Number of missing values (K,), weighted by responsibilities."""
        n_features = self.counts.shape[1]
        return np.asarray((self.counts * np.arange(n_features, 0, -1)).sum(axis=1))

    def squares(self, sums: Float, inverse_df: Float) -> Float:
        """Sums (K,) of expected squared distances of complete rows, missing values included, times latent weights."""
        whole = sums[:, 1] - self.none[:, 0]
        return (1.0 + inverse_df * self.counts.shape[1]) * whole + self.none[:, 0] + self.hidden

    def by_number(self, mass: Float, sums: Float) -> tuple[Float, Float]:
        """Masses (K, d) of rows with 1, 2, ..., d observed values, and sums (K, d, 7) to use for them.

        The likelihood depends on the sums only through their totals, and their totals times the numbers of values. So
        all of them are assigned to the smallest and the largest number of values that occurs.
        """
        n_components, n_features = self.counts.shape
        complete = np.maximum(mass - self.counts.sum(axis=1), 0.0)
        masses = np.column_stack([self.counts[:, 1:], complete])
        found = np.zeros((n_components, n_features, sums.shape[1]))
        for k in range(n_components):
            present = np.flatnonzero(masses[k] > 0.0)
            if present.size:
                low, high = present[0] + 1, present[-1] + 1
                total = sums[k, 1:6]
                values = n_features * np.maximum(total - self.none[k], 0.0)
                upper = total if high == low else np.clip((values - low * total) / (high - low), 0.0, total)
                found[k, low - 1, 1:6] = total - upper
                found[k, high - 1, 1:6] = upper
        return masses, found


def log_normalisers(inverse_df: Float, n_features: int | NDArray[np.int64]) -> Float:
    """Log-densities of t components less those of normal ones, at the centres, broadcast over both arguments."""
    if not isinstance(n_features, int):
        at, numbers = np.broadcast_arrays(inverse_df, n_features)
        return _normalisers(at.flatten(), numbers.flatten()).reshape(at.shape)
    return _normalisers(np.ascontiguousarray(inverse_df), np.full(len(inverse_df), n_features))


def _normalisers(inverse_df: Float, n_features: NDArray[np.int64]) -> Float:
    """`log_normalisers` (J,) for arrays (J,)."""
    found = np.empty(len(inverse_df))
    _compiled()(NONE, NO_SUMS, inverse_df, n_features, NO_GROUP, NO_GROUP, NONE, NONE, found)
    return found


def climb(
    mass: Float,
    sums: Float,
    inverse_df: Float,
    n_features: int,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]],
    incomplete: Incomplete | None = None,
) -> tuple[Float, Float, float]:
    """Inverse degrees of freedom (K,), factors of the scale matrices (K,), and a bound of the likelihood's gain.

    `mass` is (K,), `sums` (K, 7). `groups` are two arrays (K,) of group numbers: components with the same number share
    degrees of freedom, or the factor of the scale matrix. The factor is 1 where the number is -1.
    """
    if incomplete is None:
        return _climb(mass, sums, inverse_df, np.full(len(mass), n_features), groups)
    masses, by_number = incomplete.by_number(mass, sums)
    first = np.arange(0, masses.size, n_features) + masses.argmax(axis=1)
    numbers = np.tile(np.arange(1, n_features + 1), len(mass))
    at, (of_df, of_scale) = np.repeat(inverse_df, n_features), groups
    repeated = np.repeat(of_df, n_features), np.repeat(of_scale, n_features)
    found, scale, gain = _climb(masses.ravel(), by_number.reshape(masses.size, -1), at, numbers, repeated)
    return found[first], scale[first], gain


def _climb(
    mass: Float,
    sums: Float,
    inverse_df: Float,
    n_features: NDArray[np.int64],
    groups: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[Float, Float, float]:
    """The same with J entries in all arrays: components, or pairs of a component and a number of observed values."""
    least = sums[:, 3] ** 2 / np.where(sums[:, 1] > 0.0, 3.0 * sums[:, 1], 1.0)  # of q^3 / 3, given q and q^2
    sums = np.column_stack([sums[:, :4], np.maximum(sums[:, 4], least), sums[:, 5]])
    found, scale, normalisers = (np.empty(len(mass)) for _ in range(3))
    gain = _compiled()(mass, np.ascontiguousarray(sums), inverse_df, n_features, *groups, found, scale, normalisers)
    return found, scale, float(gain)


def degrees_from(deficit: Float) -> Float:
    """Solve log(df / 2) - digamma(df / 2) = deficit for the degrees of freedom df (K,), where `deficit` (K,) > 0.

    `deficit` is the mean of w - 1 - log(w) over the latent weights w. Newton's method in log(df), within the bounds of
    estimates.
    """
    least, most = 0.5 / degrees.LARGEST, 0.5 / degrees.SMALLEST
    half = np.clip(1.0 / np.maximum(deficit, 1.0 / most), least, most)  # 1 / (2 z) < log(z) - digamma(z) < 1 / z
    for _ in range(NEWTON_STEPS):
        slope = half * polygamma(1, half) - 1.0
        half = np.clip(half * np.exp((np.log(half) - digamma(half) - deficit) / slope), least, most)
    return np.asarray(2.0 * half)
