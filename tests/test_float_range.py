"""Numbers near the ends of float32 and float64: rows, parameters, weights and counts."""

import numpy as np
import pytest
from fits import run
from scipy.stats import norm, poisson

from fastem import GaussianMixture, PoissonMixture
from fastem.data import Range, single_suffices

N_ROWS = 45  # whole vectors of rows, and a remainder


def at(means, deviations, **options):
    """One-dimensional components of equal weights, in float64."""
    means, deviations = np.array(means, dtype=float), np.array(deviations, dtype=float)
    weights = np.full(len(means), 1 / len(means))
    start = {
        "means_init": means[:, None],
        "precisions_init": deviations[:, None, None] ** -2.0,
        "weights_init": weights,
    }
    model = GaussianMixture(len(means), **start, **options)
    model.weights_, model.means_ = weights, means[:, None]
    model.covariances_, model.precisions_ = deviations[:, None, None] ** 2, deviations[:, None, None] ** -2.0
    model.precisions_cholesky_, model.n_features_in_ = 1 / deviations[:, None, None], 1
    model.converged_, model.lower_bound_ = True, 0.0
    return model


@pytest.mark.parametrize(
    ("value", "means", "deviations"),
    [
        (1e9, [1e9 + 25.0], [1.0]),
        (20000.0, [20000.0005], [1e-3]),
        (20000.0, [20000.0005, -5.0], [1e-3, 1e-3]),
        (1e9 + 64, [1e9 - 40.0, 1e9 + 90.0], [1.0, 1.0]),
        (1.0, [0.0, 1e-30], [1e-39, 2e-39]),
        (1.0, [2.0], [1e-25]),
    ],
)
def test_float32_rows_are_what_they_are_to_parameters_of_float64(value, means, deviations):
    """All rows are equal, both in whole vectors and in the remainder."""
    model, X = at(means, deviations), np.full((N_ROWS, 1), np.float32(value))
    wide = X.astype(np.float64)
    expected = model.score_samples(wide)
    with np.errstate(over="ignore"):
        assert (model.score_samples(X) == expected.astype(np.float32)).all()
    assert (model.predict(X) == model.predict(wide)).all()
    assert (model.predict_proba(X) == model.predict_proba(wide).astype(np.float32)).all()
    weights = np.ones(N_ROWS)
    assert model.score(X, sample_weight=weights) == pytest.approx(model.score(wide, sample_weight=weights), rel=1e-12)
    if len(means) == 1:
        truth = norm(means[0], deviations[0]).logpdf(wide[0, 0])
        assert expected[0] == pytest.approx(truth, rel=1e-9)


def test_float32_rows_far_from_narrow_components_belong_to_the_nearer_one():
    """Squares of whitened residuals overflow float32, also where the parameters are float32."""
    model = at([0.0, 3.0], [1e-20, 1e-20])
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        with np.errstate(under="ignore"):
            setattr(model, name, getattr(model, name).astype(np.float32))
    X = np.linspace(0.1, 2.9, 20, dtype=np.float32)[:, None]
    assert (model.predict(X) == (X[:, 0] > 1.5)).all()
    assert np.isfinite(model.score(X, sample_weight=np.ones(20)))


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_float32_rows_and_a_start_that_float32_cannot_hold(covariance_type):
    X = np.random.default_rng(0).normal(size=(N_ROWS, 2)).astype(np.float32)
    precision = np.full((1, 2), 1e80)
    start = {"means_init": [[0.0, 0.0]], "weights_init": [1.0]}
    start["precisions_init"] = precision if covariance_type == "diag" else precision[:, :, None] * np.eye(2)
    for values in (X, X.astype(np.float64)):
        model = run(GaussianMixture(1, covariance_type=covariance_type, **start), values, 3)
        np.testing.assert_allclose(model.means_[0], X.mean(axis=0), rtol=1e-5, atol=1e-7)
        assert model.lower_bounds_[0] == pytest.approx(-0.5e80 * (X.astype(float) ** 2).sum(axis=1).mean(), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [1e-190, 1e-46, 1e-30, 1e36, 1e100])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_unit_of_weights_does_not_matter(dtype, weight, chunked):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 2)) + 3 * rng.integers(2, size=(300, 1))).astype(dtype)
    start = {"means_init": [[0, 0], [3, 3]], "weights_init": [0.5, 0.5], "precisions_init": [np.eye(2)] * 2}
    weights = weight * rng.uniform(0.5, 2.0, size=300)
    plain = run(GaussianMixture(2, **start), X, 5, weights / weight)
    if chunked:
        model = run(GaussianMixture(2, **start), [(X[:100], weights[:100]), (X[100:], weights[100:])], 5)
    else:
        model = run(GaussianMixture(2, **start), X, 5, weights)
    rtol = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(model.means_, plain.means_, rtol=rtol)
    np.testing.assert_allclose(model.weights_, plain.weights_, rtol=rtol)
    assert model.lower_bound_ == pytest.approx(plain.lower_bound_, rel=rtol)
    assert model.score(X, sample_weight=weights) == pytest.approx(
        plain.score(X, sample_weight=weights / weight), rel=rtol
    )


def log_probability(x, rate):
    """Log-probabilities in extended precision, by log1p and Stirling's series."""
    x, rate = x.astype(np.longdouble), np.asarray(rate, dtype=np.longdouble)
    deviance = -x * np.log1p((rate - x) / x) + (rate - x)
    delta = 1 / (12 * x) - 1 / (360 * x**3)
    return (-deviance - np.log(2 * np.pi * x) / 2 - delta).astype(float)


