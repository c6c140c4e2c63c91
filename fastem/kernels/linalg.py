"""Triangular products and weighted scatters over feature-major tiles, in blocks that fill the registers.

Sixteen sums are in registers at once, four rows of the matrix by four vectors of the tile in the E-step, four rows by four
columns of the scatter in the M-step: each element that is loaded is used four times. What remains of the features goes by
two and one, which costs less than padding.
"""

from fastem._jit import kernel
from fastem.kernels.shuffles import add_eight_totals, add_totals, total
from fastem.kernels.vectors import broadcast, lanes, load, multiply_add, splat, store

VECTORS = 4  # a tile's rows are a multiple of so many vectors


@kernel
def log_density(lower, offset, constant, tile, out):
    """out[c] = constant - |lower @ tile[:, c] - offset|^2 / 2 for lower-triangular `lower` (d, d).

    The squares are folded in as each block leaves the registers, so neither the residual nor the product is stored.
    """
    d, b = tile.shape
    step = lanes(tile)
    whole = d // 4 * 4
    zero, minus_half, level = splat(0.0, tile), splat(-0.5, tile), splat(constant, tile)
    for c in range(0, b, VECTORS * step):
        c1 = c + step; c2 = c1 + step; c3 = c2 + step
        s0 = zero; s1 = zero; s2 = zero; s3 = zero
        for i in range(0, whole, 4):
            y00 = -broadcast(offset, i); y10 = -broadcast(offset, i + 1)
            y20 = -broadcast(offset, i + 2); y30 = -broadcast(offset, i + 3)
            y01 = y00; y02 = y00; y03 = y00
            y11 = y10; y12 = y10; y13 = y10
            y21 = y20; y22 = y20; y23 = y20
            y31 = y30; y32 = y30; y33 = y30
            for j in range(i + 1):
                x0 = load(tile, j, c); x1 = load(tile, j, c1); x2 = load(tile, j, c2); x3 = load(tile, j, c3)
                a = broadcast(lower, i, j)
                y00 = multiply_add(a, x0, y00); y01 = multiply_add(a, x1, y01)
                y02 = multiply_add(a, x2, y02); y03 = multiply_add(a, x3, y03)
                a = broadcast(lower, i + 1, j)
                y10 = multiply_add(a, x0, y10); y11 = multiply_add(a, x1, y11)
                y12 = multiply_add(a, x2, y12); y13 = multiply_add(a, x3, y13)
                a = broadcast(lower, i + 2, j)
                y20 = multiply_add(a, x0, y20); y21 = multiply_add(a, x1, y21)
                y22 = multiply_add(a, x2, y22); y23 = multiply_add(a, x3, y23)
                a = broadcast(lower, i + 3, j)
                y30 = multiply_add(a, x0, y30); y31 = multiply_add(a, x1, y31)
                y32 = multiply_add(a, x2, y32); y33 = multiply_add(a, x3, y33)
            x0 = load(tile, i + 1, c); x1 = load(tile, i + 1, c1); x2 = load(tile, i + 1, c2); x3 = load(tile, i + 1, c3)
            a = broadcast(lower, i + 1, i + 1)
            y10 = multiply_add(a, x0, y10); y11 = multiply_add(a, x1, y11)
            y12 = multiply_add(a, x2, y12); y13 = multiply_add(a, x3, y13)
            a = broadcast(lower, i + 2, i + 1)
            y20 = multiply_add(a, x0, y20); y21 = multiply_add(a, x1, y21)
            y22 = multiply_add(a, x2, y22); y23 = multiply_add(a, x3, y23)
            a = broadcast(lower, i + 3, i + 1)
            y30 = multiply_add(a, x0, y30); y31 = multiply_add(a, x1, y31)
            y32 = multiply_add(a, x2, y32); y33 = multiply_add(a, x3, y33)
            x0 = load(tile, i + 2, c); x1 = load(tile, i + 2, c1); x2 = load(tile, i + 2, c2); x3 = load(tile, i + 2, c3)
            a = broadcast(lower, i + 2, i + 2)
            y20 = multiply_add(a, x0, y20); y21 = multiply_add(a, x1, y21)
            y22 = multiply_add(a, x2, y22); y23 = multiply_add(a, x3, y23)
            a = broadcast(lower, i + 3, i + 2)
            y30 = multiply_add(a, x0, y30); y31 = multiply_add(a, x1, y31)
            y32 = multiply_add(a, x2, y32); y33 = multiply_add(a, x3, y33)
            a = broadcast(lower, i + 3, i + 3)
            y30 = multiply_add(a, load(tile, i + 3, c), y30); y31 = multiply_add(a, load(tile, i + 3, c1), y31)
            y32 = multiply_add(a, load(tile, i + 3, c2), y32); y33 = multiply_add(a, load(tile, i + 3, c3), y33)
            s0 = multiply_add(y00, y00, s0); s1 = multiply_add(y01, y01, s1)
            s2 = multiply_add(y02, y02, s2); s3 = multiply_add(y03, y03, s3)
            s0 = multiply_add(y10, y10, s0); s1 = multiply_add(y11, y11, s1)
            s2 = multiply_add(y12, y12, s2); s3 = multiply_add(y13, y13, s3)
            s0 = multiply_add(y20, y20, s0); s1 = multiply_add(y21, y21, s1)
            s2 = multiply_add(y22, y22, s2); s3 = multiply_add(y23, y23, s3)
            s0 = multiply_add(y30, y30, s0); s1 = multiply_add(y31, y31, s1)
            s2 = multiply_add(y32, y32, s2); s3 = multiply_add(y33, y33, s3)
        if d - whole >= 2:
            y00 = -broadcast(offset, whole); y10 = -broadcast(offset, whole + 1)
            y01 = y00; y02 = y00; y03 = y00
            y11 = y10; y12 = y10; y13 = y10
            for j in range(whole + 1):
                x0 = load(tile, j, c); x1 = load(tile, j, c1); x2 = load(tile, j, c2); x3 = load(tile, j, c3)
                a = broadcast(lower, whole, j)
                y00 = multiply_add(a, x0, y00); y01 = multiply_add(a, x1, y01)
                y02 = multiply_add(a, x2, y02); y03 = multiply_add(a, x3, y03)
                a = broadcast(lower, whole + 1, j)
                y10 = multiply_add(a, x0, y10); y11 = multiply_add(a, x1, y11)
                y12 = multiply_add(a, x2, y12); y13 = multiply_add(a, x3, y13)
            a = broadcast(lower, whole + 1, whole + 1)
            y10 = multiply_add(a, load(tile, whole + 1, c), y10); y11 = multiply_add(a, load(tile, whole + 1, c1), y11)
            y12 = multiply_add(a, load(tile, whole + 1, c2), y12); y13 = multiply_add(a, load(tile, whole + 1, c3), y13)
            s0 = multiply_add(y00, y00, s0); s1 = multiply_add(y01, y01, s1)
            s2 = multiply_add(y02, y02, s2); s3 = multiply_add(y03, y03, s3)
            s0 = multiply_add(y10, y10, s0); s1 = multiply_add(y11, y11, s1)
            s2 = multiply_add(y12, y12, s2); s3 = multiply_add(y13, y13, s3)
        if d % 2 == 1:
            y00 = -broadcast(offset, d - 1)
            y01 = y00; y02 = y00; y03 = y00
            for j in range(d):
                a = broadcast(lower, d - 1, j)
                y00 = multiply_add(a, load(tile, j, c), y00); y01 = multiply_add(a, load(tile, j, c1), y01)
                y02 = multiply_add(a, load(tile, j, c2), y02); y03 = multiply_add(a, load(tile, j, c3), y03)
            s0 = multiply_add(y00, y00, s0); s1 = multiply_add(y01, y01, s1)
            s2 = multiply_add(y02, y02, s2); s3 = multiply_add(y03, y03, s3)
        store(multiply_add(minus_half, s0, level), out, c); store(multiply_add(minus_half, s1, level), out, c1)
        store(multiply_add(minus_half, s2, level), out, c2); store(multiply_add(minus_half, s3, level), out, c3)


