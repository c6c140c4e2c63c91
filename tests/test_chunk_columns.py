"""Chunks of a source must agree in names and in the meaning of noise, and may be any data frames of numbers."""

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from fits import run
from models import difference
from pyarrow import dataset, parquet

from fastem import GaussianMixture, PoissonMixture, Source

RNG = np.random.default_rng(0)
N, D = 60, 3
X = RNG.normal(size=(N, D)) + np.repeat([[0.0], [6.0]], N // 2, axis=0)
VARIANCES = RNG.uniform(0.1, 1.0, size=(N, D))
COVARIANCE = np.diag([0.1, 0.5, 1.0])


def fit(data, missing="raise", **options):
    return run(GaussianMixture(2, random_state=0, missing=missing, **options), data, 3)


def batch(columns):
    return pyarrow.RecordBatch.from_pydict(dict(columns))


FRAMES = [pandas.DataFrame, polars.DataFrame, pyarrow.table, batch]


def frame(make, names, values=X):
    return make(dict(zip(names, values.T, strict=True)))


@pytest.mark.parametrize("make", FRAMES)
def test_the_first_chunk_lends_its_names_and_the_others_must_have_them(make):
    chunks = [frame(make, "abc", X[:20]), frame(make, "abc", X[20:])]
    model = fit(chunks)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert difference(model, fit([X[:20], X[20:]])) == 0.0
    for names, what in (("bac", "the same, but in another order"), ("abz", "others")):
        match = (
            f"chunk 1 has the columns '{names[0]}', '{names[1]}', '{names[2]}', where the first chunk has .*: {what}"
        )
        with pytest.raises(ValueError, match=match):
            fit([chunks[0], frame(make, names, X[20:])])
    with pytest.raises(ValueError, match="the columns of chunk 1 have no names, where the first chunk has some"):
        fit([chunks[0], X[20:]])
    with pytest.raises(ValueError, match="the columns of chunk 1 have names, where the first chunk has none"):
        fit([X[20:], chunks[0]])


@pytest.mark.parametrize("make", FRAMES)
@pytest.mark.parametrize("method", ["predict", "score", "score_samples", "bic"])
def test_methods_of_a_model_with_names_compare_those_of_chunks(make, method):
    model = fit(pandas.DataFrame(X, columns=list("abc")))
    getattr(model, method)([frame(make, "abc")])
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        getattr(model, method)([frame(make, "bac")])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        getattr(model, method)([X])


@pytest.mark.parametrize("make", [batch])
def test_a_batch_of_arrow_has_names(make):
    assert list(fit(frame(make, "abc")).feature_names_in_) == ["a", "b", "c"]


def test_names_in_pairs_and_mappings_count_too():
    frames = [frame(pandas.DataFrame, "abc"), frame(pandas.DataFrame, "bac")]
    for chunks in ([(one, np.ones(N)) for one in frames], [{"X": one} for one in frames], iter):
        with pytest.raises(ValueError, match="but in another order"):
            fit(chunks if chunks is not iter else Source(frames))


def test_regression_compares_names():
    model = fit(frame(pandas.DataFrame, "abc"))
    right = frame(pandas.DataFrame, "ab", X[:5, :2])
    expected = fit(X).regress(X[:5, :2], target=2)
    np.testing.assert_array_equal(model.regress(right, target="c"), expected)
    for names in ("ba", "az", "ac"):
        with pytest.raises(ValueError, match="The feature names should match"):
            model.regress(frame(pandas.DataFrame, names, X[:5, :2]), target="c")
    with pytest.raises(ValueError, match="The feature names should match"):
        model.regress(frame(pandas.DataFrame, "abc"), target="c")
    with pytest.raises(TypeError, match="not the string 'ab'"):
        model.marginal("ab")


def test_names_of_noise_and_of_initial_means_are_those_of_the_columns():
    named = frame(pandas.DataFrame, "abc")
    with pytest.raises(ValueError, match="noise has the columns 'c', 'b', 'a', where X has 'a', 'b', 'c'"):
        GaussianMixture(2).fit(named, noise=frame(pandas.DataFrame, "cba", VARIANCES))
    for data in (named, [named]):
        with pytest.raises(ValueError, match="means_init has the columns 'c', 'b', 'a', where X has 'a', 'b', 'c'"):
            fit(data, means_init=frame(pandas.DataFrame, "cba", X[[0, -1]]))
    with pytest.raises(ValueError, match="rates_init has the columns"):
        PoissonMixture(2, rates_init=frame(pandas.DataFrame, "cba", X[[0, -1]])).fit(np.round(named**2))


NULLABLE = {
    "Int64": lambda values: pandas.DataFrame(values.round(), dtype="Int64"),
    "Float64": lambda values: pandas.DataFrame(values.round(), dtype="Float64"),
    "Arrow's": lambda values: pandas.DataFrame(values.round()).astype("int64[pyarrow]"),
    "boolean": lambda values: pandas.DataFrame(values > 3, dtype="boolean"),
    "polars": lambda values: polars.DataFrame(values.round().astype(int), schema=list("abc")),
    "pyarrow": lambda values: frame(pyarrow.table, "abc", values.round().astype(int)),
}


@pytest.mark.parametrize("kind", NULLABLE)
def test_chunks_of_nullable_columns_are_those_of_their_numbers(kind):
    numbers = (X > 3).astype(float) if kind == "boolean" else X.round()
    chunks = [NULLABLE[kind](part) for part in (X[:20], X[20:])]
    assert difference(fit(chunks), fit([numbers])) < 1e-12
    assert difference(fit(NULLABLE[kind](X)), fit(numbers)) < 1e-12


@pytest.mark.parametrize("kind", ["Int64", "Float64", "boolean"])
def test_a_missing_entry_of_a_frame_is_marginalized_or_named(kind):
    given, holes = NULLABLE[kind](X), NULLABLE[kind](X).to_numpy(dtype=float)
    given.iloc[25, 1] = pandas.NA
    holes[25, 1] = np.nan
    given.columns = list("abc")
    expected = fit(holes, "marginalize")
    assert difference(fit(given, "marginalize"), expected) < 1e-12
    assert difference(fit([given[:20], given[20:]], "marginalize"), fit([holes], "marginalize")) < 1e-12
    with pytest.raises(ValueError, match="Input X contains NaN: row 25, column 'b'"):
        fit(given)
    with pytest.raises(ValueError, match="Input X contains NaN: row 5, column 1 of chunk 1"):
        fit([given[:20], given[20:]])


def test_a_column_of_dates_is_named():
    dates = pandas.DataFrame({"a": X[:, 0], "when": pandas.date_range("2020", periods=N)})
    for data in (dates, [dates], polars.from_pandas(dates), pyarrow.Table.from_pandas(dates)):
        with pytest.raises(ValueError, match=r"column 'when' of .* holds datetime64"):
            fit(data)


def mappings(noise, *bounds):
    return [{"X": X[a:b], "noise": noise(a, b)} for a, b in zip((0, *bounds), (*bounds, N), strict=True)]


@pytest.mark.parametrize("bounds", [(57,), (3,), (3, 6), (20, 23)])
def test_a_chunk_of_as_many_rows_as_columns_has_the_noise_of_the_others(bounds):
    variances = fit(mappings(lambda a, b: VARIANCES[a:b], *bounds))
    assert difference(variances, fit(mappings(lambda a, b: VARIANCES[a:b], 20))) < 1e-12
    shared = fit(mappings(lambda a, b: COVARIANCE, 20, 23))  # the second chunk has three rows
    assert difference(shared, fit(mappings(lambda a, b: COVARIANCE, 20))) < 1e-12


def test_noise_that_no_chunk_makes_clear_is_refused():
    three = [{"X": X[a : a + 3], "noise": COVARIANCE} for a in range(0, N, 3)]
    with pytest.raises(ValueError, match="may be variances of 3 rows or a covariance of all"):
        fit(three)
    clear = [{**chunk, "noise": COVARIANCE[None]} for chunk in three]
    assert difference(fit(clear), fit([{"X": X, "noise": COVARIANCE}])) < 1e-12
    with pytest.raises(ValueError, match="chunk 1 has other noise than the first chunk"):
        fit(mappings(lambda a, b: COVARIANCE, 3))  # variances in the first chunk, a covariance in the second


def test_columns_of_variances_are_variances_in_a_batch_of_any_size():
    columns = {f"x{j}": X[:, j] for j in range(D)} | {f"v{j}": VARIANCES[:, j] for j in range(D)}
    parts = [dataset.dataset(pyarrow.table(columns).slice(*part)) for part in ((0, 57), (57, 3))]
    model = fit(Source(dataset.dataset(parts), noise=["v0", "v1", "v2"]))
    assert difference(model, fit([{"X": X, "noise": VARIANCES}])) < 1e-12


@pytest.mark.parametrize("known", ["noise", "covariances", "projection", "labels", "plausibilities", "sample_weight"])
def test_an_empty_chunk_changes_nothing(known):
    name = {"covariances": "noise", "plausibilities": "labels"}.get(known, known)
    given = {
        "noise": VARIANCES,
        "covariances": np.stack([COVARIANCE] * N),
        "projection": np.stack([np.eye(D)] * N),
        "labels": np.repeat([0, 1], N // 2),
        "plausibilities": np.ones((N, 2)),
        "sample_weight": np.ones(N),
    }[known]
    whole = fit([{"X": X, name: given}])
    empty = {"X": X[:0], name: given[:0]}
    parts = [empty, {"X": X[:20], name: given[:20]}, empty, {"X": X[20:], name: given[20:]}, empty]
    assert difference(fit(parts), whole) < 1e-12


def test_a_poisson_mixture_has_no_noise_from_sources_either():
    chunk = {"X": np.round(X**2), "noise": VARIANCES}
    model = run(PoissonMixture(1), chunk["X"], 1)
    for call in (PoissonMixture(1).fit, model.score, model.predict):
        with pytest.raises(ValueError, match="noise and projection are for Gaussian mixtures: PoissonMixture has none"):
            call([chunk])


def test_columns_that_are_numbered_are_not_mixed_up_either():
    numbered = pandas.DataFrame(X)
    assert difference(fit([numbered[:20], numbered[20:]]), fit([X])) == 0.0
    with pytest.raises(ValueError, match=r"chunk 1 has the columns 2, 1, 0, .*: the same, but in another order"):
        fit([numbered[:20], numbered[20:][[2, 1, 0]]])


@pytest.mark.parametrize("make", FRAMES)
def test_a_frame_may_be_a_source_of_its_own(make):
    model = fit(Source(frame(make, "abc")))
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert difference(model, fit([X])) == 0.0


def test_an_integer_that_would_be_rounded_is_named_with_its_chunk(tmp_path):
    np.save(tmp_path / "large.npy", np.full((5, 2), 2**60 + 1))
    with pytest.raises(ValueError, match=r"chunk 0 .*large\.npy.*: X holds the integer 1152921504606846977 in row 0"):
        fit(Source(tmp_path / "large.npy"))


class Variable:
    """An array on a disk whose slices are masked where nothing was written, as those of a NetCDF file are."""

    shape, dtype = X.shape, X.dtype

    def __getitem__(self, rows):
        return np.ma.array(X[rows], mask=X[rows] > 7.5)


def test_slices_that_come_masked_are_missing():
    holes = np.where(X > 7.5, np.nan, X)
    assert np.isnan(holes).any()
    assert difference(fit(Source(Variable()), "marginalize"), fit([holes], "marginalize")) == 0.0
    row, column = np.argwhere(np.isnan(holes))[0]
    with pytest.raises(ValueError, match=f"Input X contains NaN: row {row}, column {column} of the array"):
        fit(Source(Variable()))


def test_a_file_of_a_dataset_that_lacks_a_column_is_named(tmp_path):
    for name, columns in (("1.parquet", "abc"), ("2.parquet", "ab")):
        parquet.write_table(frame(pyarrow.table, columns, X[:, : len(columns)]), tmp_path / name)
    with pytest.raises(ValueError, match=r"2\.parquet'\) has no column 'c'; there are 'a', 'b'"):
        fit(dataset.dataset(tmp_path), "marginalize")
    fit(Source(dataset.dataset(tmp_path), columns=["a", "b"]))


def test_a_column_that_a_folder_tells_is_there(tmp_path):
    for year in (1, 2):
        (tmp_path / f"year={year}").mkdir()
        parquet.write_table(frame(pyarrow.table, "abc"), tmp_path / f"year={year}" / "rows.parquet")
    model = fit(dataset.dataset(tmp_path, partitioning="hive"))
    assert list(model.feature_names_in_) == ["a", "b", "c", "year"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n" + "1,2\n" * 50)
    (tmp_path / "2.csv").write_text("a,b\n" + "1,x\n" * 50)
    with pytest.raises(ValueError, match=r"2\.csv' cannot be read"):
        fit(dataset.dataset(tmp_path, format="csv"))


@pytest.mark.parametrize("option", ["columns", "noise"])
def test_a_string_is_no_list_of_columns(option):
    with pytest.raises(TypeError, match=f"{option} is a list of names of columns, not the string 'ab'"):
        Source(dataset.dataset(frame(pyarrow.table, "abc")), **{option: "ab"})


@pytest.mark.parametrize("label", [np.inf, 2.0**63, 0.5])
def test_a_column_of_labels_that_are_no_integers_is_refused(label):
    labels = np.zeros(N)
    labels[3] = label
    table = pyarrow.table({"a": X[:, 0], "label": labels})
    with pytest.raises(ValueError, match="labels must be integers"):
        fit(Source(dataset.dataset(table), label="label"))