@pytest.mark.parametrize("rate", [3.0, 1e5, 1e7, 1e9])
def test_float32_counts_have_the_probabilities_of_their_values(rate):
    X = np.random.default_rng(0).poisson(rate, size=(N_ROWS, 3)).astype(np.float32)
    model = PoissonMixture(1).fit(X.astype(np.float64))
    exact = poisson(model.rates_[0]).logpmf if rate < 10 else lambda x: log_probability(x, model.rates_[0])
    truth = exact(X.astype(np.float64)).sum(axis=1)
    found = model.score_samples(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, truth, rtol=1e-6)
    assert (found == model.score_samples(X.astype(np.float64)).astype(np.float32)).all()
    assert model.score(X, sample_weight=np.ones(N_ROWS)) == pytest.approx(truth.mean(), rel=1e-8)


@pytest.mark.parametrize("rate", [1e8, 1e12, 1e15])
@pytest.mark.parametrize("missing", [False, True])
def test_large_counts_do_not_cancel(rate, missing):
    """Two components six standard deviations apart: bounds, densities and responsibilities, of arrays and sources."""
    rng = np.random.default_rng(0)
    rates = np.array([rate, rate + 6 * np.sqrt(rate)])
    X = rng.poisson(rates[rng.integers(2, size=300)])[:, None].astype(float)
    truth = np.log(0.5 * np.exp(log_probability(X, rates[0])) + 0.5 * np.exp(log_probability(X, rates[1])))
    start = {"weights_init": [0.5, 0.5], "rates_init": rates[:, None]}
    options = {"missing": "marginalize"} if missing else {}
    for rows in (X, [X[:77], X[77:]]):
        model = run(PoissonMixture(2, **start, **options), rows, 1)
        assert model.lower_bounds_[0] == pytest.approx(truth.mean(), rel=1e-9)
    model = run(PoissonMixture(2, fixed=["weights", "rates"], **start, **options), X, 1)
    np.testing.assert_allclose(model.score_samples(X), truth[:, 0], rtol=1e-8)
    share = 1 / (1 + np.exp(log_probability(X, rates[1]) - log_probability(X, rates[0])))[:, 0]
    np.testing.assert_allclose(model.predict_proba(X)[:, 0], share, atol=1e-7)
    if missing:
        holes = np.column_stack([X, np.where(np.arange(300)[:, None] % 3 == 0, np.nan, X)])
        wide = PoissonMixture(1, weights_init=[1.0], rates_init=[[rate, rate]], missing="marginalize")
        both = log_probability(X, rate)[:, 0] * np.where(np.arange(300) % 3 == 0, 1, 2)
        assert run(wide, holes, 1).lower_bounds_[0] == pytest.approx(both.mean(), rel=1e-9)


def test_small_counts_beside_large_ones_and_rates_of_zero():
    rates = np.array([[1e12, 2.0, 0.0], [1.0, 1e10, 0.0]])
    X = np.array([[1e12, 3.0, 0.0], [1e12 + 1e6, 0.0, 0.0], [0.0, 1e10, 0.0], [2.0, 1e10 - 1e5, 0.0], [2.0, 1e10, 1.0]])
    model = PoissonMixture(2, weights_init=[0.5, 0.5], rates_init=rates)
    model.weights_, model.rates_, model.n_features_in_ = np.array([0.5, 0.5]), rates, 3
    model.converged_ = True
    expected = [
        log_probability(X[i, [k]], rates[k, k])[0] + poisson(rates[k, 1 - k]).logpmf(X[i, 1 - k]) - np.log(2)
        for i, k in enumerate([0, 0, 1, 1])
    ]
    found = model.score_samples(X)
    np.testing.assert_allclose(found[:4], expected, rtol=1e-12)
    assert found[4] == -np.inf


@pytest.mark.parametrize("algorithm", ["em", "incremental", "sparse", "stepwise"])
def test_every_algorithm_finds_components_of_large_counts(algorithm):
    rng = np.random.default_rng(0)
    rates = np.array([1e15, 1e15 + 1e9])
    which = rng.integers(2, size=400)
    X = rng.poisson(rates[which])[:, None].astype(float)
    model = PoissonMixture(2, algorithm=algorithm, random_state=0, tol=1e-3, max_iter=50).fit(X)
    order = model.rates_[:, 0].argsort()
    means = [X[which == k].mean() for k in range(2)]
    np.testing.assert_allclose(model.rates_[order, 0], means, rtol=1e-14 if algorithm != "stepwise" else 1e-7)
    truth = np.log(np.bincount(which)[which] / 400) + [
        log_probability(x, means[k])[0] for x, k in zip(X, which, strict=True)
    ]
    if algorithm != "stepwise":
        assert model.lower_bound_ == pytest.approx(truth.mean(), rel=1e-6)
    assert (model.predict(X) == order[which]).all()


@pytest.mark.parametrize("weight", [2.0**-150, 2.0**130])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data"])
def test_starts_take_weights_that_float32_cannot_hold(init_params, weight):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 2)) + 3 * rng.integers(2, size=(300, 1))).astype(np.float32)
    model = GaussianMixture(2, init_params=init_params, random_state=0)
    means = run(model, X, 5, np.ones(300)).means_
    np.testing.assert_allclose(run(model, X, 5, np.full(300, weight)).means_, means, rtol=1e-3)


def test_float32_is_enough_for_columns_that_are_neither_huge_nor_narrow_nor_heavy():
    origin = np.zeros(2)
    for high, weights, suffices in (
        ([1.0, 1.0], None, True),
        ([1.0, 0.0], None, True),  # a constant column
        ([1.0, 1e-30], None, False),
        ([1e30, 1.0], None, False),
        ([1.0, 1.0], np.array([1e30]), False),
    ):
        extent = Range(np.zeros(2, np.float32), np.array(high, np.float32))
        assert single_suffices(extent, origin, weights) == suffices
