"""Rows of the data into tiles.

A tile holds `b` rows feature-major, (n_features, b): the row is the vector lane, so every inner loop is contiguous
whatever the number of features.
"""

from fastem._jit import kernel


@kernel
def load(rows, start, stop, tile, weight):
    """Fill `tile` (d, b) and `weight` (b,) with rows start..stop; lanes beyond repeat row `start` with weight zero."""
    values = rows.values[start:stop]
    origin = rows.origin
    n_features, n_lanes = tile.shape
    n_valid = stop - start
    for j in range(n_features):
        shift = origin[j]
        target = tile[j]
        for c in range(n_valid):
            target[c] = values[c, j] - shift
    if rows.weights.size == 0:
        for c in range(n_valid):
            weight[c] = 1.0
    else:
        given = rows.weights[start:stop]
        for c in range(n_valid):
            weight[c] = given[c]
    for c in range(n_valid, n_lanes):
        weight[c] = 0.0
        for j in range(n_features):
            tile[j, c] = tile[j, 0]