@kernel
def _scatter_on_diagonal(resp, active, tile, centre, i, p, sums, scatter):
    """First moments of features i to i + 3 and second moments among them; `p` gets resp[c] z[i, c] and so on."""
    zero = splat(0.0, tile)
    m0 = broadcast(centre, i); m1 = broadcast(centre, i + 1)
    m2 = broadcast(centre, i + 2); m3 = broadcast(centre, i + 3)
    t0 = zero; t1 = zero; t2 = zero; t3 = zero
    a00 = zero; a10 = zero; a11 = zero; a20 = zero; a21 = zero
    a22 = zero; a30 = zero; a31 = zero; a32 = zero; a33 = zero
    for c in active:
        r = load(resp, c)
        z0 = load(tile, i, c) - m0; z1 = load(tile, i + 1, c) - m1
        z2 = load(tile, i + 2, c) - m2; z3 = load(tile, i + 3, c) - m3
        p0 = r * z0; p1 = r * z1; p2 = r * z2; p3 = r * z3
        store(p0, p, 0, c); store(p1, p, 1, c); store(p2, p, 2, c); store(p3, p, 3, c)
        t0 = t0 + p0; t1 = t1 + p1; t2 = t2 + p2; t3 = t3 + p3
        a00 = multiply_add(p0, z0, a00)
        a10 = multiply_add(p1, z0, a10); a11 = multiply_add(p1, z1, a11)
        a20 = multiply_add(p2, z0, a20); a21 = multiply_add(p2, z1, a21); a22 = multiply_add(p2, z2, a22)
        a30 = multiply_add(p3, z0, a30); a31 = multiply_add(p3, z1, a31)
        a32 = multiply_add(p3, z2, a32); a33 = multiply_add(p3, z3, a33)
    add_totals(t0, t1, t2, t3, sums, i)
    add_eight_totals(a00, zero, zero, zero, a10, a11, zero, zero, scatter, i, i)
    add_eight_totals(a20, a21, a22, zero, a30, a31, a32, a33, scatter, i + 2, i)


