"""Compiling everything ahead of time, for machines where the first fit must not wait."""

import functools
import time
from collections.abc import Callable

import numpy as np

from fastem import families
from fastem.compiled import get_passes
from fastem.sources import ArraySource, Mixture


def warmup(report: Callable[[str, float], None] | None = None, dtypes: tuple[str, ...] = ("float64",)) -> None:
    """Compile every pass of every family into the disk cache.

    Parameters
    ----------
    report : callable (label, seconds), optional
        Called after each pass.
    dtypes : tuple of str, default=("float64",)
        Types of data to compile for; "float32" is the other one.

    Examples
    --------
    >>> from fastem.warmup import warmup
    >>> warmup(print)  # doctest: +SKIP
    """
    for dtype in dtypes:
        for name in families.NAMES:
            family = families.get_family(name)
            source = ArraySource(np.ones((8, 2), dtype), single=dtype == "float32" and family.single)
            mixture = Mixture(np.full(2, 0.5), family.params_at(np.zeros((2, 2))))
            passes = get_passes(name)
            steps: dict[str, Callable[[], object]] = {}
            for parallel in (False, True):
                how = "all threads" if parallel else "one thread"
                steps[f"fit, {how}"] = functools.partial(
                    source.sweep, passes, mixture, family.n_stats(2, 2), parallel=parallel
                )
                steps[f"score, {how}"] = functools.partial(source.score, passes, mixture, parallel=parallel)
            for label, step in steps.items():
                begin = time.perf_counter()
                step()
                if report is not None:
                    report(f"{name} {dtype}: {label}", time.perf_counter() - begin)
