"""Mixtures of Bernoulli columns, written directly from the formulas."""

from dataclasses import dataclass

import numpy as np
from scipy.special import xlog1py, xlogy


@dataclass(frozen=True)
class Bernoulli:
    """Probabilities of ones (K, d)."""

    weights: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def at(cls, X, centres):
        """Equal weights, and probabilities between the centres and one half."""
        centres = np.asarray(centres, dtype=float)
        centres = 0.2 + 0.45 * centres + 0.02 * np.arange(centres.shape[1]) / centres.shape[1]
        return cls(np.full(len(centres), 1 / len(centres)), centres)

    @property
    def centres(self):
        return self.probabilities

    @property
    def fitted(self):
        return {"weights_": self.weights, "probabilities_": self.probabilities}

    def log_component(self, X, k):
        """Log-probability of component k at every row of X; missing values add nothing."""
        terms = xlogy(X, self.probabilities[k]) + xlog1py(1 - X, -self.probabilities[k])
        return np.nansum(terms, axis=1)

    def maximise(self, X, mass):
        """The mixture after an M-step with the masses (n, K): shares of rows and of ones."""
        totals = mass.sum(axis=0)
        return Bernoulli(totals / totals.sum(), mass.T @ X / totals[:, None])


def binary_rows(n_rows=80, n_features=3, seed=0):
    """Zeros and ones in two overlapping groups."""
    random = np.random.default_rng(seed)
    groups = random.integers(2, size=n_rows)
    probabilities = random.uniform(0.15, 0.45, size=(2, n_features)) + 0.4 * np.arange(2)[:, None]
    return (random.uniform(size=(n_rows, n_features)) < probabilities[groups]) * 1.0
