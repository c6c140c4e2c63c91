"""Kernels for incomplete rows, and for a constant density, against numpy. Also run with compilation off."""

import numpy as np
import pytest
from scipy import stats

from fastem.data import ArraySource
from fastem.data.row_info import Annotations
from fastem.engine.tiling import FACTOR_TILE_ROWS, aligned_zeros
from fastem.families import get_family
from fastem.families._incomplete import scratch_rows
from fastem.families.incomplete import vary
from fastem.kernels import cells, incomplete, jit, lane_matrices, tiles, uniform, vectors

pytestmark = pytest.mark.slow

LANES = 64
LOG_2_PI = np.log(2 * np.pi)
sizes = pytest.mark.parametrize("m", [2, 4, 6, 8, 12])
STEP = vectors.group_lanes(np.empty(0))


def covariances(rng, n, m):
    """Positive definite matrices (n, m, m)."""
    mixing = rng.normal(size=(n, m, m))
    return mixing @ np.swapaxes(mixing, 1, 2) + 0.5 * np.eye(m)


def in_lanes(matrices):
    """Lower triangles (m (m + 1) / 2, lanes), by rows."""
    m = matrices.shape[1]
    return np.ascontiguousarray(matrices[:, *np.tril_indices(m)].T)


@jit.kernel
def apply_factorise(m, seen, work, factor, at, out):
    distance, log_determinant = lane_matrices.factorise(m, seen, work, factor, at)
    vectors.store(distance + log_determinant, out, 0)


@jit.kernel
def apply_add_moments(m, d, triangular, responsibility, share, factor, at, w, weighted, sums):
    r, s = vectors.load_group(responsibility, 0), vectors.load_group(share, 0)
    lane_matrices.add_moments(m, d, triangular, r, s, factor, at, w, weighted, sums, 0)


class Factored:
    """Matrices T and residuals q, some of whose values are missing, and the result of `factorise`."""

    def __init__(self, rng, m):
        self.m, self.at = m, 3
        self.T = covariances(rng, STEP, m)
        self.q = rng.normal(size=(STEP, m))
        self.seen = rng.random((STEP, m)) < 0.7
        self.seen[0], self.seen[1] = True, False
        self.factor = np.full((self.at + lane_matrices.factor_rows(m), STEP), 7.0)
        self.first_e = self.at + m * (m - 1) // 2 + m
        self.factor[self.first_e :] = np.where(self.seen, self.q, 0.0).T
        seen = np.ascontiguousarray(self.seen.T, dtype=float)
        self.value = np.empty(STEP)
        apply_factorise(m, seen, in_lanes(self.T), self.factor, self.at, self.value)

    def inverse(self, lane):
        """Inverse of the observed part of T, zero elsewhere (m, m)."""
        there = np.ix_(self.seen[lane], self.seen[lane])
        result = np.zeros((self.m, self.m))
        result[there] = np.linalg.inv(self.T[lane][there])
        return result

    def present(self, lane):
        return np.where(self.seen[lane], self.q[lane], 0.0)


@sizes
def test_a_factor_gives_determinant_and_distance_of_what_is_seen(m, rng):
    case = Factored(rng, m)
    for lane in range(STEP):
        there = np.ix_(case.seen[lane], case.seen[lane])
        q = case.present(lane)
        expected = np.linalg.slogdet(case.T[lane][there])[1] + q @ case.inverse(lane) @ q
        np.testing.assert_allclose(case.value[lane], expected, rtol=1e-11, atol=1e-11)
    assert (case.factor[: case.at] == 7.0).all()


