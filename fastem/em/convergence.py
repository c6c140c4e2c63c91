"""Rules of convergence, each of which measures how far a run is from convergence.

A run ends when the measure is below `tol` and the algorithm allows it. Measures do not depend on the units of the data
or on the order of the components.

References
----------
D. Böhning, E. Dietz, R. Schaub, P. Schlattmann and B. G. Lindsay (1994), The distribution of the likelihood ratio for
mixtures of densities from the one-parameter exponential family, Annals of the Institute of Statistical Mathematics 46,
373-388; P. D. McNicholas, T. B. Murphy, A. F. McDaid and D. Frost (2010), Serial and parallel implementations of
model-based clustering via parsimonious Gaussian mixture models, Computational Statistics and Data Analysis 54, 711-723.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Iteration(NamedTuple):
    """The data of an iteration that a rule uses.

    Attributes
    ----------
    problem : Problem
    before, after : Mixture
        The parameters that it began and ended with.
    bounds : list of float
        Lower bounds of the run so far; the last is that of this iteration.
    change : float
        Change of the bound, or the change that the algorithm reports in its place.
    """

    problem: Any
    before: Any
    after: Any
    bounds: list[float]
    change: float


def by_bound(iteration: Iteration) -> float:
    """Change of the lower bound."""
    return abs(iteration.change)


def by_parameters(iteration: Iteration) -> float:
    """Largest change of any parameter: absolute for mixing weights, in the family's units for the others."""
    before, after = iteration.before, iteration.after
    moved = float(np.abs(after.weights - before.weights).max())
    return max(moved, iteration.problem.family.change(before.params, after.params))


def by_aitken(iteration: Iteration) -> float:
    """Remaining gain of the lower bound, if its gains continue to shrink in the last ratio (Aitken).

    After consecutive gains g and g' with the ratio a = g' / g < 1, there remains g' (a + a^2 + ...) = g' a / (1 - a).
    A bound that no longer rises has reached its limit up to rounding: the measure is then the size of its fall.
    """
    if len(iteration.bounds) < 3:
        return math.inf
    first, second, third = iteration.bounds[-3:]
    gain, next_gain = second - first, third - second
    if next_gain <= 0.0:
        return -next_gain
    return next_gain * next_gain / (gain - next_gain) if next_gain < gain else math.inf


RULES: dict[str, Callable[[Iteration], float]] = {
    "bound": by_bound,
    "parameters": by_parameters,
    "aitken": by_aitken,
}
