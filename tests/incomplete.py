"""Rows with missing values, and the algorithms that are tried on them."""

import numpy as np
from fits import model_at
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from reference import rows_for, start_at

from fastem import Incremental, Sparse, Stepwise

ALGORITHMS = [
    *({"algorithm": how} for how in ("em", "hard", Incremental(4), Incremental(4, "random"), Sparse(0.01))),
    *({"algorithm": how} for how in (Stepwise(50), "stochastic")),
    *({"acceleration": how} for how in ("squarem", "anderson")),
]

PATTERNS = st.integers(0, 2**32 - 1)

PROPERTY = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


def holes(X, rng, share=0.3):
    """X with missing values: none in the first row, all in the second."""
    missing = rng.uniform(size=X.shape) < share
    missing[0], missing[1] = False, True
    return np.where(missing, np.nan, X)


def incomplete_rows(family, n_rows=90, n_features=3, n_components=2, seed=0):
    """Rows with missing values, and a start."""
    X = rows_for(family, n_rows, n_features, seed)
    start = start_at(family, X, X[:n_components] + 0.5)
    return holes(X, np.random.default_rng(seed)), start


def marginal(start, **options):
    return model_at(start, missing="marginalize", **options)


def weighted_mean(values, weights):
    return float(np.average(values, weights=weights))
