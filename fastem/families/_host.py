"""The interface of a family's functions on fitted components, which users' methods call.

Parameters are given as `Family.describe` returns them, by name and in float64, but in the coordinates of the data.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastem.families._parameters import Parameter

Float: TypeAlias = NDArray[np.float64]
Described: TypeAlias = Mapping[str, Float]
Columns: TypeAlias = list[int]
NO_OTHERS: Mapping[str, Any] = {}


class Regression(NamedTuple):
    """Regression of each component's target columns on given columns: mean intercept + slope x, and variances.

    `inflation` (values (n, g)) -> (n, K) gives factors of the variances, if these depend on the given values.
    """

    intercept: Float  # (K, t)
    slope: Float  # (K, t, g)
    variances: Float  # (K, t)
    inflation: Callable[[Float], Float] | None = None


class Initial(NamedTuple):
    """An argument by which a user gives initial values of a parameter, which `fixed` can keep.

    Attributes
    ----------
    fixes : str
        Name of the parameter in `fixed` and in the family.
    argument : str
        Name of the constructor's parameter.
    called : str
        Name of the values in messages.
    axes : str
        See `Parameter`.
    complaint : callable (values) -> str or None
        Error message for values of the right shape that are not valid.
    described : callable (values) -> dict
        Converts the values to described parameters, from which the others follow.
    """

    fixes: str
    argument: str
    called: str
    axes: str
    complaint: Callable[[Float], str | None]
    described: Callable[[Float], dict[str, Float]]


class StartRows(NamedTuple):
    """The rows and settings from which a start was estimated.

    Attributes
    ----------
    values : ndarray of shape (n, d)
        In the coordinates and the type of the data; missing values are NaN.
    weights : ndarray of shape (n,)
    origin : ndarray of shape (d,)
        Origin to which described locations are relative.
    shares : ndarray of shape (K,)
        Estimated mixing weights.
    few : bool
        Whether only one row for each component was assigned to it.
    reg_covar : float
    plain : bool
        Whether no value is missing and no prior was used.
    """

    values: NDArray[Any]
    weights: Float
    origin: Float
    shares: Float
    few: bool
    reg_covar: float
    plain: bool


class Host(NamedTuple):
    """Functions of fitted components.

    Attributes
    ----------
    initial : tuple of Initial
        Arguments for initial values.
    sample : (described, component, n_samples, random_state) -> rows (n_samples, d)
    marginal : (described, columns) -> described
        Parameters of some columns; those that follow from others may be left out.
    conditional : (described, rest, given, values (g,)) -> described
        Parameters of the columns `rest`, given values of the columns `given`.
    regression : (described, target, given) -> Regression
    hidden : (params) -> (means (K, d), factors (K, d, d) of covariances), or None
        Means and covariances by which the missing values of a row depend on the observed ones, as in a normal vector.
        None if columns are independent: then `cells` is used.
    inverse_df : (params) -> (K,), or None
        For components with `hidden`: 1 / df, by which missing values of distant rows vary more; 0 for normal
        components. None if all are normal.
    cells : (described, components (...), random_state or None) -> values (..., d)
        Draws of all columns from the given components; without a random state, their means.
    attributes : (described) -> dict
        Further fitted attributes, without their trailing underscore, which no method reads.
    adjust_start : (described, StartRows) -> described, or None
        Replaces the estimates of a start where EM could not start from them. Locations are relative to
        `StartRows.origin`.
    degenerate : str
        Error message for components without valid parameters, with advice.
    scatter : (described) -> ndarray of shape (K, d, d)
        Covariances of the components, or scale matrices that plots and tables show instead.
    of_columns : mapping of str to object
        Parameters of the constructor that differ between a mixture of all columns and a mixture of some columns.
    unit : str
        Name in plots of the square root of a diagonal entry of `scatter`.
    discrete : bool
        Whether values are whole numbers, which plots show as bars.
    """

    initial: tuple[Initial, ...]
    sample: Callable[[Described, int, int, np.random.RandomState], NDArray[Any]]
    marginal: Callable[[Described, Columns], dict[str, Float]]
    conditional: Callable[[Described, Columns, Columns, Float], dict[str, Float]]
    regression: Callable[[Described, Columns, Columns], Regression]
    scatter: Callable[[Described], Float]
    hidden: Callable[[Any], tuple[Float, Float]] | None = None
    inverse_df: Callable[[Any], Float] | None = None
    cells: Callable[[Described, NDArray[Any], np.random.RandomState | None], Float] | None = None
    attributes: Callable[[Described], dict[str, Float]] = lambda described: {}
    adjust_start: Callable[[dict[str, Float], StartRows], dict[str, Float]] | None = None
    degenerate: str = ""
    of_columns: Mapping[str, Any] = NO_OTHERS
    unit: str = "sd"
    discrete: bool = False


def initial_locations(parameter: Parameter, complaint: Callable[[Float], str | None]) -> Initial:
    """Argument for initial means, rates or probabilities, which needs no conversion."""
    name = parameter.name
    return Initial(name, f"{name}_init", name, parameter.axes, complaint, lambda values: {name: values})


def nothing_wrong(values: Float) -> None:
    """Accept any finite numbers."""
