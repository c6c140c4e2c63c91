"""Triangular products and weighted scatters over feature-major tiles.

Products are written out in blocks of 4 x 4, which keeps sixteen sums in registers; a plain triple loop is far slower.
What remains of the features goes by two and one, which costs less than padding.
"""

from fastem._jit import kernel


@kernel
def squared_mahalanobis(lower, offset, tile, y, out):
    """out[c] = |lower @ tile[:, c] - offset|^2 for lower-triangular `lower` (d, d); y (4 or more, b) is scratch.

    The squares are folded in as each block leaves the registers, so neither the residual nor the product is stored.
    """
    d, b = tile.shape
    y0 = y[0]; y1 = y[1]; y2 = y[2]; y3 = y[3]
    whole = d // 4 * 4
    for c in range(b):
        out[c] = 0.0
    for i in range(0, whole, 4):
        h0 = offset[i]; h1 = offset[i + 1]; h2 = offset[i + 2]; h3 = offset[i + 3]
        for c in range(b):
            y0[c] = -h0; y1[c] = -h1; y2[c] = -h2; y3[c] = -h3
        for j in range(0, i, 4):
            x0 = tile[j]; x1 = tile[j + 1]; x2 = tile[j + 2]; x3 = tile[j + 3]
            l00 = lower[i, j]; l01 = lower[i, j + 1]; l02 = lower[i, j + 2]; l03 = lower[i, j + 3]
            l10 = lower[i + 1, j]; l11 = lower[i + 1, j + 1]; l12 = lower[i + 1, j + 2]; l13 = lower[i + 1, j + 3]
            l20 = lower[i + 2, j]; l21 = lower[i + 2, j + 1]; l22 = lower[i + 2, j + 2]; l23 = lower[i + 2, j + 3]
            l30 = lower[i + 3, j]; l31 = lower[i + 3, j + 1]; l32 = lower[i + 3, j + 2]; l33 = lower[i + 3, j + 3]
            for c in range(b):
                p = x0[c]; q = x1[c]; r = x2[c]; s = x3[c]
                y0[c] += l00 * p + l01 * q + l02 * r + l03 * s
                y1[c] += l10 * p + l11 * q + l12 * r + l13 * s
                y2[c] += l20 * p + l21 * q + l22 * r + l23 * s
                y3[c] += l30 * p + l31 * q + l32 * r + l33 * s
        x0 = tile[i]; x1 = tile[i + 1]; x2 = tile[i + 2]; x3 = tile[i + 3]
        l00 = lower[i, i]
        l10 = lower[i + 1, i]; l11 = lower[i + 1, i + 1]
        l20 = lower[i + 2, i]; l21 = lower[i + 2, i + 1]; l22 = lower[i + 2, i + 2]
        l30 = lower[i + 3, i]; l31 = lower[i + 3, i + 1]; l32 = lower[i + 3, i + 2]; l33 = lower[i + 3, i + 3]
        for c in range(b):
            p = x0[c]; q = x1[c]; r = x2[c]; s = x3[c]
            u0 = y0[c] + l00 * p
            u1 = y1[c] + l10 * p + l11 * q
            u2 = y2[c] + l20 * p + l21 * q + l22 * r
            u3 = y3[c] + l30 * p + l31 * q + l32 * r + l33 * s
            out[c] += u0 * u0 + u1 * u1 + u2 * u2 + u3 * u3
    if d - whole >= 2:
        h0 = offset[whole]; h1 = offset[whole + 1]
        for c in range(b):
            y0[c] = -h0; y1[c] = -h1
        for j in range(0, whole, 4):
            x0 = tile[j]; x1 = tile[j + 1]; x2 = tile[j + 2]; x3 = tile[j + 3]
            l00 = lower[whole, j]; l01 = lower[whole, j + 1]; l02 = lower[whole, j + 2]; l03 = lower[whole, j + 3]
            l10 = lower[whole + 1, j]; l11 = lower[whole + 1, j + 1]; l12 = lower[whole + 1, j + 2]; l13 = lower[whole + 1, j + 3]
            for c in range(b):
                p = x0[c]; q = x1[c]; r = x2[c]; s = x3[c]
                y0[c] += l00 * p + l01 * q + l02 * r + l03 * s
                y1[c] += l10 * p + l11 * q + l12 * r + l13 * s
        x0 = tile[whole]; x1 = tile[whole + 1]
        l00 = lower[whole, whole]; l10 = lower[whole + 1, whole]; l11 = lower[whole + 1, whole + 1]
        for c in range(b):
            u0 = y0[c] + l00 * x0[c]
            u1 = y1[c] + l10 * x0[c] + l11 * x1[c]
            out[c] += u0 * u0 + u1 * u1
    if d % 2 == 1:
        i = d - 1
        h0 = offset[i]
        for c in range(b):
            y0[c] = -h0
        for j in range(0, whole, 4):
            x0 = tile[j]; x1 = tile[j + 1]; x2 = tile[j + 2]; x3 = tile[j + 3]
            l00 = lower[i, j]; l01 = lower[i, j + 1]; l02 = lower[i, j + 2]; l03 = lower[i, j + 3]
            for c in range(b):
                y0[c] += l00 * x0[c] + l01 * x1[c] + l02 * x2[c] + l03 * x3[c]
        for j in range(whole, i):
            x0 = tile[j]; l00 = lower[i, j]
            for c in range(b):
                y0[c] += l00 * x0[c]
        x0 = tile[i]; l00 = lower[i, i]
        for c in range(b):
            u0 = y0[c] + l00 * x0[c]
            out[c] += u0 * u0


