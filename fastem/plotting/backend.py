"""What all displays need of matplotlib, which is imported by the first of them that draws."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from fastem.mixtures.sketch import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = COLOURS  # the same as in notebooks
INK = "#222222"


def colour_of(index: int) -> str:
    """Colour of a component, a restart, a line; colours repeat."""
    return PALETTE[index % len(PALETTE)]


def require_matplotlib(caller: str) -> None:
    """Raise an error that says how to install matplotlib, if it is missing.

    Parameters
    ----------
    caller : str
        Who needs it.

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
    """Options of an artist that a user gives, by whichever of their names, and the usual ones of the others."""
    from matplotlib.cbook import normalize_kwargs

    given = normalize_kwargs(given, artist)
    if "color" in given:  # which says the same as these
        usual = {name: value for name, value in usual.items() if name not in ("c", "cmap")}
    return {**normalize_kwargs(usual, artist), **given}


def count_along_x(axes: Axes) -> None:
    """Number whole steps only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def tidy(axes: Axes) -> None:
    """Take away what frames the axes needlessly."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(INK)
    axes.tick_params(labelsize=10, colors=INK)
