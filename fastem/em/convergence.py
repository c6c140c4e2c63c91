"""When a run has converged: rules, each of which measures how far a run still is from its end.

A run ends when the measure is below `tol`, and the algorithm says that it may. Measures do not depend on the units of
the data or on the order of the components.

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
    """What a rule sees of an iteration.

    Attributes
    ----------
    problem : Problem
    before, after : Mixture
        The parameters that it began and ended with.
    bounds : list of float
        Lower bounds of this run so far, its own last.
    change : float
        Of the bound; or what the algorithm puts in its place.
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
    """Largest change of any parameter: of mixing weights as they are, of others as their family measures it."""
    before, after = iteration.before, iteration.after
    moved = float(np.abs(after.weights - before.weights).max())
    return max(moved, iteration.problem.family.change(before.params, after.params))


def by_aitken(iteration: Iteration) -> float:
    """What the lower bound is still to gain, if its gains go on to shrink as the last one did.

    Gains g and g' that follow each other in the ratio a = g' / g < 1 leave g' (a + a^2 + ...) = g' a / (1 - a). A bound
    that no longer rises is as far as rounding lets it come.
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
