"""Families of component distributions, by name.

A family is one file. It is imported when it is first used, because its kernels need numba. A name that ends in
`BACKGROUND` is of a family and a background.
"""

import functools
from importlib import import_module

from fastem.families._contract import ComponentError, Family

_MODULES = {
    "gaussian-full": "gaussian_full",
    "gaussian-tied": "gaussian_tied",
    "gaussian-diag": "gaussian_diag",
    "gaussian-spherical": "gaussian_spherical",
    "poisson": "poisson",
}

NAMES = tuple(_MODULES)
BACKGROUND = ".background"

__all__ = ["BACKGROUND", "NAMES", "ComponentError", "Family", "exact_family", "family_for", "get_family"]


@functools.cache
def get_family(name: str) -> Family:
    """Return the family called `name`: one of `NAMES`, or with variations, such as "gaussian-full.background"."""
    basic, _, variation = name.rpartition(".")
    family: Family
    if basic:
        family = import_module(f"{__name__}.{variation}").vary(get_family(basic))
    else:
        family = import_module(f"{__name__}.{_MODULES[name]}").FAMILY
    return family


def family_for(family: Family, *, missing: bool, errors: bool) -> Family:
    """Variation of a family for rows with missing values, with errors or projections, or both."""
    if not (missing or errors):
        return family
    name = family.name.removesuffix(BACKGROUND)
    varied = f"{name}.{'incomplete' if errors else family.if_missing}"
    return get_family(varied + (BACKGROUND if family.background else ""))


def exact_family(family: Family, largest: float) -> Family:
    """Variation of a family whose log-densities lose no digits of values that are at most so large."""
    return get_family(f"{family.name}.deviance") if largest > family.exact_below else family
