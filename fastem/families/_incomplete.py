"""Host functions of incompletely observed vectors, for Gaussian components and for t components."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families import _gaussian
from fastem.families._arithmetic import inverse_factors, log_determinants, product
from fastem.families._contract import Float, Params
from fastem.families._gaussian import Factors, factors_of
from fastem.kernels.incomplete import APART, LANES

SINGULAR = 1e-6  # singular value of the factor of a correlation matrix; its square is near the rounding error
PROJECTIONS = 64  # number of projections from which the size of their entries is estimated


class IncompleteParams(NamedTuple):
    """Parameters that passes read; matrices are padded to an even size."""

    centres: Float  # (K, d)
    covariances: Float  # (K, d, d), in the columns' units; not read if there are projections
    lower: Float  # (K, d, d), their Cholesky factors; in the features' own units if there are projections
    units: Float  # (K, m), powers of two that observed columns are multiplied by
    log_units: Float  # (K, m), their logarithms
    log_constant: Float  # (K,)
    log_widths: Float  # (m,), of a background's box, see `fastem.families.background`
    layout: NDArray[np.int64]  # observed columns, features, whether there are errors, whether there are projections


def prepare(params: Params, rows: Any) -> IncompleteParams:
    """Parameters of the passes for rows like `rows`, a `Rows`: with or without errors and projections."""
    centres, lower = factors_of(params)
    n_components, n_features = centres.shape
    m, projected = rows.values.shape[1], rows.projection.shape[0] > 0
    deviations = _lengths(lower)
    if projected:
        deviations = deviations @ _largest(rows.projection).reshape(m, n_features).T
    exponents = -np.frexp(deviations)[1]
    units = np.ldexp(1.0, exponents)
    size = _even(n_features)
    padded = np.tile(np.eye(size), (n_components, 1, 1))
    padded[:, :n_features, :n_features] = lower if projected else lower * units[:, :, None]
    covariances = padded if projected else product(padded, np.swapaxes(padded, 1, 2))
    layout = np.array([m, n_features, rows.has_errors, projected], dtype=np.int64)
    log_units, constant, widths = exponents * math.log(2.0), np.zeros(n_components), np.zeros(m)
    return IncompleteParams(centres, covariances, padded, units, log_units, constant, widths, layout)


def _lengths(matrices: Float) -> Float:
    """Euclidean norms (..., d) of the rows of matrices (..., d, d), without overflow of squares."""
    largest = np.abs(matrices).max(axis=-1, keepdims=True)
    largest = np.where(largest > 0.0, largest, 1.0)
    return np.asarray(largest[..., 0] * np.sqrt(((matrices / largest) ** 2).sum(axis=-1)))


def _largest(projection: Float) -> Float:
    """Largest absolute entries (m * d,) of projections (n, m * d), from some of them where all these are positive."""
    some = np.abs(projection[:: -(-len(projection) // PROJECTIONS)]).max(axis=0)
    return some if some.all() else np.asarray(np.abs(projection).max(axis=0))


def singular(params: Params) -> int | None:
    """The component whose covariance is nearest to singular, if factorisations of blocks of it may have failed."""
    lower = factors_of(params)[1]
    scaled = lower / _lengths(lower)[:, :, None]  # of correlation matrices
    smallest = np.linalg.svd(scaled, compute_uv=False)[:, -1]
    worst = int(smallest.argmin())
    return worst if smallest[worst] <= SINGULAR else None


def n_raw(n_features: int, n_components: int) -> int:
    """Number of sums of a pass, which keeps those of each lane apart."""
    size = _even(n_features)
    return n_components * (size + size**2) * LANES


def expand_sums(lower: Float, raw: Float) -> tuple[Float, Float]:
    """First moments (K, d), and second moments (K, d, d) less covariances times mass, from the sums of a pass."""
    n_components, n_features = lower.shape[:2]
    size = _even(n_features)
    sums = raw.reshape(n_components, size + size**2, LANES).sum(axis=2)
    first = np.einsum("kij,kj->ki", lower, sums[:, :n_features])
    white = _gaussian.symmetric(sums[:, size:].reshape(n_components, size, size)[:, :n_features, :n_features])
    return first, product(lower, white, np.swapaxes(lower, 1, 2))


class PatternParams(NamedTuple):
    """Parameters of P patterns of m observed values each, by the names of `gaussian_full.FullParams`.

    `lower` are the inverse Cholesky factors L of the observed values' covariances. `loading` is C L', with the
    covariances C (d, m) of all features with the observed ones.
    """

    means: Float  # (P, K, m)
    lower: Float  # (P, K, m, m)
    offset: Float  # (P, K, m)
    log_constant: Float  # (P, K)
    loading: Float  # (P, K, d, m)


def marginal(factors: Factors, log_weights: Float, columns: NDArray[np.int64]) -> PatternParams:
    """Parameters of the observed values of each pattern, given by its columns (P, m).

    Their constants contain the logarithms of the weights (K,), and no powers of 2 pi.
    """
    centres, lower = factors
    covariances = product(lower, np.swapaxes(lower, 1, 2))
    across = np.moveaxis(covariances[:, :, columns], 2, 0)
    within = np.take_along_axis(across, columns[:, None, :, None], axis=2)
    inverses = inverse_factors(within)
    means = np.ascontiguousarray(np.moveaxis(centres[:, columns], 0, 1))
    offset = np.einsum("pkij,pkj->pki", inverses, means)
    log_constant = log_weights + log_determinants(inverses)
    return PatternParams(means, inverses, offset, log_constant, product(across, np.swapaxes(inverses, 2, 3)))


def scratch_rows(n_observed: int, n_features: int, n_components: int, tile_rows: int) -> int:
    """Rows of scratch memory, see `fastem.kernels.incomplete.areas`."""
    m, d = _even(n_observed), _even(n_features)
    factors = n_components * (m * (m - 1) // 2 + 2 * m)
    work = m + m * (m + 1) // 2 + 2 * (m + 1) * d + APART + 2 * m
    return factors + -(-work * LANES // tile_rows) + 1


def _even(n: int) -> int:
    return n + n % 2
