"""From data to a problem, and to the rows that its starts are made from."""

from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families import Family
from fastem.families._contract import Float, Prior
from fastem.initialize import Reservoir, Sample, draw_sample
from fastem.problem import Problem, check_domain, source_for, sum_log_base
from fastem.reading import Reader
from fastem.sources import ChunkSource, Range, common_origin, range_of, range_of_present, single_suffices

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
    """What posing needs to know of an estimator: its family, what the M-step takes as prior, and its name."""

    family: Family
    prior: Prior
    name: str


def pose_array(
    model: Model, values: NDArray[Any], weights: Float | None, init_size: int, random_state: np.random.RandomState
) -> Posed:
    """Problem of an array; each start draws rows anew."""
    check_domain(model.family, values, model.name)
    origin = np.zeros(values.shape[1])
    if model.family.centred:
        step = -(-len(values) // ORIGIN_ROWS)
        some = values[::step] if weights is None else values[::step][weights[::step] > 0.0]
        origin = common_origin(range_of(some)) if len(some) else origin
    return Posed(
        problem_of(model, values, weights, origin),
        _n_present(values, weights),
        lambda: draw_sample(values, weights, init_size, random_state),
        values.dtype,
        range_of_present(values, weights) if model.family.background else None,
    )


def problem_of(model: Model, values: NDArray[Any], weights: Float | None, origin: Float) -> Problem:
    """Rows about an origin, as a problem for the family."""
    source = source_for(model.family, values, weights, origin)
    return Problem(model.family, source, model.prior, sum_log_base(model.family, values, weights))


def pose_source(model: Model, reader: Reader, init_size: int, random_state: np.random.RandomState) -> Posed:
    """Problem of a source, which is read once for that; all starts are made from one sample.

    Raises
    ------
    ValueError
        If the source is empty, a chunk does not go with the others, or holds what the family does not allow.
    """
    family = model.family
    reservoir = Reservoir(init_size, random_state)
    extent: Range | None = None
    present: Range | None = None
    total_weight = base = 0.0
    n_present = 0
    with closing(reader.blocks()) as blocks:
        for block in blocks:
            values, weights = block.values, block.weights
            check_domain(family, values, model.name, block.place)
            if family.centred:
                extent = range_of(values) if extent is None else extent | range_of(values)
            if family.background:
                found = range_of_present(values, weights)
                present = found if present is None else present | found
            reservoir.add(values, weights)
            base += sum_log_base(family, values, weights)
            total_weight += float(len(values) if weights is None else weights.sum())
            n_present += _n_present(values, weights)
    origin = np.zeros(reader.n_features) if extent is None else common_origin(extent)
    single = family.single and extent is not None and single_suffices(extent, origin)
    source = ChunkSource(reader, total_weight, origin, single=single)
    return Posed(Problem(family, source, model.prior, base), n_present, reservoir.sample, reader.dtype, present)


def _n_present(values: NDArray[Any], weights: Float | None) -> int:
    """Number of rows of positive weight."""
    return len(values) if weights is None else int(np.count_nonzero(weights))
