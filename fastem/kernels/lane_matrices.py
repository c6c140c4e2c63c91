"""Algebra of small matrices, one matrix in each lane, so that a vector processes as many rows of data as it has lanes.

Matrices are stored as (rows * columns, lanes), and triangles by rows. Loops go over 2 x 2 blocks, which halves the
number of loads; sizes are even, see `padded`.
"""

import numpy as np

from fastem.kernels.jit import kernel
from fastem.kernels.vecmath import log_of, split
from fastem.kernels.vectors import alike, as_integers, load_group, multiply_add, store, where

SMALLEST = 2.2250738585072014e-308  # normal number: pivots are positive


@kernel
def padded(n):
    """The smallest even number that is not below n."""
    return n + n % 2


@kernel
def factor_rows(m):
    """Number of vectors that `factorise` stores: U below the diagonal by rows, then D^-1 and e."""
    return m * (m - 1) // 2 + 2 * m


@kernel
def factorise(m, seen, work, factor, at):
    """Factor T = U D U' in `work`, its lower triangle by rows, and solve U e = q; returns e' D^-1 e and log det D.

    `seen` (m,) is one for observed and zero for missing values, whose pivots are left out. From `at` on, `factor` holds
    U, D^-1 and e, with q in place of e on entry. T is overwritten by -U D. The first result is NaN where T is not
    positive definite.
    """
    like = load_group(work, 0, 0)
    zero, one, minus_one = alike(0.0, like), alike(1.0, like), alike(-1.0, like)
    smallest, undefined = alike(SMALLEST, like), alike(np.nan, like)
    first_inverse = at + m * (m - 1) // 2
    first_e = first_inverse + m
    result = zero
    product, exponent = one, as_integers(zero)
    for j in range(0, m, 2):
        row_j, row_j1 = j * (j + 1) // 2, (j + 1) * (j + 2) // 2  # in work
        unit_j, unit_j1 = at + j * (j - 1) // 2, at + (j + 1) * j // 2  # in factor
        a = load_group(work, row_j + j, 0)
        b = load_group(work, row_j1 + j, 0)
        g = load_group(work, row_j1 + j + 1, 0)
        e0 = load_group(factor, first_e + j, 0)
        e1 = load_group(factor, first_e + j + 1, 0)
        for p in range(j):
            u0 = load_group(factor, unit_j + p, 0)
            u1 = load_group(factor, unit_j1 + p, 0)
            v1 = load_group(work, row_j1 + p, 0)
            a = multiply_add(load_group(work, row_j + p, 0), u0, a)
            b = multiply_add(v1, u0, b)
            g = multiply_add(v1, u1, g)
            e = zero - load_group(factor, first_e + p, 0)
            e0 = multiply_add(e, u0, e0)
            e1 = multiply_add(e, u1, e1)
        seen0 = load_group(seen, j, 0) > zero
        seen1 = load_group(seen, j + 1, 0) > zero
        # both inverse pivots from one division, which takes as long as thirty-two multiplications; mantissas are
        # multiplied, so that products neither overflow nor underflow
        a = where(seen0, a, one)
        negative = where(seen0, zero - b, zero)
        determinant = multiply_add(negative, negative * minus_one, a * g)
        determinant = where(seen1, determinant, a)
        mantissa, _, inverse_power = split(a)
        of_both, of_both_exponent, inverse_power_of_both = split(determinant)
        quotient = one / (mantissa * of_both)
        inverse0 = where(seen0, quotient * of_both * inverse_power, zero)
        inverse1 = where(seen1, quotient * mantissa * inverse_power_of_both * a, zero)
        unit = b * inverse0
        e1 = multiply_add(zero - e0, unit, e1)
        store(unit, factor, unit_j1 + j, 0)
        store(negative, work, row_j1 + j, 0)
        store(inverse0, factor, first_inverse + j, 0)
        store(inverse1, factor, first_inverse + j + 1, 0)
        store(e0, factor, first_e + j, 0)
        store(e1, factor, first_e + j + 1, 0)
        result = multiply_add(e0 * e0, inverse0, result)
        result = multiply_add(e1 * e1, inverse1, result)
        result = where(where(a >= smallest, determinant, zero) >= smallest, result, undefined)
        product = product * of_both
        exponent = exponent + of_both_exponent
        for i in range(j + 2, m, 2):
            row_i, row_i1 = i * (i + 1) // 2, (i + 1) * (i + 2) // 2
            t00 = load_group(work, row_i + j, 0)
            t01 = load_group(work, row_i + j + 1, 0)
            t10 = load_group(work, row_i1 + j, 0)
            t11 = load_group(work, row_i1 + j + 1, 0)
            for p in range(j):
                v0 = load_group(work, row_i + p, 0)
                v1 = load_group(work, row_i1 + p, 0)
                u0 = load_group(factor, unit_j + p, 0)
                u1 = load_group(factor, unit_j1 + p, 0)
                t00 = multiply_add(v0, u0, t00)
                t01 = multiply_add(v0, u1, t01)
                t10 = multiply_add(v1, u0, t10)
                t11 = multiply_add(v1, u1, t11)
            n00 = zero - t00
            n10 = zero - t10
            t01 = multiply_add(n00, unit, t01)
            t11 = multiply_add(n10, unit, t11)
            store(n00, work, row_i + j, 0)
            store(n10, work, row_i1 + j, 0)
            store(zero - t01, work, row_i + j + 1, 0)
            store(zero - t11, work, row_i1 + j + 1, 0)
            unit_i, unit_i1 = at + i * (i - 1) // 2, at + (i + 1) * i // 2
            store(t00 * inverse0, factor, unit_i + j, 0)
            store(t10 * inverse0, factor, unit_i1 + j, 0)
            store(t01 * inverse1, factor, unit_i + j + 1, 0)
            store(t11 * inverse1, factor, unit_i1 + j + 1, 0)
    return result, log_of(product, exponent)


