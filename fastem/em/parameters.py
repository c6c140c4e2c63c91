"""Checks of all parameters that were not just fitted, before compiled code uses them, which checks nothing.

Fitted attributes, which users may set, models from files and the streams of `partial_fit` are checked against the
family, the numbers of components and features, and each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data import Mixture, common_origin, range_of
from fastem.data.namespaces import is_foreign, on_host
from fastem.families import ComponentError, Family
from fastem.families._parameters import Parameter

Float = NDArray[np.float64]

WEIGHTS_TOLERANCE = 2e-6  # tolerance for the sum of mixing weights, which may have been given as float32
REMEMBERED_BYTES = 2**16  # largest parameters that are remembered: checks take a third of the time of small predictions
REMEMBERED = 16  # number of mixtures
_right: dict[tuple[Any, ...], Parameters] = {}


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Checked parameters of a mixture, complete, in float64 and the data's coordinates; its arrays are read-only.

    Small parameters are remembered, and with them the mixture in coordinates about an origin near the means, which
    would take most of the time of small predictions.
    """

    family: Family
    weights: Float
    described: dict[str, Float]
    _nearby: dict[Any, tuple[Float, Mixture]] = dataclasses.field(default_factory=dict)

    @property
    def locations(self) -> Float:
        """Means or rates (K, d)."""
        return self.described[self.family.parameters[0].name]

    def about(self, origin: Float) -> Mixture:
        """The mixture in coordinates about `origin` (d,), which must be zero if densities change under translation."""
        own = {name: array.copy() for name, array in self.described.items()}  # which may be written to
        name = self.family.parameters[0].name
        posterior = None if self.family.posterior is None else self.family.posterior.restore(own)
        return Mixture(self.weights.copy(), self.family.restore({**own, name: self.locations - origin}), posterior)

    def nearby(self, dtype: Any = None) -> tuple[Float, Mixture]:
        """An origin near the means, rounded to `dtype`, or zero if it is None, and the mixture about it, read-only."""
        found = self._nearby.get(dtype)
        if found is None:
            locations = self.locations
            origin = np.zeros(locations.shape[1]) if dtype is None else common_origin(range_of(locations), dtype)
            found = self._nearby[dtype] = origin, self.about(origin)
        return found


class Frame(NamedTuple):
    """Parameters as they were set, and the numbers and settings that they must agree with.

    Attributes
    ----------
    attributes : mapping of str to object
        The parameters by name, with a trailing underscore, and whatever else an estimator holds.
    n_components : int
        Without the background.
    n_features : int or None
        None if only the parameters determine it.
    settings : tuple of str
        Names of attributes that decide which parameters there are.
    """

    attributes: Mapping[str, Any]
    n_components: int
    n_features: Any
    settings: tuple[str, ...]


def checked(family: Family, frame: Frame) -> Parameters:
    """Check the parameters of a family.

    Raises
    ------
    ValueError
        If one is missing, is not an array of finite real numbers in its domain, or has a shape that does not agree with
        the frame and the others; if covariances and precisions contradict each other.
    """
    if not (frame.n_features is None or isinstance(frame.n_features, int | np.integer)):
        raise ValueError(f"n_features_in_ must be an integer, not {frame.n_features!r}")
    start = frame.attributes.get("n_iter_") == 0  # it may leave rows unassigned: its weights then sum to less than 1
    arrays, key, size = {}, [family.name, frame.n_components, frame.n_features, start], 0
    for name in ("weights", *(parameter.name for parameter in family.parameters)):
        value = frame.attributes.get(name + "_")
        if value is not None:
            array = value if type(value) is np.ndarray else _array(name, value)
            arrays[name] = array
            size += array.nbytes
            key += [name, array.dtype, array.shape, array.tobytes() if array.nbytes <= REMEMBERED_BYTES else None]
    remembered = _right.get(tuple(key)) if size <= REMEMBERED_BYTES else None
    if remembered is not None:
        return remembered
    parameters = _checked(family, arrays, frame, start=start)
    if size <= REMEMBERED_BYTES:
        if len(_right) >= REMEMBERED:
            _right.clear()
        _right[tuple(key)] = parameters
    return parameters


def _checked(family: Family, arrays: Mapping[str, NDArray[Any]], frame: Frame, *, start: bool) -> Parameters:
    """Check parameters that are not remembered."""
    _check_each(family, arrays, frame)
    described = {name: np.array(array, dtype=np.float64, order="C") for name, array in arrays.items()}
    weights = described.pop("weights")
    if len(described) < len(family.parameters):
        described = _completed(family, described)
    _check_weights(weights, start=start)
    _check_together(family, described, arrays.values())
    for array in (weights, *described.values()):
        array.flags.writeable = False
    return Parameters(family, weights, described)


