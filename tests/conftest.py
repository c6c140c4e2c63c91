"""Fixtures that all tests share."""

import threading

import numba
import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


class Threads:
    """What passes over arrays and blocks have run on since the fixture was set up."""

    def __init__(self):
        self.most_in_a_pass = 0
        self.callers = set()

    def in_a_pass(self):
        """Whether a pass has split its rows between two threads, as far as the machine has them."""
        return self.most_in_a_pass >= min(2, numba.config.NUMBA_NUM_THREADS)

    def beside_each_other(self):
        """Whether blocks have been folded by threads of a pool, as far as the machine has them."""
        return len(self.callers - {threading.main_thread()}) > 0 or numba.config.NUMBA_NUM_THREADS == 1


@pytest.fixture
def threads(monkeypatch):
    """Two threads pay at once, however few the rows; what passes run on is kept."""
    from fastem.sources import array

    seen, n_workers = Threads(), array.ArraySource._n_workers

    def counted(source, *arguments):
        number = n_workers(source, *arguments)
        seen.most_in_a_pass = max(seen.most_in_a_pass, number)
        seen.callers.add(threading.current_thread())
        return number

    monkeypatch.setattr(array, "PARALLEL_WORK", 0)
    monkeypatch.setattr(array.ArraySource, "_n_workers", counted)
    return seen
