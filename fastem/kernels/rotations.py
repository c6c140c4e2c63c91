"""Plane rotations of symmetric matrices towards a common frame, with a fixed order of operations."""

import math

import numpy as np

from fastem.kernels.factors import LN2_HIGH, LN2_LOW, logarithm
from fastem.kernels.jit import inlined

NOISE = 2.0**-48  # times the sum of absolute terms; a smaller sum is only rounding error


@inlined
def rotate_rows(matrix, i, j, c, s):
    """Replace rows and columns i and j of a symmetric matrix (d, d) by c * i + s * j and c * j - s * i."""
    first, second, between = matrix[i, i], matrix[j, j], matrix[i, j]
    for r in range(matrix.shape[0]):
        a, b = matrix[r, i], matrix[r, j]
        matrix[r, i] = c * a + s * b
        matrix[r, j] = c * b - s * a
        matrix[i, r] = matrix[r, i]
        matrix[j, r] = matrix[r, j]
    matrix[i, i] = c * c * first + 2.0 * c * s * between + s * s * second
    matrix[j, j] = c * c * second - 2.0 * c * s * between + s * s * first
    matrix[i, j] = matrix[j, i] = c * s * (second - first) + (c * c - s * s) * between


@inlined
def rotate(matrices, precisions, frame):
    """Rotate in each plane once, to minimise sum_k sum_j precisions[k, j] matrices[k, j, j]; returns the largest sine.

    Symmetric matrices (K, d, d) and the columns of `frame` (d, d) are rotated in the same way; `precisions` is (K, d).
    In the plane of features i and j the sum is a constant plus P cos 2t + Q sin 2t, for the angle t of rotation. Its
    minimum is at (cos 2t, sin 2t) = -(P, Q) / |(P, Q)|.
    """
    largest = 0.0
    d = frame.shape[0]
    for i in range(d - 1):
        for j in range(i + 1, d):
            p, q, size = 0.0, 0.0, 0.0
            for k in range(matrices.shape[0]):
                u = precisions[k, i] - precisions[k, j]
                p += 0.5 * u * (matrices[k, i, i] - matrices[k, j, j])
                q += u * matrices[k, i, j]
                size += abs(u) * (matrices[k, i, i] + matrices[k, j, j])
            length = math.sqrt(p * p + q * q)
            if length <= NOISE * size or (q == 0.0 and p <= 0.0):
                continue
            cosine, sine = -p / length, -q / length  # of the double angle, which is between -pi and pi
            c = math.sqrt(0.5 * (1.0 + cosine))
            s = math.sqrt(0.5 * (1.0 - cosine))
            if cosine >= 0.0:  # compute the smaller of the two from the larger, which loses no digits
                s = sine / (2.0 * c)
            else:
                c = abs(sine) / (2.0 * s)
                s = s if sine >= 0.0 else -s
            for k in range(matrices.shape[0]):
                rotate_rows(matrices[k], i, j, c, s)
            for r in range(d):
                a, b = frame[r, i], frame[r, j]
                frame[r, i] = c * a + s * b
                frame[r, j] = c * b - s * a
            largest = max(largest, abs(s))
    return largest


@inlined
def exponential(x):
    """Exponential of a number: only 24 bits of the library's result are used, whose last bits depend on processors."""
    power = round(x * 1.4426950408889634)
    rest = (x - power * LN2_HIGH) - power * LN2_LOW
    nearly = float(np.float32(math.exp(rest)))
    rest -= logarithm(nearly)
    return math.ldexp(nearly * (1.0 + rest * (1.0 + rest * (0.5 + rest / 6.0))), int(power))


@inlined
def relative_volumes(scales, relative):
    """Set `relative` (K,) to geometric means of positive numbers (K, d), divided by that of the first component.

    Exponents of two are summed as integers, so that scaling all numbers by a power of two changes no bit of the result.
    """
    d = scales.shape[1]
    first, first_power = 0.0, 0
    for k in range(scales.shape[0]):
        total, powers = 0.0, 0
        for j in range(d):
            mantissa, power = math.frexp(scales[k, j])
            total += logarithm(mantissa)
            powers += power
        if k == 0:
            first, first_power = total, powers
        relative[k] = exponential(((total - first) + (powers - first_power) * (LN2_HIGH + LN2_LOW)) / d)


@inlined
def weigh(matrices, shares, equal_volumes, variances, precisions, relative):
    """Set `variances` (K, d) to the matrices' diagonals and `precisions` (K, d) to their weights in `rotate`.

    Returns the first component whose diagonal is not positive, or -1.
    """
    n_components, d = variances.shape
    for k in range(n_components):
        for j in range(d):
            variances[k, j] = matrices[k, j, j]
            if not 0.0 < variances[k, j] < math.inf:
                return k
        relative[k] = 1.0
    if equal_volumes:
        relative_volumes(variances, relative)
    for k in range(n_components):
        for j in range(d):
            precisions[k, j] = shares[k] * relative[k] / variances[k, j]
    return -1


def align(matrices, shares, equal_volumes, limits, frame, variances, precisions, relative):
    """Rotate a frame (d, d), and symmetric matrices (K, d, d) with it, until these are as nearly diagonal as possible.

    The rotations lower sum_k shares[k] log det(diag(M_k)), or with equal volumes the logarithm of the shares' mean of
    det(diag(M_k)) ** (1 / d). `limits` are the largest number of sweeps, and the largest sine in a sweep that ends
    them. Returns the first component whose matrix has no positive diagonal, or -1. `variances` (K, d), `precisions`
    (K, d) and `relative` volumes (K,) are set to their final values.
    """
    n_sweeps, settled = limits
    bad = weigh(matrices, shares, equal_volumes, variances, precisions, relative)
    while n_sweeps > 0 and bad < 0:
        n_sweeps = n_sweeps - 1 if rotate(matrices, precisions, frame) > settled else 0
        bad = weigh(matrices, shares, equal_volumes, variances, precisions, relative)
    return bad


def volumes(scales, relative):
    """`relative_volumes`, for calls from Python."""
    relative_volumes(scales, relative)
