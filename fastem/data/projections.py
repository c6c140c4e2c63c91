"""Checks of projections: every feature is observed, and no row has values with a singular covariance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data.row_info import Annotations, Float

CHECK_ROWS = 16384  # rows whose matrices are in memory at once
SINGULAR = 1e-14  # squared distance of a unit vector from the span of those before it that may be rounding


def check_densities(
    values: NDArray[Any], annotations: Annotations, place: Callable[[int], str] = "row {}".format
) -> None:
    """Raise ValueError for the first row of projections (n, m) whose values have no density under any mixture.

    That is a row with values without noise whose projections are linearly dependent: zeros, or more than there are
    features. A value with noise of positive variance has a density. The scale of the features does not matter.
    """
    for start in range(0, len(values), CHECK_ROWS):
        part = slice(start, start + CHECK_ROWS)
        singular = _are_dependent(_exact_projections(values[part], annotations.take(part)))
        if singular.any():
            row = int(np.argmax(singular))
            raise ValueError(
                f"the values in {place(start + row)} have no density: their projections are linearly dependent, so one "
                "follows from the others. Give noise of positive variance, or fewer columns"
            )


def seen_features(values: NDArray[Any], weights: Float | None, annotations: Annotations) -> NDArray[np.bool_]:
    """Mask of the features (d,) that an observed value of some row of positive weight depends on."""
    n_rows, m = values.shape
    assert annotations.projection is not None
    sees = annotations.projection.reshape(-1, m, annotations.n_features(m)) != 0.0
    there = ~np.isnan(values) if weights is None else ~np.isnan(values) & (weights > 0.0)[:, None]
    if len(sees) != n_rows:
        return np.asarray((sees[0] & there.any(axis=0)[:, None]).any(axis=0))
    return np.asarray((sees & there[:, :, None]).any(axis=(0, 1)))


def _exact_projections(values: NDArray[Any], annotations: Annotations) -> tuple[Float, NDArray[np.bool_]]:
    """Projections (n, m, d), with features of comparable sizes, and a mask (n, m) of observed values without noise."""
    n_rows, m = values.shape
    assert annotations.projection is not None
    projections = annotations.projection.reshape(-1, m, annotations.n_features(m))
    sizes = np.abs(projections).max(axis=(0, 1))
    projections = projections / np.where(sizes > 0.0, sizes, 1.0)
    exact = ~np.isnan(values)
    if annotations.noise is not None:
        noise = annotations.noise
        exact &= (noise if noise.shape[1] == m else noise[:, :: m + 1]) == 0.0
    return np.broadcast_to(projections, (n_rows, *projections.shape[1:])), exact


def _are_dependent(given: tuple[Float, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Mask of the rows (n,) whose chosen vectors (m, d) are linearly dependent, by Gram-Schmidt, repeated once."""
    vectors, chosen = given
    wrong = np.zeros(len(vectors), dtype=np.bool_)
    basis = np.zeros(vectors.shape)
    for j in range(vectors.shape[1]):
        length = np.sqrt(np.einsum("nd,nd->n", vectors[:, j], vectors[:, j]))
        rest = vectors[:, j] / np.where(length > 0.0, length, 1.0)[:, None]
        for _ in range(2):
            rest = rest - np.einsum("nk,nkd->nd", np.einsum("nkd,nd->nk", basis[:, :j], rest), basis[:, :j])
        square = np.einsum("nd,nd->n", rest, rest)
        wrong |= chosen[:, j] & (square <= SINGULAR)
        basis[:, j] = np.where(chosen[:, j, None], rest, 0.0) / np.sqrt(np.where(square > 0.0, square, 1.0))[:, None]
    return wrong
