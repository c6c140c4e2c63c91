"""Who computes what of partitions: a cluster, or Dask's scheduler in this process.

Placement, failure and order of work are Dask's. What is added is added by a tree in the order of the partitions, whose
shape depends on their number alone: results are the same to the last bit wherever, and whenever, a part of them comes
from.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fastem.data.cluster.placement import Placement

FAN_IN = 64  # results that one task adds: few enough for a worker's memory, and most clusters need two levels
SHARE = 0.6  # of the memory that workers have left, that partitions may take

Function = Callable[..., Any]


class Held(Protocol):
    """Partitions, wherever they are."""

    def some(self, which: Sequence[int]) -> Held:
        """Some of them."""

    def each(self, function: Function, places: Sequence[Any], request: Any) -> list[Any]:
        """Results of function(partition, place, request), in the order of the partitions."""

    def fold(self, function: Function, places: Sequence[Any], request: Any, add: Function) -> Any:
        """The same, added by add(list of results)."""

    def release(self) -> None:
        """Forget them."""


class Scheduler(Protocol):
    """Who computes."""

    def read(self, pieces: Sequence[Any]) -> Held:
        """Partitions that are read anew whenever they are needed."""

    def keep(self, pieces: Sequence[Any], n_bytes: int) -> Held:
        """The same, kept in memory if there is room for so many bytes."""


def scheduler_for(client: Any = None) -> Scheduler:
    """A cluster, if a client is given or in scope; else Dask's scheduler in this process.

    Raises
    ------
    TypeError
        If the client is none, or does not wait for results.
    ValueError
        If it is closed.
    """
    if client is None and "distributed" in sys.modules:
        from distributed import Client

        try:
            client = Client.current()
        except ValueError:
            client = None
    if client is None:
        return Here()
    if not hasattr(client, "submit") or not hasattr(client, "scheduler_info"):
        raise TypeError(f"client must be a distributed.Client, not {type(client).__name__}")
    if getattr(client, "asynchronous", False):
        raise TypeError("client must wait for results, and this one is asynchronous: make it by Client(...)")
    if getattr(client, "status", "running") in ("closing", "closed"):
        raise ValueError("client is closed: make another one by Client(...)")
    return Cluster(client)


class Here:
    """Dask's scheduler in this process, which reads partitions whenever they are needed."""

    def read(self, pieces: Sequence[Any]) -> Held:
        """Partitions that are read anew whenever they are needed."""
        return _Read(list(pieces), self.results)

    def keep(self, pieces: Sequence[Any], n_bytes: int) -> Held:
        """The same: what fits into memory can be given as an array, or persisted by whoever made the collection."""
        return self.read(pieces)

    def results(self, tasks: Sequence[Any]) -> list[Any]:
        """What tasks give."""
        import dask

        return list(dask.compute(*tasks))


