"""Columns of zeros and ones: log-probabilities and weighted sums, in blocks that fill the registers."""

import numpy as np

from fastem.kernels.instructions import instructions, keys_of
from fastem.kernels.jit import kernel
from fastem.kernels.registers import SHAPES
from fastem.kernels.vectors import alike, lanes, load, splat, store, where


@kernel
def log_probabilities(present, absent, constant, tile, out):
    """out[k, c] = constant[k] + sum of present[k, j] over j where tile[j, c] is one.

    `present` (K, d) are log odds of a one. `constant` (K,) are sums of the finite log-probabilities of zeros. Where
    `absent` (K, d) is -inf, a zero is impossible: then out[k, c] is -inf if tile[j, c] is zero.
    """
    sums_of_ones(present, constant, tile, out)
    impossible = splat(-np.inf, tile)
    for k in range(out.shape[0]):
        for j in range(absent.shape[1]):
            if absent[k, j] == -np.inf:
                for c in range(0, out.shape[1], lanes(tile)):
                    x, density = load(tile, j, c), load(out, k, c)
                    store(where(x > alike(0.0, x), density, impossible), out, k, c)


def sums_of_ones(present, constant, tile, out):
    """`log_probabilities` without impossible values."""
    out[:] = constant[:, None] + np.where(tile > 0.0, present[:, :, None], 0.0).sum(axis=1)


@instructions(sums_of_ones)
def _write_sums_of_ones(k, present, constant, tile, out):
    n_at_once, n_vectors = SHAPES.scatter

    def block(n_components, n_vectors, first, c):
        components = [k.plus(first, r) for r in range(n_components)]
        rows = [k.plus(c, v * k.lanes) for v in range(n_vectors)]
        initial = [k.broadcast(constant, component) for component in components]
        cells = k.sums(keys_of(n_components, n_vectors), lambda key: initial[key[0]])
        with k.loop(0, k.size(tile)) as j:
            xs = [k.load(tile, j, row) for row in rows]
            for r, component in enumerate(components):
                a = k.broadcast(present, component, j)
                for v, x in enumerate(xs):
                    before = k.value(cells[r, v])
                    k.change(cells[r, v], k.where_larger(x, k.zero, k.add(before, a), before))
        for r, component in enumerate(components):
            for v, row in enumerate(rows):
                k.store(k.value(cells[r, v]), out, component, row)

    def of_vectors(size, c):
        k.runs(k.size(out), n_at_once, lambda n, first: block(n, size // k.lanes, first, c), rest=(2, 1))

    k.runs(k.size(tile, 1), n_vectors * k.lanes, of_vectors, rest=(k.lanes,))


@kernel
def weighted_sums(resp, tile, stats):
    """stats[k d + j] += sum_c resp[k, c] tile[j, c], for resp (K, b) and tile (d, b)."""
    products(resp, tile, stats)


def products(resp, tile, stats):
    """The computation of `weighted_sums`."""
    stats[:] += (resp.astype(np.float64) @ tile.T.astype(np.float64)).ravel()


@instructions(products)
def _write_products(k, resp, tile, stats):
    d, b = k.size(tile), k.size(tile, 1)
    n_at_once, width = SHAPES.scatter

    def over(body):
        with k.loop(0, b, k.logical_lanes) as c:
            body(c)

    def block(n_features, n_components, j, first):
        def terms(c, cells):
            xs = [k.load(tile, k.plus(j, f), c) for f in range(n_features)]
            for r in range(n_components):
                w = k.load(resp, k.plus(first, r), c)
                for f, x in enumerate(xs):
                    k.add_product(cells[r, f], w, x)

        found = k.over_rows(keys_of(n_components, n_features), over, terms)
        runs = []
        for r in range(n_components):
            at = k.plus(k.builder.mul(k.plus(first, r), d), j)
            runs.append(((at,), [found[r, f] for f in range(n_features)]))
        k.add_totals(stats, runs)

    def of_features(n_features, j):
        k.runs(k.size(resp), n_at_once, lambda n, first: block(n_features, n, j, first), rest=(2, 1))

    k.runs(d, width, of_features)
