"""Cuts of the rows: slabs cover all rows once and in order, their number is a power of two, none is too short."""

import numpy as np
import pytest

from fastem.engine.tiling import MAX_SLABS, SLAB_BYTES, TILES_PER_SLAB, slab_bounds, tile_rows


@pytest.mark.parametrize("n_rows", [1, 255, 2000, 5000, 40_000, 1_000_003])
@pytest.mark.parametrize(("n_features", "n_components"), [(1, 2), (10, 10), (64, 64)])
def test_slabs_cover_all_rows_once(n_rows, n_features, n_components):
    tile = tile_rows(n_rows, n_features, n_components, np.float64)
    n_stats = n_components * n_features * (n_features + 1)
    bounds = slab_bounds(n_rows, tile, n_stats)
    n_slabs = len(bounds) - 1
    assert (bounds[0], bounds[-1]) == (0, n_rows)
    assert (np.diff(bounds) > 0).all()
    assert (bounds[:-1] % tile == 0).all()
    assert n_slabs & (n_slabs - 1) == 0
    assert n_slabs <= MAX_SLABS
    assert n_slabs == 1 or (8 * n_slabs * n_stats <= SLAB_BYTES and np.diff(bounds)[:-1].min() >= TILES_PER_SLAB * tile)


def test_large_statistics_have_fewer_slabs():
    few, many = (slab_bounds(1_000_000, 256, n_stats).size for n_stats in (SLAB_BYTES // 32, 100))
    assert few < many == MAX_SLABS + 1
