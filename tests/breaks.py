"""Interrupt fits after a number of writes of their checkpoint, or act after a number of iterations."""

from contextlib import contextmanager

import pytest
from models import learned

from fastem.persistence.checkpoint import Journal


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_after(n_writings, monkeypatch):
    """Raise `Killed` right after so many writes of a checkpoint."""
    written = []
    write = Journal._write

    def write_and_end(journal, progress):
        write(journal, progress)
        written.append(1)
        if len(written) == n_writings:
            raise Killed

    monkeypatch.setattr(Journal, "_write", write_and_end)


@contextmanager
def broken_off_after(n_writings, monkeypatch):
    """Interrupt the fit in the block after so many writes of its checkpoint."""
    with monkeypatch.context() as patch:
        killed_after(n_writings, patch)
        with pytest.raises(Killed):
            yield


class At:
    """A callback that calls `action` after so many iterations."""

    def __init__(self, iteration, action):
        self.iteration, self.action, self.count = iteration, action, 0

    def setup(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.count += 1
        if self.count == self.iteration:
            self.action()

    def teardown(self, estimator, context): ...


def bits(model):
    """Everything that a fit has found, with arrays as bytes."""
    parameters = {name: array.tobytes() for name, array in learned(model).items()}
    return parameters, model.lower_bounds_, model.lower_bound_, model.n_iter_, model.stop_reason_
