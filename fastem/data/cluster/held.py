"""Partitions that a scheduler reads or that workers hold, and the tasks that evaluate them.

Placement, failure and order of work are Dask's. Results are added by a tree in the order of the partitions, whose shape
depends on their number alone: a sum is the same to the last bit wherever, and whenever, a part of it comes from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fastem.data.cluster.pieces import Function, Piece, graph_of, task_keys, with_tasks
from fastem.data.cluster.placement import Placement

FAN_IN = 64  # results that one task adds: few enough for a worker's memory, and most clusters need two levels


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


class Computer(Protocol):
    """What computes tasks."""

    def results(self, graph: Any, keys: Sequence[Any]) -> list[Any]:
        """Results of some tasks of a graph."""

    def forget(self) -> None:
        """Forget the results of the last tasks."""


class _Partitions(ABC):
    """Evaluation of partitions by one graph of tasks: sent as one, it costs a scheduler less than single tasks do."""

    def __init__(self, computer: Computer) -> None:
        self._computer = computer

    def each(self, function: Function, places: Sequence[Any], request: Any) -> list[Any]:
        """Results of each partition."""
        groups = self._groups(len(places))
        found = self._results(*self._tasks(function, places, request, groups))
        numbered = {
            i: result for group, some in zip(groups, found, strict=True) for i, result in zip(group, some, strict=True)
        }
        return [numbered[i] for i in range(len(places))]

    def fold(self, function: Function, places: Sequence[Any], request: Any, add: Function) -> Any:
        """Results of all partitions, added."""
        from dask._task_spec import List, Task, TaskRef

        groups = self._groups(len(places))
        graph, keys = self._tasks(function, places, request, groups)
        for some in levels(len(places)):
            results, keys = keys, task_keys(add.__name__, len(some))
            summands: list[list[int]] = [[] for _ in some]  # the groups whose results each task adds
            for number, group in enumerate(groups):
                summands[group[0] // FAN_IN].append(number)
            for key, numbers in zip(keys, summands, strict=True):
                order = np.argsort([i for number in numbers for i in groups[number]])  # a group need not be a run
                graph[key] = Task(key, _added, add, List(*(TaskRef(results[number]) for number in numbers)), order)
            groups = [[i] for i in range(len(some))]
        [[found]] = self._results(graph, keys)
        return found

    def _tasks(
        self, function: Function, places: Sequence[Any], request: Any, groups: Sequence[Sequence[int]]
    ) -> tuple[dict[Any, Any], list[Any]]:
        """One task for each group of partitions, as a graph and the keys of the results, which are lists.

        The request is a task of its own, whose result travels once to each worker, and is made again where it is lost.
        """
        from dask._task_spec import Task, TaskRef

        [shared] = task_keys(type(request).__name__.lower(), 1)
        keys = task_keys(function.__name__, len(groups))
        graph = {shared: Task(shared, _shared, request)}
        for key, group in zip(keys, groups, strict=True):
            some = [places[i] for i in group]
            graph[key] = Task(key, _evaluated, function, some, TaskRef(shared), *self._partitions(group))
        return graph, keys

    def _groups(self, n_partitions: int) -> list[list[int]]:
        """Partitions, by number, that one task computes; all of a group have the same quotient by `FAN_IN`."""
        return [[i] for i in range(n_partitions)]

    @abstractmethod
    def _partitions(self, group: Sequence[int]) -> tuple[Any, ...]:
        """Arguments of a task from which its partitions are made: a function, and arguments of its own."""

    @abstractmethod
    def _results(self, graph: dict[Any, Any], keys: Sequence[Any]) -> list[Any]:
        """Results of some tasks."""


class ReadAgain(_Partitions):
    """Partitions that are read anew whenever they are needed, each by the task that computes it."""

    def __init__(self, computer: Computer, pieces: Sequence[Piece], graph: Any = None) -> None:
        super().__init__(computer)
        self._pieces = pieces
        self._graph = graph_of(pieces) if graph is None else graph

    def some(self, which: Sequence[int]) -> Held:
        """Some of them."""
        pieces = [self._pieces[i] for i in which]
        keys = {part.key for piece in pieces for part in piece.parts}
        return ReadAgain(self._computer, pieces, self._graph.cull(keys))  # else each task would come with all others

    def release(self) -> None:
        """Forget what was computed of them."""
        self._computer.forget()

    def _partitions(self, group: Sequence[int]) -> tuple[Any, ...]:
        from dask._task_spec import TaskRef

        [number] = group
        piece = self._pieces[number]
        return _made, piece.make, *(TaskRef(part.key) for part in piece.parts)

    def _results(self, graph: dict[Any, Any], keys: Sequence[Any]) -> list[Any]:
        return self._computer.results(with_tasks(self._graph, graph), keys)


class Kept(_Partitions):
    """Partitions in the memory of a cluster: read again by Dask, elsewhere, where a worker is lost.

    A task computes several partitions that one worker holds.
    """

    def __init__(self, computer: Computer, futures: Sequence[Any], placement: Placement) -> None:
        super().__init__(computer)
        self._futures = list(futures)
        self._placement = placement

    def some(self, which: Sequence[int]) -> Held:
        """Some of them."""
        return Kept(self._computer, [self._futures[i] for i in which], self._placement)

    def release(self) -> None:
        """Let workers forget them, whoever may refer to this: an error's traceback does."""
        release(self._futures)
        self._computer.forget()

    def _groups(self, n_partitions: int) -> list[list[int]]:
        self._placement.balance()
        return self._placement.groups(self._futures, FAN_IN)

    def _partitions(self, group: Sequence[int]) -> tuple[Any, ...]:
        return _listed, *(self._futures[i] for i in group)

    def _results(self, graph: dict[Any, Any], keys: Sequence[Any]) -> list[Any]:
        return self._computer.results(with_tasks(graph_of(()), graph), keys)


def _shared(request: Any) -> Any:
    """Result of a task that all others need."""
    return request


def _evaluated(function: Function, places: Sequence[Any], request: Any, make: Function, *values: Any) -> list[Any]:
    """Results of a group of partitions, which `make` gives."""
    return [function(partition, place, request) for partition, place in zip(make(*values), places, strict=True)]


def _made(make: Function, *values: Any) -> list[Any]:
    """A group of one partition, which is read."""
    return [make(*values)]


def _listed(*partitions: Any) -> tuple[Any, ...]:
    """A group of partitions that are in memory."""
    return partitions


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


def release(futures: Sequence[Any]) -> None:
    """Let workers forget results.

    Explicitly, because Python ignores an exception that is raised while it collects an object: an interrupt that
    arrives while a future is collected would be lost.
    """
    for future in futures:
        future.release()
