"""From data to a problem, and to the rows that its starts are made from."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.annotating import check_labels, check_possible
from fastem.families import Family, family_for
from fastem.families._contract import Float, Prior
from fastem.latent import components_of, mixed_expectations
from fastem.problem import Problem, check_domain, has_nan, kind_of_source, source_for, sum_log_base
from fastem.reading import Reader
from fastem.samples import LabelledReservoir, Sample, draw_sample, seeing_all, witnesses
from fastem.sources import (
    ChunkSource,
    Mixture,
    Range,
    common_origin,
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
        check_columns(~np.isnan(values if weights is None else values[weights > 0.0]).all(axis=0), model.names)
    origin = np.zeros(rows.annotations.n_features(values.shape[1]))
    if model.family.centred and rows.annotations.projection is None:
        step = -(-len(values) // ORIGIN_ROWS)
        some = values[::step] if weights is None else values[::step][weights[::step] > 0.0]
        origin = common_origin(range_of(some, missing=missing)) if len(some) else origin
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


def problem_of(model: Model, rows: Sample, origin: Float) -> Problem:
    """Rows about an origin, as a problem for the family or the variation of it that goes with them."""
    missing = model.missing and has_nan(rows.values)
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
    return mixed_expectations(components_of(mixture.params), np.ones((len(values), 1)), values, errors)[0]


def check_columns(there: NDArray[np.bool_], names: Any) -> None:
    """Raise ValueError that names columns of which all values are missing."""
    if there.all():
        return
    columns = [str(column) if names is None else repr(names[column]) for column in np.flatnonzero(~there)]
    raise ValueError(
        f"all values are missing in column{'s' * (len(columns) > 1)} {', '.join(columns)} of X: nothing can be "
        "learned of what is never seen"
    )


def pose_source(
    model: Model, reader: Reader, n_components: int, init_size: int, random_state: np.random.RandomState
) -> Posed:
    """Problem of a source, which is read once for that; all starts are made from one sample.

    Raises
    ------
    ValueError
        If the source is empty, a chunk does not go with the others, or holds what the family does not allow.
    """
    family = model.family
    reservoir = LabelledReservoir(init_size, random_state)
    possible = np.zeros(n_components, dtype=bool)
    extent: Range | None = None
    present: Range | None = None
    total_weight = base = 0.0
    n_present = 0
    missing, there = False, np.zeros(0, dtype=bool)
    firsts: Sample | None = None  # of the rows that see a column
    with closing(reader.blocks()) as blocks:
        for block in blocks:
            values, weights, annotations = block.values, block.weights, block.annotations
            family = family_for(model.family, missing=model.missing, errors=annotations.has_errors)
            check_domain(family, values, model.name, block.place)
            some = model.missing and has_nan(values)
            missing |= some
            rows = Sample(values, weights, annotations)
            seen = np.ones(reader.n_features, dtype=bool)
            if some:
                seen = ~np.isnan(values if weights is None else values[weights > 0.0]).all(axis=0)
            new = seen & ~there if there.size else seen
            there = there | seen if there.size else seen
            if model.missing and new.any():
                found = witnesses(rows, new)
                firsts = found if firsts is None else firsts.joined(found)
            if family.centred:
                own = range_of(values, missing=some)
                extent = own if extent is None else extent | own
            if family.background:
                box = range_of_present(values, weights, missing=some)
                present = box if present is None else present | box
            if annotations.restricts:
                possible |= check_labels(annotations, n_components, weights, block.place)
            reservoir.add(rows)
            base += sum_log_base(family, values, weights)
            total_weight += float(len(values) if weights is None else weights.sum())
            n_present += _n_present(values, weights)
    check_columns(there, model.names)
    if reader.known.restricts:
        check_possible(possible)
    projected = reader.known.projection is not None
    n_features = reader.known.n_features(reader.n_features)
    origin = np.zeros(n_features) if extent is None or projected else common_origin(extent)
    if not missing and not reader.known.has_errors:
        family, base = model.family, base if model.family.log_base is not None else 0.0
    single = family.single and extent is not None and single_suffices(extent, origin)
    kind = kind_of_source(family, reader.known)
    widths = log_widths(present) if present is not None and missing and model.divisible else None
    source = ChunkSource(reader, total_weight, origin, single=single, kind=kind, log_widths=widths)
    problem = Problem(family, source, model.prior, base)

    def sample() -> Sample:
        drawn = reservoir.sample()
        drawn = drawn if firsts is None else seeing_all(drawn, firsts)
        boxed = replace(drawn, annotations=drawn.annotations._replace(log_widths=widths))
        return with_features(boxed, problem)

    return Posed(problem, n_present, sample, reader.dtype, present)


def _n_present(values: NDArray[Any], weights: Float | None) -> int:
    """Number of rows of positive weight."""
    return len(values) if weights is None else int(np.count_nonzero(weights))
