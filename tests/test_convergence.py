"""Rules of convergence: what each measures, invariance to units and order, and when Aitken's rule ends a fit."""

import math

import numpy as np
import pytest
from fits import model_at
from reference import FAMILIES, rows_for, start_at
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture, PoissonMixture
from fastem.em.convergence import RULES, Iteration, by_aitken

DEATHS = np.repeat(np.arange(10), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])[:, None]
MAXIMUM = -1989.945859882964 / len(DEATHS)  # per row, of two Poisson distributions


def from_bounds(*bounds):
    return by_aitken(Iteration(None, None, None, list(bounds), bounds[-1] - bounds[-2]))


def fitted(model, X, **options):
    return model.set_params(**{"max_iter": 5000, **options}).fit(X)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.99])
def test_aitken_knows_the_limit_of_a_geometric_sequence(ratio):
    bounds = [-3.0 - ratio**i for i in range(3)]
    assert from_bounds(*bounds) == pytest.approx(-3.0 - bounds[-1], rel=1e-10)


def test_aitken_waits_where_gains_grow_and_ends_where_rounding_does():
    assert from_bounds(-3.0, -2.9, -2.7) == math.inf
    assert from_bounds(-3.0, -2.0) == math.inf
    assert from_bounds(-3.0, -2.0, -2.0) == 0.0
    assert from_bounds(-3.0, -2.0, np.nextafter(-2.0, -3.0)) < 1e-15


@pytest.mark.parametrize("tol", [1e-6, 1e-7, 1e-8])
def test_aitken_ends_as_near_to_the_maximum_as_asked_where_the_change_of_the_bound_ends_early(tol):
    start = {"weights_init": [0.5, 0.5], "rates_init": [[1.0], [3.0]], "tol": tol}
    models = {rule: PoissonMixture(2, convergence=rule, **start) for rule in RULES}
    gains = {rule: MAXIMUM - fitted(model, DEATHS).lower_bound_ for rule, model in models.items()}
    assert 0.0 <= gains["aitken"] < 3.0 * tol
    assert gains["bound"] > 5.0 * gains["aitken"]
    assert gains["bound"] > 10.0 * tol


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_no_longer_move_where_that_is_the_rule(family):
    X = rows_for(family)
    start = start_at(family, X, X[:2] + 0.5)
    model = fitted(model_at(start), X, tol=1e-6, convergence="parameters")
    assert model.converged_
    assert model.stop_reason_ == "tol"
    reached, n_iter = model_parameters(model), model.n_iter_
    with pytest.warns(ConvergenceWarning):
        fitted(model, X, warm_start=True, max_iter=1, tol=0.0)
    for name, value in model_parameters(model).items():
        np.testing.assert_allclose(value, reached[name], rtol=1e-6, atol=1e-5)
    assert n_iter > fitted(model_at(start), X, tol=1e-6).n_iter_, "the bound is flat before parameters stop moving"


def model_parameters(model):
    names = ("weights_", "means_", "covariances_", "rates_")
    return {name: getattr(model, name).copy() for name in names if hasattr(model, name)}


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("prior", [None, "conjugate"])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("rule", ["parameters", "aitken"])
def test_neither_units_nor_the_order_of_components_change_when_a_fit_ends(
    rule, covariance_type, prior, background, rng
):
    X = rng.normal(size=(300, 3)) + 2.0 * rng.integers(2, size=(300, 1))
    means = np.array([[0.0] * 3, [2.0] * 3])

    def iterations(scale, order, origin=0.0):
        weights = np.array([0.4, 0.5, 0.1])[[*order, 2]] if background else np.array([0.4, 0.6])[order]
        start = {"means_init": (scale * means + origin)[order], "weights_init": weights}
        options = {"prior": prior, "background": background, "reg_covar": 0.0, "random_state": 0, "tol": 1e-7}
        precisions = {"full": np.eye(3)[None].repeat(2, 0), "tied": np.eye(3), "diag": np.ones((2, 3))}
        start["precisions_init"] = precisions.get(covariance_type, np.ones(2)) / scale**2
        model = GaussianMixture(2, covariance_type=covariance_type, convergence=rule, **start, **options)
        return fitted(model, scale * X + origin).n_iter_

    n_iter = iterations(1.0, [0, 1])
    assert 3 < n_iter < 1000
    assert iterations(2.0**10, [0, 1]) == n_iter
    assert abs(iterations(1e-3, [1, 0]) - n_iter) <= 1
    assert abs(iterations(1.0, [1, 0], origin=8.0) - n_iter) <= 1


@pytest.mark.parametrize(
    "options", [{"algorithm": "incremental"}, {"algorithm": "sparse"}, {"acceleration": "squarem"}]
)
@pytest.mark.parametrize("rule", list(RULES))
def test_every_algorithm_ends_by_every_rule(rule, options):
    X = rows_for("full")
    model = fitted(GaussianMixture(2, random_state=0, convergence=rule, **options), X, tol=1e-6)
    plain = fitted(GaussianMixture(2, random_state=0), X, tol=1e-10)
    assert model.converged_
    assert model.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-3)


def test_another_rule_is_refused():
    with pytest.raises(ValueError, match="convergence"):
        GaussianMixture(convergence="gradient").fit(rows_for("full"))
