"""Covariances of Gaussian components that share their volume, shape or orientation: maximum likelihood.

A covariance is lambda D A D'. Its volume is lambda = det ** (1 / d), its shape is A, a diagonal matrix of determinant
1, and its orientation is D, a rotation. Each may be equal for all components (E) or vary (V), and shape and orientation
may be the identity (I): three letters name a structure (Banfield and Raftery, 1993). Estimates are those of Celeux and
Govaert (1995).

Each function takes the shares (K,) of the components in the mass, their average scatters S_k about their means, and the
covariances before the M-step, of the same structure. Covariances and scatters are (K, d, d), or (K, d) or (K,) where
they are diagonal. The function returns covariances for which

    - sum_k share_k (log det C_k + trace(S_k inv(C_k)))

is no smaller than before: its maximum for EII, EEI, EVI, EEV and EVV. The others iterate from the covariances before.
VEI, VEE and VEV alternate between volumes and the shared part. That leads to the only maximum, because the negative
objective is convex in logarithms, for VEE along geodesics. EVE and VVE alternate between shapes and rotations in one
plane after the other, each to its exact minimum (Flury and Gautschi, 1986). A sweep over all planes costs K d^3
operations. Near the structure five sweeps converge, where the majorisation-minimisation of Browne and McNicholas
(2014), which decomposes a matrix in every step, takes hundreds of steps.

Computations use ratios of volumes only, so that a change of the data's unit by a power of two changes only the
exponents of the result.

References
----------
G. Celeux and G. Govaert (1995), Gaussian parsimonious clustering models, Pattern Recognition 28, 781-793.
J. D. Banfield and A. E. Raftery (1993), Model-based Gaussian and non-Gaussian clustering, Biometrics 49, 803-821.
R. P. Browne and P. D. McNicholas (2014), Estimating common principal components in high dimensions, Advances in Data
Analysis and Classification 8, 217-226.
B. N. Flury and W. Gautschi (1986), An algorithm for simultaneous orthogonal transformation of several positive definite
symmetric matrices to nearly diagonal form, SIAM Journal on Scientific and Statistical Computing 7, 169-184.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from fastem.families._arithmetic import inverse_factors, logarithm, product
from fastem.families._contract import ComponentError, Float
from fastem.kernels import rotations
from fastem.kernels.jit import specialise

Estimate = Callable[[Float, Float, Float], Float]

ALTERNATIONS = 50, 1e-10  # largest number of alternations, and the relative change that ends them
SWEEPS = 20, 1e-9  # largest number of sweeps of rotations, and the sine that ends them; EM continues from the result


def pooled(shares: Float, averages: Float) -> Float:
    """Weighted mean (...) of `averages` (K, ...) over the components."""
    return np.einsum("k,k...->...", shares, averages)


def shared(shares: Float, averages: Float, before: Float) -> Float:
    """EII, EEI: variances that all components share, in the shape of `averages`."""
    return np.broadcast_to(pooled(shares, averages), averages.shape).copy()


def vei(shares: Float, averages: Float, before: Float) -> Float:
    """Variances (K, d) of equal shape."""
    return _proportional(shares, averages, before[0])


def evi(shares: Float, averages: Float, before: Float) -> Float:
    """Variances (K, d) of equal volume."""
    relative = relative_volumes(averages)
    return averages * ((shares @ relative) / relative)[:, None]


def vee(shares: Float, averages: Float, before: Float) -> Float:
    """Covariances (K, d, d) that are proportional to each other."""
    matrix, last = before[0], np.ones(len(shares))
    for _ in range(ALTERNATIONS[0]):
        lower = _inverse_factor(matrix)
        precision = np.einsum("ij,ik->jk", lower, lower)
        volumes = _positive(np.einsum("kij,ij->k", averages, precision) / len(matrix))
        matrix = pooled(shares / volumes, averages)
        if np.abs(volumes / last - 1.0).max() <= ALTERNATIONS[1]:
            break
        last = volumes
    return volumes[:, None, None] * matrix


def eev(shares: Float, averages: Float, before: Float) -> Float:
    """Covariances (K, d, d) of equal eigenvalues."""
    values, frames = eigen(averages)
    return compose(frames, _shared_positive(pooled(shares, values)))


def vev(shares: Float, averages: Float, before: Float) -> Float:
    """Covariances (K, d, d) whose eigenvalues are proportional."""
    values, frames = eigen(averages)
    return compose(frames, _proportional(shares, values, eigen(before[:1])[0][0]))


def evv(shares: Float, averages: Float, before: Float) -> Float:
    """Covariances (K, d, d) of equal determinant."""
    relative = 1.0 / relative_volumes(inverse_factors(averages).diagonal(0, -2, -1)) ** 2
    return averages * ((shares @ relative) / relative)[:, None, None]


def eve(shares: Float, averages: Float, before: Float) -> Float:
    """Covariances (K, d, d) of equal eigenvectors and determinant."""
    frame, variances = _common_components(shares, averages, before, equal_volumes=True)
    return compose(frame, evi(shares, variances, variances))


def vve(shares: Float, averages: Float, before: Float) -> Float:
    """Covariances (K, d, d) of equal eigenvectors."""
    return compose(*_common_components(shares, averages, before, equal_volumes=False))


DIAGONAL: dict[str, Estimate] = {"VEI": vei, "EVI": evi}
FULL: dict[str, Estimate] = {"VEE": vee, "EVE": eve, "VVE": vve, "EEV": eev, "VEV": vev, "EVV": evv}
ONE = ("EII", "EEI")  # structures with one covariance, the average over the components
ESTIMATES = {"EII": shared, "EEI": shared, **DIAGONAL, **FULL}


def relative_volumes(scales: Float) -> Float:
    """Geometric means (K,) of positive numbers (K, d), divided by that of the first component."""
    relative = np.empty(len(scales))
    _relative_volumes()(np.ascontiguousarray(_positive(scales)), relative)
    return relative


def eigen(matrices: Float) -> tuple[Float, Float]:
    """Eigenvalues (K, d), ascending and not negative, and eigenvectors (K, d, d) of semidefinite matrices (K, d, d)."""
    exponents = np.frexp(matrices.diagonal(0, -2, -1).max(axis=-1))[1]
    values, frames = np.linalg.eigh(np.ldexp(matrices, -exponents[..., None, None]))
    return np.maximum(np.ldexp(values, exponents[..., None]), 0.0), frames


def compose(frames: Float, values: Float) -> Float:
    """Matrices (..., d, d) from eigenvectors (..., d, d) and eigenvalues (..., d)."""
    matrices = product(frames * values[..., None, :], np.swapaxes(frames, -1, -2))
    return 0.5 * (matrices + np.swapaxes(matrices, -1, -2))


def common_frame(covariances: Float) -> Float:
    """Eigenvectors (d, d) of covariances (K, d, d) that commute."""
    shares = np.linspace(1.0, 2.0, len(covariances))  # unequal, so that different eigenvalues do not average out
    pool = pooled(shares / covariances.trace(axis1=1, axis2=2), covariances)
    return _aligned(covariances, shares, _eigenvectors(pool), equal_volumes=False)[0]


def _proportional(shares: Float, averages: Float, shape: Float) -> Float:
    """Proportional variances (K, d), from averages (K, d) and any multiple of a first shape (d,)."""
    for _ in range(ALTERNATIONS[0]):
        volumes = _positive((averages / _shared_positive(shape)).mean(axis=1))
        before, shape = shape, pooled(shares / volumes, averages)
        if np.abs(shape / before - 1.0).max() <= ALTERNATIONS[1]:
            break
    return volumes[:, None] * _shared_positive(shape)


def _common_components(shares: Float, averages: Float, before: Float, *, equal_volumes: bool) -> tuple[Float, Float]:
    """Eigenvectors (d, d) that the components share, and variances along them (K, d).

    The iteration starts at the eigenvectors of the covariances before. If these are all the same, as at the start of a
    fit, it starts at the eigenvectors of the pooled scatter where these are better.
    """
    frame = common_frame(before)
    if (before == before[0]).all():
        pooled_frame = _eigenvectors(pooled(shares, averages))
        known, fresh = along(frame, averages), along(pooled_frame, averages)
        ratios = relative_volumes(np.concatenate([known, fresh])).reshape(2, -1)
        ratios = ratios if equal_volumes else logarithm(ratios)
        frame = pooled_frame if ratios[1] @ shares < ratios[0] @ shares else frame
    return _aligned(averages, shares, frame, equal_volumes=equal_volumes)


def along(frame: Float, matrices: Float) -> Float:
    """Quadratic forms (K, d) of matrices (K, d, d) in the columns of a frame (d, d)."""
    return np.einsum("ji,kjl,li->ki", frame, matrices, frame)


def _eigenvectors(matrix: Float) -> Float:
    """Eigenvectors (d, d), in columns, of a matrix (d, d)."""
    return np.ascontiguousarray(eigen(matrix[None])[1][0])


def _inverse_factor(matrix: Float) -> Float:
    """Inverse of the Cholesky factor of a matrix (d, d) that all components share."""
    try:
        return inverse_factors(matrix[None])[0]
    except ComponentError:
        raise ComponentError(None) from None


def _positive(scales: Float) -> Float:
    """Return scales (K, ...); raise ComponentError for the first component with one that has collapsed."""
    by_component = scales.reshape(len(scales), -1)
    collapsed = ~((by_component > 0.0) & (by_component < math.inf)).all(axis=1)
    if collapsed.any():
        raise ComponentError(int(collapsed.argmax()))
    return scales


def _shared_positive(scales: Float) -> Float:
    """Return scales (d,) that all components share; raise ComponentError if one has collapsed."""
    if not (scales > 0.0).all():
        raise ComponentError(None)
    return scales


def _aligned(matrices: Float, shares: Float, frame: Float, *, equal_volumes: bool) -> tuple[Float, Float]:
    """A frame (d, d) in which matrices (K, d, d) are nearly diagonal, and their diagonals (K, d)."""
    n_components, n_features = matrices.shape[:2]
    rotated = product(frame.T, matrices, frame)
    rotated = np.ascontiguousarray(0.5 * (rotated + np.swapaxes(rotated, 1, 2)))
    frame, variances, precisions = frame.copy(), *np.empty((2, n_components, n_features))
    bad = _align()(rotated, shares, equal_volumes, SWEEPS, frame, variances, precisions, np.empty(n_components))
    if bad >= 0:
        raise ComponentError(bad)
    return frame, variances


@functools.cache
def _align() -> Callable[..., int]:
    return specialise(rotations.align, "double", {})


@functools.cache
def _relative_volumes() -> Callable[..., None]:
    return specialise(rotations.volumes, "double", {})
