"""Gaussian densities and moments of one to three features, written out so that a row never leaves the registers."""

from fastem._jit import kernel
from fastem.kernels.shuffles import total
from fastem.kernels.vectors import broadcast, lanes, load, multiply_add, splat, store

LARGEST = 3  # features; more spill the registers


@kernel
def log_density(lower, offset, constant, tile, out):
    """out[c] = constant - |lower @ tile[:, c] - offset|^2 / 2."""
    d, b = tile.shape
    step = lanes(tile)
    zero, minus_half, level = splat(0.0, tile), splat(-0.5, tile), splat(constant, tile)
    l00, h0 = broadcast(lower, 0, 0), zero - broadcast(offset, 0)
    if d == 1:
        for c in range(0, b, step):
            u0 = multiply_add(l00, load(tile, 0, c), h0)
            store(multiply_add(minus_half, u0 * u0, level), out, c)
        return
    l10, l11, h1 = broadcast(lower, 1, 0), broadcast(lower, 1, 1), zero - broadcast(offset, 1)
    if d == 2:
        for c in range(0, b, step):
            x0 = load(tile, 0, c)
            u0 = multiply_add(l00, x0, h0)
            u1 = multiply_add(l11, load(tile, 1, c), multiply_add(l10, x0, h1))
            store(multiply_add(minus_half, multiply_add(u1, u1, u0 * u0), level), out, c)
        return
    l20, l21, l22 = broadcast(lower, 2, 0), broadcast(lower, 2, 1), broadcast(lower, 2, 2)
    h2 = zero - broadcast(offset, 2)
    for c in range(0, b, step):
        x0 = load(tile, 0, c); x1 = load(tile, 1, c)
        u0 = multiply_add(l00, x0, h0)
        u1 = multiply_add(l11, x1, multiply_add(l10, x0, h1))
        u2 = multiply_add(l22, load(tile, 2, c), multiply_add(l21, x1, multiply_add(l20, x0, h2)))
        store(multiply_add(minus_half, multiply_add(u2, u2, multiply_add(u1, u1, u0 * u0)), level), out, c)


@kernel
def moments(resp, tile, mean, stats):
    """First moments (d,) and the lower triangle of second moments (d, d) of tile - mean, added to stats."""
    d, b = tile.shape
    step = lanes(tile)
    zero = splat(0.0, tile)
    s0 = zero; s1 = zero; s2 = zero; a00 = zero; a10 = zero; a11 = zero; a20 = zero; a21 = zero; a22 = zero
    m0 = broadcast(mean, 0)
    if d == 1:
        for c in range(0, b, step):
            z0 = load(tile, 0, c) - m0
            p0 = load(resp, c) * z0
            s0 = s0 + p0
            a00 = multiply_add(p0, z0, a00)
        stats[0] += total(s0)
        stats[1] += total(a00)
        return
    m1 = broadcast(mean, 1)
    if d == 2:
        for c in range(0, b, step):
            r = load(resp, c)
            z0 = load(tile, 0, c) - m0; z1 = load(tile, 1, c) - m1
            p0 = r * z0; p1 = r * z1
            s0 = s0 + p0; s1 = s1 + p1
            a00 = multiply_add(p0, z0, a00); a10 = multiply_add(p1, z0, a10); a11 = multiply_add(p1, z1, a11)
        stats[0] += total(s0); stats[1] += total(s1)
        stats[2] += total(a00)
        stats[4] += total(a10); stats[5] += total(a11)
        return
    m2 = broadcast(mean, 2)
    for c in range(0, b, step):
        r = load(resp, c)
        z0 = load(tile, 0, c) - m0; z1 = load(tile, 1, c) - m1; z2 = load(tile, 2, c) - m2
        p0 = r * z0; p1 = r * z1; p2 = r * z2
        s0 = s0 + p0; s1 = s1 + p1; s2 = s2 + p2
        a00 = multiply_add(p0, z0, a00); a10 = multiply_add(p1, z0, a10); a11 = multiply_add(p1, z1, a11)
        a20 = multiply_add(p2, z0, a20); a21 = multiply_add(p2, z1, a21); a22 = multiply_add(p2, z2, a22)
    stats[0] += total(s0); stats[1] += total(s1); stats[2] += total(s2)
    stats[3] += total(a00)
    stats[6] += total(a10); stats[7] += total(a11)
    stats[9] += total(a20); stats[10] += total(a21); stats[11] += total(a22)
