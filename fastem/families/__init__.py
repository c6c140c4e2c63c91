"""Families of component distributions, by name.

A family is one file. It is imported when it is first used, because its kernels need numba.
"""

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

__all__ = ["NAMES", "ComponentError", "Family", "family_for", "get_family"]


def get_family(name: str) -> Family:
    """Return the family called `name`: one of `NAMES`, or with a variation, such as "gaussian-full.incomplete"."""
    basic, _, variation = name.partition(".")
    family: Family = import_module(f"{__name__}.{_MODULES[basic]}").FAMILY
    if variation:
        family = import_module(f"{__name__}.{variation}").vary(family)
    return family


def family_for(family: Family, *, missing: bool, errors: bool) -> Family:
    """Variation of a family for rows with missing values, with errors or projections, or both."""
    if not (missing or errors):
        return family
    return get_family(f"{family.name}.{'incomplete' if errors else family.if_missing}")
