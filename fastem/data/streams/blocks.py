"""Reading of chunks of any size as blocks of one size, in a separate thread, with all checks on the way."""

from __future__ import annotations

import collections
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data.fingerprints import RunningFingerprint
from fastem.data.row_info import Annotations
from fastem.data.row_info_checks import is_ambiguous, read
from fastem.data.streams.admission import check_finite, check_names, check_weights, fill
from fastem.data.streams.chunks import Chunk
from fastem.data.streams.source import Source
from fastem.system.interrupts import undisturbed

AHEAD = 2  # buffers in addition to those that are held: one is ready, and one is being filled
PATIENCE = 1.0  # seconds to wait for the end of a reading that was abandoned


class Place(NamedTuple):
    """Place of rows of a block in a chunk: row `start` of the block is row `row` of the chunk `name`, and so on."""

    start: int
    name: str
    row: int


class Block(NamedTuple):
    """Rows in C order or by column, valid until more blocks are asked for than are held."""

    values: NDArray[Any]
    weights: NDArray[np.float64] | None
    first: int  # number of rows before the block
    places: list[Place]
    annotations: Annotations

    def part(self, start: int, stop: int) -> Block:
        """Views of some of its rows; the list of places is that of the block."""
        weights = None if self.weights is None else self.weights[start:stop]
        known = self.annotations.part(start, stop)
        return self._replace(values=self.values[start:stop], weights=weights, annotations=known)

    def place(self, row: int) -> str:
        """Name the chunk that a row of the block is from, and its row there."""
        place = max(place for place in self.places if place.start <= row)
        return f"row {place.row + row - place.start} of {place.name}"


class Entry(NamedTuple):
    """Number of rows and fingerprint of a chunk when it was read."""

    n_rows: int
    digest: str


class _Buffer:
    """Memory of a block, allocated when it is first written to."""

    def __init__(self) -> None:
        self._values: NDArray[Any] | None = None
        self._weights: NDArray[np.float64] | None = None
        self._annotations: Annotations | None = None

    def values(self, shape: tuple[int, int], dtype: Any, *, by_column: bool) -> NDArray[Any]:
        """Memory of rows (n, d) in C order, or by column with gaps, so that blocks of all sizes have one layout."""
        if self._values is None:
            n_rows, n_features = shape
            columns = np.empty((n_features, n_rows + 8), dtype) if by_column else None
            self._values = np.empty(shape, dtype) if columns is None else columns.T[:n_rows]
        return self._values

    def weights(self, n_rows: int) -> NDArray[np.float64]:
        """Memory of weights (n,)."""
        if self._weights is None:
            self._weights = np.empty(n_rows)
        return self._weights

    def annotations(self, n_rows: int, like: Annotations) -> Annotations:
        """Memory of annotations of `n_rows` rows, with the widths of `like`."""
        if self._annotations is None:
            arrays = (None if array is None else np.empty((n_rows, *array.shape[1:]), array.dtype) for array in like)
            self._annotations = Annotations(*arrays)
        return self._annotations


class _Abandoned(Exception):
    """Signal to the reading thread that no more blocks are wanted."""


