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

__all__ = ["NAMES", "ComponentError", "Family", "get_family"]


def get_family(name: str) -> Family:
    """Return the family called `name`, one of `NAMES`."""
    family: Family = import_module(f"{__name__}.{_MODULES[name]}").FAMILY
    return family
