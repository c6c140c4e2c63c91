"""Starts from an array: the component of each row, or its responsibilities."""

import re

import numpy as np
import pandas as pd
import pytest
from fits import run
from sklearn.base import clone

from fastem import GaussianMixture, PoissonMixture, Source, load
from fastem.datasets import load_faithful, load_iris
from fastem.em.initialization.clustering import cluster, cluster_known
from fastem.persistence.checkpoint import CheckpointError

IRIS, FAITHFUL = load_iris().values, load_faithful().values
SPECIES = np.repeat(np.arange(3), 50)
LONG = (FAITHFUL[:, 0] > 3).astype(int)
GAUSSIANS = ("full", "tied", "diag", "spherical")
FAMILIES = (*GAUSSIANS, "poisson")

# Total log-likelihoods where EM from the classification ends: structures VVV, EEE, VVI and VII of mclust.
IRIS_MAXIMA = {"full": -180.185477, "tied": -256.354043, "diag": -306.860461, "spherical": -384.314095}
FAITHFUL_MAXIMA = {"full": -1130.263960, "tied": -1140.186759, "diag": -1147.806353, "spherical": -1709.529282}


def mixture(family, n_components=3, **options):
    if family == "poisson":
        return PoissonMixture(n_components, **options)
    return GaussianMixture(n_components, covariance_type=family, **options)


def rows_of(family):
    return np.round(10 * IRIS) if family == "poisson" else IRIS


def assert_same(one, other):
    for name in ("weights_", "means_", "rates_", "covariances_", "precisions_cholesky_", "lower_bounds_"):
        if hasattr(one, name):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def soft(n_rows=150, n_components=3, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(n_components), n_rows)


@pytest.mark.parametrize(
    ("X", "labels", "family", "maximum"),
    [
        *((IRIS, SPECIES, family, IRIS_MAXIMA[family]) for family in GAUSSIANS),
        *((FAITHFUL, LONG, family, FAITHFUL_MAXIMA[family]) for family in GAUSSIANS),
    ],
)
def test_em_from_a_classification_ends_at_the_known_maximum(X, labels, family, maximum):
    model = mixture(family, labels.max() + 1, init_params=labels, reg_covar=0.0, tol=1e-12, max_iter=5000).fit(X)
    assert abs(model.score(X) * len(X) - maximum) < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_are_responsibilities_of_zeros_and_ones_to_the_last_bit(family):
    X, one_hot = rows_of(family), np.eye(3)[SPECIES]
    fits = [
        run(mixture(family, init_params=given), X, 3)
        for given in (SPECIES, SPECIES.tolist(), one_hot, np.asfortranarray(one_hot), pd.Series(SPECIES))
    ]
    for other in fits[1:]:
        assert_same(fits[0], other)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("weighted", [False, True])
