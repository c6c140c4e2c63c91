"""Fits that survive: how far one has come, in a file that is written whole or not at all."""

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
    """Where, and how often, a fit writes down how far it has come.

    Parameters
    ----------
    path : str or path-like
        The file. It replaces the one before once it is complete on disk. One fit at a time may write it.
    minutes : float, default=0
        Time between two writings; 0 writes after each iteration.

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
    """Keeps the progress of one fit in a file, and takes it up again. Leave it as a context: the file is claimed.

    Parameters
    ----------
    checkpoint : Checkpoint, str or path-like
    resume : bool
        Whether to go on from what the file holds; if there is none, the fit begins.
    random_state : RandomState
        What the fit draws from. Its state is kept, and set where the fit goes on.

    Raises
    ------
    CheckpointError
        If the file is to be resumed, and is no undamaged checkpoint; if another fit writes it now.
    FileExistsError
        If a file is there that is not to be resumed, and is not the checkpoint of a fit that has ended.
    OSError
        If no file can be written there, or what is there is no regular file.
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
        """Tell which fit this is; CheckpointError if the file is of another.

        `identity` holds what JSON can: parameters, the data's fingerprint. `check` raises ValueError for progress that
        compiled code cannot take up.
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
        """How far the fit has come."""
        if self._saved is None:
            progress = Progress()
            try:
                self._write(progress)  # now, rather than after the first pass, it shows whether that is possible
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
        """Write it down, if it is time to; OSError if that fails, and the file is then as it was."""
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
        """What the file holds, if there is one and it is to be taken up."""
        if self._claim.content is None:
            return None
        try:
            saved = unpacked(self._claim.content)
            finished = saved.value("finished", bool)
        except CheckpointError as error:
            if resume:
                raise CheckpointError(f"{self._name}: {error}") from error.__cause__
            raise FileExistsError(f"{self._name} is there, and is no checkpoint of fastem: {error}") from None
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
        """Set the state that draws are made from, if the file is taken up."""
        if self._saved is None:
            return
        with self._named():
            state = self._saved.value(name, tuple)
            try:
                if state[2] not in range(len(state[1]) + 1):  # numpy does not look
                    raise IndexError("a place beyond the numbers that were drawn")
                self.random_state.set_state(state)
            except (TypeError, LookupError, OverflowError) as error:
                raise CheckpointError(f"the file is damaged: {error}") from error

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let errors of what the file holds name it."""
        try:
            yield
        except ValueError as error:
            raise CheckpointError(f"{self._name}: {error}") from error


def _check(progress: Progress) -> None:
    """Raise CheckpointError for what a fit never leaves behind."""
    if progress.finished and progress.best is None:
        raise CheckpointError("the file is damaged: it is not known how far the fit came")


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."
