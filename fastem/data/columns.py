"""Which columns of a table are features, weights, labels and errors, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple


class Columns(NamedTuple):
    """Names of columns; None where no name is given.

    Attributes
    ----------
    features : sequence of str, optional
        None for all columns that are not named below.
    weight, label : str, optional
    noise : sequence of str, optional
        Variances of the features' errors, in the order of the features.
    """

    features: Sequence[str] | None = None
    weight: str | None = None
    label: str | None = None
    noise: Sequence[str] | None = None

    @property
    def others(self) -> list[str]:
        """Names of the columns that are not features."""
        return [name for name in (self.weight, self.label) if name is not None] + list(self.noise or ())

    def features_of(self, names: Iterable[Any]) -> list[Any]:
        """Names of the features of a table with these columns."""
        if self.features is not None:
            return list(self.features)
        others = self.others
        return [name for name in names if name not in others]

    def check(self, names: Sequence[Any], table: str, check_type: Callable[[Any], None]) -> list[Any]:
        """Check the names, and return those of all columns to read, the features first.

        Parameters
        ----------
        names : sequence
            Names of all columns of the table.
        table : str
            What messages call the table.
        check_type : callable
            Raises an error for a column that does not hold numbers.

        Raises
        ------
        TypeError
            If a string is given where a list of names belongs.
        ValueError
            If there are no features, or a column is missing, ambiguous or asked for twice.
        """
        for option, given in (("columns", self.features), ("noise", self.noise)):
            if isinstance(given, str):
                raise TypeError(f"{option} is a list of names of columns, not the string {given!r}")
        features = self.features_of(names)
        if self.noise is not None and len(self.noise) != len(features):
            raise ValueError(f"noise names {len(self.noise)} columns of variances, where there are {len(features)}")
        if not features:
            raise ValueError(f"{table} has no columns of features")
        wanted = [*features, *self.others]
        for name in wanted:
            if names.count(name) != 1:
                how = "no column" if name not in names else "more than one column"
                raise ValueError(f"{table} has {how} {name!r}; there are {', '.join(map(repr, names))}")
            if wanted.count(name) > 1:
                raise ValueError(f"column {name!r} is asked for twice")
            check_type(name)
        return wanted
