"""Poisson components of large counts, whose log-probabilities would cancel.

log p(x | rate) is x log rate - rate - log x!, of which each term may be 1e16 where the sum is -20. So components have
minus half the deviance, x log(x / rate) - (x - rate), which is zero where x is the rate, and what all of them share is
the log-probability of x at a rate of x:

    log p(x | x) = -log(2 pi x) / 2 - delta(x),    delta(x) = log x! - (x + 1/2) log x + x - log(2 pi) / 2,

where delta has the series of Stirling. C. Loader (2000), Fast and accurate computation of binomial probabilities.

Made from the Poisson family, or from its variation for missing cells: parameters, statistics and M-step are theirs. It
takes longer, and is for counts that lose digits otherwise (`Family.exact_below`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from fastem.families._contract import Family, Float, Params
from fastem.kernels import cells
from fastem.kernels.jit import inlined

HALF_LOG_2_PI = 0.5 * np.log(2.0 * np.pi)
SERIES = 16.0  # and larger: Stirling's series has an error of 1e-14


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-probabilities of a tile over the largest that each row could have."""
    cells.log_deviances(params.rates, params.log_rates, params.log_constant, tile, out)


def prepare(params: Params, rows: Any) -> Params:
    """The rates; nothing of a density is constant."""
    return params._replace(log_constant=np.zeros_like(params.log_constant))


def log_base(values: NDArray[Any]) -> Float:
    """Largest log-probability that each row could have; missing counts have none."""
    x = values.astype(np.float64)
    positive = x > 0.0
    terms = -0.5 * np.log(np.where(positive, x, 1.0)) - HALF_LOG_2_PI - _delta(np.where(positive, x, 1.0))
    base: Float = np.where(positive, terms, 0.0).sum(axis=1)
    return base


def _delta(x: Float) -> Float:
    """Error of Stirling's formula for log x!, of positive x."""
    inverse = 1.0 / np.maximum(x, SERIES)
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    small = np.minimum(x, SERIES)
    return np.where(x >= SERIES, series, gammaln(small + 1.0) - (small + 0.5) * np.log(small) + small - HALF_LOG_2_PI)


def vary(base: Family) -> Family:
    """The family for rows some of whose counts are large."""
    return base._replace(
        name=f"{base.name}.deviance",
        kernels_of=f"{base.kernel_key}.deviance",
        log_prob=log_prob,
        prepare=prepare,
        log_base=log_base,
    )
