"""Rows of the data into tiles.

A tile holds `b` rows feature-major, (n_features, b): the row is the vector lane, so every inner loop is contiguous
whatever the number of features.
"""

from fastem._jit import kernel
from fastem.kernels.blocks import ask_ahead, block_columns, load_block, load_four, load_narrow
from fastem.kernels.vectors import lanes


@kernel
def width_of(rows):
    """Rows of a tile: the values, and behind them errors' covariances and projections if there are any."""
    m = rows.values.shape[1]
    has_errors = rows.noise.shape[0] + rows.projection.shape[0] > 0
    return m + (m * (m + 1) // 2 if has_errors else 0) + rows.projection.shape[1]


@kernel
def load_nothing(rows, start, stop, part):
    """Values are all that a tile holds."""


@kernel
def load_rows(values, row, origin, tile, lane):
    """As many rows as a vector has lanes. What remains of the columns is a whole block too: some are loaded twice."""
    n_features, step = tile.shape[0], lanes(tile)
    width = block_columns(tile)
    ask_ahead(values, row, step)
    if n_features < 4:
        load_narrow(values, row, origin, tile, lane)
    elif n_features < width:
        load_four(values, row, 0, origin, tile, lane)
        load_four(values, row, n_features - 4, origin, tile, lane)
    else:
        for j in range(0, n_features - width, width):
            load_block(values, row, j, origin, tile, lane)
        load_block(values, row, n_features - width, origin, tile, lane)


@kernel
def load(rows, start, stop, tile, weight):
    """Fill `tile` (d, b) and `weight` (b,) with rows start..stop; lanes beyond repeat row `start` with weight zero."""
    values = rows.values
    origin = rows.origin
    n_features, n_lanes = tile.shape
    n_valid = stop - start
    step = lanes(tile)
    whole = n_valid // step * step
    for first in range(0, whole, step):
        load_rows(values, start + first, origin, tile, first)
    part = values[start:stop]
    for j in range(n_features):
        shift = origin[j]
        target = tile[j]
        for c in range(whole, n_valid):
            target[c] = part[c, j] - shift
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


@kernel
def take(given, start, stop, resp, weight):
    """Fill `resp` (K, b) with rows start..stop of `given` (n, K) times `weight` (b,), which becomes its sum.

    A row counts as much as is given of it.
    """
    n_components = resp.shape[0]
    part = given[start:stop]
    for k in range(n_components):
        row = resp[k]
        for c in range(stop - start):
            row[c] = weight[c] * part[c, k]
        for c in range(stop - start, weight.size):
            row[c] = 0.0
    for c in range(weight.size):
        weight[c] = 0.0
    for k in range(n_components):
        row = resp[k]
        for c in range(weight.size):
            weight[c] += row[c]
