"""Files of a dataset as partitions of rows, which workers read as one machine does."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastem.data.cluster.collections import Collection
from fastem.data.cluster.pieces import Piece, naming_partition
from fastem.data.columns import Columns
from fastem.data.streams.admission import fill
from fastem.data.streams.datasets import DatasetChunks

PARTITION_BYTES = 2**27  # of a partition in memory: larger Parquet files are divided between their row groups
READERS = 16  # threads that read the metadata of files, which may be far away
BATCH_BYTES = 2**23  # of rows that Arrow decodes at once


class Part(NamedTuple):
    """A file of a dataset or a part of it: its rows from `start` on, `stop` is None if their number is not known."""

    fragment: Any
    start: int = 0
    stop: int | None = None

    @property
    def n_rows(self) -> int | None:
        """Number of rows, if it is known before the file is read."""
        return None if self.stop is None else self.stop - self.start

    def name(self, index: int) -> str:
        """What messages call the partition."""
        rows = f", from row {self.start} on" if self.start else ""
        return f"partition {index} of X ({self.fragment.path!r}{rows})"


def gather_files(chunks: DatasetChunks) -> Collection:
    """Partitions of a dataset: a file each, or runs of the row groups of a large Parquet file.

    Numbers of rows are known if all files are Parquet, whose metadata are read here.

    Raises
    ------
    ValueError
        If the dataset is filtered or in memory or has no files, or if the metadata of a Parquet file cannot be read.
    """
    dtype, n_columns = np.dtype(chunks.kind), len(chunks.columns)
    row_bytes = n_columns * dtype.itemsize
    divided = partial(_divided, most_rows=PARTITION_BYTES // row_bytes)
    with ThreadPoolExecutor(READERS) as readers:
        parts = list(itertools.chain.from_iterable(readers.map(divided, _files(chunks.dataset))))
    sizes = tuple(part.n_rows for part in parts if part.n_rows is not None)
    known = len(sizes) == len(parts)
    schema, named = chunks.dataset.schema, chunks.named
    names = tuple(part.name(index) for index, part in enumerate(parts))
    return Collection(
        pieces=tuple(
            Piece(partial(read_part, name, _sent(part.fragment, schema), named))
            for name, part in zip(names, parts, strict=True)
        ),
        sizes=sizes if known else None,
        n_columns=n_columns,
        row_bytes=row_bytes + 8 * len(named.others),
        variances=named.noise is not None,
        dtype=dtype,
        names=names,
    )


def _files(dataset: Any) -> list[Any]:
    """The fragments of a dataset, which are files."""
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:
        raise ValueError("the dataset is filtered, and workers read whole files: remove the filter") from None
    if not all(getattr(fragment, "path", None) for fragment in fragments):
        raise ValueError("the dataset is in memory, and workers read files: give a dataset of files, or an array")
    if not fragments:
        raise ValueError("the dataset has no files")
    return fragments


def _divided(fragment: Any, most_rows: int) -> list[Part]:
    """Parts of a file: itself, or runs of its row groups if it has more rows than `most_rows`."""
    from pyarrow import ArrowException
    from pyarrow.dataset import ParquetFileFragment

    if not isinstance(fragment, ParquetFileFragment):
        return [Part(fragment)]
    try:
        sizes = [group.num_rows for group in fragment.row_groups]
    except (ArrowException, OSError) as error:
        raise ValueError(f"{fragment.path!r} cannot be read: {error}") from None
    if sum(sizes) <= most_rows:
        return [Part(fragment, 0, sum(sizes))]
    parts, start = [], 0
    for run in _runs(sizes, most_rows):
        stop = start + sum(sizes[i] for i in run)
        parts.append(Part(fragment.subset(row_group_ids=list(run)), start, stop))
        start = stop
    return parts


def _runs(sizes: Sequence[int], most: int) -> Iterator[range]:
    """Runs of consecutive row groups, each of at most `most` rows or of a single group."""
    first = total = 0
    for i, size in enumerate(sizes):
        if i > first and total + size > most:
            yield range(first, i)
            first, total = i, 0
        total += size
    yield range(first, len(sizes))


def _sent(fragment: Any, schema: Any) -> bytes:
    """A dataset of a file or a part of it, as bytes that only a worker unpickles.

    A scheduler unpickles tasks and pickles them again, and a fragment of Parquet opens its file when it is pickled the
    second time: the scheduler would open all files in each pass, and a fit would hang if it cannot.
    """
    import cloudpickle
    from pyarrow.dataset import FileSystemDataset

    dataset = FileSystemDataset([fragment], schema, fragment.format, fragment.filesystem)
    sent: bytes = cloudpickle.dumps(dataset)
    return sent


def read_part(name: str, sent: bytes, named: Columns) -> dict[str, Any]:
    """Rows, weights and annotations of a part of a dataset, as a mapping that sources take.

    The rows are a data frame over one array, into which batches of Arrow are copied: passes read it in place.

    Parameters
    ----------
    name : str
        What messages call the part.
    sent : bytes
        The dataset of the part, pickled.
    named : Columns
        Which columns are features, weights, labels and variances of the features' errors.

    Raises
    ------
    ValueError
        If the file cannot be read, lacks a column, or holds a number that the features' dtype cannot represent.
    """
    import pandas as pd

    part = DatasetChunks(pickle.loads(sent), named)
    batch_rows = max(1, BATCH_BYTES // (len(part.columns) * np.dtype(part.kind).itemsize))
    with naming_partition(name):
        chunks = [chunk for _, chunk in part.chunks(batch_rows)]
    values = np.empty((len(part.columns), sum(chunk.shape[0] for chunk in chunks)), part.kind)
    start = 0
    for chunk in chunks:
        chunk.first = start
        fill(values.T[start : start + chunk.shape[0]], chunk, 0, name)
        start += chunk.shape[0]
    others: dict[str, list[Any]] = {
        "sample_weight": [chunk.weights for chunk in chunks],
        "labels": [chunk.known.labels for chunk in chunks],
        "noise": [chunk.known.noise for chunk in chunks],
    }
    joined = {field: np.concatenate(arrays) for field, arrays in others.items() if arrays and arrays[0] is not None}
    return {"X": pd.DataFrame(values.T, columns=part.columns, copy=False), **joined}
