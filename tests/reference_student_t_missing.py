"""Mixtures of t distributions of rows with missing values, a row at a time (Liu and Rubin, 1995, section 4).

Given the observed values of a row and its latent weight u, the missing values are normal with the conditional mean and
the conditional scale matrix divided by u. For p observed values at squared distance D, E[u] = (df + p) / (df + D), and

    E[u (x - m)(x - m)'] = E[u] (b - m)(b - m)' + B

for the conditional mean b and the conditional scale matrix B.
"""

import numpy as np
from reference_student_t import Bound, Student
from scipy.stats import multivariate_normal, multivariate_t


class PartialStudent(Student):
    """`Student` of rows (n, d) with NaN."""

    def log_component(self, X, k):
        """Log-density of the observed values of each row, by scipy."""
        mean, matrix, found = self.means[k], self.matrices()[k], np.zeros(len(X))
        for i, row in enumerate(X):
            seen = np.flatnonzero(~np.isnan(row))
            if seen.size:
                part = mean[seen], matrix[np.ix_(seen, seen)]
                law = multivariate_normal(*part) if self.df[k] == np.inf else multivariate_t(*part, self.df[k])
                found[i] = law.logpdf(row[seen])
        return found

    def distances(self, X, k):
        return np.array([self.behind(row, k)[0] for row in X])

    def behind(self, row, k):
        """Squared distance of a row's observed values, and mean and scale matrix of all values, given these."""
        mean, matrix, seen = self.means[k], self.matrices()[k], np.flatnonzero(~np.isnan(row))
        residual, across = row[seen] - mean[seen], matrix[:, seen]
        within = np.linalg.inv(matrix[np.ix_(seen, seen)])
        return residual @ within @ residual, mean + across @ within @ residual, matrix - across @ within @ across.T

    def row_weights(self, X):
        inverse, seen = 1 / self.df, (~np.isnan(X)).sum(axis=1)[:, None]
        distances = np.column_stack([self.distances(X, k) for k in range(len(self.weights))])
        return (1 + inverse * seen) / (1 + inverse * distances)

    def centres_of(self, X, mass):
        weighted = mass * self.row_weights(X)
        filled = np.array([[self.behind(row, k)[1] for row in X] for k in range(len(self.weights))])
        return np.einsum("nk,knd->kd", weighted, filled) / weighted.sum(axis=0)[:, None]

    def scatters(self, X, mass, means):
        weights = self.row_weights(X)
        found = np.zeros((*means.shape, means.shape[1]))
        for k, mean in enumerate(means):
            for i, row in enumerate(X):
                _, filled, spread = self.behind(row, k)
                found[k] += mass[i, k] * (weights[i, k] * np.outer(filled - mean, filled - mean) + spread)
        return found

    def bound(self, X, mass, k):
        seen, distances = (~np.isnan(X)).sum(axis=1), self.distances(X, k)
        return Bounds(
            [
                Bound(1 / self.df[k], mass[seen == p, k], distances[seen == p], p)
                for p in np.unique(seen)
                if p > 0 and mass[seen == p, k].sum() > 0
            ]
        )


class Bounds:
    """Sum of bounds, one for the rows with each number of observed values."""

    def __init__(self, parts):
        self.parts = parts
        self.n_values, self.squares = (sum(getattr(part, name) for part in parts) for name in ("n_values", "squares"))

    def __call__(self, k, s):
        return sum(part(k, s) for part in self.parts)

    def slope(self, k, s):
        return sum(part.slope(k, s) for part in self.parts)

    def slope_of_scale(self, k, s):
        return sum(part.slope_of_scale(k, s) for part in self.parts)

    def if_normal(self, s):
        return sum(part.if_normal(s) for part in self.parts)
