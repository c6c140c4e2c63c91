"""Gaussian components for rows with missing values, measurement errors and projections, which may differ by row.

A row is x = R v + error: the value v ~ N(mu, V) is observed through a projection R, by default the identity, with an
error of covariance S. A missing value is a row that R lacks. With V = L L', A = R L, T = A A' + S and q = x - R mu, a
pass needs only

    log N(q; 0, T),    u = A' T^-1 q,    P = A' T^-1 A

Given the row, v has the mean mu + L u and the covariance L (I - P) L' (Bovy, Hogg and Roweis, 2011). So passes sum u
and u u' - P, whose entries are of order one, and the sums are multiplied by L once per pass.

T = U D U' with unit triangular U is factored without square roots. The inverse of a missing value's pivot is set to
zero, so that it does not affect the others. Then W = U^-1 A and e = U^-1 q give u = W' D^-1 e and P = W' D^-1 W. The
density keeps U, D^-1 and e for the statistics.

For each component, columns are in units that are powers of two near their deviations, so that T has entries of order
one for any scale of the data. Powers of two do not change rounding.

A tile has the values (m), and after them, if there are errors or projections, the lower triangles of S
(m (m + 1) / 2) and R (m d). Odd dimensions are padded by one dimension that is always missing.

Bovy, Hogg and Roweis (2011), Extreme deconvolution, Annals of Applied Statistics 5, 1657-1677.
"""

import numpy as np

from fastem.kernels.jit import kernel
from fastem.kernels.lane_matrices import add_moments, factor_rows, factorise, padded, solve
from fastem.kernels.posterior import NEGLIGIBLE
from fastem.kernels.vectors import (
    alike,
    any_lane,
    broadcast_group,
    group_lanes,
    load_group,
    maximum,
    multiply_add,
    store,
    where,
)

FARTHEST = 1e150  # limit of residuals in units of deviations; its square is finite
LANES = 16  # number of lanes whose sums are kept apart, for any size of a group
APART = 7  # vectors between memory that is read and written: a store delays loads a multiple of 4096 bytes away


