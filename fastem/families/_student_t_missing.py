"""Statistics and M-steps of t components for rows with missing values.

The statistics are those of complete rows, in expectation. After them follow sums for the estimate of degrees of
freedom, which are zero for complete rows, see `fastem.families._degrees.Incomplete`. Given the observed values and the
row's latent weight u, missing values have the conditional mean of a normal component, and its conditional covariance
divided by u. So in the moments, which are weighted by u, conditional means have the weight u and conditional
covariances the weight 1.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import digamma

from fastem.families import _gaussian
from fastem.families._arithmetic import product
from fastem.families._contract import Family, Float, Params, Prior
from fastem.families._degrees import Incomplete, log_normalisers
from fastem.families._gaussian import Factors, factors_of
from fastem.families._incomplete import marginal as normal_marginal
from fastem.families._student_t import Components
from fastem.kernels.student_t import N_SUMS

N_OTHERS = 5  # sums that are kept apart for rows without any value: the second to the sixth


class Partial(NamedTuple):
    """T components for rows with missing values; `base` is the family for complete rows."""

    components: Components
    base: Family

    def n_stats(self, n_features: int, n_components: int) -> int:
        """Number of statistics of complete rows, five sums for each component, and masses by number of values."""
        return self.base.n_stats(n_features, n_components) + (N_OTHERS + n_features) * n_components

    def split(self, stats: Float, n_components: int, n_features: int) -> tuple[Float, Incomplete]:
        """Split statistics (S,) into those of complete rows and the further sums."""
        first = self.base.n_stats(n_features, n_components)
        none, counts = np.split(stats[first:], [N_OTHERS * n_components])
        return stats[:first], Incomplete(none.reshape(n_components, -1), counts.reshape(n_components, -1))

    def gather(self, moments: Float, sums: Float, none: Float, counts: Float) -> Float:
        """Statistics from weighted moments, sums (K, 7) of all rows and of rows without any value, and `counts`."""
        return np.concatenate([moments, sums.ravel(), none[:, 1 : 1 + N_OTHERS].ravel(), counts.ravel()])

    def m_step(self, mass: Float, stats: Float, params: Params, prior: Prior) -> Params:
        """M-step of complete rows, but with the likelihood of the observed values for the degrees of freedom."""
        plain, incomplete = self.split(stats, *params.means.shape)
        return self.components.m_step(mass, plain, params, prior, incomplete)

    def shift(self, mass: Float, stats: Float, means: Float, to: Float) -> Float:
        """Convert statistics about `means` into statistics about `to`."""
        plain, _ = self.split(stats, *means.shape)
        return np.concatenate([self.base.shift(mass, plain, means, to), stats[plain.size :]])

    def expected(self, mass: Float, stats: Float, params: Params) -> float:
        """Expected log-density, up to terms that do not depend on means and scale matrices."""
        return self.base.expected(mass, self.split(stats, *params.means.shape)[0], params)

    def embed(self, some: Float, components: Any, stats: Float, n_features: int, n_components: int) -> None:
        """Add statistics of some components to those of all."""
        plain, own = self.split(some, len(components), n_features)
        all_plain, all_own = self.split(stats, n_components, n_features)
        self.base.embed(plain, components, all_plain, n_features, n_components)
        for part, whole in zip(own, all_own, strict=True):
            whole[components] += part

    def complete(self, raw: Float, params: Params) -> tuple[Float, Float, Float]:
        """Sums (K, 7) of all rows and of rows without any value, and masses (K, d) by number of values.

        They are computed from the sums `raw` of a pass, see `fastem.kernels.student_t_missing`.
        """
        n_components, n_features = params.means.shape
        sums = raw.reshape(n_components, -1)
        none, counts = sums[:, N_SUMS : 2 * N_SUMS], sums[:, 2 * N_SUMS : -1]
        total = sums[:, :N_SUMS] + none
        latent = log_weights(params, np.arange(n_features + 1))
        total[:, 6] += (counts * (latent[:, :-1] - latent[:, -1:])).sum(axis=1)
        return total, none, counts


def log_weights(params: Params, n_values: Any) -> Float:
    """Expected logarithms (K, p) of the latent weights of rows at the centres with `n_values` (p,) observed values."""
    finite = params.degrees > 0.0
    half = 0.5 * np.where(finite, params.degrees, 1.0)[:, None]
    return np.where(finite[:, None], digamma(half + 0.5 * n_values) - np.log(half), 0.0)


def normalisers(params: Params) -> Float:
    """Log-densities (K, d + 1) at the centres, of rows with 0, 1, ..., d observed values, less the normal ones."""
    return log_normalisers(params.inverse_df[:, None], np.arange(params.means.shape[1] + 1))


class PatternFactors(NamedTuple):
    """Factors of the normal components' covariances, and the parameters of t components."""

    normal: Factors
    params: Params


class PatternParams(NamedTuple):
    """Parameters of P patterns of m observed values each, see `fastem.families._incomplete.PatternParams`."""

    means: Float  # (P, K, m)
    lower: Float  # (P, K, m, m)
    offset: Float  # (P, K, m)
    log_constant: Float  # (P, K)
    loading: Float  # (P, K, d, m)
    inverse_df: Float  # (K,)
    exponent: Float  # (K,)
    log_weight: Float  # (K,)
    nothing: Float  # (K,)


class OnePattern(NamedTuple):
    """Parameters of one pattern; `covariances` are not read."""

    means: Float
    covariances: Float
    lower: Float
    offset: Float
    log_constant: Float
    inverse_df: Float
    exponent: Float
    log_weight: Float
    nothing: Float


def factors(params: Params) -> PatternFactors:
    """The factors from which `marginal` computes parameters of patterns."""
    return PatternFactors(factors_of(params), params)


def marginal(given: PatternFactors, log_weights_of_components: Float, columns: Any) -> PatternParams:
    """Parameters of the observed values of each pattern, as `fastem.families._incomplete.marginal`."""
    params, m = given.params, columns.shape[1]
    normal = normal_marginal(given.normal, log_weights_of_components, columns)
    log_constant = normal.log_constant + log_normalisers(params.inverse_df, m)
    exponent = np.where(params.degrees > 0.0, -0.5 * (params.degrees + m), 0.0)
    level = log_weights(params, np.array([m]))[:, 0]
    return PatternParams(
        *normal._replace(log_constant=log_constant), params.inverse_df, exponent, level, np.zeros(len(level))
    )


def expand(masses: Float, stats: Float, patterns: PatternParams) -> tuple[Float, ...]:
    """Weighted first moments (K, d), second moments (K, d, d) less the scales times the mass, and the further sums."""
    n_patterns, n_components, m = patterns.means.shape
    n_features = patterns.loading.shape[2]
    own = N_SUMS * n_components
    moments = stats[:, :-own].reshape(n_patterns, n_components, m + 1, m)
    lower, loading = patterns.lower, patterns.loading
    first = product(loading, product(lower, moments[:, :, 0, :, None])).sum(axis=0)[:, :, 0]
    white = product(lower, _gaussian.symmetric(moments[:, :, 1:]), np.swapaxes(lower, 2, 3))
    white -= masses[:, :, None, None] * np.eye(m)
    excess = product(loading, white, np.swapaxes(loading, 2, 3)).sum(axis=0)
    sums = stats[:, -own:].reshape(n_patterns, n_components, N_SUMS).sum(axis=0)
    counts = np.zeros((n_components, n_features + 1))
    counts[:, m] = masses.sum(axis=0)
    return first, excess, sums, sums * ((n_features - m) / n_features), counts[:, :-1]
