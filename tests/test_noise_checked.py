"""Noise is checked in any units; noise that all rows share; what can be learned from projections."""

import numpy as np
import pytest
from fits import run
from models import learned

from fastem import GaussianMixture
from fastem.data import ArraySource
from fastem.data.row_info import Annotations
from fastem.data.row_info_checks import check_noise
from fastem.em.subsample import Sample

NO_COVARIANCES = {
    "an eigenvalue of -4": ([[1, 0, 0], [0, 1, 5], [0, 5, 1]], "not positive semi-definite in row 3"),
    "a variance of -0.5": (np.diag([1, 1, -0.5]), r"the variance -0\.5\d* in row 3, column 2"),
    "asymmetric": ([[1, 0, 0], [0, 1, 0.9], [0, 0, 1]], "not symmetric in row 3"),
    "a covariance without a variance": ([[1, 0, 0], [0, 1, 1e-3], [0, 1e-3, 0]], "not positive semi-definite in row 3"),
    "singular but for the last": ([[1, 0, 0], [0, 1, 1.001], [0, 1.001, 1]], "not positive semi-definite in row 3"),
}


@pytest.mark.parametrize("units", [(1, 1, 1), (1e6, 1, 1), (1e100, 1e-100, 1e-100)], ids=str)
@pytest.mark.parametrize("wrong", NO_COVARIANCES)
def test_what_is_no_covariance_is_refused_beside_a_feature_of_any_size(wrong, units):
    matrix, message = NO_COVARIANCES[wrong]
    noise = np.tile(np.eye(3), (20, 1, 1))
    noise[3] = matrix
    X = np.random.default_rng(0).normal(size=(20, 3)) * units
    with pytest.raises(ValueError, match=message if units[2] == 1 else message.replace(r"-0\.5\d*", ".*")):
        GaussianMixture(1).fit(X, noise=noise * np.outer(units, units))


@pytest.mark.parametrize("units", [(1, 1, 1), (1e6, 1, 1e-6), (1e100, 1e-100, 1.0)], ids=str)
def test_covariances_are_taken_up_to_rounding(units):
    """Also covariances of rank one and two, with zeros, and with rounding errors."""
    rng = np.random.default_rng(1)
    roots = rng.normal(size=(200, 3, 2))
    roots[::3, :, 1] = 0.0
    roots[::5, 1] = 0.0
    noise = roots @ np.swapaxes(roots, 1, 2) * np.outer(units, units)
    noise[1, 0, 1] *= 1 + 1e-15
    assert (check_noise(noise, (200, 3)) == noise.reshape(200, 9)).all()


def rarely_seen(n_rows=10_000):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 2))
    X[:, 1] = np.nan
    X[::700, 1] = rng.normal(size=len(X[::700]))
    return X


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_noise_of_all_rows_is_that_of_each_where_a_start_has_to_look_for_a_column(covariance_type, weighted):
    X = rarely_seen()
    shared = np.array([[0.1, 0.05], [0.05, 0.2]])
    weights = np.random.default_rng(1).uniform(size=len(X)) if weighted else None
    options = {"covariance_type": covariance_type, "missing": "marginalize", "random_state": 0, "init_size": 50}
    one = run(GaussianMixture(2, **options), X, 1, weights, noise=shared)
    each = run(GaussianMixture(2, **options), X, 1, weights, noise=np.tile(shared, (len(X), 1, 1)))
    assert one.lower_bound_ == each.lower_bound_
    assert all((learned(one)[name] == value).all() for name, value in learned(each).items())


def projected(n_columns, n_features=2, n_rows=300):
    rng = np.random.default_rng(0)
    projection = rng.normal(size=(n_rows, n_columns, n_features))
    latent = rng.normal(size=(n_rows, n_features)) + 1
    return np.einsum("nmd,nd->nm", projection, latent), projection


def dependent(kind):
    """Rows with projections: from row 7 on, rows in which one value follows from the others."""
    X, projection = projected(3 if kind == "more columns than features" else 2)
    if kind == "zeros":
        projection[7:9, 1] = 0.0
    elif kind == "twice the same":
        projection[7, 1] = 3 * projection[7, 0]
    else:
        X[:7, 0] = np.nan
    return X, projection


