"""Gaussian densities and moments of one to three features, written out so that a row never leaves the registers."""

from fastem._jit import kernel

LARGEST = 3  # features; more spill the registers


@kernel
def log_density(lower, offset, constant, tile, out):
    """out[c] = constant - |lower @ tile[:, c] - offset|^2 / 2."""
    d = tile.shape[0]
    l00, h0, x0 = lower[0, 0], offset[0], tile[0]
    if d == 1:
        for c in range(out.size):
            u0 = l00 * x0[c] - h0
            out[c] = constant - 0.5 * (u0 * u0)
        return
    l10, l11, h1, x1 = lower[1, 0], lower[1, 1], offset[1], tile[1]
    if d == 2:
        for c in range(out.size):
            u0 = l00 * x0[c] - h0
            u1 = l10 * x0[c] + l11 * x1[c] - h1
            out[c] = constant - 0.5 * (u0 * u0 + u1 * u1)
        return
    l20, l21, l22, h2, x2 = lower[2, 0], lower[2, 1], lower[2, 2], offset[2], tile[2]
    for c in range(out.size):
        u0 = l00 * x0[c] - h0
        u1 = l10 * x0[c] + l11 * x1[c] - h1
        u2 = l20 * x0[c] + l21 * x1[c] + l22 * x2[c] - h2
        out[c] = constant - 0.5 * (u0 * u0 + u1 * u1 + u2 * u2)


@kernel
def moments(resp, tile, mean, stats):
    """First moments (d,) and the lower triangle of second moments (d, d) of tile - mean, added to stats."""
    d = tile.shape[0]
    s0 = s1 = s2 = a00 = a10 = a11 = a20 = a21 = a22 = 0.0
    m0, x0 = mean[0], tile[0]
    if d == 1:
        for c in range(resp.size):
            z0 = x0[c] - m0
            p0 = resp[c] * z0
            s0 += p0
            a00 += p0 * z0
        stats[0] += s0
        stats[1] += a00
        return
    m1, x1 = mean[1], tile[1]
    if d == 2:
        for c in range(resp.size):
            z0 = x0[c] - m0
            z1 = x1[c] - m1
            p0 = resp[c] * z0
            p1 = resp[c] * z1
            s0 += p0
            s1 += p1
            a00 += p0 * z0
            a10 += p1 * z0
            a11 += p1 * z1
        stats[0] += s0
        stats[1] += s1
        stats[2] += a00
        stats[4] += a10
        stats[5] += a11
        return
    m2, x2 = mean[2], tile[2]
    for c in range(resp.size):
        z0 = x0[c] - m0
        z1 = x1[c] - m1
        z2 = x2[c] - m2
        p0 = resp[c] * z0
        p1 = resp[c] * z1
        p2 = resp[c] * z2
        s0 += p0
        s1 += p1
        s2 += p2
        a00 += p0 * z0
        a10 += p1 * z0
        a11 += p1 * z1
        a20 += p2 * z0
        a21 += p2 * z1
        a22 += p2 * z2
    stats[0] += s0
    stats[1] += s1
    stats[2] += s2
    stats[3] += a00
    stats[6] += a10
    stats[7] += a11
    stats[9] += a20
    stats[10] += a21
    stats[11] += a22
