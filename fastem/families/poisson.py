"""Independent Poisson columns."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from fastem.families import _columns_host
from fastem.families._arithmetic import logarithm
from fastem.families._contract import Family, Float, LinearColumns, Prior, embed_rows, safe_ratio, select_rows
from fastem.families._parameters import NON_NEGATIVE, Parameter, vectors
from fastem.kernels.columns import log_densities_counts, weighted_sum
from fastem.kernels.jit import inlined
from fastem.kernels.posterior import active_vectors

EXACT_BELOW = 2.0**17  # x log x has rounding errors of 2e-10 there


class PoissonParams(NamedTuple):
    """Rates with their logarithms; a rate of zero allows only counts of zero."""

    rates: Float  # (K, d)
    log_rates: Float  # (K, d)
    log_constant: Float  # (K,), minus the sum of the rates


def make_params(rates: Float) -> PoissonParams:
    """Complete the parameters from the rates."""
    return PoissonParams(rates, logarithm(rates), -rates.sum(axis=1))


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-densities of a tile, without log x!."""
    log_densities_counts(params.log_rates, params.log_constant, tile, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: expected total counts (d,)."""
    vectors = scratch[-1].view(np.int64)
    for k in range(resp.shape[0]):
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        if active.size > 0:
            weighted_sum(resp[k], active, tile, k * tile.shape[0], stats)


def n_stats(n_features: int, n_components: int) -> int:
    """Number of sums: the total counts in each column of each component."""
    return n_components * n_features


def params_at(means: Float, variances: Float | None = None) -> PoissonParams:
    """Components with the means as rates, which are the variances too."""
    return make_params(means)


def m_step(mass: Float, stats: Float, params: PoissonParams, prior: Prior) -> PoissonParams:
    """Rates are mean counts; a component without mass keeps its rates.

    Incremental EM adds and subtracts counts, so that rounding may leave sums below zero.
    """
    rates = np.maximum(safe_ratio(stats.reshape(params.rates.shape), mass), 0.0)
    return make_params(prior.centre(np.where(mass[:, None] > 0.0, rates, params.rates)))


def shift(mass: Float, stats: Float, means: Float, to: Float) -> Float:
    """Return the statistics: counts are not relative to any means."""
    return stats


def expected(mass: Float, stats: Float, params: PoissonParams) -> float:
    """Expected counts times the logarithms of the rates, less the rates, summed."""
    counts = stats.reshape(params.rates.shape)
    terms = counts * np.where(counts > 0.0, params.log_rates, 0.0)
    return float(mass @ params.log_constant + terms.sum())


def pack(params: PoissonParams) -> Float:
    """Logarithms of the rates, as a vector."""
    return params.log_rates.ravel()


def unpack(vector: Float, params: PoissonParams) -> PoissonParams:
    """Inverse of `pack`."""
    return make_params(np.exp(vector).reshape(params.rates.shape))


def change(before: PoissonParams, after: PoissonParams) -> float:
    """Largest change of a rate, in standard deviations of the counts."""
    larger = np.maximum(before.rates, after.rates)
    return float((np.abs(after.rates - before.rates) / np.sqrt(np.where(larger > 0.0, larger, 1.0))).max())


def log_base(values: NDArray[Any]) -> Float:
    """-sum_j log x_j! of each row."""
    base: Float = -gammaln(values.astype(np.float64) + 1.0).sum(axis=1)
    return base


def in_domain(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are counts."""
    return (values >= 0) & (values == np.floor(values))


def describe(params: PoissonParams) -> dict[str, Float]:
    """The rates."""
    return {"rates": params.rates}


def restore(described: dict[str, Float]) -> PoissonParams:
    """Inverse of `describe`."""
    return make_params(described["rates"])


def complaint(rates: Float) -> str | None:
    """Error message for initial rates that are not valid."""
    return "The parameter 'rates' should be non-negative" if (rates < 0.0).any() else None


def linear(params: PoissonParams) -> LinearColumns:
    """Counts times logarithms of rates, less the rates."""
    return LinearColumns(params.log_rates, params.rates, params.rates)


RATES = Parameter("rates", "kd", NON_NEGATIVE, free=vectors)
HOST = _columns_host.host(
    RATES, complaint, lambda rates: rates, lambda rates, random_state: random_state.poisson(rates)
)


def family() -> Family:
    """Independent Poisson columns."""
    return FAMILY


FAMILY = Family(
    name="poisson",
    log_prob=log_prob,
    accumulate=accumulate,
    n_stats=n_stats,
    params_at=params_at,
    m_step=m_step,
    shift=shift,
    expected=expected,
    select=select_rows,
    embed=embed_rows,
    pack=pack,
    unpack=unpack,
    change=change,
    translation_invariant=False,
    missing="cells",
    log_base=log_base,
    in_domain=in_domain,
    domain="counts (non-negative integers)",
    exact_below=EXACT_BELOW,
    describe=describe,
    restore=restore,
    parameters=(RATES,),
    host=HOST,
    linear=linear,
)
