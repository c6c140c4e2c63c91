"""Parameters and host functions of t components."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.families import _gaussian, _gaussian_host
from fastem.families._contract import Family
from fastem.families._gaussian_parameters import MEANS
from fastem.families._host import (
    Columns,
    Described,
    Float,
    Host,
    Initial,
    Regression,
    initial_locations,
    nothing_wrong,
)
from fastem.families._parameters import Domain, Parameter

DEGENERATE = (
    "Fitting the mixture model failed because some components have an ill-defined scale matrix (for instance caused by "
    "singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or scale the input "
    "data."
)
DEGREES = Domain("positive numbers, or inf", lambda values: bool((values > 0.0).all()))


def parameters(normal: Family, degrees: str) -> tuple[Parameter, ...]:
    """Means, scale matrices, the factors of their inverses, and degrees of freedom."""
    _, covariances, factors = normal.parameters
    free = {"shared": lambda n_free, *_: min(n_free, 1), "component": lambda n_free, *_: n_free, "fixed": lambda *_: 0}
    return (
        MEANS,
        covariances._replace(name="scales"),
        factors._replace(follows_from="scales"),
        Parameter("df", "k", DEGREES, free=free[degrees]),
    )


def named(described: Described) -> dict[str, Float]:
    """The parameters under the names that normal components use, without df."""
    return {"covariances" if name == "scales" else name: array for name, array in described.items() if name != "df"}


def complete(normal: Family, described: dict[str, Float]) -> dict[str, Float]:
    """Add scale matrices computed from the factors of their inverses, or factors computed from scale matrices."""
    if "scales" in described and "precisions_cholesky" in described:
        return described
    assert normal.complete is not None
    found = normal.complete(named(described))
    return {**described, "scales": found["covariances"], "precisions_cholesky": found["precisions_cholesky"]}


def contradiction(normal: Family, described: dict[str, Float], eps: float) -> str | None:
    """Message if scale matrices and the factors of their inverses do not agree."""
    assert normal.contradiction is not None
    words = normal.contradiction(named(described), eps)
    return None if words is None else words.replace("covariances_", "scales_")


def host(form: str, normal: Family) -> Host:
    """Host functions of components whose scale matrices have the form `form`."""
    axes = normal.parameters[1].axes
    return Host(
        initial=(initial_locations(MEANS, nothing_wrong), _initial_scales(form, axes)),
        sample=functools.partial(sample, normal),
        marginal=functools.partial(marginal, normal),
        conditional=functools.partial(conditional, normal),
        regression=functools.partial(regression, normal),
        hidden=_gaussian.factors_of,
        inverse_df=lambda params: params.inverse_df,
        scatter=lambda described: normal.host.scatter(named(described)),
        degenerate=DEGENERATE,
        unit="scale",
    )


def _initial_scales(form: str, axes: str) -> Initial:
    called = f"{form} scale"
    complaint = functools.partial(_gaussian_host.improper, called=called, matrices=axes.endswith("dd"))
    return Initial("scales", "scales_init", called, axes, complaint, lambda scales: {"scales": scales})


def sample(
    normal: Family, described: Described, component: int, n_samples: int, random_state: np.random.RandomState
) -> NDArray[Any]:
    """Draw rows (n_samples, d) of one component: deviations of a normal one, divided by the roots of latent weights."""
    rows = normal.host.sample(named(described), component, n_samples, random_state)
    df = described["df"][component]
    if df == np.inf:
        return rows
    mean = described["means"][component]
    weights = random_state.chisquare(df, size=(n_samples, 1)) / df
    return np.asarray(mean + (rows - mean) / np.sqrt(weights))


def marginal(normal: Family, described: Described, columns: Columns) -> dict[str, Float]:
    """Means and scale matrices of some columns, with the same degrees of freedom."""
    found = normal.host.marginal(named(described), columns)
    return {"means": found["means"], "scales": found["covariances"], "df": described["df"]}


def conditional(normal: Family, described: Described, rest: Columns, given: Columns, values: Float) -> dict[str, Float]:
    """Parameters of columns `rest` given `values` (g,): more degrees of freedom, larger scales far from the means."""
    factor = inflation(normal, described, given, values[None])[0]
    found = normal.host.conditional(named(described), rest, given, values)
    inverse = found["precisions_cholesky"]
    root = np.sqrt(factor).reshape(-1, *[1] * (inverse.ndim - 1))
    return {"means": found["means"], "precisions_cholesky": inverse / root, "df": described["df"] + len(given)}


def regression(normal: Family, described: Described, target: Columns, given: Columns) -> Regression:
    """The means of normal components, and variances that grow with the distance of the given values.

    Variances are infinite if the degrees of freedom plus the number of given columns are at most 2.
    """
    parts = normal.host.regression(named(described), target, given)
    df = described["df"] + len(given)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(df == np.inf, 1.0, np.where(df > 2.0, df / (df - 2.0), np.inf))
    return parts._replace(
        variances=parts.variances * spread[:, None],
        inflation=functools.partial(inflation, normal, described, given),
    )


def inflation(normal: Family, described: Described, given: Columns, values: Float) -> Float:
    """Factors (n, K) of the other columns' scale matrices, given `values` (n, g) of the columns `given`."""
    part = normal.host.marginal(named(described), given)
    assert normal.complete is not None
    factors = normal.complete({name: np.ascontiguousarray(array) for name, array in part.items()})
    inverse = factors["precisions_cholesky"]
    means, df = described["means"][:, given], described["df"]
    residuals = values[:, None] - means
    if normal.parameters[1].axes.endswith("dd"):
        white = np.einsum("nki,kij->nkj", residuals, np.broadcast_to(inverse, (len(means), *inverse.shape[-2:])))
    else:
        white = residuals * inverse.reshape(len(means), -1)
    distances = (white**2).sum(axis=2)
    finite = df < np.inf
    known = np.where(finite, df, 1.0)
    return np.asarray(np.where(finite, (known + distances) / (known + len(given)), 1.0))
