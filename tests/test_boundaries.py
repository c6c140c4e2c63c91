"""Parameters and probabilities of zero: weights, rates, rows of density zero, responsibilities that underflow."""

import numpy as np
import pytest
from fits import run
from scipy.stats import multivariate_normal

from fastem import GaussianMixture, PoissonMixture, Stepwise

METHODS = ["squarem", "anderson"]


def counts(n_rows=2000):
    rng = np.random.default_rng(0)
    return rng.poisson([[3.0, 9.0]] + 4.0 * rng.integers(2, size=(n_rows, 1))).astype(float)


def with_zeros(X):
    return np.column_stack([X, np.zeros(len(X))])


def gaussian(weights, **options):
    start = {"means_init": [[0.0, 0.0], [3.0, 3.0]], "precisions_init": [np.eye(2)] * 2, "weights_init": weights}
    return GaussianMixture(2, **start, **options)


def test_averages_of_a_component_of_weight_zero(rng):
    X = rng.normal(size=(400, 2))
    model = run(gaussian([1.0, 0.0], algorithm=Stepwise(batch_size=50, averaging=True)), X, 4)
    assert model.weights_.tolist() == [1.0, 0.0]
    assert np.abs(model.means_[0] - X.mean(axis=0)).max() < 0.05
    density = multivariate_normal(model.means_[0], model.covariances_[0]).logpdf(X).mean()
    assert model.lower_bound_ == pytest.approx(density, rel=1e-12)


def test_averages_beside_a_column_without_counts():
    """Zeros have probability one under a rate of zero, so the averages of the other columns do not change."""
    X = counts()
    options = {"algorithm": Stepwise(batch_size=200, averaging=True), "random_state": 0}
    start = {"weights_init": [0.5, 0.5], "rates_init": np.array([[3.0, 9.0], [7.0, 13.0]])}
    model = run(PoissonMixture(2, **start, **options), X, 4)
    start["rates_init"] = with_zeros(start["rates_init"])
    beside = run(PoissonMixture(2, **start, **options), with_zeros(X), 4)
    assert (beside.rates_[:, 2] == 0.0).all()
    np.testing.assert_allclose(beside.rates_[:, :2], model.rates_, rtol=1e-12)
    assert beside.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-12)


@pytest.mark.parametrize("acceleration", METHODS)
def test_acceleration_beside_a_column_without_counts(acceleration):
    X = counts(1000)
    options = {"acceleration": acceleration, "tol": 1e-9, "max_iter": 2000, "random_state": 0}
    model = PoissonMixture(2, **options).fit(X)
    beside = PoissonMixture(2, **options).fit(with_zeros(X))
    assert (beside.rates_[:, 2] == 0.0).all()
    assert beside.n_iter_ == model.n_iter_
    np.testing.assert_allclose(beside.rates_[:, :2], model.rates_, rtol=1e-6)
    assert beside.n_iter_ < PoissonMixture(2, **{**options, "acceleration": None}).fit(X).n_iter_ / 2


@pytest.mark.parametrize("acceleration", METHODS)
def test_acceleration_beside_a_component_of_weight_zero(acceleration):
    """The other two components need as many passes as alone."""
    X, rates = counts(1000), np.array([[3.0, 9.0], [7.0, 13.0], [1.0, 1.0]])
    options = {"acceleration": acceleration, "tol": 1e-9, "max_iter": 2000}
    two = PoissonMixture(2, weights_init=[0.5, 0.5], rates_init=rates[:2], **options).fit(X)
    three = PoissonMixture(3, weights_init=[0.5, 0.5, 0.0], rates_init=rates, **options).fit(X)
    assert three.weights_[2] == 0.0
    assert three.n_iter_ == two.n_iter_
    np.testing.assert_allclose(three.rates_[:2], two.rates_, rtol=1e-6)


def test_sparse_em_has_no_use_for_a_row_without_weight_that_no_component_allows():
    X = with_zeros(counts(300))
    X[0, 2] = 3.0
    weights = np.where(np.arange(300) == 0, 0.0, 1.0)
    for options in ({"random_state": 0}, {"random_state": 0, "weights_prior": 2.0}):
        model = run(PoissonMixture(2, algorithm="sparse", **options), X, 8, weights)
        without = run(PoissonMixture(2, algorithm="sparse", **options), X[1:], 8)
        np.testing.assert_allclose(model.rates_, without.rates_, rtol=1e-9)
        assert model.lower_bound_ == pytest.approx(without.lower_bound_, rel=1e-12)


def far_away():
    """Rows at 0, 1000 and 50, plausibilities that restrict the first three, and a model with components there."""
    rng = np.random.default_rng(0)
    means = np.array([[0.0], [1000.0], [50.0]])
    X = np.repeat(means, 50, axis=0) + rng.normal(size=(150, 1))
    allowed = np.ones((150, 3))
    allowed[0], allowed[1], allowed[2] = [0, 1, 1], [0, 1, 0], [0, 0, 3]
    options = {"means_init": means, "precisions_init": np.ones((3, 1, 1)), "weights_init": [1 / 3] * 3}
    return X, allowed, GaussianMixture(3, fixed=["means", "covariances"], **options)


@pytest.mark.parametrize("noisy", [False, True])
def test_the_nearest_of_allowed_components_is_chosen_where_all_their_shares_underflow(noisy):
    X, allowed, model = far_away()
    noise = np.full((150, 1), 0.1) if noisy else None
    assert model.fit_predict(X, labels=allowed, noise=noise)[:4].tolist() == [2, 1, 2, 0]


def test_the_heaviest_of_allowed_components_is_chosen_where_none_allows_the_row():
    X = with_zeros(counts(300))
    X[0, 2] = 3.0
    weights, allowed = np.where(np.arange(300) == 0, 0.0, 1.0), np.ones((300, 3))
    allowed[0] = [1, 0, 1]
    start = {"weights_init": [0.1, 0.6, 0.3], "rates_init": [[3, 9, 0.0], [7, 13, 0.0], [5, 11, 0.0]]}
    model = PoissonMixture(3, fixed=["rates", "weights"], **start)
    assert model.fit_predict(X, sample_weight=weights, labels=allowed)[0] == 2


@pytest.mark.parametrize("rate", [-0.5, -1e-300])
def test_rates_below_zero_are_refused(rate):
    with pytest.raises(ValueError, match="'rates' should be non-negative"):
        PoissonMixture(2, rates_init=[[1.0], [rate]]).fit([[1.0], [2.0], [3.0]])


@pytest.mark.parametrize("diagonal", [(1.0, -1.0), (1.0, 0.0), (-1.0, -1.0)])
def test_matrices_whose_diagonal_is_not_positive_are_refused_without_a_warning(diagonal):
    with pytest.raises(ValueError, match="positive-definite"):
        GaussianMixture(1, precisions_init=[np.diag(diagonal)]).fit(np.eye(2))
