"""Number of threads that passes, and the libraries that a fit calls, may use."""

import collections
import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from threadpoolctl import ThreadpoolController

from fastem.system.interrupts import undisturbed

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def limit_threads(n_jobs: int | None) -> Iterator[None]:
    """Run passes, and linear algebra, with at most `n_jobs` threads; None leaves both as they are."""
    from fastem.kernels import jit

    if n_jobs is None:
        yield
        return
    with jit.limit_threads(int(n_jobs)) as n, _limit_libraries(n):
        yield


def n_threads() -> int:
    """Number of threads that a pass may use if this thread starts it now."""
    from fastem.kernels import jit

    return jit.n_threads()


def pipelined(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Yield results in the order of the tasks, which are taken one by one; at most `held_tasks` are held at a time.

    Threads do not wait for each other, unlike those of numba's parallel loops: this matters if threads that read the
    data need the processors too.
    """
    n = n_threads()
    if n < 2:
        yield from map(function, tasks)
        return
    with ThreadPoolExecutor(n) as pool:
        pending: collections.deque[Future[Result]] = collections.deque()
        try:
            for task in tasks:
                with undisturbed():  # an interrupt could start a thread that the pool does not record
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
    n = n_threads()
    return n + 1 if n > 1 else 1


@contextmanager
def _limit_libraries(n_threads: int) -> Iterator[None]:
    """Limit the threads of OpenMP and of linear algebra libraries."""
    with _libraries().own.limit(limits=n_threads), _SHARED.limit(n_threads):
        yield


class _Libraries(NamedTuple):
    """Loaded libraries whose number of threads belongs to each Python thread (`own`), or to the process (`shared`).

    `none` controls no library.
    """

    own: ThreadpoolController
    shared: list[Any]
    none: ThreadpoolController


@functools.cache
def _libraries() -> _Libraries:
    """Find the libraries once per process: this takes longer than a small fit."""
    libraries = ThreadpoolController()
    own = libraries.select(user_api="openmp", threading_layer="openmp", internal_api="mkl")
    shared = [library for library in libraries.lib_controllers if library not in own.lib_controllers]
    return _Libraries(own, shared, libraries.select(user_api="none"))


class _User(NamedTuple):
    """A Python thread that limits the shared libraries."""

    thread: int
    n_threads: int


class _SharedLimit:
    """Limit on a process-wide number of threads that several Python threads may set at the same time.

    While there are users, the limit is the smallest of theirs; when the last one leaves, the old number is restored.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: dict[object, _User] = {}
        self._before: list[int] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._stay_alone
            )

    @contextmanager
    def limit(self, n_threads: int) -> Iterator[None]:
        """Limit the shared libraries to `n_threads` inside the context."""
        token = object()
        try:
            with self._lock:
                if not self._users:
                    self._before = [library.num_threads for library in _libraries().shared]
                self._users[token] = _User(threading.get_ident(), n_threads)
                self._apply()
            yield
        finally:
            with self._lock:
                if self._users.pop(token, None):
                    self._apply()

    def _apply(self) -> None:
        shared = _libraries().shared
        least = min((user.n_threads for user in self._users.values()), default=None)
        numbers = self._before if least is None else [least] * len(shared)
        with _libraries().none.limit(limits=1):  # on exit, threadpoolctl ends the control that this thread takes
            for library, number in zip(shared, numbers, strict=True):
                library.set_num_threads(number)

    def _stay_alone(self) -> None:
        """Forget the other threads in a forked child, which has only the thread that forked."""
        here = threading.get_ident()
        lost = [token for token, user in self._users.items() if user.thread != here]
        for token in lost:
            del self._users[token]
        if lost:
            self._apply()
        self._lock.release()


_SHARED = _SharedLimit()
