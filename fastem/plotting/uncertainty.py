"""Display of how uncertain the components of rows are under a fitted mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.utils import check_random_state

from fastem.plotting.backend import INK, axes_or_new, look_of, require_matplotlib, tidy
from fastem.plotting.directions import directions_of
from fastem.plotting.rows import names_of, shown_rows, values_of
from fastem.plotting.shapes import Floats, shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastem.mixtures.base import BaseMixture

MEASURES = {
    "uncertainty": "uncertainty of the component",
    "entropy": "entropy of the responsibilities / log K",
}
SHADES = ("#C4C4C4", "#E69F00", "#C8500A", "#4A1500")


class UncertaintyDisplay:
    """Rows coloured by the uncertainty of their component.

    The uncertainty of a row is one minus the responsibility of its most probable component, as in mclust. The entropy
    is that of all its responsibilities, divided by its largest value, the logarithm of the number of components. Rows
    of larger uncertainty are larger, and drawn last. Two columns are shown as they are; more than two along the
    directions that separate the components best (`fastem.plotting.directions.separating_directions`); a single one on
    the horizontal axis, with the uncertainty on the vertical axis. Counts are jittered as in `MixtureDisplay`.

    Use `from_estimator` to make one.

    Parameters
    ----------
    points : ndarray of shape (n_points, 1) or (n_points, 2)
        Coordinates of rows.
    uncertainty : ndarray of shape (n_points,)
        Their uncertainty or entropy.
    columns : list of str
        Labels of the coordinates.
    measure : {'uncertainty', 'entropy'}, default='uncertainty'
        Which of the two `uncertainty` holds.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    points_ : matplotlib PathCollection
        The scatter; its array holds the uncertainties.
    colorbar_ : matplotlib Colorbar or None
        None if it was not wanted, or for a single column, where the vertical axis shows the uncertainty.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastem import GaussianMixture
    >>> from fastem.datasets import load_faithful
    >>> from fastem.plotting import UncertaintyDisplay
    >>> X = load_faithful().values
    >>> model = GaussianMixture(2, random_state=0).fit(X)
    >>> display = UncertaintyDisplay.from_estimator(model, X, ax=Figure().add_subplot())
    >>> round(float(display.points_.get_array().max()), 2)
    0.2
    """

    figure_: Any
    ax_: Axes
    points_: Any
    colorbar_: Any

    def __init__(
        self, *, points: Floats, uncertainty: Floats, columns: list[str], measure: str = "uncertainty"
    ) -> None:
        self.points = points
        self.uncertainty = uncertainty
        self.columns = columns
        self.measure = measure

    @classmethod
    def from_estimator(
        cls,
        model: BaseMixture,
        X: ArrayLike,
        *,
        ax: Axes | None = None,
        measure: str = "uncertainty",
        columns: Sequence[str] | None = None,
        max_points: int = 20_000,
        random_state: int | np.random.RandomState | None = 0,
        **kwargs: Any,
    ) -> Self:
        """Draw rows in the colour of their uncertainty under a fitted mixture.

        Parameters
        ----------
        model : GaussianMixture or another mixture
            A fitted model.
        X : array-like of shape (n_samples, n_features)
            The data. Rows are not shown if a value that their position depends on is missing.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure of pyplot by default.
        measure : {'uncertainty', 'entropy'}, default='uncertainty'
            The measure that rows are coloured by.
        columns : sequence of str, length n_features, default=None
            Labels of the axes, see `MixtureDisplay.from_estimator`.
        max_points : int, default=20000
            At most this many rows are shown, drawn at random.
        random_state : int, RandomState or None, default=0
            Chooses the rows to show and the jitter of counts.
        **kwargs : dict
            Options of `plot`.

        Returns
        -------
        display : UncertaintyDisplay

        Raises
        ------
        ValueError
            If `X` or `columns` do not match the model's number of features, or `measure` has another value.
        ModuleNotFoundError
            If matplotlib is not installed.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        if measure not in MEASURES:
            raise ValueError(f"measure must be 'uncertainty' or 'entropy', not {measure!r}")
        model._fitted()
        values_of(X, model.n_features_in_)
        names, random = names_of(model, columns), check_random_state(random_state)
        points, responsibilities = shown_rows(model, X, max_points, random, model._responsibilities)
        uncertainty = uncertainty_of(responsibilities.astype(np.float64), measure)
        if len(names) > 2:
            directions = directions_of(model)
            points, names = points @ directions.axes, directions.names
        else:
            points = shape_of(model).spread(points, random)
        return cls(points=points, uncertainty=uncertainty, columns=names, measure=measure).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, colorbar: bool = True, **kwargs: Any) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure of pyplot by default.
        colorbar : bool, default=True
            Whether to draw a colour bar; with one column there is none, since the vertical axis shows the uncertainty.
        **kwargs : dict
            Options for `matplotlib.axes.Axes.scatter`, such as `cmap`.

        Returns
        -------
        display : UncertaintyDisplay
            Itself, with the artists as attributes.
        """
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot")
        from matplotlib.collections import PathCollection

        self.figure_, self.colorbar_ = self.ax_.figure, None
        order = np.argsort(self.uncertainty, kind="stable")  # the least certain are on top
        points, uncertainty = self.points[order], self.uncertainty[order]
        up = uncertainty if points.shape[1] == 1 else points[:, 1]
        look = {"cmap": _colours(), "s": 12 + 48 * uncertainty, "linewidths": 0, "alpha": 0.8, "rasterized": True}
        self.points_ = self.ax_.scatter(points[:, 0], up, **look_of({"c": uncertainty, **look}, kwargs, PathCollection))
        tidy(self.ax_)
        named, label = [*self.columns, MEASURES[self.measure]][:2], MEASURES[self.measure]
        self.ax_.set_xlabel(named[0], fontsize=12, color=INK)
        self.ax_.set_ylabel(named[1], fontsize=12, color=INK)
        if colorbar and points.shape[1] == 2:
            self.colorbar_ = self.figure_.colorbar(self.points_, ax=self.ax_, label=label)
        return self


def _colours() -> Any:
    """Colour map from light grey, for certain rows, to dark brown."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("uncertainty", SHADES)


def uncertainty_of(responsibilities: Floats, measure: str) -> Floats:
    """Uncertainty of rows, or the entropy of their responsibilities divided by its largest value.

    Parameters
    ----------
    responsibilities : ndarray of shape (n_samples, n_components)
    measure : {'uncertainty', 'entropy'}

    Returns
    -------
    uncertainty : ndarray of shape (n_samples,)
        0 for a row whose component is certain.

    Examples
    --------
    >>> import numpy as np
    >>> from fastem.plotting.uncertainty import uncertainty_of
    >>> uncertainty_of(np.array([[0.5, 0.5], [1.0, 0.0]]), "entropy")
    array([1., 0.])
    """
    if measure == "uncertainty":
        return np.maximum(1.0 - responsibilities.max(axis=1), 0.0)
    largest = np.log(max(responsibilities.shape[1], 2))  # one component has an entropy of 0
    found: Floats = np.maximum(entr(responsibilities).sum(axis=1) / largest, 0.0)
    return found
