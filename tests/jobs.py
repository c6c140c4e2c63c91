"""Functions that tests run in other processes, which import them by name."""

import numpy as np
from models import learned
from reference import rows_for

from fastem import GaussianMixture, Source


def fit(seed, *, source=False, **options):
    """Fit a few rows; return the bytes of parameters, lower bounds and responsibilities as hexadecimal text."""
    X = rows_for("full")
    options = {"covariance_type": "spherical", "max_iter": 5, "tol": 0.0, **options}
    model = GaussianMixture(3, random_state=seed, init_params="random", **options)
    model.fit(Source([X[:70], X[70:]], chunk_bytes=2048) if source else X)
    arrays = [*learned(model).values(), np.array(model.lower_bounds_), model.predict_proba(X)]
    return [array.tobytes().hex() for array in arrays]


def fit_source(seed):
    """The same for a source, on two threads if there are two."""
    return fit(seed, source=True, n_jobs=2)
