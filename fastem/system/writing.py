"""Files that are written whole or not at all: checked before the work, put in place when all is on disk.

What is written goes to a temporary file beside its target, `.fastem-*.tmp`, which then takes the target's place. So

- a reader sees the old content or the new, and a failure leaves the old;
- the file has the mode, group, owner and access list of the one that it replaces, as far as the system permits, and
  from its creation on no others can read it; where there was none it has the mode that the umask leaves;
- a symbolic link stays, and what it points to is replaced; other hard links keep the old content;
- a file that may not be written to is not replaced either, although its folder would permit that;
- character devices, pipes and `/dev/stdout` stay what they are, and are written to; block devices are refused.

A process that is killed, or a system that refuses to remove it, may leave a temporary file: it is of no use, and in
nobody's way.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO, TypeAlias

from fastem.system.interrupts import undisturbed
from fastem.system.permissions import take_over

Target: TypeAlias = "str | os.PathLike[str]"
Content: TypeAlias = bytes | Callable[[BinaryIO], object]


def check_target(path: Target, *, special: bool = True) -> None:
    """Refuse a target that cannot be written, before any work is done.

    Parameters
    ----------
    path : str or path-like
        Where a file is to be, or be replaced.
    special : bool, default=True
        Whether it may be a character device or a pipe.

    Raises
    ------
    OSError
        Of the kind that writing would raise, with the path as its `filename`: if there is no such folder, or no
        permission, if the path is of a folder, too long, or a loop of links.
    """
    name = os.fsdecode(path)
    if not os.path.basename(name):
        raise OSError(errno.EISDIR if name else errno.ENOENT, "is no name of a file", name)
    old = _status(name)
    if old is not None:
        if stat.S_ISDIR(old.st_mode):
            raise OSError(errno.EISDIR, "is a folder", name)
        if not stat.S_ISREG(old.st_mode) and not (special and _is_stream(old)):
            raise OSError(errno.EINVAL, "is no regular file", name)
        if not os.access(name, os.W_OK):
            raise OSError(errno.EACCES, "may not be written to", name)
    if not _is_written_through(name):
        _check_folder(name, old)


def write_whole(path: Target, content: Content) -> None:
    """Write one file, see `write_together`."""
    write_together({path: content})


def write_together(contents: Mapping[Target, Content]) -> None:
    """Write several files so that all are there, whole, or none is.

    All are complete on disk before the first takes its place. If one cannot take its place, those before it are put
    back, which needs a file system with hard links.

    Parameters
    ----------
    contents : mapping of path to bytes or callable
        What each file holds, or what writes it, given a binary file.

    Raises
    ------
    OSError
        If a file cannot be written; its `filename` is the path that was given.
    """
    drafts = [_Stream(path) if _is_written_through(os.fsdecode(path)) else Draft(path) for path in contents]
    drafts.sort(key=lambda draft: isinstance(draft, _Stream))  # what cannot be taken back comes last
    given = {os.fsdecode(path): content for path, content in contents.items()}
    try:
        for draft in drafts:
            check_target(draft.path)
        for draft in drafts:
            draft.fill(given[draft.path])
        with undisturbed():
            _place_all([draft for draft in drafts if isinstance(draft, Draft)])
    finally:
        with undisturbed():
            for draft in drafts:
                draft.discard()


class Draft:
    """A file's new content, in a temporary file beside it until that takes its place.

    Parameters
    ----------
    path : str or path-like
        The file. Links are followed.
    name : str, optional
        What errors call it, if not by the path.
    prefix : str
        What names of temporary files begin with.
    """

    def __init__(self, path: Target, name: str | None = None, prefix: str = ".fastem-") -> None:
        self.path = os.fsdecode(path) if name is None else name
        self.target = os.path.realpath(os.fsdecode(path))
        self.folder = os.path.dirname(self.target)
        self.temporary = os.path.join(self.folder, f"{prefix}{secrets.token_hex(8)}.tmp")
        self._backup = os.path.join(self.folder, f"{prefix}{secrets.token_hex(8)}.tmp")
        self._made = self._backed_up = self._was_there = False

    def fill(self, content: Content) -> None:
        """Write the temporary file, as far as the disk."""
        with naming(self.path, self.temporary):
            old = _status(self.target)
            mode = 0o666 if old is None else 0o600
            self._made = True  # before it is: an interrupt may come between
            with open(self.temporary, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
                if old is not None and os.name == "posix":
                    take_over(file.fileno(), old, self.target)
                _write(content, file)
                file.flush()
                os.fsync(file.fileno())

    def back_up(self) -> None:
        """Give the old file a second name, where that is possible."""
        self._was_there = os.path.lexists(self.target)
        with suppress(OSError):
            os.link(self.target, self._backup)
            self._backed_up = True

    def place(self) -> None:
        """Let the temporary file take the target's place."""
        with naming(self.path, self.temporary):
            os.replace(self.temporary, self.target)
        self._made = False

    def place_new(self) -> None:
        """The same where no file is; FileExistsError if one has come there meanwhile."""
        with naming(self.path, self.temporary):
            try:
                os.link(self.temporary, self.target)
            except FileExistsError:
                raise
            except OSError:  # a file system without links
                os.replace(self.temporary, self.target)

    def take_back(self) -> None:
        """Undo `place`, if `back_up` came before it."""
        if self._backed_up:
            os.replace(self._backup, self.target)
        elif not self._was_there:
            os.unlink(self.target)

    def discard(self) -> None:
        """Remove what is temporary and still there."""
        if self._made:
            _remove(self.temporary)
        if self._backed_up:
            _remove(self._backup)


