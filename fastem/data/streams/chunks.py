"""Chunks of rows that a source yields one after the other: from arrays, files of arrays, and collections."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastem.data.cluster.collections import Collection
from fastem.data.cluster.schedulers import one_by_one, scheduler_for
from fastem.data.frames import is_frame, tabular
from fastem.data.numeric import place_of, real_array
from fastem.data.row_info_checks import Known
from fastem.data.streams.npy import map_npy

KEYS = ("X", "sample_weight", *Known._fields)
NOTHING = Known()


class Chunk(Protocol):
    """Rows that a source yields together, and that are read when they are needed."""

    shape: tuple[int, int]
    kind: str  # name of the values' dtype, which all chunks of a source have in common
    weights: NDArray[Any] | None
    known: Known  # labels, noise and projections
    by_column: bool  # whether columns, rather than rows, are contiguous in memory
    variances: bool  # whether noise of as many rows as columns is known to be variances
    frame: Any  # a frame of the same columns without rows, None if they have no names

    def view(self, start: int, stop: int) -> NDArray[Any] | None:
        """The rows without a copy, if their memory lasts and passes can read it; None if they must be copied."""

    def fill(self, out: NDArray[Any], start: int) -> None:
        """Copy the rows from `start` on into `out` (n, d), as many as it has."""


class ArrayChunk:
    """Rows of anything that is sliced like an array (n, d); `lasting` if its memory is not reused for other rows."""

    by_column = False
    variances = False

    def __init__(
        self,
        values: Any,
        weights: NDArray[Any] | None = None,
        known: Known = NOTHING,
        *,
        lasting: bool = False,
        frame: Any = None,
    ) -> None:
        self.values = values
        self.known = known
        self.frame = frame
        self.lasting = lasting and isinstance(values, np.ndarray)
        self.shape = (int(values.shape[0]), int(values.shape[1]))
        self.kind = np.dtype(values.dtype).name
        self.weights = weights

    def view(self, start: int, stop: int) -> NDArray[Any] | None:
        """Rows of an array in memory or in a memory map."""
        if not self.lasting or self.values.dtype not in (np.float32, np.float64) or not self.values.dtype.isnative:
            return None
        rows: NDArray[Any] = self.values[start:stop]
        laid = rows.flags.f_contiguous if self.by_column else rows.flags.c_contiguous
        return np.asarray(rows) if laid and rows.flags.aligned else None

    def fill(self, out: NDArray[Any], start: int) -> None:
        """Copy rows in the dtype of `out`; masked values become NaN."""

        def place(index: tuple[int, ...]) -> str:
            return place_of((start + index[0], *index[1:]))

        np.copyto(out, real_array(self.values[start : start + len(out)], "X", missing=True, place=place))


def array_chunk(item: Any, name: str, *, lasting: bool = False) -> ArrayChunk:
    """Chunk of an array-like (n, d), of a pair of one and its weights, or of a mapping; see `ArrayChunk`.

    Raises
    ------
    ValueError
        If the item is none of these.
    """
    known = NOTHING
    if isinstance(item, Mapping):
        unknown = [repr(key) for key in item if key not in KEYS]
        if unknown or "X" not in item:
            raise ValueError(
                f"{name} is a mapping {'with ' + unknown[0] if unknown else 'without X'}: it has to hold 'X', and can "
                f"hold no other keys than {KEYS}"
            )
        values, weights = item["X"], item.get("sample_weight")
        known = Known(*(item.get(key) for key in Known._fields))
    else:
        pair = isinstance(item, tuple) and len(item) == 2
        values, weights = item if pair else (item, None)
    values = tabular(values)
    frame = values[:0] if is_frame(values) else None
    if not _is_sliced_numbers(values):
        values = real_array(values, name, missing=True)  # data frames, lists
    if len(values.shape) != 2:
        raise ValueError(
            f"{name} has {len(values.shape)} dimension{'s' * (len(values.shape) != 1)}, not 2: a source yields arrays "
            "of shape (n_samples, n_features), pairs of one and its weights, or mappings"
        )
    if weights is not None:
        weights = real_array(weights, f"sample_weight of {name}")
    return ArrayChunk(values, weights, known, lasting=lasting, frame=frame)


def _is_sliced_numbers(values: Any) -> bool:
    """Whether slices of an object are arrays of numbers, as those of memory maps and HDF5 datasets."""
    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, np.dtype) or not hasattr(values, "__getitem__") or issparse(values):
        return False
    return dtype.kind in "biuf" and not isinstance(values, np.ma.MaskedArray | np.matrix)


def chunks_of_items(items: Iterable[Any]) -> Iterator[tuple[str, Chunk]]:
    """Chunks of an iterable of arrays, pairs or mappings; only those of lists and tuples are lasting."""
    lasting = isinstance(items, list | tuple)
    for index, item in enumerate(items):
        name = f"chunk {index}"
        yield name, array_chunk(item, name, lasting=lasting)


def chunks_of_pieces(collection: Collection, client: Any) -> Iterator[tuple[str, Chunk]]:
    """One chunk for each partition of a collection, computed when it is asked for."""
    with closing(one_by_one(scheduler_for(client), collection.pieces)) as partitions:
        for name, rows in zip(collection.names, partitions, strict=True):
            yield name, array_chunk(rows, name, lasting=True)


def chunks_of_files(paths: Sequence[str | os.PathLike[str]]) -> Iterator[tuple[str, Chunk]]:
    """One chunk for each .npy file, which is mapped into memory."""
    for index, path in enumerate(paths):
        name = f"chunk {index} ({os.fspath(path)!r})"
        try:
            values = map_npy(path)
        except ValueError as error:
            hint = "pyarrow.dataset.dataset(path) is a source of Parquet, CSV or Feather files"
            raise ValueError(f"{name} is no .npy file of numbers: {error}; {hint}") from None
        yield name, array_chunk(values, name, lasting=True)
