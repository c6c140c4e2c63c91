"""Mixtures with a background: rows with outliers, models, and a naive EM."""

import numpy as np
import pytest
from fits import precisions_of
from reference import GAUSSIAN_FAMILIES, log_density, m_step, rows_for, start_at
from scipy.special import logsumexp

from fastem import GaussianMixture, Incremental, Sparse

K, D = 3, 3
WEIGHTS = np.array([0.3, 0.3, 0.2, 0.2])
ALGORITHMS = [
    *({"algorithm": how} for how in ("em", "hard", Incremental(4), Sparse(0.01), "stepwise", "stochastic")),
    *({"acceleration": how} for how in ("squarem", "anderson")),
]
CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
by_family = pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
by_algorithm = pytest.mark.parametrize("options", ALGORITHMS, ids=str)


def problem_of(family, n_rows=400):
    """Two groups of rows, a fifth of them replaced by outliers, and parameters to start from."""
    X = rows_for(family, n_rows, D)
    X[::5] = np.random.default_rng(1).uniform(-15.0, 15.0, size=X[::5].shape)
    return X, start_at(family, X, X[1 : K + 1] + 0.5)


def model_beside(start, **options):
    given = {"weights_init": WEIGHTS, "means_init": start.means, "precisions_init": precisions_of(start)}
    options = {**given, "background": True, "reg_covar": 0.0, "random_state": 0, **options}
    return GaussianMixture(K, covariance_type=start.family, **options)


def volume_of(X):
    return float(np.prod(np.ptp(X, axis=0)))


def joint(X, parameters, weights, volume):
    """Logarithm of weight times density (n, K + 1) of each component, the background's last."""
    components = np.column_stack([log_density(X, parameters), np.full(len(X), -np.log(volume))])
    return np.log(weights) + components


def naive_em(X, start, n_iter, volume, sample_weight=None):
    """EM from the formulas: parameters, weights (K + 1,), and the mean log-likelihood before each iteration."""
    share = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    parameters, weights, bounds = start, WEIGHTS, []
    for _ in range(n_iter):
        log_joint = joint(X, parameters, weights, volume)
        rows = logsumexp(log_joint, axis=1)
        bounds.append(share @ rows / share.sum())
        responsibilities = np.exp(log_joint - rows[:, None])
        weights = share @ responsibilities / share.sum()
        parameters = m_step(start.family, X, responsibilities[:, :K], share)
    return parameters, weights, bounds


def clusters(seed=0, n_rows=1000, scale=1.0):
    """Rows (n_rows, 2) of three clusters, a fifth of them outliers, and their labels, -1 for outliers."""
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=n_rows)
    labels[: n_rows // 5] = -1
    X = CENTRES[labels] + random.normal(size=(n_rows, 2))
    X[labels < 0] = random.uniform(-20.0, 30.0, size=(np.count_nonzero(labels < 0), 2))
    return scale * X, labels


def fitted(family="full", **options):
    X, _ = clusters()
    return GaussianMixture(3, covariance_type=family, background=True, random_state=0, **options).fit(X), X
