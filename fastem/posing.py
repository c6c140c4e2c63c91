"""From data to a problem, and to the rows that its starts are made from."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.annotating import check_labels, check_possible
from fastem.checks import check_errors, check_total
from fastem.families import Family, family_for
from fastem.families._contract import Float, Prior
from fastem.frames import feature_names
from fastem.latent import components_of, mixed_means
from fastem.problem import Problem, check_domain, has_nan, kind_of_source, source_for, sum_log_base
from fastem.projecting import check_densities, seen_features
from fastem.reading import Block, Reader
from fastem.samples import LabelledReservoir, Sample, draw_sample, seeing_all, witnesses
from fastem.sources import (
    ChunkSource,
    Mixture,
    Range,
    common_origin,
    exact_origin,
    log_widths,
    range_of,
    range_of_present,
    single_suffices,
)

SINGLE_STEPS = 20  # of EM with one component, for what clusters of projected rows are looked for in
ORIGIN_ROWS = 1000  # of an array, that the origin is chosen by: near the data is near enough


class Posed(NamedTuple):
    """What a fit runs on.

    Attributes
    ----------
    problem : Problem
    n_present : int
        Number of rows of positive weight.
    sample : callable
        Draws the rows that a start is made from.
    dtype : dtype
        Type of the data.
    extent : Range, optional
        Of the rows of positive weight, if the family has a background.
    """

    problem: Problem
    n_present: int
    sample: Callable[[], Sample]
    dtype: Any
    extent: Range | None = None


class Model(NamedTuple):
    """What posing needs to know of an estimator.

    Attributes
    ----------
    family : Family
        Of components that are seen completely.
    prior : Prior
        What the M-step takes.
    name : str
        For messages.
    missing : bool
        Whether NaN stands for a missing value.
    names : sequence of str, optional
        Of the columns.
    divisible : bool
        Whether a background has a part for each column.
    """

    family: Family
    prior: Prior
    name: str
    missing: bool
    names: Any = None
    divisible: bool = True


def pose_array(model: Model, rows: Sample, init_size: int, random_state: np.random.RandomState) -> Posed:
    """Problem of an array; each start draws rows anew."""
    values, weights = rows.values, rows.weights
    missing = model.missing and has_nan(values)
    check_domain(family_for(model.family, missing=missing, errors=False), values, model.name)
    if missing:
        check_columns(seen_columns(rows), model.names)
    if rows.annotations.projection is not None:
        check_features(seen_features(values, weights, rows.annotations))
    origin = np.zeros(rows.annotations.n_features(values.shape[1]))
    if model.family.centred and rows.annotations.projection is None:
        origin = origin_of(values, weights, missing=missing)
    extent = None
    if model.family.background:
        extent = range_of_present(values, weights, missing=missing)
        if missing and model.divisible and rows.annotations.log_widths is None:
            rows = replace(rows, annotations=rows.annotations._replace(log_widths=log_widths(extent)))
    problem = problem_of(model, rows, origin)

    def sample() -> Sample:
        drawn = draw_sample(rows, init_size, random_state)
        return with_features(seeing_all(drawn, rows) if missing else drawn, problem)

    return Posed(problem, _n_present(values, weights), sample, values.dtype, extent)


def origin_of(values: NDArray[Any], weights: Float | None, *, missing: bool) -> Float:
    """Origin near the rows of positive weight: some of them choose it, and it is exact for all."""
    step = -(-len(values) // ORIGIN_ROWS)
    some = values[::step] if weights is None else values[::step][weights[::step] > 0.0]
    origin = common_origin(range_of(some, missing=missing)) if len(some) else np.zeros(values.shape[1])
    if step == 1 or not origin.any():
        return origin
    return exact_origin(origin, range_of_present(values, weights, missing=missing))


def problem_of(model: Model, rows: Sample, origin: Float) -> Problem:
    """Rows about an origin, as a problem for the family or the variation of it that goes with them."""
    missing = model.missing and has_nan(rows.values)
    check_densities(rows.values, rows.annotations)
    family = family_for(model.family, missing=missing, errors=rows.annotations.has_errors)
    source = source_for(family, rows.values, rows.weights, origin, rows.annotations)
    return Problem(family, source, model.prior, sum_log_base(family, rows.values, rows.weights))


def with_features(sample: Sample, problem: Problem) -> Sample:
    """The sample with what clusters are looked for in, where it is not simply the values."""
    if problem.family.finish is None:
        return sample
    if sample.annotations.projection is None:
        return replace(sample, latent=np.asarray(sample.values, dtype=np.float64))
    return replace(sample, latent=single_component_means(problem, sample))


def single_component_means(problem: Problem, sample: Sample) -> Float:
    """Expected values of the sample's rows under a mixture of one component, which is fitted to them."""
    errors = sample.annotations.unrestricted
    source = sample.source(problem.source.origin)
    one = replace(problem, source=source, prior=Prior(problem.prior.reg_covar))
    assert errors.projection is not None
    values, n_features = sample.values.astype(np.float64), one.source.n_features
    spread = np.nanmean(values**2) / np.mean(errors.projection**2) / n_features
    start = problem.family.params_at(np.zeros((1, n_features)), np.full((1, n_features), spread))
    mixture = Mixture(np.ones(1), start)
    for _ in range(SINGLE_STEPS):
        mixture = one.maximise(one.expect(mixture), mixture)
    return mixed_means(components_of(mixture.params), np.ones((len(values), 1)), values, errors)


