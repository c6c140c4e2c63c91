"""Models with a background under shifts and units, with weights, files, copies, marginals and plots."""

import itertools
import pickle

import numpy as np
import pytest
from backgrounds import (
    CENTRES,
    WEIGHTS,
    D,
    by_algorithm,
    by_family,
    clusters,
    fitted,
    model_beside,
    problem_of,
    volume_of,
)
from fits import precisions_of, run
from models import difference
from reference import rows_for
from sklearn.base import clone

from fastem import GaussianMixture, Source, load
from fastem.data import ArraySource, Mixture
from fastem.engine.compiled import get_passes
from fastem.families import get_family
from fastem.plotting import plot_mixture

pytestmark = pytest.mark.slow

# Invariance, and changes in proportion


@by_family
def test_a_shift_of_the_data_shifts_the_means(family):
    X, start = problem_of(family)
    shift = np.array([100.0, -30.0, 7.0])
    here = run(model_beside(start), X, 10)
    there = run(model_beside(start, means_init=start.means + shift), X + shift, 10)
    np.testing.assert_allclose(there.means_ - shift, here.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(there.predict_proba(X + shift), here.predict_proba(X), atol=1e-9)
    np.testing.assert_allclose(there.background_ - shift, here.background_)


@pytest.mark.parametrize("family", ["full", "tied", "diag"])
def test_units_change_the_volume_and_no_responsibility(family):
    X, start = problem_of(family)
    units = np.array([1e3, 0.5, 1e-4])
    outer = units[:, None] * units if family in ("full", "tied") else units**2
    here = run(model_beside(start), X, 10)
    there = run(
        model_beside(start, means_init=start.means * units, precisions_init=precisions_of(start) / outer), X * units, 10
    )
    np.testing.assert_allclose(there.background_log_density_, here.background_log_density_ - np.log(units).sum())
    np.testing.assert_allclose(there.predict_proba(X * units), here.predict_proba(X), atol=1e-8)
    np.testing.assert_allclose(there.lower_bound_, here.lower_bound_ - np.log(units).sum(), rtol=1e-10)


@by_family
def test_the_order_of_columns_and_of_components_does_not_matter(family):
    X, start = problem_of(family)
    order = [2, 0, 1]
    here = run(model_beside(start), X, 10)
    precisions = precisions_of(start)
    if family in ("full", "tied"):
        precisions = precisions[..., order, :][..., order]
    elif family == "diag":
        precisions = precisions[:, order]
    there = run(model_beside(start, means_init=start.means[:, order], precisions_init=precisions), X[:, order], 10)
    np.testing.assert_allclose(there.predict_proba(X[:, order]), here.predict_proba(X), atol=1e-9)
    precisions = precisions_of(start) if family == "tied" else precisions_of(start)[order]
    swapped = model_beside(
        start, means_init=start.means[order], precisions_init=precisions, weights_init=WEIGHTS[[*order, 3]]
    )
    there = run(swapped, X, 10)
    np.testing.assert_allclose(there.predict_proba(X), here.predict_proba(X)[:, [*order, 3]], atol=1e-9)


@by_family
def test_weights_are_repeated_rows_and_rows_of_no_weight_are_absent(family):
    X, start = problem_of(family, 100)
    counts = np.random.default_rng(0).integers(0, 3, size=len(X))
    counts[X[:, 0].argmax()] = 0  # so the box is that of the other rows
    weighted = run(model_beside(start), X, 8, counts)
    repeated = run(model_beside(start), X.repeat(counts, axis=0), 8)
    assert difference(weighted, repeated) < 1e-10
    np.testing.assert_array_equal(weighted.background_, repeated.background_)
    assert weighted.background_[1, 0] < X[:, 0].max()


@by_family
def test_chunks_threads_and_float32_change_little_or_nothing(family, threads):
    X, start = problem_of(family, 15_000)
    whole = run(model_beside(start), X, 6)
    chunked = run(model_beside(start), Source(np.array_split(X, 7), chunk_bytes=45_000), 6)
    assert difference(chunked, whole) < 1e-9
    np.testing.assert_array_equal(chunked.background_, whole.background_)
    one, two = (run(model_beside(start, n_jobs=n_jobs), X, 6) for n_jobs in (1, 2))
    assert threads.in_a_pass()
    assert difference(one, whole) == difference(two, whole) == 0.0
    single = run(model_beside(start), X.astype(np.float32), 6)
    assert single.background_.dtype == single.means_.dtype == single.weights_.dtype == np.float32
    np.testing.assert_allclose(single.means_, whole.means_, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(single.predict_proba(X.astype(np.float32)), whole.predict_proba(X), atol=2e-3)
    source = Source(np.array_split(X, 7), chunk_bytes=45_000)
    np.testing.assert_array_equal(whole.predict(source), whole.predict(X))


@pytest.mark.parametrize("name", ["gaussian-full.background", "gaussian-tied.background"])
def test_all_threads_give_the_bits_of_one(name):
    X, family = rows_for("full", 20_000, 5), get_family(name)
    params = family.restore({**family.describe(family.params_at(X[:3].copy())), "background_log_density": -9.0})
    mixture, n_stats = Mixture(np.full(4, 0.25), params), family.n_stats(5, 4)
    one, all_of_them = (
        ArraySource(X).sweep(get_passes(family), mixture, n_stats, parallel=parallel) for parallel in (False, True)
    )
    np.testing.assert_array_equal(all_of_them.mass, one.mass)
    np.testing.assert_array_equal(all_of_them.stats, one.stats)
    assert all_of_them.log_likelihood == one.log_likelihood


def test_a_source_with_weights_has_the_box_of_the_rows_that_count():
    X, start = problem_of("full")
    weights = np.ones(len(X))
    weights[np.r_[:150, X[:, 1].argmax()]] = 0.0
    chunks = [(X[i : i + 50], weights[i : i + 50]) for i in range(0, len(X), 50)]
    model = run(model_beside(start), Source(chunks), 3)
    np.testing.assert_array_equal(model.background_, run(model_beside(start), X, 3, weights).background_)


# Parameters that are fixed, batches, files


@by_algorithm
def test_what_is_fixed_stays(options):
    X, start = problem_of("full")
    masks = {"weights": [True, False, False, True], "means": [True, False, False], "covariances": [False, True, False]}
    model = run(model_beside(start, fixed=masks, **options), X, 10)
    np.testing.assert_allclose(model.weights_[[0, 3]], WEIGHTS[[0, 3]], rtol=1e-11)
    np.testing.assert_allclose(model.weights_.sum(), 1.0)
    np.testing.assert_allclose(model.means_[0], start.means[0], rtol=1e-11)
    np.testing.assert_allclose(model.covariances_[1], start.covariances[1], rtol=1e-9)


def test_criteria_count_the_weights_that_are_free():
    X, start = problem_of("full")
    counts = {}
    for name, fixed in {"none": None, "all": "weights", "background": {"weights": [False] * 3 + [True]}}.items():
        counts[name] = run(model_beside(start, fixed=fixed), X, 2).n_parameters_
    assert counts["none"] - counts["all"] == 3
    assert counts["none"] - counts["background"] == 1


def test_batches_keep_the_box_of_the_first():
    X, _ = clusters(n_rows=4000)
    first, *others = np.array_split(np.random.default_rng(0).permutation(X), 8)
    model = GaussianMixture(3, background=True, random_state=0).partial_fit(first)
    box = np.array([first.min(axis=0), first.max(axis=0)])
    for part in others:
        np.testing.assert_array_equal(model.partial_fit(part).background_, box)
    assert model.background_log_density_ == pytest.approx(-np.log(np.prod(box[1] - box[0])))
    assert np.linalg.norm(model.means_[:, None] - CENTRES, axis=2).min(axis=1).max() < 0.5
    model.set_params(background=1234.5).fit(X).partial_fit(X[:500])
    assert model.background_log_density_ == pytest.approx(-np.log(1234.5))


def test_files_pickles_clones_and_attributes_that_are_set_by_hand(tmp_path):
    model, X = fitted()
    model.save(tmp_path / "model.json")
    by_hand = GaussianMixture(3, background=True)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "background_log_density_"):
        setattr(by_hand, name, getattr(model, name))
    by_hand.n_features_in_ = 2
    for other in (load(tmp_path / "model.json"), pickle.loads(pickle.dumps(model)), by_hand):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
        assert other.score(X) == model.score(X)
    np.testing.assert_array_equal(load(tmp_path / "model.json").background_, model.background_)
    assert clone(model).background is True
    assert difference(clone(model).fit(X), model) == 0.0


def test_a_warm_start_goes_on_and_takes_the_box_of_its_data():
    X, start = problem_of("full")
    whole = run(model_beside(start), X, 8)
    model = run(model_beside(start, warm_start=True), X, 4)
    assert difference(run(model, X, 4), whole) < 1e-12
    run(model, 2.0 * X, 1)
    np.testing.assert_array_equal(model.background_, 2.0 * whole.background_)
    assert model.background_log_density_ == pytest.approx(-np.log(volume_of(2.0 * X)))


def test_nothing_of_a_background_is_left_where_a_fit_has_none():
    model, X = fitted()
    before = set(vars(GaussianMixture(3, random_state=0).fit(X)))
    assert set(vars(model)) - before == {"background_", "background_log_density_"}
    assert set(vars(model.set_params(background=False).fit(X))) == before


def test_a_fit_that_is_broken_off_goes_on(tmp_path):
    X, start = problem_of("full")
    path = tmp_path / "run.ckpt"
    expected = run(model_beside(start), X, 9)

    class Chunks:
        def __init__(self, passes):
            self.passes = passes

        def __iter__(self):
            self.passes -= 1
            if self.passes < 0:
                raise InterruptedError
            return iter(np.array_split(X, 4))

    model = model_beside(start, max_iter=9, tol=0.0)
    with pytest.raises(InterruptedError):
        model.fit(Source(Chunks(5)), checkpoint=path)
    with pytest.warns(match="did not converge"):
        model.fit(Source(Chunks(99)), checkpoint=path, resume=True)
    assert difference(model, expected) < 1e-10
    np.testing.assert_array_equal(model.background_, expected.background_)


# Marginals and conditionals, samples, plots


@by_family
def test_marginal_times_conditional_is_the_mixture(family):
    X, start = problem_of(family)
    model = run(model_beside(start), X, 10)
    for chosen, row in itertools.product(([0], [2, 1]), X[:6]):
        rest = [column for column in range(D) if column not in chosen]
        conditional = model.conditional({column: row[column] for column in chosen})
        parts = model.marginal(chosen).score_samples([row[chosen]]) + conditional.score_samples([row[rest]])
        np.testing.assert_allclose(parts, model.score_samples([row]), rtol=1e-10)
        np.testing.assert_array_equal(conditional.background_, model.background_[:, rest])


@by_family
def test_regression_is_the_mean_and_variance_of_samples_of_the_conditional(family):
    X, start = problem_of(family)
    model = run(model_beside(start), X, 10)
    mean, variance = model.regress(X[:2, [0, 2]], target=1)
    for i in range(2):
        rows, labels = model.sample(200_000, given={0: X[i, 0], 2: X[i, 2]})
        assert set(labels) <= {-1, 0, 1, 2}
        deviation = np.sqrt(variance[i])
        assert rows[:, 1].mean() == pytest.approx(mean[i], abs=0.02 * deviation)
        assert rows[:, 1].std() == pytest.approx(deviation, rel=0.02)


def test_samples_of_the_background_fill_the_box():
    model, _ = fitted()
    rows, labels = model.sample(20_000)
    assert np.mean(labels == -1) == pytest.approx(model.weights_[-1], abs=0.01)
    outliers = rows[labels == -1]
    low, high = model.background_
    assert (outliers >= low).all()
    assert (outliers <= high).all()
    np.testing.assert_allclose(outliers.mean(axis=0), (low + high) / 2, atol=0.02 * (high - low).max())
    np.testing.assert_allclose(outliers.var(axis=0), (high - low) ** 2 / 12, rtol=0.05)
    assert labels.tolist() == sorted(labels, key=lambda label: label % 4)  # the background comes last


def test_plots_show_it():
    model, X = fitted()
    figure = plot_mixture(model, X)
    assert "background" in "".join(text.get_text() for text in figure.legends[0].get_texts())
    outliers = X[model.predict(X) == -1]
    assert len(plot_mixture(model, outliers).axes) == 1
    one = GaussianMixture(2, background=True, random_state=0).fit(X[:, :1])
    (axes,) = plot_mixture(one, X[:, :1]).axes
    grid, density = next(line for line in axes.lines if line.get_label() == "mixture").get_data()
    np.testing.assert_allclose(density, np.exp(one.score_samples(grid[:, None])), rtol=1e-9)
