"""Times of k-means starts and of fits with all defaults, scikit-learn's over fastem's: prints tables.

Usage: python asv_benchmarks/starts.py [rounds]
       NUMBA_CPU_NAME=znver3 NUMBA_CPU_FEATURES= python asv_benchmarks/starts.py

Both take turns in one process, on two threads each, from the same seed. Ratios are of the least and of the median
times: other work on the machine slows down scikit-learn's threads more than fastem's, because they wait for each other.
If NUMBA_CPU_NAME names another processor, set `OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL"`
too, so that scikit-learn does not use the instructions of this one either.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from benchmarks.ceiling import fma_gflops
from benchmarks.common import dataset, mixture
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture
from fastem.em.initialization.clustering import cluster
from fastem.engine.threads import limit_threads
from fastem.kernels.jit import processor

N_THREADS = 2
ROUNDS = 9
OURS_A_ROUND = 5  # calls of fastem's for each of scikit-learn's, which take several times as long
STARTS = [(100_000, d, n_clusters) for d, n_clusters in ((4, 10), (10, 10), (30, 10), (30, 20))]
FITS = ((200_000, 10, 10), (100_000, 30, 20))
SINGLE_FITS = ((100_000, 8, 10), (100_000, 16, 10), (100_000, 32, 10))  # of float32 and float64 rows


def seconds(call: Callable[[], object]) -> float:
    """Time of a call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def in_turn(rounds: int, ours: Callable[[], object], theirs: Callable[[], object]) -> str:
    """Cells of a table: least times in milliseconds, and ratios of least and of median times."""
    first, second = [], []
    for _ in range(rounds):
        first += [seconds(ours) for _ in range(OURS_A_ROUND)]
        second.append(seconds(theirs))
    ratios = min(second) / min(first), statistics.median(second) / statistics.median(first)
    return f"{1e3 * min(first):.1f} | {1e3 * min(second):.1f} | {ratios[0]:.1f} | {ratios[1]:.1f}"


def print_starts(rounds: int) -> None:
    """Print times of k-means alone; labels of float64 rows must be the same, except for ties."""
    print("| k-means: rows x features, clusters | type | fastem, ms | scikit-learn, ms | ratio | of medians |")
    print("|---|---|---|---|---|---|")
    for n_rows, d, n_clusters in STARTS:
        for dtype in ("float64", "float32"):
            X = dataset("full", (n_rows, d, n_clusters), dtype)
            theirs = KMeans(n_clusters, n_init=1, random_state=0)

            def ours(X: np.ndarray = X, n_clusters: int = n_clusters) -> np.ndarray:
                return cluster(X, None, n_clusters, np.random.RandomState(0))

            if dtype == "float64":
                assert np.mean(ours() != theirs.fit(X).labels_) < 1e-4
            cells = in_turn(rounds, ours, lambda X=X, theirs=theirs: theirs.fit(X))
            print(f"| {n_rows} x {d}, {n_clusters} | {dtype} | {cells} |", flush=True)


def print_fits(rounds: int) -> None:
    """Print times of whole fits; fastem's bound must not be lower by more than a thousandth."""
    print("\n| default fit: rows x features, components | fastem, ms | scikit-learn, ms | ratio | of medians |")
    print("|---|---|---|---|---|")
    parts = []
    for n_rows, d, n_components in FITS:
        X = dataset("full", (n_rows, d, n_components))
        ours, theirs = (
            GaussianMixture(n_components, n_jobs=N_THREADS, random_state=0),
            Theirs(n_components, random_state=0),
        )
        cells = in_turn(rounds, lambda X=X, ours=ours: ours.fit(X), lambda X=X, theirs=theirs: theirs.fit(X))
        assert ours.lower_bound_ > theirs.lower_bound_ - 1e-3 * abs(theirs.lower_bound_)
        print(f"| {n_rows} x {d}, {n_components} | {cells} |", flush=True)
        parts.append(f"| {n_rows} x {d}, {n_components} | {parts_of(ours, X)} |")
    print("\n| parts of it, ms | fit | k-means | iterations | their multiply-adds at the ceiling |")
    print("|---|---|---|---|---|", *parts, sep="\n", flush=True)


def parts_of(model: GaussianMixture, X: np.ndarray) -> str:
    """Cells of a table: least milliseconds of a fit (X: (n, d)), of its parts, and of its multiply-adds by themselves.

    An E-step and the second moments take d (d + 1) / 2 multiply-adds each for every row and component.
    """
    n_rows, d = X.shape
    some = np.ascontiguousarray(X[:: -(-n_rows // model.init_size)])
    start = min(
        seconds(lambda: cluster(some, None, model.n_components, np.random.RandomState(0))) for _ in range(OURS_A_ROUND)
    )
    fits = [(seconds(lambda: model.fit(X)), sum(record.seconds for record in model.history_)) for _ in range(ROUNDS)]
    flops = 2.0 * model.n_iter_ * n_rows * model.n_components * d * (d + 1)
    times = (
        min(fit for fit, _ in fits),
        start,
        min(of_all for _, of_all in fits),
        1e-9 * flops / fma_gflops(N_THREADS),
    )
    return " | ".join(f"{1e3 * each:.0f}" for each in times)


def print_single(rounds: int) -> None:
    """Print times of whole fits of ten iterations, of float64 rows over those of the same rows in float32."""
    print("\n| ten iterations: rows x features, components | start | float32, ms | float64, ms | ratio | of medians |")
    print("|---|---|---|---|---|---|")
    for n_rows, d, n_components in SINGLE_FITS:
        X = dataset("full", (n_rows, d, n_components))
        drawn = GaussianMixture(n_components, n_jobs=N_THREADS, random_state=0, tol=0.0, max_iter=10)
        given = mixture("full", X, n_components, n_jobs=N_THREADS, tol=0.0, max_iter=10)
        single = X.astype(np.float32)
        for start, model in (("k-means", drawn), ("given", given)):
            for rows in (X, single):
                model.fit(rows)
            cells = in_turn(rounds, lambda X=single, m=model: m.fit(X), lambda X=X, m=model: m.fit(X))
            print(f"| {n_rows} x {d}, {n_components} | {start} | {cells} |", flush=True)


def main() -> None:
    """Print the tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"Code for {processor()}, {N_THREADS} threads each, {rounds} rounds.\n")
    with limit_threads(N_THREADS), threadpool_limits(N_THREADS):
        print_starts(rounds)
        print_fits(max(rounds // 3, 1))
        print_single(rounds)


if __name__ == "__main__":
    main()
