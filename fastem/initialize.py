"""Starting responsibilities, and the mixture that they give.

With the same random state and data the responsibilities are those of scikit-learn's mixtures: the same calls in the
same order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus

from fastem.compiled import get_passes
from fastem.families import Family
from fastem.families._contract import Float, Prior, safe_ratio
from fastem.problem import maximise_params
from fastem.sources import ArraySource, Mixture, Wanted
from fastem.threads import one_thread

BLOCK_ROWS = 16384  # rows whose responsibilities exist at once
REDRAWS = 2  # of a start beside a background: a third mends one in a hundred

Blocks = Callable[[], Iterator[NDArray[Any]]]


@dataclass(frozen=True)
class Sample:
    """Rows that a fit starts from."""

    values: NDArray[Any]
    weights: Float | None


def draw_sample(
    values: NDArray[Any],
    weights: Float | None,
    init_size: int,
    random_state: np.random.RandomState,
) -> Sample:
    """All rows of positive weight, or `init_size` of them where there are more."""
    if weights is not None and not weights.all():
        present = np.flatnonzero(weights)
        if len(present) > init_size:
            present = present[_one_of_each_run(len(present), init_size, random_state)]
    elif len(values) > init_size:
        present = _one_of_each_run(len(values), init_size, random_state)
    else:
        return Sample(values, weights)
    return Sample(values[present], None if weights is None else weights[present])


class Reservoir:
    """A sample of the rows of positive weight of a source: all of them, or `size`, each as likely as any other.

    J. S. Vitter (1985), Random sampling with a reservoir, ACM Transactions on Mathematical Software 11, 37-57,
    algorithm R.
    """

    def __init__(self, size: int, random_state: np.random.RandomState) -> None:
        self.size = size
        self.random_state = random_state
        self.n_seen = 0
        self._values: NDArray[Any] | None = None
        self._weights: Float | None = None

    def add(self, values: NDArray[Any], weights: Float | None) -> None:
        """Take in more rows."""
        if weights is not None and not weights.all():
            present = np.flatnonzero(weights)
            values, weights = values[present], weights[present]
        if not self.size or not len(values):
            return
        n_first = min(max(self.size - self.n_seen, 0), len(values))
        if n_first:
            self._values = _extended(self._values, values[:n_first])
            self._weights = None if weights is None else _extended(self._weights, weights[:n_first])
        if n_first < len(values):
            drawn = self.random_state.randint(self.n_seen + 1 + np.arange(n_first, len(values)), dtype=np.int64)
            chosen = np.flatnonzero(drawn < self.size)
            places, last = np.unique(drawn[chosen][::-1], return_index=True)  # of several for a place the last stays
            rows = n_first + chosen[::-1][last]
            assert self._values is not None
            self._values[places] = values[rows]
            if self._weights is not None and weights is not None:
                self._weights[places] = weights[rows]
        self.n_seen += len(values)

    def sample(self) -> Sample:
        """The rows."""
        assert self._values is not None
        return Sample(self._values, self._weights)


def _extended(rows: NDArray[Any] | None, more: NDArray[Any]) -> NDArray[Any]:
    return more.copy() if rows is None else np.concatenate([rows, more])


def _one_of_each_run(n_rows: int, n_runs: int, random_state: np.random.RandomState) -> NDArray[np.int64]:
    """Draw a row from each of `n_runs` runs of neighbours, of equal length but for one row.

    Rows that are ordered in some way are sampled evenly, and memory maps are read from their beginning to their end.
    """
    bounds = np.arange(n_runs + 1) * n_rows // n_runs
    return bounds[:-1] + random_state.randint(np.diff(bounds), dtype=np.int64)


def draw_responsibilities(
    method: str, sample: Sample, n_components: int, random_state: np.random.RandomState
) -> Blocks:
    """Draw starting responsibilities; the result yields them in blocks (rows, K), as often as it is called.

    Parameters
    ----------
    method : {"kmeans", "k-means++", "random", "random_from_data"}
        Hard assignment by k-means; one row each, chosen by k-means++; uniform noise; one row each, chosen at random.
    sample : Sample
    n_components : int
    random_state : RandomState
        Moved on by the draw.
    """
    values, weights = sample.values, sample.weights
    if method == "random":
        return _uniform(len(values), n_components, random_state)
    if method == "kmeans":
        kmeans = KMeans(n_components, n_init=1, random_state=random_state)
        with one_thread():
            labels = kmeans.fit(values, sample_weight=weights).labels_
        return _labelled(labels, n_components)
    if method == "k-means++":
        _, chosen = kmeans_plusplus(values, n_components, sample_weight=weights, random_state=random_state)
    else:
        share = None if weights is None or (weights == weights[0]).all() else weights / weights.sum()
        chosen = random_state.choice(len(values), size=n_components, replace=False, p=share)
    return _one_row_each(chosen, len(values))


def given_blocks(responsibilities: NDArray[Any]) -> Blocks:
    """Yield the blocks of an array (n, K)."""

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, len(responsibilities), BLOCK_ROWS):
            yield responsibilities[start : start + BLOCK_ROWS]

    return blocks


def start_from(family: Family, sample: Sample, origin: Float, blocks: Blocks, prior: Prior) -> Mixture:
    """Mixture that maximises the likelihood of `sample` under given responsibilities.

    Means come first, then second moments about them, so that nothing cancels. Weights are the mass per unit of weight,
    which is below one in total where not every row is assigned.
    """
    source = ArraySource(sample.values, sample.weights, origin)
    params = family.params_at(_weighted_means(source, blocks))
    n_components = len(params[0])
    n_stats = family.n_stats(source.n_features, n_components)
    mixture = Mixture(np.full(n_components, 1.0 / n_components), params)
    sweep = source.given(get_passes(family.name), mixture, n_stats, blocks())
    return Mixture(sweep.mass / source.total_weight, maximise_params(family, sweep, params, prior))


def improved(family: Family, sample: Sample, origin: Float, mixture: Mixture, prior: Prior) -> Mixture:
    """A mixture after an EM step on `sample`."""
    source = ArraySource(sample.values, sample.weights, origin)
    n_stats = family.n_stats(source.n_features, mixture.weights.size)
    sweep = source.sweep(get_passes(family.name), mixture, n_stats)
    return Mixture(sweep.mass / sweep.mass.sum(), maximise_params(family, sweep, mixture.params, prior))


def start_beside_background(
    family: Family, sample: Sample, origin: Float, draw: Callable[[Sample], Mixture]
) -> Mixture:
    """A start from rows that are not the background's, which are found by making starts.

    k-means gives clusters of their own to outliers that are far out, and EM does not leave them. So a start is drawn
    from all rows, anew from those that it does not label background, and so on until the labels stay.

    Parameters
    ----------
    family : Family
        One with a background.
    sample : Sample
    origin : ndarray of shape (d,)
    draw : callable (Sample) -> Mixture
        Makes a start from some rows.
    """
    source = ArraySource(sample.values, sample.weights, origin)
    mixture, kept = draw(sample), np.ones(len(sample.values), dtype=np.bool_)
    last = mixture.weights.size - 1
    for _ in range(REDRAWS):
        wanted = Wanted(labels=True, posterior=False)
        inside = source.score(get_passes(family.name), mixture, wanted).rows.labels < last
        if (inside == kept).all() or np.count_nonzero(inside) < last * (source.n_features + 1):
            break
        kept = inside
        mixture = draw(Sample(sample.values[kept], None if sample.weights is None else sample.weights[kept]))
    return mixture


def _weighted_means(source: ArraySource, blocks: Blocks) -> Float:
    """Mean row of each component (K, d), about the source's origin; zero for a component without rows."""
    rows = source.rows
    sums: Any = 0.0
    mass: Any = 0.0
    start = 0
    for block in blocks():
        stop = start + len(block)
        part = rows.values[start:stop] - rows.origin
        if rows.weights.size:
            block = block * rows.weights[start:stop, None]
        sums = sums + block.T @ part
        mass = mass + block.sum(axis=0)
        start = stop
    return safe_ratio(np.asarray(sums), np.asarray(mass))


