"""Starting responsibilities, and the mixture made from them.

With the same random state and data the responsibilities are those of scikit-learn's mixtures: the same draws in the
same order.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data import ArraySource, Mixture, Sweep, Wanted, weights_suffice
from fastem.data.row_info import Annotations
from fastem.em.initialization.clustering import choose_rows, cluster, cluster_known, seed_rows
from fastem.em.problem import maximise_params
from fastem.em.subsample import Sample
from fastem.engine.compiled import get_passes
from fastem.families import Family
from fastem.families._contract import Float, Params, Prior, safe_ratio
from fastem.families._host import StartRows

BLOCK_ROWS = 16384  # rows whose responsibilities are in memory at once
SMALLEST_SHARE = 1e-3  # least initial variance of a component of incomplete rows, relative to the column's variance
REDRAWS = 2  # of a start with a background: a third would improve one in a hundred

Blocks = Callable[[], Iterator[NDArray[Any]]]


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
        Advanced by the draw.
    """
    values, weights = sample.values, _in_range(sample.weights, sample.values.dtype)
    plausible = _plausible(sample.annotations, n_components)
    if method == "random":
        return _uniform(len(values), n_components, random_state, plausible)
    if plausible is not None or sample.latent is not None:
        features = np.asarray(sample.features, dtype=np.float64)
        if method == "kmeans":
            return labelled(cluster_known(features, weights, plausible, n_components, random_state), n_components)
        spread = method == "k-means++"
        return _one_row_each(choose_rows(features, weights, plausible, n_components, random_state, spread), len(values))
    if method == "kmeans":
        return labelled(cluster(values, weights, n_components, random_state), n_components)
    if method == "k-means++":
        chosen = seed_rows(values, weights, n_components, random_state)
    else:
        share = None if weights is None or (weights == weights[0]).all() else weights / weights.sum()
        chosen = random_state.choice(len(values), size=n_components, replace=False, p=share)
    return _one_row_each(chosen, len(values))


def _in_range(weights: Float | None, dtype: Any) -> Float | None:
    """Weights (n,) that are safe in the dtype of the rows, multiplied by a power of two if they are not so yet."""
    if weights is None or dtype != np.float32 or weights_suffice(weights):
        return weights
    return weights * np.ldexp(1.0, -np.frexp(weights.max())[1])


def _plausible(annotations: Annotations, n_components: int) -> Float | None:
    """Plausibilities of the components (n, K); equal for rows for which only a background is plausible."""
    if annotations.labels is None and annotations.plausibility is None:
        return None
    largest = 0 if annotations.labels is None else int(annotations.labels.max())
    plausible = annotations.plausible(max(n_components, largest + 1))
    assert plausible is not None
    plausible = plausible[:, :n_components]
    return np.where((plausible > 0.0).any(axis=1, keepdims=True), plausible, 1.0)


def given_blocks(responsibilities: NDArray[Any]) -> Blocks:
    """Yield the blocks of an array (n, K)."""

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, len(responsibilities), BLOCK_ROWS):
            yield responsibilities[start : start + BLOCK_ROWS]

    return blocks


def starting_statistics(family: Family, sample: Sample, origin: Float, blocks: Blocks) -> tuple[Sweep, Params]:
    """Statistics of `sample` under given responsibilities, and the parameters whose means they are about.

    Means are computed first, and then second moments about them, which avoids cancellation.
    """
    family, source = sample.family(family), sample.source(origin)
    if sample.latent is None:
        params = family.params_at(_weighted_means(source, blocks))
    else:
        params = family.params_at(*_known_moments(sample.latent - origin, sample.weights, blocks))
    n_components = len(params[0])
    n_stats = family.n_stats(source.n_features, n_components)
    mixture = Mixture(np.full(n_components, 1.0 / n_components), params)
    return source.given(get_passes(family), mixture, n_stats, blocks()), params


def start_from(family: Family, sample: Sample, origin: Float, blocks: Blocks, prior: Prior) -> Mixture:
    """Mixture that maximises the likelihood of `sample` under given responsibilities.

    Weights are the components' mass over the total weight; they sum to less than one if not every row is assigned.
    """
    sweep, params = starting_statistics(family, sample, origin, blocks)
    family = sample.family(family)
    return Mixture(sweep.mass / sample.total_weight, maximise_params(family, sweep, params, prior))


class Started(NamedTuple):
    """Weights and described parameters that a fit starts with."""

    weights: Float
    described: dict[str, Float]


