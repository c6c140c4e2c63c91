"""Format of checkpoints.

A file begins with a line of the format's name, its version and a checksum. A zip archive follows, of arrays and of one
JSON document that says where each array belongs. Reading runs no code from the file: it makes only records that this
package defines.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import numbers
import sys
from types import UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind")

NAME = b"fastem-checkpoint"
FORMAT = 2
# Present modules of records, by the module names that files of version 0.1.0 hold.
MOVED = {
    "fastem.driver": "fastem.em.loop",
    "fastem.sources._contract": "fastem.engine.records",
    "fastem.data.base": "fastem.engine.records",
    "fastem.extrapolation": "fastem.em.algorithms.extrapolation",
    **{
        f"fastem.schemes.{name}": f"fastem.em.algorithms.{name}"
        for name in ("accelerated", "batch", "incremental", "sparse", "stepwise")
    },
}
ZIP = b"PK\x03\x04"  # first bytes of checkpoints of the first format


class CheckpointError(ValueError):
    """The file is not a checkpoint, is damaged, or belongs to another fit."""


class Saved(NamedTuple):
    """Content of a checkpoint: the JSON document, and the arrays that it refers to by number."""

    tree: dict[str, Any]
    arrays: list[NDArray[Any]]

    def value(self, name: str, kind: type[Kind]) -> Kind:
        """Return a value by its name; raise CheckpointError if it is missing, damaged or of another type."""
        try:
            value = _decode(self.tree[name], self.arrays)
        except Exception as error:  # a file that was tampered with can raise any error
            raise _damaged(error) from error
        if type(value) is not kind:
            raise CheckpointError(f"the file is damaged: its {name} is a {type(value).__name__}")
        return value


def packed(values: dict[str, Any]) -> bytes:
    """Content of a file that holds these values by name."""
    arrays: list[NDArray[Any]] = []
    tree = {name: _encode(value, arrays) for name, value in values.items()}
    content = io.BytesIO()
    document = np.frombuffer(json.dumps(tree).encode(), np.uint8)
    named: dict[str, Any] = {str(i): array for i, array in enumerate(arrays)}
    np.savez(content, tree=document, **named)
    return _header(content.getvalue()) + content.getvalue()


def unpacked(content: bytes) -> Saved:
    """Inverse of `packed`; raise CheckpointError for content that `packed` did not write, or that has changed since."""
    header, _, archive = content.partition(b"\n")
    name, _, version = header.partition(b" ")
    if content.startswith(ZIP):
        raise CheckpointError(
            "the file is no checkpoint, or one of an earlier version of fastem: resume it with that version"
        )
    if name != NAME:
        raise CheckpointError("the file is no checkpoint")
    if header + b"\n" != _header(archive):
        number = version.partition(b" ")[0]
        if number.isdigit() and int(number) != FORMAT:
            raise CheckpointError(f"its format is {int(number)}, and this version of fastem reads format {FORMAT}")
        raise CheckpointError("the file is no checkpoint, or is damaged: its checksum does not match")
    try:
        with np.load(io.BytesIO(archive), allow_pickle=False) as members:
            tree = json.loads(members["tree"].tobytes())
            arrays = [members[str(i)] for i in range(len(members) - 1)]
    except Exception as error:
        raise _damaged(error) from error
    if not isinstance(tree, dict):
        raise CheckpointError("the file is no checkpoint")
    return Saved(tree, arrays)


def _header(archive: bytes) -> bytes:
    return b"%s %d %s\n" % (NAME, FORMAT, hashlib.sha256(archive).hexdigest().encode())


def _damaged(error: Exception) -> CheckpointError:
    if isinstance(error, CheckpointError):
        return error
    return CheckpointError(f"the file is no checkpoint, or is damaged ({type(error).__name__}: {error})")


def _encode(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Convert a value to types of JSON; arrays are appended to `arrays` and referred to by their number there."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return _encode(np.asarray(value), arrays) | {"scalar": True}
    fields = None
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = dict(zip(value._fields, value, strict=True))
    elif dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if fields is not None:
        kind = type(value)
        return {
            "record": [kind.__module__, kind.__qualname__],
            "fields": {name: _encode(field, arrays) for name, field in fields.items()},
        }
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_encode(item, arrays) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _decode(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Inverse of `_encode`; raise CheckpointError for an unknown record, or a field of another type."""
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[value["array"]]
        return array[()] if "scalar" in value else array
    if "tuple" in value:
        return tuple(_decode(item, arrays) for item in value["tuple"])
    module, name = value["record"]
    module = MOVED.get(module, module)
    kind = getattr(sys.modules.get(module), name, None) if module.partition(".")[0] == "fastem" else None
    if not (isinstance(kind, type) and (hasattr(kind, "_fields") or dataclasses.is_dataclass(kind))):
        raise CheckpointError(f"the file holds a {module}.{name}, which this version of fastem does not have")
    record = kind(**{key: _decode(field, arrays) for key, field in value["fields"].items()})
    for key, hint in _hints(kind).items():
        if not _fits(getattr(record, key, None), hint):
            raise CheckpointError(f"the file is damaged: {key} of a {name} is {getattr(record, key, None)!r}")
    return record


@functools.lru_cache
def _hints(kind: type) -> dict[str, Any]:
    """Types of a record's fields, by name."""
    names = getattr(kind, "_fields", None) or [field.name for field in dataclasses.fields(kind)]
    hints = get_type_hints(kind)
    return {name: hints[name] for name in names}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type that a field is annotated with; a number must not be NaN."""
    if hint is Any:  # the field holds a mixture, a vector, or the state of a scheme
        record = hasattr(value, "_fields") or dataclasses.is_dataclass(value)
        return value is None or isinstance(value, np.ndarray) or record
    if hint in (int, float):
        kind = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool) and value == value
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind in (list, tuple):
        return isinstance(value, kind) and all(_fits(item, parts[0]) for item in value)
    return isinstance(value, kind or hint)
