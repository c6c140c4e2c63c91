"""Displays: their artists are compared with the parameters of fitted mixtures, not with pictures."""

import io
import subprocess
import sys
from copy import copy

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from cases import CASES
from fits import run
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from test_every_family import problem_of

import fastem
from fastem import BernoulliMixture, GaussianMixture, PoissonMixture, StudentTMixture
from fastem.datasets import load_faithful, load_iris
from fastem.plotting import (
    ConvergenceDisplay,
    CriterionDisplay,
    MixtureDisplay,
    UncertaintyDisplay,
    plot_mixture,
)
from fastem.plotting.backend import PALETTE
from fastem.plotting.directions import directions_of, separating_directions
from fastem.plotting.shapes import full_covariances

pytestmark = pytest.mark.slow

FAITHFUL = load_faithful().values
IRIS = load_iris().values


def axes():
    return Figure().add_subplot()


def fitted(X, n_components=2, kind=GaussianMixture, **options):
    return kind(n_components, random_state=0, **options).fit(X)


@pytest.fixture(scope="module")
def wide():
    """Nine columns, four groups."""
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(100, 9)) + 3 * rng.normal(size=9) for _ in range(4)])
    return fitted(X, 4), X


def form_of(ellipse, deviations):
    """The covariance (2, 2) whose ellipse at so many standard deviations this is."""
    across = np.radians(ellipse.angle)
    rotation = np.array([[np.cos(across), -np.sin(across)], [np.sin(across), np.cos(across)]])
    lengths = np.array([ellipse.width, ellipse.height]) / (2 * deviations)
    return rotation @ np.diag(lengths**2) @ rotation.T


