"""Time of fits by fastem and by other libraries, from the same start and for the same iterations: prints a table.

Usage: python asv_benchmarks/peers.py [--install] [--cases full-2,diag-32] [--help]

Each library fits in a process of its own (see `peers_worker.py`). They take turns, so that all run under the same
conditions. A time counts only if the fit ends with the same parameters as that of fastem.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarks.ceiling import fma_gflops
from peers_libraries import LIBRARIES, Fastem
from peers_worker import PeerError, Worker, install

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-6  # of parameters, relative to the largest: one more iteration changes them by at least 1e-5
LIKELIHOOD_TOLERANCE = 1e-8  # of log-likelihoods, for libraries that report them
PAUSE = 0.3  # seconds before a measurement: the threads of the one before may spin for 0.2

Times = dict[str, float]  # by library
Notes = defaultdict[str, list[str]]  # cases, by what went wrong in them


class Case(NamedTuple):
    """Shape of the data and form of the covariances; "noisy": full ones, of rows with measurement errors."""

    covariance_type: str
    n_rows: int
    n_features: int
    n_components: int

    @property
    def name(self) -> str:
        """Name of the case in `--cases`."""
        return f"{self.covariance_type}-{self.n_features}"

    def shrunk(self) -> Case:
        """A hundredth of the rows, or as many as full covariances need."""
        return self._replace(n_rows=max(self.n_rows // 100, 2 * self.n_features * self.n_components))

    def write(self, path: Path) -> None:
        """Draw clusters whose centres are about two standard deviations apart, and a start near them."""
        generator = np.random.default_rng(0)
        shape = self.n_components, self.n_features
        labels = generator.integers(self.n_components, size=self.n_rows)
        centres = generator.normal(size=shape) * math.sqrt(2 / self.n_features)
        scales = generator.uniform(0.7, 1.3, size=shape)
        identities = np.tile(np.eye(self.n_features), (self.n_components, 1, 1))
        covariances = {
            "full": identities,
            "noisy": identities,
            "tied": np.eye(self.n_features),
            "diag": np.ones(shape),
            "spherical": np.ones(self.n_components),
        }
        arrays = {
            "X": centres[labels] + scales[labels] * generator.normal(size=(self.n_rows, self.n_features)),
            "weights": np.full(self.n_components, 1 / self.n_components),
            "means": centres + 0.3 * generator.normal(size=shape),
            "covariances": 1.5 * covariances[self.covariance_type],
        }
        if self.covariance_type == "noisy":
            factors = 0.3 * generator.normal(size=(self.n_rows, self.n_features, self.n_features))
            arrays["errors"] = factors @ np.swapaxes(factors, 1, 2)
            arrays["X"] += np.einsum("nij,nj->ni", factors, generator.normal(size=arrays["X"].shape))
        np.savez(path, **arrays)


CASES = {
    case.name: case
    for case in (
        Case("full", 1_000_000, 1, 3),
        Case("full", 500_000, 2, 5),
        Case("full", 300_000, 3, 6),
        Case("full", 200_000, 7, 12),
        Case("full", 200_000, 10, 10),
        Case("full", 100_000, 16, 16),
        Case("full", 60_000, 32, 16),
        Case("full", 20_000, 64, 64),
        Case("diag", 100_000, 32, 32),
        Case("tied", 200_000, 12, 8),
        Case("spherical", 200_000, 16, 8),
        Case("noisy", 100_000, 4, 5),
    )
}
COMPLETE = [name for name, case in CASES.items() if case.covariance_type != "noisy"]


class Measured(NamedTuple):
    """Results of a case: times in nanoseconds per row, component and iteration, and the ceiling measured in between."""

    times: Times
    ceiling: float  # GFLOP/s


def measure(case: Case, workers: list[Worker], options: argparse.Namespace, folder: Path, notes: Notes) -> Measured:
    """Median times of the libraries that support a case, and median of the ceiling, measured in each round."""
    data = folder / "case.npz"
    case.write(data)
    task = {"path": str(data), "covariance_type": case.covariance_type, "iterations": options.iterations}
    seconds: dict[Worker, list[float]] = {}
    for worker in workers:
        if case.covariance_type not in LIBRARIES[worker.library].covariance_types:
            continue
        report(f"{case.name}: first fit of {worker.library}")
        result = folder / f"{worker.library}.npz"
        try:
            worker.ask("load", result=str(result), **task)
            remark = check_agreement(result, folder / f"{Fastem.name}.npz")
            if remark and worker.library != Fastem.name:
                notes[f"{worker.library}: {remark}"].append(case.name)
            seconds[worker] = []
        except PeerError as error:
            take_note(notes, worker.library, error, case.name)
    ceilings = []
    for number in range(options.rounds):
        report(f"{case.name}: round {number + 1} of {options.rounds}")
        time.sleep(PAUSE)
        ceilings.append(fma_gflops(options.threads))
        for worker in list(seconds):
            time.sleep(PAUSE)
            try:
                seconds[worker].append(worker.ask("fit"))
            except PeerError as error:
                take_note(notes, worker.library, error, case.name)
                del seconds[worker]
    unit = 1e-9 * case.n_rows * case.n_components * options.iterations
    times = {worker.library: statistics.median(times) / unit for worker, times in seconds.items()}
    return Measured(times, statistics.median(ceilings))


def take_note(notes: Notes, library: str, error: PeerError, place: str) -> None:
    """Record the error of a library, which is then left out; exit if the library is fastem."""
    if library == Fastem.name:
        sys.exit(f"{library}: {error} ({place})")
    notes[f"{library}: {error}"].append(place)


def check_agreement(result: Path, reference: Path) -> str:
    """Raise an error if parameters differ from the reference; return a remark on log-likelihoods, if known."""
    remark = ""
    with np.load(result) as theirs, np.load(reference) as ours:
        for name, values in ours.items():
            if name == "log_likelihood":
                remark = f"log-likelihood {theirs[name]:.6f}, that of {Fastem.name} {values:.6f}"
            difference = np.abs(theirs[name] - values).max() / np.abs(values).max()
            if not difference <= (LIKELIHOOD_TOLERANCE if name == "log_likelihood" else TOLERANCE):
                raise PeerError(f"ends elsewhere, {name} differ by {difference:.0e} of the largest")
    return remark


def row(case: Case, measured: Measured, libraries: list[str]) -> str:
    """Line of the table."""
    times, ceiling = measured
    ours = times[Fastem.name]
    counted = case.covariance_type == "full" and case.n_features >= 16
    share = f"{2 * case.n_features**2 / ours / ceiling:.0%}" if counted else ""
    peers = [f"{short(times[name])} ({short(times[name] / ours)})" if name in times else "—" for name in libraries[1:]]
    cells = [case.name, f"{case.n_rows:_}".replace("_", " "), case.n_components, short(ours), share, *peers]
    return f"| {' | '.join(map(str, cells))} |"


def write_json(path: Path, table: dict[Case, Measured], versions: dict[str, str], options: argparse.Namespace) -> None:
    """Write the results, the processor and the versions."""
    document = {
        "processor": processor(),
        "threads": options.threads,
        "cores": os.cpu_count(),
        "iterations": options.iterations,
        "rounds": options.rounds,
        "versions": versions,
        "unit": "nanoseconds per row, component and iteration",
        "cases": [
            {"name": case.name, **case._asdict(), "ceiling_gflops": measured.ceiling, "times": measured.times}
            for case, measured in table.items()
        ],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def summary(table: dict[Case, Measured], library: str) -> str:
    """Geometric mean and minimum of a library's ratios."""
    ratios = {case.name: times[library] / times[Fastem.name] for case, (times, _) in table.items() if library in times}
    worst = min(ratios, key=ratios.__getitem__)
    mean = statistics.geometric_mean(ratios.values())
    return f"{library} over fastem: geometric mean {short(mean)}, least {short(ratios[worst])} ({worst})"


