"""Memory maps, which are read in place: whether they stay what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastem.data.base import RowSource


@contextmanager
def unchanged(source: RowSource, given: Iterable[Any]) -> Iterator[None]:
    """See that a source is the same afterwards, if some of what was given for it is a memory map.

    Raises
    ------
    ValueError
        If it is not. Two fingerprints take two to three hundredths of the time of ten iterations.
    """
    before = source.digest() if any(isinstance(array, np.memmap) for array in given) else None
    yield
    if before is not None and source.digest() != before:
        raise ValueError("a memory map has changed while it was read: its file was written to")
