"""Sums over feature-major tiles that treat each column by itself, four columns or four vectors at a time."""

from fastem._jit import kernel
from fastem.kernels.linalg import VECTORS
from fastem.kernels.posterior import active_in_two, active_vectors
from fastem.kernels.shuffles import add_totals, total
from fastem.kernels.vectors import broadcast, lanes, load, multiply_add, splat, store, where


@kernel
def weighted_sum(resp, active, z, first, stats):
    """stats[first + i] += sum_c resp[c] z[i, c] for every row i of z (m, b) and the vectors that `active` tells."""
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
    """out[k, c] = constant[k] - inverse_deviation[k]^2 |tile[:, c] - centres[k]|^2 / 2.

    Two components at a time, for the tile, which may not fit into the first-level cache, to be read half as often.
    """
    n_components, b = out.shape
    d = tile.shape[0]
    step = lanes(tile)
    zero, minus_half = splat(0.0, tile), splat(-0.5, tile)
    for k in range(0, n_components, 2):
        other = k + 1 if k + 1 < n_components else k
        level, scale = broadcast(constant, k), broadcast(inverse_deviation, k)
        level_other, scale_other = broadcast(constant, other), broadcast(inverse_deviation, other)
        for c in range(0, b, VECTORS * step):
            c1 = c + step; c2 = c1 + step; c3 = c2 + step
            s0 = zero; s1 = zero; s2 = zero; s3 = zero; t0 = zero; t1 = zero; t2 = zero; t3 = zero
            for j in range(d):
                x0 = load(tile, j, c); x1 = load(tile, j, c1); x2 = load(tile, j, c2); x3 = load(tile, j, c3)
                m = broadcast(centres, k, j)
                u0 = x0 - m; u1 = x1 - m; u2 = x2 - m; u3 = x3 - m
                s0 = multiply_add(u0, u0, s0); s1 = multiply_add(u1, u1, s1)
                s2 = multiply_add(u2, u2, s2); s3 = multiply_add(u3, u3, s3)
                m = broadcast(centres, other, j)
                u0 = x0 - m; u1 = x1 - m; u2 = x2 - m; u3 = x3 - m
                t0 = multiply_add(u0, u0, t0); t1 = multiply_add(u1, u1, t1)
                t2 = multiply_add(u2, u2, t2); t3 = multiply_add(u3, u3, t3)
            # one factor at a time: the square of the inverse deviation alone may overflow
            s0 = s0 * scale * scale; s1 = s1 * scale * scale; s2 = s2 * scale * scale; s3 = s3 * scale * scale
            store(multiply_add(minus_half, s0, level), out, k, c); store(multiply_add(minus_half, s1, level), out, k, c1)
            store(multiply_add(minus_half, s2, level), out, k, c2); store(multiply_add(minus_half, s3, level), out, k, c3)
            t0 = t0 * scale_other * scale_other; t1 = t1 * scale_other * scale_other
            t2 = t2 * scale_other * scale_other; t3 = t3 * scale_other * scale_other
            store(multiply_add(minus_half, t0, level_other), out, other, c)
            store(multiply_add(minus_half, t1, level_other), out, other, c1)
            store(multiply_add(minus_half, t2, level_other), out, other, c2)
            store(multiply_add(minus_half, t3, level_other), out, other, c3)


