"""Accelerated EM: extrapolation of the parameters, guarded by the lower bound.

Parameters are one vector of unconstrained numbers: logarithms of the weights, and what the family packs. The bound at
an extrapolated point comes with the E-step that is made there anyway. Where it has fallen too far the point is given
up: the fit goes on from where plain EM would have been, one pass later. What is reported is the best so far, which
never falls.
"""

from typing import Any, NamedTuple

import numpy as np

from fastem.extrapolation import METHODS, Extrapolation, Vector
from fastem.problem import Problem
from fastem.schemes._contract import Scheme, Step
from fastem.sources import Mixture

SLACK = 1.0  # of the total log-likelihood: an extrapolation may fall so far behind, if what follows makes up for it
PATIENCE = 6  # passes that it is given for that


class _State(NamedTuple):
    """Where to evaluate next, where to go back to, and the best that is known."""

    mixture: Mixture
    method: Extrapolation
    fallback: Mixture | None  # set where `mixture` is extrapolated
    best: Mixture  # image of the point with the largest bound
    bound: float  # the largest
    behind: int  # passes since then


def accelerate(name: str) -> Scheme:
    """Batch EM accelerated by a method of `fastem.extrapolation`."""

    def init(problem: Problem, start: Mixture) -> _State:
        return _State(start, METHODS[name](), None, start, -np.inf, 0)

    return Scheme(init, _step)


def pack(problem: Problem, mixture: Mixture) -> Vector:
    """The mixture as unconstrained numbers."""
    return np.concatenate([mixture.log_weights, problem.family.pack(mixture.params)])


def unpack(problem: Problem, vector: Vector, like: Mixture) -> Mixture:
    """Inverse of `pack`: logarithms of weights are normalised."""
    logarithms, rest = np.split(vector, [like.weights.size])
    weights = np.exp(logarithms - logarithms.max())
    return Mixture(weights / weights.sum(), problem.family.unpack(rest, like.params))


def _step(problem: Problem, state: _State) -> Step:
    """One pass: an EM step from here, or the end of a bad extrapolation."""
    image, bound = _em_step(problem, state)
    if image is None:
        state.method.reject()
        back = state.best if state.fallback is None else state.fallback
        return _report(state._replace(mixture=back, fallback=None), behind=state.behind + 1)
    if bound >= state.bound:
        state = state._replace(best=image, bound=bound, behind=-1)
    elif state.behind >= PATIENCE:
        state.method.reject()
        return _report(state._replace(mixture=state.best, fallback=None), behind=1)
    with np.errstate(all="ignore"):
        proposal = state.method.propose(pack(problem, state.mixture), pack(problem, image))
        candidate = None if proposal is None else _candidate(problem, proposal, image)
    fallback = None if candidate is None else image
    return _report(state._replace(mixture=candidate or image, fallback=fallback), behind=state.behind + 1)


def _report(state: _State, behind: int) -> Step:
    """The best that is known; a fit ends only where the last pass has made it."""
    return Step(state._replace(behind=behind), state.best, state.bound, 1.0, settled=behind == 0)


def _em_step(problem: Problem, state: _State) -> tuple[Mixture | None, float]:
    """Mixture after an EM step, None if an extrapolation was not worth it, and the bound before it."""
    extrapolated = state.fallback is not None
    try:
        sweep = problem.expect(state.mixture)
        bound = problem.lower_bound(sweep)
        if extrapolated and not bound >= state.bound - SLACK / problem.source.total_weight:
            return None, bound
        return problem.maximise(sweep, state.mixture), bound
    except ValueError:  # no maximum from there, or no finite likelihood
        if extrapolated:
            return None, -np.inf
        raise


def _candidate(problem: Problem, proposal: Vector, like: Mixture) -> Mixture | None:
    """Extrapolated mixture, unless it is none."""
    if not np.isfinite(proposal).all():
        return None
    mixture = unpack(problem, proposal, like)
    arrays: tuple[Any, ...] = tuple(mixture.params)
    return mixture if all(np.isfinite(array).all() for array in arrays) else None
