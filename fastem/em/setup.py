"""Makes problems from data, and draws the rows from which their starts are made."""

import functools
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data import (
    ChunkSource,
    Mixture,
    Range,
    RowSource,
    View,
    common_origin,
    exact_origin,
    log_widths,
    range_of,
    range_of_present,
    single_suffices,
)
from fastem.data.frames import feature_names
from fastem.data.projections import check_densities, seen_features
from fastem.data.row_info import Annotations
from fastem.data.row_info_checks import check_possible
from fastem.data.streams import Reader
from fastem.data.validation import check_total
from fastem.em.latent_rows import components_of, mixed_means
from fastem.em.problem import (
    Problem,
    check_domain,
    exact_for,
    has_nan,
    kind_of_source,
    source_for,
    sum_log_base,
)
from fastem.em.subsample import LabelledReservoir, Sample, draw_sample, seeing_all
from fastem.em.survey import Model, Survey, seen_columns, survey
from fastem.families import Family, exact_family, family_for
from fastem.families._contract import Float, Prior

SINGLE_STEPS = 20  # EM steps with one component, which give the features by which projected rows are clustered
ORIGIN_ROWS = 1000  # rows of an array from which the origin is chosen: it only has to be near the data


class Posed(NamedTuple):
    """Problem of a fit, and the data of its starts.

    Attributes
    ----------
    problem : Problem
    n_present : int
        Number of rows of positive weight.
    sample : callable
        Draws the rows that a start is made from.
    dtype : dtype
        Dtype of the data.
    extent : Range, optional
        Range of the rows of positive weight, if the family has a background.
    given : ndarray of shape (n,) or (n, K), optional
        Labels or responsibilities of the sample's rows, where the user gave them to start from.
    """

    problem: Problem
    n_present: int
    sample: Callable[[], Sample]
    dtype: Any
    extent: Range | None = None
    given: NDArray[Any] | None = None

    def close(self) -> None:
        """Release rows that other processes hold."""
        self.problem.source.close()


def pose_array(model: Model, rows: Sample, init_size: int, random_state: np.random.RandomState) -> Posed:
    """Problem of an array; each start draws new rows."""
    values, weights = rows.values, rows.weights
    missing = model.missing and has_nan(values)
    check_domain(family_for(model.family, missing=missing, errors=False), values, model.name)
    if missing:
        check_columns(seen_columns(rows), model.names)
    if rows.annotations.projection is not None:
        check_features(seen_features(values, weights, rows.annotations))
    origin = np.zeros(rows.annotations.n_features(values.shape[1]))
    if model.family.translation_invariant and rows.annotations.projection is None:
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

    return Posed(problem, rows.n_present, sample, values.dtype, extent)


