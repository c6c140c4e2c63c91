"""Plots of a fitted mixture over its data; needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, resample

from fastem.data.numeric import real_array
from fastem.plotting.shapes import GREY, Floats, Shape, shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastem.mixtures.base import BaseMixture

__all__ = ["MAX_COLUMNS", "plot_mixture"]

MAX_COLUMNS = 6

# Okabe and Ito's palette, told apart by every kind of colour vision; its black
# is kept for the whole mixture and its yellow is too pale for lines on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
INK = "#222222"
BACKGROUND = "#7F7F7F"


def plot_mixture(
    model: BaseMixture,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    sample_weight: ArrayLike | None = None,
    max_points: int = 20_000,
    random_state: int | np.random.RandomState | None = 0,
) -> Figure:
    """Draw a fitted mixture over the data.

    One column gives a histogram with the density of each component, weighted,
    and their sum. Two give a scatter of the rows, coloured by component, with
    ellipses at one and two standard deviations. Three to six give a grid of
    both: histograms on the diagonal and a scatter for each pair below it.
    Counts under a Poisson mixture are shown as bars, their scatters jittered,
    with a cross of one and two standard deviations at the rates. A background
    is grey.

    Parameters
    ----------
    model : GaussianMixture or another mixture
        A fitted model.
    X : array-like of shape (n_samples, n_features)
        The data; at most six columns.
    columns : sequence of str, length n_features, default=None
        Labels for the axes, in which matplotlib reads what is between two $ as a
        formula. By default the names the model was fitted with, as they are, or
        else x0, x1, ...
    sample_weight : array-like of shape (n_samples,), default=None
        How much each row counts in the histograms.
    max_points : int, default=20000
        Scatters show at most this many rows, drawn at random. Histograms always
        count all rows.
    random_state : int, RandomState or None, default=0
        Chooses the rows to show and the jitter of counts.

    Returns
    -------
    matplotlib.figure.Figure
        A figure of its own, unknown to pyplot; write it with `savefig`.

    Raises
    ------
    ValueError
        If there are more than six columns, or if `X` or `columns` do not match
        the model's number of features.

    Examples
    --------
    >>> from fastem import GaussianMixture
    >>> from fastem.datasets import load_faithful
    >>> from fastem.plotting import plot_mixture
    >>> faithful = load_faithful()
    >>> model = GaussianMixture(2, random_state=0).fit(faithful.values)
    >>> figure = plot_mixture(model, faithful.values, columns=faithful.columns)
    >>> len(figure.axes)
    1
    """
    from matplotlib.figure import Figure

    model._fitted()
    values = _checked(X, model.n_features_in_)
    names = _column_names(model, columns)
    shape = shape_of(model)
    n_columns = len(names)
    figure = Figure(figsize=_size(n_columns), layout="constrained")
    random = check_random_state(random_state)
    weights = None if sample_weight is None else real_array(sample_weight, "sample_weight").astype(np.float64)
    mixing = np.asarray(model._attribute("weights"), dtype=np.float64)
    shown = mixing * len(values) >= 0.5  # the others have no row
    panels = _panels(figure, n_columns)
    limits = [shape.limits(column, values[:, column]) for column in range(n_columns)]
    if n_columns > 1:
        points, labels = _shown_rows(model, X, max_points, random)
        points = shape.spread(points, random)
    for (row, column), axes in panels.items():
        _tidy(axes, limits[column])
        if row == column:
            shape.histogram(axes, values[:, column], weights)
            _draw_densities(axes, shape, column, limits[column])
        else:
            axes.set_ylim(limits[row])
            _draw_points(axes, points[:, [column, row]], labels, len(shape.means))
            _draw_components(axes, shape, shown, column, row)
    _label_axes(panels, names, shape.height)
    _draw_legend(figure, shape, np.where(shown, mixing, 0.0), n_columns)
    return figure


def _checked(X: ArrayLike, n_features: int) -> Floats:
    values = real_array(X, "X", missing=True).astype(np.float64)
    if values.ndim != 2 or values.shape[1] != n_features:
        raise ValueError(f"X has shape {values.shape}; the model was fitted to {n_features} columns")
    if n_features > MAX_COLUMNS:
        raise ValueError(f"at most {MAX_COLUMNS} columns can be plotted, not {n_features}: fit fewer columns")
    return values


def _column_names(model: BaseMixture, columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        known = getattr(model, "feature_names_in_", [f"x{column}" for column in range(model.n_features_in_)])
        columns = [str(name).replace("$", r"\$") for name in known]
    if len(columns) != model.n_features_in_:
        raise ValueError(f"{len(columns)} columns named, but the model has {model.n_features_in_}")
    return [str(column) for column in columns]


def _shown_rows(
    model: BaseMixture,
    X: ArrayLike,
    max_points: int,
    random: np.random.RandomState,
) -> tuple[Floats, NDArray[np.intp]]:
    # Drawn in random order, so that no component hides another by coming last.
    n_shown = min(max_points, len(np.asarray(X)))
    shown = resample(X, replace=False, n_samples=n_shown, random_state=random)
    return real_array(shown, "X", missing=True).astype(np.float64), np.asarray(model.predict(shown))


def _size(n_columns: int) -> tuple[float, float]:
    if n_columns == 1:
        return 8.0, 4.5
    if n_columns == 2:
        return 8.0, 5.4
    return 2.3 * n_columns + 1, 2.1 * n_columns + 1


def _panels(figure: Figure, n_columns: int) -> dict[tuple[int, int], Axes]:
    """Lay out the axes: a single one for one or two columns, else a lower triangle."""
    if n_columns <= 2:
        return {(n_columns - 1, 0): figure.add_subplot()}
    grid = figure.add_gridspec(n_columns, n_columns)
    return {
        (row, column): figure.add_subplot(grid[row, column]) for row in range(n_columns) for column in range(row + 1)
    }


def _tidy(axes: Axes, limits: tuple[float, float]) -> None:
    axes.set_xlim(limits)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(INK)
    axes.tick_params(labelsize=10, colors=INK)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])


def _draw_densities(axes: Axes, shape: Shape, column: int, limits: tuple[float, float]) -> None:
    grid = shape.grid(column, limits)
    parts = shape.densities(column, grid)
    # Counts are marked one by one as long as the marks can be told apart.
    marker = "o" if shape.height == "probability" and len(grid) <= 60 else ""
    for component, part in enumerate(parts):
        colour = _colour(component) if component < len(shape.means) else BACKGROUND
        axes.plot(grid, part, color=colour, linewidth=2, marker=marker, markersize=4)
        if not marker:
            axes.fill_between(grid, part, color=colour, alpha=0.15, linewidth=0)
    if len(parts) > 1:
        total = parts.sum(axis=0)
        axes.plot(grid, total, color=INK, linewidth=2, linestyle=":", label="mixture")
    axes.set_ylim(bottom=0)


def _draw_points(axes: Axes, points: Floats, labels: NDArray[np.intp], n_components: int) -> None:
    colours = np.array([*map(_colour, range(n_components)), BACKGROUND])  # whose label is -1
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=np.clip(400 / np.sqrt(len(points)), 4, 22),
        c=colours[labels],
        alpha=np.clip(30 / np.sqrt(len(points)), 0.2, 0.55),
        linewidths=0,
        rasterized=True,
    )


def _draw_components(axes: Axes, shape: Shape, shown: NDArray[np.bool_], x: int, y: int) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3.5, foreground="white")]
    for component, (across, up) in enumerate(shape.means[:, [x, y]]):
        if not shown[component]:
            continue
        colour = _colour(component)
        style = {"edgecolor": colour, "linewidth": 1.8, "path_effects": halo, "zorder": 3}
        shape.mark(axes, component, x, y, style)
        axes.annotate(
            str(component),
            (across, up),
            ha="center",
            va="center",
            fontsize=11,
            fontweight="bold",
            color=colour,
            path_effects=halo,
            zorder=4,
        )


def _label_axes(panels: dict[tuple[int, int], Axes], names: list[str], height: str) -> None:
    for (row, column), axes in panels.items():
        style: dict[str, Any] = {"fontsize": 12, "color": INK}
        if row == len(names) - 1:
            axes.set_xlabel(names[column], **style)
        else:
            axes.tick_params(labelbottom=False)
        if len(names) == 1:
            axes.set_ylabel(height, **style)
            axes.ticklabel_format(axis="y", scilimits=(-3, 4))
        elif row == column:
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
        elif column == 0:
            axes.set_ylabel(names[row], **style)
        else:
            axes.tick_params(labelleft=False)


def _draw_legend(figure: Figure, shape: Shape, weights: Floats, n_columns: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Line2D | Patch] = [
        Line2D([], [], color=_colour(component), linewidth=3, label=_title(f"component {component}", weight))
        for component, weight in enumerate(weights[: len(shape.means)])
        if weight > 0.0
    ]
    if shape.background:
        entries.append(Line2D([], [], color=BACKGROUND, linewidth=3, label=_title("background", weights[-1])))
    if n_columns != 2:
        if len(weights) > 1:
            entries.append(Line2D([], [], color=INK, linewidth=2, linestyle=":", label="mixture"))
        entries.append(Patch(color=GREY, label="data"))
    if n_columns > 1:
        entries.append(Line2D([], [], color=INK, linewidth=1.8, linestyle="-", label=shape.contours[0]))
        entries.append(Line2D([], [], color=INK, linewidth=1.8, linestyle="--", label=shape.contours[1]))
    figure.legend(
        handles=entries,
        loc="upper right" if n_columns > 2 and len(weights) <= 3 * n_columns else "outside right upper",
        ncols=1 + len(entries) // 20,
        fontsize=11,
        labelcolor=INK,
        frameon=False,
    )


def _title(name: str, weight: float) -> str:
    return f"{name}: {100 * weight:.3g} %"


def _colour(component: int) -> str:
    return PALETTE[component % len(PALETTE)]
