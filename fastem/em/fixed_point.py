"""EM for other models than mixtures: the user's function makes one iteration, and the loop for mixtures runs it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem.data.numeric import real_array
from fastem.em import loop
from fastem.em.algorithms import Scheme, Step
from fastem.em.algorithms.accelerated import State, advance, begin
from fastem.em.algorithms.extrapolation import METHODS, Vector
from fastem.em.loop import HistoryRecord

Map = Callable[[Any], Any]


@dataclass(frozen=True)
class FixedPoint:
    """Result of `fixed_point`.

    Attributes
    ----------
    theta : ndarray or float
        The parameters, shaped like those that were given.
    objective : float
        Their objective; NaN if none was given.
    converged : bool
        Whether a change was below the tolerance.
    stop_reason : {'tol', 'max_iter', 'callback'}
        Why the iteration ended.
    n_iter : int
        Number of evaluations of `step`.
    rate : float
        Estimated linear rate of convergence of the plain iteration: the ratio of the lengths of its last two steps, for
        EM the fraction of missing information. NaN if the iteration was accelerated or too short.
    history : list of HistoryRecord
        One record for each evaluation; `lower_bound` is the objective before it.
    """

    theta: Any
    objective: float
    converged: bool
    stop_reason: str
    n_iter: int
    rate: float
    history: list[HistoryRecord]


def fixed_point(
    step: Map,
    theta: ArrayLike,
    objective: Callable[[Any], float] | None = None,
    *,
    acceleration: str | None = None,
    tol: float = 1e-10,
    max_iter: int = 1000,
    callback: Callable[[HistoryRecord, Any], bool | None] | None = None,
) -> FixedPoint:
    """Iterate `theta = step(theta)` until it no longer changes.

    Parameters
    ----------
    step : callable
        One EM iteration: takes parameters and returns new ones of the same shape.
    theta : float or array-like
        Initial parameters.
    objective : callable, default=None
        Function that the iteration increases, such as the log-likelihood. With it, the iteration ends when the
        objective changes by less than `tol`; without it, when all parameters change by less. Extrapolations that lower
        the objective by more than 1 are rejected at once, and others if it does not recover within six evaluations. The
        best parameters found are returned.
    acceleration : {'squarem', 'anderson'}, default=None
        Extrapolation of the iteration. Parameters should then be unconstrained, for instance logarithms: a point is
        rejected only if `step` raises ValueError or ArithmeticError there, or if a result is not finite.
    tol : float, default=1e-10
        Absolute tolerance. EM takes small steps long before it is near the limit, so choose a tolerance well below the
        accuracy that you need.
    max_iter : int, default=1000
        Largest number of evaluations of `step`.
    callback : callable, default=None
        Called with a record and the parameters after each evaluation; a true result ends the iteration.

    Returns
    -------
    FixedPoint
        Parameters, objective, history and how it ended.

    Raises
    ------
    ValueError
        If the acceleration is unknown, theta is not finite, or `step` or `objective` return anything but finite numbers
        of the right shape at a point that was not extrapolated.

    Warns
    -----
    ConvergenceWarning
        If the iteration did not converge in `max_iter` evaluations.

    Notes
    -----
    The extrapolations are those of R. Varadhan and C. Roland (2008), Simple and globally convergent methods for
    accelerating the convergence of any EM algorithm, Scandinavian Journal of Statistics 35, 335-353, and of H. F.
    Walker and P. Ni (2011), Anderson acceleration for fixed-point iterations, SIAM Journal on Numerical Analysis 49,
    1715-1735.

    Examples
    --------
    The genetic linkage data of Rao at the beginning of Dempster, Laird and Rubin's article: 125 of 197 animals belong
    to two classes, of probabilities 1/2 and t/4, that are not observed separately.

    >>> from fastem import fixed_point
    >>> def step(t):
    ...     split = 125 * t / (2 + t)
    ...     return (split + 34) / (split + 34 + 18 + 20)
    >>> result = fixed_point(step, 0.5)
    >>> round(result.theta, 10), round(result.rate, 3), result.n_iter
    (0.6268214979, 0.133, 12)
    """
    if acceleration is not None and acceleration not in METHODS:
        raise ValueError(f"acceleration must be None or one of {sorted(METHODS)}, not {acceleration!r}")
    begin_at = np.array(real_array(theta, "theta"), dtype=np.float64)
    if not np.isfinite(begin_at).all():
        raise ValueError("theta must be finite")
    space = _Space(step, objective, begin_at.shape)
    scheme = _plain(space) if acceleration is None else _extrapolated(space, acceleration)
    observers: list[loop.Observer] = [] if callback is None else [_Callback(callback, space)]
    control = loop.Control(max_iter, tol)
    run, history = loop.run_restarts(None, [lambda: begin_at.ravel()], control, observers, scheme)
    value = math.nan if objective is None else space.value(run.mixture)
    return FixedPoint(
        theta=space.shaped(run.mixture),
        objective=value,
        converged=run.converged,
        stop_reason=run.stop_reason,
        n_iter=len(run.bounds),
        rate=space.rate() if acceleration is None else math.nan,
        history=history,
    )


class _Space:
    """Points as vectors; the bound is the objective or, without one, minus the largest change of a parameter."""

    def __init__(self, step: Map, objective: Callable[[Any], float] | None, shape: tuple[int, ...]) -> None:
        self.step, self.objective, self.shape = step, objective, shape
        self.slack = math.inf if objective is None else 1.0
        self.moved = [math.nan, math.nan]  # how far the last two steps went

    def shaped(self, vector: Vector) -> Any:
        """The parameters as the user gave them: a copy, which the user's functions may write to."""
        return float(vector[0]) if self.shape == () else vector.reshape(self.shape).copy()

    def value(self, vector: Vector) -> float:
        """The objective at a point."""
        assert self.objective is not None
        value = float(real_array(self.objective(self.shaped(vector)), "what objective returned"))
        if not math.isfinite(value):
            raise ValueError(f"objective returned {value} at theta = {self.shaped(vector)}")
        return value

    def evaluate(self, point: Vector) -> tuple[Vector, float]:
        """Image of a point, and the bound at the point."""
        # a copy: the step may return the same array each time
        image: NDArray[np.float64] = np.array(
            real_array(self.step(self.shaped(point)), "what step returned"), dtype=np.float64
        )
        if image.shape != self.shape:
            raise ValueError(f"step returned shape {image.shape} for theta of shape {self.shape}")
        if not np.isfinite(image).all():
            raise ValueError(f"step returned numbers that are not finite at theta = {self.shaped(point)}")
        self.moved = [self.moved[1], float(np.abs(image.ravel() - point).max(initial=0.0))]
        return image.ravel(), -self.moved[1] if self.objective is None else self.value(point)

    def pack(self, point: Vector) -> Vector:
        """Points are vectors already."""
        return point

    def unpack(self, vector: Vector, like: Vector) -> Vector:
        """Points are vectors already."""
        return vector

    def rate(self) -> float:
        """Ratio of the last two steps."""
        before, last = self.moved
        return last / before if before > 0.0 else math.nan

    def told(self, step: Step) -> Step:
        """The step for the loop; without an objective, the change of the parameters decides on convergence."""
        return step if self.objective is not None else step._replace(change=self.moved[1])


def _plain(space: _Space) -> Scheme:
    def step(problem: Any, state: Vector) -> Step:
        image, bound = space.evaluate(state)
        return space.told(Step(image, image, bound, 1.0))

    return Scheme(lambda problem, start: start, step)


def _extrapolated(space: _Space, name: str) -> Scheme:
    def step(problem: Any, state: State) -> Step:
        return space.told(advance(space, state))

    return Scheme(lambda problem, start: begin(name, start), step)


class _Callback(NamedTuple):
    """The user's callback as an observer."""

    function: Callable[[HistoryRecord, Any], bool | None]
    space: _Space

    def begin_restart(self, restart: int, start: Any) -> None:
        """Do nothing."""

    def begin_iteration(self, mixture: Any) -> None:
        """Do nothing."""

    def end_iteration(self, record: HistoryRecord, mixture: Any) -> bool:
        """Call the user's function; a true result ends the iteration."""
        return bool(self.function(record, self.space.shaped(mixture)))

    def end_restart(self, run: loop.Run) -> bool:
        """Do nothing."""
        return False
