"""Host functions that the Gaussian families share."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, multigammaln

from fastem.families._arithmetic import inverse_factors, log_determinants, logarithm, product, triangular_inverses
from fastem.families._contract import ComponentError, Conjugate, Float

Factors: TypeAlias = tuple[Float, Float]  # means (K, d) and factors (K, d, d) of covariances
LOG_2_PI = math.log(2.0 * math.pi)


def lower_inverse(covariance: Float, component: int | None) -> Float:
    """Inverse (d, d) of the lower Cholesky factor of `covariance` (d, d), whose lower triangle is read.

    Raises
    ------
    ComponentError
        If the matrix is not numerically positive definite.
    """
    try:
        inverse: Float = inverse_factors(covariance[None])[0]
    except ComponentError:
        raise ComponentError(component) from None
    return inverse


def log_base(values: NDArray[Any]) -> Float:
    """Logarithms (n,) of the powers of 2 pi in the densities of rows (n, d): one half for each observed value."""
    base: Float = -0.5 * LOG_2_PI * (~np.isnan(values)).sum(axis=1)
    return base


def columns_of(params: Any) -> tuple[Float, Float]:
    """Means (K, d) of the densities, which may differ from `params.means`, and inverse deviations (K, d)."""
    inverse = params.inverse_deviation
    by_column = inverse if inverse.ndim == 2 else np.repeat(inverse[:, None], params.means.shape[1], axis=1)
    return params.centres if hasattr(params, "centres") else params.offset / by_column, by_column


def factors_of(params: Any) -> Factors:
    """Means (K, d) of the densities, which may differ from `params.means`, and factors L of V = L L' (K, d, d)."""
    n_components, n_features = params.means.shape
    if hasattr(params, "lower"):
        inverses = params.lower.reshape(-1, n_features, n_features)
        factors = triangular_inverses(inverses)
        lower = np.broadcast_to(factors, (n_components, n_features, n_features))
        return np.einsum("kij,kj->ki", lower, params.offset), lower
    centres, inverses = columns_of(params)
    return centres, np.eye(n_features) / inverses[:, :, None]


def largest_inverse_deviation(params: Any) -> float:
    """Largest absolute entry of the matrices that whiten residuals."""
    inverse = params.lower if hasattr(params, "lower") else params.inverse_deviation
    return float(np.abs(inverse).max())


def change_of_matrices(before: Any, after: Any) -> float:
    """Largest change of means and of covariances (own or shared), whitened by the covariances before."""
    lower, n_features = before.lower, before.means.shape[1]
    means = np.matmul(lower, (after.means - before.means)[:, :, None])
    covariances = lower @ symmetric(after.covariances) @ np.swapaxes(lower, -1, -2) - np.eye(n_features)
    return float(max(np.abs(means).max(), np.abs(covariances).max()))


def change_of_variances(before: Any, after: Any) -> float:
    """Largest change of means, in standard deviations, and of variances (one per column or component), relative."""
    inverse = before.inverse_deviation
    by_column = inverse if inverse.ndim == 2 else inverse[:, None]
    means = (after.means - before.means) * by_column
    variances = after.covariances * inverse * inverse - 1.0
    return float(max(np.abs(means).max(), np.abs(variances).max()))


def covariance_from(lower: Float) -> Float:
    """Covariances (..., d, d) whose inverse Cholesky factors are `lower`."""
    cholesky = triangular_inverses(lower)
    return product(cholesky, np.swapaxes(cholesky, -1, -2))


