"""How often EM with a background reaches, from the starts of fastem, the bound that it reaches from the true clusters.

Clusters of random shape lie among uniform outliers, in a box whose width is a multiple of the width of the clusters'
box. Each row of the printed table is a choice of the background's initial weight and of how often a start is drawn
again.

Usage: python asv_benchmarks/background_starts.py
"""

import itertools
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fastem.em.initialization.start
import fastem.mixtures.background
from fastem import GaussianMixture

# features, clusters, share of outliers, width of their box relative to that of the clusters
CASES = [
    *(
        (2, 4, 0.0, 1),
        (2, 4, 0.05, 3),
        (2, 4, 0.2, 1.2),
        (2, 4, 0.2, 3),
        (2, 4, 0.4, 3),
        (2, 4, 0.2, 10),
        (2, 4, 0.6, 3),
    ),
    *((5, 6, 0.2, 3), (5, 6, 0.4, 3), (2, 2, 0.01, 30)),
]
CHOICES = [(0.05, 0), (0.05, 2), (0.2, 2), (0.5, 0), (0.5, 1), (0.5, 2), (0.5, 3), (0.7, 2)]
N_ROWS, N_SEEDS = 1000, 10
CONTROL = {"background": True, "tol": 1e-7, "max_iter": 1000}


def sample(seed, n_features, n_clusters, share, width):
    """Rows (N_ROWS, n_features), those of clusters first, and the labels of the latter."""
    random = np.random.default_rng(seed)
    apart = False
    while not apart:
        centres = random.uniform(-8, 8, size=(n_clusters, n_features))
        apart = min(np.linalg.norm(a - b) for a, b in itertools.combinations(centres, 2)) > 4.5
    shapes = 0.3 * random.normal(size=(n_clusters, n_features, n_features)) + 0.8 * np.eye(n_features)
    labels = random.integers(n_clusters, size=round(N_ROWS * (1 - share)))
    rows = centres[labels] + np.einsum("nij,nj->ni", shapes[labels], random.normal(size=(len(labels), n_features)))
    low, high = rows.min(axis=0), rows.max(axis=0)
    outliers = random.uniform(-0.5, 0.5, size=(N_ROWS - len(labels), n_features)) * width * (high - low)
    return np.vstack([rows, outliers + (low + high) / 2]), labels


def bound_from_the_truth(X, labels, n_clusters, share):
    """Lower bound where EM ends if it starts from the moments of the true clusters."""
    clusters = [X[: len(labels)][labels == k] for k in range(n_clusters)]
    weights = np.append([len(rows) for rows in clusters], max(share, 0.01) * len(X))
    start = {
        "weights_init": weights / weights.sum(),
        "means_init": [rows.mean(axis=0) for rows in clusters],
        "precisions_init": [np.linalg.inv(np.cov(rows.T)) for rows in clusters],
    }
    return GaussianMixture(n_clusters, **CONTROL, **start).fit(X).lower_bound_


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    found, iterations = np.zeros(len(CHOICES), int), [[] for _ in CHOICES]
    for case, seed in itertools.product(CASES, range(N_SEEDS)):
        X, labels = sample(seed, *case)
        best = bound_from_the_truth(X, labels, case[1], case[2])
        for i, (weight, redraws) in enumerate(CHOICES):
            fastem.mixtures.background.START_WEIGHT, fastem.em.initialization.start.REDRAWS = weight, redraws
            model = GaussianMixture(case[1], random_state=seed, **CONTROL).fit(X)
            found[i] += model.lower_bound_ > best - 1e-3
            iterations[i].append(model.n_iter_)
    print(f"| weight | redraws | found, of {len(CASES) * N_SEEDS} | iterations |\n|---|---|---|---|")
    for (weight, redraws), n_found, counts in zip(CHOICES, found, iterations, strict=True):
        print(f"| {weight} | {redraws} | {n_found} | {np.median(counts):.0f} |")


if __name__ == "__main__":
    main()
