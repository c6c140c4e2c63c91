"""Checks of what projections see: every feature, and values whose covariance is not singular."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data.row_info import Annotations, Float

CHECK_ROWS = 16384  # whose matrices exist at once
SINGULAR = 1e-14  # squared distance of a unit vector from those before it, that rounding may be


def check_densities(
    values: NDArray[Any], annotations: Annotations, place: Callable[[int], str] = "row {}".format
) -> None:
    """Raise ValueError for the first row (n, m) of projections whose values have no density, whatever the mixture.

    Such are values without noise whose projections are linearly dependent: more of them than features, or zeros. With
    noise of positive variance a value has a density; the scale of the features does not matter.
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
    """Features (d,) that some value of a row of positive weight depends on."""
    n_rows, m = values.shape
    assert annotations.projection is not None
    sees = annotations.projection.reshape(-1, m, annotations.n_features(m)) != 0.0
    there = ~np.isnan(values) if weights is None else ~np.isnan(values) & (weights > 0.0)[:, None]
    if len(sees) != n_rows:
        return np.asarray((sees[0] & there.any(axis=0)[:, None]).any(axis=0))
    return np.asarray((sees & there[:, :, None]).any(axis=(0, 1)))


def _exact_projections(values: NDArray[Any], annotations: Annotations) -> tuple[Float, NDArray[np.bool_]]:
    """Projections (n, m, d) with features of comparable sizes, and which of them are of values without noise (n, m)."""
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
    """For which rows the chosen vectors (m, d) are linearly dependent: Gram and Schmidt, twice for orthogonality."""
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
