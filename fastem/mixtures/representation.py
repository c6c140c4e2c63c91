"""Representation of mixtures in notebooks: that of scikit-learn, and the components below it."""

from __future__ import annotations

import html
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_html_repr

from fastem.families import Family
from fastem.mixtures.conditioning import without_names
from fastem.mixtures.fitted import FittedMixture, Float
from fastem.mixtures.sketch import Moments, sketch_of_contours, sketch_of_densities, swatch

MOST_COMPONENTS = 10
MOST_FEATURES = 6

STYLE = """<style>
.fastem {display:flex;flex-wrap:wrap;gap:1em;font:12px sans-serif;margin:.5em 0}
.fastem table {border-collapse:collapse;font:inherit;color:inherit}
.fastem td, .fastem th {text-align:right;padding:.15em .6em;border:0}
.fastem td:first-child, .fastem td:nth-child(2) {text-align:left}
.fastem svg {display:block}
</style>"""


class Summary(NamedTuple):
    """Figures of a fitted mixture that notebooks show.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
        The weight of a background is the last.
    locations : ndarray of shape (n_components, n_features)
        Means or rates of the components, without a background.
    covariances : ndarray of shape (n_components, n_features, n_features)
        Covariances, or what plots show in their place.
    features : list of str
        Names of the features.
    family : Family
        Family of the components, without a background.
    """

    weights: Float
    locations: Float
    covariances: Float
    features: list[str]
    family: Family

    @property
    def shown(self) -> list[int]:
        """Components in the table and the picture: the heaviest, in their own order."""
        heaviest = np.argsort(-self.weights[: len(self.locations)], kind="stable")[:MOST_COMPONENTS]
        return sorted(heaviest.tolist())


class Represented(FittedMixture):
    """Methods that represent a mixture in notebooks."""

    def _html_repr(self) -> str:
        """scikit-learn's representation, with a table and a picture of the components if the mixture is fitted."""
        try:
            summary = _summary_of(self)
        except NotFittedError:
            return str(estimator_html_repr(self))
        except ValueError as error:  # attributes set by hand contradict each other, or the constructor's parameters
            unfitted = type(self)(**self.get_params(deep=False))
            return f"{estimator_html_repr(unfitted)}<div>{html.escape(str(error))}</div>"
        return f"{estimator_html_repr(self)}{_summary(self, summary)}"


def _summary_of(model: FittedMixture) -> Summary:
    parameters = model._fitted()
    locations = np.asarray(model._locations(), dtype=np.float64)
    names = getattr(model, "feature_names_in_", [f"x{column}" for column in range(locations.shape[1])])
    return Summary(
        np.asarray(model._attribute("weights"), dtype=np.float64),
        locations,
        parameters.family.host.scatter(parameters.described),
        [str(name) for name in names],
        model._components(),
    )


def _summary(model: Any, summary: Summary) -> str:
    """HTML of the table and the picture, side by side."""
    weights, locations, covariances, features, family = summary
    if len(features) == 1:
        picture = sketch_of_densities(without_names(model), locations, covariances, family)
    else:
        picture = sketch_of_contours(weights, Moments(locations, covariances), summary.shown, family.host.discrete)
    axes = " and ".join(html.escape(shorten(name)) for name in features[:2])
    picture = f'<div>{picture}<div style="text-align:center">{axes}</div></div>' if picture else ""
    return f'{STYLE}<div class="fastem"><div>{_table(summary)}{_outcome(model)}</div>{picture}</div>'


def _table(summary: Summary) -> str:
    """HTML of a table with a row for each component that is shown, and the number of the others."""
    shown, n_features = summary.shown, len(summary.features)
    columns = range(min(n_features, MOST_FEATURES))
    kind = summary.family.parameters[0].singular
    kind += "" if summary.family.host.discrete else f" ± {summary.family.host.unit}"
    heads = ["", "weight", *(html.escape(shorten(summary.features[column])) for column in columns)]
    rows = [_row(heads, "th")]
    for k in shown:
        cells = [_cell(summary, k, column) for column in columns]
        rows.append(_row([f"{swatch(k)} {k}", _bar(summary.weights[k]), *cells]))
    if len(summary.weights) > len(summary.locations):
        rows.append(_row([f"{swatch(-1)} background", _bar(summary.weights[-1])]))
    notes = [f"weight and {html.escape(kind)} of components"]
    if len(shown) < len(summary.locations):
        rest = summary.weights[: len(summary.locations)].sum() - summary.weights[shown].sum()
        notes.append(f"{len(summary.locations) - len(shown)} lighter components more, of weight {rest:.3g} in all")
    if n_features > len(columns):
        notes.append(f"{n_features - len(columns)} features more")
    return f"<table>{''.join(rows)}</table><div>{'; '.join(notes)}</div>"


def _row(cells: list[str], kind: str = "td") -> str:
    return "<tr>" + "".join(f"<{kind}>{cell}</{kind}>" for cell in cells) + "</tr>"


def _bar(weight: float) -> str:
    """A weight, and a bar whose length is proportional to it."""
    bar = f'<span style="display:inline-block;height:.7em;width:{60 * weight:.1f}px;background:#888"></span>'
    return f"{weight:.3f} {bar}"


def _cell(summary: Summary, component: int, column: int) -> str:
    """Location of a component in a column, with its deviation unless the family is discrete."""
    location = summary.locations[component, column]
    if summary.family.host.discrete:
        return f"{location:.6g}"
    return with_deviation(location, float(np.sqrt(summary.covariances[component, column, column])))


def _outcome(model: Any) -> str:
    """How the fit ended; empty if the parameters are not those of a fit."""
    found = vars(model)
    if not {"converged_", "n_iter_", "lower_bound_"} <= found.keys():
        return ""
    if "stream_" in found:
        return f"<div>after {model.n_iter_} batches of a stream</div>"
    ended = "converged" if model.converged_ else f"ended by {html.escape(str(found.get('stop_reason_')))}"
    return f"<div>{ended} after {model.n_iter_} iterations, lower bound {model.lower_bound_:.6g}</div>"


def with_deviation(mean: float, deviation: float, sign: str = "±") -> str:
    """Write mean and deviation with the decimals that give the deviation three significant digits.

    Examples
    --------
    >>> from fastem.mixtures.representation import with_deviation
    >>> with_deviation(54.4786, 5.868)
    '54.48 ± 5.87'
    """
    if not 1e-6 < deviation < 1e7 or abs(mean) > 1e12:
        return f"{mean:.6g} {sign} {deviation:.3g}"
    decimals = max(0, 2 - int(np.floor(np.log10(deviation))))
    return f"{mean:.{decimals}f} {sign} {deviation:.{decimals}f}"


def shorten(name: str, most: int = 20) -> str:
    """Cut a name that is long."""
    return name if len(name) <= most else name[: most - 1] + "…"
