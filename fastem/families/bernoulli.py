"""Independent columns of zeros and ones."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlog1py, xlogy

from fastem.families import _columns_host
from fastem.families._arithmetic import logarithm
from fastem.families._contract import Family, Float, LinearColumns, Prior, embed_rows, safe_ratio, select_rows
from fastem.families._host import StartRows
from fastem.families._parameters import PROBABILITIES, Parameter, vectors
from fastem.kernels.binary import log_probabilities, weighted_sums
from fastem.kernels.jit import inlined

CERTAIN = 1e300  # stands for the logarithm of infinite odds, see `fastem.kernels.cells`


class Beta(NamedTuple):
    """Conjugate prior of each probability: its density is proportional to p^(ones - 1) (1 - p)^(zeros - 1)."""

    ones: float
    zeros: float


class BernoulliParams(NamedTuple):
    """Probabilities of ones, which are the means, and logarithms of probabilities."""

    means: Float  # (K, d)
    present: Float  # (K, d), log odds of a one, or its log-probability if a zero is impossible
    absent: Float  # (K, d), log-probability of a zero
    log_constant: Float  # (K,), sum of the finite entries of `absent`


def make_params(probabilities: Float) -> BernoulliParams:
    """Complete the parameters from the probabilities of ones."""
    ones, absent = logarithm(probabilities), logarithm(1.0 - probabilities)
    base = np.where(absent > -np.inf, absent, 0.0)
    return BernoulliParams(probabilities, ones - base, absent, base.sum(axis=1))


@inlined
def log_prob(params, tile, scratch, out):  # type: ignore[no-untyped-def]
    """Component log-probabilities of a tile."""
    log_probabilities(params.present, params.absent, params.log_constant, tile, out)


@inlined
def accumulate(params, tile, weight, resp, mass, scratch, stats):  # type: ignore[no-untyped-def]
    """Per component: expected numbers of ones (d,)."""
    weighted_sums(resp, tile, stats)


def n_stats(n_features: int, n_components: int) -> int:
    """Number of sums: the numbers of ones in each column of each component."""
    return n_components * n_features


def params_at(means: Float, variances: Float | None = None) -> BernoulliParams:
    """Components with the means as probabilities of ones, which determine the variances."""
    return make_params(np.clip(means, 0.0, 1.0))


def m_step(mass: Float, stats: Float, params: BernoulliParams, prior: Prior) -> BernoulliParams:
    """Probabilities are shares of ones; a component without mass keeps its probabilities.

    Incremental EM adds and subtracts numbers of ones, so that rounding may leave shares below 0 or above 1.
    """
    ones, size = stats.reshape(params.means.shape), mass
    if prior.conjugate is not None:
        ones, size = ones + (prior.conjugate.ones - 1.0), mass + (prior.conjugate.ones + prior.conjugate.zeros - 2.0)
    shares = np.clip(safe_ratio(ones, size), 0.0, 1.0)
    return make_params(prior.centre(np.where(size[:, None] > 0.0, shares, params.means)))


def log_prior(params: BernoulliParams, conjugate: Any) -> float:
    """Log-density of the probabilities."""
    p, (ones, zeros) = params.means, Beta(*conjugate)
    terms = xlogy(ones - 1.0, p) + xlog1py(zeros - 1.0, -p) - betaln(ones, zeros)
    return float(terms.sum())


def shift(mass: Float, stats: Float, means: Float, to: Float) -> Float:
    """Return the statistics: numbers of ones are not relative to any means."""
    return stats


def expected(mass: Float, stats: Float, params: BernoulliParams) -> float:
    """Expected numbers of ones and zeros, times the logarithms of their probabilities, summed."""
    ones = stats.reshape(params.means.shape)
    zeros = np.maximum(mass[:, None] - ones, 0.0)
    present = np.where(ones > 0.0, ones * np.where(ones > 0.0, logarithm(params.means), 0.0), 0.0)
    absent = np.where(zeros > 0.0, zeros * np.where(zeros > 0.0, params.absent, 0.0), 0.0)
    return float(present.sum() + absent.sum())


def pack(params: BernoulliParams) -> Float:
    """Logarithms of odds, as a vector."""
    return (logarithm(params.means) - params.absent).ravel()


def unpack(vector: Float, params: BernoulliParams) -> BernoulliParams:
    """Inverse of `pack`."""
    with np.errstate(over="ignore"):
        return make_params((1.0 / (1.0 + np.exp(-vector))).reshape(params.means.shape))


def change(before: BernoulliParams, after: BernoulliParams) -> float:
    """Largest change of a probability."""
    return float(np.abs(after.means - before.means).max())


def in_domain(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are zero or one."""
    return (values == 0) | (values == 1)


def linear(params: BernoulliParams) -> LinearColumns:
    """Ones times log odds, plus log-probabilities of zeros.

    Where a one is certain both would be infinite. Large finite numbers stand for them: they cancel for a one, and the
    sum for a zero is so low that `fastem.kernels.cells` makes it -inf.
    """
    certain = params.absent == -np.inf
    natural, normaliser = np.where(certain, CERTAIN, params.present), np.where(certain, CERTAIN, -params.absent)
    return LinearColumns(natural, normaliser, params.means)


def complaint(probabilities: Float) -> str | None:
    """Error message for initial probabilities that are not valid."""
    inside = (probabilities >= 0.0) & (probabilities <= 1.0)
    return None if inside.all() else "The parameter 'probabilities' should be in the range [0, 1]"


def draw(probabilities: Float, random_state: np.random.RandomState) -> Float:
    """Draw zeros and ones."""
    return np.asarray(random_state.uniform(size=probabilities.shape) < probabilities, dtype=np.float64)


def adjust_start(described: dict[str, Float], rows: StartRows) -> dict[str, Float]:
    """Move probabilities of zero and one inwards, as if half a row had had the other value.

    Otherwise rows from which the start was not estimated could be impossible under every component.
    """
    p = described["probabilities"]
    size = (rows.shares * rows.weights.sum())[:, None]
    return {"probabilities": np.where((p > 0.0) & (p < 1.0), p, (size * p + 0.5) / (size + 1.0))}


PROBABILITY = Parameter("probabilities", "kd", PROBABILITIES, free=vectors)
HOST = _columns_host.host(PROBABILITY, complaint, lambda p: p * (1.0 - p), draw)._replace(adjust_start=adjust_start)


def family() -> Family:
    """Independent columns of zeros and ones."""
    return FAMILY


FAMILY = Family(
    name="bernoulli",
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
    describe=lambda params: {"probabilities": params.means},
    restore=lambda described: make_params(described["probabilities"]),
    parameters=(PROBABILITY,),
    host=HOST,
    linear=linear,
    translation_invariant=False,
    missing="cells",
    in_domain=in_domain,
    domain="zeros and ones",
    log_prior=log_prior,
    single=lambda params: 1.0,
)
