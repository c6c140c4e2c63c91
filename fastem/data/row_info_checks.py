"""Checks of the labels, noise and projections that a user gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem.data.numeric import real_array, whole_numbers
from fastem.data.row_info import Annotations, Float

CHECK_ROWS = 16384  # rows whose covariances are checked at once
SLACK = 1e-10  # tolerance for rounding in a correlation matrix


class Known(NamedTuple):
    """Labels, noise and projections as the user gives them, see `GaussianMixture.fit`."""

    labels: ArrayLike | None = None
    noise: ArrayLike | None = None
    projection: ArrayLike | None = None

    @property
    def errors(self) -> bool:
        """Whether values have errors, or are projections."""
        return self.noise is not None or self.projection is not None


def annotate(
    known: Known, shape: tuple[int, int], n_components: int, weights: Float | None = None, *, whole: bool = True
) -> Annotations:
    """Annotations of rows (n, m), checked.

    `whole` requires that each component is possible for some row, which need not hold in a batch of a stream.

    Raises
    ------
    ValueError
        If labels, noise or projections have a wrong shape, or invalid values; names the first such row.
    """
    annotations = read(known, shape)
    if annotations.restricts:
        possible = check_labels(annotations, n_components, weights)
        if whole:
            check_possible(possible)
    return annotations


def read(
    known: Known,
    shape: tuple[int, int],
    *,
    sparing: bool = True,
    trusted: bool = False,
    variances: bool | None = None,
) -> Annotations:
    """Annotations of rows (n, m), checked except for what depends on the number of components.

    `sparing` leaves out noise that is zero. `trusted` says that covariances were checked before. `variances` says
    whether noise of shape (m, m) for m rows is their variances or one covariance; None if that is unknown.
    """
    hard, soft = _read_labels(known.labels, shape[0])
    projections = check_projection(known.projection, shape)
    errors = check_noise(known.noise, shape, trusted=trusted, variances=variances)
    annotations = Annotations(hard, soft, errors, projections)
    return annotations.sparing if sparing else annotations


def _read_labels(labels: ArrayLike | None, n_rows: int) -> tuple[NDArray[np.int64] | None, Float | None]:
    """Labels (n,) or plausibilities (n, K), whichever is given."""
    if labels is None:
        return None, None
    array = whole_numbers(labels, "labels", absent=-1)
    if array.ndim not in (1, 2) or len(array) != n_rows:
        raise ValueError(
            f"labels has shape {array.shape}: it needs ({n_rows},), a component or -1 for each row, or "
            f"({n_rows}, n_components), the plausibility of each component"
        )
    if array.ndim == 1:
        if array.dtype.kind not in "iu":
            raise ValueError(f"labels must be integers, -1 where they are not known, not {array.dtype}")
        huge = array > np.iinfo(np.int64).max
        if huge.any():
            row = int(np.argmax(huge))
            raise ValueError(f"labels holds {array[row]} in row {row}: there are not so many components")
        return np.ascontiguousarray(array, dtype=np.int64), None
    return None, np.ascontiguousarray(real_array(labels, "labels"), dtype=np.float64)


def whole_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels (n,) with -1 in place of NaN, as integers if all are whole numbers."""
    if labels.dtype.kind != "f":
        return labels
    whole = np.where(np.isnan(labels), -1.0, labels)
    exact = (whole == np.floor(whole)) & (np.abs(whole) < 2.0**63)
    return whole.astype(np.int64) if exact.all() else whole


def check_labels(
    annotations: Annotations,
    n_components: int,
    weights: Float | None = None,
    place: Callable[[int], str] = "row {}".format,
) -> NDArray[np.bool_]:
    """Check labels or plausibilities; return a mask of the components (K,) that are possible for some row."""
    labels, plausibility = annotations.labels, annotations.plausibility
    if labels is not None:
        present = np.ones(len(labels), dtype=bool) if weights is None else weights > 0.0
        wrong = (labels < -1) | (labels >= n_components)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"labels holds {labels[row]} in {place(row)}: with {n_components} components labels are 0 to "
                f"{n_components - 1}, and -1 where they are not known"
            )
        if (labels[present] < 0).any():
            return np.ones(n_components, dtype=bool)
        return np.asarray(np.bincount(labels[present], minlength=n_components) > 0)
    assert plausibility is not None
    if plausibility.shape[1] != n_components:
        raise ValueError(f"labels has {plausibility.shape[1]} columns, where there are {n_components} components")
    present = np.ones(len(plausibility), dtype=bool) if weights is None else weights > 0.0
    wrong = ~(np.isfinite(plausibility) & (plausibility >= 0))
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        raise ValueError(
            f"labels holds {plausibility[row, column]} in {place(row)}, column {column}: plausibilities are >= 0"
        )
    impossible = present & ~(plausibility > 0).any(axis=1)
    if impossible.any():
        raise ValueError(f"labels allows no component for {place(int(np.argmax(impossible)))}")
    return np.asarray((plausibility[present] > 0).any(axis=0))


def check_possible(possible: NDArray[np.bool_]) -> None:
    """Raise ValueError that names a component that is possible for no row."""
    if not possible.all():
        raise ValueError(f"labels leaves no row for component {int(np.argmin(possible))}")


