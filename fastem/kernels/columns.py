"""Sums over feature-major tiles that treat each column of the data by itself, in blocks that fill the registers."""

import functools

import numpy as np

from fastem.kernels.instructions import instructions, keys_of, over_active
from fastem.kernels.jit import kernel
from fastem.kernels.posterior import active_in_two, active_vectors
from fastem.kernels.registers import SHAPES
from fastem.kernels.shuffles import add_totals, total
from fastem.kernels.vectors import broadcast, lanes, load, multiply_add, splat, store, where


@kernel
def weighted_sum(resp, active, z, first, stats):
    """stats[first + i] += sum_c resp[c] z[i, c] for every row i of z (m, b), over vectors that begin at `active`."""
    m = z.shape[0]
    zero = splat(0.0, z)
    whole = m // 4 * 4
    for i in range(0, whole, 4):
        t0 = zero; t1 = zero; t2 = zero; t3 = zero
        for c in active:
            w = load(resp, c)
            t0 = multiply_add(w, load(z, i, c), t0); t1 = multiply_add(w, load(z, i + 1, c), t1)
            t2 = multiply_add(w, load(z, i + 2, c), t2); t3 = multiply_add(w, load(z, i + 3, c), t3)
        add_totals(t0, t1, t2, t3, stats, first + i)
    for i in range(whole, m):
        t0 = zero
        for c in active:
            t0 = multiply_add(load(resp, c), load(z, i, c), t0)
        stats[first + i] += total(t0)


@kernel
def log_densities_spherical(centres, inverse_deviation, constant, tile, out):
    """out[k, c] = constant[k] - inverse_deviation[k]^2 |tile[:, c] - centres[k]|^2 / 2."""
    halved_distances(centres, inverse_deviation, constant, tile, out)


@kernel
def log_densities_diagonal(inverse_deviation, offset, constant, tile, out):
    """out[k, c] = constant[k] - sum_j (inverse_deviation[k, j] tile[j, c] - offset[k, j])^2 / 2."""
    halved_residuals(inverse_deviation, offset, constant, tile, out)


@kernel
def log_densities_counts(factor, constant, tile, out):
    """out[k, c] = constant[k] + sum_j factor[k, j] tile[j, c], where zero times -inf is zero."""
    weighted_counts(factor, constant, tile, out)


def halved_distances(centres, inverse_deviation, constant, tile, out):
    """The computation of `log_densities_spherical`."""
    squares = ((tile - centres[:, :, None]) ** 2).sum(axis=1)
    out[:] = constant[:, None] - 0.5 * squares * inverse_deviation[:, None] * inverse_deviation[:, None]


@instructions(halved_distances)
def _write_halved_distances(k, centres, inverse_deviation, constant, tile, out):
    def term(component, j, xs, cells):
        mean = k.broadcast(centres, component, j)
        for x, cell in zip(xs, cells, strict=True):
            u = k.subtract(x, mean)
            k.add_product(cell, u, u)

    def finish(component, squares):
        level, scale = k.broadcast(constant, component), k.broadcast(inverse_deviation, component)
        # one factor at a time: the square of the inverse deviation alone may overflow
        scaled = [k.multiply(k.multiply(square, scale), scale) for square in squares]
        return [k.multiply_add(k.constant(-0.5), square, level) for square in scaled]

    _by_components(k, tile, out, lambda component: k.zero, term, finish)


def halved_residuals(inverse_deviation, offset, constant, tile, out):
    """The computation of `log_densities_diagonal`."""
    residuals = inverse_deviation[:, :, None] * tile - offset[:, :, None]
    out[:] = constant[:, None] - 0.5 * (residuals**2).sum(axis=1)


@instructions(halved_residuals)
def _write_halved_residuals(k, inverse_deviation, offset, constant, tile, out):
    def term(component, j, xs, cells):
        a, h = k.broadcast(inverse_deviation, component, j), k.negative(k.broadcast(offset, component, j))
        for x, cell in zip(xs, cells, strict=True):
            u = k.multiply_add(a, x, h)
            k.add_product(cell, u, u)

    def finish(component, squares):
        level = k.broadcast(constant, component)
        return [k.multiply_add(k.constant(-0.5), square, level) for square in squares]

    _by_components(k, tile, out, lambda component: k.zero, term, finish)


def weighted_counts(factor, constant, tile, out):
    """The computation of `log_densities_counts`."""
    with np.errstate(invalid="ignore"):
        out[:] = constant[:, None] + np.where(tile > 0.0, tile * factor[:, :, None], 0.0).sum(axis=1)


@instructions(weighted_counts)
def _write_weighted_counts(k, factor, constant, tile, out):
    def term(component, j, xs, cells):
        a = k.broadcast(factor, component, j)
        for x, cell in zip(xs, cells, strict=True):
            k.add_product(cell, x, k.where_larger(x, k.zero, a, k.zero))

    _by_components(k, tile, out, lambda component: k.broadcast(constant, component), term, lambda component, sums: sums)


