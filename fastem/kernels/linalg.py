"""Triangular products and weighted scatters over feature-major tiles, in blocks that fill the registers.

In the E-step a block is some rows of the matrix by some vectors of the tile; in the statistics it is some rows by some
columns of the scatter. So each loaded element is used several times. Remaining features are processed two and one at a
time, which costs less than padding. `fastem.kernels.registers` has the shapes, which do not change any bit of a result.
"""

import functools

import numpy as np

from fastem.kernels.instructions import instructions, keys_of, over_active
from fastem.kernels.jit import kernel
from fastem.kernels.registers import SHAPES


@kernel
def log_density(lower, offset, constant, tile, out):
    """out[c] = constant - |lower @ tile[:, c] - offset|^2 / 2 for lower-triangular `lower` (d, d).

    The squares of each block are summed while it is in registers, so neither the product nor the residual is stored.
    """
    halved_squares(lower, offset, constant, tile, out)


@kernel
def triangular_product(lower, tile, out):
    """Set out = lower @ tile for lower-triangular `lower` (d, d)."""
    product(lower, tile, out)


@kernel
def moments(resp, active, tile, centre, scratch, sums, scatter):
    """First moments and the lower triangle of second moments of tile - centre, weighted by resp (b,).

    sums[i] += sum_c resp[c] z[i, c] and scatter[i, j] += sum_c resp[c] z[i, c] z[j, c] for j <= i, with z = tile -
    centre. Only the vectors that begin at the rows in `active` are summed. `scratch` has four or more rows (b,) for
    resp[c] z[i, c] of a block's rows. z itself is computed again in every block. This costs a quarter more operations,
    but is faster than stores beyond the first-level cache.
    """
    weighted_moments(resp, active, tile, centre, scratch, sums, scatter)


@kernel
def second_moments(resp, active, tile, scratch, scatter):
    """The second moments of `moments`, about zero."""
    weighted_squares(resp, active, tile, scratch, scatter)


def halved_squares(lower, offset, constant, tile, out):
    """The computation of `log_density`."""
    out[:] = constant - 0.5 * ((np.tril(lower) @ tile - offset[:, None]) ** 2).sum(axis=0)


@instructions(halved_squares)
def _write_halved_squares(k, lower, offset, constant, tile, out):
    level, minus_half = k.spread(constant), k.constant(-0.5)

    def write(n_vectors, c):
        squares = k.sums(range(n_vectors))

        def fold(i, r, v, y):
            k.add_product(squares[v], y, y)

        _triangle(k, lower, tile, c, n_vectors, lambda i, r: k.negative(k.broadcast(offset, k.plus(i, r))), fold)
        for v in range(n_vectors):
            k.store(k.multiply_add(minus_half, k.value(squares[v]), level), out, k.plus(c, v * k.lanes))

    _by_vectors(k, tile, write)


def product(lower, tile, out):
    """The computation of `triangular_product`."""
    out[:] = np.tril(lower) @ tile


@instructions(product)
def _write_product(k, lower, tile, out):
    def write(n_vectors, c):
        def keep(i, r, v, y):
            k.store(y, out, k.plus(i, r), k.plus(c, v * k.lanes))

        _triangle(k, lower, tile, c, n_vectors, lambda i, r: k.zero, keep)

    _by_vectors(k, tile, write)


