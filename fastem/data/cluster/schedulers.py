"""Who reads and computes partitions: a cluster, or Dask's scheduler in this process."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from typing import Any, Protocol

from fastem.data.cluster.held import Held, Kept, ReadAgain, release
from fastem.data.cluster.pieces import Piece, made_by, task_keys
from fastem.data.cluster.placement import Placement, runs

CLUSTERS = (None, "distributed", "dask.distributed")  # values of Dask's option 'scheduler' that mean a client
SHARE = 0.6  # of the memory that workers have left, that partitions may take


class Scheduler(Protocol):
    """Who computes."""

    def read(self, pieces: Sequence[Piece]) -> Held:
        """Partitions that are read anew whenever they are needed."""

    def keep(self, pieces: Sequence[Piece], n_bytes: int) -> Held:
        """The same, kept in memory if there is room for so many bytes."""


def scheduler_for(client: Any = None) -> Scheduler:
    """A cluster, if a client is given or in scope; else Dask's scheduler in this process.

    Raises
    ------
    TypeError
        If the client is none, or does not wait for results.
    ValueError
        If it is given and not connected.
    """
    client = client_in_scope() if client is None else client
    if client is None:
        return Here()
    check_client(client)
    return Cluster(client)


def check_client(client: Any) -> None:
    """Raise TypeError if a client is none or does not wait for results, ValueError if it is not connected."""
    if not hasattr(client, "submit") or not hasattr(client, "scheduler_info"):
        raise TypeError(f"client must be a distributed.Client, not {type(client).__name__}")
    if getattr(client, "asynchronous", False):
        raise TypeError("client must wait for results, and this one is asynchronous: make it by Client(...)")
    status = getattr(client, "status", "running")
    if status != "running":
        raise ValueError(f"client is {status}: make another one by Client(...)")


def one_by_one(scheduler: Scheduler, pieces: Sequence[Piece]) -> Generator[Any, None, None]:
    """Yield partitions that this process needs itself, each read when it is asked for."""
    held = scheduler.read(pieces)
    try:
        for number in range(len(pieces)):
            yield from held.some([number]).each(_as_read, [None], None)
    finally:
        held.release()


def _as_read(partition: Any, place: None, request: None) -> Any:
    return partition


def client_in_scope() -> Any:
    """The client that Dask would use: None if there is none, or if the user has set one of Dask's own schedulers.

    A client that was in scope and lost its connection is none: it may never connect again.
    """
    import dask

    if "distributed" not in sys.modules or dask.config.get("scheduler", None) not in CLUSTERS:
        return None
    from distributed import Client

    try:
        client = Client.current()
    except ValueError:
        return None
    return client if client.status == "running" else None


class Here:
    """Dask's scheduler in this process, which reads partitions whenever they are needed."""

    def read(self, pieces: Sequence[Piece]) -> Held:
        """Partitions that are read anew whenever they are needed."""
        return ReadAgain(self, list(pieces))

    def keep(self, pieces: Sequence[Piece], n_bytes: int) -> Held:
        """The same: what fits into memory can be given as an array, or persisted by whoever made the collection."""
        return self.read(pieces)

    def results(self, graph: Any, keys: Sequence[Any]) -> list[Any]:
        """Results of some tasks of a graph."""
        from dask.base import get_scheduler
        from dask.delayed import Delayed
        from dask.optimization import cull

        wanted, _ = cull(graph.to_dict(), list(keys))
        return list(get_scheduler(cls=Delayed)(wanted, list(keys)))

    def forget(self) -> None:
        """Nothing is kept."""


class Cluster:
    """A cluster that a client of `distributed` speaks to."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._finished: Sequence[Any] = ()  # futures of the last tasks

    def read(self, pieces: Sequence[Piece]) -> Held:
        """Partitions that are read anew whenever they are needed."""
        return ReadAgain(self, list(pieces))

    def keep(self, pieces: Sequence[Piece], n_bytes: int) -> Held:
        """The same, kept in the workers' memory if there is room for so many bytes."""
        if n_bytes > SHARE * self._free_bytes():
            return self.read(pieces)
        futures = self._load(pieces)
        return Kept(self, futures, Placement(self.client, futures))

    def _load(self, pieces: Sequence[Piece]) -> list[Any]:
        """Futures of partitions; if they are made of no lazy objects of Dask, each worker reads a run of them.

        Many partitions that one sum adds are then on one worker, so that one task can compute them.
        """
        keys, workers = task_keys("load_partition", len(pieces)), self.client.nthreads()
        if not workers or any(piece.parts for piece in pieces):
            return list(self.client.get(made_by(pieces, keys), keys, sync=False))
        futures: list[Any] = []
        try:
            for address, run in runs(len(pieces), workers).items():
                own = keys[run.start : run.stop]
                graph = made_by(pieces[run.start : run.stop], own)
                futures += self.client.get(graph, own, workers=[address], allow_other_workers=True, sync=False)
        except BaseException:  # an error's traceback would keep them
            release(futures)
            raise
        return futures

    def _free_bytes(self) -> float:
        """Memory that workers have left; one without a limit has all that may be wanted."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [(worker["memory_limit"], worker["metrics"].get("memory", 0)) for worker in workers]
        return float(sum(max(limit - used, 0) if limit else float("inf") for limit, used in limits))

    def results(self, graph: Any, keys: Sequence[Any]) -> list[Any]:
        """Results of some tasks of a graph; of those that fail, the first failure is raised.

        Tasks of an interrupted fit are cancelled. Futures are released after the next tasks have been sent, because a
        client waits for 10 ms after each message: released at once, they would delay these tasks.
        """
        futures: Sequence[Any] = []
        try:
            futures = self.client.get(graph, list(keys), sync=False)
            self.forget()
            try:
                found = list(self.client.gather(futures))
            except Exception:
                for future in futures:
                    future.result()
                raise
        except BaseException:
            self.client.cancel(futures)
            release(futures)
            raise
        self._finished = futures
        return found

    def forget(self) -> None:
        """Let workers forget the results of the last tasks, which have been gathered."""
        release(self._finished)
        self._finished = ()
