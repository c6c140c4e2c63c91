"""The same seed, data and parameters give what scikit-learn's GaussianMixture gives, iteration by iteration."""

import inspect
import re
import warnings

import numpy as np
import pytest
from reference import GAUSSIAN_FAMILIES
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture as Ours

METHODS = ("kmeans", "k-means++", "random", "random_from_data")
PARAMETERS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
TOLERANCE = 1e-8
PRECISIONS = {
    "full": np.array([np.eye(3), 2 * np.eye(3), np.eye(3) + 0.5]),
    "tied": np.eye(3) + 0.5,
    "diag": np.array([[1.0, 2, 3], [3, 2, 1], [1, 1, 1]]),
    "spherical": np.array([1.0, 0.5, 2.0]),
}

by_kind = pytest.mark.parametrize("kind", GAUSSIAN_FAMILIES)
by_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module", autouse=True)
def one_blas_thread():
    """scikit-learn's small matrix products take five times as long on several threads if the processors are busy."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def X():
    """Three groups of correlated rows that overlap a little, about zero."""
    random = np.random.default_rng(7)
    centres = np.array([[-4.0, 0, 1], [0, 3, -2], [4, -3, 0]])
    mixings = random.normal(size=(3, 3, 3)) / 2 + np.eye(3)
    groups = random.integers(3, size=250)
    return centres[groups] + np.einsum("nij,nj->ni", mixings[groups], random.normal(size=(250, 3)))


def both(X, **options):
    """Fit scikit-learn's model and fastem's, without warnings about convergence."""
    options = {"n_components": 3, "random_state": 3, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Theirs(**options).fit(X), Ours(**options).fit(X)


def assert_near(actual, expected):
    """Check equality relative to the largest entry of the array."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(initial=0))


def assert_agree(theirs, ours, parameters=PARAMETERS):
    for name in parameters:
        assert_near(getattr(ours, name), getattr(theirs, name))
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=TOLERANCE)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=TOLERANCE)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)


def starts_from_single_rows(kind, method):
    """Whether components start from single rows x, of a kind whose variance scikit-learn computes as E[x^2] - E[x]^2.

    scikit-learn adds 10 eps to the mass of one row, which gives the variance 10 eps x^2. Cancellation makes its result
    wrong by a few eps x^2: up to 1e-8 of `reg_covar`, the only other term of the variance.
    """
    return method in ("k-means++", "random_from_data") and kind in ("diag", "spherical")


@by_kind
@by_method
def test_the_start_is_theirs(X, kind, method):
    theirs, ours = both(X, covariance_type=kind, init_params=method, max_iter=0)
    assert_near(ours.means_, theirs.means_)
    if starts_from_single_rows(kind, method):
        assert_near(ours.weights_, theirs.weights_)
        eps, squares = np.finfo(float).eps, ours.means_**2
        squares = squares.mean(axis=1) if kind == "spherical" else squares
        np.testing.assert_allclose(ours.covariances_, 1e-6 + 10 * eps * squares, rtol=1e-14)
        assert np.all(np.abs(theirs.covariances_ - ours.covariances_) <= 2 * eps * squares.max())
    else:
        assert_agree(theirs, ours)


@by_kind
@by_method
@pytest.mark.parametrize("max_iter", [1, 3, 20])
def test_the_trajectory_is_theirs(X, kind, method, max_iter):
    theirs, ours = both(X, covariance_type=kind, init_params=method, max_iter=max_iter, tol=0.0)
    if starts_from_single_rows(kind, method):
        # The error in their variances changes the bound of the start. The first step assigns each row to the nearest
        # start, whatever the variances, so that everything agrees from the second iteration on.
        np.testing.assert_allclose(ours.lower_bounds_[1:], theirs.lower_bounds_[1:], rtol=TOLERANCE)
        for name in PARAMETERS:
            assert_near(getattr(ours, name), getattr(theirs, name))
    else:
        assert_agree(theirs, ours)


@by_kind
@by_method
def test_it_stops_when_theirs_stops(X, kind, method):
    theirs, ours = both(X, covariance_type=kind, init_params=method)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)


@by_kind
def test_the_best_of_several_restarts_is_theirs(X, kind):
    assert_agree(*both(X, covariance_type=kind, init_params="random", n_init=4, n_components=4, max_iter=10))


@by_kind
@pytest.mark.parametrize(
    ("given", "max_iter"),  # with given precisions scikit-learn has no covariances before the first iteration
    [("weights", 0), ("means", 0), ("weights", 4), ("means", 4), ("precisions", 4), ("weights means precisions", 4)],
)
def test_given_initial_parameters_join_the_drawn_ones_as_in_theirs(X, kind, given, max_iter):
    known = {"weights": [0.2, 0.3, 0.5], "means": X[:3] / 2, "precisions": PRECISIONS[kind]}
    options = {f"{name}_init": known[name] for name in given.split()}
    assert_agree(*both(X, covariance_type=kind, max_iter=max_iter, tol=0.0, **options))


@by_kind
def test_given_precisions_are_those_of_the_start(X, kind):
    ours = Ours(3, covariance_type=kind, precisions_init=PRECISIONS[kind], max_iter=0, random_state=3).fit(X)
    np.testing.assert_allclose(ours.precisions_, PRECISIONS[kind], rtol=1e-14)
    inverse = np.linalg.inv if kind in ("full", "tied") else np.reciprocal
    np.testing.assert_allclose(ours.covariances_, inverse(PRECISIONS[kind]), rtol=1e-14)


