"""Starts that a user gives: the component of each row, or its responsibilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data.numeric import real_array, whole_numbers
from fastem.em.initialization.start import Blocks, given_blocks, labelled

SLACK = 1e-6  # tolerance for the sum of a row's responsibilities, which float32 may have rounded


def check_possible(n_init: int, *, chunks: bool) -> None:
    """Raise ValueError if a fit cannot start from an array: it has several restarts, or rows in chunks."""
    if chunks:
        raise ValueError(
            "init_params as an array needs all rows in one array: with a source of chunks, give the name of a method "
            "such as 'kmeans', or initial parameters"
        )
    if n_init > 1:
        raise ValueError(
            f"n_init={n_init} where init_params is an array: all restarts would be the same, give n_init=1"
        )


def read_start(given: Any, n_rows: int, n_components: int) -> NDArray[Any]:
    """Check labels (n,) or responsibilities (n, K), whichever is given, and return them as int64 or float64.

    Raises
    ------
    TypeError
        If it is sparse, or a matrix.
    ValueError
        If it has another shape, a label is not the number of a component, or responsibilities of a row are not finite,
        are negative or do not sum to one; names the first such row.
    """
    array = whole_numbers(given, "init_params", absent=-1)
    if array.shape not in ((n_rows,), (n_rows, n_components)):
        raise ValueError(
            f"init_params has shape {array.shape}: as an array it needs ({n_rows},), the component of each row of X, "
            f"or ({n_rows}, {n_components}), its responsibilities"
        )
    if array.ndim == 1:
        return _labels(array, n_components)
    return _responsibilities(np.asarray(real_array(given, "init_params"), dtype=np.float64))


def blocks_of(start: NDArray[Any], n_components: int) -> Blocks:
    """Responsibilities in blocks (rows, K), from the result of `read_start` or some of its rows."""
    return labelled(start, n_components) if start.ndim == 1 else given_blocks(start)


def _labels(array: NDArray[Any], n_components: int) -> NDArray[np.int64]:
    """Check labels (n,), and return them as int64."""
    if array.dtype.kind not in "iu":
        raise ValueError(f"init_params must be integers where it has one for each row, not {array.dtype}")
    wrong = (array < 0) | (array >= n_components)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"init_params holds {array[row]} in row {row}: with {n_components} components labels are 0 to "
            f"{n_components - 1}, and every row has one"
        )
    return array.astype(np.int64)


def _responsibilities(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Check responsibilities (n, K), and return them in C order, with each row divided by its sum."""
    wrong = ~(np.isfinite(array) & (array >= 0.0))
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        raise ValueError(
            f"init_params holds {array[row, column]} in row {row}, column {column}: responsibilities are 0 to 1"
        )
    with np.errstate(over="ignore"):  # an infinite sum is refused below
        sums = array.sum(axis=1, keepdims=True)
    wrong = ~(np.abs(sums[:, 0] - 1.0) <= SLACK)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"init_params sums to {sums[row, 0]:.9g} in row {row}: responsibilities of a row sum to one")
    return np.ascontiguousarray(array / sums)
