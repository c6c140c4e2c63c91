"""Parameters and M-steps of t components of any form, made from those of normal components."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from scipy.special import digamma

from fastem.families._arithmetic import logarithm, product
from fastem.families._contract import Family, Float, Params, Prior
from fastem.families._degrees import Incomplete, climb, degrees_from, log_normalisers
from fastem.families._gaussian import symmetric
from fastem.families._student_t_host import complete, named
from fastem.families._student_t_kernels import OWN, SHAPES, Shape, params_of
from fastem.kernels.student_t import N_SUMS

DEGREES = ("shared", "component", "fixed")
START = 30.0  # initial degrees of freedom
UNKNOWN = -1.0  # degrees of freedom before the first M-step: components are evaluated as normal


class Components(NamedTuple):
    """Functions of t components of one form, with degrees of freedom that are 'shared', by 'component' or 'fixed'."""

    shape: Shape
    normal: Family
    normal_params: Callable[..., Any]
    degrees: str

    @property
    def is_tied(self) -> bool:
        """Whether all components share a scale matrix."""
        return self.normal.parameters[1].shared

    def make(self, normal: Params, degrees: Float) -> Params:
        """Parameters from those of normal components and degrees of freedom (K,), where 0 stands for infinite ones."""
        n_components, n_features = normal.means.shape
        finite = degrees > 0.0
        inverse = np.where(finite, 1.0 / np.where(finite, degrees, 1.0), 0.0)
        exponent = np.where(finite, -0.5 * (degrees + n_features), 0.0)
        constant = normal.log_constant + log_normalisers(inverse, n_features)
        centre = 0.5 * np.where(finite, degrees + n_features, 1.0)
        log_weight = np.where(finite, digamma(centre) - np.log(0.5 * np.where(finite, degrees, 1.0)), 0.0)
        own = (degrees, inverse, exponent, log_weight, normal.log_constant, np.zeros(n_components))
        return self.shape.params(*normal._replace(log_constant=constant), *own)

    def normal_of(self, params: Params) -> Params:
        """Normal components with the same means, and the scale matrices as covariances."""
        normal = self.normal_params(*params[: -len(OWN)])
        return normal._replace(log_constant=params.normal_constant)

    def split(self, stats: Float, n_components: int) -> tuple[Float, Float]:
        """Split statistics (S,) into weighted moments and the sums (K, 7) of `fastem.kernels.student_t.weigh`."""
        first = len(stats) - N_SUMS * n_components
        return stats[:first], stats[first:].reshape(n_components, N_SUMS)

    def n_stats(self, n_features: int, n_components: int) -> int:
        """Number of moments, and of seven sums for each component."""
        return self.normal.n_stats(n_features, n_components) + N_SUMS * n_components

    def params_at(self, means: Float, variances: Float | None = None) -> Params:
        """Components that are evaluated as normal, so that all rows have weight 1."""
        return self.make(self.normal.params_at(means, variances), np.full(len(means), UNKNOWN))

    def m_step(
        self, mass: Float, stats: Float, params: Params, prior: Prior, incomplete: Incomplete | None = None
    ) -> Params:
        """Update means and scale matrices, or degrees of freedom and sizes of the scale matrices: what gains more."""
        moments, sums = self.split(stats, len(mass))
        kept = prior.kept.get("scales")
        of_normal = prior if kept is None else prior._replace(kept={"covariances": kept})
        before = self.normal_of(params)
        moved = self.normal.m_step(sums[:, 0].copy(), moments, before, of_normal)
        if params.degrees[0] == UNKNOWN:
            return self.make(moved, np.full(len(mass), START))
        if prior.statistics_kept:
            return self._plain(mass, sums, params, moved, kept)
        if self.is_tied and kept is None and (params.degrees != params.degrees[0]).any():
            mean = self._mean_weights(mass, sums[:, 0], params)
            moved = self._scaled(moved, sums[:, 0].sum() / (mass.sum() * mean))
        if self.degrees == "fixed":
            return self.make(moved, params.degrees)
        inverse, scale, gain = self._climb(mass, sums, params, kept, incomplete)
        if gain > self._gain(mass, stats, params, moved, incomplete):
            finite = inverse > 0.0
            degrees = np.where(finite, 1.0 / np.where(finite, inverse, 1.0), 0.0)
            degrees = np.where(inverse == params.inverse_df, params.degrees, degrees)
            return self.make(self._scaled(before, scale), degrees)
        return self.make(moved, params.degrees)

    def _plain(self, mass: Float, sums: Float, params: Params, moved: Params, kept: Any) -> Params:
        """M-step of plain EM: scatters divided by numbers of rows, and df from expected weights and logarithms."""
        weights, deficit, total = sums[:, 0], -sums[:, 6], mass
        factor = _ratio(weights.sum(), mass.sum(), len(mass)) if self.is_tied else _ratio(weights, mass, len(mass))
        moved = self._scaled(moved, factor if kept is None else np.where(kept, 1.0, factor))
        if self.degrees == "fixed":
            return self.make(moved, params.degrees)
        if self.degrees == "shared":
            deficit, total = (np.full(len(mass), array.sum()) for array in (deficit, mass))
        found = degrees_from(_ratio(deficit, total, len(mass)))
        return self.make(moved, np.where((params.degrees > 0.0) & (total > 0.0), found, params.degrees))

    def _climb(
        self, mass: Float, sums: Float, params: Params, kept: Any, incomplete: Incomplete | None
    ) -> tuple[Float, Float, float]:
        """Inverse degrees of freedom (K,), factors of the scale matrices (K,), and their gain in log-likelihood."""
        each, together = np.arange(len(mass)), np.zeros(len(mass), dtype=np.int64)
        scales = together if self.is_tied else each
        if kept is not None:
            scales = np.where(kept, -1, scales)
        groups = (together if self.degrees == "shared" else each, scales)
        return climb(mass, sums, params.inverse_df, params.means.shape[1], groups, incomplete)

    def _scaled(self, normal: Params, factor: Float) -> Params:
        """Normal components whose covariances are multiplied by positive factors (K,)."""
        before = self.normal.describe(normal)
        factors = factor[0] if self.is_tied else factor.reshape(-1, *[1] * (normal.covariances.ndim - 1))
        assert self.normal.complete is not None
        after = self.normal.complete({"means": normal.means, "covariances": before["covariances"] * factors})
        for name in ("covariances", "precisions_cholesky"):
            after[name] = np.where(factors == 1.0, before[name], after[name])
        return self.normal.restore(after)

    def _gain(self, mass: Float, stats: Float, params: Params, moved: Params, incomplete: Incomplete | None) -> float:
        """Lower bound of the gain in log-likelihood when means and scale matrices change from `params` to `moved`.

        It is the larger of two bounds: one of the model itself, and one of the extended model with a mean weight, see
        `fastem.families.student_t`.
        """
        moments, sums = self.split(stats, len(mass))
        n_features, weights, before = params.means.shape[1], sums[:, 0], self.normal_of(params)
        squares = self._squares(self.normal.shift(weights.copy(), moments, before.means, moved.means), moved)
        fixed = mass * (moved.log_constant - before.log_constant)
        if incomplete is None:
            fixed += 0.5 * (1.0 + params.inverse_df * n_features) * sums[:, 1]
        else:
            fixed += 0.5 * incomplete.squares(sums, params.inverse_df)
        mean = self._mean_weights(mass, weights, params)
        logarithms = logarithm(mean)
        latent = params.degrees * (weights * (1.0 - 1.0 / mean) - mass * logarithms)
        own = np.where(params.degrees > 0.0, latent, 0.0) - mass * n_features * logarithms
        if self.is_tied:
            return float(fixed.sum() + 0.5 * max(-squares.sum(), own.sum() - squares.sum() / mean[0]))
        return float((fixed + 0.5 * np.maximum(-squares, own - squares / mean)).sum())

    def _squares(self, moments: Float, normal: Params) -> Float:
        """Sums of squared distances, (K,) or (1,) for pooled moments, from moments about the means."""
        n_components, n_features = normal.means.shape
        if self.is_tied:
            return np.array([-2.0 * self.normal.expected(np.zeros(n_components), moments, normal)])
        second = moments.reshape(n_components, -1, n_features)[:, 1:]
        if normal.covariances.ndim == 3:
            return np.asarray((product(normal.lower, symmetric(second)) * normal.lower).sum(axis=(1, 2)))
        return np.asarray((second[:, 0] * normal.inverse_deviation.reshape(n_components, -1) ** 2).sum(axis=1))

    def _mean_weights(self, mass: Float, weights: Float, params: Params) -> Float:
        """Mean weights (K,) of the extended model: 1 for normal components.

        Components that share a scale matrix have one mean weight, in which each counts in proportion to its degrees of
        freedom.
        """
        there = mass > 0.0
        if self.is_tied:
            some_normal = (params.degrees[there] == 0.0).any()
            mean = 1.0 if some_normal else (params.degrees @ weights) / (params.degrees @ mass)
            return np.full(len(mass), mean)
        mean = np.where(there, weights, 1.0) / np.where(there, mass, 1.0)
        return np.where((params.degrees > 0.0) & (mean > 0.0), mean, 1.0)

    def shift(self, mass: Float, stats: Float, means: Float, to: Float) -> Float:
        """Convert statistics about `means` into statistics about `to`."""
        moments, sums = self.split(stats, len(mass))
        moved = self.normal.shift(sums[:, 0].copy(), moments, means, to)
        return np.concatenate([moved, sums.ravel()])

    def expected(self, mass: Float, stats: Float, params: Params) -> float:
        """Expected log-density of rows and latent weights, plus the entropy of the weights, at unchanged df."""
        moments, sums = self.split(stats, len(mass))
        distances = self.normal.expected(np.zeros(len(mass)), moments, self.normal_of(params))
        factor = 1.0 + params.inverse_df * params.means.shape[1]
        rest = np.where(params.degrees > 0.0, factor * (sums[:, 1] - sums[:, 2]), 0.0)
        return float(mass @ params.log_constant) + distances + 0.5 * float(rest.sum())

    def select(self, params: Params, components: Any) -> Params:
        """Parameters of some components, with those that all components share."""
        normal = self.normal.select(self.normal_params(*params[: -len(OWN)]), components)
        return self.shape.params(*normal, *(array[components] for array in params[-len(OWN) :]))

    def embed(self, some: Float, components: Any, stats: Float, n_features: int, n_components: int) -> None:
        """Add moments and sums of some components to those of all."""
        few, sums = self.split(some, len(components))
        all_moments, all_sums = self.split(stats, n_components)
        self.normal.embed(few, components, all_moments, n_features, n_components)
        all_sums[components] += sums

    def pack(self, params: Params) -> Float:
        """The packed normal parameters, and logarithms of 1 / df if df is estimated."""
        packed = self.normal.pack(self.normal_of(params))
        if self.degrees == "fixed":
            return packed
        inverse = params.inverse_df[:1] if self.degrees == "shared" else params.inverse_df
        return np.concatenate([packed, logarithm(inverse)])

    def unpack(self, vector: Float, params: Params) -> Params:
        """Inverse of `pack`."""
        if self.degrees == "fixed":
            return self.make(self.normal.unpack(vector, self.normal_of(params)), params.degrees)
        n_components = len(params.degrees)
        packed, logarithms = np.split(vector, [-1 if self.degrees == "shared" else -n_components])
        degrees = np.where(np.isneginf(logarithms), 0.0, np.exp(-np.maximum(logarithms, -np.log(1e9))))
        normal = self.normal.unpack(packed, self.normal_of(params))
        return self.make(normal, np.array(np.broadcast_to(degrees, n_components)))

    def change(self, before: Params, after: Params) -> float:
        """Largest change of the normal parameters, or of d / df."""
        degrees = np.abs(after.inverse_df - before.inverse_df).max() * before.means.shape[1]
        return max(self.normal.change(self.normal_of(before), self.normal_of(after)), float(degrees))

    def describe(self, params: Params) -> dict[str, Float]:
        """Means, scale matrices with the factors of their inverses, and degrees of freedom."""
        described = self.normal.describe(self.normal_of(params))
        degrees = np.where(params.degrees > 0.0, params.degrees, np.inf)
        return {"scales" if name == "covariances" else name: array for name, array in described.items()} | {
            "df": degrees
        }

    def restore(self, described: dict[str, Float]) -> Params:
        """Inverse of `describe`; parameters that are not given are computed from the others."""
        normal = self.normal.restore(named(complete(self.normal, described)))
        degrees = described.get("df", np.full(len(described["means"]), START))
        return self.make(normal, np.where(degrees < np.inf, degrees, 0.0))


def components_of(form: str, degrees: str) -> Components:
    """The `Components` of a form and a treatment of degrees of freedom; KeyError if there are none."""
    if form not in SHAPES or degrees not in DEGREES:
        raise KeyError(f"{form}-{degrees}")
    normal: Family = import_module(f"fastem.families.gaussian_{form}").FAMILY
    return Components(SHAPES[form], normal, params_of(normal), degrees)


def _ratio(sums: Any, mass: Any, n_components: int) -> Float:
    """Sums over mass (K,), and 1 for components without mass."""
    sums, mass = np.broadcast_to(sums, n_components), np.broadcast_to(mass, n_components)
    there = mass > 0.0
    return np.where(there, sums, 1.0) / np.where(there, mass, 1.0)
