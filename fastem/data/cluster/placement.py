"""On which workers of a cluster the partitions of a fit are."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

TASKS = 4  # of a pass, for each thread: more cost the scheduler's time, fewer let threads wait for the slowest


class Placement:
    """Where the partitions of a fit are: each worker has its share of them, by its number of threads."""

    def __init__(self, client: Any, futures: Sequence[Any]) -> None:
        self._client = client
        self._futures = {future.key: future for future in futures}
        self._workers: dict[str, int] = {}
        self._owners: dict[Any, str] = {}

    def balance(self) -> None:
        """Copy partitions to workers that hold too few, once all have been read, and if workers have joined or left."""
        workers = dict(self._client.nthreads())
        known = len(self._owners) == len(self._futures)
        if not workers or (known and workers == self._workers):  # without any worker, the pass waits for one
            return
        self._workers = workers
        held: dict[str, list[Any]] = {address: [] for address in workers}
        for key, holders in self._client.who_has(list(self._futures.values())).items():
            for address in [each for each in holders if each in held][:1]:
                held[address].append(key)
        complete = sum(map(len, held.values())) == len(self._futures)
        moved = moves(held, workers) if complete else {}
        self._owners = {key: address for where in (held, moved) for address, keys in where.items() for key in keys}
        for address, keys in moved.items():
            with contextlib.suppress(Exception):  # of workers that have just left, of many types: the pass goes on
                self._client.replicate([self._futures[key] for key in keys], n=1, workers=[address])

    def groups(self, futures: Sequence[Any], most: int) -> list[list[int]]:
        """Partitions that one task computes: one worker holds them, and they are of the same run of `most`."""
        return together([self._owners.get(future.key) for future in futures], self._workers, most)


def together(owners: Sequence[str | None], n_threads: Mapping[str, int], most: int) -> list[list[int]]:
    """Groups of partitions, by number, that one task computes.

    Parameters
    ----------
    owners : sequence of str or None
        The worker that holds each partition.
    n_threads : mapping
        Numbers of the workers' threads.
    most : int
        Partitions of a group have the same quotient by it.
    """
    counts = Counter(owners)
    found: list[list[int]] = []
    for first in range(0, len(owners), most):
        held: dict[str | None, list[int]] = {}
        for i, owner in enumerate(owners[first : first + most], first):
            held.setdefault(owner, []).append(i)
        for owner, numbers in held.items():
            threads = n_threads.get(owner, 0) if owner is not None else 0
            size = -(-counts[owner] // (TASKS * threads)) if threads else 1
            found.extend(numbers[i : i + size] for i in range(0, len(numbers), size))
    return found


def runs(n_partitions: int, n_threads: Mapping[str, int]) -> dict[str, range]:
    """Consecutive partitions for each worker, by its number of threads."""
    bounds = np.rint(np.cumsum([0, *n_threads.values()]) * (n_partitions / sum(n_threads.values()))).astype(int)
    return {
        address: range(*bound) for address, bound in zip(n_threads, itertools.pairwise(bounds.tolist()), strict=True)
    }


def moves(held: Mapping[str, Sequence[Any]], n_threads: Mapping[str, int]) -> dict[str, list[Any]]:
    """Partitions that each worker should get, so that all hold their share to within one.

    Parameters
    ----------
    held : mapping
        Keys of the partitions that each worker holds, by its address.
    n_threads : mapping
        Numbers of the workers' threads, of which there is at least one.
    """
    share = sum(map(len, held.values())) / sum(n_threads.values())
    extra = {address: len(keys) - share * n_threads[address] for address, keys in held.items()}
    left = {address: list(keys) for address, keys in held.items()}
    found: dict[str, list[Any]] = {}
    while True:
        giver, taker = max(extra, key=lambda each: extra[each]), min(extra, key=lambda each: extra[each])
        if extra[giver] - extra[taker] < 2.0:
            return found
        found.setdefault(taker, []).append(left[giver].pop())
        extra[giver] -= 1.0
        extra[taker] += 1.0
