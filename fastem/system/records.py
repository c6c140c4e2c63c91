"""Exact encoding of parameters and fitted attributes as JSON."""

import math
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

RECORDS = {
    "HistoryRecord": "fastem.em.loop",
    "NormalInverseWishart": "fastem.em.priors",
    "Stream": "fastem.mixtures.stream",
    **dict.fromkeys(("Batch", "Hard", "Incremental", "Sparse", "Stepwise", "Stochastic"), "fastem.em.algorithms"),
}
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "object"),
)


class ModelFileError(ValueError):
    """Error for a file that is damaged, or is not a fastem model of a known format."""


def version() -> str:
    """Version of this package."""
    return str(import_module("fastem").__version__)


def encode_all(values: Mapping[str, Any]) -> dict[str, Any]:
    """Encode named values for JSON; TypeError names the first that cannot be encoded."""
    encoded = {}
    for key, value in values.items():
        try:
            encoded[key] = _encode(value)
        except TypeError as error:
            raise TypeError(f"cannot save {key}: {error}") from None
    return encoded


def decode_all(values: Any) -> dict[str, Any]:
    """Inverse of `encode_all`; ModelFileError for values that it never writes."""
    if not isinstance(values, dict):
        raise ModelFileError(f"expected names and values, found {type(values).__name__}")
    decoded = {}
    for key, value in values.items():
        try:
            decoded[key] = _decode(value)
        except (AttributeError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ModelFileError(f"{key}: {error}") from error
    return decoded


def _encode(value: Any) -> Any:
    """Encode a value for JSON; types that JSON does not have become objects."""
    if isinstance(value, str):
        return str(value)  # numpy's strings too
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if isinstance(value, np.generic):
        return {"dtype": value.dtype.name, "scalar": _encode_array(np.asarray(value))["data"][0]}
    if type(value).__name__ in RECORDS:
        return {
            "record": type(value).__name__,
            "values": {key: _encode(field) for key, field in value._asdict().items()},
        }
    if isinstance(value, dict):
        return {"mapping": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float):
        return value
    hint = "; set it to None or an integer" if isinstance(value, np.random.RandomState) else ""
    raise TypeError(f"the file format cannot hold a {type(value).__name__}{hint}")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"dtype", "shape", "data"}:
        return _decode_array(value["dtype"], value["shape"], value["data"])
    if value.keys() == {"dtype", "scalar"}:
        return _decode_array(value["dtype"], [], [value["scalar"]])[()]
    if value.keys() == {"record", "values"} and value["record"] in RECORDS:
        record = getattr(import_module(RECORDS[value["record"]]), value["record"])
        return record(**{key: _decode(field) for key, field in value["values"].items()})
    if value.keys() == {"mapping"}:
        return {_decode(key): _decode(item) for key, item in value["mapping"]}
    if value.keys() == {"tuple"}:
        return tuple(_decode(item) for item in value["tuple"])
    if value.keys() == {"float"} and value["float"] in ("inf", "-inf", "nan"):
        return float(value["float"])
    raise ValueError(f"a value of unknown kind, with keys {sorted(value)}")


def _encode_array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Encode an array of any shape; JSON writes floats with the fewest digits that read back as the same number."""
    data = array.ravel().tolist()
    if array.dtype.name not in DTYPES:
        raise TypeError(f"the file format cannot hold an array of {array.dtype.name}")
    if array.dtype == object and not all(isinstance(item, str) for item in data):
        raise TypeError("an array of objects may only hold strings")
    if array.dtype.kind == "f":
        data = [number if math.isfinite(number) else str(number) for number in data]
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def _decode_array(dtype: Any, shape: Any, data: Any) -> np.ndarray[Any, Any]:
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}")
    with np.errstate(over="ignore"):
        array = np.array(data, dtype=dtype).reshape(shape)
    if _encode_array(array) != {"dtype": dtype, "shape": shape, "data": data}:
        raise ValueError(f"the data are not {dtype} of shape {shape}")
    return array