def check_projection(projection: ArrayLike | None, shape: tuple[int, int]) -> Float | None:
    """Check projections, and return them as (n, m * d) or (1, m * d)."""
    if projection is None:
        return None
    array = real_array(projection, "projection")
    n_rows, n_columns = shape
    shape_given = array.shape
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[0] not in (1, n_rows) or array.shape[1] != n_columns or not array.shape[2]:
        raise ValueError(
            f"projection has shape {shape_given}: it needs ({n_rows}, {n_columns}, n_features), a matrix for "
            f"each row, or ({n_columns}, n_features)"
        )
    finite = np.isfinite(array).all(axis=(1, 2))
    if not finite.all():
        raise ValueError(f"projection holds NaN or infinity in row {int(np.argmin(finite))}")
    return _flat(array)


def is_ambiguous(noise: ArrayLike | None, shape: tuple[int, int]) -> bool:
    """Whether noise of rows (n, m) may be variances of each row or one covariance for all: both are (m, m)."""
    n_rows, m = shape
    return noise is not None and n_rows == m > 1 and np.shape(noise) == (m, m)


def check_noise(
    noise: ArrayLike | None, shape: tuple[int, int], *, trusted: bool = False, variances: bool | None = None
) -> Float | None:
    """Check noise, and return variances as (n, m), covariances as (n, m * m) or (1, m * m); see `read`."""
    if noise is None:
        return None
    array = real_array(noise, "noise")
    n_rows, m = shape
    if variances is None and is_ambiguous(array, shape):
        raise ValueError(
            f"noise of shape {array.shape} may be variances of {m} rows or a covariance of all: give shape "
            f"({n_rows}, {m}, {m}) or (1, {m}, {m})"
        )
    if array.shape == (m, m) and (array.shape != (n_rows, m) or (m > 1 and variances is False)):
        array = array[None]
    if array.shape not in ((n_rows, m), (n_rows, m, m), (1, m, m)):
        raise ValueError(
            f"noise has shape {array.shape}: it needs ({n_rows}, {m}), variances, or ({n_rows}, {m}, {m}), covariances "
            f"of each row, or ({m}, {m}), the covariance of all"
        )
    finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if not finite.all():
        raise ValueError(
            f"noise holds NaN or infinity in row {int(np.argmin(finite))}: a value that was not measured is NaN in X, "
            "with missing='marginalize'"
        )
    if array.ndim == 2:
        _check_variances(array, 0)
        return np.ascontiguousarray(array, dtype=np.float64)
    for start in range(0, 0 if trusted else len(array), CHECK_ROWS):
        _check_semidefinite(np.asarray(array[start : start + CHECK_ROWS], dtype=np.float64), start)
    return _flat(array)


def _flat(matrices: NDArray[Any]) -> Float:
    """Matrices (n, a, b) as rows (n, a * b)."""
    n, a, b = matrices.shape
    return np.ascontiguousarray(matrices.reshape(n, a * b), dtype=np.float64)


def _check_variances(variances: NDArray[Any], first: int) -> None:
    """Raise ValueError for the first negative variance (n, m); `first` is the number of rows before these."""
    if (variances < 0.0).any():
        row, column = np.argwhere(variances < 0.0)[0]
        raise ValueError(f"noise holds the variance {variances[row, column]} in row {first + row}, column {column}")


def _check_semidefinite(matrices: Float, first: int) -> None:
    """Raise ValueError for the first of the matrices (n, m, m) that is not symmetric positive semi-definite.

    The tolerance for rounding is in units of each feature's own standard deviation, as these may differ by any factor.
    """
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    _check_variances(variances, first)
    deviations = np.sqrt(variances)
    unit = 1.0 / np.where(variances > 0.0, deviations, 1.0)
    scaled = matrices * unit[:, :, None] * unit[:, None, :]
    # a feature with variance zero must have covariances of zero
    bound = np.where(deviations[:, :, None] * deviations[:, None, :] > 0.0, SLACK, 0.0)
    asymmetric = (np.abs(scaled - np.swapaxes(scaled, 1, 2)) > bound).any(axis=(1, 2))
    if asymmetric.any():
        raise ValueError(f"noise is not symmetric in row {first + int(np.argmax(asymmetric))}")
    wrong = ((variances == 0.0)[:, :, None] & (scaled != 0.0)).any(axis=(1, 2)) | _is_indefinite(scaled)
    if wrong.any():
        raise ValueError(f"noise is not positive semi-definite in row {first + int(np.argmax(wrong))}")


def _is_indefinite(matrices: Float) -> NDArray[np.bool_]:
    """Mask (n,) of the symmetric matrices (n, m, m), with diagonals of 0 and 1, that are not positive semi-definite."""
    m = matrices.shape[1]
    wrong = np.zeros(len(matrices), dtype=np.bool_)
    rest = np.moveaxis(matrices, 0, 2).copy()  # all matrices at once, entry by entry
    for j in range(m):
        pivot = rest[j, j]
        zero = pivot <= SLACK
        wrong |= pivot < -SLACK
        column = rest[j + 1 :, j]
        # in the column of a zero pivot all entries must be zero, up to the root of the tolerance
        wrong |= zero & (np.abs(column) > np.sqrt(SLACK)).any(axis=0)
        factor = np.where(zero, 0.0, column / np.where(zero, 1.0, pivot))
        for i in range(j + 1, m):
            rest[i, j + 1 : i + 1] -= factor[i - j - 1] * column[: i - j]
    return wrong
