"""Problems, on which schemes run: a family, its prior and a source of rows."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data import (
    ArraySource,
    Marks,
    Mixture,
    PatternSource,
    RowSource,
    Scores,
    Sweep,
    Sweepable,
    Wanted,
    range_of,
    reaches_single,
    single_suffices,
)
from fastem.data.row_info import NOTHING, Annotations
from fastem.engine.compiled import Passes, get_passes
from fastem.families import ComponentError, Family, exact_family
from fastem.families._contract import Params, Prior

BASE_ROWS = 16384  # rows at once where numpy evaluates the terms common to all components

OVERFLOW = (
    "The sufficient statistics overflow float64: the values of X are too large to be squared and summed. "
    "Scale the input data."
)
IMPOSSIBLE = (
    "The log-likelihood is not finite: at least one row of X has density zero under every component. Scale the input "
    "data or choose other initial parameters."
)
SINGULAR = " Or a row's values follow from each other, given its projections and its noise: then they have no density."


@dataclass(frozen=True)
class Problem:
    """The steps of EM for one family on one source.

    Parameters
    ----------
    family : Family
    source : RowSource
    prior : Prior
    base : float
        Sum over the rows of the log-density terms that do not depend on the parameters.
    policy : str
        How densities become responsibilities: a name in `fastem.kernels.posterior`.
    """

    family: Family
    source: RowSource
    prior: Prior
    base: float = 0.0
    policy: str = "soft"

    def expect(self, mixture: Mixture, *, key: int = 0) -> Sweep:
        """E-step: expected sufficient statistics of all rows at `mixture`, about its means.

        `key` seeds a policy that draws.
        """
        return self._sweep(self.source, mixture, key)

    def _sweep(self, rows: Sweepable, mixture: Mixture, key: int = 0) -> Sweep:
        return rows.sweep(self._passes(self.policy), mixture, self.n_stats(mixture), key=key)

    def _passes(self, policy: str = "soft", record: str = "ignore") -> Passes:
        restrict = "restrict" if self.source.restricted else "all_allowed"
        return get_passes(self.family, policy, record, restrict)

    def n_stats(self, mixture: Mixture) -> int:
        """Number of statistics of a sweep."""
        return self.family.n_stats(self.source.n_features, mixture.weights.size)

    def blocks(self, n_blocks: int, order: Sequence[int]) -> Iterator[Callable[[Mixture], Sweep]]:
        """Yield the E-step of each of `n_blocks` runs of rows; call each before asking for the next."""
        for rows in self.source.blocks(n_blocks, order):
            yield functools.partial(self._sweep, rows)

    def batches(self, n_rows: int, random_state: np.random.RandomState) -> Iterator["Problem"]:
        """Yield problems of about `n_rows` rows, see `RowSource.batches`; without the base, which is of all rows."""
        for rows in self.source.batches(n_rows, random_state):
            yield replace(self, source=rows, base=0.0)

    def check_array(self, why: str) -> ArraySource:
        """Return the source if it is an array; otherwise raise ValueError, which says `why` it must be one."""
        if not isinstance(self.source, ArraySource):
            raise ValueError(f"{why}: it needs an array, not a source")
        return self.source

    def part(self, selection: slice, share: NDArray[np.float64] | None = None) -> "Problem":
        """The same for some rows of an array, see `ArraySource.part`; without the base, which is that of all rows."""
        return replace(self, source=self.check_array("a selection of rows").part(selection, share), base=0.0)

    def log_likelihood(self, mixture: Mixture) -> float:
        """Mean log-likelihood of a row at `mixture`: F after a full E-step."""
        return (self._score(mixture, Wanted()).log_likelihood + self.base) / self.source.total_weight

    def log_prior(self, mixture: Mixture) -> float:
        """Logarithm of the prior density of a mixture; 0 without an informative prior."""
        if not self.prior.informative:
            return 0.0
        log_density = self.prior.log_density(mixture.weights)
        if self.prior.conjugate is None or self.family.log_prior is None:
            return log_density
        return log_density + self.family.log_prior(mixture.params, self.prior.conjugate)

    def exact_bound(self, mixture: Mixture) -> float:
        """`lower_bound` after a full E-step at `mixture`: log-likelihood and log-prior, per row."""
        return self.log_likelihood(mixture) + self.log_prior(mixture) / self.source.total_weight

    def marked(self, mixture: Mixture) -> tuple[Sweep, Marks]:
        """E-step of an array that also keeps each row's most probable component and log-density."""
        passes = self._passes(record="mark")
        return self.check_array("marks").marked_sweep(passes, mixture, self.n_stats(mixture))

    def densities(self, mixture: Mixture) -> NDArray[Any]:
        """Log-density of each row (n,), without the base."""
        return self._score(mixture, Wanted(densities=True)).rows.densities

    def responsibilities(self, mixture: Mixture) -> NDArray[Any]:
        """Posterior probabilities of the components (n, K)."""
        return self._score(mixture, Wanted(responsibilities=True)).rows.responsibilities

    def _score(self, mixture: Mixture, wanted: Wanted) -> Scores:
        return self.source.score(self._passes(), mixture, wanted)

    def among(self, components: NDArray[np.intp]) -> "Problem":
        """The same for a mixture that has only these components."""
        source = self.check_array("a selection of components")
        return replace(self, source=source.among(components)) if source.restricted else self

    def unrestricted(self) -> "Problem":
        """The same without labels and plausibilities."""
        return replace(self, source=self.source.unrestricted()) if self.source.restricted else self

    def start_variances(self) -> NDArray[np.float64]:
        """Initial variances (1, d) of a single component of incomplete rows, in the units of the data."""
        squares = self.source.start_squares()
        return np.where(squares > 0.0, squares, 1.0)[None]

    def reordered(self, order: NDArray[Any]) -> "Problem":
        """The same for the same rows in another order: a copy."""
        return replace(self, source=self.check_array("a copy in another order").reordered(order), base=0.0)

    def about(self, mixture: Mixture, means: Any) -> Mixture:
        """A mixture of the same densities, whose sweeps take statistics about other means, see `Family.shift`."""
        if not self.family.translation_invariant:
            return mixture
        return mixture._replace(params=mixture.params._replace(means=means))

    def means(self, mixture: Mixture) -> Any:
        """Means (K, d) that the statistics of a sweep at `mixture` are about; None if not translation-invariant."""
        return mixture.params.means if self.family.translation_invariant else None

    def shift(self, sweep: Sweep, means: Any, to: Any) -> Sweep:
        """Statistics about `means`, taken about `to`."""
        return replace(sweep, stats=self.family.shift(sweep.mass, sweep.stats, means, to))

    def complete(self, sweep: Sweep, means: Any, mixture: Mixture) -> float:
        """E_q[log p(x, z)] at `mixture`, from statistics about `means` that were taken at any parameters."""
        sweep = self.shift(sweep, means, self.means(mixture))
        present = sweep.mass > 0.0
        weights = sweep.mass[present] @ mixture.log_weights[present]
        return float(weights) + self.family.expected(sweep.mass, sweep.stats, mixture.params)

    def maximise(self, sweep: Sweep, mixture: Mixture, *, kept: bool = False) -> Mixture:
        """M-step: the mixture that maximises the expected log-likelihood, and the logarithm of its prior density.

        `kept` says that statistics of some rows were taken at other parameters than `mixture`. Raises ComponentError
        for a component without a valid maximum, and what `check` raises.
        """
        self.check(sweep, mixture)
        if self.family.translation_invariant and self.prior.means is not None:
            # Means that are fixed stay where they are, and second moments are about them.
            means = mixture.params.means
            mixture = self.about(mixture, self.prior.centre(means))
            sweep = self.shift(sweep, means, mixture.params.means)
        prior = self.prior._replace(statistics_kept=True) if kept else self.prior
        params = maximise_params(self.family, sweep, mixture.params, prior)
        return Mixture(self.prior.weigh(sweep.mass), params)

    def check(self, sweep: Sweep, mixture: Mixture) -> None:
        """Raise ValueError if statistics overflow, or a row has density zero under every component of `mixture`."""
        if not (np.isfinite(sweep.stats).all() and np.isfinite(sweep.mass).all()):
            raise ValueError(OVERFLOW)
        if not math.isfinite(sweep.log_likelihood):
            component = None if self.family.singular is None else self.family.singular(mixture.params)
            if component is not None:
                raise ComponentError(component, sweep.mass)
            raise ValueError(IMPOSSIBLE + (SINGULAR if self.family.load_errors is not None else ""))

    def bound(self, sweep: Sweep, before: Mixture, after: Mixture) -> float:
        """Bound that an iteration reports whose E-step at `before` gave `sweep`, and whose M-step gave `after`."""
        return self.lower_bound(sweep.log_likelihood, before)

    def lower_bound(self, log_likelihood: float, mixture: Mixture) -> float:
        """Objective of a fit, per row: a log-likelihood or a lower bound of it, plus the log-prior at `mixture`."""
        return (log_likelihood + self.base + self.log_prior(mixture)) / self.source.total_weight


