"""Time to a given log-likelihood, initialisation included."""

import functools

import numpy as np
import sklearn.mixture
from threadpoolctl import threadpool_limits

import fastem

from .common import Suite, median_seconds, require_threads

N_ROWS, N_FEATURES, N_COMPONENTS = 200_000, 10, 10
NEAR = 1e-6  # relative to the bound
N_JOBS = 2
N_SEEDS = 20


@functools.cache
def blobs():
    """Draw rows of overlapping spherical clusters, and their centres, about four standard deviations apart."""
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(N_COMPONENTS, N_FEATURES))
    labels = generator.integers(N_COMPONENTS, size=N_ROWS)
    return centers[labels] + generator.normal(size=(N_ROWS, N_FEATURES)), centers


def best_bound():
    """Bound of the fit that starts from the parameters the data were drawn from."""
    X, centers = blobs()
    truth = {
        "weights_init": np.full(N_COMPONENTS, 1 / N_COMPONENTS),
        "means_init": centers,
        "precisions_init": np.tile(np.eye(N_FEATURES), (N_COMPONENTS, 1, 1)),
    }
    return fastem.GaussianMixture(N_COMPONENTS, tol=1e-7, max_iter=1_000, n_jobs=1, **truth).fit(X).lower_bound_


def runs_until(target, estimator):
    """Pairs (seed, iterations) of the fits that a user makes, one seed after another, until one reaches the target."""
    X, _ = blobs()
    runs = []
    for seed in range(N_SEEDS):
        model = estimator(N_COMPONENTS, random_state=seed, tol=1e-6, max_iter=5, warm_start=True)
        bounds = model.fit(X).lower_bounds_
        while bounds[-1] < target and not model.converged_:
            bounds = bounds + model.fit(X).lower_bounds_  # five more
        reached = np.flatnonzero(np.asarray(bounds) >= target)
        runs.append((seed, int(reached[0]) + 1 if reached.size else len(bounds)))
        if reached.size:
            return runs
    raise RuntimeError(f"{estimator.__module__} does not reach {target} from {N_SEEDS} seeds")


def fit_all(estimator, runs, **options):
    """Fit with default parameters, except for the numbers of iterations, which lead to the target."""
    X, _ = blobs()
    for seed, iterations in runs:
        estimator(N_COMPONENTS, random_state=seed, tol=0.0, max_iter=iterations, **options).fit(X)


class Convergence(Suite):
    """Fits until the log-likelihood is within a millionth of the best known one.

    The best known one is where a fit from the true parameters ends. The number of iterations that each library needs is
    found beforehand, from the bounds that both record. A plain call of `fit` with this number is timed, without any
    callback. A fit that ends at a lower maximum counts in full, and the next seed follows. Each library finds its own
    start by k-means on two threads: scikit-learn on all rows, fastem on `init_size` of them.
    """

    def setup_cache(self):
        """Find the runs of both libraries."""
        target = best_bound()
        target -= NEAR * abs(target)
        return [
            runs_until(target, estimator) for estimator in (fastem.GaussianMixture, sklearn.mixture.GaussianMixture)
        ]

    def setup(self, runs):
        """Draw the data, and compile."""
        require_threads(N_JOBS)
        ours, theirs = runs
        self.ours = functools.partial(fit_all, fastem.GaussianMixture, ours, n_jobs=N_JOBS)
        self.theirs = functools.partial(fit_all, sklearn.mixture.GaussianMixture, theirs)
        fit_all(fastem.GaussianMixture, [(0, 1)], n_jobs=N_JOBS)

    def time_to_bound(self, runs):
        """Time of fastem."""
        self.ours()

    def track_iterations_to_bound(self, runs):
        """Iterations of fastem, all seeds together."""
        return sum(iterations for _, iterations in runs[0])

    def track_speedup_to_bound(self, runs):
        """Time of scikit-learn over that of fastem: ratio of medians, fits alternate."""
        with threadpool_limits(N_JOBS):
            ours, theirs = median_seconds(self.ours, self.theirs)
        return theirs / ours

    track_iterations_to_bound.unit = "iterations"
    track_speedup_to_bound.unit = "times"
