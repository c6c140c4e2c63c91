"""Extreme deconvolution with missing values, a row at a time: Bovy, Hogg and Roweis (2011), equations 10 to 16.

A row is x = R v + error: v is drawn from a Gaussian mixture, R is the row's projection and S the covariance of its
error. For a missing value, its row of R and its row and column of S are left out. With T = R V R' + S, for each row and
each component with mean m and covariance V,

    q = N(x; R m, T),   b = m + V R' T^-1 (x - R m),   B = V - V R' T^-1 R V

are the density, and the conditional mean and covariance of v. Counts of Poisson components are independent: the
expectation of a missing one is the rate.
"""

from dataclasses import dataclass

import numpy as np
from reference import Gaussian, Poisson
from scipy.special import gammaln, logsumexp, xlogy


@dataclass(frozen=True)
class Rows:
    values: np.ndarray  # (n, m), NaN where missing
    noise: np.ndarray | None = None  # (n, m, m)
    projection: np.ndarray | None = None  # (n, m, d)

    def seen(self, i):
        """Observed values of row i, with their projection and covariance of errors."""
        there = ~np.isnan(self.values[i])
        m = len(there)
        projection = np.eye(m) if self.projection is None else self.projection[i]
        noise = np.zeros((m, m)) if self.noise is None else self.noise[i]
        return self.values[i][there], projection[there], noise[np.ix_(there, there)]


def behind(row, mean, covariance):
    """Log-density of a row under a component, and conditional mean (d,) and covariance (d, d) of its v."""
    x, R, S = row
    T = R @ covariance @ R.T + S
    residual = x - R @ mean
    gain = np.linalg.solve(T, R @ covariance).T if len(x) else np.zeros((len(mean), 0))
    distance = residual @ np.linalg.solve(T, residual) if len(x) else 0.0
    log_density = -0.5 * (len(x) * np.log(2 * np.pi) + np.linalg.slogdet(T)[1] + distance)
    return log_density, mean + gain @ residual, covariance - gain @ R @ covariance


def expectations(rows, parameters):
    """Log-densities (n, K), and conditional means (n, K, d) and covariances (n, K, d, d) of the v of rows."""
    components = list(zip(parameters.means, parameters.covariance_matrices(), strict=True))
    found = [[behind(rows.seen(i), *component) for component in components] for i in range(len(rows.values))]
    return tuple(np.array([[of_one[part] for of_one in of_row] for of_row in found]) for part in range(3))


def log_densities(rows, parameters):
    """Log-densities (n, K) of each row under each component."""
    if parameters.family != "poisson":
        return expectations(rows, parameters)[0]
    x = rows.values[:, None]
    return np.nansum(xlogy(x, parameters.rates) - parameters.rates - gammaln(x + 1), axis=2)


def log_joint(rows, parameters):
    return np.log(parameters.weights) + log_densities(rows, parameters)


def score_samples(rows, parameters):
    return logsumexp(log_joint(rows, parameters), axis=1)


def responsibilities(rows, parameters, plausible=1.0):
    """Posterior probabilities (n, K); densities are multiplied by plausibilities first."""
    with np.errstate(divide="ignore"):
        joint = log_joint(rows, parameters) + np.log(plausible)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def em_step(rows, parameters, sample_weight=None, plausible=1.0):
    """One iteration of EM."""
    weights = np.ones(len(rows.values)) if sample_weight is None else sample_weight
    mass = responsibilities(rows, parameters, plausible) * weights[:, None]
    totals = mass.sum(axis=0)
    if parameters.family == "poisson":
        x = np.where(np.isnan(rows.values[:, None]), parameters.rates, rows.values[:, None])
        return Poisson(totals / totals.sum(), np.einsum("nk,nkd->kd", mass, x) / totals[:, None])
    _, b, B = expectations(rows, parameters)
    means = np.einsum("nk,nkd->kd", mass, b) / totals[:, None]
    spread = b - means
    scatters = np.einsum("nk,nkde->kde", mass, B + spread[..., :, None] * spread[..., None, :])
    return Gaussian(parameters.family, totals / totals.sum(), means, _shaped(parameters.family, scatters, totals))


def denoised(rows, parameters):
    """Conditional mean (n, d) and covariance (n, d, d) of the v of rows, over all components."""
    r = responsibilities(rows, parameters)
    _, b, B = expectations(rows, parameters)
    mean = np.einsum("nk,nkd->nd", r, b)
    second = np.einsum("nk,nkde->nde", r, B + b[..., :, None] * b[..., None, :])
    return mean, second - mean[:, :, None] * mean[:, None, :]


def _shaped(family, scatters, totals):
    """Covariances of a family from scatter matrices (K, d, d)."""
    if family == "tied":
        return scatters.sum(axis=0) / totals.sum()
    full = scatters / totals[:, None, None]
    if family == "full":
        return full
    variances = np.diagonal(full, axis1=1, axis2=2)
    return variances if family == "diag" else variances.mean(axis=1)
