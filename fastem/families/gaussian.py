"""Gaussian components, by the form of their covariances."""

from importlib import import_module

from fastem.families._contract import Family

FORMS = ("full", "tied", "diag", "spherical")


def family(form: str) -> Family:
    """The family whose covariances have a form; KeyError if there is none."""
    if form not in FORMS:
        raise KeyError(form)
    found: Family = import_module(f"fastem.families.gaussian_{form}").FAMILY
    return found