@pytest.mark.parametrize("kind", ["more columns than features", "zeros", "twice the same"])
@pytest.mark.parametrize("unit", [1.0, 1e-60, 1e60])
def test_values_that_follow_from_each_other_have_no_density(kind, unit):
    X, projection = dependent(kind)
    units, message = np.array([1.0, unit]), "the values in row 7 have no density"
    model = GaussianMixture(1, missing="marginalize", reg_covar=0.0)
    with pytest.raises(ValueError, match=message):
        model.fit(X, projection=projection * units)
    noise = np.full(X.shape, 0.1)
    fitted = run(model, X, 3, projection=projection, noise=noise)
    for method in (fitted.score_samples, fitted.predict, fitted.denoise):
        with pytest.raises(ValueError, match=message):
            method(X, projection=projection)
    chunk = {"X": X[5:], "projection": projection[5:] * units}
    with pytest.raises(ValueError, match="the values in row 2 of chunk 1 have no density"):
        run(model, [{"X": X[:5], "projection": projection[:5] * units}, chunk], 3)
    X[7:, 1 if kind != "zeros" else 0] = np.nan
    X[7:9, 1] = np.nan
    run(GaussianMixture(1, missing="marginalize"), X, 1, projection=projection)


def test_a_feature_that_no_row_sees_cannot_be_learned():
    X, projection = projected(1, 3)
    unseen = projection.copy()
    unseen[:, :, 1] = 0.0
    message = "no projection sees features 1: nothing can be learned"
    for given in (unseen, unseen[0]):
        with pytest.raises(ValueError, match=message):
            GaussianMixture(1).fit(X, projection=given)
    unseen[5] = projection[5]
    weights = np.where(np.arange(len(X)) == 5, 0.0, 1.0)
    with pytest.raises(ValueError, match=message):
        GaussianMixture(1).fit(X, projection=unseen, sample_weight=weights)
    halves = [{"X": X[part], "projection": unseen[part]} for part in (slice(6, None), slice(0, 5), slice(0, 6))]
    with pytest.raises(ValueError, match=message):
        GaussianMixture(1).fit(halves[:2])
    run(GaussianMixture(1), halves[::2], 3)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_zero_noise_of_a_source_is_none(covariance_type, missing):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3)) + 3 * rng.integers(2, size=(500, 1))
    X[rng.random(X.shape) < 0.2 * missing] = np.nan
    options = {"covariance_type": covariance_type, "missing": "marginalize", "random_state": 0}
    plain = run(GaussianMixture(2, **options), [X[:200], X[200:]], 5)
    for noise in (np.zeros((500, 3)), np.zeros((500, 3, 3))):
        chunks = [{"X": X[part], "noise": noise[part]} for part in (slice(0, 200), slice(200, None))]
        model = run(GaussianMixture(2, **options), chunks, 5)
        assert model.lower_bounds_ == plain.lower_bounds_
        assert all((learned(model)[name] == value).all() for name, value in learned(plain).items())
        assert (model.score_samples(chunks) == plain.score_samples(X)).all()
    chunks[1]["noise"] = chunks[1]["noise"] + np.eye(3)
    assert abs(run(GaussianMixture(2, **options), chunks, 5).lower_bound_ - plain.lower_bound_) > 1e-3


def test_noise_of_another_number_of_rows_reaches_no_kernel():
    rows = Sample(np.zeros((5, 2)), None, Annotations(noise=np.zeros((2, 4))))
    with pytest.raises(ValueError, match="noise is known of 2 rows, where there are 5"):
        rows.source(np.zeros(2))


def test_covariances_that_noise_leaves_singular_are_said_to_be():
    """Two columns see the same feature with the same error: their difference has no variance."""
    X = np.random.default_rng(0).normal(size=(40, 1)).repeat(2, axis=1)
    model = GaussianMixture(1, means_init=[[0.0]], weights_init=[1.0], precisions_init=[[[1.0]]])
    with pytest.raises(ValueError, match="a row's values follow from each other"):
        run(model, X, 2, projection=np.ones((2, 1)), noise=np.ones((2, 2)))
    run(model, X, 2, projection=np.ones((2, 1)), noise=np.ones((2, 2)) + 0.1 * np.eye(2))


def test_a_square_of_noise_is_what_it_was_in_the_chunks_before():
    square = np.diag([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(check_noise(square, (3, 3), variances=False), square.reshape(1, 9))
    np.testing.assert_array_equal(check_noise(square, (3, 3), variances=True), square)
    with pytest.raises(ValueError, match="may be variances of 3 rows or a covariance of all"):
        check_noise(square, (3, 3))
    for variances in (None, False, True):  # for one column, both are the same
        np.testing.assert_array_equal(check_noise([[2.0]], (1, 1), variances=variances), [[2.0]])


@pytest.mark.parametrize("m", [1, 2, 5])
def test_tiles_have_room_for_values_covariances_and_projections(m):
    """A covariance has m (m + 1) / 2 entries, and a projection an entry for each feature of each value."""
    values, noise, projection = np.ones((4, m)), np.ones((4, m * (m + 1) // 2)), np.ones((4, m * 3))

    def width(**known):
        return ArraySource(values, None, np.zeros(m), annotations=Annotations(**known)).rows.width

    assert width() == m
    assert width(noise=noise) == m + noise.shape[1]
    assert width(noise=noise, projection=projection) == m + noise.shape[1] + projection.shape[1]
