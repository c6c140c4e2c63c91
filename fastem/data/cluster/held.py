"""Partitions that a scheduler reads or that workers hold, and the tasks that evaluate them.

Placement, failure and order of work are Dask's. Results are added by a tree in the order of the partitions, whose shape
depends on their number alone: a sum is the same to the last bit wherever, and whenever, a part of it comes from.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fastem.data.cluster.placement import Placement

FAN_IN = 64  # results that one task adds: few enough for a worker's memory, and most clusters need two levels

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


class Sender(Protocol):
    """A cluster that tasks are sent to."""

    client: Any

    def gather(self, start: Callable[[], Sequence[Any]]) -> list[Any]:
        """Results of the futures that `start` returns."""

    def forget(self) -> None:
        """Let workers forget the results of the last tasks."""


class ReadAgain:
    """Partitions that are read anew whenever they are needed."""

    def __init__(
        self, pieces: Sequence[Any], results: Callable[[Sequence[Any]], list[Any]], release: Callable[[], None]
    ) -> None:
        self._pieces = pieces
        self._results = results
        self.release = release

    def some(self, which: Sequence[int]) -> Held:
        """Some of them."""
        return ReadAgain([self._pieces[i] for i in which], self._results, self.release)

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

    def _tasks(self, function: Function, places: Sequence[Any], request: Any) -> list[Any]:
        from dask import delayed

        shared = delayed(request, pure=False, traverse=False)
        run = delayed(function, pure=False)
        return [run(piece, place, shared) for piece, place in zip(self._pieces, places, strict=True)]


class Kept:
    """Partitions in the memory of a cluster: read again by Dask, elsewhere, where a worker is lost."""

    def __init__(self, cluster: Sender, futures: Sequence[Any], placement: Placement) -> None:
        self._cluster = cluster
        self._futures = list(futures)
        self._placement = placement

    def some(self, which: Sequence[int]) -> Held:
        """Some of them."""
        return Kept(self._cluster, [self._futures[i] for i in which], self._placement)

    def each(self, function: Function, places: Sequence[Any], request: Any) -> list[Any]:
        """Results of each partition."""
        graph, keys = self._tasks(function, places, request, [[i] for i in range(len(self._futures))])
        return [result for [result] in self._results(graph, keys)]

    def fold(self, function: Function, places: Sequence[Any], request: Any, add: Function) -> Any:
        """Results of all partitions, added; a task computes several partitions that one worker holds."""
        from dask._task_spec import List, Task, TaskRef

        self._placement.balance()
        groups = self._placement.groups(self._futures, FAN_IN)
        graph, keys = self._tasks(function, places, request, groups)
        for some in levels(len(self._futures)):
            results, keys = keys, _keys(add.__name__, len(some))
            members: list[list[int]] = [[] for _ in some]
            for number, group in enumerate(groups):
                members[group[0] // FAN_IN].append(number)
            for key, numbers in zip(keys, members, strict=True):
                order = np.argsort([i for number in numbers for i in groups[number]])
                graph[key] = Task(key, _added, add, List(*(TaskRef(results[number]) for number in numbers)), order)
            groups = [[i] for i in range(len(some))]
        [[found]] = self._results(graph, keys)
        return found

    def release(self) -> None:
        """Let workers forget them, whoever may refer to this: an error's traceback does."""
        release(self._futures)
        self._cluster.forget()

    def _tasks(
        self, function: Function, places: Sequence[Any], request: Any, groups: Sequence[Sequence[int]]
    ) -> tuple[dict[Any, Any], list[Any]]:
        """One task for each group of partitions, as a graph and the keys of the results, which are lists.

        The request is a task of its own, whose result travels once to each worker, and is made again where it is lost.
        """
        from dask._task_spec import List, Task, TaskRef

        [shared] = _keys(type(request).__name__.lower(), 1)
        keys = _keys(function.__name__, len(groups))
        graph = {shared: Task(shared, _shared, request)}
        for key, group in zip(keys, groups, strict=True):
            partitions = List(*(self._futures[i] for i in group))
            graph[key] = Task(key, _each, function, partitions, [places[i] for i in group], TaskRef(shared))
        return graph, keys

    def _results(self, graph: dict[Any, Any], keys: Sequence[Any]) -> list[Any]:
        """Results of some tasks of a graph: sent as one, it costs the scheduler two thirds of what single tasks do."""
        return self._cluster.gather(lambda: self._cluster.client.get(graph, list(keys), sync=False))


def _shared(request: Any) -> Any:
    """Result of a task that all others need."""
    return request


def _each(function: Function, partitions: Sequence[Any], places: Sequence[Any], request: Any) -> list[Any]:
    """Results of a group of partitions."""
    return [function(partition, place, request) for partition, place in zip(partitions, places, strict=True)]


def _added(add: Function, results: Sequence[Sequence[Any]], order: Sequence[int]) -> list[Any]:
    """Results of some groups, added in the order of their partitions."""
    found = [result for some in results for result in some]
    return [add([found[i] for i in order])]


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


def release(futures: Sequence[Any]) -> None:
    """Let workers forget results.

    Explicitly, because Python ignores an exception that is raised while it collects an object: an interrupt that
    arrives while a future is collected would be lost.
    """
    for future in futures:
        future.release()
