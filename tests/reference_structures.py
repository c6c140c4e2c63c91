"""Covariances of mclust's fourteen structures written directly from their definition, and EM with them.

It shares no code with fastem: a structure is a map from unconstrained numbers to covariances, and estimates
come from a general optimiser of these, or from the formulas of Celeux and Govaert (1995) if there are any.
"""

from dataclasses import dataclass

import numpy as np
from reference import Gaussian
from scipy.linalg import expm
from scipy.optimize import minimize

NAMES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
CLOSED = ("EII", "VII", "EEI", "EVI", "VVI", "EEE", "EEV", "EVV", "VVV")
SHARING_AXES = ("EVE", "VVE")  # their objective has several optima


def sizes(name, n_components, n_features):
    """Numbers of free parameters of volumes, shapes and orientations."""
    each = {"E": 1, "V": n_components, "I": 0}
    lengths = 1, n_features - 1, n_features * (n_features - 1) // 2
    return [each[letter] * length for letter, length in zip(name, lengths, strict=True)]


def compose(name, numbers, n_components, n_features, frames=None):
    """Covariances (K, d, d) from unconstrained numbers; orientations are rotations of `frames` (K, d, d)."""
    volumes, shapes, angles = np.split(numbers, np.cumsum(sizes(name, n_components, n_features))[:-1])
    volumes = np.exp(np.resize(volumes, n_components))
    free = np.zeros((n_components, n_features))
    if name[1] != "I":
        free[:, 1:] = np.resize(shapes, (n_components, n_features - 1))
    shapes = np.exp(free - free.mean(axis=1, keepdims=True))
    covariances = np.empty((n_components, n_features, n_features))
    below = np.tril_indices(n_features, -1)
    for k in range(n_components):
        frame = np.eye(n_features) if frames is None or name[2] == "I" else frames[k]
        if name[2] != "I":
            skew = np.zeros((n_features, n_features))
            skew[below] = np.resize(angles, (n_components, len(below[0])))[k]
            frame = frame @ expm(skew - skew.T)
        covariances[k] = volumes[k] * (frame * shapes[k]) @ frame.T
    return covariances


def numbers_of(name, covariances):
    """Numbers and frames that compose covariances of the structure."""
    n_components, n_features = covariances.shape[:2]
    frames = np.array([np.eye(n_features)] * n_components)
    if name[2] == "V":
        frames = np.array([np.linalg.eigh(covariance)[1] for covariance in covariances])
    elif name[2] == "E":
        random = np.random.default_rng(0)
        frames[:] = np.linalg.eigh(np.einsum("k,kij->ij", random.uniform(1, 2, n_components), covariances))[1]
    values = np.einsum("kji,kjl,kli->ki", frames, covariances, frames)
    logs = np.log(values)
    volumes, shapes = logs.mean(axis=1), logs[:, 1:] - logs[:, :1]
    parts = [volumes[:1] if name[0] == "E" else volumes]
    parts.append({"E": shapes[0], "V": shapes.ravel(), "I": np.empty(0)}[name[1]])
    parts.append(np.zeros(sizes(name, n_components, n_features)[2]))
    return np.concatenate(parts), frames


def objective(shares, averages, covariances):
    """Expected log-density of a row without constants, which an M-step maximises."""
    total = 0.0
    for share, average, covariance in zip(shares, averages, covariances, strict=True):
        total -= 0.5 * share * (np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, average)))
    return total


def climbed(name, shares, averages, covariances):
    """The objective that a general optimiser reaches from covariances of the structure."""
    numbers, frames = numbers_of(name, covariances)
    shape = averages.shape[:2]

    def loss(at):
        return -objective(shares, averages, compose(name, at, *shape, frames))

    return -minimize(loss, numbers, method="BFGS", options={"gtol": 1e-7}).fun


def factors_of(covariances):
    """Upper-triangular U of the precisions U U'."""
    return np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), 1, 2)


def random_covariances(name, n_components, n_features, rng):
    numbers = 0.7 * rng.normal(size=sum(sizes(name, n_components, n_features)))
    return compose(name, numbers, n_components, n_features)