def _by_components(k, tile, out, start, term, finish):
    """Densities out[k, c] from sums over features, for a block of components by vectors at a time.

    `term(component, j, xs, cells)` adds the terms of feature j, `finish(component, sums)` returns densities.
    """
    n_at_once, n_vectors = SHAPES.columns

    def block(n_components, n_vectors, first, c):
        components = [k.plus(first, r) for r in range(n_components)]
        rows = [k.plus(c, v * k.lanes) for v in range(n_vectors)]
        initial = [start(component) for component in components]
        cells = k.sums(keys_of(n_components, n_vectors), lambda key: initial[key[0]])
        with k.loop(0, k.size(tile)) as j:
            xs = [k.load(tile, j, row) for row in rows]
            for r, component in enumerate(components):
                term(component, j, xs, [cells[r, v] for v in range(n_vectors)])
        for r, component in enumerate(components):
            sums = [k.value(cells[r, v]) for v in range(n_vectors)]
            for row, density in zip(rows, finish(component, sums), strict=True):
                k.store(density, out, component, row)

    def write(n_components, first):
        def of_vectors(size, c):
            block(n_components, size // k.lanes, first, c)

        k.runs(k.size(tile, 1), n_vectors * k.lanes, of_vectors, rest=(k.lanes,))

    k.runs(k.size(out), n_at_once, write)


@kernel
def moments(resp, mass, centres, tile, vectors, stats):
    """Add first and second moments of tile - centres[k], weighted by resp[k], for each component k.

    Those of feature j are added to stats[2 k d + j] and stats[2 k d + d + j]. Two components are processed together if
    most rows with a share in one have a share in the other: the tile, which may come from the second-level cache, is
    then read once for both. `mass` (K,) determines which rows are negligible, `vectors` is scratch.
    """
    n_components = centres.shape[0]
    k = 0
    while k < n_components:
        if k + 1 < n_components:
            n_either, n_both = active_in_two(resp, mass, k, vectors)
            if 4 * n_both > n_either:  # otherwise rows without weight cost more than reading once saves
                moments_of_two(resp, vectors[:n_either], tile, centres, k, stats)
                k += 2
                continue
        active = vectors[: active_vectors(resp[k], mass[k], vectors)]
        if active.size > 0:
            moments_of_one(resp, active, tile, centres, k, stats)
        k += 1


def moments_of_two(resp, active, tile, centres, first, stats):
    """`moments` of components `first` and `first` + 1, over the vectors that begin at `active`."""
    _moments(2, resp, active, tile, centres, first, stats)


def moments_of_one(resp, active, tile, centres, first, stats):
    """`moments` of component `first`, over the vectors that begin at `active`."""
    _moments(1, resp, active, tile, centres, first, stats)


def _moments(n_components, resp, active, tile, centres, first, stats):
    """The computation of `moments_of_one` and `moments_of_two`."""
    rows = (active[:, None] + np.arange(lanes(tile))).ravel()
    d = len(tile)
    for k in range(first, first + n_components):
        z = tile[:, rows] - centres[k][:, None]
        stats[2 * k * d : (2 * k + 1) * d] += z @ resp[k, rows]
        stats[(2 * k + 1) * d : 2 * (k + 1) * d] += z**2 @ resp[k, rows]


@instructions(moments_of_two)
def _write_moments_of_two(k, *arguments):
    _write_moments(k, 2, SHAPES.pair, *arguments)


@instructions(moments_of_one)
def _write_moments_of_one(k, *arguments):
    _write_moments(k, 1, SHAPES.single, *arguments)


def _write_moments(k, n_components, n_at_once, resp, active, tile, centres, first, stats):
    """Moments of `n_components` components, `n_at_once` features at a time."""
    components = [k.plus(first, r) for r in range(n_components)]
    d = k.size(tile)

    def write(n_features, j):
        pairs = keys_of(n_components, n_features)
        means = {(r, f): k.broadcast(centres, components[r], k.plus(j, f)) for r, f in pairs}

        def terms(c, cells):
            weights = [k.load(resp, component, c) for component in components]
            for f in range(n_features):
                x = k.load(tile, k.plus(j, f), c)
                for r, w in enumerate(weights):
                    u = k.subtract(x, means[r, f])
                    p = k.multiply(w, u)
                    k.change(cells[r, 0, f], k.add(k.value(cells[r, 0, f]), p))
                    k.add_product(cells[r, 1, f], p, u)

        found = k.over_rows(keys_of(n_components, 2, n_features), functools.partial(over_active, k, active), terms)
        runs = []
        for r, power in keys_of(n_components, 2):
            row = k.plus(k.builder.mul(components[r], k.integer(2)), power)
            at = k.plus(k.builder.mul(row, d), j)
            runs.append(((at,), [found[r, power, f] for f in range(n_features)]))
        k.add_totals(stats, runs)

    k.runs(d, n_at_once, write)


@kernel
def invert(weight, inverse):
    """inverse[c] = 1 / weight[c], or zero if the weight is zero."""
    zero, one = splat(0.0, weight), splat(1.0, weight)
    for c in range(0, weight.size, lanes(weight)):
        w = load(weight, c)
        store(where(w > zero, one / where(w > zero, w, one), zero), inverse, c)


@kernel
def expected_residual(means, j, tile, resp, inverse_weight, residual, sums):
    """residual[j, c] = sum_k r_k (tile[j, c] - means[k, j]) with r_k = resp[k, c] inverse_weight[c].

    The first moments sum_c resp[k, c] (tile[j, c] - means[k, j]) are added to sums[k, j].
    """
    n_components, b = resp.shape
    step = lanes(tile)
    zero = splat(0.0, tile)
    for c in range(0, b, step):
        store(zero, residual, j, c)
    for k in range(n_components):
        mean = broadcast(means, k, j)
        sum0 = zero; sum1 = zero
        for c in range(0, b, 2 * step):
            c1 = c + step
            p0 = load(resp, k, c) * (load(tile, j, c) - mean); p1 = load(resp, k, c1) * (load(tile, j, c1) - mean)
            store(load(residual, j, c) + p0, residual, j, c); store(load(residual, j, c1) + p1, residual, j, c1)
            sum0 = sum0 + p0; sum1 = sum1 + p1
        sums[k, j] += total(sum0 + sum1)
    for c in range(0, b, step):
        store(load(residual, j, c) * load(inverse_weight, c), residual, j, c)
