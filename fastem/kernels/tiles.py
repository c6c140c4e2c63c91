"""Rows of the data into tiles.

A tile holds `b` rows feature-major, (n_features, b): the row is the vector lane, so every inner loop is contiguous
whatever the number of features.
"""

import numpy as np

from fastem._jit import kernel
from fastem.kernels.vectors import VECTOR_BYTES

ROWS_AT_ONCE = 8  # a vector of each column is written while the rows it comes from are in first-level cache


@kernel
def make_tile(n_rows, n_lanes, dtype):
    """Memory (n_rows, n_lanes) that starts where a vector may: a load across two cache lines takes twice as long."""
    buffer = np.empty(n_rows * n_lanes + VECTOR_BYTES, dtype)
    first = (-buffer.ctypes.data % VECTOR_BYTES) // buffer.itemsize
    return buffer[first : first + n_rows * n_lanes].reshape(n_rows, n_lanes)


@kernel
def load(rows, start, stop, tile, weight):
    """Fill `tile` (d, b) and `weight` (b,) with rows start..stop; lanes beyond repeat row `start` with weight zero."""
    values = rows.values[start:stop]
    origin = rows.origin
    n_features, n_lanes = tile.shape
    n_valid = stop - start
    whole = n_valid // ROWS_AT_ONCE * ROWS_AT_ONCE if n_features > 1 else 0
    for first in range(0, whole, ROWS_AT_ONCE):
        part = values[first : first + ROWS_AT_ONCE]
        for j in range(n_features):
            shift = origin[j]
            target = tile[j, first : first + ROWS_AT_ONCE]
            for c in range(ROWS_AT_ONCE):
                target[c] = part[c, j] - shift
    for j in range(n_features):
        shift = origin[j]
        target = tile[j]
        for c in range(whole, n_valid):
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
