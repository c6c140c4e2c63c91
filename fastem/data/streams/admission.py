"""Checks of chunks: finite values, weights, names of columns; errors name the chunk and the row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.data.frames import feature_names, is_frame, labels_of
from fastem.data.streams.chunks import Chunk


def check_finite(values: NDArray[Any], name: str, start: int, *, missing: bool) -> None:
    """Raise ValueError that names the place of the first value that is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    finite = ~np.isinf(values) if missing else np.isfinite(values)
    if finite.all():
        return
    row, column = np.argwhere(~finite)[0]
    what = "NaN" if np.isnan(values[row, column]) else "infinity"
    raise ValueError(f"Input X contains {what}: row {start + row}, column {column} of {name} (counted from 0).")


def fill(values: NDArray[Any], chunk: Chunk, start: int, name: str) -> None:
    """Copy rows of a chunk, from `start` on, into `values` (n, d); errors name the chunk."""
    try:
        chunk.fill(values, start)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def check_names(frame: Any, first: Any, name: str) -> None:
    """Raise ValueError if a chunk's columns are not those of the first, in the same order.

    Names that are not strings are compared too if both are frames: they do not name features, but they show the order.
    """
    names, before = (feature_names(given) for given in (frame, first))
    if is_frame(frame) and is_frame(first):
        names, before = labels_of(frame), labels_of(first)
    if names == before:
        return
    if names is None or before is None:
        has, have = ("no names", "has some") if names is None else ("names", "has none")
        raise ValueError(f"the columns of {name} have {has}, where the first chunk {have}")
    same = "the same, but in another order" if set(names) == set(before) else "others"
    raise ValueError(
        f"{name} has the columns {', '.join(map(repr, names))}, where the first chunk has "
        f"{', '.join(map(repr, before))}: {same}"
    )


def check_weights(weights: NDArray[Any], n_rows: int, name: str) -> None:
    """Raise ValueError unless weights have the shape (n_rows,) and are finite and not negative."""
    if weights.shape != (n_rows,):
        raise ValueError(f"{name} has weights of shape {weights.shape}, where its {n_rows} rows need ({n_rows},)")
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name} has a weight of {weights[row]}, which is negative or not finite, in row {row}")
