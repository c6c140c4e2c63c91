"""Threads of a fit: limits are lifted when the last fit is done, and forked processes do without lost threads."""

import os
import signal
import threading

import pytest
from processes import python
from reference import rows_for
from threadpoolctl import threadpool_info, threadpool_limits

from fastem import GaussianMixture, Source
from fastem.engine import threads

pytestmark = pytest.mark.slow


def linear_algebra():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def one_thread():
    return threads._limit_libraries(1)


def allow(n_threads):
    """Set the threads of linear algebra, from a thread that ends: threadpoolctl then lets other threads change them."""
    thread = threading.Thread(target=threadpool_limits, args=(n_threads, "blas"))
    thread.start()
    thread.join()


@pytest.fixture(autouse=True)
def two_threads():
    """Two threads of linear algebra, however many processors the machine has."""
    before = max(linear_algebra(), default=1)
    allow(2)
    yield
    allow(before)


class Overlapping:
    """Two threads of Python that limit threads at the same time: the first to come leaves first, or last."""

    def __init__(self, limits, leaves_first):
        self.seen = {}
        self.limits = limits
        self.steps = [threading.Event() for _ in range(4)]
        workers = [threading.Thread(target=self.run, args=(i, leaves_first)) for i in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def run(self, i, leaves_first):
        came, other_came = self.steps[i], self.steps[1 - i]
        if i == 1:
            assert other_came.wait(10)
        try:
            with self.limits[i]():
                came.set()
                assert other_came.wait(10)
                if i != leaves_first:
                    assert self.steps[2 + leaves_first].wait(10)
                    self.seen["one left"] = linear_algebra()
                if i == 0:
                    raise InterruptedError  # one of the two ends with an error
        except InterruptedError:
            pass
        self.steps[2 + i].set()


@pytest.mark.parametrize("leaves_first", [0, 1])
@pytest.mark.parametrize("limit", [one_thread, lambda: threads.limit_threads(1)], ids=["libraries", "fit"])
def test_linear_algebra_has_its_threads_back_when_the_last_of_overlapping_fits_is_done(limit, leaves_first):
    before = linear_algebra()
    overlap = Overlapping([limit, limit], leaves_first)
    assert overlap.seen["one left"] == [1] * len(before)
    assert linear_algebra() == before == [2] * len(before)


def test_the_fewest_threads_hold_as_long_as_who_wants_them():
    two, one = lambda: threads._limit_libraries(2), one_thread
    assert set(Overlapping([two, one], 1).seen["one left"]) <= {2}
    assert set(Overlapping([two, one], 0).seen["one left"]) <= {1}
    assert set(linear_algebra()) <= {2}


def test_limits_within_limits_are_lifted_one_by_one():
    with one_thread():
        with threads._limit_libraries(2):
            assert set(linear_algebra()) <= {1}
        assert set(linear_algebra()) <= {1}
    assert set(linear_algebra()) <= {2}


def test_a_child_is_not_bound_by_fits_of_threads_that_it_does_not_have():
    seen = python(
        """
import json, os, threading, warnings
from threadpoolctl import threadpool_info, threadpool_limits
from fastem.engine import threads

warnings.simplefilter("ignore")  # of forks while threads run
setting = threading.Thread(target=threadpool_limits, args=(2, "blas"))
setting.start()
setting.join()
inside, done = threading.Event(), threading.Event()

def fit():
    with threads._limit_libraries(1):
        inside.set()
        done.wait(20)

def numbers():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

def child(within):
    reading, writing = os.pipe()
    if os.fork() == 0:
        with threads._limit_libraries(1):  # no lock is held by who is not there
            once = numbers()
        os.write(writing, json.dumps([once, numbers()]).encode())
        os._exit(0)
    return json.loads(os.read(reading, 1000))

thread = threading.Thread(target=fit)
thread.start()
inside.wait(20)
free = child(False)
with threads._limit_libraries(1):
    bound = child(True)
done.set()
thread.join()
print(json.dumps([free, bound, numbers()]))
"""
    )
    n = len(seen[-1])
    assert seen == [[[1] * n, [2] * n], [[1] * n, [1] * n], [2] * n]


# Interrupts. A caught error keeps its traceback alive, and with it the variables of all functions that it has passed.


def test_an_interrupt_while_a_thread_begins_leaves_none_behind(monkeypatch):
    start = threading.Thread.start
    begun = []

    def interrupted(thread):
        begun.append(thread)
        start(thread)
        signal.raise_signal(signal.SIGINT)

    X = rows_for("full")
    source = Source([X[:50], X[50:]], chunk_bytes=400)
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        GaussianMixture(2, random_state=0).fit(source)
    assert [thread.name for thread in begun] == ["fastem-reader"]
    assert not begun[0].is_alive()


@pytest.mark.parametrize("n_readings", [1, 4, 7])
def test_an_interrupted_fit_of_a_source_leaves_no_thread_behind(n_readings, monkeypatch):
    X = rows_for("full")

    class Chunks:
        n_read = 0

        def __iter__(self):
            self.n_read += 1
            yield X[:50]
            if self.n_read == n_readings:
                os.kill(os.getpid(), signal.SIGINT)
            yield X[50:]

    before = threading.active_count()
    model = GaussianMixture(2, random_state=0, tol=0.0, max_iter=1000, init_params="random")
    with pytest.raises(KeyboardInterrupt):
        model.fit(Source(Chunks(), chunk_bytes=400))
    assert threading.active_count() == before


# A fork after any parallel function has run. GNU OpenMP ends a child that uses its parent's threads.

TOTAL = """
import numba
import numpy as np

@numba.njit(parallel=True)
def total(numbers):
    result = 0.0
    for i in numba.prange(numbers.size):
        result += numbers[i]
    return result
"""


def test_a_fit_in_a_child_of_such_a_process_is_the_fit_of_its_parent():
    """The data are large enough for threads; the child starts its own."""
    seen = python(
        TOTAL
        + """
import json, multiprocessing, warnings
import fastem
from fastem.engine import executor, helpers

warnings.simplefilter("ignore")
executor.PARALLEL_WORK = 100_000

X = np.random.default_rng(0).normal(size=(20_000, 2))

def fit(_):
    model = fastem.GaussianMixture(2, covariance_type="spherical", random_state=0, max_iter=3, tol=0).fit(X)
    return [helpers._kept.cache_info().misses, model.lower_bound_, model.means_.tolist()]

total(np.ones(1000))
with multiprocessing.get_context("fork").Pool(1) as pool:
    child = pool.map_async(fit, [0]).get(120)[0]
print(json.dumps([child, fit(0)]))
""",
        NUMBA_NUM_THREADS="2",
    )
    assert seen[0] == seen[1]
    assert seen[0][0] == 1
