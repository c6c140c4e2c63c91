"""Gaussian components with diagonal covariance matrices."""

from typing import NamedTuple

import numpy as np

from fastem.families import _gaussian, _gaussian_host, _gaussian_parameters
from fastem.families._arithmetic import logarithm
from fastem.families._contract import Conjugate, Family, Float, Prior, embed_rows, safe_ratio, select_rows
from fastem.kernels.columns import log_densities_diagonal, moments
from fastem.kernels.jit import inlined


class DiagParams(NamedTuple):
    """Means, variances (`covariances`), `inverse_deviation` = 1 / sd and `offset` = mean / sd."""

    means: Float  # (K, d)
    covariances: Float  # (K, d)
    inverse_deviation: Float  # (K, d)
    offset: Float  # (K, d)
    log_constant: Float  # (K,)


def make_params(means: Float, covariances: Float, inverse_deviation: Float) -> DiagParams:
    """Complete the parameters from means, variances and inverse standard deviations."""
    log_determinant = logarithm(inverse_deviation).sum(axis=1)
    log_constant = log_determinant - 0.5 * means.shape[1] * _gaussian.LOG_2_PI
    return DiagParams(means, covariances, inverse_deviation, means * inverse_deviation, log_constant)


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile."""
    log_densities_diagonal(params.inverse_deviation, params.offset, params.log_constant, tile, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: first moments (d,) and second moments (d,) of the residuals."""
    moments(resp, mass, params.means, tile, scratch[-1].view(np.int64), stats)


def n_stats(n_features: int, n_components: int) -> int:
    """Number of first and second moments."""
    return 2 * n_components * n_features


def params_at(means: Float, variances: Float | None = None) -> DiagParams:
    """Components with these means, and these variances or unit variances."""
    variances = np.ones(means.shape) if variances is None else variances
    return make_params(means, variances, 1.0 / np.sqrt(variances))


def m_step(mass: Float, stats: Float, params: DiagParams, prior: Prior) -> DiagParams:
    """Means and variances from the moments about the current means."""
    n_components, n_features = params.means.shape
    moments = stats.reshape(n_components, 2, n_features)
    step = prior.step(moments[:, 0], mass, params.means)
    means = params.means + step
    if prior.conjugate is None:
        variances = safe_ratio(moments[:, 1], mass) - step**2
        variances = _gaussian.lift_singletons(variances, means, mass[:, None])
    else:
        squares = _gaussian.squares_with_prior(mass, stats, params.means, means, prior.conjugate)
        variances = (squares + prior.conjugate.scale) / (mass[:, None] + prior.conjugate.degrees + 3.0)
    covariances = variances + prior.reg_covar
    kept = prior.kept.get("covariances")
    if kept is not None:
        covariances[kept] = params.covariances[kept]
    return make_params(means, covariances, _gaussian.inverse_deviations(covariances))


def log_prior(params: DiagParams, conjugate: Conjugate) -> float:
    """Log-density of the means given the variances, plus that of the variances."""
    white = (params.means - conjugate.mean) * params.inverse_deviation
    log_determinant = logarithm(params.inverse_deviation).sum(axis=1)
    normal = _gaussian.log_normal(white, log_determinant, conjugate.strength)
    return normal + _gaussian.log_inverse_gamma(params.inverse_deviation, conjugate)


def unpack(vector: Float, params: DiagParams) -> DiagParams:
    """Inverse of `pack_diagonal`."""
    means, logarithms = vector.reshape(2, *params.means.shape)
    return make_params(means, np.exp(-2.0 * logarithms), np.exp(logarithms))


def restore(described: dict[str, Float]) -> DiagParams:
    """Inverse of `describe`; variances are computed where they are not given."""
    inverse = described["precisions_cholesky"]
    covariances = described.get("covariances", inverse**-2.0)
    return make_params(described["means"], covariances, inverse)


FAMILY = Family(
    name="gaussian-diag",
    log_prob=log_prob,
    accumulate=accumulate,
    n_stats=n_stats,
    params_at=params_at,
    m_step=m_step,
    shift=_gaussian.shift_squares,
    expected=_gaussian.expected_diagonal,
    select=select_rows,
    embed=embed_rows,
    pack=_gaussian.pack_diagonal,
    unpack=unpack,
    change=_gaussian.change_of_variances,
    describe=_gaussian.describe_diagonal,
    restore=restore,
    parameters=_gaussian_parameters.of_variances("kd"),
    complete=_gaussian_parameters.complete_variances,
    contradiction=_gaussian_parameters.contradiction_of_variances,
    host=_gaussian_host.host("diag", "kd"),
    translation_invariant=True,
    arrange=_gaussian.arrange_diagonal,
    missing="cells",
    errors="incomplete",
    single=_gaussian.largest_inverse_deviation,
    log_prior=log_prior,
)