def estimate(name, shares, averages, before=None):
    """Maximum-likelihood covariances (K, d, d), by the formulas of Celeux and Govaert (1995).

    EVE and VVE take the iterations of Browne and McNicholas, from the axes of the covariances `before` or of the pooled
    covariance.
    """
    n_features = averages.shape[1]
    identity, pooled = np.eye(n_features), np.einsum("k,kij->ij", shares, averages)
    diagonals = np.einsum("kii->ki", averages)
    if name in ("EII", "VII"):
        volumes = np.trace(averages, axis1=1, axis2=2) / n_features
        volumes = volumes if name[0] == "V" else np.full(len(shares), shares @ volumes)
        return volumes[:, None, None] * identity
    if name[2] == "I":
        averages = diagonals[:, :, None] * identity
        return estimate(name[:2] + ("E" if name[1] == "E" else "V"), shares, averages)
    if name == "VVV":
        return averages
    if name == "EEE":
        return np.array([pooled] * len(shares))
    if name == "EVV":
        volumes = np.linalg.det(averages) ** (1 / n_features)
        return (averages / volumes[:, None, None]) * (shares @ volumes)
    if name[2] == "V":  # EEV and VEV: eigenvalues, not axes, share their shape
        values, frames = np.linalg.eigh(averages)
        diagonal = estimate(name[:2] + "I", shares, values[:, :, None] * identity)
        return frames @ diagonal @ np.swapaxes(frames, 1, 2)
    if name == "VEE":
        shape, volumes = pooled, None
        for _ in range(2000):
            volumes = np.array([np.trace(np.linalg.solve(shape, average)) for average in averages]) / n_features
            shape = np.einsum("k,kij->ij", shares / volumes, averages)
        return volumes[:, None, None] * shape
    return _common_axes(name, shares, averages, pooled if before is None else before)


def _common_axes(name, shares, averages, start):
    """Covariances with common axes, by majorisation-minimisation from the axes of `start`, one matrix or several."""
    start = start.reshape(-1, *averages.shape[1:])
    frame = np.linalg.eigh(np.einsum("k,kij->ij", np.linspace(1, 2, len(start)), start))[1]
    largest = np.linalg.eigvalsh(averages)[:, -1]
    for _ in range(20_000):
        values = _along(name, shares, averages, frame)
        majorant = sum(
            share * ((frame / value).T @ average - top * (frame / value).T)
            for share, value, average, top in zip(shares, values, averages, largest, strict=True)
        )
        left, _, right = np.linalg.svd(majorant)
        last, frame = frame, -(right.T @ left.T)
        if np.abs(frame - last).max() < 1e-14:
            break
    return np.einsum("ij,kj,lj->kil", frame, _along(name, shares, averages, frame), frame)


def _along(name, shares, averages, frame):
    """Maximum-likelihood variances (K, d) along given axes."""
    values = np.einsum("ji,kjl,li->ki", frame, averages, frame)
    if name[0] == "V":
        return values
    volumes = np.prod(values, axis=1) ** (1 / values.shape[1])
    return values / volumes[:, None] * (shares @ volumes)


@dataclass(frozen=True)
class Structured(Gaussian):
    """A naive mixture whose covariances have a structure; its family is the name of the structure."""

    @classmethod
    def at(cls, name, X, centres):
        """Equal weights, the given means, and half the data's standard deviations."""
        centres, equal = np.asarray(centres, dtype=float), np.full(len(centres), 1 / len(centres))
        one = np.tile(equal, (len(X), 1))
        return cls(name, equal, centres, cls(name, equal, centres, None).maximise(X, one).covariances / 4)

    def covariance_matrices(self):
        return self.covariances

    def maximise(self, X, mass):
        totals = mass.sum(axis=0)
        shares, means = totals / totals.sum(), mass.T @ X / totals[:, None]
        residuals = X - means[:, None]
        averages = np.einsum("nk,kni,knj->kij", mass, residuals, residuals) / totals[:, None, None]
        return Structured(self.family, shares, means, estimate(self.family, shares, averages, self.covariances))
