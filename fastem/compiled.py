"""Compiled passes of a family, made once a process."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from fastem.families import get_family

Function = Callable[..., Any]


class Twins(NamedTuple):
    """The same template compiled for one thread and for all; equal results to the last bit.

    Both call the same code for a slab. That is kept on disk by itself: compiled twice, the same source may add the same
    numbers in another order.
    """

    serial: Function
    parallel: Function

    def choose(self, *, parallel: bool) -> Function:
        """Return one of the two."""
        return self.parallel if parallel else self.serial


class Passes(NamedTuple):
    """The passes of a family under a posterior policy, see `fastem.kernels.passes`."""

    fused: Twins
    score: Twins
    given: Function


@functools.cache
def get_passes(family_name: str, policy: str = "soft") -> Passes:
    """Specialise the templates for a family and a posterior policy.

    Nothing is compiled until a pass is called. Imports numba, which takes longer than all else: so not before a fit.

    Parameters
    ----------
    family_name : str
        One of `fastem.families.NAMES`.
    policy : str, default="soft"
        Name of a kernel in `fastem.kernels.posterior`.
    """
    from fastem import _jit
    from fastem.kernels import passes, posterior

    family = get_family(family_name)
    kernels = {
        "log_prob": family.log_prob,
        "accumulate": family.accumulate,
        "posterior": getattr(posterior, policy),
    }
    label = f"{family_name}.{policy}"

    def twins(template: Function, slab: Function) -> Twins:
        inner = _jit.specialise(slab, label, kernels)
        bound = {slab.__name__: inner}
        serial = _jit.specialise(template, label, bound)
        return Twins(serial, _jit.specialise(template, label, bound, parallel=True))

    return Passes(
        fused=twins(passes.fused_pass, passes.fold_slab),
        score=twins(passes.score_pass, passes.score_slab),
        given=_jit.specialise(passes.given_pass, label, kernels),
    )
