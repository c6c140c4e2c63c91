"""Versions and machine that fastem runs on, for bug reports."""

import platform
from importlib.metadata import version

from fastem import __version__
from fastem.engine.compiled import get_passes
from fastem.families import get_family


def environment() -> dict[str, str]:
    """Collect versions, processor, number of threads and cache folder, for a bug report.

    Returns
    -------
    dict of str to str

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
