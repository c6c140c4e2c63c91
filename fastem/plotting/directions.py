"""Directions that separate the components of a mixture best."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.linalg

from fastem.plotting.shapes import Floats, full_covariances

if TYPE_CHECKING:
    from fastem.mixtures.base import BaseMixture

NEXT_TO_NOTHING = 1e-10  # least eigenvalue of the scaled covariance within components, relative to the largest


class Directions(NamedTuple):
    """Two directions in the space of the features.

    Attributes
    ----------
    axes : ndarray of shape (n_features, 2)
        `X @ axes` are coordinates along them, uncorrelated and of variance 1 within components.
    n_separating : int
        How many of the two directions separate means of components; the others are principal axes.
    """

    axes: Floats
    n_separating: int

    @property
    def names(self) -> list[str]:
        """Labels of the axes."""
        kinds = ["discriminant direction"] * self.n_separating + ["principal direction"] * (2 - self.n_separating)
        return [f"{kind} {number}" for number, kind in enumerate(kinds, 1)]


def directions_of(model: BaseMixture) -> Directions:
    """Directions that separate the components of a fitted mixture best; a background is left out."""
    means = np.asarray(model._locations(), dtype=np.float64)
    weights = np.asarray(model._attribute("weights"), dtype=np.float64)[: len(means)]
    return separating_directions(weights, means, full_covariances(model))


def separating_directions(weights: Floats, means: Floats, covariances: Floats) -> Directions:
    """Find the two directions that separate the components of a mixture best.

    These are the linear discriminant directions of the fitted mixture: they maximise the ratio of the variance of the
    components' means to the mean variance within components, both weighted by the mixing weights. Means that lie on a
    line, as two means do, have a single such direction, and means that coincide have none. The missing directions are
    principal axes of the mean covariance within components, with columns in units of their standard deviations; they
    are uncorrelated with the directions before.

    Parameters
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray of shape (n_components, n_features, n_features)

    Returns
    -------
    directions : Directions
        The largest entry of each, with columns in units of their standard deviations, is positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem.plotting.directions import separating_directions
    >>> means = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    >>> axes, n_separating = separating_directions(np.ones(3) / 3, means, np.array([np.eye(3)] * 3))
    >>> bool(np.abs(axes[1]).max() < 1e-12), n_separating  # the second column separates nothing
    (True, 2)
    """
    shares = weights / weights.sum()
    deviations = _deviations(np.einsum("k,kjj->j", shares, covariances))
    within = np.einsum("k,kij->ij", shares, covariances) / np.outer(deviations, deviations)
    lengths, basis = np.linalg.eigh(within)
    root = basis / np.sqrt(np.maximum(lengths, NEXT_TO_NOTHING * lengths[-1]))  # whitens
    apart = np.sqrt(shares)[:, None] * ((means - shares @ means) / deviations)
    _, separations, rows = np.linalg.svd(apart @ root, full_matrices=False)
    n_separating = int((separations[:2] > 1e-6 * max(separations[0], 1.0)).sum())
    axes = [*(root @ rows[:n_separating].T).T]
    while len(axes) < 2:
        axes.append(_principal(within, axes))
    signs = [np.sign(axis[np.abs(axis).argmax()]) for axis in axes]
    return Directions(np.transpose(axes) * signs / deviations[:, None], n_separating)


def _principal(within: Floats, axes: list[Floats]) -> Floats:
    """Return the direction (d,) of largest variance among those uncorrelated with `axes`, scaled to variance 1."""
    free = scipy.linalg.null_space(np.array(axes) @ within) if axes else np.eye(len(within))
    lengths, basis = np.linalg.eigh(free.T @ within @ free)
    found: Floats = free @ basis[:, -1] / np.sqrt(lengths[-1])
    return found


def _deviations(variances: Floats) -> Floats:
    """Standard deviations (d,) from variances (d,); 1 where a variance is 0."""
    return np.sqrt(np.where(variances > 0.0, variances, 1.0))