def source_for(
    family: Family,
    values: NDArray[Any],
    weights: NDArray[np.float64] | None,
    origin: NDArray[np.float64],
    annotations: Annotations = NOTHING,
    at: Params = None,
) -> ArraySource:
    """Rows about `origin` (d,), evaluated in float32 if family, data and the parameters `at`, if given, allow it."""
    if annotations.projection is not None and origin.any():  # subtract the origin's projections
        values = values - annotations.projection.reshape(-1, values.shape[1], len(origin)) @ origin
    missing = family.finish is not None
    single = False
    if family.single is not None and values.dtype == np.float32:
        extent = range_of(values, missing=missing)
        single = single_suffices(extent, origin, weights)
        single = single and (at is None or reaches_single(extent, origin, at.means, family.single(at)))
    return kind_of_source(family, annotations)(values, weights, origin, single=single, annotations=annotations)


def kind_of_source(family: Family, annotations: Annotations) -> type[ArraySource]:
    """Class of source for rows with these annotations: rows without errors may be sorted by their missing values."""
    return ArraySource if family.patterns is None or annotations.has_errors else PatternSource


def has_nan(values: NDArray[Any]) -> bool:
    """Whether some value is missing; the values are finite otherwise."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(values.sum())) and bool(np.isnan(values).any())


def maximise_params(family: Family, sweep: Sweep, params: Params, prior: Prior) -> Params:
    """Run the family's M-step; add the mass of the components (K,) to its errors."""
    try:
        return family.m_step(sweep.mass, sweep.stats, params, prior)
    except ComponentError as error:
        error.mass = sweep.mass
        raise


