"""Mixtures of multivariate t distributions, written directly from the formulas.

An M-step is one of two steps, whichever has the larger guaranteed gain of the likelihood: the parameter-expanded step
of means and scale matrices at fixed degrees of freedom, or a step of the degrees of freedom and the sizes of the scale
matrices, which maximises lower bounds of the likelihood.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.integrate import quad_vec
from scipy.optimize import brentq
from scipy.special import gammaln

LEAST, MOST, ROUNDS = 1e-9, 100.0, 4


@dataclass(frozen=True)
class Student:
    """Scale matrices have the shape of their form; `mode` is "fixed", "shared" or "component", for df."""

    form: str
    mode: str
    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    df: np.ndarray

    @classmethod
    def at(cls, form, mode, X, centres, df):
        """Equal weights, the given centres, and half the data's standard deviations."""
        centres = np.asarray(centres, dtype=float)
        n_components, n_features = centres.shape
        matrix = np.cov(X.T, bias=True).reshape(n_features, n_features) / 4
        scales = {
            "full": np.array([matrix] * n_components),
            "tied": matrix,
            "diag": np.array([np.diag(matrix)] * n_components),
            "spherical": np.full(n_components, np.diag(matrix).mean()),
        }[form]
        df = np.array(np.broadcast_to(np.asarray(df, dtype=float), n_components))
        return cls(form, mode, np.full(n_components, 1 / n_components), centres, scales, df)

    @property
    def centres(self):
        return self.means

    @property
    def fitted(self):
        return {"weights_": self.weights, "means_": self.means, "scales_": self.scales, "df_": self.df}

    def matrices(self):
        """One d by d matrix per component."""
        n_components, n_features = self.means.shape
        if self.form == "full":
            return self.scales
        if self.form == "tied":
            return np.array([self.scales] * n_components)
        by_column = self.scales if self.form == "diag" else np.tile(self.scales[:, None], n_features)
        return by_column[:, :, None] * np.eye(n_features)

    def distances(self, X, k):
        residuals = X - self.means[k]
        return np.sum(residuals * np.linalg.solve(self.matrices()[k], residuals.T).T, axis=1)

    def log_component(self, X, k):
        """Log-density of component k at every row of X."""
        d, distances, df = X.shape[1], self.distances(X, k), self.df[k]
        level = -0.5 * (d * np.log(2 * np.pi) + np.linalg.slogdet(self.matrices()[k])[1])
        if df == np.inf:
            return level - 0.5 * distances
        return level + excess(1 / df, d) - 0.5 * (df + d) * np.log1p(distances / df)

    def row_weights(self, X):
        """Expected latent weights (n, K) of rows."""
        distances = np.column_stack([self.distances(X, k) for k in range(len(self.weights))])
        inverse = 1 / self.df
        return (1 + inverse * X.shape[1]) / (1 + inverse * distances)

    def moved(self, X, mass):
        """The parameter-expanded step of means and scale matrices."""
        sums, totals = (mass * self.row_weights(X)).sum(axis=0), mass.sum(axis=0)
        means = self.centres_of(X, mass)
        scatters = self.scatters(X, mass, means)
        if self.form == "tied":
            scales = scatters.sum(axis=0) / (totals.sum() * self.pooled_weight(totals, sums))
        else:
            matrices = scatters / sums[:, None, None]
            diagonals = np.einsum("kii->ki", matrices)
            scales = {"full": matrices, "diag": diagonals, "spherical": diagonals.mean(axis=1)}[self.form]
        return replace(self, weights=totals / totals.sum(), means=means, scales=scales)

    def centres_of(self, X, mass):
        """Weighted means of the rows (K, d)."""
        weighted = mass * self.row_weights(X)
        return weighted.T @ X / weighted.sum(axis=0)[:, None]

    def scatters(self, X, mass, means):
        """Weighted scatters (K, d, d) about some means."""
        weighted = mass * self.row_weights(X)
        return np.array([((X - mean).T * column) @ (X - mean) for mean, column in zip(means, weighted.T, strict=True)])

    def pooled_weight(self, totals, sums):
        """The optimal mean weight of the expanded model if all components share a scale matrix."""
        if (self.df == np.inf).any():
            return 1.0
        return (self.df @ sums) / (self.df @ totals)

    def gain_of(self, moved, X, mass):
        """Guaranteed gain of the step of means and scale matrices, from the expected complete log-likelihood.

        The mean weight a of the expanded model is its optimum or 1, whichever gains more.
        """
        d, u = X.shape[1], self.row_weights(X)
        totals, sums, finite = mass.sum(axis=0), (mass * u).sum(axis=0), self.df < np.inf
        old, new = (
            np.array(
                [
                    np.trace(np.linalg.solve(matrix, scatter))
                    for matrix, scatter in zip(at.matrices(), self.scatters(X, mass, at.means), strict=True)
                ]
            )
            for at in (self, moved)
        )
        volumes = np.linalg.slogdet(self.matrices())[1] - np.linalg.slogdet(moved.matrices())[1]

        def gains(a):
            latent = np.where(finite, np.where(finite, self.df, 0) * (sums * (1 - 1 / a) - totals * np.log(a)), 0)
            return 0.5 * (totals * (volumes - d * np.log(a)) - new / a + old + latent)

        ones = np.ones(len(totals))
        if self.form == "tied":
            return max(gains(ones).sum(), gains(ones * self.pooled_weight(totals, sums)).sum())
        return np.maximum(gains(ones), gains(np.where(finite, sums / totals, 1.0))).sum()

    def maximise(self, X, mass):
        """The mixture after an M-step with the masses (n, K) of rows in components."""
        moved = self.moved(X, mass)
        if self.mode == "fixed":
            return moved
        stretched, gain = self.stretched(X, mass)
        return replace(stretched, weights=moved.weights) if gain > self.gain_of(moved, X, mass) else moved

    def bound(self, X, mass, k):
        """Lower bound of the log-likelihood of component k."""
        return Bound(1 / self.df[k], mass[:, k], self.distances(X, k), X.shape[1])

    def stretched(self, X, mass):
        """The step of degrees of freedom and sizes of scale matrices, and its gain."""
        n_components = len(self.weights)
        bounds = [self.bound(X, mass, k) for k in range(n_components)]
        everyone = list(range(n_components))
        of_df = [everyone] if self.mode == "shared" else [[k] for k in everyone]
        of_scale = [everyone] if self.form == "tied" else [[k] for k in everyone]
        inverse, scale = 1 / self.df, np.ones(n_components)
        before = sum(bounds[k](inverse[k], 1.0) for k in everyone)
        for _ in range(ROUNDS):
            for group in of_df:
                inverse[group] = climb(
                    lambda x, group=group: sum(bounds[k].slope(x, scale[k]) for k in group),
                    inverse[group[0]], LEAST, MOST,
                )  # fmt: skip
            for group in of_scale:
                scale[group] = climb(
                    lambda x, group=group: sum(bounds[k].slope_of_scale(inverse[k], x) for k in group),
                    scale[group[0]], 0.05, 20.0,
                )  # fmt: skip
        for group in of_df:
            now = sum(bounds[k](inverse[k], scale[k]) for k in group)
            own = scale[group]
            if self.form != "tied" or len(group) == n_components:
                parts = [group] if self.form == "tied" else [[k] for k in group]
                best = [sum(bounds[k].squares for k in part) / sum(bounds[k].n_values for k in part) for part in parts]
                own = np.array(best * len(group) if self.form == "tied" else best)
            normal = sum(bounds[k].if_normal(s) for k, s in zip(group, own, strict=True))
            if normal >= now:
                inverse[group], scale[group] = 0.0, own
        after = sum(
            bounds[k](inverse[k], scale[k]) if inverse[k] > 0 else bounds[k].if_normal(scale[k]) for k in everyone
        )
        factor = scale[0] if self.form == "tied" else scale.reshape(-1, *[1] * (self.scales.ndim - 1))
        with np.errstate(divide="ignore"):
            return replace(self, scales=self.scales * factor, df=1 / inverse), after - before


