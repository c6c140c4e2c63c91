"""How many threads passes, and the libraries that a fit calls, may use."""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def limit_threads(n_jobs: int | None) -> Iterator[None]:
    """Run passes, and linear algebra, with at most `n_jobs` threads; None leaves both as they are."""
    from fastem import _jit

    if n_jobs is None:
        yield
        return
    with _jit.limit_threads(n_jobs) as n_threads, _threadpools().limit(limits=n_threads):
        yield


def pipelined(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Results in the tasks' order, of tasks that come as they are ready, at most `held_tasks` at a time.

    Threads do not wait for each other as those of a parallel pass do, which matters where others, that read the data,
    want the processors too.
    """
    from fastem import _jit

    n_threads = _jit.n_threads()
    if n_threads < 2:
        yield from map(function, tasks)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        pending: collections.deque[Future[Result]] = collections.deque()
        try:
            for task in tasks:
                pending.append(pool.submit(function, task))
                if len(pending) == held_tasks():
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def held_tasks() -> int:
    """Number of tasks that `pipelined` may hold at the same time."""
    from fastem import _jit

    n_threads = _jit.n_threads()
    return n_threads + 1 if n_threads > 1 else 1


def one_thread() -> AbstractContextManager[Any]:
    """Run scikit-learn, and linear algebra, on one thread.

    A start on a sample is too short for more: their pools of threads wait for each other, and sums on one thread do not
    depend on how many there are.
    """
    return _threadpools().limit(limits=1)


@functools.cache
def _threadpools() -> ThreadpoolController:
    """Thread pools of the libraries loaded by now; looking for them takes longer than a small fit."""
    return ThreadpoolController()
