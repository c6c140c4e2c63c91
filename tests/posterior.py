"""EM for the mode of the posterior, written from the tables of Fraley and Raftery (2007) and scipy's densities.

It shares no code with fastem. `Conjugate` holds a normal-inverse-Wishart prior; None means no prior.
"""

from dataclasses import dataclass, replace

import numpy as np
from reference import Gaussian, Poisson, log_likelihood, responsibilities
from scipy import stats


@dataclass(frozen=True)
class Conjugate:
    mean: np.ndarray
    strength: float
    degrees: float
    scale: np.ndarray


def default_prior(family, X, n_components):
    """The prior of Fraley and Raftery, from the covariance with divisor n; "diag" has a scale for each column."""
    n_features = X.shape[1]
    covariance = np.atleast_2d(np.cov(X.T, bias=True)) / n_components ** (2 / n_features)
    variances = np.diagonal(covariance)
    scale = {"diag": variances, "spherical": variances.mean()}.get(family, covariance)
    return Conjugate(X.mean(axis=0), 0.01, n_features + 2, scale)


def log_posterior(X, parameters, sample_weight, prior, alpha):
    """Log-likelihood and the logarithm of the prior's density."""
    total = log_likelihood(X, parameters, sample_weight) if len(X) else 0.0
    total += stats.dirichlet(alpha).logpdf(parameters.weights / parameters.weights.sum())
    return total if prior is None else total + log_prior(parameters, prior)


def log_prior(parameters, prior):
    """Log-density of means, given covariances, and of covariances or variances."""
    matrices = parameters.covariance_matrices()
    total = sum(
        stats.multivariate_normal(prior.mean, matrix / prior.strength).logpdf(mean)
        for mean, matrix in zip(parameters.means, matrices, strict=True)
    )
    if parameters.family in ("full", "tied"):
        distinct = matrices if parameters.family == "full" else matrices[:1]
        return total + sum(stats.invwishart(prior.degrees, prior.scale).logpdf(matrix) for matrix in distinct)
    return total + stats.invgamma(prior.degrees / 2, scale=prior.scale / 2).logpdf(parameters.covariances).sum()


def map_m_step(family, X, resp, sample_weight, prior, alpha):
    """Maximise the expected log-posterior, given the responsibilities."""
    mass = resp if sample_weight is None else resp * sample_weight[:, None]
    n = mass.sum(axis=0)
    weights = (n + np.array(alpha) - 1) / (n + np.array(alpha) - 1).sum()
    averages = mass.T @ X / n[:, None]
    if family == "poisson":
        return Poisson(weights, averages)
    kappa, d = prior.strength, X.shape[1]
    means = (n[:, None] * averages + kappa * prior.mean) / (n + kappa)[:, None]
    squares = []
    for m, average, share in zip(mass.T, averages, n, strict=True):
        residuals, pull = X - average, average - prior.mean
        squares.append((m[:, None] * residuals).T @ residuals + kappa * share / (kappa + share) * np.outer(pull, pull))
    squares, nu = np.array(squares), prior.degrees
    diagonals = np.einsum("kii->ki", squares)
    if family == "full":
        covariances = (prior.scale + squares) / (nu + n + d + 2)[:, None, None]
    elif family == "tied":
        covariances = (prior.scale + squares.sum(axis=0)) / (nu + n.sum() + d + len(n) + 1)
    elif family == "diag":
        covariances = (prior.scale + diagonals) / (nu + n + 3)[:, None]
    else:
        covariances = (prior.scale + diagonals.sum(axis=1)) / (nu + (n + 1) * d + 2)
    return Gaussian(family, weights, means, covariances)


def map_em(X, start, n_iter, sample_weight, prior, alpha):
    """Parameters after so many iterations, and the log-posterior per unit weight before each."""
    total = len(X) if sample_weight is None else sample_weight.sum()
    bounds = []
    for _ in range(n_iter):
        bounds.append(log_posterior(X, start, sample_weight, prior, alpha) / total)
        resp = responsibilities(X, start)
        start = map_m_step(start.family, X, resp, sample_weight, prior, alpha)
    return start, bounds


def neighbours(parameters, size, kept, rng):
    """Yield slightly different parameters, of one kind and of all; masks in `kept` mark fixed components."""
    kinds = [name for name in vars(parameters) if name != "family"]
    for chosen in [*([kind] for kind in kinds), kinds] * 10:
        moved = {kind: _moved(kind, parameters, size, kept.get(kind), rng) for kind in chosen}
        yield replace(parameters, **moved)


def _moved(kind, parameters, size, kept, rng):
    value = vars(parameters)[kind]
    if kind == "covariances" and parameters.family in ("full", "tied"):
        factor = np.linalg.cholesky(value)
        noise = rng.normal(size=value.shape)
        moved = (
            factor
            @ (np.eye(value.shape[-1]) + size * (noise + np.swapaxes(noise, -1, -2)))
            @ np.swapaxes(factor, -1, -2)
        )
    elif kind == "means":
        moved = value + size * rng.normal(size=value.shape)
    else:
        moved = value * np.exp(size * rng.normal(size=value.shape))
    if kept is not None:
        shared = kind == "covariances" and parameters.family == "tied"
        moved = value if shared else np.where(np.reshape(kept, (-1,) + (1,) * (value.ndim - 1)), value, moved)
    if kind == "weights":
        free = np.ones(len(value), bool) if kept is None else ~np.asarray(kept)
        if free.any():
            moved = np.where(free, moved * value[free].sum() / moved[free].sum(), value)
    return moved
