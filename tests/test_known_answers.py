"""fastem against published maxima, and against the oracle iteration by iteration."""

import warnings

import numpy as np
import pytest
from fits import model_at
from known_answers import ANSWERS, assert_meets, load
from reference import (
    FAMILIES,
    GAUSSIAN_FAMILIES,
    Gaussian,
    arrays,
    em,
    log_joint,
    responsibilities,
    rows_for,
    start_at,
)
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture

SLOW = 8000  # iterations for the deaths: their rate of convergence .99566622, to this power, is 1e-15
FAST = 2000


def run(model, X, n_iter, sample_weight=None):
    """Exactly `n_iter` iterations, which leave a model unconverged by design."""
    model.set_params(max_iter=n_iter, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, sample_weight=sample_weight)


def total(model, X, sample_weight):
    return np.average(model.score_samples(X), weights=sample_weight) * np.sum(
        np.ones(len(X)) if sample_weight is None else sample_weight
    )


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_em_ends_at_the_published_maximum(answer):
    X, sample_weight = load(answer.data)
    start = start_at(answer.family, X, answer.start)
    n_iter = SLOW if answer.data.startswith("deaths") else FAST
    model = run(model_at(start), X, n_iter, sample_weight)

    assert_meets(total(model, X, sample_weight), answer.log_likelihood)
    for name in ("weights", "means", "rates"):
        if name in answer.figures:
            values = getattr(model, f"{name}_").ravel()
            for value, figure in zip(values, answer.figures[name], strict=True):
                assert_meets(value, figure)
    for figure in answer.figures.get("standard deviations", ()):
        assert_meets(np.sqrt(model.covariances_.item()), figure)
    for figure in answer.figures.get("bic", ()):
        assert_meets(model.bic(X), figure)


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_the_lower_bound_rises_to_the_log_likelihood(answer):
    X, sample_weight = load(answer.data)
    n_rows = len(X) if sample_weight is None else sample_weight.sum()
    start = start_at(answer.family, X, answer.start)
    model = model_at(start, tol=1e-11, max_iter=10_000).fit(X, sample_weight=sample_weight)

    assert model.converged_
    bounds = [record.lower_bound for record in model.history_]
    assert len(bounds) == model.n_iter_
    assert np.all(np.diff(bounds) > -1e-13)
    assert model.lower_bound_ == bounds[-1]
    assert model.lower_bound_ * n_rows == pytest.approx(float(answer.log_likelihood), abs=1e-3)


def test_a_weight_of_the_deaths_is_a_repeated_row():
    X, counts = load("deaths")
    rows, _ = load("deaths, row by row")
    start = start_at("poisson", X, [[1], [3]])
    weighted = run(model_at(start), X, 50, counts)
    repeated = run(model_at(start), rows, 50)
    np.testing.assert_allclose(weighted.rates_, repeated.rates_, rtol=1e-12)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-13)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize(
    ("data", "n_components", "maximum"),
    [("faithful", 2, "-1130.263960"), ("iris", 2, "-214.354704")],
)
def test_restarts_find_the_best_maximum_without_help(data, n_components, maximum, init_params):
    X, _ = load(data)
    model = GaussianMixture(
        n_components, tol=1e-10, reg_covar=1e-9, max_iter=1000, n_init=10,
        init_params=init_params, random_state=0,
    ).fit(X)  # fmt: skip
    assert total(model, X, None) == pytest.approx(float(maximum), abs=1e-4)


CASES = [
    pytest.param(family, weighted, reg_covar, id=f"{family}-{name}-{reg_covar}")
    for family in FAMILIES
    for weighted, name in ((False, "unweighted"), (True, "weighted"))
    for reg_covar in ((0.0,) if family == "poisson" else (0.0, 0.01))
]


@pytest.mark.parametrize(("family", "weighted", "reg_covar"), CASES)
def test_every_iteration_is_the_oracle_s(family, weighted, reg_covar):
    X = rows_for(family, n_rows=300)
    sample_weight = some_weights(len(X)) if weighted else None
    start = start_at(family, X, X[:3] + 0.5)
    options = {} if family == "poisson" else {"reg_covar": reg_covar}
    trajectory = em(X, start, 20, sample_weight, reg_covar)
    for n_iter in (1, 2, 3, 5, 10, 20):
        model = run(model_at(start, **options), X, n_iter, sample_weight)
        assert_same_parameters(model, trajectory[n_iter][0])
    bounds = [record.lower_bound for record in model.history_]
    np.testing.assert_allclose(bounds, [value for _, value in trajectory[:20]], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_many_rows_in_many_tiles_take_the_same_iterations(family):
    """Enough rows for several threads, and a number that is no multiple of a tile."""
    X = rows_for(family, n_rows=40_009, n_features=20)
    sample_weight = some_weights(len(X))
    start = start_at(family, X, X[:3] + 0.5)
    model = run(model_at(start), X, 2, sample_weight)
    parameters, mean_log_likelihood = em(X, start, 2, sample_weight)[-1]
    assert_same_parameters(model, parameters)
    log_likelihood = total(model, X, sample_weight)
    assert log_likelihood == pytest.approx(mean_log_likelihood * sample_weight.sum(), rel=1e-9)


def some_weights(n_rows):
    """Weights of which a quarter is zero."""
    return np.maximum(np.random.default_rng(1).uniform(-1, 3, n_rows), 0)


def assert_same_parameters(model, parameters):
    """To 1e-9 of the largest entry of each array: the relative error of a covariance near zero means nothing."""
    for name, expected in arrays(parameters).items():
        actual = getattr(model, f"{name}_")
        assert actual.shape == expected.shape
        error = np.abs(actual - expected).max() / np.abs(expected).max()
        assert error < 1e-9, f"{name} is off by {error:.1e}"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_warm_start_continues_the_trajectory(family):
    X = rows_for(family)
    start = start_at(family, X, X[:2] + 0.5)
    model = model_at(start, warm_start=True)
    for parameters, _ in em(X, start, 5)[1:]:
        run(model, X, 1)
        assert_same_parameters(model, parameters)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_far_from_the_origin_the_iterations_are_the_same(family, offset):
    """Only the means move with the data."""
    X = np.round(rows_for(family) * 1024) / 1024  # so that adding the offset is exact
    start = start_at(family, X, X[:2] + 0.5)
    near = em(X, start, 10)[-1][0]
    moved = Gaussian(family, start.weights, start.means + offset, start.covariances)
    far = run(model_at(moved), X + offset, 10)
    np.testing.assert_allclose(far.weights_, near.weights, rtol=1e-9)
    np.testing.assert_allclose(far.means_ - offset, near.means, rtol=0, atol=1e-9 * offset)
    scale = np.abs(near.covariances).max()
    np.testing.assert_allclose(far.covariances_, near.covariances, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_one_component_has_the_closed_form(family):
    X = rows_for("full")
    model = GaussianMixture(covariance_type=family, reg_covar=0.0, random_state=0).fit(X)
    expected = em(X, start_at(family, X, X[:1]), 1)[-1][0]
    assert_same_parameters(model, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_densities_and_responsibilities_are_the_oracle_s(family):
    X = rows_for(family)
    start = start_at(family, X, X[:3] + 0.5)
    model = run(model_at(start), X, 5)
    parameters = em(X, start, 5)[-1][0]
    log_densities = logsumexp(log_joint(X, parameters), axis=1)
    np.testing.assert_allclose(model.score_samples(X), log_densities, rtol=1e-9)
    expected = responsibilities(X, parameters)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(model.predict(X), expected.argmax(axis=1))