def check_columns(there: NDArray[np.bool_], names: Any) -> None:
    """Raise ValueError that names columns of which all values are missing."""
    if there.all():
        return
    columns = [str(column) if names is None else repr(names[column]) for column in np.flatnonzero(~there)]
    raise ValueError(
        f"all values are missing in column{'s' * (len(columns) > 1)} {', '.join(columns)} of X: nothing can be "
        "learned of what is never seen"
    )


def check_features(seen: NDArray[np.bool_]) -> None:
    """Raise ValueError that names features that no projection sees."""
    if not seen.all():
        features = ", ".join(map(str, np.flatnonzero(~seen)))
        raise ValueError(f"no projection sees features {features}: nothing can be learned of what is never seen")


def pose_source(
    model: Model, reader: Reader, n_components: int, init_size: int, random_state: np.random.RandomState
) -> Posed:
    """Problem of a source, which is read once for that; all starts are made from one sample.

    Raises
    ------
    ValueError
        If the source is empty, a chunk does not go with the others, or holds what the family does not allow.
    """
    survey = Survey(model, n_components, init_size, random_state)
    with closing(reader.blocks()) as blocks:
        for block in blocks:
            survey.add(block)
    check_columns(survey.seen, feature_names(reader.header))
    check_features(survey.features)
    check_total(survey.total_weight)
    if reader.known.restricts:
        check_possible(survey.possible)
    family, base, extent = survey.family, survey.base, survey.extent
    box = survey.present if model.family.background else None
    projected = reader.known.projection is not None
    n_features = reader.known.n_features(reader.n_features)
    origin = np.zeros(n_features)
    if survey.present is not None and survey.n_present and not projected:
        origin = common_origin(survey.present)
    if not survey.missing and not reader.known.has_errors:
        family, base = model.family, base if model.family.log_base is not None else 0.0
    single = family.single and extent is not None and single_suffices(extent, origin)
    kind = kind_of_source(family, reader.known)
    widths = log_widths(box) if box is not None and survey.missing and model.divisible else None
    source = ChunkSource(reader, survey.total_weight, origin, single=single, kind=kind, log_widths=widths)
    problem = Problem(family, source, model.prior, base)

    def sample() -> Sample:
        drawn = survey.sample()
        boxed = replace(drawn, annotations=drawn.annotations._replace(log_widths=widths))
        return with_features(boxed, problem)

    return Posed(problem, survey.n_present, sample, reader.dtype, box)


