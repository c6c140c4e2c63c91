"""Rows in feature-major tiles, the clusters that they belong to, and the operations of k-means on them.

Large data are read by compiled passes (`fastem.kernels.clusters`), small data by the same arithmetic in numpy, where
nothing has to be compiled. The choice between them, and the order of all sums, depends on shapes only.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.em.initialization.tiled_rows import (
    Centres,
    Reading,
    Rows,
    Scratch,
    can_round,
    centres_for,
    scratch_for,
    set_centres,
    tiled,
)
from fastem.engine.helpers import Turns, share_slabs
from fastem.engine.threads import n_threads
from fastem.engine.tiling import slab_bounds

Float = NDArray[np.float64]
Pass = Callable[..., None]

SMALL = 2**17  # rows x features x clusters that numpy processes in a tenth of a millisecond
SHARED = 2**23  # the same for a compiled thread in half a millisecond: less is not worth waking another thread
TILE_ROWS = 64  # rows of a register block of float32 on any processor, which reads a tile from end to end
MOST_AGAIN = 0.4  # fraction of tiles that float32 may leave to float64: with more, float32 saves no time
CENTRES = 4  # centres that passes process at once
NO_TURNS = np.zeros(0, np.int64)  # for the passes in numpy
ORIGIN_ROWS = 1000  # rows whose mean is the origin: it only has to be near the mean of all


class Partition:
    """Rows less an origin near their mean, and the cluster of each row.

    Parameters
    ----------
    values : ndarray of shape (n, d), float64 or float32
        Any strides. Sums over rows are float64.
    weights : ndarray of shape (n,), optional
        Converted to the dtype of the values.
    n_clusters : int
    origin : ndarray of shape (d,), optional
        To be given if values are not coordinates.
    """

    def __init__(
        self,
        values: NDArray[Any],
        weights: Float | None,
        n_clusters: int,
        origin: NDArray[Any] | None = None,
    ) -> None:
        self.n_rows, n_features = values.shape
        self.n_clusters, self.dtype = n_clusters, values.dtype
        work = values.size * n_clusters
        small = self._small = work <= SMALL
        b = self.n_rows if small else TILE_ROWS
        self.weights = np.ones(self.n_rows, self.dtype) if weights is None else weights.astype(self.dtype)
        coordinates = origin is None
        if origin is None:
            some = np.ascontiguousarray(values[:: -(-self.n_rows // ORIGIN_ROWS)])
            origin = some.mean(axis=0, dtype=np.float64).astype(self.dtype)
        self._rows = tiled(values, self.weights, origin, b, rounding=coordinates and not small)
        n_tiles = len(self._rows.weights)
        self._tiles = self._rows.tiles.reshape(n_tiles, n_features, b)
        self._labels = np.full((n_tiles, b), -1.0, np.float32)
        self._bounds = slab_bounds(n_tiles, 1, n_clusters * n_features)
        n_slabs, n_centres = len(self._bounds) - 1, n_clusters if small else -(-n_clusters // CENTRES) * CENTRES
        self._centres = centres_for(n_centres, n_features, self.dtype)
        shape = n_slabs, n_centres + (not small)  # in compiled passes, rows without a label are in one more cluster
        self._sums, self._mass = np.zeros((*shape, n_features)), np.zeros(shape)
        self._changed, self._again = np.zeros(n_slabs, np.bool_), np.zeros(n_slabs, np.int64)
        n_workers = min(n_threads(), n_slabs) if work >= SHARED else 1
        self._scratch = [scratch_for(b) for _ in range(n_workers)]
        self._copy_decides: bool | None = None  # whether assignments read the float32 copy; None before it is made
        passes: tuple[Pass, Pass] = (_distances, _assign) if small else _compiled()
        self._distances, self._assign = passes

    @property
    def labels(self) -> NDArray[np.int64]:
        """The cluster of each row (n,)."""
        return self._labels.ravel()[: self.n_rows].astype(np.int64)

    def points(self, chosen: NDArray[np.int64]) -> NDArray[Any]:
        """Some rows (L, d)."""
        tile, place = np.divmod(chosen, self._labels.shape[1])
        points: NDArray[Any] = self._tiles[tile, :, place]
        return points

    def variance(self) -> float:
        """Mean variance of the columns."""
        squares = np.einsum("tdc,tdc->", self._tiles, self._tiles, dtype=np.float64)
        sums = self._tiles.sum(axis=0, dtype=np.float64).sum(axis=1)
        return float((squares - (sums**2).sum() / self.n_rows) / (self.n_rows * sums.size))

    def seeds(self, random_state: np.random.RandomState) -> NDArray[np.int64]:
        """Indices (K,) of a row for each cluster, far from each other: greedy k-means++ with scikit-learn's draws.

        References
        ----------
        D. Arthur and S. Vassilvitskii (2007), k-means++: the advantages of careful seeding, SODA.
        """
        n_trials = 2 + int(np.log(self.n_clusters))
        chosen = np.empty(self.n_clusters, np.int64)
        share = np.cumsum(self.weights / self.weights.sum(), dtype=np.float64)
        chosen[0] = np.searchsorted(share / share[-1], random_state.uniform(), side="right")  # as `choice` does
        closest = np.full(self._labels.shape, np.inf, self.dtype)
        trials = np.empty((n_trials, *closest.shape), self.dtype)
        sums = self._limited(chosen[:1], closest, trials[:1])
        best = 0
        for k in range(1, self.n_clusters):
            closest[:] = trials[best]
            reached = random_state.uniform(size=n_trials) * sums[:, best].sum()
            candidates = self._reached(closest, sums[:, best], reached)
            sums = self._limited(candidates, closest, trials)
            best = int(sums.sum(axis=0).argmin())
            chosen[k] = candidates[best]
        return chosen

    def _limited(self, chosen: NDArray[np.int64], closest: NDArray[Any], out: NDArray[Any]) -> Float:
        """Write squared distances to `chosen` rows (L,), at most `closest` (T, b), into `out`; sums of tiles (T, L)."""
        sums = np.empty((len(closest), len(chosen)))
        distances, points = out.reshape(-1, out.shape[2]), self.points(chosen)
        tiles, weights = self._rows.tiles, self._rows.weights

        def read(turns: Turns, scratch: Scratch) -> None:
            self._distances(tiles, weights, points, closest, turns, self._bounds, distances, sums)

        self._share(read)
        return sums

    def _reached(self, closest: NDArray[Any], sums: Float, targets: Float) -> NDArray[np.int64]:
        """Indices (L,) of the rows at which the running sum of weighted distances reaches the targets (L,)."""
        running = np.cumsum(sums)
        tile = np.minimum(np.searchsorted(running, targets), len(sums) - 1)
        inside = np.cumsum(self._rows.weights[tile] * closest[tile], axis=1, dtype=np.float64)
        rest = targets - (running[tile] - sums[tile])
        row = tile * closest.shape[1] + (inside < rest[:, None]).sum(axis=1)
        return np.minimum(row, self.n_rows - 1)

    def assign(self, centres: NDArray[Any], offsets: NDArray[Any], *, anew: bool = False) -> bool:
        """Assign each row x to the first cluster k with the largest offsets[k] + centres[k] . x.

        Sums are updated by the rows whose label changes; with `anew`, which the first call needs, they are taken over
        all rows. Returns whether a label changed.
        """
        rows, held = self._rows, self._centres
        copying = rows.doubts.size > 0 and self._copy_decides is None
        reading = Reading(anew, copying, bool(self._copy_decides))
        set_centres(held, centres, offsets, rounding=reading.by_copy)
        if anew:
            self._sums[:], self._mass[:] = 0.0, 0.0
        found = self._labels, self._sums, self._mass, self._changed, self._again

        def read(turns: Turns, scratch: Scratch) -> None:
            self._assign(rows, held, reading, scratch, turns, self._bounds, *found)

        self._share(read)
        if copying:
            self._copy_decides = can_round(rows)
        elif reading.by_copy:
            self._copy_decides = bool(self._again.sum() <= MOST_AGAIN * len(rows.doubts))
        return bool(self._changed.any())

    def _share(self, read: Callable[[Turns, Scratch], None]) -> None:
        """Process all slabs, on several threads if there is enough work."""
        if self._small:
            read(NO_TURNS, self._scratch[0])
        else:
            share_slabs(read, len(self._changed), self._scratch)

    def totals(self) -> tuple[Float, Float]:
        """Weighted sums of the clusters' rows (K, d), and their weights (K,)."""
        return self._sums.sum(axis=0)[: self.n_clusters], self._mass.sum(axis=0)[: self.n_clusters]

    def distances_to(self, centres: NDArray[Any]) -> NDArray[Any]:
        """Squared distance of each row to the centre of its cluster (n,)."""
        own = self._labels.astype(np.int64)
        distances = np.zeros(own.shape, self.dtype)
        for j in range(centres.shape[1]):
            distances += (self._tiles[:, j] - centres[own, j]) ** 2
        return distances.ravel()[: self.n_rows]


