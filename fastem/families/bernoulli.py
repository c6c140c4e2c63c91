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

CERTAIN = 1e300  # in place of the logarithm of infinite odds: see `fastem.kernels.cells`


class Beta(NamedTuple):
    """Conjugate prior of each probability: its density is proportional to p^(ones - 1) (1 - p)^(zeros - 1)."""

    ones: float
    zeros: float


class BernoulliParams(NamedTuple):
    """Probabilities of ones, which are the means; logarithms are of these and of those of zeros."""

    means: Float  # (K, d)
    present: Float  # (K, d), what the logarithm of a one's probability is above that of a zero
    absent: Float  # (K, d), the logarithm of a zero's probability
    log_constant: Float  # (K,), the sum of those that are finite


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
    """Numbers of ones of each component."""
    return n_components * n_features


def params_at(means: Float, variances: Float | None = None) -> BernoulliParams:
    """Components with these probabilities of ones; variances follow from them."""
    return make_params(np.clip(means, 0.0, 1.0))


def m_step(mass: Float, stats: Float, params: BernoulliParams, prior: Prior) -> BernoulliParams:
    """Probabilities are shares of ones; a component without mass keeps its own.

    Numbers that were added and taken away again, as incremental EM does, may leave a rounding error beyond 0 or 1.
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
    """Numbers of ones are about zero."""
    return stats


def expected(mass: Float, stats: Float, params: BernoulliParams) -> float:
    """Expected numbers of ones and zeros times the logarithms of their probabilities."""
    ones = stats.reshape(params.means.shape)
    zeros = np.maximum(mass[:, None] - ones, 0.0)
    present = np.where(ones > 0.0, ones * np.where(ones > 0.0, logarithm(params.means), 0.0), 0.0)
    absent = np.where(zeros > 0.0, zeros * np.where(zeros > 0.0, params.absent, 0.0), 0.0)
    return float(present.sum() + absent.sum())


def pack(params: BernoulliParams) -> Float:
    """Logarithms of odds."""
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
    """Ones times logarithms of odds, and logarithms of the probabilities of zeros.

    Where a one is certain both would be infinite; they are finite and cancel, and what a zero gives is below all else.
    """
    certain = params.absent == -np.inf
    natural, normaliser = np.where(certain, CERTAIN, params.present), np.where(certain, CERTAIN, -params.absent)
    return LinearColumns(natural, normaliser, params.means)


def complaint(probabilities: Float) -> str | None:
    """What is wrong with probabilities to start from."""
    inside = (probabilities >= 0.0) & (probabilities <= 1.0)
    return None if inside.all() else "The parameter 'probabilities' should be in the range [0, 1]"


def draw(probabilities: Float, random_state: np.random.RandomState) -> Float:
    """Zeros and ones."""
    return np.asarray(random_state.uniform(size=probabilities.shape) < probabilities, dtype=np.float64)


def adjust_start(described: dict[str, Float], rows: StartRows) -> dict[str, Float]:
    """Probabilities of zero and one as if half a row had been otherwise.

    Rows that a start has not seen, or has not assigned, would be impossible under every component.
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
