"""The units of incomplete data do not matter either: near 1000, the last digit of log-densities is 1e-13."""

import numpy as np
import pytest
from fits import model_at, run
from reference import GAUSSIAN_FAMILIES, rows_for, start_at
from test_scales import assert_scaled, scaled_start

from fastem import GaussianMixture

SCALES = [2.0**130, 2.0**-130, 2.0**490, 2.0**-490]
KINDS = ["variances", "matrices", "shared", "missing", "rarely missing", "noise and missing"]
N_ROWS = 60


def incomplete(kind, X, rng):
    """Rows with errors or missing values, and the noise."""
    n_rows, d = X.shape
    noise = None
    if kind in ("variances", "noise and missing"):
        noise = rng.uniform(0.1, 2.0, X.shape) * 4.0 ** rng.integers(-20, 20, X.shape)
    elif kind in ("matrices", "shared"):
        roots = rng.normal(size=(n_rows if kind == "matrices" else 1, d, d + 1))
        noise = roots @ np.swapaxes(roots, 1, 2)
    if "missing" in kind and d > 1:
        X = X.copy()
        X[rng.random(X.shape) < (0.3 if kind == "missing" else 0.02)] = np.nan
        X[0] = 1.0
    return X, noise


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_the_unit_of_incomplete_rows_does_not_matter(family, kind, scale):
    for d in range(1, 9):
        rng = np.random.default_rng(d)
        X = rows_for(family, N_ROWS, d)
        start = start_at(family, X, X[:2] + 0.5)
        X, noise = incomplete(kind, X, rng)
        options, square = scaled_start(start, scale)
        known = {} if noise is None else {"noise": noise}
        scaled = {} if noise is None else {"noise": noise * scale**2}
        plain = run(model_at(start, missing="marginalize"), X, 4, **known)
        model = run(model_at(start, missing="marginalize").set_params(**options), X * scale, 4, **scaled)
        assert_scaled(model, plain, scale, square, 1e-9)
        there = np.count_nonzero(~np.isnan(X)) / N_ROWS
        shift = there * np.log(scale)
        np.testing.assert_allclose(np.array(model.lower_bounds_) + shift, plain.lower_bounds_, rtol=0, atol=1e-11)
        np.testing.assert_allclose(model.predict_proba(X * scale, **scaled), plain.predict_proba(X, **known), atol=1e-9)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_each_column_and_component_may_have_its_own_unit(family, scale):
    """Noisy rows, columns with units of their own, and one component a million times as wide as the other."""
    if family == "spherical":
        pytest.skip("one variance has one unit")
    rng = np.random.default_rng(0)
    X = rows_for(family, N_ROWS, 4)
    X[::2] = 2.0**20 * (X[::2] - X[::2].mean(axis=0))
    start = start_at(family, X, X[:2] + 0.5)
    noise = rng.uniform(0.1, 2.0, X.shape)
    scale = scale**0.9  # squares of the wide component do not overflow
    units = np.exp2(np.round(np.log2([1.0, scale, 1.0 / scale, 2.0**30])))
    options, square = scaled_start(start, units)
    plain = run(model_at(start), X, 4, noise=noise)
    model = run(model_at(start).set_params(**options), X * units, 4, noise=noise * units**2)
    np.testing.assert_allclose(model.means_ / units, plain.means_, rtol=1e-9)
    np.testing.assert_allclose(model.covariances_ / square, plain.covariances_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_the_unit_of_projected_rows_or_of_features_does_not_matter(family, scale):
    for m, d in ((1, 2), (2, 3), (3, 3), (3, 5)):
        rng = np.random.default_rng(m)
        latent = rows_for(family, N_ROWS, d)
        start = start_at(family, latent, latent[:2] + 0.5)
        projection = rng.normal(size=(N_ROWS, m, d))
        X, noise = np.einsum("nmd,nd->nm", projection, latent), rng.uniform(0.1, 2.0, (N_ROWS, m))
        options, square = scaled_start(start, scale)
        plain = run(model_at(start), X, 4, noise=noise, projection=projection)
        known = {"noise": noise * scale**2, "projection": projection}
        model = run(model_at(start).set_params(**options), X * scale, 4, **known)
        assert_scaled(model, plain, scale, square, 1e-9)
        known = {"noise": noise * scale**2, "projection": projection * scale}
        assert_scaled(run(model_at(start), X * scale, 4, **known), plain, 1.0, 1.0, 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"prior": "conjugate"}, {"init_params": "random"}], ids=str)
def test_starts_and_priors_have_the_units_of_the_data(kind, options):
    rng = np.random.default_rng(3)
    X, noise = incomplete(kind, rows_for("full", N_ROWS, 3), rng)
    model = GaussianMixture(2, missing="marginalize", reg_covar=0.0, random_state=0, **options)
    plain = run(model, X, 4, noise=noise)
    weights, means = plain.weights_, plain.means_
    for scale in (2.0**130, 2.0**-230):
        scaled = run(model, X * scale, 4, noise=None if noise is None else noise * scale**2)
        np.testing.assert_allclose(scaled.weights_, weights, rtol=1e-9)
        np.testing.assert_allclose(scaled.means_ / scale, means, rtol=1e-9)


@pytest.mark.parametrize("size", [1e30, 1e100, 1e140])
def test_noise_of_any_size_is_no_value(size):
    rng = np.random.default_rng(0)
    X = rows_for("full", N_ROWS, 4)
    start = start_at("full", X, X[:2] + 0.5)
    hidden = rng.random(X.shape) < 0.3
    hidden[0] = False
    missing = run(model_at(start, missing="marginalize"), np.where(hidden, np.nan, X), 4)
    noisy = run(model_at(start), X, 4, noise=np.where(hidden, size, 0.0))
    np.testing.assert_allclose(noisy.means_, missing.means_, rtol=1e-9)
    np.testing.assert_allclose(noisy.covariances_, missing.covariances_, rtol=1e-9, atol=1e-12)
