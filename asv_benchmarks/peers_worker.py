"""Process in which a library of `peers.py` fits: its two sides, and the environment that it may need.

`Worker` runs this file as a script, in an interpreter that has the library:

    python peers_worker.py LIBRARY THREADS

and sends it requests, a line of JSON each: the name of a method of `Fitter`, and arguments.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from peers_libraries import LIBRARIES, Library, Task

SHORT = 0.2  # seconds


class PeerError(Exception):
    """A library is not installed, or a fit failed."""


class Worker:
    """The process of a library, started by the first request, and again by the next request after it has died.

    Parameters
    ----------
    library : str
        Name of the library.
    environments : Path
        Folder of the libraries' own environments; a library without one runs with this interpreter.
    threads : int
        Number of threads that fit.
    timeout : int
        Seconds after which a request counts as failed.
    log : Path
        File for the standard error of the process.
    """

    def __init__(self, library: str, *, environments: Path, threads: int, timeout: int, log: Path) -> None:
        own = own_python(environments, library)
        self.library = library
        self.command = [own if own.exists() else sys.executable, __file__, library, str(threads)]
        self.variables = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
        self.timeout = timeout
        self.log = log
        self.process: subprocess.Popen[str] | None = None

    def ask(self, method: str, **arguments: Any) -> Any:
        """Call a method of `Fitter`."""
        process = self.process = self.process or self._start()
        begin = time.monotonic()
        timer = threading.Timer(self.timeout, process.kill)
        timer.start()
        try:
            print(json.dumps({"method": method, "arguments": arguments}), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            late = time.monotonic() - begin >= self.timeout
            self.stop()
            said = last_line(self.log.read_text())
            raise PeerError(f"no answer in {self.timeout} s" if late else f"died with {process.returncode}, {said}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"].partition("\n")[0])
        return answer["result"]

    def _start(self) -> subprocess.Popen[str]:
        with self.log.open("w") as log:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
            return subprocess.Popen(self.command, env=os.environ | self.variables, **pipes)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def install(library: str, environments: Path) -> None:
    """Create a library's own environment, if it needs one that does not exist."""
    folder, python = environments / library, own_python(environments, library)
    requirements = LIBRARIES[library].requirements
    if python.exists() or not requirements:
        return
    print(f"installing {', '.join(requirements)} in {folder}", file=sys.stderr)
    commands = [sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "--quiet", *requirements]
    try:
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise PeerError(f"not installed, {last_line(done.stderr or done.stdout)}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def own_python(environments: Path, library: str) -> Path:
    """Interpreter of a library's own environment."""
    return environments / library / "bin" / "python"


def last_line(text: str) -> str:
    """Last line that a process printed."""
    return (text.strip() or "without a word").splitlines()[-1]


class Fitter:
    """The requests that a worker answers."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def versions(self) -> dict[str, str]:
        """Versions of the library's packages."""
        return {package: version(package) for package in self.library.packages}

    def load(self, path: str, result: str, covariance_type: str, iterations: int) -> None:
        """Prepare a task, run it once, which compiles, and write the fitted parameters to a file."""
        with np.load(path) as arrays:
            task = Task(**arrays, covariance_type=covariance_type, iterations=iterations)
        self.library.load(task)
        weights, means, covariances = (np.stack([np.asarray(row) for row in part]) for part in self.library.fit())
        shapes = task.weights.shape, task.means.shape, task.covariances.shape
        log_likelihood = self.library.log_likelihood()
        np.savez(
            result,
            weights=weights.reshape(shapes[0]),
            means=means.reshape(shapes[1]),
            covariances=covariances.reshape(shapes[2]),
            **({} if log_likelihood is None else {"log_likelihood": log_likelihood}),
        )

    def fit(self) -> float:
        """Run the task again and return its seconds; the median of several runs if it is short.

        On some machines the first of several short fits takes twice as long, as processors and threads have slept.
        """
        took: list[float] = []
        while sum(took) < SHORT:
            begin = time.perf_counter()
            self.library.fit()
            took.append(time.perf_counter() - begin)
        return statistics.median(took)


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for `peers.py`, which ends its workers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to standard error
    warnings.simplefilter("ignore")  # fits stop before they converge, on purpose
    fitter = functools.cache(lambda: Fitter(LIBRARIES[sys.argv[1]](int(sys.argv[2]))))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": getattr(fitter(), request["method"])(**request["arguments"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
