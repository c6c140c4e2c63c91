"""A background for rows with missing values or errors."""

import numpy as np
import pytest
from fits import run
from models import difference
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from fastem import GaussianMixture, Incremental, Source, Sparse

pytestmark = pytest.mark.slow

N, D, K = 600, 3, 2
TYPES = ["full", "tied", "diag", "spherical"]
KEPT = {"missing": "marginalize", "background": True, "random_state": 0}


@pytest.fixture
def rows(rng):
    """Two groups, a fifth of outliers, a quarter of the values missing."""
    X = rng.normal(size=(N, D)) + 5.0 * rng.integers(K, size=(N, 1))
    X[: N // 5] = rng.uniform(-15.0, 20.0, size=(N // 5, D))
    return np.where(rng.random((N, D)) < 0.25, np.nan, X)


def matrices(model):
    covariances = model.covariances_
    if model.covariance_type == "tied":
        return np.array([covariances] * K)
    if model.covariance_type == "full":
        return covariances
    return np.array([variance * np.eye(D) for variance in covariances])


def naive_densities(model, X, noise=None):
    """Log-density of each row, one by one; the background has the density of its box in the observed columns."""
    widths = np.diff(model.background_, axis=0)[0]
    result = []
    for i, row in enumerate(X):
        there = ~np.isnan(row)
        parts = [-np.log(widths[there]).sum()]
        for mean, covariance in zip(model.means_, matrices(model), strict=True):
            total = covariance + (0.0 if noise is None else noise[i])
            own = total[np.ix_(there, there)]
            parts.append(multivariate_normal(mean[there], own).logpdf(row[there]) if there.any() else 0.0)
        weights = np.roll(model.weights_, 1)
        result.append(logsumexp(parts, b=weights))
    return np.array(result)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_densities_are_those_of_the_parts_that_are_seen(rows, covariance_type):
    rows[:3] = np.nan
    model = run(GaussianMixture(K, covariance_type=covariance_type, **KEPT), rows, 4)
    expected = naive_densities(model, rows)
    np.testing.assert_allclose(model.score_samples(rows), expected, rtol=1e-10, atol=1e-14)
    assert model.predict_proba(rows[:3]) == pytest.approx(np.tile(model.weights_, (3, 1)))
    assert abs(model.score(rows) - expected.mean()) < 1e-10
    again = model.set_params(warm_start=True, max_iter=1)
    assert run(again, rows, 1).lower_bounds_[0] == pytest.approx(expected.mean(), rel=1e-10)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_errors_too(rows, rng, covariance_type):
    complete = np.where(np.isnan(rows), 1.0, rows)
    noise = rng.uniform(0.1, 0.5, size=(N, D))
    for X in (complete, rows):
        model = GaussianMixture(K, covariance_type=covariance_type, max_iter=5, tol=1e-12, **KEPT)
        with pytest.warns(match="did not converge"):
            model.fit(X, noise=noise)
        expected = naive_densities(model, X, noise[:, None] * np.eye(D))
        np.testing.assert_allclose(model.score_samples(X, noise=noise), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("options", [{}, {"algorithm": Incremental(4)}, {"algorithm": Sparse(0.01)}], ids=str)
def test_the_bound_never_falls(rows, covariance_type, options):
    model = run(GaussianMixture(K, covariance_type=covariance_type, **KEPT, **options), rows, 30)
    assert np.diff(model.lower_bounds_).min() > -1e-9
    plain = run(GaussianMixture(K, covariance_type=covariance_type, **KEPT), rows, 100)
    assert model.score(rows) == pytest.approx(plain.score(rows), abs=0.02)
    if covariance_type != "tied":
        assert 0.1 < model.weights_[-1] < 0.3


def test_chunks_agree_and_so_do_batches_of_one_box(rows):
    start = GaussianMixture(K, **KEPT).fit(rows)
    given = {"weights_init": start.weights_, "means_init": start.means_, "precisions_init": start.precisions_}
    whole = run(GaussianMixture(K, **given, **KEPT), rows, 3)
    chunked = run(GaussianMixture(K, **given, **KEPT), Source(np.array_split(rows, 4), chunk_bytes=2400), 3)
    assert difference(whole, chunked) < 1e-10
    box = start.background_.copy()
    start.partial_fit(rows[:200] * 0.5)
    np.testing.assert_array_equal(start.background_, box)


def test_what_is_missing_of_outliers_may_be_anywhere_in_the_box(rows):
    model = GaussianMixture(K, **KEPT).fit(rows)
    low, high = model.background_
    outlier = np.array([[low[0], high[1], np.nan]])
    assert model.predict(outlier)[0] == -1
    assert model.impute(outlier)[0, 2] == pytest.approx((low[2] + high[2]) / 2, rel=1e-6)
    drawn = model.impute(outlier, n_draws=4000)[:, 0, 2]
    assert low[2] <= drawn.min() < drawn.max() <= high[2]
    assert drawn.std() == pytest.approx((high[2] - low[2]) / np.sqrt(12), rel=0.05)
    with pytest.raises(ValueError, match="denoise is not for mixtures with a background"):
        model.denoise(rows)


def test_a_volume_has_no_parts(rows):
    with pytest.raises(
        ValueError, match="cannot be divided between the values that a row has and those that are missing"
    ):
        GaussianMixture(K, **{**KEPT, "background": 1e4}).fit(rows)


def test_a_background_takes_no_projections(rows):
    complete = np.nan_to_num(rows)
    projection = np.broadcast_to(np.eye(D), (N, D, D))
    model = GaussianMixture(K, background=True).fit(complete)
    for use in (
        lambda: GaussianMixture(K, background=True).fit(complete, projection=projection),
        lambda: GaussianMixture(K, background=True).fit([{"X": complete, "projection": projection}]),
        lambda: model.score_samples(complete, projection=projection),
    ):
        with pytest.raises(ValueError, match="a background takes no projections"):
            use()
