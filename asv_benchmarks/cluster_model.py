"""Cost of a pass on a cluster: measured constants, a formula, and a simulation of the schedule.

Usage: python asv_benchmarks/cluster_model.py [--rows 100_000_000_000] [--workers 1000] [--partition 5_000_000] [--help]

Constants are measured on a LocalCluster of two processes with one thread each: the processor time per task of scheduler
and client together, and of a worker (slopes in the number of tasks that do nothing), the sizes of pickled parameters
and statistics, the time to add statistics, and the time per row. Workers hold partitions in runs, as those of files,
or anywhere; `placement.together` says which of them one task computes. The simulation has one scheduler that handles
tasks one after the other, workers that do one task at a time, and the tree of sums of `held.levels`. Formula and
simulation are compared with measured passes. On one machine, scheduler and workers share the processors: a pass then
takes at least the processor time of all of them, divided by the number of processors. If other work runs on the
machine, compare processor times.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import pickle
import statistics
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import psutil
from cluster import draw, fold_nothing, model, timed
from distributed import Client, LocalCluster

from fastem.data import ArraySource, Mixture
from fastem.data.cluster import placement
from fastem.data.cluster.held import FAN_IN, levels
from fastem.data.cluster.partitions import add_sweeps
from fastem.data.cluster.placement import together
from fastem.engine.compiled import get_passes
from fastem.families import get_family

BANDWIDTH = 1e9  # bytes a second between two machines: assumed, 10 Gbit/s less the overhead of protocols
FEW, MANY, REPEATS = 40, 400, 10  # numbers of tasks that do nothing, and of passes over them


class Constants(NamedTuple):
    """Measured constants of a pass, in seconds and bytes.

    Attributes
    ----------
    begin : float
        Time of a pass that does not depend on the number of tasks.
    scheduler : float
        Processor time of scheduler and client for each task.
    worker : float
        Processor time of a worker for each task.
    row : float
        Time per row.
    add : float
        Time to add the statistics of two partitions.
    parameters, statistics : int
        Bytes of pickled parameters, and of the statistics of a partition.
    """

    begin: float
    scheduler: float
    worker: float
    row: float
    add: float
    parameters: int
    statistics: int


class Pass(NamedTuple):
    """A pass over a collection.

    Attributes
    ----------
    n_rows : int
        Rows of a partition.
    n_workers : int
        Workers with one thread each.
    owners : list of int
        The worker that holds each partition.
    groups : list of list of int
        Partitions that one task computes.
    """

    n_rows: int
    n_workers: int
    owners: list[int]
    groups: list[list[int]]

    @property
    def n_partitions(self) -> int:
        """Number of partitions."""
        return len(self.owners)

    @property
    def n_tasks(self) -> int:
        """One for the parameters, one for each group of partitions, and those of the tree of sums."""
        return 1 + len(self.groups) + sum(len(level) for level in levels(self.n_partitions))


def pass_over(n_partitions: int, n_rows: int, n_workers: int, *, scattered: bool) -> Pass:
    """A pass over partitions that lie in runs, or were shared out at random."""
    owners = [number * n_workers // n_partitions for number in range(n_partitions)]
    if scattered:
        np.random.default_rng(0).shuffle(owners)
    named = [str(owner) for owner in owners]
    return Pass(n_rows, n_workers, owners, together(named, dict.fromkeys(named, 1), FAN_IN))


def measure(client: Client, n_features: int, n_components: int, rounds: int) -> Constants:
    """Measure the constants on this machine."""
    few, many = (_spent(client, n_tasks, rounds) for n_tasks in (FEW, MANY))
    fewer, more = (1 + n_tasks + sum(len(level) for level in levels(n_tasks)) for n_tasks in (FEW, MANY))
    scheduler, worker = ((there - here) / (more - fewer) for here, there in zip(few, many, strict=True))
    begin = sum(few) - (scheduler + worker) * fewer
    row, add, parameters, statistics_size = _kernel(n_features, n_components, rounds)
    return Constants(max(begin, 0.0), scheduler, worker, row, add, parameters, statistics_size)


def _spent(client: Client, n_tasks: int, rounds: int) -> tuple[float, float]:
    """Processor time of this process (scheduler and client) and of the workers, for a tree of tasks."""
    here = psutil.Process()
    found = []
    for _ in range(rounds):
        with one_task_each():
            before = _used([here]), _used(here.children(recursive=True))
            fold_nothing(client, n_tasks, REPEATS - 2)  # makes two more passes, which it leaves out
            after = _used([here]), _used(here.children(recursive=True))
        found.append([(late - early) / REPEATS for early, late in zip(before, after, strict=True)])
    here_least, workers_least = (min(each) for each in zip(*found, strict=True))
    return here_least, workers_least


@contextmanager
def one_task_each() -> Iterator[None]:
    """Each partition is computed by a task of its own."""
    before, placement.TASKS = placement.TASKS, MANY
    try:
        yield
    finally:
        placement.TASKS = before


def _used(processes: Iterable[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _kernel(n_features: int, n_components: int, rounds: int) -> tuple[float, float, int, int]:
    """Seconds per row and per sum of statistics; bytes of parameters and of statistics."""
    rows = draw(0, 100_000, n_features, n_components)
    passes = get_passes(get_family("gaussian-full")).of(n_features)
    mixture = Mixture(np.full(n_components, 1.0 / n_components), passes.family.params_at(rows[:n_components].copy()))
    n_stats = passes.family.n_stats(n_features, n_components)
    source = ArraySource(rows)

    def sweep() -> Any:
        return source.sweep(passes, mixture, n_stats, parallel=False)

    found = sweep()
    row = least(sweep, rounds) / len(rows)
    add = least(lambda: add_sweeps([found] * 33), rounds) / 32
    return row, add, len(pickle.dumps(mixture)), len(pickle.dumps(found))


def least(function: Any, rounds: int) -> float:
    """Seconds of the fastest of some calls."""
    seconds = []
    for _ in range(5 * rounds):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def formula(constants: Constants, shape: Pass) -> float:
    """Seconds of a pass: the slower of scheduler and workers, then the depth of the tree."""
    c = constants
    turns = math.ceil(len(shape.groups) / shape.n_workers)
    most = math.ceil(shape.n_partitions / shape.n_workers)
    computing = turns * (c.worker + c.scheduler) + most * shape.n_rows * c.row + c.parameters / BANDWIDTH
    depth = sum(_adding(c, max(map(len, level))) + c.scheduler for level in levels(shape.n_partitions))
    return c.begin + max(shape.n_tasks * c.scheduler, computing) + depth


def work(constants: Constants, shape: Pass) -> float:
    """Processor time of a pass, of all processes together."""
    c = constants
    computing = shape.n_partitions * shape.n_rows * c.row
    return c.begin + shape.n_tasks * (c.scheduler + c.worker) + computing


def _adding(constants: Constants, n_results: int) -> float:
    """Seconds of a task that adds results, all but one of which come from other machines."""
    c = constants
    return c.worker + (n_results - 1) * (c.add + c.statistics / BANDWIDTH)


def simulate(constants: Constants, shape: Pass) -> float:
    """Seconds of a pass, event by event."""
    return Simulation(constants, shape).run()


class Simulation:
    """A pass with one scheduler, workers that do one task at a time, and the tree of sums.

    The scheduler handles the ends of tasks in the order in which they arrive, each with the beginning of the next task.
    """

    def __init__(self, constants: Constants, shape: Pass) -> None:
        self.constants, self.shape = constants, shape
        self.levels = levels(shape.n_partitions)
        self.waiting = [[len(run) for run in level] for level in self.levels]
        if self.levels:
            self.waiting[0] = [0] * len(self.levels[0])
            for group in shape.groups:
                self.waiting[0][group[0] // FAN_IN] += 1
        self.ready: list[list[tuple[int, int]]] = [[] for _ in range(shape.n_workers)]  # (level, number), next one last
        for number, group in reversed(list(enumerate(shape.groups))):
            self.ready[shape.owners[group[0]]].append((0, number))
        self.idle = [True] * shape.n_workers
        self.events: list[tuple[float, int, int, int]] = []  # when the end of a task reaches the scheduler

    def run(self) -> float:
        """Seconds until the last sum is complete."""
        clock = self.constants.begin + self.constants.parameters / BANDWIDTH
        for worker in range(self.shape.n_workers):
            clock += self.constants.scheduler
            self._begin(clock, worker)
        while self.events:
            end, level, number, worker = heapq.heappop(self.events)
            clock = max(clock, end) + self.constants.scheduler
            self.idle[worker] = True
            if level < len(self.levels):
                self._arrive(clock, level, number, worker)
            self._begin(clock, worker)
        return clock

    def _arrive(self, clock: float, level: int, number: int, worker: int) -> None:
        """Make the sum to which a result belongs ready, if this was the last of its results."""
        run = (number if level else self.shape.groups[number][0]) // FAN_IN
        self.waiting[level][run] -= 1
        if not self.waiting[level][run]:
            self.ready[worker].append((level + 1, run))

    def _begin(self, clock: float, worker: int) -> None:
        """Begin the next task that is ready for a worker, if the worker is idle."""
        if not (self.idle[worker] and self.ready[worker]):
            return
        level, number = self.ready[worker].pop()
        c = self.constants
        n_results = len(self.levels[level - 1][number]) if level else 0
        n_rows = 0 if level else len(self.shape.groups[number]) * self.shape.n_rows
        seconds = _adding(c, n_results) if level else c.worker + n_rows * c.row
        self.idle[worker] = False
        heapq.heappush(self.events, (clock + seconds, level, number, worker))


def check(client: Client, constants: Constants, n_features: int, n_components: int) -> None:
    """Compare formula and simulation with measured passes of two workers."""
    import dask.array as da

    print("\n| partitions x rows | least / median | formula | simulation | processors | by the constants |")
    print("|---|---|---|---|---|---|")
    for n_partitions, n_rows in ((40, 100), (200, 100), (40, 25_000), (40, 100_000)):
        blocks = [
            da.from_delayed(_drawn(i, n_rows, n_features, n_components), (n_rows, n_features), float)
            for i in range(n_partitions)
        ]
        rows = client.persist(da.concatenate(blocks))
        seconds, busy = timed(model(n_features, n_components, 13), rows)
        shape = pass_over(n_partitions, n_rows, 2, scattered=True)
        spent = work(constants, shape)
        shared = spent / (os.cpu_count() or 1)
        told = [max(each(constants, shape), shared) for each in (formula, simulate)]
        shown = [f"{each * 1e3:.0f}" for each in (min(seconds), statistics.median(seconds), *told, busy, spent)]
        cells = " ms | ".join([f"{shown[0]} / {shown[1]}", *shown[2:]])
        print(f"| {n_partitions} x {n_rows} | {cells} ms |", flush=True)


def _drawn(*arguments: int) -> Any:
    from dask import delayed

    return delayed(draw, pure=False)(*arguments)


def main() -> None:
    """Print the constants, the comparison, and predictions for a large cluster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000_000_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--partition", type=int, nargs="*", default=[1_000_000, 2_000_000, 5_000_000, 10_000_000])
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("--components", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    shape = options.features, options.components
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        constants = measure(client, *shape, options.rounds)
        print(
            f"d={shape[0]}, K={shape[1]}, load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
        )
        for name, value in constants._asdict().items():
            print(f"{name}: {value} bytes" if isinstance(value, int) else f"{name}: {value * 1e6:.3g} microseconds")
        check(client, constants, *shape)
    print(
        f"\n| {options.rows:.0e} rows on {options.workers} workers | lie | tasks | formula | simulation | rows alone |"
    )
    print("|---|---|---|---|---|---|")
    alone = options.rows * constants.row / options.workers
    for n_rows in options.partition:
        for scattered in (True, False):
            pass_ = pass_over(-(-options.rows // n_rows), n_rows, options.workers, scattered=scattered)
            found = (formula(constants, pass_), simulate(constants, pass_), alone)
            shown = " | ".join(f"{each:.1f} s" for each in found)
            where = "anywhere" if scattered else "in runs"
            print(f"| partitions of {n_rows:.0e} | {where} | {pass_.n_tasks} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
