"""Helper threads that share the slabs of a pass with the calling thread, and stay awake for a while between passes."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem.system.interrupts import undisturbed

Memory = TypeVar("Memory")
Turns = NDArray[np.int64]

PATIENCE = 1e-3  # seconds for which the calling thread polls the helpers without sleeping
NAP = 5e-5  # seconds of sleep between later polls


def share_slabs(
    function: Callable[[Turns, Memory], object], n_slabs: int, memories: Sequence[Memory], at_once: int | None = None
) -> None:
    """Call a function until all slabs are done, on one thread for each of the memories.

    Parameters
    ----------
    function : callable (turns, memory)
        Compiled code that releases the interpreter lock, and takes slabs as `fastem.kernels.turns` describes.
    n_slabs : int
    memories : sequence
        Workspace of each thread.
    at_once : int, optional
        Number of slabs that a call may take, as interrupts are handled between calls; None for all.
    """
    from fastem.kernels.turns import AT_ONCE, DONE, SIZE, TAKEN

    turns = np.zeros(SIZE, np.int64)
    turns[AT_ONCE] = n_slabs if at_once is None else at_once

    def work(memory: Memory) -> None:
        while turns[TAKEN] < n_slabs:
            function(turns, memory)

    if len(memories) == 1:
        work(memories[0])
        return
    inside: list[int] = []
    failures: list[BaseException] = []

    def help_out(number: int) -> None:
        inside.append(number)
        try:
            work(memories[number])
        except BaseException as failure:
            failures.append(failure)
        finally:
            inside.remove(number)

    try:
        _kept(len(memories), os.getpid()).start(help_out)
        work(memories[0])
        late = time.perf_counter() + PATIENCE
        while turns[DONE] < n_slabs:  # only helpers in their last slab still work
            if failures:
                raise failures[0]
            if time.perf_counter() > late:
                time.sleep(NAP)
    except BaseException:
        turns[TAKEN] = n_slabs
        while inside:
            time.sleep(NAP)
        raise


class Helpers:
    """Threads, numbered from 1, that run the jobs they are given.

    A thread that has finished stays awake for a fraction of a millisecond: waking a thread takes longer than some
    M-steps, and threads that sleep often end up on one processor. Passes do not wait for threads that have not begun.
    Numba's parallel loops do, and beside busy processes half a millisecond then becomes ten.
    """

    def __init__(self, n_threads: int) -> None:
        from fastem.engine.compiled import get_waiting

        self._pool = ThreadPoolExecutor(n_threads - 1)
        self._lock = threading.Lock()
        self._jobs: list[Callable[[int], None] | None] = [None] * n_threads
        self._awake = [False] * n_threads
        self._board = np.zeros(16, np.int64)  # its first number changes with each job
        self._await_change: Callable[..., Any] = get_waiting()

    def start(self, job: Callable[[int], None]) -> None:
        """Let each thread call job(number) soon, in place of an earlier job that it has not begun."""
        with self._lock:
            for number in range(1, len(self._jobs)):
                self._jobs[number] = job
                if not self._awake[number]:
                    with undisturbed():  # an interrupt could start a thread that the pool does not record
                        self._pool.submit(self._serve, number)
                        self._awake[number] = True
            self._board[0] += 1

    def _serve(self, number: int) -> None:
        """Run jobs as long as new ones arrive."""
        while True:
            with self._lock:
                job, self._jobs[number] = self._jobs[number], None
                if job is None:
                    self._awake[number] = False
                    return
                seen = int(self._board[0])
            job(number)
            del job  # frees the arrays that it holds
            self._await_change(self._board, seen)


@functools.cache
def _kept(n_threads: int, process: int) -> Helpers:
    """The helpers of a process, kept between passes; a forked child has none of its parent's threads."""
    return Helpers(n_threads)
