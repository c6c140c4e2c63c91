"""What a source yields, one after the other: arrays, files of arrays, batches of a table's columns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastem.annotating import Known

KEYS = ("X", "sample_weight", *Known._fields)
NOTHING = Known()


class Chunk(Protocol):
    """Rows that belong together, read as they are needed."""

    shape: tuple[int, int]
    kind: str  # what the values are: chunks of one source are of one kind
    weights: NDArray[Any] | None
    known: Known  # what else is known of the rows
    by_column: bool  # whether it is columns that follow each other in memory, or rows

    def view(self, start: int, stop: int) -> NDArray[Any] | None:
        """The rows where they are, if they stay there and passes can read them; None if they must be copied."""

    def fill(self, out: NDArray[Any], start: int) -> None:
        """Copy the rows from `start` on into `out` (n, d), as many as it has."""


class ArrayChunk:
    """Rows of anything that is sliced like an array (n, d); `lasting` if it does not change once it is yielded."""

    by_column = False

    def __init__(
        self, values: Any, weights: NDArray[Any] | None = None, known: Known = NOTHING, *, lasting: bool = False
    ) -> None:
        self.values = values
        self.known = known
        self.lasting = lasting and isinstance(values, np.ndarray)
        self.shape = (int(values.shape[0]), int(values.shape[1]))
        self.kind = np.dtype(values.dtype).name
        self.weights = weights

    def view(self, start: int, stop: int) -> NDArray[Any] | None:
        """Rows of an array in memory or in a memory map."""
        if not self.lasting or self.values.dtype not in (np.float32, np.float64) or not self.values.dtype.isnative:
            return None
        rows: NDArray[Any] = self.values[start:stop]
        return np.asarray(rows) if rows.flags.c_contiguous and rows.flags.aligned else None

    def fill(self, out: NDArray[Any], start: int) -> None:
        """Copy rows, in the type of `out`."""
        np.copyto(out, self.values[start : start + len(out)], casting="unsafe")


class TableChunk:
    """Rows of a table's columns (n,)."""

    by_column = True

    def __init__(
        self, columns: Sequence[NDArray[Any]], kind: str, weights: NDArray[Any] | None, known: Known = NOTHING
    ) -> None:
        self.columns = columns
        self.known = known
        self.shape = (len(columns[0]), len(columns))
        self.kind = kind
        self.weights = weights

    def view(self, start: int, stop: int) -> NDArray[Any] | None:
        """Columns lie here and there."""
        return None

    def fill(self, out: NDArray[Any], start: int) -> None:
        """Copy each column."""
        for column, target in zip(self.columns, out.T, strict=True):
            target[:] = column[start : start + len(out)]


def array_chunk(item: Any, name: str, *, lasting: bool = False) -> ArrayChunk:
    """Chunk of an array-like (n, d), of a pair of one and its weights, or of a mapping; `lasting` if it stays as it is.

    Raises
    ------
    ValueError
        If the item is none of these.
    """
    known = NOTHING
    if isinstance(item, Mapping):
        unknown = [repr(key) for key in item if key not in KEYS]
        if unknown or "X" not in item:
            raise ValueError(f"{name} is a mapping {'with ' + unknown[0] if unknown else 'without X'}: it has {KEYS}")
        values, weights = item["X"], item.get("sample_weight")
        known = Known(*(item.get(key) for key in Known._fields))
    else:
        pair = isinstance(item, tuple) and len(item) == 2
        values, weights = item if pair else (item, None)
    if not (isinstance(getattr(values, "dtype", None), np.dtype) and hasattr(values, "__getitem__")):
        values = np.asarray(values)  # data frames, lists
    if len(values.shape) != 2:
        raise ValueError(
            f"{name} has {len(values.shape)} dimension{'s' * (len(values.shape) != 1)}, not 2: a source yields arrays "
            "of shape (n_samples, n_features), pairs of one and its weights, or mappings"
        )
    if np.dtype(values.dtype).kind not in "biuf":
        raise ValueError(f"{name} holds {values.dtype}, not real numbers")
    return ArrayChunk(values, None if weights is None else np.asarray(weights), known, lasting=lasting)


def chunks_of_items(items: Iterable[Any]) -> Iterator[tuple[str, Chunk]]:
    """Chunks of an iterable of arrays or pairs. What is no list may yield the same memory again, with other rows."""
    lasting = isinstance(items, list | tuple)
    for index, item in enumerate(items):
        name = f"chunk {index}"
        yield name, array_chunk(item, name, lasting=lasting)