def inverse_deviations(variances: Float) -> Float:
    """1 / sqrt(variances) for variances (K, ...); ComponentError for a component with one that is not positive."""
    by_component = variances.reshape(len(variances), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / np.sqrt(variances)
    positive = (by_component > 0.0) & np.isfinite(inverse.reshape(by_component.shape))
    bad = np.flatnonzero(~positive.all(axis=1))
    if bad.size:
        raise ComponentError(int(bad[0]))
    return inverse


def lift_singletons(variances: Float, means: Float, mass: Float) -> Float:
    """Give components that hold a single row the variance that scikit-learn gives them.

    scikit-learn adds 10 eps to every mass, so that the variance of one row becomes 10 eps mean^2 rather than zero. The
    same value here lets a fit continue through such a component. `inverse_deviations` raises if this value is zero too,
    or if a component of several rows has collapsed. All arrays have the shape of `variances`, or broadcast to it.
    """
    eps = np.finfo(np.float64).eps
    squares = means**2
    collapsed = (variances <= (4.0 * eps) ** 2 * squares) & (mass <= 1.0)
    return np.where(collapsed, 10.0 * eps * squares, variances)


def shift_squares(mass: Float, stats: Float, means: Float, to: Float) -> Float:
    """Convert moments (2 K d,) of single features about `means` (K, d) into moments about `to` (K, d)."""
    moments = stats.reshape(len(means), 2, means.shape[1])
    difference, weight = to - means, mass[:, None]
    first = moments[:, 0] - weight * difference
    second = moments[:, 1] - difference * (moments[:, 0] + first)
    return np.stack([first, second], axis=1).ravel()


def arrange_diagonal(first: Float, second: Float) -> Float:
    """Statistics (2 K d,) of single columns from moments (K, d) and (K, d, d)."""
    return np.stack([first, np.einsum("kii->ki", second)], axis=1).ravel()


def squares_with_prior(mass: Float, stats: Float, means: Float, to: Float, conjugate: Conjugate) -> Float:
    """Squared residuals (K, d) about `to` (K, d): those of the rows, from moments about `means`, plus the prior's."""
    second = shift_squares(mass, stats, means, to).reshape(len(means), 2, -1)[:, 1]
    return second + conjugate.strength * (to - conjugate.mean) ** 2


def log_normal(white: Float, log_determinant: Float, strength: float) -> float:
    """Log-density of means, summed over components, if their covariance is their component's divided by `strength`.

    `white` (K, d) are the whitened differences to the prior's mean, `log_determinant` (K,) those of the whitening
    matrices. With strength 0 the prior is improper, and its normalising constant is left out.
    """
    constant = 0.5 * white.shape[1] * (math.log(strength) - LOG_2_PI) if strength > 0.0 else 0.0
    return float((constant + log_determinant).sum() - 0.5 * strength * (white**2).sum())


def log_inverse_wishart(lower: Float, conjugate: Conjugate) -> float:
    """Log-density of covariances whose inverse Cholesky factors are `lower` (m, d, d), summed over them."""
    n_features, degrees = lower.shape[-1], conjugate.degrees
    constant = 0.5 * degrees * (np.linalg.slogdet(conjugate.scale)[1] - n_features * math.log(2.0))
    constant -= multigammaln(0.5 * degrees, n_features)
    trace = ((lower @ conjugate.scale) * lower).sum()
    return float((constant + (degrees + n_features + 1.0) * log_determinants(lower)).sum() - 0.5 * trace)


def log_inverse_gamma(inverse_deviation: Float, conjugate: Conjugate) -> float:
    """Log-density of variances, summed over them; each has an inverse-Wishart prior of one feature."""
    degrees = conjugate.degrees
    constant = 0.5 * degrees * np.log(0.5 * conjugate.scale) - gammaln(0.5 * degrees)
    logarithms = constant + (degrees + 2.0) * logarithm(inverse_deviation)
    return float((logarithms - 0.5 * conjugate.scale * inverse_deviation**2).sum())


def expected_diagonal(mass: Float, stats: Float, params: Any) -> float:
    """Expected log-density from moments (2 K d,): constants, and squared residuals divided by the variances."""
    n_components = len(mass)
    squares = stats.reshape(n_components, 2, -1)[:, 1] * params.inverse_deviation.reshape(n_components, -1) ** 2
    return float(mass @ params.log_constant - 0.5 * squares.sum())


def pack_diagonal(params: Any) -> Float:
    """Means and logarithms of the inverse deviations, as a vector."""
    return np.concatenate([params.means.ravel(), logarithm(params.inverse_deviation).ravel()])


def pack_matrices(params: Any) -> Float:
    """Means and inverse Cholesky factors, as a vector."""
    return np.concatenate([params.means.ravel(), pack_lower(params.lower).ravel()])


def pack_lower(lower: Float) -> Float:
    """Unconstrained numbers (..., d (d + 1) / 2) from lower-triangular matrices (..., d, d) of positive diagonal."""
    rows, columns = np.tril_indices(lower.shape[-1])
    packed: Float = lower[..., rows, columns].copy()
    packed[..., rows == columns] = logarithm(packed[..., rows == columns])
    return packed


def unpack_lower(packed: Float, n_features: int) -> Float:
    """Inverse of `pack_lower`."""
    rows, columns = np.tril_indices(n_features)
    values = packed.copy()
    values[..., rows == columns] = np.exp(values[..., rows == columns])
    lower = np.zeros((*packed.shape[:-1], n_features, n_features))
    lower[..., rows, columns] = values
    return lower


def describe_diagonal(params: Any) -> dict[str, Float]:
    """Means, variances and inverse standard deviations, by the names that users know."""
    return {
        "means": params.means,
        "covariances": params.covariances,
        "precisions_cholesky": params.inverse_deviation,
    }


def symmetric(lower: Float) -> Float:
    """Full matrices (..., d, d) from the lower triangles of `lower`, whose upper triangles are ignored."""
    lower = np.tril(lower)
    diagonal = np.einsum("...ii->...i", lower)
    full = lower + np.swapaxes(lower, -1, -2)
    np.einsum("...ii->...i", full)[...] = diagonal
    return full
