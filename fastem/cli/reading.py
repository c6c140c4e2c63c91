"""From files to arrays: which columns to take, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.cli.errors import CommandError, close_names
from fastem.datasets import DATASETS, load_dataset

# Columns that tools write for the row's number: data to nobody.
INDEX_COLUMN = re.compile(r"\s*|__index_level_\d+__")


@dataclass(frozen=True)
class Wanted:
    """Which columns the user asked for; `columns=None` is all that are left."""

    columns: list[str] | None = None
    weights: str | None = None


@dataclass(frozen=True, eq=False)
class Data:
    """Numbers without gaps: values (n, d) float32 or float64, names of the columns, weights (n,) float64."""

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
        If there is nothing to read, or a wanted column is missing, not numeric or has gaps.
    """
    if source in DATASETS:
        dataset = load_dataset(source)
        return _from_matrix(source, dataset.values, list(dataset.columns), wanted)
    path = Path(source)
    suffix = path.suffix.lower()
    if not path.exists():
        raise CommandError(f"no file or built-in data set is called {source!r}{close_names(source, DATASETS)}")
    if suffix not in (".npy", *TABLE_READERS):
        known = ", ".join([*TABLE_READERS, ".npy"])
        raise CommandError(f"cannot tell the format of {source!r} by its ending; known are {known}")
    if suffix == ".npy":
        matrix = _read_safely(path, _read_npy)
        return _from_matrix(source, matrix, [f"x{i}" for i in range(matrix.shape[1])], wanted)
    return _from_table(source, _read_safely(path, TABLE_READERS[suffix]), wanted)


def _read_safely(path: Path, reader: Any) -> Any:
    import pyarrow

    try:
        if path.is_file() and path.stat().st_size == 0:
            raise CommandError(f"{str(path)!r} is empty")
        return reader(path)
    except (OSError, ValueError, EOFError, pyarrow.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CommandError(f"cannot read {str(path)!r}: {reason}") from None


def _read_csv(path: Path) -> Any:
    return _read_separated(path, ",")


def _read_tsv(path: Path) -> Any:
    return _read_separated(path, "\t")


def _read_separated(path: Path, delimiter: str) -> Any:
    from pyarrow import csv

    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    # A blank line is nothing, unless lines hold a single cell: then it is an empty one.
    blank_lines_are_nothing = delimiter in header
    table = csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=blank_lines_are_nothing),
    )
    if all(map(_is_number, table.column_names)):
        raise ValueError("its first line is all numbers, where the names of the columns should be")
    return table


def _read_parquet(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(path).read()


def _read_feather(path: Path) -> Any:
    from pyarrow import feather

    return feather.read_table(path)


TABLE_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
}


def _read_npy(path: Path) -> NDArray[Any]:
    matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(matrix, np.ndarray) or matrix.ndim not in (1, 2):
        raise ValueError("it does not hold an array of one or two dimensions")
    if matrix.dtype.kind not in "iuf":
        raise ValueError(f"it holds {matrix.dtype}, not numbers")
    return matrix.reshape(len(matrix), -1) if len(matrix) else matrix.reshape(0, 1)


def _from_matrix(source: str, matrix: NDArray[Any], names: list[str], wanted: Wanted) -> Data:
    features, weights = _resolve(source, names, wanted)
    _check_rows(source, len(matrix))
    values = np.array(matrix[:, [names.index(name) for name in features]], dtype=_precision([matrix.dtype]))
    for index, name in enumerate(features):
        _check_finite(values[:, index], name)
    return Data(values, features, None if weights is None else _as_weights(matrix[:, names.index(weights)], weights))


def _from_table(source: str, table: Any, wanted: Wanted) -> Data:
    features, weights = _resolve(source, table.column_names, wanted)
    _check_rows(source, table.num_rows)
    arrays = {name: _as_numbers(table.column(name), name) for name in features}
    values = np.empty((table.num_rows, len(features)), dtype=_precision([array.dtype for array in arrays.values()]))
    for index, name in enumerate(features):
        values[:, index] = arrays[name]
    if weights is None:
        return Data(values, features, None)
    return Data(values, features, _as_weights(_as_numbers(table.column(weights), weights), weights))


def _resolve(source: str, names: list[str], wanted: Wanted) -> tuple[list[str], str | None]:
    """Return the names of the feature columns and of the weights."""
    weights = None if wanted.weights is None else _find(wanted.weights, source, names)
    if wanted.columns is not None:
        features = [_find(name, source, names) for name in wanted.columns]
    else:
        features = [name for name in names if name != weights]
        if any(INDEX_COLUMN.fullmatch(name) for name in features):
            raise CommandError(f"{source!r} has a column without a name; choose columns with --columns")
    if weights in features:
        raise CommandError(f"column {weights!r} cannot be both a feature and the weights")
    taken = features if weights is None else [*features, weights]
    repeated = next((name for name in taken if taken.count(name) > 1 or names.count(name) > 1), None)
    if repeated is not None:
        raise CommandError(f"column {repeated!r} appears twice")
    if not features:
        raise CommandError(f"no columns are left in {source!r}")
    return features, weights


def _find(name: str, source: str, names: list[str]) -> str:
    by_index = {str(index): known for index, known in enumerate(names)} if source.endswith(".npy") else {}
    found = name if name in names else by_index.get(name)
    if found is None:
        hint = close_names(name, names) or f"; there are {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        raise CommandError(f"{source!r} has no column {name!r}{hint}")
    return found


def _as_numbers(column: Any, name: str) -> NDArray[Any]:
    """Turn a table's column into floats, or say which row stands in the way."""
    from pyarrow import compute, types

    kind = column.type
    if types.is_decimal(kind):
        column = column.cast("float64")
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind)):
        raise CommandError(f"column {name!r} {_what_it_holds(column)}; choose numeric columns with --columns")
    if column.null_count:
        raise _missing(int(np.flatnonzero(compute.is_null(column).to_numpy())[0]), name)
    array: NDArray[Any] = column.to_numpy()
    _check_finite(array, name)
    return array


def _what_it_holds(column: Any) -> str:
    from pyarrow import types

    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        return f"holds {column.type} values, not numbers"
    texts = ((row, cell) for row, cell in enumerate(map(str, column), 1) if not _is_number(cell))
    row, cell = next(texts, (1, str(column[0])))
    return f"is text ({cell[:30]!r} in row {row})"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _precision(kinds: Sequence[np.dtype[Any]]) -> type[np.floating[Any]]:
    return np.float32 if all(kind.kind == "f" and kind.itemsize <= 4 for kind in kinds) else np.float64


def _check_rows(source: str, n_rows: int) -> None:
    if n_rows == 0:
        raise CommandError(f"{source!r} has no rows")


def _check_finite(array: NDArray[Any], name: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        if np.isnan(array[row]):
            raise _missing(row, name)
        raise CommandError(f"row {row + 1} of column {name!r} is infinite")


def _missing(row: int, name: str) -> CommandError:
    return CommandError(f"row {row + 1} of column {name!r} is missing")


def _as_weights(array: NDArray[Any], name: str) -> NDArray[np.float64]:
    weights = np.array(array, dtype=np.float64)
    _check_finite(weights, name)
    if (weights < 0).any():
        raise CommandError(f"row {int(np.argmax(weights < 0)) + 1} of the weights {name!r} is negative")
    if not weights.any():
        raise CommandError(f"the weights {name!r} are all zero")
    return weights
