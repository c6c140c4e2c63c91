"""Families of component distributions, looked up by name.

A name consists of the kind of family, which is a module of this package, and of options for the function `family` of
that module: "gaussian-full" is `gaussian.family("full")`. After a point follows a variation, such as `BACKGROUND`: the
function `vary` of its module makes it from the family before the point. Modules are imported at first use, because
their kernels need numba.
"""

import functools
from importlib import import_module
from importlib.util import find_spec

from fastem.families._contract import ComponentError, Family

BACKGROUND = ".background"

__all__ = ["BACKGROUND", "ComponentError", "Family", "exact_family", "family_for", "get_family"]


@functools.cache
def get_family(name: str) -> Family:
    """Return the family with this name, such as "poisson", "gaussian-full" or "gaussian-full.background".

    Raises
    ------
    KeyError
        If there is no such family.
    """
    basic, _, variation = name.rpartition(".")
    family: Family
    if basic:
        family = import_module(f"{__name__}.{variation}").vary(get_family(basic))
    else:
        kind, *options = name.split("-")
        if find_spec(f"{__name__}.{kind}") is None:
            raise KeyError(name)
        family = import_module(f"{__name__}.{kind}").family(*options)
    return family


def family_for(family: Family, *, missing: bool, errors: bool) -> Family:
    """Variation of a family for rows with missing values, with measurement errors or projections, or with both."""
    if not (missing or errors):
        return family
    name = family.name.removesuffix(BACKGROUND)
    variation = family.errors if errors else family.missing
    assert variation is not None, "checked where data come in"
    varied = f"{name}.{variation}"
    return get_family(varied + (BACKGROUND if family.background else ""))


def exact_family(family: Family, largest: float) -> Family:
    """Return the family, or its variation "deviance" if log-densities of values up to `largest` would lose digits."""
    return get_family(f"{family.name}.deviance") if largest > family.exact_below else family
