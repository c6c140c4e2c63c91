"""Threads that share the slabs of a pass: each slab is done once, and failures and interrupts stop all threads."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from fastem.engine import helpers
from fastem.kernels.turns import AT_ONCE, DONE, TAKEN, add_one

N_SLABS = 40


class Slabs:
    """Takes slabs as compiled code does; slab `bad` calls `fail`."""

    lock = threading.Lock()  # add_one is atomic in compiled code only

    def __init__(self, bad=-1, fail=None):
        self.done = np.zeros(N_SLABS, int)
        self.threads = set()
        self.memories = []
        self.bad, self.fail = bad, fail

    def __call__(self, turns, memory):
        self.memories.append(memory)
        for _ in range(turns[AT_ONCE]):
            with self.lock:
                slab = add_one(turns, TAKEN)
            if slab >= N_SLABS:
                break
            self.threads.add(threading.get_ident())
            if slab == self.bad:
                self.fail()
            time.sleep(1e-3)
            with self.lock:
                self.done[slab] += 1
                add_one(turns, DONE)


def share(slabs, n_threads, at_once=None):
    helpers.share_slabs(slabs, N_SLABS, [f"memory {i}" for i in range(n_threads)], at_once)


@pytest.mark.parametrize("at_once", [None, 1, 3])
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_each_slab_is_done_once_and_each_thread_has_a_memory_of_its_own(n_threads, at_once):
    n_calls = {None: 1, 1: N_SLABS, 3: -(-N_SLABS // 3)}[at_once]
    came = []
    for _ in range(5):
        slabs = Slabs()
        share(slabs, n_threads, at_once)
        np.testing.assert_array_equal(slabs.done, 1)
        assert n_calls <= len(slabs.memories) <= n_calls + n_threads
        used = set(slabs.memories)
        assert used <= {f"memory {i}" for i in range(n_threads)}
        assert len(slabs.threads) == len(used)
        came.append(len(used))
    assert max(came) == n_threads


def fail():
    raise ZeroDivisionError


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("bad", [0, 1, 20, N_SLABS - 1])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_a_failure_reaches_who_asked_and_nobody_works_on(n_threads, bad):
    slabs = Slabs(bad, fail)
    with pytest.raises(ZeroDivisionError):
        share(slabs, n_threads)
    left = slabs.done.copy()
    assert left[bad] == 0
    time.sleep(0.02)
    np.testing.assert_array_equal(slabs.done, left)
    again = Slabs()
    share(again, n_threads)
    np.testing.assert_array_equal(again.done, 1)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_interrupt_ends_the_work_of_all_threads(n_threads):
    slabs = Slabs(20, interrupt)
    with pytest.raises(KeyboardInterrupt):
        share(slabs, n_threads)
    left = slabs.done.copy()
    assert left.sum() < N_SLABS
    time.sleep(0.02)
    np.testing.assert_array_equal(slabs.done, left)


def test_a_thread_that_does_not_come_holds_nobody_up():
    busy, release = threading.Event(), threading.Event()

    def occupy(number):
        busy.set()
        release.wait(20)

    helpers._kept(2, os.getpid()).start(occupy)
    try:
        assert busy.wait(20)
        slabs = Slabs()
        share(slabs, 2)
        np.testing.assert_array_equal(slabs.done, 1)
        assert slabs.threads == {threading.get_ident()}
    finally:
        release.set()


def test_threads_sleep_when_nothing_comes():
    share(Slabs(), 2)
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1
