"""A lock by which one process compiles a function, while the others wait and find it in the cache.

It is a lock of the operating system (`fcntl.lockf`) on one byte of a file in the cache's folder. A process that ends
releases its locks.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without it: each process compiles for itself
    fcntl = None  # type: ignore[assignment]

PATIENCE = 120.0  # seconds to wait for another process, which may hang
NAP = 0.02
PLACES = 2**31  # number of bytes that can be locked; the file stays empty


class Turn:
    """The turn of one process to compile a function.

    Parameters
    ----------
    folder : Path
        Folder of the cache.
    name : bytes
        Hash of the function and the types of its arguments.
    """

    def __init__(self, folder: Path, name: bytes) -> None:
        self._path = str(folder / "fastem.lock")
        self._place = int.from_bytes(name[:8], "little") % PLACES
        self._held = False

    def take(self) -> bool:
        """Wait for the turn; return whether another process had it in the meantime."""
        waited, late = False, time.monotonic() + PATIENCE
        while fcntl is not None and time.monotonic() < late:
            try:
                fcntl.lockf(_descriptor(self._path, os.getpid()), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
            except BlockingIOError:
                waited = True
                time.sleep(NAP)
                continue
            except OSError:  # a file system without locks, or a read-only folder
                return waited
            self._held = True
            break
        return waited

    def leave(self) -> None:
        """Release the turn."""
        if self._held:
            fcntl.lockf(_descriptor(self._path, os.getpid()), fcntl.LOCK_UN, 1, self._place)
            self._held = False


@functools.cache
def _descriptor(path: str, process: int) -> int:
    """Descriptor of the lock file, opened once per process: closing it would release all locks of the process."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
