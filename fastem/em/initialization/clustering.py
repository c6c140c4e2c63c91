"""k-means for complete rows, as in scikit-learn, and for rows with missing values or known labels."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastem.data.row_info import tells
from fastem.em.initialization.partition import Partition

Float = NDArray[np.float64]

MAX_ITER, TOL = 300, 1e-4  # scikit-learn's
SUMMED_ANEW = 64  # iterations after which sums are taken again, free of rounding errors from rows that left a cluster
NEGLIGIBLE = 1e-9  # fraction of the total weight that an empty cluster may have by such rounding errors
DUPLICATES = (
    "Number of distinct clusters ({}) found smaller than n_clusters ({}). Possibly due to duplicate points in X."
)


class Space(Protocol):
    """How centres become factors that a `Partition` multiplies rows by, and sums of rows become centres."""

    def lifted(self, centres: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Factors (K, m) and offsets (K,): factor times row, plus offset, is largest for the nearest centre."""

    def moved(self, partition: Partition, centres: NDArray[Any]) -> NDArray[Any]:
        """Means of the clusters (K, d); where a cluster has no values, its old centre."""


def cluster(
    values: NDArray[Any], weights: Float | None, n_clusters: int, random_state: np.random.RandomState
) -> NDArray[np.int64]:
    """Label complete rows by k-means++ and Lloyd's algorithm.

    The same random state gives the labels of scikit-learn's `KMeans(n_clusters, n_init=1)`, up to rounding and ties.

    Parameters
    ----------
    values : ndarray of shape (n, d), float64 or float32
    weights : ndarray of shape (n,), optional
    n_clusters : int
    random_state : RandomState

    References
    ----------
    S. P. Lloyd (1982), Least squares quantization in PCM, IEEE Transactions on Information Theory 28, 129-137.
    """
    partition = Partition(values, weights, n_clusters)
    tolerance = TOL * partition.variance()
    labels = _lloyd(partition, partition.points(partition.seeds(random_state)), Complete(), tolerance)
    n_distinct = np.count_nonzero(np.bincount(labels))
    if n_distinct < n_clusters:
        warnings.warn(DUPLICATES.format(n_distinct, n_clusters), ConvergenceWarning, stacklevel=2)
    return labels


def seed_rows(
    values: NDArray[Any], weights: Float | None, n_clusters: int, random_state: np.random.RandomState
) -> NDArray[np.int64]:
    """Indices (n_clusters,) of rows chosen by k-means++, the same as those of scikit-learn's `kmeans_plusplus`."""
    return Partition(values, weights, n_clusters).seeds(random_state)


def _lloyd(partition: Partition, centres: NDArray[Any], space: Space, tolerance: float) -> NDArray[np.int64]:
    """Labels (n,) by Lloyd's algorithm, until no label changes, or the centres move by no more than the tolerance."""
    for i in range(MAX_ITER):
        changed = partition.assign(*space.lifted(centres), anew=i % SUMMED_ANEW == 0)
        moved = space.moved(partition, centres)
        shift, centres = ((moved - centres) ** 2).sum(), moved
        if not changed:
            return partition.labels
        if shift <= tolerance:
            break
    partition.assign(*space.lifted(centres))
    return partition.labels


