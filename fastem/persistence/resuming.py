"""Checks that a fit can continue from the arrays in a checkpoint: schemes and passes do not check them."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from fastem.data import Mixture, Sweep
from fastem.families import Family


class Sizes(NamedTuple):
    """Family and sizes that the shapes of a fit's arrays follow from; `n_weights` counts a background too."""

    family: Family
    n_weights: int
    n_features: int

    def params(self, n_components: int) -> Any:
        """Some parameters of `n_components` components, whose types and shapes others are compared with."""
        return self.family.params_at(np.zeros((n_components, self.n_features)))


def check_arrays(value: Any, sizes: Sizes) -> None:
    """Check all arrays in a value: those of mixtures (of all components or some), statistics, means and vectors.

    Raises
    ------
    ValueError
        If an array cannot be that of a fit of these sizes.
    """
    if isinstance(value, Mixture):
        _check_mixture(value, sizes)
    elif isinstance(value, Sweep):
        _check_sweep(value, sizes)
    elif isinstance(value, np.ndarray):
        _check_array(value, sizes)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            check_arrays(getattr(value, field.name), sizes)
    elif isinstance(value, tuple | list):
        for item in value:
            check_arrays(item, sizes)


def _check_mixture(mixture: Mixture, sizes: Sizes) -> None:
    weights = mixture.weights
    size = len(weights) if isinstance(weights, np.ndarray) and weights.ndim == 1 else 0
    n_components = size - int(sizes.family.background)
    if not (n_components > 0 and size <= sizes.n_weights and weights.dtype == np.float64):
        raise ValueError(f"it holds a mixture whose weights are not those of {sizes.n_weights} components")
    if not (weights.min() >= 0.0 and weights.max() < np.inf):
        raise ValueError("it holds a mixture whose weights are not all finite and at least 0")
    template = sizes.params(n_components)
    if type(mixture.params) is not type(template):
        raise ValueError(f"it holds a {type(mixture.params).__name__} in place of {type(template).__name__}")
    for name, found, wanted in zip(template._fields, mixture.params, template, strict=True):
        _check(name, found, wanted.shape)
    _check_posterior(mixture.posterior, sizes, n_components)


def _check_posterior(posterior: Any, sizes: Sizes, n_components: int) -> None:
    algebra = sizes.family.posterior
    kind: Any = type(None) if algebra is None else algebra.kind
    if type(posterior) is not kind:
        raise ValueError(f"it holds a {type(posterior).__name__} as a posterior")
    if algebra is None:
        return
    found = algebra.describe(posterior)
    for parameter in sizes.family.parameters:
        if parameter.name in found:
            _check(parameter.name, found[parameter.name], parameter.shape(n_components, sizes.n_features))
    _check("log_weights", posterior.log_weights, (n_components,))


def _check_sweep(sweep: Sweep, sizes: Sizes) -> None:
    _check("masses", sweep.mass, (sizes.n_weights,))
    _check("statistics", sweep.stats, (sizes.family.n_stats(sizes.n_features, sizes.n_weights),))
    if not (sweep.mass.min() >= 0.0 and np.isfinite(sweep.mass).all() and np.isfinite(sweep.stats).all()):
        raise ValueError("it holds statistics that are not finite, or masses below 0")


def _check_array(array: np.ndarray[Any, Any], sizes: Sizes) -> None:
    """Check means (K, d), or all parameters as one vector."""
    n_components = sizes.n_weights - int(sizes.family.background)
    vector = sizes.n_weights + sizes.family.pack(sizes.params(n_components)).size
    _check("numbers", array, (n_components, sizes.n_features) if array.ndim == 2 else (vector,))


def _check(name: str, array: Any, shape: tuple[int, ...]) -> None:
    """Check type and shape, and that no number is NaN or +inf; -inf is the logarithm of zero."""
    if not (isinstance(array, np.ndarray) and array.shape == shape and array.dtype == np.float64):
        raise ValueError(f"it holds {name} of shape {np.shape(array)}, which should be {shape}")
    if np.isnan(array).any() or (array == np.inf).any():
        raise ValueError(f"it holds {name} that are NaN or infinite")
