"""Stepwise EM: statistics are a running average over batches, and an M-step follows each."""

import math
from typing import Any, NamedTuple

import numpy as np

from fastem.data import Mixture, Sweep
from fastem.data.numeric import is_real, is_whole
from fastem.em.algorithms.accelerated import MixtureSpace
from fastem.em.algorithms.base import Scheme, Step
from fastem.em.algorithms.extrapolation import Vector
from fastem.em.problem import Problem

BATCH_ROWS = 2048  # rows of a batch at least, if the user gives none
BATCH_ROWS_A_MEAN = 10  # the same for each of the numbers in the means and weights


class Stepwise(NamedTuple):
    """Stepwise (online) EM: an M-step after each batch of rows, on statistics that forget old batches slowly.

    The statistics are s <- (1 - eta) s + eta s_batch with eta = (number of batches + offset) ** -exponent.

    Guarantee: none for a step; for exponents above 0.5 and rows in random order the parameters converge to a maximum
    of the likelihood. `lower_bounds_` holds, for each pass, the mean log-likelihood of the rows at the parameters with
    which each was read; the final `lower_bound_` is that of the last parameters. Memory: one batch and one pass's
    statistics. Use it on samples so large that you can afford only one or two passes, and for streams (`partial_fit`).

    Parameters
    ----------
    batch_size : int, default=None
        Rows of a batch; None takes 10 n_components (n_features + 1), at least 2048. Rows of a batch lie at equal
        distances in the data, so sorted data do no harm; those from a source lie in one block.
    exponent : float, default=0.6
        Between 0.5, which forgets fast, and 1, which weighs all batches alike. 0 forgets all but the last batch.
    offset : float, default=2
        A larger offset makes the first steps smaller.
    averaging : bool, default=False
        Whether the result is the average of the parameters after all batches from the second pass on (Polyak and
        Ruppert), rather than the last ones. `partial_fit` has no passes, so it does not average.

    References
    ----------
    O. Cappe and E. Moulines (2009), On-line expectation-maximization algorithm for latent data models, Journal of the
    Royal Statistical Society B 71, 593-613.
    P. Liang and D. Klein (2009), Online EM for unsupervised models, Proceedings of NAACL-HLT, 611-619.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import GaussianMixture, Stepwise
    >>> X = np.random.default_rng(0).normal(size=(10000, 2)) + 6 * np.arange(2).repeat([4000, 6000])[:, None]
    >>> model = GaussianMixture(2, algorithm=Stepwise(batch_size=500), tol=0.1, random_state=0).fit(X)
    >>> sorted(model.weights_.round(1).tolist())
    [0.4, 0.6]
    """

    batch_size: int | None = None
    exponent: float = 0.6
    offset: float = 2.0
    averaging: bool = False

    def check(self) -> None:
        """Raise ValueError for an option that is out of range."""
        if self.batch_size is not None and not is_whole(self.batch_size, least=1):
            raise ValueError(f"batch_size must be None or an integer above 0, not {self.batch_size!r}")
        if not (is_real(self.exponent) and 0.0 <= self.exponent <= 1.0):
            raise ValueError(f"exponent must be between 0 and 1, not {self.exponent!r}")
        if not (is_real(self.offset) and self.offset >= 0.0):
            raise ValueError(f"offset must not be negative, not {self.offset!r}")
        if not isinstance(self.averaging, bool | np.bool_):
            raise ValueError(f"averaging must be True or False, not {self.averaging!r}")

    def scheme(self, random_state: np.random.RandomState) -> Scheme:
        """One step is a pass over all batches, in random order."""
        self.check()

        def step(problem: Problem, state: State) -> Step:
            climbed, total_weight = 0.0, problem.source.total_weight
            for part in problem.batches(self.rows(problem, state.mixture), random_state):
                if not part.source.total_weight > 0.0:
                    continue
                climbed += problem.log_prior(state.mixture) * (part.source.total_weight / total_weight)
                state, found = self.update(part, state, total_weight)
                climbed += found
            bound = (climbed + problem.base) / total_weight
            state = state._replace(n_passes=state.n_passes + 1)
            return Step(state, state.result(problem), bound, 1.0, exact=False)

        return Scheme(lambda problem, start: begin(start), step)

    def rows(self, problem: Problem, mixture: Mixture) -> int:
        """Number of rows of a batch."""
        if self.batch_size is not None:
            return self.batch_size
        return max(BATCH_ROWS, BATCH_ROWS_A_MEAN * mixture.weights.size * (problem.source.n_features + 1))

    def eta(self, n_batches: int) -> float:
        """Weight of the next batch after `n_batches` of them, at least one."""
        return float((n_batches + self.offset) ** -self.exponent)

    def update(self, problem: Problem, state: "State", at_most: float = math.inf) -> tuple["State", float]:
        """State after a batch, and the batch's log-likelihood at the parameters before it.

        A prior is combined with the total weight of the rows seen so far, but no more than `at_most`: rows that are
        read again do not count again.
        """
        mixture = state.mixture
        means = problem.means(mixture)
        weight = problem.source.total_weight
        sweep = problem.expect(mixture)
        seen = state.seen + weight
        statistics, total = _scaled(sweep, 1.0 / weight), sweep
        eta = 1.0 if state.statistics is None else self.eta(state.n_batches)
        if state.statistics is not None and eta < 1.0:
            kept = problem.shift(state.statistics, state.means, means)
            statistics = _scaled(kept, 1.0 - eta) + _scaled(statistics, eta)
            total = _scaled(statistics, seen)
        if problem.prior.informative:
            total = _scaled(statistics, min(seen, at_most))
        mixture = problem.maximise(total, mixture, kept=True)
        average, n_averaged = state.average, state.n_averaged
        if self.averaging and state.n_passes > 0:
            vector = MixtureSpace(problem).pack(mixture)
            average = vector if average is None else _averaged(average, vector, n_averaged + 1)
            n_averaged += 1
        after = State(mixture, statistics, means, state.n_batches + 1, state.n_passes, seen, average, n_averaged)
        return after, sweep.log_likelihood


class State(NamedTuple):
    """Parameters, running statistics per unit of weight about `means`, numbers of batches and passes, and averages."""

    mixture: Mixture
    statistics: Sweep | None
    means: Any
    n_batches: int
    n_passes: int
    seen: float
    average: Any
    n_averaged: int

    def result(self, problem: Problem) -> Mixture:
        """The parameters, or their average."""
        if self.average is None:
            return self.mixture
        return MixtureSpace(problem).unpack(self.average, self.mixture)


def begin(start: Mixture) -> State:
    """State before the first batch."""
    return State(start, None, None, 0, 0, 0.0, None, 0)


def _averaged(average: Vector, vector: Vector, count: int) -> Vector:
    """Average of `count` vectors, the last of them `vector`; a parameter at its boundary, -inf, stays there."""
    at_boundary = np.isneginf(average) | np.isneginf(vector)
    with np.errstate(invalid="ignore"):
        return np.where(at_boundary, -np.inf, average + (vector - average) / count)


def _scaled(sweep: Sweep, factor: float) -> Sweep:
    """Statistics multiplied by a factor."""
    return Sweep(sweep.mass * factor, sweep.stats * factor, sweep.log_likelihood * factor)
