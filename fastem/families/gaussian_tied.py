"""Gaussian components that share one covariance matrix.

Each row is whitened once for all components, and the pooled scatter needs no second moments of single components. With
m = sum_k r_k mu_k, the row's expected mean under responsibilities r_k of unit sum, and its residual x - m,

    sum_k r_k (x - mu_k)(x - mu_k)' = (x - m)(x - m)' + sum_{j<k} r_j r_k (mu_j - mu_k)(mu_j - mu_k)'

so a pass sums one residual scatter (d, d) and the products of responsibilities (K, K). Every term is positive
semidefinite, so that nothing cancels, however far apart the components are. A row costs d^2 + K^2 / 2 + O(K d)
operations instead of O(K d^2); if K > d^2 the direct sum is cheaper and is used.
"""

from typing import Any, NamedTuple

import numpy as np

from fastem.families import _gaussian, _gaussian_host, _gaussian_parameters
from fastem.families._arithmetic import log_determinants
from fastem.families._contract import Conjugate, Family, Float, Prior
from fastem.kernels.columns import expected_residual, invert, log_densities_spherical
from fastem.kernels.jit import inlined
from fastem.kernels.linalg import moments, second_moments, triangular_product
from fastem.kernels.posterior import active_vectors


class TiedParams(NamedTuple):
    """`lower` is the inverse Cholesky factor L of the shared covariance, `offset` is L mu."""

    means: Float  # (K, d)
    covariances: Float  # (d, d)
    lower: Float  # (d, d)
    offset: Float  # (K, d)
    unit: Float  # (K,) ones: the inverse deviations of whitened rows
    log_constant: Float  # (K,), all equal


