"""Panels of the plot of a mixture: histograms with densities, scatters with contours, and their legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.plotting.backend import INK, colour_of, look_of, tidy
from fastem.plotting.layout import Place
from fastem.plotting.shapes import GREY, Floats, Shape

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

BACKGROUND = "#7F7F7F"


class Styles(NamedTuple):
    """Options for matplotlib that the user gives, for bars, lines of densities, points and contours."""

    bars: dict[str, Any]
    lines: dict[str, Any]
    points: dict[str, Any]
    contours: dict[str, Any]


NO_STYLES = Styles({}, {}, {}, {})


def prepare(axes: Axes, limits: tuple[float, float]) -> None:
    """Set the limits and the look of the axes, with few ticks at round numbers."""
    axes.set_xlim(limits)
    tidy(axes)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])


def draw_densities(
    axes: Axes, shape: Shape, column: int, limits: tuple[float, float], style: dict[str, Any]
) -> list[Line2D]:
    """Draw the density of each component, times its weight, and their sum."""
    from matplotlib.lines import Line2D

    grid = shape.grid(column, limits)
    parts = shape.densities(column, grid)
    # Each count has a mark of its own, unless there are too many to tell the marks apart.
    marker = "o" if shape.height == "probability" and len(grid) <= 60 else ""
    usual = {"linewidth": 2, "marker": marker, "markersize": 4}
    lines: list[Line2D] = []
    for component, part in enumerate(parts):
        colour = colour_of(component) if component < len(shape.means) else BACKGROUND
        lines += axes.plot(grid, part, **look_of({"color": colour, **usual}, style, Line2D))
        if not marker:
            axes.fill_between(grid, part, color=colour, alpha=0.15, linewidth=0)
    if len(parts) > 1:
        total = parts.sum(axis=0)
        usual = {"color": INK, "linewidth": 2, "linestyle": ":", "label": "mixture"}
        lines += axes.plot(grid, total, **look_of(usual, style, Line2D))
    axes.set_ylim(bottom=0)
    return lines


def draw_points(
    axes: Axes, points: Floats, labels: NDArray[np.intp], n_components: int, style: dict[str, Any]
) -> PathCollection:
    """Draw points (n, 2) in the colours of their components, `labels` (n,)."""
    from matplotlib.collections import PathCollection

    colours = np.array([*map(colour_of, range(n_components)), BACKGROUND])  # the last: the label of a background is -1
    look: dict[str, Any] = {
        "s": np.clip(400 / np.sqrt(max(len(points), 1)), 4, 22),
        "c": colours[labels],
        "alpha": np.clip(30 / np.sqrt(max(len(points), 1)), 0.2, 0.55),
        "linewidths": 0,
        "rasterized": True,
    }
    return axes.scatter(points[:, 0], points[:, 1], **look_of(look, style, PathCollection))


def draw_components(axes: Axes, shape: Shape, shown: NDArray[np.bool_], place: Place, style: dict[str, Any]) -> Any:
    """Draw contours and numbers of the components where `shown` (K,) is true; return the artists of each by index."""
    from matplotlib.patches import Patch
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3.5, foreground="white")]
    y, x = place
    drawn: dict[int, list[Artist]] = {}
    for component, (across, up) in enumerate(shape.means[:, [x, y]]):
        if not shown[component]:
            continue
        colour = colour_of(component)
        look = look_of({"edgecolor": colour, "linewidth": 1.8, "path_effects": halo, "zorder": 3}, style, Patch)
        look["edgecolor"] = look.pop("color", look["edgecolor"])
        drawn[component] = shape.mark(axes, component, x, y, look)
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
    return drawn


def label_axes(panels: dict[Place, Axes], names: list[str], height: str) -> None:
    """Label the axes at the left and the bottom of a grid only."""
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


def draw_legend(place: Figure | Axes, shape: Shape, weights: Floats, n_columns: int, **options: Any) -> Legend:
    """Draw the legend, with weights (K,), and one for a background; components of weight 0 are left out."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Line2D | Patch] = [
        Line2D([], [], color=colour_of(component), linewidth=3, label=_title(f"component {component}", weight))
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
    look: dict[str, Any] = {"ncols": 1 + len(entries) // 20, "fontsize": 11, "labelcolor": INK, "frameon": False}
    return place.legend(handles=entries, **look, **options)


def _title(name: str, weight: float) -> str:
    return f"{name}: {100 * weight:.3g} %"
