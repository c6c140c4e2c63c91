"""Conjugate priors: as the user gives them, their defaults from the data, and as the M-step takes them."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem.data import Mixture
from fastem.data.numeric import is_real, real_array
from fastem.em.problem import Problem
from fastem.families import ComponentError
from fastem.families._contract import Conjugate, Float, Prior

SINGULAR = (
    "the prior's scale is the covariance of the data by default, and that is not positive definite: give "
    "prior=NormalInverseWishart(scale=...), or a reg_covar above 0"
)
INCOMPLETE_STEPS = 20  # EM steps for the moments of incomplete data


class NormalInverseWishart(NamedTuple):
    """Conjugate prior of the mean and covariance of each component of a `GaussianMixture`.

    Given its covariance C, a component's mean is normal about `mean` with covariance C / kappa, where kappa is
    `mean_strength`; C is inverse-Wishart, of density proportional to det(C) ** (-(nu + d + 1) / 2) exp(-trace(scale
    inv(C)) / 2), with nu degrees of freedom in d features. A variance ('diag' and 'spherical') is inverse-gamma, which
    is the same in one feature.

    A component of n rows then has the mean m = (sum of the rows + kappa `mean`) / (n + kappa). With S = `scale` + the
    rows' squares about m + kappa (m - `mean`)(m - `mean`)', its covariance is S / (n + nu + d + 2). The covariance that
    all components share ('tied') has the squares of all in S, and the divisor n + nu + d + n_components + 1 for all n
    rows. A variance has the divisor n + nu + 3 ('diag'), or is the sum of squares of all features over n d + nu + d + 2
    ('spherical'). None can be singular, however few rows there are.

    Parameters
    ----------
    mean : array-like of shape (n_features,), default=None
        Value to which the components' means are shrunk. None takes the mean of the data.
    mean_strength : float, default=0.01
        Number of rows that `mean` counts as. With 0, means are not shrunk: the prior is the limit of small strengths.
    degrees_of_freedom : float, default=None
        Larger values shrink covariances more towards `scale`. Must be above n_features - 1, or above 0 for variances.
        None takes n_features + 2.
    scale : array-like, default=None
        Of shape (n_features, n_features) for 'full' and 'tied', (n_features,) for 'diag', and one number for
        'spherical'; as `GaussianMixture` says for structures of three letters. None takes the covariance of the data,
        or their variances, or the mean of these, divided by n_components ** (2 / n_features): the size of a component
        if n_components of them fill the space of the data. The covariance of the data is that of a single component
        without a prior, `reg_covar` included.

    Notes
    -----
    Defaults are those of Fraley and Raftery, except for 'diag', where they take the mean of the variances for all
    columns; with a scale for each column, the units of the columns do not matter. The mean and covariance of the data
    need one more reading of the data before a fit, but not if `mean` and `scale` are both given; `partial_fit` takes
    those of its first batch.

    References
    ----------
    C. Fraley and A. E. Raftery (2007), Bayesian regularization for normal mixture estimation and model-based
    clustering, Journal of Classification 24, 155-181.

    Examples
    --------
    >>> from fastem import GaussianMixture, NormalInverseWishart
    >>> X = [[0.0], [1.0], [2.0], [10.0]]  # the last is a component by itself
    >>> model = GaussianMixture(2, prior="conjugate", reg_covar=0, random_state=0).fit(X)
    >>> model.covariances_.ravel().round(2).tolist()
    [0.66, 0.62]
    >>> prior = NormalInverseWishart(scale=[[0.1]])
    >>> model.set_params(prior=prior).fit(X).covariances_.ravel().round(2).tolist()
    [0.24, 0.08]
    """

    mean: ArrayLike | None = None
    mean_strength: float = 0.01
    degrees_of_freedom: float | None = None
    scale: ArrayLike | None = None


class Moments(NamedTuple):
    """Mean of the data (d,) about the origin, and their covariance in the shape of the prior's scale, where known."""

    mean: Float | None = None
    covariance: Float | None = None


def supplied(moments: Moments, prior: NormalInverseWishart, problem: Problem, covariance_type: str) -> Moments:
    """The moments of the data that the prior's defaults need: those that are known, or those of the problem's rows."""
    knows_mean = prior.mean is not None or moments.mean is not None or prior.mean_strength == 0.0
    if knows_mean and (prior.scale is not None or moments.covariance is not None):
        return moments
    return _data_moments(problem, covariance_type, prior.scale is None)


