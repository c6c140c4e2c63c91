"""Missing values are filled in by their expectation, or by draws; values with errors get posterior means."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import reference_incomplete as naive
from incomplete import holes
from models import failure, parameters_of
from reference import FAMILIES, GAUSSIAN_FAMILIES, rows_for

from fastem import GaussianMixture, PoissonMixture

pytestmark = pytest.mark.slow

N_ROWS = 200


def fitted(family, n_components=2, dtype=np.float64, **options):
    """A model of complete rows, and rows with holes."""
    X = rows_for(family, N_ROWS, 4).astype(dtype)
    kind = PoissonMixture if family == "poisson" else GaussianMixture
    options = {"random_state": 0, **options}
    options = options if family == "poisson" else {"covariance_type": family, **options}
    return kind(n_components, **options).fit(X), holes(X, np.random.default_rng(0))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_there_is_untouched(family, dtype):
    model, X = fitted(family, dtype=dtype)
    there = ~np.isnan(X)
    for filled in (model.impute(X), *model.impute(X, n_draws=3)):
        assert filled.dtype == dtype
        assert filled[there].tobytes() == X[there].tobytes()
        assert np.isfinite(filled).all()
    assert np.isnan(X).any()
    complete = np.nan_to_num(X)
    assert model.impute(complete).tobytes() == complete.tobytes()
    assert not np.shares_memory(model.impute(complete), complete)


@pytest.mark.parametrize("family", FAMILIES)
def test_expectations_are_the_reference_s(family):
    model, X = fitted(family, 3)
    parameters, rows = parameters_of(family, model), naive.Rows(X)
    if family == "poisson":
        expected = naive.responsibilities(rows, parameters) @ parameters.rates
    else:
        expected = naive.denoised(rows, parameters)[0]
    np.testing.assert_allclose(model.impute(X), np.where(np.isnan(X), expected, X), rtol=1e-9)


def test_a_single_gaussian_gives_the_regression():
    X = rows_for("full", N_ROWS, 3)
    model = GaussianMixture(reg_covar=0.0).fit(X)
    centred = X - X.mean(axis=0)
    slope = np.linalg.lstsq(centred[:, :2], centred[:, 2], rcond=None)[0]
    incomplete = X.copy()
    incomplete[:, 2] = np.nan
    expected = X[:, 2].mean() + centred[:, :2] @ slope
    np.testing.assert_allclose(model.impute(incomplete)[:, 2], expected, rtol=1e-9)
    residual = np.mean((centred[:, 2] - centred[:, :2] @ slope) ** 2)
    covariance = model.denoise(incomplete)[1]
    np.testing.assert_allclose(covariance[:, 2, 2], residual, rtol=1e-8)
    np.testing.assert_allclose(covariance[:, :2], 0.0, atol=1e-10)


def test_a_row_of_which_nothing_is_there_is_expected_to_be_the_mean():
    model, _ = fitted("full", 3)
    nothing = np.full((1, 4), np.nan)
    np.testing.assert_allclose(model.impute(nothing)[0], model.weights_ @ model.means_, rtol=1e-12)
    mean, covariance = model.denoise(nothing)
    spread = model.means_ - mean
    expected = np.tensordot(model.weights_, model.covariances_, 1) + (model.weights_ * spread.T) @ spread
    np.testing.assert_allclose(covariance[0], expected, rtol=1e-9)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_draws_have_the_moments_of_the_conditional(family):
    n_draws = 8000
    model, X = fitted(family, 3)
    X = X[np.isnan(X).sum(axis=1) == 2][:3]
    mean, covariance = naive.denoised(naive.Rows(X), parameters_of(family, model))
    draws = model.impute(X, n_draws=n_draws)
    error = np.abs(draws.mean(axis=0) - mean)
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2).clip(0))
    assert (error <= 5 * deviation / np.sqrt(n_draws) + 1e-9).all()
    for row, (center, expected) in enumerate(zip(mean, covariance, strict=True)):
        products = np.einsum("si,sj->sij", draws[:, row] - center, draws[:, row] - center)
        sampling = products.std(axis=0) / np.sqrt(n_draws)
        assert (np.abs(products.mean(axis=0) - expected) <= 5 * sampling + 1e-9).all()


def test_draws_of_counts_are_those_of_the_conditional():
    n_draws = 8000
    model, X = fitted("poisson", 2)
    X = X[np.isnan(X).sum(axis=1) == 2][:3]
    draws = model.impute(X, n_draws=n_draws)
    assert (draws == np.floor(draws)).all()
    assert (draws >= 0).all()
    r = model.predict_proba(naive_rows(model, X))
    mean = r @ model.rates_
    variance = r @ (model.rates_ + model.rates_**2) - mean**2
    missing = np.isnan(X)
    error = np.abs(draws.mean(axis=0) - mean)[missing]
    assert (error <= 5 * np.sqrt(variance[missing] / n_draws)).all()
    np.testing.assert_allclose(draws.var(axis=0)[missing], variance[missing], rtol=0.1)


def naive_rows(model, X):
    """Let the model take NaN, and return X."""
    model.set_params(missing="marginalize")
    return X


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_average_to_the_probabilities_of_the_incomplete_row(family):
    """The law of total probability."""
    n_draws = 1000
    model, X = fitted(family, missing="marginalize")
    X = X[:12]
    draws = model.impute(X, n_draws=n_draws)
    shares = np.array([model.predict_proba(draw) for draw in draws])
    error = np.abs(shares.mean(axis=0) - model.predict_proba(X))
    assert (error <= 5 * shares.std(axis=0) / np.sqrt(n_draws) + 1e-9).all()


def test_draws_come_from_the_random_state():
    model, X = fitted("full")
    first, again = model.impute(X, n_draws=2), model.impute(X, n_draws=2)
    assert (first == again).all()
    assert (first[0] != first[1])[np.isnan(X)].all()
    other = model.set_params(random_state=1).impute(X, n_draws=2)
    assert (other != first)[:, np.isnan(X)].all()


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_a_single_component_is_filled_in_by_linear_regression(family):
    model, X = fitted(family, 1, missing="marginalize")
    filled = model.impute(X)
    assert (model.predict(filled) == model.predict(X)).all()
    mean, variances = model.means_[0], np.asarray(model.covariances_)
    covariance = {"full": variances[0] if variances.ndim == 3 else None, "tied": variances}.get(family)
    covariance = np.eye(4) * variances[0] if covariance is None else covariance
    for row, whole in zip(X, filled, strict=True):
        seen = np.isfinite(row)
        slopes = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, ~seen)])
        expected = mean[~seen] + (row[seen] - mean[seen]) @ slopes
        np.testing.assert_allclose(whole[~seen], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(whole[seen], row[seen])


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_clusters_far_apart_keep_their_labels_when_filled_in(family):
    X = rows_for(family, N_ROWS, 4) + 200.0 * (np.arange(N_ROWS) % 2)[:, None]
    rng = np.random.default_rng(0)
    incomplete = np.where((rng.uniform(size=X.shape) < 0.4) & (np.arange(4) > 0), np.nan, X)
    model = GaussianMixture(2, covariance_type=family, missing="marginalize", random_state=0).fit(incomplete)
    assert (model.predict(model.impute(incomplete)) == model.predict(incomplete)).all()
    assert np.unique(model.predict(incomplete)).size == 2


def test_what_is_filled_in_may_be_of_another_component():
    """Expectations lie between components: an imputed row may have another label than the incomplete one."""
    model = GaussianMixture(2, missing="marginalize")
    model.weights_, model.means_ = np.array([0.4, 0.6]), np.array([[0.0], [10.0]])
    model.covariances_ = np.array([[[100.0]], [[1.0]]])
    model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    model.n_features_in_, model.converged_ = 1, True
    X = [[np.nan]]
    np.testing.assert_allclose(model.impute(X), [[6.0]])
    assert model.predict(X) == [1]
    assert model.predict(model.impute(X)) == [0]


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_errors_shrink_values_to_the_mean(family):
    model, _ = fitted(family, 1)
    X = rows_for(family, 20, 4, seed=3)
    exact, none = model.denoise(X)
    np.testing.assert_allclose(exact, X, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(none, 0.0, atol=1e-9)
    nothing_known, covariance = model.denoise(X, noise=np.full(X.shape, 1e14))
    np.testing.assert_allclose(nothing_known, np.tile(model.means_, (20, 1)), rtol=1e-6)
    own = parameters_of(family, model).covariance_matrices()[0]
    np.testing.assert_allclose(covariance[0], own, rtol=1e-6, atol=1e-9)
    halved, _ = model.denoise(X, noise=own)
    np.testing.assert_allclose(halved, (X + model.means_) / 2, rtol=1e-9)


def test_columns_that_are_seen_together():
    """Given the sum of two independent values with variances 1 and 3, the first is expected to be a quarter of it."""
    model = GaussianMixture(1, covariance_type="diag").fit(rows_for("diag", 30, 2))
    model.means_, model.covariances_ = np.zeros((1, 2)), np.array([[1.0, 3.0]])
    model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    mean, covariance = model.denoise([[8.0]], projection=[[1.0, 1.0]])
    np.testing.assert_allclose(mean, [[2.0, 6.0]], rtol=1e-12)
    np.testing.assert_allclose(covariance, [[[0.75, -0.75], [-0.75, 0.75]]], rtol=1e-12)


def test_wrong_arguments():
    model, X = fitted("full")
    for n_draws in (0, -1, 1.5, True, "two"):
        with pytest.raises(ValueError, match="n_draws must be None or an integer above 0"):
            model.impute(X, n_draws=n_draws)
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 4"):
        model.impute(X[:, :3])
    with pytest.raises(ValueError, match="infinity"):
        model.impute(np.where(np.isnan(X), np.inf, X))
    with pytest.raises(ValueError, match="not fitted"):
        GaussianMixture().impute(X)
    assert "NaN" in failure(GaussianMixture(), X)
    counts, rows = fitted("poisson")
    with pytest.raises(ValueError, match="Negative values"):
        counts.impute(-1 - rows)


def test_frames_and_lists():
    model, X = fitted("full")
    frame = pd.DataFrame(X, columns=list("abcd"))
    expected = model.impute(X)
    named = GaussianMixture(2, random_state=0).fit(pd.DataFrame(rows_for("full", N_ROWS, 4), columns=list("abcd")))
    assert (named.impute(frame) == expected).all()
    assert (model.impute(X.tolist()) == expected).all()


@pytest.mark.parametrize("n_draws", [None, 1])
def test_memory_beside_the_result_does_not_grow_with_the_rows(n_draws):
    """Nor with the square of the number of features, as it would if all rows' covariances existed at once."""
    n_features, extra = 12, []
    model = GaussianMixture(random_state=0).fit(np.random.default_rng(0).normal(size=(100, n_features)))
    for n_rows in (100, 40_000, 80_000):
        X = np.zeros((n_rows, n_features))
        X[:, 0] = np.nan
        tracemalloc.start()
        result = model.impute(X, n_draws)
        extra.append(tracemalloc.get_traced_memory()[1] - result.nbytes)
        tracemalloc.stop()
    assert extra[2] < 1.1 * extra[1] < 80_000 * n_features**2 * 8 / 2


@pytest.mark.parametrize("n_draws", [None, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_filled_in_alike_wherever_blocks_end(family, n_draws, monkeypatch):
    model, X = fitted(family)
    whole = model.impute(X)
    monkeypatch.setattr("fastem.mixtures.imputation.BLOCK_NUMBERS", 7 * (2 + X.shape[1]))
    filled = model.impute(X, n_draws)
    for one in filled if n_draws else [filled]:
        np.testing.assert_array_equal(one[~np.isnan(X)], whole[~np.isnan(X)])
        assert np.isfinite(one).all()
    if n_draws is None:
        np.testing.assert_allclose(filled, whole, rtol=1e-12)


@pytest.mark.parametrize("n_draws", [np.int64(2), np.uint8(2)])
def test_a_number_of_draws_may_be_numpy_s(n_draws):
    model, X = fitted("full")
    np.testing.assert_array_equal(model.impute(X, n_draws), model.impute(X, 2))
