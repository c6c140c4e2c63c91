"""The one place that chooses compilation options, disk caching and threads.

Nothing above this file names a numba option. `kernel` is the decorator of code over tiles, `inlined` that of code with
one caller, `bound` that of such code made from other kernels. `specialise` turns a template, a function whose globals
name kernels that are yet to be bound, into a cached compiled function. None lets LLVM reorder sums: kernels say
themselves what is done in parallel, see `fastem.kernels.vectors`.
"""

import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
from numba.extending import typeof_impl

from fastem.kernels.cache import CheckedCache

Function = Callable[..., Any]
# Of everything that is compiled; no fastmath. Nobody calls from C. Memory is handed in, so that no references to arrays
# need to be counted: threads would do that in the same places of memory, for each slice that a kernel takes.
OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}


def _njit(function: Function, **options: Any) -> Function:
    """numba.njit, whose types say more about its result than a caller of a kernel needs."""
    decorate: Any = numba.njit
    return decorate(**options)(function)


class Kernel:
    """Code over tiles, linked into the passes that call it: only those are cached on disk.

    Unpacking the arguments of a call from Python takes a sixth of the time to compile, and no pass needs it. So it is
    compiled when Python does call, that is in tests.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self.linked = _njit(function, **OPTIONS, no_cpython_wrapper=True)

    @functools.cached_property
    def _called(self) -> Function:
        return _njit(self._function, **OPTIONS)

    def __call__(self, *arguments: Any) -> Any:
        """Call it from Python."""
        return self._called(*arguments)


@typeof_impl.register(Kernel)
def _type_kernel(value: Kernel, _: Any) -> Any:
    """What compiled code sees of a kernel."""
    typeof: Any = numba.typeof
    return typeof(value.linked)


def kernel(function: Function) -> Function:
    """Compile code over tiles."""
    return function if _config().DISABLE_JIT else Kernel(function)


def inlined(function: Function) -> Function:
    """Compile code as a part of the pass that calls it, rather than by itself first and once more in the pass."""
    return _njit(function, **OPTIONS, inline="always")


def bound(template: Function, bindings: Mapping[str, Function]) -> Function:
    """`inlined`, with the global names in `bindings` bound to other kernels.

    Globals, because kernels that are held in closures make numba's disk cache miss: its key would hold their addresses.
    """
    return inlined(_with_globals(template, bindings))


def _with_globals(template: Function, bindings: Mapping[str, Function]) -> FunctionType:
    """A copy of a function whose globals are its own and `bindings`."""
    namespace = {**template.__globals__, **bindings}
    return FunctionType(template.__code__, namespace, template.__name__, template.__defaults__)


@functools.cache
def fingerprint() -> str:
    """Hash of every source file that can be linked into a pass, and of the width of vectors if that is given.

    numba's cache looks at the file of the outermost function only: without this an edited callee would be served stale.
    """
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for folder in ("kernels", "families"):
        for source in sorted((package / folder).glob("*.py")):
            digest.update(source.read_bytes())
    digest.update(os.environ.get("FASTEM_VECTOR_BYTES", "").encode())
    return digest.hexdigest()[:12]


def specialise(
    template: Function,
    label: str,
    bindings: Mapping[str, Function],
) -> Function:
    """Compile `template` with the global names in `bindings` bound to other kernels.

    Parameters
    ----------
    template : function
        Plain Python function; its module is the rest of its globals.
    label : str
        Names the specialisation. It is part of the cache file's name, or one family would be served another's code.
    bindings : mapping of str to function
        What the names stand for.

    Returns
    -------
    function
        The dispatcher, cached on disk where numba finds a writable folder.
    """
    function = _with_globals(template, bindings)
    function.__qualname__ = f"{template.__name__}.{label}.{fingerprint()}"
    function.__module__ = template.__module__
    dispatcher: Any = _njit(function, **OPTIONS)
    if not _config().DISABLE_JIT:
        with contextlib.suppress(RuntimeError, OSError):  # no writable cache folder: compile anew in every process
            dispatcher._cache = CheckedCache(function)  # as cache=True would set numba's own
    return dispatcher


def _config() -> Any:
    """Numba's settings, which are attributes made at import."""
    return numba.config


def n_threads() -> int:
    """Number of threads that share a pass started now by this thread.

    One in threads that somebody else has made: more would only fight over the cores.
    """
    alone = threading.current_thread() is threading.main_thread() and not _config().DISABLE_JIT
    return int(numba.get_num_threads()) if alone else 1


@contextlib.contextmanager
def limit_threads(n_jobs: int) -> Iterator[int]:
    """Run with at most `n_jobs` threads, -1 standing for all, -2 for all but one; yields how many that are."""
    available = int(_config().NUMBA_NUM_THREADS)
    wanted = n_jobs if n_jobs > 0 else available + 1 + n_jobs
    n_threads = min(max(wanted, 1), available)
    before = numba.get_num_threads()
    numba.set_num_threads(n_threads)
    try:
        yield n_threads
    finally:
        numba.set_num_threads(before)


def processor() -> str:
    """Name of the processor that code is generated for, as LLVM knows it."""
    import llvmlite.binding

    return str(_config().CPU_NAME or llvmlite.binding.get_host_cpu_name())


def is_for_host() -> bool:
    """Whether code is generated for the processor that it runs on, and not for one that numba's settings name."""
    return _config().CPU_NAME is None and _config().CPU_FEATURES is None


def assembly(instructions: str) -> str:
    """What LLVM makes of some instructions on the processor that code is generated for."""
    from llvmlite import binding
    from numba.core.registry import cpu_target

    generator: Any = cpu_target.target_context.codegen()
    options = {"cpu": processor(), "features": generator._tm_features}
    machine = binding.Target.from_default_triple().create_target_machine(**options)
    return str(machine.emit_assembly(binding.parse_assembly(instructions)))


def cache_directory(function: Function) -> str:
    """Folder of a specialised function's compiled code, or why there is none."""
    path = getattr(getattr(function, "_cache", None), "cache_path", None)
    return str(path) if path else "none: no writable folder, code is compiled in each process"
