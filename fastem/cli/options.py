"""Values of the options of the command line, and how they are parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, product
from typing import Any

from fastem.cli.errors import CommandError, close_names, shorten
from fastem.mixtures import FACES

NAME = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,]*)),')
FAMILIES = {face.module: face for face in FACES.values() if face.criteria}


class Criterion(StrEnum):
    """Criterion that is lowest for the best model."""

    BIC = "bic"
    AIC = "aic"
    ICL = "icl"


class Convergence(StrEnum):
    """Quantity that must fall below the tolerance for a fit to end."""

    BOUND = "bound"
    PARAMETERS = "parameters"
    AITKEN = "aitken"


@dataclass(frozen=True)
class Candidate:
    """A model to try: number of components and, if Gaussian, form of the covariances."""

    n_components: int
    covariance: str | None = None

    def __str__(self) -> str:
        return f"k={self.n_components}" + (f" {self.covariance}" if self.covariance else "")


@dataclass(frozen=True)
class Search:
    """All models to try, and the parameters that they share."""

    family: str
    counts: list[range]
    covariances: list[str]
    criterion: Criterion = Criterion.BIC
    parameters: dict[str, Any] = field(default_factory=dict)

    def candidates(self, n_rows: int) -> list[Candidate]:
        """List the models form by form, fewest components first."""
        most = max(count[-1] for count in self.counts)
        if most > n_rows:
            raise CommandError(f"too few rows: {n_rows} cannot be divided among {most} components")
        counts = sorted(set(chain.from_iterable(self.counts)))
        return [Candidate(count, form) for form, count in product(self.forms, counts)]

    @property
    def forms(self) -> list[str | None]:
        """Forms of the covariances to try; None for the default form, or for a family without covariances."""
        return [*self.covariances] or [None]


def parse_counts(text: str) -> list[range]:
    """Read numbers of components: '3', '1-6', '2,4,8' or '1-3,8'.

    Examples
    --------
    >>> from fastem.cli.options import parse_counts
    >>> parse_counts("1-3,8")
    [range(1, 4), range(8, 9)]
    """
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,18})\s*(?:-\s*([0-9]{1,18})\s*)?", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= low <= high:
            wrong = shorten(text)
            raise CommandError(f"bad number of components {wrong!r}: write -k 3, -k 1-6 or -k 2,4,8, from 1 up")
        counts.append(range(low, high + 1))
    return counts


def parse_covariances(text: str | None, family: str) -> list[str]:
    """Read forms of the covariances: without a text, the family's default; none if the family has no covariances."""
    known = FAMILIES[family].forms
    if not known:
        if text is not None:
            raise CommandError(f"--covariance is for Gaussian components, not --family {family}")
        return []
    forms = list(known[:1]) if text is None else split_names(text)
    for form in forms:
        if form not in known:
            hint = close_names(form, known) or f"; there are {', '.join(known)}"
            raise CommandError(f"no covariance is called {form!r}{hint}")
    return list(dict.fromkeys(forms))


def split_names(text: str) -> list[str]:
    """Split at commas and trim spaces; a name that contains a comma is in double quotes, as in CSV files.

    Examples
    --------
    >>> from fastem.cli.options import split_names
    >>> split_names('height, "mass, kg"')
    ['height', 'mass, kg']
    """
    return [
        match[2].strip() if match[1] is None else match[1].replace('""', '"') for match in NAME.finditer(text + ",")
    ]
