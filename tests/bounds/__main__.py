"""Check that kernels read and write within their arrays, by checks in compiled code and by protected memory.

    python tests/bounds                     # a few cases: what the tests run
    python tests/bounds --all               # an hour of a core
    python tests/bounds --all --target 32 --family full   # part of it

There are these targets, each run in a process of its own:

64, 32  registers of so many bytes, with checks of each access (`instrumented.py`)
16      the same, on a processor without multiply-adds
guard   the installed kernels, without checks; workspaces lie beside protected pages as well (`memory.py`)

In all targets, arrays of the random cases (`cases.py`) lie beside protected pages. The line printed for each target
counts fits, calls, refused fits and violations; the exit status is 1 if there was any violation. If a process was
killed, the case that it tried last is printed too. `tests/test_bounds.py` runs a few cases, and plants violations that
must be detected.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = ("64", "32", "16", "guard")
MOST_VIOLATIONS, MOST_REFUSED = 20, 20  # above these, a target is given up


def work(target, options):
    """Run all cases of a target in this process; prints what is tried to stderr and the result to stdout."""
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    if target != "guard":
        import instrumented

        instrumented.install()
    else:
        from memory import zeros_at_an_edge

        from fastem.data import array, patterned

        array.aligned_zeros = patterned.aligned_zeros = zeros_at_an_edge
    import numpy as np
    from cases import FAMILIES, Outcome, attempt, few_setups, setups

    found = {"fits": 0, "calls": 0, "refused": 0, "violations": 0}
    most = target == next(filter(can_run, TARGETS))
    chosen = list(setups(options.family or FAMILIES)) if options.all else few_setups(most=most)
    rng = np.random.default_rng(options.seed)
    for setup in chosen:
        begin, fits = time.process_time(), found["fits"]
        while found["fits"] - fits < options.cases:
            try:
                outcome = attempt(setup, rng, _tell)
                number, site = instrumented.violations() if target != "guard" else (0, "")
            except IndexError as error:  # NUMBA_BOUNDSCHECK
                outcome, number, site = Outcome(0, 0), 1, str(error)
            found["fits"] += outcome.fits
            found["calls"] += outcome.calls
            found["refused"] += bool(outcome.refused)
            if number:
                found["violations"] += number
                _tell(f"out of bounds, {number} times: {site}")
            if found["violations"] > MOST_VIOLATIONS:
                return found
            if found["refused"] > MOST_REFUSED + found["fits"]:
                raise RuntimeError(f"more fits are refused than done, the last: {outcome.refused}")
        _tell(f"{setup}: {time.process_time() - begin:.0f} s, until now {found}")
    return found


def _tell(what):
    """Write to stderr at once, so that it can be read if the process is killed."""
    sys.stderr.write(what + "\n")
    sys.stderr.flush()


def environment(target):
    """Environment variables of a target's process."""
    variables = {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if target != "guard":
        # takes half the time to compile, with the same accesses
        variables |= {"NUMBA_OPT": "0", "FASTEM_VECTOR_BYTES": target}
    if target == "16":
        variables |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
    return os.environ | variables


def can_run(target):
    """Whether this processor runs a target's code."""
    import platform

    from llvmlite import binding

    if target == "64":
        return bool(binding.get_host_cpu_features().get("avx512f"))
    return target != "16" or platform.machine() in ("x86_64", "AMD64")


def main():
    """Run processes, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every setup, rather than a few")
    parser.add_argument("--target", choices=TARGETS, action="append", help="one or more; by default all that can run")
    parser.add_argument("--family", action="append", help="one or more; by default all")
    parser.add_argument("--cases", type=int, default=10, help="fits of each setup")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(work(options.target[0], options)))
        return 0
    passed_on = [f"--cases={options.cases}", f"--seed={options.seed}", *(["--all"] if options.all else [])]
    passed_on += [f"--family={family}" for family in options.family or ()]
    status = 0
    for target in options.target or filter(can_run, TARGETS):
        command = [sys.executable, str(HERE), *passed_on, "--inside", f"--target={target}"]
        done = subprocess.run(command, env=environment(target), capture_output=True, text=True)
        print(f"{target}: {done.stdout.strip()}", flush=True)
        last = done.stdout.strip().rpartition("\n")[2]
        if done.returncode or json.loads(last)["violations"]:
            status = 1
            print(
                f"{target}: exit status {done.returncode}, at\n" + "\n".join(done.stderr.splitlines()[-30:]), flush=True
            )
    return status


if __name__ == "__main__":
    sys.exit(main())
