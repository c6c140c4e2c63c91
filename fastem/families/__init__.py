"""Families of component distributions, by name.

A family is a value, and its name spells it: the kind, which is a module here, and options for the module's function
`family`, as in "gaussian-full". Modules are imported when they are first used, because their kernels need numba. What
follows a point is a variation, such as `BACKGROUND`, whose module makes it from the family before the point.
"""

import functools
from importlib import import_module
from importlib.util import find_spec

from fastem.families._contract import ComponentError, Family

BACKGROUND = ".background"

__all__ = ["BACKGROUND", "ComponentError", "Family", "exact_family", "family_for", "get_family"]


@functools.cache
def get_family(name: str) -> Family:
    """Return the family called `name`: a kind with its options, such as "poisson" or "gaussian-full", or a variation.

    Raises
    ------
    KeyError
        If there is none.
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
    """Variation of a family for rows with missing values, with errors or projections, or both."""
    if not (missing or errors):
        return family
    name = family.name.removesuffix(BACKGROUND)
    variation = family.errors if errors else family.missing
    assert variation is not None, "checked where data come in"
    varied = f"{name}.{variation}"
    return get_family(varied + (BACKGROUND if family.background else ""))


def exact_family(family: Family, largest: float) -> Family:
    """Variation of a family whose log-densities lose no digits of values that are at most so large."""
    return get_family(f"{family.name}.deviance") if largest > family.exact_below else family
