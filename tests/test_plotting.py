"""Plots show the parameters and densities of the model."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Ellipse

from fastem import BernoulliMixture, GaussianMixture, PoissonMixture
from fastem.datasets import load_faithful, load_galaxies, load_iris
from fastem.plotting.backend import PALETTE
from fastem.plotting.mixtures import MAX_COLUMNS, plot_mixture
from fastem.plotting.shapes import full_covariances, shape_of

pytestmark = pytest.mark.slow


def fitted(values, n_components=2, covariance_type="full"):
    return GaussianMixture(n_components, covariance_type=covariance_type, random_state=0).fit(values)


@pytest.fixture
def counts(rng):
    first, second = rng.poisson([3, 12, 30], (100, 3)), rng.poisson([15, 4, 60], (200, 3))
    return np.vstack([first, second]).astype(float)


def lines_of(axes):
    return {line.get_color() if line.get_label() != "mixture" else "mixture": line for line in axes.lines}


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


# One column


@pytest.mark.parametrize(
    "values", [load_faithful().values[:, 1:], load_galaxies().values, 1e-6 * load_galaxies().values]
)
def test_the_mixtures_density_integrates_to_one_over_the_axis(values):
    model = GaussianMixture(3, reg_covar=0, random_state=0).fit(values)
    (axes,) = plot_mixture(model, values).axes
    grid, density = lines_of(axes)["mixture"].get_data()
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=0.005)
    assert axes.get_xlim() == (grid[0], grid[-1])


def test_each_components_density_integrates_to_its_weight():
    values = load_faithful().values[:, 1:]
    model = fitted(values)
    (axes,) = plot_mixture(model, values).axes
    areas = [
        np.trapezoid(lines_of(axes)[colour].get_ydata(), lines_of(axes)[colour].get_xdata()) for colour in PALETTE[:2]
    ]
    np.testing.assert_allclose(areas, model.weights_, atol=0.005)


def test_the_mixtures_density_is_the_models():
    values = load_faithful().values[:, 1:]
    model = fitted(values, 3)
    (axes,) = plot_mixture(model, values).axes
    grid, density = lines_of(axes)["mixture"].get_data()
    np.testing.assert_allclose(density, np.exp(model.score_samples(grid[:, None])), rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_histogram_has_area_one(weighted):
    values = load_galaxies().values
    weights = np.arange(len(values)) if weighted else None
    (axes,) = plot_mixture(fitted(values), values, sample_weight=weights).axes
    assert sum(bar.get_width() * bar.get_height() for bar in axes.patches) == pytest.approx(1)


def test_weights_move_the_histogram():
    values = np.repeat([0.0, 10.0], 10)[:, None] + np.tile(np.arange(10) / 10, 2)[:, None]
    (axes,) = plot_mixture(fitted(values), values, sample_weight=values[:, 0] > 5).axes
    low = sum(bar.get_height() for bar in axes.patches if bar.get_x() < 5)
    high = sum(bar.get_height() for bar in axes.patches if bar.get_x() >= 5)
    assert low == 0
    assert high > 0


def test_an_outlier_does_not_ask_for_millions_of_bars():
    values = np.append(np.random.default_rng(0).normal(size=1000), 1e9)[:, None]
    (axes,) = plot_mixture(fitted(values, 1), values).axes
    assert len(axes.patches) < 200


def test_one_component_needs_no_sum():
    values = load_galaxies().values
    figure = plot_mixture(fitted(values, 1), values)
    assert len(figure.axes[0].lines) == 1
    assert legend_of(figure) == ["component 0: 100 %", "data"]


# Two columns


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_ellipses_have_the_axes_of_the_covariances(covariance_type):
    values = load_faithful().values
    model = fitted(values, 2, covariance_type)
    (axes,) = plot_mixture(model, values).axes
    ellipses = [patch for patch in axes.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 4
    for index, ellipse in enumerate(ellipses):
        component, deviations = index // 2, 1 + index % 2
        rotation = np.array([np.cos(np.radians(ellipse.angle)), np.sin(np.radians(ellipse.angle))])
        directions = np.array([rotation, [-rotation[1], rotation[0]]]).T
        lengths = np.array([ellipse.width, ellipse.height]) / (2 * deviations)
        np.testing.assert_allclose(
            directions @ np.diag(lengths**2) @ directions.T, full_covariances(model)[component], atol=1e-9
        )
        np.testing.assert_allclose(ellipse.center, model.means_[component])


def test_covariances_of_all_types_are_written_out():
    values = load_iris().values
    for covariance_type in ("full", "tied", "diag", "spherical"):
        model = fitted(values, 3, covariance_type)
        precisions = np.linalg.inv(full_covariances(model))
        difference = values[:5, None] - model.means_
        quadratic = np.einsum("nki,kij,nkj->nk", difference, precisions, difference)
        log_density = -0.5 * (quadratic - np.linalg.slogdet(precisions)[1] + 4 * np.log(2 * np.pi))
        expected = np.log((model.weights_ * np.exp(log_density)).sum(axis=1))
        np.testing.assert_allclose(model.score_samples(values[:5]), expected, rtol=1e-9)


def test_points_are_coloured_by_their_component():
    from matplotlib.colors import to_hex

    values = load_faithful().values
    model = fitted(values)
    (axes,) = plot_mixture(model, values).axes
    (scatter,) = axes.collections
    shown = np.asarray(scatter.get_offsets())
    colours = [to_hex(colour).upper() for colour in scatter.get_facecolors()]
    assert colours == [PALETTE[label] for label in model.predict(shown)]
    np.testing.assert_array_equal(np.sort(shown, axis=0), np.sort(values, axis=0))


def test_large_data_are_thinned_the_same_way_each_time(rng):
    values = rng.normal(size=(3000, 2))
    model = fitted(values)
    shown = [plot_mixture(model, values, max_points=100).axes[0].collections[0].get_offsets() for _ in range(2)]
    assert len(shown[0]) == 100
    np.testing.assert_array_equal(*shown)


def test_more_components_than_colours_are_numbered(rng):
    values = rng.normal(size=(400, 2))
    (axes,) = plot_mixture(fitted(values, 9, "spherical"), values).axes
    assert [text.get_text() for text in axes.texts] == list("012345678")


def test_the_legend_gives_the_weights():
    values = load_faithful().values
    assert legend_of(plot_mixture(fitted(values), values))[:2] == ["component 0: 35.6 %", "component 1: 64.4 %"]


# More columns


def test_a_grid_has_histograms_on_and_scatters_below_its_diagonal():
    values = load_iris().values
    figure = plot_mixture(fitted(values, 3), values)
    cells = [axes.get_subplotspec() for axes in figure.axes]
    assert {(cell.rowspan.start, cell.colspan.start) for cell in cells} == {
        (row, column) for row in range(4) for column in range(row + 1)
    }
    for axes in figure.axes:
        on_diagonal = axes.get_subplotspec().rowspan.start == axes.get_subplotspec().colspan.start
        assert sum(isinstance(patch, Ellipse) for patch in axes.patches) == (0 if on_diagonal else 6)


def test_axes_are_labelled_at_the_left_and_bottom_only():
    iris = load_iris()
    figure = plot_mixture(fitted(iris.values, 3), iris.values, columns=iris.columns)
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()] == list(iris.columns)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == list(iris.columns[1:])


def test_names_come_from_the_data_frame_that_was_fitted():
    faithful = load_faithful()
    frame = pd.DataFrame(faithful.values, columns=faithful.columns)
    (axes,) = plot_mixture(fitted(frame), frame).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == faithful.columns


def test_a_data_frames_names_are_no_formulas():
    frame = pd.DataFrame({"price $^{ in $": [1.0, 2.0, 4.0], "cost": [1.0, 3.0, 5.0]})
    figure = plot_mixture(fitted(frame, 1), frame)
    figure.savefig(io.BytesIO())
    assert figure.axes[0].xaxis.label.get_text() == r"price \$^{ in \$"


# Counts


def test_a_poisson_mixtures_probabilities_add_up_to_one(counts):
    values = counts[:, :1]
    model = PoissonMixture(2, random_state=0).fit(values)
    (axes,) = plot_mixture(model, values).axes
    grid, probability = lines_of(axes)["mixture"].get_data()
    np.testing.assert_array_equal(grid, np.arange(grid[0], grid[-1] + 1))
    assert probability.sum() == pytest.approx(1, abs=0.005)
    np.testing.assert_allclose(probability, np.exp(model.score_samples(grid[:, None])), rtol=1e-9)


def test_each_count_has_a_bar_as_high_as_its_share(counts):
    values = counts[:, :1]
    (axes,) = plot_mixture(PoissonMixture(2, random_state=0).fit(values), values).axes
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches}
    shares = {int(count): np.mean(values == count) for count in np.unique(values)}
    assert {count: height for count, height in heights.items() if height} == pytest.approx(shares)


def test_many_counts_share_bars(counts):
    values = 100 * counts[:, :1]
    (axes,) = plot_mixture(PoissonMixture(2, random_state=0).fit(values), values).axes
    assert len(axes.patches) <= 62


def test_pairs_of_counts_are_jittered_and_crossed_at_the_rates(counts):
    values = counts[:, :2]
    model = PoissonMixture(2, random_state=0).fit(values)
    (axes,) = plot_mixture(model, values).axes
    shown = np.asarray(axes.collections[0].get_offsets())
    assert np.abs(shown - shown.round()).max() <= 0.3
    assert len(np.unique(shown, axis=0)) == len(values)
    horizontal = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "-"][::2]
    np.testing.assert_allclose(np.ptp(horizontal, axis=1), 2 * np.sqrt(model.rates_[:, 0]))


def test_three_columns_of_counts_make_a_grid(counts):
    assert len(plot_mixture(PoissonMixture(2, random_state=0).fit(counts), counts).axes) == 6


# All plots


@pytest.mark.parametrize("n_columns", range(1, MAX_COLUMNS + 1))
def test_every_number_of_columns_can_be_drawn_without_a_warning(rng, tmp_path, n_columns):
    values = rng.normal(size=(60, n_columns))
    plot_mixture(fitted(values), values).savefig(tmp_path / "plot.png", dpi=40)


def test_pyplot_does_not_see_the_figure():
    from matplotlib import pyplot

    values = load_galaxies().values
    plot_mixture(fitted(values), values)
    assert pyplot.get_fignums() == []


def test_more_than_six_columns_are_refused(rng):
    values = rng.normal(size=(40, 7))
    with pytest.raises(ValueError, match="at most 6 columns can be plotted, not 7"):
        plot_mixture(fitted(values), values)


def test_other_data_than_the_models_are_refused():
    model = fitted(load_faithful().values)
    for other in (load_iris().values, load_faithful().values[:, 0], load_faithful().values[:, :, None]):
        with pytest.raises(ValueError, match="fitted to 2 columns"):
            plot_mixture(model, other)
    with pytest.raises(ValueError, match="3 columns named, but the model has 2"):
        plot_mixture(model, load_faithful().values, columns=["a", "b", "c"])


def test_components_that_no_row_belongs_to_are_not_shown():
    values = load_faithful().values
    model = fitted(values)
    model.n_components, model.weights_ = 3, np.append(model.weights_, 0.0)
    for name in ("means_", "covariances_", "precisions_cholesky_"):
        setattr(model, name, np.concatenate([getattr(model, name), getattr(model, name)[:1]]))
    figure = plot_mixture(model, values)
    assert legend_of(figure)[:2] == ["component 0: 35.6 %", "component 1: 64.4 %"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "1"]


def test_the_axis_of_zeros_and_ones_has_no_other_numbers(rng):
    values = (rng.uniform(size=(50, 2)) < 0.3) * 1.0
    figure = plot_mixture(BernoulliMixture(2, random_state=0).fit(values), values)
    assert figure.axes[0].get_xlim() == (-0.5, 1.5)


def test_densities_are_drawn_where_the_family_allows_values(monkeypatch):
    model = GaussianMixture(2, random_state=0).fit([[0.1], [0.2], [3.0], [4.0]])
    whole = shape_of(model)
    assert whole.limits(0, np.array([0.1, 4.0]))[0] < 0.0
    positive = model._components()._replace(in_domain=lambda values: values > 0.0)
    monkeypatch.setattr(GaussianMixture, "_components", lambda self: positive)
    shape = shape_of(model)
    low, high = shape.limits(0, np.array([0.1, 4.0]))
    grid = shape.grid(0, (low, high))
    assert 0.0 < low <= grid[0] <= 0.1
    assert high == grid[-1] == whole.limits(0, np.array([0.1, 4.0]))[1]
