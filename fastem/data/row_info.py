"""What may be known of a row beside its values and its weight."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Annotations(NamedTuple):
    """What is known of some rows; None where there is nothing.

    Attributes
    ----------
    labels : ndarray of int64 of shape (n,)
        The component of each row, -1 where it is not known.
    plausibility : ndarray of shape (n, K)
        Factors of each row's densities: how plausible each component is for it, 0 where it is excluded.
    noise : ndarray of shape (n, m) or (n, m * m), or (1, m * m)
        Variances or covariances of the errors in each row's values; one for all.
    projection : ndarray of shape (n, m * d) or (1, m * d)
        What each row's values see of the d features; one for all.
    log_widths : ndarray of shape (1, m)
        Logarithms of the widths of a background's box: what a value that is missing has no part in.
    """

    labels: NDArray[np.int64] | None = None
    plausibility: Float | None = None
    noise: Float | None = None
    projection: Float | None = None
    log_widths: Float | None = None

    @property
    def restricts(self) -> bool:
        """Whether anything is known of the rows' components."""
        return self.labels is not None or self.plausibility is not None

    @property
    def has_errors(self) -> bool:
        """Whether values have errors, or are projections."""
        return self.noise is not None or self.projection is not None

    @property
    def unrestricted(self) -> Annotations:
        """The same where nothing is known of the rows' components."""
        return self._replace(labels=None, plausibility=None)

    @property
    def sparing(self) -> Annotations:
        """The same without noise that is zero everywhere, of values that are seen as they are."""
        needless = self.noise is not None and self.projection is None and not self.noise.any()
        return self._replace(noise=None) if needless else self

    @property
    def telling(self) -> NDArray[np.bool_] | None:
        """Of which rows some components are more plausible than others (n,); None if nothing is known."""
        if self.labels is not None:
            return np.asarray(self.labels >= 0)
        return None if self.plausibility is None else tells(self.plausibility)

    def plausible(self, n_components: int) -> Float | None:
        """Plausibilities of all rows (n, K), whichever way they were given."""
        if self.labels is None:
            return self.plausibility
        return np.where((self.labels < 0)[:, None], 1.0, np.eye(n_components)[self.labels])

    def take(self, selection: Any) -> Annotations:
        """The same of some of the rows."""
        labels, plausibility = (None if array is None else array[selection] for array in self[:2])
        noise, projection = (array if array is None or len(array) == 1 else array[selection] for array in self[2:4])
        parts = (labels, plausibility, noise, projection, self.log_widths)
        return Annotations(*(None if array is None else np.ascontiguousarray(array) for array in parts))

    def by_row(self, n_rows: int) -> Annotations:
        """The same with errors and projections for each row, where all share one."""
        noise, projection = (
            array if array is None or len(array) == n_rows else np.repeat(array, n_rows, 0)
            for array in (self.noise, self.projection)
        )
        return self._replace(noise=noise, projection=projection)

    def part(self, start: int, stop: int) -> Annotations:
        """Views of what is known row by row."""
        arrays: list[Any] = [None if array is None else array[start:stop] for array in self]
        return Annotations(*arrays)

    def joined(self, other: Annotations, sizes: tuple[int, int]) -> Annotations:
        """Of these rows and then of others, so many of which the same is known; row by row."""
        pairs: Any = zip(self.by_row(sizes[0]), other.by_row(sizes[1]), strict=True)
        joined = Annotations(*(None if a is None else np.concatenate([a, b]) for a, b in pairs))
        return joined._replace(log_widths=self.log_widths)

    def check_rows(self, n_rows: int) -> None:
        """Raise ValueError unless arrays are of so many rows, as passes take for granted, or one is for all."""
        for name, array in zip(self._fields[:4], self, strict=False):
            if array is not None and len(array) != n_rows and not (len(array) == 1 and name in ("noise", "projection")):
                raise ValueError(f"{name} is known of {len(array)} rows, where there are {n_rows}")

    def among(self, components: NDArray[Any]) -> Annotations:
        """The same where these are all components, in ascending order; labels of others allow none."""
        labels, plausibility = self.labels, self.plausibility
        if labels is not None:
            place = np.minimum(np.searchsorted(components, labels), len(components) - 1)
            known = np.where(components[place] == labels, place, len(components))
            labels = np.where(labels < 0, labels, known)
        if plausibility is not None:
            plausibility = np.ascontiguousarray(plausibility[:, components])
        return self._replace(labels=labels, plausibility=plausibility)

    def n_features(self, n_columns: int) -> int:
        """Number of features that rows of so many columns are observations of."""
        return n_columns if self.projection is None else self.projection.shape[1] // n_columns


def tells(plausibility: Float) -> NDArray[np.bool_]:
    """Of which rows some components are more plausible than others (n,)."""
    return np.asarray((plausibility != plausibility[:, :1]).any(axis=1))


NOTHING = Annotations()
EMPTY = (np.frombuffer(b"", np.int64), *[np.frombuffer(b"").reshape(0, 0)] * 4)  # which nobody can write to


def or_empty(annotations: Annotations) -> list[NDArray[Any]]:
    """The fields, with arrays of length zero for what is not known."""
    return [empty if given is None else given for given, empty in zip(annotations, EMPTY, strict=True)]