class Reader:
    """Reads a source repeatedly, and checks that it yields the same rows each time.

    Parameters
    ----------
    source : Source
    missing : bool, default=False
        Whether NaN stands for a missing value.

    Attributes
    ----------
    n_features : int
        Set by the first chunk, as are `dtype`, `weighted`, and `header`: a frame without rows that has the chunk's
        names, or an array without rows.
    n_rows : int
        Set by the first complete reading.
    """

    def __init__(self, source: Source, *, missing: bool = False) -> None:
        self.source = source
        self.missing = missing
        self.n_features = 0
        self.n_rows = 0
        self.dtype: Any = None
        self.kind = ""
        self.weighted = False
        self.known = Annotations()  # annotations of the first rows
        self.header: Any = None
        self._settled = True  # whether it is known if noise is variances or covariances
        self._ledger: list[Entry] | None = None

    @property
    def block_rows(self) -> int:
        """Number of rows of every block but the last."""
        return max(1, self.source.chunk_bytes // (self.n_features * self.dtype.itemsize))

    def digest(self) -> str:
        """Fingerprint of all chunks and of their division into blocks, after a complete reading."""
        assert self._ledger is not None
        found = RunningFingerprint()
        found.add("ledger", np.frombuffer(repr((self.block_rows, self._ledger)).encode(), np.uint8))
        return found.digest()

    def blocks(self, held: int = 1) -> Generator[Block]:
        """Yield the blocks, while a thread reads ahead. Close the generator if you leave it early.

        Parameters
        ----------
        held : int, default=1
            Number of blocks that are valid at the same time: asking for one more overwrites the first of them.

        Raises
        ------
        ValueError
            If there are no rows; if a chunk differs from the first in its columns, dtype, weights or annotations; if
            values are not finite; if a chunk differs from an earlier reading. The message names the chunk.
        """
        free: queue.SimpleQueue[_Buffer] = queue.SimpleQueue()
        ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        abandoned = threading.Event()

        def take() -> _Buffer:
            buffer = free.get()
            if abandoned.is_set():
                raise _Abandoned
            return buffer

        def produce() -> None:
            try:
                for buffer, block in self._fill(take):
                    ready.put((buffer, block))
                ready.put(None)
            except BaseException as error:  # raised where the next block is asked for
                ready.put(error)

        for _ in range(held + AHEAD):
            free.put(_Buffer())
        thread = threading.Thread(target=produce, name="fastem-reader", daemon=True)
        used: collections.deque[_Buffer] = collections.deque()
        try:
            with undisturbed():  # an interrupt could leave a thread that runs but has no `ident` yet
                thread.start()
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                buffer, block = item
                used.append(buffer)
                yield block
                if len(used) == held:
                    free.put(used.popleft())
        finally:
            abandoned.set()
            free.put(_Buffer())
            if thread.ident is not None:
                thread.join(PATIENCE)

    def whole(self) -> Block:
        """All rows of a source in one block, read by this thread; raises the errors of `blocks`."""
        [(_, block)] = self._fill(_Buffer)
        return block

    def _fill(self, take: Callable[[], _Buffer]) -> Iterator[tuple[_Buffer, Block]]:
        """Copy chunks into blocks, and write or compare the ledger, the list of the chunks' entries."""
        ledger: list[Entry] = []
        n_rows = filled = 0
        for name, chunk in self.source.chunks():
            known = self._admit(name, chunk)
            found = RunningFingerprint()
            start = 0
            while start < chunk.shape[0]:
                if not filled:
                    buffer, places = take(), list[Place]()
                count = min(chunk.shape[0] - start, self.block_rows - filled)
                view = chunk.view(start, start + count) if count == self.block_rows else None
                annotations = buffer.annotations(self.block_rows, self.known)
                block = Block(*self._memory(buffer, chunk, view), n_rows - filled, places, annotations)
                part = block.part(filled, filled + count)
                if view is None:
                    fill(part.values, chunk, start, name)
                if part.weights is not None:
                    assert chunk.weights is not None
                    part.weights[:] = chunk.weights[start : start + count]
                    found.add("weights", part.weights)
                for field, target, array in zip(known._fields, part.annotations, known, strict=True):
                    if target is not None and array is not None:
                        target[:] = array[start : start + count]
                        found.add(field, target)
                if self._ledger is None:
                    check_finite(part.values, name, start, missing=self.missing)
                found.add("values", part.values)
                places.append(Place(filled, name, start))
                start, n_rows, filled = start + count, n_rows + count, filled + count
                if filled == self.block_rows:
                    yield buffer, block
                    filled = 0
            ledger.append(Entry(start, found.digest()))
            self._compare(len(ledger) - 1, ledger[-1], name)
        if filled:
            yield buffer, block.part(0, filled)
        self._conclude(ledger, n_rows)

    def _memory(
        self, buffer: _Buffer, chunk: Chunk, view: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Memory of a block's values (n, d) and weights (n,)."""
        shape = (self.block_rows, self.n_features)
        values = buffer.values(shape, self.dtype, by_column=chunk.by_column) if view is None else view
        return values, buffer.weights(self.block_rows) if self.weighted else None

    def _admit(self, name: str, chunk: Chunk) -> Annotations:
        """Check what can be checked of a chunk before its values are read; return annotations, one for each row."""
        first = not self.n_features
        if first:
            if not chunk.shape[1]:
                raise ValueError(f"{name} has no columns")
            self.n_features, self.kind, self.weighted = chunk.shape[1], chunk.kind, chunk.weights is not None
            self.header = np.empty((0, self.n_features)) if chunk.frame is None else chunk.frame
            self.dtype = np.dtype(np.float32 if chunk.kind == "float32" else np.float64)
        if chunk.shape[1] != self.n_features:
            raise ValueError(f"{name} has {chunk.shape[1]} features, where the first chunk has {self.n_features}")
        if chunk.frame is not self.header:
            check_names(chunk.frame, self.header, name)
        if chunk.kind != self.kind:
            raise ValueError(f"{name} holds {chunk.kind}, where the first chunk holds {self.kind}")
        if (chunk.weights is not None) != self.weighted:
            have, has = ("no weights", "has some") if self.weighted else ("weights", "has none")
            raise ValueError(f"{name} has {have}, where the first chunk {has}")
        if chunk.weights is not None:
            check_weights(chunk.weights, chunk.shape[0], name)
        return self._admit_known(name, chunk, first)

    def _admit_known(self, name: str, chunk: Chunk, first: bool) -> Annotations:
        """Annotations of a chunk, which must have the fields and widths of those of the first chunk."""
        doubtful = not chunk.variances and is_ambiguous(chunk.known.noise, chunk.shape)
        before = None if first or self.known.noise is None else self.known.noise.shape[1] == chunk.shape[1]
        variances = (before is not False) if doubtful else None if not chunk.variances else True
        try:
            trusted = self._ledger is not None  # the ledger detects later changes
            known = read(chunk.known, chunk.shape, sparing=False, trusted=trusted, variances=variances)
            known = known.by_row(chunk.shape[0])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if first:
            self.known, self._settled = known, not doubtful
        self._settled |= not doubtful
        for field, here, before in zip(known._fields, known, self.known, strict=True):
            shapes = [None if array is None else array.shape[1:] for array in (here, before)]
            if shapes[0] != shapes[1]:
                raise ValueError(f"{name} has other {field} than the first chunk, or one of the two has none")
        return known

    def _compare(self, index: int, entry: Entry, name: str) -> None:
        """Raise ValueError if a chunk differs from what the first reading found."""
        if self._ledger is None:
            return
        if index >= len(self._ledger):
            raise ValueError(f"the source has changed: {name} was not there when it was read before")
        if entry.n_rows != (before := self._ledger[index].n_rows):
            raise ValueError(f"the source has changed: {name} has {entry.n_rows} rows, and had {before} before")
        if entry != self._ledger[index]:
            raise ValueError(f"the source has changed: {name} holds other rows than when it was read before")

    def _conclude(self, ledger: list[Entry], n_rows: int) -> None:
        """Check that a reading is complete, and keep its ledger and number of rows."""
        if self._ledger is not None and len(ledger) < len(self._ledger):
            raise ValueError(
                f"the source has changed: it ends before chunk {len(ledger)}, and had {len(self._ledger)} chunks before"
            )
        if not self._settled:
            m = self.n_features
            raise ValueError(
                f"noise of shape ({m}, {m}) may be variances of {m} rows or a covariance of all, and each chunk has "
                f"{m} rows: give shape ({m}, {m}, {m}) or (1, {m}, {m})"
            )
        if not n_rows:
            raise ValueError("the source is empty: it yields no rows")
        self._ledger, self.n_rows = ledger, n_rows
