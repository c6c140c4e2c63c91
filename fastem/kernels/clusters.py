"""k-means over feature-major tiles: squared distances for k-means++, assignments and sums for Lloyd's iterations.

All rows are in T tiles (d, b), stored as one array (T d, b). Their weights are in an array (T, b), which is zero after
the last row.

Lloyd's iterations over float64 rows read a float32 copy, which has twice the lanes and half the bytes. If the nearest
centre of a row is nearer than the second by more than the rounding errors of float32, the label is that of float64. A
tile with any other row is read again in float64.
"""

import numpy as np

from fastem.kernels.blocks import ask_for
from fastem.kernels.instructions import instructions, keys_of
from fastem.kernels.jit import inlined, kernel
from fastem.kernels.registers import SHAPES
from fastem.kernels.shuffles import lane_bits, lowest_bit, total
from fastem.kernels.vectors import any_lane, lanes, load, multiply_add, splat, store, where

ROWS_AHEAD = 8
UNDERFLOW = 2.0**-106  # more than the error of a million products that are subnormal in float32
DISTANCE_VECTORS = 4  # vectors of rows at a time; with two points these are eight independent sums


@inlined
def limit_distances(tiles, weights, points, closest, first, last, distances, sums):
    """Smaller of the squared distance to each point and the closest distance so far, for rows of tiles first..last.

    Distances are sums of squared differences, so that the distance of a row to itself is exactly zero.

    Parameters
    ----------
    tiles : (T d, b), weights : (T, b)
    points : (L, d)
    closest : (T, b)
        Smallest squared distance of each row so far.
    first, last : int
    distances : (L T, b)
        On return, the distances, T rows for each point.
    sums : (T, L)
        On return, the weighted sum of distances for each tile and point.
    """
    n_points, d = points.shape
    n_tiles = weights.shape[0]
    for t in range(first, last):
        for i in range(0, n_points, 2):
            other = i + 1 if i + 1 < n_points else i
            row, other_row = i * n_tiles + t, other * n_tiles + t
            tile = tiles[t * d : (t + 1) * d]
            squared_distances(tile, points[i], points[other], distances[row], distances[other_row])
            sums[t, i] = limit(weights, closest, t, distances, row)
            sums[t, other] = limit(weights, closest, t, distances, other_row)


@inlined
def limit(weights, closest, t, distances, row):
    """Replace distances (b,) by the closest so far where these are smaller, and return their weighted sum."""
    potential = splat(0.0, weights)
    for c in range(0, weights.shape[1], lanes(weights)):
        s, most = load(distances, row, c), load(closest, t, c)
        s = where(most > s, s, most)
        store(s, distances, row, c)
        potential = multiply_add(load(weights, t, c), s, potential)
    return total(potential)


def squared_distances(tile, point, other, distances, other_distances):
    """Fill `distances` and `other_distances` (b,) with squared distances of a tile (d, b) to two points (d,)."""
    for each, out in ((point, distances), (other, other_distances)):
        residuals = tile - each[:, None]
        out[:] = np.einsum("dc,dc->c", residuals, residuals)


