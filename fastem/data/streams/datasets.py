"""Batches of a `pyarrow.dataset.Dataset`: Parquet, CSV or Feather files, or tables in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data.columns import Columns
from fastem.data.numeric import real_array
from fastem.data.row_info_checks import Known, whole_labels


class TableChunk:
    """Rows of a table, given as columns (n,)."""

    by_column = True
    variances = True

    def __init__(
        self, columns: Sequence[NDArray[Any]], kind: str, weights: NDArray[Any] | None, known: Known, frame: Any
    ) -> None:
        self.first = 0  # added to the numbers of rows in messages
        self.columns = columns
        self.known = known
        self.frame = frame
        self.shape = (len(columns[0]), len(columns))
        self.kind = kind
        self.weights = weights

    def view(self, start: int, stop: int) -> NDArray[Any] | None:
        """None: columns are not adjacent in memory."""
        return None

    def fill(self, out: NDArray[Any], start: int) -> None:
        """Copy each column."""
        for column, target, name in zip(self.columns, out.T, self.frame.schema.names, strict=True):

            def place(index: tuple[int, ...], name: str = name) -> str:
                return f"row {self.first + start + int(index[0])}, column {name!r}"

            target[:] = real_array(column[start : start + len(out)], "X", place=place)


class DatasetChunks:
    """Batches of a `pyarrow.dataset.Dataset`.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    named : Columns
        Which columns are features, weights, labels and variances of the features' errors.

    Raises
    ------
    ValueError
        If a column is missing or not numeric.
    """

    def __init__(self, dataset: Any, named: Columns) -> None:
        noise = named.noise
        if noise is not None and not isinstance(noise, str) and not len(noise):
            named = named._replace(noise=None)
        schema = dataset.schema
        self.dataset, self.named = dataset, named
        self.wanted = named.check(
            schema.names, "the dataset", lambda name: _check_numeric(name, schema.field(name).type)
        )
        self.columns = named.features_of(schema.names)
        kinds = {str(schema.field(name).type) for name in self.columns}
        self.kind = "float32" if kinds == {"float"} else "float64"

    def header(self) -> Any:
        """A table without rows that has the columns of the features."""
        return self.dataset.schema.empty_table().select(self.columns)

    def chunks(self, n_rows: int) -> Iterator[tuple[str, TableChunk]]:
        """Batches of at most `n_rows`, in the order of the dataset."""
        scanner = self.dataset.scanner(
            columns=self.wanted, batch_size=n_rows, batch_readahead=2, fragment_readahead=1, **_frugal(self.dataset)
        )
        frame = self.header()
        path = None
        for index, tagged in enumerate(self._batches(scanner)):
            before, path = path, getattr(tagged.fragment, "path", None)
            name = f"chunk {index}" + (f" ({path!r})" if path else "")
            if path is None or path != before:
                self._check_columns(tagged.fragment, name)
            batch = zip(self.wanted, tagged.record_batch.columns, strict=True)
            arrays = {column: _numbers(values, f"column {column!r} of {name}") for column, values in batch}
            _, weight, label, noises = self.named
            labels = None if label is None else whole_labels(arrays[label])
            noise = None if noises is None else np.column_stack([arrays[column] for column in noises])
            weights = None if weight is None else arrays[weight]
            columns = [arrays[column] for column in self.columns]
            yield name, TableChunk(columns, self.kind, weights, Known(labels, noise), frame)

    def _batches(self, scanner: Any) -> Iterator[Any]:
        """Batches of a scan; errors name the file that cannot be read."""
        last = None
        try:
            for tagged in scanner.scan_batches():
                last = getattr(tagged.fragment, "path", None)
                yield tagged
        except (ValueError, NotImplementedError, OSError, IndexError) as error:  # bases of Arrow's errors
            raise ValueError(f"{self._culprit(last)} cannot be read: {error}") from None

    def _culprit(self, last: str | None) -> str:
        """The first file, from the one that was read last on, that cannot be read to its end."""
        from pyarrow import ArrowException

        paths = [(getattr(fragment, "path", None), fragment) for fragment in self.dataset.get_fragments()]
        known = [path for path, _ in paths]
        for path, fragment in paths[known.index(last) if last in known else 0 :]:
            try:
                for _ in fragment.scanner(schema=self.dataset.schema, columns=self.wanted).to_batches():
                    pass
            except (ArrowException, OSError):
                return repr(path) if path else "the dataset"
        return "the dataset"

    def _check_columns(self, fragment: Any, name: str) -> None:
        """Raise ValueError if a column is neither in a file nor in its folders' names: Arrow would fill in nulls."""
        from pyarrow.dataset import get_partition_keys

        there = [*fragment.physical_schema.names, *get_partition_keys(fragment.partition_expression)]
        for column in self.wanted:
            if column not in there:
                raise ValueError(f"{name} has no column {column!r}; there are {', '.join(map(repr, there))}")


def _frugal(dataset: Any) -> dict[str, Any]:
    """Options that keep Arrow from holding whole local Parquet files in memory; options that the user has set stay."""
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


def _numbers(column: Any, name: str) -> NDArray[Any]:
    """A column as an array (n,); nulls become NaN."""
    from pyarrow import types

    if types.is_integer(column.type) and column.null_count:
        real_array(column.fill_null(0).to_numpy(zero_copy_only=False), name)  # large ones are refused, not rounded
    if types.is_decimal(column.type) or types.is_boolean(column.type):
        column = column.cast("float64")
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return array
