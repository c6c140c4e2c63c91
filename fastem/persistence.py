"""Models as plain JSON files: exact, checked on loading, and written whole or not at all.

A file holds the class name, the parameters and the fitted attributes of one model, and a SHA-256
checksum of all that. Loading runs no code from the file: only the classes named here come out.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

FORMAT = "fastem-model"
FORMAT_VERSION = 1
MODELS = ("GaussianMixture", "PoissonMixture")
RECORDS = {
    "HistoryRecord": "fastem.driver",
    **dict.fromkeys(("Batch", "Hard", "Incremental", "Sparse", "Stepwise", "Stochastic"), "fastem.schemes"),
}
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "object"),
)
FIELDS = ("format", "format_version", "fastem_version", "model", "parameters", "attributes")


class ModelFileError(ValueError):
    """A file that is not an undamaged fastem model of a known format."""


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model, fitted or not, to a JSON file.

    A file that was there is replaced only once the new one is complete on disk.

    Parameters
    ----------
    model : GaussianMixture or PoissonMixture
        The model. Its `random_state` must be None or an integer: a generator's state is not saved.
    path : str or path-like
        The file to write.

    Raises
    ------
    TypeError
        If the model is of another class, or holds something that the format cannot hold.

    See Also
    --------
    load : The reverse.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastem import GaussianMixture, load
    >>> from fastem.persistence import save
    >>> model = GaussianMixture(random_state=0).fit([[0.0], [1.0], [2.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, Path(folder) / "model.json")
    ...     load(Path(folder) / "model.json").means_
    array([[1.]])
    """
    document = _document(model)
    document["sha256"] = _checksum(document)
    _write_whole(Path(os.path.realpath(path)), json.dumps(document, allow_nan=False) + "\n")


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model from a file written by `save`.

    Parameters
    ----------
    path : str or path-like
        The file to read.

    Returns
    -------
    GaussianMixture or PoissonMixture
        A model of the class, parameters and fitted attributes that were saved, to the last bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a fastem model, is damaged, or has a newer format.

    See Also
    --------
    save : The reverse.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastem import PoissonMixture, load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     PoissonMixture(n_components=3).save(Path(folder) / "model.json")
    ...     load(Path(folder) / "model.json").n_components
    3
    """
    content = Path(path).read_bytes()
    try:
        return _model(_checked(_parse(content)))
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)!r}: {error}") from error.__cause__


def _document(model: Any) -> dict[str, Any]:
    name = type(model).__name__
    if name not in MODELS or type(model) is not _class(name):
        raise TypeError(f"cannot save a {name}: only {' and '.join(MODELS)} have a file format")
    attributes = {key: value for key, value in vars(model).items() if key.endswith("_") and not key.startswith("_")}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "fastem_version": import_module("fastem").__version__,
        "model": name,
        "parameters": _encode_all(model.get_params(deep=False)),
        "attributes": _encode_all(attributes),
    }


def _model(document: Mapping[str, Any]) -> Any:
    parameters = _decode_all(document["parameters"])
    attributes = _decode_all(document["attributes"])
    try:
        model = _class(document["model"])(**parameters)
    except TypeError as error:
        raise ModelFileError(f"the parameters do not fit {document['model']}: {error}") from error
    for key, value in attributes.items():
        if key.startswith("_") or not key.endswith("_"):
            raise ModelFileError(f"{key!r} is not the name of a fitted attribute")
        setattr(model, key, value)
    return model


def _class(name: str) -> Any:
    return getattr(import_module("fastem"), name)  # late, since the models import this module


def _parse(content: bytes) -> dict[str, Any]:
    text = content.decode("utf-8", errors="replace").strip()
    if not text:
        raise ModelFileError("the file is empty")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        cut_short = text.startswith("{") and not text.endswith("}")
        reason = "the file is cut short" if cut_short else "not a JSON file"
        raise ModelFileError(f"{reason} ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelFileError(f'JSON, but not a fastem model: "format" is not "{FORMAT}"')
    return document


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    """Check in the order of the most telling message: a newer format may have other fields."""
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"format_version {version!r} does not exist")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"format_version {version}, written by fastem {document.get('fastem_version')}, "
            f"is newer than the {FORMAT_VERSION} that this version of fastem reads: upgrade fastem"
        )
    expected = {*FIELDS, "sha256"}
    if document.keys() != expected:
        raise ModelFileError(f"missing or unknown fields: {sorted(document.keys() ^ expected)}")
    if document["sha256"] != _checksum(document):
        raise ModelFileError("the checksum does not match: the file was damaged or edited")
    if document["model"] not in MODELS:
        raise ModelFileError(f"unknown model class {document['model']!r}")
    return document


def _checksum(document: Mapping[str, Any]) -> str:
    """Hash the meaning of the document: neither the order of keys nor white space counts."""
    payload = {key: document[key] for key in FIELDS}
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _encode_all(values: Mapping[str, Any]) -> dict[str, Any]:
    encoded = {}
    for key, value in values.items():
        try:
            encoded[key] = _encode(value)
        except TypeError as error:
            raise TypeError(f"cannot save {key}: {error}") from None
    return encoded


def _decode_all(values: Any) -> dict[str, Any]:
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
    """Turn a value into what JSON can hold; whatever is not JSON's own becomes an object."""
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
    if isinstance(value, tuple):
        return {"tuple": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float):
        return value
    hint = "; set it to None or an integer" if isinstance(value, np.random.RandomState) else ""
    raise TypeError(f"the file format has no place for a {type(value).__name__}{hint}")


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
    if value.keys() == {"tuple"}:
        return tuple(_decode(item) for item in value["tuple"])
    if value.keys() == {"float"} and value["float"] in ("inf", "-inf", "nan"):
        return float(value["float"])
    raise ValueError(f"a value of unknown kind, with keys {sorted(value)}")


def _encode_array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """A float prints as the shortest digits that read back the same; float32 widens exactly."""
    data = array.ravel().tolist()
    if array.dtype.name not in DTYPES:
        raise TypeError(f"the file format has no place for an array of {array.dtype.name}")
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


def _write_whole(target: Path, text: str) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new, never a part."""
    temporary = target.with_name(f".fastem-{uuid4().hex}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
