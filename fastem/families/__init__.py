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

__all__ = ["BACKGROUND", "NAMES", "ComponentError", "Family", "get_family"]


@functools.cache
def get_family(name: str) -> Family:
    """Return the family called `name`, one of `NAMES`, with a background if `BACKGROUND` is appended to it."""
    if name.endswith(BACKGROUND):
        with_background = import_module(f"{__name__}.background").with_background
        surrounded: Family = with_background(get_family(name.removesuffix(BACKGROUND)))
        return surrounded
    family: Family = import_module(f"{__name__}.{_MODULES[name]}").FAMILY
    return family
