"""Compile everything ahead of time, for machines where the first fit must not wait for the compiler."""

import functools
import time
from collections.abc import Callable, Iterator

import numpy as np

from fastem.data import ArraySource, Mixture
from fastem.em.initialization.partition import SMALL, Partition
from fastem.engine.compiled import get_passes, get_waiting
from fastem.families import Family, get_family
from fastem.mixtures import COMPILED


def warmup(report: Callable[[str, float], None] | None = None, dtypes: tuple[str, ...] = ("float64",)) -> None:
    """Compile the passes of every family, and the code that computes starts, into the disk cache.

    Parameters
    ----------
    report : callable (label, seconds), optional
        Called after each step, with its name and the time that it took.
    dtypes : tuple of str, default=("float64",)
        Types of data to compile for: "float64", "float32" or both.

    Examples
    --------
    >>> from fastem.warmup import warmup
    >>> warmup(print)  # doctest: +SKIP
    """

    def timed(label: str, step: Callable[[], object]) -> None:
        begin = time.perf_counter()
        step()
        if report is not None:
            report(label, time.perf_counter() - begin)

    timed("threads", lambda: get_waiting()(np.zeros(1, np.int64), 1))
    timed("structures of covariances", _structures)
    for dtype in dtypes:
        for label, step in _starts(dtype):
            timed(f"k-means {dtype}: {label}", step)
        for name in COMPILED:
            family = get_family(name)
            # float32 rows that are far from zero, and the rows of starts, are evaluated in float64
            for single in (True, False) if dtype == "float32" and family.single is not None else (False,):
                data = f"{name} {dtype} in float64" if dtype == "float32" and not single else f"{name} {dtype}"
                for width, kind in ((4, data), *([(2, f"{data}, few columns")] if family.few else [])):
                    for label, step in _steps(family, ArraySource(np.ones((8, width), dtype), single=single)):
                        timed(f"{kind}: {label}", step)


def _structures() -> None:
    """Estimate EVE covariances, which compiles every function that the estimates of any structure call."""
    family = get_family("gaussian-EVE")
    params = family.params_at(np.zeros((2, 2)))
    family.unpack(family.pack(params), params)


def _starts(dtype: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name and call of each step that compiles code for starts, for rows of one type."""
    rows = Partition(np.ones((SMALL + 1, 1), dtype), None, 1)  # numpy clusters smaller data without compiled code
    yield "seeds", functools.partial(rows.seeds, np.random.RandomState(0))
    yield "clusters", functools.partial(rows.assign, np.zeros((1, 1)), np.zeros(1), anew=True)


def _steps(family: Family, source: ArraySource) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name and call of each step that compiles a pass of a family, for the rows of a source."""
    d, passes = source.n_features, get_passes(family)
    mixture = Mixture(np.full(2, 0.5), family.params_at(np.zeros((2, d))))
    yield "fit", functools.partial(source.sweep, passes, mixture, family.n_stats(d, 2))
    yield "score", functools.partial(source.score, passes, mixture)
