"""A process that has imported what tests import, and forks a child for each run of tests in a copy of the checkout.

It reads jobs, one JSON a line, and answers each with a line of JSON: the exit code and the test that failed.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

PRELOADED = """
numpy scipy.special scipy.stats scipy.optimize sklearn.mixture sklearn.cluster sklearn.utils.estimator_checks
sklearn.model_selection sklearn.pipeline sklearn.experimental numba llvmlite pytest hypothesis pandas pyarrow.csv
polars matplotlib.pyplot typer.testing rich.console joblib
"""
MEMORY = 8 << 30  # limit of a child's data in bytes, for mutants that allocate without end


class FirstFailure:
    """A pytest plugin: the name of the first test that failed, and how many ran."""

    def __init__(self) -> None:
        self.failed = ""
        self.n_run = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Called for each phase of each test."""
        self.n_run += report.when == "call"
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        """Called for each file."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


def preload() -> None:
    """Import once the modules of all runs, and let numba set up its compiler; each child imports fastem itself."""
    for name in PRELOADED.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import numba

    numba.njit(lambda x: x + 1.0)(1.0)


def pin(digest: str) -> None:
    """Let cached code be used although a source outside the kernels has changed, and let mutants save none."""
    import fastem.kernels.cache
    import fastem.kernels.jit

    fastem.kernels.cache.CheckedCache.save_overload = lambda *_: None  # type: ignore[method-assign]
    fastem.kernels.jit.fingerprint = lambda: digest  # type: ignore[assignment]


def in_child(job: dict[str, Any], results: Path) -> None:
    """Run the tests of a job, and write the answer."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    silence = os.open(results.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.path[:0] = [str(Path.cwd() / "tests"), str(Path.cwd())]
    os.environ["PYTHONPATH"] = str(Path.cwd())
    if job["mutant"]:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import numba
    import pytest

    if not job["jit"]:
        numba.config.DISABLE_JIT = 1  # type: ignore[attr-defined]
        os.environ["NUMBA_DISABLE_JIT"] = "1"
    found = FirstFailure()
    answer = {"code": 1, "test": "import fastem", "n_run": 0}
    try:
        if job["pin"]:
            pin(job["pin"])
        import fastem

        assert Path(fastem.__file__).is_relative_to(Path.cwd()), fastem.__file__
        options = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        options.append(f"--basetemp={results.parent / 'files'}")
        code = int(pytest.main([*options, *job["tests"]], plugins=[found]))
        answer = {"code": code, "test": found.failed, "n_run": found.n_run}
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    results.write_text(json.dumps(answer))
    os._exit(0)


def run(job: dict[str, Any], results: Path) -> dict[str, Any]:
    """Run a job in a forked child; end all its processes afterwards, at the latest after the timeout."""
    results.unlink(missing_ok=True)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        in_child(job, results)
    late = False
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        time.sleep(0.02)
        if not late and time.monotonic() - begun > job["timeout"]:
            late = True
            os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    answer = {"code": -1, "test": "timeout" if late else "crash", "n_run": 0}
    if not late and results.exists():
        answer = json.loads(results.read_text())
    return {**answer, "seconds": round(time.monotonic() - begun, 1)}


def main() -> None:
    """Serve jobs in the copy that is the current folder."""
    preload()
    results = Path(sys.argv[1]) / "result.json"
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), results)), flush=True)


if __name__ == "__main__":
    main()
