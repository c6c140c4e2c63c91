"""The loop's events as tasks of scikit-learn's callback protocol: the fit, its restarts, and their iterations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastem.data import Mixture
from fastem.em.loop import HistoryRecord, Run


class CallbackBridge:
    """Observer of the loop that calls an estimator's callbacks.

    Parameters
    ----------
    estimator : estimator with `CallbackSupportMixin`
    n_restarts : int
    publish : callable (Mixture) -> dict
        Fitted attributes of a mixture, evaluated only if a callback asks for a fitted estimator.
    n_rows : int
        Number of rows of X.
    X, y, sample_weight
        As given to fit. Monitors score only if there is a y, which mixtures do not use; without one they get zeros.
    """

    def __init__(
        self,
        estimator: Any,
        n_restarts: int,
        publish: Callable[[Mixture], dict[str, Any]],
        n_rows: int,
        X: Any,
        y: Any,
        sample_weight: Any,
    ) -> None:
        self.estimator = estimator
        self.publish = publish
        self.data = {
            "X": X,
            "y": (lambda: np.broadcast_to(0, n_rows)) if y is None else y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self.fit_context = estimator._init_callback_context(max_subtasks=n_restarts)
        self.fit_context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def begin_restart(self, restart: int, start: Mixture) -> None:
        """Begin the restart's task."""
        self.n_iter = 0
        self.restart_context = self.fit_context.subcontext(task_name="restart", max_subtasks=self.estimator.max_iter)
        self.restart_context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin_iteration(self, mixture: Mixture) -> None:
        """Begin the iteration's task."""
        self.iteration_context = self.restart_context.subcontext(task_name="iteration")
        self.iteration_context.call_on_fit_task_begin(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self._attributes(mixture),
        )

    def end_iteration(self, record: HistoryRecord, mixture: Mixture) -> bool:
        """End the iteration's task."""
        self.n_iter = record.iteration
        stop: bool = self.iteration_context.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self._attributes(mixture),
        )
        return stop

    def end_restart(self, run: Run) -> bool:
        """End the restart's task."""
        stop: bool = self.restart_context.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self._attributes(run.mixture),
        )
        return stop

    def _attributes(self, mixture: Mixture) -> dict[str, Any]:
        """Fitted attributes of the mixture; `n_iter_` is 0 for a start, whose weights may sum to less than 1."""
        return {**self.publish(mixture), "n_iter_": self.n_iter}

    def end_fit(self) -> None:
        """End the task of the whole fit, once the fitted attributes are set."""
        self.fit_context.call_on_fit_task_end(estimator=self.estimator, **self.data, reconstruction_attributes={})
