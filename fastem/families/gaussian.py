"""Gaussian components, by the form of their covariances."""

from importlib import import_module

from fastem.families._contract import Family

FORMS = ("full", "tied", "diag", "spherical")
# mclust's fourteen structures, in capital letters, and the forms whose passes they use.
STRUCTURES = {
    **dict.fromkeys(("EII", "VII"), "spherical"),
    **dict.fromkeys(("EEI", "VEI", "EVI", "VVI"), "diag"),
    "EEE": "tied",
    **dict.fromkeys(("VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"), "full"),
}


def family(form: str) -> Family:
    """The family whose covariances have the form or structure `form`; KeyError if there is none."""
    if form not in FORMS and form not in STRUCTURES:
        raise KeyError(form)
    module = import_module(f"fastem.families.gaussian_{form if form in FORMS else 'structured'}")
    found: Family = module.FAMILY if form in FORMS else module.family(form, family(STRUCTURES[form]))
    return found