class Bound:
    """Lower bound of the log-likelihood of a component, as a function of 1 / df and the size of its scale matrix.

    log(1 + t D) / t is the integral of 1 / (1 + t x) over x from 0 to D, which is expanded as a geometric series.
    """

    def __init__(self, at, mass, distances, d):
        self.at, self.mass, self.distances, self.d = at, mass, distances, d
        self.n_values, self.squares = d * mass.sum(), mass @ distances
        self.terms = [
            mass @ quad_vec(lambda v, j=j: self.term(v, j), 0, 1, epsabs=0, epsrel=1e-12)[0] for j in range(3)
        ]

    def term(self, v, j):
        """x^j / (1 + k x)^(j + 1) at x = v D, which is integrated over v."""
        x = v * self.distances
        return self.distances * x**j / (1 + self.at * x) ** (j + 1)

    def rest(self, t):
        step = t - self.at
        return self.terms[0] - step * self.terms[1] + step**2 * self.terms[2] * (1.0 if step >= 0 else self.at / t)

    def slope_of_rest(self, t):
        step = t - self.at
        second = 2 * step if step >= 0 else self.at * (1 - (self.at / t) ** 2)
        return -self.terms[1] + second * self.terms[2]

    def __call__(self, k, s):
        level = self.mass.sum() * (excess(k, self.d) - 0.5 * self.d * np.log(s))
        return level - 0.5 * (1 + k * self.d) / s * self.rest(k / s)

    def if_normal(self, s):
        """The log-likelihood itself at infinite df."""
        return -0.5 * (self.n_values * np.log(s) + self.squares / s)

    def slope(self, k, s):
        """Derivative with respect to k."""
        step = 1e-6 * k if k > 0 else 1e-9
        if k == 0:
            of_level = 0.25 * self.d * (self.d - 2)
        else:
            points = np.array([-2, -1, 1, 2]) * step * 100
            of_level = np.array([excess(k + point, self.d) for point in points]) @ [1, -8, 8, -1] / (1200 * step)
        rest = 0.5 * self.d * self.rest(k / s) + 0.5 * (1 + k * self.d) / s * self.slope_of_rest(k / s)
        return self.mass.sum() * of_level - rest / s

    def slope_of_scale(self, k, s):
        """Derivative with respect to log(s)."""
        t = k / s
        change = self.rest(t) + t * self.slope_of_rest(t)
        return 0.5 * (1 + k * self.d) / s * change - 0.5 * self.mass.sum() * self.d


