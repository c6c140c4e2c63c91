"""Models as JSON files: numbers are exact, loading checks them, and files are written whole or not at all.

A file holds the class name, the parameters and the fitted attributes of one model, and a SHA-256 checksum of these.
Loading runs no code from the file: it makes only models of the classes in `fastem.mixtures.FACES`.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from fastem.data.namespaces import is_foreign, on_host
from fastem.data.numeric import is_real, is_whole
from fastem.system.records import ModelFileError, decode_all, encode_all, version
from fastem.system.writing import write_whole

FORMAT = "fastem-model"
FORMAT_VERSION = 2  # version 2 has streams; models without a stream are written as version 1


def _is_bound(value: Any) -> bool:
    """Whether a value is a mean log-likelihood, which is -inf before the first iteration."""
    return is_real(value) and value < math.inf


def _is_list(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(holds, value))


OUTCOME: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "converged_": ("True or False", lambda value: isinstance(value, bool | np.bool_)),
    "n_iter_": ("a number of iterations", lambda value: is_whole(value, least=0)),
    "lower_bound_": ("a log-likelihood", _is_bound),
    "lower_bounds_": (
        "a list of log-likelihoods",
        lambda value: _is_list(value, _is_bound),
    ),
    "stop_reason_": ("a reason to stop", lambda value: value in ("tol", "max_iter", "callback", "interrupt")),
    "history_": (
        "a list of records of iterations",
        lambda value: _is_list(value, lambda item: type(item).__name__ == "HistoryRecord"),
    ),
}
FIELDS = ("format", "format_version", "fastem_version", "model", "parameters", "attributes")


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model, fitted or not, to a JSON file.

    An existing file is replaced only when the new one is complete on disk. The new file has the mode of the old one,
    and its owner where that is permitted. Symbolic links are followed and stay; other hard links to the old file keep
    the old content. Pipes and character devices are written to directly.

    Parameters
    ----------
    model : GaussianMixture or another mixture
        The model. Its `random_state` must be None or an integer: a generator's state is not saved.
    path : str or path-like
        The file to write.

    Raises
    ------
    TypeError
        If the model is not a mixture of fastem, or holds a value that the format cannot store.
    ValueError
        If its fitted attributes contradict each other, or the constructor's parameters.
    OSError
        If the file cannot be written. The error names the file, and an existing file stays as it was.

    See Also
    --------
    load : Read a model from a file.

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
    write_whole(path, encoded(model))


def encoded(model: Any) -> bytes:
    """Content of the file that `save` writes."""
    document = _document(model)
    document["sha256"] = _checksum(document)
    return (json.dumps(document, allow_nan=False) + "\n").encode()


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model from a file written by `save`.

    Parameters
    ----------
    path : str or path-like
        The file to read.

    Returns
    -------
    GaussianMixture or another mixture
        A model with the class, the parameters and, to the last bit, the fitted attributes that were saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a fastem model, is damaged, or has a newer format; if its parameters are not valid.

    See Also
    --------
    save : Write a model to a file.

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
    if name not in _names() or type(model) is not _class(name):
        *others, last = _names()
        raise TypeError(f"cannot save a {name}: only {', '.join(others)} and {last} have a file format")
    attributes = {
        key: on_host(value) if is_foreign(value) else value
        for key, value in vars(model).items()
        if key.endswith("_") and not key.startswith("_")
    }
    if model._has_parameters():
        model._check_state()
    _check_outcome(attributes)
    return {
        "format": FORMAT,
        "format_version": 2 if "stream_" in attributes else 1,
        "fastem_version": version(),
        "model": name,
        "parameters": encode_all(model.get_params(deep=False)),
        "attributes": encode_all(attributes),
    }


def _model(document: Mapping[str, Any]) -> Any:
    parameters = decode_all(document["parameters"])
    attributes = decode_all(document["attributes"])
    try:
        model = _class(document["model"])(**parameters)
    except TypeError as error:
        raise ModelFileError(f"the parameters do not fit {document['model']}: {error}") from error
    for key, value in attributes.items():
        if key.startswith("_") or not key.endswith("_"):
            raise ModelFileError(f"{key!r} is not the name of a fitted attribute")
        setattr(model, key, value)
    _check(model)
    return model


def _check(model: Any) -> None:
    """Check parameters from a file, as those that a user sets are checked, before compiled code reads them."""
    try:
        if model._has_parameters():
            model._validate_params()
            model._check_state()
        _check_outcome(vars(model))
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(str(error)) from error


def _check_outcome(attributes: Mapping[str, Any]) -> None:
    """Raise ValueError if an attribute that describes the fit has a value that no fit sets."""
    for name, (words, holds) in OUTCOME.items():
        if name in attributes and not holds(attributes[name]):
            raise ValueError(f"{name} must be {words}, not {str(attributes[name])[:60]}")
    names = attributes.get("feature_names_in_")
    if names is not None and np.shape(names) != (attributes.get("n_features_in_"),):
        raise ValueError(f"feature_names_in_ has the shape {np.shape(names)}, which contradicts n_features_in_")


def _names() -> tuple[str, ...]:
    """Classes that have a file format."""
    return tuple(_package().FACES)


def _class(name: str) -> Any:
    return getattr(_package(), name)


def _package() -> Any:
    return import_module("fastem")  # late, since the models import this module


def _parse(content: bytes) -> dict[str, Any]:
    text = content.decode("utf-8", errors="replace").strip()
    if not text:
        raise ModelFileError("the file is empty")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        longer = text.startswith("{") and str(error).startswith("Extra data")
        cut_short = text.startswith("{") and not text.endswith("}") and not longer
        reason = (
            "more follows after the model" if longer else "the file is cut short" if cut_short else "not a JSON file"
        )
        raise ModelFileError(f"{reason} ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelFileError(f'JSON, but not a fastem model: "format" is not "{FORMAT}"')
    return document


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    """Check the document; the version comes first, because a newer format may have other fields."""
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
    if document["model"] not in _names():
        raise ModelFileError(f"unknown model class {document['model']!r}")
    return document


def _checksum(document: Mapping[str, Any]) -> str:
    """Hash the values of the document, independent of the order of its keys and of white space."""
    payload = {key: document[key] for key in FIELDS}
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