@kernel
def weighted_scatter(resp, z, sums, scatter):
    """Add sum_c resp[c] z[i, c] z[j, c] to scatter[i, j] for j <= i, over the rows of z (m, b).

    On the way sum_c resp[c] z[i, c] is added to sums[i], unless `sums` is empty. `scatter` is (m, m): indices into a flat
    array would have to be checked for wrap-around, one by one.
    """
    m, b = z.shape
    whole = m // 4 * 4
    for i in range(0, whole, 4):
        z0 = z[i]; z1 = z[i + 1]; z2 = z[i + 2]; z3 = z[i + 3]
        t0 = t1 = t2 = t3 = a00 = a10 = a11 = a20 = a21 = a22 = a30 = a31 = a32 = a33 = 0.0
        for c in range(b):
            e = z0[c]; f = z1[c]; g = z2[c]; h = z3[c]
            p = e * resp[c]; q = f * resp[c]; r = g * resp[c]; s = h * resp[c]
            t0 += p; t1 += q; t2 += r; t3 += s
            a00 += p * e; a10 += q * e; a11 += q * f
            a20 += r * e; a21 += r * f; a22 += r * g
            a30 += s * e; a31 += s * f; a32 += s * g; a33 += s * h
        if sums.size > 0:
            sums[i] += t0; sums[i + 1] += t1; sums[i + 2] += t2; sums[i + 3] += t3
        scatter[i, i] += a00
        scatter[i + 1, i] += a10; scatter[i + 1, i + 1] += a11
        scatter[i + 2, i] += a20; scatter[i + 2, i + 1] += a21; scatter[i + 2, i + 2] += a22
        scatter[i + 3, i] += a30; scatter[i + 3, i + 1] += a31; scatter[i + 3, i + 2] += a32; scatter[i + 3, i + 3] += a33
        for j in range(0, i, 4):
            v0 = z[j]; v1 = z[j + 1]; v2 = z[j + 2]; v3 = z[j + 3]
            a00 = a01 = a02 = a03 = a10 = a11 = a12 = a13 = 0.0
            a20 = a21 = a22 = a23 = a30 = a31 = a32 = a33 = 0.0
            for c in range(b):
                p = z0[c] * resp[c]; q = z1[c] * resp[c]; r = z2[c] * resp[c]; s = z3[c] * resp[c]
                e = v0[c]; f = v1[c]; g = v2[c]; h = v3[c]
                a00 += p * e; a01 += p * f; a02 += p * g; a03 += p * h
                a10 += q * e; a11 += q * f; a12 += q * g; a13 += q * h
                a20 += r * e; a21 += r * f; a22 += r * g; a23 += r * h
                a30 += s * e; a31 += s * f; a32 += s * g; a33 += s * h
            scatter[i, j] += a00; scatter[i, j + 1] += a01; scatter[i, j + 2] += a02; scatter[i, j + 3] += a03
            scatter[i + 1, j] += a10; scatter[i + 1, j + 1] += a11; scatter[i + 1, j + 2] += a12; scatter[i + 1, j + 3] += a13
            scatter[i + 2, j] += a20; scatter[i + 2, j + 1] += a21; scatter[i + 2, j + 2] += a22; scatter[i + 2, j + 3] += a23
            scatter[i + 3, j] += a30; scatter[i + 3, j + 1] += a31; scatter[i + 3, j + 2] += a32; scatter[i + 3, j + 3] += a33
    if m - whole >= 2:
        z0 = z[whole]; z1 = z[whole + 1]
        t0 = t1 = a00 = a10 = a11 = 0.0
        for c in range(b):
            p = z0[c] * resp[c]; q = z1[c] * resp[c]
            t0 += p; t1 += q
            a00 += p * z0[c]; a10 += q * z0[c]; a11 += q * z1[c]
        if sums.size > 0:
            sums[whole] += t0; sums[whole + 1] += t1
        scatter[whole, whole] += a00; scatter[whole + 1, whole] += a10; scatter[whole + 1, whole + 1] += a11
        for j in range(0, whole, 4):
            v0 = z[j]; v1 = z[j + 1]; v2 = z[j + 2]; v3 = z[j + 3]
            a00 = a01 = a02 = a03 = a10 = a11 = a12 = a13 = 0.0
            for c in range(b):
                p = z0[c] * resp[c]; q = z1[c] * resp[c]
                e = v0[c]; f = v1[c]; g = v2[c]; h = v3[c]
                a00 += p * e; a01 += p * f; a02 += p * g; a03 += p * h
                a10 += q * e; a11 += q * f; a12 += q * g; a13 += q * h
            scatter[whole, j] += a00; scatter[whole, j + 1] += a01; scatter[whole, j + 2] += a02; scatter[whole, j + 3] += a03
            scatter[whole + 1, j] += a10; scatter[whole + 1, j + 1] += a11; scatter[whole + 1, j + 2] += a12; scatter[whole + 1, j + 3] += a13
    if m % 2 == 1:
        i = m - 1
        z0 = z[i]
        t0 = a00 = 0.0
        for c in range(b):
            p = z0[c] * resp[c]
            t0 += p
            a00 += p * z0[c]
        if sums.size > 0:
            sums[i] += t0
        scatter[i, i] += a00
        for j in range(0, whole, 4):
            v0 = z[j]; v1 = z[j + 1]; v2 = z[j + 2]; v3 = z[j + 3]
            a00 = a01 = a02 = a03 = 0.0
            for c in range(b):
                p = z0[c] * resp[c]
                a00 += p * v0[c]; a01 += p * v1[c]; a02 += p * v2[c]; a03 += p * v3[c]
            scatter[i, j] += a00; scatter[i, j + 1] += a01; scatter[i, j + 2] += a02; scatter[i, j + 3] += a03
        for j in range(whole, i):
            v0 = z[j]
            a00 = 0.0
            for c in range(b):
                a00 += z0[c] * resp[c] * v0[c]
            scatter[i, j] += a00


@kernel
def triangular_product(lower, tile, out):
    """Set out = lower @ tile for lower-triangular `lower` (d, d)."""
    d, b = tile.shape
    whole = d // 4 * 4
    for i in range(d):
        row = out[i]
        for c in range(b):
            row[c] = 0.0
    for i in range(0, whole, 4):
        y0 = out[i]; y1 = out[i + 1]; y2 = out[i + 2]; y3 = out[i + 3]
        for j in range(0, i + 4):
            x0 = tile[j]
            l0 = lower[i, j]; l1 = lower[i + 1, j]; l2 = lower[i + 2, j]; l3 = lower[i + 3, j]  # zero past the diagonal
            for c in range(b):
                p = x0[c]
                y0[c] += l0 * p; y1[c] += l1 * p; y2[c] += l2 * p; y3[c] += l3 * p
    for i in range(whole, d):
        y0 = out[i]
        for j in range(i + 1):
            x0 = tile[j]; l0 = lower[i, j]
            for c in range(b):
                y0[c] += l0 * x0[c]
