"""One process at a time compiles a function; the others wait, and find it in the cache.

The lock is one of the system (`fcntl.lockf`) on a byte of a file beside the cache's: a process that ends has none.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # not every system has it: then each process compiles for itself
    fcntl = None  # type: ignore[assignment]

PATIENCE = 120.0  # seconds that another process is waited for: it may hang
NAP = 0.02
PLACES = 2**31  # bytes of the file that can be locked; none is written


class Turn:
    """The turn of one process to compile a function.

    Parameters
    ----------
    folder : Path
        Of the cache.
    name : bytes
        A hash of the function and the types of its arguments.
    """

    def __init__(self, folder: Path, name: bytes) -> None:
        self._path = str(folder / "fastem.lock")
        self._place = int.from_bytes(name[:8], "little") % PLACES
        self._held = False

    def take(self) -> bool:
        """Wait for the turn; returns whether somebody else had it meanwhile."""
        waited, late = False, time.monotonic() + PATIENCE
        while fcntl is not None and time.monotonic() < late:
            try:
                fcntl.lockf(_descriptor(self._path, os.getpid()), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
            except BlockingIOError:
                waited = True
                time.sleep(NAP)
                continue
            except OSError:  # a file system without locks, or a folder that may only be read
                return waited
            self._held = True
            break
        return waited

    def leave(self) -> None:
        """Let others have it."""
        if self._held:
            fcntl.lockf(_descriptor(self._path, os.getpid()), fcntl.LOCK_UN, 1, self._place)
            self._held = False


@functools.cache
def _descriptor(path: str, process: int) -> int:
    """The file, opened once a process: closing it would free all that the process has locked."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
