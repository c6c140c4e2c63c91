"""Checks of the data, weights and initial parameters that a user gives, with scikit-learn's messages."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_sample_weight

from fastem.data.numeric import real_array
from fastem.data.row_info_checks import Known
from fastem.data.streams import as_source
from fastem.families import Family
from fastem.families._host import Initial

Float = NDArray[np.float64]
FLOATS = (np.float64, np.float32)
LIGHTEST, HEAVIEST = 1e-200, 1e200  # total weight of all rows: sums of weighted squares stay within float64


def is_plain(X: Any, n_samples: int) -> bool:
    """Whether X is an array (n, d) of finite floating-point numbers with at least `n_samples` rows."""
    if type(X) is not np.ndarray or X.dtype not in (np.float64, np.float32) or X.ndim != 2:
        return False
    if len(X) < n_samples or X.shape[1] == 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())  # False if the sum overflows: complete checks then decide


def native(values: NDArray[Any]) -> NDArray[Any]:
    """The array, copied only if compiled code cannot read it: foreign byte order or unaligned memory."""
    if values.dtype.isnative and values.flags.aligned:
        return np.asarray(values)
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def sample_weights(sample_weight: ArrayLike | None, values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Check weights (n,); None stands for ones."""
    if sample_weight is None:
        return None
    given = real_array(sample_weight, "sample_weight")
    weights: NDArray[np.float64] = _check_sample_weight(
        given if given.ndim else float(given), values, dtype=np.float64, ensure_non_negative=True
    )
    with np.errstate(over="ignore"):
        check_total(float(weights.sum()))
    return weights


def check_total(weight: float) -> None:
    """Raise ValueError if the total weight is so small or large that sums over rows leave the range of float64."""
    if weight > 0.0 and not LIGHTEST <= weight <= HEAVIEST:
        raise ValueError(
            f"sample_weight sums to {weight:.3g}, but the total weight must be between {LIGHTEST} and {HEAVIEST}: "
            "multiply all weights by the same number"
        )


def check_errors(errors: bool, family: Family, name: str) -> None:
    """Raise ValueError if rows have errors of measurement or projections, and the family does not support them."""
    if errors and family.errors is None:
        raise ValueError(f"noise and projection are for Gaussian mixtures: {name} has none")


def no_source(X: Any) -> None:
    """Raise TypeError if a source is given where an array belongs."""
    if not isinstance(X, np.ndarray) and as_source(X) is not None:
        raise TypeError("partial_fit takes an array: call it for each chunk, or fit with algorithm='stepwise'")


def nothing_beside(sample_weight: ArrayLike | None, known: Known) -> None:
    """Raise ValueError if weights or annotations are given separately from a source."""
    if sample_weight is not None:
        raise ValueError(
            "sample_weight goes with an array: a source yields pairs of rows and weights, or names a column of weights"
        )
    for name, given in zip(known._fields, known, strict=True):
        if given is not None:
            raise ValueError(f"{name} goes with an array: a source yields it with its chunks, see fastem.Source")


def at_least_two(n_rows: int) -> None:
    """Raise ValueError, with scikit-learn's message, if a source has fewer than two rows."""
    if n_rows < 2:
        raise ValueError(f"Found a source with {n_rows} sample(s) while a minimum of 2 is required.")


def fixed_components(fixed: Any, sizes: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    """Masks (K,), by name, of the components whose parameter is fixed.

    `fixed` is a name, several names, or a mapping of names to truth values. `sizes` maps each parameter to its number
    of components.

    Raises
    ------
    ValueError
        If there is no such parameter, or the truth values are not one for each component.
    """
    if fixed is None:
        return {}
    several = [fixed] if isinstance(fixed, str) else fixed
    wanted = dict(several) if isinstance(several, Mapping) else dict.fromkeys(several, True)
    masks = {}
    for name, which in wanted.items():
        if name not in sizes:
            raise ValueError(f"fixed names {name!r}, where there are {', '.join(map(repr, sizes))}")
        n_components = sizes[name]
        mask = np.full(n_components, which) if isinstance(which, bool | np.bool_) else np.asarray(which)
        if np.ma.getmaskarray(which).any() or mask.dtype != bool or mask.shape != (n_components,):
            raise ValueError(
                f"fixed[{name!r}] must be True, or {n_components} truth values: one for each component, not {which!r}"
            )
        if mask.any():
            masks[name] = mask
    return masks


def check_shape(parameter: NDArray[Any], shape: tuple[int, ...], name: str) -> None:
    """Raise ValueError unless `parameter` has the shape."""
    if parameter.shape != shape:
        raise ValueError(f"The parameter '{name}' should have the shape of {shape}, but got {parameter.shape}")


def floats(given: Any, shape: tuple[int, ...], name: str, called: str) -> Float:
    """Check that numbers are finite and have a shape, and return them as a new array.

    `name` is the constructor's parameter, and `called` is what scikit-learn's messages call its content.
    """
    values = real_array(given, name)
    check_shape(values, shape, called)
    if not math.isfinite(values.sum()):
        assert_all_finite(values, input_name=name)
    return np.array(values, dtype=np.float64, order="C")


def check_weights(weights: ArrayLike, n_components: int) -> Float:
    """Check that mixing weights (K,) are in [0, 1] and normalised, and return them."""
    array = floats(weights, (n_components,), "weights_init", "weights")
    if (array < 0.0).any() or (array > 1.0).any():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got "
            # minimum and maximum are exchanged as in scikit-learn's message, which programs may read
            f"max value {array.min():.5f}, min value {array.max():.5f}"
        )
    tolerance = 1e-6 if (array == array.astype(np.float32)).all() else 1e-8  # rounding of float32
    if abs(1.0 - float(array.sum())) > tolerance:
        raise ValueError(f"The parameter 'weights' should be normalized, but got sum(weights) = {array.sum():.5f}")
    return array


def check_initial(given: ArrayLike, initial: Initial, n_components: int, n_features: int) -> Float:
    """Check the initial values of a parameter, and return them."""
    sizes = {"k": n_components, "d": n_features}
    values = floats(given, tuple(sizes[axis] for axis in initial.axes), initial.argument, initial.called)
    complaint = initial.complaint(values)
    if complaint is not None:
        raise ValueError(complaint)
    return values


def in_type_of_data(parameters: Mapping[str, NDArray[np.float64]], dtype: Any) -> dict[str, NDArray[Any]]:
    """Fitted parameters in the dtype of X; ValueError that names the first one that overflows it."""
    with np.errstate(over="ignore"):
        narrow = {name: value.astype(dtype) for name, value in parameters.items()}
    if dtype == np.float32:
        for name, value in narrow.items():
            if not np.isfinite(value).all() and np.isfinite(parameters[name]).all():
                raise ValueError(
                    f"The fitted {name}, up to {np.abs(parameters[name]).max():.3g}, overflow float32, the type of X: "
                    "give X as float64, or in other units."
                )
    return narrow
