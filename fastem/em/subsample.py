"""Rows with their annotations, and samples of rows from which starts are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data import ArraySource
from fastem.data.row_info import NOTHING, Annotations
from fastem.em.problem import has_nan
from fastem.families import Family, family_for
from fastem.families._contract import Float

WITNESSES = 10  # rows with a value in a column, to be added to a sample that has none


@dataclass(frozen=True)
class Sample:
    """Rows from which starts are made.

    Attributes
    ----------
    values : ndarray of shape (n, m)
    weights : ndarray of shape (n,), optional
    annotations : Annotations
        Annotations of the rows.
    latent : ndarray of shape (n, d), optional
        Features by which rows are clustered, if these are not the values; NaN where they are unknown.
    """

    values: NDArray[Any]
    weights: Float | None
    annotations: Annotations = NOTHING
    latent: Float | None = None

    def take(self, selection: NDArray[np.intp]) -> Sample:
        """Some of the rows."""
        weights = None if self.weights is None else self.weights[selection]
        latent = None if self.latent is None else self.latent[selection]
        return Sample(self.values[selection], weights, self.annotations.take(selection), latent)

    def joined(self, other: Sample) -> Sample:
        """These rows and then others, which have the same annotations."""
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        values = np.concatenate([self.values, other.values])
        sizes = len(self.values), len(other.values)
        return Sample(values, weights, self.annotations.joined(other.annotations, sizes))

    def put(self, places: NDArray[np.intp], rows: Sample) -> None:
        """Overwrite the rows at some places by others."""
        mine: Any = (self.values, self.weights, *self.annotations)
        for array, other in zip(mine, (rows.values, rows.weights, *rows.annotations), strict=True):
            if array is not None:
                array[places] = other

    def source(self, origin: Float) -> ArraySource:
        """Source of its rows with noise and projections, without labels and plausibilities."""
        return ArraySource(self.values, self.weights, origin, annotations=self.annotations.unrestricted)

    def family(self, family: Family) -> Family:
        """The variation of a family that the rows need."""
        missing = self.latent is not None and has_nan(self.values)
        return family_for(family, missing=missing, errors=self.annotations.has_errors)

    @property
    def given_or_unit_weights(self) -> Float:
        """Weights of the rows (n,), ones where none were given."""
        return np.ones(len(self.values)) if self.weights is None else self.weights

    @property
    def total_weight(self) -> float:
        """Sum of the rows' weights."""
        return float(len(self.values) if self.weights is None else self.weights.sum())

    @property
    def n_present(self) -> int:
        """Number of rows of positive weight."""
        return len(self.values) if self.weights is None else int(np.count_nonzero(self.weights))

    @property
    def features(self) -> Float:
        """Features (n, d) by which rows are clustered."""
        return self.values if self.latent is None else self.latent


def draw_sample(rows: Sample, init_size: int, random_state: np.random.RandomState) -> Sample:
    """All rows of positive weight, or `init_size` of them if there are more, of which up to half are labelled."""
    if rows.annotations.telling is None and (rows.weights is None or rows.weights.all()):  # needs no array of indices
        drawn = draw_places([len(rows.values)], init_size, random_state)
        return rows if drawn is None else rows.take(drawn[0])
    strata = strata_of(rows)
    chosen = draw_places([len(stratum) for stratum in strata], init_size, random_state)
    if chosen is None:
        return rows if sum(map(len, strata)) == len(rows.values) else rows.take(np.sort(np.concatenate(strata)))
    return take_places(rows, strata, chosen)


def strata_of(rows: Sample) -> list[NDArray[np.intp]]:
    """Indices of the rows of positive weight; if some are labelled, indices of these and of the others.

    Rows with unequal plausibilities count as labelled.
    """
    telling = rows.annotations.telling
    present = np.arange(len(rows.values)) if rows.weights is None else np.flatnonzero(rows.weights)
    if telling is None:
        return [present]
    return [present[telling[present]], present[~telling[present]]]


def draw_places(
    sizes: Sequence[int], init_size: int, random_state: np.random.RandomState
) -> list[NDArray[np.intp]] | None:
    """Draw the places in each stratum that a sample takes, see `strata_of`; None if it takes all of them."""
    if sum(sizes) <= init_size:
        return None
    chosen: list[NDArray[np.intp]] = []
    for size in sizes:
        last = len(chosen) == len(sizes) - 1
        wanted = init_size - sum(map(len, chosen)) if last else init_size // 2
        chosen.append(np.arange(size) if size <= wanted else _one_of_each_run(size, wanted, random_state))
    return chosen


