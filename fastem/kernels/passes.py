"""The templates: one loop over the data for every family.

The names in `__placeholders__` stand for kernels of a family and of a posterior policy; `fastem._jit.specialise` binds
them. Every sum is split into slabs whose number depends on the data's shape only, and each slab is summed in order, so
results do not depend on the number of threads.
"""

import numpy as np
from numba import prange

from fastem.kernels.posterior import component_mass, entropy, most_probable, soft
from fastem.kernels.tiles import load, make_tile

__placeholders__ = ("log_prob", "accumulate", "posterior", "fold_slab", "score_slab")

NEGLIGIBLE = 1e-20  # of a component's mass: a row of which it has no more may be left out of its statistics
SCRATCH_ROWS = 8  # a family's kernels get n_features + max(n_features, n_components) + so many rows of scratch


def fold_slab(rows, params, log_weights, tile_rows, first, last, mass, stats):
    """Fold rows first..last into mass (K,) and stats (S,); returns their weighted log-likelihood."""
    n_features, n_components = rows.values.shape[1], log_weights.size
    tile = make_tile(n_features, tile_rows, log_weights.dtype)
    scratch = make_tile(n_features + max(n_features, n_components) + SCRATCH_ROWS, tile_rows, log_weights.dtype)
    resp = make_tile(n_components, tile_rows, log_weights.dtype)
    lanes = make_tile(2, tile_rows, log_weights.dtype)
    weight, density = lanes[0], lanes[1]
    tile_mass, negligible = np.empty(n_components), np.empty(n_components)
    log_likelihood = 0.0
    for start in range(first, last, tile_rows):
        load(rows, start, min(start + tile_rows, last), tile, weight)
        log_prob(params, tile, scratch, resp)  # noqa: F821
        log_likelihood += posterior(resp, log_weights, weight, density)  # noqa: F821
        component_mass(resp, tile_mass)
        for k in range(n_components):
            mass[k] += tile_mass[k]
            negligible[k] = NEGLIGIBLE * mass[k]
        accumulate(params, tile, weight, resp, negligible, scratch, stats)  # noqa: F821
    return log_likelihood


def fused_pass(rows, params, log_weights, tile_rows, mass, stats, log_likelihood):
    """E-step and statistics of every row in one reading of the data.

    Parameters
    ----------
    rows : Rows
    params : the family's parameters
    log_weights : (K,)
    tile_rows : int
    mass : (P, K), stats : (P, S), log_likelihood : (P,)
        Zero on entry; P is the number of slabs. They are allocated by the caller: inside, each fill would become a
        parallel loop of its own and double the time to compile.
    """
    n_rows, n_slabs = rows.values.shape[0], mass.shape[0]
    n_tiles = (n_rows + tile_rows - 1) // tile_rows
    for p in prange(n_slabs):
        first = n_tiles * p // n_slabs * tile_rows
        last = min(n_tiles * (p + 1) // n_slabs * tile_rows, n_rows)
        log_likelihood[p] = fold_slab(rows, params, log_weights, tile_rows, first, last, mass[p], stats[p])


def score_slab(rows, params, log_weights, tile_rows, first, last, wanted, out):
    """Evaluate rows first..last into the arrays of `out`; returns weighted log-likelihood and entropy."""
    n_features, n_components = rows.values.shape[1], log_weights.size
    tile = make_tile(n_features, tile_rows, log_weights.dtype)
    scratch = make_tile(n_features + max(n_features, n_components) + SCRATCH_ROWS, tile_rows, log_weights.dtype)
    resp = make_tile(n_components, tile_rows, log_weights.dtype)
    lanes = make_tile(3, tile_rows, log_weights.dtype)
    weight, ones, density = lanes[0], lanes[1], lanes[2]
    ones[:] = 1.0
    labels = np.empty(tile_rows, np.int64)
    log_likelihood, total_entropy = 0.0, 0.0
    for start in range(first, last, tile_rows):
        stop = min(start + tile_rows, last)
        load(rows, start, stop, tile, weight)
        log_prob(params, tile, scratch, resp)  # noqa: F821
        if wanted.labels:
            most_probable(resp, log_weights, density, labels)
            for c in range(stop - start):
                out.labels[start + c] = labels[c]
        if not wanted.posterior:
            continue
        soft(resp, log_weights, ones, density)
        for c in range(stop - start):
            if weight[c] > 0.0:
                log_likelihood += weight[c] * density[c]
        if wanted.entropy:
            total_entropy += entropy(resp, weight)
        if wanted.densities:
            for c in range(stop - start):
                out.densities[start + c] = density[c]
        if wanted.responsibilities:
            for c in range(stop - start):
                impossible = density[c] == -np.inf  # no component explains the row: the weights stand
                for k in range(n_components):
                    r = np.exp(log_weights[k]) if impossible else resp[k, c]
                    out.responsibilities[start + c, k] = r
    return log_likelihood, total_entropy


def score_pass(rows, params, log_weights, tile_rows, wanted, out, sums):
    """Log-densities, labels or responsibilities, whichever `wanted` names, into the arrays of `out`.

    `sums` (P, 2) gets each slab's weighted log-likelihood and entropy. It is an argument of its own: what a parallel
    loop itself writes to an array inside a tuple is lost.
    """
    n_rows, n_slabs = rows.values.shape[0], sums.shape[0]
    n_tiles = (n_rows + tile_rows - 1) // tile_rows
    for p in prange(n_slabs):
        first = n_tiles * p // n_slabs * tile_rows
        last = min(n_tiles * (p + 1) // n_slabs * tile_rows, n_rows)
        log_likelihood, total_entropy = score_slab(rows, params, log_weights, tile_rows, first, last, wanted, out)
        sums[p, 0] = log_likelihood
        sums[p, 1] = total_entropy


def given_pass(rows, params, responsibilities, tile_rows, mass, stats):
    """Statistics of rows whose responsibilities (n, K) are given: the start of a fit."""
    n_rows, n_features = rows.values.shape
    n_components = responsibilities.shape[1]
    tile = make_tile(n_features, tile_rows, responsibilities.dtype)
    scratch = make_tile(n_features + max(n_features, n_components) + SCRATCH_ROWS, tile_rows, responsibilities.dtype)
    resp = make_tile(n_components, tile_rows, responsibilities.dtype)
    weight = make_tile(1, tile_rows, responsibilities.dtype)[0]
    negligible = np.zeros(n_components)
    for start in range(0, n_rows, tile_rows):
        stop = min(start + tile_rows, n_rows)
        load(rows, start, stop, tile, weight)
        for k in range(n_components):
            row = resp[k]
            total = 0.0
            for c in range(stop - start):
                row[c] = weight[c] * responsibilities[start + c, k]
                total += row[c]
            for c in range(stop - start, tile_rows):
                row[c] = 0.0
            mass[k] += total
        for c in range(tile_rows):  # a row counts as much as is given of it
            total = 0.0
            for k in range(n_components):
                total += resp[k, c]
            weight[c] = total
        accumulate(params, tile, weight, resp, negligible, scratch, stats)  # noqa: F821
