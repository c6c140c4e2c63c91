"""Small pictures of mixtures as inline SVG, drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem.families import Family
from fastem.mixtures.fitted import Float

WIDTH, HEIGHT = 220, 160
# Okabe and Ito's palette, which people with any kind of colour vision can tell apart. Its black is kept for
# the whole mixture, and its yellow is left out: it is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
GREY = "#888888"
N_POINTS = 121
NEARLY_ZERO = 0.003  # relative to the highest density: less than half a pixel


def colour_of(component: int) -> str:
    """Colour of a component; -1 is the background."""
    return GREY if component < 0 else COLOURS[component % len(COLOURS)]


def swatch(component: int) -> str:
    """A dot in the colour of a component."""
    style = "display:inline-block;width:.7em;height:.7em;border-radius:50%"
    return f'<span style="{style};background:{colour_of(component)}"></span>'


class Moments(NamedTuple):
    """Means (K, d) and covariances (K, d, d) of components."""

    means: Float
    covariances: Float


def sketch_of_contours(weights: Float, moments: Moments, shown: Sequence[int], discrete: bool) -> str:
    """Draw ellipses of components at one and two standard deviations in the first two features.

    Components of small weight are fainter.

    Parameters
    ----------
    weights : ndarray of shape (n_components,) or (n_components + 1,)
    moments : Moments
    shown : sequence of int
        Indices of the components to draw.
    discrete : bool
        Whether values are whole numbers: then crosses replace the ellipses.

    Returns
    -------
    svg : str
        Empty if the parameters are too large or too small to be drawn.
    """
    chosen = list(shown)
    centres, forms = moments.means[chosen, :2], moments.covariances[chosen][:, :2, :2]
    reach = 2.2 * np.sqrt(np.diagonal(forms, axis1=1, axis2=2))
    low, high = (centres - reach).min(axis=0), (centres + reach).max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        units = np.array([WIDTH, HEIGHT]) / np.where(high > low, high - low, 1.0)
        centres = (centres - low) * units
        forms = forms * units[:, None] * units
    if not (np.isfinite(centres).all() and np.isfinite(forms).all()):
        return ""
    heaviest = max(weights[chosen].max(), np.finfo(float).tiny)
    draw, parts = _cross if discrete else _ellipses, []
    for k, (x, y), form in zip(chosen, centres, forms, strict=True):
        look = f'opacity="{0.25 + 0.75 * weights[k] / heaviest:.2f}"'
        parts.append(f'<g transform="translate({x:.1f} {HEIGHT - y:.1f})" {look}>{draw(form, colour_of(k))}</g>')
    return _svg("".join(parts))


def _ellipses(form: Float, colour: str) -> str:
    """Ellipses of a covariance (2, 2) at one and two standard deviations."""
    lengths, directions = np.linalg.eigh(form)
    minor, major = np.sqrt(np.maximum(lengths, 0.0))
    turn = f'transform="rotate({-np.degrees(np.arctan2(directions[1, 1], directions[0, 1])):.1f})"'  # y runs down
    look = f'stroke="{colour}" fill="{colour}" fill-opacity=".15" {turn}'
    return "".join(f'<ellipse rx="{sd * major:.1f}" ry="{sd * minor:.1f}" {look}/>' for sd in (1, 2))


def _cross(form: Float, colour: str) -> str:
    """Crosses of a covariance (2, 2): of one standard deviation, and a thinner one of two."""
    across, up = np.sqrt(np.diagonal(form))
    look = f'stroke="{colour}" stroke-width'
    return "".join(
        f'<path d="M{-sd * across:.1f} 0H{sd * across:.1f}M0 {-sd * up:.1f}V{sd * up:.1f}" {look}="{4 / sd:g}"/>'
        for sd in (1, 2)
    )


def sketch_of_densities(model: Any, means: Float, covariances: Float, family: Family) -> str:
    """Draw the density of a mixture of one feature, and the components' densities times their weights.

    Parameters
    ----------
    model : object
        A fitted mixture without names of features.
    means : ndarray of shape (n_components, 1)
    covariances : ndarray of shape (n_components, 1, 1)
    family : Family

    Returns
    -------
    svg : str
        Empty if the densities are too large or too small to be drawn.
    """
    grid = _grid(means[:, 0], np.sqrt(covariances[:, 0, 0]), family)
    values = grid[:, None]
    total = np.exp(model._densities(values))
    parts = model._responsibilities(values).T * total
    top = total.max()
    if not (np.isfinite(grid).all() and 0.0 < top < np.inf):
        return ""
    across = (grid - grid[0]) / max(grid[-1] - grid[0], np.finfo(float).tiny) * WIDTH
    lines = [
        _line(across, part / top, colour_of(k if k < len(means) else -1), family.host.discrete)
        for k, part in enumerate(parts)
        if part.max() > NEARLY_ZERO * top
    ]
    if len(parts) > 1:
        lines.append(_line(across, total / top, "currentColor", family.host.discrete, ' stroke-dasharray="2 2"'))
    return _svg("".join(lines))


def _grid(centres: Float, deviations: Float, family: Family) -> Float:
    """Points (g,) across all components, from their centres and deviations (K,); whole numbers if discrete."""
    low, high = (centres - 3.2 * deviations).min(), (centres + 3.2 * deviations).max()
    if not family.host.discrete:
        return np.linspace(low, high, N_POINTS)
    counts = np.unique(np.linspace(max(0.0, np.floor(low)), np.ceil(high) + 1.0, N_POINTS).round())
    return counts if family.in_domain is None else counts[family.in_domain(counts)]


def _line(across: Float, heights: NDArray[Any], colour: str, discrete: bool, more: str = "") -> str:
    """A curve, or a stem for each number, through heights (g,) that are more than nearly zero."""
    above = np.flatnonzero(heights > NEARLY_ZERO)
    there = slice(max(above[0] - 1, 0), above[-1] + 2)
    across, up = across[there], HEIGHT - 0.96 * HEIGHT * heights[there]
    if discrete:
        path = "".join(f"M{x:.1f} {HEIGHT}V{y:.1f}" for x, y in zip(across, up, strict=True))
    else:
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across, up, strict=True))
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{more}/>'


def _svg(content: str) -> str:
    view = f'viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}" width="{WIDTH + 4}" height="{HEIGHT + 4}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {view} role="img" aria-label="components">{content}</svg>'