def _compiled() -> tuple[Pass, Pass]:
    from fastem.engine.compiled import get_cluster_passes

    return get_cluster_passes()


# The passes in numpy, for a single tile (d, n). Loops of einsum go over rows, so that sums over features are in order.


def _distances(
    tiles: Any, weights: Any, points: Any, closest: Any, turns: Any, bounds: Any, distances: Any, sums: Any
) -> None:
    """`fastem.kernels.passes.distance_pass` in numpy."""
    residuals = tiles - points[:, :, None]
    np.minimum(np.einsum("ldc,ldc->lc", residuals, residuals), closest, out=distances)
    sums[0] = (distances * weights).sum(axis=1, dtype=np.float64)


def _assign(
    rows: Rows,
    centres: Centres,
    reading: Reading,
    scratch: Scratch,
    turns: Any,
    bounds: Any,
    labels: Any,
    sums: Any,
    mass: Any,
    changed: Any,
    again: Any,
) -> None:
    """`fastem.kernels.passes.assign_pass` in numpy; sums are always taken over all rows."""
    n_centres, n_features = centres.points.shape
    nearest = (np.einsum("kd,dc->kc", centres.points, rows.tiles) + centres.offsets[:, None]).argmax(axis=0)
    changed[0] = (nearest != labels[0]).any()
    labels[0] = nearest
    places = nearest + n_centres * np.arange(n_features)[:, None]
    products = (rows.tiles * rows.weights).ravel()
    sums[0] = np.bincount(places.ravel(), products, n_centres * n_features).reshape(n_features, n_centres).T
    mass[0] = np.bincount(nearest, rows.weights[0], n_centres)
