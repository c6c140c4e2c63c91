"""Times of iterations on one thread and on all threads, alone and beside a busy process.

Usage: python asv_benchmarks/waiting.py [n_rows n_features n_components]

Prints the least and median milliseconds of an iteration; both ways take turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np

from fastem.data import ArraySource, Mixture, Sweep
from fastem.engine.compiled import get_passes
from fastem.families import get_family

ROUNDS = 15
ITERATIONS = 20
DEFAULT = [100_000, 10, 10]


def main() -> None:
    """Print a line for each of the two circumstances."""
    n, d, n_components = map(int, sys.argv[1:]) if len(sys.argv) > 1 else DEFAULT
    X = np.random.default_rng(0).normal(size=(n, d))
    passes = get_passes(get_family("gaussian-full")).of(d)
    family, source = passes.family, ArraySource(X)
    mixture = Mixture(np.full(n_components, 1.0 / n_components), family.params_at(X[:n_components].copy()))

    def iterate(parallel: bool) -> Sweep:
        return source.sweep(passes, mixture, family.n_stats(d, n_components), parallel=parallel)

    ways = {"one thread": False, "all threads": True}
    sums = [iterate(way).stats for way in ways.values()]
    assert all((found == sums[0]).all() for found in sums), "to the last bit"

    def measure(circumstance: str) -> None:
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                begin = time.perf_counter()
                for _ in range(ITERATIONS):
                    iterate(way)
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
