"""Posteriors of the parameters of Gaussian mixtures by variational Bayes: their updates and the lower bound.

The posterior of weights, means and precisions is a product of factors. The mean mu_k of a component has the posterior
mean m_k, which counts as beta_k rows. Its precision Lambda_k has a Wishart distribution with nu_k degrees of freedom
and scale W_k. With S_k = inverse(nu_k W_k), the logarithm of a row's unnormalised responsibility is

    E[log pi_k] + E[log N(x | mu_k, Lambda_k)] = E[log pi_k] + c_k + log N(x | m_k, S_k)

So passes run on m_k and S_k, which are parameters of the usual family. The only difference from maximum likelihood is
a number for each component in place of the logarithm of its weight. This also holds for rows with missing values or
errors.

References
----------
H. Attias (2000), A variational Bayesian framework for graphical models, Advances in Neural Information Processing
Systems 12, 209-215; D. M. Blei and M. I. Jordan (2006), Variational inference for Dirichlet process mixtures, Bayesian
Analysis 1, 121-143; C. M. Bishop (2006), Pattern recognition and machine learning, Springer, section 10.2.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, digamma, gammaln

from fastem.families._arithmetic import logarithm
from fastem.families._contract import Family, Float, Params
from fastem.families._gaussian import LOG_2_PI


class Hyperparameters(NamedTuple):
    """Prior of the weights, and normal-Wishart prior of each component's mean and precision.

    Attributes
    ----------
    covariance_type : {'full', 'tied', 'diag', 'spherical'}
        Form of the components' covariances.
    stick_breaking : bool
        Whether weights have a Dirichlet process, truncated at the last component, or a Dirichlet distribution.
    concentration : float
        Concentration of the weights' prior.
    mean : ndarray of shape (d,)
        Prior mean of the components' means, relative to the origin.
    mean_precision : float
        Number of rows that `mean` counts as.
    degrees_of_freedom : float
        Degrees of freedom of the precisions' Wishart distribution.
    covariance : ndarray of shape (d, d), (d,) or ()
        Inverse of this distribution's scale: a matrix, a variance for each feature, or one variance for all features.
    reg_covar : float
        Added to the diagonal of each component's scatter, times its number of rows.
    """

    covariance_type: str
    stick_breaking: bool
    concentration: float
    mean: Float
    mean_precision: float
    degrees_of_freedom: float
    covariance: Float
    reg_covar: float = 0.0


class Posterior(NamedTuple):
    """Parameters of the posterior beside means and expected covariances, which are parameters of the family.

    Attributes
    ----------
    concentration : ndarray of shape (K,) or (2, K)
        Parameters of the weights' Dirichlet distribution, or of the sticks' beta distributions.
    mean_precision : ndarray of shape (K,)
        Number of rows that each mean counts as.
    degrees_of_freedom : ndarray of shape (K,) or ()
        Degrees of freedom of each precision, or of the precision that all components share.
    log_weights : ndarray of shape (K,)
        E[log pi_k] + c_k, computed from the other parameters.
    """

    concentration: Float
    mean_precision: Float
    degrees_of_freedom: Float
    log_weights: Float


def update(
    family: Family, mass: Float, stats: Float, params: Params, prior: Hyperparameters
) -> tuple[Posterior, Params]:
    """Posterior given expected statistics about `params.means`, and the family's parameters m_k and S_k.

    Raises
    ------
    ComponentError
        If the covariance of a component is not numerically positive definite.
    """
    n_components, n_features = params.means.shape
    tied = prior.covariance_type == "tied"
    rows = np.asarray(mass.sum() / n_components) if tied else mass  # number of rows for each precision
    mean_precision = prior.mean_precision + mass
    first = _first_moments(stats, n_components, n_features, tied=tied)
    step = (first + prior.mean_precision * (prior.mean - params.means)) / mean_precision[:, None]
    means = params.means + step
    about = family.shift(mass, stats, params.means, means)
    scatter = SCATTERS[prior.covariance_type](about, math.sqrt(prior.mean_precision) * (means - prior.mean))
    degrees = np.asarray(prior.degrees_of_freedom + rows)
    shape = (1,) * prior.covariance.ndim
    unit = np.eye(n_features) if prior.covariance.ndim == 2 else 1.0
    scatter += prior.covariance + (prior.reg_covar * rows).reshape(rows.shape + shape) * unit
    covariances = scatter / degrees.reshape(rows.shape + shape)
    assert family.complete is not None
    params = family.restore(family.complete({"means": means, "covariances": covariances}))
    return make_posterior(_concentration(mass, prior), mean_precision, degrees, n_features), params


def make_posterior(concentration: Float, mean_precision: Float, degrees: Float, n_features: int) -> Posterior:
    """Complete a posterior: c_k is the expected log-density less the log-density at the expected parameters."""
    excess = digamma(_halves(degrees, n_features)).sum(axis=-1) + n_features * (math.log(2.0) - logarithm(degrees))
    excess = 0.5 * (excess - n_features / mean_precision)
    return Posterior(concentration, mean_precision, degrees, expected_log_weights(concentration) + excess)


def moments(family: Family, covariance_type: str, mass: Float, stats: Float, params: Params) -> tuple[Float, Float]:
    """Mean (d,) of rows that all belong to one component, and their scatter about it in the shape of covariances."""
    tied = covariance_type == "tied"
    means = params.means + _first_moments(stats, *params.means.shape, tied=tied) / mass
    about = family.shift(mass, stats, params.means, means)
    scatter = SCATTERS[covariance_type](about, np.zeros(means.shape))
    return means[0], scatter if tied else scatter[0]


def _first_moments(stats: Float, n_components: int, n_features: int, *, tied: bool) -> Float:
    """Sums (K, d) of residuals, from statistics (S,)."""
    if tied:
        return stats[: n_components * n_features].reshape(n_components, n_features)
    return stats.reshape(n_components, -1, n_features)[:, 0]


def _concentration(mass: Float, prior: Hyperparameters) -> Float:
    """Concentration of the weights' posterior; a stick breaks what the components before it have left."""
    if not prior.stick_breaking:
        return prior.concentration + mass
    after = np.append(np.cumsum(mass[:0:-1])[::-1], 0.0)
    return np.stack([1.0 + mass, prior.concentration + after])


