"""Numbers other than times: results that must not drift, and the ratio to scikit-learn."""

import statistics
import time
import timeit

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from .common import (
    COVARIANCE_TYPES,
    FAMILIES,
    Suite,
    dataset,
    mixture,
    start,
    warm,
)


class Result(Suite):
    """Where and when a fit with the default tolerance ends."""

    params = (FAMILIES,)
    param_names = ("family",)

    def setup(self, family):
        """Fit."""
        X = dataset(family, (5_000, 4, 4))
        self.model = mixture(family, X, 4, max_iter=1_000, n_jobs=1).fit(X)

    def track_iterations(self, *params):
        """Iterations until the change is below the tolerance."""
        return self.model.n_iter_

    def track_lower_bound(self, *params):
        """Mean log-likelihood of a row."""
        return self.model.lower_bound_

    track_iterations.unit = "iterations"
    track_lower_bound.unit = "nats"


class Speedup(Suite):
    """Time of scikit-learn over that of fastem, for the same fit in the same process."""

    params = (COVARIANCE_TYPES, (1, 2))
    param_names = ("covariance_type", "n_jobs")
    unit = "times"

    def setup(self, covariance_type, n_jobs):
        """Prepare both models, make sure that they agree, and compile on the way."""
        self.X = dataset(covariance_type, (50_000, 8, 8))
        limits = {"tol": 0.0, "max_iter": 10}
        self.ours = mixture(covariance_type, self.X, 8, n_jobs=n_jobs, **limits)
        self.theirs = GaussianMixture(8, covariance_type=covariance_type, **start(covariance_type, self.X, 8), **limits)
        warm(self.ours, self.X)
        bounds = [model.fit(self.X).lower_bound_ for model in (self.ours, self.theirs)]
        np.testing.assert_allclose(*bounds, rtol=1e-6)

    def track_speedup_over_sklearn(self, covariance_type, n_jobs):
        """Ratio of medians; the fits alternate, so that both meet the same state of the machine."""
        ours, theirs = [], []
        with threadpool_limits(n_jobs):
            for _ in range(5):
                ours.append(timeit.timeit(lambda: self.ours.fit(self.X), number=1))
                theirs.append(timeit.timeit(lambda: self.theirs.fit(self.X), number=1))
        return statistics.median(theirs) / statistics.median(ours)


class Threads(Suite):
    """Shows a parallel pass that has silently become serial."""

    params = ((1, 2),)
    param_names = ("n_jobs",)
    unit = "threads"

    def setup(self, n_jobs):
        """Draw the data and compile."""
        self.X = dataset("full", (100_000, 16, 8))
        self.model = mixture("full", self.X, 8, tol=0.0, max_iter=10, n_jobs=n_jobs)
        warm(self.model, self.X)

    def track_busy_threads(self, *params):
        """Processor time of all threads over that of the calling one.

        Unlike a speedup, the ratio does not depend on what else the machine is doing.
        """
        with threadpool_limits(1, user_api="blas"):
            everyone, caller = time.process_time(), time.thread_time()
            self.model.fit(self.X)
            everyone, caller = time.process_time() - everyone, time.thread_time() - caller
        return everyone / caller
