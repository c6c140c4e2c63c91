"""Rows in partitions that a scheduler reads and sweeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from fastem.data.chunked import View
from fastem.data.cluster.held import Held
from fastem.data.cluster.partitions import (
    Facts,
    Place,
    Request,
    add_squares,
    add_sweeps,
    join_scores,
    score_partition,
    squares_partition,
    sweep_partition,
    weigh_parts,
)
from fastem.data.fingerprints import RunningFingerprint
from fastem.engine.compiled import Passes
from fastem.engine.records import Mixture, Scores, Sweep, Wanted
from fastem.families._contract import Float


@dataclasses.dataclass(frozen=True)
class PartitionSource:
    """Rows in partitions.

    Parameters
    ----------
    held : Held
        The partitions.
    places : sequence of Place
        Place of each partition among the others.
    sizes : sequence of int
        Number of rows of each partition.
    total_weight : float
    weighted : bool
        Whether rows have weights.
    view : View
        How rows are read.
    """

    held: Held
    places: Sequence[Place]
    sizes: Sequence[int]
    total_weight: float
    weighted: bool
    view: View

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.view.origin)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(self.sizes)

    @property
    def restricted(self) -> bool:
        """Whether rows have labels or plausibilities."""
        return self.view.restricted

    @property
    def origin(self) -> Float:
        """Origin that is subtracted from every row (d,)."""
        return self.view.origin

    @property
    def most_blocks(self) -> int:
        """Number of partitions."""
        return len(self.places)

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass; draws are those of the same rows in one array."""
        request = self._request(passes, mixture)._replace(n_stats=n_stats, key=key)
        found: Sweep = self.held.fold(sweep_partition, self.places, request, add_sweeps)
        return found

    def score(
        self, passes: Passes, mixture: Mixture, wanted: Wanted | None = None, *, parallel: bool | None = None
    ) -> Scores:
        """Evaluate every row at `mixture`."""
        request = self._request(passes, mixture)._replace(wanted=Wanted() if wanted is None else wanted)
        found: Scores = self.held.fold(score_partition, self.places, request, join_scores)
        return found

    def _request(self, passes: Passes, mixture: Mixture) -> Request:
        return Request(passes.family.name, passes.policy, passes.record, passes.restrict, self.view, mixture)

    def unrestricted(self) -> PartitionSource:
        """The same rows without labels and plausibilities."""
        return dataclasses.replace(self, view=self.view._replace(restricted=False))

    def close(self) -> None:
        """Release the partitions that workers hold."""
        self.held.release()

    def start_squares(self) -> Float:
        """Mean squares (d,) of the features about the origin, as initial variances, see `start_squares`."""
        found: Float = self.held.fold(squares_partition, self.places, self.view, add_squares).for_start()
        return found

    def digest(self) -> str:
        """Fingerprint of all partitions."""
        found = RunningFingerprint()
        ledger = [(size, place.digest) for size, place in zip(self.sizes, self.places, strict=True)]
        found.add("partitions", np.frombuffer(repr(ledger).encode(), np.uint8))
        return found.digest()

    def blocks(self, n_blocks: int, order: Sequence[int]) -> Iterator[PartitionSource]:
        """Yield runs of consecutive partitions, in the given order."""
        bounds = np.linspace(0, self.most_blocks, n_blocks + 1).astype(int)
        for b in order:
            yield self._some(range(bounds[b], bounds[b + 1]))

    def batches(self, n_rows: int, random_state: np.random.RandomState) -> Iterator[PartitionSource]:
        """Yield batches: partitions come in their order, and the batches of each in random order."""
        for i, size in enumerate(self.sizes):
            own = self._some([i])
            n_batches = max(1, round(size / n_rows))
            batches = [range(b, size, n_batches) for b in range(n_batches)]
            weights = [float(len(batch)) for batch in batches]
            if self.weighted:
                [weights] = own.held.each(weigh_parts, own.places, n_batches)
            for b in random_state.permutation(n_batches):
                place = own.places[0]._replace(selection=slice(int(b), None, n_batches))
                yield dataclasses.replace(own, places=[place], sizes=[len(batches[b])], total_weight=weights[b])

    def _some(self, which: Sequence[int]) -> PartitionSource:
        """Some of the partitions, without their total weight, which their callers do not need."""
        places, sizes = [self.places[i] for i in which], [self.sizes[i] for i in which]
        return dataclasses.replace(self, held=self.held.some(which), places=places, sizes=sizes, total_weight=np.nan)


def places_of(facts: Sequence[Facts]) -> list[Place]:
    """Places of consecutive partitions."""
    places, first = [], 0
    for each in facts:
        places.append(Place(first, each.digest))
        first += each.n_rows
    return places
