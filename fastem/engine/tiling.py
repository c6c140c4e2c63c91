"""Sizes of tiles and slabs, which depend only on the data's shape so that results do not depend on the machine."""

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE_BYTES = 40 * 1024  # most of a first-level cache
MIN_TILE_BLOCKS, MAX_TILE_BLOCKS = 9, 13  # smaller tiles sum their lanes too often, larger ones gain nothing
FACTOR_TILE_ROWS = 32  # if each row has its own matrices, which then stay in the second-level cache
MAX_SLABS = 64  # enough for 64 threads; a power of two, so that 2, 4, 8 ... threads get equal shares
CACHE_LINE = 64
SLAB_BYTES = 2**25  # limit on the statistics of all slabs together, if there are several
TILES_PER_SLAB = 8  # with fewer tiles, adding up the slabs takes noticeable time
PARALLEL_WORK = 5_000_000  # row-statistics, about a millisecond: a busy machine may take as long to wake a thread
LONG_WORK = 100 * PARALLEL_WORK  # from here on a call takes one slab, so that interrupts are handled soon


def workspace_rows(n_features: int, n_components: int) -> int:
    """Number of rows of a workspace: tile, responsibilities, four with a number per sample, and a family's scratch."""
    return n_features + n_components + 4 + n_features + max(n_features, n_components) + 8


@functools.lru_cache(maxsize=64)  # this computation takes as long as an iteration over a hundred rows
def tile_rows(n_rows: int, n_features: int, n_components: int, precision: Any) -> int:
    """Number of samples in a tile: as many as fit into the first-level cache with their responsibilities, or all.

    It is an odd multiple of four cache lines: otherwise rows of the tile would compete for the same cache sets.
    """
    block = 4 * CACHE_LINE // np.dtype(precision).itemsize
    fitting = TILE_BYTES // ((n_features + n_components) * np.dtype(precision).itemsize * block)
    best = min(max(fitting - 1 + fitting % 2, MIN_TILE_BLOCKS), MAX_TILE_BLOCKS)
    return block * min(best, -(-n_rows // block))


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros of a shape that start at a cache line: vectors that cross two lines take twice as long."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + CACHE_LINE, np.uint8)
    first = -buffer.ctypes.data % CACHE_LINE
    return buffer[first : first + n_bytes].view(dtype).reshape(shape)


@functools.lru_cache(maxsize=64)
def slab_bounds(n_rows: int, rows_of_tile: int, n_stats: int) -> NDArray[np.int64]:
    """First row of each slab and the end of the last (n_slabs + 1,): a function of shapes only."""
    n_tiles = -(-n_rows // rows_of_tile)
    limit = min(MAX_SLABS, n_tiles // TILES_PER_SLAB, SLAB_BYTES // (8 * max(n_stats, 1)))
    n_slabs = 1 << max(limit, 1).bit_length() - 1
    tiles = n_tiles * np.arange(n_slabs + 1, dtype=np.int64) // n_slabs
    return np.minimum(tiles * rows_of_tile, n_rows)
