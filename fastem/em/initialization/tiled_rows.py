"""Data of the k-means passes: rows in feature-major tiles, with a copy in float32, and centres in both precisions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.engine.threads import n_threads, pipelined
from fastem.engine.tiling import aligned_zeros

Float = NDArray[np.float64]

FLOAT32_UNIT = 2.0**-24  # unit of rounding
LARGEST_ERROR = 0.01  # largest relative error of products in float32: their bounds hold for small errors
LEAST_SQUARE, LARGEST_SQUARE = 1e-20, 1e30  # limits of the longest row's squared length, within float32's range
MOVES = 512  # rows with a new label that a thread collects before it reads them
LARGE_PART = 2**19  # numbers that are worth a thread: numpy moves them in a millisecond


class Rows(NamedTuple):
    """Rows less their origin in tiles of b rows, and the array `flat` from which single rows are read.

    Value j of row c of tile t, before the origin is subtracted, is `flat[t tile_step + c row_step + j column_step]`.
    Without a float32 copy, `rounded` and `doubts` have no rows.
    """

    n_rows: int
    tiles: NDArray[Any]  # (T d, b), zero beyond the last row
    weights: NDArray[Any]  # (T, b)
    flat: NDArray[Any]
    origin: NDArray[Any]
    tile_step: int
    row_step: int
    column_step: int
    rounded: NDArray[np.float32]  # (T d, b)
    doubts: NDArray[np.float32]  # (T, b), squared lengths times `doubt`
    doubt: float


class Centres(NamedTuple):
    """Points and offsets: x belongs to the centre k with the largest product offsets[k] + points[k] . x.

    If points are coordinates and offsets are -|c|^2 / 2, `rounded` and `raised` are both in float32. Let u be float32's
    unit of rounding and g = (d + 8) u. Then the error of a product in float32 is at most g (2 |offset| + |x|^2 / 2), as
    it is d multiply-adds of rounded numbers, and |c| |x| <= (|c|^2 + |x|^2) / 2. `raised` are offsets plus
    2 g |offset|. So the largest product t is that of the nearest centre a if the second largest is smaller by more than
    4 g |offset of a| + g |x|^2. That is less than 11 g |x|^2 - 9 g t, because |c|^2 <= 2 |x|^2 + 2 |x - c|^2 =
    4 (|x|^2 - t) for a. `slack` is 9 g, and `Rows.doubt` is 11 g.
    """

    points: NDArray[Any]  # (K, d)
    offsets: NDArray[Any]  # (K,)
    rounded: NDArray[np.float32]
    raised: NDArray[np.float32]
    slack: NDArray[np.float32]  # (1,)


class Reading(NamedTuple):
    """Options of a pass: sum all rows, not only those whose label changes; make the float32 copy; assign rows by it."""

    anew: bool
    copying: bool
    by_copy: bool


class Scratch(NamedTuple):
    """Memory of one thread: numbers for each row of a tile (b,), and rows that change their cluster (MOVES, 4)."""

    nearest: NDArray[np.float32]
    lead: NDArray[np.float32]
    moves: NDArray[np.int64]


def tiled(values: NDArray[Any], weights: NDArray[Any], origin: NDArray[Any], b: int, *, rounding: bool) -> Rows:
    """Rows (n, d) in tiles of b rows, with memory for a float32 copy if that is wanted and useful."""
    n_rows, d = values.shape
    tiles = _in_tiles(values, origin, b)
    n_tiles = len(tiles)
    tiles = tiles.reshape(-1, b)
    tiled_weights = aligned_zeros((n_tiles, b), values.dtype)
    tiled_weights.ravel()[:n_rows] = weights
    doubt = 11.0 * float32_error(d)
    n_copied = n_tiles if rounding and values.dtype == np.float64 and float32_error(d) <= LARGEST_ERROR else 0
    rounded, doubts = aligned_zeros((n_copied * d, b), np.float32), aligned_zeros((n_copied, b), np.float32)
    if values.flags.c_contiguous and values.flags.aligned:
        flat, steps = np.asarray(values).reshape(-1), (b * d, d, 1)
    else:
        flat, steps, origin = tiles.reshape(-1), (b * d, 1, b), np.zeros_like(origin)
    flat.flags.writeable = False
    return Rows(n_rows, tiles, tiled_weights, flat, origin, *steps, rounded, doubts, doubt)


def can_round(rows: Rows) -> bool:
    """Whether rows can be assigned by the float32 copy, which has been made."""
    if not rows.doubts.size:
        return False
    return bool(LEAST_SQUARE < rows.doubts.max() / rows.doubt < LARGEST_SQUARE)


def float32_error(n_features: int) -> float:
    """The bound g of `Centres`."""
    return (n_features + 8) * FLOAT32_UNIT


def centres_for(n_centres: int, n_features: int, dtype: Any) -> Centres:
    """Memory for centres; centres that are not set are never the nearest."""
    rounded, raised = np.zeros((n_centres, n_features), np.float32), np.full(n_centres, -np.inf, np.float32)
    slack = np.array([9.0 * float32_error(n_features)], np.float32)
    return Centres(rounded.astype(dtype), raised.astype(dtype), rounded, raised, slack)


def set_centres(held: Centres, points: NDArray[Any], offsets: NDArray[Any], *, rounding: bool) -> None:
    """Set the first L centres to points (L, d) and offsets (L,), also in float32 if `rounding`."""
    n = len(points)
    held.points[:n], held.offsets[:n] = points, offsets
    if rounding:
        held.rounded[:n], held.raised[:n] = points, offsets * (1.0 - 2.0 * float32_error(points.shape[1]))


def scratch_for(b: int) -> Scratch:
    """Memory of a thread."""
    return Scratch(
        aligned_zeros((b,), np.float32), aligned_zeros((b,), np.float32), aligned_zeros((MOVES, 4), np.int64)
    )


def _in_tiles(values: NDArray[Any], origin: NDArray[Any], b: int) -> NDArray[Any]:
    """Rows (n, d) less an origin in tiles (T, d, b), zero beyond the last row."""
    n_rows, n_features = values.shape
    n_whole, rest = divmod(n_rows, b)
    tiles = aligned_zeros((n_whole + (rest > 0), n_features, b), values.dtype)
    whole = values[: n_whole * b]
    steps = (b * whole.strides[0], whole.strides[1], whole.strides[0])
    transposed = np.lib.stride_tricks.as_strided(whole, (n_whole, n_features, b), steps, writeable=False)

    def fill(part: slice) -> None:
        np.subtract(transposed[part], origin[:, None], out=tiles[part])

    n_parts = max(1, min(n_threads(), values.size // LARGE_PART))
    edges = n_whole * np.arange(n_parts + 1) // n_parts
    parts = [slice(*edges[i : i + 2]) for i in range(n_parts)]
    for _ in pipelined(fill, parts) if n_parts > 1 else map(fill, parts):
        pass
    if rest:
        tiles[-1, :, :rest] = (values[n_whole * b :] - origin).T
    return tiles
