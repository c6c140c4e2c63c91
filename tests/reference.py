"""Expectation-maximisation written directly from the formulas: slow, plain, float64.

It shares no code with fastem or with scikit-learn's mixtures, so that both cannot have the same mistake.
Gaussian covariances keep the shape of their family: "full" (K, d, d), "tied" (d, d), "diag" (K, d),
"spherical" (K,).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp, xlogy

GAUSSIAN_FAMILIES = ("full", "tied", "diag", "spherical")
FAMILIES = (*GAUSSIAN_FAMILIES, "poisson")


@dataclass(frozen=True)
class Gaussian:
    family: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def log_component(self, X, k):
        """Log-density of component k at every row of X."""
        residuals = X - self.means[k]
        covariance = self.covariance_matrices()[k]
        distances = np.sum(residuals * np.linalg.solve(covariance, residuals.T).T, axis=1)
        log_determinant = np.linalg.slogdet(covariance)[1]
        return -0.5 * (X.shape[1] * np.log(2 * np.pi) + log_determinant + distances)

    @property
    def centres(self):
        return self.means

    @property
    def fitted(self):
        """Parameters by the names of fitted attributes."""
        return {"weights_": self.weights, "means_": self.means, "covariances_": self.covariances}

    def maximise(self, X, mass):
        """The mixture after an M-step with the masses (n, K) of rows in components."""
        return m_step(self.family, X, mass)

    def covariance_matrices(self):
        """One d by d matrix per component, whatever the family."""
        n_components, n_features = self.means.shape
        if self.family == "full":
            return self.covariances
        if self.family == "tied":
            return np.array([self.covariances] * n_components)
        if self.family == "diag":
            return np.array([np.diag(variances) for variances in self.covariances])
        return np.array([variance * np.eye(n_features) for variance in self.covariances])


@dataclass(frozen=True)
class Poisson:
    weights: np.ndarray
    rates: np.ndarray
    family = "poisson"

    @property
    def centres(self):
        return self.rates

    @property
    def fitted(self):
        """Parameters by the names of fitted attributes."""
        return {"weights_": self.weights, "rates_": self.rates}

    def maximise(self, X, mass):
        """The mixture after an M-step with the masses (n, K) of rows in components."""
        return m_step("poisson", X, mass)

    def log_component(self, X, k):
        """Log-probability of component k at every row of X; the columns are independent."""
        return np.sum(xlogy(X, self.rates[k]) - self.rates[k] - gammaln(X + 1), axis=1)


def log_density(X, parameters):
    """Log-densities (n, K) of each row under each component, without the weights."""
    components = range(len(parameters.weights))
    return np.column_stack([parameters.log_component(X, k) for k in components])


def log_joint(X, parameters):
    return np.log(parameters.weights) + log_density(X, parameters)


def log_likelihood(X, parameters, sample_weight=None):
    """Total log-likelihood, each row counted `sample_weight` times."""
    return float(np.sum(_or_ones(X, sample_weight) * logsumexp(log_joint(X, parameters), axis=1)))


def responsibilities(X, parameters):
    """Posterior probabilities (n, K) of each component, given each row."""
    joint = log_joint(X, parameters)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def m_step(family, X, resp, sample_weight=None, reg_covar=0.0):
    """Maximise the expected complete-data log-likelihood, given the responsibilities."""
    mass = resp * _or_ones(X, sample_weight)[:, None]
    totals = mass.sum(axis=0)
    weights = totals / totals.sum()
    means = (mass.T @ X) / totals[:, None]
    if family == "poisson":
        return Poisson(weights, means)
    scatters = _scatters(X, mass, means)
    covariances = _covariances(family, scatters, totals, reg_covar)
    return Gaussian(family, weights, means, covariances)


def em(X, start, n_iter, sample_weight=None, reg_covar=0.0):
    """Trajectory of EM: `n_iter + 1` pairs (parameters, their mean log-likelihood per unit weight).

    The first pair is the start itself.
    """
    trajectory = [(start, _mean_log_likelihood(X, start, sample_weight))]
    for _ in range(n_iter):
        parameters = trajectory[-1][0]
        resp = responsibilities(X, parameters)
        parameters = m_step(start.family, X, resp, sample_weight, reg_covar)
        trajectory.append((parameters, _mean_log_likelihood(X, parameters, sample_weight)))
    return trajectory


def run_to_convergence(X, start, tol=1e-10, max_iter=20_000, sample_weight=None):
    """Parameters after EM has converged: none moves by more than `tol`, relative to the largest of its kind."""
    parameters = start
    for _ in range(max_iter):
        resp = responsibilities(X, parameters)
        moved = m_step(start.family, X, resp, sample_weight)
        if movement(parameters, moved) < tol:
            return moved
        parameters = moved
    raise RuntimeError(f"not converged in {max_iter} iterations")


def movement(before, after):
    """Largest change of any array of parameters, relative to its largest entry."""
    pairs = zip(arrays(before).values(), arrays(after).values(), strict=True)
    return max(float(np.abs(new - old).max() / np.abs(old).max()) for old, new in pairs)


def arrays(parameters):
    """The numbers of the parameters by name."""
    return {name: value for name, value in vars(parameters).items() if name != "family"}


def start_at(family, X, centres):
    """Equal weights, the given means or rates, and half the data's standard deviations."""
    centres = np.asarray(centres, dtype=float)
    equal = np.full(len(centres), 1 / len(centres))
    if family == "poisson":
        return Poisson(equal, centres)
    pooled = m_step(family, X, np.tile(equal, (len(X), 1))).covariances
    return Gaussian(family, equal, centres, pooled / 4)


def rows_for(family, n_rows=80, n_features=3, seed=0):
    """Made-up rows in two overlapping groups; counts for "poisson"."""
    random = np.random.default_rng(seed)
    groups = random.integers(2, size=n_rows)
    if family == "poisson":
        return random.poisson(np.where(groups[:, None], 9.0, 3.0), (n_rows, n_features)) * 1.0
    mixing = random.normal(size=(n_features, n_features))
    return 3.0 * groups[:, None] + random.normal(size=(n_rows, n_features)) @ mixing


def _scatters(X, mass, means):
    """For each component, the weighted sum of outer products of the residuals from its mean (K, d, d)."""
    residuals = [X - mean for mean in means]
    return np.array([(m[:, None] * r).T @ r for m, r in zip(mass.T, residuals, strict=True)])


def _covariances(family, scatters, totals, reg_covar):
    n_features = scatters.shape[1]
    ridge = reg_covar * np.eye(n_features)
    if family == "tied":
        return scatters.sum(axis=0) / totals.sum() + ridge
    full = scatters / totals[:, None, None] + ridge
    if family == "full":
        return full
    variances = np.array([np.diag(covariance) for covariance in full])
    return variances if family == "diag" else variances.mean(axis=1)


def _mean_log_likelihood(X, parameters, sample_weight):
    return log_likelihood(X, parameters, sample_weight) / _or_ones(X, sample_weight).sum()


def _or_ones(X, sample_weight):
    return np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
