"""Rows of the data as plots show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import resample

from fastem.data.numeric import real_array
from fastem.data.streams import Source, as_source
from fastem.plotting.shapes import Floats

if TYPE_CHECKING:
    from fastem.mixtures.base import BaseMixture


class Given(NamedTuple):
    """Options of the user for the rows to show, see `MixtureDisplay.from_estimator`."""

    columns: Sequence[str] | None = None
    sample_weight: ArrayLike | None = None
    max_points: int = 20_000
    random_state: int | np.random.RandomState | None = 0


class Rows(NamedTuple):
    """Rows in the columns, or along the directions, that are shown.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_columns)
        All rows, for histograms and the limits of axes.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows in histograms.
    points : ndarray of shape (n_points, n_columns)
        The rows that scatters show.
    labels : ndarray of shape (n_points,)
        Components of the points.
    """

    values: Floats
    weights: Floats | None
    points: Floats
    labels: NDArray[np.intp]

    def column(self, index: int) -> tuple[Floats, Floats | None]:
        """Values (m,) of a column that are not missing, and their weights (m,)."""
        values = self.values[:, index]
        there = ~np.isnan(values)
        return values[there], None if self.weights is None else self.weights[there]


def values_of(X: ArrayLike, n_features: int) -> Floats:
    """Check rows (n, n_features) and convert them to float64; NaN is a missing value."""
    if isinstance(X, Source) or (not hasattr(X, "shape") and as_source(X) is not None):
        raise TypeError("X is a source: plots need an array of rows, such as a sample of the source's rows")
    values = real_array(X, "X", missing=True).astype(np.float64, copy=False)
    if values.ndim != 2 or values.shape[1] != n_features:
        raise ValueError(f"X has shape {values.shape}; the model was fitted to {n_features} columns")
    if not len(values):
        raise ValueError("X has no rows to show")
    return values


def names_of(model: BaseMixture, columns: Sequence[str] | None) -> list[str]:
    """Labels of the axes, for each feature of the model.

    Raises
    ------
    ValueError
        If there are not as many names as features.
    """
    if columns is None:
        known = getattr(model, "feature_names_in_", [f"x{column}" for column in range(model.n_features_in_)])
        columns = [str(name).replace("$", r"\$") for name in known]
    if len(columns) != model.n_features_in_:
        raise ValueError(f"{len(columns)} columns named, but the model has {model.n_features_in_}")
    return [str(column) for column in columns]


def shown_rows(
    model: BaseMixture,
    X: ArrayLike,
    max_points: int,
    random: np.random.RandomState,
    found: Callable[[Any], Any] | None = None,
) -> tuple[Floats, NDArray[Any]]:
    """Rows (n_shown, d) that a scatter shows, and the result of `found` for them: by default their components."""
    # Drawn in random order, so that no component hides another by coming last.
    n_shown = min(max_points, len(np.asarray(X)))
    shown = resample(X, replace=False, n_samples=n_shown, random_state=random)
    values = real_array(shown, "X", missing=True).astype(np.float64)
    return values, np.asarray(model.predict(shown) if found is None else found(shown))


def weights_of(sample_weight: ArrayLike | None) -> Floats | None:
    """Weights (n,) as float64, if there are any."""
    return None if sample_weight is None else real_array(sample_weight, "sample_weight").astype(np.float64)
