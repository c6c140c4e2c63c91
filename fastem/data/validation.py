"""Checks of what a user gives: data, weights, initial parameters; in scikit-learn's words."""

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
LIGHTEST, HEAVIEST = 1e-200, 1e200  # of all rows together: sums of weighted squares stay within float64


def is_plain(X: Any, n_samples: int) -> bool:
    """Whether X is an array (n, d) of floating-point numbers, all finite, with so many rows or more."""
    if type(X) is not np.ndarray or X.dtype not in (np.float64, np.float32) or X.ndim != 2:
        return False
    if len(X) < n_samples or X.shape[1] == 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())  # an overflow is looked into by who is asked then


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Copy only what compiled code cannot read: foreign byte order, unaligned memory."""
    if values.dtype.isnative and values.flags.aligned:
        return np.asarray(values)
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def sample_weights(sample_weight: ArrayLike | None, values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Check weights; None stands for ones."""
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
    """Raise ValueError if rows are so light or heavy together that sums over them leave the range of float64."""
    if weight > 0.0 and not LIGHTEST <= weight <= HEAVIEST:
        raise ValueError(
            f"sample_weight sums to {weight:.3g}, where sums over the rows need {LIGHTEST} to {HEAVIEST}: multiply all "
            "weights by a number"
        )


def check_errors(errors: bool, family: Family, name: str) -> None:
    """Raise ValueError if rows have errors of measurement or projections, and the mixture's family knows none."""
    if errors and family.errors is None:
        raise ValueError(f"noise and projection are for Gaussian mixtures: {name} has none")


def no_source(X: Any) -> None:
    """Raise TypeError if a source is given where an array belongs."""
    if not isinstance(X, np.ndarray) and as_source(X) is not None:
        raise TypeError("partial_fit takes an array: call it for each chunk, or fit with algorithm='stepwise'")


def nothing_beside(sample_weight: ArrayLike | None, known: Known) -> None:
    """Raise ValueError if something is given of the rows of a source."""
    if sample_weight is not None:
        raise ValueError(
            "sample_weight goes with an array: a source yields pairs of rows and weights, or names a column of weights"
        )
    for name, given in zip(known._fields, known, strict=True):
        if given is not None:
            raise ValueError(f"{name} goes with an array: a source yields it with its chunks, see fastem.Source")


def at_least_two(n_rows: int) -> None:
    """Raise ValueError if a source has a single row, in scikit-learn's words."""
    if n_rows < 2:
        raise ValueError(f"Found a source with {n_rows} sample(s) while a minimum of 2 is required.")


def fixed_components(fixed: Any, sizes: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    """Which components' parameters are fixed, by name, from a name, several, or a mapping to truth values.

    `sizes` tells how many components have the parameter.

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
    """Finite numbers of a shape, as a new array; `name` is that of the constructor's parameter, `called` its contents.

    `called` is what scikit-learn calls them.
    """
    values = real_array(given, name)
    check_shape(values, shape, called)
    if not math.isfinite(values.sum()):
        assert_all_finite(values, input_name=name)
    return np.array(values, dtype=np.float64, order="C")


def check_weights(weights: ArrayLike, n_components: int) -> Float:
    """Return mixing weights (K,), each in [0, 1] and normalised."""
    array = floats(weights, (n_components,), "weights_init", "weights")
    if (array < 0.0).any() or (array > 1.0).any():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got "
            # scikit-learn's message has the two the wrong way round, and so have programs that read it
            f"max value {array.min():.5f}, min value {array.max():.5f}"
        )
    tolerance = 1e-6 if (array == array.astype(np.float32)).all() else 1e-8  # as weights of float32 are
    if abs(1.0 - float(array.sum())) > tolerance:
        raise ValueError(f"The parameter 'weights' should be normalized, but got sum(weights) = {array.sum():.5f}")
    return array


def check_initial(given: ArrayLike, initial: Initial, n_components: int, n_features: int) -> Float:
    """Return what a user gives of a parameter to start from."""
    sizes = {"k": n_components, "d": n_features}
    values = floats(given, tuple(sizes[axis] for axis in initial.axes), initial.argument, initial.called)
    complaint = initial.complaint(values)
    if complaint is not None:
        raise ValueError(complaint)
    return values


def in_type_of_data(parameters: Mapping[str, NDArray[np.float64]], dtype: Any) -> dict[str, NDArray[Any]]:
    """Fitted parameters in the type of X; ValueError that names the first that has no room in it."""
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
