"""Functions that all displays share; matplotlib is imported by the first display that draws."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from fastem.mixtures.sketch import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = COLOURS  # the same as in notebooks
INK = "#222222"


def colour_of(index: int) -> str:
    """Colour of a component, restart or line by its index; colours repeat."""
    return PALETTE[index % len(PALETTE)]


def require_matplotlib(caller: str) -> None:
    """Raise an error that says how to install matplotlib, if it is missing.

    Parameters
    ----------
    caller : str
        Name of the function that needs it.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        message = f"{caller} needs matplotlib: python -m pip install 'fastem[plot]'"
        raise ModuleNotFoundError(message, name="matplotlib")


def axes_or_new(ax: Axes | None, caller: str) -> Axes:
    """Return the axes that were given, or those of a new figure of pyplot."""
    require_matplotlib(caller)
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(layout="constrained")
    return ax


def look_of(usual: dict[str, Any], given: dict[str, Any], artist: Any) -> dict[str, Any]:
    """Options of an artist: those that the user gives, by any of their names, and the usual ones for the rest."""
    from matplotlib.cbook import normalize_kwargs

    given = normalize_kwargs(given, artist)
    if "color" in given:  # which replaces both
        usual = {name: value for name, value in usual.items() if name not in ("c", "cmap")}
    return {**normalize_kwargs(usual, artist), **given}


def count_along_x(axes: Axes) -> None:
    """Put ticks of the horizontal axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def tidy(axes: Axes) -> None:
    """Hide the top and right borders of the axes, and set size and colour of the ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(INK)
    axes.tick_params(labelsize=10, colors=INK)
