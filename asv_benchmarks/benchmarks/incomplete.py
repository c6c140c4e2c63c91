"""Cost of missing values, noise, labels, priors and a background: time of iterations over that of plain fits.

Fits that are compared take turns in one process, start from the same parameters and make the same number of iterations.
The first iteration of a fit also sorts rows by their missing values; a median over iterations does not show this.
"""

import statistics
import time

import numpy as np
from sklearn.base import clone

from fastem import StudentTMixture

from .common import COVARIANCE_TYPES, Suite, dataset, mixture, require_threads, start

ITERATIONS = 5


def with_holes(X, share=0.3):
    """Rows in which each value is missing with probability `share`."""
    return np.where(np.random.default_rng(1).random(X.shape) < share, np.nan, X)


def errors(shape):
    """Draw a covariance matrix for each row (n_samples, d, d), and errors from it (n_samples, d)."""
    n_samples, n_features, _ = shape
    generator = np.random.default_rng(1)
    factors = 0.3 * generator.normal(size=(n_samples, n_features, n_features))
    drawn = np.einsum("nij,nj->ni", factors, generator.normal(size=(n_samples, n_features)))
    return factors @ np.swapaxes(factors, 1, 2), drawn


class Iterations(Suite):
    """Compares two fits, the second of them plain, each as (model, X, keywords)."""

    unit = "times"
    fits = ()

    def prepare(self, *fits):
        """Store the fits, with a few iterations each, and compile them."""
        self.fits = [(clone(model).set_params(max_iter=ITERATIONS, tol=0.0), X, known) for model, X, known in fits]
        for model, X, known in self.fits:
            require_threads(model.n_jobs)
            clone(model).set_params(max_iter=1).fit(X, **known)

    def ratio(self, of=statistics.median):
        """Time `of` the iterations, over their median in the plain fit: median over pairs of fits in turn."""
        ratios, begin = [], time.perf_counter()
        while len(ratios) < 5 or time.perf_counter() - begin < 3.0:
            seconds = [[record.seconds for record in model.fit(X, **known).history_] for model, X, known in self.fits]
            ratios.append(of(seconds[0]) / statistics.median(seconds[1]))
        return statistics.median(ratios)


class Missing(Iterations):
    """30 % of the values are missing; the plain fit has the same rows without missing values."""

    params = (COVARIANCE_TYPES, (1, 2))
    param_names = ("covariance_type", "n_jobs")
    shape = (100_000, 8, 4)

    def setup(self, covariance_type, n_jobs):
        """Make holes."""
        X = dataset("full", self.shape)
        model = mixture(covariance_type, X, self.shape[-1], n_jobs=n_jobs)
        self.prepare((clone(model).set_params(missing="marginalize"), with_holes(X), {}), (model, X, {}))

    def track_over_complete(self, *params):
        """Time of an iteration over that of complete rows: at most 6."""
        return self.ratio()


class MissingInMillion(Missing):
    """The same for a million rows."""

    params = (("full",), (1, 2))
    shape = (1_000_000, 8, 4)

    def track_first_over_complete(self, *params):
        """Time of the first iteration, which sorts the rows, over that of an iteration of complete rows."""
        return self.ratio(of=lambda seconds: seconds[0])


class MissingRarely(Missing):
    """24 features: hardly any two rows have the same missing values, so each needs its own factorisation."""

    params = (("full", "diag"), (1,))
    shape = (20_000, 24, 4)

    def track_over_complete(self, *params):
        """Time of an iteration over that of complete rows."""
        return self.ratio()


class MissingAFewColumns(Missing):
    """24 features, of which 4 have missing values: 16 patterns."""

    params = (("full",), (1,))
    shape = (100_000, 24, 4)

    def setup(self, covariance_type, n_jobs):
        """Make holes in the last columns."""
        X = dataset("full", self.shape)
        holes = np.hstack([X[:, :-4], with_holes(X[:, -4:])])
        model = mixture(covariance_type, X, self.shape[-1], n_jobs=n_jobs)
        self.prepare((clone(model).set_params(missing="marginalize"), holes, {}), (model, X, {}))


