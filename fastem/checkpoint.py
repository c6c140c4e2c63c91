"""Fits that survive: how far one has come, in a file that is written whole or not at all.

A file is a zip archive of arrays and of one JSON document that says where they belong. Reading runs no code from it:
only records of this package come out.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.driver import Progress
from fastem.writing import check_target, write_whole

FORMAT = "fastem-checkpoint 2"


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or belongs to another fit."""


class Checkpoint(NamedTuple):
    """Where, and how often, a fit writes down how far it has come.

    Parameters
    ----------
    path : str or path-like
        The file. It replaces the one before once it is complete on disk.
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
    """Keeps the progress of one fit in a file, and takes it up again.

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
        If the file is to be resumed, and is no undamaged checkpoint.
    FileExistsError
        If a file is there that is not to be resumed, and is not the checkpoint of a fit that has ended.
    """

    def __init__(self, checkpoint: Any, resume: bool, random_state: np.random.RandomState) -> None:
        self.checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        self.path = Path(os.path.realpath(self.checkpoint.path))
        self.random_state = random_state
        self.identity: dict[str, Any] = {}
        self._written = -np.inf
        if not self.checkpoint.minutes >= 0.0:
            raise ValueError(f"minutes must not be negative, not {self.checkpoint.minutes!r}")
        check_target(self.checkpoint.path, special=False)
        self._saved = self._find(resume)
        if self._saved is not None:
            random_state.set_state(_decode(self._saved.tree["first_draws"], self._saved.arrays))
        self._first_draws = random_state.get_state()

    def identify(self, identity: dict[str, Any]) -> None:
        """Tell which fit this is; CheckpointError if the file is of another.

        `identity` holds what JSON can: parameters, the data's fingerprint.
        """
        self.identity = json.loads(json.dumps(identity))
        if self._saved is None:
            return
        before = self._saved.tree["identity"]
        for name in [*before, *self.identity]:
            if before.get(name) != self.identity.get(name):
                there, here = (_shortened(some.get(name)) for some in (before, self.identity))
                raise CheckpointError(f"{self._name} is of another fit: {name} was {there} there, and is {here} here")

    def recall(self) -> Progress:
        """How far the fit has come."""
        if self._saved is None:
            progress = Progress()
            self._write(progress)  # now, rather than after the first pass, it shows whether that is possible
            return progress
        progress = _decode(self._saved.tree["progress"], self._saved.arrays)
        self.random_state.set_state(_decode(self._saved.tree["draws"], self._saved.arrays))
        self._saved = None
        return progress

    def keep(self, progress: Progress) -> None:
        """Write it down, if it is time to."""
        if progress.finished or time.monotonic() - self._written >= 60.0 * self.checkpoint.minutes:
            self._write(progress)

    @property
    def _name(self) -> str:
        return repr(os.fspath(self.checkpoint.path))

    def _write(self, progress: Progress) -> None:
        arrays: list[NDArray[Any]] = []
        tree = {
            "format": FORMAT,
            "finished": progress.finished,
            "identity": self.identity,
            "first_draws": _encode(self._first_draws, arrays),
            "draws": _encode(self.random_state.get_state(), arrays),
            "progress": _encode(progress, arrays),
        }
        content = io.BytesIO()
        document = np.frombuffer(json.dumps(tree).encode(), np.uint8)
        named: dict[str, Any] = {str(i): array for i, array in enumerate(arrays)}
        np.savez(content, tree=document, **named)
        write_whole(self.checkpoint.path, content.getvalue())
        self._written = time.monotonic()

    def _find(self, resume: bool) -> _Saved | None:
        """What the file holds, if there is one and it is to be taken up."""
        if not self.path.exists():
            return None
        try:
            saved = _read(self.path)
        except CheckpointError as error:
            if resume:
                raise CheckpointError(f"{self._name}: {error}") from error.__cause__
            raise FileExistsError(f"{self._name} is there, and is no checkpoint of fastem: {error}") from None
        if not resume and not saved.tree["finished"]:
            raise FileExistsError(
                f"{self._name} is the checkpoint of a fit that has not ended: go on with resume=True, or remove it"
            )
        return saved if resume else None


class _Saved(NamedTuple):
    """Content of a file."""

    tree: dict[str, Any]
    arrays: list[NDArray[Any]]


def _read(path: Path) -> _Saved:
    content = io.BytesIO(path.read_bytes())
    if not zipfile.is_zipfile(content):
        raise CheckpointError("the file is no checkpoint, or is cut short")
    try:
        with np.load(content, allow_pickle=False) as archive:
            if "tree" not in archive:
                raise CheckpointError("the file is no checkpoint")
            tree = json.loads(archive["tree"].tobytes())
            arrays = [archive[str(i)] for i in range(len(archive) - 1)]
    except CheckpointError:
        raise
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, TypeError) as error:
        raise CheckpointError(f"the file is no checkpoint, or is damaged ({error})") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise CheckpointError(f"its format is not {FORMAT!r}")
    return _Saved(tree, arrays)


def _encode(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """What JSON can hold; arrays are put into a list and referred to by number."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return _encode(np.asarray(value), arrays) | {"scalar": True}
    fields = None
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = dict(zip(value._fields, value, strict=True))
    elif dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if fields is not None:
        kind = type(value)
        return {
            "record": [kind.__module__, kind.__qualname__],
            "fields": {name: _encode(field, arrays) for name, field in fields.items()},
        }
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_encode(item, arrays) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint has no place for a {type(value).__name__}")


def _decode(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[value["array"]]
        return array[()] if "scalar" in value else array
    if "tuple" in value:
        return tuple(_decode(item, arrays) for item in value["tuple"])
    module, name = value["record"]
    kind = getattr(sys.modules.get(module), name, None) if module.partition(".")[0] == "fastem" else None
    if not (isinstance(kind, type) and (hasattr(kind, "_fields") or dataclasses.is_dataclass(kind))):
        raise CheckpointError(f"the file holds a {module}.{name}, which this version of fastem does not have")
    return kind(**{key: _decode(field, arrays) for key, field in value["fields"].items()})


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."
