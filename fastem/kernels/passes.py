"""Templates of the passes: the same loops over the data for every family.

The names in `__placeholders__` stand for kernels of a family and of a posterior policy, which
`fastem.kernels.jit.specialise` binds. A slab is a run of rows that is summed in order. Slabs begin and end at `bounds`
(P + 1,), which depend on the data's shape only, so results do not depend on the number of threads. Each thread calls a
pass, which takes one slab after the other until none is left, see `fastem.kernels.turns`.

The caller allocates all memory: `workspace` (R, b), whose columns are the rows of a tile, see
`fastem.data.workspace_rows`. Code that allocates would take longer to compile.
"""

import numpy as np

from fastem.kernels.clusters import assign_tiles, limit_distances
from fastem.kernels.posterior import component_mass, entropy, most_probable, soft, weighted_total
from fastem.kernels.tiles import load, take, width_of
from fastem.kernels.turns import AT_ONCE, DONE, TAKEN, add_one

__placeholders__ = ("log_prob", "accumulate", "posterior", "record", "load_errors", "restrict", "pick")


def fold_slabs(rows, params, which, given, marks, workspace, turns, bounds, mass, stats, log_likelihood):
    """E-step and expected statistics of slabs, in one reading of the rows.

    Parameters
    ----------
    rows : Rows
    params : the family's parameters, with the logarithms of the mixing weights in `log_constant`
    which : (P,)
        Index of the pattern whose parameters `pick` returns for each slab; without patterns it is not used.
    given : (n, K) or (0, K)
        Responsibilities that replace those of the E-step, at the start of a fit.
    marks : Marks
        Arrays in which `record` keeps results for each row.
    workspace : (R, b)
    turns : (16,)
    bounds : (P + 1,)
    mass : (P, K), stats : (P, S), log_likelihood : (P,)
        Sums of each slab and its weighted log-likelihood, to which the results are added.
    """
    n_columns, width, n_components = rows.values.shape[1], width_of(rows), mass.shape[1]
    tile, resp, rest = workspace[:width], workspace[width : width + n_components], workspace[width + n_components :]
    weight, density, scale, scratch = rest[0], rest[1], rest[2], rest[3:]
    for _ in range(turns[AT_ONCE]):
        p = add_one(turns, TAKEN)
        if p >= bounds.size - 1:
            break
        own, last = pick(params, which[p]), bounds[p + 1]  # noqa: F821
        total = 0.0
        for start in range(bounds[p], last, weight.size):
            stop = last if last - start < weight.size else start + weight.size
            load(rows, start, stop, workspace[:n_columns], weight)
            load_errors(rows, start, stop, workspace[n_columns:width])  # noqa: F821
            log_prob(own, tile, scratch, resp)  # noqa: F821
            if given.shape[0] > 0:
                take(given, start, stop, resp, weight)
            else:
                restrict(rows, start, stop, resp)  # noqa: F821
                posterior(resp, weight, density, scale, rows.key + start)  # noqa: F821
                total += weighted_total(weight, density)
                record(own, start, stop, resp, density, scale, marks)  # noqa: F821
            component_mass(resp, mass[p])
            accumulate(own, tile, weight, resp, mass[p], scratch, stats[p])  # noqa: F821
        log_likelihood[p] += total
        add_one(turns, DONE)


def score_slabs(rows, params, log_weights, workspace, turns, bounds, wanted, out, sums):
    """Evaluate the rows of slabs into the arrays of `out`; add weighted log-likelihood and entropy to sums (P, 2)."""
    n_columns, width, n_components = rows.values.shape[1], width_of(rows), log_weights.size
    tile, resp, rest = workspace[:width], workspace[width : width + n_components], workspace[width + n_components :]
    weight, density, scale, ones, scratch = rest[0], rest[1], rest[2], rest[3], rest[4:]
    ones[:] = 1.0
    for _ in range(turns[AT_ONCE]):
        p = add_one(turns, TAKEN)
        if p >= bounds.size - 1:
            break
        last = bounds[p + 1]
        for start in range(bounds[p], last, weight.size):
            stop = last if last - start < weight.size else start + weight.size
            load(rows, start, stop, workspace[:n_columns], weight)
            load_errors(rows, start, stop, workspace[n_columns:width])  # noqa: F821
            log_prob(params, tile, scratch, resp)  # noqa: F821
            restrict(rows, start, stop, resp)  # noqa: F821
            if wanted.labels:
                most_probable(resp, log_weights, density)
                for c in range(stop - start):
                    out.labels[start + c] = density[c]
            if not wanted.posterior:
                continue
            soft(resp, ones, density, scale, 0)
            sums[p, 0] += weighted_total(weight, density)
            if wanted.entropy:
                sums[p, 1] += entropy(resp, weight)
            if wanted.densities:
                for c in range(stop - start):
                    out.densities[start + c] = density[c]
            if wanted.responsibilities:
                for c in range(stop - start):
                    impossible = density[c] == -np.inf  # all densities are zero: responsibilities are the weights
                    for k in range(n_components):
                        r = np.exp(log_weights[k]) if impossible else resp[k, c]
                        out.responsibilities[start + c, k] = r
        add_one(turns, DONE)


def distance_pass(tiles, weights, points, closest, turns, bounds, distances, sums):
    """`limit_distances` for the tiles of slabs."""
    for _ in range(turns[AT_ONCE]):
        p = add_one(turns, TAKEN)
        if p >= bounds.size - 1:
            break
        limit_distances(tiles, weights, points, closest, bounds[p], bounds[p + 1], distances, sums)
        add_one(turns, DONE)


def assign_pass(rows, centres, reading, scratch, turns, bounds, labels, sums, mass, changed, again):
    """`assign_tiles` for slabs, each with its sums and mass, whether labels changed (P,), and tiles read again (P,)."""
    for _ in range(turns[AT_ONCE]):
        p = add_one(turns, TAKEN)
        if p >= bounds.size - 1:
            break
        changed[p], again[p] = assign_tiles(
            rows, centres, reading, bounds[p], bounds[p + 1], scratch, labels, sums[p], mass[p]
        )
        add_one(turns, DONE)
