"""What a family can say of fitted components, as functions that users' methods call.

Parameters are given as `Family.describe` has them: by name, in float64, in the coordinates of the data.
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
    """How each component's targets depend on the columns that are given: mean intercept + slope x, and variances.

    `inflation` (values (n, g)) -> (n, K) is what variances are multiplied by where they depend on the given values too.
    """

    intercept: Float  # (K, t)
    slope: Float  # (K, t, g)
    variances: Float  # (K, t)
    inflation: Callable[[Float], Float] | None = None


class Initial(NamedTuple):
    """How a user gives a parameter to start from, and to fix.

    Attributes
    ----------
    fixes : str
        What it is called in `fixed`: the name of a parameter of the family.
    argument : str
        The parameter of the constructor.
    called : str
        What messages call its values.
    axes : str
        See `Parameter`.
    complaint : callable (values) -> str or None
        In words, what is wrong with values of the right shape.
    described : callable (values) -> dict
        Described parameters of these values; others follow from them.
    """

    fixes: str
    argument: str
    called: str
    axes: str
    complaint: Callable[[Float], str | None]
    described: Callable[[Float], dict[str, Float]]


class StartRows(NamedTuple):
    """What the estimates of a start were made from.

    Attributes
    ----------
    values : ndarray of shape (n, d)
        In the coordinates and the type of the data; NaN where something is missing.
    weights : ndarray of shape (n,)
    origin : ndarray of shape (d,)
        Which described locations are about.
    shares : ndarray of shape (K,)
        Mixing weights that were estimated.
    few : bool
        Whether only some of the rows, one for each component, were assigned to components.
    reg_covar : float
    plain : bool
        Whether nothing is missing and no prior was taken.
    """

    values: NDArray[Any]
    weights: Float
    origin: Float
    shares: Float
    few: bool
    reg_covar: float
    plain: bool


class Host(NamedTuple):
    """What can be asked of fitted components.

    Attributes
    ----------
    initial : tuple of Initial
        What a user may start from.
    sample : (described, component, n_samples, random_state) -> rows (n_samples, d)
    marginal : (described, columns) -> described
        Parameters of some columns; those that follow from others may be left out.
    conditional : (described, rest, given, values (g,)) -> described
        Those of the other columns, given values of some.
    regression : (described, target, given) -> Regression
    hidden : (params) -> (means (K, d), factors (K, d, d) of covariances), or None
        By which the missing values of a row depend on the others, as those of a normal vector do; None if columns are
        independent: then `cells` is used.
    inverse_df : (params) -> (K,), or None
        Of components that are `hidden`: 1 / df, 0 for normal ones, by which missing values of far rows spread more;
        None if all are normal.
    cells : (described, components (...), random_state or None) -> values (..., d)
        Draws of all columns from some components, or their expectations.
    attributes : (described) -> dict
        Further fitted attributes, without their trailing underscore, which no method reads.
    adjust_start : (described, StartRows) -> described, or None
        What a fit starts with in place of the estimates of a start, where these would not do; locations are about
        `StartRows.origin`.
    degenerate : str
        What an error says of components that have no valid parameters, and what to do.
    scatter : (described) -> ndarray (K, d, d)
        Covariances of the components, or what plots and tables show in their place.
    of_columns : mapping of str to object
        Parameters of the constructor that mixtures of some of the columns have, if not those of all columns.
    unit : str
        What plots call the root of a variance of these.
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
    """How means, rates and so on are given: as they are."""
    name = parameter.name
    return Initial(name, f"{name}_init", name, parameter.axes, complaint, lambda values: {name: values})


def nothing_wrong(values: Float) -> None:
    """Any finite numbers will do."""
