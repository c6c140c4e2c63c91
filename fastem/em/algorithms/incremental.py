"""Incremental EM: new statistics of each block of rows replace its old ones, and an M-step follows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastem.data import PARALLEL_WORK, Mixture, Sweep
from fastem.data.numeric import is_whole
from fastem.em.algorithms.base import Scheme, Step
from fastem.em.problem import Problem

BLOCK_WORK = 500_000  # rows times statistics of a block at least: less takes less time than the M-step that follows
FEW = 8  # number of blocks that saves most of the passes that can be saved
MEMORY = 2**25  # largest size of all blocks' statistics in bytes


class Incremental(NamedTuple):
    """Incremental EM: sufficient statistics are kept for each block of rows, and an M-step follows each block.

    Guarantee: F never falls. Memory: `n_blocks` times the statistics of one pass, no more than 32 MiB by default. Use
    it on large samples that need many iterations: it takes about half the passes of batch EM. The first pass is batch
    EM's.

    Parameters
    ----------
    n_blocks : int, default=None
        Number of blocks. None takes n_samples ** 0.4, as Ng and McLachlan advise, or fewer, so that a block takes
        longer than an M-step and, if the data are large enough, gives work to all threads.
    order : {'cyclic', 'random'}, default='cyclic'
        Blocks one after the other, or in a new random order in each pass, which needs an array. Blocks are runs of
        rows: shuffle data that are sorted.

    References
    ----------
    R. M. Neal and G. E. Hinton (1998), A view of the EM algorithm that justifies incremental, sparse, and other
    variants, in Learning in Graphical Models, 355-368.
    S. K. Ng and G. J. McLachlan (2003), On the choice of the number of blocks with the incremental EM algorithm for the
    fitting of normal mixtures, Statistics and Computing 13, 45-55.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import GaussianMixture, Incremental
    >>> X = np.random.default_rng(0).normal(size=(1000, 2)) + 4 * np.arange(2).repeat([400, 600])[:, None]
    >>> model = GaussianMixture(2, algorithm=Incremental(n_blocks=4), random_state=0).fit(X)
    >>> sorted(model.weights_.round(2).tolist())
    [0.4, 0.6]
    """

    n_blocks: int | None = None
    order: str = "cyclic"

    def scheme(self, random_state: np.random.RandomState) -> Scheme:
        """One step is a pass over all blocks."""
        if self.n_blocks is not None and not is_whole(self.n_blocks, least=1):
            raise ValueError(f"n_blocks must be None or an integer above 0, not {self.n_blocks!r}")
        if self.order not in ("cyclic", "random"):
            raise ValueError(f"order must be 'cyclic' or 'random', not {self.order!r}")

        def init(problem: Problem, start: Mixture) -> _State:
            if self.order == "random":
                problem.check_array("order='random' reads blocks here and there")
            n_blocks = default_blocks(problem, start) if self.n_blocks is None else self.n_blocks
            return _State(start, min(n_blocks, problem.source.most_blocks), (), (), None)

        def step(problem: Problem, state: _State) -> Step:
            if not state.sweeps:
                return _first_pass(problem, state)
            order = range(state.n_blocks) if self.order == "cyclic" else random_state.permutation(state.n_blocks)
            return _pass(problem, state, [int(b) for b in order])

        return Scheme(init, step)


class _State(NamedTuple):
    """Mixture, number of blocks, their statistics about common means, and entropies of their responsibilities."""

    mixture: Mixture
    n_blocks: int
    sweeps: tuple[Sweep, ...]
    entropies: tuple[float, ...]
    means: Any


def default_blocks(problem: Problem, mixture: Mixture) -> int:
    """Number of blocks if the user gives none."""
    n_rows = problem.source.n_rows
    n_stats = problem.n_stats(mixture)
    work = n_rows * (n_stats + 8)
    if work < 2 * PARALLEL_WORK:
        by_work = min(work // BLOCK_WORK, FEW)
    else:  # each block gives work to all threads
        by_work = max(work // (8 * PARALLEL_WORK), min(work // PARALLEL_WORK, FEW))
    return max(1, min(round(n_rows**0.4), by_work, MEMORY // (8 * n_stats)))


def _first_pass(problem: Problem, state: _State) -> Step:
    """An iteration of batch EM that keeps the statistics of each block."""
    mixture = state.mixture
    means = problem.means(mixture)
    sweeps = tuple(expect(mixture) for expect in problem.blocks(state.n_blocks, range(state.n_blocks)))
    total = _total(sweeps)
    entropies = tuple(sweep.log_likelihood - problem.complete(sweep, means, mixture) for sweep in sweeps)
    after = problem.maximise(total, mixture, kept=True)
    return Step(
        state._replace(mixture=after, sweeps=sweeps, entropies=entropies, means=means),
        after,
        problem.lower_bound(total.log_likelihood, mixture),
        1.0,
    )


def _pass(problem: Problem, state: _State, order: list[int]) -> Step:
    """One pass: for each block its E-step, then an M-step on the statistics of all blocks."""
    mixture, means = state.mixture, problem.means(state.mixture)
    sweeps = [problem.shift(sweep, state.means, means) for sweep in state.sweeps]  # to avoid cancellation
    total = _total(sweeps)  # summed again in each pass, as rounding errors of differences add up
    entropies = list(state.entropies)
    bound, at = -np.inf, mixture
    for b, expect in zip(order, problem.blocks(state.n_blocks, order), strict=True):
        here = problem.about(mixture, means)
        sweep = expect(here)
        total = _exchanged(total, sweeps[b], sweep)
        own = problem.complete(sweep, means, mixture)
        sweeps[b], entropies[b] = sweep, sweep.log_likelihood - own
        if b == order[-1]:
            others = sum(entropies) - entropies[b]
            bound = (problem.complete(total, means, mixture) - own) + sweep.log_likelihood + others
            at = mixture
        mixture = problem.maximise(total, here, kept=True)
    after = _State(mixture, state.n_blocks, tuple(sweeps), tuple(entropies), means)
    return Step(after, mixture, problem.lower_bound(bound, at), 1.0)


def _total(sweeps: Sequence[Sweep]) -> Sweep:
    """Sum over the blocks."""
    mass = np.sum([sweep.mass for sweep in sweeps], axis=0)
    stats = np.sum([sweep.stats for sweep in sweeps], axis=0)
    return Sweep(mass, stats, float(sum(sweep.log_likelihood for sweep in sweeps)))


def _exchanged(total: Sweep, old: Sweep, new: Sweep) -> Sweep:
    """The total with one block's statistics replaced; masses that rounding makes negative become zero."""
    return Sweep(
        np.maximum(total.mass - old.mass, 0.0) + new.mass,
        (total.stats - old.stats) + new.stats,
        (total.log_likelihood - old.log_likelihood) + new.log_likelihood,
    )