def sum_log_base(family: Family, values: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    """Weighted sum over rows of the terms that `family.log_prob` leaves out."""
    if family.log_base is None:
        return 0.0
    total = 0.0
    for start in range(0, len(values), BASE_ROWS):
        base = family.log_base(values[start : start + BASE_ROWS])
        if weights is not None:
            share = weights[start : start + BASE_ROWS]
            base = np.where(share > 0.0, base, 0.0) * share  # a row without weight may even have infinite terms
        total += float(base.sum())
    return total


def exact_for(family: Family, values: NDArray[Any]) -> Family:
    """The variation of a family whose log-densities of these values, which may contain NaN, lose no digits."""
    return family if family.exact_below == math.inf else exact_family(family, largest_of(values))


def largest_of(values: NDArray[Any]) -> float:
    """The largest value that is not missing."""
    return float(np.fmax.reduce(values, axis=None, initial=-math.inf))


def check_squares(values: NDArray[Any], origin: NDArray[np.float64]) -> None:
    """Raise ValueError if sums of squares of these rows about the origin overflow."""
    with np.errstate(over="ignore"):
        low, high = range_of(values, missing=True)
        farthest = np.maximum(np.abs(high - origin), np.abs(low - origin))
        total = (farthest**2).sum() * len(values)
    if not np.isfinite(total):
        raise ValueError(OVERFLOW)


def check_domain(
    family: Family, values: NDArray[Any], name: str, place: Callable[[int], str] = "row {}".format
) -> None:
    """Raise ValueError naming the first value of `values` that the family does not allow.

    `name` is the estimator's name, and `place` describes where a row is.
    """
    if family.in_domain is None:
        return
    for start in range(0, len(values), BASE_ROWS):
        allowed = family.in_domain(values[start : start + BASE_ROWS])
        if not allowed.all():
            row, column = np.argwhere(~allowed)[0]
            value = values[start + row, column]
            who = f"Negative values in data passed to {name}: it" if value < 0 else name
            raise ValueError(
                f"{who} needs {family.domain}, but X contains {value!s} in {place(start + row)}, column {column} "
                "(counted from 0)."
            )