def short(number: float) -> str:
    """Number with three significant digits, or without decimals from 100 on."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def processor() -> str:
    """Model of the processor, from /proc/cpuinfo if it exists."""
    source = Path("/proc/cpuinfo")
    lines = source.read_text().splitlines() if source.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (models or [platform.processor() or platform.machine()])[0]


def names_among(known: Collection[str]) -> Callable[[str], list[str]]:
    """Parser of a comma-separated list, for argparse."""

    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)} among {', '.join(known)}")
        return [name for name in known if name in chosen]

    return parse


def positive(text: str) -> int:
    """Parse a positive integer, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--install", action="store_true", help="make environments for libraries that have none (gigabytes)")
    add("--environments", type=Path, default=HERE / "env" / "peers", help="where they are (default: %(default)s)")
    add(
        "--cases",
        type=names_among(CASES),
        default=COMPLETE,
        help=f"some of {','.join(CASES)} (default: all without errors)",
    )
    add("--libraries", type=names_among(LIBRARIES), default=list(LIBRARIES), help=f"some of {','.join(LIBRARIES)}")
    add("--iterations", type=positive, default=10, help="of a fit (default: %(default)s)")
    add("--rounds", type=positive, default=5, help="fits of each library for each case (default: %(default)s)")
    add("--threads", type=positive, default=os.cpu_count(), help="of each library (default: %(default)s)")
    add("--timeout", type=positive, default=900, help="seconds after which a fit has failed (default: %(default)s)")
    add("--json", type=Path, help="file that gets the numbers of the table, beside what is printed")
    add("--quick", action="store_true", help="few rows, to see whether all works")
    return parser.parse_args()