@kernel
def load_errors(rows, start, stop, part):
    """Fill `part` (m (m + 1) / 2 + m d, b) with the errors' covariances and the projections of rows start..stop."""
    if part.shape[0] == 0:
        return
    m = rows.values.shape[1]
    noise, projection = rows.noise, rows.projection
    size = m * (m + 1) // 2
    for c in range(part.shape[1]):
        row = start + (c if c < stop - start else 0)
        if noise.shape[0] == 0:
            for i in range(size):
                part[i, c] = 0.0
        else:
            source = noise[row if noise.shape[0] > 1 else 0]
            whole = source.size == m * m
            for i in range(m):
                for j in range(i):
                    part[i * (i + 1) // 2 + j, c] = source[i * m + j] if whole else 0.0
                part[i * (i + 1) // 2 + i, c] = source[i * m + i] if whole else source[i]
        if projection.shape[0] > 0:
            source = projection[row if projection.shape[0] > 1 else 0]
            for i in range(source.size):
                part[size + i, c] = source[i]


@kernel
def areas(scratch, layout, n_components, step, b):
    """Divide scratch memory into arrays of vectors: factors of all rows and components, `seen`, T, W and weighted W."""
    m, d = padded(layout[0]), padded(layout[1])
    size = factor_rows(m)
    flat = scratch.reshape(-1)
    vectors = flat[: flat.size // step * step].reshape(flat.size // step, step)
    first = n_components * (b // step) * size
    factors, seen, rest = vectors[:first], vectors[first : first + m], vectors[first + m :]
    n_work = m * (m + 1) // 2
    last = n_work + (m + 1) * d
    w, weighted = rest[n_work:last], rest[last + APART :]
    return factors, seen, rest[:n_work], w, weighted


@kernel
def see(tile, c, params, k, seen, factor, first_e):
    """Set `seen` (m,) to one for observed values, and entries of `factor` to residuals x - R mu in the columns' units.

    Both are zero for missing values. Returns the constant of component k plus the logarithms of the units.
    """
    m, d, projected = params.layout[0], params.layout[1], params.layout[3]
    centre, unit, log_unit = params.centres[k], params.units[k], params.log_units[k]
    level = broadcast_group(params.log_constant, k)
    like = load_group(tile, 0, c)
    zero, one = alike(0.0, like), alike(1.0, like)
    farthest, minus_farthest = alike(FARTHEST, like), alike(-FARTHEST, like)
    first = m + m * (m + 1) // 2
    for i in range(m):
        x = load_group(tile, i, c)
        there = x >= x
        residual = x
        if projected:
            for p in range(d):
                residual = residual - load_group(tile, first + i * d + p, c) * broadcast_group(centre, p)
        else:
            residual = residual - broadcast_group(centre, i)
        level = level + where(there, zero + broadcast_group(log_unit, i), zero)
        store(where(there, one, zero), seen, i, 0)
        # at this distance densities are zero; infinite residuals would make sums NaN even with weight zero
        residual = maximum(residual * broadcast_group(unit, i), minus_farthest)
        residual = where(farthest > residual, residual, farthest)
        store(where(there, residual, zero), factor, first_e + i, 0)
    for i in range(m, seen.shape[0]):
        store(zero, seen, i, 0)
        store(zero, factor, first_e + i, 0)
    return level


@kernel
def add_errors(tile, c, m, unit, work):
    """Add the lower triangles of S to T, in the columns' units."""
    for i in range(m):
        of_row = broadcast_group(unit, i)
        for j in range(i + 1):
            at = i * (i + 1) // 2 + j
            error = load_group(tile, m + at, c) * of_row
            store(multiply_add(error, broadcast_group(unit, j), load_group(work, at, 0)), work, at, 0)


@kernel
def assemble(covariance, work):
    """Set T, the lower triangle in `work`, to V (d, d)."""
    m = covariance.shape[0]
    for i in range(m):
        for j in range(i + 1):
            store(broadcast_group(covariance, i, j), work, i * (i + 1) // 2 + j, 0)


@kernel
def project(tile, c, layout, lower, unit, w):
    """Set `w` to A = R L (m, d), in the columns' units."""
    m, d = layout[0], layout[1]
    zero = alike(0.0, load_group(w, 0, 0))
    width = padded(d)
    first = m + m * (m + 1) // 2
    for i in range(padded(m)):
        for j in range(width):
            a = zero
            if i < m and j < d:
                for p in range(j, d):
                    a = multiply_add(load_group(tile, first + i * d + p, c), broadcast_group(lower, p, j), a)
                a = a * broadcast_group(unit, i)
            store(a, w, i * width + j, 0)


@kernel
def spread(lower, w):
    """Set the lower 2 x 2 blocks of `w` to A = L (d, d)."""
    d = lower.shape[0]
    for i in range(d):
        for j in range(i // 2 * 2 + 2):
            store(broadcast_group(lower, i, j), w, i * d + j, 0)


@kernel
def assemble_projected(w, layout, work):
    """Set T, the lower triangle in `work`, to A A'."""
    m, d = padded(layout[0]), padded(layout[1])
    zero = alike(0.0, load_group(w, 0, 0))
    for i in range(m):
        for j in range(i + 1):
            t = zero
            for p in range(d):
                t = multiply_add(load_group(w, i * d + p, 0), load_group(w, j * d + p, 0), t)
            store(t, work, i * (i + 1) // 2 + j, 0)


@kernel
def evaluate(params, tile, c, k, areas_of_tile, at):
    """Level, squared distance and log det T of a group of rows in component k.

    U, D^-1 and e are stored in the factors' memory from `at` on. The level is the first result of `see`.
    """
    factors, seen, work, w, _ = areas_of_tile
    layout, unit = params.layout, params.units[k]
    m = layout[0]
    level = see(tile, c, params, k, seen, factors, at + factor_rows(padded(m)) - padded(m))
    if layout[3]:
        project(tile, c, layout, params.lower[k], unit, w)
        assemble_projected(w, layout, work)
    else:
        assemble(params.covariances[k], work)
    if layout[2]:
        add_errors(tile, c, m, unit, work)
    distance, log_determinant = factorise(padded(m), seen, work, factors, at)
    return level, distance, log_determinant


@kernel
def log_densities(params, tile, scratch, out):
    """out[k, c] = constant[k] + log N(q; 0, T) without powers of 2 pi; `scratch` keeps factors for the statistics."""
    n_components, b = out.shape
    step = group_lanes(tile)
    areas_of_tile = areas(scratch, params.layout, n_components, step, b)
    size = factor_rows(padded(params.layout[0]))
    minus_half = alike(-0.5, load_group(tile, 0, 0))
    for k in range(n_components):
        for c in range(0, b, step):
            at = (c // step * n_components + k) * size
            level, distance, log_determinant = evaluate(params, tile, c, k, areas_of_tile, at)
            store(multiply_add(minus_half, distance + log_determinant, level), out, k, c)


@kernel
def log_levels(params, tile, scratch, halves, out):
    """`log_densities` in two parts: out (K, b) without the squared distances D, and -D / 2 in `halves` (K, b)."""
    n_components, b = out.shape
    step = group_lanes(tile)
    areas_of_tile = areas(scratch, params.layout, n_components, step, b)
    size = factor_rows(padded(params.layout[0]))
    like = load_group(tile, 0, 0)
    zero, minus_half, undefined = alike(0.0, like), alike(-0.5, like), alike(np.nan, like)
    for k in range(n_components):
        for c in range(0, b, step):
            at = (c // step * n_components + k) * size
            level, distance, log_determinant = evaluate(params, tile, c, k, areas_of_tile, at)
            level = multiply_add(minus_half, log_determinant, level)
            store(where(distance >= zero, level, undefined), out, k, c)
            store(minus_half * distance, halves, k, c)


@kernel
def add_statistics(params, tile, resp, share, mass, scratch, stats):
    """Add s u (d,) and s u u' - r P (d, d) for each component and lane, with the factors that `log_densities` kept.

    r are responsibilities `resp` (K, b), and s are `share` (K, b): the same, or multiplied by latent weights.
    """
    n_components, b = resp.shape
    step = group_lanes(tile)
    layout = params.layout
    m, d = padded(layout[0]), padded(layout[1])
    size = factor_rows(m)
    factors, _, _, w, weighted = areas(scratch, layout, n_components, step, b)
    sums = stats.reshape(n_components, d + d * d, LANES)
    like = load_group(tile, 0, 0)
    for k in range(n_components):
        limit = alike(NEGLIGIBLE * mass[k], like)
        lower, own = params.lower[k], sums[k]
        for first in range(0, b, LANES):
            if not any_above(resp, k, first, limit):
                continue
            for c in range(first, first + LANES, step):
                at = (c // step * n_components + k) * size
                if layout[3]:
                    project(tile, c, layout, lower, params.units[k], w)
                else:
                    spread(lower, w)
                solve(m, d, not layout[3], factors, at, w)
                r, s = load_group(resp, k, c), load_group(share, k, c)
                add_moments(m, d, not layout[3], r, s, factors, at, w, weighted, own, c - first)


@kernel
def any_above(resp, k, first, limit):
    """Whether component k has a responsibility above `limit` for any of the `LANES` rows from `first` on."""
    found = False
    for c in range(first, first + LANES, group_lanes(resp)):
        found |= any_lane(load_group(resp, k, c) > limit)
    return found
