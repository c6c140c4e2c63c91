"""Rows that are read again in each pass."""

from __future__ import annotations

import copy
import functools
import itertools
import operator
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from fastem.data.array import ArraySource
from fastem.data.row_info import Annotations
from fastem.data.squares import start_squares
from fastem.data.streams import Reader
from fastem.engine.compiled import Passes
from fastem.engine.records import Mixture, Scores, Sweep, Wanted
from fastem.engine.threads import held_tasks, pipelined
from fastem.families._contract import Float


class View(NamedTuple):
    """How rows of a source are read.

    Attributes
    ----------
    origin : ndarray of shape (n_features,)
        Subtracted from every row as it is read.
    single : bool
        Whether rows are evaluated in float32, see `single_suffices`.
    kind : type
        Class of the source that holds a block.
    log_widths : ndarray of shape (1, n_features), optional
        Logarithms of the widths of a background's box, see `Annotations`.
    noisy : bool
        Whether passes take the noise into account: not if all of it is zero and rows are no projections.
    restricted : bool
        Whether passes take labels or plausibilities into account.
    """

    origin: Float
    single: bool = False
    kind: type[ArraySource] = ArraySource
    log_widths: Float | None = None
    noisy: bool = True
    restricted: bool = False

    def of(self, known: Annotations) -> Annotations:
        """Annotations that passes get for rows with the annotations `known`."""
        known = known._replace(log_widths=self.log_widths)
        known = known if self.restricted else known.unrestricted
        return known if self.noisy else known._replace(noise=None)


class ChunkSource:
    """Rows of a `Source` that has been read once.

    Parameters
    ----------
    reader : Reader
    total_weight : float
        Sum of the rows' weights.
    view : View
        How rows are read.
    """

    def __init__(self, reader: Reader, total_weight: float, view: View) -> None:
        self.reader = reader
        self.view = view
        self.n_features = reader.known.n_features(reader.n_features)
        self.total_weight = total_weight
        nothing = np.empty((0, reader.n_features), reader.dtype)
        self._block = view.kind(nothing, None, view.origin, single=view.single, whole=True)

    @property
    def restricted(self) -> bool:
        """Whether rows have labels or plausibilities."""
        return self.view.restricted

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.reader.n_rows

    @property
    def origin(self) -> Float:
        """Origin that is subtracted from every row (d,)."""
        return self._block.origin

    @property
    def most_blocks(self) -> int:
        """Number of blocks that are read."""
        return -(-self.n_rows // self.reader.block_rows)

    def unrestricted(self) -> ChunkSource:
        """The same rows without labels and plausibilities."""
        source = copy.copy(self)
        source.view = self.view._replace(restricted=False)
        return source

    def close(self) -> None:
        """Do nothing: only this process holds the rows."""

    def start_squares(self) -> Float:
        """Mean squares (d,) of the features about the origin, as initial variances, see `start_squares`."""
        with closing(self._read()) as blocks:
            return start_squares(block for _, block in blocks)

    def digest(self) -> str:
        """Fingerprint of all chunks."""
        return self.reader.digest()

    def _read(self, held: int = 1) -> Generator[tuple[int, ArraySource]]:
        """Yield blocks, each with the number of rows before it; `held` of them are valid at the same time."""
        with closing(self.reader.blocks(held)) as blocks:
            for block in blocks:
                yield block.first, self._block.holding(block.values, block.weights, self.view.of(block.annotations))

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass; draws are those of the same rows in one array."""
        with closing(self._read(held_tasks())) as blocks:
            return _Run(blocks).sweep(passes, mixture, n_stats, key=key, parallel=parallel)

    def score(
        self, passes: Passes, mixture: Mixture, wanted: Wanted | None = None, *, parallel: bool | None = None
    ) -> Scores:
        """Evaluate every row at `mixture`."""

        def score(item: tuple[int, ArraySource]) -> Scores:
            return item[1].score(passes, mixture, wanted, parallel=parallel)

        with closing(self._read(held_tasks())) as blocks:
            return Scores.joined(list(pipelined(score, blocks)))

    def blocks(self, n_blocks: int, order: Sequence[int]) -> Iterator[_Run]:
        """Yield runs of consecutive blocks; `order` must be the order of the source."""
        assert list(order) == list(range(n_blocks))
        bounds = np.linspace(0, self.most_blocks, n_blocks + 1).astype(int)
        with closing(self._read(held_tasks())) as blocks:
            for first, last in itertools.pairwise(bounds):
                yield _Run(itertools.islice(blocks, last - first))

    def batches(self, n_rows: int, random_state: np.random.RandomState) -> Iterator[ArraySource]:
        """Yield batches: blocks come in the order of the source, and the batches of each block in random order."""
        with closing(self._read()) as blocks:
            for _, block in blocks:
                yield from block.batches(n_rows, random_state)


class _Run:
    """Consecutive blocks, each with the number of rows before it, that are read once."""

    def __init__(self, blocks: Iterator[tuple[int, ArraySource]]) -> None:
        self._blocks = blocks

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass, blocks on all threads."""

        def sweep(item: tuple[int, ArraySource]) -> Sweep:
            first, block = item
            return block.sweep(passes, mixture, n_stats, key=key + first, parallel=parallel)

        return functools.reduce(operator.add, pipelined(sweep, self._blocks))
