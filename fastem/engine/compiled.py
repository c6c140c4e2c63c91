"""Compiled passes of families, made once per process."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from fastem.families import Family, get_family

Function = Callable[..., Any]


class Passes(NamedTuple):
    """The passes of a family under a posterior policy over a slab of rows, see `fastem.kernels.passes`."""

    fused: Function
    score: Function
    family: Family
    policy: str
    record: str
    restrict: str
    few: bool

    def of(self, n_columns: int) -> "Passes":
        """The passes for rows of `n_columns` columns; these passes if the family has no kernels for few columns."""
        if self.family.few is None:
            return self
        from fastem.kernels.small import LARGEST

        few = n_columns <= LARGEST
        return self if few == self.few else _passes(self.family, self.policy, self.record, self.restrict, few=few)


def get_passes(family: Family, policy: str = "soft", record: str = "ignore", restrict: str = "all_allowed") -> Passes:
    """Specialise the pass templates for a family, a posterior policy, and what is recorded and known of each row.

    A pass is compiled when it is first called. This function imports numba, which takes long: call it in a fit only.

    Parameters
    ----------
    family : Family
        See `fastem.families.get_family`. Families that share their kernels share compiled code.
    policy : str, default="soft"
        Name of a kernel in `fastem.kernels.posterior`.
    record : {"ignore", "mark"}, default="ignore"
        Name of a kernel in the same module; "mark" records each row's most probable component and log-density.
    restrict : {"all_allowed", "restrict"}, default="all_allowed"
        Name of a kernel in the same module; "restrict" applies labels or plausibilities of the rows.

    Returns
    -------
    Passes
        Passes for rows of many columns; `Passes.of` gives those for any number of columns.
    """
    return _passes(family, policy, record, restrict, few=False)


def _passes(family: Family, policy: str, record: str, restrict: str, *, few: bool) -> Passes:
    fused, score = _specialised(family.kernel_key, policy, record, restrict, few=few)
    return Passes(fused, score, family, policy, record, restrict, few)


@functools.cache
def get_pattern_pass(kernel_key: str, policy: str, restrict: str, *, few: bool) -> Function:
    """Pass in which each slab has its own parameters, see `Family.patterns`."""
    from fastem.kernels import jit, passes

    algebra = get_family(kernel_key).patterns
    assert algebra is not None
    kernels = {**_kernels(algebra.family, policy, "ignore", restrict, few=few), "pick": algebra.pick}
    return jit.specialise(passes.fold_slabs, _label(kernel_key, policy, restrict, few=few), kernels)


@functools.cache
def get_cluster_passes() -> tuple[Function, Function]:
    """Passes for the distances and the assignments of k-means, see `fastem.kernels.passes`."""
    from fastem.kernels import jit, passes

    distances, assign = (jit.specialise(loop, "k-means", {}) for loop in (passes.distance_pass, passes.assign_pass))
    return distances, assign


@functools.cache
def get_waiting() -> Function:
    """Compiled `fastem.kernels.turns.await_change`."""
    from fastem.kernels import jit, turns

    return jit.specialise(turns.await_change, "int64", {})


@functools.cache  # not on `get_passes`: a default and the same value given would be two entries
def _specialised(kernel_key: str, policy: str, record: str, restrict: str, *, few: bool) -> tuple[Function, Function]:
    """The fused pass and the score pass."""
    from fastem.kernels import jit, passes

    kernels = _kernels(kernel_key, policy, record, restrict, few=few)
    label = _label(kernel_key, policy, record, restrict, few=few)
    fused, score = (jit.specialise(slabs, label, kernels) for slabs in (passes.fold_slabs, passes.score_slabs))
    return fused, score


def _kernels(kernel_key: str, policy: str, record: str, restrict: str, *, few: bool) -> dict[str, Function]:
    """Kernels for the placeholders of the templates, if all slabs have the same parameters."""
    from fastem.kernels import posterior, tiles

    family = get_family(kernel_key)
    own = family.few if few and family.few else family
    return {
        "log_prob": own.log_prob,
        "accumulate": own.accumulate,
        "posterior": getattr(posterior, policy),
        "record": getattr(posterior, record),
        "restrict": getattr(posterior, restrict),
        "load_errors": family.load_errors or tiles.load_nothing,
        "pick": tiles.same_for_all,
    }


def _label(*names: str, few: bool) -> str:
    """Name of a specialisation."""
    return ".".join((*names, "few") if few else names)
