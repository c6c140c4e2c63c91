"""What the parameters of a family must look like: each family declares it, `fastem.em.parameters` checks it."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Domain(NamedTuple):
    """Values that a parameter may have: in words, and as a test of an array, or of the part of one component."""

    words: str
    holds: Callable[[Float], bool]


class Parameter(NamedTuple):
    """One parameter of a family.

    Attributes
    ----------
    name : str
        As `Family.describe` calls it.
    axes : str
        A letter for each axis: "k" for components, "d" for features.
    domain : Domain
    follows_from : str, optional
        Another parameter that it is computed from where it is not given.
    """

    name: str
    axes: str
    domain: Domain
    follows_from: str | None = None

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """The shape that it must have."""
        return tuple(n_components if axis == "k" else n_features for axis in self.axes)


def _triangular(matrices: Float) -> bool:
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
