"""A background: agreement with the formulas of one more component of constant density, and fits among outliers."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from backgrounds import (
    CENTRES,
    WEIGHTS,
    K,
    by_algorithm,
    by_family,
    clusters,
    fitted,
    joint,
    model_beside,
    naive_em,
    problem_of,
    volume_of,
)
from fits import precisions_of, run
from models import difference, failure, learned, parameters_of
from reference import GAUSSIAN_FAMILIES, start_at
from scipy.special import logsumexp
from sklearn.metrics import adjusted_rand_score

from fastem import GaussianMixture, Sparse, Stepwise

pytestmark = pytest.mark.slow

# The likelihood


@pytest.mark.parametrize("volume", [None, 1e5])
@pytest.mark.parametrize("weighted", [False, True])
@by_family
def test_iterations_are_those_of_a_naive_em(family, weighted, volume):
    X, start = problem_of(family)
    sample_weight = np.random.default_rng(2).uniform(0.5, 2.0, size=len(X)) if weighted else None
    options = {} if volume is None else {"background": volume}
    model = run(model_beside(start, **options), X, 12, sample_weight)
    parameters, weights, bounds = naive_em(X, start, 12, volume or volume_of(X), sample_weight)
    np.testing.assert_allclose(model.weights_, weights, rtol=1e-10)
    np.testing.assert_allclose(model.means_, parameters.means, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.covariances_, parameters.covariances, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-12)


@by_family
def test_what_a_fitted_model_says_is_what_the_formulas_say(family):
    X, start = problem_of(family)
    model = run(model_beside(start), X, 5)
    parameters, weights, _ = naive_em(X, start, 5, volume_of(X))
    log_joint = joint(X, parameters, weights, volume_of(X))
    rows = logsumexp(log_joint, axis=1)
    shares = np.exp(log_joint - rows[:, None])
    np.testing.assert_allclose(model.score_samples(X), rows, rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), shares, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(model.predict(X), np.array([0, 1, 2, -1])[log_joint.argmax(axis=1)])
    assert model.score(X) == pytest.approx(rows.mean(), rel=1e-12)
    assert model.background_log_density_ == pytest.approx(-np.log(volume_of(X)), rel=1e-12)
    np.testing.assert_array_equal(model.background_, [X.min(axis=0), X.max(axis=0)])
    plain = GaussianMixture(K, covariance_type=family, reg_covar=0.0).fit(X).n_parameters_
    n_parameters = plain + 1
    assert model.bic(X) == pytest.approx(-2 * rows.sum() + n_parameters * np.log(len(X)), rel=1e-12)
    assert model.aic(X) == pytest.approx(-2 * rows.sum() + 2 * n_parameters, rel=1e-12)
    entropy = -np.sum(np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1.0)), 0.0))
    assert model.icl(X) == pytest.approx(model.bic(X) + 2 * entropy, rel=1e-9)


@by_algorithm
@by_family
def test_the_bound_rises_and_is_that_of_the_parameters(family, options):
    X, start = problem_of(family)
    model = run(model_beside(start, **options), X, 15)
    assert model.weights_.shape == (K + 1,)
    np.testing.assert_allclose(model.weights_.sum(), 1.0)
    parameters = replace(parameters_of(family, model), weights=model.weights_[:K])
    reached = joint(X, parameters, model.weights_, volume_of(X))
    rows = reached.max(axis=1) if options.get("algorithm") == "hard" else logsumexp(reached, axis=1)
    if options.get("algorithm") in ("stepwise", "stochastic"):
        assert model.lower_bound_ == pytest.approx(rows.mean(), rel=1e-12)
    else:  # of the parameters before the last M-step
        assert np.diff(model.lower_bounds_).min() > -1e-9
        assert -1e-12 < rows.mean() - model.lower_bound_ < 1e-2
    before = logsumexp(joint(X, start, WEIGHTS, volume_of(X)), axis=1).mean()
    assert rows.mean() > before + 0.1


@by_algorithm
@by_family
def test_all_algorithms_end_where_em_does(family, options):
    X, _ = clusters(n_rows=2000)
    start = start_at(family, X, CENTRES + 0.5)
    expected = model_beside(start, tol=1e-11, max_iter=3000).fit(X)
    approximate = options.get("algorithm") in ("hard", "stochastic", "stepwise")
    if options.get("algorithm") == "stepwise":
        options = {"algorithm": Stepwise(batch_size=500, exponent=0.9)}
    if approximate:
        model = run(model_beside(start, **options), X, 40)
    else:
        model = model_beside(start, tol=1e-11, max_iter=3000, **options).fit(X)
    assert abs(model.score(X) - expected.score(X)) < (0.02 if approximate else 1e-7)


def test_sparse_sets_hold_the_background_even_if_nothing_else_is_plausible():
    """Two groups of rows far apart, and outliers for which no component is plausible."""
    random = np.random.default_rng(0)
    X = np.vstack([c + random.normal(size=(300, 2)) for c in ([0, 0], [900, 0])] + [[[450.0, 5e3]], [[450.0, -5e3]]])
    options = {"background": True, "random_state": 0, "tol": 1e-10, "max_iter": 100}
    expected = GaussianMixture(2, **options).fit(X)
    for algorithm in (Sparse(0.3, 2), Sparse(0.0, 2), Sparse()):
        model = GaussianMixture(2, algorithm=algorithm, **options).fit(X)
        assert difference(model, expected) < 1e-6
        np.testing.assert_array_equal(model.predict(X[-2:]), -1)


def test_no_weight_is_the_mixture_without_a_background():
    X, start = problem_of("full")
    weights = np.array([0.3, 0.3, 0.4])
    model = run(model_beside(start, weights_init=[*weights, 0.0]), X, 5)
    plain = run(model_beside(start, weights_init=weights, background=False), X, 5)
    assert model.weights_[-1] == 0.0
    for name in ("means_", "covariances_"):
        np.testing.assert_allclose(getattr(model, name), getattr(plain, name), rtol=1e-12)
    np.testing.assert_allclose(model.score_samples(X), plain.score_samples(X), rtol=1e-12)


# Outliers


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
@by_family
def test_clusters_are_found_among_outliers_where_the_plain_mixture_loses_them(family, init_params):
    for seed in range(3):
        X, labels = clusters(seed)
        options = {"covariance_type": family, "init_params": init_params, "random_state": seed, "max_iter": 500}
        model = GaussianMixture(3, background=True, **options).fit(X)
        distances = np.linalg.norm(model.means_[:, None] - CENTRES, axis=2)
        assert sorted(distances.argmin(axis=1)) == [0, 1, 2]
        assert distances.min(axis=1).max() < 0.3
        assert model.weights_[-1] == pytest.approx(0.2, abs=0.04)
        assert adjusted_rand_score(labels, model.predict(X)) > 0.9
        plain = GaussianMixture(3, **options).fit(X)
        inside = labels >= 0
        assert adjusted_rand_score(labels[inside], plain.predict(X[inside])) < 0.8


def test_a_start_of_a_row_each_does_not_leave_all_others_to_the_background():
    X, _ = clusters()
    for family in GAUSSIAN_FAMILIES:
        model, _ = fitted(family, init_params="random_from_data")
        assert model.weights_[-1] < 0.35
        assert len(model.predict(X)) == len(X)


def test_rows_without_outliers_leave_the_background_little():
    X = CENTRES.repeat(300, axis=0) + np.random.default_rng(0).normal(size=(900, 2))
    model = GaussianMixture(3, background=True, random_state=0, tol=1e-6, max_iter=500).fit(X)
    assert model.weights_[-1] < 0.05
    assert np.linalg.norm(model.means_[:, None] - CENTRES, axis=2).min(axis=1).max() < 0.2


def test_far_rows_are_background_wherever_they_are():
    model, X = fitted()
    far = np.array([[1e6, 0.0], [-1e150, 1e150], [3.0, -1e9]])
    np.testing.assert_array_equal(model.predict(far), -1)
    np.testing.assert_allclose(model.predict_proba(far), np.eye(4)[[3, 3, 3]])
    expected = np.log(model.weights_[-1]) + model.background_log_density_
    np.testing.assert_allclose(model.score_samples(far), expected)
    np.testing.assert_array_equal(model.fit_predict(X), model.predict(X))


def test_a_background_that_has_nearly_all_rows_leaves_the_components_something_to_stand_on():
    """Responsibilities are so small that their inverses overflow."""
    random = np.random.default_rng(0)
    X = np.vstack([random.normal(size=(20, 2)), random.uniform(-1e3, 1e3, size=(2000, 2))])
    for family, dtype in itertools.product(GAUSSIAN_FAMILIES, (np.float64, np.float32)):
        start = start_at(family, X[:20], X[:2])
        model = GaussianMixture(
            2,
            covariance_type=family,
            background=True,
            weights_init=[0.005, 0.005, 0.99],
            means_init=start.means,
            precisions_init=precisions_of(start),
        ).fit(X.astype(dtype))
        assert all(np.isfinite(value).all() for value in learned(model).values())
        assert model.weights_[-1] > 0.95


# Errors


def test_wrong_arguments():
    X, _ = clusters(n_rows=60)
    for wrong in (-1.0, 0.0, 0, np.nan, np.inf, "yes", None):
        message = failure(GaussianMixture(3, background=wrong), X)
        assert "The 'background' parameter of GaussianMixture must be" in message
    message = failure(GaussianMixture(3, background=True, weights_init=[0.5, 0.25, 0.25]), X)
    assert "'weights' should have the shape of (4,), but got (3,)" in message
    message = failure(GaussianMixture(3, weights_init=[0.25] * 4), X)
    assert "'weights' should have the shape of (3,), but got (4,)" in message
    flat = np.column_stack([X, np.full(len(X), 2.5)])
    message = failure(GaussianMixture(3, background=True), flat)
    assert "column 2 (counted from 0) is 2.5 in all rows" in message
    assert GaussianMixture(3, background=50.0, random_state=0).fit(flat).weights_.shape == (4,)
    fixed = {"weights": [True, False, False]}
    message = failure(GaussianMixture(3, background=True, weights_init=[0.25] * 4, fixed=fixed), X)
    assert "fixed['weights'] must be True, or 4 truth values" in message


def test_a_volume_cannot_be_divided_between_columns():
    X, _ = clusters()
    model = GaussianMixture(3, background=2500.0, random_state=0).fit(X)
    for wrong in (
        lambda: model.marginal([0]),
        lambda: model.conditional({0: 1.0}),
        lambda: model.regress(X[:3, :1], target=1),
        lambda: model.sample(3, given={0: 1.0}),
    ):
        with pytest.raises(ValueError, match=r"background=2500.0 is a volume, which cannot be divided"):
            wrong()
    assert model.sample(5)[0].shape == (5, 2)


def test_a_warm_start_needs_as_many_weights():
    X, _ = clusters()
    model = GaussianMixture(3, warm_start=True, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"background_log_density_ is missing, where .* and background=True"):
        model.set_params(background=True).fit(X)
