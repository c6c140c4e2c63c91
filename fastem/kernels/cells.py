"""Densities and sums over tiles in which some cells are missing (NaN): they use the observed cells only."""

import numpy as np

from fastem.kernels.jit import kernel
from fastem.kernels.shuffles import total
from fastem.kernels.vecmath import deviance
from fastem.kernels.vectors import broadcast, lanes, load, multiply_add, splat, store, where

IMPOSSIBLE = -1e290


@kernel
def log_densities(inverse_deviation, offset, log_scale, constant, tile, out):
    """out[k, c] = constant[k] + sum over observed cells of log_scale - (inverse_deviation x - offset)^2 / 2."""
    n_components, b = out.shape
    d = tile.shape[0]
    step = lanes(tile)
    zero, minus_half = splat(0.0, tile), splat(-0.5, tile)
    for k in range(n_components):
        level = broadcast(constant, k)
        for c in range(0, b, 2 * step):
            c1 = c + step
            s0 = level
            s1 = level
            for j in range(d):
                x0 = load(tile, j, c)
                x1 = load(tile, j, c1)
                a, h, scale = (
                    broadcast(inverse_deviation, k, j),
                    -broadcast(offset, k, j),
                    broadcast(log_scale, k, j),
                )
                u0 = multiply_add(a, x0, h)
                u1 = multiply_add(a, x1, h)
                s0 = s0 + where(x0 >= x0, multiply_add(minus_half * u0, u0, scale), zero)
                s1 = s1 + where(x1 >= x1, multiply_add(minus_half * u1, u1, scale), zero)
            store(s0, out, k, c)
            store(s1, out, k, c1)


@kernel
def log_counts(log_rates, rates, constant, tile, out):
    """out[k, c] = constant[k] + sum over observed cells of x log_rate - rate, where 0 log_rate is 0.

    A sum below `IMPOSSIBLE` becomes -inf. Where a value is certain, the two terms would be inf - inf; the caller gives
    large finite numbers instead.
    """
    n_components, b = out.shape
    d = tile.shape[0]
    step = lanes(tile)
    zero = splat(0.0, tile)
    for k in range(n_components):
        level = broadcast(constant, k)
        for c in range(0, b, step):
            s = level
            for j in range(d):
                x = load(tile, j, c)
                rate = broadcast(rates, k, j)
                term = multiply_add(x, where(x > zero, broadcast(log_rates, k, j), zero), zero - rate)
                s = s + where(x >= x, term, zero)
            store(where(s > splat(IMPOSSIBLE, tile), s, splat(-np.inf, tile)), out, k, c)


@kernel
def log_deviances(rates, log_rates, constant, tile, out):
    """out[k, c] = constant[k] - sum over observed cells of x log(x / rate) - (x - rate), half the deviance."""
    n_components, b = out.shape
    d = tile.shape[0]
    zero = splat(0.0, tile)
    for k in range(n_components):
        level = broadcast(constant, k)
        for c in range(0, b, lanes(tile)):
            s = level
            for j in range(d):
                x = load(tile, j, c)
                term = deviance(x, broadcast(rates, k, j), broadcast(log_rates, k, j))
                s = s - where(x >= x, term, zero)
            store(s, out, k, c)


@kernel
def weighted_moments(resp, active, tile, centre, first, stats):
    """Add mass, first and second moments of observed cells of tile - centre to 3 d sums, from stats[first] on."""
    d = tile.shape[0]
    zero = splat(0.0, tile)
    for j in range(d):
        m = broadcast(centre, j)
        n = zero
        s = zero
        q = zero
        for c in active:
            x = load(tile, j, c)
            w = where(x >= x, load(resp, c), zero)
            u = where(x >= x, x - m, zero)
            p = w * u
            n = n + w
            s = s + p
            q = multiply_add(p, u, q)
        stats[first + j] += total(n)
        stats[first + d + j] += total(s)
        stats[first + 2 * d + j] += total(q)


@kernel
def weighted_counts(resp, active, tile, first, stats):
    """Add mass and weighted sums of observed counts to 2 d sums, from stats[first] on."""
    d = tile.shape[0]
    zero = splat(0.0, tile)
    for j in range(d):
        n = zero
        s = zero
        for c in active:
            x = load(tile, j, c)
            w = where(x >= x, load(resp, c), zero)
            n = n + w
            s = multiply_add(w, where(x >= x, x, zero), s)
        stats[first + j] += total(n)
        stats[first + d + j] += total(s)
