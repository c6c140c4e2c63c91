"""Declarations of a family's parameters: shapes, domains and free numbers; `fastem.em.parameters` checks values."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Domain(NamedTuple):
    """Values that a parameter may have: in words, and as a test of an array or of one component's part of it."""

    words: str
    holds: Callable[[Float], bool]


class Parameter(NamedTuple):
    """One parameter of a family.

    Attributes
    ----------
    name : str
        Name in the result of `Family.describe`.
    axes : str
        A letter for each axis: "k" for components, "d" for features, or a digit. Without "k" all components share it.
    domain : Domain
    follows_from : str, optional
        Another parameter from which it is computed if it is not given.
    free : callable (n_free, n_components, n_features) -> int
        Number of values that a fit estimates, if the parameter is estimated in `n_free` of the components.
    together : bool
        Whether it is fixed in all components or in none.
    """

    name: str
    axes: str
    domain: Domain
    follows_from: str | None = None
    free: Callable[[int, int, int], int] = lambda n_free, n_components, n_features: 0
    together: bool = False

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of its array."""
        sizes = {"k": n_components, "d": n_features}
        return tuple(sizes[axis] if axis in sizes else int(axis) for axis in self.axes)

    @property
    def singular(self) -> str:
        """Its name for one component."""
        return self.name[:-3] + "y" if self.name.endswith("ies") else self.name.removesuffix("s")

    @property
    def shared(self) -> bool:
        """Whether all components have the same value."""
        return "k" not in self.axes


def vectors(n_free: int, n_components: int, n_features: int) -> int:
    """Free numbers of one vector per component."""
    return n_free * n_features


def numbers(n_free: int, n_components: int, n_features: int) -> int:
    """Free numbers of one number per component."""
    return n_free


def symmetric_matrices(n_free: int, n_components: int, n_features: int) -> int:
    """Free numbers of one symmetric matrix per component."""
    return n_free * n_features * (n_features + 1) // 2


def one_symmetric_matrix(n_free: int, n_components: int, n_features: int) -> int:
    """Free numbers of a symmetric matrix that all components share."""
    return n_features * (n_features + 1) // 2 if n_free else 0


def count_free(parameters: Sequence[Parameter], sizes: tuple[int, int], n_free: Mapping[str, int]) -> int:
    """Number of free parameters without the weights.

    `sizes` are the numbers of components and features. `n_free` gives, by the parameter's name, the number of
    components in which it is estimated: all components for a name that is not there.
    """
    return sum(parameter.free(n_free.get(parameter.name, sizes[0]), *sizes) for parameter in parameters)


def _triangular(matrices: Float) -> bool:
    """Whether matrices (..., d, d) are finite and upper-triangular, with a positive diagonal."""
    rows, columns = _below_diagonal(matrices.shape[-1])
    upper = not matrices[..., rows, columns].any()
    return upper and matrices.diagonal(0, -2, -1).min() > 0.0 and bool(np.isfinite(matrices).all())


@functools.lru_cache(16)
def _below_diagonal(n_features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.tril_indices(n_features, -1)


FINITE = Domain("finite numbers", lambda values: bool(np.isfinite(values).all()))
POSITIVE = Domain("positive numbers", lambda values: values.min() > 0.0 and values.max() < math.inf)
NON_NEGATIVE = Domain("numbers that are not negative", lambda values: values.min() >= 0.0 and values.max() < math.inf)
TRIANGULAR = Domain("upper-triangular, with a positive diagonal", _triangular)
LOG_DENSITY = Domain("the logarithm of a density", lambda values: bool(values < math.inf))
PROBABILITIES = Domain("between 0 and 1", lambda values: bool(values.min() >= 0.0 and values.max() <= 1.0))
