"""Multivariate t densities of rows with missing values, and the sums that degrees of freedom are estimated from.

With k = 1 / df, a row with p observed values of d, at the squared distance D, has the density and the latent weight

    c_p (1 + k D)^-((df + p) / 2),    u = (1 + k p) / (1 + k D).

All sums are linear in 1 + k p. So the row counts as a fraction p / d of a row with all values and a fraction 1 - p / d
of a row without any, both at the same distance, and `fastem.kernels.student_t.weigh` computes the sums of both kinds.
The constants c_p also need the masses of rows by number of observed values.
"""

import numpy as np

from fastem.kernels.jit import kernel
from fastem.kernels.posterior import active_vectors
from fastem.kernels.shuffles import total
from fastem.kernels.student_t import N_SUMS, lowest_half, weigh
from fastem.kernels.vecmath import log_of_one_plus
from fastem.kernels.vectors import broadcast, lanes, load, maximum, multiply_add, splat, store, where

OWN_ROWS = 3  # rows of scratch memory, beside four for each component


@kernel
def n_sums(n_features):
    """Number of sums of each component beside the moments: twice those of `weigh`, and masses by number of values."""
    return 2 * N_SUMS + n_features + 1


@kernel
def parts(scratch, n_components):
    """Divide scratch memory: -D / 2, log(1 + k D), responsibilities of rows with all and without values (K, b).

    After these come p and p / d in one array (2, b), a row (b,) for indices of active vectors, and the remaining rows.
    """
    halves, logarithms = scratch[:n_components], scratch[n_components : 2 * n_components]
    whole, none = scratch[2 * n_components : 3 * n_components], scratch[3 * n_components : 4 * n_components]
    last = 4 * n_components
    values = scratch[last : last + 2]
    return halves, logarithms, whole, none, values, scratch[last + 2], scratch[last + OWN_ROWS :]


@kernel
def count_values(tile, values):
    """Set `values` (2, b) to the number of observed values of each row, and to their fraction of all values."""
    zero, one, n_features = splat(0.0, tile), splat(1.0, tile), splat(tile.shape[0], tile)
    for c in range(0, values.shape[1], lanes(tile)):
        n = zero
        for j in range(tile.shape[0]):
            x = load(tile, j, c)
            n = n + where(x >= x, one, zero)
        store(n, values, 0, c)
        store(n / n_features, values, 1, c)


@kernel
def log_densities(params, values, halves, logarithms, out):
    """Add log c_p - (df + p) / 2 log(1 + k D) to `out` (K, b), which holds constants and log-determinants."""
    minus_half, n_values = splat(-0.5, out), values[0]
    for k in range(out.shape[0]):
        normaliser, own = params.normaliser[k], out[k]
        for c in range(own.size):
            own[c] = own[c] + normaliser[int(n_values[c])]
        lowest = lowest_half(params.inverse_df, k, out)
        if params.inverse_df[k] > 0.0:
            factor, power = splat(-2.0 * params.inverse_df[k], out), broadcast(params.exponent, k)
            for c in range(0, own.size, lanes(out)):
                logarithm, _ = log_of_one_plus(maximum(load(halves, k, c), lowest) * factor)
                store(logarithm, logarithms, k, c)
                exponent = multiply_add(minus_half, load(n_values, c), power)
                store(multiply_add(exponent, logarithm, load(out, k, c)), out, k, c)
        else:
            for c in range(0, own.size, lanes(out)):
                store(load(out, k, c) + maximum(load(halves, k, c), lowest), out, k, c)


@kernel
def divide(resp, k, active, values, whole, none, counts):
    """Split resp[k] into `whole` and `none` (K, b), for rows with all and without values, and add masses to `counts`.

    `counts` (d + 1,) are the sums of resp[k] by number of observed values.
    """
    zero, n_values = splat(0.0, resp), values[0]
    for c in range(0, resp.shape[1], lanes(resp)):
        store(zero, whole, k, c)
        store(zero, none, k, c)
    for c in active:
        r = load(resp, k, c)
        of_whole = r * load(values, 1, c)
        store(of_whole, whole, k, c)
        store(r - of_whole, none, k, c)
        for i in range(c, c + lanes(resp)):
            counts[int(n_values[i])] += resp[k, i]


@kernel
def weigh_parts(params, tile, resp, mass, scratch, sums):
    """Set `whole` of `parts` to responsibilities times latent weights, and add to `sums` (K, `n_sums`)."""
    n_components, n_features = resp.shape[0], tile.shape[0]
    halves, logarithms, whole, none, values, vectors, _ = parts(scratch, n_components)
    inverse_df, log_weight, places = params.inverse_df, params.log_weight, vectors.view(np.int64)
    for k in range(n_components):
        active = places[: active_vectors(resp[k], mass[k], places)]
        own = sums[k]
        divide(resp, k, active, values, whole, none, own[2 * N_SUMS :])
        weigh(inverse_df, log_weight, k, n_features, active, halves, logarithms, whole, own[:N_SUMS])
        weigh(inverse_df, log_weight, k, 0, active, halves, logarithms, none, own[N_SUMS : 2 * N_SUMS])
        for c in active:
            store(load(whole, k, c) + load(none, k, c), whole, k, c)


@kernel
def log_levels_of_cells(inverse_deviation, offset, log_scale, constant, tile, halves, out):
    """Log-densities of independent normal cells: out (K, b) without squared distances D, and -D / 2 in `halves`."""
    n_components, b = out.shape
    zero, minus_half = splat(0.0, tile), splat(-0.5, tile)
    for k in range(n_components):
        for c in range(0, b, lanes(tile)):
            level = broadcast(constant, k)
            square = zero
            for j in range(tile.shape[0]):
                x = load(tile, j, c)
                u = multiply_add(broadcast(inverse_deviation, k, j), x, -broadcast(offset, k, j))
                level = level + where(x >= x, zero + broadcast(log_scale, k, j), zero)
                square = square + where(x >= x, u * u, zero)
            store(level, out, k, c)
            store(minus_half * square, halves, k, c)


@kernel
def shared_moments(resp, share, active, tile, centre, first, stats):
    """Add mass, first and second moments of observed cells of tile - centre to 3 d sums, from stats[first] on.

    Rows have the weights `resp` (b,) in the mass, and `share` (b,) in the moments.
    """
    d = tile.shape[0]
    zero = splat(0.0, tile)
    for j in range(d):
        m = broadcast(centre, j)
        n = zero
        s = zero
        q = zero
        for c in active:
            x = load(tile, j, c)
            u = where(x >= x, x - m, zero)
            p = load(share, c) * u
            n = n + where(x >= x, load(resp, c), zero)
            s = s + p
            q = multiply_add(p, u, q)
        stats[first + j] += total(n)
        stats[first + d + j] += total(s)
        stats[first + 2 * d + j] += total(q)
