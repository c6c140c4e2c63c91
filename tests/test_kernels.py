"""Kernels over tiles against numpy, for every remainder that their blocks can leave. Also run with compilation off."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import logsumexp

from fastem.data import ArraySource, workspace_rows
from fastem.engine.compiled import get_passes
from fastem.families import get_family
from fastem.kernels import columns, jit, linalg, posterior, registers, small, tiles, vecmath, vectors

pytestmark = pytest.mark.slow

LANES = 64
EVERY_VECTOR = np.arange(0, LANES, vectors.lanes(np.empty(0)))
WIDTHS = (*range(1, 10), 12, 15, 20, 33)


@pytest.fixture
def tile_of(rng):
    return lambda n_features: rng.normal(size=(n_features, LANES))


PRECISIONS = pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-4)])


@PRECISIONS
@pytest.mark.parametrize("d", WIDTHS)
def test_a_density_falls_with_the_norm_of_the_whitened_residual(d, dtype, rtol, rng, tile_of):
    lower, offset, tile = (array.astype(dtype) for array in (rng.normal(size=(d, d)), rng.normal(size=d), tile_of(d)))
    out = np.empty(LANES, dtype)
    linalg.log_density(lower, offset, 1.5, tile, out)
    expected = 1.5 - 0.5 * ((np.tril(lower) @ tile - offset[:, None]) ** 2).sum(axis=0)  # reads the lower part
    np.testing.assert_allclose(out, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("d", WIDTHS)
def test_triangular_product(d, rng, tile_of):
    lower, tile, out = rng.normal(size=(d, d)), tile_of(d), np.empty((d, LANES))
    linalg.triangular_product(lower, tile, out)
    np.testing.assert_allclose(out, np.tril(lower) @ tile, rtol=1e-12, atol=1e-13)


@PRECISIONS
@pytest.mark.parametrize("d", WIDTHS)
def test_moments_about_a_centre_are_sums_and_the_lower_triangle_of_the_scatter(d, dtype, rtol, rng, tile_of):
    tile, resp, centre = tile_of(d).astype(dtype), rng.random(LANES).astype(dtype), rng.normal(size=d).astype(dtype)
    sums, scatter = np.ones(d), np.ones((d, d))
    active = np.arange(0, LANES, vectors.lanes(tile))
    linalg.moments(resp, active, tile, centre, np.empty((d + 4, LANES), dtype), sums, scatter)
    z = (tile - centre[:, None]).astype(np.float64)
    np.testing.assert_allclose(np.tril(scatter) - np.tril(np.ones((d, d))), np.tril((z * resp) @ z.T), atol=100 * rtol)
    np.testing.assert_allclose(sums - 1.0, z @ resp, atol=100 * rtol)


@pytest.mark.parametrize("d", WIDTHS)
def test_second_moments_about_zero_are_those_about_a_centre_of_zero(d, rng, tile_of):
    tile, resp, zero, rows = tile_of(d), rng.random(LANES), np.zeros(d), np.empty((d + 4, LANES))
    found, expected = np.ones((d, d)), np.ones((d, d))
    linalg.second_moments(resp, EVERY_VECTOR, tile, rows, found)
    linalg.moments(resp, EVERY_VECTOR, tile, zero, rows, np.empty(d), expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("d", range(1, small.LARGEST + 1))
def test_the_written_out_kernels_agree_with_the_blocks(d, rng, tile_of):
    lower, offset, tile = np.tril(rng.normal(size=(d, d))), rng.normal(size=d), tile_of(d)
    out, blocks = np.empty(LANES), np.empty(LANES)
    small.log_density(lower, offset, 1.5, tile, out)
    linalg.log_density(lower, offset, 1.5, tile, blocks)
    np.testing.assert_allclose(out, blocks, rtol=1e-13, atol=1e-13)

    mean, resp = rng.normal(size=d), rng.random(LANES)
    stats, expected = np.zeros(d + d * d), np.zeros((d + 1, d))
    small.moments(resp, tile, mean, stats)
    linalg.moments(resp, EVERY_VECTOR, tile, mean, np.empty((d + 4, LANES)), expected[0], expected[1:])
    np.testing.assert_allclose(stats, expected.ravel(), atol=1e-12)


@pytest.mark.parametrize("d", WIDTHS)
def test_sums_by_column(d, rng, tile_of):
    tile, resp, centre, scale = tile_of(d), rng.random(LANES), rng.normal(size=d), rng.random(d)
    several, factors = np.array([0.3, 0.4, 0.5]), np.array([[1.0], [2.0], [-1.0]])
    centres, scales, outs = centre * factors, scale * np.abs(factors), np.empty((3, LANES))
    for n_components in (1, 2, 3):  # which are processed in pairs
        part = slice(n_components)
        columns.log_densities_spherical(centres[part], several[part], 5 * several[part], tile, outs[part])
        squares = ((tile - centres[part, :, None]) ** 2).sum(axis=1)
        expected = 5 * several[part, None] - 0.5 * several[part, None] ** 2 * squares
        np.testing.assert_allclose(outs[part], expected, rtol=1e-12, atol=1e-12)
        columns.log_densities_diagonal(scales[part], centres[part], 5 * several[part], tile, outs[part])
        squares = ((scales[part, :, None] * tile - centres[part, :, None]) ** 2).sum(axis=1)
        np.testing.assert_allclose(outs[part], 5 * several[part, None] - 0.5 * squares, rtol=1e-12, atol=1e-12)
        counts, logarithms = rng.integers(0, 3, size=(d, LANES)).astype(np.float64), np.log(scales[part])
        logarithms[0, 0] = -np.inf  # a rate of zero allows a count of zero
        columns.log_densities_counts(logarithms, several[part], counts, outs[part])
        with np.errstate(invalid="ignore"):
            expected = np.where(counts > 0, counts * logarithms[:, :, None], 0.0).sum(axis=1)
        np.testing.assert_allclose(outs[part], several[part, None] + expected, rtol=1e-12)

    stats = np.zeros(2 * d + 1)
    columns.weighted_sum(resp, EVERY_VECTOR, tile, 1, stats)
    np.testing.assert_allclose(stats[1 : d + 1], tile @ resp, atol=1e-13)


@PRECISIONS
@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_moments_by_column_whether_or_not_components_share_their_rows(shared, d, dtype, rtol, rng, tile_of):
    tile, centres = tile_of(d).astype(dtype), rng.normal(size=(5, d)).astype(dtype)
    resp = rng.random((5, LANES)).astype(dtype)
    common = np.arange(LANES) < shared * LANES
    resp[::2, ~common & (np.arange(LANES) % 32 < 16)] = 0.0  # whole vectors: those of float32 have sixteen lanes
    resp[1::2, ~common & (np.arange(LANES) % 32 >= 16)] = 0.0
    stats = np.ones(10 * d)
    columns.moments(resp, resp.sum(axis=1).astype(np.float64), centres, tile, np.empty(LANES, np.int64), stats)
    z = tile.astype(np.float64) - centres[:, :, None]
    expected = np.stack([(z * resp[:, None]).sum(axis=2), (z**2 * resp[:, None]).sum(axis=2)], axis=1)
    np.testing.assert_allclose(stats - 1.0, expected.ravel(), atol=100 * rtol)


@jit.kernel
def apply_exp(x, out):
    for c in range(0, x.size, vectors.lanes(x)):
        vectors.store(vecmath.exp_nonpositive(vectors.load(x, c)), out, c)


@jit.kernel
def apply_log(x, out, third):
    for c in range(0, x.size, vectors.lanes(x)):
        log, quotient = vecmath.log_and_quotient(vectors.load(x, c), vectors.splat(1.0 / 3.0, x))
        vectors.store(log, out, c)
        vectors.store(quotient, third, c)


@pytest.mark.parametrize(("dtype", "lowest"), [("float64", -708.0), ("float32", -87.0)])
def test_exp_and_log_are_right_to_two_units_in_the_last_place(dtype, lowest, rng):
    unit = np.finfo(dtype).eps
    x = (lowest * rng.random(size=2048)).astype(dtype)
    x[:3] = 0.0, lowest - 1.0, -np.inf
    out = np.empty_like(x)
    apply_exp(x, out)
    assert out[:3].tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(out[3:], np.exp(x[3:].astype(np.longdouble)).astype(np.float64), rtol=2 * unit)
    y = np.exp(lowest * rng.uniform(-0.99, 0.99, size=2048)).astype(dtype)
    y[:1024] = np.exp(rng.uniform(-1e-3, 1e-3, size=1024))
    y[0] = 1.0
    third = np.empty_like(y)
    apply_log(y, out, third)
    assert out[0] == 0.0
    np.testing.assert_allclose(third, (1.0 / 3.0) / y.astype(np.float64), rtol=4 * unit)
    np.testing.assert_allclose(out[1:], np.log(y[1:].astype(np.longdouble)).astype(np.float64), rtol=2 * unit)


def test_responsibilities_follow_bayes_rule_whatever_the_scale_of_the_densities(rng):
    joint, weight = rng.normal(size=(3, LANES)) * 300.0 - 1e4, rng.random(LANES)
    total = logsumexp(joint, axis=0)
    expected = np.exp(joint - total) * weight
    density = np.empty(LANES)
    posterior.soft(joint, weight, density, np.empty(LANES), 0)
    log_likelihood = posterior.weighted_total(weight, density)
    np.testing.assert_allclose(density, total, rtol=1e-14)
    np.testing.assert_allclose(joint, expected, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(log_likelihood, weight @ total, rtol=1e-14)


@pytest.mark.parametrize(("dtype", "lowest"), [("float64", -1e300), ("float32", -1e37)])
def test_rows_that_are_all_but_impossible_have_their_densities_and_a_component(dtype, lowest):
    joint, density = np.full((2, LANES), lowest, dtype), np.empty(LANES, dtype)
    joint[1] *= 2.0
    with np.errstate(over="ignore"):  # without compilation; overflowed values are not used
        posterior.soft(joint, np.ones(LANES, dtype), density, np.empty(LANES, dtype), 0)
    np.testing.assert_array_equal(density, np.full(LANES, lowest, dtype))
    np.testing.assert_array_equal(joint, [[1.0] * LANES, [0.0] * LANES])


def test_a_row_that_no_component_allows_has_density_zero_and_no_responsibilities():
    joint, density, weight = np.full((2, LANES), np.log(0.5)), np.empty(LANES), np.zeros(LANES)
    joint[:, 1] = -np.inf
    joint[0, 2] = -np.inf
    weight[:3] = 1.0, 0.0, 1.0  # row 1 does not count while its weight is zero
    posterior.soft(joint, weight, density, np.empty(LANES), 0)
    log_likelihood = posterior.weighted_total(weight, density)
    np.testing.assert_allclose(joint[:, :3], [[0.5, 0.0, 0.0], [0.5, 0.0, 1.0]])
    np.testing.assert_allclose(density[:3], [0.0, -np.inf, np.log(0.5)])
    np.testing.assert_allclose(log_likelihood, np.log(0.5))
    weight[1] = 1.0
    joint[:, 1] = -np.inf
    posterior.soft(joint, weight, density, np.empty(LANES), 0)
    assert posterior.weighted_total(weight, density) == -np.inf


def test_the_first_of_equally_probable_components_is_the_label():
    joint, labels = np.zeros((2, LANES)), np.empty(LANES)
    joint[:, :3] = [[0.0, -1.0, -np.inf], [0.0, 2.0, -np.inf]]
    posterior.most_probable(joint, np.log([0.5, 0.5]), labels)
    assert labels[:3].tolist() == [0, 1, 0]
    posterior.most_probable(joint, np.log([0.4, 0.6]), labels)
    assert labels[:3].tolist() == [0, 1, 1]  # the heavier one if both densities are zero, as in predict_proba


def test_entropy_of_even_responsibilities_is_the_logarithm_of_their_number():
    weight = np.zeros(LANES)
    weight[:2] = 1.0, 3.0
    np.testing.assert_allclose(posterior.entropy(np.full((4, LANES), 0.25), weight), 4 * np.log(4), rtol=1e-15)
    certain = np.zeros((2, LANES))
    certain[0] = 1.0
    assert posterior.entropy(certain, weight) == 0.0


def test_the_mass_of_a_component_is_the_sum_of_its_responsibilities(rng):
    resp, mass = rng.random((3, LANES)), np.ones(3)
    posterior.component_mass(resp, mass)
    np.testing.assert_allclose(mass, 1.0 + resp.sum(axis=1), rtol=1e-14)


def test_vectors_without_a_responsibility_worth_the_work_are_left_out(rng):
    resp = np.zeros(LANES)
    resp[[3, 20, 21, LANES - 1]] = 1e-3, 1.0, 1e-30, 1e-25
    step = vectors.lanes(resp)
    found = np.empty(LANES, np.int64)
    assert found[: posterior.active_vectors(resp, 1.0, found)].tolist() == [3 // step * step, 20 // step * step]
    assert found[posterior.active_vectors(resp, 0.0, found) - 1] == LANES - step
    resp[40] = 1e-19  # too small to change a sum of 1, but its moments may count if the row is far away
    assert 40 // step * step in found[: posterior.active_vectors(resp, 1.0, found)]


def test_vectors_that_matter_to_one_of_two_components_and_those_that_matter_to_both():
    resp, mass, found = np.zeros((3, LANES)), np.ones(3), np.empty(LANES, np.int64)
    step = vectors.lanes(resp)
    resp[1, [3, 20]], resp[2, [20, LANES - 1]] = 1.0, 1.0
    n_either, n_both = posterior.active_in_two(resp, mass, 1, found)
    assert found[:n_either].tolist() == [3 // step * step, 20 // step * step, LANES - step]
    assert n_both == 1


class Known(NamedTuple):
    """Labels and plausibilities of rows, as kernels read them."""

    labels: np.ndarray
    plausibility: np.ndarray


def test_labels_and_plausibilities_restrict_the_components(rng):
    start, joint = 2, rng.normal(size=(3, LANES))
    labels = np.array([9, 9, -1, 0, 1, 2])
    expected = joint.copy()
    expected[1:, 1] = expected[[0, 2], 2] = expected[:2, 3] = -np.inf
    restricted = joint.copy()
    posterior.restrict(Known(labels, np.empty((0, 3))), start, 6, restricted)
    np.testing.assert_array_equal(restricted, expected)
    plausible = rng.random((6, 3))
    plausible[3, 1] = 0.0
    restricted = joint.copy()
    posterior.restrict(Known(np.empty(0, np.int64), plausible), start, 6, restricted)
    with np.errstate(divide="ignore"):
        expected = joint[:, :4] + np.log(plausible[2:]).T
    np.testing.assert_allclose(restricted[:, :4], expected, rtol=1e-15)
    np.testing.assert_array_equal(restricted[:, 4:], joint[:, 4:])


@pytest.mark.parametrize("single", [False, True])
def test_workspaces_start_where_a_vector_may(single):
    for n_rows in range(100, 106):
        source = ArraySource(np.zeros((n_rows, 3)), single=single)
        for workspace in source.executor.workspaces(get_passes(get_family("gaussian-full")), source.rows, 2, 3):
            assert workspace.shape == (workspace_rows(3, 2), 128)
            assert workspace.dtype == (np.float32 if single else np.float64)
            assert workspace.ctypes.data % registers.LOGICAL_BYTES == 0


def test_given_responsibilities_count_a_row_as_often_as_they_sum_to(rng):
    given, resp, weight = rng.random((10, 2)), np.empty((2, LANES)), np.zeros(LANES)
    given[7] = 0.0
    weight[:4] = 1.0, 2.0, 3.0, 4.0
    tiles.take(given, 4, 8, resp, weight)
    expected = given[4:8].T * [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_array_equal(resp, np.pad(expected, ((0, 0), (0, LANES - 4))))
    np.testing.assert_array_equal(weight, resp.sum(axis=0))


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 11.0)])
def test_a_tile_holds_the_rows_by_column_about_the_origin_and_pads_with_weight_zero(weights, rng):
    values, origin = rng.normal(size=(10, 3)), np.array([1.0, 2.0, 3.0])
    tile, weight = np.empty((3, 8)), np.empty(8)
    tiles.load(ArraySource(values, weights, origin).rows, 4, 10, tile, weight)
    np.testing.assert_array_equal(tile[:, :6], (values[4:10] - origin).T)
    np.testing.assert_array_equal(tile[:, 6:], tile[:, [0, 0]])
    np.testing.assert_array_equal(weight, [*(np.ones(6) if weights is None else weights[4:10]), 0.0, 0.0])


@pytest.mark.parametrize("layout", ["C", "F", "strided"])
@pytest.mark.parametrize(("of", "into"), [("float64", "float64"), ("float32", "float64"), ("float32", "float32")])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 7, 8, 9, 12, 19])
def test_any_memory_order_and_width_fills_a_tile(d, of, into, layout, rng):
    values = rng.integers(-100, 100, size=(2 * LANES, d)).astype(of)
    if layout != "C":
        values = np.asfortranarray(values) if layout == "F" else np.repeat(np.repeat(values, 2, 0), 2, 1)[::2, ::2]
    origin = np.arange(float(d))
    tile, weight = np.empty((d, LANES), into), np.empty(LANES, into)
    rows = ArraySource(values, None, origin).rows
    tiles.load(rows, 3, LANES, tile, weight)
    np.testing.assert_array_equal(tile[:, : LANES - 3], (values[3:LANES] - origin).T)
    tiles.load(rows, LANES, 2 * LANES, tile, weight)  # to the last element
    np.testing.assert_array_equal(tile, (values[LANES:] - origin).T)
