"""Parameters and host functions of Gaussian components whose covariances have a structure such as "VEV"."""

import functools

import numpy as np

from fastem.families import _gaussian_host, _gaussian_parameters
from fastem.families._contract import Float
from fastem.families._decomposition import decompose, violation
from fastem.families._host import Described, Host, StartRows
from fastem.families._parameters import FINITE, TRIANGULAR, Parameter

BY_COMPONENT = ("VII", "VVI", "VVV")  # structures in which components share nothing
# Structures that the covariances of some of the columns may not have, and the structure that these have instead.
OF_COLUMNS = {"EVI": "VVI", **dict.fromkeys(("EVE", "VVE", "EEV", "VEV", "EVV"), "VVV")}


def parameters(name: str) -> tuple[Parameter, ...]:
    """Means and matrices; if components share anything, `fixed` keeps the matrices of all components or of none."""
    free = functools.partial(n_free_numbers, name)
    return (
        _gaussian_parameters.MEANS,
        Parameter("covariances", "kdd", FINITE, "precisions_cholesky", free, together=name not in BY_COMPONENT),
        Parameter("precisions_cholesky", "kdd", TRIANGULAR, "covariances"),
    )


def n_free_numbers(name: str, n_free: int, n_components: int, n_features: int) -> int:
    """Number of free volumes, shapes and orientations: for each letter one (E), one per component (V) or none (I)."""
    sizes = (1, n_features - 1, n_features * (n_features - 1) // 2)
    counts = {"E": min(n_free, 1), "V": n_free, "I": 0}
    return sum(counts[letter] * size for letter, size in zip(name, sizes, strict=True))


def contradiction(name: str, described: dict[str, Float], eps: float) -> str | None:
    """Message if covariances and precisions do not agree, or if the covariances do not have the structure."""
    contradicts = _gaussian_parameters.contradiction_of_matrices(described, eps)
    return contradicts or violation(name, described["precisions_cholesky"], eps)


def host(name: str, base: Host) -> Host:
    """Host functions of components with the structure `name`; `base` are those of the family with the same passes."""
    of_matrices = _gaussian_host.host(name, "kdd")
    locations, precisions = of_matrices.initial

    def complaint(values: Float) -> str | None:
        wrong = precisions.complaint(values)
        return wrong or _structure_complaint(name, precisions.described(values))

    return of_matrices._replace(
        initial=(locations, precisions._replace(complaint=complaint)),
        attributes=functools.partial(attributes, name),
        adjust_start=None if base.adjust_start is None else functools.partial(adjust_start, base),
        of_columns={"covariance_type": OF_COLUMNS.get(name, name)},
    )


def _structure_complaint(name: str, described: dict[str, Float]) -> str | None:
    wrong = violation(name, described["precisions_cholesky"], _gaussian_parameters.EPS)
    return None if wrong is None else wrong.replace("covariances_ are", "the inverses of precisions_init are")


def adjust_start(base: Host, described: dict[str, Float], rows: StartRows) -> dict[str, Float]:
    """Adjust a start as the family with the same passes does, and repeat shared matrices for each component."""
    assert base.adjust_start is not None
    adjusted = base.adjust_start(described, rows)
    n_components = len(described["means"])
    return {
        name: np.repeat(array[None], n_components, axis=0) if array.ndim < described[name].ndim else array
        for name, array in adjusted.items()
    }


def attributes(name: str, described: Described) -> dict[str, Float]:
    """Precisions, volumes, shapes and orientations."""
    known = dict(described)
    if "covariances" not in known:
        known = _gaussian_parameters.complete_matrices(known)
    return {
        **_gaussian_host.attributes("kdd", known),
        **decompose(name, known["covariances"], known["precisions_cholesky"])._asdict(),
    }
