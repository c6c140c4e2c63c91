"""The loop of all fits: restarts, convergence, interruption, warnings and reports."""

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastem.data import Mixture
from fastem.em.algorithms import BATCH, Scheme
from fastem.em.convergence import RULES, Iteration

NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, or "
    "check for degenerate data."
)


class HistoryRecord(NamedTuple):
    """One iteration of one restart.

    Attributes
    ----------
    restart, iteration : int
        Restarts count from 0, iterations from 1.
    lower_bound : float
        Mean log-likelihood of a row at the parameters that the iteration began with; with a prior, the logarithm of
        its density is added to the sum over the rows.
    change : float
        Its difference from the iteration before, or another change that the algorithm reports; inf for the first.
    seconds : float
        Wall-clock time of the iteration.
    passes : float
        Number of passes over the data that the iteration took, which may be a fraction.
    """

    restart: int
    iteration: int
    lower_bound: float
    change: float
    seconds: float
    passes: float


class Control(NamedTuple):
    """When to stop."""

    max_iter: int
    tol: float
    previous_bound: float = -np.inf  # of the fit that a warm start continues
    convergence: str = "bound"  # a rule of `fastem.em.convergence`


@dataclass
class Run:
    """State of one restart, and its result."""

    restart: int
    mixture: Any
    lower_bound: float
    bounds: list[float] = field(default_factory=list)
    stop_reason: str = "max_iter"
    exact: bool = True  # whether the last bound is of a full E-step

    @property
    def converged(self) -> bool:
        """Whether the measure of convergence came below the tolerance."""
        return self.stop_reason == "tol"


@dataclass
class Progress:
    """Progress of a fit: all that is needed to continue it."""

    restart: int = 0  # number of the current restart, or of the next
    run: Run | None = None  # the current restart
    state: Any = None  # the scheme's state in the current restart
    best: Run | None = None
    history: list[HistoryRecord] = field(default_factory=list)
    finished: bool = False


class Journal(Protocol):
    """Storage for the progress of a fit."""

    def recall(self) -> Progress:
        """Return the stored progress; that of a new fit if nothing is stored."""

    def keep(self, progress: Progress) -> None:
        """Store the progress; OSError if that fails, and then the progress stored before is kept."""


class Forgetful:
    """A journal that stores nothing."""

    def recall(self) -> Progress:
        """Return the progress of a new fit."""
        return Progress()

    def keep(self, progress: Progress) -> None:
        """Do nothing."""


FORGETFUL = Forgetful()


class Observer(Protocol):
    """Methods that the loop calls during a fit, and that may end it."""

    def begin_restart(self, restart: int, start: Mixture) -> None:
        """Called before the first iteration of a restart."""

    def begin_iteration(self, mixture: Mixture) -> None:
        """Called before each iteration."""

    def end_iteration(self, record: HistoryRecord, mixture: Mixture) -> bool:
        """Called after each iteration; True ends this restart."""

    def end_restart(self, run: Run) -> bool:
        """Called after the last iteration of a restart; True ends the fit."""


class Interrupted(KeyboardInterrupt):
    """Carries the best run so far out of an interrupted loop."""

    def __init__(self, best: Run | None, history: list[HistoryRecord]) -> None:
        super().__init__()
        self.best = best
        self.history = history


def run_restarts(
    problem: Any,
    starts: Iterable[Callable[[], Any]],
    control: Control,
    observers: Sequence[Observer] = (),
    scheme: Scheme = BATCH,
    journal: Journal = FORGETFUL,
) -> tuple[Run, list[HistoryRecord]]:
    """Run a scheme from each start and keep the run that ends with the largest lower bound.

    Parameters
    ----------
    problem : object
        What the scheme's functions get: a `Problem`, whose `exact_bound` is called if a scheme's last bound is not
        exact, or any other object for an EM that is not of a mixture.
    starts : iterable of callables
        Each makes a start: a mixture, or a vector.
    control : Control
    observers : sequence of Observer
    scheme : Scheme
    journal : Journal
        If it recalls the progress of an interrupted fit, this fit continues from there.

    Raises
    ------
    Interrupted
        On KeyboardInterrupt, with the best run so far.
    """
    progress = journal.recall()
    try:
        for restart, make_start in enumerate(starts):
            if progress.finished or restart < progress.restart:
                continue
            if progress.run is None:
                progress.run = Run(restart, make_start(), control.previous_bound)
                progress.state = scheme.init(problem, progress.run.mixture)
            run = progress.run
            _iterate(problem, progress, run, control, observers, scheme, journal)
            progress.best, progress.run, progress.state = _better(progress.best, run), None, None
            progress.restart += 1
            stops = [observer.end_restart(run) for observer in observers]  # every observer is called
            if any(stops):
                break
            _keep(journal, progress)
    except KeyboardInterrupt:
        if progress.run is not None:
            progress.run.stop_reason = "interrupt"
            progress.best = _better(progress.best, progress.run)
        raise Interrupted(progress.best, progress.history) from None
    if not progress.finished:
        progress.finished = True
        _keep(journal, progress)
    best = progress.best
    assert best is not None
    if best.stop_reason == "max_iter" and control.max_iter > 0:
        warnings.warn(NOT_CONVERGED, ConvergenceWarning, stacklevel=2)
    return best, progress.history


