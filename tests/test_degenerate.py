"""Single points, constant columns, densities of zero: either the right answer or a clear error."""

import re

import numpy as np
import pytest
from fits import model_at, run
from models import failure, fitted_names, learned
from reference import GAUSSIAN_FAMILIES, Gaussian, Poisson, responsibilities, rows_for, start_at
from sklearn import config_context

from fastem import GaussianMixture, PoissonMixture, Sparse
from fastem.families import get_family

ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance "
    "caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or scale "
    "the input data."
)
USE_FLOAT64 = " The numerical accuracy can also be improved by passing float64 data instead of float32."
POINTS = np.repeat([[1.0, 2.0, 3.0], [4.0, 5.5, 7.0]], [10, 30], axis=0)


# Singular covariances


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_singleton_is_named_with_its_size(dtype):
    X = np.vstack([rows_for("full", 40), [[50.0, 60.0, 70.0]]]).astype(dtype)
    model = GaussianMixture(2, reg_covar=0.0, random_state=0)
    says = failure(model, X)
    advice = USE_FLOAT64 if dtype == np.float32 else ""
    singleton = says.removeprefix(f"{ILL_DEFINED}{advice} It is component ").split(",")
    assert singleton[0] in ("0", "1")
    assert singleton[1] == " whose size is 1 of 41 rows."
    assert not fitted_names(model)


def test_a_shared_covariance_is_named_as_shared():
    says = failure(GaussianMixture(2, covariance_type="tied", reg_covar=0.0, random_state=0), POINTS)
    assert says == f"{ILL_DEFINED} It is the covariance that all components share."


def test_incomplete_rows_in_a_plane_have_no_shared_covariance():
    """EM approaches a singular matrix slowly here, and its blocks for observed columns lose their digits first."""
    for seed in (6, 9, 41, 42):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(28, 3))
        X[:, 2] = X[:, 0] + X[:, 1]
        X[rng.random(X.shape) < 0.15] = np.nan
        options = {"reg_covar": 0.0, "max_iter": 60, "tol": 1e-9, "missing": "marginalize", "random_state": 0}
        says = failure(GaussianMixture(3, covariance_type="tied", **options), X)
        assert says == f"{ILL_DEFINED} It is the covariance that all components share."


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_what_rows_have_in_nearly_singular_covariances_names_them(covariance_type):
    """The named component has the columns nearest to linear dependence, whatever their units."""
    family = get_family(f"gaussian-{covariance_type}.incomplete")
    units = np.array([1e-90, 1.0, 1e90])
    covariances = np.stack([np.eye(3), np.eye(3) + (1 - 1e-13) * (np.ones((3, 3)) - np.eye(3))])
    factors = np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), 1, 2) / units[:, None]
    kept = slice(None) if covariance_type == "full" else 1
    covariances = (covariances * units * units[:, None])[kept]
    described = {"means": np.zeros((2, 3)), "covariances": covariances, "precisions_cholesky": factors[kept]}
    assert family.singular(family.restore(described)) == (1 if covariance_type == "full" else 0)
    described = {**described, "covariances": np.broadcast_to(np.diag(units**2), covariances.shape)}
    described["precisions_cholesky"] = np.broadcast_to(np.diag(1 / units), factors[kept].shape)
    assert family.singular(family.restore(described)) is None


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_two_points_are_two_components(family):
    model = GaussianMixture(2, covariance_type=family, random_state=0).fit(POINTS)
    order = model.means_[:, 0].argsort()
    np.testing.assert_allclose(model.means_[order], POINTS[[0, -1]], rtol=1e-12)
    np.testing.assert_allclose(model.weights_[order], [0.25, 0.75], rtol=1e-12)
    assert_variances_are(model, 1e-6, rtol=1e-6)


