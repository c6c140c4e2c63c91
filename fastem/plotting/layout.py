"""Layout of the panels of a plot: on axes that the user gives, or in a new figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COLUMNS = 6  # that a grid shows

Place = tuple[int, int]


class Layout(NamedTuple):
    """Axes of the panels, and the place of the legend.

    Attributes
    ----------
    figure : matplotlib Figure
    ax : matplotlib Axes or None
        The axes of a single panel, or those that a grid of panels replaces.
    axes : ndarray of shape (n_panels, n_panels)
        None above the diagonal.
    legend_place : matplotlib Figure or Axes
        The object that gets the legend.
    outside : bool
        Whether the legend may be beside the panels.
    """

    figure: Any
    ax: Axes | None
    axes: NDArray[Any]
    legend_place: Any
    outside: bool

    def panels(self, n_columns: int) -> dict[Place, Axes]:
        """Axes by the columns on their vertical and horizontal axis."""
        if n_columns <= 2:
            return {(n_columns - 1, 0): self.axes[0, 0]}
        return {(row, column): self.axes[row, column] for row in range(n_columns) for column in range(row + 1)}

    def legend_loc(self, n_weights: int) -> str:
        """Position of the legend: in the empty corner of a grid, if that is large enough, or beside the panels."""
        n_panels = len(self.axes)
        if not self.outside:
            return "upper right" if n_panels > 1 else "best"
        return "upper right" if n_panels > 1 and n_weights <= 3 * n_panels else "outside right upper"


def size_of(n_columns: int) -> tuple[float, float]:
    """Width and height of a figure in inches."""
    if n_columns == 1:
        return 8.0, 4.5
    if n_columns == 2:
        return 8.0, 5.4
    return 2.3 * n_columns + 1, 2.1 * n_columns + 1


def layout_figure(figure: Figure, n_columns: int) -> Layout:
    """Lay out an empty figure: a single panel for one or two columns, else a lower triangle."""
    if n_columns <= 2:
        ax = figure.add_subplot()
        return Layout(figure, ax, np.array([[ax]]), figure, True)
    axes = _triangle(figure, figure.add_gridspec(n_columns, n_columns), n_columns)
    return Layout(figure, None, axes, figure, True)


def layout_axes(ax: Axes | ArrayLike, n_columns: int) -> Layout:
    """Lay out the panels in the place of one axes object, or use an array of axes (n_panels, n_panels).

    Raises
    ------
    ValueError
        If an array does not have the shape of the panels; if axes that a grid is to replace are not part of a grid.
    """
    from matplotlib.axes import Axes

    n_panels = n_columns if n_columns > 2 else 1
    if not isinstance(ax, Axes):
        return _given(np.array(ax, dtype=object), n_panels)
    if n_panels == 1:
        return Layout(ax.figure, ax, np.array([[ax]]), ax, False)
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(f"a grid of {n_panels} x {n_panels} panels needs axes of a grid, such as subplots makes")
    ax.set_axis_off()
    grid = GridSpecFromSubplotSpec(n_panels, n_panels, subplot_spec=place)
    return Layout(ax.figure, ax, _triangle(ax.figure, grid, n_panels), ax, False)


def _given(axes: NDArray[Any], n_panels: int) -> Layout:
    """Use axes (n_panels, n_panels) that the user gives; those above the diagonal are hidden."""
    if axes.size == 1:
        axes = axes.reshape(1, 1)
    if axes.shape != (n_panels, n_panels):
        raise ValueError(f"ax has shape {axes.shape}, but there are {n_panels} x {n_panels} panels")
    corner, axes = axes[0, -1], axes.copy()
    for above in zip(*np.triu_indices(n_panels, 1), strict=True):
        axes[above].set_axis_off()
        axes[above] = None
    return Layout(corner.figure, corner if n_panels == 1 else None, axes, corner, False)


def _triangle(figure: Any, grid: Any, n_panels: int) -> NDArray[Any]:
    """Axes (n_panels, n_panels) of a grid's lower triangle; None above the diagonal."""
    axes = np.full((n_panels, n_panels), None)
    for row in range(n_panels):
        for column in range(row + 1):
            axes[row, column] = figure.add_subplot(grid[row, column])
    return axes