class Survey:
    """What the first reading of a source tells of its rows.

    Attributes
    ----------
    family : Family
        The variation of the model's that the rows seem to need.
    missing : bool
        Whether there is a NaN that stands for a missing value.
    seen : ndarray of bool of shape (m,)
        Columns that some row of positive weight sees.
    features : ndarray of bool of shape (d,)
        Features that some projection sees, if there are projections.
    extent, present : Range, optional
        Of all rows and of those of positive weight, if the family is centred.
    possible : ndarray of bool of shape (K,)
        Components that some row may be of, if anything is known of that.
    total_weight, base : float
        Sums of weights, and of the terms that the family's densities leave out.
    n_present : int
        Number of rows of positive weight.
    """

    def __init__(self, model: Model, n_components: int, init_size: int, random_state: np.random.RandomState) -> None:
        self._model = model
        self._reservoir = LabelledReservoir(init_size, random_state)
        self._witnesses: Sample | None = None  # the first rows that see a column
        self.family = model.family
        self.missing = False
        self.seen = self.features = np.zeros(0, dtype=np.bool_)
        self.extent: Range | None = None
        self.present: Range | None = None
        self.possible = np.zeros(n_components, dtype=np.bool_)
        self.total_weight = self.base = 0.0
        self.n_present = 0

    def add(self, block: Block) -> None:
        """Take in the rows that follow.

        Raises
        ------
        ValueError
            If they hold what the family does not allow, or labels of no component.
        """
        rows = Sample(block.values, block.weights, block.annotations)
        values, weights, annotations = rows.values, rows.weights, rows.annotations
        check_errors(annotations.has_errors, self._model.family.centred, self._model.name)
        self.family = family_for(self._model.family, missing=self._model.missing, errors=annotations.has_errors)
        check_domain(self.family, values, self._model.name, block.place)
        missing = self._model.missing and has_nan(values)
        if self.family.centred:
            self.extent = _union(self.extent, range_of(values, missing=missing))
            self.present = _union(self.present, range_of_present(values, weights, missing=missing))
        if annotations.restricts:
            self.possible |= check_labels(annotations, self.possible.size, weights, block.place)
        check_densities(values, annotations, block.place)
        if annotations.projection is not None:
            features = seen_features(values, weights, annotations)
            self.features = features | self.features if self.features.size else features
        self._reservoir.add(rows)
        self._look_at_columns(rows, missing)
        self.base += sum_log_base(self.family, values, weights)
        with np.errstate(over="ignore"):  # `check_total` sees that it is infinite
            self.total_weight += float(len(values) if weights is None else weights.sum())
        self.n_present += _n_present(values, weights)

    def _look_at_columns(self, rows: Sample, missing: bool) -> None:
        seen = np.ones(rows.values.shape[1], dtype=np.bool_)
        if missing:
            self.missing = True
            seen = seen_columns(rows)
        new = seen & ~self.seen if self.seen.size else seen
        self.seen = self.seen | seen if self.seen.size else seen
        if self._model.missing and new.any():
            found = witnesses(rows, new)
            self._witnesses = found if self._witnesses is None else self._witnesses.joined(found)

    def sample(self) -> Sample:
        """Rows that a start is made from."""
        drawn = self._reservoir.sample()
        return drawn if self._witnesses is None else seeing_all(drawn, self._witnesses)


def _union(extent: Range | None, other: Range) -> Range:
    return other if extent is None else extent | other


def seen_columns(rows: Sample) -> NDArray[np.bool_]:
    """Columns (m,) of which some row of positive weight has a value."""
    values = rows.values if rows.weights is None else rows.values[rows.weights > 0.0]
    seen: NDArray[np.bool_] = ~np.isnan(values).all(axis=0)
    return seen


def _n_present(values: NDArray[Any], weights: Float | None) -> int:
    """Number of rows of positive weight."""
    return len(values) if weights is None else int(np.count_nonzero(weights))
