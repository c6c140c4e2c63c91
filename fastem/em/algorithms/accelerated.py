"""Accelerated EM: extrapolation of the parameters, guarded by the lower bound.

The bound at an extrapolated point comes with the E-step that is made there anyway. Where it has fallen too far the
point is given up: the fit goes on from where plain EM would have been, one pass later. What is reported is the best so
far, which never falls.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from fastem.data import Mixture
from fastem.em.algorithms import batch
from fastem.em.algorithms.base import Scheme, Step
from fastem.em.algorithms.extrapolation import METHODS, Extrapolation, Vector
from fastem.em.problem import Problem

PATIENCE = 6  # passes that an extrapolation is given to make up for a fall


class Space(Protocol):
    """Points that an EM iteration moves among."""

    @property
    def slack(self) -> float:
        """A fall of the bound that is allowed for some passes."""

    def evaluate(self, point: Any) -> tuple[Any, float]:
        """Image of a point and the bound at it; ValueError if it has none."""

    def pack(self, point: Any) -> Vector:
        """The point as unconstrained numbers."""

    def unpack(self, vector: Vector, like: Any) -> Any:
        """Inverse of `pack`; ValueError if there is no such point."""


class MixtureSpace(NamedTuple):
    """Mixtures of a problem. Vectors hold logarithms of the weights, and what the family packs.

    A weight or rate of zero has the logarithm -inf, a probability of one infinite odds: they are at their boundary,
    where EM leaves them.
    """

    problem: Problem

    @property
    def slack(self) -> float:
        """One unit of the total log-likelihood."""
        return 1.0 / self.problem.source.total_weight

    def evaluate(self, point: Mixture) -> tuple[Mixture, float]:
        """An EM step."""
        after = batch.step(self.problem, point)
        return after.mixture, after.lower_bound

    def pack(self, point: Mixture) -> Vector:
        """Weights and parameters."""
        return np.concatenate([point.log_weights, self.problem.family.pack(point.params)])

    def unpack(self, vector: Vector, like: Mixture) -> Mixture:
        """Weights are normalised."""
        logarithms, rest = np.split(vector, [like.weights.size])
        weights = np.exp(logarithms - logarithms.max())
        mixture = Mixture(self.problem.prior.settle(weights), self.problem.family.unpack(rest, like.params))
        arrays: tuple[Any, ...] = tuple(mixture.params)
        if not all((array < np.inf).all() for array in arrays):  # nor NaN
            raise ValueError("parameters overflow")
        return mixture


class State(NamedTuple):
    """Where to evaluate next, where to go back to, and the best that is known."""

    point: Any
    method: Extrapolation
    fallback: Any  # set where `point` is extrapolated
    best: Any  # image of the point with the largest bound
    bound: float  # the largest
    behind: int  # passes since then
    returned: bool = False  # whether `point` is the best, after extrapolations that were given up


def accelerate(name: str) -> Scheme:
    """Batch EM accelerated by a method of `fastem.em.algorithms.extrapolation`."""
    return Scheme(
        lambda problem, start: begin(name, start),
        lambda problem, state: advance(MixtureSpace(problem), state),
    )


def begin(name: str, start: Any) -> State:
    """State at a start."""
    return State(start, METHODS[name](), None, start, -np.inf, 0)


def advance(space: Space, state: State) -> Step:
    """One pass: an EM step from here, or the end of a bad extrapolation."""
    try:
        image, bound = space.evaluate(state.point)
        failed = state.fallback is not None and not bound >= state.bound - space.slack
    except (ValueError, ArithmeticError):
        if state.fallback is None:
            if state.point is state.best:
                raise
            return _go_back(state)  # plain steps that began at an extrapolation may end where there are none
        failed = True
    if failed:
        state.method.reject()
        return _report(state._replace(point=state.fallback, fallback=None, behind=state.behind + 1))
    settled, highest = state.returned and bound < state.bound, state.bound
    if bound >= state.bound:
        state = state._replace(best=image, bound=bound, behind=-1)
    elif state.behind >= PATIENCE:
        return _go_back(state)
    candidate = _extrapolate(space, state, image)
    point, fallback = (image, None) if candidate is None else (candidate, image)
    after = _report(state._replace(point=point, fallback=fallback, behind=state.behind + 1, returned=False))
    # A plain step from the best does not lower the bound but by rounding: then there is nothing left to gain.
    return after._replace(settled=True, change=bound - highest) if settled else after


def _go_back(state: State) -> Step:
    """Give up the extrapolations since the best point."""
    state.method.reject()
    return _report(state._replace(point=state.best, fallback=None, behind=1, returned=True))


def _report(state: State) -> Step:
    """The best that is known; a fit ends only where the last pass has made it."""
    return Step(state, state.best, state.bound, 1.0, settled=state.behind == 0)


def _extrapolate(space: Space, state: State, image: Any) -> Any:
    """Next point beyond the image, if the method has one; a parameter at its boundary stays there."""
    with np.errstate(all="ignore"):
        before, after = space.pack(state.point), space.pack(image)
        held = np.isinf(after)
        if (np.where(held, after, 0.0) != np.where(np.isinf(before), before, 0.0)).any():
            state.method.forget()
            return None
        proposal = state.method.propose(np.where(held, 0.0, before), np.where(held, 0.0, after))
        if proposal is None or not np.isfinite(proposal).all():
            return None
        try:
            return space.unpack(np.where(held, after, proposal), image)
        except ValueError:
            return None
