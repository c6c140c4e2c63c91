"""Accelerated EM: extrapolation of the parameters, guarded by the lower bound.

The E-step at an extrapolated point also gives the bound there. If the bound has fallen too far, the point is rejected:
the fit continues from the point that plain EM would have reached, one pass later. Each step reports the best mixture so
far, whose bound never falls.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from fastem.data import Mixture
from fastem.em.algorithms import batch
from fastem.em.algorithms.base import Scheme, Step
from fastem.em.algorithms.extrapolation import METHODS, Extrapolation, Vector
from fastem.em.problem import Problem

PATIENCE = 6  # passes in which extrapolations must recover from a fall of the bound


class Space(Protocol):
    """The points of an EM iteration."""

    @property
    def slack(self) -> float:
        """Largest fall of the bound that is accepted for some passes."""

    def evaluate(self, point: Any) -> tuple[Any, float]:
        """Image of a point under an EM step, and the bound at the point; ValueError if there is no image."""

    def pack(self, point: Any) -> Vector:
        """The point as unconstrained numbers."""

    def unpack(self, vector: Vector, like: Any) -> Any:
        """Inverse of `pack`; ValueError if there is no such point."""


class MixtureSpace(NamedTuple):
    """Mixtures of a problem. Vectors hold the logarithms of the weights, and the numbers that the family packs.

    A weight or rate of zero has the logarithm -inf, and a probability of one has infinite odds: these parameters are at
    their boundary, and EM leaves them there.
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
        """Logarithms of the weights, and the packed parameters."""
        return np.concatenate([point.log_weights, self.problem.family.pack(point.params)])

    def unpack(self, vector: Vector, like: Mixture) -> Mixture:
        """Inverse of `pack`; weights are normalised."""
        logarithms, rest = np.split(vector, [like.weights.size])
        weights = np.exp(logarithms - logarithms.max())
        mixture = Mixture(self.problem.prior.settle(weights), self.problem.family.unpack(rest, like.params))
        arrays: tuple[Any, ...] = tuple(mixture.params)
        if not all((array < np.inf).all() for array in arrays):  # False for NaN, too
            raise ValueError("parameters overflow")
        return mixture


class State(NamedTuple):
    """Point to evaluate next, point to return to, and the best point so far."""

    point: Any
    method: Extrapolation
    fallback: Any  # the image that `point` was extrapolated from, if it was
    best: Any  # image of the point with the largest bound
    bound: float  # the largest bound
    behind: int  # passes since the largest bound
    returned: bool = False  # whether `point` is the best, after extrapolations that were rejected


def accelerate(name: str) -> Scheme:
    """Batch EM accelerated by a method of `fastem.em.algorithms.extrapolation`."""
    return Scheme(
        lambda problem, start: begin(name, start),
        lambda problem, state: advance(MixtureSpace(problem), state),
    )


def begin(name: str, start: Any) -> State:
    """State of a fit at its start."""
    return State(start, METHODS[name](), None, start, -np.inf, 0)


def advance(space: Space, state: State) -> Step:
    """One pass: an EM step from the current point, or the rejection of a bad extrapolation."""
    try:
        image, bound = space.evaluate(state.point)
        failed = state.fallback is not None and not bound >= state.bound - space.slack
    except (ValueError, ArithmeticError):
        if state.fallback is None:
            if state.point is state.best:
                raise
            return _go_back(state)  # plain steps after an extrapolation may reach a point without image
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
    # A plain step from the best point lowers the bound by rounding only: then there is nothing left to gain.
    return after._replace(settled=True, change=bound - highest) if settled else after


def _go_back(state: State) -> Step:
    """Reject the extrapolations since the best point."""
    state.method.reject()
    return _report(state._replace(point=state.best, fallback=None, behind=1, returned=True))


def _report(state: State) -> Step:
    """Step that reports the best mixture so far; a fit may end only if the last pass found it."""
    return Step(state, state.best, state.bound, 1.0, settled=state.behind == 0)


def _extrapolate(space: Space, state: State, image: Any) -> Any:
    """Next point beyond the image, or None if the method proposes none; parameters at their boundary stay there."""
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
