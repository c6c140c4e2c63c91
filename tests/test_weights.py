"""A weight is a number of rows: zero is an absent row, two a row that is there twice."""

import numpy as np
import pytest
import sklearn
from fits import model_at, run
from models import difference
from reference import FAMILIES, rows_for, start_at
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle

from fastem import GaussianMixture, PoissonMixture

N_ROWS = 60
COUNTS = np.arange(N_ROWS) % 3
METHODS = ("kmeans", "k-means++", "random", "random_from_data")
CRITERIA = ("score", "bic", "aic", "icl")
PRECISIONS = pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-10), ("float32", 1e-4)])


def rows_and_start(family):
    X = rows_for(family, N_ROWS)
    return X, start_at(family, X, X[:2] + 0.5)


def with_absent_rows(X, value):
    """X between rows that hold only `value`, and the weights that say which are which."""
    places = [0, 5, 20, len(X)]
    weights = np.insert(np.ones(len(X)), places, 0.0)
    return np.insert(X, places, value, axis=0), weights


@PRECISIONS
@pytest.mark.parametrize("family", FAMILIES)
def test_an_integer_weight_is_a_repeated_row_and_zero_an_absent_one(family, dtype, rtol):
    X, start = rows_and_start(family)
    X = X.astype(dtype)
    rows = np.repeat(X, COUNTS, axis=0)
    weighted = run(model_at(start), X, 10, COUNTS)
    repeated = run(model_at(start), rows, 10)

    assert weighted.weights_.dtype == dtype
    assert difference(weighted, repeated) < rtol
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=rtol)
    for criterion in CRITERIA:
        evaluate = getattr(weighted, criterion)
        assert evaluate(X, sample_weight=COUNTS) == pytest.approx(evaluate(rows), rel=rtol)


def test_clusters_of_k_means_see_the_weights():
    """k-means finds two groups that are far apart from any start, but in any order."""
    X = rows_for("full", N_ROWS)
    X[::2] += 100
    weighted = run(GaussianMixture(2, random_state=0), X, 3, COUNTS)
    repeated = run(GaussianMixture(2, random_state=0), np.repeat(X, COUNTS, axis=0), 3)
    order, expected_order = (model.means_[:, 0].argsort() for model in (weighted, repeated))
    for name in ("weights_", "means_", "covariances_"):
        actual, expected = getattr(weighted, name)[order], getattr(repeated, name)[expected_order]
        np.testing.assert_allclose(actual, expected, rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 1e300, np.finfo(float).max])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_without_weight_may_hold_any_number(family, value):
    X, start = rows_and_start(family)
    more, weights = with_absent_rows(X, value)
    alone = run(model_at(start), X, 10)
    among = run(model_at(start), more, 10, weights)

    assert difference(among, alone) < 1e-10
    np.testing.assert_allclose(among.lower_bounds_, alone.lower_bounds_, rtol=1e-10)
    for criterion in CRITERIA:
        evaluate = getattr(alone, criterion)
        assert evaluate(more, sample_weight=weights) == pytest.approx(evaluate(X), rel=1e-10)


@pytest.mark.parametrize("init_size", [100_000, 30])
@pytest.mark.parametrize("init_params", METHODS)
def test_rows_without_weight_do_not_change_a_random_start(init_params, init_size):
    X = rows_for("full", N_ROWS)
    more, weights = with_absent_rows(X, 1e300)
    weights[weights > 0] = 1 + COUNTS  # they differ, so that they matter to k-means++
    model = GaussianMixture(2, init_params=init_params, init_size=init_size, random_state=1)
    among = run(sklearn.clone(model), more, 3, weights)
    alone = run(model, X, 3, weights[weights > 0])
    assert difference(among, alone) < 1e-12


@pytest.mark.parametrize("init_params", METHODS)
def test_equal_weights_are_no_weights(init_params):
    """From the same seed, too, weights of one give the fit without weights."""
    X = rows_for("full", N_ROWS)
    model = GaussianMixture(2, init_params=init_params, random_state=1)
    unweighted = run(sklearn.clone(model), X, 3)
    weighted = run(model, X, 3, np.ones(N_ROWS))
    assert difference(weighted, unweighted) < 1e-12


