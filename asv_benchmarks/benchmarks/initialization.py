"""Time to find a start: fits make an iteration or two only, so nearly all of their time is initialisation.

Ratios to scikit-learn compare fits that take turns in one process, on two threads each.
"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture
from fastem.em.initialization.clustering import cluster
from fastem.engine.threads import limit_threads

from .common import Suite, dataset, median_seconds, require_threads

SHAPE = (20_000, 8, 8)


class Initialization(Suite):
    """The ways to start a Gaussian mixture."""

    params = (("kmeans", "k-means++", "random", "random_from_data"),)
    param_names = ("init_params",)

    def setup(self, init_params):
        """Draw the data and compile."""
        self.X = dataset("full", SHAPE)
        self.model = GaussianMixture(SHAPE[-1], init_params=init_params, max_iter=1, n_jobs=1, random_state=0)
        self.model.fit(self.X)

    def time_fit(self, *params):
        """Initialise once and make one iteration."""
        self.model.fit(self.X)


class Restarts(Suite):
    """Several starts of one fit."""

    def setup(self):
        """Draw the data and compile."""
        self.X = dataset("full", SHAPE)
        self.model = GaussianMixture(SHAPE[-1], n_init=5, max_iter=2, n_jobs=1, random_state=0)
        self.model.fit(self.X)

    def time_fit(self):
        """Start five times and make two iterations from each."""
        self.model.fit(self.X)


class KMeansOverScikitLearn(Suite):
    """Time of scikit-learn's k-means over that of fastem's, from the same draws to the same labels."""

    params = ((4, 10, 30), ("float64", "float32"))
    param_names = ("n_features", "dtype")
    unit = "times"

    def setup(self, n_features, dtype):
        """Draw the data and compile."""
        require_threads(2)
        self.n_clusters = 20 if n_features == 30 else 10
        self.X = dataset("full", (100_000, n_features, self.n_clusters), dtype)
        self.ours()

    def ours(self):
        """Label by fastem."""
        with limit_threads(2):
            return cluster(self.X, None, self.n_clusters, np.random.RandomState(0))

    def theirs(self):
        """Label by scikit-learn."""
        with threadpool_limits(2):
            return KMeans(self.n_clusters, n_init=1, random_state=0).fit(self.X).labels_

    def track_speedup_over_sklearn(self, n_features, dtype):
        """Ratio of medians; fails if more labels of float64 rows differ than ties can explain."""
        if dtype == "float64":
            assert np.mean(self.ours() != self.theirs()) < 1e-4
        ours, theirs = median_seconds(self.ours, self.theirs)
        return theirs / ours


class DefaultFitOverScikitLearn(Suite):
    """Time of scikit-learn's mixture over that of fastem's with all defaults, the start included."""

    params = (((200_000, 10, 10), (100_000, 30, 20)),)
    param_names = ("shape",)
    unit = "times"

    def setup(self, shape):
        """Draw the data and compile."""
        require_threads(2)
        self.X = dataset("full", shape)
        self.ours = GaussianMixture(shape[-1], n_jobs=2, random_state=0)
        self.theirs = Theirs(shape[-1], random_state=0)
        self.ours.fit(self.X)

    def track_speedup_over_sklearn(self, shape):
        """Ratio of medians; fails if fastem's bound is lower by more than a thousandth."""
        with threadpool_limits(2):
            ours, theirs = median_seconds(lambda: self.ours.fit(self.X), lambda: self.theirs.fit(self.X))
        assert self.ours.lower_bound_ > self.theirs.lower_bound_ - 1e-3 * abs(self.theirs.lower_bound_)
        return theirs / ours
