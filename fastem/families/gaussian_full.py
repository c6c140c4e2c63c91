"""Gaussian components, each with its own covariance matrix."""

from typing import NamedTuple

import numpy as np

from fastem.families import _gaussian, _gaussian_host, _gaussian_parameters
from fastem.families._arithmetic import inverse_factors, log_determinants
from fastem.families._contract import Conjugate, Family, Float, Kernels, Prior, embed_rows, safe_ratio, select_rows
from fastem.kernels import linalg, small
from fastem.kernels.jit import inlined
from fastem.kernels.posterior import active_vectors


class FullParams(NamedTuple):
    """`lower` is the inverse Cholesky factor L, `offset` is L mu; log-densities are constant - |L x - L mu|^2 / 2."""

    means: Float  # (K, d)
    covariances: Float  # (K, d, d), the lower triangles
    lower: Float  # (K, d, d)
    offset: Float  # (K, d)
    log_constant: Float  # (K,)


def make_params(means: Float, covariances: Float, lower: Float) -> FullParams:
    """Complete the parameters from means, covariances and inverse Cholesky factors."""
    offset = np.einsum("kij,kj->ki", lower, means)
    log_determinant = log_determinants(lower)
    log_constant = log_determinant - 0.5 * means.shape[1] * _gaussian.LOG_2_PI
    return FullParams(means, covariances, lower, offset, log_constant)


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile."""
    for k in range(out.shape[0]):
        linalg.log_density(params.lower[k], params.offset[k], params.log_constant[k], tile, out[k])


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: first moments (d,) and the lower triangle of second moments (d, d) of the residuals."""
    n_features = tile.shape[0]
    size = n_features * (n_features + 1)
    vectors = scratch[-1].view(np.int64)
    for k in range(resp.shape[0]):
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        if active.size > 0:
            moments = stats[k * size : (k + 1) * size].reshape(n_features + 1, n_features)
            linalg.moments(resp[k], active, tile, params.means[k], scratch, moments[0], moments[1:])