@pytest.mark.parametrize("constant", [3.0, 1e-200, 1e120])
@PRECISIONS
@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_ratios_of_weights_matter(family, dtype, rtol, constant):
    X, start = rows_and_start(family)
    X = X.astype(dtype)
    weights = np.random.default_rng(0).uniform(0, 3, N_ROWS)
    plain = run(model_at(start), X, 10, weights)
    scaled = run(model_at(start), X, 10, constant * weights)
    assert difference(scaled, plain) < rtol
    np.testing.assert_allclose(scaled.lower_bounds_, plain.lower_bounds_, rtol=rtol)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[-1.0, np.ones(N_ROWS - 1)], "Negative values in data passed to `sample_weight`"),
        (np.zeros(N_ROWS), "Sample weights must contain at least one non-zero number"),
        (np.ones(N_ROWS - 1), r"sample_weight.shape == \(59,\), expected \(60,\)"),
        (np.r_[np.nan, np.ones(N_ROWS - 1)], "Input sample_weight contains NaN"),
        (np.r_[np.inf, np.ones(N_ROWS - 1)], "Input sample_weight contains infinity"),
        (np.ones((N_ROWS, 2)), "Sample weights must be 1D"),
    ],
    ids=["negative", "all zero", "too few", "NaN", "infinite", "two columns"],
)
def test_what_is_no_weight_is_refused(weights, message):
    X, start = rows_and_start("full")
    model = model_at(start)
    with pytest.raises(ValueError, match=message):
        model.fit(X, sample_weight=weights)
    run(model, X, 1)
    for criterion in CRITERIA:
        with pytest.raises(ValueError, match=message):
            getattr(model, criterion)(X, sample_weight=weights)


def test_rows_without_weight_do_not_count_as_rows():
    X = rows_for("full", N_ROWS)
    weights = np.r_[5.0, 7.0, np.zeros(N_ROWS - 2)]
    message = "Expected n_samples >= n_components but got n_components = 3, n_samples = 2"
    for model in (GaussianMixture(3), PoissonMixture(3)):
        with pytest.raises(ValueError, match=message):
            model.fit(np.abs(X).round(), sample_weight=weights)


def test_weights_travel_through_a_pipeline():
    X = rows_for("full", N_ROWS)
    weights = COUNTS + 0.5
    with sklearn.config_context(enable_metadata_routing=True):
        scale = StandardScaler().set_fit_request(sample_weight=False)
        mixture = GaussianMixture(random_state=0).set_fit_request(sample_weight=True)
        pipeline = Pipeline([("scale", scale), ("mix", mixture)]).fit(X, sample_weight=weights)
        mixture.set_score_request(sample_weight=True)
        score = pipeline.score(X, sample_weight=weights)

    scaled = StandardScaler().fit_transform(X)
    expected = np.average(scaled, axis=0, weights=weights)
    np.testing.assert_allclose(pipeline["mix"].means_, [expected], rtol=1e-12)
    densities = pipeline.score_samples(X)
    assert score == pytest.approx(np.average(densities, weights=weights), rel=1e-12)


def test_weights_travel_through_a_grid_search():
    """Each fold is fitted and scored with its own rows' weights."""
    X = rows_for("full", N_ROWS)
    weights = COUNTS + 0.5
    folds = KFold(3)
    with sklearn.config_context(enable_metadata_routing=True):
        mixture = GaussianMixture(tol=1e-2, random_state=0)
        mixture.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(mixture, {"n_components": [1, 2]}, cv=folds, error_score="raise")
        search.fit(X, sample_weight=weights)

    for fold, (train, test) in enumerate(folds.split(X)):
        for place, n_components in enumerate((1, 2)):
            model = GaussianMixture(n_components, tol=1e-2, random_state=0)
            model.fit(X[train], sample_weight=weights[train])
            expected = np.average(model.score_samples(X[test]), weights=weights[test])
            assert search.cv_results_[f"split{fold}_test_score"][place] == pytest.approx(expected, rel=1e-12)


def rows_of_the_check():
    """The rows of scikit-learn's check_sample_weight_equivalence_on_dense_data: weighted, and repeated."""
    random = np.random.RandomState(42)
    X = random.rand(15, 30)
    random.randint(0, 3, size=15)  # its y
    weights = random.randint(0, 5, size=15)
    repeated = X.repeat(weights, axis=0)
    return *shuffle(X, weights, random_state=0), repeated


def test_on_the_rows_of_scikit_learn_s_check_weights_are_repetitions():
    """From the same start. In the check the start is random, see the next test."""
    X, weights, repeated_rows = rows_of_the_check()
    start = {"weights_init": [0.5, 0.5], "means_init": X[:2], "precisions_init": [np.eye(30)] * 2}
    weighted = GaussianMixture(2, **start).fit(X, sample_weight=weights)
    repeated = GaussianMixture(2, **start).fit(repeated_rows)
    assert difference(weighted, repeated) < 1e-10
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("init_params", ["kmeans", "random"])
def test_on_the_rows_of_scikit_learn_s_check_the_random_starts_differ(init_params):
    """One draw is made for each row, and there are more rows where they are repeated."""
    X, weights, repeated_rows = rows_of_the_check()
    model = GaussianMixture(2, init_params=init_params, random_state=0, max_iter=0)
    weighted = sklearn.clone(model).fit(X, sample_weight=weights).means_
    repeated = model.fit(repeated_rows).means_
    for means in (repeated, repeated[::-1]):
        assert np.abs(weighted - means).max() > 1e-3
