"""Values measured with errors, or seen in projection: the mixture describes the latent values."""

import numpy as np
import pytest
import reference_incomplete as naive
from fits import model_at, run
from hypothesis import given
from incomplete import ALGORITHMS, PATTERNS, PROPERTY, holes, marginal, weighted_mean
from models import learned, parameters_of
from reference import GAUSSIAN_FAMILIES, movement, rows_for, start_at

from fastem import GaussianMixture, PoissonMixture, Stepwise

pytestmark = pytest.mark.slow

N_ROWS = 50


def covariances(rng, n, m, scale=1.0):
    """Random covariances (n, m, m), some of them singular."""
    factors = rng.normal(size=(n, m, m)) * np.sqrt(scale / m)
    factors[::5, :, 0] = 0.0
    return factors @ np.swapaxes(factors, 1, 2)


def matrices(noise, n, m):
    """Noise in any form that `fit` takes, as covariances (n, m, m) for the reference."""
    noise = np.zeros((m, m)) if noise is None else noise
    return np.broadcast_to(noise[:, :, None] * np.eye(m) if noise.shape == (n, m) else noise, (n, m, m))


def noise_of(kind, rng, n, m):
    return {
        "none": lambda: None,
        "variances": lambda: rng.uniform(0, 2, (n, m)),
        "matrices": lambda: covariances(rng, n, m),
        "shared": lambda: covariances(rng, 2, m)[1],
    }[kind]()


