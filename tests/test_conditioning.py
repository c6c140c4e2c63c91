"""Marginals, conditionals and regression: the rules of probability, and agreement with brute force."""

import numpy as np
import pandas as pd
import pytest
from fits import model_at
from hypothesis import given, settings
from hypothesis import strategies as st
from models import difference
from reference import FAMILIES, GAUSSIAN_FAMILIES, rows_for, start_at
from scipy.integrate import trapezoid

from fastem import GaussianMixture, load

N_FEATURES = 4

by_family = pytest.mark.parametrize("family", FAMILIES)
by_gaussian_family = pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)


def fitted(family, dtype=np.float64):
    X = rows_for(family, 400, N_FEATURES)
    return model_at(start_at(family, X, X[:3] + 0.5), max_iter=500).fit(X.astype(dtype)), X


@by_family
@settings(max_examples=10, deadline=None)
@given(chosen=st.lists(st.integers(0, N_FEATURES - 1), min_size=1, max_size=N_FEATURES - 1, unique=True))
def test_marginal_times_conditional_is_the_mixture(family, chosen):
    model, X = fitted(family)
    rest = [column for column in range(N_FEATURES) if column not in chosen]
    for row in X[:5]:
        conditional = model.conditional({column: row[column] for column in chosen})
        joint = model.marginal(chosen).score_samples([row[chosen]]) + conditional.score_samples([row[rest]])
        np.testing.assert_allclose(joint, model.score_samples([row]), rtol=1e-10)
        np.testing.assert_allclose(conditional.weights_.sum(), 1.0)


@by_family
def test_marginals_of_marginals_are_marginals(family):
    model, _ = fitted(family)
    assert difference(model.marginal([3, 0, 1]).marginal([2, 0]), model.marginal([1, 3])) < 1e-12
    assert difference(model.marginal(range(N_FEATURES)), model) < 1e-12


@by_family
def test_conditions_may_come_one_after_the_other(family):
    model, X = fitted(family)
    at_once = model.conditional({0: X[0, 0], 2: X[0, 2]})
    in_turn = model.conditional({2: X[0, 2]}).conditional({0: X[0, 0]})
    assert difference(at_once, in_turn) < 1e-10


@by_gaussian_family
def test_a_marginal_is_the_integral_of_the_mixture(family):
    X = rows_for(family, 400, 2)
    model = model_at(start_at(family, X, X[:3] + 0.5), max_iter=500).fit(X)
    grid = np.linspace(X[:, 1].min() - 10 * X[:, 1].std(), X[:, 1].max() + 10 * X[:, 1].std(), 20001)
    for value in X[:3, 0]:
        rows = np.column_stack([np.full_like(grid, value), grid])
        density = trapezoid(np.exp(model.score_samples(rows)), grid)
        np.testing.assert_allclose(np.exp(model.marginal([0]).score_samples([[value]])), density, rtol=1e-8)


@by_family
def test_regression_is_the_mean_and_variance_of_the_conditional(family):
    model, X = fitted(family)
    mean, variance = model.regress(X[:6][:, [0, 2]], target=[3, 1])
    for i, row in enumerate(X[:6]):
        conditional = model.conditional({0: row[0], 2: row[2]})
        if family == "poisson":
            means = variances = conditional.rates_
        else:
            means, covariances = conditional.means_, np.asarray(conditional.covariances_)
            if family in ("full", "tied"):
                covariances = np.diagonal(np.broadcast_to(covariances, (3, 2, 2)), axis1=1, axis2=2)
            variances = np.broadcast_to(covariances.reshape(len(covariances), -1), (3, 2))
        expected = conditional.weights_ @ means
        spread = conditional.weights_ @ (variances + means**2) - expected**2
        np.testing.assert_allclose(mean[i], expected[::-1], rtol=1e-8)
        np.testing.assert_allclose(variance[i], spread[::-1], rtol=1e-6)


def test_regression_on_one_component_is_least_squares(rng):
    X = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3))
    model = GaussianMixture(reg_covar=0.0).fit(X)
    design = np.column_stack([np.ones(500), X[:, :2]])
    coefficients, residuals, *_ = np.linalg.lstsq(design, X[:, 2])
    mean, variance = model.regress(X[:, :2], target=2)
    np.testing.assert_allclose(mean, design @ coefficients, atol=1e-10)
    np.testing.assert_allclose(variance, residuals[0] / 500, rtol=1e-10)


