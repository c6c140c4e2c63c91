"""The templates: one loop over the data for every family.

The names in `__placeholders__` stand for kernels of a family and of a posterior policy; `fastem._jit.specialise` binds
them. A slab is a run of rows that is summed in order; `bounds` (P + 1,) tells where slabs begin. It depends on the
data's shape only, so results do not depend on the number of threads.

Whatever memory a slab needs is given to it: `workspace` (R, b), whose columns are the rows of a tile, see
`fastem.sources.workspace_rows`. Compiled code that allocates takes longer to compile.
"""

import numpy as np

from fastem.kernels.clusters import assign_tiles, limit_distances
from fastem.kernels.posterior import component_mass, entropy, most_probable, soft, weighted_total
from fastem.kernels.tiles import load, take, width_of

__placeholders__ = (
    *("log_prob", "accumulate", "posterior", "record", "load_errors", "restrict"),
    *("fold_slab", "pick"),
)


def fold_slab(rows, params, given, marks, workspace, first, last, mass, stats):
    """E-step and statistics of rows first..last in one reading; returns their weighted log-likelihood.

    Parameters
    ----------
    rows : Rows
    params : the family's parameters, with the logarithms of the mixing weights in `log_constant`
    given : (n, K) or (0, K)
        Responsibilities that take the place of the E-step's: the start of a fit.
    marks : Marks
        What `record` keeps of each row.
    workspace : (R, b)
    first, last : int
    mass : (K,), stats : (S,)
        Added to.
    """
    n_columns, width, n_components = rows.values.shape[1], width_of(rows), params.log_constant.size
    tile, resp, rest = workspace[:width], workspace[width : width + n_components], workspace[width + n_components :]
    weight, density, scale, scratch = rest[0], rest[1], rest[2], rest[3:]
    log_likelihood = 0.0
    for start in range(first, last, weight.size):
        stop = last if last - start < weight.size else start + weight.size
        load(rows, start, stop, workspace[:n_columns], weight)
        load_errors(rows, start, stop, workspace[n_columns:width])  # noqa: F821
        log_prob(params, tile, scratch, resp)  # noqa: F821
        if given.shape[0] > 0:
            take(given, start, stop, resp, weight)
        else:
            restrict(rows, start, stop, resp)  # noqa: F821
            posterior(resp, weight, density, scale, rows.key + start)  # noqa: F821
            log_likelihood += weighted_total(weight, density)
            record(params, start, stop, resp, density, scale, marks)  # noqa: F821
        component_mass(resp, mass)
        accumulate(params, tile, weight, resp, mass, scratch, stats)  # noqa: F821
    return log_likelihood


def pattern_pass(rows, params, which, given, marks, workspace, bounds, mass, stats, log_likelihood):
    """`fold_slab` for some slabs, each into its row of mass (P, K), stats (P, S) and log_likelihood (P,).

    Slab p has parameters of its own: those of pattern which[p], `pick`ed from all.
    """
    for p in range(bounds.size - 1):
        own = pick(params, which[p])  # noqa: F821
        log_likelihood[p] = fold_slab(rows, own, given, marks, workspace, bounds[p], bounds[p + 1], mass[p], stats[p])


def score_slab(rows, params, log_weights, workspace, first, last, wanted, out, sums):
    """Evaluate rows first..last into the arrays of `out`; add weighted log-likelihood and entropy to sums (2,)."""
    n_columns, width, n_components = rows.values.shape[1], width_of(rows), log_weights.size
    tile, resp, rest = workspace[:width], workspace[width : width + n_components], workspace[width + n_components :]
    weight, density, scale, ones, scratch = rest[0], rest[1], rest[2], rest[3], rest[4:]
    ones[:] = 1.0
    for start in range(first, last, weight.size):
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
        sums[0] += weighted_total(weight, density)
        if wanted.entropy:
            sums[1] += entropy(resp, weight)
        if wanted.densities:
            for c in range(stop - start):
                out.densities[start + c] = density[c]
        if wanted.responsibilities:
            for c in range(stop - start):
                impossible = density[c] == -np.inf  # no component explains the row: the weights stand
                for k in range(n_components):
                    r = np.exp(log_weights[k]) if impossible else resp[k, c]
                    out.responsibilities[start + c, k] = r


def distance_pass(tiles, weights, points, closest, bounds, distances, sums):
    """`limit_distances` of the tiles of some slabs, which begin and end at `bounds`."""
    for p in range(bounds.size - 1):
        limit_distances(tiles, weights, points, closest, bounds[p], bounds[p + 1], distances, sums)


def assign_pass(tiles, weights, centres, offsets, anew, bounds, nearest, labels, sums, mass, changed):
    """`assign_tiles` of some slabs, with scratch, sums and mass of each, and whether its labels changed (P,)."""
    for p in range(bounds.size - 1):
        changed[p] = assign_tiles(
            tiles, weights, centres, offsets, anew, bounds[p], bounds[p + 1], nearest[p], labels, sums[p], mass[p]
        )
