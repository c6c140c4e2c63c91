"""What tests hand to other processes, which import it by name."""

import numpy as np
from models import learned
from reference import rows_for

from fastem import GaussianMixture, Source


def fit(seed, *, source=False, **options):
    """Bits of all that is learned from a few rows, and of what is said of them."""
    X = rows_for("full")
    options = {"covariance_type": "spherical", "max_iter": 5, "tol": 0.0, **options}
    model = GaussianMixture(3, random_state=seed, init_params="random", **options)
    model.fit(Source([X[:70], X[70:]], chunk_bytes=2048) if source else X)
    arrays = [*learned(model).values(), np.array(model.lower_bounds_), model.predict_proba(X)]
    return [array.tobytes().hex() for array in arrays]


def fit_source(seed):
    """The same of a source, on two threads where there are two."""
    return fit(seed, source=True, n_jobs=2)
