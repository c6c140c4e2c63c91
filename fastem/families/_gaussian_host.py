"""Host functions of Gaussian components, for every form of covariances."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem.families import _gaussian
from fastem.families._gaussian_parameters import MEANS
from fastem.families._host import (
    Columns,
    Described,
    Float,
    Host,
    Initial,
    Regression,
    StartRows,
    initial_locations,
    nothing_wrong,
)

LEAST_PRECISION = 1e-307  # below, variances overflow
DEGENERATE = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
    "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or scale "
    "the input data."
)


def host(form: str, axes: str) -> Host:
    """Host functions of components whose covariances have the form `form` and the axes `axes`, see `Parameter`."""
    matrices = axes.endswith("dd")
    return Host(
        initial=(initial_locations(MEANS, nothing_wrong), _initial_precisions(form, axes)),
        sample=functools.partial(sample, axes),
        marginal=functools.partial(marginal, axes),
        conditional=conditional if matrices else independent,
        regression=regression if matrices else regression_of_independent,
        scatter=functools.partial(scatter, axes),
        hidden=_gaussian.factors_of,
        attributes=functools.partial(attributes, axes),
        adjust_start=_total_scatter if axes == "dd" else None,
        degenerate=DEGENERATE,
    )


def _initial_precisions(form: str, axes: str) -> Initial:
    matrices = axes.endswith("dd")

    def complaint(precisions: Float) -> str | None:
        wrong = improper(precisions, f"{form} precision", matrices=matrices)
        if wrong is not None:
            return wrong
        least = float((precisions.diagonal(0, -2, -1) if matrices else precisions).min())
        if least < LEAST_PRECISION:
            return f"precisions_init has a precision of {least:.3g}: variances beyond 1e307 overflow"
        return None

    def described(precisions: Float) -> dict[str, Float]:
        return {"precisions_cholesky": factors_of_precisions(precisions) if matrices else np.sqrt(precisions)}

    return Initial("covariances", "precisions_init", f"{form} precision", axes, complaint, described)


def improper(values: Float, called: str, *, matrices: bool) -> str | None:
    """Error message, in scikit-learn's words, if the parameter `called` is not positive definite; None if it is."""
    if not matrices and (values <= 0.0).any():
        return f"'{called}' should be positive"
    if matrices and not all_positive_definite(values.reshape(-1, *values.shape[-2:])):
        return f"'{called}' should be symmetric, positive-definite"
    return None


def all_positive_definite(matrices: NDArray[Any]) -> bool:
    """Whether matrices (m, d, d) are symmetric and positive definite."""
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    if not (diagonal > 0.0).all():
        return False
    unit = 1.0 / np.sqrt(diagonal)  # so that the features' units do not matter
    scaled = matrices * unit[:, :, None] * unit[:, None, :]
    asymmetry = np.abs(scaled - np.swapaxes(scaled, 1, 2))
    symmetric = (asymmetry <= 1e-8 + 1e-5 * np.abs(scaled)).all()  # as np.allclose, but faster
    try:  # from the last feature to the first, as `factors_of_precisions` does
        np.linalg.cholesky(scaled[:, ::-1, ::-1])
    except np.linalg.LinAlgError:
        return False
    return bool(symmetric)


def factors_of_precisions(precisions: Float) -> Float:
    """Upper-triangular U (..., d, d) with precision = U U', from the Cholesky factor in reversed order of features."""
    factor = np.linalg.cholesky(precisions[..., ::-1, ::-1])
    return np.ascontiguousarray(factor[..., ::-1, ::-1])


def precisions_of(factors: NDArray[Any]) -> NDArray[Any]:
    """Precisions (..., d, d) from their Cholesky factors (..., d, d)."""
    return factors @ np.swapaxes(factors, -1, -2)


def attributes(axes: str, described: Described) -> dict[str, Float]:
    """Precisions, in the shape of the covariances."""
    factors = described["precisions_cholesky"]
    return {"precisions": precisions_of(factors) if axes.endswith("dd") else factors**2}


