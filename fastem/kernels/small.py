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
    minus_half, level = splat(-0.5, tile), splat(constant, tile)
    l00, h0 = broadcast(lower, 0, 0), -broadcast(offset, 0)
    if d == 1:
        for c in range(0, b, step):
            u0 = multiply_add(l00, load(tile, 0, c), h0)
            store(multiply_add(minus_half, u0 * u0, level), out, c)
        return
    l10, l11, h1 = broadcast(lower, 1, 0), broadcast(lower, 1, 1), -broadcast(offset, 1)
    if d == 2:
        for c in range(0, b, step):
            x0 = load(tile, 0, c)
            u0 = multiply_add(l00, x0, h0)
            u1 = multiply_add(l11, load(tile, 1, c), multiply_add(l10, x0, h1))
            store(multiply_add(minus_half, multiply_add(u1, u1, u0 * u0), level), out, c)
        return
    l20, l21, l22 = broadcast(lower, 2, 0), broadcast(lower, 2, 1), broadcast(lower, 2, 2)
    h2 = -broadcast(offset, 2)
    for c in range(0, b, step):
        x0 = load(tile, 0, c); x1 = load(tile, 1, c)
        u0 = multiply_add(l00, x0, h0)
        u1 = multiply_add(l11, x1, multiply_add(l10, x0, h1))
        u2 = multiply_add(l22, load(tile, 2, c), multiply_add(l21, x1, multiply_add(l20, x0, h2)))
        store(multiply_add(minus_half, multiply_add(u2, u2, multiply_add(u1, u1, u0 * u0)), level), out, c)


@kernel
def moments(resp, tile, mean, stats):
    """First moments (d,) and the lower triangle of second moments (d, d) of tile - mean, added to stats.

    Two vectors at a time, each with its own sums: one sum would wait for its last addition.
    """
    d, b = tile.shape
    step = lanes(tile)
    zero = splat(0.0, tile)
    s0 = zero; s1 = zero; s2 = zero; a00 = zero; a10 = zero; a11 = zero; a20 = zero; a21 = zero; a22 = zero
    t0 = zero; t1 = zero; t2 = zero; b00 = zero; b10 = zero; b11 = zero; b20 = zero; b21 = zero; b22 = zero
    m0 = broadcast(mean, 0)
    if d == 1:
        for c in range(0, b, 2 * step):
            x0 = load(tile, 0, c) - m0; y0 = load(tile, 0, c + step) - m0
            p0 = load(resp, c) * x0; q0 = load(resp, c + step) * y0
            s0 = s0 + p0; t0 = t0 + q0
            a00 = multiply_add(p0, x0, a00); b00 = multiply_add(q0, y0, b00)
        stats[0] += total(s0 + t0)
        stats[1] += total(a00 + b00)
        return
    m1 = broadcast(mean, 1)
    if d == 2:
        for c in range(0, b, 2 * step):
            r = load(resp, c); w = load(resp, c + step)
            x0 = load(tile, 0, c) - m0; y0 = load(tile, 0, c + step) - m0
            x1 = load(tile, 1, c) - m1; y1 = load(tile, 1, c + step) - m1
            p0 = r * x0; q0 = w * y0; p1 = r * x1; q1 = w * y1
            s0 = s0 + p0; t0 = t0 + q0; s1 = s1 + p1; t1 = t1 + q1
            a00 = multiply_add(p0, x0, a00); b00 = multiply_add(q0, y0, b00)
            a10 = multiply_add(p1, x0, a10); b10 = multiply_add(q1, y0, b10)
            a11 = multiply_add(p1, x1, a11); b11 = multiply_add(q1, y1, b11)
        stats[0] += total(s0 + t0); stats[1] += total(s1 + t1)
        stats[2] += total(a00 + b00)
        stats[4] += total(a10 + b10); stats[5] += total(a11 + b11)
        return
    m2 = broadcast(mean, 2)
    for c in range(0, b, 2 * step):
        r = load(resp, c); w = load(resp, c + step)
        x0 = load(tile, 0, c) - m0; y0 = load(tile, 0, c + step) - m0
        x1 = load(tile, 1, c) - m1; y1 = load(tile, 1, c + step) - m1
        x2 = load(tile, 2, c) - m2; y2 = load(tile, 2, c + step) - m2
        p0 = r * x0; q0 = w * y0; p1 = r * x1; q1 = w * y1; p2 = r * x2; q2 = w * y2
        s0 = s0 + p0; t0 = t0 + q0; s1 = s1 + p1; t1 = t1 + q1; s2 = s2 + p2; t2 = t2 + q2
        a00 = multiply_add(p0, x0, a00); b00 = multiply_add(q0, y0, b00)
        a10 = multiply_add(p1, x0, a10); b10 = multiply_add(q1, y0, b10)
        a11 = multiply_add(p1, x1, a11); b11 = multiply_add(q1, y1, b11)
        a20 = multiply_add(p2, x0, a20); b20 = multiply_add(q2, y0, b20)
        a21 = multiply_add(p2, x1, a21); b21 = multiply_add(q2, y1, b21)
        a22 = multiply_add(p2, x2, a22); b22 = multiply_add(q2, y2, b22)
    stats[0] += total(s0 + t0); stats[1] += total(s1 + t1); stats[2] += total(s2 + t2)
    stats[3] += total(a00 + b00)
    stats[6] += total(a10 + b10); stats[7] += total(a11 + b11)
    stats[9] += total(a20 + b20); stats[10] += total(a21 + b21); stats[11] += total(a22 + b22)