@kernel
def _scatter_below_diagonal(p, active, tile, centre, i, j, scatter):
    """Second moments of features i to i + 3, of which `p` holds resp[c] z[i, c] and so on, with features j to j + 3."""
    zero = splat(0.0, tile)
    m0 = broadcast(centre, j); m1 = broadcast(centre, j + 1); m2 = broadcast(centre, j + 2); m3 = broadcast(centre, j + 3)
    a00 = zero; a01 = zero; a02 = zero; a03 = zero; a10 = zero; a11 = zero; a12 = zero; a13 = zero
    a20 = zero; a21 = zero; a22 = zero; a23 = zero; a30 = zero; a31 = zero; a32 = zero; a33 = zero
    for c in active:
        p0 = load(p, 0, c); p1 = load(p, 1, c); p2 = load(p, 2, c); p3 = load(p, 3, c)
        z0 = load(tile, j, c) - m0; z1 = load(tile, j + 1, c) - m1
        z2 = load(tile, j + 2, c) - m2; z3 = load(tile, j + 3, c) - m3
        a00 = multiply_add(p0, z0, a00); a01 = multiply_add(p0, z1, a01)
        a02 = multiply_add(p0, z2, a02); a03 = multiply_add(p0, z3, a03)
        a10 = multiply_add(p1, z0, a10); a11 = multiply_add(p1, z1, a11)
        a12 = multiply_add(p1, z2, a12); a13 = multiply_add(p1, z3, a13)
        a20 = multiply_add(p2, z0, a20); a21 = multiply_add(p2, z1, a21)
        a22 = multiply_add(p2, z2, a22); a23 = multiply_add(p2, z3, a23)
        a30 = multiply_add(p3, z0, a30); a31 = multiply_add(p3, z1, a31)
        a32 = multiply_add(p3, z2, a32); a33 = multiply_add(p3, z3, a33)
    add_eight_totals(a00, a01, a02, a03, a10, a11, a12, a13, scatter, i, j)
    add_eight_totals(a20, a21, a22, a23, a30, a31, a32, a33, scatter, i + 2, j)


