"""Cholesky factors, their inverses, and logarithms, with a fixed order of operations.

LAPACK and numpy have different code for different processors, which rounds differently; the results here have the same
bits on all of them. Inner loops change each element independently of the others, so that a compiler may vectorise them.
"""

import math

from fastem.kernels.jit import inlined

SQRT_HALF = 0.7071067811865476
LN2_HIGH = 6.93147180369123816490e-01  # few enough bits that multiples by an exponent are exact
LN2_LOW = 1.90821492927058770002e-10


@inlined
def factorise(matrix, factor, column):
    """Set `factor` (d, d) to the lower Cholesky factor of a matrix (d, d), whose lower triangle is read.

    Returns whether the matrix is positive definite. `column` (d,) is scratch.
    """
    d = matrix.shape[0]
    for i in range(d):
        for j in range(d):
            factor[i, j] = matrix[i, j] if j <= i else 0.0
    for j in range(d):
        if not factor[j, j] > 0.0:
            return False
        root = math.sqrt(factor[j, j])
        factor[j, j] = root
        for i in range(j + 1, d):
            column[i] = factor[i, j] / root
            factor[i, j] = column[i]
        for i in range(j + 1, d):
            scale, row, other = column[i], factor[i, j + 1 : i + 1], column[j + 1 : i + 1]
            for p in range(other.size):
                row[p] -= scale * other[p]
    return True


@inlined
def invert(lower, before):
    """Replace a lower-triangular matrix (d, d) by its inverse; `before` (d,) is scratch."""
    for i in range(lower.shape[0]):
        inverse, row = 1.0 / lower[i, i], lower[i, : i + 1]
        for p in range(i):
            before[p] = row[p]
        for p in range(i + 1):
            row[p] = 0.0
        for p in range(i):
            scale, other = before[p], lower[p, : p + 1]
            for q in range(other.size):
                row[q] += scale * other[q]
        for p in range(i):
            row[p] *= -inverse
        row[i] = inverse


@inlined
def logarithm(x):
    """Natural logarithm, within two units in the last place: x = 2**e m, log(m) = 2 atanh((m - 1) / (m + 1))."""
    if not 0.0 < x < math.inf:
        return -math.inf if x == 0.0 else x if x == math.inf else math.nan
    m, e = math.frexp(x)
    if m < SQRT_HALF:
        m += m
        e -= 1
    s = (m - 1.0) / (m + 1.0)
    t = s * s
    p = 0.14617807153417325 * t + 0.15331611722055008
    p = p * t + 0.1818289243253687
    p = p * t + 0.22222211089379496
    p = p * t + 0.28571428626253836
    p = p * t + 0.3999999999989889
    p = p * t + 0.666666666666667
    return e * LN2_HIGH + ((s + s) + (s * t * p + e * LN2_LOW))


def inverse_factors(matrices, are_factors, inverses, values, logarithms, scratch):
    """Inverses (K, d, d) of the lower Cholesky factors of matrices (K, d, d), and logarithms of values (n,).

    Returns the index of the first matrix that is not positive definite or whose inverse is not finite, or -1. With
    `are_factors` the matrices are the Cholesky factors themselves. `scratch` (d,) is overwritten.
    """
    for k in range(matrices.shape[0]):
        if are_factors:
            for i in range(matrices.shape[1]):
                for j in range(matrices.shape[1]):
                    inverses[k, i, j] = matrices[k, i, j] if j <= i else 0.0
        elif not factorise(matrices[k], inverses[k], scratch):
            return k
        invert(inverses[k], scratch)
        total = 0.0  # a loop, because numpy's sum takes longer to compile than all other code here
        for i in range(matrices.shape[1]):
            for j in range(i + 1):
                total += inverses[k, i, j]
        if not math.isfinite(total):
            return k
    for n in range(values.size):
        logarithms[n] = logarithm(values[n])
    return -1
