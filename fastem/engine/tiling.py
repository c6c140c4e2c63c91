"""How rows are cut into tiles and slabs: by the data's shape only, or results would depend on the machine."""

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE_BYTES = 40 * 1024  # most of a first-level cache
MIN_TILE_BLOCKS, MAX_TILE_BLOCKS = 9, 13  # smaller tiles sum their lanes too often, larger ones gain nothing
FACTOR_TILE_ROWS = 32  # where each row has matrices of its own: they stay in the second-level cache
MAX_SLABS = 64  # enough for 64 threads; a power of two, so that 2, 4, 8 ... threads get equal shares
CACHE_LINE = 64
SLAB_BYTES = 2**25  # all slabs' statistics together, where their number can be chosen
TILES_PER_SLAB = 8  # fewer, and adding up the slabs begins to cost
PARALLEL_WORK = 5_000_000  # row-statistics, about a millisecond: a busy machine may take as long to wake a thread
LONG_WORK = 100 * PARALLEL_WORK  # nobody waits longer before an interrupt is heard


def workspace_rows(n_features: int, n_components: int) -> int:
    """Rows of a workspace: tile, responsibilities, four of numbers of rows, and a family's scratch."""
    return n_features + n_components + 4 + n_features + max(n_features, n_components) + 8


@functools.lru_cache(maxsize=64)  # an iteration over a hundred rows is no longer than its tiles take to compute
def tile_rows(n_rows: int, n_features: int, n_components: int, precision: Any) -> int:
    """Rows of a tile: as many as fit into the first-level cache with their responsibilities, or all rows.

    An odd number of blocks of four cache lines: columns of the tile would otherwise compete for the same cache sets.
    """
    block = 4 * CACHE_LINE // np.dtype(precision).itemsize
    fitting = TILE_BYTES // ((n_features + n_components) * np.dtype(precision).itemsize * block)
    best = min(max(fitting - 1 + fitting % 2, MIN_TILE_BLOCKS), MAX_TILE_BLOCKS)
    return block * min(best, -(-n_rows // block))


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that start where a cache line does: vectors that lie across two of them take twice as long."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + CACHE_LINE, np.uint8)
    first = -buffer.ctypes.data % CACHE_LINE
    return buffer[first : first + n_bytes].view(dtype).reshape(shape)


@functools.lru_cache(maxsize=64)
def slab_bounds(n_rows: int, rows_of_tile: int, n_stats: int) -> NDArray[np.int64]:
    """Where slabs begin: a function of shapes only, or results would depend on the machine."""
    n_tiles = -(-n_rows // rows_of_tile)
    limit = min(MAX_SLABS, n_tiles // TILES_PER_SLAB, SLAB_BYTES // (8 * max(n_stats, 1)))
    n_slabs = 1 << max(limit, 1).bit_length() - 1
    tiles = n_tiles * np.arange(n_slabs + 1, dtype=np.int64) // n_slabs
    return np.minimum(tiles * rows_of_tile, n_rows)
