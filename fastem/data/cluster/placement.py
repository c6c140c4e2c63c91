"""On which workers of a cluster the partitions of a fit are."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any


class Placement:
    """Where the partitions of a fit are: each worker has its share of them, by its number of threads."""

    def __init__(self, client: Any, futures: Sequence[Any]) -> None:
        self._client = client
        self._futures = {future.key: future for future in futures}
        self._workers: dict[str, int] = {}

    def balance(self) -> None:
        """Copy partitions to workers that hold too few, whenever the workers are others than before."""
        workers = dict(self._client.nthreads())
        if not workers or workers == self._workers:  # without any, the pass waits for one
            return
        self._workers = workers
        held: dict[str, list[Any]] = {address: [] for address in workers}
        for key, holders in self._client.who_has(list(self._futures.values())).items():
            for address in [each for each in holders if each in held][:1]:
                held[address].append(key)
        for address, keys in moves(held, workers).items():
            with contextlib.suppress(KeyError):  # of a worker that has just left: the next pass balances again
                self._client.replicate([self._futures[key] for key in keys], n=1, workers=[address])


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
