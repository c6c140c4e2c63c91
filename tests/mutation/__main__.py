"""Mutation testing: what share of small changes to the package do its tests notice?

    python -m pip install -e '.[test,mutation]'
    python -m pytest            # once, so that there is compiled code
    python tests/mutation       # 300 mutants outside the kernels and all of kernels.py

It works in copies of the checkout, one for each worker. The result of each mutant is added to the results file at once:
a run that was stopped goes on where it was, and `--only-survivors` tries again the mutants that no test noticed.
"""

import argparse
import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kernels import KERNEL_MUTANTS, KernelMutant
from mutants import Mutant, sample
from targets import named_for

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
COPIED = ("fastem", "tests", "docs", "pyproject.toml", "README.md", "CONTRIBUTING.md")
SEED = 20260301
PATIENCE = 3.0  # the timeout, as a multiple of the time without a mutant
LEAST_TIMEOUT, FIRST_TIMEOUT = 60.0, 3600.0  # seconds

# Mutants of these come last: tests may cache their code.
MAKE_CODE = ("kernels/cache.py", "kernels/compiling.py", "kernels/jit.py", "engine/compiled.py")

AnyMutant = Mutant | KernelMutant


class Worker:
    """A copy of the checkout, and a process in it that runs tests."""

    def __init__(self, folder: Path, compiled: Path) -> None:
        self.copy, self.results = folder / "copy", folder
        self.copy.mkdir(parents=True)
        for name in COPIED:
            source = CHECKOUT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, self.copy / name)
        own = self.copy / "fastem" / "kernels" / "__pycache__"
        own.mkdir(exist_ok=True)
        shutil.copytree(own, compiled, dirs_exist_ok=True)
        shutil.rmtree(own)
        own.symlink_to(compiled)  # workers share compiled code
        code = "import fastem.kernels.jit; print(fastem.kernels.jit.fingerprint())"
        environ = {**os.environ, "PYTHONPATH": str(self.copy), "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
        here = {"cwd": self.copy, "env": environ, "text": True}
        self.digest = subprocess.check_output([sys.executable, "-c", code], **here).strip()
        command = [sys.executable, str(HERE / "worker.py"), str(self.results)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **here)
        self.n_done = 0

    def ask(self, **job: Any) -> dict[str, Any]:
        """Send a job to the process, and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def baseline(self, tests: list[str], jit: bool) -> float:
        """Seconds that the tests take without a mutant, with the time to compile."""
        answer = self.ask(tests=tests, jit=jit, pin="", mutant=False, timeout=FIRST_TIMEOUT)
        if answer["code"] != 0:
            log = (self.results / "result.log").read_text()[-3000:]
            raise RuntimeError(f"without a mutant {answer['test']} fails: {' '.join(tests)}\n{log}")
        return float(answer["seconds"])

    def try_mutant(self, mutant: AnyMutant, tests: list[str], seconds: float) -> dict[str, Any]:
        """Change a file, run the tests, and change it back."""
        path = self.copy / "fastem" / mutant.path
        original, status = path.read_bytes(), path.stat()
        text = mutant.source(self.copy / "fastem")
        self.n_done += 1
        jit = not isinstance(mutant, KernelMutant) or mutant.jit
        pinned = "" if isinstance(mutant, KernelMutant) else self.digest
        begun = time.time()
        try:
            path.write_text(text)
            later = status.st_mtime_ns + self.n_done * 10**10  # else an old file of bytecode might be used
            os.utime(path, ns=(later, later))
            timeout = max(LEAST_TIMEOUT, PATIENCE * seconds) + (600.0 if jit and not pinned else 0.0)
            answer = self.ask(tests=tests, jit=jit, pin=pinned, mutant=True, timeout=timeout)
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            if mutant.path in MAKE_CODE:
                self._forget_code(begun)
        return answer

    def _forget_code(self, since: float) -> None:
        """Remove code that the processes of a mutant's tests have cached."""
        for path in (self.copy / "fastem" / "kernels" / "__pycache__").glob("*.nb[ci]"):
            if path.stat().st_mtime > since:
                path.unlink()

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


class Results:
    """Results of mutants, in a file that is written after each."""

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.Lock()
        self.entries: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, mutant: AnyMutant, tests: list[str], answer: dict[str, Any]) -> None:
        """Store the answer for a mutant."""
        fate = "survived" if answer["code"] == 0 else "killed"
        entry = {
            "fate": fate,
            "path": mutant.path,
            "line": getattr(mutant, "line", 0),
            "function": mutant.function,
            "change": mutant.change(CHECKOUT / "fastem"),
            "by": answer["test"],
            "seconds": answer["seconds"],
            "tests": tests,
        }
        with self._lock:
            self.entries[mutant.key] = entry
            half = self.path.with_suffix(".half")
            half.write_text(json.dumps(self.entries, indent=1))
            half.replace(self.path)
            print(
                f"{fate:8} {answer['seconds']:6.1f} s  {mutant.path}: {entry['change']}  [{answer['test']}]", flush=True
            )

    def summary(self, mutants: Iterable[AnyMutant]) -> str:
        """Score, and the survivors as a table."""
        found = [self.entries[mutant.key] for mutant in mutants if mutant.key in self.entries]
        killed = sum(entry["fate"] == "killed" for entry in found)
        lines = [f"{killed} of {len(found)} killed ({killed / max(len(found), 1):.1%})", ""]
        for entry in sorted(found, key=lambda entry: (entry["path"], entry["line"])):
            if entry["fate"] == "survived":
                lines.append(f"| `{entry['path']}` {entry['function']} | {entry['change']} | |")
        return "\n".join(lines)