def begin(family: Family, sample: Sample, origin: Float, blocks: Blocks, prior: Prior, *, beside: bool) -> Started:
    """`start_from` with the family's adjustments; `beside` a background, an EM step takes all rows into account."""
    mixture = start_from(family, sample, origin, blocks, prior)
    few = mixture.weights.sum() < 1.0 - 1e-12
    if beside and few:
        # Components made from one row each are so narrow that they would leave all other rows to the background.
        mixture = improved(family, sample, origin, mixture, prior)
        few = mixture.weights.sum() < 1.0 - 1e-12
    described, adjust = family.describe(mixture.params), family.host.adjust_start
    if adjust is not None:
        plain = prior.conjugate is None and sample.latent is None
        weights = sample.given_or_unit_weights
        described = adjust(
            described, StartRows(sample.values, weights, origin, mixture.weights, few, prior.reg_covar, plain)
        )
    return Started(mixture.weights, described)


def improved(family: Family, sample: Sample, origin: Float, mixture: Mixture, prior: Prior) -> Mixture:
    """A mixture after an EM step on `sample`."""
    family, source = sample.family(family), sample.source(origin)
    n_stats = family.n_stats(source.n_features, mixture.weights.size)
    sweep = source.sweep(get_passes(family), mixture, n_stats)
    return Mixture(sweep.mass / sweep.mass.sum(), maximise_params(family, sweep, mixture.params, prior))


def start_beside_background(
    family: Family, sample: Sample, origin: Float, draw: Callable[[Sample], Mixture]
) -> Mixture:
    """A start from the rows that do not belong to the background, which earlier starts identify.

    k-means gives distant outliers clusters of their own, which EM does not leave. So one start is drawn from all rows,
    the next from the rows that this start does not label as background, and so on until the labels do not change.

    Parameters
    ----------
    family : Family
        One with a background.
    sample : Sample
    origin : ndarray of shape (d,)
    draw : callable (Sample) -> Mixture
        Makes a start from some rows.
    """
    source, telling = sample.source(origin), sample.annotations.telling
    mixture, kept = draw(sample), np.ones(len(sample.values), dtype=np.bool_)
    last = mixture.weights.size - 1
    for _ in range(REDRAWS):
        wanted = Wanted(labels=True, posterior=False)
        inside = source.score(get_passes(family), mixture, wanted).rows.labels < last
        inside = inside if telling is None else inside | telling
        if (inside == kept).all() or np.count_nonzero(inside) < last * (source.n_features + 1):
            break
        kept = inside
        mixture = draw(sample.take(np.flatnonzero(kept)))
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


def _known_moments(values: Float, weights: Float | None, blocks: Blocks) -> tuple[Float, Float]:
    """Means and variances (K, d) of each component's observed values; of all observed values where it has none."""
    there = ~np.isnan(values)
    known = np.where(there, values, 0.0)
    mass = there * 1.0 if weights is None else there * weights[:, None]
    counts = sums = squares = np.zeros(())
    for start, block in zip(range(0, len(values), BLOCK_ROWS), blocks(), strict=True):
        part = slice(start, start + BLOCK_ROWS)
        counts = counts + block.T @ mass[part]
        sums = sums + block.T @ (mass[part] * known[part])
    total = mass.sum(axis=0)
    centre = (known * mass).sum(axis=0) / total
    variance = (there * mass * (known - centre) ** 2).sum(axis=0) / total
    variance = np.where(variance > 0.0, variance, 1.0)
    means = np.where(counts > 0.0, sums / np.where(counts > 0.0, counts, 1.0), centre)
    for start, block in zip(range(0, len(values), BLOCK_ROWS), blocks(), strict=True):
        part = slice(start, start + BLOCK_ROWS)
        residuals = known[part] - block @ means / np.maximum(block.sum(axis=1, keepdims=True), 1e-300)
        squares = squares + block.T @ (mass[part] * residuals**2)
    variances = np.where(counts > 0.0, squares / np.where(counts > 0.0, counts, 1.0), variance)
    return means, np.maximum(variances, SMALLEST_SHARE * variance)


def labelled(labels: NDArray[Any], n_components: int) -> Blocks:
    """Responsibilities that are one for the component of each row's label, in blocks (rows, K)."""
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


def _uniform(
    n_rows: int, n_components: int, random_state: np.random.RandomState, plausible: Float | None = None
) -> Blocks:
    """Uniform noise times plausibilities, normalised; drawn again from the same state each time, to save memory."""
    before = random_state.get_state()
    for start in range(0, n_rows, BLOCK_ROWS):  # leave the state as one large draw would
        random_state.uniform(size=(min(BLOCK_ROWS, n_rows - start), n_components))

    def blocks() -> Iterator[NDArray[Any]]:
        replay = np.random.RandomState()
        replay.set_state(before)
        for start in range(0, n_rows, BLOCK_ROWS):
            block = replay.uniform(size=(min(BLOCK_ROWS, n_rows - start), n_components))
            if plausible is not None:
                block *= plausible[start : start + BLOCK_ROWS]
            yield block / block.sum(axis=1, keepdims=True)

    return blocks