def test_labels_of_k_means_start_as_k_means_does(family, weighted, rng):
    X = rows_of(family)
    weights = rng.integers(0, 4, size=150).astype(float) if weighted else None
    present = np.ones(150, bool) if weights is None else weights > 0
    labels = np.zeros(150, int)
    drawn = None if weights is None else weights[present]
    labels[present] = cluster(X[present], drawn, 3, np.random.RandomState(5))
    theirs = run(mixture(family, random_state=5), X, 3, weights)
    assert_same(run(mixture(family, init_params=labels), X, 3, weights), theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_start_is_the_m_step(family):
    X, given, weights = rows_of(family), soft(), np.arange(1.0, 151.0)
    model = run(
        mixture(family, init_params=given, **({} if family == "poisson" else {"reg_covar": 0.0})), X, 0, weights
    )
    mass = given * weights[:, None]
    np.testing.assert_allclose(model.weights_, mass.sum(0) / weights.sum())
    means = mass.T @ X / mass.sum(0)[:, None]
    np.testing.assert_allclose(model.rates_ if family == "poisson" else model.means_, means)
    if family == "full":
        residuals = X[:, None] - means
        scatter = np.einsum("nk,nki,nkj->kij", mass, residuals, residuals)
        np.testing.assert_allclose(model.covariances_, scatter / mass.sum(0)[:, None, None])


@pytest.mark.parametrize("family", FAMILIES)
def test_permuted_components_permute_the_fit(family):
    X, given, order = rows_of(family), soft(), np.array([2, 0, 1])
    plain = run(mixture(family, init_params=given), X, 5)
    permuted = run(mixture(family, init_params=given[:, order]), X, 5)
    np.testing.assert_allclose(permuted.weights_, plain.weights_[order], rtol=1e-10)
    name = "rates_" if family == "poisson" else "means_"
    np.testing.assert_allclose(getattr(permuted, name), getattr(plain, name)[order], rtol=1e-10)
    np.testing.assert_allclose(permuted.lower_bounds_, plain.lower_bounds_, rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_wrong_labels_of_rows_without_weight_change_nothing(family):
    X, weights, labels = rows_of(family), np.ones(150), SPECIES.copy()
    weights[::7] = 0.0
    labels[::7] = (labels[::7] + 1) % 3
    right = run(mixture(family, init_params=SPECIES), X, 5, weights)
    assert_same(run(mixture(family, init_params=labels), X, 5, weights), right)
    present = weights > 0
    without = run(mixture(family, init_params=SPECIES[present]), X[present], 5)
    np.testing.assert_allclose(without.weights_, right.weights_, rtol=1e-10)
    np.testing.assert_allclose(without.lower_bounds_, right.lower_bounds_, rtol=1e-12)


def test_a_weight_of_two_is_a_row_that_is_there_twice():
    weights = 1.0 + (np.arange(150) % 3 == 0)
    twice = np.repeat(np.arange(150), weights.astype(int))
    weighted = run(GaussianMixture(3, init_params=SPECIES), IRIS, 5, weights)
    repeated = run(GaussianMixture(3, init_params=SPECIES[twice]), IRIS[twice], 5)
    np.testing.assert_allclose(weighted.means_, repeated.means_)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_)


def test_all_rows_take_part_whatever_the_size_of_drawn_samples():
    for size in (1, 10, 1000):
        model = run(GaussianMixture(3, init_params=SPECIES, init_size=size), IRIS, 0)
        np.testing.assert_allclose(model.means_, IRIS.reshape(3, 50, 4).mean(axis=1))


def test_sums_within_rounding_of_one_are_one():
    given = soft()
    plain = run(GaussianMixture(3, init_params=given), IRIS, 3)
    rounded = run(GaussianMixture(3, init_params=given.astype(np.float32)), IRIS, 3)
    scaled = run(GaussianMixture(3, init_params=given * (1 - 9e-7)), IRIS, 3)
    assert abs(rounded.weights_.sum() - 1.0) < 1e-14
    np.testing.assert_allclose(rounded.means_, plain.means_, rtol=1e-5)
    np.testing.assert_allclose(scaled.means_, plain.means_, rtol=1e-12)


def test_initial_parameters_take_the_place_of_the_start_s():
    weights, means, precisions = np.array([0.2, 0.3, 0.5]), IRIS[[0, 60, 120]], np.tile(2.0 * np.eye(4), (3, 1, 1))
    options = {"init_params": SPECIES, "weights_init": weights, "means_init": means}
    model, plain = run(GaussianMixture(3, **options), IRIS, 0), run(GaussianMixture(3, init_params=SPECIES), IRIS, 0)
    np.testing.assert_array_equal(model.weights_, weights)
    np.testing.assert_allclose(model.means_, means)
    np.testing.assert_array_equal(model.covariances_, plain.covariances_)
    whole = run(GaussianMixture(3, precisions_init=precisions, **options), IRIS, 0)
    np.testing.assert_allclose(whole.precisions_, precisions)
    fixed = run(GaussianMixture(3, fixed="means", **options), IRIS, 3)
    np.testing.assert_allclose(fixed.means_, means)


def test_missing_values_start_as_their_k_means_does():
    X = IRIS.copy()
    X[::5, 1] = X[1::7, 3] = np.nan
    labels = cluster_known(X, None, None, 3, np.random.RandomState(5))
    theirs = run(GaussianMixture(3, random_state=5, missing="marginalize"), X, 3)
    for given in (labels, np.eye(3)[labels]):
        assert_same(run(GaussianMixture(3, init_params=given, missing="marginalize"), X, 3), theirs)


def test_a_background_has_no_label_and_starts_with_its_usual_weight():
    model = run(GaussianMixture(3, init_params=SPECIES, background=True), IRIS, 0)
    plain = run(GaussianMixture(3, init_params=SPECIES), IRIS, 0)
    np.testing.assert_allclose(model.weights_, [*plain.weights_ / 2, 0.5])
    np.testing.assert_array_equal(model.means_, plain.means_)
    with pytest.raises(ValueError, match=re.escape("(150, 3)")):
        GaussianMixture(3, init_params=soft(n_components=4), background=True).fit(IRIS)


def test_known_labels_hold_whatever_the_start():
    known = np.where(np.arange(150) % 2, SPECIES, -1)
    start = (SPECIES + (np.arange(150) % 10 == 1)) % 3  # which contradicts some of them
    model = GaussianMixture(3, init_params=start, tol=1e-6, max_iter=1000)
    assert (model.fit_predict(IRIS, labels=known)[1::2] == SPECIES[1::2]).all()


@pytest.mark.parametrize("known", [{"noise": np.full((150, 4), 1e-4)}, {"projection": np.tile(np.eye(4), (150, 1, 1))}])
def test_rows_with_errors_or_projections_start_from_the_array_too(known):
    model = GaussianMixture(3, init_params=SPECIES, tol=1e-6, max_iter=1000).fit(IRIS, **known)
    assert (model.predict(IRIS) == SPECIES).mean() > 0.95


@pytest.mark.parametrize("family", ["full", "diag", "spherical"])
def test_a_component_without_rows_is_named_where_it_has_no_covariance(family):
    with pytest.raises(ValueError, match=r"It is component 1, whose size is 0 of 150 rows"):
        mixture(family, init_params=2 * (SPECIES > 0), reg_covar=0.0).fit(IRIS)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_component_without_rows_keeps_the_weight_zero_where_it_can(family):
    model = run(mixture(family, init_params=2 * (SPECIES > 0)), rows_of(family), 5)
    assert model.weights_[1] == 0.0


def changed(row, value, column=None, array=SPECIES):
    array = array.copy()
    array[row if column is None else (row, column)] = value
    return array


WRONG = {
    "short": (SPECIES[:-1], ValueError, "init_params has shape (149,): as an array it needs (150,)"),
    "columns": (soft(n_components=2), ValueError, "has shape (150, 2)"),
    "scalar": (np.array(3), ValueError, "has shape ()"),
    "cube": (np.zeros((150, 3, 1)), ValueError, "(150, 3), its responsibilities"),
    "unknown": (changed([7, 9], -1), ValueError, "holds -1 in row 7: with 3 components labels are 0 to 2"),
    "beyond": (changed(149, 3), ValueError, "holds 3 in row 149"),
    "huge": (changed(2, 2**64 - 1, array=SPECIES.astype(np.uint64)), ValueError, "holds 18446744073709551615 in row 2"),
    "masked": (np.ma.masked_equal(SPECIES, 1), ValueError, "holds -1 in row 50"),
    "floats": (SPECIES.astype(float), ValueError, "must be integers where it has one for each row, not float64"),
    "booleans": (SPECIES > 0, ValueError, "not bool"),
    "words": (["setosa"] * 150, ValueError, "must be integers"),
    "complex": (soft() + 0j, ValueError, "Complex data not supported: init_params"),
    "matrix": (np.matrix(soft()), TypeError, "np.matrix is not supported"),
    "negative": (changed(4, -0.5, 1, soft()), ValueError, "holds -0.5 in row 4, column 1"),
    "nan": (changed(4, np.nan, 2, soft()), ValueError, "holds nan in row 4, column 2"),
    "infinite": (changed(4, np.inf, 0, soft()), ValueError, "holds inf in row 4, column 0"),
    "zero": (
        changed([5, 6], 0.0, array=soft()),
        ValueError,
        "sums to 0 in row 5: responsibilities of a row sum to one",
    ),
    "sum": (soft() * (1 + 2e-6), ValueError, "sums to 1.000002 in row 0"),
    "overflow": (np.full((150, 3), 1e308), ValueError, "sums to inf in row 0"),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("family", ["full", "poisson"])
def test_what_is_no_start_is_named(family, wrong):
    given, kind, words = WRONG[wrong]
    with pytest.raises(kind, match=re.escape(words)):
        mixture(family, init_params=given).fit(rows_of(family))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_restarts_would_all_be_the_same(method):
    with pytest.raises(ValueError, match="n_init=2 where init_params is an array"):
        getattr(GaussianMixture(3, init_params=SPECIES, n_init=2), method)(IRIS)


def test_chunks_have_no_start_from_an_array():
    with pytest.raises(ValueError, match="init_params as an array needs all rows in one array"):
        GaussianMixture(3, init_params=SPECIES).fit(Source([IRIS[:75], IRIS[75:]]))


def test_a_name_that_is_none_is_an_error_of_the_parameter():
    with pytest.raises(ValueError, match="The 'init_params' parameter"):
        GaussianMixture(3, init_params="labels").fit(IRIS)
    with pytest.raises(ValueError, match="The 'init_params' parameter"):
        GaussianMixture(3, init_params=None).fit(IRIS)


def test_a_stream_starts_from_the_array_of_its_first_batch():
    model = GaussianMixture(3, init_params=SPECIES[::2]).partial_fit(IRIS[::2]).partial_fit(IRIS[1:20:2])
    assert (model.predict(IRIS) == SPECIES).mean() > 0.95
    with pytest.raises(ValueError, match=re.escape("init_params has shape (150,): as an array it needs (75,)")):
        GaussianMixture(3, init_params=SPECIES).partial_fit(IRIS[::2])


def test_a_warm_start_does_not_read_the_array():
    model = GaussianMixture(3, init_params=SPECIES, warm_start=True, tol=1e-6, max_iter=1000).fit(IRIS)
    again = model.fit(IRIS[:149])
    assert again.n_iter_ < 200


def test_the_array_is_a_parameter_like_others():
    model = GaussianMixture(3, init_params=SPECIES)
    copied = clone(model)
    np.testing.assert_array_equal(copied.get_params()["init_params"], SPECIES)
    assert "init_params=array(" in repr(model)
    assert_same(run(copied, IRIS, 3), run(GaussianMixture(3).set_params(init_params=SPECIES), IRIS, 3))


def test_the_array_is_not_written_to():
    for given in (SPECIES.copy(), soft()):
        before = given.copy()
        run(GaussianMixture(3, init_params=given), IRIS, 2)
        np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("given", [SPECIES, SPECIES.tolist(), soft()])
def test_a_saved_model_has_the_array(given, tmp_path):
    model = run(GaussianMixture(3, init_params=given), IRIS, 3)
    model.save(tmp_path / "model.json")
    loaded = load(tmp_path / "model.json")
    np.testing.assert_array_equal(loaded.init_params, given)
    assert_same(loaded, model)
    assert_same(run(loaded, IRIS, 3), model)


def test_a_checkpoint_is_of_one_array(tmp_path):
    path, options = tmp_path / "fit", {"tol": 1e-6, "max_iter": 1000}
    model = GaussianMixture(3, init_params=SPECIES, **options).fit(IRIS, checkpoint=path)
    again = GaussianMixture(3, init_params=SPECIES.tolist(), **options).fit(IRIS, checkpoint=path, resume=True)
    assert_same(again, model)
    with pytest.raises(CheckpointError, match="is of another fit: init_params was"):
        GaussianMixture(3, init_params=SPECIES[::-1], **options).fit(IRIS, checkpoint=path, resume=True)
    with pytest.raises(CheckpointError, match="is of another fit: init_params was"):
        GaussianMixture(3, random_state=0, **options).fit(IRIS, checkpoint=path, resume=True)
