"""Cost of a pass on a cluster by a formula, and by a simulation of its schedule, event by event.

The simulation has one scheduler that handles tasks one after the other, workers that do one task at a time, and the
tree of sums of `held.levels`. Workers hold partitions in runs, as those of files, or anywhere; `placement.together`
says which of them one task computes.
"""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np

from fastem.data.cluster.held import FAN_IN, levels
from fastem.data.cluster.placement import together

BANDWIDTH = 1e9  # bytes a second between two machines: assumed, 10 Gbit/s less the overhead of protocols


class Constants(NamedTuple):
    """Measured constants of a pass, in seconds and bytes.

    Attributes
    ----------
    begin : float
        Time of a pass that does not depend on the number of tasks.
    scheduler, worker : float
        Processor time of scheduler and client, and of a worker, for each task.
    scheduler_partition, worker_partition : float
        The same for each partition, however many of them a task computes; of a worker also the call of the pass.
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
    scheduler_partition: float
    worker_partition: float
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


def formula(constants: Constants, shape: Pass) -> float:
    """Seconds of a pass: the slower of scheduler and workers, then the depth of the tree."""
    c = constants
    turns = math.ceil(len(shape.groups) / shape.n_workers)
    most = math.ceil(shape.n_partitions / shape.n_workers)
    computing = turns * (c.worker + c.scheduler) + most * (c.worker_partition + shape.n_rows * c.row)
    computing += c.parameters / BANDWIDTH
    scheduling = shape.n_tasks * c.scheduler + shape.n_partitions * c.scheduler_partition
    depth = sum(_adding(c, max(map(len, level))) + c.scheduler for level in levels(shape.n_partitions))
    return c.begin + max(scheduling, computing) + depth


def work(constants: Constants, shape: Pass) -> float:
    """Processor time of a pass, of all processes together."""
    c = constants
    computing = shape.n_partitions * (c.scheduler_partition + c.worker_partition + shape.n_rows * c.row)
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
            if not level:
                clock += len(self.shape.groups[number]) * self.constants.scheduler_partition
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
        """Begin the next task that is ready for a worker, which is idle."""
        if not self.ready[worker]:
            return
        level, number = self.ready[worker].pop()
        c = self.constants
        n_results = len(self.levels[level - 1][number]) if level else 0
        n_partitions = 0 if level else len(self.shape.groups[number])
        rows = n_partitions * (c.worker_partition + self.shape.n_rows * c.row)
        seconds = _adding(c, n_results) if level else c.worker + rows
        heapq.heappush(self.events, (clock + seconds, level, number, worker))
