"""One line of `CASES` for each family, with a naive reference that shares no code with fastem."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fits import precisions_of
from reference import GAUSSIAN_FAMILIES, rows_for, start_at
from reference_bernoulli import Bernoulli, binary_rows
from reference_structures import NAMES, SHARING_AXES, Structured, sizes
from reference_student_t import Student, heavy_rows

from fastem import BernoulliMixture, GaussianMixture, PoissonMixture, StudentTMixture


@dataclass(frozen=True)
class Case:
    """A family: its public class, data, a naive reference, and the features that it refuses.

    Attributes
    ----------
    name : str
    kind : class of mixtures
    options : dict
        Arguments of the constructor that select the family.
    rows : callable (n_rows, n_features, seed) -> X
        Rows of two overlapping groups.
    start : callable (X, centres) -> naive mixture
        With `log_component(X, k)`, `maximise(X, mass)`, `fitted` (attributes by name), `centres` and `weights`.
    initial : callable (naive mixture) -> dict
        Arguments of the constructor that start a fit from the naive mixture, except the weights.
    free : callable (n_components, n_features) -> int
        Number of free parameters beside the weights.
    refused : set of str
        Features that an error must refuse by name, as they are written in a call.
    tolerance : float
        Of parameters after two iterations on many features; iterative M-steps may stop before they converge.
    """

    name: str
    kind: type
    options: dict[str, Any]
    rows: Callable[..., np.ndarray]
    start: Callable[..., Any]
    initial: Callable[[Any], dict[str, Any]]
    free: Callable[[int, int], int]
    refused: frozenset[str] = field(default=frozenset())
    tolerance: float = 1e-8

    def __str__(self):
        return self.name

    def model(self, start=None, **options):
        """An unfitted model without regularisation, which starts from a naive mixture if one is given."""
        begin = {} if start is None else {"weights_init": start.weights, **self.initial(start)}
        regular = {"reg_covar": 0.0} if "reg_covar" in self.kind._get_param_names() else {}
        return self.kind(**{"n_components": 2, "random_state": 0, **regular, **self.options, **begin, **options})


def gaussian(form, free):
    """Case of Gaussian components with a covariance type."""

    def initial(start):
        return {"means_init": start.means, "precisions_init": precisions_of(start)}

    def start(X, centres):
        return start_at(form, X, centres)

    return Case(form, GaussianMixture, {"covariance_type": form}, normal_rows, start, initial, free)


def student_t(form, df, free):
    """Case of t components with a covariance type; degrees of freedom are estimated or given."""
    mode = df if isinstance(df, str) else "fixed"
    n_free = {"shared": 1, "component": 2, "fixed": 0}[mode]
    refused = {"noise"}
    refused |= {"algorithm='incremental'", "algorithm='sparse'"} if isinstance(df, str) else set()
    refused |= {"conditional"} if form == "tied" else set()

    def start(X, centres):
        return Student.at(form, mode, X, centres, 30.0 if isinstance(df, str) else df)

    return Case(
        f"student_t-{form}-{mode}",
        StudentTMixture,
        {"covariance_type": form, "df": df},
        heavy_rows,
        start,
        lambda start: {"means_init": start.means, "scales_init": start.scales},
        lambda K, d: free(K, d) + n_free,
        frozenset(refused),
    )


def structured(name):
    """Case of Gaussian components with one of mclust's covariance structures."""

    def initial(start):
        return {"means_init": start.means, "precisions_init": np.linalg.inv(start.covariances)}

    def start(X, centres):
        return Structured.at(name, X, centres)

    def free(n_components, n_features):
        return n_components * n_features + sum(sizes(name, n_components, n_features))

    tolerance = 1e-5 if name in SHARING_AXES else 1e-8
    kind, options = GaussianMixture, {"covariance_type": name}
    return Case(name, kind, options, normal_rows, start, initial, free, tolerance=tolerance)


def normal_rows(n_rows=80, n_features=3, seed=0):
    """Rows in two overlapping groups."""
    return rows_for("full", n_rows, n_features, seed)


def counts(n_rows=80, n_features=3, seed=0):
    """Counts in two overlapping groups."""
    return rows_for("poisson", n_rows, n_features, seed)


ERRORS = frozenset({"noise"})
FREE = {
    "full": lambda K, d: K * d + K * d * (d + 1) // 2,
    "tied": lambda K, d: K * d + d * (d + 1) // 2,
    "diag": lambda K, d: 2 * K * d,
    "spherical": lambda K, d: K * d + K,
}
STUDENT_T = (
    *((form, "shared") for form in GAUSSIAN_FAMILIES),
    *((form, "component") for form in ("full", "tied")),
    ("full", [4.0, 12.0]),
    *((form, [4.0, np.inf]) for form in ("tied", "diag", "spherical")),
)
CASES = [
    *(gaussian(form, FREE[form]) for form in GAUSSIAN_FAMILIES),
    *(structured(name) for name in NAMES),
    Case(
        "poisson",
        PoissonMixture,
        {},
        counts,
        lambda X, centres: start_at("poisson", X, centres),
        lambda start: {"rates_init": start.rates},
        lambda K, d: K * d,
        ERRORS,
    ),
    Case(
        "bernoulli",
        BernoulliMixture,
        {},
        binary_rows,
        Bernoulli.at,
        lambda start: {"probabilities_init": start.probabilities},
        lambda K, d: K * d,
        ERRORS,
    ),
    *(student_t(form, df, FREE[form]) for form, df in STUDENT_T),
]
