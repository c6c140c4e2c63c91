"""numba's disk cache with checksums: a damaged file is not used.

A file of compiled code that is truncated or has a wrong bit may load, and crash when it runs. So each file begins with
a hash of the rest. There is one file for each specialisation and types of arguments. Its name is a hash of everything
that it depends on, and the file contains the same data, so that no index is needed that could point to a wrong file.
Where a file is damaged, code is compiled anew.

Loading code takes a tenth of the time that preparing numba to compile does, so this preparation waits until something
is compiled.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import uuid
import warnings
from pathlib import Path
from typing import Any

import numba
import numba.core.runtime._nrt_python as runtime
from llvmlite.binding import add_symbol
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

from fastem.kernels.compiling import Turn

DIGEST_BYTES = 16
_warned: set[str] = set()


class _Result(CompileResultCacheImpl):
    """The parts of a compiled function that are saved."""

    def reduce(self, cres: Any) -> Any:
        """Everything except the globals of numba's own functions: they are not used, and loading them imports these."""
        *parts, environments = super().reduce(cres)  # type: ignore[no-untyped-call]
        kept = (each for each in environments if not each.globals["__name__"].startswith("numba."))
        return (*parts, tuple(kept))


class CheckedCache(FunctionCache):
    """Cache of one function; a damaged file causes a warning, never an error.

    Raises
    ------
    RuntimeError
        If no folder is writable.
    """

    _impl_class = _Result

    def __init__(self, function: Any) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        implementation = self._impl
        stamp = numba.__version__, implementation.locator.get_source_stamp()
        self._files = _CheckedFiles(Path(self.cache_path), implementation.filename_base, stamp)
        self._cache_file: Any = self._files

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Compiled code for the types of arguments; None if this process has to compile it."""
        found = self._found(sig, target_context)
        if found is None:
            with contextlib.suppress(OSError):
                self._impl.locator.ensure_cache_path()
            self._turn = Turn(Path(self.cache_path), _digest(repr((self._impl.filename_base, sig)).encode()))
            if self._turn.take():
                found = self._found(sig, target_context)
            if found is not None:
                self._turn.leave()
        return found

    def _found(self, sig: Any, target_context: Any) -> Any:
        """The file's compiled code, or None if there is no file or it is damaged."""
        try:
            _declare_runtime()
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception as error:  # pickle and LLVM raise errors of many types for damaged content
            self._files.discard(error)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save compiled code; warn if that is not possible."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except OSError as error:
            _warn_once(f"compiled code cannot be kept, each process compiles it anew: {error}", self.cache_path)
        finally:
            self._turn.leave()


class _CheckedFiles:
    """Files of one function, each a hash followed by the content that was hashed."""

    def __init__(self, folder: Path, base: str, stamp: Any) -> None:
        self._folder, self._base, self._stamp = folder, base, stamp
        self._last = folder

    def load(self, key: Any) -> Any:
        """The data saved under `key`, or None; raises ValueError if the file is damaged."""
        self._last = self._path(key)
        try:
            content = self._last.read_bytes()
        except FileNotFoundError:
            return None
        digest, rest = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if digest != _digest(rest):
            raise ValueError("its content is not what was written")
        try:
            saved, data = pickle.loads(rest)
        except (AttributeError, ModuleNotFoundError):
            return None  # undamaged, but from another version, whose classes were in other modules
        return data if saved == (self._stamp, key) else None

    def save(self, key: Any, data: Any) -> None:
        """Write a file under a temporary name, then rename it, so that no file is incomplete."""
        path = self._path(key)
        rest: bytes = dumps(((self._stamp, key), data))  # type: ignore[no-untyped-call]
        temporary = path.with_name(f"{path.name}.tmp.{uuid.uuid4().hex[:16]}")
        try:
            temporary.write_bytes(_digest(rest) + rest)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def flush(self) -> None:
        """Remove all files of the function."""
        for path in self._folder.glob(f"{self._base}.*.nbc"):
            path.unlink(missing_ok=True)

    def discard(self, error: Exception) -> None:
        """Remove the file that was read last, which is damaged, and warn."""
        with contextlib.suppress(OSError):  # the newly compiled code may still replace the file
            self._last.unlink()
        _warn_once(f"compiled code is made anew, as {self._last} cannot be used: {error!r}", str(self._last))

    def _path(self, key: Any) -> Path:
        return self._folder / f"{self._base}.{_digest(repr((self._stamp, key)).encode()).hex()}.nbc"


@functools.cache
def _declare_runtime() -> None:
    """Tell the linker the addresses of numba's runtime, as numba itself does before it compiles."""
    for name, address in runtime.c_helpers.items():
        add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def _warn_once(message: str, what: str) -> None:
    """Warn about a file or folder, once in a process."""
    if what not in _warned:
        _warned.add(what)
        warnings.warn(message, RuntimeWarning, stacklevel=2)
