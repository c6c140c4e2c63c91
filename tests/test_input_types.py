"""Any array, frame or memory map of the same numbers gives the same fit, and none is copied whole."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import sklearn.mixture
from fits import model_at, run
from models import difference, failure, learned
from reference import GAUSSIAN_FAMILIES, Gaussian, arrays, em, rows_for, start_at

from fastem import GaussianMixture, PoissonMixture


def rows_and_start(family="full", dtype=np.float64):
    X = rows_for(family, n_rows=60).astype(dtype)
    return X, start_at(family, X.astype(float), X[:2] + 0.5)


def assert_same_to_rounding(actual, expected):
    """To rounding: other layouts and types are read by other compiled passes, whose sums have another order."""
    dtype = expected.weights_.dtype
    assert {value.dtype for value in learned(actual).values()} == {dtype}
    assert difference(actual, expected) < (1e-12 if dtype == np.float64 else 2e-7)
    np.testing.assert_allclose(actual.lower_bounds_, expected.lower_bounds_, rtol=1e-12)


def assert_identical(actual, expected):
    assert learned(actual).keys() == learned(expected).keys()
    for name, value in learned(expected).items():
        np.testing.assert_array_equal(getattr(actual, name), value, err_msg=name, strict=True)
    assert actual.lower_bounds_ == expected.lower_bounds_


def as_memory_map(X, path):
    X.tofile(path)
    return np.memmap(path, X.dtype, "r", shape=X.shape)


def unaligned(X):
    """The numbers of X, each of which begins at an odd address."""
    memory = np.empty(X.nbytes + 1, np.uint8)[1:]
    copy = memory.view(X.dtype).reshape(X.shape)
    copy[...] = X
    assert not copy.flags.aligned
    return copy


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: X[::-1].copy()[::-1],
    "one column broadcast": lambda X: np.broadcast_to(X[:, :1], X.shape),
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "unaligned": unaligned,
    "list": lambda X: X.tolist(),
    "pandas": pandas.DataFrame,
    "pandas by columns": lambda X: pandas.DataFrame({f"x{j}": column for j, column in enumerate(X.T)}),
    "polars": lambda X: polars.DataFrame(dict(zip("abc", X.T, strict=True))),
    "pyarrow": lambda X: pyarrow.table(dict(zip("abc", X.T, strict=True))),
}

COPIED = ("big-endian", "unaligned", "list")  # compiled code cannot read them: they become plain arrays


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_fit_does_not_depend_on_the_layout(layout):
    X, start = rows_and_start()
    options = {}
    if layout == "one column broadcast":
        X, options = np.repeat(X[:, :1], 3, axis=1), {"reg_covar": 1.0}
    other = LAYOUTS[layout](X)
    plain = run(model_at(start, **options), X, 10)
    same = assert_identical if layout in COPIED else assert_same_to_rounding
    same(run(model_at(start, **options), other, 10), plain)
    if isinstance(other, np.ndarray):
        np.testing.assert_allclose(plain.predict_proba(other), plain.predict_proba(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_read_only_memory_map_is_fitted_like_the_array(dtype, tmp_path):
    X, start = rows_and_start(dtype=dtype)
    mapped = as_memory_map(X, tmp_path / "rows")
    model = run(model_at(start), mapped, 10)
    assert_identical(model, run(model_at(start), X, 10))
    np.testing.assert_array_equal(model.score_samples(mapped), model.score_samples(X))


@pytest.mark.parametrize("as_frame", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_frame_keeps_its_type_and_lends_its_names(as_frame, dtype):
    X, start = rows_and_start(dtype=dtype)
    names = ["length", "width", "weight"]
    frame = as_frame(dict(zip(names, X.T, strict=True)))
    model = run(model_at(start), frame, 10)
    assert_same_to_rounding(model, run(model_at(start), X, 10))
    assert model.means_.dtype == dtype
    assert list(model.feature_names_in_) == names


def test_an_array_after_a_frame_is_told_of_and_a_fit_to_it_forgets_the_names():
    X, start = rows_and_start()
    model = run(model_at(start), pandas.DataFrame(X, columns=list("abc")), 2)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    model = run(model, X, 2)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3 features as input"):
        model.predict(X[:, :2])


def test_values_whose_sum_overflows_are_no_infinite_values():
    values = np.array([[0.75], [0.8], [0.9]])
    with pytest.raises(ValueError, match="too large to be squared and summed"):
        GaussianMixture().fit(values * np.finfo(np.float64).max)
    X = (values * np.finfo(np.float32).max).astype(np.float32)
    start = {"weights_init": [1.0], "means_init": X[:1].astype(float), "precisions_init": [[[1e-74]]]}
    with pytest.raises(ValueError, match="overflow float32, the type of X: give X as float64"):
        run(GaussianMixture(**start), X, 2)


@pytest.mark.parametrize(("scale", "name"), [(1e25, "covariances"), (1e-25, "precisions")])
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_parameters_without_room_in_float32_are_an_error_and_not_infinite(family, scale, name):
    X, start = rows_and_start(family)
    start = replace(start, means=start.means * scale, covariances=np.asarray(start.covariances) * scale**2)
    double = run(model_at(start), X * scale, 3)
    assert 0.1 * scale**2 < np.abs(double.covariances_).max() < 1e3 * scale**2
    single = model_at(start)
    assert f"The fitted {name}, up to" in failure(single, (X * scale).astype(np.float32))
    assert not learned(single)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, np.float16, bool])
def test_other_numbers_become_float64(dtype):
    X = (rows_and_start()[0] > 1).astype(dtype)
    start = start_at("full", X.astype(float), [[0.2] * 3, [0.8] * 3])
    model = run(model_at(start, reg_covar=0.1), X, 5)
    assert_identical(model, run(model_at(start, reg_covar=0.1), X.astype(float), 5))
    assert model.means_.dtype == np.float64


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_float32_follows_the_float64_fit(family):
    """Rows are evaluated in float32 and sums are float64: after ten iterations, errors are near float32's precision."""
    X, start = rows_and_start(family, np.float32)
    single = run(model_at(start), X, 10)
    double = run(model_at(start), X.astype(float), 10)
    assert len(learned(single)) == 5
    condition = max(np.linalg.cond(matrix) for matrix in as_oracle(double).covariance_matrices())
    for name, value in learned(double).items():
        tolerance = 64 * np.finfo(np.float32).eps * np.abs(value).max()
        if name.startswith("precisions"):  # inversion multiplies the error by the condition number
            tolerance *= condition
        np.testing.assert_allclose(getattr(single, name), value, rtol=0, atol=tolerance)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, rel=4 * float(np.finfo(np.float32).eps))


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_float32_data_whose_squares_are_no_float32_are_evaluated_in_float64(scale):
    X, start = rows_and_start("diag", np.float32)
    X *= scale
    start = replace(start, means=start.means * scale, covariances=start.covariances * scale**2)
    single, double = run(model_at(start), X, 10), run(model_at(start), X.astype(float), 10)
    np.testing.assert_array_max_ulp(single.means_, double.means_.astype(np.float32), maxulp=1)
    np.testing.assert_allclose(single.weights_, double.weights_, rtol=1e-6)