def picture_of(figure):
    """Bytes of a figure as PNG."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=50)
    return picture.getvalue()


# Mixtures


def test_ellipses_of_pairs_have_the_axes_of_the_marginal_covariances():
    model = fitted(IRIS, 3)
    display = MixtureDisplay.from_estimator(model, IRIS, ax=axes())
    assert display.axes_.shape == (4, 4)
    for row, column in zip(*np.tril_indices(4, -1), strict=True):
        for component, drawn in display.contours_[row, column].items():
            marginal = model.covariances_[component][np.ix_([column, row], [column, row])]
            for deviations, ellipse in enumerate(drawn, 1):
                np.testing.assert_allclose(form_of(ellipse, deviations), marginal, atol=1e-9)
                np.testing.assert_allclose(ellipse.center, model.means_[component, [column, row]])


def test_densities_on_the_diagonal_are_those_of_the_marginals():
    model = fitted(IRIS, 3)
    display = MixtureDisplay.from_estimator(model, IRIS, ax=axes())
    for column in range(4):
        *parts, total = display.densities_[column, column]
        assert np.trapezoid(total.get_ydata(), total.get_xdata()) == pytest.approx(1, abs=0.005)
        areas = [np.trapezoid(part.get_ydata(), part.get_xdata()) for part in parts]
        np.testing.assert_allclose(areas, model.weights_, atol=0.005)
        bars = display.histograms_[column, column]
        assert sum(bar.get_width() * bar.get_height() for bar in bars) == pytest.approx(1)


@pytest.mark.parametrize("n_columns", [1, 2, 4])
def test_plot_draws_the_same_again(n_columns):
    X = IRIS[:, :n_columns]
    first = MixtureDisplay.from_estimator(fitted(X, 3), X)
    before = picture_of(first.figure_)
    assert picture_of(first.plot().figure_) == before
    pyplot.close("all")


def test_a_new_fit_of_the_model_does_not_change_a_display():
    model = fitted(FAITHFUL[:, :1])
    display = MixtureDisplay.from_estimator(model, FAITHFUL[:, :1], ax=axes())
    before = display.densities_[0, 0][-1].get_ydata()
    model.fit(10 * FAITHFUL[:, :1])
    np.testing.assert_array_equal(display.plot(axes()).densities_[0, 0][-1].get_ydata(), before)


def test_plot_mixture_is_the_displays_picture():
    model = fitted(FAITHFUL)
    theirs = picture_of(MixtureDisplay.from_estimator(model, FAITHFUL).figure_)
    pyplot.close("all")
    assert picture_of(plot_mixture(model, FAITHFUL)) == theirs


def test_a_grid_takes_the_place_of_axes_or_an_array_of_them():
    model, figure = fitted(IRIS, 3), Figure()
    left, right = figure.subplots(1, 2)
    display = MixtureDisplay.from_estimator(model, IRIS, ax=left)
    assert display.ax_ is left
    assert not left.axison
    assert right.axison
    box = left.get_position()
    for panel in filter(None, display.axes_.ravel()):
        assert box.contains(*panel.get_position().p0 + 1e-9)
        assert box.contains(*panel.get_position().p1 - 1e-9)
    grid = Figure().subplots(4, 4)
    display.plot(grid)
    assert all(display.axes_[place] is grid[place] for place in zip(*np.tril_indices(4), strict=True))
    assert not any(grid[place].axison for place in zip(*np.triu_indices(4, 1), strict=True))
    with pytest.raises(ValueError, match=r"ax has shape \(2, 3\), but there are 4 x 4 panels"):
        display.plot(Figure().subplots(2, 3))
    with pytest.raises(ValueError, match="4 x 4 panels needs axes of a grid"):
        display.plot(Figure().add_axes((0, 0, 1, 1)))


def test_options_reach_the_artists():
    display = MixtureDisplay.from_estimator(
        fitted(IRIS[:, :3]),
        IRIS[:, :3],
        ax=axes(),
        scatter_kw={"color": "red"},
        contour_kw={"lw": 7, "color": "green"},
        line_kw={"lw": 6},
        histogram_kw={"color": "blue"},
        legend=False,
    )
    assert to_hex(display.points_[1, 0].get_facecolor()[0]) == "#ff0000"
    assert display.contours_[1, 0][0][0].get_linewidth() == 7
    assert to_hex(display.contours_[1, 0][0][0].get_edgecolor()) == "#008000"
    assert display.densities_[0, 0][0].get_linewidth() == 6
    assert to_hex(display.histograms_[0, 0][0].get_facecolor()) == "#0000ff"
    assert display.legend_ is None
    assert display.ax_.get_legend() is None


def test_missing_values_leave_the_panels_that_would_show_them():
    X = IRIS.copy()
    X[:10, 0] = np.nan
    model = GaussianMixture(3, missing="marginalize", random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(model, X, ax=axes(), sample_weight=np.arange(150.0))
    shown = np.ma.masked_invalid(display.points_[1, 0].get_offsets())
    assert (~np.ma.getmaskarray(shown).any(axis=1)).sum() == 140
    assert sum(bar.get_width() * bar.get_height() for bar in display.histograms_[0, 0]) == pytest.approx(1)


def test_crosses_of_families_without_covariances(rng):
    counts = np.vstack([rng.poisson([3, 12], (100, 2)), rng.poisson([15, 4], (200, 2))]).astype(float)
    model = fitted(counts, kind=PoissonMixture)
    display = MixtureDisplay.from_estimator(model, counts, ax=axes(), contour_kw={"linestyle": "-."})
    for component, (across, *_) in display.contours_[0, 0].items():
        ends = model.rates_[component, 0] + np.array([-2, 2]) * np.sqrt(model.rates_[component, 0])
        np.testing.assert_allclose(across.get_xdata(), ends)
        assert across.get_linestyle() == "-."


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_family_of_one_column_has_a_density_and_a_sketch(case):
    X, start = problem_of(case, n_features=1)
    model = run(case.model(start), X, 3)
    total = MixtureDisplay.from_estimator(model, X, ax=axes()).densities_[0, 0][-1]
    expected = np.exp(model.score_samples(np.asarray(total.get_xdata())[:, None]))
    np.testing.assert_allclose(total.get_ydata(), expected, rtol=1e-9)
    assert "<svg" in model._repr_html_()


# Directions


def by_eigenvectors(weights, means, covariances):
    """Discriminant directions by the generalised eigenproblem of textbooks."""
    centred = means - weights @ means
    between = sum(w * np.outer(m, m) for w, m in zip(weights, centred, strict=True))
    within = sum(w * c for w, c in zip(weights, covariances, strict=True))
    return scipy.linalg.eigh(between, within)[1][:, ::-1][:, :2]


def test_discriminant_directions_solve_the_generalised_eigenproblem(wide):
    model, _ = wide
    axes, n_separating = directions_of(model)
    expected = by_eigenvectors(model.weights_, model.means_, model.covariances_)
    np.testing.assert_allclose(axes, expected * np.sign((axes * expected).sum(axis=0)), rtol=1e-7, atol=1e-9)
    assert n_separating == 2
    within = axes.T @ np.einsum("k,kij->ij", model.weights_, model.covariances_) @ axes
    np.testing.assert_allclose(within, np.eye(2), atol=1e-10)


def test_directions_follow_the_units_of_columns(wide):
    model, _ = wide
    units = 10.0 ** np.arange(-4, 5)
    before = directions_of(model).axes
    after = separating_directions(
        model.weights_, model.means_ * units, model.covariances_ * units[:, None] * units
    ).axes
    np.testing.assert_allclose(after * units[:, None], before, rtol=1e-6, atol=1e-9)


def test_means_on_a_line_have_one_discriminant_direction_and_one_of_variance():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(8, 8))
    covariance = root @ root.T
    means = np.array([[0.0] * 8, [1.0] * 8])
    axes, n_separating = separating_directions(np.array([0.3, 0.7]), means, np.array([covariance] * 2))
    assert n_separating == 1
    fisher = np.linalg.solve(covariance, means[1])
    np.testing.assert_allclose(axes[:, 0] / np.linalg.norm(axes[:, 0]), fisher / np.linalg.norm(fisher), rtol=1e-7)
    np.testing.assert_allclose(axes.T @ covariance @ axes, np.eye(2), atol=1e-9)
    deviations = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviations, deviations)

    def variance(direction):
        """Variance of a combination of standardised columns with coefficients of length 1."""
        return direction @ correlation @ direction / (direction @ direction)

    found, first = axes[:, 1] * deviations, correlation @ (axes[:, 0] * deviations)
    for _ in range(200):
        other = rng.normal(size=8)
        other -= first * (first @ other) / (first @ first)
        assert variance(other) <= variance(found) * (1 + 1e-9)


def test_a_single_component_is_shown_along_its_principal_axes():
    covariance = np.diag([1.0, 4.0, 9.0]) + 0.5
    axes, n_separating = separating_directions(np.ones(1), np.zeros((1, 3)), covariance[None])
    assert n_separating == 0
    deviations = np.sqrt(np.diag(covariance))
    expected = np.linalg.eigh(covariance / np.outer(deviations, deviations))[1][:, :0:-1]
    found = axes * deviations[:, None]
    np.testing.assert_allclose(np.abs((found / np.linalg.norm(found, axis=0)).T @ expected), np.eye(2), atol=1e-9)


def test_a_constant_column_gives_finite_directions():
    covariances = np.array([np.diag([1.0, 0.0, 2.0])] * 2)
    axes, _ = separating_directions(np.array([0.5, 0.5]), np.array([[0.0, 1, 0], [3.0, 1, 0]]), covariances)
    assert np.isfinite(axes).all()
    assert axes[0, 0] > 0.9


def test_many_columns_are_shown_along_the_directions(wide):
    model, X = wide
    display = MixtureDisplay.from_estimator(model, X, ax=axes(), max_points=50)
    directions = display.directions.axes
    for component, drawn in display.contours_[0, 0].items():
        projected = directions.T @ model.covariances_[component] @ directions
        for deviations, ellipse in enumerate(drawn, 1):
            np.testing.assert_allclose(form_of(ellipse, deviations), projected, atol=1e-9)
            np.testing.assert_allclose(ellipse.center, model.means_[component] @ directions)
    shown = np.asarray(display.points_[0, 0].get_offsets())
    distances = np.abs(shown[:, None] - X @ directions).sum(axis=2)
    assert distances.min(axis=1).max() < 1e-9
    colours = [to_hex(colour).upper() for colour in display.points_[0, 0].get_facecolors()]
    assert colours == [PALETTE[label] for label in model.predict(X[distances.argmin(axis=1)])]
    assert display.ax_.get_xlabel() == "discriminant direction 1"


@pytest.mark.parametrize("kind", [StudentTMixture, BernoulliMixture, PoissonMixture])
def test_many_columns_of_other_families(rng, kind):
    X = (rng.uniform(size=(60, 8)) < np.repeat([[0.2], [0.8]], 30, axis=0)) * 1.0
    X = X + rng.normal(size=X.shape) if kind is StudentTMixture else X
    model = fitted(X, kind=kind)
    display = MixtureDisplay.from_estimator(model, X, ax=axes())
    projected = display.directions.axes.T @ full_covariances(model) @ display.directions.axes
    np.testing.assert_allclose(form_of(display.contours_[0, 0][1][0], 1), projected[1], atol=1e-9)


def test_a_background_has_no_part_in_the_directions(wide):
    model, X = wide
    before = directions_of(model).axes
    model = copy(model).set_params(background=True)
    model.weights_ = np.append(0.9 * model.weights_, 0.1)
    model.background_ = np.array([X.min(axis=0), X.max(axis=0)])
    model.background_log_density_ = -np.log(np.ptp(X, axis=0)).sum()
    np.testing.assert_allclose(MixtureDisplay.from_estimator(model, X, ax=axes()).directions.axes, before, rtol=1e-9)


# Uncertainty


@pytest.mark.parametrize("measure", ["uncertainty", "entropy"])
def test_rows_have_the_colour_of_their_uncertainty(measure):
    model = fitted(FAITHFUL, 3)
    display = UncertaintyDisplay.from_estimator(model, FAITHFUL, ax=axes(), measure=measure)
    shares = model.predict_proba(np.asarray(display.points_.get_offsets()))
    expected = 1 - shares.max(axis=1)
    if measure == "entropy":
        expected = -(shares * np.log(shares)).sum(axis=1) / np.log(3)
    np.testing.assert_allclose(display.points_.get_array(), expected, atol=1e-9)
    assert (np.diff(display.points_.get_array()) >= 0).all(), "the least certain are drawn last"
    assert display.colorbar_ is not None


def test_a_single_column_has_its_uncertainty_above_it():
    X = FAITHFUL[:, 1:]
    model = fitted(X)
    display = UncertaintyDisplay.from_estimator(model, X, ax=axes())
    across, up = np.asarray(display.points_.get_offsets()).T
    np.testing.assert_allclose(up, 1 - model.predict_proba(across[:, None]).max(axis=1), atol=1e-9)
    assert display.colorbar_ is None


def test_more_columns_lie_along_the_directions(wide):
    model, X = wide
    display = UncertaintyDisplay.from_estimator(model, X, ax=axes(), colorbar=False, cmap="gray")
    shown, expected = np.asarray(display.points_.get_offsets()), X @ directions_of(model).axes
    np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(expected, axis=0))
    assert display.points_.get_cmap().name == "gray"


def test_one_component_is_certain():
    display = UncertaintyDisplay.from_estimator(fitted(FAITHFUL, 1), FAITHFUL, ax=axes(), measure="entropy")
    assert not display.points_.get_array().any()


def test_uncertainties_of_a_data_frame_keep_its_names():
    frame = pd.DataFrame(FAITHFUL, columns=["eruption", "waiting"])
    display = UncertaintyDisplay.from_estimator(fitted(frame), frame, ax=axes())
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("eruption", "waiting")


# Convergence


def test_lines_are_the_bounds_of_the_restarts():
    model = fitted(FAITHFUL, 3, n_init=3, init_params="random")
    display = ConvergenceDisplay.from_estimator(model, ax=axes())
    assert len(display.lines_) == 3
    for restart, line in enumerate(display.lines_):
        records = [record for record in model.history_ if record.restart == restart]
        np.testing.assert_array_equal(line.get_xdata(), [record.iteration for record in records])
        np.testing.assert_array_equal(line.get_ydata(), [record.lower_bound for record in records])
        assert (np.diff(line.get_ydata()) > -1e-12).all()
    np.testing.assert_array_equal(display.lines_[display.best].get_ydata(), model.lower_bounds_)
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert [label.endswith("the best") for label in labels] == [restart == display.best for restart in range(3)]


def test_the_gap_is_the_distance_from_the_largest_bound():
    model = fitted(FAITHFUL, 3, n_init=2, init_params="random")
    display = ConvergenceDisplay.from_estimator(model, ax=axes(), scale="gap", color="black")
    largest = max(record.lower_bound for record in model.history_)
    for bounds, line in zip(display.bounds, display.lines_, strict=True):
        expected = np.where(bounds == largest, np.nan, largest - bounds)
        np.testing.assert_array_equal(line.get_ydata(), expected)
        assert line.get_color() == "black"
    assert display.ax_.get_yscale() == "log"


@pytest.mark.parametrize("unit", ["passes", "seconds"])
def test_progress_is_counted_from_the_beginning(unit):
    model = fitted(FAITHFUL, 3, algorithm="incremental")
    display = ConvergenceDisplay.from_estimator(model, ax=axes(), unit=unit)
    expected = np.cumsum([getattr(record, unit) for record in model.history_])
    np.testing.assert_allclose(display.lines_[0].get_xdata(), expected)
    assert display.legend_ is None


def test_a_model_from_a_file_has_its_history(tmp_path):
    model = fitted(FAITHFUL, 3, n_init=2)
    model.save(tmp_path / "model.json")
    before, after = (
        ConvergenceDisplay.from_estimator(m, ax=axes()) for m in (model, fastem.load(tmp_path / "model.json"))
    )
    for first, second in zip(before.bounds, after.bounds, strict=True):
        np.testing.assert_array_equal(first, second)
    assert before.best == after.best


def test_models_without_a_history_are_refused():
    model = fitted(FAITHFUL)
    for other in (model.marginal([0]), GaussianMixture(2, random_state=0).partial_fit(FAITHFUL)):
        with pytest.raises(ValueError, match="GaussianMixture has no history of iterations"):
            ConvergenceDisplay.from_estimator(other)


# Criteria


def test_lines_are_the_criteria_of_the_models():
    forms = [(k, form) for k in (3, 1, 2) for form in ("full", "tied")]
    models = [fitted(FAITHFUL, k, covariance_type=form) for k, form in forms]
    weights = np.linspace(1, 2, len(FAITHFUL))
    criteria = ("bic", "aic", "icl")
    display = CriterionDisplay.from_estimators(models, FAITHFUL, criteria=criteria, sample_weight=weights, ax=axes())
    for criterion in criteria:
        values = {
            form: getattr(model, criterion)(FAITHFUL, sample_weight=weights)
            for form, model in zip(forms, models, strict=True)
        }
        for name in ("full", "tied"):
            line = display.lines_[criterion, name]
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            np.testing.assert_array_equal(line.get_ydata(), [values[k, name] for k in (1, 2, 3)])
        best = min(values, key=values.get)
        assert forms[display.best[criterion]] == best
        np.testing.assert_allclose(display.marks_[criterion].get_offsets(), [[best[0], values[best]]])


def test_criteria_need_no_more_than_one_model_of_each_number():
    models = [fitted(FAITHFUL, 2, max_iter=200, init_params="random"), fitted(FAITHFUL, 2), fitted(FAITHFUL, 1)]
    display = CriterionDisplay.from_estimators(models, FAITHFUL, ax=axes())
    lowest = min(model.bic(FAITHFUL) for model in models[:2])
    np.testing.assert_allclose(display.lines_["bic", "full"].get_ydata(), [models[2].bic(FAITHFUL), lowest])
    assert display.legend_ is None


def test_models_of_several_classes_are_told_apart():
    models = [fitted(FAITHFUL, 2), fitted(FAITHFUL, 2, kind=StudentTMixture)]
    display = CriterionDisplay.from_estimators(models, FAITHFUL, ax=axes())
    assert [name for _, name in display.lines_] == ["GaussianMixture full", "StudentTMixture full"]
    named = CriterionDisplay.from_estimators(models, FAITHFUL, names=["a", "b"], ax=axes())
    assert [text.get_text() for text in named.legend_.get_texts()] == ["a", "b"]


# All displays


def test_without_axes_displays_make_a_figure_of_pyplot():
    model = fitted(FAITHFUL)
    pyplot.close("all")
    displays = (
        MixtureDisplay.from_estimator(model, FAITHFUL),
        UncertaintyDisplay.from_estimator(model, FAITHFUL),
        ConvergenceDisplay.from_estimator(model),
        CriterionDisplay.from_estimators([model], FAITHFUL),
    )
    assert [display.figure_ for display in displays] == list(map(pyplot.figure, pyplot.get_fignums()))
    assert all(display.ax_.figure is display.figure_ for display in displays)
    pyplot.close("all")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda m, X: MixtureDisplay.from_estimator(m, X[:, :1]), r"X has shape \(272, 1\); the model was fitted to 2"),
        (lambda m, X: MixtureDisplay.from_estimator(m, X, columns=["a"]), "1 columns named, but the model has 2"),
        (lambda m, X: MixtureDisplay.from_estimator(m, X[:0]), "X has no rows to show"),
        (lambda m, X: UncertaintyDisplay.from_estimator(m, X[0]), r"X has shape \(2,\)"),
        (
            lambda m, X: UncertaintyDisplay.from_estimator(m, X, measure="bits"),
            "'uncertainty' or 'entropy', not 'bits'",
        ),
        (lambda m, X: ConvergenceDisplay.from_estimator(m, unit="hours"), "'passes' or 'seconds', not 'hours'"),
        (lambda m, X: ConvergenceDisplay.from_estimator(m, scale="log"), "'bound' or 'gap', not 'log'"),
        (lambda m, X: CriterionDisplay.from_estimators([], X), "no models to compare"),
        (lambda m, X: CriterionDisplay.from_estimators([m], X, criteria="dic"), "among 'bic', 'aic', 'icl', not 'dic'"),
        (lambda m, X: CriterionDisplay.from_estimators([m], X, names=["a", "b"]), "2 names for 1 models"),
        (
            lambda m, X: CriterionDisplay.from_estimators(
                [m, fastem.BayesianGaussianMixture(n_components=2).fit(X)], X
            ),
            r"models\[1\] is a BayesianGaussianMixture, which has no likelihood",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(fitted(FAITHFUL), FAITHFUL)


@pytest.mark.parametrize("X", [fastem.Source([FAITHFUL]), [FAITHFUL[:100], FAITHFUL[100:]]], ids=["source", "chunks"])
@pytest.mark.parametrize("display", [MixtureDisplay, UncertaintyDisplay])
def test_sources_are_no_rows_to_show(display, X):
    with pytest.raises(TypeError, match="X is a source: plots need an array of rows"):
        display.from_estimator(fitted(FAITHFUL), X)


@pytest.mark.parametrize(
    ("caller", "draw"),
    [
        ("plot_mixture", lambda m, X: plot_mixture(m, X)),
        ("MixtureDisplay.from_estimator", MixtureDisplay.from_estimator),
        ("UncertaintyDisplay.from_estimator", UncertaintyDisplay.from_estimator),
        ("ConvergenceDisplay.from_estimator", lambda m, X: ConvergenceDisplay.from_estimator(m)),
        ("CriterionDisplay.from_estimators", lambda m, X: CriterionDisplay.from_estimators([m], X)),
    ],
)
def test_without_matplotlib_an_error_names_the_extra(monkeypatch, caller, draw):
    model = fitted(FAITHFUL)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=rf"{caller} needs matplotlib: .*fastem\[plot\]") as caught:
        draw(model, FAITHFUL)
    assert caught.value.name == "matplotlib"


def test_the_displays_are_imported_without_matplotlib():
    code = "import sys; sys.modules['matplotlib'] = None; from fastem.plotting import *; print(MixtureDisplay.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "MixtureDisplay"
