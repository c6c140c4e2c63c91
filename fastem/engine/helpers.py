"""Threads that take slabs of a pass beside the one that fits, and wait for the next pass without sleeping at once."""

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

PATIENCE = 1e-3  # seconds that the thread which fits looks whether the others are done, before it sleeps in between
NAP = 5e-5


def share_slabs(
    function: Callable[[Turns, Memory], object], n_slabs: int, memories: Sequence[Memory], at_once: int | None = None
) -> None:
    """Call a function on as many threads as there are memories, of which each call has one.

    Parameters
    ----------
    function : callable (turns, memory)
        Compiled code that releases the interpreter, and takes slabs as `fastem.kernels.turns` tells.
    n_slabs : int
    memories : sequence
    at_once : int, optional
        Slabs that a call may take, as an interrupt waits for its end; None for all.
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
        while turns[DONE] < n_slabs:  # but for helpers in their last slab nobody works
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
    """Threads with numbers from 1 on, who call what they are given.

    One that has finished waits for more for a part of a millisecond, awake: waking takes longer than some M-steps, and
    threads that sleep often end up on one processor. Nobody waits for a thread that has not begun, as those of numba's
    parallel loops do: beside busy processes half a millisecond becomes ten.
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
        """Have each call job(number) soon; an earlier job that a thread has not begun is forgotten."""
        with self._lock:
            for number in range(1, len(self._jobs)):
                self._jobs[number] = job
                if not self._awake[number]:
                    with undisturbed():  # or a thread might begin of which the pool does not know
                        self._pool.submit(self._serve, number)
                        self._awake[number] = True
            self._board[0] += 1

    def _serve(self, number: int) -> None:
        """Do jobs as long as they come."""
        while True:
            with self._lock:
                job, self._jobs[number] = self._jobs[number], None
                if job is None:
                    self._awake[number] = False
                    return
                seen = int(self._board[0])
            job(number)
            del job  # with the arrays that it holds
            self._await_change(self._board, seen)


@functools.cache
def _kept(n_threads: int, process: int) -> Helpers:
    """Threads of a process, which a forked child has not."""
    return Helpers(n_threads)
