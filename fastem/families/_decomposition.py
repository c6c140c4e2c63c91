"""Volumes, shapes and orientations of covariances, and a check that covariances have a structure named by 3 letters.

See `fastem.families._structures`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families import _structures
from fastem.families._arithmetic import log_determinants
from fastem.families._contract import Float
from fastem.families._gaussian import covariance_from
from fastem.families._gaussian_parameters import COMPUTED, EPS, ROUNDED


class Decomposition(NamedTuple):
    """Covariances as volume * orientation @ diag(shape) @ orientation.T.

    Attributes
    ----------
    volumes : ndarray of shape (K,)
        det ** (1 / d).
    shapes : ndarray of shape (K, d)
        Eigenvalues divided by the volume; their product is 1. They are in descending order. If all components share the
        orientation, the order is that of each eigenvalue's share of the trace, averaged over the components; if the
        orientation is that of the axes, it is the order of the features.
    orientations : ndarray of shape (K, d, d)
        Eigenvectors in columns, in the order of the shapes; the entry of largest absolute value in each is positive.
    """

    volumes: Float
    shapes: Float
    orientations: Float


def decompose(name: str, covariances: Float, factors: Float) -> Decomposition:
    """Decompose covariances (K, d, d) of the structure `name`, given the precisions' Cholesky factors (K, d, d)."""
    values, frames = _eigen(name, covariances)
    volumes = np.exp(_log_volumes(factors))
    if name[0] == "E":
        volumes = np.full(len(volumes), volumes.mean())
    shapes = values / volumes[:, None]
    if name[1] == "E":
        shapes = np.tile(shapes.mean(axis=0), (len(shapes), 1))
    if name[1] == "I":
        shapes = np.ones(shapes.shape)
    return Decomposition(volumes, shapes, frames)


def _log_volumes(factors: Float) -> Float:
    """Logarithms (K,) of det ** (1 / d), from triangular factors (K, d, d) of the precisions."""
    return np.asarray(-2.0 * log_determinants(factors) / factors.shape[-1])


def _eigen(name: str, covariances: Float) -> tuple[Float, Float]:
    """Eigenvalues (K, d) and eigenvectors (K, d, d) in the order of `Decomposition`."""
    if name[2] == "I":
        values = covariances.diagonal(0, -2, -1)
        return values, np.broadcast_to(np.eye(values.shape[1]), covariances.shape).copy()
    if name[2] == "V":
        values, frames = _structures.eigen(covariances)
        return values[:, ::-1], _signed(frames[:, :, ::-1])
    frame = _structures.common_frame(covariances)
    values = _structures.along(frame, covariances)
    order = np.argsort(-(values / values.sum(axis=1, keepdims=True)).mean(axis=0), kind="stable")
    return values[:, order], np.broadcast_to(_signed(frame[:, order]), covariances.shape).copy()


def _signed(frames: Float) -> Float:
    """Eigenvectors (..., d, d), with signs that make the entry of largest absolute value positive."""
    largest = np.abs(frames).argmax(axis=-2)[..., None, :]
    return frames * np.sign(np.take_along_axis(frames, largest, axis=-2))


def violation(name: str, factors: Float, eps: float) -> str | None:
    """Message on the first component whose covariance does not have the structure `name`, or None.

    The covariances are given by the Cholesky factors (K, d, d) of their precisions, rounded to the precision `eps`:
    these keep more digits of small eigenvalues than covariances do. Relative to the features' deviations, rounding
    changes an eigenvalue, or a product with two eigenvectors, by less than a small multiple of eps * d times the sum of
    the variance inflation factors.
    """
    lower = np.ascontiguousarray(np.swapaxes(factors, 1, 2))
    covariances = covariance_from(lower)
    deviations = np.sqrt(covariances.diagonal(0, -2, -1))
    inflation = ((factors * deviations[:, :, None]) ** 2).sum(axis=(1, 2)).max()
    bound = factors.shape[1] * inflation * (COMPUTED * EPS + ROUNDED * eps)
    parts = "volume", "shape", "orientation"
    for letter, part, differs in zip(name, parts, _differences(name, covariances, lower), strict=True):
        bad = np.flatnonzero(~(differs <= bound))
        if bad.size:
            other = {"E": "that of the others", "I": "that of the identity"}[letter]
            return f"covariances_ are not of the structure {name}: the {part} of component {bad[0]} is not {other}"
    return None


def _differences(name: str, covariances: Float, lower: Float) -> tuple[Float, Float, Float]:
    """Relative differences (K,) of volumes, shapes and orientations; zero for those that the structure lets vary."""
    none, volumes = np.zeros(len(covariances)), _log_volumes(lower)
    values, frames = _eigen(name, covariances)
    with np.errstate(divide="ignore", invalid="ignore"):
        shapes = np.log(values) - volumes[:, None]
        differs = np.abs(shapes - (shapes[0] if name[1] == "E" else 0.0)).max(axis=1)
    return (
        np.abs(volumes - volumes[0]) if name[0] == "E" else none,
        none if name[1] == "V" else differs,
        none if name[2] == "V" else _largest_correlations(frames, covariances),
    )


def _largest_correlations(frames: Float, covariances: Float) -> Float:
    """Largest correlation (K,) of the coordinates along `frames` (K, d, d), which is zero for eigenvectors."""
    rotated = np.swapaxes(frames, 1, 2) @ covariances @ frames
    deviations = np.sqrt(np.abs(rotated.diagonal(0, -2, -1)))
    correlations = rotated / (deviations[:, :, None] * deviations[:, None, :])
    mask: NDArray[np.bool_] = ~np.eye(covariances.shape[1], dtype=bool)
    return np.asarray(np.abs(np.where(mask, correlations, 0.0)).max(axis=(1, 2)))