@instructions(squared_distances)
def _write_squared_distances(k, tile, point, other, distances, other_distances):
    def block(size, c):
        rows = [k.plus(c, v * k.lanes) for v in range(size // k.lanes)]
        sums = k.sums(keys_of(2, len(rows)))
        with k.loop(0, k.size(tile)) as j:
            points = [k.broadcast(array, j) for array in (point, other)]
            for v, row in enumerate(rows):
                x = k.load(tile, j, row)
                for i, p in enumerate(points):
                    residual = k.subtract(x, p)
                    k.add_product(sums[i, v], residual, residual)
        for i, out in enumerate((distances, other_distances)):
            for v, row in enumerate(rows):
                k.store(k.value(sums[i, v]), out, row)

    k.runs(k.size(tile, 1), DISTANCE_VECTORS * k.lanes, block, rest=())


def largest_products(tile, centres, offsets, nearest):
    """Set nearest[c] to the k with the largest offsets[k] + centres[k] . tile[:, c], the first if several are equal.

    The number of centres is a multiple of four, see `fastem.em.initialization.partition.CENTRES`.
    """
    nearest[:] = (centres @ tile + offsets[:, None]).argmax(axis=0)


def two_largest_products(tile, centres, offsets, slack, nearest, lead):
    """`largest_products`, and `lead` (b,): the largest product less the second, plus `slack` (1,) times the largest."""
    products = centres @ tile + offsets[:, None]
    nearest[:] = products.argmax(axis=0)
    second, first = np.partition(np.vstack([products, np.full_like(products[:1], -np.inf)]), -2, axis=0)[-2:]
    lead[:] = slack[0] * first + (first - second)


@instructions(largest_products)
def _write_largest_products(k, tile, centres, offsets, nearest):
    _write_products(k, tile, centres, offsets, nearest)


@instructions(two_largest_products)
def _write_two_largest_products(k, tile, centres, offsets, slack, nearest, lead):
    _write_products(k, tile, centres, offsets, nearest, slack, lead)


def _write_products(k, tile, centres, offsets, nearest, slack=None, lead=None):
    n_centres, n_vectors = SHAPES.nearest
    lowest = k.constant(float("-inf"))

    def block(size, c):
        rows = [k.plus(c, v * k.lanes) for v in range(size // k.lanes)]
        tops, seconds, best = k.sums(rows, lambda row: lowest), k.sums(rows, lambda row: lowest), k.sums(rows)
        with k.loop(0, k.size(centres), n_centres) as first:
            numbers = [k.plus(first, r) for r in range(n_centres)]
            levels = [k.broadcast(offsets, number) for number in numbers]
            sums = k.sums(keys_of(n_centres, len(rows)), lambda key: levels[key[0]])
            with k.loop(0, k.size(tile)) as j:
                xs = [k.load(tile, j, row) for row in rows]
                for r, number in enumerate(numbers):
                    a = k.broadcast(centres, number, j)
                    for v, x in enumerate(xs):
                        k.add_product(sums[r, v], a, x)
            for r, number in enumerate(numbers):
                label = k.spread(number, k.count)
                for v, row in enumerate(rows):
                    product, top = k.value(sums[r, v]), k.value(tops[row])
                    if lead is not None:
                        lower, second = k.where_larger(product, top, top, product), k.value(seconds[row])
                        k.change(seconds[row], k.where_larger(lower, second, lower, second))
                    k.change(best[row], k.where_larger(product, top, label, k.value(best[row])))
                    k.change(tops[row], k.where_larger(product, top, product, top))
        for row in rows:
            k.store(k.value(best[row]), nearest, row)
            if lead is not None:
                top = k.value(tops[row])
                above = k.subtract(top, k.value(seconds[row]))
                k.store(k.multiply_add(k.broadcast(slack, 0), top, above), lead, row)

    k.runs(k.size(tile, 1), n_vectors * k.lanes, block, rest=())


def round_tile(tile, doubt, rounded, doubts):
    """Fill the float32 copy of a tile (d, b), and `doubts` (b,) with the rows' squared lengths times `doubt`."""
    rounded[:] = tile
    doubts[:] = doubt * np.einsum("dc,dc->c", tile, tile) + UNDERFLOW


@instructions(round_tile)
def _write_round_tile(k, tile, doubt, rounded, doubts):
    def block(size, c):
        (square,) = k.sums(range(1)).values()
        with k.loop(0, k.size(tile)) as j:
            x = k.load(tile, j, c)
            k.add_product(square, x, x)
            k.store(x, rounded, j, c)
        k.store(k.multiply_add(k.spread(doubt), k.value(square), k.constant(UNDERFLOW)), doubts, c)

    k.runs(k.size(tile, 1), k.lanes, block, rest=())


@kernel
def all_above(lead, doubts):
    """Whether each entry of `lead` (b,) is above that of `doubts` (b,)."""
    one, unclear = splat(1.0, lead), splat(0.0, lead)
    for c in range(0, lead.size, lanes(lead)):
        unclear = where(load(lead, c) > load(doubts, c), unclear, one)
    return not any_lane(unclear > splat(0.0, lead))


@kernel
def changed_lanes(after, before):
    """Integer with the bits set of those rows of a tile whose label changes."""
    bits = np.uint64(0)
    for c in range(0, after.size, lanes(after)):
        new, old = load(after, c), load(before, c)
        bits |= (lane_bits(new > old) | lane_bits(old > new)) << np.uint64(c)
    return bits


@kernel
def move_rows(rows, moves, n_moves, sums, mass):
    """Move rows from the sums (K + 1, d) and mass (K + 1,) of their old clusters to those of the new ones.

    `moves` holds tile, lane, old and new cluster of each. The rows are not neighbours in memory, so each is prefetched.
    """
    d, step = rows.origin.size, rows.column_step
    line = lanes(rows.flat) if step == 1 else 1
    for i in range(n_moves):
        if i + ROWS_AHEAD < n_moves:
            first = moves[i + ROWS_AHEAD, 0] * rows.tile_step + moves[i + ROWS_AHEAD, 1] * rows.row_step
            for j in range(0, d, line):
                ask_for(rows.flat, first + j * step)
        t, c, old, new = moves[i, 0], moves[i, 1], moves[i, 2], moves[i, 3]
        w, first = rows.weights[t, c], t * rows.tile_step + c * rows.row_step
        mass[new] += w
        mass[old] -= w
        for j in range(d):
            product = w * (rows.flat[first + j * step] - rows.origin[j])
            sums[new, j] += product
            sums[old, j] -= product


@inlined
def assign_tiles(rows, centres, reading, first, last, scratch, labels, sums, mass):
    """Assign rows of the tiles first..last to their nearest centres.

    Returns whether a label changed, and the number of tiles that were read again in float64.

    Parameters
    ----------
    rows, centres, reading, scratch
        See `fastem.em.initialization.tiled_rows`.
    first, last : int
    labels : (T, b)
        Labels before, replaced by the new ones.
    sums : (K + 1, d), mass : (K + 1,)
        Weighted sums of the rows of each cluster, and sums of their weights. The last entries are for rows that had no
        cluster before, with negative sign.
    """
    d, nearest, moves = centres.points.shape[1], scratch.nearest, scratch.moves
    b = nearest.size
    any_change, n_again, n_moves = False, 0, 0
    for t in range(first, last):
        part = slice(t * d, (t + 1) * d)
        if reading.copying:
            round_tile(rows.tiles[part], rows.doubt, rows.rounded[part], rows.doubts[t])
        certain = False
        if reading.by_copy:
            two_largest_products(
                rows.rounded[part], centres.rounded, centres.raised, centres.slack, nearest, scratch.lead
            )
            certain = all_above(scratch.lead, rows.doubts[t])
            n_again += not certain
        if not certain:
            largest_products(rows.tiles[part], centres.points, centres.offsets, nearest)
        before, all_bits = labels[t], ~np.uint64(0)
        if rows.n_rows - t * b < b:
            all_bits = (np.uint64(1) << np.uint64(rows.n_rows - t * b)) - np.uint64(1)
        bits = changed_lanes(nearest, before) & all_bits
        any_change |= bits != np.uint64(0)
        if reading.anew:
            bits = all_bits
        while bits != np.uint64(0):
            c = lowest_bit(bits)
            bits &= bits - np.uint64(1)
            moves[n_moves, 0], moves[n_moves, 1], moves[n_moves, 3] = t, c, int(nearest[c])
            moves[n_moves, 2] = mass.size - 1 if reading.anew else int(before[c])
            n_moves += 1
        for c in range(0, b, lanes(nearest)):
            store(load(nearest, c), before, c)
        if n_moves > moves.shape[0] - b or t == last - 1:
            move_rows(rows, moves, n_moves, sums, mass)
            n_moves = 0
    return any_change, n_again
