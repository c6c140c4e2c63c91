"""Time of the start, and results of fits from it, for different values of `init_size`: prints a table.

Usage: python asv_benchmarks/init_size.py
"""

import statistics
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture

N_ROWS = 1_000_000
SIZES = (1_000, 5_000, 20_000, 100_000, N_ROWS)
SEEDS = (0, 1, 2)


def blobs(n_features, n_components):
    """Draw overlapping clusters of unit variance whose centres have a standard deviation of two."""
    generator = np.random.default_rng(0)
    centres = 2.0 * generator.normal(size=(n_components, n_features))
    return centres[generator.integers(n_components, size=N_ROWS)] + generator.normal(size=(N_ROWS, n_features))


def main():
    """Fit each size from several seeds."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| d | K | init_size | start, in iterations | iterations | lower bounds |\n|---|---|---|---|---|---|")
    for n_features, n_components in ((2, 5), (10, 10), (4, 100)):
        X = blobs(n_features, n_components)
        GaussianMixture(n_components, max_iter=1, init_size=100).fit(X)  # compiles
        for size in SIZES:
            starts, fits = [], []
            for seed in SEEDS:
                options = {"init_size": size, "random_state": seed, "tol": 1e-5}
                begin = time.perf_counter()
                GaussianMixture(n_components, max_iter=0, **options).fit(X)
                starts.append(time.perf_counter() - begin)
                fits.append(GaussianMixture(n_components, max_iter=200, **options).fit(X))
            iteration = statistics.median(record.seconds for fit in fits for record in fit.history_)
            ratio = statistics.median(starts) / iteration
            bounds = ", ".join(f"{fit.lower_bound_:.4f}" for fit in fits)
            counts = ", ".join(str(fit.n_iter_) for fit in fits)
            print(f"| {n_features} | {n_components} | {size} | {ratio:.1f} | {counts} | {bounds} |", flush=True)


if __name__ == "__main__":
    main()
