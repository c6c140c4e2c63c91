"""Cost of an iteration of one family, relative to another family or to the arithmetic that it needs."""

import numpy as np
from threadpoolctl import threadpool_limits

from fastem import BernoulliMixture, GaussianMixture, StudentTMixture

from .common import Suite, median_seconds, warm

ITERATIONS = 10
LIMITS = {"tol": 0.0, "max_iter": ITERATIONS, "n_jobs": 1}
STRUCTURES = ("EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")


class OverFull(Suite):
    """Time of ten iterations over that of Gaussians with full covariances, from the same start.

    All clusters have the same covariance, so every structure fits them.
    """

    params = (("student t", *STRUCTURES),)
    param_names = ("model",)
    unit = "times"

    def setup(self, model):
        """Draw the data and compile."""
        generator = np.random.default_rng(0)
        centers = 1.5 * generator.normal(size=(10, 10))
        self.X = centers[generator.integers(10, size=100_000)] + generator.normal(size=(100_000, 10))
        start = {"weights_init": np.full(10, 0.1), "means_init": centers}
        matrices = np.tile(np.eye(10), (10, 1, 1))
        self.full = GaussianMixture(10, precisions_init=matrices, **start, **LIMITS)
        if model == "student t":
            self.other = StudentTMixture(10, scales_init=matrices, **start, **LIMITS)
        else:
            self.other = GaussianMixture(10, covariance_type=model, precisions_init=matrices, **start, **LIMITS)
        for fitted in (self.full, self.other):
            warm(fitted, self.X)

    def track_time_over_full(self, model):
        """Ratio of medians."""
        other, full = median_seconds(lambda: self.other.fit(self.X), lambda: self.full.fit(self.X))
        return other / full


class BernoulliOverProducts(Suite):
    """Time of the two matrix products that an iteration over zeros and ones needs, over that of the iteration."""

    unit = "times"

    def setup(self):
        """Draw images of ten kinds in single precision, and compile."""
        generator = np.random.default_rng(0)
        ones = generator.beta(0.5, 0.5, size=(10, 784))
        self.X = (generator.uniform(size=(60_000, 784)) < ones[generator.integers(10, size=60_000)]).astype(np.float32)
        start = {"weights_init": np.full(10, 0.1), "probabilities_init": np.clip(ones, 0.1, 0.9)}
        self.model = BernoulliMixture(10, **start, **{**LIMITS, "n_jobs": 2})
        warm(self.model, self.X)
        self.responsibilities = generator.dirichlet(np.ones(10), 60_000).astype(np.float32)
        self.factors = generator.normal(size=(784, 10)).astype(np.float32)

    def track_speedup_over_products(self):
        """Ratio of medians, on two threads each; the time is that of the whole `fit`."""

        def products():
            return self.X @ self.factors, self.responsibilities.T @ self.X

        with threadpool_limits(2):
            fit, both = median_seconds(lambda: self.model.fit(self.X), products)
        return ITERATIONS * both / fit