@by_kind
def test_a_second_fit_with_warm_start_goes_on_where_theirs_does(X, kind):
    options = {"covariance_type": kind, "n_components": 3, "random_state": 3, "init_params": "random", "tol": 0.0}
    warm = [model(max_iter=5, warm_start=True, **options) for model in (Theirs, Ours)]
    for model in warm:
        with pytest.warns(ConvergenceWarning):
            model.fit(X)
        first = model.lower_bounds_
        with pytest.warns(ConvergenceWarning):
            model.fit(X)
    theirs, ours = warm
    assert_agree(theirs, ours)
    at_once = both(X, max_iter=10, **options)[1]
    np.testing.assert_allclose(first + ours.lower_bounds_, at_once.lower_bounds_, rtol=1e-12)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(ours, name), getattr(at_once, name), rtol=1e-9, atol=1e-12)


@by_kind
def test_a_converged_fit_with_warm_start_stops_at_once_as_theirs_does(X, kind):
    theirs, ours = (model(3, covariance_type=kind, random_state=3, warm_start=True) for model in (Theirs, Ours))
    for _ in range(2):
        assert_agree(theirs.fit(X), ours.fit(X))
    assert ours.n_iter_ == 1


@by_kind
def test_with_their_parameters_it_says_what_theirs_says(X, kind):
    theirs = Theirs(3, covariance_type=kind, random_state=3).fit(X)
    ours = Ours(3, covariance_type=kind, random_state=3)
    vars(ours).update({name: value for name, value in vars(theirs).items() if name.endswith("_")})
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-12)
    for criterion in ("score", "bic", "aic"):
        assert getattr(ours, criterion)(X) == pytest.approx(getattr(theirs, criterion)(X), rel=1e-12)
    for drawn, expected in zip(ours.sample(50), theirs.sample(50), strict=True):
        np.testing.assert_array_equal(drawn, expected)


@by_kind
def test_fit_predict_labels_as_theirs(X, kind):
    theirs, ours = (model(3, covariance_type=kind, random_state=3).fit_predict(X) for model in (Theirs, Ours))
    np.testing.assert_array_equal(ours, theirs)


def test_every_parameter_of_theirs_is_ours_with_the_same_default():
    theirs, ours = (inspect.signature(model).parameters for model in (Theirs, Ours))
    for name, parameter in theirs.items():
        assert (ours[name].default, ours[name].kind) == (parameter.default, parameter.kind), name


def test_every_public_name_of_a_fitted_one_is_ours(X):
    theirs, ours = both(X)
    names = {name for name in dir(theirs) if not name.startswith("_")}
    assert names <= set(dir(ours))
    for name in names:
        if inspect.ismethod(getattr(theirs, name)):
            expected = inspect.signature(getattr(theirs, name)).parameters
            assert expected.items() <= _without_types(getattr(ours, name)).items(), name


def _without_types(method):
    parameters = inspect.signature(method).parameters
    return {name: parameter.replace(annotation=parameter.empty) for name, parameter in parameters.items()}


def test_it_warns_in_their_words(X):
    said = []
    for model in (Theirs, Ours):
        with pytest.warns(ConvergenceWarning) as record:
            model(3, max_iter=2, tol=0.0, random_state=3).fit(X)
        said.append([str(warning.message) for warning in record])
    assert said[0] == said[1]
    assert len(said[1]) == 1


@pytest.mark.parametrize("options", [{}, {"verbose_interval": 2}, {"max_iter": 4}], ids=str)
@pytest.mark.parametrize("verbose", [1, 2])
def test_verbose_prints_what_theirs_prints(X, capsys, verbose, options):
    said = []
    for model in (Theirs, Ours):
        options = {"verbose_interval": 1, "n_init": 2, "tol": 1e-3, **options}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model(3, random_state=3, verbose=verbose, **options).fit(X)
        said.append(re.sub(r"time lapse \d+\.\d{5}s", "time lapse", capsys.readouterr().out))
    assert said[1] == said[0]


@by_method
def test_with_more_rows_than_init_size_the_start_is_from_a_seeded_sample(X, method):
    options = {"n_components": 3, "random_state": 3, "init_params": method, "max_iter": 500, "tol": 1e-9}
    full, first, second = (Ours(init_size=size, **options).fit(X) for size in (100_000, 120, 120))
    assert first.lower_bounds_ == second.lower_bounds_
    assert first.lower_bounds_[0] != full.lower_bounds_[0]
    if method == "kmeans":  # the other starts depend on the sample, and may lead to another maximum
        assert first.lower_bound_ == pytest.approx(full.lower_bound_, rel=1e-6)


@by_method
def test_with_no_more_rows_than_init_size_the_start_is_from_all_of_them(X, method):
    options = {"n_components": 3, "random_state": 3, "init_params": method}
    exact, ample = (Ours(init_size=size, **options).fit(X) for size in (len(X), 10**9))
    assert exact.lower_bounds_ == ample.lower_bounds_
    np.testing.assert_array_equal(exact.means_, ample.means_)