class MissingInStudentT(Iterations):
    """t components and 30 % of the values missing, relative to complete rows or to normal components."""

    params = (COVARIANCE_TYPES, ("complete rows", "normal components"))
    param_names = ("covariance_type", "over")
    shape = (100_000, 8, 4)

    def setup(self, covariance_type, over):
        """Make holes; scale matrices start as the identity, as covariances do."""
        X = dataset("student_t", self.shape)
        holes = with_holes(X)
        given = start(covariance_type, X, self.shape[-1])
        scales = given.pop("precisions_init")
        normal = mixture(covariance_type, X, self.shape[-1], missing="marginalize", n_jobs=1)
        options = {"covariance_type": covariance_type, "missing": "marginalize", "n_jobs": 1}
        model = StudentTMixture(self.shape[-1], scales_init=scales, **given, **options)
        plain = (model, X, {}) if over == "complete rows" else (normal, holes, {})
        self.prepare((model, holes, {}), plain)

    def track_ratio_of_shortest(self, *params):
        """Time of the shortest iteration after the first over that of the other fit; fits take turns."""
        shortest, begin = [np.inf, np.inf], time.perf_counter()
        while time.perf_counter() - begin < 4.0:
            for i, (model, X, known) in enumerate(self.fits):
                seconds = [record.seconds for record in model.fit(X, **known).history_[1:]]
                shortest[i] = min(shortest[i], *seconds)
        return shortest[0] / shortest[1]


class Noise(Iterations):
    """Rows with measurement errors; the plain fit ignores the errors."""

    params = (("covariance of each row", "variances of each row", "covariance of all", "projections"), (1, 2))
    param_names = ("noise", "n_jobs")
    shape = (100_000, 4, 5)

    def setup(self, noise, n_jobs):
        """Draw errors, and choose the arguments that describe them."""
        exact = dataset("full", self.shape)
        covariances, drawn = errors(self.shape)
        known = {
            "covariance of each row": {"noise": covariances},
            "variances of each row": {"noise": np.einsum("nii->ni", covariances)},
            "covariance of all": {"noise": covariances.mean(axis=0)},
            "projections": {"noise": covariances, "projection": np.tile(np.eye(self.shape[1]), (len(exact), 1, 1))},
        }
        model = mixture("full", exact, self.shape[-1], n_jobs=n_jobs)
        self.prepare((model, exact + drawn, known[noise]), (model, exact + drawn, {}))

    def track_over_plain(self, *params):
        """Time of an iteration over that of the plain fit."""
        return self.ratio()


class Beside(Iterations):
    """Labels, a background and priors, each with complete and exact rows."""

    params = (("labels", "plausibilities", "background", "prior", "fixed"), (1,))
    param_names = ("what", "n_jobs")
    shape = (100_000, 8, 4)

    def setup(self, what, n_jobs):
        """Draw labels of a tenth of the rows, or set parameters."""
        X = dataset("full", self.shape)
        n_components = self.shape[-1]
        generator = np.random.default_rng(1)
        labels = np.where(generator.random(len(X)) < 0.1, generator.integers(n_components, size=len(X)), -1)
        plain = mixture("full", X, n_components, n_jobs=n_jobs)
        with_background = {"background": True, "weights_init": np.full(n_components + 1, 1 / (n_components + 1))}
        parameters = {
            "background": with_background,
            "prior": {"prior": "conjugate", "weights_prior": 2.0},
            "fixed": {"fixed": "means"},
        }
        known = {"labels": labels, "plausibilities": generator.random((len(X), n_components))}
        model = clone(plain).set_params(**parameters.get(what, {}))
        self.prepare((model, X, {"labels": known[what]} if what in known else {}), (plain, X, {}))

    def track_over_plain(self, *params):
        """Time of an iteration over that of the plain fit."""
        return self.ratio()
