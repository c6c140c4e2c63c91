"""Fingerprints of data: 128 bits of xxh3 over every bit in its place, and the shapes, dtypes and names of fields.

They detect accidental changes at the speed of memory. They do not protect from somebody who searches for other data
with the same fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

COPIED_BYTES = 2**18  # that are copied at once of an array that is not in C order


def fingerprint(fields: Iterable[tuple[str, NDArray[Any] | None]]) -> str:
    """Fingerprint of named arrays, whatever their layout in memory; None differs from an empty array."""
    whole = xxhash.xxh3_128()
    for name, array in fields:
        whole.update(repr((name, None if array is None else (array.dtype.str, array.shape))).encode())
        if array is not None:
            for rows in _in_order(array):
                whole.update(rows.data)
    return whole.hexdigest()


class RunningFingerprint:
    """Fingerprint of rows whose fields arrive in pieces; it does not depend on where the pieces begin."""

    def __init__(self) -> None:
        self._hashes: dict[str, list[Any]] = {}

    def add(self, name: str, piece: NDArray[Any]) -> None:
        """Add the next rows of a field, (n,) or (n, m), in C order or column by column."""
        runs = [piece] if piece.flags.c_contiguous else piece.T
        hashes = self._hashes.setdefault(f"{name} {piece.dtype.str} {piece.shape[1:]}", [])
        hashes.extend(xxhash.xxh3_128() for _ in range(len(runs) - len(hashes)))
        for part, run in zip(hashes, runs, strict=True):
            part.update(run.data)

    def digest(self) -> str:
        """Fingerprint of all pieces that were added."""
        found = sorted((name, [part.hexdigest() for part in parts]) for name, parts in self._hashes.items())
        return xxhash.xxh3_128_hexdigest(repr(found).encode())


def _in_order(array: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """Yield the rows of an array in pieces in C order."""
    if array.flags.c_contiguous or not array.size:
        return [array]
    step = max(1, COPIED_BYTES // (array.nbytes // len(array)))
    return (np.ascontiguousarray(array[start : start + step]) for start in range(0, len(array), step))