def chunks_of_files(paths: Sequence[str | os.PathLike[str]]) -> Iterator[tuple[str, Chunk]]:
    """One chunk for each .npy file, which is mapped into memory."""
    for index, path in enumerate(paths):
        name = f"chunk {index} ({os.fspath(path)!r})"
        try:
            values = np.lib.format.open_memmap(path, mode="r")
        except (ValueError, EOFError) as error:
            hint = "pyarrow.dataset.dataset(path) is a source of Parquet, CSV or Feather files"
            raise ValueError(f"{name} is no .npy file of numbers: {error}; {hint}") from None
        yield name, array_chunk(values, name, lasting=True)


class DatasetChunks:
    """Batches of a `pyarrow.dataset.Dataset`.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    columns : list of str, optional
        The features; None takes all columns but the weight.
    weight : str, optional
        Column of the weights.
    label : str, optional
        Column of the labels.
    noise : list of str, optional
        Columns of the variances of the features' errors.

    Raises
    ------
    ValueError
        If a column is missing or not numeric.
    """

    def __init__(
        self,
        dataset: Any,
        columns: Sequence[str] | None,
        weight: str | None,
        label: str | None = None,
        noise: Sequence[str] | None = None,
    ) -> None:
        names = dataset.schema.names
        self.dataset = dataset
        self.weight, self.label, self.noise = weight, label, [] if noise is None else list(noise)
        others = [name for name in (weight, label) if name is not None] + self.noise
        self.columns = [name for name in names if name not in others] if columns is None else list(columns)
        if self.noise and len(self.noise) != len(self.columns):
            raise ValueError(f"noise names {len(self.noise)} columns of variances, where there are {len(self.columns)}")
        self.wanted = wanted = [*self.columns, *others]
        if not self.columns:
            raise ValueError("the dataset has no columns of features")
        for name in wanted:
            if names.count(name) != 1:
                how = "no column" if name not in names else "more than one column"
                raise ValueError(f"the dataset has {how} {name!r}; there are {', '.join(map(repr, names))}")
            if wanted.count(name) > 1:
                raise ValueError(f"column {name!r} is asked for twice")
            _check_numeric(name, dataset.schema.field(name).type)
        kinds = {str(dataset.schema.field(name).type) for name in self.columns}
        self.kind = "float32" if kinds == {"float"} else "float64"

    def header(self) -> Any:
        """A table of the features without rows."""
        return self.dataset.schema.empty_table().select(self.columns)

    def chunks(self, n_rows: int) -> Iterator[tuple[str, Chunk]]:
        """Batches of at most `n_rows`, in the order of the dataset."""
        scanner = self.dataset.scanner(
            columns=self.wanted, batch_size=n_rows, batch_readahead=2, fragment_readahead=1, **_frugal(self.dataset)
        )
        for index, tagged in enumerate(scanner.scan_batches()):
            path = getattr(tagged.fragment, "path", None)
            name = f"chunk {index}" + (f" ({path!r})" if path else "")
            arrays = dict(zip(self.wanted, map(_numbers, tagged.record_batch.columns), strict=True))
            labels = None if self.label is None else _integers(arrays[self.label])
            noise = np.column_stack([arrays[column] for column in self.noise]) if self.noise else None
            weights = None if self.weight is None else arrays[self.weight]
            yield (
                name,
                TableChunk([arrays[column] for column in self.columns], self.kind, weights, Known(labels, noise)),
            )


def _frugal(dataset: Any) -> dict[str, Any]:
    """Options that keep Arrow from holding whole Parquet files of the local disk; what the user has set stays."""
    from pyarrow import dataset as datasets
    from pyarrow import fs

    local = isinstance(getattr(dataset, "filesystem", None), fs.LocalFileSystem)
    if not local or not isinstance(dataset.format, datasets.ParquetFileFormat):
        return {}
    if dataset.format.default_fragment_scan_options != datasets.ParquetFragmentScanOptions():
        return {}
    return {"fragment_scan_options": datasets.ParquetFragmentScanOptions(pre_buffer=False)}


def _check_numeric(name: str, kind: Any) -> None:
    from pyarrow import types

    numeric = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    if not any(holds(kind) for holds in numeric):
        raise ValueError(
            f"column {name!r} of the dataset holds {kind}, not numbers: choose others by "
            "fastem.Source(dataset, columns=[...])"
        )


def _integers(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels, -1 where they are missing."""
    if labels.dtype.kind != "f":
        return labels
    whole = np.where(np.isnan(labels), -1.0, labels)
    return whole.astype(np.int64) if (whole == np.floor(whole)).all() else whole


def _numbers(column: Any) -> NDArray[Any]:
    """A column as an array; what is missing becomes NaN."""
    from pyarrow import types

    if types.is_decimal(column.type) or types.is_boolean(column.type):
        column = column.cast("float64")
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return array