@kernel
def log_densities_diagonal(inverse_deviation, offset, constant, tile, out):
    """out[k, c] = constant[k] - sum_j (inverse_deviation[k, j] tile[j, c] - offset[k, j])^2 / 2, two components at a time."""
    n_components, b = out.shape
    d = tile.shape[0]
    step = lanes(tile)
    zero, minus_half = splat(0.0, tile), splat(-0.5, tile)
    for k in range(0, n_components, 2):
        other = k + 1 if k + 1 < n_components else k
        level, level_other = broadcast(constant, k), broadcast(constant, other)
        for c in range(0, b, VECTORS * step):
            c1 = c + step; c2 = c1 + step; c3 = c2 + step
            s0 = zero; s1 = zero; s2 = zero; s3 = zero; t0 = zero; t1 = zero; t2 = zero; t3 = zero
            for j in range(d):
                x0 = load(tile, j, c); x1 = load(tile, j, c1); x2 = load(tile, j, c2); x3 = load(tile, j, c3)
                a, h = broadcast(inverse_deviation, k, j), -broadcast(offset, k, j)
                u0 = multiply_add(a, x0, h); u1 = multiply_add(a, x1, h)
                u2 = multiply_add(a, x2, h); u3 = multiply_add(a, x3, h)
                s0 = multiply_add(u0, u0, s0); s1 = multiply_add(u1, u1, s1)
                s2 = multiply_add(u2, u2, s2); s3 = multiply_add(u3, u3, s3)
                a, h = broadcast(inverse_deviation, other, j), -broadcast(offset, other, j)
                u0 = multiply_add(a, x0, h); u1 = multiply_add(a, x1, h)
                u2 = multiply_add(a, x2, h); u3 = multiply_add(a, x3, h)
                t0 = multiply_add(u0, u0, t0); t1 = multiply_add(u1, u1, t1)
                t2 = multiply_add(u2, u2, t2); t3 = multiply_add(u3, u3, t3)
            store(multiply_add(minus_half, s0, level), out, k, c); store(multiply_add(minus_half, s1, level), out, k, c1)
            store(multiply_add(minus_half, s2, level), out, k, c2); store(multiply_add(minus_half, s3, level), out, k, c3)
            store(multiply_add(minus_half, t0, level_other), out, other, c)
            store(multiply_add(minus_half, t1, level_other), out, other, c1)
            store(multiply_add(minus_half, t2, level_other), out, other, c2)
            store(multiply_add(minus_half, t3, level_other), out, other, c3)


@kernel
def weighted_counts(factor, constant, tile, out):
    """out[c] = constant + sum_j factor[j] tile[j, c], where a count of zero gives zero even times -inf."""
    d, b = tile.shape
    step = lanes(tile)
    zero, level = splat(0.0, tile), splat(constant, tile)
    for c in range(0, b, VECTORS * step):
        c1 = c + step; c2 = c1 + step; c3 = c2 + step
        s0 = level; s1 = level; s2 = level; s3 = level
        for j in range(d):
            a = broadcast(factor, j)
            x0 = load(tile, j, c); x1 = load(tile, j, c1); x2 = load(tile, j, c2); x3 = load(tile, j, c3)
            s0 = multiply_add(x0, where(x0 > zero, a, zero), s0); s1 = multiply_add(x1, where(x1 > zero, a, zero), s1)
            s2 = multiply_add(x2, where(x2 > zero, a, zero), s2); s3 = multiply_add(x3, where(x3 > zero, a, zero), s3)
        store(s0, out, c); store(s1, out, c1); store(s2, out, c2); store(s3, out, c3)


@kernel
def moments(resp, mass, centres, tile, vectors, stats):
    """First and second moments of tile - centres[k] for each component k, weighted by resp[k].

    stats[2 k d + j] and stats[2 k d + d + j] get those of feature j. Two components at a time where most rows that matter
    to one matter to the other: what they read of the tile may have to come from the second-level cache. `mass` (K,) tells
    which rows matter, `vectors` is scratch.
    """
    n_components, d = centres.shape
    k = 0
    while k < n_components:
        if k + 1 < n_components:
            either, n_both = active_in_two(resp, mass, k, vectors)
            if 4 * n_both > either.size:  # or rows without weight would cost more than reading once saves
                moments_of_two(resp, either, tile, centres, k, stats)
                k += 2
                continue
        active = active_vectors(resp[k], mass[k], vectors)
        if active.size > 0:
            moments_of_one(resp[k], active, tile, centres[k], 2 * k * d, stats)
        k += 1