def _labelled(labels: NDArray[Any], n_components: int) -> Blocks:
    """Responsibility one for the component that each row is labelled with."""
    identity = np.eye(n_components)

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, len(labels), BLOCK_ROWS):
            yield identity[labels[start : start + BLOCK_ROWS]]

    return blocks


def _one_row_each(chosen: NDArray[Any], n_rows: int) -> Blocks:
    """Each component is responsible for the one row chosen for it, and no component for the rest."""

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, n_rows, BLOCK_ROWS):
            block = np.zeros((min(BLOCK_ROWS, n_rows - start), len(chosen)))
            inside = np.flatnonzero((chosen >= start) & (chosen < start + len(block)))
            block[chosen[inside] - start, inside] = 1.0
            yield block

    return blocks


def _uniform(n_rows: int, n_components: int, random_state: np.random.RandomState) -> Blocks:
    """Uniform noise, normalised; drawn anew from the same state each time rather than kept."""
    before = random_state.get_state()
    for start in range(0, n_rows, BLOCK_ROWS):  # leave the state as one large draw would
        random_state.uniform(size=(min(BLOCK_ROWS, n_rows - start), n_components))

    def blocks() -> Iterator[NDArray[Any]]:
        replay = np.random.RandomState()
        replay.set_state(before)
        for start in range(0, n_rows, BLOCK_ROWS):
            block = replay.uniform(size=(min(BLOCK_ROWS, n_rows - start), n_components))
            yield block / block.sum(axis=1, keepdims=True)

    return blocks