@inlined
def log_prob_of_few(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """`log_prob` for few features."""
    for k in range(out.shape[0]):
        small.log_density(params.lower[k], params.offset[k], params.log_constant[k], tile, out[k])


@inlined
def accumulate_few(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """`accumulate` for few features."""
    size = tile.shape[0] * (tile.shape[0] + 1)
    for k in range(resp.shape[0]):
        small.moments(resp[k], tile, params.means[k], stats[k * size : (k + 1) * size])


def n_stats(n_features: int, n_components: int) -> int:
    """Number of first and second moments."""
    return n_components * n_features * (n_features + 1)


def params_at(means: Float, variances: Float | None = None) -> FullParams:
    """Components with these means, and diagonal covariances of these variances or of unit variances."""
    variances = np.ones(means.shape) if variances is None else variances
    identity = np.eye(means.shape[1])
    return make_params(means, variances[:, None] * identity, identity / np.sqrt(variances)[:, None])


def m_step(mass: Float, stats: Float, params: FullParams, prior: Prior) -> FullParams:
    """Means and covariances from the moments about the current means."""
    n_components, n_features = params.means.shape
    moments = stats.reshape(n_components, n_features + 1, n_features)
    if prior.conjugate is None:
        average = safe_ratio(moments, mass)
        step = prior.hold(average[:, 0])
        covariances = average[:, 1:] - step[:, :, None] * step[:, None, :]
    else:
        step = prior.step(moments[:, 0], mass, params.means)
        covariances = _with_prior(mass, stats, params.means, step, prior.conjugate)
    covariances.reshape(n_components, -1)[:, :: n_features + 1] += prior.reg_covar
    if "covariances" not in prior.kept:
        return make_params(params.means + step, covariances, inverse_factors(covariances))
    kept = prior.kept["covariances"][:, None, None]  # factors are kept too, as rounded covariances may be singular
    lower = np.where(kept, params.lower, inverse_factors(np.where(kept, np.eye(n_features), covariances)))
    return make_params(params.means + step, np.where(kept, params.covariances, covariances), lower)


def _with_prior(mass: Float, stats: Float, means: Float, step: Float, conjugate: Conjugate) -> Float:
    """Covariances (K, d, d) of greatest posterior density, given the means after the step."""
    n_components, n_features = means.shape
    moments = shift(mass, stats, means, means + step).reshape(n_components, n_features + 1, n_features)
    pull = means + step - conjugate.mean
    scatter = moments[:, 1:] + conjugate.strength * pull[:, :, None] * pull[:, None, :] + conjugate.scale
    posterior: Float = scatter / (mass + conjugate.degrees + n_features + 2.0)[:, None, None]
    return posterior


def log_prior(params: FullParams, conjugate: Conjugate) -> float:
    """Log-density of the means given the covariances, plus that of the covariances."""
    white = np.einsum("kij,kj->ki", params.lower, params.means - conjugate.mean)
    log_determinant = log_determinants(params.lower)
    normal = _gaussian.log_normal(white, log_determinant, conjugate.strength)
    return normal + _gaussian.log_inverse_wishart(params.lower, conjugate)


def shift(mass: Float, stats: Float, means: Float, to: Float) -> Float:
    """Convert moments about `means` into moments about `to`."""
    n_components, n_features = means.shape
    moments = stats.reshape(n_components, n_features + 1, n_features).copy()
    difference, before = to - means, moments[:, 0].copy()
    moments[:, 0] -= mass[:, None] * difference
    moments[:, 1:] -= difference[:, :, None] * before[:, None, :] + moments[:, 0][:, :, None] * difference[:, None, :]
    return moments.ravel()


def arrange(first: Float, second: Float) -> Float:
    """Statistics (S,) from moments (K, d) and (K, d, d)."""
    return np.concatenate([first[:, None], second], axis=1).ravel()


def expected(mass: Float, stats: Float, params: FullParams) -> float:
    """Sum of constants and whitened squared residuals, weighted by responsibilities."""
    n_components, n_features = params.means.shape
    scatter = np.tril(stats.reshape(n_components, n_features + 1, n_features)[:, 1:])
    precision = np.swapaxes(params.lower, 1, 2) @ params.lower
    diagonal = np.einsum("kii,kii->", precision, scatter)
    squares = 2.0 * np.vdot(precision, scatter) - diagonal  # of the whole matrices, from one triangle
    return float(mass @ params.log_constant - 0.5 * squares)


def unpack(vector: Float, params: FullParams) -> FullParams:
    """Inverse of `pack_matrices`."""
    n_components, n_features = params.means.shape
    means, packed = np.split(vector, [params.means.size])
    lower = _gaussian.unpack_lower(packed.reshape(n_components, -1), n_features)
    return make_params(means.reshape(params.means.shape), _gaussian.covariance_from(lower), lower)


def describe(params: FullParams) -> dict[str, Float]:
    """Means, covariances and upper-triangular Cholesky factors of the precisions, by the names that users know."""
    return {
        "means": params.means,
        "covariances": _gaussian.symmetric(params.covariances),
        "precisions_cholesky": np.ascontiguousarray(np.swapaxes(params.lower, 1, 2)),
    }


def restore(described: dict[str, Float]) -> FullParams:
    """Inverse of `describe`; covariances are computed where they are not given."""
    lower = np.ascontiguousarray(np.swapaxes(described["precisions_cholesky"], 1, 2))
    covariances = described.get("covariances")
    if covariances is None:
        covariances = _gaussian.covariance_from(lower)
    return make_params(described["means"], covariances, lower)


FAMILY = Family(
    name="gaussian-full",
    log_prob=log_prob,
    accumulate=accumulate,
    n_stats=n_stats,
    params_at=params_at,
    m_step=m_step,
    shift=shift,
    expected=expected,
    select=select_rows,
    embed=embed_rows,
    pack=_gaussian.pack_matrices,
    unpack=unpack,
    change=_gaussian.change_of_matrices,
    describe=describe,
    restore=restore,
    parameters=_gaussian_parameters.of_matrices("kdd"),
    complete=_gaussian_parameters.complete_matrices,
    contradiction=_gaussian_parameters.contradiction_of_matrices,
    host=_gaussian_host.host("full", "kdd"),
    translation_invariant=True,
    arrange=arrange,
    missing="incomplete",
    errors="incomplete",
    few=Kernels(log_prob_of_few, accumulate_few),
    single=_gaussian.largest_inverse_deviation,
    log_prior=log_prior,
)
