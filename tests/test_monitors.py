"""scikit-learn's monitors score fits of all kinds of data: sources, rows with errors, projections."""

import numpy as np
import pytest
from fits import run
from sklearn.callback import ScoringMonitor

from fastem import GaussianMixture, Source

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 2)) + np.repeat([[0.0], [6.0]], 50, axis=0)
NOISE = np.full((100, 2), 0.5)
PROJECTION = np.tile(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), (50, 1, 1))
KNOWN = {
    "rows": (X, {}),
    "a source": (Source([X]), {}),
    "chunks": ([X[:30], X[30:]], {}),
    "errors": (X, {"noise": NOISE}),
    "errors and weights": (X, {"noise": NOISE, "sample_weight": RNG.uniform(1, 2, size=100)}),
    "projections": (
        np.einsum("nmd,nd->nm", PROJECTION, X),
        {"projection": PROJECTION, "noise": np.full((100, 1), 0.5)},
    ),
}


def score(model, X, y):
    assert len(y) == 100
    return model.score(X)


@pytest.mark.parametrize("known", KNOWN)
def test_the_scores_of_a_monitor_are_the_bounds_of_the_fit(known):
    data, given = KNOWN[known]
    start = {"weights_init": [0.5, 0.5], "means_init": [[0.0, 0.0], [6.0, 6.0]], "precisions_init": [np.eye(2)] * 2}
    monitor = ScoringMonitor(scoring={"score": score})
    model = run(GaussianMixture(2, **start).set_callbacks(monitor), data, 3, **given)
    scores = [row["score"] for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    after = run(GaussianMixture(2, **start), data, 4, **given).lower_bounds_[1:]  # the bound before the next M-step
    np.testing.assert_allclose(scores, after, rtol=1e-9)
    assert len(scores) == len(model.lower_bounds_) == 3