def tests_of(mutant: AnyMutant) -> tuple[tuple[str, ...], bool]:
    """Tests of a mutant, and whether they need compiled code."""
    if isinstance(mutant, KernelMutant):
        return tuple(mutant.tests), mutant.jit
    return tuple(named_for(mutant.path)), True


def on_all(workers: list[Worker], task: Callable[[Worker, Any], None], items: Iterable[Any]) -> None:
    """Each worker takes the next item until there are none."""
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def serve(worker: Worker) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                task(worker, waiting.get_nowait())

    with ThreadPoolExecutor(len(workers)) as pool:
        for done in [pool.submit(serve, worker) for worker in workers]:
            done.result()


def main() -> None:
    """Parse options, run, and print the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=300, help="mutants outside the kernels")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--no-kernels", action="store_true", help="leave out the mutants of kernels.py")
    parser.add_argument("--path", default="", help="only mutants of files whose path contains this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "fastem-mutants.json")
    parser.add_argument("--only-survivors", action="store_true")
    options = parser.parse_args()
    results = Results(options.results)
    chosen: list[AnyMutant] = [*sample(CHECKOUT / "fastem", options.size, options.seed)]
    chosen += [] if options.no_kernels else KERNEL_MUTANTS
    chosen = [mutant for mutant in chosen if options.path in mutant.path]
    wanted = {None, "survived"} if options.only_survivors else {None}
    groups: dict[Any, list[AnyMutant]] = {}
    for mutant in sorted(chosen, key=lambda mutant: (mutant.path in MAKE_CODE, mutant.path)):
        if results.entries.get(mutant.key, {}).get("fate") in wanted:
            groups.setdefault(tests_of(mutant), []).append(mutant)

    def try_group(worker: Worker, group: tuple[tuple[tuple[str, ...], bool], list[AnyMutant]]) -> None:
        (names, jit), mutants = group
        seconds = worker.baseline(list(names), jit)
        print(f"unchanged {seconds:5.1f} s  {' '.join(names)}", flush=True)
        for mutant in mutants:
            results.add(mutant, list(names), worker.try_mutant(mutant, list(names), seconds))

    with tempfile.TemporaryDirectory(prefix="fastem-mutation-") as folder:
        compiled = Path(folder) / "compiled"
        workers = [Worker(Path(folder) / str(number), compiled) for number in range(options.jobs)]
        on_all(workers, try_group, groups.items())
        for worker in workers:
            worker.close()
    for title, kind in (("Outside the kernels", Mutant), ("Kernels", KernelMutant)):
        print(f"{title}: {results.summary([mutant for mutant in chosen if isinstance(mutant, kind)])}\n")


if __name__ == "__main__":
    main()
