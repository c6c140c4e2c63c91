"""Display of a fitted mixture over its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from fastem.plotting.backend import require_matplotlib
from fastem.plotting.directions import Directions, directions_of
from fastem.plotting.layout import MAX_COLUMNS, Layout, layout_axes, layout_figure, size_of
from fastem.plotting.panels import (
    Styles,
    draw_components,
    draw_densities,
    draw_legend,
    draw_points,
    label_axes,
    prepare,
)
from fastem.plotting.rows import Given, Rows, names_of, shown_rows, values_of, weights_of
from fastem.plotting.shapes import Floats, ProjectedShape, Shape, shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastem.mixtures.base import BaseMixture


class MixtureDisplay:
    """Plot of a fitted mixture over data.

    One column gives a histogram with the density of each component, times its weight, and their sum. Two columns give a
    scatter of the rows, coloured by component, with ellipses at one and two standard deviations. Three to six give a
    grid of both: histograms on the diagonal, and a scatter for each pair of columns below it. More than six are shown
    along the linear discriminant directions of the fitted mixture, the two directions that separate the components
    best, see `fastem.plotting.directions.separating_directions`. Counts, and zeros and ones, are shown as bars; their
    scatters are jittered, with a cross of one and two standard deviations at each mean. A background is grey.

    Use `from_estimator` to make one.

    Parameters
    ----------
    shape : Shape
        Shape of the components, see `fastem.plotting.shapes`.
    mixing : ndarray of shape (n_components,)
        Mixing weights; with a background its weight is the last of n_components + 1.
    rows : Rows
        Rows in the columns, or along the directions, that are shown.
    columns : list of str
        Labels of the axes.
    directions : Directions or None, default=None
        Directions along which rows and components are shown; None shows the columns themselves.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes or None
        The axes of a single panel, or the axes that a grid replaces; None if the grid has its own figure or axes.
    axes_ : ndarray of shape (n_panels, n_panels)
        Axes of the panels: of shape (1, 1) for one column, two columns or two directions; None above the diagonal.
    histograms_ : ndarray of shape (n_panels, n_panels)
        Bars of each panel; None where a panel has none, as in the three arrays below.
    densities_ : ndarray of shape (n_panels, n_panels)
        Lines of the components' densities, of the background, and of the mixture.
    points_ : ndarray of shape (n_panels, n_panels)
        Scatters.
    contours_ : ndarray of shape (n_panels, n_panels)
        Dictionaries of the ellipses or lines of each component, by its index, without components that have no row.
    legend_ : matplotlib Legend or None

    See Also
    --------
    plot_mixture : Draw the same as a new figure, which pyplot does not know.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastem import GaussianMixture
    >>> from fastem.datasets import load_faithful
    >>> from fastem.plotting import MixtureDisplay
    >>> faithful = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(faithful.values)
    >>> display = MixtureDisplay.from_estimator(model, faithful.values, ax=Figure().add_subplot())
    >>> [len(ellipses) for ellipses in display.contours_[0, 0].values()]
    [2, 2]
    >>> display = display.plot(ax=Figure().add_subplot(), scatter_kw={"color": "black"})
    """

    figure_: Any
    ax_: Axes | None
    axes_: NDArray[Any]
    histograms_: NDArray[Any]
    densities_: NDArray[Any]
    points_: NDArray[Any]
    contours_: NDArray[Any]
    legend_: Any

    def __init__(
        self, *, shape: Shape, mixing: Floats, rows: Rows, columns: list[str], directions: Directions | None = None
    ) -> None:
        self.shape = shape
        self.mixing = mixing
        self.rows = rows
        self.columns = columns
        self.directions = directions

    @classmethod
    def from_estimator(
        cls,
        model: BaseMixture,
        X: ArrayLike,
        *,
        ax: Axes | ArrayLike | None = None,
        columns: Sequence[str] | None = None,
        sample_weight: ArrayLike | None = None,
        max_points: int = 20_000,
        random_state: int | np.random.RandomState | None = 0,
        **kwargs: Any,
    ) -> Self:
        """Draw a fitted mixture over data.

        Parameters
        ----------
        model : GaussianMixture or another mixture
            A fitted model.
        X : array-like of shape (n_samples, n_features)
            The data. Where values are missing, rows are left out of the panels that would show them.
        ax : matplotlib Axes or ndarray of Axes, default=None
            Where to draw, see `plot`.
        columns : sequence of str, length n_features, default=None
            Labels of the axes, in which matplotlib reads text between two $ as a formula. By default the names of the
            features that the model was fitted with, without formulas, or x0, x1, ...
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the histograms.
        max_points : int, default=20000
            Scatters show at most this many rows, drawn at random. Histograms always count all rows.
        random_state : int, RandomState or None, default=0
            Chooses the rows to show and the jitter of counts.
        **kwargs : dict
            Options of `plot`.

        Returns
        -------
        display : MixtureDisplay

        Raises
        ------
        ValueError
            If `X` or `columns` do not match the model's number of features.
        ModuleNotFoundError
            If matplotlib is not installed.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        given = Given(columns, sample_weight, max_points, random_state)
        return cls._of(model, X, given).plot(ax, **kwargs)

    @classmethod
    def _of(cls, model: BaseMixture, X: ArrayLike, given: Given) -> Self:
        """Make a display without drawing it."""
        model._fitted()
        values, names = values_of(X, model.n_features_in_), names_of(model, given.columns)
        random, n_columns = check_random_state(given.random_state), len(names)
        points, labels = values[:0], np.zeros(0, np.intp)
        if n_columns > 1:
            points, labels = shown_rows(model, X, given.max_points, random)
        mixing = np.asarray(model._attribute("weights"), dtype=np.float64)
        weights = weights_of(given.sample_weight)
        if n_columns > MAX_COLUMNS:
            directions = directions_of(model)
            shape: Shape = ProjectedShape(model, directions.axes)
            rows = Rows(values @ directions.axes, weights, points @ directions.axes, labels)
            return cls(shape=shape, mixing=mixing, rows=rows, columns=directions.names, directions=directions)
        shape = shape_of(model)
        rows = Rows(values, weights, shape.spread(points, random), labels)
        return cls(shape=shape, mixing=mixing, rows=rows, columns=names)

    def plot(
        self,
        ax: Axes | ArrayLike | None = None,
        *,
        histogram_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        scatter_kw: dict[str, Any] | None = None,
        contour_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib Axes or ndarray of Axes, default=None
            Axes to draw on. A grid of panels replaces a single axes object, or uses the axes of an array of shape
            (n_panels, n_panels), such as `subplots` returns. None makes a new figure of pyplot.
        histogram_kw : dict, default=None
            Options of histograms for `matplotlib.axes.Axes.hist`, or `bar` where values are whole numbers.
        line_kw : dict, default=None
            Options of the lines of densities for `matplotlib.axes.Axes.plot`.
        scatter_kw : dict, default=None
            Options of scatters for `matplotlib.axes.Axes.scatter`, such as `s`.
        contour_kw : dict, default=None
            Options of ellipses for `matplotlib.patches.Ellipse`, or of the lines of crosses.
        legend : bool, default=True
            Whether to draw a legend.

        Returns
        -------
        display : MixtureDisplay
            Itself, with the artists as attributes.

        Raises
        ------
        ValueError
            If an array of axes does not have the shape of the panels.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        styles = Styles(histogram_kw or {}, line_kw or {}, scatter_kw or {}, contour_kw or {})
        n_columns = len(self.columns)
        if ax is None:
            from matplotlib import pyplot

            figure = pyplot.figure(figsize=size_of(n_columns), layout="constrained")
            self._draw(layout_figure(figure, n_columns), styles)
        else:
            self._draw(layout_axes(ax, n_columns), styles)
        if not legend:
            self.legend_.remove()
            self.legend_ = None
        return self

    def _draw(self, layout: Layout, styles: Styles) -> None:
        shape, rows, n_columns = self.shape, self.rows, len(self.columns)
        shown = self.mixing * len(rows.values) >= 0.5  # the others have less than half a row
        limits = [shape.limits(column, rows.column(column)[0]) for column in range(n_columns)]
        self.figure_, self.ax_, self.axes_ = layout.figure, layout.ax, layout.axes
        found = [np.full(layout.axes.shape, None) for _ in range(4)]
        self.histograms_, self.densities_, self.points_, self.contours_ = found
        panels = layout.panels(n_columns)
        for (row, column), axes in panels.items():
            place = (row, column) if n_columns > 2 else (0, 0)
            prepare(axes, limits[column])
            if row == column:
                values, weights = rows.column(column)
                self.histograms_[place] = shape.histogram(axes, values, weights, styles.bars)
                self.densities_[place] = draw_densities(axes, shape, column, limits[column], styles.lines)
            else:
                axes.set_ylim(limits[row])
                points = rows.points[:, [column, row]]
                self.points_[place] = draw_points(axes, points, rows.labels, len(shape.means), styles.points)
                self.contours_[place] = draw_components(axes, shape, shown, (row, column), styles.contours)
        label_axes(panels, self.columns, shape.height)
        weights = np.where(shown, self.mixing, 0.0)
        self.legend_ = draw_legend(layout.legend_place, shape, weights, n_columns, loc=layout.legend_loc(len(weights)))
        self.legend_.set_in_layout(layout.outside)  # panels keep their size in a grid that is given
