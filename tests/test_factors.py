"""Factors of covariances and logarithms with a fixed order of operations: accurate to rounding, whatever the size."""

import numpy as np
import pytest

from fastem.families import ComponentError
from fastem.families._arithmetic import inverse_factors, log_determinants, logarithm, product, triangular_inverses

SIZES = pytest.mark.parametrize("d", [1, 2, 3, 7, 20, 65])


def covariances(rng, n, d):
    mixing = rng.normal(size=(n, d, d))
    return mixing @ np.swapaxes(mixing, 1, 2) + d * np.eye(d)


@SIZES
def test_an_inverse_factor_whitens_its_covariance(d, rng):
    matrices = covariances(rng, 4, d)
    lower = inverse_factors(matrices)
    np.testing.assert_array_equal(lower, np.tril(lower))
    np.testing.assert_allclose(lower @ matrices @ np.swapaxes(lower, 1, 2), np.tile(np.eye(d), (4, 1, 1)), atol=1e-13)
    np.testing.assert_allclose(log_determinants(lower), -0.5 * np.linalg.slogdet(matrices)[1], rtol=1e-13, atol=1e-13)


@SIZES
def test_only_the_lower_triangle_is_read(d, rng):
    matrices = covariances(rng, 2, d)
    np.testing.assert_array_equal(inverse_factors(np.tril(matrices)), inverse_factors(matrices))


@SIZES
def test_triangular_inverses(d, rng):
    lower = np.tril(rng.normal(size=(2, 3, d, d))) + 3 * np.sqrt(d) * np.eye(d)
    inverse = triangular_inverses(lower)
    np.testing.assert_allclose(inverse @ lower, np.broadcast_to(np.eye(d), lower.shape), atol=1e-13)
    np.testing.assert_array_equal(triangular_inverses(lower + np.triu(np.ones((d, d)), 1)), inverse)


@pytest.mark.parametrize("bad", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]]])
def test_a_covariance_that_is_none_names_its_component(bad):
    matrices = np.stack([np.eye(2), np.eye(2), bad, bad])
    with pytest.raises(ComponentError) as caught:
        inverse_factors(matrices)
    assert caught.value.component == 2
    with pytest.raises(ComponentError) as caught:  # a leading axis of patterns
        inverse_factors(np.stack([np.tile(np.eye(2), (3, 1, 1)), [np.eye(2), bad, np.eye(2)]]))
    assert caught.value.component == 1


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no longer than double here")
def test_logarithms_are_right_to_two_units_in_the_last_place(rng):
    x = np.exp(rng.uniform(-708, 709, size=20000))
    x = np.concatenate(
        [x, 1.0 + rng.normal(size=20000) * 10.0 ** rng.uniform(-15, -1, size=20000), [5e-324, 1e-310, 1.0]]
    )
    exact = np.log(x.astype(np.longdouble))
    error = np.abs(logarithm(x) - exact) / np.spacing(np.abs(exact.astype(float)))
    assert error[np.isfinite(error)].max() <= 2.0
    np.testing.assert_array_equal(
        logarithm(np.array([[0.0, np.inf], [-1.0, np.nan]])), [[-np.inf, np.inf], [np.nan, np.nan]]
    )
    assert logarithm(np.float64(1.0)).shape == ()


def test_products_of_several_matrices(rng):
    a, b, c = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 5, 6)), rng.normal(size=(6, 2))
    np.testing.assert_allclose(product(a, b, c), a @ b @ c, rtol=1e-12, atol=1e-12)
