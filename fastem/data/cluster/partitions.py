"""Functions that run on the workers that hold rows: one thread reads, checks and sweeps a partition as one block."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastem.data.array import ArraySource
from fastem.data.chunked import View
from fastem.data.row_info import Annotations
from fastem.data.squares import Squares, squares_of
from fastem.data.streams import Block, Reader
from fastem.data.streams.admission import check_names
from fastem.data.streams.chunks import Chunk, array_chunk
from fastem.engine.compiled import Passes, get_passes
from fastem.engine.records import Mixture, Scores, Sweep, Wanted
from fastem.families import get_family


class Facts(NamedTuple):
    """Properties of a partition that must agree with those of the others, its number of rows and its fingerprint.

    Attributes
    ----------
    name : str
        What messages call it.
    n_rows, n_columns : int
    header : frame, optional
        A frame without rows that has the names of the columns; None if they have no names.
    kind : str
        Name of the values' dtype.
    dtype : dtype
        Dtype in which they are held.
    weighted : bool
    known : Annotations
        Annotations of no rows, which show the fields and their widths.
    digest : str
    """

    name: str
    n_rows: int
    n_columns: int
    header: Any
    kind: str
    dtype: Any
    weighted: bool
    known: Annotations
    digest: str

    def check_alike(self, first: Facts) -> None:
        """Raise ValueError unless the columns, dtype and annotations are those of the first partition."""
        if self.n_columns != first.n_columns:
            raise ValueError(f"{self.name} has {self.n_columns} features, where {first.name} has {first.n_columns}")
        if self.header is not None or first.header is not None:
            check_names(self.header, first.header, self.name)
        if self.kind != first.kind:
            raise ValueError(f"{self.name} holds {self.kind}, where {first.name} holds {first.kind}")
        for field, here, there in zip(self.known._fields, self.known, first.known, strict=True):
            widths = [None if array is None else array.shape[1:] for array in (here, there)]
            if widths[0] != widths[1]:
                raise ValueError(f"{self.name} has other {field} than {first.name}, or one of the two has none")


class Partition:
    """Rows of a partition, in memory.

    Parameters
    ----------
    facts : Facts
    block : Block, optional
        None if there is no row.
    """

    def __init__(self, facts: Facts, block: Block | None) -> None:
        self.facts = facts
        self.block = block
        self._source: tuple[View, ArraySource] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """State without the source, which can be made again."""
        return {**vars(self), "_source": None}

    def __sizeof__(self) -> int:
        """Size in bytes, from which a cluster knows how much memory it uses."""
        if self.block is None:
            return object.__sizeof__(self)
        arrays = (self.block.values, self.block.weights, *self.block.annotations)
        return sum(array.nbytes for array in arrays if array is not None)

    def source(self, view: View) -> ArraySource:
        """Source of the rows; kept, because its first sweep sorts rows with missing values."""
        if self._source is None or not _same(self._source[0], view):
            block = self.block
            assert block is not None
            annotations = view.of(block.annotations)
            source = view.kind(
                block.values, block.weights, view.origin, single=view.single, whole=True, annotations=annotations
            )
            self._source = view, source
        return self._source[1]

    def check(self, digest: str) -> None:
        """Raise ValueError if the rows differ from those of the first reading."""
        if self.facts.digest != digest:
            raise ValueError(f"the data have changed: {self.facts.name} holds other rows than when it was read before")


def _same(view: View, other: View) -> bool:
    """Whether two views read rows in the same way."""
    pairs: Any = zip(view, other, strict=True)
    return all(
        np.array_equal(here, there) if isinstance(here, np.ndarray) else here is there or here == there
        for here, there in pairs
    )


def load_partition(piece: Mapping[str, Any], *, name: str, missing: bool, variances: bool) -> Partition:
    """Read a partition, and check its values, weights and annotations.

    Parameters
    ----------
    piece : mapping
        Rows, weights and annotations, as a source yields them.
    name : str
        What messages call the partition.
    missing : bool
        Whether NaN stands for a missing value.
    variances : bool
        Whether noise of as many rows as columns is known to be variances.
    """
    chunk = array_chunk(piece, name, lasting=True)
    chunk.variances = variances
    chunk.by_column = chunk.frame is not None  # as in frames, whose values then need no copy
    n_rows, n_columns = chunk.shape
    if not n_rows:
        nothing = Facts(name, 0, n_columns, chunk.frame, chunk.kind, None, False, Annotations(), "")
        return Partition(nothing, None)
    reader = Reader(_OneChunk(name, chunk), missing=missing)  # type: ignore[arg-type]
    block = reader.whole()
    header = None if chunk.frame is None else reader.header
    known = block.annotations.take(slice(0, 0))
    facts = Facts(name, n_rows, n_columns, header, reader.kind, reader.dtype, reader.weighted, known, reader.digest())
    return Partition(facts, block)


class _OneChunk:
    """A source of one chunk, which is read as one block."""

    def __init__(self, name: str, chunk: Chunk) -> None:
        self._item = name, chunk
        itemsize = np.dtype(np.float32 if chunk.kind == "float32" else np.float64).itemsize
        self.chunk_bytes = max(1, chunk.shape[0] * chunk.shape[1] * itemsize)

    def chunks(self) -> Iterator[tuple[str, Chunk]]:
        """The chunk and its name."""
        return iter([self._item])


class Place(NamedTuple):
    """Number of rows before a partition, its fingerprint, and which of its rows are selected."""

    first: int
    digest: str
    selection: slice = slice(None)


class Request(NamedTuple):
    """Arguments of a pass, the same for all partitions.

    Attributes
    ----------
    family, policy, record, restrict : str
        Names by which `get_passes` finds the passes.
    view : View
    mixture : Mixture
    n_stats : int
    key : int
        Seed of a policy that draws.
    wanted : Wanted
        Scores to compute.
    """

    family: str
    policy: str
    record: str
    restrict: str
    view: View
    mixture: Mixture
    n_stats: int = 0
    key: int = 0
    wanted: Wanted = Wanted()

    @property
    def passes(self) -> Passes:
        """The passes, specialised in the process that runs them."""
        return get_passes(get_family(self.family), self.policy, self.record, self.restrict)


def sweep_partition(partition: Partition, place: Place, request: Request) -> Sweep:
    """Expected sufficient statistics of a partition, or of a selection of its rows."""
    partition.check(place.digest)
    source = partition.source(request.view)
    if place.selection != slice(None):
        source = source.part(place.selection)
    return source.sweep(request.passes, request.mixture, request.n_stats, key=request.key + place.first, parallel=False)


def score_partition(partition: Partition, place: Place, request: Request) -> Scores:
    """Wanted scores of the rows of a partition."""
    partition.check(place.digest)
    return partition.source(request.view).score(request.passes, request.mixture, request.wanted, parallel=False)


def squares_partition(partition: Partition, place: Place, request: View) -> Squares:
    """Squares of a partition's rows."""
    partition.check(place.digest)
    return squares_of(partition.source(request))


def weigh_parts(partition: Partition, place: Place, request: int) -> list[float]:
    """Total weight of each of `request` parts of a partition, whose rows lie at equal distances."""
    partition.check(place.digest)
    block = partition.block
    assert block is not None
    assert block.weights is not None
    return [float(block.weights[part::request].sum()) for part in range(request)]


def add_sweeps(sweeps: Sequence[Sweep]) -> Sweep:
    """Sum the statistics of partitions, in their order."""
    return functools.reduce(Sweep.__add__, sweeps)


def join_scores(scores: Sequence[Scores]) -> Scores:
    """Concatenate the scores of partitions, in their order."""
    return Scores.joined(scores)


def add_squares(squares: Sequence[Squares]) -> Squares:
    """Sum the squares of partitions, in their order."""
    return functools.reduce(Squares.joined, squares)
