"""Makes a problem from a collection: workers that hold the partitions read and sample them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data import View
from fastem.data.cluster.collections import Collection
from fastem.data.cluster.held import Held
from fastem.data.cluster.partitions import Facts, Partition, Place, load_partition
from fastem.data.cluster.schedulers import Scheduler
from fastem.data.cluster.source import PartitionSource, places_of
from fastem.em.problem import sum_log_base
from fastem.em.setup import Posed, Surveyed, pose_surveyed
from fastem.em.subsample import Sample, draw_places, seeing_all, strata_of, take_places
from fastem.em.survey import Model, Survey, survey
from fastem.families import Family, get_family
from fastem.families._contract import Prior


class Questions(NamedTuple):
    """Arguments of a first reading: names of family and estimator, whether NaN is allowed, number of weights."""

    family: str
    name: str
    missing: bool
    n_components: int


class Answers(NamedTuple):
    """Results of the first reading of a partition.

    Attributes
    ----------
    facts : Facts
    survey : Survey, optional
        None if there are no rows.
    strata : list of int
        Sizes of the strata that samples are drawn from, see `strata_of`.
    """

    facts: Facts
    survey: Survey | None
    strata: list[int]


class Collected(NamedTuple):
    """A collection that has been read once.

    Attributes
    ----------
    posed : Posed
    header : frame or ndarray
        A frame or an array without rows, which has the names and the number of the columns.
    projected : bool
        Whether columns are projections of features.
    """

    posed: Posed
    header: Any
    projected: bool


def pose_collection(
    model: Model,
    collection: Collection,
    scheduler: Scheduler,
    n_components: int,
    init_size: int,
    random_state: np.random.RandomState,
) -> Collected:
    """Problem of a collection, which is read once; starts are drawn as from the same rows in one array.

    Raises
    ------
    ValueError
        If the collection is empty, a partition does not agree with the others, or the family does not allow its values.
    """
    questions = Questions(model.family.name, model.name, model.missing, n_components)
    held, answers = _read_first(collection, scheduler, questions)
    try:
        return _posed(model, held, answers, init_size, random_state)
    except BaseException:
        held.release()
        raise


def _posed(
    model: Model, held: Held, answers: Sequence[Answers], init_size: int, random_state: np.random.RandomState
) -> Collected:
    """Problem of partitions that have been read once."""
    facts = [each.facts for each in answers]
    places, first = places_of(facts), facts[0]
    found = functools.reduce(Survey.joined, (each.survey for each in answers if each.survey is not None))
    header = np.empty((0, first.n_columns)) if first.header is None else first.header
    surveyed = Surveyed(found, header, first.known, first.n_columns, first.dtype)

    def source(view: View) -> PartitionSource:
        sizes = [each.n_rows for each in facts]
        return PartitionSource(held, places, sizes, found.total_weight, first.weighted, view)

    def base_of(family: Family) -> float:
        return float(sum(held.each(base_partition, places, family.name)))

    def drawn() -> Sample:
        rows = draw_from(held, places, [each.strata for each in answers], init_size, random_state)
        return rows if found.witnesses is None else seeing_all(rows, found.witnesses)

    posed = pose_surveyed(model, surveyed, source, base_of, drawn)
    return Collected(posed, header, first.known.projection is not None)


def _read_first(collection: Collection, scheduler: Scheduler, questions: Questions) -> tuple[Held, list[Answers]]:
    """Partitions that have rows, and the results of the first reading of each."""
    options = {"missing": questions.missing, "variances": collection.variances}
    pieces = [
        piece.then(load_partition, name=name, **options)
        for name, piece in zip(collection.names, collection.pieces, strict=True)
    ]
    known = collection.n_bytes
    held = scheduler.read(pieces) if known is None else scheduler.keep(pieces, known)
    try:
        answers: list[Answers] = held.each(survey_partition, [Place(0, "")] * len(pieces), questions)
        present = [i for i, each in enumerate(answers) if each.survey is not None]
        if not present:
            raise ValueError("X is empty: its partitions have no rows")
        first = answers[present[0]].facts
        for i in present:
            answers[i].facts.check_alike(first)
        if known is None:
            held = scheduler.keep(pieces, sum(answers[i].facts.n_rows for i in present) * collection.row_bytes)
    except BaseException:
        held.release()
        raise
    return held.some(present), [answers[i] for i in present]


def survey_partition(partition: Partition, place: Place, request: Questions) -> Answers:
    """First reading of a partition."""
    block = partition.block
    if block is None:
        return Answers(partition.facts, None, [])
    model = Model(get_family(request.family), Prior(), request.name, request.missing)
    found = survey(model, request.n_components, block)
    rows = Sample(block.values, block.weights, block.annotations)
    return Answers(partition.facts, found, [len(stratum) for stratum in strata_of(rows)])


def base_partition(partition: Partition, place: Place, request: str) -> float:
    """Sum of the terms that the family's `log_prob` leaves out."""
    partition.check(place.digest)
    block = partition.block
    assert block is not None
    return sum_log_base(get_family(request), block.values, block.weights)


class Draws(NamedTuple):
    """Fingerprint of a partition, and which of its rows a sample takes, by stratum; None for all."""

    digest: str
    chosen: list[NDArray[np.intp]] | None


def take_sample(partition: Partition, place: Draws, request: None) -> Sample:
    """Rows of a partition that a sample takes."""
    partition.check(place.digest)
    block = partition.block
    assert block is not None
    rows = Sample(block.values, block.weights, block.annotations)
    strata = strata_of(rows)
    chosen = [np.arange(len(stratum)) for stratum in strata] if place.chosen is None else place.chosen
    return take_places(rows, strata, chosen)


def draw_from(
    held: Held,
    places: Sequence[Place],
    strata: Sequence[Sequence[int]],
    init_size: int,
    random_state: np.random.RandomState,
) -> Sample:
    """Draw rows of partitions as `draw_sample` does of an array; `strata` are the sizes of each partition's strata."""
    sizes = np.array(strata)  # (partitions, strata)
    chosen = draw_places(sizes.sum(axis=0).tolist(), init_size, random_state)
    draws = [Draws(place.digest, None) for place in places]
    if chosen is not None:
        bounds = np.vstack([np.zeros_like(sizes[:1]), sizes.cumsum(axis=0)])
        parts = [np.split(some, np.searchsorted(some, bounds[1:-1, s])) for s, some in enumerate(chosen)]
        draws = [
            Draws(place.digest, [parts[s][i] - bounds[i, s] for s in range(len(parts))])
            for i, place in enumerate(places)
        ]
    wanted = [i for i, draw in enumerate(draws) if draw.chosen is None or any(some.size for some in draw.chosen)]
    samples: list[Sample] = held.some(wanted).each(take_sample, [draws[i] for i in wanted], None)
    while len(samples) > 1:  # in pairs, because one by one each partition would copy all rows before it
        pairs = zip(samples[::2], samples[1::2], strict=False)
        samples = [*(here.joined(there) for here, there in pairs), *samples[len(samples) // 2 * 2 :]]
    return samples[0]
