"""How many threads passes, and the libraries that a fit calls, may use."""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def in_threads(function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
    """Results of a function that spends its time in passes, on as many threads as a pass may use, in the tasks' order.

    Each task's passes run on one thread.
    """
    from fastem import _jit

    n_threads = min(_jit.n_threads(), len(tasks))
    if n_threads < 2:
        return [function(task) for task in tasks]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, tasks))


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
