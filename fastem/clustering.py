"""k-means of rows of which some values are missing, or some labels known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus

from fastem.annotations import tells

Float = NDArray[np.float64]

MAX_ITER, TOL = 300, 1e-4  # scikit-learn's


def cluster(
    values: Float, weights: Float | None, plausible: Float | None, n_clusters: int, random_state: np.random.RandomState
) -> NDArray[np.int64]:
    """Label rows by Lloyd's algorithm, on the values that are there and among the clusters that are allowed.

    Each step lowers the sum, over the values that are there, of squared distances to the centre.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        NaN where a value is missing; no column is missing wholly.
    weights : ndarray of shape (n,), optional
    plausible : ndarray of shape (n, n_clusters), optional
        Positive where a row may be of a cluster. Rows of which one cluster is the most plausible give the clusters'
        first centres; k-means++ gives the others, among rows that may be of them.
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
    forbidden = None if plausible is None else ~(plausible > 0.0)
    tolerance = TOL * np.average(filled.var(axis=0))
    for _ in range(MAX_ITER):
        distances = there @ (centres**2).T - 2.0 * (known @ centres.T)
        if forbidden is not None:
            distances[forbidden] = np.inf
        labels = distances.argmin(axis=1)
        members = np.eye(n_clusters)[labels].T
        sums, counts = members @ (known * mass), members @ mass
        moved = np.where(counts > 0.0, sums / np.where(counts > 0.0, counts, 1.0), centres)
        change = ((moved - centres) ** 2).sum()
        centres = moved
        if change <= tolerance:
            break
    return np.asarray(labels, dtype=np.int64)


def choose_rows(
    values: Float,
    weights: Float | None,
    plausible: Float | None,
    n_clusters: int,
    random_state: np.random.RandomState,
    spread: bool,
) -> NDArray[np.int64]:
    """A row for each cluster: one that is known to belong to it if there is any, others far apart or anyhow."""
    there = ~np.isnan(values)
    filled = np.where(there, values, np.nanmean(values, axis=0))
    share = np.full(len(values), 1.0 / len(values)) if weights is None else weights / weights.sum()
    chosen = np.full(n_clusters, -1)
    if plausible is not None:
        telling = tells(plausible)
        for k in range(n_clusters):
            belongs = np.where(telling, plausible[:, k] * share, 0.0)
            rivals = chosen[:k][chosen[:k] >= 0]
            rivals = rivals[plausible[rivals, k] > 0.0]  # which might be of this cluster, too
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
    """Means of the rows of which a cluster is the most plausible, and rows chosen by k-means++ for other clusters."""
    if plausible is None:
        return np.asarray(kmeans_plusplus(filled, n_clusters, sample_weight=weights, random_state=random_state)[0])
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
        for rows in (possible & telling & ~sure, possible & ~telling, possible):  # those that tell most, if any
            if rows.any():
                break
        chance = _nearest(filled, centres[seeded]) * np.where(rows, share, 0.0)
        total = chance.sum()
        row = random_state.choice(len(filled), p=chance / total if total > 0.0 else rows / rows.sum())
        centres[k] = filled[row]
        seeded[k] = True
    return centres


def _nearest(values: Float, centres: Float) -> Float:
    """Squared distances (n,) to the nearest of some centres; one if there is none."""
    nearest = np.full(len(values), np.inf)
    for centre in centres:
        nearest = np.minimum(nearest, ((values - centre) ** 2).sum(axis=1))
    return nearest if len(centres) else np.ones(len(values))