def _by_vectors(k, tile, write):
    """Call `write(n, c)` for n vectors of a tile from row c on."""
    n_vectors = SHAPES.triangle[1]
    k.runs(k.size(tile, 1), n_vectors * k.lanes, lambda n, c: write(n // k.lanes, c), rest=(k.lanes,))


def _triangle(k, lower, tile, c, n_vectors, start, finish):
    """Compute start(i, r) + sum_j lower[i + r, j] tile[j, c...] and call finish(i, r, vector, sum) for each sum."""

    def write(n_rows, i):
        initial = [start(i, r) for r in range(n_rows)]
        cells = k.sums(keys_of(n_rows, n_vectors), lambda key: initial[key[0]])

        def add(first, j):
            xs = [k.load(tile, j, k.plus(c, v * k.lanes)) for v in range(n_vectors)]
            for r in range(first, n_rows):
                a = k.broadcast(lower, k.plus(i, r), j)
                for v, x in enumerate(xs):
                    k.add_product(cells[r, v], a, x)

        with k.loop(0, k.plus(i, 1)) as j:
            add(0, j)
        for r in range(1, n_rows):
            add(r, k.plus(i, r))
        for r, v in cells:
            finish(i, r, v, k.value(cells[r, v]))

    k.runs(k.size(tile), SHAPES.triangle[0], write, rest=(2, 1))


def weighted_moments(resp, active, tile, centre, scratch, sums, scatter):
    """The computation of `moments`."""
    rows = (active[:, None] + np.arange(64 // tile.itemsize)).ravel()
    z = tile[:, rows] - centre[:, None]
    weighted = resp[rows] * z
    sums[: len(tile)] += weighted.sum(axis=1)
    scatter[:] += np.tril(weighted @ z.T)


@instructions(weighted_moments)
def _write_weighted_moments(k, resp, active, tile, centre, scratch, sums, scatter):
    _strips(k, resp, active, tile, scratch, scatter, centre, sums)


def weighted_squares(resp, active, tile, scratch, scatter):
    """The computation of `second_moments`."""
    none = np.zeros(len(tile))
    weighted_moments(resp, active, tile, none, scratch, none.copy(), scatter)


@instructions(weighted_squares)
def _write_weighted_squares(k, resp, active, tile, scratch, scatter):
    _strips(k, resp, active, tile, scratch, scatter)


def _strips(k, resp, active, tile, scratch, scatter, centre=None, sums=None):
    """Add to the scatter's lower triangle, a few of its rows at a time from the top, and first moments to `sums`."""
    over = functools.partial(over_active, k, active)
    width = SHAPES.scatter[1]

    def centres_at(i, n):
        return [centre and k.broadcast(centre, k.plus(i, r)) for r in range(n)]

    def residual(i, c, mean):
        x = k.load(tile, i, c)
        return k.subtract(x, mean) if centre else x

    def strip(n_rows, i):
        means = centres_at(i, n_rows)

        def weigh(c, cells):
            w = k.load(resp, c)
            for r in range(n_rows):
                p = k.multiply(w, residual(k.plus(i, r), c, means[r]))
                k.store(p, scratch, r, c)
                if sums:
                    k.change(cells[r], k.add(k.value(cells[r]), p))

        first = k.over_rows(range(n_rows if sums else 0), over, weigh)
        if sums:
            k.add_totals(sums, [((i,), first.values())])

        def rectangle(n_columns, j, inside=lambda r, s: True):
            centres = centres_at(j, n_columns)
            keys = [(r, s) for r, s in keys_of(n_rows, n_columns) if inside(r, s)]

            def multiply(c, cells):
                zs = [residual(k.plus(j, s), c, centres[s]) for s in range(n_columns)]
                for r in range(n_rows):
                    p = k.load(scratch, r, c)
                    for s, z in enumerate(zs):
                        if (r, s) in cells:
                            k.add_product(cells[r, s], p, z)

            found = k.over_rows(keys, over, multiply)
            rows = sorted({r for r, _ in keys})
            runs = [((k.plus(i, r), j), [found.get((r, s), k.zero) for s in range(n_columns)]) for r in rows]
            k.add_totals(scatter, runs)

        k.runs(i, width, rectangle, rest=(2, 1) if width > 2 else (1,))
        for j in range(0, n_rows, width):
            n_columns = min(width, n_rows - j)
            rectangle(n_columns, k.plus(i, j), lambda r, s, j=j: r >= s + j)

    k.runs(k.size(tile), SHAPES.scatter[0], strip, rest=(2, 1))
