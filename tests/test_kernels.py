"""Kernels over tiles against numpy, for every remainder that their blocks can leave. Also run with compilation off."""

import numpy as np
import pytest
from scipy.special import logsumexp

from fastem.kernels import columns, linalg, posterior, small, tiles, vecmath
from fastem.sources import ArraySource

LANES = 16
WIDTHS = (*range(1, 10), 12)


@pytest.fixture
def tile_of(rng):
    return lambda n_features: rng.normal(size=(n_features, LANES))


@pytest.mark.parametrize("d", WIDTHS)
def test_squared_mahalanobis_is_the_norm_of_the_whitened_residual(d, rng, tile_of):
    lower, offset, tile, out = np.tril(rng.normal(size=(d, d))), rng.normal(size=d), tile_of(d), np.empty(LANES)
    linalg.squared_mahalanobis(lower, offset, tile, np.empty((4, LANES)), out)
    np.testing.assert_allclose(out, ((lower @ tile - offset[:, None]) ** 2).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("d", WIDTHS)
def test_triangular_product(d, rng, tile_of):
    lower, tile, out = np.tril(rng.normal(size=(d, d))), tile_of(d), np.empty((d, LANES))
    linalg.triangular_product(lower, tile, out)
    np.testing.assert_allclose(out, lower @ tile, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("with_sums", [True, False])
def test_weighted_scatter_adds_the_lower_triangle_and_the_sums(d, with_sums, rng, tile_of):
    z, resp = tile_of(d), rng.random(LANES)
    sums, scatter = np.ones(d if with_sums else 0), np.ones((d, d))
    linalg.weighted_scatter(resp, z, sums, scatter)
    np.testing.assert_allclose(scatter - 1.0, np.tril((z * resp) @ z.T), atol=1e-13)
    if with_sums:
        np.testing.assert_allclose(sums - 1.0, z @ resp, atol=1e-13)


@pytest.mark.parametrize("d", range(1, small.LARGEST + 1))
def test_the_written_out_kernels_agree_with_the_blocks(d, rng, tile_of):
    lower, offset, tile = np.tril(rng.normal(size=(d, d))), rng.normal(size=d), tile_of(d)
    out, blocks = np.empty(LANES), np.empty(LANES)
    small.log_density(lower, offset, 1.5, tile, out)
    linalg.squared_mahalanobis(lower, offset, tile, np.empty((4, LANES)), blocks)
    np.testing.assert_allclose(out, 1.5 - 0.5 * blocks, rtol=1e-13)

    mean, resp = rng.normal(size=d), rng.random(LANES)
    stats, expected = np.zeros(d + d * d), np.zeros((d + 1, d))
    small.moments(resp, tile, mean, stats)
    linalg.weighted_scatter(resp, tile - mean[:, None], expected[0], expected[1:])
    np.testing.assert_allclose(stats, expected.ravel(), atol=1e-13)


@pytest.mark.parametrize("d", WIDTHS)
def test_sums_by_column(d, rng, tile_of):
    tile, resp, centre, scale = tile_of(d), rng.random(LANES), rng.normal(size=d), rng.random(d)
    residual, out = tile - centre[:, None], np.empty(LANES)
    columns.squared_distance(centre, tile, out)
    np.testing.assert_allclose(out, (residual**2).sum(axis=0), rtol=1e-13)
    columns.scaled_squares(scale, centre, tile, out)
    np.testing.assert_allclose(out, ((scale[:, None] * tile - centre[:, None]) ** 2).sum(axis=0), rtol=1e-12)

    stats = np.zeros(2 * d + 1)
    columns.weighted_sum(resp, tile, 1, stats)
    np.testing.assert_allclose(stats[1 : d + 1], tile @ resp, atol=1e-13)
    stats[:] = 0.0
    columns.weighted_moments(resp, tile, centre, 1, stats)
    np.testing.assert_allclose(stats, [0.0, *(residual @ resp), *(residual**2 @ resp)], atol=1e-13)


def test_exp_and_log_are_right_to_two_units_in_the_last_place(rng):
    x = np.float64(-rng.uniform(0, 708, size=2000))
    assert max(abs(vecmath.exp_nonpositive(v) / np.exp(v) - 1) for v in x) < 5e-16
    assert vecmath.exp_nonpositive(np.float64(0.0)) == 1.0
    assert vecmath.exp_nonpositive(np.float64(-709.0)) == vecmath.exp_nonpositive(np.float64(-np.inf)) == 0.0
    y = np.exp(rng.uniform(-700, 700, size=2000))
    near_one = np.exp(rng.uniform(-1e-3, 1e-3, size=1000))
    assert max(abs(vecmath.log_positive(v) / np.log(v) - 1) for v in [*y, *near_one]) < 5e-16
    assert vecmath.log_positive(np.float64(1.0)) == 0.0


def test_responsibilities_follow_bayes_rule_whatever_the_scale_of_the_densities(rng):
    joint = rng.normal(size=(3, LANES)) * 300.0 - 1e4
    log_weights, weight = np.log([0.2, 0.3, 0.5]), rng.random(LANES)
    total = logsumexp(joint + log_weights[:, None], axis=0)
    expected = np.exp(joint + log_weights[:, None] - total) * weight
    density = np.empty(LANES)
    log_likelihood = posterior.soft(joint, log_weights, weight, density, np.empty(LANES))
    np.testing.assert_allclose(density, total, rtol=1e-14)
    np.testing.assert_allclose(joint, expected, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(log_likelihood, weight @ total, rtol=1e-14)


def test_a_row_that_no_component_allows_has_density_zero_and_no_responsibilities():
    joint = np.zeros((2, 3))
    joint[:, 1] = -np.inf
    joint[0, 2] = -np.inf
    density = np.empty(3)
    weight = np.array([1.0, 0.0, 1.0])  # and counts nowhere if its weight is zero
    log_likelihood = posterior.soft(joint, np.log([0.5, 0.5]), weight, density, np.empty(3))
    np.testing.assert_allclose(joint, [[0.5, 0.0, 0.0], [0.5, 0.0, 1.0]])
    np.testing.assert_allclose(density, [0.0, -np.inf, np.log(0.5)])
    np.testing.assert_allclose(log_likelihood, np.log(0.5))
    weight[1] = 1.0
    joint[:, 1] = -np.inf
    assert posterior.soft(joint, np.log([0.5, 0.5]), weight, density, np.empty(3)) == -np.inf


def test_the_first_of_equally_probable_components_is_the_label():
    joint = np.array([[0.0, -1.0, -np.inf], [0.0, 2.0, -np.inf]])
    labels = np.empty(3, np.int64)
    posterior.most_probable(joint, np.log([0.5, 0.5]), np.empty(3), labels)
    assert labels.tolist() == [0, 1, 0]
    posterior.most_probable(joint, np.log([0.4, 0.6]), np.empty(3), labels)
    assert labels.tolist() == [1, 1, 1]  # the heavier where both densities are zero, as predict_proba has it


def test_entropy_of_even_responsibilities_is_the_logarithm_of_their_number():
    weight = np.array([1.0, 3.0])
    np.testing.assert_allclose(posterior.entropy(np.full((4, 2), 0.25), weight), 4 * np.log(4), rtol=1e-15)
    assert posterior.entropy(np.array([[1.0, 0.0], [0.0, 1.0]]), weight) == 0.0


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 11.0)])
def test_a_tile_holds_the_rows_by_column_about_the_origin_and_pads_with_weight_zero(weights, rng):
    values, origin = rng.normal(size=(10, 3)), np.array([1.0, 2.0, 3.0])
    tile, weight = np.empty((3, 8)), np.empty(8)
    tiles.load(ArraySource(values, weights, origin).rows, 4, 10, tile, weight)
    np.testing.assert_array_equal(tile[:, :6], (values[4:10] - origin).T)
    np.testing.assert_array_equal(tile[:, 6:], tile[:, [0, 0]])
    np.testing.assert_array_equal(weight, [*(np.ones(6) if weights is None else weights[4:10]), 0.0, 0.0])
