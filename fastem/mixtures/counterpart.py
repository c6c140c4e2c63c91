"""Convert mixtures to their counterparts in scikit-learn, by the parameters and attributes that both have."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from fastem.families.gaussian import STRUCTURES

ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
POSTERIOR = (
    *("weight_concentration_", "mean_precision_", "degrees_of_freedom_"),
    *("weight_concentration_prior_", "mean_precision_prior_", "mean_prior_"),
    *("degrees_of_freedom_prior_", "covariance_prior_"),
)
OTHERS = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_", "feature_names_in_")


def shared_parameters(source: Any, target: type[Any]) -> dict[str, Any]:
    """Copies of the constructor's parameters of `source` that the class `target` has too."""
    names = target._get_param_names()
    return {name: deepcopy(value) for name, value in source.get_params(deep=False).items() if name in names}


def shared_attributes(source: Any) -> dict[str, Any]:
    """Copies of the fitted attributes that both classes have; parameters of components become plain arrays."""
    attributes = vars(source)
    arrays = {name: np.array(attributes[name]) for name in ARRAYS if attributes.get(name) is not None}
    arrays |= {name: _copied(attributes[name]) for name in POSTERIOR if name in attributes}
    others = {name: deepcopy(attributes[name]) for name in OTHERS if name in attributes}
    if "lower_bound_" in others:  # for 'tied' posteriors scikit-learn has arrays of one number
        others["lower_bound_"] = _number(others["lower_bound_"])
        others["lower_bounds_"] = [_number(bound) for bound in others["lower_bounds_"]]
    return arrays | others


def counterpart_of(model: Any) -> Any:
    """The `sklearn.mixture.GaussianMixture` with the densities of a fitted `GaussianMixture` without a background."""
    from sklearn.mixture import GaussianMixture  # late: it imports scikit-learn's clustering

    described = model._fitted().described
    if model._family().background:
        raise ValueError(
            f"background={model.background!r} has no counterpart in sklearn.mixture, "
            "whose mixtures have no component of constant density"
        )
    parameters = shared_parameters(model, GaussianMixture)
    if model.covariance_type in STRUCTURES:
        parameters["covariance_type"] = "full"
    if not isinstance(parameters["init_params"], str):
        del parameters["init_params"]  # an array, which scikit-learn does not take
    counterpart = GaussianMixture(**parameters)
    attributes = shared_attributes(model)
    for name in ("covariances", "precisions_cholesky"):
        if f"{name}_" not in attributes:  # a user may have set only one of the two
            attributes[f"{name}_"] = described[name].copy()
            attributes.pop("precisions_", None)
    if "precisions_" not in attributes:
        attributes["precisions_"] = _precisions(model, attributes["precisions_cholesky_"])
    counterpart.__dict__.update(attributes)
    return counterpart


def posterior_of(model: Any) -> Any:
    """The `sklearn.mixture.BayesianGaussianMixture` with the posterior of a fitted `BayesianGaussianMixture`."""
    from sklearn.mixture import BayesianGaussianMixture  # late: it imports scikit-learn's clustering

    model._fitted()
    parameters = shared_parameters(model, BayesianGaussianMixture)
    if not isinstance(parameters["init_params"], str):
        del parameters["init_params"]  # an array, which scikit-learn does not take
    counterpart = BayesianGaussianMixture(**parameters)
    attributes = shared_attributes(model)
    if model.weight_concentration_prior_type == "dirichlet_process":
        attributes["weight_concentration_"] = tuple(attributes["weight_concentration_"])
    counterpart.__dict__.update(attributes)
    return counterpart


def _number(value: Any) -> Any:
    """A number, given as a number or as an array of one number."""
    return value.item() if isinstance(value, np.ndarray) else value


def _copied(value: Any) -> Any:
    """One array, from an array or a sequence of arrays; a number as it is."""
    return np.array(value) if np.ndim(value) else value


def _precisions(model: Any, factors: Any) -> Any:
    """Precisions from their Cholesky factors."""
    return model._components().host.attributes({"precisions_cholesky": factors})["precisions"]
