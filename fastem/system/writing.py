"""Writes files completely or not at all: targets are checked before the work, and replaced when all is on disk.

Content goes to a temporary file beside its target, `.fastem-*.tmp`, which then replaces the target. So

- a reader sees the old content or the new, and a failure leaves the old;
- the file has the mode, group, owner and access list of the file that it replaces, as far as the system permits, and
  never more readers than that file; a new file has the mode that the umask leaves;
- a symbolic link stays, and the file that it points to is replaced; other hard links keep the old content;
- a file without write permission is not replaced, although its folder would permit that;
- character devices, pipes and `/dev/stdout` are written to and not replaced; block devices are refused.

If the process is killed, or the system refuses to remove it, a temporary file may be left. It can be deleted.
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
        The file to write or to replace.
    special : bool, default=True
        Whether it may be a character device or a pipe.

    Raises
    ------
    OSError
        The error that writing would raise, with the path as its `filename`: if the folder does not exist, if
        permission is missing, or if the path is a folder, is too long or is a loop of links.
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
    """Write several files: all of them completely, or none.

    All contents are on disk before the first target is replaced. If a target cannot be replaced, those replaced before
    get their old files back, which needs a file system with hard links.

    Parameters
    ----------
    contents : mapping of path to bytes or callable
        Content of each file, or a function that writes it to the binary file that it is given.

    Raises
    ------
    OSError
        If a file cannot be written; its `filename` is the path that was given.
    """
    drafts = [_Stream(path) if _is_written_through(os.fsdecode(path)) else Draft(path) for path in contents]
    drafts.sort(key=lambda draft: isinstance(draft, _Stream))  # these cannot be undone, so they come last
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
    """New content of a file, in a temporary file beside it that later replaces it.

    Parameters
    ----------
    path : str or path-like
        The file. Links are followed.
    name : str, optional
        Name of the file in errors; the path by default.
    prefix : str
        Beginning of the names of temporary files.
    """

    def __init__(self, path: Target, name: str | None = None, prefix: str = ".fastem-") -> None:
        self.path = os.fsdecode(path) if name is None else name
        self.target = os.path.realpath(os.fsdecode(path))
        self.folder = os.path.dirname(self.target)
        self.temporary = os.path.join(self.folder, f"{prefix}{secrets.token_hex(8)}.tmp")
        self._backup = os.path.join(self.folder, f"{prefix}{secrets.token_hex(8)}.tmp")
        self._made = self._backed_up = self._was_there = False

    def fill(self, content: Content) -> None:
        """Write the temporary file and flush it to the disk."""
        with naming(self.path, self.temporary):
            old = _status(self.target)
            mode = 0o666 if old is None else 0o600
            self._made = True  # set before the file exists, as an interrupt may come in between
            with open(self.temporary, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
                if old is not None and os.name == "posix":
                    take_over(file.fileno(), old, self.target)
                _write(content, file)
                file.flush()
                os.fsync(file.fileno())

    def back_up(self) -> None:
        """Give the old file a second name, a hard link, where that is possible."""
        self._was_there = os.path.lexists(self.target)
        with suppress(OSError):
            os.link(self.target, self._backup)
            self._backed_up = True

    def place(self) -> None:
        """Replace the target by the temporary file."""
        with naming(self.path, self.temporary):
            os.replace(self.temporary, self.target)
        self._made = False

    def place_new(self) -> None:
        """Make the temporary file the target, which must not exist; FileExistsError if it does by now."""
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
        """Remove the temporary files that are left."""
        if self._made:
            _remove(self.temporary)
        if self._backed_up:
            _remove(self._backup)


class _Stream:
    """A device, a pipe or an open file, which is written to and not replaced."""

    def __init__(self, path: Target) -> None:
        self.path = os.fsdecode(path)

    def fill(self, content: Content) -> None:
        """Write the content, which cannot be undone."""
        with naming(self.path), open(self.path, "wb", opener=_existing) as file:
            _write(content, file)

    def discard(self) -> None:
        """Do nothing: there is no temporary file."""


def sync_folder(folder: str, path: str) -> None:
    """Flush the entries of a folder to the disk, where the system can do that; errors name `path`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # a folder without read permission, or a system that does not open folders
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def _place_all(drafts: list[Draft]) -> None:
    """Replace all targets, or none."""
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
    """Status of the file at the end of all links; None if there is none."""
    try:
        return os.stat(name)
    except FileNotFoundError:
        return None


def _is_stream(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode)


def _is_written_through(name: str) -> bool:
    """Whether the name is written to and not replaced: a device, a pipe, or an open file."""
    try:
        return _is_stream(os.stat(name)) or _open_file(name) is not None
    except OSError:
        return False  # the check or the write raises this error


def _open_file(name: str) -> str | None:
    """The link in /proc to an open file, such as standard output, that a name leads to; None if there is none."""
    while os.path.islink(name):
        if os.path.realpath(os.path.dirname(name)).startswith("/proc/"):
            return name
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    return None


def _existing(path: str, flags: int) -> int:
    """Open an existing file to append to it; an open file of this process is continued at its present position."""
    link = _open_file(path)
    if link is not None and os.path.realpath(os.path.dirname(link)) == os.path.realpath("/proc/self/fd"):
        return os.dup(int(os.path.basename(link)))
    return os.open(path, flags & ~(os.O_CREAT | os.O_TRUNC) | os.O_APPEND)


def _check_folder(name: str, old: os.stat_result | None) -> None:
    """Raise OSError if this user cannot create or replace the file in its folder."""
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
    """Make errors of the system name the user's path, in place of one of `ours` or no file."""
    try:
        yield
    except OSError as error:
        if error.filename == path or error.filename not in (None, *ours):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), path) from error
