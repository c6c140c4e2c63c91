"""Survey of rows before a fit: the properties that a model needs to know, from a first reading of a source."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.data import Range, range_of, range_of_present, weights_suffice
from fastem.data.projections import check_densities, seen_features
from fastem.data.row_info import Annotations
from fastem.data.row_info_checks import check_labels
from fastem.data.streams import Block
from fastem.data.validation import check_errors
from fastem.em.problem import check_domain, has_nan, largest_of, sum_log_base
from fastem.em.subsample import Sample, witnesses
from fastem.families import Family, family_for
from fastem.families._contract import Prior


class Model(NamedTuple):
    """Properties of an estimator from which a problem is made.

    Attributes
    ----------
    family : Family
        Family of the components for complete rows.
    prior : Prior
        Prior of the M-step.
    name : str
        What messages call the estimator.
    missing : bool
        Whether NaN stands for a missing value.
    names : sequence of str, optional
        Names of the columns.
    divisible : bool
        Whether a background can be marginalised over missing columns.
    """

    family: Family
    prior: Prior
    name: str
    missing: bool
    names: Any = None
    divisible: bool = True


class Survey(NamedTuple):
    """Results of a first reading of rows; `joined` gives those of more rows.

    Attributes
    ----------
    noisy : bool
        Whether some noise is not zero.
    largest : float
        The largest value, if the family loses digits of large ones.
    missing : bool
        Whether there is a NaN that stands for a missing value.
    seen : ndarray of bool of shape (m,)
        Columns in which some row of positive weight has a value.
    features : ndarray of bool of shape (d,), optional
        Features on which some projection depends, if there are projections.
    extent, present : Range, optional
        Ranges of all rows and of those of positive weight, if the family is translation-invariant.
    possible : ndarray of bool of shape (K,), optional
        Components that are possible for some row, if there are labels or plausibilities.
    light : bool
        Whether all weights allow an evaluation in float32.
    total_weight, base : float
        Sums of weights, and of the terms that the `log_prob` of the family, without the variation for large values,
        leaves out.
    n_present : int
        Number of rows of positive weight.
    witnesses : Sample, optional
        Some of the first rows with a value in each column, if values may be missing.
    """

    noisy: bool
    largest: float
    missing: bool
    seen: NDArray[np.bool_]
    features: NDArray[np.bool_] | None
    extent: Range | None
    present: Range | None
    possible: NDArray[np.bool_] | None
    light: bool
    total_weight: float
    base: float
    n_present: int
    witnesses: Sample | None

    def joined(self, other: Survey) -> Survey:
        """Results for these rows and then others."""
        new = other.seen & ~self.seen
        found = self.witnesses
        if other.witnesses is not None and new.any():
            more = witnesses(other.witnesses, new)
            found = more if found is None else found.joined(more)
        with np.errstate(over="ignore"):  # `check_total` sees that it is infinite
            total_weight = self.total_weight + other.total_weight
        return Survey(
            self.noisy or other.noisy,
            max(self.largest, other.largest),
            self.missing or other.missing,
            self.seen | other.seen,
            _either(self.features, other.features),
            _either(self.extent, other.extent),
            _either(self.present, other.present),
            _either(self.possible, other.possible),
            self.light and other.light,
            total_weight,
            self.base + other.base,
            self.n_present + other.n_present,
            found,
        )

    def sparing(self, known: Annotations) -> Annotations:
        """Annotations without noise, if it is zero in all rows and they are no projections."""
        return known if self.noisy or known.projection is not None else known._replace(noise=None)


def survey(model: Model, n_components: int, block: Block, before: Survey | None = None) -> Survey:
    """Survey a block, and join the results with those of the rows that were read before it.

    Raises
    ------
    ValueError
        If the family does not allow values or annotations of the block, or a label is not the number of a component.
    """
    rows = Sample(block.values, block.weights, block.annotations)
    values, weights, annotations = rows.values, rows.weights, rows.annotations
    check_errors(annotations.has_errors, model.family, model.name)
    family = family_for(model.family, missing=model.missing, errors=annotations.has_errors)
    check_domain(family, values, model.name, block.place)
    missing = model.missing and has_nan(values)
    extent = present = None
    if family.translation_invariant:
        extent, present = range_of(values, missing=missing), range_of_present(values, weights, missing=missing)
    possible = None
    if annotations.restricts:
        possible = check_labels(annotations, n_components, weights, block.place)
    features = None
    if annotations.projection is not None:
        check_densities(values, annotations, block.place)
        features = seen_features(values, weights, annotations)
    seen = seen_columns(rows) if missing else np.ones(values.shape[1], dtype=np.bool_)
    new = seen if before is None else seen & ~before.seen
    with np.errstate(over="ignore"):  # `check_total` sees that it is infinite
        total_weight = float(len(values) if weights is None else weights.sum())
    here = Survey(
        annotations.noise is not None and bool(annotations.noise.any()),
        -np.inf if family.exact_below == np.inf else largest_of(values),
        missing,
        seen,
        features,
        extent,
        present,
        possible,
        weights is None or weights_suffice(weights),
        total_weight,
        sum_log_base(family, values, weights),
        rows.n_present,
        witnesses(rows, new) if model.missing and new.any() else None,
    )
    return here if before is None else before.joined(here)


def _either(here: Any, other: Any) -> Any:
    """Both joined by |; one of them if the other is None."""
    if here is None or other is None:
        return other if here is None else here
    return here | other


def seen_columns(rows: Sample) -> NDArray[np.bool_]:
    """Mask of the columns (m,) in which some row of positive weight has a value."""
    values = rows.values if rows.weights is None else rows.values[rows.weights > 0.0]
    seen: NDArray[np.bool_] = ~np.isnan(values).all(axis=0)
    return seen
