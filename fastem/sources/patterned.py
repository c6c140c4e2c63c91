"""Rows of an array in which some values are missing, swept pattern by pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.annotations import Annotations
from fastem.compiled import Passes, get_passes, get_pattern_passes
from fastem.families._contract import Float
from fastem.sources._contract import Mixture, Sweep
from fastem.sources.array import NO_MARKS, ArraySource
from fastem.sources.patterns import Group, Patterns, find_patterns
from fastem.sources.tiling import aligned


class PatternSource(ArraySource):
    """Rows of an array for a family that has `Family.patterns`: parameters are as those of `ArraySource`.

    Rows are sorted by pattern when they are first swept, which copies the values that are there; rows of rare patterns
    are swept as by any source.
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
        sweeps = []
        for group in self._patterns.groups:
            sweeps.append(self._sweep_group(group, passes, mixture, key, parallel))
            key += len(group.values)
        rest = self._patterns.rest
        if rest.size:
            plain = ArraySource.sweep
            sweeps.append(plain(self.reordered(rest), passes, mixture, n_stats, key=key, parallel=parallel))
        total = sweeps[0]
        for sweep in sweeps[1:]:
            total = total + sweep
        return total

    def _sweep_group(self, group: Group, passes: Passes, mixture: Mixture, key: int, parallel: bool | None) -> Sweep:
        """Run one pass over the patterns of a group."""
        algebra = passes.family.patterns
        assert algebra is not None
        complete = get_passes(algebra.family, passes.policy, "ignore", passes.restrict)
        n_components, n_slabs = mixture.weights.size, len(group.which)
        n_sums = complete.family.n_stats(group.columns.shape[1], n_components)
        rows = ArraySource(group.values, group.weights, annotations=group.annotations)
        rows._memory = self._memory
        mass, log_likelihood = np.zeros((n_slabs, n_components)), np.zeros(n_slabs)
        stats = aligned((n_slabs, n_sums), np.float64)
        stats.fill(0.0)
        workspaces = rows._workspaces(complete, mixture, rows._n_workers(n_slabs, n_sums, parallel))
        run = get_pattern_passes(passes.family.name, passes.policy, passes.restrict)[len(workspaces) > 1]
        params = algebra.marginal(mixture.params, mixture.log_weights, group.columns)
        nothing = np.empty((0, n_components))
        run(
            *(rows.rows._replace(key=key), params, group.which, nothing, NO_MARKS),
            *(workspaces, group.bounds, mass, stats, log_likelihood),
        )
        first = np.searchsorted(group.which, np.arange(len(group.columns)))
        masses, sums = np.add.reduceat(mass, first), np.add.reduceat(stats, first)
        expected = algebra.expand(masses, sums, mixture.params, group.columns)
        return Sweep(mass.sum(axis=0), expected, float(log_likelihood.sum()))