class _Stream:
    """A device or a pipe."""

    def __init__(self, path: Target) -> None:
        self.path = os.fsdecode(path)

    def fill(self, content: Content) -> None:
        """Write to it; what a pipe's reader has taken is gone."""
        with naming(self.path), open(self.path, "wb", opener=_existing) as file:
            _write(content, file)

    def discard(self) -> None:
        """Nothing is temporary."""


def sync_folder(folder: str, path: str) -> None:
    """Bring the names in a folder to the disk, where the system can do that, for the sake of a path."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # a folder that may not be read; another kind of system
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def _place_all(drafts: list[Draft]) -> None:
    """Put all in place, or none."""
    begun: list[Draft] = []
    try:
        for draft in drafts:
            if draft is not drafts[-1]:
                draft.back_up()
                begun.append(draft)
            draft.place()
    except BaseException:
        for draft in reversed(begun):
            with suppress(FileNotFoundError):
                draft.take_back()
        raise
    for draft in drafts:
        sync_folder(draft.folder, draft.path)


def _write(content: Content, file: BinaryIO) -> None:
    if isinstance(content, bytes):
        file.write(content)
    else:
        content(file)


def _status(name: str) -> os.stat_result | None:
    """What is there, at the end of all links; None if nothing is."""
    try:
        return os.stat(name)
    except FileNotFoundError:
        return None


def _is_stream(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)


def _is_written_through(name: str) -> bool:
    """Whether writing is into what is there: a device, a pipe, or an open file."""
    try:
        return _is_stream(os.stat(name)) or _open_file(name) is not None
    except OSError:
        return False  # told by what writes or checks


def _open_file(name: str) -> str | None:
    """The link in /proc to an open file, such as standard output, that a name leads to."""
    while os.path.islink(name):
        if os.path.realpath(os.path.dirname(name)).startswith("/proc/"):
            return name
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    return None


def _existing(path: str, flags: int) -> int:
    """Open what is there; an open file of this process where it has been written to so far."""
    link = _open_file(path)
    if link is not None and os.path.realpath(os.path.dirname(link)) == os.path.realpath("/proc/self/fd"):
        return os.dup(int(os.path.basename(link)))
    return os.open(path, flags & ~(os.O_CREAT | os.O_TRUNC) | os.O_APPEND)


def _check_folder(name: str, old: os.stat_result | None) -> None:
    """Refuse a folder in which no file can be replaced."""
    folder = os.path.dirname(os.path.realpath(name))
    if not os.path.isdir(folder):
        raise OSError(errno.ENOENT, f"there is no folder {folder!r}", name)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, f"the folder {folder!r} may not be written to", name)
    if old is None or os.name != "posix":
        return
    around, user = os.stat(folder), os.geteuid()
    if around.st_mode & stat.S_ISVTX and user not in (0, old.st_uid, around.st_uid):
        raise OSError(errno.EPERM, f"only its owner may replace it in the folder {folder!r}", name)


def _remove(temporary: str) -> None:
    with suppress(OSError):
        os.unlink(temporary)


@contextmanager
def naming(path: str, *ours: str) -> Iterator[None]:
    """Let errors of the system name the path that the user gave, not our names nor none."""
    try:
        yield
    except OSError as error:
        if error.filename == path or error.filename not in (None, *ours):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), path) from error
