"""Sums over feature-major tiles that treat each column by itself, four columns at a time.

Four keep the loads of responsibilities and results few; more would spill the registers.
"""

from fastem._jit import kernel


@kernel
def weighted_sum(resp, z, first, stats):
    """stats[first + i] += sum_c resp[c] z[i, c] for every row i of z (m, b)."""
    m, b = z.shape
    whole = m // 4 * 4
    for i in range(0, whole, 4):
        z0 = z[i]; z1 = z[i + 1]; z2 = z[i + 2]; z3 = z[i + 3]
        t0 = t1 = t2 = t3 = 0.0
        for c in range(b):
            w = resp[c]
            t0 += w * z0[c]; t1 += w * z1[c]; t2 += w * z2[c]; t3 += w * z3[c]
        stats[first + i] += t0; stats[first + i + 1] += t1; stats[first + i + 2] += t2; stats[first + i + 3] += t3
    for i in range(whole, m):
        z0 = z[i]
        t0 = 0.0
        for c in range(b):
            t0 += resp[c] * z0[c]
        stats[first + i] += t0


@kernel
def squared_distance(centre, tile, out):
    """out[c] = |tile[:, c] - centre|^2."""
    d, b = tile.shape
    whole = d // 4 * 4
    for c in range(b):
        out[c] = 0.0
    for j in range(0, whole, 4):
        x0 = tile[j]; x1 = tile[j + 1]; x2 = tile[j + 2]; x3 = tile[j + 3]
        m0 = centre[j]; m1 = centre[j + 1]; m2 = centre[j + 2]; m3 = centre[j + 3]
        for c in range(b):
            u0 = x0[c] - m0; u1 = x1[c] - m1; u2 = x2[c] - m2; u3 = x3[c] - m3
            out[c] += u0 * u0 + u1 * u1 + u2 * u2 + u3 * u3
    for j in range(whole, d):
        x0 = tile[j]; m0 = centre[j]
        for c in range(b):
            u0 = x0[c] - m0
            out[c] += u0 * u0


@kernel
def scaled_squares(scale, offset, tile, out):
    """out[c] = sum_j (scale_j tile[j, c] - offset_j)^2."""
    d, b = tile.shape
    whole = d // 4 * 4
    for c in range(b):
        out[c] = 0.0
    for j in range(0, whole, 4):
        x0 = tile[j]; x1 = tile[j + 1]; x2 = tile[j + 2]; x3 = tile[j + 3]
        a0 = scale[j]; a1 = scale[j + 1]; a2 = scale[j + 2]; a3 = scale[j + 3]
        h0 = offset[j]; h1 = offset[j + 1]; h2 = offset[j + 2]; h3 = offset[j + 3]
        for c in range(b):
            u0 = a0 * x0[c] - h0; u1 = a1 * x1[c] - h1; u2 = a2 * x2[c] - h2; u3 = a3 * x3[c] - h3
            out[c] += u0 * u0 + u1 * u1 + u2 * u2 + u3 * u3
    for j in range(whole, d):
        x0 = tile[j]; a0 = scale[j]; h0 = offset[j]
        for c in range(b):
            u0 = a0 * x0[c] - h0
            out[c] += u0 * u0


@kernel
def weighted_moments(resp, tile, centre, first, stats):
    """First and second moments of tile - centre: stats[first + j] and stats[first + d + j] for each feature j."""
    d, b = tile.shape
    whole = d // 4 * 4
    for j in range(0, whole, 4):
        x0 = tile[j]; x1 = tile[j + 1]; x2 = tile[j + 2]; x3 = tile[j + 3]
        m0 = centre[j]; m1 = centre[j + 1]; m2 = centre[j + 2]; m3 = centre[j + 3]
        s0 = s1 = s2 = s3 = q0 = q1 = q2 = q3 = 0.0
        for c in range(b):
            w = resp[c]
            u0 = x0[c] - m0; u1 = x1[c] - m1; u2 = x2[c] - m2; u3 = x3[c] - m3
            p0 = w * u0; p1 = w * u1; p2 = w * u2; p3 = w * u3
            s0 += p0; s1 += p1; s2 += p2; s3 += p3
            q0 += p0 * u0; q1 += p1 * u1; q2 += p2 * u2; q3 += p3 * u3
        i = first + j
        stats[i] += s0; stats[i + 1] += s1; stats[i + 2] += s2; stats[i + 3] += s3
        i += d
        stats[i] += q0; stats[i + 1] += q1; stats[i + 2] += q2; stats[i + 3] += q3
    for j in range(whole, d):
        x0 = tile[j]; m0 = centre[j]
        s0 = q0 = 0.0
        for c in range(b):
            u0 = x0[c] - m0
            p0 = resp[c] * u0
            s0 += p0
            q0 += p0 * u0
        stats[first + j] += s0
        stats[first + d + j] += q0
