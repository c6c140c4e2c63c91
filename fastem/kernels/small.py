"""Gaussian densities and moments of one to three features, whose loops are unrolled to keep rows in registers."""

import numpy as np

from fastem.kernels.instructions import instructions
from fastem.kernels.jit import kernel

LARGEST = 3  # largest number of features; the sums of more do not fit into the registers
CHAINS = {1: 4, 2: 2, 3: 1}  # number of independent sums for each statistic, by the number of features


@kernel
def log_density(lower, offset, constant, tile, out):
    """out[c] = constant - |lower @ tile[:, c] - offset|^2 / 2 for lower-triangular `lower` (d, d)."""
    halved_squares(lower, offset, constant, tile, out)


@kernel
def moments(resp, tile, mean, stats):
    """Add first moments (d,) and the lower triangle of second moments (d, d) of tile - mean to `stats`."""
    weighted_moments(resp, tile, mean, stats)


def halved_squares(lower, offset, constant, tile, out):
    """The computation of `log_density`."""
    out[:] = constant - 0.5 * ((np.tril(lower) @ tile - offset[:, None]) ** 2).sum(axis=0)


@instructions(halved_squares)
def _write_halved_squares(k, lower, offset, constant, tile, out):
    level, minus_half = k.spread(constant), k.constant(-0.5)
    for d in range(1, LARGEST + 1):
        with k.builder.if_then(k.builder.icmp_signed("==", k.size(tile), k.integer(d))):
            rows = [[k.broadcast(lower, i, j) for j in range(i + 1)] for i in range(d)]
            starts = [k.negative(k.broadcast(offset, i)) for i in range(d)]
            with k.loop(0, k.size(tile, 1), k.lanes) as c:
                xs = [k.load(tile, j, c) for j in range(d)]
                squares = None
                for row, u in zip(rows, starts, strict=True):
                    for a, x in zip(row, xs, strict=False):
                        u = k.multiply_add(a, x, u)
                    squares = k.multiply(u, u) if squares is None else k.multiply_add(u, u, squares)
                k.store(k.multiply_add(minus_half, squares, level), out, c)


def weighted_moments(resp, tile, mean, stats):
    """The computation of `moments`."""
    d = len(tile)
    z = tile - mean[:, None]
    stats[:d] += z @ resp
    stats[d:] += np.tril((z * resp) @ z.T).ravel()


@instructions(weighted_moments)
def _write_weighted_moments(k, resp, tile, mean, stats):
    for d, n_chains in CHAINS.items():
        with k.builder.if_then(k.builder.icmp_signed("==", k.size(tile), k.integer(d))):
            means = [k.broadcast(mean, j) for j in range(d)]
            lower = [(i, j) for i in range(d) for j in range(i + 1)]

            def terms(c, cells, d=d, means=means):
                w = k.load(resp, c)
                z = [k.subtract(k.load(tile, j, c), means[j]) for j in range(d)]
                for i in range(d):
                    p = k.multiply(w, z[i])
                    k.change(cells[i], k.add(k.value(cells[i]), p))
                    for j in range(i + 1):
                        k.add_product(cells[i, j], p, z[j])

            def loop(body, n_chains=n_chains):
                with k.loop(0, k.size(tile, 1), n_chains * k.logical_lanes) as c:
                    body(c)

            found = k.over_rows([*range(d), *lower], loop, terms, n_chains)
            k.add_totals(stats, [((i,), [found[i]]) for i in range(d)])
            k.add_totals(stats, [((d + i * d + j,), [found[i, j]]) for i, j in lower])