@kernel
def solve(m, d, triangular, factor, at, w):
    """Replace A (m, d) in `w` by W = U^-1 A; of a triangular A only the lower 2 x 2 blocks are read and written."""
    zero = alike(0.0, load_group(w, 0, 0))
    for i in range(0, m, 2):
        unit_i, unit_i1 = at + i * (i - 1) // 2, at + (i + 1) * i // 2
        unit = zero - load_group(factor, unit_i1 + i, 0)
        for j in range(0, i + 2 if triangular else d, 2):
            w00 = load_group(w, i * d + j, 0)
            w01 = load_group(w, i * d + j + 1, 0)
            w10 = load_group(w, (i + 1) * d + j, 0)
            w11 = load_group(w, (i + 1) * d + j + 1, 0)
            for p in range(j if triangular else 0, i):
                u0 = zero - load_group(factor, unit_i + p, 0)
                u1 = zero - load_group(factor, unit_i1 + p, 0)
                x0 = load_group(w, p * d + j, 0)
                x1 = load_group(w, p * d + j + 1, 0)
                w00 = multiply_add(u0, x0, w00)
                w01 = multiply_add(u0, x1, w01)
                w10 = multiply_add(u1, x0, w10)
                w11 = multiply_add(u1, x1, w11)
            w10 = multiply_add(unit, w00, w10)
            w11 = multiply_add(unit, w01, w11)
            store(w00, w, i * d + j, 0)
            store(w01, w, i * d + j + 1, 0)
            store(w10, w, (i + 1) * d + j, 0)
            store(w11, w, (i + 1) * d + j + 1, 0)


@kernel
def add_moments(m, d, triangular, responsibility, share, factor, at, w, weighted, sums, lane):
    """Add s u to the first d rows of `sums`, from `lane` on, and s u u' - r P to lower 2 x 2 blocks of the next d^2.

    r is `responsibility`, and s is `share`: r, or r times the row's latent weight. u becomes the last row of W, and
    `weighted` holds the rows of W times -r D^-1, the last row times s: so one loop sums all terms. After these rows,
    `weighted` has memory for D^-1 e and -r D^-1.
    """
    zero = alike(0.0, responsibility)
    first_inverse = at + m * (m - 1) // 2
    first_e = first_inverse + m
    first_f = (m + 1) * d
    for p in range(m):
        inverse = load_group(factor, first_inverse + p, 0)
        store(inverse * load_group(factor, first_e + p, 0), weighted, first_f + p, 0)
        store(zero - responsibility * inverse, weighted, first_f + m + p, 0)
    for i in range(0, d, 2):
        first = i if triangular else 0
        u0 = zero
        u1 = zero
        for p in range(first, m):
            f = load_group(weighted, first_f + p, 0)
            scale = load_group(weighted, first_f + m + p, 0)
            w0 = load_group(w, p * d + i, 0)
            w1 = load_group(w, p * d + i + 1, 0)
            u0 = multiply_add(f, w0, u0)
            u1 = multiply_add(f, w1, u1)
            store(scale * w0, weighted, p * d + i, 0)
            store(scale * w1, weighted, p * d + i + 1, 0)
        store(u0, w, m * d + i, 0)
        store(u1, w, m * d + i + 1, 0)
        r0 = share * u0
        r1 = share * u1
        store(r0, weighted, m * d + i, 0)
        store(r1, weighted, m * d + i + 1, 0)
        store(load_group(sums, i, lane) + r0, sums, i, lane)
        store(load_group(sums, i + 1, lane) + r1, sums, i + 1, lane)
        for j in range(0, i + 2, 2):
            row, next_row = d + i * d + j, d + (i + 1) * d + j
            s00 = load_group(sums, row, lane)
            s01 = load_group(sums, row + 1, lane)
            s10 = load_group(sums, next_row, lane)
            s11 = load_group(sums, next_row + 1, lane)
            for p in range(first, m + 1):
                a0 = load_group(weighted, p * d + i, 0)
                a1 = load_group(weighted, p * d + i + 1, 0)
                b0 = load_group(w, p * d + j, 0)
                b1 = load_group(w, p * d + j + 1, 0)
                s00 = multiply_add(a0, b0, s00)
                s01 = multiply_add(a0, b1, s01)
                s10 = multiply_add(a1, b0, s10)
                s11 = multiply_add(a1, b1, s11)
            store(s00, sums, row, lane)
            store(s01, sums, row + 1, lane)
            store(s10, sums, next_row, lane)
            store(s11, sums, next_row + 1, lane)
