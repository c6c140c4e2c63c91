"""Compiled passes of a family, made once a process."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from fastem.families import get_family

Function = Callable[..., Any]


class Pass(NamedTuple):
    """A pass in two sizes: the slab, which one thread calls in a loop, and the loop over slabs on all threads.

    The code of a slab is compiled once and kept on disk by itself; the parallel loop links it.
    """

    slab: Function
    parallel: Function


class Passes(NamedTuple):
    """The passes of a family under a posterior policy, see `fastem.kernels.passes`."""

    fused: Pass
    score: Pass


def get_passes(family_name: str, policy: str = "soft", record: str = "ignore") -> Passes:
    """Specialise the templates for a family, a posterior policy, and what is kept of each row.

    Nothing is compiled until a pass is called. Imports numba, which takes longer than all else: so not before a fit.

    Parameters
    ----------
    family_name : str
        One of `fastem.families.NAMES`, or that of the same with a background.
    policy : str, default="soft"
        Name of a kernel in `fastem.kernels.posterior`.
    record : {"ignore", "mark"}, default="ignore"
        Name of another.
    """
    return _specialised(family_name, policy, record)


@functools.cache  # counts a default and the same value given as two calls
def _specialised(family_name: str, policy: str, record: str) -> Passes:
    from fastem import _jit
    from fastem.kernels import passes, posterior

    family = get_family(family_name)
    kernels = {
        "log_prob": family.log_prob,
        "accumulate": family.accumulate,
        "posterior": getattr(posterior, policy),
        "record": getattr(posterior, record),
    }
    label = f"{family_name}.{policy}.{record}"

    def both(loop: Function, slab: Function) -> Pass:
        inner = _jit.specialise(slab, label, kernels)
        return Pass(inner, _jit.specialise(loop, label, {slab.__name__: inner}, parallel=True))

    return Passes(both(passes.fused_pass, passes.fold_slab), both(passes.score_pass, passes.score_slab))
