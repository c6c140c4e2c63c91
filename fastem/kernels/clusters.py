"""k-means over feature-major tiles: squared distances for k-means++, assignments and sums for Lloyd's iterations.

All rows are in tiles (T d, b), one under the other, their weights in an array (T, b), zero beyond the last row. Kernels
index whole arrays: a view of each tile would count references, which threads wait for.
"""

import numpy as np

from fastem._jit import kernel
from fastem.kernels.shuffles import total
from fastem.kernels.vectors import any_lane, broadcast, lanes, load, maximum, multiply_add, splat, store, where


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
def nearest_centre(tiles, row, centres, offsets, c):
    """The number k of the largest offsets[k] + centres[k] . x, the first of equals, for the rows at `row` and `c`.

    Centres come in fours, see `fastem.partition.CENTRES`: their sums stay in registers on any processor.
    """
    top, best = splat(-np.inf, tiles), splat(0.0, tiles)
    for k in range(0, centres.shape[0], 4):
        s0, s1 = broadcast(offsets, k), broadcast(offsets, k + 1)
        s2, s3 = broadcast(offsets, k + 2), broadcast(offsets, k + 3)
        for j in range(centres.shape[1]):
            x = load(tiles, row + j, c)
            s0 = multiply_add(broadcast(centres, k, j), x, s0)
            s1 = multiply_add(broadcast(centres, k + 1, j), x, s1)
            s2 = multiply_add(broadcast(centres, k + 2, j), x, s2)
            s3 = multiply_add(broadcast(centres, k + 3, j), x, s3)
        best, top = where(s0 > top, splat(k, tiles), best), maximum(s0, top)
        best, top = where(s1 > top, splat(k + 1, tiles), best), maximum(s1, top)
        best, top = where(s2 > top, splat(k + 2, tiles), best), maximum(s2, top)
        best, top = where(s3 > top, splat(k + 3, tiles), best), maximum(s3, top)
    return best


@kernel
def move_row(tiles, row, c, w, k, sums, mass):
    """Add w times a row to the sums (K, d) and the mass (K,) of cluster k."""
    mass[k] += w
    for j in range(sums.shape[1]):
        sums[k, j] += w * tiles[row + j, c]


@kernel
def assign_tiles(tiles, weights, centres, offsets, anew, first, last, nearest, labels, sums, mass):
    """Give the rows of the tiles first..last to their nearest centres; whether a label changed.

    Parameters
    ----------
    tiles : (T d, b), weights : (T, b)
    centres : (K, d), offsets : (K,)
        See `nearest_centre`.
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
    d = centres.shape[1]
    any_change = False
    for t in range(first, last):
        change = False
        for c in range(0, nearest.size, lanes(tiles)):
            best, before = nearest_centre(tiles, t * d, centres, offsets, c), load(labels, t, c)
            store(best, nearest, c)
            change = change | any_lane(best > before) | any_lane(before > best)
        any_change = any_change | change
        if not (change | anew):
            continue
        for c in range(nearest.size):
            old, new, w = int(labels[t, c]), int(nearest[c]), weights[t, c]
            if anew | (old != new):
                move_row(tiles, t * d, c, w, new, sums, mass)
                if not anew:
                    move_row(tiles, t * d, c, -w, old, sums, mass)
                labels[t, c] = nearest[c]
    return any_change
