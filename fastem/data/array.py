"""Rows of one array, in memory or in a memory map."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data.fingerprints import fingerprint
from fastem.data.row_info import NOTHING, Annotations, or_empty
from fastem.data.squares import start_squares
from fastem.engine.compiled import Passes
from fastem.engine.executor import Executor
from fastem.engine.records import Marks, Mixture, Rows, Scores, Sweep, Wanted
from fastem.families._contract import Float


class ArraySource:
    """Rows of one array in memory or in a memory map.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features), float64 or float32
        Any strides; never copied, never written to.
    weights : ndarray of shape (n_samples,), optional
        Weights of the rows; None counts each row once.
    origin : ndarray of shape (n_features,), optional
        Subtracted from every row as it is read. If rows are projections, those of the origin were subtracted before.
    single : bool, default=False
        Whether rows are evaluated in float32, see `single_suffices`; sums over tiles are float64 in any case.
    whole : bool, default=False
        Whether all rows are one slab, see `Executor`.
    annotations : Annotations
        Labels, noise, projections and the like.
    """

    def __init__(
        self,
        values: NDArray[Any],
        weights: Float | None = None,
        origin: Float | None = None,
        *,
        single: bool = False,
        whole: bool = False,
        annotations: Annotations = NOTHING,
    ) -> None:
        origin = np.zeros(annotations.n_features(values.shape[1])) if origin is None else origin
        self._hold(np.asarray(values), weights, annotations, origin)
        self.executor = Executor(single=single, whole=whole)  # parts share it

    def _hold(self, values: NDArray[Any], weights: Float | None, annotations: Annotations, origin: Float) -> None:
        """Set the rows, their weights and their annotations."""
        annotations.check_rows(len(values))
        # Read-only views: kernels cannot write to the data, and both kinds of array share one compiled pass.
        given = np.empty(0) if weights is None else weights
        known = map(_read_only, or_empty(annotations))
        about = origin if annotations.projection is None else np.zeros(values.shape[1])
        self.rows = Rows(_read_only(values), _read_only(given), _read_only(about), 0, *known)
        self.origin = origin
        self.annotations = annotations
        self.n_rows = len(values)
        self.n_features = annotations.n_features(values.shape[1])
        self.restricted = annotations.restricts
        self.total_weight = float(self.n_rows if weights is None else weights.sum())

    @property
    def precision(self) -> Any:
        """Type in which rows are evaluated."""
        return self.executor.precision

    @property
    def most_blocks(self) -> int:
        """Largest number of blocks that the rows can be cut into."""
        return self.n_rows

    def digest(self) -> str:
        """Fingerprint of all rows, weights and annotations, which does not depend on their layout in memory."""
        values, weights = self.rows.values, self._given_weights
        return fingerprint([("values", values), ("weights", weights), *self.annotations._asdict().items()])

    def holding(self, values: NDArray[Any], weights: Float | None, annotations: Annotations = NOTHING) -> "ArraySource":
        """A source of other rows, read in the same way."""
        source = copy.copy(self)
        source._hold(values, weights, annotations, self.origin)
        return source

    def unrestricted(self) -> "ArraySource":
        """The same rows without labels and plausibilities."""
        return self.holding(self.rows.values, self._given_weights, self.annotations.unrestricted)

    def close(self) -> None:
        """Do nothing: only this process holds the rows."""

    def start_squares(self) -> Float:
        """Mean squares (d,) of the features about the origin, as initial variances, see `start_squares`."""
        return start_squares([self])

    def among(self, components: NDArray[np.intp]) -> "ArraySource":
        """The same rows for a mixture that has only these components."""
        return self.holding(self.rows.values, self._given_weights, self.annotations.among(components))

    @property
    def _given_weights(self) -> Float | None:
        return self.rows.weights if self.rows.weights.size else None

    def part(self, selection: slice, share: Float | None = None) -> "ArraySource":
        """Some of the rows, copied in C order if they are not adjacent; `share` (n,) multiplies their weights."""
        values, weights = self.rows.values[selection], self.rows.weights[selection]
        if selection.step not in (None, 1):
            values = np.ascontiguousarray(values)
        if share is not None:
            weights = share * weights if weights.size else share
        weights_or_none = np.ascontiguousarray(weights) if weights.size else None
        return self.holding(values, weights_or_none, self.annotations.take(selection))

    def reordered(self, order: NDArray[Any]) -> "ArraySource":
        """A copy of the rows in another order."""
        weights = self.rows.weights[order] if self.rows.weights.size else None
        return self.holding(self.rows.values[order], weights, self.annotations.take(order))

    def blocks(self, n_blocks: int, order: Sequence[int]) -> Iterator["ArraySource"]:
        """Yield runs of adjacent rows in the given order; their lengths differ by at most one row."""
        bounds = np.linspace(0, self.n_rows, n_blocks + 1).astype(int)
        for b in order:
            yield self.part(slice(bounds[b], bounds[b + 1]))

    def batches(self, n_rows: int, random_state: np.random.RandomState) -> Iterator["ArraySource"]:
        """Yield batches of about `n_rows` rows in random order; the rows of a batch lie at equal distances."""
        n_batches = max(1, round(self.n_rows / n_rows))
        for b in random_state.permutation(n_batches):
            yield self.part(slice(b, None, n_batches))

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass: the E-step at `mixture` and its statistics of length `n_stats`; `key` seeds draws."""
        rows = self.rows._replace(key=key)
        return self.executor.within_range(lambda runs: runs.fold(passes, rows, mixture, n_stats, parallel=parallel))

    def marked_sweep(self, passes: Passes, mixture: Mixture, n_stats: int) -> tuple[Sweep, Marks]:
        """Run one fused pass that keeps the most probable component and the log-density of each row."""
        marks = Marks(np.empty(self.n_rows, np.int64), np.empty(self.n_rows))
        return self.executor.within_range(
            lambda runs: runs.fold(passes, self.rows, mixture, n_stats, marks=marks)
        ), marks

    def given(self, passes: Passes, mixture: Mixture, n_stats: int, blocks: Iterable[NDArray[Any]]) -> Sweep:
        """Statistics about the means of `mixture` for given responsibilities, in blocks (rows, K) of adjacent rows."""
        sweep: Sweep | None = None
        start = 0
        for block in blocks:
            stop = start + len(block)
            rows = self.part(slice(start, stop)).rows
            responsibilities = np.ascontiguousarray(block, dtype=self.precision)
            part = self.executor.fold(passes, rows, mixture, n_stats, given=responsibilities)
            sweep = part if sweep is None else sweep + part
            start = stop
        assert sweep is not None
        return sweep

    def score(
        self,
        passes: Passes,
        mixture: Mixture,
        wanted: Wanted | None = None,
        *,
        parallel: bool | None = None,
    ) -> Scores:
        """Evaluate every row at `mixture`."""
        wanted = Wanted() if wanted is None else wanted
        return self.executor.within_range(lambda runs: runs.score(passes, self.rows, mixture, wanted, parallel))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view