def _array(name: str, value: Any) -> NDArray[Any]:
    """A fitted attribute as an array."""
    if is_foreign(value):
        return on_host(value)
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name}_ is a masked array: parameters cannot be missing")
    if isinstance(value, np.ndarray | np.generic) or (isinstance(value, Real) and not isinstance(value, bool)):
        return np.asarray(value)
    raise ValueError(f"{name}_ must be an array, not {type(value).__name__}")


def _check_each(family: Family, arrays: Mapping[str, NDArray[Any]], frame: Frame) -> None:
    """Check which parameters there are, their types, shapes and domains."""
    if "weights" not in arrays:
        raise ValueError("weights_ is missing")
    for parameter in family.parameters:
        if parameter.name not in arrays and parameter.follows_from not in arrays:
            raise ValueError(f"{parameter.name}_ is missing{_because(frame)}")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name}_ must hold real numbers, not {array.dtype}")
    first, *others = family.parameters
    located = arrays[first.name]
    if located.ndim != 2 or located.shape[1] == 0:
        raise ValueError(f"{first.name}_ has shape {located.shape}, and should have (n_components, n_features)")
    if len(located) != frame.n_components:
        raise ValueError(
            f"n_components={frame.n_components} contradicts {first.name}_, which has {len(located)} components. {AGAIN}"
        )
    n_features = located.shape[1] if frame.n_features is None else frame.n_features
    if located.shape[1] != n_features:
        raise ValueError(f"{first.name}_ has {located.shape[1]} features, where n_features_in_ is {n_features!r}")
    n_weights = frame.n_components + int(family.background)
    _check_shape("weights", arrays["weights"], (n_weights,), frame)
    for parameter in others:
        if parameter.name in arrays:
            shape = parameter.shape(frame.n_components, n_features)
            _check_shape(parameter.name, arrays[parameter.name], shape, frame)
    for parameter in family.parameters:
        if parameter.name in arrays:
            _check_domain(parameter, np.asarray(arrays[parameter.name], dtype=np.float64), frame)


AGAIN = (
    "Parameters of the constructor are those of the next fit: fit again, or set them to what the fitted attributes are."
)


def _because(frame: Frame) -> str:
    """Name the settings from which shapes follow, for a message."""
    settings = [f"{name}={frame.attributes[name]!r}" for name in frame.settings]
    return f", where {' and '.join(settings)}. {AGAIN}" if settings else ""


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int, ...], frame: Frame) -> None:
    if array.shape != shape:
        raise ValueError(f"{name}_ has shape {array.shape}, and should have {shape}{_because(frame)}")


def _check_domain(parameter: Parameter, array: Float, frame: Frame) -> None:
    """Raise ValueError, which names the first such component, if values are outside the parameter's domain."""
    if parameter.domain.holds(array):
        return
    place = ""
    if parameter.axes.startswith("k"):
        bad = next(k for k in range(len(array)) if not parameter.domain.holds(array[k : k + 1]))
        place = f" of component {bad}"
    raise ValueError(f"{parameter.name}_{place} must be {parameter.domain.words}{_because(frame)}")


def _check_weights(weights: Float, *, start: bool) -> None:
    """Check that weights (K,) are not negative and sum to 1; those of a start may sum to less."""
    total = float(weights.sum())
    is_one = abs(total - 1.0) <= WEIGHTS_TOLERANCE
    if not (weights.min() >= 0.0 and (is_one or (start and 0.0 < total < 1.0))):
        raise ValueError(f"weights_ must be non-negative and sum to 1: they are {weights}, and sum to {total:.9g}")


def _completed(family: Family, described: dict[str, Float]) -> dict[str, Float]:
    """Add the parameters that follow from others."""
    assert family.complete is not None
    try:
        return family.complete(described)
    except ComponentError as error:
        place = "" if error.component is None else f" of component {error.component}"
        raise ValueError(f"covariances_{place} must be positive definite") from None


def _check_together(family: Family, described: dict[str, Float], given: Iterable[NDArray[Any]]) -> None:
    """Check that parameters do not contradict each other, up to the rounding of the least precise."""
    if family.contradiction is None:
        return
    types = {array.dtype for array in given if array.dtype.kind == "f"}
    eps = max((float(np.finfo(dtype).eps) for dtype in types), default=0.0)
    contradiction = family.contradiction(described, eps)
    if contradiction is not None:
        raise ValueError(contradiction)
