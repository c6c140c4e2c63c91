"""Plot of a fitted mixture over its data, as a new figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastem.plotting.backend import require_matplotlib
from fastem.plotting.layout import MAX_COLUMNS, layout_figure, size_of
from fastem.plotting.mixture_display import MixtureDisplay
from fastem.plotting.panels import NO_STYLES
from fastem.plotting.rows import Given, values_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastem.mixtures.base import BaseMixture

__all__ = ["MAX_COLUMNS", "plot_mixture"]


def plot_mixture(
    model: BaseMixture,
    X: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    sample_weight: ArrayLike | None = None,
    max_points: int = 20_000,
    random_state: int | np.random.RandomState | None = 0,
) -> Figure:
    """Draw a fitted mixture over the data, as a new figure; `MixtureDisplay` draws it on axes.

    Parameters
    ----------
    model : GaussianMixture or another mixture
        A fitted model.
    X : array-like of shape (n_samples, n_features)
        The data; at most six columns.
    columns : sequence of str, length n_features, default=None
        Labels for the axes, see `MixtureDisplay.from_estimator`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the histograms.
    max_points : int, default=20000
        Scatters show at most this many rows, drawn at random. Histograms always count all rows.
    random_state : int, RandomState or None, default=0
        Chooses the rows to show and the jitter of counts.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure, which pyplot does not know; write it with `savefig`.

    Raises
    ------
    ValueError
        If there are more than six columns, or if `X` or `columns` do not match the model's number of features.
    ModuleNotFoundError
        If matplotlib is not installed.

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
    require_matplotlib("plot_mixture")
    from matplotlib.figure import Figure

    model._fitted()
    n_columns = values_of(X, model.n_features_in_).shape[1]
    if n_columns > MAX_COLUMNS:
        raise ValueError(f"at most {MAX_COLUMNS} columns can be plotted, not {n_columns}: fit fewer columns")
    display = MixtureDisplay._of(model, X, Given(columns, sample_weight, max_points, random_state))
    figure = Figure(figsize=size_of(n_columns), layout="constrained")
    display._draw(layout_figure(figure, n_columns), NO_STYLES)
    return figure