def _data_moments(problem: Problem, covariance_type: str, with_covariance: bool) -> Moments:
    """Mean and, if wanted, covariance of rows: those of a single component of the same family after one pass.

    Raises
    ------
    ValueError
        If the covariance is not positive definite.
    """
    family, n_features = problem.family, problem.source.n_features
    kept = {} if with_covariance else {"covariances": np.ones(1, dtype=bool)}
    plain = replace(problem, prior=Prior(problem.prior.reg_covar, kept=kept))
    incomplete = family.finish is not None
    variances = problem.start_variances() if incomplete else None
    single = Mixture(np.ones(1), family.params_at(np.zeros((1, n_features)), variances))
    try:
        for _ in range(INCOMPLETE_STEPS if incomplete else 1):
            single = plain.maximise(plain.expect(single), single)
        described = family.describe(single.params)
    except ComponentError:
        raise ValueError(SINGULAR) from None
    covariance = family.host.scatter(described)[0]
    variances = covariance.diagonal().copy()
    scale = (variances[0], variances, covariance)[_scale_axes(covariance_type)]
    return Moments(described["means"][0], np.asarray(scale) if with_covariance else None)


def without_arrays(prior: Any) -> Any:
    """The prior with defaults in place of its arrays, for data with other columns."""
    return prior._replace(mean=None, scale=None) if isinstance(prior, NormalInverseWishart) else prior


def checked(prior: Any, covariance_type: str, n_features: int) -> NormalInverseWishart:
    """Check the prior that a user gives, perhaps by name; return it with numpy arrays and the degrees of freedom.

    Raises
    ------
    ValueError
        If a shape is wrong, or a value is invalid for such a distribution.
    """
    prior = NormalInverseWishart() if isinstance(prior, str) else prior
    from fastem.families._gaussian_host import all_positive_definite  # imported late, as it imports numba

    matrices = _scale_axes(covariance_type) == 2
    mean = _array(prior.mean, (n_features,), "mean")
    scale = _array(prior.scale, scale_shape(covariance_type, n_features), "scale")
    if scale is not None and not (all_positive_definite(scale[None]) if matrices else (scale > 0.0).all()):
        raise ValueError(f"the prior's scale must be {'symmetric and positive definite' if matrices else 'positive'}")
    if not (_is_number(prior.mean_strength) and prior.mean_strength >= 0.0):
        raise ValueError(f"the prior's mean_strength must be a number, at least 0, not {prior.mean_strength!r}")
    degrees = n_features + 2.0 if prior.degrees_of_freedom is None else prior.degrees_of_freedom
    least = n_features - 1 if matrices else 0
    if not (_is_number(degrees) and degrees > least):
        raise ValueError(
            f"the prior's degrees_of_freedom must be a number above {least} for {n_features} features and "
            f"covariance_type={covariance_type!r}, not {degrees!r}"
        )
    return NormalInverseWishart(mean, float(prior.mean_strength), float(degrees), scale)


def conjugate(prior: NormalInverseWishart, n_components: int, origin: Float, moments: Moments) -> Conjugate:
    """A checked prior as the M-step takes it: about the origin, with defaults from the data."""
    mean, scale = moments.mean, prior.scale
    if prior.mean is not None:
        mean = np.asarray(prior.mean) - origin
    if scale is None:
        assert moments.covariance is not None
        scale = moments.covariance / n_components ** (2.0 / len(origin))
    assert prior.degrees_of_freedom is not None
    mean = np.zeros(len(origin)) if mean is None else mean  # without effect: the strength is 0
    return Conjugate(mean, prior.mean_strength, prior.degrees_of_freedom, np.asarray(scale))


def concentration(weights_prior: Any, n_components: int) -> NDArray[np.float64] | None:
    """Concentration of the weights' Dirichlet prior, one for each component.

    Raises
    ------
    ValueError
        If their number is wrong, or one is below 1.
    """
    if weights_prior is None:
        return None
    given = real_array(weights_prior, "weights_prior").astype(np.float64)
    if given.shape not in ((), (n_components,)):
        raise ValueError(
            f"weights_prior must be a number, or {n_components}: one for each component, but its shape is {given.shape}"
        )
    if not ((given >= 1.0) & (given < np.inf)).all():
        raise ValueError(f"weights_prior must be at least 1: below, the posterior has no mode; got {weights_prior!r}")
    return np.broadcast_to(given, (n_components,)).copy()


def _scale_axes(covariance_type: str) -> int:
    """Number of axes of the prior's scale: 2 for matrices, 1 for a variance of each feature, 0 for one variance."""
    if covariance_type in ("spherical", "EII", "VII"):
        return 0
    return 1 if covariance_type == "diag" or covariance_type.endswith("I") else 2


def scale_shape(covariance_type: str, n_features: int) -> tuple[int, ...]:
    """Shape of the prior's scale."""
    return (n_features,) * _scale_axes(covariance_type)


def _is_number(value: Any) -> bool:
    return is_real(value) and math.isfinite(float(value))


def _array(value: Any, shape: tuple[int, ...], name: str) -> Float | None:
    """Check that numbers are finite and have a shape, and return them as an array."""
    if value is None:
        return None
    array = real_array(value, f"the prior's {name}").astype(np.float64)
    if array.shape != shape:
        raise ValueError(f"the prior's {name} must have the shape {shape}, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"the prior's {name} must be finite")
    return array
