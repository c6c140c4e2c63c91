"""The oracle itself: published answers, closed forms, and properties of every EM algorithm."""

import numpy as np
import pytest
from known_answers import ANSWERS, assert_meets, load
from reference import (
    FAMILIES,
    GAUSSIAN_FAMILIES,
    Gaussian,
    Poisson,
    arrays,
    em,
    log_density,
    log_likelihood,
    m_step,
    movement,
    responsibilities,
    rows_for,
    run_to_convergence,
    start_at,
)
from scipy import stats

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_convergence_at_the_published_answer(answer):
    X, sample_weight = load(answer.data)
    slow = answer.data.startswith("deaths")  # leading eigenvalue .9957: the last digits take long
    fitted = run_to_convergence(
        X,
        start_at(answer.family, X, answer.start),
        tol=1e-14 if slow else 1e-10,
        sample_weight=sample_weight,
    )
    assert_meets(log_likelihood(X, fitted, sample_weight), answer.log_likelihood)
    for name in ("weights", "means", "rates"):
        for value, figure in figures(answer, name, fitted):
            assert_meets(value, figure)
    for figure in answer.figures.get("standard deviations", ()):
        assert_meets(np.sqrt(fitted.covariances.item()), figure)


def figures(answer, name, fitted):
    printed = answer.figures.get(name, ())
    return zip(getattr(fitted, name).ravel(), printed, strict=True) if printed else ()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_log_likelihood_never_falls(family):
    X = rows_for(family)
    trajectory = em(X, start_at(family, X, X[:3] + 0.5), n_iter=40)
    values = [value for _, value in trajectory]
    assert np.all(np.diff(values) > -1e-13)
    assert values[-1] > values[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_integer_weight_is_a_repeated_row(family):
    X = rows_for(family)
    counts = np.arange(len(X)) % 3
    start = start_at(family, X, X[:2] + 0.5)
    weighted = em(X, start, 10, sample_weight=counts)[-1]
    repeated = em(np.repeat(X, counts, axis=0), start, 10)[-1]
    assert movement(weighted[0], repeated[0]) < 1e-12
    assert weighted[1] == pytest.approx(repeated[1], rel=1e-13)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_one_gaussian_has_the_moments_of_the_data(family):
    X = rows_for(family)
    covariance = np.cov(X.T, bias=True)
    expected = {
        "full": covariance[None],
        "tied": covariance,
        "diag": np.diag(covariance)[None],
        "spherical": np.array([np.trace(covariance) / 3]),
    }
    fitted = em(X, start_at(family, X, X[:1]), 1)[-1][0]
    np.testing.assert_allclose(fitted.means, X.mean(axis=0)[None], rtol=1e-13)
    np.testing.assert_allclose(fitted.covariances, expected[family], rtol=1e-12)


def test_one_poisson_has_the_mean_of_the_data():
    X = rows_for("poisson")
    fitted = em(X, start_at("poisson", X, [[1, 1, 1]]), 1)[-1][0]
    np.testing.assert_allclose(fitted.rates, X.mean(axis=0)[None], rtol=1e-13)


def test_reg_covar_raises_every_variance():
    X = rows_for("full")
    resp = np.full((len(X), 2), 0.5)
    for family in GAUSSIAN_FAMILIES:
        plain = m_step(family, X, resp).covariance_matrices()
        raised = m_step(family, X, resp, reg_covar=0.25).covariance_matrices()
        np.testing.assert_allclose(raised - plain, [0.25 * np.eye(3)] * 2, atol=1e-14)


def test_densities_are_those_of_scipy():
    X = rows_for("full")
    parameters = em(X, start_at("full", X, X[:2]), 3)[-1][0]
    expected = [
        stats.multivariate_normal(mean, covariance).logpdf(X)
        for mean, covariance in zip(parameters.means, parameters.covariances, strict=True)
    ]
    np.testing.assert_allclose(log_density(X, parameters), np.transpose(expected), rtol=1e-12)

    counts = rows_for("poisson")
    rates = np.array([[2.0, 3.0, 4.0]])
    expected = stats.poisson(rates).logpmf(counts).sum(axis=1)
    actual = log_density(counts, Poisson(np.ones(1), rates))[:, 0]
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_a_family_is_a_special_case_of_a_wider_one():
    """Unit spheres have the same density in all four parametrisations."""
    X = rows_for("full")
    weights, means = np.array([0.3, 0.7]), X[:2]
    same = [
        Gaussian("spherical", weights, means, np.ones(2)),
        Gaussian("diag", weights, means, np.ones((2, 3))),
        Gaussian("tied", weights, means, np.eye(3)),
        Gaussian("full", weights, means, np.array([np.eye(3)] * 2)),
    ]
    for parameters in same[1:]:
        np.testing.assert_allclose(log_density(X, parameters), log_density(X, same[0]), rtol=1e-14)


@pytest.mark.parametrize("family", FAMILIES)
def test_responsibilities_share_each_row_among_the_components(family):
    X = rows_for(family)
    resp = responsibilities(X, start_at(family, X, X[:3] + 0.5))
    assert np.all(resp >= 0)
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=1e-14)


def test_parameters_name_their_arrays():
    assert list(arrays(Poisson(np.ones(1), np.ones((1, 1))))) == ["weights", "rates"]