def climb(slope, start, low, high):
    """Zero of the slope, searched uphill from the start up to the limits."""
    if start == 0.0:
        if slope(0.0) <= 0.0:
            return 0.0
        start = low
    up = slope(start) > 0
    a, factor = start, 1.1
    while True:
        b = min(a * factor, high) if up else max(a / factor, low)
        if (slope(b) > 0) != up:
            return brentq(slope, min(a, b), max(a, b), xtol=1e-300, rtol=1e-14)
        if b in (low, high):
            return b
        a, factor = b, factor**2


def excess(k, d):
    """log Gamma((df + d) / 2) - log Gamma(df / 2) - d log(df / 2) / 2 with k = 1 / df."""
    if k < 1e-6:
        return 0.25 * d * (d - 2) * k
    return gammaln(0.5 / k + 0.5 * d) - gammaln(0.5 / k) + 0.5 * d * np.log(2 * k)


def heavy_rows(n_rows=80, n_features=3, seed=0):
    """Rows in two overlapping groups with heavy tails."""
    random = np.random.default_rng(seed)
    groups = random.integers(2, size=n_rows)
    rows = random.normal(size=(n_rows, n_features)) @ (np.eye(n_features) + 0.3)
    rows /= np.sqrt(random.chisquare(4, size=(n_rows, 1)) / 4)
    return rows + 4 * groups[:, None] * (0.6 + np.arange(n_features) % 2)