@sizes
def test_a_factor_holds_u_and_d_and_solves_for_the_residuals(m, rng):
    """U D U' is T where all is seen, and U e = q everywhere."""
    case = Factored(rng, m)
    inverse_d = case.factor[case.at + m * (m - 1) // 2 : case.first_e]
    for lane in range(STEP):
        U = np.eye(m)
        U[np.tril_indices(m, -1)] = case.factor[case.at : case.at + m * (m - 1) // 2, lane]
        np.testing.assert_allclose(U @ case.factor[case.first_e :, lane], case.present(lane), atol=1e-11)
        assert ((inverse_d[:, lane] > 0) == case.seen[lane]).all()
        if case.seen[lane].all():
            np.testing.assert_allclose(U / inverse_d[:, lane] @ U.T, case.T[lane], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("m", "d", "triangular"),
    [(2, 2, True), (4, 4, True), (8, 8, True), (2, 6, False), (4, 4, False), (6, 2, False), (12, 4, False)],
)
def test_moments_of_what_is_behind_a_row(m, d, triangular, rng):
    """Sums of s u and s u u' - r P, with u = A' T^-1 q and P = A' T^-1 A."""
    case = Factored(rng, m)
    A = rng.normal(size=(STEP, m, d))
    if triangular:
        A = np.tril(A)
    w = np.zeros(((m + 1) * d, STEP))
    w[: m * d] = A.reshape(STEP, -1).T
    lane_matrices.solve(m, d, triangular, case.factor, case.at, w)
    responsibility, share = rng.random(STEP), rng.random(STEP)
    weighted, sums = np.zeros(((m + 1) * d + 2 * m, STEP)), np.ones((d + d * d, STEP))
    apply_add_moments(m, d, triangular, responsibility, share, case.factor, case.at, w, weighted, sums)
    for lane in range(STEP):
        gain = A[lane].T @ case.inverse(lane)
        u = gain @ case.present(lane)
        expected = share[lane] * np.outer(u, u) - responsibility[lane] * gain @ A[lane]
        np.testing.assert_allclose(sums[:d, lane] - 1, share[lane] * u, atol=1e-9)
        found = sums[d:, lane].reshape(d, d) - 1
        np.testing.assert_allclose(np.tril(found), np.tril(expected), atol=1e-8)


class Tile:
    """A tile of rows with errors and projections, and components."""

    def __init__(self, rng, m, d, errors, projected):
        n, full = FACTOR_TILE_ROWS, get_family("gaussian-full")
        self.values = np.where(rng.random((n, m)) < 0.3, np.nan, rng.normal(size=(n, m)))
        self.noise = covariances(rng, n, m) * errors
        self.R = rng.normal(size=(n, m, d)) if projected else np.tile(np.eye(m), (n, 1, 1))
        noise, projection = (array.reshape(n, -1) for array in (self.noise, self.R))
        known = Annotations(None, None, noise if errors else None, projection if projected else None)
        rows = ArraySource(self.values, annotations=known).rows
        self.tile = aligned_zeros((rows.width, n), np.float64)
        tiles.load(rows, 0, n, self.tile[:m], np.empty(n))
        incomplete.load_errors(rows, 0, n, self.tile[m:])
        self.centres, self.V, self.constants = rng.normal(size=(2, d)), covariances(rng, 2, d), np.array([0.5, -1.5])
        self.lower = np.linalg.cholesky(self.V)
        upper = np.swapaxes(np.linalg.inv(self.lower), 1, 2)
        params = full.restore({"means": self.centres, "covariances": self.V, "precisions_cholesky": upper})
        self.params = vary(full).prepare(params, rows)._replace(log_constant=self.constants)
        self.scratch = aligned_zeros((scratch_rows(m, d, 2, n), n), np.float64)

    def behind(self, row, k):
        """Log-density without powers of 2 pi, u (d,) and P (d, d)."""
        there = ~np.isnan(self.values[row])
        R, S = self.R[row][there], self.noise[row][np.ix_(there, there)]
        residual = self.values[row][there] - R @ self.centres[k]
        T, A = R @ self.V[k] @ R.T + S, R @ self.lower[k]
        inverse = np.linalg.inv(T)
        value = np.linalg.slogdet(T)[1] + residual @ inverse @ residual
        return self.constants[k] - value / 2, A.T @ inverse @ residual, A.T @ inverse @ A


@pytest.mark.parametrize(
    ("m", "d", "errors", "projected"),
    [(1, 1, False, False), (3, 3, False, False), (4, 4, True, False), (5, 5, True, False), (2, 3, True, True)],
)
def test_rows_seen_in_part(m, d, errors, projected, rng):
    tile = Tile(rng, m, d, errors, projected)
    out = np.empty((2, FACTOR_TILE_ROWS))
    incomplete.log_densities(tile.params, tile.tile, tile.scratch, out)
    parts = [[tile.behind(row, k) for row in range(FACTOR_TILE_ROWS)] for k in range(2)]
    np.testing.assert_allclose(out, [[part[0] for part in row] for row in parts], rtol=1e-10, atol=1e-10)
    resp, even = rng.random((2, FACTOR_TILE_ROWS)), d + d % 2
    sums = aligned_zeros((2 * (even + even**2) * incomplete.LANES,), np.float64)
    incomplete.add_statistics(tile.params, tile.tile, resp, resp, resp.sum(axis=1), tile.scratch, sums)
    found = sums.reshape(2, even + even**2, incomplete.LANES).sum(axis=2)
    for k in range(2):
        first = sum(r * u for r, (_, u, _) in zip(resp[k], parts[k], strict=True))
        second = sum(r * (np.outer(u, u) - P) for r, (_, u, P) in zip(resp[k], parts[k], strict=True))
        np.testing.assert_allclose(found[k, :d], first, atol=1e-9)
        np.testing.assert_allclose(np.tril(found[k, even:].reshape(even, even)[:d, :d]), np.tril(second), atol=1e-8)


# Independent columns


@pytest.fixture
def cell_tile(rng):
    """Counts (4, 64), some of them missing, and all of row 5."""
    tile = rng.integers(0, 5, size=(4, LANES)).astype(float)
    tile[rng.random(tile.shape) < 0.3] = np.nan
    tile[:, 5] = np.nan
    return tile


def test_densities_of_the_cells_that_are_there(rng, cell_tile):
    means, deviations, out = rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=(3, 4)), np.empty((3, LANES))
    inverse, constant = 1 / deviations, rng.normal(size=3)
    cells.log_densities(inverse, means * inverse, np.log(inverse), constant, cell_tile, out)
    each = stats.norm(means[:, :, None], deviations[:, :, None]).logpdf(cell_tile) + LOG_2_PI / 2
    np.testing.assert_allclose(out, constant[:, None] + np.nansum(each, axis=1), rtol=1e-12, atol=1e-12)


def test_probabilities_of_the_counts_that_are_there(rng, cell_tile):
    rates, constant, out = rng.uniform(0.5, 3, size=(3, 4)), rng.normal(size=3), np.empty((3, LANES))
    rates[0, 1] = 0.0  # allows a count of zero
    with np.errstate(divide="ignore"):
        log_rates = np.log(rates)
    cells.log_counts(log_rates, rates, constant, cell_tile, out)
    with np.errstate(invalid="ignore"):
        each = np.where(cell_tile == 0, 0, cell_tile * log_rates[:, :, None]) - rates[:, :, None]
    np.testing.assert_allclose(out, constant[:, None] + np.nansum(each, axis=1), rtol=1e-12)


def test_sums_of_the_cells_that_are_there(rng, cell_tile):
    resp, centre, there = rng.random(LANES), rng.normal(size=4), ~np.isnan(cell_tile)
    active = np.arange(0, LANES, vectors.lanes(np.empty(0)))
    sums = np.ones(1 + 3 * 4)
    cells.weighted_moments(resp, active, cell_tile, centre, 1, sums)
    z = np.where(there, cell_tile - centre[:, None], 0.0)
    expected = np.concatenate([there @ resp, z @ resp, z**2 @ resp])
    np.testing.assert_allclose(sums, [1, *(1 + expected)], rtol=1e-12)
    sums = np.ones(1 + 2 * 4)
    cells.weighted_counts(resp, active, cell_tile, 1, sums)
    np.testing.assert_allclose(sums, [1, *(1 + there @ resp), *(1 + np.nan_to_num(cell_tile) @ resp)], rtol=1e-12)


# A constant density


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_constant_density_fills_its_row_and_no_other(dtype):
    out = np.zeros((3, LANES), dtype)
    uniform.log_density(np.array([1.0, 2.5, 3.0], dtype), 1, out)
    np.testing.assert_array_equal(out, np.outer([0, 2.5, 0], np.ones(LANES)))


def test_a_constant_density_of_what_is_there(rng, cell_tile):
    """Missing columns do not count in the box's volume; powers of 2 pi are left out, as in other densities."""
    log_widths, out = rng.normal(size=4), np.zeros((2, LANES))
    uniform.log_density_of_parts(np.array([0.0, -log_widths.sum()]), log_widths, 1, cell_tile, out)
    there = ~np.isnan(cell_tile)
    np.testing.assert_allclose(out[1], there.T @ (LOG_2_PI / 2 - log_widths), rtol=1e-12, atol=1e-12)
    assert not out[0].any()


def test_what_others_claim_of_rows(rng):
    weight, resp = rng.uniform(1, 2, LANES), rng.random((3, LANES))
    resp[:, 7] = 1e-22  # negligible beside the row's weight
    uniform.claimed(resp, weight)
    np.testing.assert_allclose(weight, np.where(np.arange(LANES) == 7, 0, resp.sum(axis=0)), rtol=1e-14)
