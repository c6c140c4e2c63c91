"""Fits on a cluster of processes against fits in memory and from files: prints a table.

Usage: python asv_benchmarks/cluster.py [--only overhead,memory,arrays,parquet] [--rows 1_000_000] [--help]

Fits on a LocalCluster of two processes with one thread each take turns with fits on two threads without a cluster. The
columns give the least and the median time of an iteration, and its processor time (workers, scheduler and client
together). If other work runs on the machine, the least time is more reliable than the median, and processor time more
than both, as both ways use two processors. "Nothing" is the same tree of tasks for a function that does nothing: the
part of an iteration that Dask and the machine take.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import dask.array as da
import dask.dataframe as dd
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

from fastem import GaussianMixture, Source
from fastem.data.cluster import schedulers
from fastem.data.cluster.pieces import Piece

Iterations = tuple[list[float], float]  # seconds of each iteration, and mean processor seconds

PARTITIONS = 40
ROWS_OF_FILES = 2_500_000  # at most, in each Parquet file
OVERHEAD_ITERATIONS = 30
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
CENTRES = np.random.default_rng(0).normal(scale=3.0, size=(16, 8))
NAMES = ["a", "b", "c", "d"]


def draw(number: int, n_rows: int, n_features: int, n_components: int) -> np.ndarray:
    """Rows (n_rows, n_features) of a partition, around the first centres."""
    generator = np.random.default_rng([1, number])
    labels = generator.integers(n_components, size=n_rows)
    return CENTRES[labels, :n_features] + generator.normal(size=(n_rows, n_features))


def draw_block(block: np.ndarray, block_info: Any = None) -> np.ndarray:
    """Rows of a chunk of Dask, drawn by its number."""
    return draw(block_info[0]["chunk-location"][0], len(block), 8, 16) if block_info else block


def partitioned(n_rows: int) -> da.Array:
    """Rows (n_rows, 8) in partitions, which workers draw."""
    sizes = da.zeros((n_rows, 8), chunks=(-(-n_rows // PARTITIONS), 8))
    return da.map_blocks(draw_block, sizes, dtype=float, meta=np.empty((0, 8)))


def in_memory(n_rows: int) -> np.ndarray:
    """The same rows in one array. `compute` would gather all partitions on one worker, and leave them there."""
    size = -(-n_rows // PARTITIONS)
    return np.concatenate([draw(i, min(size, n_rows - i * size), 8, 16) for i in range(PARTITIONS)])


def model(n_features: int, n_components: int, max_iter: int) -> GaussianMixture:
    """A mixture that starts near the clusters."""
    means = CENTRES[:n_components, :n_features]
    starts = {
        "weights_init": np.full(n_components, 1.0 / n_components),
        "means_init": means + 0.1 * np.random.default_rng(2).normal(size=means.shape),
        "precisions_init": np.tile(np.eye(n_features), (n_components, 1, 1)),
    }
    return GaussianMixture(n_components, max_iter=max_iter, tol=0.0, **starts)


class Clock:
    """Processor time of this process and its children, at the end of each iteration."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def setup(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        self.marks.append(processor_time())

    def teardown(self, estimator: Any, context: Any) -> None: ...


def processor_time() -> float:
    """Processor seconds that this process and its children have used."""
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (here, *here.children(recursive=True)))


def timed(estimator: GaussianMixture, rows: Any) -> Iterations:
    """Fit; times of all iterations except the first, in which code is loaded."""
    clock = Clock()
    estimator.set_callbacks(clock).fit(rows)
    marks = clock.marks[: estimator.n_iter_]
    return [record.seconds for record in estimator.history_][1:], (marks[-1] - marks[0]) / (len(marks) - 1)


def difference(fitted: GaussianMixture, other: GaussianMixture) -> float:
    """Largest difference of parameters, relative to the largest value of the same array."""
    names = ("weights_", "means_", "covariances_")
    pairs = [(getattr(fitted, name), getattr(other, name)) for name in names]
    return max(np.abs(here - there).max() / np.abs(there).max() for here, there in pairs)


def row(what: str, seconds: Sequence[float], busy: float | None = None, remark: str = "") -> None:
    """Print a line of the table."""
    spent = "" if busy is None else f"{busy * 1e3:.1f}"
    print(
        f"| {what} | {min(seconds) * 1e3:.1f} | {statistics.median(seconds) * 1e3:.1f} | {spent} | {remark} |",
        flush=True,
    )


def nothing(partition: Any, place: int, request: int) -> int:
    """A task that does nothing."""
    return 0


@contextmanager
def passes_of_nothing(client: Client, n_partitions: int) -> Iterator[Callable[[], float]]:
    """A function that runs the tree of tasks of an iteration, with tasks that do nothing, and returns seconds."""
    pieces = [Piece(partial(int, number)) for number in range(n_partitions)]
    held = schedulers.scheduler_for(client).keep(pieces, 0)

    def fold() -> float:
        begin = time.perf_counter()
        held.fold(nothing, range(n_partitions), 0, sum)
        return time.perf_counter() - begin

    held.each(nothing, range(n_partitions), 0)  # workers have the partitions from now on
    fold()
    yield fold
    held.release()


def fold_nothing(client: Client, n_partitions: int, repeats: int) -> list[float]:
    """Seconds of iterations whose tasks do nothing."""
    with passes_of_nothing(client, n_partitions) as fold:
        return [fold() for _ in range(repeats)]