def sample(
    axes: str, described: Described, component: int, n_samples: int, random_state: np.random.RandomState
) -> NDArray[Any]:
    """Draw rows (n_samples, d) of one component as scikit-learn does."""
    mean, covariances = described["means"][component], described["covariances"]
    covariance = covariances[component] if axes.startswith("k") else covariances
    if axes.endswith("dd"):
        return random_state.multivariate_normal(mean, covariance, n_samples)
    noise = random_state.standard_normal(size=(n_samples, len(mean)))
    rows: NDArray[Any] = mean + noise * np.sqrt(covariance)
    return rows


def marginal(axes: str, described: Described, columns: Columns) -> dict[str, Float]:
    """Means and covariances of some columns."""
    covariances = described["covariances"]
    if axes.endswith("dd"):
        covariances = covariances[..., columns, :][..., columns]
    elif axes == "kd":
        covariances = covariances[:, columns]
    return {"means": described["means"][:, columns], "covariances": covariances}


def conditional(described: Described, rest: Columns, given: Columns, values: Float) -> dict[str, Float]:
    """Parameters of columns `rest` given `values` (g,) of the columns `given`: a block of the joint precisions."""
    parts = regression(described, rest, given)
    precisions = precisions_of(described["precisions_cholesky"])[..., rest, :][..., rest]
    means = parts.intercept + parts.slope @ values
    return {"means": means, "precisions_cholesky": factors_of_precisions(precisions)}


def regression(described: Described, target: Columns, given: Columns) -> Regression:
    """Linear regression of the target columns on the given ones, which are all the others."""
    means = described["means"]
    shape = (len(means), len(target), len(given))
    rows = precisions_of(described["precisions_cholesky"])[..., target, :]
    inverse = np.linalg.inv(rows[..., target])  # of a block of the precisions: the conditional covariance
    slope = np.broadcast_to(-inverse @ rows[..., given], shape)
    variances = np.broadcast_to(np.diagonal(inverse, axis1=-2, axis2=-1), shape[:2])
    return Regression(means[:, target] - np.einsum("ktg,kg->kt", slope, means[:, given]), slope, variances)


def independent(described: Described, rest: Columns, given: Columns, values: Float) -> dict[str, Float]:
    """Parameters of the other columns, which do not depend on the given values."""
    return {name: array[:, rest] if array.ndim == 2 else array for name, array in described.items()}


def regression_of_independent(described: Described, target: Columns, given: Columns) -> Regression:
    """Means and variances of the target columns, which do not depend on the given columns."""
    means = described["means"]
    variances = described["covariances"].reshape(len(means), -1)
    variances = np.broadcast_to(variances, means.shape)[:, target]
    return Regression(means[:, target], np.zeros((len(means), len(target), len(given))), variances)


def scatter(axes: str, described: Described) -> Float:
    """Covariances of all components as matrices (K, d, d)."""
    (n_components, n_features), covariances = described["means"].shape, described["covariances"]
    if not axes.endswith("dd"):
        covariances = covariances.reshape(n_components, -1)[:, :, None] * np.eye(n_features)
    return np.array(np.broadcast_to(covariances, (n_components, n_features, n_features)))


def _total_scatter(described: dict[str, Float], rows: StartRows) -> dict[str, Float]:
    """Replace the shared covariance of a start that assigns one row to each component, as scikit-learn does."""
    if not (rows.few and rows.plain):
        return described
    mass, means = rows.shares * rows.weights.sum(), described["means"] + rows.origin
    covariance = total_scatter(rows.values, rows.weights, mass, means) / mass.sum()
    covariance += rows.reg_covar * np.eye(means.shape[1])
    lower = _gaussian.lower_inverse(covariance, None)
    return {**described, "covariances": covariance, "precisions_cholesky": np.ascontiguousarray(lower.T)}


def total_scatter(values: NDArray[Any], weights: Float, mass: Float, means: Float) -> Float:
    """Scatter (d, d) from which scikit-learn computes a shared covariance if only some rows are assigned.

    It takes the second moments about zero of all rows, not only of the assigned ones. The result estimates no parameter
    of the model, but it serves as a start, and the same seed must give the same start as in scikit-learn.
    """
    values = values.astype(np.float64, copy=False)
    return np.asarray((values * weights[:, None]).T @ values - (means * mass[:, None]).T @ means)
