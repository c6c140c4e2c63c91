"""Poisson components for large counts, whose log-probabilities would lose digits by cancellation.

The terms of log p(x | rate) = x log rate - rate - log x! may each be 1e16 where their sum is -20. So component
log-densities are minus half the deviance, x log(x / rate) - (x - rate), which is zero at x = rate. The term common to
all components is the log-probability of x at the rate x:

    log p(x | x) = -log(2 pi x) / 2 - delta(x),    delta(x) = log x! - (x + 1/2) log x + x - log(2 pi) / 2,

where delta is computed by Stirling's series. C. Loader (2000), Fast and accurate computation of binomial probabilities.

The variation keeps the parameters, statistics and M-step of the Poisson family, or of its variation for missing cells.
It is slower, so it is used only for counts that would lose digits otherwise (`Family.exact_below`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from fastem.families._contract import Family, Float, Params
from fastem.kernels import cells
from fastem.kernels.jit import inlined

HALF_LOG_2_PI = 0.5 * np.log(2.0 * np.pi)
SERIES = 16.0  # from here on Stirling's series has an error of 1e-14


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-probabilities of a tile, less the largest that any rates could give to the row."""
    cells.log_deviances(params.rates, params.log_rates, params.log_constant, tile, out)


def prepare(params: Params, rows: Any) -> Params:
    """The parameters, with zeros as constants of the densities."""
    return params._replace(log_constant=np.zeros_like(params.log_constant))


def log_base(values: NDArray[Any]) -> Float:
    """Largest log-probability (n,) that any rates could give to each row (n, d), without missing counts."""
    x = values.astype(np.float64)
    positive = x > 0.0
    terms = -0.5 * np.log(np.where(positive, x, 1.0)) - HALF_LOG_2_PI - _delta(np.where(positive, x, 1.0))
    base: Float = np.where(positive, terms, 0.0).sum(axis=1)
    return base


def _delta(x: Float) -> Float:
    """Error of Stirling's formula for log x!, for positive x (n, d)."""
    inverse = 1.0 / np.maximum(x, SERIES)
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    small = np.minimum(x, SERIES)
    return np.where(x >= SERIES, series, gammaln(small + 1.0) - (small + 0.5) * np.log(small) + small - HALF_LOG_2_PI)


def vary(base: Family) -> Family:
    """The variation of a family for rows with large counts."""
    return base._replace(
        name=f"{base.name}.deviance",
        kernels_of=f"{base.kernel_key}.deviance",
        log_prob=log_prob,
        prepare=prepare,
        log_base=log_base,
    )
