"""Data, starts, warm-up and paired timing that the benchmarks share.

Unless a benchmark says otherwise, fits start from given parameters and make a fixed number of iterations: two commits
then do the same work, even if the convergence test or the initialisation has changed.
"""

import functools
import statistics
import time
import timeit
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastem import BernoulliMixture, GaussianMixture, PoissonMixture, StudentTMixture
from fastem.kernels import jit

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
STRUCTURES = ("VEE", "VVE", "VEV")  # whose M-steps iterate, rotate and decompose

# Here rather than in a base class's `setup`: asv calls only the most derived one.
warnings.simplefilter("ignore", ConvergenceWarning)  # fits stop at `max_iter` on purpose


class Suite:
    """Attributes of every benchmark."""

    version = "1"  # explicit, so that edits that do not change what is measured keep the history
    timeout = 600  # the first process also compiles


class Family(NamedTuple):
    """How a family is measured.

    Attributes
    ----------
    kind : class of mixtures
    options : dict
        Arguments of the constructor.
    rows : callable (generator, centers of the rows, scales of the rows) -> rows
    start : callable (first rows, n_components, n_features) -> dict
        Initial parameters, as keywords.
    """

    kind: type
    options: dict
    rows: Callable
    start: Callable


def normal_rows(generator, centers, scales):
    """Overlapping clusters."""
    return 2 * centers + scales * generator.normal(size=centers.shape)


def gaussian(form):
    """Gaussian components of a form."""

    def start(centers, n_components, n_features):
        precisions = {
            "tied": np.eye(n_features),
            "diag": np.ones((n_components, n_features)),
            "spherical": np.ones(n_components),
        }
        identities = np.tile(np.eye(n_features), (n_components, 1, 1))
        return {"means_init": centers, "precisions_init": precisions.get(form, identities)}

    return Family(GaussianMixture, {"covariance_type": form}, normal_rows, start)


OF_FAMILY = {
    **{form: gaussian(form) for form in COVARIANCE_TYPES + STRUCTURES},
    "poisson": Family(
        PoissonMixture,
        {},
        lambda generator, centers, scales: generator.poisson(5 * np.exp(centers)),
        lambda centers, n_components, n_features: {"rates_init": centers + 1},
    ),
    "student_t": Family(
        StudentTMixture,
        {},
        lambda generator, centers, scales: centers + scales * generator.standard_t(5, size=centers.shape),
        lambda centers, n_components, n_features: {
            "means_init": centers,
            "scales_init": np.tile(np.eye(n_features), (n_components, 1, 1)),
        },
    ),
    "bernoulli": Family(
        BernoulliMixture,
        {},
        lambda generator, centers, scales: generator.uniform(size=centers.shape) < 1 / (1 + np.exp(-2 * centers)),
        lambda centers, n_components, n_features: {"probabilities_init": 0.25 + 0.5 * centers},
    ),
}
FAMILIES = tuple(OF_FAMILY)


@functools.cache
def dataset(family, shape, dtype="float64"):
    """Draw (n_samples, n_features) rows from `n_components` overlapping clusters.

    The cache serves the samples of one process, before each of which asv repeats `setup`.
    """
    n_samples, n_features, n_components = shape
    generator = np.random.default_rng(0)
    labels = generator.integers(n_components, size=n_samples)
    # The more features, the closer the centres: about three standard deviations in any dimension.
    centers = generator.normal(size=(n_components, n_features)) / np.sqrt(n_features)
    scales = generator.uniform(0.5, 1.5, size=(n_components, n_features))
    return OF_FAMILY[family].rows(generator, centers[labels], scales[labels]).astype(dtype)


def start(family, X, n_components):
    """Complete initial parameters, as keywords: the first rows are the centres."""
    centers = X[:n_components].astype(np.float64)
    weights = np.full(n_components, 1 / n_components)
    return {"weights_init": weights, **OF_FAMILY[family].start(centers, n_components, X.shape[1])}


def mixture(family, X, n_components, **parameters):
    """Unfitted model of a family that starts from `start`."""
    own = OF_FAMILY[family]
    return own.kind(n_components, **{**own.options, **start(family, X, n_components), **parameters})


def warm(model, X):
    """Compile all that fitting this model to this data needs, and check the number of threads.

    One iteration is enough, but of the data that is measured: its size decides whether the pass is
    the serial or the parallel one.
    """
    require_threads(model.n_jobs)
    clone(model).set_params(max_iter=1).fit(X)


def require_threads(n_jobs):
    """Skip the benchmark on a machine with fewer threads; fail if fastem would not use them all."""
    if n_jobs > numba.config.NUMBA_NUM_THREADS:
        raise NotImplementedError(f"this machine has fewer than {n_jobs} threads")
    with jit.limit_threads(n_jobs):
        if jit.n_threads() != n_jobs:
            raise RuntimeError(f"{jit.n_threads()} threads instead of {n_jobs}")


def median_seconds(*calls):
    """Median time of each call; they take turns, so that all run in the same state of the machine."""
    rounds, begin, elapsed = [], time.perf_counter(), 0.0
    while elapsed < (10.0 if len(rounds) < 3 else 0.5):
        rounds.append([timeit.timeit(call, number=1) for call in calls])
        elapsed = time.perf_counter() - begin
    return [statistics.median(times) for times in zip(*rounds, strict=True)]