def take_places(rows: Sample, strata: Sequence[NDArray[np.intp]], chosen: Sequence[NDArray[np.intp]]) -> Sample:
    """Rows at some places of their strata, in the order of the rows."""
    return rows.take(np.sort(np.concatenate([stratum[some] for stratum, some in zip(strata, chosen, strict=True)])))


def witnesses(rows: Sample, columns: NDArray[np.bool_]) -> Sample:
    """A few rows of positive weight that have a value in each of the columns of a mask (m,), at equal distances."""
    chosen = [np.zeros(0, dtype=np.intp)]
    for column in np.flatnonzero(columns):
        seen = ~np.isnan(rows.values[:, column])
        candidates = np.flatnonzero(seen if rows.weights is None else seen & (rows.weights > 0.0))
        chosen.append(candidates[:: -(-len(candidates) // WITNESSES) or 1])
    return rows.take(np.unique(np.concatenate(chosen)))


def seeing_all(sample: Sample, rows: Sample) -> Sample:
    """The sample and `witnesses` of the columns in which it has no value: starts need a value of each column."""
    unseen = np.isnan(sample.values).all(axis=0)
    return sample.joined(witnesses(rows, unseen)) if unseen.any() else sample


class Reservoir:
    """A sample of the rows of positive weight of a source: all of them, or `size`, each as likely as any other.

    J. S. Vitter (1985), Random sampling with a reservoir, ACM Transactions on Mathematical Software 11, 37-57,
    algorithm R.
    """

    def __init__(self, size: int, random_state: np.random.RandomState) -> None:
        self.size = size
        self.random_state = random_state
        self.n_seen = 0
        self._rows: Sample | None = None

    def add(self, rows: Sample) -> None:
        """Add the next rows of the source."""
        if rows.weights is not None and not rows.weights.all():
            rows = rows.take(np.flatnonzero(rows.weights))
        n_rows = len(rows.values)
        if not self.size or not n_rows:
            return
        n_first = min(max(self.size - self.n_seen, 0), n_rows)
        if n_first:
            some = rows.take(np.arange(n_first))
            self._rows = some if self._rows is None else self._rows.joined(some)
        if n_first < n_rows:
            drawn = self.random_state.randint(self.n_seen + 1 + np.arange(n_first, n_rows), dtype=np.int64)
            chosen = np.flatnonzero(drawn < self.size)
            places, last = np.unique(drawn[chosen][::-1], return_index=True)  # the last row for a place stays
            assert self._rows is not None
            self._rows.put(places, rows.take(n_first + chosen[::-1][last]))
        self.n_seen += n_rows

    def sample(self) -> Sample:
        """The rows of the sample."""
        assert self._rows is not None
        return self._rows


class LabelledReservoir:
    """The same if some rows are labelled, see `strata_of`: they are at most half of the sample."""

    def __init__(self, size: int, random_state: np.random.RandomState) -> None:
        self.size = size
        self._random_state = random_state
        self._telling = Reservoir(max(size // 2, min(size, 1)), random_state)
        self._others = Reservoir(size, random_state)

    def add(self, rows: Sample) -> None:
        """Add the next rows of the source."""
        telling = rows.annotations.telling
        if telling is None:
            self._others.add(rows)
        else:
            self._telling.add(rows.take(np.flatnonzero(telling)))
            self._others.add(rows.take(np.flatnonzero(~telling)))

    def sample(self) -> Sample:
        """The rows of the sample."""
        parts = [reservoir.sample() for reservoir in (self._telling, self._others) if reservoir.n_seen]
        if len(parts) == 1:
            return parts[0]
        here = len(parts[1].values)
        n_others = min(self.size - len(parts[0].values), here)
        chosen = np.arange(n_others)
        if n_others < here:  # a reservoir is not in random order: the first rows stay near its beginning
            chosen = np.sort(self._random_state.choice(here, n_others, replace=False))
        return parts[0].joined(parts[1].take(chosen))


def _one_of_each_run(n_rows: int, n_runs: int, random_state: np.random.RandomState) -> NDArray[np.int64]:
    """Draw a row from each of `n_runs` runs of adjacent rows, whose lengths differ by at most one; indices (n_runs,).

    Rows that are ordered in some way are sampled evenly, and memory maps are read from their beginning to their end.
    """
    bounds = np.arange(n_runs + 1) * n_rows // max(n_runs, 1)
    return bounds[:-1] + random_state.randint(np.diff(bounds), dtype=np.int64)
