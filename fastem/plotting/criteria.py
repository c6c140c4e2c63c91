"""Display of the criteria that compare mixtures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastem.plotting.backend import INK, axes_or_new, colour_of, count_along_x, look_of, require_matplotlib, tidy
from fastem.plotting.shapes import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastem.mixtures.base import BaseMixture

CRITERIA = ("bic", "aic", "icl")
LINES = {"bic": "-", "aic": "--", "icl": ":"}
MARKERS = "os^vDPX*<>ph8d"  # these tell lines apart where there are more of them than colours


class CriterionDisplay:
    """BIC, AIC or ICL of mixtures by the number of their components and the structure of their covariances.

    Use `from_estimators` to make one.

    Parameters
    ----------
    n_components : ndarray of shape (n_models,)
        Number of components of each model.
    names : list of str, length n_models
        Name of the line that each model belongs to, such as the structure of its covariances.
    values : dict of str to ndarray of shape (n_models,)
        Values of criteria by their names: 'bic', 'aic', 'icl'. Lower is better.

    Attributes
    ----------
    best : dict of str to int
        Index of the best model by each criterion.
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : dict of (str, str) to Line2D
        Lines by criterion and name.
    marks_ : dict of str to PathCollection
        Circles around the best models.
    legend_ : matplotlib Legend or None
        None if there is one line only.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from fastem import GaussianMixture
    >>> from fastem.datasets import load_faithful
    >>> from fastem.plotting import CriterionDisplay
    >>> X = load_faithful().values
    >>> forms = [(k, form) for form in ("full", "EEE") for k in (1, 2, 3, 4)]
    >>> models = [GaussianMixture(k, covariance_type=form, random_state=0).fit(X) for k, form in forms]
    >>> display = CriterionDisplay.from_estimators(models, X, criteria=("bic", "icl"), ax=Figure().add_subplot())
    >>> forms[display.best["bic"]], sorted(display.lines_)
    ((2, 'full'), [('bic', 'EEE'), ('bic', 'full'), ('icl', 'EEE'), ('icl', 'full')])
    """

    figure_: Any
    ax_: Axes
    lines_: dict[tuple[str, str], Any]
    marks_: dict[str, Any]
    legend_: Any

    def __init__(self, *, n_components: ArrayLike, names: Sequence[str], values: dict[str, Floats]) -> None:
        self.n_components: NDArray[np.int64] = np.asarray(n_components)
        self.names = list(names)
        self.values = values
        self.best = {criterion: int(np.nanargmin(found)) for criterion, found in values.items()}

    @classmethod
    def from_estimators(
        cls,
        models: Iterable[BaseMixture],
        X: ArrayLike,
        *,
        ax: Axes | None = None,
        criteria: str | Sequence[str] = "bic",
        names: Sequence[str] | None = None,
        sample_weight: ArrayLike | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw criteria of fitted mixtures.

        Parameters
        ----------
        models : iterable of mixtures
            Fitted models, in any order.
        X : array-like of shape (n_samples, n_features), or source
            The data that they were fitted to.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure of pyplot by default.
        criteria : {'bic', 'aic', 'icl'} or sequence of these, default='bic'
            The criteria to draw.
        names : sequence of str, length n_models, default=None
            Names of the models' lines; models of the same name share a line. By default the `covariance_type`, with the
            class in front if there are several classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        **kwargs : dict
            Options of `plot`.

        Returns
        -------
        display : CriterionDisplay

        Raises
        ------
        ValueError
            If there is no model; if the number of names is not that of the models; if a criterion is not one of these;
            if a model has no likelihood and so no criteria.
        ModuleNotFoundError
            If matplotlib is not installed.
        """
        require_matplotlib(f"{cls.__name__}.from_estimators")
        models = list(models)
        wanted = (criteria,) if isinstance(criteria, str) else tuple(criteria)
        _check(models, wanted)
        names = names_of_models(models) if names is None else [str(name) for name in names]
        if len(names) != len(models):
            raise ValueError(f"{len(names)} names for {len(models)} models")
        values = {
            criterion: np.array([getattr(model, criterion)(X, sample_weight=sample_weight) for model in models])
            for criterion in wanted
        }
        n_components = [len(model._locations()) for model in models]
        return cls(n_components=n_components, names=names, values=values).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw a line for each criterion and name.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure of pyplot by default.
        **kwargs : dict
            Options for `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : CriterionDisplay
            Itself, with the artists as attributes.
        """
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot")
        from matplotlib.lines import Line2D

        self.figure_, self.lines_, self.marks_, self.legend_ = self.ax_.figure, {}, {}, None
        for criterion, found in self.values.items():
            for index, name in enumerate(dict.fromkeys(self.names)):
                look = look_of(self._look(criterion, index, name), kwargs, Line2D)
                self.lines_[criterion, name] = self.ax_.plot(*self._line(found, name), **look)[0]
            best = self.best[criterion]
            self.marks_[criterion] = self.ax_.scatter(
                self.n_components[best], found[best], s=130, facecolors="none", edgecolors=INK, linewidths=1.5, zorder=4
            )
        tidy(self.ax_)
        count_along_x(self.ax_)
        self.ax_.set_xlabel("components", fontsize=12, color=INK)
        self.ax_.set_ylabel(", ".join(criterion.upper() for criterion in self.values), fontsize=12, color=INK)
        if len(self.lines_) > 1:
            self.legend_ = self.ax_.legend(frameon=False, labelcolor=INK, ncols=1 + len(self.lines_) // 8)
        return self

    def _line(self, found: Floats, name: str) -> tuple[NDArray[np.int64], Floats]:
        """Numbers of components (m,), ascending, and the lowest criterion (m,) of the line's models with each."""
        mine = np.array([other == name for other in self.names])
        numbers = np.unique(self.n_components[mine])
        return numbers, np.array([np.nanmin(found[mine & (self.n_components == number)]) for number in numbers])

    def _look(self, criterion: str, index: int, name: str) -> dict[str, Any]:
        parts = [criterion.upper()] if len(self.values) > 1 else []
        parts += [name] if len(set(self.names)) > 1 or not parts else []
        marker = MARKERS[index % len(MARKERS)]
        line = LINES.get(criterion, "-")
        return {
            "color": colour_of(index),
            "linestyle": line,
            "marker": marker,
            "markersize": 5,
            "label": " ".join(parts),
        }


def names_of_models(models: Sequence[BaseMixture]) -> list[str]:
    """Names of lines: `covariance_type` of the models, with the class in front if there are several classes."""
    classes = {type(model).__name__ for model in models}
    parts = [
        ([type(model).__name__] if len(classes) > 1 else []) + [str(getattr(model, "covariance_type", ""))]
        for model in models
    ]
    return [" ".join(part for part in named if part) for named in parts]


def _check(models: Sequence[BaseMixture], criteria: Sequence[str]) -> None:
    if not models:
        raise ValueError("there are no models to compare")
    for criterion in criteria:
        if criterion not in CRITERIA:
            raise ValueError(f"criteria must be among {', '.join(map(repr, CRITERIA))}, not {criterion!r}")
    for index, model in enumerate(models):
        if not model.LIKELIHOOD:
            raise ValueError(f"models[{index}] is a {type(model).__name__}, which has no likelihood and no criteria")
