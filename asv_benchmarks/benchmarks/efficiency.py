"""How close kernels come to the processor's limit."""

import statistics
import timeit

import numpy as np

from .ceiling import fma_gflops
from .common import Suite, mixture, warm

N_COMPONENTS = 8
ITERATIONS = 10


class Ceiling(Suite):
    """Multiply-adds that a fit needs, as a share of those that the processor could do in the same time.

    All components nearly coincide, so every row has a responsibility in each of them and none can be skipped.
    """

    params = ((16, 32, 64), (1, 2))
    param_names = ("n_features", "n_jobs")
    unit = "share"

    def setup(self, n_features, n_jobs):
        """Draw data that take about as long for any number of features, and compile."""
        n_rows = 2**26 // n_features**2
        self.X = np.random.default_rng(0).normal(size=(n_rows, n_features))
        start = {"means_init": 0.1 * self.X[:N_COMPONENTS]}
        self.model = mixture("full", self.X, N_COMPONENTS, tol=0.0, max_iter=ITERATIONS, n_jobs=n_jobs, **start)
        warm(self.model, self.X)
        # Half a product with a triangular factor, half a symmetric scatter: d² multiply-adds each row and component.
        self.gflop = 2e-9 * n_features**2 * n_rows * N_COMPONENTS * ITERATIONS

    def track_share_of_ceiling(self, n_features, n_jobs):
        """Median over five fits, with the ceiling measured before each; the time is that of the whole `fit`."""
        shares = []
        for _ in range(5):
            ceiling = fma_gflops(n_jobs)
            seconds = timeit.timeit(lambda: self.model.fit(self.X), number=1)
            shares.append(self.gflop / seconds / ceiling)
        return statistics.median(shares)