def make_params(means: Float, covariances: Float, lower: Float) -> TiedParams:
    """Complete the parameters from means, covariance and its inverse Cholesky factor."""
    log_determinant = log_determinants(lower)
    log_constant = log_determinant - 0.5 * means.shape[1] * _gaussian.LOG_2_PI
    unit = np.ones(len(means))
    return TiedParams(means, covariances, lower, np.einsum("ij,kj->ki", lower, means), unit, log_constant * unit)


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile."""
    white = scratch[: tile.shape[0]]
    triangular_product(params.lower, tile, white)
    log_densities_spherical(params.offset, params.unit, params.log_constant, white, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """First moments (K, d), products of responsibilities (K, K), then the pooled scatter (d, d)."""
    n_features = tile.shape[0]
    n_components = resp.shape[0]
    first_products = n_components * n_features
    first_scatter = first_products + n_components * n_components
    sums = stats[:first_products].reshape(n_components, n_features)
    scatter = stats[first_scatter:].reshape(n_features, n_features)
    vectors = scratch[-1].view(np.int64)
    if n_components > n_features * n_features:
        for k in range(n_components):
            active = vectors[: active_vectors(resp[k], mass[k], vectors)]
            moments(resp[k], active, tile, params.means[k], scratch, sums[k], scatter)
        return
    residual, inverse_weight, rest = scratch[:n_features], scratch[n_features], scratch[n_features + 1 :]
    invert(weight, inverse_weight)
    for j in range(n_features):
        expected_residual(params.means, j, tile, resp, inverse_weight, residual, sums)
    active = vectors[: active_vectors(weight, 0.0, vectors)]
    second_moments(weight, active, residual, rest, scatter)
    products = stats[first_products:first_scatter].reshape(n_components, n_components)
    second_moments(inverse_weight, active, resp, rest, products)


def n_stats(n_features: int, n_components: int) -> int:
    """Number of first moments, products of responsibilities and entries of the pooled scatter."""
    return n_components * n_features + n_components**2 + n_features**2


def params_at(means: Float, variances: Float | None = None) -> TiedParams:
    """Components with these means, and a shared diagonal covariance of the mean variances or of unit variances."""
    pooled = np.ones(means.shape[1]) if variances is None else variances.mean(axis=0)
    identity = np.eye(means.shape[1])
    return make_params(means, pooled * identity, identity / np.sqrt(pooled))


def _split(stats: Float, means: Float) -> tuple[Float, Float]:
    """Split statistics about `means` into first moments (K, d) and the scatter (d, d) pooled over components."""
    n_components, n_features = means.shape
    sums, products, scatter = np.split(stats, np.cumsum([n_components * n_features, n_components**2]))
    pooled = _gaussian.symmetric(scatter.reshape(n_features, n_features))
    shares = products.reshape(n_components, n_components)
    for k in range(1, n_components):  # the scatter between components that share a row
        difference = means[k] - means[:k]
        pooled += np.einsum("ki,kj->ij", difference * shares[k, :k, None], difference)
    return sums.reshape(n_components, n_features), pooled


def m_step(mass: Float, stats: Float, params: TiedParams, prior: Prior) -> TiedParams:
    """Means, and the covariance pooled over components."""
    sums, pooled = _split(stats, params.means)
    step = prior.step(sums, mass, params.means)
    if prior.keeps("covariances", 0):
        return make_params(params.means + step, params.covariances, params.lower)
    if prior.conjugate is None:
        pooled -= np.einsum("ki,kj->ij", step * mass[:, None], step)
        covariance = pooled / mass.sum()
    else:
        covariance = _with_prior(mass, stats, params.means, step, prior.conjugate)
    np.einsum("ii->i", covariance)[...] += prior.reg_covar
    return make_params(params.means + step, covariance, _gaussian.lower_inverse(covariance, None))


def _with_prior(mass: Float, stats: Float, means: Float, step: Float, conjugate: Conjugate) -> Float:
    """Covariance (d, d) of greatest posterior density, given the means after the step."""
    n_components, n_features = means.shape
    pooled = _split(shift(mass, stats, means, means + step), means + step)[1]
    pull = means + step - conjugate.mean
    scatter = pooled + conjugate.strength * (pull.T @ pull) + conjugate.scale
    posterior: Float = scatter / (mass.sum() + conjugate.degrees + n_features + n_components + 1.0)
    return posterior


def log_prior(params: TiedParams, conjugate: Conjugate) -> float:
    """Log-density of the means given the covariance, plus that of the covariance."""
    white = (params.means - conjugate.mean) @ params.lower.T
    log_determinant = log_determinants(params.lower) * params.unit
    normal = _gaussian.log_normal(white, log_determinant, conjugate.strength)
    return normal + _gaussian.log_inverse_wishart(params.lower[None], conjugate)


def shift(mass: Float, stats: Float, means: Float, to: Float) -> Float:
    """Convert moments about `means` into moments about `to`; the pooled scatter is then complete, the products zero."""
    sums, pooled = _split(stats, means)
    difference = to - means
    moved = sums - mass[:, None] * difference
    pooled -= difference.T @ sums + moved.T @ difference
    return np.concatenate([moved.ravel(), np.zeros(len(means) ** 2), pooled.ravel()])


def arrange(first: Float, second: Float) -> Float:
    """Statistics (S,) from moments (K, d) and (K, d, d)."""
    return np.concatenate([first.ravel(), np.zeros(len(first) ** 2), second.sum(axis=0).ravel()])


def expected(mass: Float, stats: Float, params: TiedParams) -> float:
    """Sum of constants and whitened squared residuals, weighted by responsibilities."""
    pooled = _split(stats, params.means)[1]
    squares = ((params.lower @ pooled) * params.lower).sum()
    return float(mass @ params.log_constant - 0.5 * squares)


def select(params: TiedParams, components: Any) -> TiedParams:
    """Parameters of some components, with the shared covariance."""
    return params._replace(
        means=params.means[components],
        offset=params.offset[components],
        unit=params.unit[components],
        log_constant=params.log_constant[components],
    )


def embed(some: Float, components: Any, stats: Float, n_features: int, n_components: int) -> None:
    """Add first moments and products of some components to those of all, and the scatter."""
    n_some = len(components)
    sums, products, scatter = np.split(some, np.cumsum([n_some * n_features, n_some**2]))
    all_sums, all_products, all_scatter = np.split(stats, np.cumsum([n_components * n_features, n_components**2]))
    all_sums.reshape(n_components, n_features)[components] += sums.reshape(n_some, n_features)
    all_products.reshape(n_components, n_components)[np.ix_(components, components)] += products.reshape(n_some, n_some)
    all_scatter += scatter


def unpack(vector: Float, params: TiedParams) -> TiedParams:
    """Inverse of `pack_matrices`."""
    means, packed = np.split(vector, [params.means.size])
    lower = _gaussian.unpack_lower(packed, params.means.shape[1])
    return make_params(means.reshape(params.means.shape), _gaussian.covariance_from(lower), lower)


def describe(params: TiedParams) -> dict[str, Float]:
    """Means, covariance and the upper-triangular Cholesky factor of the precision."""
    return {
        "means": params.means,
        "covariances": params.covariances,
        "precisions_cholesky": np.ascontiguousarray(params.lower.T),
    }


def restore(described: dict[str, Float]) -> TiedParams:
    """Inverse of `describe`; the covariance is computed where it is not given."""
    lower = np.ascontiguousarray(described["precisions_cholesky"].T)
    covariance = described.get("covariances")
    if covariance is None:
        covariance = _gaussian.covariance_from(lower)
    return make_params(described["means"], covariance, lower)


FAMILY = Family(
    name="gaussian-tied",
    log_prob=log_prob,
    accumulate=accumulate,
    n_stats=n_stats,
    params_at=params_at,
    m_step=m_step,
    shift=shift,
    expected=expected,
    select=select,
    embed=embed,
    pack=_gaussian.pack_matrices,
    unpack=unpack,
    change=_gaussian.change_of_matrices,
    describe=describe,
    restore=restore,
    parameters=_gaussian_parameters.of_matrices("dd"),
    complete=_gaussian_parameters.complete_matrices,
    contradiction=_gaussian_parameters.contradiction_of_matrices,
    host=_gaussian_host.host("tied", "dd"),
    translation_invariant=True,
    arrange=arrange,
    missing="incomplete",
    errors="incomplete",
    single=_gaussian.largest_inverse_deviation,
    log_prior=log_prior,
)
