"""What fastem runs on, as one would tell in a report."""

import platform
from importlib.metadata import version

from fastem import __version__
from fastem.engine.compiled import get_passes
from fastem.families import get_family


def environment() -> dict[str, str]:
    """Versions, processor, threads and cache folder, as a user would report them.

    Examples
    --------
    >>> from fastem.environment import environment
    >>> sorted(environment())[:3]
    ['cache directory', 'fastem', 'llvmlite']
    """
    from fastem.kernels import jit

    return {
        "fastem": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "llvmlite", "scikit-learn", "scipy")},
        "processor": str(jit.processor()),
        "threads": str(jit.n_threads()),
        "cache directory": jit.cache_directory(get_passes(get_family("poisson")).fused),
    }
