"""Iterations on one thread, on numba's threads, and on Python's over the serial slab; alone and beside a busy process.

Usage: python asv_benchmarks/waiting.py [n_rows n_features n_components]
       OMP_WAIT_POLICY=passive python asv_benchmarks/waiting.py

Least and median milliseconds of an iteration; the three take turns.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fastem.compiled import Pass, Passes, get_passes
from fastem.sources import ArraySource, Mixture, Sweep

ROUNDS = 15
ITERATIONS = 20
DEFAULT = [100_000, 10, 10]


def on_pool(slab: Any, pool: ThreadPoolExecutor) -> Any:
    """What does the work of `fused_pass`: each thread takes the next slab that is left."""

    def run(*arguments: Any) -> None:
        rows, params, given, marks, workspaces, bounds, mass, stats, log_likelihood = arguments
        left = itertools.count()

        def work(workspace: Any) -> None:
            while (p := next(left)) < len(bounds) - 1:
                whole = (rows, params, given, marks, workspace, bounds[p], bounds[p + 1], mass[p], stats[p])
                log_likelihood[p] = slab(*whole)

        others = [pool.submit(work, workspace) for workspace in workspaces[1:]]
        work(workspaces[0])
        for other in others:
            other.result()

    return run


def main() -> None:
    """Print a line for each circumstance."""
    n, d, n_components = map(int, sys.argv[1:]) if len(sys.argv) > 1 else DEFAULT
    X = np.random.default_rng(0).normal(size=(n, d))
    passes = get_passes("gaussian-full").of(d)
    family, source = passes.family, ArraySource(X)
    pooled = family._replace(few=None)  # so that passes stay as they are given
    slab = passes.fused.slab
    threads = Passes(Pass(slab, on_pool(slab, ThreadPoolExecutor())), passes.score, pooled, *passes[3:])
    mixture = Mixture(np.full(n_components, 1.0 / n_components), family.params_at(X[:n_components].copy()))

    def iterate(passes: Passes, parallel: bool) -> Sweep:
        return source.sweep(passes, mixture, family.n_stats(d, n_components), parallel=parallel)

    ways = {"one thread": (passes, False), "numba": (passes, True), "pool": (threads, True)}
    sums = [iterate(*way).stats for way in ways.values()]
    assert all((found == sums[0]).all() for found in sums), "to the last bit"

    def measure(circumstance: str) -> None:
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                begin = time.perf_counter()
                for _ in range(ITERATIONS):
                    iterate(*way)
                times[name].append((time.perf_counter() - begin) / ITERATIONS * 1e3)
        shown = (f"{name} {min(seen):.1f} / {statistics.median(seen):.1f}" for name, seen in times.items())
        print(f"{circumstance}: {', '.join(shown)} ms")

    measure("alone")
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        measure("beside a busy process")
    finally:
        busy.kill()


if __name__ == "__main__":
    main()
