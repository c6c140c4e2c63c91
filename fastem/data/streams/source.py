"""Sources: data that `fit`, `score` and `predict` take in place of an array."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from fastem.data.cluster.collections import Beside, Collection, gather, is_collection
from fastem.data.cluster.files import gather_files
from fastem.data.cluster.schedulers import check_client
from fastem.data.columns import Columns
from fastem.data.frames import is_frame, tabular
from fastem.data.numeric import is_whole
from fastem.data.row_info_checks import Known
from fastem.data.streams.chunks import Chunk, array_chunk, chunks_of_files, chunks_of_items, chunks_of_pieces
from fastem.data.streams.datasets import DatasetChunks

CHUNK_BYTES = 2**22  # milliseconds of work, and several such blocks fit into a cache

KINDS = (
    "an iterable of arrays, (array, weights) pairs or mappings, a pyarrow.dataset.Dataset, a list of .npy paths, or an "
    "array that is sliced, such as a memory map"
)


class Source:
    """Data that are read in blocks, again for each pass of a method over them.

    Methods of mixtures that take an array of rows also take a source. They read it in a separate thread while they
    compute. This class is needed only for its options: an iterable of arrays, a dataset or a list of paths can be given
    to the methods directly.

    Parameters
    ----------
    data : iterable, pyarrow.dataset.Dataset, list of paths, sliceable array, data frame, or collection of Dask
        An iterable yields chunks: arrays of shape (n_samples, n_features), pairs of such an array and weights of shape
        (n_samples,), or mappings with 'X' and any of 'sample_weight', 'labels', 'noise' and 'projection', see
        `GaussianMixture.fit`. It must yield the same rows whenever it is iterated over. Other sources are a dataset of
        Parquet, CSV or Feather files; paths of .npy files; an object with a shape and a dtype that is sliced like an
        array, such as a memory map or an HDF5 dataset; a data frame; and a collection of Dask: a dask.array.Array, a
        dask.dataframe.DataFrame, or an xarray.DataArray that holds an array of Dask. Partitions of a collection are
        read by the workers that hold them, each as one block. All chunks must have the same dtype; dtypes other than
        float32 become float64. Chunks that are data frames or Arrow tables must have the columns of the first, in the
        same order. `noise` with two dimensions is variances, a row for each row of the chunk, or one covariance for all
        rows; in a chunk with as many rows as columns, where it may be either, the other chunks decide.
    columns : list of str, default=None
        Columns of a dataset, or of a data frame of Dask, that are the features; None takes all but those named below.
    weight : str, default=None
        Column of a dataset that holds the rows' weights.
    label : str, default=None
        Column of a dataset that holds the rows' labels, -1 or null where they are not known.
    noise : list of str, default=None
        Columns of a dataset that hold the variances of the features' errors, in the order of the features.
    client : distributed.Client, default=None
        Cluster whose workers read a collection of Dask, or the files of a dataset: a file is a partition, and a large
        Parquet file is several. By default the client in scope reads a collection, or Dask's scheduler in this process
        if there is none; a dataset is read by this process, even if a client is in scope.
    chunk_bytes : int, default=4194304
        Size of the blocks of rows, whatever the sizes of the chunks. At most three more blocks are in memory than there
        are threads. Results are the same to the last bit for the same rows and `chunk_bytes`. Without effect on
        partitions, which are one block each.

    Raises
    ------
    TypeError
        If `data` is of another kind, or can be read only once; if `columns` or `noise` is a single name; if `client` is
        none, or an asynchronous one.
    ValueError
        If a dataset has no such column, or it is not numeric; if an option does not go with the data; if `client` is
        closed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem import GaussianMixture, Source
    >>> rng = np.random.default_rng(0)
    >>> chunks = [rng.normal(size=(n, 1)) + 5 * rng.integers(2, size=(n, 1)) for n in (500, 20, 300)]
    >>> model = GaussianMixture(2, random_state=0).fit(Source(chunks, chunk_bytes=4096))
    >>> model.weights_.round(1).tolist()
    [0.5, 0.5]
    """

    def __init__(
        self,
        data: Any,
        *,
        columns: Sequence[str] | None = None,
        weight: str | None = None,
        label: str | None = None,
        noise: Sequence[str] | None = None,
        client: Any = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        if not is_whole(chunk_bytes, least=1):
            raise ValueError(f"chunk_bytes must be an integer above 0, not {chunk_bytes!r}")
        self.columns = Columns(columns, weight, label, noise)
        self.client = client
        self.chunk_bytes = int(chunk_bytes)
        collected, dataset = is_collection(data), _is_dataset(data)
        self.partitioned = collected or (dataset and client is not None)
        self._beside = Beside()
        self._dataset: DatasetChunks | None = None
        if client is not None:
            if not self.partitioned:
                raise ValueError("client is for a collection of Dask, or for a pyarrow.dataset.Dataset of files")
            check_client(client)
        if collected:
            self.data = data
            return
        self.data = [data] if isinstance(data, str | os.PathLike) or is_frame(tabular(data)) else data
        if dataset:
            self._dataset = DatasetChunks(data, self.columns)
        elif any(option is not None for option in (columns, weight, label, noise)):
            raise ValueError(
                "columns, weight, label and noise are options for a pyarrow.dataset.Dataset or a "
                "dask.dataframe.DataFrame"
            )
        elif isinstance(data, Iterator):
            raise TypeError(
                f"a source is read several times, but a {type(data).__name__} can be read only once: give an object "
                "whose __iter__ begins anew, such as a list or a class of yours"
            )
        elif not (_is_paths(self.data) or _is_sliced(data) or isinstance(self.data, Iterable)):
            raise TypeError(f"a source is {KINDS}, not a {type(data).__name__}")

    def beside(self, sample_weight: Any, known: Known) -> Source:
        """The same source with weights and annotations that are given separately."""
        source = copy.copy(self)
        source._beside = Beside(sample_weight, known)
        return source

    def collection(self) -> Collection:
        """Partitions of a collection or of a dataset's files, with their weights and annotations.

        Raises
        ------
        TypeError, ValueError
            See `gather` and `gather_files`; also if weights or annotations are given separately from a dataset.
        """
        if self._dataset is not None:
            if any(given is not None for given in (self._beside.sample_weight, *self._beside.known)):
                raise ValueError("X is a dataset of files: name the columns of weights, labels and errors by Source")
            return gather_files(self._dataset)
        return gather(self.data, self.columns, self._beside)

    def chunks(self) -> Iterator[tuple[str, Chunk]]:
        """Yield names and chunks; every call begins with the first."""
        if self._dataset is not None:
            row_bytes = len(self._dataset.columns) * np.dtype(self._dataset.kind).itemsize
            return self._dataset.chunks(max(1, 2 * self.chunk_bytes // row_bytes))
        if self.partitioned:
            return chunks_of_pieces(self.collection(), self.client)
        if _is_paths(self.data):
            return chunks_of_files(self.data)
        if _is_sliced(self.data):
            return iter([("the array", array_chunk(self.data, "the array", lasting=True))])
        return chunks_of_items(self.data)


def is_partitioned(X: Any) -> bool:
    """Whether X is read by partitions: a collection of Dask or a source of one, or a source of files with a client."""
    return X.partitioned if isinstance(X, Source) else is_collection(X)


def as_source(X: Any) -> Source | None:
    """X as a source, if it is to be read as one; None if it is an array or can be converted to one."""
    if isinstance(X, Source):
        return X
    if is_collection(X):
        return Source(X)
    if isinstance(X, np.memmap) and X.ndim == 2:
        in_place = X.dtype in (np.float32, np.float64) and X.dtype.isnative  # passes read it without a copy
        return None if in_place else Source(X)
    if _is_dataset(X) or _is_paths(X) or isinstance(X, str | os.PathLike):
        return Source(X)
    if isinstance(X, list | tuple):
        return Source(X) if X and _is_chunk(X[0]) else None
    becomes_array = any(hasattr(X, name) for name in ("shape", "dtype", "__array__", "__array_interface__"))
    if becomes_array or isinstance(X, bytes | Mapping | Set | Sequence) or not isinstance(X, Iterable):
        return None
    return Source(X)


def _is_dataset(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pyarrow" and hasattr(data, "scanner")


def _is_paths(data: Any) -> bool:
    return isinstance(data, list | tuple) and bool(data) and all(isinstance(item, str | os.PathLike) for item in data)


def _is_sliced(data: Any) -> bool:
    return all(hasattr(data, name) for name in ("shape", "dtype", "__getitem__"))


def _is_chunk(item: Any) -> bool:
    """Whether an item of a list is an array of rows, a pair of one and its weights, or a mapping of them."""
    if isinstance(item, Mapping):
        return True
    values = item[0] if isinstance(item, tuple) and len(item) == 2 else item
    return len(getattr(values, "shape", ())) == 2
