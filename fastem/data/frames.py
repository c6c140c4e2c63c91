"""Data frames of pandas, polars, Arrow and compatible libraries, and the names of their columns."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np


def is_frame(given: Any) -> bool:
    """Whether a value is a data frame of pandas, polars, Arrow or a compatible library."""
    return not isinstance(given, np.ndarray) and nw.dependencies.is_into_dataframe(given)


def tabular(given: Any) -> Any:
    """An Arrow batch as a table, whose names scikit-learn reads, an Arrow array as a column, other values as given."""
    if type(given).__module__.partition(".")[0] != "pyarrow":
        return given
    import pyarrow

    if isinstance(given, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([given])
    return pyarrow.chunked_array([given]) if isinstance(given, pyarrow.Array) else given


def labels_of(frame: Any) -> list[Any]:
    """Labels of a frame's columns."""
    return list(nw.from_native(frame).columns)


def feature_names(given: Any) -> list[str] | None:
    """Names of a frame's columns if all are strings, as scikit-learn requires of feature names; else None."""
    if not is_frame(given):
        return None
    names = labels_of(given)
    return names if names and all(isinstance(name, str) for name in names) else None


def same_names(given: Any, names: Any, what: str) -> None:
    """Raise ValueError if the columns of a frame have other names than these, or another order."""
    here = None if names is None else feature_names(given)
    if here is not None and here != list(names):
        raise ValueError(
            f"{what} has the columns {', '.join(map(repr, here))}, where X has {', '.join(map(repr, names))}: they "
            "must be the same, in the same order"
        )
