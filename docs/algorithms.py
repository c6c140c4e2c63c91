"""Draws algorithms.png: how far the lower bound is from its maximum, by passes over the data and by time.

Usage: python docs/algorithms.py
"""

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture, Incremental
from fastem.datasets import load_iris

VARIANTS = {
    "em": {},
    "incremental": {"algorithm": "incremental"},
    "sparse": {"algorithm": "sparse"},
    "em, SQUAREM": {"acceleration": "squarem"},
    "em, Anderson": {"acceleration": "anderson"},
}
PASSES = 400
NEAR = 1e-8  # distance from the largest bound; axes end at 1.5 times what batch EM needs to reach it


def iris():
    """Iris with three components, whose initial means are three of the flowers."""
    X = load_iris().values
    return X, X[[10, 60, 120]], {"incremental": {"algorithm": Incremental(n_blocks=5)}}


def overlapping():
    """200 000 rows of eight overlapping clusters."""
    generator = np.random.default_rng(0)
    centres = 2.0 * generator.normal(size=(8, 4))
    X = centres[generator.integers(8, size=200_000)] + generator.normal(size=(200_000, 4))
    return X, centres + 0.5 * generator.normal(size=centres.shape), {}


def fit(X, means, options):
    """Bounds, cumulative passes and milliseconds of a fit from these means and unit covariances."""
    n_components, n_features = means.shape
    start = {
        "means_init": means,
        "weights_init": np.full(n_components, 1 / n_components),
        "precisions_init": np.tile(np.eye(n_features), (n_components, 1, 1)),
    }
    model = GaussianMixture(n_components, tol=0.0, max_iter=PASSES, random_state=0, **start, **options)
    model.fit(X[:1000]).fit(X)  # compile before the timed fit
    model.fit(X)
    passes, seconds = ([getattr(record, name) for record in model.history_] for name in ("passes", "seconds"))
    return np.array(model.lower_bounds_), np.cumsum(passes), 1e3 * np.cumsum(seconds)


def main():
    """Fit both data sets with each algorithm, and draw."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    figure, rows = plt.subplots(2, 2, figsize=(10, 7), sharey="row", layout="constrained")
    for axes, (name, (X, means, own)) in zip(rows, {"iris": iris(), "overlapping": overlapping()}.items(), strict=True):
        runs = {variant: fit(X, means, own.get(variant, options)) for variant, options in VARIANTS.items()}
        best = max(bounds.max() for bounds, _, _ in runs.values())
        for variant, (bounds, passes, seconds) in runs.items():
            distance = np.maximum(best - bounds, 1e-12)
            for ax, x in zip(axes, (passes, seconds), strict=True):
                ax.semilogy(x, distance, label=variant)
        bounds, *scales = runs["em"]
        near = min(int(np.searchsorted(bounds, best - NEAR)), len(bounds) - 1)
        for ax, x, label in zip(axes, scales, ("passes over the data", "milliseconds"), strict=True):
            ax.set(xlabel=label, title=f"{name}, {len(X):,} rows, {len(means)} components")
            ax.set(xlim=(0, 1.5 * x[near]), ylim=(NEAR / 10, 1.0))
        axes[0].set_ylabel("distance from the largest bound, per row")
    rows[0, 1].legend()
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
