"""Fitted parameters, differences between models, and messages of failed fits."""

import numpy as np
import pytest
from reference import Gaussian, Poisson


def learned(model):
    """All fitted parameters by name."""
    names = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "rates_")
    return {name: getattr(model, name) for name in names if hasattr(model, name)}


def parameters_of(family, model):
    """The fitted parameters as a naive mixture."""
    if family == "poisson":
        return Poisson(model.weights_, model.rates_)
    return Gaussian(family, model.weights_, model.means_, model.covariances_)


def difference(actual, expected):
    """Largest difference between the parameters of two models, relative to the largest entry of each array."""
    assert learned(actual).keys() == learned(expected).keys()
    pairs = zip(learned(actual).values(), learned(expected).values(), strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def failure(model, X):
    """Message of the ValueError that a fit raises."""
    with pytest.raises(ValueError, match=r"\w") as error:
        model.fit(X)
    return str(error.value)


def fitted_names(model):
    """Names of the attributes that a fit has set, without those about the features of the data."""
    return {name for name in vars(model) if name.endswith("_") and name not in ("n_features_in_", "feature_names_in_")}


def assert_close(model, other, tolerance=0.0):
    """Every parameter of two models is the same up to a tolerance, relative or absolute."""
    for name, expected in learned(other).items():
        np.testing.assert_allclose(learned(model)[name], expected, rtol=tolerance, atol=tolerance)
