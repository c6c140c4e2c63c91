"""Batch EM (Dempster, Laird and Rubin, 1977) and variants whose steps are one E-step over all rows and one M-step."""

from typing import NamedTuple

import numpy as np

from fastem.data import Mixture
from fastem.em.algorithms.base import Scheme, Step
from fastem.em.problem import Problem

KEYS = 2**62


def init(problem: Problem, start: Mixture) -> Mixture:
    """The state of batch EM is the mixture."""
    return start


def step(problem: Problem, state: Mixture, *, key: int = 0) -> Step:
    """One iteration. It never lowers the bound, except under a policy that draws components, which `key` seeds."""
    sweep = problem.expect(state, key=key)
    mixture = problem.maximise(sweep, state)
    return Step(mixture, mixture, problem.bound(sweep, state, mixture), 1.0)


BATCH = Scheme(init, step)


class Hard(NamedTuple):
    """Classification EM: every row belongs wholly to its most probable component.

    With spherical components of equal weights and variances this is k-means.

    Guarantee: F, here the complete-data log-likelihood of the best assignment, never falls. It is not the likelihood:
    estimates are biased where components overlap. Memory: that of batch EM. Use it for well separated clusters, or as a
    start: it ends in few iterations.

    References
    ----------
    G. Celeux and G. Govaert (1992), A classification EM algorithm for clustering and two stochastic versions,
    Computational Statistics & Data Analysis 14, 315-332.
    """

    def scheme(self, random_state: np.random.RandomState) -> Scheme:
        """The steps of batch EM under another posterior policy."""
        return Scheme(init, step, policy="hard")


class Stochastic(NamedTuple):
    """Stochastic EM: every row belongs wholly to one component, drawn anew from its posterior in each iteration.

    Guarantee: none; parameters fluctuate around a maximum of the likelihood, and leave saddle points and small local
    maxima. `lower_bounds_` holds F of each draw, which rises and falls: choose `max_iter` rather than `tol`. The final
    `lower_bound_` is the mean log-likelihood of a row. Memory: that of batch EM. Use it where batch EM ends in poor
    maxima.

    References
    ----------
    G. Celeux and J. Diebolt (1985), The SEM algorithm: a probabilistic teacher algorithm derived from the EM algorithm
    for the mixture problem, Computational Statistics Quarterly 2, 73-82.
    """

    def scheme(self, random_state: np.random.RandomState) -> Scheme:
        """Batch steps with fresh random numbers in each."""

        def sampled_step(problem: Problem, state: Mixture) -> Step:
            key = int(random_state.randint(KEYS, dtype=np.int64))
            return step(problem, state, key=key)._replace(exact=False)

        return Scheme(init, sampled_step, policy="sampled")


class Batch(NamedTuple):
    """Batch EM: an E-step over all rows, then an M-step.

    Guarantee: the likelihood never falls. Memory: some hundred kilobytes per thread, whatever the number of rows.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm,
    Journal of the Royal Statistical Society B 39, 1-38.
    """

    def scheme(self, random_state: np.random.RandomState) -> Scheme:
        """The scheme itself."""
        return BATCH