def measure_overhead(client: Client, options: argparse.Namespace) -> None:
    """Measure iterations over partitions that have almost no rows."""
    rows = client.persist(partitioned(4000))
    there, here = (model(8, 16, OVERHEAD_ITERATIONS + 1) for _ in range(2))
    found, local = timed(there, rows), timed(here, in_memory(4000))
    row(f"4000 x 8, K=16, {PARTITIONS} partitions", *found, f"parameters differ by {difference(there, here):.0e}")
    row("the same in memory", *local)
    row(f"nothing, {PARTITIONS} partitions", fold_nothing(client, PARTITIONS, OVERHEAD_ITERATIONS))


def measure_arrays(client: Client, options: argparse.Namespace) -> None:
    """Measure iterations over persisted partitions against the same rows in memory."""
    rows = client.persist(partitioned(options.rows))
    whole = in_memory(options.rows)
    take_turns(client, f"{options.rows} x 8, K=16", lambda: rows, lambda: whole, (8, 16), options)


def take_turns(
    client: Client,
    what: str,
    there: Callable[[], Any],
    here: Callable[[], Any],
    shape: tuple[int, int],
    options: argparse.Namespace,
) -> None:
    """Measure fits on the cluster and in this process, in turns, and print their lines."""
    found: dict[str, list[Iterations]] = {"cluster": [], "here": []}
    nothing = []
    for _ in range(options.rounds):
        fitted, other = (model(*shape, options.iterations) for _ in range(2))
        found["cluster"].append(timed(fitted, there()))
        found["here"].append(timed(other, here()))
        nothing += fold_nothing(client, PARTITIONS, options.iterations)
    joined = {
        name: ([each for seconds, _ in turns for each in seconds], statistics.median(busy for _, busy in turns))
        for name, turns in found.items()
    }
    far, near = joined["cluster"], joined["here"]
    pairs = ((min(near[0]), min(far[0])), (statistics.median(near[0]), statistics.median(far[0])), (near[1], far[1]))
    speeds = " / ".join(f"{ours / theirs:.2f}" for ours, theirs in pairs)
    row(f"{what}, cluster", *far, f"speed, by the three columns: {speeds}")
    row(f"{what}, here", *near, f"parameters differ by {difference(fitted, other):.0e}")
    row(f"nothing, {PARTITIONS} partitions", nothing)


def measure_memory(client: Client, options: argparse.Namespace) -> None:
    """Measure the peak memory of the client in a new process, for a given start and one drawn from the rows."""
    command = [sys.executable, __file__, "--client", client.scheduler.address, "--rows", str(options.rows)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for line in found:
        print(f"| {line} |")


def be_client(options: argparse.Namespace) -> None:
    """Fit as a client, and print the peak memory of this process after its imports, connection and fits."""
    importlib.import_module("numba")  # as the first fit does
    imports = peak()
    with Client(options.client) as client:
        connected = peak()
        rows = client.persist(partitioned(options.rows))
        fitted = model(8, 16, 4).fit(rows)
        given = peak()
        GaussianMixture(16, random_state=0, max_iter=2, tol=0.0).fit(rows)
    assert fitted.n_iter_ == 4
    print(f"memory of the client, MiB: imports | {imports:.0f} | | | {options.rows} x 8, K=16")
    for name, found in (("connected", connected), ("from a given start", given), ("from a drawn start", peak())):
        print(f"above imports, {name} | {found - imports:.0f} | | |")


def peak() -> float:
    """Largest memory of this process so far, in MiB."""
    found = PEAK.search(Path("/proc/self/status").read_text())
    assert found is not None, "Linux only"
    return int(found[1]) / 1024


def measure_parquet(client: Client, options: argparse.Namespace) -> None:
    """Measure iterations over Parquet files, read in each pass or kept by workers, against a local source.

    Workers read the files of a dataset, or the data frames of Dask.
    """
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_files(folder, options.parquet_rows)

        def here() -> Source:
            return Source(ds.dataset(str(folder)), columns=NAMES)

        ways = {
            "files": lambda: Source(ds.dataset(str(folder)), columns=NAMES, client=client),
            "data frames": lambda: dd.read_parquet(str(folder)),
        }
        for name, there in ways.items():
            for kept, share in (("read in each pass", 0.0), ("kept", schedulers.SHARE)):
                what = f"Parquet, {options.parquet_rows} x 4 float32, K=8, {name} {kept}"
                with mock.patch.object(schedulers, "SHARE", share):
                    take_turns(client, what, there, here, (4, 8), options)


def write_files(folder: Path, n_rows: int) -> None:
    """Write rows of float32 into files of equal length."""
    n_files = max(PARTITIONS, -(-n_rows // ROWS_OF_FILES))
    bounds = np.linspace(0, n_rows, n_files + 1).astype(int)
    for number, size in enumerate(np.diff(bounds)):
        rows = draw(number, size, 4, 8).astype(np.float32)
        pq.write_table(pa.table(dict(zip(NAMES, rows.T, strict=True))), folder / f"part.{number}.parquet")


PARTS = {"overhead": measure_overhead, "memory": measure_memory, "arrays": measure_arrays, "parquet": measure_parquet}


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the arrays (default: %(default)s)")
    parser.add_argument("--parquet-rows", type=int, default=10_000_000, help="rows of the files (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of alternating fits (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=6, help="iterations of each fit (default: %(default)s)")
    parser.add_argument("--folder", help="for Parquet files, which are removed (default: that of temporary files)")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    return options


def main() -> None:
    """Print the table."""
    options = parse()
    warnings.simplefilter("ignore")
    if options.client:
        be_client(options)
        return
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
        print("| what | least, ms | median, ms | processors, ms | |\n|---|---|---|---|---|")
        for name in options.only.split(","):
            PARTS[name](client, options)
        print(f"\nload of the machine after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
