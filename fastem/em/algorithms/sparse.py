"""Sparse EM: most responsibilities are frozen for many iterations (Neal and Hinton, 1998, section 5).

A full E-step sorts the rows by their most probable component into segments, and chooses for each segment the
components that are plausible for its rows. Until the next full E-step, E-steps visit only these components: a segment's
rows go through the usual pass, with the parameters of its components. As weight, each row has the sum of its
responsibilities for them. The responsibilities for other components make up a constant part of the statistics.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data import Marks, Mixture, Sweep
from fastem.data.numeric import is_real, is_whole
from fastem.em.algorithms.base import Scheme, Step
from fastem.em.problem import Problem
from fastem.engine.threads import Result, Task, pipelined

SEGMENT_ROWS = 4096  # rows of a segment at most
SAMPLE_ROWS = 100  # rows for each component, on average, by which plausible components are chosen
TASK_WORK = 20_000  # responsibilities of a segment, on average: with fewer, threads wait for Python
LARGEST = 1e6  # absolute log-likelihood of a row beyond which a bound computed by differences loses its digits
PRECISE = 1e-9  # largest relative rounding error of variances from moments about other means
FIRST_STEPS, MOST_STEPS = 4, 64  # sparse steps after the first full one, and at most; their number doubles each time


class Sparse(NamedTuple):
    """Sparse EM: responsibilities of implausible components are frozen between occasional full E-steps.

    Guarantee: F never falls, and the final `lower_bound_` is the mean log-likelihood of a row, from a full E-step.
    Memory: a copy of the rows, sorted, and two numbers per row. Use it for tens to hundreds of components, of which few
    are plausible for a row: it saves nothing if half of them are.

    Parameters
    ----------
    threshold : float, default=3e-3
        A component is plausible for the rows whose most probable component is another one if its mean responsibility
        for them is above this threshold. A larger threshold makes iterations faster, but more of them are needed. With
        0, iterations are those of batch EM.
    n_steps : int, default=None
        Number of sparse steps between full ones. None begins with 4, and doubles the number each time, up to 64.

    References
    ----------
    R. M. Neal and G. E. Hinton (1998), A view of the EM algorithm that justifies incremental, sparse, and other
    variants, in Learning in Graphical Models, 355-368.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import GaussianMixture
    >>> X = np.random.default_rng(0).normal(size=(1000, 2)) + 9 * np.arange(4).repeat(250)[:, None]
    >>> model = GaussianMixture(4, algorithm="sparse", random_state=0).fit(X)
    >>> model.weights_.round(2).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """

    threshold: float = 3e-3
    n_steps: int | None = None

    def scheme(self, random_state: np.random.RandomState) -> Scheme:
        """A step is a full E-step or a sparse one, and an M-step."""
        if not (is_real(self.threshold) and 0.0 <= self.threshold < 1.0):
            raise ValueError(f"threshold must be at least 0 and below 1, not {self.threshold!r}")
        if self.n_steps is not None and not is_whole(self.n_steps, least=0):
            raise ValueError(f"n_steps must be None or an integer, at least 0, not {self.n_steps!r}")

        def init(problem: Problem, start: Mixture) -> _State:
            problem.check_array("algorithm='sparse' keeps a sorted copy of the rows")
            return _State(start, None, 0, FIRST_STEPS if self.n_steps is None else self.n_steps)

        def step(problem: Problem, state: _State) -> Step:
            result = None if state.frozen is None else _sparse_step(problem, state, state.frozen)
            if result is None:
                return _full_step(problem, state.mixture, self.threshold, state.n_steps)
            if result.state.done < state.n_steps:
                return result
            n_steps = min(2 * state.n_steps, MOST_STEPS) if self.n_steps is None else self.n_steps
            return result._replace(state=_State(result.mixture, None, 0, n_steps), portable=True)

        return Scheme(init, step)


class _Segment(NamedTuple):
    """Rows, each weighted by the sum of its responsibilities for `components`."""

    problem: Problem
    components: NDArray[np.intp]


class _Frozen(NamedTuple):
    """Results of a full E-step that sparse steps use."""

    segments: list[_Segment]
    outside: Sweep  # statistics about `means` of the responsibilities for components outside each row's segment
    means: Any
    constant: float  # part of the bound: entropies of frozen responsibilities and of the segments' shares
    work: int  # number of responsibilities that a sparse step computes


class _State(NamedTuple):
    """Parameters, and how many of `n_steps` sparse steps are done since the last full one."""

    mixture: Mixture
    frozen: _Frozen | None
    done: int
    n_steps: int


def _full_step(problem: Problem, mixture: Mixture, threshold: float, n_steps: int) -> Step:
    """A batch EM step that also chooses the responsibilities to freeze."""
    sweep, marks = problem.marked(mixture)
    after = problem.maximise(sweep, mixture, kept=True)
    bound = problem.lower_bound(sweep.log_likelihood, mixture)
    if n_steps == 0 or abs(sweep.log_likelihood) > LARGEST * problem.source.total_weight:
        return Step(_State(after, None, 0, n_steps), after, bound, 1.0)
    frozen = _freeze(problem, mixture, sweep, marks, threshold)
    passes = 1.0 + 2.0 * _passes(problem, mixture, frozen.work)
    return Step(_State(after, frozen, 0, n_steps), after, bound, passes, portable=False)


def _sparse_step(problem: Problem, state: _State, frozen: _Frozen) -> Step | None:
    """An E-step of plausible components, and an M-step of all; None if the statistics lose too many digits."""
    inside = _visit(problem, state.mixture, frozen.segments, frozen.means, frozen.work)
    total = inside + frozen.outside
    frozen_part = problem.complete(frozen.outside, frozen.means, state.mixture) + frozen.constant
    bound = problem.lower_bound(inside.log_likelihood + frozen_part, state.mixture)
    after = problem.maximise(total, problem.about(state.mixture, frozen.means), kept=True)
    if _cancels(problem, frozen.means, after):
        return None
    passes = _passes(problem, after, frozen.work)
    state = state._replace(mixture=after, done=state.done + 1)
    return Step(state, after, bound, passes, settled=False, exact=False, portable=False)


def _cancels(problem: Problem, means: Any, mixture: Mixture) -> bool:
    """Whether a component is so narrow, and so far from the means of its moments, that its variances lose digits."""
    if problem.family.single is None or not problem.family.translation_invariant:
        return False
    moved = float(np.abs(mixture.params.means - means).max()) * problem.family.single(mixture.params)
    return float(np.finfo(np.float64).eps) * moved**2 > PRECISE


def _passes(problem: Problem, mixture: Mixture, work: int) -> float:
    """Work, in responsibilities, as a fraction of a full E-step."""
    return float(work / (problem.source.n_rows * mixture.weights.size))


def _freeze(problem: Problem, mixture: Mixture, sweep: Sweep, marks: Marks, threshold: float) -> _Frozen:
    """Sort rows into segments, choose their components, and separate the statistics inside and outside these."""
    means = problem.means(mixture)
    order = np.argsort(marks.labels, kind="stable")
    ordered, densities = problem.reordered(order), marks.densities[order]
    sets = _plausible(problem, mixture, marks.labels, threshold)
    ends = np.searchsorted(marks.labels[order], np.arange(mixture.weights.size + 1))
    runs = [
        (slice(start, min(start + SEGMENT_ROWS, last)), components)
        for (first, last), components in zip(itertools.pairwise(ends), sets, strict=True)
        for start in range(first, last, SEGMENT_ROWS)
    ]

    def segment(run: tuple[slice, NDArray[np.intp]]) -> _Segment:
        rows, components = run
        inside = ordered.part(rows).among(components).densities(_selected(problem, mixture, components))
        with np.errstate(invalid="ignore"):
            share = np.exp(np.minimum(inside - densities[rows], 0.0), dtype=np.float64)
        share = np.where(densities[rows] > -np.inf, share, 0.0)  # a row that no component allows has no weight
        return _Segment(ordered.part(rows, share).among(components), components)

    work = sum((rows.stop - rows.start) * len(components) for rows, components in runs)
    segments = _each(segment, runs, work)
    inside = _visit(problem, mixture, segments, means, work)
    outside = Sweep(np.maximum(sweep.mass - inside.mass, 0.0), sweep.stats - inside.stats, 0.0)
    constant = sweep.log_likelihood - inside.log_likelihood - problem.complete(outside, means, mixture)
    return _Frozen(segments, outside, means, constant, work)


def _plausible(
    problem: Problem, mixture: Mixture, labels: NDArray[np.int64], threshold: float
) -> list[NDArray[np.intp]]:
    """Components that are plausible for the rows of each label, chosen from a sample of the rows."""
    n_components = mixture.weights.size
    everything = np.arange(n_components)
    always = everything[-1:] if problem.family.background else everything[:0]
    if threshold == 0.0:
        return [everything] * n_components
    some = slice(None, None, max(1, len(labels) // (SAMPLE_ROWS * n_components)))
    responsibilities, labels = problem.part(some).responsibilities(mixture), labels[some]
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(n_components + 1))
    sets = []
    for k, (first, last) in enumerate(itertools.pairwise(ends)):
        found = responsibilities[order[first:last]]
        sets.append(
            np.union1d(np.flatnonzero(found.mean(axis=0) > threshold), [k, *always]) if len(found) else everything
        )
    return sets


def _selected(problem: Problem, mixture: Mixture, components: NDArray[np.intp]) -> Mixture:
    """Some components of a mixture, with their weights as they are."""
    return Mixture(mixture.weights[components], problem.family.select(mixture.params, components))


def _each(function: Callable[[Task], Result], tasks: list[Task], work: int) -> list[Result]:
    """Results for all segments, on all threads if there is enough work: `work` is the number of responsibilities."""
    return list(map(function, tasks) if work < TASK_WORK * len(tasks) else pipelined(function, tasks))


def _visit(problem: Problem, mixture: Mixture, segments: list[_Segment], means: Any, work: int) -> Sweep:
    """Statistics about `means` of each segment's rows in its components."""
    family, n_features, n_components = problem.family, problem.source.n_features, mixture.weights.size
    mass = np.zeros(n_components)
    stats = np.zeros(problem.n_stats(mixture))
    log_likelihood = 0.0
    about = problem.about(mixture, means)

    def visit(segment: _Segment) -> Sweep:
        return segment.problem.expect(_selected(problem, about, segment.components))

    for segment, sweep in zip(segments, _each(visit, segments, work), strict=True):
        mass[segment.components] += sweep.mass
        family.embed(sweep.stats, segment.components, stats, n_features, n_components)
        log_likelihood += sweep.log_likelihood
    return Sweep(mass, stats, log_likelihood)
