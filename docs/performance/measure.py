"""Measures the numbers of the page on performance, and writes them to results.json.

Usage: python docs/performance/measure.py [--parts peers,rows,threads,start_up,memory]

All other parts of the file stay as they are. Fits that are compared take turns in one process; start-up and memory are
measured in new processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
BENCHMARKS = HERE.parents[1] / "asv_benchmarks"
ROUNDS = 5

FIRST_FIT = """
import sys, time
begin = time.perf_counter()
from {library} import GaussianMixture
imported = time.perf_counter()
import numpy as np
X = np.random.default_rng(0).normal(size=(150, 4))
first = time.perf_counter()
GaussianMixture(3, random_state=0).fit(X)
second = time.perf_counter()
GaussianMixture(3, random_state=0).fit(X)
end = time.perf_counter()
print(imported - begin, second - first, end - second)
"""

PEAK = """
import sys, warnings
import numpy as np
from {library} import GaussianMixture
warnings.simplefilter("ignore")

def mebibytes(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

n_rows = int(sys.argv[1])
X = np.random.default_rng(0).normal(size=(n_rows, 8))
start = dict(means_init=X[:8], weights_init=np.full(8, 1 / 8), precisions_init=np.tile(np.eye(8), (8, 1, 1)))
GaussianMixture(8, max_iter=2, tol=0.0, **start).fit(X[:1000])
before = mebibytes("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak begins anew
GaussianMixture(8, max_iter=5, tol=0.0, **start).fit(X)
print(mebibytes("VmHWM") - before)
"""
LIBRARIES = {"fastem": "fastem", "scikit-learn": "sklearn.mixture"}


def start_of(n_components: int, n_features: int) -> dict[str, Any]:
    """Initial parameters, so that no time is spent on a start, and ten iterations."""
    generator = np.random.default_rng(1)
    return {
        "means_init": generator.normal(size=(n_components, n_features)),
        "weights_init": np.full(n_components, 1 / n_components),
        "precisions_init": np.tile(np.eye(n_features), (n_components, 1, 1)),
        "max_iter": 10,
        "tol": 0.0,
    }


def seconds(call: Callable[[], object]) -> float:
    """Minimum time of a call, repeated for a fifth of a second."""
    took: list[float] = []
    while sum(took) < 0.2:
        begin = time.perf_counter()
        call()
        took.append(time.perf_counter() - begin)
    return min(took)


def in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Minimum seconds of calls that take turns; the first call of each is not timed."""
    for call in calls.values():
        call()
    rounds = [{name: seconds(call) for name, call in calls.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in rounds) for name in calls}


def rows() -> list[dict[str, Any]]:
    """Milliseconds of ten iterations by number of rows, 8 features and 8 components."""
    from sklearn import mixture

    import fastem

    results = []
    for n_rows in (100, 1000, 10_000, 100_000, 1_000_000):
        X = np.random.default_rng(0).normal(size=(n_rows, 8))
        start = start_of(8, 8)
        models = {
            "fastem": fastem.GaussianMixture(8, **start),
            "scikit-learn": mixture.GaussianMixture(8, **start),
        }
        took = in_turns({name: (lambda model=model: model.fit(X)) for name, model in models.items()})  # noqa: B023
        results.append({"rows": n_rows, **{name: 1e3 * value for name, value in took.items()}})
        print(results[-1], file=sys.stderr)
    return results


def threads() -> list[dict[str, Any]]:
    """Milliseconds of ten iterations of 500 000 x 8 rows by number of threads."""
    import fastem

    X, start = np.random.default_rng(0).normal(size=(500_000, 8)), start_of(8, 8)
    numbers = [number for number in (1, 2, 4, 8, 16, 32, 64) if number <= (os.cpu_count() or 1)]
    models = {str(number): fastem.GaussianMixture(8, n_jobs=number, **start) for number in numbers}
    took = in_turns({name: (lambda model=model: model.fit(X)) for name, model in models.items()})
    return [{"threads": int(name), "fastem": 1e3 * value} for name, value in took.items()]


def run(script: str, *arguments: str, **variables: str) -> list[float]:
    """Run a script in a new process, and return the numbers that it prints."""
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, env=os.environ | variables, check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def start_up() -> list[dict[str, Any]]:
    """Seconds of the import, the first and the second fit of 150 x 4 rows in a process: minima over some processes."""
    results = []
    for library, module in LIBRARIES.items():
        script = FIRST_FIT.format(library=module)
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = [], []
            for number in range(ROUNDS):
                own = str(Path(folder) / str(number))
                cold.append(run(script, NUMBA_CACHE_DIR=own))
                warm.append(run(script, NUMBA_CACHE_DIR=own))
        states = [("nothing compiled", cold), ("compiled before", warm)] if library == "fastem" else [("", cold + warm)]
        for state, runs in states:
            parts = [min(part) for part in zip(*runs, strict=True)]
            names = "import", "first fit", "second fit"
            results.append({"library": library, "state": state, **dict(zip(names, parts, strict=True))})
    return results


def memory() -> list[dict[str, Any]]:
    """MiB that a fit adds to the peak memory of its process, by number of rows; on Linux."""
    results = []
    for n_rows in (100_000, 300_000, 1_000_000, 3_000_000):
        added = {name: run(PEAK.format(library=module), str(n_rows))[0] for name, module in LIBRARIES.items()}
        results.append({"rows": n_rows, "data": n_rows * 64 / 2**20, **added})
    return results


def peers() -> dict[str, Any]:
    """Times of other libraries, measured by asv_benchmarks/peers.py."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peers.json"
        command = [
            sys.executable,
            "peers.py",
            "--install",
            "--libraries",
            "fastem,scikit-learn,oneDAL",
            "--rounds",
            "3",
        ]
        command += ["--json", str(path), *PEER_OPTIONS]
        subprocess.run(command, cwd=BENCHMARKS, check=True)
        return json.loads(path.read_text())


PARTS = {part.__name__: part for part in (peers, rows, threads, start_up, memory)}
PEER_OPTIONS: list[str] = []


def machine() -> dict[str, str]:
    """Processor and versions with which the numbers were measured."""
    sys.path.insert(0, str(BENCHMARKS))
    from peers import processor

    packages = "fastem", "numba", "numpy", "scikit-learn"
    versions = {package: version(package) for package in packages}
    return {"processor": processor(), "cores": str(os.cpu_count()), "Python": platform.python_version(), **versions}


def main() -> None:
    """Measure the parts and put them into the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="some of %(default)s")
    parser.add_argument("peer_options", nargs="*", help="further options of peers.py, after --")
    options = parser.parse_args()
    PEER_OPTIONS.extend(options.peer_options)
    warnings.simplefilter("ignore")  # fits stop before they converge, on purpose
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.parts.split(","):
        print(f"measuring {name}", file=sys.stderr)
        results[name] = PARTS[name]()
        results["machine"] = machine()
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
