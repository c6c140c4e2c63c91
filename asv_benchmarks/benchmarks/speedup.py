"""Ratios of times of fits that take turns in one process."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from threadpoolctl import threadpool_limits

import fastem

from .common import COVARIANCE_TYPES, Suite, dataset, median_seconds, mixture, start, warm

N_COMPONENTS = 8
LIMITS = {"tol": 0.0, "max_iter": 10}
ROWS = {16: 20_000, 32: 10_000, 64: 5_000}  # for full covariances, so that scikit-learn takes no longer than a second
MODELS = {f"full d={d}": ("full", (ROWS.get(d, 50_000), d, N_COMPONENTS)) for d in (1, 2, 3, 7, 10, 16, 32, 64)} | {
    "tied d=12": ("tied", (50_000, 12, N_COMPONENTS)),
    "diag d=32": ("diag", (50_000, 32, N_COMPONENTS)),
    "spherical d=16": ("spherical", (50_000, 16, N_COMPONENTS)),
}


class OverScikitLearn(Suite):
    """Time of scikit-learn over that of fastem, for the same fit on the same number of threads."""

    params = (tuple(MODELS), (1, 2))
    param_names = ("model", "n_jobs")
    unit = "times"

    def setup(self, model, n_jobs):
        """Draw the data and compile."""
        family, shape = MODELS[model]
        self.X = dataset(family, shape)
        self.ours = mixture(family, self.X, N_COMPONENTS, n_jobs=n_jobs, **LIMITS)
        given = start(family, self.X, N_COMPONENTS)
        self.theirs = GaussianMixture(N_COMPONENTS, covariance_type=family, **given, **LIMITS)
        warm(self.ours, self.X)

    def track_speedup_over_sklearn(self, model, n_jobs):
        """Ratio of medians of ten iterations; fails if the lower bounds differ."""
        with threadpool_limits(n_jobs):
            ours, theirs = median_seconds(lambda: self.ours.fit(self.X), lambda: self.theirs.fit(self.X))
        np.testing.assert_allclose(self.ours.lower_bound_, self.theirs.lower_bound_, rtol=1e-6)
        return theirs / ours


class BayesianOverScikitLearn(Suite):
    """The same for variational Bayes, from rows chosen at random."""

    params = (COVARIANCE_TYPES,)
    param_names = ("covariance_type",)
    unit = "times"

    def setup(self, covariance_type):
        """Draw the data and compile."""
        self.X = dataset(covariance_type, (50_000, 10, N_COMPONENTS))
        options = {"covariance_type": covariance_type, "init_params": "random_from_data", "random_state": 0, **LIMITS}
        self.ours = fastem.BayesianGaussianMixture(n_components=N_COMPONENTS, n_jobs=1, **options)
        self.theirs = BayesianGaussianMixture(n_components=N_COMPONENTS, **options)
        warm(self.ours, self.X)

    def track_speedup_over_sklearn(self, covariance_type):
        """Ratio of medians of ten iterations on one thread; fails if the lower bounds differ."""
        with threadpool_limits(1):
            ours, theirs = median_seconds(lambda: self.ours.fit(self.X), lambda: self.theirs.fit(self.X))
        np.testing.assert_allclose(self.ours.lower_bound_, np.squeeze(self.theirs.lower_bound_), rtol=1e-6)
        return theirs / ours


class SmallOverScikitLearn(Suite):
    """The same for iris, where most time is spent outside passes; each library chooses its number of threads.

    On a busy machine scikit-learn's threads wait for each other, and the ratio of a default call grows tenfold.
    """

    params = (("default call", "given start"),)
    param_names = ("call",)
    unit = "times"

    def setup(self, call):
        """Take the data, and a row of each species where the start is given; compile."""
        self.X = load_iris().data
        options = {"random_state": 0}
        if call == "given start":
            options |= {"means_init": self.X[::50], "weights_init": np.full(3, 1 / 3)}
            options |= {"precisions_init": np.tile(np.eye(4), (3, 1, 1))}
        self.ours, self.theirs = (library(3, **options) for library in (fastem.GaussianMixture, GaussianMixture))
        self.ours.fit(self.X)

    def track_speedup_over_sklearn(self, call):
        """Ratio of medians; fails if the numbers of iterations or the lower bounds differ."""
        ours, theirs = median_seconds(lambda: self.ours.fit(self.X), lambda: self.theirs.fit(self.X))
        assert self.ours.n_iter_ == self.theirs.n_iter_
        np.testing.assert_allclose(self.ours.lower_bound_, self.theirs.lower_bound_, rtol=1e-6)
        return theirs / ours


class EvaluationOverScikitLearn(Suite):
    """The same for methods of a fitted mixture, on two threads."""

    params = (("predict", "predict_proba", "score_samples"),)
    param_names = ("method",)
    unit = "times"

    def setup(self, method):
        """Draw the data, fit, and copy the parameters to a model of scikit-learn."""
        self.X = dataset("full", (200_000, 10, 10))
        self.ours = mixture("full", self.X, 10, tol=0.0, max_iter=5, n_jobs=2)
        warm(self.ours, self.X)
        self.ours.fit(self.X)
        self.theirs = GaussianMixture(10)
        for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "n_features_in_"):
            setattr(self.theirs, name, getattr(self.ours, name))

    def track_speedup_over_sklearn(self, method):
        """Ratio of medians; fails if results differ."""
        ours, theirs = getattr(self.ours, method), getattr(self.theirs, method)
        np.testing.assert_allclose(ours(self.X[:1000]), theirs(self.X[:1000]), rtol=1e-6, atol=1e-9)
        with threadpool_limits(2):
            ours_seconds, theirs_seconds = median_seconds(lambda: ours(self.X), lambda: theirs(self.X))
        return theirs_seconds / ours_seconds


class SinglePrecision(Suite):
    """Time of float64 data over that of the same data in float32."""

    params = ((8, 16, 32),)
    param_names = ("n_features",)
    unit = "times"

    def setup(self, n_features):
        """Draw the data in both types and compile."""
        self.fits = []
        for dtype in ("float64", "float32"):
            X = dataset("full", (50_000, n_features, N_COMPONENTS), dtype)
            model = mixture("full", X, N_COMPONENTS, n_jobs=1, **LIMITS)
            warm(model, X)
            self.fits.append(lambda model=model, X=X: model.fit(X))

    def track_speedup_of_float32(self, *params):
        """Ratio of medians of ten iterations."""
        double, single = median_seconds(*self.fits)
        return double / single