class Complete:
    """Complete rows x: the nearest centre c has the largest c . x - |c|^2 / 2."""

    def lifted(self, centres: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Centres, and minus half of their squared lengths."""
        return centres, -0.5 * (centres**2).sum(axis=1)

    def moved(self, partition: Partition, centres: NDArray[Any]) -> NDArray[Any]:
        """Means of the clusters; an empty cluster gets the row that is farthest from the centre of its cluster."""
        sums, mass = partition.totals()
        if mass.min() <= NEGLIGIBLE * mass.sum():
            partition.assign(*self.lifted(centres), anew=True)
            sums, mass = partition.totals()
            _fill_empty(partition, centres, sums, mass)
        there = mass[:, None] > 0.0
        return np.where(there, sums / np.where(there, mass[:, None], 1.0), centres).astype(centres.dtype)


def _fill_empty(partition: Partition, centres: NDArray[Any], sums: Float, mass: Float) -> None:
    """Give empty clusters the rows that are farthest from their centres, unless all rows are at their centres."""
    empty = np.flatnonzero(mass == 0.0)
    if not empty.size:
        return
    distances, labels = partition.distances_to(centres), partition.labels
    farthest = np.argpartition(distances, -empty.size)[: -empty.size - 1 : -1]
    if distances.max() == 0.0:
        return
    for k, row, point in zip(empty, farthest, partition.points(farthest), strict=True):
        weight = float(partition.weights[row])
        sums[labels[row]] -= weight * point
        mass[labels[row]] -= weight
        sums[k], mass[k] = weight * point, weight


class Incomplete:
    """Rows (x, m, f): values, zero where missing; mask of the observed values; mask of the forbidden clusters.

    The centre c that is nearest on the observed values, among the allowed centres, has the largest c . x - c^2 . m / 2.
    """

    def __init__(self, n_features: int, n_clusters: int) -> None:
        self._n_features = n_features
        self._forbidding = np.eye(n_clusters) * -np.sqrt(np.finfo(np.float64).max)

    def lifted(self, centres: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Factors of the three parts; offsets are zero."""
        return np.hstack([centres, -0.5 * centres**2, self._forbidding]), np.zeros(len(centres))

    def moved(self, partition: Partition, centres: NDArray[Any]) -> NDArray[Any]:
        """Means of the observed values of each cluster."""
        sums, _ = partition.totals()
        totals, counts = sums[:, : self._n_features], sums[:, self._n_features : 2 * self._n_features]
        there = counts > NEGLIGIBLE * counts.sum(axis=0)
        return np.where(there, totals / np.where(there, counts, 1.0), centres)


def cluster_known(
    values: Float, weights: Float | None, plausible: Float | None, n_clusters: int, random_state: np.random.RandomState
) -> NDArray[np.int64]:
    """Label rows by Lloyd's algorithm, on the observed values and among the allowed clusters.

    Each step lowers the sum of squared distances of the observed values from their cluster's centre.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        NaN where a value is missing; each column has an observed value.
    weights : ndarray of shape (n,), optional
    plausible : ndarray of shape (n, n_clusters), optional
        Positive where a row may belong to a cluster. Rows with a single most plausible cluster give initial centres;
        k-means++ chooses the other centres among rows that may belong to their clusters.
    n_clusters : int
    random_state : RandomState

    References
    ----------
    J. T. Chi, E. C. Chi and R. G. Baraniuk (2016), k-POD: a method for k-means clustering of missing data, The American
    Statistician 70, 91-99; S. Basu, A. Banerjee and R. Mooney (2002), Semi-supervised clustering by seeding, ICML.
    """
    there = ~np.isnan(values)
    known = np.where(there, values, 0.0)
    mass = there if weights is None else there * weights[:, None]
    overall = (known * mass).sum(axis=0) / np.maximum(mass.sum(axis=0), np.finfo(float).tiny)
    filled = np.where(there, values, overall)
    known, filled = known - overall * there, filled - overall  # smaller numbers, smaller rounding
    centres = _first_centres(filled, weights, plausible, n_clusters, random_state)
    forbidden = np.zeros((len(values), n_clusters)) if plausible is None else ~(plausible > 0.0)
    rows = np.hstack([known, there, forbidden])
    space, tolerance = Incomplete(values.shape[1], n_clusters), TOL * np.average(filled.var(axis=0))
    return _lloyd(Partition(rows, weights, n_clusters, np.zeros(rows.shape[1])), centres, space, tolerance)


def choose_rows(
    values: Float,
    weights: Float | None,
    plausible: Float | None,
    n_clusters: int,
    random_state: np.random.RandomState,
    spread: bool,
) -> NDArray[np.int64]:
    """Choose a row for each cluster, one that is known to belong to it if there is any.

    The others are drawn at random, far from rows that are already chosen if `spread`. Returns indices (n_clusters,).
    """
    there = ~np.isnan(values)
    filled = np.where(there, values, np.nanmean(values, axis=0))
    share = np.full(len(values), 1.0 / len(values)) if weights is None else weights / weights.sum()
    chosen = np.full(n_clusters, -1)
    if plausible is not None:
        telling = tells(plausible)
        for k in range(n_clusters):
            belongs = np.where(telling, plausible[:, k] * share, 0.0)
            rivals = chosen[:k][chosen[:k] >= 0]
            rivals = rivals[plausible[rivals, k] > 0.0]  # they might belong to this cluster, too
            if spread and rivals.size:
                belongs *= _nearest(filled, filled[rivals])
            belongs[rivals] = 0.0
            if belongs.sum() > 0.0:
                chosen[k] = random_state.choice(len(values), p=belongs / belongs.sum())
    for free in np.flatnonzero(chosen < 0):
        chance = share.copy()
        taken = chosen[chosen >= 0]
        if spread and taken.size:
            chance *= _nearest(filled, filled[taken])
        chance[taken] = 0.0
        chosen[free] = random_state.choice(len(values), p=chance / chance.sum() if chance.sum() > 0.0 else None)
    return chosen


def _first_centres(
    filled: Float, weights: Float | None, plausible: Float | None, n_clusters: int, random_state: np.random.RandomState
) -> Float:
    """Initial centres (K, d): means of the rows with a single most plausible cluster, or rows chosen by k-means++."""
    if plausible is None:
        return filled[seed_rows(filled, weights, n_clusters, random_state)]
    telling = tells(plausible)
    sure = telling & ((plausible == plausible.max(axis=1, keepdims=True)).sum(axis=1) == 1)
    share = np.ones(len(filled)) if weights is None else weights
    shares = plausible[sure] / plausible[sure].sum(axis=1, keepdims=True) * share[sure, None]
    totals = shares.sum(axis=0)
    seeded = (plausible[sure] == plausible[sure].max(axis=1, keepdims=True, initial=0.0)).any(axis=0)
    centres = np.zeros((n_clusters, filled.shape[1]))
    centres[seeded] = (shares.T @ filled[sure])[seeded] / totals[seeded, None]
    for k in np.flatnonzero(~seeded):
        possible = plausible[:, k] > 0.0
        for rows in (possible & telling & ~sure, possible & ~telling, possible):  # the most informative rows that exist
            if rows.any():
                break
        chance = _nearest(filled, centres[seeded]) * np.where(rows, share, 0.0)
        total = chance.sum()
        row = random_state.choice(len(filled), p=chance / total if total > 0.0 else rows / rows.sum())
        centres[k] = filled[row]
        seeded[k] = True
    return centres


def _nearest(values: Float, centres: Float) -> Float:
    """Squared distances (n,) to the nearest of some centres; ones if there are no centres."""
    nearest = np.full(len(values), np.inf)
    for centre in centres:
        nearest = np.minimum(nearest, ((values - centre) ** 2).sum(axis=1))
    return nearest if len(centres) else np.ones(len(values))
