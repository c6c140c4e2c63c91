"""The form of a scheme: it makes a state from a start, and a step advances the state."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Step(NamedTuple):
    """Result of a step.

    Attributes
    ----------
    state : object
        The scheme's state after it.
    mixture : Mixture
        The parameters after it; a vector if the EM is not of a mixture.
    lower_bound : float
        Lower bound F per row at the parameters before it, for the responsibilities of its E-step.
    passes : float
        Work of the step, in E-steps of all components on all rows.
    settled : bool
        Whether a fit may end here if the bound no longer changes.
    exact : bool
        Whether `lower_bound` is of a full E-step; if not, the driver evaluates the last parameters once more.
    portable : bool
        Whether the state is small and free of rows, so that it can be kept in a file.
    change : float, optional
        Change that decides on convergence; None takes the change of the bound.
    """

    state: Any
    mixture: Any
    lower_bound: float
    passes: float
    settled: bool = True
    exact: bool = True
    portable: bool = True
    change: float | None = None


class Scheme(NamedTuple):
    """A scheme as a value: `init` makes its state from a start, and `step` advances it."""

    init: Callable[[Any, Any], Any]  # of a problem and a start
    step: Callable[[Any, Any], Step]  # of a problem and a state
    policy: str = "soft"  # how densities become responsibilities: a name in `fastem.kernels.posterior`
