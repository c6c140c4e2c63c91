"""Display of how a fit converged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastem.plotting.backend import INK, axes_or_new, colour_of, count_along_x, look_of, require_matplotlib, tidy
from fastem.plotting.shapes import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastem.mixtures.base import BaseMixture

UNITS = {"iteration": "iteration", "passes": "passes over the data", "seconds": "seconds"}
SCALES = {"bound": "lower bound per row", "gap": "distance from the best bound per row"}


class ConvergenceDisplay:
    """Lower bound of a fit, or of each of its restarts, by iteration.

    Use `from_estimator` to make one.

    Parameters
    ----------
    progress : list of ndarray
        For each restart, iterations, passes over the data or seconds since its beginning.
    bounds : list of ndarray
        For each restart, the lower bound of each iteration, at the parameters that the iteration began with.
    best : int or None
        Index of the restart that gave the fitted parameters; None if it is not known.
    unit : {'iteration', 'passes', 'seconds'}, default='iteration'
        Unit of `progress`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : list of Line2D
        A line for each restart.
    legend_ : matplotlib Legend or None
        None if there is one restart only.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastem import GaussianMixture
    >>> from fastem.datasets import load_faithful
    >>> from fastem.plotting import ConvergenceDisplay
    >>> model = GaussianMixture(3, n_init=2, random_state=0).fit(load_faithful().values)
    >>> display = ConvergenceDisplay.from_estimator(model, ax=Figure().add_subplot())
    >>> len(display.lines_), [float(bound) for bound in display.bounds[display.best]] == model.lower_bounds_
    (2, True)
    """

    figure_: Any
    ax_: Axes
    lines_: list[Any]
    legend_: Any

    def __init__(
        self, *, progress: list[Floats], bounds: list[Floats], best: int | None, unit: str = "iteration"
    ) -> None:
        self.progress = progress
        self.bounds = bounds
        self.best = best
        self.unit = unit

    @classmethod
    def from_estimator(
        cls, model: BaseMixture, *, ax: Axes | None = None, unit: str = "iteration", **kwargs: Any
    ) -> Self:
        """Draw the history of a fitted mixture.

        Parameters
        ----------
        model : GaussianMixture or another mixture
            A model that `fit` has fitted.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure of pyplot by default.
        unit : {'iteration', 'passes', 'seconds'}, default='iteration'
            What the horizontal axis counts. Passes over the data compare algorithms.
        **kwargs : dict
            Options of `plot`.

        Returns
        -------
        display : ConvergenceDisplay

        Raises
        ------
        ValueError
            If the model has no history, for example because `marginal` or `partial_fit` made it; if `unit` has another
            value.
        ModuleNotFoundError
            If matplotlib is not installed.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        if unit not in UNITS:
            raise ValueError(f"unit must be 'iteration', 'passes' or 'seconds', not {unit!r}")
        model._fitted()
        history = getattr(model, "history_", [])
        if not history:
            raise ValueError(f"this {type(model).__name__} has no history of iterations: fit makes one")
        restarts = sorted({record.restart for record in history})
        runs = [[record for record in history if record.restart == restart] for restart in restarts]
        bounds = [np.array([record.lower_bound for record in run]) for run in runs]
        progress = [np.array([getattr(record, unit) for record in run], dtype=np.float64) for run in runs]
        if unit != "iteration":
            progress = [steps.cumsum() for steps in progress]
        best = next((run for run, found in enumerate(bounds) if found.tolist() == list(model.lower_bounds_)), None)
        return cls(progress=progress, bounds=bounds, best=best, unit=unit).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, *, scale: str = "bound", **kwargs: Any) -> Self:
        """Draw the bounds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure of pyplot by default.
        scale : {'bound', 'gap'}, default='bound'
            What the vertical axis shows: bounds, or on a logarithmic scale their distances below the largest bound of
            all restarts. On that scale EM becomes a straight line, whose slope shows its rate of convergence. The
            largest bound itself, at distance 0, is not drawn.
        **kwargs : dict
            Options for `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : ConvergenceDisplay
            Itself, with the artists as attributes.

        Raises
        ------
        ValueError
            If `scale` has another value.
        """
        if scale not in SCALES:
            raise ValueError(f"scale must be 'bound' or 'gap', not {scale!r}")
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot")
        from matplotlib.lines import Line2D

        self.figure_, self.lines_, self.legend_ = self.ax_.figure, [], None
        for restart, bounds in enumerate(self.bounds):
            heights = bounds if scale == "bound" else self._gaps(bounds)
            self.lines_ += self.ax_.plot(
                self.progress[restart], heights, **look_of(self._look(restart), kwargs, Line2D)
            )
        if scale == "gap":
            self.ax_.set_yscale("log")
        tidy(self.ax_)
        self.ax_.set_xlabel(UNITS[self.unit], fontsize=12, color=INK)
        self.ax_.set_ylabel(SCALES[scale], fontsize=12, color=INK)
        if self.unit == "iteration":
            count_along_x(self.ax_)
        else:
            self.ax_.locator_params(axis="x", nbins=6)
        if len(self.bounds) > 1:
            self.legend_ = self.ax_.legend(frameon=False, labelcolor=INK, ncols=1 + len(self.bounds) // 12)
        return self

    def _gaps(self, bounds: Floats) -> Floats:
        """Distances (n_iter,) of bounds from the largest bound of all restarts; NaN for that bound itself."""
        largest = max(found.max() for found in self.bounds)
        return np.where(bounds < largest, largest - bounds, np.nan)

    def _look(self, restart: int) -> dict[str, Any]:
        name = f"restart {restart}" + (", the best" if restart == self.best else "")
        best = {"linewidth": 2.5, "zorder": 3} if restart == self.best else {"linewidth": 1.2, "alpha": 0.7}
        marker = "o" if len(self.bounds[restart]) <= 40 else ""
        return {"color": colour_of(restart), "label": name, "marker": marker, "markersize": 3.5, **best}
