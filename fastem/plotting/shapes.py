"""Shapes of components in plots: how each family of distributions is drawn."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastem.mixtures.conditioning import without_names

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer

    from fastem.mixtures.base import BaseMixture

GREY = "#D4D4D4"

Floats = NDArray[np.float64]


class Shape(Protocol):
    """How the components of a mixture are drawn: means (K, d) and covariances (K, d, d), and methods.

    `limits` returns the ends of a column's axis for values (n,) of the data, `grid` the points (g,) at which densities
    are drawn, and `densities` those of the components (K, g) there, times their weights. `histogram` draws the values
    (n,) of a column, `spread` jitters points (n, d) that need it, and `mark` draws a component over two columns.
    """

    means: Floats
    covariances: Floats
    background: bool  # whether there is one
    height: str
    contours: tuple[str, str]

    def limits(self, column: int, values: Floats) -> tuple[float, float]: ...

    def grid(self, column: int, limits: tuple[float, float]) -> Floats: ...

    def densities(self, column: int, grid: Floats) -> Floats: ...

    def histogram(self, axes: Axes, values: Floats, weights: Floats | None, style: dict[str, Any]) -> BarContainer: ...

    def spread(self, points: Floats, random: np.random.RandomState) -> Floats: ...

    def mark(self, axes: Axes, component: int, x: int, y: int, style: dict[str, Any]) -> list[Artist]: ...


def shape_of(model: BaseMixture) -> Shape:
    """Shape of the components of a fitted mixture."""
    return DiscreteShape(model) if model._components().host.discrete else ContinuousShape(model)


class _Components:
    """Means, covariances and densities of the components of a mixture."""

    def __init__(self, model: BaseMixture) -> None:
        self.model = copy(model)  # a later fit of the model does not change what is drawn
        self.means: Floats = np.asarray(model._locations(), dtype=np.float64)
        self.covariances = full_covariances(model)
        self.background = bool(model.background)

    def deviations(self, column: int) -> Floats:
        """Standard deviation of a column in each component (K,)."""
        return deviations_of(self.covariances, column)

    def densities(self, column: int, grid: Floats) -> Floats:
        """Densities (K, g) of all components at points (g,), times their weights; that of a background is the last."""
        marginal = self.model if self.means.shape[1] == 1 else self.model.marginal([column])
        marginal, values = without_names(marginal), grid[:, None]
        return np.asarray(marginal._responsibilities(values).T * np.exp(marginal._densities(values)))

    def _allowed(self, values: Floats) -> Floats:
        """Those of the values (n,) that are in the domain of the family."""
        allowed = self.model._components().in_domain
        return values if allowed is None else values[allowed(values)]


class ContinuousShape(_Components):
    """Densities as curves, components as ellipses."""

    height = "density"

    def __init__(self, model: BaseMixture) -> None:
        super().__init__(model)
        unit = model._components().host.unit
        self.contours = (f"1 {unit}", f"2 {unit}")

    def limits(self, column: int, values: Floats) -> tuple[float, float]:
        low, high = continuous_limits(self.means[:, column], self.deviations(column), values)
        inside = self._allowed(np.linspace(low, high, 401))
        return float(min(values.min(initial=np.inf), inside[0])), float(max(values.max(initial=-np.inf), inside[-1]))

    def grid(self, column: int, limits: tuple[float, float]) -> Floats:
        # Evenly spaced over the axis, and more densely around each component, however narrow it is.
        steps = np.linspace(-4, 4, 81)
        near = self.means[:, column, None] + self.deviations(column)[:, None] * steps
        grid = np.union1d(np.linspace(*limits, 401), near)
        return self._allowed(grid[(grid >= limits[0]) & (grid <= limits[1])])

    def histogram(self, axes: Axes, values: Floats, weights: Floats | None, style: dict[str, Any]) -> BarContainer:
        style = {"color": GREY, "edgecolor": "white", "linewidth": 0.6, "bins": _bin_edges(values).tolist(), **style}
        bars: Any = axes.hist(values, weights=weights, density=True, **style)[2]
        return bars

    def spread(self, points: Floats, random: np.random.RandomState) -> Floats:
        return points

    def mark(self, axes: Axes, component: int, x: int, y: int, style: dict[str, Any]) -> list[Artist]:
        place = np.ix_([x, y], [x, y])
        return ellipses(axes, self.means[component, [x, y]], self.covariances[component][place], style)


class ProjectedShape(ContinuousShape):
    """Components of any family along two directions, as ellipses of their first two moments."""

    def __init__(self, model: BaseMixture, axes: Floats) -> None:
        super().__init__(model)
        self.means = self.means @ axes
        self.covariances = axes.T @ self.covariances @ axes

    def _allowed(self, values: Floats) -> Floats:
        return values  # these are combinations of columns, for which families have no domain


class DiscreteShape(_Components):
    """Probabilities as bars, components as crosses."""

    height = "probability"
    contours = ("± 1 sd", "± 2 sd")

    def limits(self, column: int, values: Floats) -> tuple[float, float]:
        means, reach = self.means[:, column], 3.2 * self.deviations(column)
        low = max(0.0, min(values.min(), (means - reach).min()))
        high = max(values.max(), (means + reach).max() + 1)
        counts = self._allowed(np.arange(np.floor(low), np.ceil(high) + 1))
        return float(counts[0]) - 0.5, float(counts[-1]) + 0.5

    def grid(self, column: int, limits: tuple[float, float]) -> Floats:
        return self._allowed(np.unique(np.linspace(limits[0] + 0.5, limits[1] - 0.5, 2001).round()))

    def histogram(self, axes: Axes, values: Floats, weights: Floats | None, style: dict[str, Any]) -> BarContainer:
        # One bar for each count, or for several counts together if there are many.
        width = max(1, int(np.ceil(np.ptp(values) / 60)))
        starts = np.arange(np.floor(values.min()), values.max() + width + 1, width) - 0.5
        total = len(values) if weights is None else weights.sum()
        shares = np.histogram(values, bins=starts, weights=weights)[0] / (total * width)
        return axes.bar(starts[:-1] + width / 2, shares, **{"width": 0.9 * width, "color": GREY, **style})

    def spread(self, points: Floats, random: np.random.RandomState) -> Floats:
        return points + random.uniform(-0.3, 0.3, size=points.shape)

    def mark(self, axes: Axes, component: int, x: int, y: int, style: dict[str, Any]) -> list[Artist]:
        mean_x, mean_y = self.means[component, [x, y]]
        style = {**style, "color": style["edgecolor"], "linewidth": style["linewidth"] + 0.6}
        del style["edgecolor"]
        lines: list[Artist] = []
        for deviations, line in ((2, "--"), (1, "-")):
            reach_x, reach_y = (deviations * self.deviations(column)[component] for column in (x, y))
            lines += axes.plot([mean_x - reach_x, mean_x + reach_x], [mean_y] * 2, **{"linestyle": line, **style})
            lines += axes.plot([mean_x] * 2, [mean_y - reach_y, mean_y + reach_y], **{"linestyle": line, **style})
        return lines


def ellipses(axes: Axes, centre: Floats, covariance: Floats, style: dict[str, Any]) -> list[Artist]:
    """Draw the ellipses of a covariance (2, 2) at one and two standard deviations about a centre (2,)."""
    from matplotlib.patches import Ellipse

    lengths, directions = np.linalg.eigh(covariance)
    angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
    drawn: list[Artist] = []
    for deviations, line in ((1, "-"), (2, "--")):
        minor, major = 2 * deviations * np.sqrt(np.maximum(lengths, 0.0))
        drawn.append(
            axes.add_patch(
                Ellipse(
                    (centre[0], centre[1]), major, minor, angle=angle, **{"fill": False, "linestyle": line, **style}
                )
            )
        )
    return drawn


def continuous_limits(centres: Floats, deviations: Floats, values: Floats) -> tuple[float, float]:
    """Ends of an axis that shows all values (n,) and all components, whose centres and deviations are (K,)."""
    reach = 3.2 * deviations
    low = min(values.min(initial=np.inf), (centres - reach).min())
    high = max(values.max(initial=-np.inf), (centres + reach).max())
    return float(low), float(high)


def deviations_of(covariances: Floats, column: int) -> Floats:
    """Standard deviation of a column in each component (K,), from covariances (K, d, d)."""
    return np.sqrt(covariances[:, column, column])


def full_covariances(model: BaseMixture) -> Floats:
    """Return the covariance matrix of each component.

    Parameters
    ----------
    model : GaussianMixture or another mixture
        A fitted model with covariances of any form. A family without them gives what plots show in their place.

    Returns
    -------
    ndarray of shape (n_components, n_features, n_features)
        A new array, whatever the form of the model's covariances.

    Examples
    --------
    >>> from fastem import GaussianMixture
    >>> from fastem.datasets import load_iris
    >>> from fastem.plotting.shapes import full_covariances
    >>> model = GaussianMixture(3, covariance_type="tied").fit(load_iris().values)
    >>> full_covariances(model).shape
    (3, 4, 4)
    """
    parameters = model._fitted()
    return parameters.family.host.scatter(parameters.described)


def _bin_edges(values: Floats) -> Floats:
    """Edges (n_bins + 1,) of the bins of a histogram of values (n,)."""
    # Half the width of Freedman and Diaconis, since quartiles are far apart in data with several modes.
    # The width is bounded, since with one far outlier there would be millions of bins.
    quarter, three_quarters = np.quantile(values, [0.25, 0.75])
    low, span = values.min(), np.ptp(values)
    width = np.clip((three_quarters - quarter) / np.cbrt(len(values)), span / 120, span / 10)
    distinct = np.unique(values[:100_000])
    if len(distinct) > 1 and (step := np.diff(distinct).min()) > width / 20:
        # Rounded data: each bin holds the same number of possible values.
        width = step * max(1.0, np.rint(width / step))
        low -= step / 2
    if width == 0:
        return np.array([low - 0.5, low + 0.5])
    edges: Floats = low + width * np.arange(np.floor((values.max() - low) / width) + 2)
    return edges
