"""Parameters of Gaussian components, and checks that their covariances and precisions agree."""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from fastem.families import _gaussian
from fastem.families._arithmetic import inverse_factors
from fastem.families._contract import Float
from fastem.families._parameters import (
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    TRIANGULAR,
    Parameter,
    numbers,
    one_symmetric_matrix,
    symmetric_matrices,
    vectors,
)

MEANS = Parameter("means", "kd", FINITE, free=vectors)
# Tolerances of the checks, as multiples of the precision of numbers times the sum of the variance inflation factors. 70
# is the largest multiple observed for 40 000 covariances of 1 to 100 features, of condition up to 1e16, whose factors
# were computed as in a fit, by scikit-learn and from `precisions_init`; for rounding to float32 it is 3.
COMPUTED, ROUNDED = 2.0**12, 2.0**8
EPS = float(np.finfo(np.float64).eps)
SMALLEST_NORMAL = tuple(float(np.finfo(dtype).tiny) for dtype in (np.float64, np.float32))
SMALLEST = tuple(float(np.finfo(dtype).smallest_subnormal) for dtype in (np.float64, np.float32))


def of_matrices(axes: str) -> tuple[Parameter, ...]:
    """Means, and covariance matrices with axes "kdd" (one per component) or "dd" (shared)."""
    shared = axes == "dd"
    free = one_symmetric_matrix if shared else symmetric_matrices
    return (
        MEANS,
        Parameter("covariances", axes, FINITE, "precisions_cholesky", free, together=shared),
        Parameter("precisions_cholesky", axes, TRIANGULAR, "covariances"),
    )


def of_variances(axes: str) -> tuple[Parameter, ...]:
    """Means, and variances per column ("kd") or component ("k"); a variance in float32 may be rounded to zero."""
    free = vectors if axes == "kd" else numbers
    return (
        MEANS,
        Parameter("covariances", axes, NON_NEGATIVE, "precisions_cholesky", free),
        Parameter("precisions_cholesky", axes, POSITIVE, "covariances"),
    )


def complete_matrices(described: dict[str, Float]) -> dict[str, Float]:
    """Add covariances computed from factors of the precisions, or these factors computed from covariances."""
    if "precisions_cholesky" not in described:
        covariances = described["covariances"]
        matrices = covariances.reshape(-1, *covariances.shape[-2:])
        factors = np.ascontiguousarray(np.swapaxes(inverse_factors(matrices), 1, 2)).reshape(covariances.shape)
        return {**described, "precisions_cholesky": factors}
    lower = np.swapaxes(described["precisions_cholesky"], -1, -2)
    return {**described, "covariances": _gaussian.covariance_from(np.ascontiguousarray(lower))}


def complete_variances(described: dict[str, Float]) -> dict[str, Float]:
    """Add variances computed from inverse deviations, or inverse deviations computed from variances."""
    if "precisions_cholesky" not in described:
        return {**described, "precisions_cholesky": _gaussian.inverse_deviations(described["covariances"])}
    with np.errstate(over="ignore", under="ignore"):
        return {**described, "covariances": (1.0 / described["precisions_cholesky"]) ** 2}


def contradiction_of_matrices(described: dict[str, Float], eps: float) -> str | None:
    """Message if covariance times precision is not the identity, checked by one vector v (Freivalds, 1979).

    Differences are measured in units of each feature's deviation s, so that the units of features do not matter.
    Rounding to `eps` changes S P v by less than a small multiple of eps s (s' |U| |U'| s). The trace of the inverse
    correlation matrix, which is the sum of the features' variance inflation factors, bounds the factor in parentheses.
    """
    covariances, factors = described["covariances"], described["precisions_cholesky"]
    tiny = SMALLEST_NORMAL[eps > EPS]  # variances below it have fewer digits
    with np.errstate(all="ignore"):
        deviation = np.sqrt(covariances.diagonal(0, -2, -1) + tiny)[..., None]
        vector = deviation * _vector(covariances.shape[-1])
        product = covariances @ (factors @ (np.swapaxes(factors, -1, -2) @ vector))
        inflation = ((deviation * factors) ** 2).sum(axis=(-2, -1))[..., None, None]
        bound = (COMPUTED * EPS + ROUNDED * eps) * inflation
        agree = (np.abs(product - vector) <= bound * deviation) & (bound < math.inf)
    return _words(agree.reshape(-1, covariances.shape[-1]), shared=covariances.ndim == 2)


def contradiction_of_variances(described: dict[str, Float], eps: float) -> str | None:
    """Message if variances and inverse deviations do not agree."""
    variances = described["covariances"]
    smallest = SMALLEST[eps > EPS]
    with np.errstate(all="ignore"):
        expected = (1.0 / described["precisions_cholesky"]) ** 2
        agree = (np.abs(variances - expected) <= ROUNDED * eps * expected + smallest) & (expected < math.inf)
    return _words(agree.reshape(len(variances), -1), shared=False)


def _words(agree: NDArray[np.bool_], *, shared: bool) -> str | None:
    """Message on the first component whose row of `agree` (K, ...) is not all true, or None."""
    if agree.all():
        return None
    place = "" if shared else f" in component {np.flatnonzero(~agree.all(axis=1))[0]}"
    return (
        f"covariances_ and precisions_cholesky_ contradict each other{place}: set both, or delete "
        "precisions_cholesky_, and it is computed from covariances_"
    )


@functools.lru_cache(16)
def _vector(n_features: int) -> Float:
    """Random vector (d, 1) of numbers with absolute values from 1 to 2 and either sign."""
    random = np.random.default_rng(n_features)
    return np.asarray(random.choice([-1.0, 1.0], (n_features, 1)) * random.uniform(1.0, 2.0, (n_features, 1)))
