"""Fitting all models and choosing the best."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastem.cli.errors import CommandError, one_line
from fastem.cli.options import Candidate, Search
from fastem.cli.process import complain
from fastem.cli.reading import Data

if TYPE_CHECKING:
    from fastem.mixtures.base import BaseMixture

    Model: TypeAlias = BaseMixture


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model and its figures in the table."""

    candidate: Candidate
    model: Model
    log_likelihood: float
    criteria: dict[str, float]
    n_parameters: int
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A candidate that could not be fitted, and why."""

    candidate: Candidate
    reason: str


def check_domain(data: Data, search: Search) -> None:
    """Refuse data outside the domain of the family; the error names the first such cell."""
    family = _make(Candidate(1, search.forms[0]), search)._components()
    if family.in_domain is None:
        return
    refused = ~family.in_domain(data.values)
    if refused.any():
        row, column = np.argwhere(refused)[0]
        cell = f"row {row + 1} of column {data.columns[column]!r} is {data.values[row, column]:g}"
        raise CommandError(f"{cell}, but {search.family.capitalize()} components need {family.domain}")


def fit_all(search: Search, data: Data, watch: Callable[[Candidate, Model], None]) -> list[Fitted | Failed]:
    """Fit every candidate; `watch` is called with each before it is fitted."""
    return [_fit(candidate, search, data, watch) for candidate in search.candidates(len(data.values))]


def best_of(results: list[Fitted | Failed], search: Search) -> Fitted:
    """Return the model with the lowest criterion, the first among equals."""
    fitted = [result for result in results if isinstance(result, Fitted)]
    if not fitted:
        reasons = dict.fromkeys(result.reason for result in results if isinstance(result, Failed))
        raise CommandError(f"no model could be fitted: {' / '.join(reasons)}")
    return min(fitted, key=lambda result: result.criteria[search.criterion])


def _fit(
    candidate: Candidate, search: Search, data: Data, watch: Callable[[Candidate, Model], None]
) -> Fitted | Failed:
    model = _make(candidate, search)
    watch(candidate, model)
    begin = time.perf_counter()
    try:
        with _warnings_of(candidate):
            model.fit(data.values, sample_weight=data.weights)
        seconds = time.perf_counter() - begin
        result = _judge(candidate, model, data, seconds)
    except (ValueError, ArithmeticError) as error:  # LinAlgError is a ValueError
        return Failed(candidate, one_line(str(error)))
    if not all(map(math.isfinite, result.criteria.values())):
        return Failed(candidate, "the log-likelihood is not finite")
    return result


def _make(candidate: Candidate, search: Search) -> Model:
    form = {} if candidate.covariance is None else {"covariance_type": candidate.covariance}
    model: Model = class_of(search.family)(candidate.n_components, **form, **search.parameters)
    return model


def class_of(family: str) -> Any:
    """The class of mixtures of a family."""
    import fastem
    from fastem.mixtures import FACES

    return next(getattr(fastem, name) for name, face in FACES.items() if face.module == family)


def _judge(candidate: Candidate, model: Model, data: Data, seconds: float) -> Fitted:
    values, weights = data.values, data.weights
    total = len(values) if weights is None else float(weights.sum())
    log_likelihood = model.score(values, sample_weight=weights) * total
    criteria: dict[str, float] = {
        "bic": model.bic(values, sample_weight=weights),
        "aic": model.aic(values, sample_weight=weights),
        "icl": model.icl(values, sample_weight=weights),
    }
    return Fitted(candidate, model, log_likelihood, criteria, model.n_parameters_, seconds)


@contextmanager
def _warnings_of(candidate: Candidate) -> Iterator[None]:
    """Print warnings with the name of the model; the table shows which models have not converged."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        complain(f"warning: {candidate}: {text}")


def parameters(**options: Any) -> dict[str, Any]:
    """Keep the options that were given; the models know the defaults of the others."""
    return {name: value for name, value in options.items() if value is not None}