def assert_variances_are(model, expected, rtol):
    matrices = Gaussian(model.covariance_type, model.weights_, model.means_, model.covariances_).covariance_matrices()
    for matrix in matrices:
        np.testing.assert_allclose(matrix, expected * np.eye(len(matrix)), rtol=rtol, atol=1e-12 * expected)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_a_collapsed_component_has_the_variance_reg_covar(family):
    """Whatever its mean is: the variance of one point is zero, and reg_covar is added to it."""
    model = GaussianMixture(2, covariance_type=family, random_state=0).fit(1e4 * (POINTS - 3.0))
    assert_variances_are(model, 1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", ["diag", "spherical"])
def test_a_component_of_repeated_rows_without_reg_covar_is_an_error_that_names_it(family):
    message = failure(GaussianMixture(2, covariance_type=family, reg_covar=0.0, random_state=0), POINTS)
    assert "ill-defined empirical covariance" in message
    assert re.search(r"component \d, whose size is \d+ of \d+ rows", message)


@pytest.mark.parametrize("family", ["full", "diag", "spherical"])
def test_two_equal_rows_are_repeated_rows_too(family):
    X = np.vstack([rows_for(family, 40), [[50.0, 60.0, 70.0]] * 2])
    model = GaussianMixture(2, covariance_type=family, reg_covar=0.0, random_state=0)
    assert re.search(r"component \d, whose size is 2 of 42 rows", failure(model, X))


@pytest.mark.parametrize("family", ["diag", "spherical"])
def test_a_component_of_one_row_without_reg_covar_is_a_point_to_float64(family):
    """As in scikit-learn, these families go on with a standard deviation near the rounding error of the mean."""
    X = np.vstack([rows_for("full", 30), [[1e3, 1e3, 1e3]]])
    means, weights = np.array([X[30], X[:30].mean(axis=0)]), np.array([0.1, 0.9])
    precisions = np.ones((2, 3)) if family == "diag" else np.ones(2)
    model = GaussianMixture(
        2, covariance_type=family, reg_covar=0.0, means_init=means, weights_init=weights, precisions_init=precisions
    )
    model = run(model, X, 2)
    np.testing.assert_allclose(model.means_[0], 1e3, rtol=1e-12)
    assert (model.covariances_[0] > 0).all()
    assert (np.sqrt(model.covariances_[0]) < 1e-3).all()
    assert all(np.isfinite(value).all() for value in learned(model).values())


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_as_many_components_as_rows(family):
    X = rows_for("full", 4)
    model = GaussianMixture(4, covariance_type=family, random_state=0).fit(X)
    order = model.means_[:, 0].argsort()
    np.testing.assert_allclose(model.means_[order], X[X[:, 0].argsort()], rtol=1e-9)
    np.testing.assert_allclose(model.weights_, 0.25, rtol=1e-9)


@pytest.mark.parametrize("model", [GaussianMixture(3), PoissonMixture(3)])
def test_more_components_than_rows(model):
    expected = "Expected n_samples >= n_components but got n_components = 3, n_samples = 2"
    assert failure(model, np.ones((2, 2))) == expected


@pytest.mark.parametrize("value", [0.0, 7.0, 1e9])
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_a_constant_column(family, value):
    X = rows_for("full", 40)
    X[:, 2] = value
    model = GaussianMixture(2, covariance_type=family, tol=1e-2, random_state=0).fit(X)
    np.testing.assert_allclose(model.means_[:, 2], value, rtol=1e-15)
    if family == "spherical":  # one variance for all columns
        return
    last = {"full": (..., 2, 2), "tied": (2, 2), "diag": (..., 2)}[family]
    np.testing.assert_allclose(model.covariances_[last], 1e-6, rtol=1e-12)
    assert failure(model.set_params(reg_covar=0.0), X).startswith(ILL_DEFINED)


def test_a_failed_fit_leaves_the_last_one_usable():
    X = rows_for("full", 40)
    model = GaussianMixture(2, tol=1e-2, random_state=0).fit(X)
    before, labels = {name: value.copy() for name, value in learned(model).items()}, model.predict(X)
    constant = X * [1.0, 1.0, 0.0]
    assert failure(model.set_params(reg_covar=0.0), constant).startswith(ILL_DEFINED)
    for name, value in learned(model).items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(model.predict(X), labels)


# Densities of zero, and densities that underflow


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("family", [*GAUSSIAN_FAMILIES, "poisson"])
def test_responsibilities_survive_densities_that_underflow(family, sign):
    """Log-densities near -1e5 and below: their exponentials are zero, their differences are not."""
    X = rows_for(family, 60)
    if family == "poisson":
        start = Poisson(np.array([0.3, 0.7]), 1e5 * np.array([[1.0] * 3, [1.0 + 1e-5 * sign] * 3]))
    else:
        offsets = np.array([1e3, 1e3 + 1e-3 * sign])
        start = start_at(family, X, X.mean(axis=0) + offsets[:, None])
    proba = model_at(start, max_iter=0).fit(X).predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(proba, responsibilities(X, start), rtol=0, atol=1e-8)
    assert proba.min() > 0.01


def test_a_column_without_counts():
    X = rows_for("poisson", 60)
    X[:, 1] = 0
    model = PoissonMixture(2, tol=1e-2, random_state=0).fit(X)
    np.testing.assert_array_equal(model.rates_[:, 1], 0.0)
    counted = X[:, [0, 2]].copy()
    without = PoissonMixture(2, tol=1e-2, random_state=0).fit(counted)
    np.testing.assert_allclose(model.score_samples(X), without.score_samples(counted), rtol=1e-10)


@pytest.fixture
def specialists():
    """Two components, each with a column whose counts are all zero."""
    X = np.array([[2, 0, 4], [3, 0, 6], [2, 3, 0], [4, 5, 0], [4, 3, 0], [3, 0, 0]])
    start = Poisson(np.array([0.5, 0.5]), np.array([[3.0, 0.0, 5.0], [3.0, 4.0, 0.0]]))
    return run(model_at(start), X, 50), X


def test_a_rate_of_zero_stays_zero(specialists):
    model, X = specialists
    assert model.rates_[0, 1] == model.rates_[1, 2] == 0.0
    assert (np.diff(model.lower_bounds_) > -1e-14).all()
    proba = model.predict_proba(X)
    np.testing.assert_array_equal(proba[:5], [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(proba[5].sum(), 1.0, rtol=1e-14)


def test_a_row_that_no_component_allows_has_density_zero(specialists):
    model, X = specialists
    rows = np.vstack([X, [[1, 1, 1]]])
    densities = model.score_samples(rows)
    assert np.isfinite(densities[:-1]).all()
    assert densities[-1] == model.score(rows) == -np.inf
    assert model.bic(rows) == model.aic(rows) == model.icl(rows) == np.inf
    np.testing.assert_allclose(model.predict_proba(rows)[-1], model.weights_, rtol=1e-14)
    assert "density zero under every component" in failure(model_at(Poisson(model.weights_, model.rates_)), rows)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            -1.0,
            "^Negative values in data passed to PoissonMixture: it needs .*, but X contains -1.0 in row 3, column 1",
        ),
        (0.5, "^PoissonMixture needs .*, but X contains 0.5 in row 3, column 1 "),
    ],
)
def test_what_is_no_count_is_named_with_its_place(value, message):
    X = np.ones((5, 2))
    X[3, 1] = value
    assert re.search(message, failure(PoissonMixture(1), X))


