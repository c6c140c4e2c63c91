"""Mixtures in notebooks: the table and the picture are compared with the parameters."""

import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.utils import estimator_html_repr

import fastem
from fastem import BernoulliMixture, GaussianMixture, PoissonMixture
from fastem.datasets import load_faithful, load_galaxies
from fastem.mixtures import FACES
from fastem.mixtures.sketch import COLOURS, HEIGHT, WIDTH

FAITHFUL = load_faithful().values


def fitted(X, n_components=2, kind=GaussianMixture, **options):
    return kind(n_components=n_components, random_state=0, **options).fit(X)


def summary_of(model):
    """The part after scikit-learn's representation, which is unchanged except for its numbered identifiers."""
    shown = model._repr_html_()
    end = shown.rindex("</script></body>") + len("</script></body>")
    assert re.sub(r"sk-[\w-]*\d+", "", shown[:end]) == re.sub(r"sk-[\w-]*\d+", "", estimator_html_repr(model))
    return shown[end:]


def picture_of(model):
    return ET.fromstring(re.search("<svg.*</svg>", summary_of(model)).group())


class Cells(HTMLParser):
    """Texts of the cells of a table, by rows; checks that tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if "style" in self.open:
            return
        self.text += text
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += text


def numbers(points):
    return np.array(re.findall(r"-?[\d.]+", points), dtype=float)


def test_the_table_has_weights_means_and_deviations():
    model = fitted(FAITHFUL)
    head, *rows = Cells(summary_of(model)).rows
    assert head == ["", "weight", "x0", "x1"]
    for k, (name, weight, *cells) in enumerate(rows):
        assert name.strip() == str(k)
        assert float(weight) == pytest.approx(model.weights_[k], abs=5e-4)
        means, deviations = zip(*(map(float, cell.split("±")) for cell in cells), strict=True)
        np.testing.assert_allclose(means, model.means_[k], rtol=1e-3)
        np.testing.assert_allclose(deviations, np.sqrt(np.diag(model.covariances_[k])), rtol=5e-3)


def test_ellipses_have_the_axes_of_the_covariances():
    model = fitted(np.column_stack([FAITHFUL, FAITHFUL[:, 0] ** 2]))
    deviations = np.sqrt(np.diagonal(model.covariances_, axis1=1, axis2=2))[:, :2]
    low = (model.means_[:, :2] - 2.2 * deviations).min(axis=0)
    units = np.array([WIDTH, HEIGHT]) / ((model.means_[:, :2] + 2.2 * deviations).max(axis=0) - low)
    for k, group in enumerate(picture_of(model)):
        x, y = numbers(group.get("transform"))
        place = (model.means_[k, :2] - low) * units
        np.testing.assert_allclose([x, HEIGHT - y], place, atol=0.06)
        for sd, ellipse in enumerate(group, 1):
            turn = -np.radians(numbers(ellipse.get("transform"))[0])
            rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            lengths = np.array([float(ellipse.get("rx")), float(ellipse.get("ry"))]) / sd
            form = rotation @ np.diag(lengths**2) @ rotation.T
            expected = model.covariances_[k][:2, :2] * units[:, None] * units
            np.testing.assert_allclose(form, expected, atol=0.01 * expected.max())


def test_the_density_of_one_feature_is_the_models():
    X = load_galaxies().values
    model = fitted(X, 3)
    *parts, total = picture_of(model)
    deviations = np.sqrt(model.covariances_[:, 0, 0])
    low = (model.means_[:, 0] - 3.2 * deviations).min()
    high = (model.means_[:, 0] + 3.2 * deviations).max()
    across, up = numbers(total.get("d")).reshape(-1, 2).T
    density = np.exp(model.score_samples((low + across / WIDTH * (high - low))[:, None]))
    top = np.exp(model.score_samples(np.linspace(low, high, 121)[:, None])).max()
    np.testing.assert_allclose((HEIGHT - up) / (0.96 * HEIGHT), density / top, atol=0.02)
    areas = []
    for part in parts:
        across, up = numbers(part.get("d")).reshape(-1, 2).T
        areas.append(np.trapezoid((HEIGHT - up) / (0.96 * HEIGHT) * top, across * (high - low) / WIDTH))
    np.testing.assert_allclose(areas, model.weights_, atol=0.02)
    assert [part.get("stroke") for part in parts] == list(COLOURS[:3])


def test_counts_are_stems_and_crosses(rng):
    X = np.concatenate([rng.poisson(3, 100), rng.poisson(20, 100)])[:, None].astype(float)
    model = fitted(X, kind=PoissonMixture)
    *_, total = picture_of(model)
    stems = re.findall(r"M([\d.]+) \d+V([\d.]+)", total.get("d"))
    heights = np.array([HEIGHT - float(up) for _, up in stems])
    probabilities = np.exp(model.score_samples(np.arange(41.0)[:, None]))
    np.testing.assert_allclose(heights.sum() / heights.max(), probabilities.sum() / probabilities.max(), rtol=0.02)
    pairs = fitted(np.column_stack([X, X[::-1]]), kind=PoissonMixture)
    first, second = picture_of(pairs)[0]
    np.testing.assert_allclose(2 * numbers(first.get("d")), numbers(second.get("d")), atol=0.11)
    assert "±" not in summary_of(pairs)


def test_names_are_escaped():
    name = "<script>alert('x')</script> & more"
    for columns in ([name, "b"], ["a", name]):
        model = fitted(pd.DataFrame(FAITHFUL, columns=columns))
        summary = summary_of(model)
        assert "<script" not in summary
        assert "&lt;script&gt;" in summary
        Cells(summary)


def test_large_mixtures_are_cut_and_what_is_left_out_is_counted(rng):
    X = rng.normal(size=(1000, 100)) + 3 * rng.integers(5, size=(1000, 1))
    model = fitted(X, 50, covariance_type="diag", max_iter=2, tol=1e6)
    summary = summary_of(model)
    assert len(summary) < 8000
    table = Cells(summary)
    assert {len(row) for row in table.rows} == {8}
    shown = [int(row[0]) for row in table.rows[1:]]
    assert shown == sorted(np.argsort(-model.weights_, kind="stable")[:10])
    rest = model.weights_.sum() - model.weights_[shown].sum()
    assert f"40 lighter components more, of weight {rest:.3g} in all; 94 features more" in table.text
    assert len(picture_of(model)) == 10


def test_a_background_has_a_row_without_a_mean(rng):
    X = np.vstack([FAITHFUL, rng.uniform([0, 0], [10, 200], (60, 2))])
    model = fitted(X, background=True)
    *_, last = Cells(summary_of(model)).rows
    assert last[0].strip() == "background"
    assert float(last[1]) == pytest.approx(model.weights_[-1], abs=5e-4)
    assert len(last) == 2
    assert len(picture_of(model)) == 2
    one = fitted(X[:, 1:], background=True)
    assert picture_of(one)[-2].get("stroke") == "#888888"


def test_how_the_fit_ended_is_told():
    model = fitted(FAITHFUL)
    ended = f"converged after {model.n_iter_} iterations, lower bound {model.lower_bound_:.6g}"
    assert ended in summary_of(model)
    assert "iterations" not in summary_of(model.marginal([0]))
    stream = GaussianMixture(2, random_state=0).partial_fit(FAITHFUL).partial_fit(FAITHFUL)
    assert "after 2 batches of a stream" in summary_of(stream)


@pytest.mark.parametrize("name", FACES)
def test_unfitted_mixtures_are_shown_as_scikit_learn_does(name):
    assert summary_of(getattr(fastem, name)(n_components=3)) == ""


def test_what_is_wrong_with_fitted_attributes_is_shown():
    """Notebooks also show a model after `set_params`, which changes only the next fit."""
    model = fitted(FAITHFUL).set_params(n_components=3)
    with pytest.raises(ValueError, match="n_components=3 contradicts") as caught:
        model.predict(FAITHFUL)
    shown = model._repr_html_()
    assert "Not fitted" in shown
    assert shown.endswith(f"<div>{caught.value}</div>")
    assert "weight and mean" in summary_of(model.set_params(n_components=2))


def test_scikit_learns_setting_for_text_is_kept():
    model = fitted(FAITHFUL)
    assert "fastem" in model._repr_mimebundle_()["text/html"]
    with sklearn.config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
        assert set(model._repr_mimebundle_()) == {"text/plain"}


def test_no_matplotlib_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert len(picture_of(fitted(FAITHFUL))) == 2


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_extreme_units_are_drawn_or_left_out(unit):
    model = fitted(FAITHFUL, reg_covar=0.0)
    model.means_ = model.means_ * unit
    model.covariances_ = model.covariances_ * unit**2
    model.precisions_cholesky_ = model.precisions_cholesky_ / unit
    assert "nan" not in summary_of(model)
    assert "weight" in summary_of(model)


def test_zeros_and_ones_that_never_change_are_drawn(rng):
    X = (rng.uniform(size=(50, 2)) < 0.3) * [1.0, 0.0]
    assert "nan" not in summary_of(fitted(X, kind=BernoulliMixture))
    assert "nan" not in summary_of(fitted(X[:, 1:], 1, kind=BernoulliMixture))