def test_regression_of_many_rows_is_that_of_each():
    model, X = fitted("full")
    many = np.tile(X[:, :3], (60, 1))
    mean, variance = model.regress(many, target=3)
    few = model.regress(X[:, :3], target=3)
    np.testing.assert_allclose(mean[-len(X) :], few[0], rtol=1e-13)
    np.testing.assert_allclose(variance[-len(X) :], few[1], rtol=1e-13)


@by_family
def test_samples_given_values_have_them_and_are_of_the_conditional(family):
    model, X = fitted(family)
    model.set_params(random_state=0)
    condition = {1: X[0, 1], 3: X[0, 3]}
    rows, labels = model.sample(20000, given=condition)
    assert (rows[:, [1, 3]] == X[0, [1, 3]]).all()
    mean, variance = model.regress([X[0, [1, 3]]], target=[0, 2])
    error = np.sqrt(variance[0] / len(rows))
    assert (abs(rows[:, [0, 2]].mean(axis=0) - mean[0]) < 5 * error).all()
    shares = model.conditional(condition).weights_
    np.testing.assert_allclose(np.bincount(labels, minlength=3) / len(rows), shares, atol=0.02)


def test_columns_have_names_where_the_data_had(tmp_path):
    X = pd.DataFrame(rows_for("full", 300, 3), columns=["a", "b", "c"])
    model = GaussianMixture(2, random_state=0).fit(X)
    assert model.marginal(["c", "a"]).feature_names_in_.tolist() == ["c", "a"]
    conditional = model.conditional({"b": 1.0})
    assert conditional.feature_names_in_.tolist() == ["a", "c"]
    assert difference(conditional, model.conditional({1: 1.0})) == 0.0
    assert difference(model.marginal(["b"]), model.marginal([-2])) == 0.0
    conditional.save(tmp_path / "model.json")
    assert difference(load(tmp_path / "model.json"), conditional) == 0.0
    conditional.predict(X[["a", "c"]])


def test_float32_stays_float32():
    single, X = fitted("full", np.float32)
    double, _ = fitted("full")
    assert single.conditional({0: 1.0}).means_.dtype == single.marginal([0]).covariances_.dtype == np.float32
    rows = X[:5, 1:].astype(np.float32)
    assert single.regress(rows, target=0)[0].dtype == np.float32
    np.testing.assert_allclose(single.regress(rows, 0)[0], double.regress(rows, 0)[0], rtol=1e-3)


def test_a_derived_mixture_can_be_fitted_again():
    model, X = fitted("full")
    again = model.marginal([0, 1])
    again.fit(X[:, :2])
    assert again.converged_


def test_wrong_arguments():
    model, X = fitted("full")
    for message, call in {
        "there is no column 4: the mixture has 4 columns, and no names": lambda: model.marginal([4]),
        "there is no column -5": lambda: model.marginal([-5]),
        "there is no column 'a'": lambda: model.marginal(["a"]),
        "there is no column 1.0": lambda: model.marginal([1.0]),
        "a column appears twice": lambda: model.marginal([0, -4]),
        "no column is named": lambda: model.conditional({}),
        "all columns are named": lambda: model.conditional(dict.fromkeys(range(4), 1.0)),
        "given contains NaN": lambda: model.conditional({0: np.nan}),
        "X has 4 columns, where 3 are left": lambda: model.regress(X, target=0),
        "all columns are named:": lambda: model.regress(X, target=range(4)),
        "n_samples": lambda: model.sample(0, given={0: 1.0}),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_weights_are_kept_to_the_last_bit_and_those_of_a_start_sum_to_one():
    X = rows_for("full", 60)
    model = GaussianMixture(3, random_state=0, tol=0.1).fit(X)
    model.weights_ = model.weights_ * (1.0 + 1e-7)  # as rounding to float32 might leave them
    np.testing.assert_array_equal(model.marginal([0]).weights_, model.weights_)
    start = GaussianMixture(3, init_params="random_from_data", max_iter=0, random_state=0).fit(X)
    assert start.weights_.sum() < 0.1
    np.testing.assert_allclose(start.marginal([0]).weights_, start.weights_ / start.weights_.sum())
