"""Strong priors, for fastem and for the naive reference."""

import numpy as np
from posterior import Conjugate
from reference import rows_for, start_at

from fastem import Incremental, NormalInverseWishart, Sparse

K = 3
ALPHA = [1.5, 4.0, 2.5]

MONOTONE = [
    *({"algorithm": how} for how in ("em", "hard", Incremental(4), Incremental(5, "random"), Sparse(0.01))),
    *({"acceleration": how} for how in ("squarem", "anderson")),
]


def strong_prior(family):
    """A strong prior: far from the data and worth tens of rows."""
    scale = {"diag": [1.0, 2.0, 3.0], "spherical": 2.5}
    matrix = [[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 1.0]]
    return NormalInverseWishart([4.0, -3.0, 1.0], 7.0, 31.5, scale.get(family, matrix))


def reference_prior(family, prior=None):
    """The same for the naive reference; None for rates."""
    if family == "poisson":
        return None
    given = strong_prior(family) if prior is None else prior
    return Conjugate(np.array(given.mean), given.mean_strength, given.degrees_of_freedom, np.array(given.scale))


def options_of(family):
    """Options with priors of weights and of components."""
    return {"weights_prior": ALPHA} | ({} if family == "poisson" else {"prior": strong_prior(family)})


def problem_of(family, n_rows=400):
    X = rows_for(family, n_rows, 3)
    return X, start_at(family, X, X[:K] + 0.5)
