"""Fits with a given number of iterations, from the parameters of a naive mixture."""

import warnings

import numpy as np
from reference import rows_for, start_at
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture, PoissonMixture


def model_at(start, **options):
    """An unfitted model that starts from a naive mixture; nothing is added to its covariances."""
    options = {"n_components": len(start.weights), "weights_init": start.weights, **options}
    if start.family == "poisson":
        return PoissonMixture(rates_init=start.rates, **options)
    options = {"reg_covar": 0.0, "covariance_type": start.family, **options}
    return GaussianMixture(means_init=start.means, precisions_init=precisions_of(start), **options)


def precisions_of(start):
    return np.linalg.inv(start.covariances) if start.family in ("full", "tied") else 1 / start.covariances


def run(model, X, n_iter, sample_weight=None, **known):
    """Exactly `n_iter` iterations, without the warning about convergence; `known` are other arguments of `fit`."""
    model.set_params(max_iter=n_iter, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, sample_weight=sample_weight, **known)


def fall(bounds):
    """Largest decrease in a sequence of lower bounds, relative to the largest bound."""
    return float(-np.diff(bounds).min() / np.abs(bounds).max())


def slow_problem(family, n_rows=600):
    """Rows and a start that needs many iterations."""
    X = rows_for(family, n_rows)
    return X, start_at(family, X, X[:3] + 0.5)
