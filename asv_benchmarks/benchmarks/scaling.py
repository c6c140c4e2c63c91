"""Speed-up by a second thread, and cost of more rows."""

import time

from threadpoolctl import threadpool_limits

from .common import Suite, dataset, median_seconds, mixture, warm

N_COMPONENTS = 8
LIMITS = {"tol": 0.0, "max_iter": 10}


def prepare(n_rows, n_features, n_jobs):
    """Function that runs a compiled fit: ten iterations with full covariances."""
    X = dataset("full", (n_rows, n_features, N_COMPONENTS))
    model = mixture("full", X, N_COMPONENTS, n_jobs=n_jobs, **LIMITS)
    warm(model, X)
    return lambda: model.fit(X)


class Threads(Suite):
    """Time on one thread over that on two, for 100 000 rows."""

    params = ((2, 10, 32),)
    param_names = ("n_features",)
    unit = "times"

    def setup(self, n_features):
        """Draw the data and compile."""
        self.fits = [prepare(100_000, n_features, n_jobs) for n_jobs in (1, 2)]

    def track_speedup_of_two_threads(self, *params):
        """Ratio of medians."""
        one, two = median_seconds(*self.fits)
        return one / two


class BusyThreads(Suite):
    """Shows whether threads still share a pass."""

    unit = "threads"

    def setup(self):
        """Draw the data and compile."""
        self.fit = prepare(200_000, 16, 2)

    def track_busy_threads(self):
        """Processor time of all threads over that of the calling one, in a fit on two threads.

        Unlike a speed-up, the ratio does not depend on what else the machine is doing.
        """
        with threadpool_limits(1, user_api="blas"):
            everyone, caller = time.process_time(), time.thread_time()
            self.fit()
            everyone, caller = time.process_time() - everyone, time.thread_time() - caller
        return everyone / caller


class Rows(Suite):
    """Time per row over that with 100 000 rows: one if the time is linear in the number of rows."""

    params = ((10_000, 1_000_000),)
    param_names = ("n_rows",)
    unit = "times"

    def setup(self, n_rows):
        """Draw the data and compile."""
        self.fits = [prepare(n, 8, 1) for n in (n_rows, 100_000)]

    def track_cost_of_a_row(self, n_rows):
        """Ratio of medians."""
        here, there = median_seconds(*self.fits)
        return (here / n_rows) / (there / 100_000)
