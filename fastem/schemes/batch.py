"""Batch EM: every step is one E-step over all rows and one M-step (Dempster, Laird and Rubin, 1977)."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fastem.problem import Problem
from fastem.sources import Mixture


class Step(NamedTuple):
    """What a step reports: the state after it, the bound before it, and how much of the data it read."""

    state: Any
    mixture: Mixture
    lower_bound: float
    passes: float


class Scheme(NamedTuple):
    """A scheme as a value: `init` makes its state from a start, `step` moves it on."""

    init: Callable[[Problem, Mixture], Any]
    step: Callable[[Problem, Any], Step]


def init(problem: Problem, start: Mixture) -> Mixture:
    """Batch EM carries nothing but the mixture."""
    return start


def step(problem: Problem, state: Mixture) -> Step:
    """One iteration; never lowers the bound."""
    sweep = problem.expect(state)
    mixture = problem.maximise(sweep, state)
    return Step(mixture, mixture, problem.lower_bound(sweep), 1.0)


BATCH = Scheme(init, step)
