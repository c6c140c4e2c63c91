"""What runs where rows are held: a partition is read, checked and swept as one block, by one thread."""

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
    """What partitions must have in common, and the fingerprint of one.

    Attributes
    ----------
    name : str
        For messages.
    n_rows, n_columns : int
    header : frame or ndarray
        Without rows: a frame that has the names of the columns, or an array.
    kind : str
        Type of the values.
    dtype : dtype
        Type in which they are held.
    weighted : bool
    known : Annotations
        Of no rows.
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
        """Raise ValueError unless these are partitions of one collection."""
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
        """All but what can be made anew."""
        return {**vars(self), "_source": None}

    def __sizeof__(self) -> int:
        """Bytes, by which a cluster knows what it holds."""
        if self.block is None:
            return object.__sizeof__(self)
        arrays = (self.block.values, self.block.weights, *self.block.annotations)
        return sum(array.nbytes for array in arrays if array is not None)

    def source(self, view: View) -> ArraySource:
        """The rows as passes read them; kept, because rows of which values are missing are sorted when first swept."""
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
        """Raise ValueError if the rows are others than those that were read first."""
        if self.facts.digest != digest:
            raise ValueError(f"the data have changed: {self.facts.name} holds other rows than when it was read before")


def _same(view: View, other: View) -> bool:
    """Whether rows are read in the same way."""
    pairs: Any = zip(view, other, strict=True)
    return all(
        np.array_equal(here, there) if isinstance(here, np.ndarray) else here is there or here == there
        for here, there in pairs
    )


def load_partition(index: int, piece: Mapping[str, Any], *, missing: bool, variances: bool) -> Partition:
    """Read a partition and check it: values, weights, what is known of the rows.

    Parameters
    ----------
    index : int
    piece : mapping
        As a source yields it.
    missing : bool
        Whether NaN stands for a missing value.
    variances : bool
        Whether noise of as many rows as columns is known to be variances.
    """
    name = f"partition {index} of X"
    chunk = array_chunk(piece, name, lasting=True)
    chunk.variances = variances
    chunk.by_column = chunk.frame is not None  # as frames have them, whose partitions then need no copy
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
    """Where a partition is among the others: number of rows before it, and its fingerprint."""

    first: int
    digest: str
    selection: slice = slice(None)


class Request(NamedTuple):
    """What a pass over partitions is told, the same for all of them.

    Attributes
    ----------
    family, policy, record, restrict : str
        Name the passes.
    view : View
    mixture : Mixture
    n_stats : int
    key : int
        Seeds a policy that draws.
    wanted : Wanted
        What is computed of each row.
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
        """Specialised passes of this process."""
        return get_passes(get_family(self.family), self.policy, self.record, self.restrict)


def sweep_partition(partition: Partition, place: Place, request: Request) -> Sweep:
    """Expected sufficient statistics of a partition, or of a selection of its rows."""
    partition.check(place.digest)
    source = partition.source(request.view)
    if place.selection != slice(None):
        source = source.part(place.selection)
    return source.sweep(request.passes, request.mixture, request.n_stats, key=request.key + place.first, parallel=False)


def score_partition(partition: Partition, place: Place, request: Request) -> Scores:
    """What is wanted of the rows of a partition."""
    partition.check(place.digest)
    return partition.source(request.view).score(request.passes, request.mixture, request.wanted, parallel=False)


def squares_partition(partition: Partition, place: Place, request: View) -> Squares:
    """Squares of a partition's rows."""
    partition.check(place.digest)
    return squares_of(partition.source(request))


def weigh_parts(partition: Partition, place: Place, request: int) -> list[float]:
    """Weights of so many parts of a partition, whose rows are at equal distances."""
    partition.check(place.digest)
    block = partition.block
    assert block is not None
    if block.weights is None:
        return [float(len(block.values[part::request])) for part in range(request)]
    return [float(block.weights[part::request].sum()) for part in range(request)]


def add_sweeps(sweeps: Sequence[Sweep]) -> Sweep:
    """Statistics of partitions that follow each other."""
    return functools.reduce(Sweep.__add__, sweeps)


def join_scores(scores: Sequence[Scores]) -> Scores:
    """Scores of partitions that follow each other."""
    return Scores.joined(scores)


def add_squares(squares: Sequence[Squares]) -> Squares:
    """Squares of partitions that follow each other."""
    return functools.reduce(Squares.joined, squares)
