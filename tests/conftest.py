"""Fixtures that all tests share, and the options of the tests of random combinations."""

import os
import signal
import threading

import hypothesis
import numpy as np
import pytest

os.environ["SCIPY_ARRAY_API"] = "1"  # before scipy is imported: scikit-learn's array_api_dispatch needs it

# Before numba is imported: at least two threads, so that threads are tested on a single core as well.
os.environ["NUMBA_NUM_THREADS"] = str(max(2, int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 2)))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # shells let jobs in the background ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("seeded", derandomize=True)  # the same examples in each run
hypothesis.settings.load_profile("seeded")


def pytest_addoption(parser):
    group = parser.getgroup("random combinations")
    group.addoption("--combinations", type=int, default=160, help="how many random combinations to try")
    group.addoption("--seconds", type=float, default=30.0, help="budget of each test of random combinations")
    group.addoption("--seed", type=int, default=None, help="try the combination of this seed only")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


class Threads:
    """The threads that passes over arrays and blocks have used since the fixture was set up."""

    def __init__(self):
        self.most_in_a_pass = 0
        self.callers = set()

    def in_a_pass(self):
        """Whether a pass has split its rows between two threads."""
        return self.most_in_a_pass >= 2

    def beside_each_other(self):
        """Whether threads of a pool have run passes over blocks."""
        return len(self.callers - {threading.main_thread()}) > 0


@pytest.fixture
def threads(monkeypatch):
    """Let passes use two threads however few the rows, and record the threads that they use."""
    from fastem.engine import executor

    seen, n_workers = Threads(), executor.Executor.n_workers

    def counted(runs, *arguments):
        number = n_workers(runs, *arguments)
        seen.most_in_a_pass = max(seen.most_in_a_pass, number)
        seen.callers.add(threading.current_thread())
        return number

    monkeypatch.setattr(executor, "PARALLEL_WORK", 0)
    monkeypatch.setattr(executor.Executor, "n_workers", counted)
    return seen
