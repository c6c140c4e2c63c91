"""What a model asks of rows before it is fitted to them, and a first reading of a source that finds it out."""

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
from fastem.em.subsample import LabelledReservoir, Sample, seeing_all, witnesses
from fastem.families import Family, family_for
from fastem.families._contract import Float, Prior


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


class Survey:
    """What the first reading of a source tells of its rows.

    Attributes
    ----------
    noisy : bool
        Whether some noise is not zero.
    largest : float
        The largest value, if the family loses digits of large ones.
    missing : bool
        Whether there is a NaN that stands for a missing value.
    seen : ndarray of bool of shape (m,)
        Columns that some row of positive weight sees.
    features : ndarray of bool of shape (d,)
        Features that some projection sees, if there are projections.
    extent, present : Range, optional
        Of all rows and of those of positive weight, if the family is translation-invariant.
    possible : ndarray of bool of shape (K,)
        Components that some row may be of, if anything is known of that.
    light : bool
        Whether all weights allow an evaluation in float32.
    total_weight, base : float
        Sums of weights, and of the terms that the family's densities leave out if they need not be exact.
    n_present : int
        Number of rows of positive weight.
    """

    def __init__(self, model: Model, n_components: int, init_size: int, random_state: np.random.RandomState) -> None:
        self._model = model
        self._reservoir = LabelledReservoir(init_size, random_state)
        self._witnesses: Sample | None = None  # the first rows that see a column
        self.missing = self.noisy = False
        self.largest = -np.inf
        self.seen = self.features = np.zeros(0, dtype=np.bool_)
        self.extent: Range | None = None
        self.present: Range | None = None
        self.possible = np.zeros(n_components, dtype=np.bool_)
        self.light = True
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
        check_errors(annotations.has_errors, self._model.family, self._model.name)
        family = family_for(self._model.family, missing=self._model.missing, errors=annotations.has_errors)
        check_domain(family, values, self._model.name, block.place)
        missing = self._model.missing and has_nan(values)
        self.noisy = self.noisy or (annotations.noise is not None and bool(annotations.noise.any()))
        if family.translation_invariant:
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
        self.light = self.light and (weights is None or weights_suffice(weights))
        self.base += sum_log_base(family, values, weights)
        if family.exact_below < np.inf:
            self.largest = max(self.largest, largest_of(values))
        with np.errstate(over="ignore"):  # `check_total` sees that it is infinite
            self.total_weight += float(len(values) if weights is None else weights.sum())
        self.n_present += n_present(values, weights)

    def sparing(self, known: Annotations) -> Annotations:
        """What is known of rows, without noise if it is zero in all of them."""
        return known if self.noisy or known.projection is not None else known._replace(noise=None)

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


def n_present(values: NDArray[Any], weights: Float | None) -> int:
    """Number of rows of positive weight."""
    return len(values) if weights is None else int(np.count_nonzero(weights))
