"""Fits that are broken off after some writings of their checkpoint."""

from contextlib import contextmanager

import pytest
from models import learned

from fastem.persistence.checkpoint import Journal


class Killed(BaseException):
    """The process ends here."""


def killed_after(n_writings, monkeypatch):
    """Let the process end right after so many writings."""
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
    """What is in the block does not come to its end."""
    with monkeypatch.context() as patch:
        killed_after(n_writings, patch)
        with pytest.raises(Killed):
            yield


def bits(model):
    """All that a fit has found."""
    parameters = {name: array.tobytes() for name, array in learned(model).items()}
    return parameters, model.lower_bounds_, model.lower_bound_, model.n_iter_, model.stop_reason_