@kernel
def moments_of_two(resp, active, tile, centres, k, stats):
    """`moments` of components k and k + 1 over the vectors that begin where `active` tells."""
    d = tile.shape[0]
    zero = splat(0.0, tile)
    first, other = 2 * k * d, 2 * (k + 1) * d
    whole = d // 4 * 4
    for j in range(0, whole, 4):
        m0 = broadcast(centres, k, j); m1 = broadcast(centres, k, j + 1)
        m2 = broadcast(centres, k, j + 2); m3 = broadcast(centres, k, j + 3)
        n0 = broadcast(centres, k + 1, j); n1 = broadcast(centres, k + 1, j + 1)
        n2 = broadcast(centres, k + 1, j + 2); n3 = broadcast(centres, k + 1, j + 3)
        s0 = zero; s1 = zero; s2 = zero; s3 = zero; q0 = zero; q1 = zero; q2 = zero; q3 = zero
        t0 = zero; t1 = zero; t2 = zero; t3 = zero; r0 = zero; r1 = zero; r2 = zero; r3 = zero
        for c in active:
            w = load(resp, k, c); v = load(resp, k + 1, c)
            x = load(tile, j, c)
            u = x - m0; p = w * u; s0 = s0 + p; q0 = multiply_add(p, u, q0)
            u = x - n0; p = v * u; t0 = t0 + p; r0 = multiply_add(p, u, r0)
            x = load(tile, j + 1, c)
            u = x - m1; p = w * u; s1 = s1 + p; q1 = multiply_add(p, u, q1)
            u = x - n1; p = v * u; t1 = t1 + p; r1 = multiply_add(p, u, r1)
            x = load(tile, j + 2, c)
            u = x - m2; p = w * u; s2 = s2 + p; q2 = multiply_add(p, u, q2)
            u = x - n2; p = v * u; t2 = t2 + p; r2 = multiply_add(p, u, r2)
            x = load(tile, j + 3, c)
            u = x - m3; p = w * u; s3 = s3 + p; q3 = multiply_add(p, u, q3)
            u = x - n3; p = v * u; t3 = t3 + p; r3 = multiply_add(p, u, r3)
        add_totals(s0, s1, s2, s3, stats, first + j)
        add_totals(q0, q1, q2, q3, stats, first + d + j)
        add_totals(t0, t1, t2, t3, stats, other + j)
        add_totals(r0, r1, r2, r3, stats, other + d + j)
    for j in range(whole, d):
        m0 = broadcast(centres, k, j); n0 = broadcast(centres, k + 1, j)
        s0 = zero; q0 = zero; t0 = zero; r0 = zero
        for c in active:
            x = load(tile, j, c)
            u = x - m0; p = load(resp, k, c) * u; s0 = s0 + p; q0 = multiply_add(p, u, q0)
            u = x - n0; p = load(resp, k + 1, c) * u; t0 = t0 + p; r0 = multiply_add(p, u, r0)
        stats[first + j] += total(s0)
        stats[first + d + j] += total(q0)
        stats[other + j] += total(t0)
        stats[other + d + j] += total(r0)


@kernel
def moments_of_one(resp, active, tile, centre, first, stats):
    """First and second moments of tile - centre: stats[first + j] and stats[first + d + j] for each feature j.

    Only the vectors that begin where `active` tells are summed.
    """
    d = tile.shape[0]
    zero = splat(0.0, tile)
    whole = d // 4 * 4
    for j in range(0, whole, 4):
        m0 = broadcast(centre, j); m1 = broadcast(centre, j + 1)
        m2 = broadcast(centre, j + 2); m3 = broadcast(centre, j + 3)
        s0 = zero; s1 = zero; s2 = zero; s3 = zero; q0 = zero; q1 = zero; q2 = zero; q3 = zero
        for c in active:
            w = load(resp, c)
            u0 = load(tile, j, c) - m0; u1 = load(tile, j + 1, c) - m1
            u2 = load(tile, j + 2, c) - m2; u3 = load(tile, j + 3, c) - m3
            p0 = w * u0; p1 = w * u1; p2 = w * u2; p3 = w * u3
            s0 = s0 + p0; s1 = s1 + p1; s2 = s2 + p2; s3 = s3 + p3
            q0 = multiply_add(p0, u0, q0); q1 = multiply_add(p1, u1, q1)
            q2 = multiply_add(p2, u2, q2); q3 = multiply_add(p3, u3, q3)
        add_totals(s0, s1, s2, s3, stats, first + j)
        add_totals(q0, q1, q2, q3, stats, first + d + j)
    for j in range(whole, d):
        m0 = broadcast(centre, j)
        s0 = zero; q0 = zero
        for c in active:
            u0 = load(tile, j, c) - m0
            p0 = load(resp, c) * u0
            s0 = s0 + p0
            q0 = multiply_add(p0, u0, q0)
        stats[first + j] += total(s0)
        stats[first + d + j] += total(q0)


@kernel
def invert(weight, inverse):
    """inverse[c] = 1 / weight[c], zero where the weight is zero."""
    zero, one = splat(0.0, weight), splat(1.0, weight)
    for c in range(0, weight.size, lanes(weight)):
        w = load(weight, c)
        store(where(w > zero, one / where(w > zero, w, one), zero), inverse, c)


@kernel
def expected_residual(means, j, tile, resp, inverse_weight, residual, sums):
    """residual[j, c] = sum_k r_k (tile[j, c] - means[k, j]) with r_k = resp[k, c] inverse_weight[c].

    On the way sum_c resp[k, c] (tile[j, c] - means[k, j]) is added to sums[k, j].
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