def _iterate(
    problem: Any,
    progress: Progress,
    run: Run,
    control: Control,
    observers: Sequence[Observer],
    scheme: Scheme,
    journal: Journal,
) -> None:
    """Iterate one restart in place, until it converges, an observer stops it, or `max_iter` is reached."""
    for observer in observers:
        observer.begin_restart(run.restart, run.mixture)
    for iteration in range(len(run.bounds) + 1, control.max_iter + 1):
        for observer in observers:
            observer.begin_iteration(run.mixture)
        begin = time.perf_counter()
        step = scheme.step(problem, progress.state)
        seconds = time.perf_counter() - begin
        change = step.lower_bound - run.lower_bound if step.change is None else step.change
        before = run.mixture
        progress.state, run.mixture, run.lower_bound, run.exact = step.state, step.mixture, step.lower_bound, step.exact
        run.bounds.append(step.lower_bound)
        record = HistoryRecord(run.restart, iteration, step.lower_bound, change, seconds, step.passes)
        progress.history.append(record)
        stops = [observer.end_iteration(record, run.mixture) for observer in observers]
        left = RULES[control.convergence](Iteration(problem, before, run.mixture, run.bounds, change))
        if left < control.tol and step.settled:
            run.stop_reason = "tol"
        elif any(stops):
            run.stop_reason = "callback"
        else:
            if step.portable:
                _keep(journal, progress)
            continue
        break
    if not run.exact:
        run.lower_bound = problem.exact_bound(run.mixture)


def _keep(journal: Journal, progress: Progress) -> None:
    """Store the progress of the fit; warn if that fails, and let the fit go on."""
    try:
        journal.keep(progress)
    except OSError as error:
        warnings.warn(f"the fit goes on, but its checkpoint stays as it was: {error}", RuntimeWarning, stacklevel=2)


def _better(best: Run | None, run: Run) -> Run:
    return run if best is None or run.lower_bound > best.lower_bound else best


class ConsoleReport:
    """Reports progress on standard output, with scikit-learn's messages.

    Parameters
    ----------
    verbose : int
        1 prints iterations, 2 times and changes as well.
    interval : int
        Number of iterations from one print to the next.
    """

    def __init__(self, verbose: int, interval: int) -> None:
        self.verbose = verbose
        self.interval = interval
        self.begin = self.previous = time.perf_counter()

    def begin_restart(self, restart: int, start: Mixture) -> None:
        """Print the number of the restart."""
        print(f"Initialization {restart}")
        self.begin = self.previous = time.perf_counter()

    def begin_iteration(self, mixture: Mixture) -> None:
        """Do nothing."""

    def end_iteration(self, record: HistoryRecord, mixture: Mixture) -> bool:
        """Print the iteration's number, and the time since the last print."""
        if record.iteration % self.interval == 0:
            line = f"  Iteration {record.iteration}"
            if self.verbose >= 2:
                now = time.perf_counter()
                line += f"\t time lapse {now - self.previous:.5f}s\t ll change {record.change:.5f}"
                self.previous = now
            print(line)
        return False

    def end_restart(self, run: Run) -> bool:
        """Print whether the restart converged."""
        line = f"Initialization {'converged' if run.converged else 'did not converge'}."
        if self.verbose >= 2:
            seconds = time.perf_counter() - self.begin
            line += f" time lapse {seconds:.5f}s\t lower bound {run.lower_bound:.5f}."
        print(line)
        return False