@kernel
def moments(resp, active, tile, centre, scratch, sums, scatter):
    """Weighted first and second moments of z = tile - centre, added to `sums` (d,) and `scatter` (d, d).

    sums[i] gets sum_c resp[c] z[i, c] and scatter[i, j], for j <= i, sum_c resp[c] z[i, c] z[j, c]; what is above the
    diagonal is not kept. Only the vectors that begin where `active` tells are summed. `scratch` holds four or more rows:
    resp[c] z[i, c] of the block's own rows. z itself is computed anew in every block, which costs a quarter more operations
    and is faster than a store that leaves the first-level cache.
    """
    d = tile.shape[0]
    zero = splat(0.0, tile)
    p = scratch[:4]
    whole = d // 4 * 4
    for i in range(0, whole, 4):
        _scatter_on_diagonal(resp, active, tile, centre, i, p, sums, scatter)
        for j in range(0, i, 4):
            _scatter_below_diagonal(p, active, tile, centre, i, j, scatter)
    if d - whole >= 2:
        m0 = broadcast(centre, whole); m1 = broadcast(centre, whole + 1)
        t0 = zero; t1 = zero; a00 = zero; a10 = zero; a11 = zero
        for c in active:
            r = load(resp, c)
            z0 = load(tile, whole, c) - m0; z1 = load(tile, whole + 1, c) - m1
            p0 = r * z0; p1 = r * z1
            store(p0, p, 0, c); store(p1, p, 1, c)
            t0 = t0 + p0; t1 = t1 + p1
            a00 = multiply_add(p0, z0, a00); a10 = multiply_add(p1, z0, a10); a11 = multiply_add(p1, z1, a11)
        sums[whole] += total(t0); sums[whole + 1] += total(t1)
        scatter[whole, whole] += total(a00)
        scatter[whole + 1, whole] += total(a10); scatter[whole + 1, whole + 1] += total(a11)
        for j in range(0, whole, 4):
            m0 = broadcast(centre, j); m1 = broadcast(centre, j + 1); m2 = broadcast(centre, j + 2); m3 = broadcast(centre, j + 3)
            a00 = zero; a01 = zero; a02 = zero; a03 = zero; a10 = zero; a11 = zero; a12 = zero; a13 = zero
            for c in active:
                p0 = load(p, 0, c); p1 = load(p, 1, c)
                z0 = load(tile, j, c) - m0; z1 = load(tile, j + 1, c) - m1
                z2 = load(tile, j + 2, c) - m2; z3 = load(tile, j + 3, c) - m3
                a00 = multiply_add(p0, z0, a00); a01 = multiply_add(p0, z1, a01)
                a02 = multiply_add(p0, z2, a02); a03 = multiply_add(p0, z3, a03)
                a10 = multiply_add(p1, z0, a10); a11 = multiply_add(p1, z1, a11)
                a12 = multiply_add(p1, z2, a12); a13 = multiply_add(p1, z3, a13)
            add_eight_totals(a00, a01, a02, a03, a10, a11, a12, a13, scatter, whole, j)
    if d % 2 == 1:
        i = d - 1
        m0 = broadcast(centre, i)
        t0 = zero; a00 = zero
        for c in active:
            z0 = load(tile, i, c) - m0
            p0 = load(resp, c) * z0
            store(p0, p, 0, c)
            t0 = t0 + p0
            a00 = multiply_add(p0, z0, a00)
        sums[i] += total(t0)
        scatter[i, i] += total(a00)
        for j in range(0, whole, 4):
            m0 = broadcast(centre, j); m1 = broadcast(centre, j + 1); m2 = broadcast(centre, j + 2); m3 = broadcast(centre, j + 3)
            a00 = zero; a01 = zero; a02 = zero; a03 = zero
            for c in active:
                p0 = load(p, 0, c)
                a00 = multiply_add(p0, load(tile, j, c) - m0, a00); a01 = multiply_add(p0, load(tile, j + 1, c) - m1, a01)
                a02 = multiply_add(p0, load(tile, j + 2, c) - m2, a02); a03 = multiply_add(p0, load(tile, j + 3, c) - m3, a03)
            add_totals(a00, a01, a02, a03, scatter, i, j)
        for j in range(whole, i):
            m0 = broadcast(centre, j)
            a00 = zero
            for c in active:
                a00 = multiply_add(load(p, 0, c), load(tile, j, c) - m0, a00)
            scatter[i, j] += total(a00)


@kernel
def triangular_product(lower, tile, out):
    """Set out = lower @ tile for lower-triangular `lower` (d, d)."""
    d, b = tile.shape
    step = lanes(tile)
    zero = splat(0.0, tile)
    for i in range(d):
        for c in range(0, b, VECTORS * step):
            c1 = c + step; c2 = c1 + step; c3 = c2 + step
            y0 = zero; y1 = zero; y2 = zero; y3 = zero
            for j in range(i + 1):
                a = broadcast(lower, i, j)
                y0 = multiply_add(a, load(tile, j, c), y0); y1 = multiply_add(a, load(tile, j, c1), y1)
                y2 = multiply_add(a, load(tile, j, c2), y2); y3 = multiply_add(a, load(tile, j, c3), y3)
            store(y0, out, i, c); store(y1, out, i, c1); store(y2, out, i, c2); store(y3, out, i, c3)