def main() -> None:
    """Run the cases; print the table, its summary and remarks."""
    options = parse_arguments()
    cases = [CASES[name].shrunk() if options.quick else CASES[name] for name in options.cases]
    forms = {case.covariance_type for case in cases}
    able = [name for name in options.libraries if forms & set(LIBRARIES[name].covariance_types)]
    names = list(dict.fromkeys([Fastem.name, *able]))
    settings = {"environments": options.environments, "threads": options.threads, "timeout": options.timeout}
    notes: Notes = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers, versions = [], {"Python": platform.python_version()}
        for name in names:
            try:
                if options.install:
                    install(name, options.environments)
                worker = Worker(name, log=folder / f"{name}.log", **settings)
                stack.callback(worker.stop)
                versions |= worker.ask("versions")
                workers.append(worker)
            except PeerError as error:
                missing = LIBRARIES[name].requirements and not options.install
                take_note(notes, name, error, "all cases; try --install" if missing else "all cases")
        table = {case: measure(case, workers, options, folder, notes) for case in cases}

    if options.json is not None:
        write_json(options.json, table, versions, options)
    ceilings = [measured.ceiling for measured in table.values()]
    span = f"{min(ceilings):.0f} to {max(ceilings):.0f} GFLOP/s"
    print(f"{processor()}, {options.threads} of {os.cpu_count()} cores, FMA ceiling {span};")
    print(", ".join(f"{package} {number}" for package, number in versions.items()) + ".")
    print("Nanoseconds per row, component and iteration, in brackets over fastem's:")
    print(f"medians of {options.rounds} fits of {options.iterations} iterations in float64.\n")
    heads = ["covariance-features", "rows", "components", Fastem.name, "of ceiling", *names[1:]]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for case, measured in table.items():
        print(row(case, measured, names))
    peers = [name for name in names[1:] if any(name in times for times, _ in table.values())]
    remarks = [summary(table, name) for name in peers]
    remarks += [LIBRARIES[name].note for name in peers]
    remarks += [f"{note} ({', '.join(places)})" for note, places in notes.items()]
    print("", *(f"- {remark}" for remark in remarks if remark), sep="\n")


def report(text: str) -> None:
    """Print progress to standard error; standard output is for the table."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
