"""Partitions that have not been read: what makes each of them of which lazy values of Dask."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

Function = Callable[..., Any]


class Piece(NamedTuple):
    """How a partition is made: by a function of the values of lazy objects of Dask, of which there may be none."""

    make: Function
    parts: tuple[Any, ...] = ()

    def then(self, function: Function, **options: Any) -> Piece:
        """What `function` returns for the partition."""
        return Piece(functools.partial(_after, function, options, self.make), self.parts)


def _after(function: Function, options: Mapping[str, Any], make: Function, *values: Any) -> Any:
    return function(make(*values), **options)


@contextmanager
def naming_partition(name: str) -> Iterator[None]:
    """Add the name of a partition to errors that are raised inside."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def graph_of(pieces: Sequence[Piece]) -> Any:
    """The tasks of all lazy objects of some pieces, as a HighLevelGraph."""
    from dask.highlevelgraph import HighLevelGraph

    return HighLevelGraph.merge(*(part.__dask_graph__() for piece in pieces for part in piece.parts))


def with_tasks(graph: Any, tasks: Mapping[Any, Any]) -> Any:
    """A HighLevelGraph with more tasks, which may depend on all that are there.

    Dask hashes each task of a graph in any other form before it sends it.
    """
    from dask.highlevelgraph import HighLevelGraph

    name = uuid.uuid4().hex
    layers, depends = {**graph.layers, name: tasks}, {**graph.dependencies, name: {*graph.layers}}
    return HighLevelGraph(layers, depends)


def made_by(pieces: Sequence[Piece], keys: Sequence[Any]) -> Any:
    """A graph whose tasks with these keys make the pieces."""
    from dask._task_spec import Task, TaskRef

    tasks = {
        key: Task(key, piece.make, *(TaskRef(part.key) for part in piece.parts))
        for key, piece in zip(keys, pieces, strict=True)
    }
    return with_tasks(graph_of(pieces), tasks)


def task_keys(name: str, n_tasks: int) -> list[Any]:
    """Keys of tasks, which a dashboard shows by their name.

    A scheduler takes them for one group. If they depend on few other groups, it gives workers that have finished the
    next of them; otherwise it would give all of them to the worker that holds what they share.
    """
    token = uuid.uuid4().hex
    return [(f"{name}-{token}", number) for number in range(n_tasks)]
