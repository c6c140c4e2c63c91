"""Rows of an array in which some values are missing, swept pattern by pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data.array import ArraySource
from fastem.data.patterns import Group, Patterns, find_patterns
from fastem.data.row_info import Annotations
from fastem.engine.compiled import Passes, get_passes, get_pattern_pass
from fastem.engine.executor import at_once
from fastem.engine.helpers import share_slabs
from fastem.engine.records import NO_MARKS, Mixture, Sweep
from fastem.engine.tiling import aligned_zeros
from fastem.families import get_family
from fastem.families._contract import Float, Params


class PatternSource(ArraySource):
    """Rows of an array for a family that has `Family.patterns`; its parameters are those of `ArraySource`.

    The first sweep sorts the rows by pattern, which copies the observed values. Rows of rare patterns are swept as by
    `ArraySource`.
    """

    def _hold(self, values: NDArray[Any], weights: Float | None, annotations: Annotations, origin: Float) -> None:
        super()._hold(values, weights, annotations, origin)
        self._patterns: Patterns | None = None
        self._sorted = False  # whether patterns have been looked for

    def sweep(
        self, passes: Passes, mixture: Mixture, n_stats: int, *, key: int = 0, parallel: bool | None = None
    ) -> Sweep:
        """Run one fused pass over each group of patterns, and over the rest of the rows."""
        if not self._sorted:
            rows = self.rows
            self._patterns = find_patterns(rows.values, self._given_weights, self.annotations, rows.origin)
            self._sorted = True
        if self._patterns is None:
            return super().sweep(passes, mixture, n_stats, key=key, parallel=parallel)
        algebra = passes.family.patterns
        assert algebra is not None
        factors = algebra.factors(mixture.params)
        mass: Any = 0.0
        expected: tuple[Any, ...] | None = None
        log_likelihood = 0.0
        for group in self._patterns.groups:
            patterns = algebra.marginal(factors, mixture.log_weights, group.columns)
            masses, sums, found = self._sweep_group(group, patterns, passes, key, parallel)
            own = algebra.expand(masses, sums, patterns)
            expected = own if expected is None else tuple(map(np.add, expected, own))
            mass = mass + masses.sum(axis=0)
            log_likelihood += found
            key += len(group.values)
        assert expected is not None
        total = Sweep(mass, algebra.collect(mass, expected, factors, mixture.params), log_likelihood)
        rest = self._patterns.rest
        if not rest.size:
            return total
        plain = ArraySource.sweep
        return total + plain(self.reordered(rest), passes, mixture, n_stats, key=key, parallel=parallel)

    def _sweep_group(
        self, group: Group, patterns: Params, passes: Passes, key: int, parallel: bool | None
    ) -> tuple[Float, Float, float]:
        """Run one pass over the patterns of a group: masses (P, K), statistics (P, S) and the log-likelihood."""
        algebra = passes.family.patterns
        assert algebra is not None
        complete = get_passes(get_family(algebra.family), passes.policy, "ignore", passes.restrict).of(
            group.columns.shape[1]
        )
        n_components, n_slabs = patterns.log_constant.shape[1], len(group.which)
        n_sums = complete.family.n_stats(group.columns.shape[1], n_components)
        rows = ArraySource(group.values, group.weights, annotations=group.annotations).rows
        mass, log_likelihood = np.zeros((n_slabs, n_components)), np.zeros(n_slabs)
        stats = aligned_zeros((n_slabs, n_sums), np.float64)
        n_workers = self.executor.n_workers(rows, n_slabs, n_sums, parallel)
        workspaces = self.executor.workspaces(complete, rows, n_components, n_workers)
        run = get_pattern_pass(passes.family.kernel_key, passes.policy, passes.restrict, few=complete.few)
        given, nothing = rows._replace(key=key), np.empty((0, n_components))

        def fold(turns: NDArray[np.int64], workspace: NDArray[Any]) -> None:
            sums = mass, stats, log_likelihood
            run(given, patterns, group.which, nothing, NO_MARKS, workspace, turns, group.bounds, *sums)

        share_slabs(fold, n_slabs, list(workspaces), at_once(rows, n_sums))
        first = np.searchsorted(group.which, np.arange(len(group.columns)))
        return np.add.reduceat(mass, first), np.add.reduceat(stats, first), float(log_likelihood.sum())
