"""Read the wanted columns of a file as arrays, and say what is wrong with them."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.cli.errors import CommandError, close_names, shorten, shown
from fastem.cli.formats import READERS, is_number, read_file
from fastem.datasets import DATASETS, load_dataset

# Names that tools give to columns of row numbers, which are not data.
INDEX_COLUMN = re.compile(r"\s*|Unnamed: \d+|__index_level_\d+__")
SEPARATED = (".csv", ".tsv")


@dataclass(frozen=True)
class Wanted:
    """Columns that the user asked for; `columns=None` means all but the weights."""

    columns: list[str] | None = None
    weights: str | None = None


@dataclass(frozen=True, eq=False)
class Data:
    """Data without missing values: values (n, d) in float32 or float64, names of columns, weights (n,) in float64."""

    values: NDArray[Any]
    columns: list[str]
    weights: NDArray[np.float64] | None


def read_data(source: str, wanted: Wanted) -> Data:
    """Read a file or a built-in data set.

    Parameters
    ----------
    source : str
        Path ending in .csv, .tsv, .parquet, .feather, .arrow or .npy, or the name of a built-in data set.
    wanted : Wanted
        Columns to take. Those of a .npy file are called x0, x1, ... and also answer to 0, 1, ...

    Raises
    ------
    CommandError
        If there is nothing to read, or a wanted column does not exist, is not numeric or lacks values.
    """
    if source in DATASETS:
        dataset = load_dataset(source)
        return _from_matrix(source, dataset.values, list(dataset.columns), wanted)
    path = Path(source)
    _check_source(source, path)
    content = read_file(path)
    if isinstance(content, np.ndarray):
        return _from_matrix(source, content, [f"x{i}" for i in range(content.shape[1])], wanted)
    if path.suffix.lower() in SEPARATED and wanted.columns is None:
        _check_for_lost_row(source, content.column_names)
    return _from_table(source, content, wanted)


def _check_source(source: str, path: Path) -> None:
    """Refuse a path that is not a file, or of no known format."""
    try:
        status = None if source == "" else os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        status = None
    except (OSError, ValueError) as error:  # a loop of links, a folder that may not be read, a name too long
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot read {shorten(source, 300)!r}: {reason}") from None
    if status is None:
        hint = close_names(source, DATASETS)
        if source == "-":
            hint = "; stdin is not read, since the ending of a name tells the format"
        raise CommandError(f"no file or built-in data set is called {source!r}{hint}")
    if stat.S_ISDIR(status.st_mode):
        raise CommandError(f"cannot read {source!r}: it is a folder")
    if path.suffix.lower() not in READERS:
        raise CommandError(f"cannot tell the format of {source!r} by its ending; known are {', '.join(READERS)}")


def _check_for_lost_row(source: str, names: list[str]) -> None:
    """Refuse numbers as names of columns: they may be a row of data."""
    number = next((name for name in names if is_number(name)), None)
    if number is not None:
        raise CommandError(
            f"{source!r} has a column called {number!r}: if line 1 is of names, choose columns with --columns; "
            "if it is of data, put a line of names above it"
        )


def _from_matrix(source: str, matrix: NDArray[Any], names: list[str], wanted: Wanted) -> Data:
    """Take the wanted columns of a matrix (n, d)."""
    features, weights = _resolve(source, names, wanted)
    _check_rows(source, len(matrix))
    with np.errstate(over="ignore"):  # reported as infinite below
        values = np.array(matrix[:, [names.index(name) for name in features]], dtype=_precision([matrix.dtype]))
    for index, name in enumerate(features):
        _check_finite(values[:, index], name)
    return Data(values, features, None if weights is None else _as_weights(matrix[:, names.index(weights)], weights))


def _from_table(source: str, table: Any, wanted: Wanted) -> Data:
    features, weights = _resolve(source, table.column_names, wanted, _pandas_index(table))
    _check_rows(source, table.num_rows)
    arrays = {name: _as_numbers(table.column(name), name) for name in features}
    values = np.empty((table.num_rows, len(features)), dtype=_precision([array.dtype for array in arrays.values()]))
    for index, name in enumerate(features):
        values[:, index] = arrays[name]
    if weights is None:
        return Data(values, features, None)
    return Data(values, features, _as_weights(_as_numbers(table.column(weights), weights), weights))


def _pandas_index(table: Any) -> list[str]:
    """Names of the columns that hold the index of a pandas data frame."""
    with suppress(ValueError, KeyError, TypeError):
        return [name for name in json.loads(table.schema.metadata[b"pandas"])["index_columns"] if isinstance(name, str)]
    return []


def _resolve(source: str, names: list[str], wanted: Wanted, index: Sequence[str] = ()) -> tuple[list[str], str | None]:
    """Return the names of the feature columns and of the weights."""
    weights = None if wanted.weights is None else _find(wanted.weights, source, names)
    if wanted.columns is not None:
        features = [_find(name, source, names) for name in wanted.columns]
    else:
        features = [name for name in names if name != weights]
        _check_for_index(source, features, index)
    if weights in features:
        raise CommandError(f"column {shown(weights)} cannot be both a feature and the weights")
    taken = features if weights is None else [*features, weights]
    repeated = next((name for name in taken if taken.count(name) > 1 or names.count(name) > 1), None)
    if repeated is not None:
        raise CommandError(f"column {shown(repeated)} appears twice")
    if not features:
        raise CommandError(f"no columns are left in {source!r}")
    return features, weights


def _check_for_index(source: str, features: list[str], index: Sequence[str]) -> None:
    """Refuse a column of row numbers, which the user has not asked for."""
    found = next((name for name in features if name in index or INDEX_COLUMN.fullmatch(name)), None)
    if found is None:
        return
    others = ",".join(_as_argument(name) for name in features if name != found)
    choose = f"choose columns with --columns, such as {shorten(others, 200)}" if others else "nothing else is in it"
    kind = f"an index, {shown(found)}, beside its columns" if found.strip() else "a column without a name"
    raise CommandError(f"{source!r} has {kind}; {choose}")


def _as_argument(name: str) -> str:
    """Write a name as --columns takes it."""
    special = "," in name or name.startswith('"') or name != name.strip()
    return '"{}"'.format(name.replace('"', '""')) if special else name


def _find(name: str, source: str, names: list[str]) -> str:
    by_index = {str(index): known for index, known in enumerate(names)} if source.lower().endswith(".npy") else {}
    trimmed = {known.strip(): known for known in names}
    found = name if name in names else by_index.get(name, trimmed.get(name))
    if found is None:
        some = ", ".join(_as_argument(shorten(known)) for known in names[:10])
        hint = close_names(name, names) or f"; there are {some}{', ...' if len(names) > 10 else ''}"
        raise CommandError(f"{source!r} has no column {shown(name)}{hint}")
    return found


def _as_numbers(column: Any, name: str) -> NDArray[Any]:
    """Convert a column of a table to an array (n,); raise CommandError for the first row that is not a number."""
    from pyarrow import compute, types

    kind = column.type
    if types.is_decimal(kind):
        column = column.cast("float64")
    elif types.is_null(kind) or column.null_count == len(column):
        raise _missing(0, name)
    elif not (types.is_integer(kind) or types.is_floating(kind)):
        raise CommandError(f"column {shown(name)} {_what_it_holds(column)}; choose numeric columns with --columns")
    if column.null_count:
        raise _missing(int(np.flatnonzero(compute.is_null(column).to_numpy())[0]), name)
    array: NDArray[Any] = column.to_numpy()
    _check_finite(array, name)
    return array


def _what_it_holds(column: Any) -> str:
    """Say what a column that is not numeric holds."""
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        return "holds categories, not numbers"
    if types.is_binary(kind):
        return f"is no text in UTF-8, nor numbers ({column.drop_null()[0].as_py()[:30]!r})"
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        return f"holds {kind} values, not numbers"
    cells = [(row, cell) for row, cell in enumerate(column.to_pylist(), 1) if cell is not None]
    row, cell = next((found for found in cells if not is_number(found[1])), cells[0])
    return f"is text ({shorten(cell, 30)!r} in row {row})"


def _precision(kinds: Sequence[np.dtype[Any]]) -> type[np.floating[Any]]:
    return np.float32 if all(kind.kind == "f" and kind.itemsize <= 4 for kind in kinds) else np.float64


def _check_rows(source: str, n_rows: int) -> None:
    if n_rows == 0:
        raise CommandError(f"{source!r} has no rows")


def _check_finite(array: NDArray[Any], name: str) -> None:
    """Raise CommandError for the first value of a column (n,) that is missing or infinite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        if np.isnan(array[row]):
            raise _missing(row, name)
        raise CommandError(f"row {row + 1} of column {shown(name)} is infinite")


def _missing(row: int, name: str) -> CommandError:
    return CommandError(f"row {row + 1} of column {shown(name)} is missing")


def _as_weights(array: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Check weights (n,): finite, not negative, and not all zero."""
    weights = np.array(array, dtype=np.float64)
    _check_finite(weights, name)
    if (weights < 0).any():
        raise CommandError(f"row {int(np.argmax(weights < 0)) + 1} of the weights {shown(name)} is negative")
    if not weights.any():
        raise CommandError(f"the weights {shown(name)} are all zero")
    return weights
