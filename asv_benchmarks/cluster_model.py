"""Cost of a pass on a cluster: measured constants, a formula, and a simulation of the schedule.

Usage: python asv_benchmarks/cluster_model.py [--rows 100_000_000_000] [--workers 1000] [--partition 5_000_000] [--help]

Constants are measured on a LocalCluster of two processes with one thread each: the processor times of scheduler and
client together, and of workers, for each task and for each partition (slopes over tasks that do nothing, with one or
with many partitions each), the sizes of pickled parameters and statistics, the time to add statistics, and the time per
row. Formula and simulation (`cluster_schedule.py`) are compared with measured passes. On one machine, scheduler and
workers share the processors: a pass then takes at least the processor time of all of them, divided by the number of
processors. If other work runs on the machine, compare processor times.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import time
import warnings
from collections.abc import Iterable
from typing import Any
from unittest import mock

import numpy as np
import psutil
from cluster import draw, model, passes_of_nothing, timed
from cluster_schedule import Constants, formula, pass_over, simulate, work
from distributed import Client, LocalCluster

from fastem.data import ArraySource, Mixture
from fastem.data.cluster import placement
from fastem.data.cluster.partitions import add_sweeps
from fastem.engine.compiled import get_passes
from fastem.families import get_family

FEW, MANY, REPEATS = 40, 400, 10  # numbers of partitions for which tasks do nothing, and of passes over them


def measure(client: Client, n_features: int, n_components: int, rounds: int) -> Constants:
    """Measure the constants on this machine."""
    grouped = [pass_over(n, 0, 2, scattered=False) for n in (FEW, MANY)]
    together_few, together_many = (_spent(client, n, rounds) for n in (FEW, MANY))
    with mock.patch.object(placement, "TASKS", MANY):  # each partition has a task of its own
        apart = [pass_over(n, 0, 2, scattered=False) for n in (FEW, MANY)]
        apart_few, apart_many = (_spent(client, n, rounds) for n in (FEW, MANY))
    more_together, more_apart = (many.n_tasks - few.n_tasks for few, many in (grouped, apart))
    tasks, partitions = [], []
    for side in range(2):  # scheduler and client, workers
        spent_together = together_many[side] - together_few[side]
        spent_apart = apart_many[side] - apart_few[side]
        tasks.append((spent_apart - spent_together) / (more_apart - more_together))
        partitions.append((spent_together - more_together * tasks[side]) / (MANY - FEW))
    begin = sum(apart_few) - sum(tasks) * apart[0].n_tasks - sum(partitions) * FEW
    call, row, add, parameters, statistics_size = _kernel(n_features, n_components, rounds)
    partitions[1] += call
    return Constants(max(begin, 0.0), *tasks, *partitions, row, add, parameters, statistics_size)


def _spent(client: Client, n_partitions: int, rounds: int) -> tuple[float, float]:
    """Processor time of this process (scheduler and client) and of the workers, for a pass that does nothing."""
    here = psutil.Process()
    found = []
    for _ in range(rounds):
        with passes_of_nothing(client, n_partitions) as fold:
            before = _used([here]), _used(here.children(recursive=True))
            for _ in range(REPEATS):
                fold()
            after = _used([here]), _used(here.children(recursive=True))
        found.append([(late - early) / REPEATS for early, late in zip(before, after, strict=True)])
    here_least, workers_least = (min(each) for each in zip(*found, strict=True))
    return here_least, workers_least


def _used(processes: Iterable[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _kernel(n_features: int, n_components: int, rounds: int) -> tuple[float, float, float, int, int]:
    """Seconds of a pass over one row, per row, and per sum of statistics; bytes of parameters and of statistics."""
    rows = draw(0, 100_000, n_features, n_components)
    passes = get_passes(get_family("gaussian-full")).of(n_features)
    mixture = Mixture(np.full(n_components, 1.0 / n_components), passes.family.params_at(rows[:n_components].copy()))
    n_stats = passes.family.n_stats(n_features, n_components)

    def sweep(source: ArraySource) -> Any:
        return source.sweep(passes, mixture, n_stats, parallel=False)

    one, all_rows = ArraySource(rows[:1]), ArraySource(rows)
    found, _ = sweep(all_rows), sweep(one)
    call = least(lambda: sweep(one), rounds)
    row = (least(lambda: sweep(all_rows), rounds) - call) / len(rows)
    add = least(lambda: add_sweeps([found] * 33), rounds) / 32
    return call, row, add, len(pickle.dumps(mixture)), len(pickle.dumps(found))


def least(function: Any, rounds: int) -> float:
    """Seconds of the fastest of some calls."""
    seconds = []
    for _ in range(5 * rounds):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


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
    print(f"\n| {options.rows:.0e} rows, {options.workers} workers | lie | tasks | formula | simulation | rows alone |")
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
