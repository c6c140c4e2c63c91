"""Files that belong to one process as long as it writes them again and again.

The claim is a lock of the system (`flock`) on the file itself, and on each one that takes its place. So there is no
file of locks beside it, and a process that ends, in whatever way, has no claim. Where the system or the file system has
no such locks nobody is kept from claiming; but what another has put in place is still not written over.
"""

from __future__ import annotations

import errno
import os
import weakref
from contextlib import suppress
from typing import BinaryIO

import xxhash

from fastem.system.interrupts import undisturbed
from fastem.system.writing import Draft, Target, check_target, naming, sync_folder

try:
    import fcntl
except ImportError:  # not every system has it
    fcntl = None  # type: ignore[assignment]

_CLAIMS: weakref.WeakSet[Claim] = weakref.WeakSet()


class InUse(OSError):
    """A file that another process, or another fit in this one, has claimed."""


class Claim:
    """A file that nobody else writes until the claim is released.

    Parameters
    ----------
    path : str or path-like
        The file, which need not be there yet. Links are followed.

    Attributes
    ----------
    content : bytes or None
        What it held when it was claimed; None if it was not there.

    Raises
    ------
    OSError
        If no file can be written there, or read at least; `InUse` if somebody else has claimed it.
    """

    def __init__(self, path: Target) -> None:
        self.path = os.fsdecode(path)
        self._refusal: PermissionError | None = None
        try:
            check_target(path, special=False)
        except PermissionError as error:
            if not os.access(self.path, os.R_OK):
                raise
            self._refusal = error
        self.target = os.path.realpath(self.path)
        # Those of a writer that was killed are found by their names, and removed by whoever claims the file next.
        name = os.path.basename(self.target)
        self._prefix = f".fastem-{xxhash.xxh3_64_hexdigest(os.fsencode(name))}-"
        self._descriptor: int | None = None
        with naming(self.path, self.target):
            self.content = self._take()
        _CLAIMS.add(self)

    def _take(self) -> bytes | None:
        while True:
            try:
                descriptor = _open(self.target)
            except FileNotFoundError:
                return None
            try:
                locked = self._lock(descriptor)
                if self._is_in_place(descriptor):
                    with open(descriptor, "rb", closefd=False) as file:
                        content = file.read()
                    break
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # another took its place meanwhile
        self._descriptor = descriptor
        if locked:
            self._clear()
        return content

    def _lock(self, descriptor: int) -> bool:
        """Lock a file, if that is possible; `InUse` if it is locked."""
        if fcntl is None:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(errno.EWOULDBLOCK, "is in use by another fit", self.path) from None
        except OSError:
            return False  # a file system without locks
        return True

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.target))
        except FileNotFoundError:
            return False

    def _clear(self) -> None:
        folder = os.path.dirname(self.target)
        with suppress(OSError):
            left = [name for name in os.listdir(folder) if name.startswith(self._prefix) and name.endswith(".tmp")]
            for name in left:
                os.unlink(os.path.join(folder, name))

    def check_writable(self) -> None:
        """Raise PermissionError if the file may be read only."""
        if self._refusal is not None:
            raise self._refusal

    def write(self, content: bytes) -> None:
        """Replace the file, if it is still the one that was claimed or written before.

        Raises
        ------
        OSError
            If that fails; the file is then as it was. `InUse` if another has put a file in its place.
        """
        self.check_writable()
        held: list[int] = []

        def fill(file: BinaryIO) -> None:
            file.write(content)
            held.append(os.dup(file.fileno()))
            self._lock(held[0])

        draft = Draft(self.target, self.path, self._prefix)
        try:
            draft.fill(fill)
            with undisturbed():
                self._place(draft)
                before, self._descriptor = self._descriptor, held.pop()
                if before is not None:
                    os.close(before)
        finally:
            for descriptor in held:
                os.close(descriptor)
            draft.discard()
        sync_folder(draft.folder, self.path)

    def _place(self, draft: Draft) -> None:
        if self._descriptor is not None and os.path.lexists(self.target):
            if not self._is_in_place(self._descriptor):
                raise InUse(errno.EEXIST, "has been replaced by somebody else", self.path)
            draft.place()
            return
        try:
            draft.place_new()
        except FileExistsError:
            raise InUse(errno.EEXIST, "has been written by somebody else", self.path) from None

    def release(self) -> None:
        """Let others have the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    except PermissionError:
        return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))


def _release_in_child() -> None:
    """A child that outlives its parent must not keep the parent's claims."""
    for claim in _CLAIMS:
        with suppress(OSError):
            claim.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
