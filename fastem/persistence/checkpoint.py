"""Checkpoints: the progress of a fit, saved in a file that is written whole or not at all."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from fastem.em.loop import Progress
from fastem.persistence.checkpoint_format import CheckpointError, Saved, packed, unpacked
from fastem.system.claims import Claim, InUse

__all__ = ["Checkpoint", "CheckpointError", "Journal"]


class Checkpoint(NamedTuple):
    """File in which a fit saves its progress, and how often it does so.

    Parameters
    ----------
    path : str or path-like
        The file. Each version replaces the one before when it is complete on disk. Only one fit at a time may write it.
    minutes : float, default=0
        Least time between two writes; 0 writes after each iteration.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastem import Checkpoint, GaussianMixture
    >>> X = [[0.0], [1.0], [10.0], [11.0]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(Path(folder) / "run.ckpt", minutes=5)
    ...     model = GaussianMixture(2, random_state=0).fit(X, checkpoint=checkpoint, resume=True)
    >>> model.converged_
    True
    """

    path: str | os.PathLike[str]
    minutes: float = 0.0


class Journal:
    """Save the progress of one fit in a file, and resume from it. Use it in a `with` statement: it claims the file.

    Parameters
    ----------
    checkpoint : Checkpoint, str or path-like
    resume : bool
        Whether to continue from the progress in the file. If there is no file, the fit starts from the beginning.
    random_state : RandomState
        Generator of the fit's random numbers. Its state is saved, and restored when the fit resumes.

    Raises
    ------
    CheckpointError
        If `resume` is true and the file is not a checkpoint or is damaged; if another fit is writing the file.
    FileExistsError
        If `resume` is false and the file exists, unless it is the checkpoint of a fit that has ended.
    OSError
        If the file cannot be written, or is not a regular file.
    """

    def __init__(self, checkpoint: Any, resume: bool, random_state: np.random.RandomState) -> None:
        self.checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        self.random_state = random_state
        self.identity: dict[str, Any] = {}
        self._check: Callable[[Progress], None] | None = None
        self._written = -np.inf
        if not self.checkpoint.minutes >= 0.0:
            raise ValueError(f"minutes must not be negative, not {self.checkpoint.minutes!r}")
        self._name = repr(os.fsdecode(self.checkpoint.path))
        try:
            self._claim = Claim(self.checkpoint.path)
        except InUse:
            raise CheckpointError(f"{self._name} is in use: another fit writes it") from None
        try:
            self._saved = self._find(resume)
            self._draw_from("first_draws")
        except BaseException:
            self._claim.release()
            raise
        self._first_draws = random_state.get_state()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._claim.release()

    def identify(self, identity: dict[str, Any], check: Callable[[Progress], None] | None = None) -> None:
        """Set the identity of this fit; raise CheckpointError if the file belongs to a fit of another identity.

        `identity` holds values that JSON can store: parameters, the fingerprint of the data. `check` raises ValueError
        for progress that compiled code cannot continue from.
        """
        self._check = check
        self.identity = json.loads(json.dumps(identity))
        if self._saved is None:
            return
        with self._named():
            before = json.loads(self._saved.value("identity", str))
        for name in [*before, *self.identity]:
            if before.get(name) != self.identity.get(name):
                there, here = (_shortened(some.get(name)) for some in (before, self.identity))
                raise CheckpointError(f"{self._name} is of another fit: {name} was {there} there, and is {here} here")

    def recall(self) -> Progress:
        """Return the progress in the file; if the fit does not resume, write and return empty progress."""
        if self._saved is None:
            progress = Progress()
            try:
                self._write(progress)  # so that a file that cannot be written is an error before the first pass
            except InUse:
                raise CheckpointError(f"{self._name} is in use: another fit has begun to write it") from None
            return progress
        with self._named():
            progress = self._saved.value("progress", Progress)
            _check(progress)
            if self._check is not None:
                try:
                    self._check(progress)
                except ValueError as error:
                    raise CheckpointError(f"the file is damaged: {error}") from error
        self._draw_from("draws")
        self._saved = None
        return progress

    def keep(self, progress: Progress) -> None:
        """Write the progress, if it is time to; if that fails, raise OSError and leave the file as it was."""
        if progress.finished or time.monotonic() - self._written >= 60.0 * self.checkpoint.minutes:
            self._write(progress)

    def _write(self, progress: Progress) -> None:
        values = {
            "finished": progress.finished,
            "identity": json.dumps(self.identity),
            "first_draws": self._first_draws,
            "draws": self.random_state.get_state(),
            "progress": progress,
        }
        self._claim.write(packed(values))
        self._written = time.monotonic()

    def _find(self, resume: bool) -> Saved | None:
        """Return what the file holds if the fit resumes from it, else None; check that the file may be replaced."""
        if self._claim.content is None:
            return None
        try:
            saved = unpacked(self._claim.content)
            finished = saved.value("finished", bool)
        except CheckpointError as error:
            if resume:
                raise CheckpointError(f"{self._name}: {error}") from error.__cause__
            raise FileExistsError(f"{self._name} exists, and is no checkpoint of fastem: {error}") from None
        finally:
            self._claim.content = None
        if not (resume and finished):
            self._claim.check_writable()
        if not resume and not finished:
            raise FileExistsError(
                f"{self._name} is the checkpoint of a fit that has not ended: go on with resume=True, or remove it"
            )
        return saved if resume else None

    def _draw_from(self, name: str) -> None:
        """Restore a saved state of the random generator, by its name in the file, if the fit resumes."""
        if self._saved is None:
            return
        with self._named():
            state = self._saved.value(name, tuple)
            try:
                if state[2] not in range(len(state[1]) + 1):  # numpy does not check it
                    raise IndexError("the position in the random generator's state is outside of it")
                self.random_state.set_state(state)
            except (TypeError, LookupError, OverflowError) as error:
                raise CheckpointError(f"the file is damaged: {error}") from error

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Add the name of the file to errors about its content."""
        try:
            yield
        except ValueError as error:
            raise CheckpointError(f"{self._name}: {error}") from error


def _check(progress: Progress) -> None:
    """Raise CheckpointError if the progress is that of a finished fit without a best run."""
    if progress.finished and progress.best is None:
        raise CheckpointError("the file is damaged: it is not known how far the fit came")


def _shortened(value: Any) -> str:
    """Value as JSON, cut to at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."
