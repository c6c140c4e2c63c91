"""k-means over feature-major tiles: squared distances for k-means++, assignments and sums for Lloyd's iterations.

All rows are in tiles (T d, b), one under the other, their weights in an array (T, b), zero beyond the last row.
"""

from fastem.kernels.instructions import instructions, keys_of
from fastem.kernels.jit import kernel
from fastem.kernels.registers import SHAPES
from fastem.kernels.shuffles import total
from fastem.kernels.vectors import any_lane, broadcast, lanes, load, multiply_add, splat, store, where


@kernel
def limit_distances(tiles, weights, points, closest, first, last, distances, sums):
    """Squared distances of the tiles first..last to each of some points, at most those that are the closest yet.

    Differences are squared, so that a row is at distance zero from itself. Two points go through a tile together.

    Parameters
    ----------
    tiles : (T d, b), weights : (T, b)
    points : (L, d)
    closest : (T, b)
    first, last : int
    distances : (L T, b)
        Filled, one point under the other.
    sums : (T, L)
        Filled with the sums of weighted distances of each tile.
    """
    n_points, d = points.shape
    n_tiles = weights.shape[0]
    zero = splat(0.0, weights)
    for t in range(first, last):
        for i in range(0, n_points, 2):
            other = i + 1 if i + 1 < n_points else i
            potential, potential_other = zero, zero
            for c in range(0, weights.shape[1], lanes(weights)):
                s, s_other = zero, zero
                for j in range(d):
                    x = load(tiles, t * d + j, c)
                    u, v = x - broadcast(points, i, j), x - broadcast(points, other, j)
                    s, s_other = multiply_add(u, u, s), multiply_add(v, v, s_other)
                w, limit = load(weights, t, c), load(closest, t, c)
                s, s_other = where(limit > s, s, limit), where(limit > s_other, s_other, limit)
                store(s, distances, i * n_tiles + t, c)
                store(s_other, distances, other * n_tiles + t, c)
                potential, potential_other = multiply_add(w, s, potential), multiply_add(w, s_other, potential_other)
            sums[t, i], sums[t, other] = total(potential), total(potential_other)


@kernel
def nearest_centres(tile, centres, offsets, nearest):
    """Set nearest[c] to the k of the largest offsets[k] + centres[k] . tile[:, c], the first of equals.

    Centres come in fours, see `fastem.em.initialization.partition.CENTRES`.
    """
    largest_products(tile, centres, offsets, nearest)


def largest_products(tile, centres, offsets, nearest):
    """What `nearest_centres` does."""
    nearest[:] = (centres @ tile + offsets[:, None]).argmax(axis=0)


@instructions(largest_products)
def _write_largest_products(k, tile, centres, offsets, nearest):
    n_centres, n_vectors = SHAPES.nearest

    def block(size, c):
        rows = [k.plus(c, v * k.lanes) for v in range(size // k.lanes)]
        tops, best = k.sums(rows, lambda row: k.constant(float("-inf"))), k.sums(rows)
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
                    k.change(best[row], k.where_larger(product, top, label, k.value(best[row])))
                    k.change(tops[row], k.where_larger(product, top, product, top))
        for row in rows:
            k.store(k.value(best[row]), nearest, row)

    k.runs(k.size(tile, 1), n_vectors * k.lanes, block, rest=(k.lanes,))


@kernel
def move_row(tile, c, w, k, sums, mass):
    """Add w times row c of a tile to the sums (K, d) and the mass (K,) of cluster k."""
    mass[k] += w
    for j in range(sums.shape[1]):
        sums[k, j] += w * tile[j, c]


@kernel
def assign_tiles(tiles, weights, centres, offsets, anew, first, last, nearest, labels, sums, mass):
    """Give the rows of the tiles first..last to their nearest centres; whether a label changed.

    Parameters
    ----------
    tiles : (T d, b), weights : (T, b)
    centres : (K, d), offsets : (K,)
        See `nearest_centres`.
    anew : bool
        Whether sums get all rows rather than those whose label changes.
    first, last : int
    nearest : (b,)
        Scratch.
    labels : (T, b)
        Labels before; those after on return.
    sums : (K, d), mass : (K,)
        Weighted sums of the rows of each cluster, and their weights.
    """
    d, step = centres.shape[1], lanes(tiles)
    any_change = False
    for t in range(first, last):
        tile = tiles[t * d : (t + 1) * d]
        nearest_centres(tile, centres, offsets, nearest)
        for start in range(0, nearest.size, step):
            after, before = load(nearest, start), load(labels, t, start)
            change = any_lane(after > before) | any_lane(before > after)
            any_change = any_change | change
            if not (change | anew):
                continue
            for c in range(start, start + step):
                if anew | (nearest[c] != labels[t, c]):
                    move_row(tile, c, weights[t, c], int(nearest[c]), sums, mass)
                    if not anew:
                        move_row(tile, c, -weights[t, c], int(labels[t, c]), sums, mass)
            store(after, labels, t, start)
    return any_change
