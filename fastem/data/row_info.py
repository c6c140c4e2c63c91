"""Annotations of rows: labels, plausibilities, noise and projections."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Annotations(NamedTuple):
    """Annotations of some rows, in addition to their values and weights; None where nothing is known.

    Attributes
    ----------
    labels : ndarray of int64 of shape (n,)
        The component of each row, -1 where it is not known.
    plausibility : ndarray of shape (n, K)
        Factors of each row's densities: how plausible each component is for it, 0 where it is excluded.
    noise : ndarray of shape (n, m) or (n, m * m), or (1, m * m)
        Variances or covariances of the errors in each row's values, or one covariance for all rows.
    projection : ndarray of shape (n, m * d) or (1, m * d)
        Matrix (m, d) by which each row's values are projections of the d features, or one for all rows.
    log_widths : ndarray of shape (1, m)
        Logarithms of the widths of a background's box, used to marginalise the background over missing columns.
    """

    labels: NDArray[np.int64] | None = None
    plausibility: Float | None = None
    noise: Float | None = None
    projection: Float | None = None
    log_widths: Float | None = None

    @property
    def restricts(self) -> bool:
        """Whether rows have labels or plausibilities."""
        return self.labels is not None or self.plausibility is not None

    @property
    def has_errors(self) -> bool:
        """Whether values have errors, or are projections."""
        return self.noise is not None or self.projection is not None

    @property
    def unrestricted(self) -> Annotations:
        """The same without labels and plausibilities."""
        return self._replace(labels=None, plausibility=None)

    @property
    def sparing(self) -> Annotations:
        """The same without noise if it is zero everywhere and rows are no projections."""
        needless = self.noise is not None and self.projection is None and not self.noise.any()
        return self._replace(noise=None) if needless else self

    @property
    def telling(self) -> NDArray[np.bool_] | None:
        """Mask of the rows (n,) with a label or unequal plausibilities; None if there are neither."""
        if self.labels is not None:
            return np.asarray(self.labels >= 0)
        return None if self.plausibility is None else tells(self.plausibility)

    def plausible(self, n_components: int) -> Float | None:
        """Plausibilities of all rows (n, K), also if they have labels; None if there are neither."""
        if self.labels is None:
            return self.plausibility
        return np.where((self.labels < 0)[:, None], 1.0, np.eye(n_components)[self.labels])

    def take(self, selection: Any) -> Annotations:
        """Annotations of some of the rows."""
        labels, plausibility = (None if array is None else array[selection] for array in self[:2])
        noise, projection = (array if array is None or len(array) == 1 else array[selection] for array in self[2:4])
        parts = (labels, plausibility, noise, projection, self.log_widths)
        return Annotations(*(None if array is None else np.ascontiguousarray(array) for array in parts))

    def by_row(self, n_rows: int) -> Annotations:
        """The same with noise and projections repeated for each row if all rows share one."""
        noise, projection = (
            array if array is None or len(array) == n_rows else np.repeat(array, n_rows, 0)
            for array in (self.noise, self.projection)
        )
        return self._replace(noise=noise, projection=projection)

    def part(self, start: int, stop: int) -> Annotations:
        """Views of the annotations of some rows, where each row has its own."""
        arrays: list[Any] = [None if array is None else array[start:stop] for array in self]
        return Annotations(*arrays)

    def joined(self, other: Annotations, sizes: tuple[int, int]) -> Annotations:
        """Annotations of these rows and then others, of these `sizes` and with the same fields; a row for each."""
        pairs: Any = zip(self.by_row(sizes[0]), other.by_row(sizes[1]), strict=True)
        joined = Annotations(*(None if a is None else np.concatenate([a, b]) for a, b in pairs))
        return joined._replace(log_widths=self.log_widths)

    def check_rows(self, n_rows: int) -> None:
        """Raise ValueError unless arrays have `n_rows` rows, which passes do not check, or one row for all."""
        for name, array in zip(self._fields[:4], self, strict=False):
            if array is not None and len(array) != n_rows and not (len(array) == 1 and name in ("noise", "projection")):
                raise ValueError(f"{name} is known of {len(array)} rows, where there are {n_rows}")

    def among(self, components: NDArray[Any]) -> Annotations:
        """The same for a mixture with only these components, ascending; labels of others exclude all components."""
        labels, plausibility = self.labels, self.plausibility
        if labels is not None:
            place = np.minimum(np.searchsorted(components, labels), len(components) - 1)
            known = np.where(components[place] == labels, place, len(components))
            labels = np.where(labels < 0, labels, known)
        if plausibility is not None:
            plausibility = np.ascontiguousarray(plausibility[:, components])
        return self._replace(labels=labels, plausibility=plausibility)

    def n_features(self, n_columns: int) -> int:
        """Number of features that rows with `n_columns` columns are observations of."""
        return n_columns if self.projection is None else self.projection.shape[1] // n_columns


def tells(plausibility: Float) -> NDArray[np.bool_]:
    """Mask of the rows (n,) with unequal plausibilities."""
    return np.asarray((plausibility != plausibility[:, :1]).any(axis=1))


NOTHING = Annotations()
EMPTY = (np.frombuffer(b"", np.int64), *[np.frombuffer(b"").reshape(0, 0)] * 4)  # read-only


def or_empty(annotations: Annotations) -> list[NDArray[Any]]:
    """The fields, with arrays of length zero in place of None."""
    return [empty if given is None else given for given, empty in zip(annotations, EMPTY, strict=True)]
