"""Gaussian components for incompletely observed rows: with missing values, measurement errors or projections.

The variation keeps the parameters, statistics and M-step of any Gaussian family. Passes evaluate each row with a
covariance of its own, see `fastem.kernels.incomplete`; `finish` converts their sums to expected statistics.
"""

import functools
from typing import NamedTuple

import numpy as np

from fastem.families import _gaussian
from fastem.families._arithmetic import product
from fastem.families._contract import Family, Float, Params, PatternAlgebra
from fastem.families._gaussian import Factors, factors_of
from fastem.families._incomplete import PatternParams, expand_sums, marginal, n_raw, prepare, scratch_rows, singular
from fastem.kernels.incomplete import add_statistics, load_errors, log_densities
from fastem.kernels.jit import inlined


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile, without powers of 2 pi."""
    log_densities(params, tile, scratch, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component and lane: whitened first moments, and whitened second moments less the covariance."""
    add_statistics(params, tile, resp, resp, mass, scratch, stats)


def finish(base: Family, mass: Float, raw: Float, params: Params) -> Float:
    """Expected statistics (S,) of the complete values, in the layout of the family `base`."""
    factors = factors_of(params)
    return collect(base, mass, expand_sums(factors[1], raw), factors, params)


class OnePattern(NamedTuple):
    """Parameters of one pattern."""

    means: Float
    lower: Float
    offset: Float
    log_constant: Float


@inlined
def pick(params, p):  # type: ignore[no-untyped-def]
    """Parameters of a pattern."""
    return OnePattern(params.means[p], params.lower[p], params.offset[p], params.log_constant[p])


def expand(masses: Float, sums: Float, patterns: PatternParams) -> tuple[Float, Float]:
    """First moments (K, d) of all features, and second moments (K, d, d) less covariances times mass, over patterns."""
    n_patterns, n_components, m = patterns.means.shape
    moments = sums.reshape(n_patterns, n_components, m + 1, m)
    lower, loading = patterns.lower, patterns.loading
    first = product(loading, product(lower, moments[:, :, 0, :, None])).sum(axis=0)[:, :, 0]
    white = product(lower, _gaussian.symmetric(moments[:, :, 1:]), np.swapaxes(lower, 2, 3))
    white -= masses[:, :, None, None] * np.eye(m)
    return first, product(loading, white, np.swapaxes(loading, 2, 3)).sum(axis=0)


def collect(base: Family, mass: Float, moments: tuple[Float, ...], factors: Factors, params: Params) -> Float:
    """Statistics (S,) from first moments (K, d), and second moments (K, d, d) less covariances times mass."""
    (centres, lower), (first, excess) = factors, moments
    second = excess + mass[:, None, None] * product(lower, np.swapaxes(lower, 1, 2))
    assert base.arrange is not None
    return base.shift(mass, base.arrange(first, second), centres, params.means)


def vary(base: Family) -> Family:
    """The variation of a family for incompletely observed rows."""
    return base._replace(
        name=f"{base.name}.incomplete",
        kernels_of=f"{base.kernel_key}.incomplete",
        log_prob=log_prob,
        accumulate=accumulate,
        load_errors=load_errors,
        prepare=prepare,
        singular=singular,
        n_raw=n_raw,
        finish=functools.partial(finish, base),
        scratch_rows=scratch_rows,
        patterns=PatternAlgebra("gaussian-full", factors_of, marginal, pick, expand, functools.partial(collect, base)),
        log_base=_gaussian.log_base,
        single=None,
        few=None,
    )
