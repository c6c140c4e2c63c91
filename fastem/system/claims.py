"""Claims on files that one process writes again and again.

A claim is a lock of the system (`flock`) on the file itself, and then on each file that replaces it. So there is no
separate lock file, and a claim ends when its process ends, for whatever reason. Where the system or the file system has
no such locks, several processes can claim a file; but none overwrites a file that another has put in place.
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
    """Error for a file that another process, or another fit in this process, has claimed."""


class Claim:
    """A file that nobody else writes until the claim is released.

    Parameters
    ----------
    path : str or path-like
        The file, which need not exist yet. Links are followed.

    Attributes
    ----------
    content : bytes or None
        Content of the file when it was claimed; None if it did not exist.

    Raises
    ------
    OSError
        If the file can be neither written nor read; `InUse` if somebody else has claimed it.
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
        # Temporary files have the target in their names: the next claim removes those of a writer that was killed.
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
            os.close(descriptor)  # another file has replaced it meanwhile
        self._descriptor = descriptor
        if locked:
            self._clear()
        return content

    def _lock(self, descriptor: int) -> bool:
        """Lock a file; False if there are no locks, `InUse` if somebody else has locked it."""
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
        """Raise PermissionError if the file can only be read."""
        if self._refusal is not None:
            raise self._refusal

    def write(self, content: bytes) -> None:
        """Replace the file, if it is still the one that was claimed or written before.

        Raises
        ------
        OSError
            If writing fails; the file then keeps its old content. `InUse` if somebody else has replaced the file.
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
        """End the claim, so that others can claim the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    except PermissionError:
        return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))


def _release_in_child() -> None:
    """Release all claims in a forked child: it could outlive its parent and keep the parent's claims."""
    for claim in _CLAIMS:
        with suppress(OSError):
            claim.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