def test_labels_are_the_largest_responsibilities(specialists):
    """Also for a row of density zero, whose responsibilities are the weights."""
    model, X = specialists
    rows = np.vstack([X, [[1, 1, 1]]])
    assert model.weights_[1] > model.weights_[0]
    np.testing.assert_array_equal(model.predict(rows), model.predict_proba(rows).argmax(axis=1))


def test_a_warm_start_from_parameters_of_another_shape_is_refused():
    model = GaussianMixture(2, warm_start=True, random_state=0).fit(rows_for("full", 30))
    assert "warm_start cannot continue" in failure(model, rows_for("full", 30)[:, :2])
    assert "n_components=3 contradicts means_" in failure(model.set_params(n_components=3), rows_for("full", 30))


def test_nan_is_named_also_where_finiteness_is_assumed(rng):
    X = rng.normal(size=(20, 2))
    X[3, 1] = np.nan
    with config_context(assume_finite=True), pytest.raises(ValueError, match="Input X contains NaN"):
        GaussianMixture(1).fit(X)


# Sparse EM, which updates bounds and moments by differences


def test_sparse_em_from_points_has_the_bounds_of_em():
    """The first bound is about -1e15 per row, so a difference from it has no correct digits of the second."""
    X = rows_for("diag", 400)
    options = {"covariance_type": "diag", "init_params": "random_from_data", "reg_covar": 0.0, "random_state": 0}
    sparse = run(GaussianMixture(2, algorithm=Sparse(threshold=0.0), **options), X, 20)
    plain = run(GaussianMixture(2, **options), X, 20)
    assert plain.lower_bounds_[0] < -1e12
    np.testing.assert_allclose(sparse.lower_bounds_, plain.lower_bounds_, rtol=1e-9)


@pytest.mark.parametrize("width", [1e-6, 1e-8])
def test_sparse_em_keeps_the_digits_of_a_component_that_narrows(width):
    """Second moments about the means of many iterations ago have no correct digits of its variance."""
    X = rows_for("spherical", 400)
    X[:130] = X[0] + width * (X[:130] - X[:130].mean(axis=0))
    options = {"covariance_type": "spherical", "reg_covar": 0.0, "random_state": 0}
    sparse = run(GaussianMixture(2, algorithm=Sparse(threshold=0.0, n_steps=50), **options), X, 30)
    plain = run(GaussianMixture(2, **options), X, 30)
    assert plain.covariances_.min() < 10 * width**2
    np.testing.assert_allclose(sparse.lower_bounds_, plain.lower_bounds_, rtol=1e-6)
    np.testing.assert_allclose(sparse.covariances_, plain.covariances_, rtol=1e-6)
