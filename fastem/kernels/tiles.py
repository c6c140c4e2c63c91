"""Copying rows of the data into tiles.

A tile holds `b` rows feature-major, as an array (n_features, b): each row is a vector lane, so that every inner loop is
contiguous for any number of features.
"""

from fastem.kernels.blocks import ask_ahead, block_columns, load_block, load_four, load_narrow
from fastem.kernels.jit import kernel
from fastem.kernels.vectors import lanes


@kernel
def width_of(rows):
    """Number of rows of a tile: for the values, and then for covariances of errors and projections if there are any."""
    m = rows.values.shape[1]
    has_errors = rows.noise.shape[0] + rows.projection.shape[0] > 0
    return m + (m * (m + 1) // 2 if has_errors else 0) + rows.projection.shape[1]


@kernel
def same_for_all(params, pattern):
    """Return the parameters, which are the same for all patterns."""
    return params


@kernel
def load_nothing(rows, start, stop, part):
    """Load nothing, because the tile holds only values."""


@kernel
def load(rows, start, stop, tile, weight):
    """Fill `tile` (d, b) and `weight` (b,) with rows start..stop; further lanes repeat row `start` with weight zero."""
    values = rows.values
    origin = rows.origin
    n_features, n_lanes = tile.shape
    n_valid = stop - start
    step = lanes(tile)
    whole = n_valid // step * step
    width = block_columns(tile)
    if n_features < 4:
        ask_ahead(values, start, whole)
        for first in range(0, whole, step):
            load_narrow(values, start + first, origin, tile, first)
    elif n_features < width:
        for first in range(0, whole, step):
            ask_ahead(values, start + first, step)
            load_four(values, start + first, 0, origin, tile, first)
            load_four(values, start + first, n_features - 4, origin, tile, first)
    else:
        last = n_features - width  # the last columns are a whole block too, so that some are loaded twice
        for first in range(0, whole, step):
            ask_ahead(values, start + first, step)
            for j in range(0, last, width):
                load_block(values, start + first, j, origin, tile, first)
            load_block(values, start + first, last, origin, tile, first)
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
    """Fill `resp` (K, b) with rows start..stop of `given` (n, K) times `weight` (b,).

    `weight` is then replaced by the sum of `resp` over the components.
    """
    part = given[start:stop]
    n_components = resp.shape[0]
    for c in range(stop - start):
        row_weight = weight[c]
        weight[c] = 0.0
        for k in range(n_components):
            resp[k, c] = row_weight * part[c, k]
            weight[c] += resp[k, c]
    for c in range(stop - start, weight.size):
        weight[c] = 0.0
        for k in range(n_components):
            resp[k, c] = 0.0