# Scatter in the shape of the covariances, from statistics about the posterior means plus the term of the prior's mean:
# `pull` (K, d) are its differences from the posterior means, times the square root of its weight.


def _scatter_full(stats: Float, pull: Float) -> Float:
    n_components, n_features = pull.shape
    moments = stats.reshape(n_components, n_features + 1, n_features)
    return np.asarray(moments[:, 1:] + pull[:, :, None] * pull[:, None, :])


def _scatter_tied(stats: Float, pull: Float) -> Float:
    n_components, n_features = pull.shape
    pooled = stats[-(n_features**2) :].reshape(n_features, n_features)  # after `shift` all of the scatter is there
    return np.asarray((pooled + np.einsum("ki,kj->ij", pull, pull)) / n_components)


def _scatter_diag(stats: Float, pull: Float) -> Float:
    n_components, n_features = pull.shape
    return np.asarray(stats.reshape(n_components, 2, n_features)[:, 1] + pull**2)


def _scatter_spherical(stats: Float, pull: Float) -> Float:
    return np.asarray(_scatter_diag(stats, pull).mean(axis=1))


SCATTERS: dict[str, Callable[[Float, Float], Float]] = {
    "full": _scatter_full,
    "tied": _scatter_tied,
    "diag": _scatter_diag,
    "spherical": _scatter_spherical,
}


def mean_weights(concentration: Float) -> Float:
    """Expected weights (K,), of unit sum."""
    if concentration.ndim == 1:
        return concentration / concentration.sum()
    broken = concentration[0] / concentration.sum(axis=0)
    rest = concentration[1] / concentration.sum(axis=0)
    weights = broken * np.append(1.0, np.cumprod(rest[:-1]))
    return np.asarray(weights / weights.sum())


def expected_log_weights(concentration: Float) -> Float:
    """E[log pi] (K,); the exponentials do not sum to one."""
    if concentration.ndim == 1:
        return np.asarray(digamma(concentration) - digamma(concentration.sum()))
    total = digamma(concentration.sum(axis=0))
    broken, rest = digamma(concentration) - total
    return np.asarray(broken + np.append(0.0, np.cumsum(rest)[:-1]))


def log_normalisers(posterior: Posterior, params: Params) -> float:
    """Sum of the logarithms of the posterior's normalising constants, without terms that depend on the prior only.

    This sum plus the entropy of the responsibilities from which the posterior was computed is the lower bound.
    """
    n_components, n_features = params.means.shape
    degrees = np.broadcast_to(posterior.degrees_of_freedom, n_components)
    log_determinants = params.log_constant + 0.5 * n_features * (LOG_2_PI - logarithm(degrees))  # of the scales' roots
    wishart = degrees * (log_determinants + 0.5 * n_features * math.log(2.0))
    wishart = wishart + gammaln(_halves(degrees, n_features)).sum(axis=-1)
    normal = 0.5 * n_features * logarithm(posterior.mean_precision)
    return float((wishart - normal).sum() + _log_normaliser_of_weights(posterior.concentration))


def _halves(degrees: Float, n_features: int) -> Float:
    """(degrees - j) / 2 (..., d), the arguments of the gamma functions of a Wishart distribution."""
    return np.asarray(0.5 * (degrees[..., None] - np.arange(n_features)))


def _log_normaliser_of_weights(concentration: Float) -> float:
    """Logarithm of the normalising constant of the weights' posterior, for `concentration` (K,) or (2, K)."""
    if concentration.ndim == 2:
        return float(betaln(concentration[0], concentration[1]).sum())
    return float(gammaln(concentration).sum() - gammaln(concentration.sum()))


def describe(posterior: Posterior) -> dict[str, Float]:
    """The posterior's parameters by the names that users know."""
    return {
        "weight_concentration": posterior.concentration,
        "mean_precision": posterior.mean_precision,
        "degrees_of_freedom": posterior.degrees_of_freedom,
    }


def restore(described: dict[str, Float]) -> Posterior:
    """Inverse of `describe`; `described` must contain the means too."""
    concentration, mean_precision = described["weight_concentration"], described["mean_precision"]
    return make_posterior(concentration, mean_precision, described["degrees_of_freedom"], described["means"].shape[1])
