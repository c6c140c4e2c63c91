"""Collections of Dask as partitions of rows with their weights and annotations."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastem.data.cluster.pieces import Piece, naming_partition
from fastem.data.columns import Columns
from fastem.data.row_info_checks import Known, whole_labels


class Collection(NamedTuple):
    """Rows in partitions.

    Attributes
    ----------
    pieces : tuple of Piece
        A mapping for each partition: 'X', and any of 'sample_weight', 'labels', 'noise', 'projection'.
    sizes : tuple of int, optional
        Number of rows of each partition, if known before the partitions are read.
    n_columns : int
    row_bytes : int
        Size of a row as it will be held in memory, with its weight and annotations.
    variances : bool
        Whether noise of as many rows as columns is known to be variances.
    dtype : dtype
        Dtype of results for each row: float32 if the rows are float32, else float64.
    names : tuple of str
        What messages call the partitions.
    """

    pieces: tuple[Piece, ...]
    sizes: tuple[int, ...] | None
    n_columns: int
    row_bytes: int
    variances: bool
    dtype: Any
    names: tuple[str, ...]

    @property
    def n_bytes(self) -> int | None:
        """Size of all rows as they will be held in memory, if their number is known before."""
        return None if self.sizes is None else sum(self.sizes) * self.row_bytes


class Beside(NamedTuple):
    """Weights and annotations given separately from a collection: collections with the same partitions."""

    sample_weight: Any = None
    known: Known = Known()


UNKNOWN = "__UNKNOWN_CATEGORIES__"  # Dask's name for categories that only the partitions know
NO_NAMES, NOTHING_BESIDE = Columns(), Beside()


def is_collection(given: Any) -> bool:
    """Whether something is a collection of Dask, or an array of xarray that holds one."""
    library = type(given).__module__.partition(".")[0]
    if isinstance(given, np.ndarray) or library not in ("dask", "xarray") or not hasattr(given, "__dask_graph__"):
        return False
    return library == "dask" or given.__dask_graph__() is not None  # a data frame of Dask would have to build its graph


def gather(given: Any, columns: Columns = NO_NAMES, beside: Beside = NOTHING_BESIDE) -> Collection:
    """Partitions of a collection, with the weights and annotations in `beside`.

    Raises
    ------
    TypeError
        If it is a collection of another kind, or something in `beside` is not a collection.
    ValueError
        If it has the wrong number of dimensions, other partitions than something in `beside`, or lacks columns.
    """
    rows = _unwrapped(given, "X")
    also = {"sample_weight": beside.sample_weight, **beside.known._asdict()}
    if _is_frame(rows):
        columns.check(list(rows.columns), "the data frame", lambda name: _check_numbers(rows.dtypes[name], name))
        _check_given_once(columns, also)
        features = columns.features_of(rows.columns)
        dtypes, n_columns = {str(rows.dtypes[name]) for name in features}, len(features)
        parts, sizes, dtype = rows.to_delayed(), None, np.dtype(np.float32 if dtypes == {"float32"} else np.float64)
    elif _is_array(rows):
        if any(option is not None for option in columns):
            raise ValueError("columns, weight, label and noise are names of columns, and X is an array without names")
        rows = _in_one_run(rows)
        parts, sizes = rows.to_delayed().ravel(), _known_sizes(rows)
        dtype = np.dtype(np.float32 if rows.dtype == np.float32 else np.float64)
        n_columns = int(rows.shape[1])
    else:
        raise TypeError(
            f"X is a {type(given).__name__}, where fits take a dask.array.Array, a dask.dataframe.DataFrame or an "
            "xarray.DataArray of one"
        )
    others = {name: _aligned(array, rows, len(parts), name) for name, array in also.items() if array is not None}
    noise = beside.known.noise
    variances = noise is not None and is_collection(noise) and getattr(noise, "ndim", 2) == 2
    variances = variances or columns.noise is not None
    names = tuple(f"partition {i} of X" for i in range(len(parts)))
    pieces = tuple(
        Piece(functools.partial(_assembled, name, columns, tuple(others)), (part, *beside_it))
        for name, part, *beside_it in zip(names, parts, *others.values(), strict=True)
    )
    beside_each_row = sum(math.prod(array.shape[1:]) for array in also.values() if is_collection(array))
    row_bytes = n_columns * dtype.itemsize + 8 * (len(columns.others) + beside_each_row)
    return Collection(pieces, sizes, n_columns, row_bytes, variances, dtype, names)


def _assembled(name: str, named: Columns, others: Sequence[str], rows: Any, *values: Any) -> dict[str, Any]:
    """Rows, weights and annotations as a mapping that sources take, made on the worker that reads them."""
    found = {"X": rows, **dict(zip(others, values, strict=True))}
    if hasattr(rows, "columns"):
        with naming_partition(name):
            found = {**found, **_split(rows, named)}
    return {
        name: value.to_numpy() if name != "X" and hasattr(value, "to_numpy") else value for name, value in found.items()
    }


def _split(rows: Any, named: Columns) -> dict[str, Any]:
    """Features, weights, labels and variances of a data frame."""
    found = {"X": rows[named.features_of(rows.columns)]}
    if named.weight is not None:
        found["sample_weight"] = rows[named.weight].to_numpy()
    if named.label is not None:
        found["labels"] = whole_labels(rows[named.label].to_numpy(dtype=np.float64, na_value=np.nan))
    if named.noise is not None:
        found["noise"] = rows[list(named.noise)].to_numpy()
    return found


def _unwrapped(given: Any, name: str) -> Any:
    """The array that an xarray.DataArray holds; other values as they are."""
    if type(given).__module__ == "dask.delayed":
        raise TypeError(
            f"{name} is a {type(given).__name__} of unknown shape and dtype: convert it by dask.array.from_delayed"
        )
    if type(given).__module__.partition(".")[0] != "xarray":
        return given
    if not hasattr(given, "data"):
        raise TypeError(f"{name} is an xarray.{type(given).__name__}: give one of its arrays, such as dataset['name']")
    return given.data


def _is_frame(given: Any) -> bool:
    return _is_partitioned(given) and getattr(given, "ndim", 0) == 2


def _is_array(given: Any) -> bool:
    return hasattr(given, "chunks") and hasattr(given, "to_delayed") and hasattr(given, "rechunk")


def _is_partitioned(given: Any) -> bool:
    """Whether a value is a data frame or a series of Dask."""
    return hasattr(given, "to_delayed") and hasattr(given, "npartitions") and not _is_array(given)


def _known_sizes(rows: Any) -> tuple[int, ...] | None:
    """Number of rows of each chunk, if all are known; else None."""
    sizes = rows.chunks[0]
    return None if np.isnan(sizes).any() else tuple(map(int, sizes))


def _in_one_run(rows: Any) -> Any:
    """The array (n, d) with all columns in each chunk."""
    if rows.ndim != 2:
        raise ValueError(f"Expected 2D array, got {rows.ndim}D array instead: X needs shape (n_samples, n_features)")
    if rows.numblocks[1] > 1:
        warnings.warn(
            f"X has its columns in {rows.numblocks[1]} chunks: they are put together by rechunk({{1: -1}}), which "
            "copies all data. Rechunk before you persist them.",
            UserWarning,
            stacklevel=2,
        )
        return rows.rechunk({1: -1})
    return rows


def _aligned(given: Any, rows: Any, n_partitions: int, name: str) -> Sequence[Any]:
    """Parts of weights or of an annotation, one for each partition of `rows`."""
    if not is_collection(given):
        if name in ("noise", "projection") and np.ndim(given) == 2:  # one for all rows
            from dask import delayed

            return [delayed(np.asarray(given)[None], traverse=False)] * n_partitions
        raise TypeError(
            f"{name} is a {type(given).__name__}, where X is a collection of Dask: give a collection with the "
            "partitions of X, or with Source(X, ...) a column"
        )
    array = _unwrapped(given, name)
    if getattr(array, "ndim", 1) == 0:
        raise ValueError(f"{name} has no dimension, where X has rows")
    if _is_partitioned(array):
        parts = array.to_delayed()
    else:
        if _is_array(rows):
            array = _with_chunks_of(array, rows, name)
        parts = array.rechunk(dict.fromkeys(range(1, array.ndim), -1)).to_delayed().ravel()
    if len(parts) != n_partitions:
        raise ValueError(f"{name} has {len(parts)} partitions, where X has {n_partitions}")
    return list(parts)


def _with_chunks_of(array: Any, rows: Any, name: str) -> Any:
    """The array with the chunks of `rows` along its first axis, if the sizes of both are known."""
    sizes, own = _known_sizes(rows), _known_sizes(array)
    if sizes is None or own is None or sizes == own:
        return array
    if sum(sizes) != sum(own):
        raise ValueError(f"{name} has {sum(own)} rows, where X has {sum(sizes)}")
    return array.rechunk({0: sizes})


def _check_given_once(columns: Columns, also: Mapping[str, Any]) -> None:
    """Raise ValueError if something is both a column of the frame and given separately."""
    for option, name in (("weight", "sample_weight"), ("label", "labels"), ("noise", "noise")):
        column = getattr(columns, option)
        if column is not None and also[name] is not None:
            raise ValueError(
                f"{name} is given, and is the column {column!r} of the data frame too: give one of the two"
            )


def _check_numbers(dtype: Any, name: str) -> None:
    """Raise ValueError unless a column holds numbers; unknown categories are checked when they are read."""
    from pandas.api.types import CategoricalDtype, is_bool_dtype, is_numeric_dtype

    held, what = dtype, f"{dtype}"
    if isinstance(dtype, CategoricalDtype):
        if UNKNOWN in dtype.categories:
            return
        held, what = dtype.categories.dtype, f"categories of {dtype.categories.dtype}"
    if not (is_numeric_dtype(held) or is_bool_dtype(held)):
        raise ValueError(
            f"column {name!r} of the data frame holds {what}, not numbers: choose others by "
            "fastem.Source(frame, columns=[...])"
        )