def check_step(family, start, X, noise=None, projection=None, weights=None):
    """Check that a step, its bound and its results are those of the reference."""
    rows = naive.Rows(X, matrices(noise, *X.shape), None if projection is None else in_full(projection, len(X)))
    known = {"noise": noise, "projection": projection}
    model = run(marginal(start), X, 1, weights, **known)
    expected = naive.em_step(rows, start, weights)
    assert movement(expected, parameters_of(family, model)) < 1e-9
    before = weighted_mean(naive.score_samples(rows, start), weights)
    assert model.lower_bound_ == pytest.approx(before, rel=1e-9)
    densities = naive.score_samples(rows, expected)
    np.testing.assert_allclose(model.score_samples(X, **known), densities, rtol=1e-9, atol=1e-9)
    after = weighted_mean(densities, weights)
    assert model.score(X, sample_weight=weights, **known) == pytest.approx(after, rel=1e-9)
    shares = naive.responsibilities(rows, expected)
    np.testing.assert_allclose(model.predict_proba(X, **known), shares, rtol=1e-7, atol=1e-10)
    assert (model.predict(X, **known) == shares.argmax(axis=1)).all()
    mean, covariance = naive.denoised(rows, expected)
    actual_mean, actual_covariance = model.denoise(X, **known)
    np.testing.assert_allclose(actual_mean, mean, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(actual_covariance, covariance, rtol=1e-7, atol=1e-7)


def in_full(projection, n):
    return np.broadcast_to(projection, (n, *np.shape(projection)[-2:]))


@pytest.mark.parametrize("kind", ["variances", "matrices", "shared"])
@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_errors(family, n_features, kind):
    rng = np.random.default_rng(n_features)
    n_components = 1 + n_features % 3
    X = rows_for(family, N_ROWS, n_features)
    start = start_at(family, X, X[:n_components] + 0.5)
    noise = noise_of(kind, rng, N_ROWS, n_features)
    weights = rng.integers(0, 4, N_ROWS) + 0.25
    check_step(family, start, X, noise, weights=weights)
    check_step(family, start, holes(X, rng), noise)


PROJECTIONS = [
    *((1, 2, "none"), (2, 3, "none"), (2, 2, "none"), (1, 1, "variances"), (2, 3, "variances"), (3, 3, "matrices")),
    *((2, 5, "matrices"), (2, 2, "shared"), (3, 2, "variances"), (4, 3, "shared"), (5, 3, "matrices")),
]


@pytest.mark.parametrize(("m", "d", "kind"), PROJECTIONS)
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_projections(family, m, d, kind):
    """Also to more columns than there are features, which have a density if they have errors."""
    rng = np.random.default_rng(10 * m + d)
    latent = rows_for(family, N_ROWS, d)
    start = start_at(family, latent, latent[: 1 + (m + d) % 3] + 0.5)
    noise = noise_of(kind, rng, N_ROWS, m)
    noise = noise + 0.1 * np.eye(m) if m > d and kind in ("matrices", "shared") else noise
    each = rng.normal(size=(N_ROWS, m, d))
    for projection in (each, each[0]):
        X = np.einsum("nmd,nd->nm", in_full(projection, N_ROWS), latent)
        check_step(family, start, X, noise, projection, rng.uniform(size=N_ROWS))
        check_step(family, start, holes(X, rng), noise, projection)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_noise_of_zero_is_none(family):
    X = rows_for(family, 300)
    start = start_at(family, X, X[:2] + 0.5)
    plain = run(model_at(start), X, 5)
    for noise in (np.zeros((300, 3)), np.zeros((300, 3, 3)), np.zeros((3, 3))):
        model = run(model_at(start), X, 5, noise=noise)
        assert all((learned(model)[name] == expected).all() for name, expected in learned(plain).items())
        assert (model.score_samples(X, noise=noise) == plain.score_samples(X)).all()
    seen = run(model_at(start), X, 5, projection=np.eye(3))
    for name, expected in learned(plain).items():
        np.testing.assert_allclose(learned(seen)[name], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_huge_noise_is_a_missing_value(family):
    X = rows_for(family, 200)
    start = start_at(family, X, X[:2] + 0.5)
    gone = np.random.default_rng(0).uniform(size=200) < 0.4
    noise, missing = np.zeros(X.shape), X.copy()
    noise[gone, 1], missing[gone, 1] = 1e12, np.nan
    for n_iter in (1, 10):
        model = run(model_at(start), X, n_iter, noise=noise)
        expected = run(marginal(start), missing, n_iter)
        for name, values in learned(expected).items():
            np.testing.assert_allclose(learned(model)[name], values, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            model.predict_proba(X, noise=noise), expected.predict_proba(missing), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_a_column_of_huge_noise_changes_nothing_of_the_others(family):
    X = rows_for(family, 200)
    start = start_at(family, X, X[:2] + 0.5)
    noise = np.tile([0.0, 1e12, 0.0], (200, 1))
    model = run(model_at(start), X, 5, noise=noise)
    X[:, 1] = -7.0
    other = run(model_at(start), X, 5, noise=noise)
    np.testing.assert_allclose(other.means_, model.means_, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
@PROPERTY
@given(seed=PATTERNS)
def test_the_bound_never_falls(family, seed):
    rng = np.random.default_rng(seed)
    latent = rows_for(family, 120, 3, seed % 5)
    start = start_at(family, latent, latent[:2] + 0.5)
    projection = rng.normal(size=(120, 2, 3))
    X = holes(np.einsum("nmd,nd->nm", projection, latent), rng, rng.uniform(0, 0.7))
    model = run(marginal(start), X, 12, noise=covariances(rng, 120, 2), projection=projection)
    assert np.diff(model.lower_bounds_).min() > -1e-10


@pytest.mark.parametrize("options", ALGORITHMS, ids=str)
def test_every_algorithm(options):
    rng = np.random.default_rng(0)
    X = rows_for("full", 300)
    start = start_at("full", X, X[:2] + 0.5)
    noise, X = covariances(rng, 300, 3), holes(X, rng, 0.1)
    model = run(marginal(start, random_state=0, **options), X, 25, noise=noise)
    if options.get("algorithm") in ("stochastic", Stepwise(50)):
        assert model.lower_bound_ == pytest.approx(model.score(X, noise=noise), rel=1e-12)
    else:
        assert np.diff(model.lower_bounds_).min() > -1e-9


def test_the_widths_of_the_error_free_values_are_found():
    """Without errors of known variance, the rest is the variance of the values, up to its sampling error."""
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.5, 2.0, size=(20_000, 2))
    labels = rng.integers(2, size=20_000)
    X = rng.normal(size=(20_000, 2)) + 8.0 * labels[:, None] + rng.normal(size=(20_000, 2)) * np.sqrt(sizes)
    model = GaussianMixture(2, random_state=0, tol=1e-7, max_iter=1000).fit(X, noise=sizes)
    order = model.means_[:, 0].argsort()
    np.testing.assert_allclose(model.means_[order], [[0, 0], [8, 8]], atol=5 * np.sqrt(3 / 10_000))
    np.testing.assert_allclose(model.covariances_, [np.eye(2)] * 2, atol=5 * np.sqrt(2 / 10_000) * 3)


def test_every_start_is_one_for_projections():
    """No column of X is a feature, but the clusters are found."""
    rng = np.random.default_rng(1)
    labels = rng.integers(2, size=3000)
    latent = rng.normal(size=(3000, 3)) + 12.0 * labels[:, None] * [1.0, -1.0, 1.0]
    projection = rng.normal(size=(3000, 2, 3))
    X = np.einsum("nmd,nd->nm", projection, latent) + 0.1 * rng.normal(size=(3000, 2))
    known = {"noise": np.full((3000, 2), 0.01), "projection": projection}
    for init_params in ("kmeans", "k-means++"):
        model = GaussianMixture(2, init_params=init_params, n_init=3, random_state=0, max_iter=500).fit(X, **known)
        assert model.n_features_in_ == 3
        order = model.means_[:, 0].argsort()
        np.testing.assert_allclose(model.means_[order], [[0, 0, 0], [12, -12, 12]], atol=0.3)


@pytest.mark.parametrize("noise", [False, True])
def test_batches_of_projections_after_batches_of_rows_far_from_zero(noise):
    """A stream's parameters are relative to an origin, of which projections see a part."""
    X = rows_for("full", 400) + 1000.0
    start = start_at("full", X, X[:2] + 0.5)
    known = {"noise": np.ones((200, 3))} if noise else {}
    projected, plain = (model_at(start).partial_fit(X[:200]) for _ in range(2))
    projected.partial_fit(X[200:], projection=np.eye(3), **known)
    plain.partial_fit(X[200:], **known)
    for name, expected in learned(plain).items():
        np.testing.assert_allclose(learned(projected)[name], expected, rtol=1e-7)
    assert projected.lower_bound_ == pytest.approx(plain.lower_bound_, rel=1e-9)


@pytest.mark.parametrize("unit", [2.0**-60, 2.0**60])
def test_a_prior_s_defaults_have_the_units_of_the_data(unit):
    X, rng = rows_for("full", 100), np.random.default_rng(0)
    noise, X = rng.uniform(size=X.shape), holes(X, rng)
    projection = rng.normal(size=(100, 3, 3))
    for known in ({}, {"noise": noise}, {"noise": noise, "projection": projection}):
        scaled = {**known, "noise": noise * unit**2} if known else {}
        models = [GaussianMixture(1, prior="conjugate", reg_covar=0.0, missing="marginalize") for _ in range(2)]
        run(models[0], X, 20, **known)
        run(models[1], X * unit, 20, **scaled)
        np.testing.assert_allclose(models[1].means_ / unit, models[0].means_, rtol=1e-8)
        np.testing.assert_allclose(models[1].covariances_ / unit**2, models[0].covariances_, rtol=1e-8)


def test_float32_rows_give_what_their_values_give():
    X = rows_for("full", 300).astype(np.float32)
    start = start_at("full", X.astype(float), X[:2] + 0.5)
    noise = np.random.default_rng(0).uniform(size=X.shape)
    single, double = (run(model_at(start), rows, 5, noise=noise) for rows in (X, X.astype(float)))
    for name, expected in learned(double).items():
        assert learned(single)[name].dtype == np.float32
        np.testing.assert_allclose(learned(single)[name], expected, rtol=1e-5, atol=1e-6)


# Errors

WRONG = {
    "noise has shape (9, 2)": {"noise": np.ones((9, 2))},
    "noise has shape (10,)": {"noise": np.ones(10)},
    "noise holds NaN or infinity in row 4": {"noise": np.where(np.arange(10)[:, None] == 4, np.nan, np.ones((10, 2)))},
    "noise holds the variance -1.0 in row 3, column 1": {
        "noise": np.ones((10, 2)) - 2.0 * (np.arange(20) == 7).reshape(10, 2)
    },
    "noise is not symmetric in row 0": {"noise": [[1.0, 0.5], [0.4, 1.0]]},
    "noise is not positive semi-definite in row 6": {
        "noise": np.where(np.arange(10)[:, None, None] == 6, [[1.0, 2.0], [2.0, 1.0]], np.eye(2))
    },
    "noise is not positive semi-definite in row 0": {"noise": [[0.0, 0.5], [0.5, 1.0]]},
    "projection has shape (10, 3, 2)": {"projection": np.ones((10, 3, 2))},
    "projection has shape (9, 2, 2)": {"projection": np.ones((9, 2, 2))},
    "projection holds NaN or infinity in row 0": {"projection": [[1.0, np.inf], [0.0, 1.0]]},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments_are_named(message):
    X = rows_for("full", 10, 2)
    model = GaussianMixture(random_state=0).fit(X)
    before = model.__getstate__()
    for use in (model.fit, model.partial_fit, model.score_samples, model.predict, model.bic, model.denoise):
        with pytest.raises(ValueError) as error:  # noqa: PT011
            use(X, **WRONG[message])
        assert message in str(error.value)
    assert model.__getstate__() == before


def test_two_meanings_of_a_square():
    X = rows_for("full", 2, 2)
    with pytest.raises(ValueError, match="may be variances of 2 rows or a covariance of all"):
        GaussianMixture().fit(X, noise=np.eye(2))
    one = GaussianMixture(reg_covar=1e-3).fit(X, noise=np.eye(2)[None])
    each = GaussianMixture(reg_covar=1e-3).fit(X, noise=np.array([np.eye(2)] * 2))
    np.testing.assert_allclose(one.means_, each.means_, rtol=1e-12)


def test_counts_have_no_errors_of_measurement():
    X = rows_for("poisson", 20)
    for known in ({"noise": np.ones(X.shape)}, {"projection": np.eye(3)}):
        with pytest.raises(ValueError, match="noise and projection are for Gaussian mixtures: PoissonMixture has none"):
            PoissonMixture().fit(X, **known)
        with pytest.raises(ValueError, match="PoissonMixture has none"):
            PoissonMixture().fit(X).score_samples(X, **known)