def test_what_is_computed_from_float32_is_float32():
    X, start = rows_and_start(dtype=np.float32)
    model = run(model_at(start), X, 10)
    assert model.score_samples(X).dtype == np.float32
    assert model.predict_proba(X).dtype == np.float32


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_float32_resolves_a_variance_far_below_the_squared_mean(family):
    """Squares of numbers near 1000 are spaced by 0.06 in float32: E[x^2] - mean^2 would be noise, even negative.

    https://github.com/scikit-learn/scikit-learn/issues/30382
    """
    random = np.random.default_rng(0)
    X = (1000 + 2.0 * random.integers(2, size=(500, 1)) + 0.3 * random.normal(size=(500, 3))).astype(np.float32)
    start = start_at(family, X.astype(float), [[1000.0] * 3, [1002.0] * 3])
    model = run(model_at(start), X, 10)
    expected = em(X.astype(float), start, 10)[-1][0]
    for name, value in arrays(expected).items():
        actual = getattr(model, f"{name}_")
        assert np.abs(actual - value).max() < 1e-6 * np.abs(value).max(), name
    assert (np.linalg.eigvalsh(as_oracle(model).covariance_matrices()) > 0.05).all()


def as_oracle(model):
    return Gaussian(model.covariance_type, model.weights_, model.means_, model.covariances_)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_the_input_is_never_written_to(init_params):
    X = rows_for("full", n_rows=60)
    weights = np.arange(60.0)
    before = X.copy(), weights.copy()
    model = run(GaussianMixture(2, init_params=init_params, random_state=0), X, 3, weights)
    for method in ("predict", "predict_proba", "score_samples", "score", "bic", "icl"):
        getattr(model, method)(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(weights, before[1])


def peak_bytes(function):
    """Peak of the memory that Python and numpy allocate in the call."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


STORAGE = {
    "float32": lambda X, path: X.astype(np.float32),
    "float64 in Fortran order": lambda X, path: np.asfortranarray(X),
    "float32 memory map": lambda X, path: as_memory_map(X.astype(np.float32), path),
}


@pytest.mark.parametrize("storage", STORAGE)
def test_a_fit_copies_only_what_k_means_starts_from(storage, tmp_path):
    n_rows = 300_000
    X = STORAGE[storage](rows_for("full", n_rows, n_features=4), tmp_path / "rows")
    start = start_at("full", np.asarray(X[:1000], dtype=float), [[0.0] * 4, [3.0] * 4])
    options = {"n_jobs": 1, "random_state": 0, "reg_covar": 1e-6}
    models = [model_at(start, **options), GaussianMixture(2, init_size=1000, **options)]
    for model in models:
        run(model, X, 2)  # compiled, and everything imported
        assert peak_bytes(lambda model=model: run(model, X, 2)) < 0.3 * n_rows * 4 * 8


def test_responsibilities_are_never_held_at_once():
    """Neither those of all rows nor those of a quarter of them, also in the initialisation."""
    n_rows, n_components = 400_000, 32
    X = rows_for("full", n_rows, n_features=2)
    start = start_at("full", X[:1000], X[:n_components])
    model = run(model_at(start, n_jobs=1, reg_covar=1e-6), X[:1000], 1)
    allowed = n_rows * n_components * 8 / 4
    assert peak_bytes(lambda: run(model, X, 2)) < allowed
    for method in ("score", "score_samples", "predict", "bic", "aic", "icl"):
        assert peak_bytes(lambda method=method: getattr(model, method)(X)) < allowed, method
    model = GaussianMixture(n_components, init_params="random", init_size=n_rows, n_jobs=1, random_state=0)
    assert peak_bytes(lambda: run(model, X, 1)) < allowed


NOT_DATA = {
    "NaN": np.array([[1.0, 2.0], [3.0, np.nan]]),
    "infinity": np.array([[1.0, 2.0], [3.0, -np.inf]]),
    "one dimension": np.arange(4.0),
    "three dimensions": np.ones((2, 2, 2)),
    "no rows": np.empty((0, 2)),
    "one row": np.ones((1, 2)),
    "no columns": np.empty((4, 0)),
}


@pytest.mark.parametrize("kind", NOT_DATA)
def test_what_is_no_data_is_refused_in_scikit_learn_s_words(kind):
    theirs = failure(sklearn.mixture.GaussianMixture(), NOT_DATA[kind])
    assert failure(GaussianMixture(), NOT_DATA[kind]) == theirs


def test_complex_numbers_are_refused_with_scikit_learn_s_words_first():
    theirs = failure(sklearn.mixture.GaussianMixture(), np.ones((4, 2)) + 1j)
    assert failure(GaussianMixture(), np.ones((4, 2)) + 1j).startswith(theirs.splitlines()[0])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic", "icl"])
def test_rows_of_another_width_are_refused(method):
    model = GaussianMixture().fit(rows_for("full"))
    message = "X has 2 features, but GaussianMixture is expecting 3 features as input"
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(np.ones((5, 2)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [2.5, -1.0])
def test_what_is_no_count_is_named(value, dtype):
    X = np.ones((70_000, 3), dtype=dtype)
    X[69_998, 1] = value
    where = f"X contains {value} in row 69998, column 1"
    with pytest.raises(ValueError, match=where):
        PoissonMixture(2).fit(X)
    model = PoissonMixture().fit(rows_for("poisson"))
    with pytest.raises(ValueError, match=where):
        model.score(X)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_counts_may_be_integers(dtype):
    X, start = rows_and_start("poisson")
    whole = run(model_at(start), X.astype(dtype), 10)
    assert_identical(whole, run(model_at(start), X, 10))
