"""Factors of covariances and logarithms of parameters, with the same bits on every processor.

See `fastem.kernels.factors`: numpy's logarithm and LAPACK run different code on different processors.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.families._contract import ComponentError, Float
from fastem.kernels import factors
from fastem.kernels.jit import specialise

NO_MATRICES, NO_VALUES = np.empty((0, 1, 1)), np.empty(0)


@functools.cache
def _compiled() -> Callable[..., int]:
    return specialise(factors.inverse_factors, "double", {})


def inverse_factors(covariances: Float) -> Float:
    """Inverses (..., d, d) of the lower Cholesky factors of covariances (..., d, d); their lower triangles are read.

    Raises
    ------
    ComponentError
        For the first covariance that is not numerically positive definite; components are the axis before the last two.
    """
    inverses, bad = _inverses(covariances, are_factors=False)
    if bad >= 0:
        raise ComponentError(bad % covariances.shape[-3])
    return inverses


def triangular_inverses(lower: Float) -> Float:
    """Inverses of lower-triangular matrices (..., d, d)."""
    return _inverses(lower, are_factors=True)[0]


def _inverses(matrices: Float, *, are_factors: bool) -> tuple[Float, int]:
    """Inverses (..., d, d) of factors of matrices (..., d, d), or of given factors, and the first bad index or -1."""
    d = matrices.shape[-1]
    given = np.ascontiguousarray(matrices).reshape(-1, d, d)
    inverses = np.empty_like(given)
    bad = _compiled()(given, are_factors, inverses, NO_VALUES, NO_VALUES, np.empty(d))
    return inverses.reshape(matrices.shape), bad


def product(first: Float, *others: Float) -> Float:
    """Product of matrices (..., i, j), from left to right, without BLAS, whose code depends on the processor."""
    for other in others:
        first = np.einsum("...ij,...jk->...ik", first, other)
    return first


def log_determinants(lower: Float) -> Float:
    """Logarithms of the determinants (...) of triangular matrices (..., d, d)."""
    total: Float = logarithm(lower.diagonal(0, -2, -1)).sum(axis=-1)
    return total


def logarithm(values: NDArray[Any]) -> Float:
    """Natural logarithm of each number: -inf for zero, NaN for negative numbers."""
    given = np.asarray(values, dtype=np.float64, order="C")
    found = np.empty(given.shape)
    _compiled()(NO_MATRICES, False, NO_MATRICES, given.ravel(), found.reshape(-1), NO_VALUES)
    return found
