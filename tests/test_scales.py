"""The units and the origin of the data do not matter within the range of float64."""

import numpy as np
import pytest
from fits import model_at, precisions_of, run
from models import failure, fitted_names, learned
from reference import GAUSSIAN_FAMILIES, Gaussian, rows_for, start_at

from fastem import GaussianMixture


def scaled_start(start, scale):
    """Initial parameters for rows times `scale`, one number or one per column; and the factor of the covariances."""
    scale = np.broadcast_to(scale, start.means.shape[1:])
    squares = {
        "full": np.outer(scale, scale),
        "tied": np.outer(scale, scale),
        "diag": scale**2,
        "spherical": scale[0] ** 2,
    }
    square = squares[start.family]
    precisions = precisions_of(start) / square
    return {"means_init": start.means * scale, "precisions_init": precisions}, square


def assert_scaled(model, plain, scale, square, rtol):
    np.testing.assert_allclose(model.weights_, plain.weights_, rtol=rtol)
    np.testing.assert_allclose(model.means_ / scale, plain.means_, rtol=rtol)
    largest = np.abs(plain.covariances_).max()
    np.testing.assert_allclose(model.covariances_ / square, plain.covariances_, rtol=0, atol=rtol * largest)
    assert all(np.isfinite(value).all() for value in learned(model).values())


SCALES = [(2.0**498, 1e-11), (2.0**-498, 1e-11), (1e150, 1e-9), (1e-150, 1e-9)]


@pytest.mark.parametrize(("scale", "rtol"), SCALES, ids=str)
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_the_unit_of_the_data_does_not_matter(family, scale, rtol):
    """A power of two changes digits of log-densities only: near 1000, the last one is 1e-13."""
    X = rows_for(family, 60)
    start = start_at(family, X, X[:2] + 0.5)
    options, square = scaled_start(start, scale)
    plain = run(model_at(start), X, 10)
    assert_scaled(run(model_at(start).set_params(**options), X * scale, 10), plain, scale, square, rtol)

    plain, scaled = (GaussianMixture(2, covariance_type=family, reg_covar=0.0, random_state=0) for _ in range(2))
    assert_scaled(run(scaled, X * scale, 10), run(plain, X, 10), scale, square, rtol)


@pytest.mark.parametrize("base", [2.0**40, 1e12])
@pytest.mark.parametrize("family", ["full", "tied", "diag"])
def test_each_column_may_have_its_own_unit(family, base):
    X = rows_for(family, 60)
    scale = np.array([1.0, base, 1 / base])
    start = start_at(family, X, X[:2] + 0.5)
    options, square = scaled_start(start, scale)
    plain = run(model_at(start), X, 10)
    assert_scaled(run(model_at(start).set_params(**options), X * scale, 10), plain, scale, square, 1e-9)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_squares_that_overflow_are_said_to_overflow(family, init_params):
    model = GaussianMixture(2, covariance_type=family, init_params=init_params, random_state=0)
    assert "overflow" in failure(model, rows_for(family, 60) * 1e200)
    assert not fitted_names(model)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_rows_too_far_from_a_given_start_are_said_to_be(family):
    X = rows_for(family, 60)
    model = model_at(start_at(family, X, X[:2] + 0.5))
    assert "density zero under every component" in failure(model, X * 1e200)
    assert not fitted_names(model)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_squares_that_underflow_are_a_collapse(family):
    model = GaussianMixture(2, covariance_type=family, reg_covar=0.0, init_params="random", random_state=0)
    assert "ill-defined empirical covariance" in failure(model, rows_for(family, 60) * 1e-200)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_a_billion_standard_deviations_from_the_origin(family):
    """The shift is exact, so fits are the same, except for the last bits of the means, which are stored shifted."""
    shift, last_bit = 2.0**30, 2.0**-22
    X = np.round(rows_for(family, 60) * 2**20) / 2**20
    start = start_at(family, X, X[:2] + 0.5)
    near = run(model_at(start), X, 300)
    far = run(model_at(Gaussian(family, start.weights, start.means + shift, start.covariances)), X + shift, 300)

    np.testing.assert_allclose(far.weights_, near.weights_, rtol=1e-9)
    np.testing.assert_allclose(far.means_ - shift, near.means_, rtol=0, atol=last_bit)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-9)
    np.testing.assert_allclose(far.lower_bounds_, near.lower_bounds_, rtol=1e-9)
    assert far.score(X + shift) == pytest.approx(near.score(X), rel=1e-9)  # stationary in the means
    near.means_ = far.means_ - shift
    np.testing.assert_allclose(far.score_samples(X + shift), near.score_samples(X), rtol=1e-9)


NO_PRECISIONS = {
    "asymmetric": [[1.0, 0.5], [0.4, 1.0]],
    "indefinite": [[1.0, 2.0], [2.0, 1.0]],
    "singular": [[1.0, 1.0], [1.0, 1.0]],
    "negative": [[-1.0, 0.0], [0.0, 1.0]],
    "without the second feature": [[1.0, 0.0], [0.0, 0.0]],
}


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e-100, 1e-100), (1e70, 1e-70)], ids=str)
@pytest.mark.parametrize("wrong", NO_PRECISIONS)
def test_what_is_no_precision_is_refused_in_any_units(wrong, units):
    precision = np.array(NO_PRECISIONS[wrong]) * np.outer(units, units)
    X = np.random.default_rng(0).normal(size=(20, 2))
    for precisions, family in ((precision, "tied"), (np.array([np.eye(2), precision]), "full")):
        model = GaussianMixture(2, covariance_type=family, precisions_init=precisions)
        with pytest.raises(ValueError, match=f"'{family} precision' should be symmetric, positive-definite"):
            model.fit(X)
