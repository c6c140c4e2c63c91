"""Multivariate t densities, and expected latent weights of rows, from the squared distances of normal densities.

With k = 1 / df and the squared distance D of a row, its density has the factor (1 + k D)^-((df + d) / 2) and its weight
is u = (1 + k d) / (1 + k D). Formulas use k instead of df: it is 0 for a normal component, and nothing overflows.
"""

import numpy as np

from fastem.kernels.jit import kernel
from fastem.kernels.shuffles import total
from fastem.kernels.vecmath import log_of_one_plus
from fastem.kernels.vectors import (
    alike,
    any_lane,
    broadcast,
    is_double,
    lanes,
    load,
    maximum,
    multiply_add,
    splat,
    store,
    where,
)

N_SUMS = 7  # sums of each component, beside the moments
HEAVY, HEAVY_32 = 1e-4, 0.05  # from this k d on, differences of sums are accurate enough
NEAR = 0.0625  # below this k D / (1 + k D), differences for a single row are not
LOWEST, LOWEST_32 = -1e300, -1e36  # limit of -D / 2, and of its product with k, without overflow
FARTHEST, FARTHEST_32 = -5e89, -5e10  # limit of -D / 2 whose cube does not overflow


@kernel
def log_densities(inverse_df, exponent, constant, halves, logarithms, out):
    """Set `out` (K, b) to log-densities, constant + exponent log(1 + k D), from -D / 2 in `halves` (K, b).

    `logarithms` (K, b) are set to log(1 + k D).
    """
    for k in range(out.shape[0]):
        level, lowest = broadcast(constant, k), lowest_half(inverse_df, k, out)
        if inverse_df[k] > 0.0:
            factor, power = splat(-2.0 * inverse_df[k], out), broadcast(exponent, k)
            for c in range(0, out.shape[1], lanes(out)):
                logarithm, _ = log_of_one_plus(maximum(load(halves, k, c), lowest) * factor)
                store(logarithm, logarithms, k, c)
                store(multiply_add(power, logarithm, level), out, k, c)
        else:
            for c in range(0, out.shape[1], lanes(out)):
                store(level + maximum(load(halves, k, c), lowest), out, k, c)


@kernel
def lowest_half(inverse_df, k, array):
    """Lower limit of -D / 2, in every lane."""
    return splat((LOWEST if is_double(array) else LOWEST_32) / max(1.0, np.float64(inverse_df[k])), array)


@kernel
def weigh(inverse_df, log_weight, k, n_features, active, halves, logarithms, resp, sums):
    """Multiply resp[k] by the weights u of the rows, and add the sums that degrees of freedom are estimated from.

    `sums` (7,) are sums over the vectors that begin at the rows in `active`, weighted by the responsibilities. With
    q = D / (1 + k D) and y = k q, they are the sums of u, q, log(1 + k D) / k, q^2, q^3 (1 / 3 + y / 4 + y^2 / 5 ...),
    D, and the expectation of log(w) - w + 1. Here w is the row's latent weight, with E[w] = u and E[log(w)] =
    `log_weight` - log(1 + k D).
    """
    inverse = np.float64(inverse_df[k])
    if not inverse > 0.0:
        sum_of_powers(k, active, halves, resp, sums)
        return
    zero, one = splat(0.0, resp), splat(1.0, resp)
    factor, level = splat(-2.0 * inverse, resp), splat(1.0 + inverse * n_features, resp)
    lowest = lowest_half(inverse_df, k, resp)
    shares, parts, logs, squares, raw = zero, zero, zero, zero, zero
    for c in active:
        r, half = load(resp, k, c), maximum(load(halves, k, c), lowest)
        share = one / multiply_add(factor, half, one)
        weighted = r * share
        store(weighted * level, resp, k, c)
        part = weighted * half
        shares = shares + weighted
        parts = parts + part
        squares = multiply_add(part, share * half, squares)
        logs = multiply_add(r, load(logarithms, k, c), logs)
        raw = multiply_add(r, half, raw)
    first, second, third = -2.0 * total(parts), 4.0 * total(squares), total(logs)
    share = total(shares)
    weights, mass = share * (1.0 + inverse * n_features), share + inverse * first
    sums[0] += weights
    sums[1] += first
    sums[2] += third / inverse
    sums[3] += second
    if inverse * max(n_features, 1) > (HEAVY if is_double(resp) else HEAVY_32):
        sums[4] += ((third / inverse - first) / inverse - 0.5 * second) / inverse
    else:
        sums[4] += cubes(inverse_df, k, n_features, active, halves, logarithms, resp)
    sums[5] += -2.0 * total(raw)
    sums[6] += mass * (np.float64(log_weight[k]) + 1.0) - third - weights


@kernel
def sum_of_powers(k, active, halves, resp, sums):
    """`weigh` for a normal component: weights are 1, and the sums are those of D, D^2 and D^3 / 3."""
    zero = splat(0.0, resp)
    farthest = splat(FARTHEST if is_double(resp) else FARTHEST_32, resp)
    mass, parts, squares, thirds = zero, zero, zero, zero
    for c in active:
        r, half = load(resp, k, c), maximum(load(halves, k, c), farthest)
        part = r * half
        square = part * half
        mass = mass + r
        parts = parts + part
        squares = squares + square
        thirds = multiply_add(square, half, thirds)
    distance = -2.0 * total(parts)
    sums[0] += total(mass)
    sums[1] += distance
    sums[2] += distance
    sums[3] += 4.0 * total(squares)
    sums[4] += -8.0 / 3.0 * total(thirds)
    sums[5] += distance


@kernel
def cubes(inverse_df, k, n_features, active, halves, logarithms, resp):
    """Sum of q^3 (1 / 3 + y / 4 + y^2 / 5 ...) over rows; resp[k] has already been multiplied by their weights."""
    zero, one, half = splat(0.0, resp), splat(1.0, resp), splat(0.5, resp)
    near, lowest = splat(NEAR, resp), lowest_half(inverse_df, k, resp)
    inverse = np.float64(inverse_df[k])
    tail, unweighted = broadcast(inverse_df, k), splat(1.0 / (1.0 + inverse * n_features), resp)
    series, differences = zero, zero
    for c in active:
        half_distance = maximum(load(halves, k, c), lowest)
        distance = -(half_distance + half_distance)
        x = multiply_add(tail, distance, one)
        r = load(resp, k, c) * unweighted * x
        q = distance / x
        y = q * tail
        is_near = near > y
        if any_lane(is_near):
            series = multiply_add(where(is_near, r * q * q * q, zero), cubic_series(y), series)
        if any_lane(y >= near):
            rest = load(logarithms, k, c) - multiply_add(half * y, y, y)
            differences = multiply_add(where(is_near, zero, r), rest, differences)
    return total(series) + total(differences) / inverse / inverse / inverse


@kernel
def cubic_series(y):
    """Sum of y^j / (j + 3), which is (-log(1 - y) - y - y^2 / 2) / y^3, within 1e-11 for y up to `NEAR`."""
    p = multiply_add(alike(1.0 / 10.0, y), y, alike(1.0 / 9.0, y))
    p = multiply_add(p, y, alike(1.0 / 8.0, y))
    p = multiply_add(p, y, alike(1.0 / 7.0, y))
    p = multiply_add(p, y, alike(1.0 / 6.0, y))
    p = multiply_add(p, y, alike(1.0 / 5.0, y))
    p = multiply_add(p, y, alike(1.0 / 4.0, y))
    return multiply_add(p, y, alike(1.0 / 3.0, y))
