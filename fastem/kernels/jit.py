"""The one place that chooses compilation options, disk caching and threads.

No other module sets a numba option. `kernel` decorates code over tiles, `inlined` code with one caller, and `bound`
makes such code from other kernels. `specialise` turns a template, a function with global names that stand for kernels,
into a cached compiled function. None of them lets LLVM reorder sums: kernels state vector operations explicitly, see
`fastem.kernels.vectors`.
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
# Options of all compiled code, without fastmath. No C code calls it. Callers allocate all memory, so references to
# arrays need not be counted: threads would contend for the same counters at each slice that a kernel takes.
OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}


def _njit(function: Function, **options: Any) -> Function:
    """numba.njit, typed as returning a plain function."""
    decorate: Any = numba.njit
    return decorate(**options)(function)


class Kernel:
    """Code over tiles, linked into the passes that call it; only passes are cached on disk.

    The wrapper for calls from Python takes a sixth of the compilation time, and no pass needs it. So it is compiled at
    the first call from Python, which only tests make.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self.linked = _njit(function, **OPTIONS, no_cpython_wrapper=True)

    @functools.cached_property
    def _called(self) -> Function:
        return _njit(self._function, **OPTIONS)

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel from Python."""
        return self._called(*arguments)


@typeof_impl.register(Kernel)
def _type_kernel(value: Kernel, _: Any) -> Any:
    """Numba's type of a kernel in compiled code."""
    typeof: Any = numba.typeof
    return typeof(value.linked)


def kernel(function: Function) -> Function:
    """Compile code over tiles."""
    return function if _config().DISABLE_JIT else Kernel(function)


def inlined(function: Function) -> Function:
    """Compile code as a part of the pass that calls it, and not by itself before."""
    return _njit(function, **OPTIONS, inline="always")


def bound(template: Function, bindings: Mapping[str, Function]) -> Function:
    """`inlined`, with the global names in `bindings` bound to other kernels.

    They are globals because numba's disk cache misses for kernels in closures: its key would contain their addresses.
    """
    return inlined(_with_globals(template, bindings))


def _with_globals(template: Function, bindings: Mapping[str, Function]) -> FunctionType:
    """Copy of a function with `bindings` added to its globals."""
    namespace = {**template.__globals__, **bindings}
    return FunctionType(template.__code__, namespace, template.__name__, template.__defaults__)


@functools.cache
def fingerprint() -> str:
    """Hash of all source files that can be linked into a pass, and of `FASTEM_VECTOR_BYTES`.

    numba's cache checks the file of the outermost function only, so it would use outdated code of an edited callee.
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
        Plain Python function; its other globals are those of its module.
    label : str
        Name of the specialisation, a part of the cache file's name, so that families do not use each other's code.
    bindings : mapping of str to function
        The kernels that the names stand for.

    Returns
    -------
    function
        The dispatcher, cached on disk if numba finds a writable folder.
    """
    function = _with_globals(template, bindings)
    function.__qualname__ = f"{template.__name__}.{label}.{fingerprint()}"
    function.__module__ = template.__module__
    dispatcher: Any = _njit(function, **OPTIONS)
    if not _config().DISABLE_JIT:
        with contextlib.suppress(RuntimeError, OSError):  # no writable cache folder: compile anew in every process
            dispatcher._cache = CheckedCache(function)  # cache=True would set numba's own class
    return dispatcher


def _config() -> Any:
    """Numba's settings, typed as Any because its attributes are set at import."""
    return numba.config


def n_threads() -> int:
    """Number of threads of a pass that this thread starts now.

    It is one in threads other than the main thread: whoever made these threads uses the cores already.
    """
    alone = threading.current_thread() is threading.main_thread() and not _config().DISABLE_JIT
    return int(numba.get_num_threads()) if alone else 1


@contextlib.contextmanager
def limit_threads(n_jobs: int) -> Iterator[int]:
    """Run with at most `n_jobs` threads, where -1 stands for all and -2 for all but one; yields their number."""
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
    """LLVM's name of the processor for which code is generated."""
    import llvmlite.binding

    return str(_config().CPU_NAME or llvmlite.binding.get_host_cpu_name())


def is_for_host() -> bool:
    """Whether code is generated for the processor that it runs on, and not for one named by numba's settings."""
    return _config().CPU_NAME is None and _config().CPU_FEATURES is None


def assembly(instructions: str) -> str:
    """Assembly code of LLVM instructions, for the processor for which code is generated."""
    from llvmlite import binding
    from numba.core.registry import cpu_target

    generator: Any = cpu_target.target_context.codegen()
    options = {"cpu": processor(), "features": generator._tm_features}
    machine = binding.Target.from_default_triple().create_target_machine(**options)
    return str(machine.emit_assembly(binding.parse_assembly(instructions)))


def cache_directory(function: Function) -> str:
    """Folder of a specialised function's compiled code, or the reason why there is none."""
    path = getattr(getattr(function, "_cache", None), "cache_path", None)
    return str(path) if path else "none: no writable folder, code is compiled in each process"
