"""Processor time of the first fit in a process: with an empty cache, function by function, and with a warm one.

Usage: python asv_benchmarks/processes.py [n_rows [n_features]]
       NUMBA_CPU_NAME=znver3 NUMBA_CPU_FEATURES= python asv_benchmarks/processes.py 500000

Each time is the least processor time of some repeats, which other work on the machine changes little. The first
function in the list also includes the import of numba's implementations, 0.3 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

REPEATS = 3
FIT = """
import sys, time
import numpy as np
from fastem import GaussianMixture

n_rows, n_features = map(int, sys.argv[1:])
X = np.random.default_rng(0).normal(size=(n_rows, n_features))
begin = time.process_time()
from numba.core.compiler import CompilerBase

compiled, compile_core, depth = [], CompilerBase._compile_core, [0]


def timed(self):
    start = time.process_time()
    depth[0] += 1
    try:
        return compile_core(self)
    finally:
        depth[0] -= 1
        if not depth[0]:
            compiled.append((self.state.func_id.func_qualname, time.process_time() - start))


CompilerBase._compile_core = timed
GaussianMixture(3, random_state=0, max_iter=5, tol=0.0).fit(X)
print(time.process_time() - begin, "fit")
for name, seconds in compiled:
    print(seconds, "   " + name.rsplit(".", 1)[0])
"""


def fitted(folder: str, arguments: list[str]) -> list[tuple[float, str]]:
    """Pairs (seconds, name) of a fit in a new process, and of the functions that it compiled."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
    command = [sys.executable, "-W", "ignore", "-c", FIT, *arguments]
    lines = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    return [(float(seconds), name) for seconds, name in (line.split(" ", 1) for line in lines)]


def main() -> None:
    """Print the least time of each."""
    given = sys.argv[1:]
    arguments = [*given, *["150", "4"][len(given) :]]
    cold, warm = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(fitted(folder, arguments))
            warm.append(fitted(folder, arguments))
    for title, runs in (("empty cache", cold), ("warm cache", warm)):
        print(title)
        for parts in zip(*runs, strict=True):
            print(f"{min(seconds for seconds, _ in parts):7.2f} s  {parts[0][1]}")


if __name__ == "__main__":
    main()