class Cluster:
    """A cluster that a client of `distributed` speaks to."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def read(self, pieces: Sequence[Any]) -> Held:
        """Partitions that are read anew whenever they are needed."""
        return _Read(list(pieces), self.results)

    def keep(self, pieces: Sequence[Any], n_bytes: int) -> Held:
        """The same, kept in the workers' memory if there is room for so many bytes."""
        if n_bytes > SHARE * self._free_bytes():
            return self.read(pieces)
        futures = self.client.compute(list(pieces))
        return _Kept(self, futures, Placement(self.client, futures))

    def _free_bytes(self) -> float:
        """Memory that workers have left; one without a limit has all that may be wanted."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [(worker["memory_limit"], worker["metrics"].get("memory", 0)) for worker in workers]
        return float(sum(max(limit - used, 0) if limit else float("inf") for limit, used in limits))

    def results(self, tasks: Sequence[Any]) -> list[Any]:
        """What tasks give."""
        return self.gather(lambda: self.client.compute(list(tasks)))

    def gather(self, start: Callable[[], Sequence[Any]]) -> list[Any]:
        """Results of the futures that `start` returns; of those that fail, the first failure is raised.

        Tasks of an interrupted fit are cancelled. All futures are released explicitly: Python ignores an exception that
        is raised while it collects an object, so an interrupt that arrives while a future is collected would be lost.
        """
        futures: Sequence[Any] = []
        try:
            futures = start()
            try:
                return list(self.client.gather(futures))
            except Exception:
                for future in futures:
                    future.result()
                raise
        except BaseException:
            self.client.cancel(futures)
            raise
        finally:
            for future in futures:
                future.release()


class _Read:
    """Partitions that are read anew whenever they are needed."""

    def __init__(self, pieces: Sequence[Any], results: Callable[[Sequence[Any]], list[Any]]) -> None:
        self._pieces = pieces
        self._results = results

    def some(self, which: Sequence[int]) -> Held:
        """Some of them."""
        return _Read([self._pieces[i] for i in which], self._results)

    def each(self, function: Function, places: Sequence[Any], request: Any) -> list[Any]:
        """Results of each partition."""
        return self._results(self._tasks(function, places, request))

    def fold(self, function: Function, places: Sequence[Any], request: Any, add: Function) -> Any:
        """Results of all partitions, added."""
        from dask import delayed

        tasks = self._tasks(function, places, request)
        for some in levels(len(tasks)):
            tasks = [delayed(add, pure=False)([tasks[i] for i in run]) for run in some]
        return self._results(tasks)[0]

    def release(self) -> None:
        """Nothing is kept."""

    def _tasks(self, function: Function, places: Sequence[Any], request: Any) -> list[Any]:
        from dask import delayed

        told = delayed(request, pure=False, traverse=False)
        run = delayed(function, pure=False)
        return [run(piece, place, told) for piece, place in zip(self._pieces, places, strict=True)]


class _Kept:
    """Partitions in the memory of a cluster: read again by Dask, elsewhere, where a worker is lost."""

    def __init__(self, cluster: Cluster, futures: Sequence[Any], placement: Placement) -> None:
        self._cluster = cluster
        self._futures = list(futures)
        self._placement = placement

    def some(self, which: Sequence[int]) -> Held:
        """Some of them."""
        return _Kept(self._cluster, [self._futures[i] for i in which], self._placement)

    def each(self, function: Function, places: Sequence[Any], request: Any) -> list[Any]:
        """Results of each partition."""
        graph, keys = self._tasks(function, places, request)
        return self._results(graph, keys)

    def fold(self, function: Function, places: Sequence[Any], request: Any, add: Function) -> Any:
        """Results of all partitions, added."""
        from dask._task_spec import List, Task, TaskRef

        self._placement.balance()
        graph, keys = self._tasks(function, places, request)
        for some in levels(len(keys)):
            results, keys = keys, _keys(add.__name__, len(some))
            for key, run in zip(keys, some, strict=True):
                graph[key] = Task(key, add, List(*(TaskRef(results[i]) for i in run)))
        return self._results(graph, keys)[0]

    def release(self) -> None:
        """Let workers forget them, whoever may refer to this: an error's traceback does."""
        for future in self._futures:
            future.release()

    def _tasks(self, function: Function, places: Sequence[Any], request: Any) -> tuple[dict[Any, Any], list[Any]]:
        """One task a partition, as a graph and the keys of the results; the request is a task of its own."""
        from dask._task_spec import Task, TaskRef

        [told] = _keys(type(request).__name__.lower(), 1)
        keys = _keys(function.__name__, len(self._futures))
        graph = {told: Task(told, _told, request)}
        for key, future, place in zip(keys, self._futures, places, strict=True):
            graph[key] = Task(key, function, future, place, TaskRef(told))
        return graph, keys

    def _results(self, graph: dict[Any, Any], keys: Sequence[Any]) -> list[Any]:
        """Results of some tasks of a graph: sent as one, it costs the scheduler two thirds of what single tasks do."""
        return self._cluster.gather(lambda: self._cluster.client.get(graph, list(keys), sync=False))


def _told(request: Any) -> Any:
    """A task's result, which travels once to each worker, and is made again where it is lost."""
    return request


def levels(n_tasks: int) -> list[list[range]]:
    """Runs of results that each task of a tree adds, level by level."""
    found = []
    while n_tasks > 1:
        runs = [range(start, min(start + FAN_IN, n_tasks)) for start in range(0, n_tasks, FAN_IN)]
        found.append(runs)
        n_tasks = len(runs)
    return found


def _keys(name: str, n_tasks: int) -> list[Any]:
    """Names of tasks, by which a dashboard shows them together."""
    token = uuid.uuid4().hex
    return [(f"{name}-{token}", number) for number in range(n_tasks)]
