"""Only real numbers are fitted: masks, dates, strings and rounding are never accepted silently."""

import datetime
from decimal import Decimal

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse
from fits import run
from models import difference

from fastem import GaussianMixture, NormalInverseWishart, PoissonMixture, fixed_point

N = 30
X = np.random.default_rng(0).normal(size=(N, 2)) + np.repeat([[0.0], [6.0]], N // 2, axis=0)
NOISE = np.full((N, 2), 0.1)
LABELS = np.repeat([0, 1], N // 2)


def fit(x, **given):
    return run(GaussianMixture(2, random_state=0), x, 2, **given)


def fitted(**options):
    return run(GaussianMixture(2, random_state=0, **options), X, 2)


# Every argument that takes numbers, as (valid numbers, a function that passes them, the name in error messages)
PLACES = {
    "X": (X, lambda x: fit(x), "X"),
    "X of partial_fit": (X, lambda x: GaussianMixture(2, random_state=0).partial_fit(x), "X"),
    "X of predict": (X, lambda x: fitted().predict(x), "X"),
    "X of score": (X, lambda x: fitted().score(x), "X"),
    "X of regress": (X[:, :1], lambda x: fitted().regress(x, target=1), "X"),
    "counts": (np.round(X**2), lambda x: PoissonMixture(2, random_state=0).fit(x), "X"),
    "sample_weight": (np.ones(N), lambda x: fit(X, sample_weight=x), "sample_weight"),
    "noise": (NOISE, lambda x: fit(X, noise=x), "noise"),
    "covariances of noise": (np.stack([np.eye(2)] * N), lambda x: fit(X, noise=x), "noise"),
    "projection": (np.stack([np.eye(2)] * N), lambda x: fit(X, projection=x), "projection"),
    "plausibilities": (np.ones((N, 2)), lambda x: fit(X, labels=x), "labels"),
    "means_init": (X[[0, -1]], lambda x: fitted(means_init=x), "means_init"),
    "weights_init": (np.array([0.5, 0.5]), lambda x: fitted(weights_init=x), "weights_init"),
    "precisions_init": (np.stack([np.eye(2)] * 2), lambda x: fitted(precisions_init=x), "precisions_init"),
    "weights_prior": (np.array([2.0, 2.0]), lambda x: fitted(weights_prior=x), "weights_prior"),
    "prior": (np.zeros(2), lambda x: fitted(prior=NormalInverseWishart(mean=x)), "mean"),
    "theta": (np.zeros(2), lambda x: fixed_point(lambda theta: theta / 2, x), "theta"),
    "a chunk": (X, lambda x: fit([X, x]), "chunk 1"),
    "weights of a chunk": (np.ones(N), lambda x: fit([(X, np.ones(N)), (X, x)]), "sample_weight of chunk 1"),
    "noise of a chunk": (NOISE, lambda x: fit([{"X": X, "noise": NOISE}, {"X": X, "noise": x}]), "chunk 1.*noise"),
}
NO_NUMBERS = {
    "dates": lambda x: x.astype("datetime64[s]"),
    "durations": lambda x: x.astype("timedelta64[s]"),
    "strings": lambda x: x.astype(str),
    "bytes": lambda x: x.astype(bytes),
    "strings in objects": lambda x: x.astype(str).astype(object),
    "complex": lambda x: x + 0j,
    "complex in objects": lambda x: (x + 0j).astype(object),
    "dates in objects": lambda x: np.full(x.shape, datetime.datetime(2020, 1, 1), dtype=object),
    "dates of pandas": lambda x: np.full(x.shape, pandas.NaT, dtype=object),
    "records": lambda x: x.astype([("a", float)]),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_real_number_is_refused_by_name(place, kind):
    numbers, give, name = PLACES[place]
    with pytest.raises(ValueError, match=name) as error:
        give(NO_NUMBERS[kind](numbers))
    assert any(words in str(error.value) for words in ("not real numbers", "no real number", "Complex data"))


def masked(numbers):
    """A masked array, whose last entry is masked and holds a wild value."""
    data, mask = numbers.copy(), np.zeros(numbers.shape, dtype=bool)
    data[(-1,) * data.ndim], mask[(-1,) * data.ndim] = -9999.0, True
    return np.ma.array(data, mask=mask)


def with_last(value, kind=object):
    def change(numbers):
        objects = numbers.astype(kind)
        objects[(-1,) * numbers.ndim] = value
        return objects

    return change


ABSENT = {
    "masked": masked,
    "rows that are masked": lambda numbers: list(masked(numbers)),
    "None": with_last(None),
    "NA": with_last(pandas.NA),
}


@pytest.mark.parametrize("kind", ABSENT)
@pytest.mark.parametrize("place", PLACES)
def test_a_missing_value_is_refused_with_its_place(place, kind):
    numbers, give, _ = PLACES[place]
    with pytest.raises(ValueError, match=f"contains NaN.*row {len(numbers) - 1}"):
        give(ABSENT[kind](numbers))


@pytest.mark.parametrize("place", PLACES)
def test_a_mask_that_masks_nothing_is_no_mask(place):
    numbers, give, _ = PLACES[place]
    plain, other = give(numbers), give(np.ma.array(numbers))
    if isinstance(plain, GaussianMixture):
        assert difference(other, plain) == 0.0
    elif isinstance(plain, PoissonMixture):
        np.testing.assert_array_equal(other.rates_, plain.rates_)
    elif place == "theta":
        np.testing.assert_array_equal(other.theta, plain.theta)
    else:
        np.testing.assert_array_equal(other, plain)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_a_mask_means_missing_where_missing_values_are_marginalized(dtype):
    data = (10 * X).astype(dtype)
    M = np.ma.array(data, mask=np.arange(2 * N).reshape(N, 2) % 7 == 3)
    holes = np.where(M.mask, np.nan, data.astype(np.float32 if dtype == np.float32 else np.float64))
    model = GaussianMixture(2, random_state=0, missing="marginalize")
    expected = run(model, holes, 5)
    objects = data.astype(object)
    for given in (M, list(M), np.where(M.mask, None, objects), np.ma.array(objects, mask=M.mask)):
        same = dtype != np.float32 or given is M
        assert difference(run(GaussianMixture(**model.get_params()), given, 5), expected) < (1e-300 if same else 1e-4)
    assert difference(run(GaussianMixture(**model.get_params()), [M[:10], M[10:]], 5), run(model, [holes], 5)) < 1e-6
    np.testing.assert_array_equal(expected.impute(M), expected.impute(holes))
    np.testing.assert_array_equal(expected.denoise(M)[0], expected.denoise(holes)[0])
    np.testing.assert_array_equal(expected.predict_proba(M), expected.predict_proba(holes))


@pytest.mark.parametrize(
    "labels",
    [
        np.ma.array(LABELS, mask=LABELS == 1),
        np.ma.array(LABELS.astype(np.uint8), mask=LABELS == 1),
        pandas.Series(LABELS, dtype="Int64").where(LABELS == 0),
        polars.Series([0 if label == 0 else None for label in LABELS]),
        pyarrow.array([0 if label == 0 else None for label in LABELS]),
        [0 if label == 0 else None for label in LABELS],
        np.array([0 if label == 0 else pandas.NA for label in LABELS], dtype=object),
    ],
    ids=lambda labels: type(labels).__module__,
)
def test_a_label_that_is_masked_or_null_is_not_known(labels):
    expected = fit(X, labels=np.where(LABELS == 0, 0, -1)).means_
    np.testing.assert_array_equal(fit(X, labels=labels).means_, expected)


@pytest.mark.parametrize("label", [2**63, 2**64 - 1])
def test_a_label_too_large_for_an_index_is_named(label):
    labels = LABELS.astype(np.uint64)
    labels[7] = label
    with pytest.raises(ValueError, match=f"labels holds {label} in row 7"):
        fit(X, labels=labels)


WHOLE = np.arange(2 * N).reshape(N, 2)
LARGE = {
    "int64": lambda value: with_last(value, np.int64)(WHOLE),
    "uint64": lambda value: with_last(value, np.uint64)(WHOLE),
    "objects": lambda value: with_last(value)(WHOLE),
    "pandas": lambda value: pandas.DataFrame(with_last(value, np.int64)(WHOLE)),
    "nullable": lambda value: pandas.DataFrame(with_last(value, np.int64)(WHOLE), dtype="Int64"),
    "beside numbers": lambda value: pandas.DataFrame({"a": X[:, 0], "b": with_last(value, np.int64)(WHOLE)[:, 1]}),
    "pyarrow": lambda value: pyarrow.table(dict(zip("ab", with_last(value, np.int64)(WHOLE).T, strict=True))),
    "a chunk": lambda value: [WHOLE, with_last(value, np.int64)(WHOLE)],
}


@pytest.mark.parametrize("kind", LARGE)
def test_integers_that_float64_would_round_are_refused_and_others_are_exact(kind):
    with pytest.raises(ValueError, match=f"{2**60 + 1} in row {N - 1}, column"):
        fit(LARGE[kind](2**60 + 1))
    fit(LARGE[kind](2**60))


def test_the_largest_integers_are_not_taken_for_the_next_power_of_two():
    for dtype in (np.int64, np.uint64):
        with pytest.raises(ValueError, match="would round"):
            fit(np.full((4, 1), np.iinfo(dtype).max, dtype=dtype))


def test_objects_that_are_numbers_are_numbers():
    objects = np.array([[Decimal(str(a)), np.float32(b)] for a, b in X.round(3)], dtype=object)
    expected = fit(np.column_stack([X[:, 0].round(3), X[:, 1].round(3).astype(np.float32)])).means_
    np.testing.assert_array_equal(fit(objects).means_, expected)
    with pytest.raises(ValueError, match="row 3, column 1 that is too large for float64"):
        fit(with_last(10**400)(X[:4]))
    with pytest.raises(TypeError, match=r"not 'dict'.*row 3, column 1"):
        fit(with_last({})(X[:4]))


def test_long_doubles_out_of_range_are_infinite_and_halves_are_numbers():
    with pytest.raises(ValueError, match="infinity or a value too large for dtype"):
        fit(with_last(np.longdouble("1e4000"), np.longdouble)(X))
    half = X.astype(np.float16)
    np.testing.assert_array_equal(fit(half).means_, fit(half.astype(float)).means_)


class Quantity(np.ndarray):
    """An array with a unit, which its own functions keep."""


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_subclasses_are_read_as_plain_arrays_but_for_matrices():
    for give in (fit, lambda x: fit([x]), lambda x: fit(X, noise=x), lambda x: fit(X, labels=x)):
        model = give(np.abs(X).view(Quantity))
        assert difference(model, give(np.abs(X))) == 0.0
        assert type(model.means_) is np.ndarray
        with pytest.raises(TypeError, match=r"np\.matrix is not supported"):
            give(np.asmatrix(X))


@pytest.mark.parametrize("place", PLACES)
def test_sparse_matrices_are_refused_in_scikit_learn_s_words(place):
    numbers, give, _ = PLACES[place]
    with pytest.raises((TypeError, ValueError), match=r"Sparse data was passed for|must be .*array-like"):
        give(scipy.sparse.csr_array(np.atleast_2d(numbers.reshape(len(numbers), -1))))


@pytest.mark.parametrize("scale", [1e-310, 1e-250, 1e250, 1e308])
def test_weights_beyond_the_range_of_sums_are_refused(scale):
    for give in (lambda w: fit(X, sample_weight=w), lambda w: fit([(X, w)])):
        with pytest.raises(ValueError, match="sample_weight sums to"):
            give(np.full(N, scale))
    few = np.ones(N)
    few[0] = scale if scale < 1 else 1.0
    assert difference(fit(X, sample_weight=few), fit(X, sample_weight=few.round())) < 1e-12


@pytest.mark.parametrize("result", ["0.5", np.datetime64(5, "s"), 1j, np.ma.masked, None])
def test_what_step_and_objective_return_are_real_numbers(result):
    with pytest.raises(ValueError, match=r"what step returned|step returned numbers that are not finite"):
        fixed_point(lambda theta: result, 1.0)
    with pytest.raises(ValueError, match=r"what objective returned|objective returned nan"):
        fixed_point(lambda theta: theta / 2, 1.0, objective=lambda theta: result)


def test_nulls_of_arrow_are_named():
    for weights in (pyarrow.array([1.0] * 29 + [None]), pyarrow.chunked_array([[1.0] * 20, [1.0] * 9 + [None]])):
        with pytest.raises(ValueError, match="Input sample_weight contains NaN: row 29"):
            fit(X, sample_weight=weights)


def test_a_mask_of_fixed_components_may_not_be_masked():
    start = {"means_init": X[[0, -1]], "fixed": {"means": np.ma.array([True, False], mask=[False, True])}}
    with pytest.raises(ValueError, match="fixed"):
        fitted(**start)


@pytest.mark.parametrize("value", ["1.5", b"1", np.datetime64(5, "s"), 1j, None, np.ma.masked])
def test_what_is_given_of_a_conditional_is_a_real_number(value):
    with pytest.raises(ValueError, match="given"):
        fitted().conditional({0: value})
