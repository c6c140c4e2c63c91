"""Faults at calls of the operating system: a chosen call fails, or ends the process."""

import contextlib
import errno
import os
import signal

from fastem.system import claims, writing

CALLS = ("open", "fsync", "replace", "link", "unlink", "fchmod", "fchown", "dup", "setxattr")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


class Kill:
    """Given in place of an error number: the process is killed."""


class Faults:
    """Counts calls, and lets one of them fail.

    Parameters
    ----------
    place : int, optional
        Number of the call that fails, from 0; None lets no call fail.
    error : int or Kill
        Number of the error, or `Kill`.
    """

    def __init__(self, place=None, error=errno.EIO):
        self.place, self.error = place, error
        self.calls = []

    @property
    def failed(self):
        """Name of the call that failed; None if none has."""
        return self.calls[self.place] if self.place is not None and self.place < len(self.calls) else None

    def trip(self, name):
        """Count a call, and fail if it is number `place`."""
        self.calls.append(name)
        if self.place == len(self.calls) - 1:
            if self.error is Kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(self.error, os.strerror(self.error))

    def calling(self, name, function):
        """The function, preceded by `trip`."""

        def call(*arguments, **options):
            self.trip(name)
            return function(*arguments, **options)

        return call


class FaultyFile:
    """A file of which half is written when writing fails."""

    def __init__(self, file, faults):
        self._file, self._faults = file, faults

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, content):
        try:
            self._faults.trip("write")
        except OSError:
            self._file.write(bytes(content)[: len(content) // 2])
            raise
        return self._file.write(content)

    def flush(self):
        self._faults.trip("flush")
        self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()
        if error == (None, None, None):
            self._faults.trip("close")


@contextlib.contextmanager
def injected(faults):
    """Count the system calls of the code that writes files, and let one of them fail."""
    before = {name: getattr(os, name) for name in CALLS if hasattr(os, name)}
    lock = claims.fcntl.flock if claims.fcntl else None
    for name, function in before.items():
        # fsync does nothing: a thousand calls would be slow, and the test could not see their effect.
        setattr(os, name, faults.calling(name, function if name != "fsync" else lambda descriptor: None))
    writing.open = lambda *given, **options: FaultyFile(open(*given, **options), faults)  # noqa: SIM115
    if lock:
        claims.fcntl.flock = faults.calling("flock", lock)
    try:
        yield faults
    finally:
        del writing.open
        for name, function in before.items():
            setattr(os, name, function)
        if lock:
            claims.fcntl.flock = lock
