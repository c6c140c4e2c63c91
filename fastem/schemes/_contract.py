"""What a scheme is: the state it makes from a start, and the step that moves it on."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fastem.problem import Problem
from fastem.sources import Mixture


class Step(NamedTuple):
    """What a step reports.

    Attributes
    ----------
    state : object
        The scheme's state after it.
    mixture : Mixture
        The parameters after it.
    lower_bound : float
        F per row at the parameters before it, for the responsibilities of its E-step.
    passes : float
        How much of the data it read, in E-steps of all components on all rows.
    settled : bool
        Whether a fit may end here if the bound no longer changes.
    exact : bool
        Whether `lower_bound` is of a full E-step; if not, the driver evaluates the last parameters once more.
    """

    state: Any
    mixture: Mixture
    lower_bound: float
    passes: float
    settled: bool = True
    exact: bool = True


class Scheme(NamedTuple):
    """A scheme as a value: `init` makes its state from a start, `step` moves it on."""

    init: Callable[[Problem, Mixture], Any]
    step: Callable[[Problem, Any], Step]
    policy: str = "soft"  # how densities become responsibilities: a name in `fastem.kernels.posterior`