def origin_of(values: NDArray[Any], weights: Float | None, *, missing: bool) -> Float:
    """Origin (d,) near the rows of positive weight, chosen from some of them; subtracting it is exact for all."""
    step = -(-len(values) // ORIGIN_ROWS)
    some = values[::step] if weights is None else values[::step][weights[::step] > 0.0]
    origin = common_origin(range_of(some, missing=missing)) if len(some) else np.zeros(values.shape[1])
    if step == 1 or not origin.any():
        return origin
    return exact_origin(origin, range_of_present(values, weights, missing=missing))


def problem_of(model: Model, rows: Sample, origin: Float) -> Problem:
    """Problem of rows about an origin, for the family or the variation of it that the rows need."""
    missing = model.missing and has_nan(rows.values)
    if rows.annotations.projection is not None:
        check_densities(rows.values, rows.annotations)
    family = family_for(model.family, missing=missing, errors=rows.annotations.has_errors)
    family = exact_for(family, rows.values)
    source = source_for(family, rows.values, rows.weights, origin, rows.annotations)
    return Problem(family, source, model.prior, sum_log_base(family, rows.values, rows.weights))


def with_features(sample: Sample, problem: Problem) -> Sample:
    """The sample with the features by which rows are clustered, if these are not the values."""
    if problem.family.finish is None:
        return sample
    if sample.annotations.projection is None:
        return replace(sample, latent=np.asarray(sample.values, dtype=np.float64))
    return replace(sample, latent=single_component_means(problem, sample))


def single_component_means(problem: Problem, sample: Sample) -> Float:
    """Expected latent values (n, d) of the sample's rows under a single component that is fitted to them."""
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
    return mixed_means(components_of(one.family, mixture.params), np.ones((len(values), 1)), values, errors)


def check_columns(there: NDArray[np.bool_], names: Any) -> None:
    """Raise ValueError that names columns in which all values are missing."""
    if there.all():
        return
    columns = [str(column) if names is None else repr(names[column]) for column in np.flatnonzero(~there)]
    raise ValueError(
        f"all values are missing in column{'s' * (len(columns) > 1)} {', '.join(columns)} of X: nothing can be "
        "learned of an unseen column"
    )


def base_of(reader: Reader, family: Family) -> float:
    """Sum of the terms that the family's `log_prob` leaves out, from one more reading of all rows."""
    with closing(reader.blocks()) as blocks:
        return sum(sum_log_base(family, block.values, block.weights) for block in blocks)


def check_features(seen: NDArray[np.bool_]) -> None:
    """Raise ValueError that names features on which no projection depends."""
    if not seen.all():
        features = ", ".join(map(str, np.flatnonzero(~seen)))
        raise ValueError(f"no projection sees features {features}: nothing can be learned of an unseen feature")


def pose_source(
    model: Model, reader: Reader, n_components: int, init_size: int, random_state: np.random.RandomState
) -> Posed:
    """Problem of a source, which is read once; all starts are made from one sample.

    Raises
    ------
    ValueError
        If the source is empty, a chunk does not agree with the others, or the family does not allow its values.
    """
    found: Survey | None = None
    reservoir = LabelledReservoir(init_size, random_state)
    with closing(reader.blocks()) as blocks:
        for block in blocks:
            found = survey(model, n_components, block, found)
            reservoir.add(Sample(block.values, block.weights, block.annotations))
    assert found is not None
    witnesses = found.witnesses

    def drawn() -> Sample:
        some = reservoir.sample()
        return some if witnesses is None else seeing_all(some, witnesses)

    surveyed = Surveyed(found, reader.header, reader.known, reader.n_features, reader.dtype)

    def source(view: View) -> ChunkSource:
        return ChunkSource(reader, found.total_weight, view)

    return pose_surveyed(model, surveyed, source, functools.partial(base_of, reader), drawn)


class Surveyed(NamedTuple):
    """Results of a first reading: survey, names of columns, annotations of first rows, number of columns, dtype."""

    survey: Survey
    header: Any
    known: Annotations
    n_columns: int
    dtype: Any


def pose_surveyed(
    model: Model,
    surveyed: Surveyed,
    source: Callable[[View], RowSource],
    base_of: Callable[[Family], float],
    drawn: Callable[[], Sample],
) -> Posed:
    """Problem of rows that have been read once.

    Parameters
    ----------
    model : Model
    surveyed : Surveyed
    source : callable
        Makes the source of rows that are read by a view.
    base_of : callable
        Sum of the terms that a family's `log_prob` leaves out.
    drawn : callable
        Draws the rows that a start is made from.
    """
    found, reading = surveyed.survey, surveyed.known
    check_columns(found.seen, feature_names(surveyed.header))
    if found.features is not None:
        check_features(found.features)
    check_total(found.total_weight)
    if found.possible is not None:
        check_possible(found.possible)
    known, extent = found.sparing(reading), found.extent
    box = found.present if model.family.background else None
    projected = reading.projection is not None
    origin = np.zeros(reading.n_features(surveyed.n_columns))
    if found.present is not None and found.n_present and not projected:
        origin = common_origin(found.present)
    family = family_for(model.family, missing=found.missing, errors=known.has_errors)
    base = 0.0 if family.log_base is None else found.base
    if found.largest > family.exact_below:
        family = exact_family(family, found.largest)
        base = base_of(family)
    single = family.single is not None and extent is not None and single_suffices(extent, origin)
    single = single and found.light
    widths = log_widths(box) if box is not None and found.missing and model.divisible else None
    noisy = known.noise is not None
    view = View(origin, single, kind_of_source(family, known), widths, noisy, reading.restricts)
    problem = Problem(family, source(view), model.prior, base)

    def sample() -> Sample:
        rows = drawn()
        annotations = rows.annotations if noisy else rows.annotations._replace(noise=None)
        boxed = replace(rows, annotations=annotations._replace(log_widths=widths))
        return with_features(boxed, problem)

    return Posed(problem, found.n_present, sample, surveyed.dtype, box)
