"""Data in chunks: the same answers as in one array, wherever the chunks end, and errors that name the chunk."""

import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet
import pytest
from fits import model_at, run
from models import difference, fitted_names
from reference import FAMILIES, rows_for, start_at

from fastem import GaussianMixture, Incremental, PoissonMixture, Source, Stepwise
from fastem.data.streams import Reader, as_source
from fastem.em.subsample import Reservoir, Sample

pytestmark = pytest.mark.slow

ROUNDING = 1e-10
N_ROWS = 4000


def chunks_of(X, n_chunks):
    return np.array_split(X, n_chunks)


def same_bits(one, other):
    return difference(one, other) == 0.0 and one.lower_bounds_ == other.lower_bounds_


class Changing:
    """A source that yields one list of chunks in its first reading, and another in all later ones."""

    def __init__(self, first, later):
        self.readings = iter([first])
        self.later = later

    def __iter__(self):
        return iter(next(self.readings, self.later))


@pytest.fixture
def blobs(rng):
    return rng.normal(size=(N_ROWS, 3)) + 4.0 * rng.integers(3, size=(N_ROWS, 1))


@pytest.fixture
def table(blobs):
    return pa.table({"x": blobs[:, 0], "y": blobs[:, 1], "z": blobs[:, 2]})


# Answers


@pytest.mark.parametrize("chunk_bytes", [1000, 50_000, 2**24])
@pytest.mark.parametrize("n_chunks", [1, 2, 1000])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_fit_of_chunks_is_that_of_the_array(family, n_chunks, chunk_bytes):
    X = rows_for(family, N_ROWS, 2)
    start = start_at(family, X, X[:2] + 0.5)
    whole = run(model_at(start), X, 5)
    chunked = run(model_at(start), Source(chunks_of(X, n_chunks), chunk_bytes=chunk_bytes), 5)
    assert difference(chunked, whole) < ROUNDING
    np.testing.assert_allclose(chunked.lower_bounds_, whole.lower_bounds_, rtol=ROUNDING)


@pytest.mark.parametrize(
    "options", [{}, {"algorithm": "hard"}, {"algorithm": "stochastic"}, {"acceleration": "anderson"}]
)
def test_algorithms_take_chunks_as_they_take_arrays(blobs, options):
    model = GaussianMixture(3, random_state=0, **options)
    expected = run(model, blobs, 6).means_
    actual = run(model, Source(chunks_of(blobs, 7), chunk_bytes=20_000), 6).means_
    np.testing.assert_allclose(actual, expected, rtol=1e-8)


@pytest.mark.parametrize("n_chunks", [1, 2, 1000])
@pytest.mark.parametrize("n_blocks", [None, 1, 3, 10**6])
def test_incremental_em_finds_the_maximum_from_chunks(blobs, n_blocks, n_chunks):
    source = Source(chunks_of(blobs, n_chunks), chunk_bytes=24 * 500)
    converged = {"tol": 1e-10, "max_iter": 1000, "random_state": 0}
    expected = GaussianMixture(3, **converged).fit(blobs)
    model = GaussianMixture(3, algorithm=Incremental(n_blocks), **converged).fit(source)
    assert abs(model.lower_bound_ - expected.lower_bound_) < 1e-7
    assert (np.diff(model.lower_bounds_) > -1e-12).all()


@pytest.mark.parametrize("n_chunks", [1, 2, 1000])
def test_stepwise_em_comes_near_the_maximum_from_chunks(blobs, n_chunks):
    source = Source(chunks_of(blobs, n_chunks), chunk_bytes=24 * 500)
    expected = GaussianMixture(3, random_state=0, tol=1e-10, max_iter=1000).fit(blobs)
    model = GaussianMixture(3, algorithm=Stepwise(200), random_state=0).fit(source)
    assert expected.lower_bound_ - model.lower_bound_ < 5e-3


def test_boundaries_of_chunks_change_not_a_bit(blobs, rng):
    fits = [
        GaussianMixture(3, random_state=0).fit(Source(chunks, chunk_bytes=10_000))
        for chunks in ([blobs], chunks_of(blobs, 2), chunks_of(blobs, 1000), np.split(blobs, [1, 1, 5, 3999]))
    ]
    assert all(same_bits(fit, fits[0]) for fit in fits)


def test_the_same_chunks_give_the_same_bits_on_any_number_of_threads(blobs, threads):
    def fit(n_jobs):
        return GaussianMixture(3, random_state=0, n_jobs=n_jobs).fit(Source(chunks_of(blobs, 9), chunk_bytes=10_000))

    one = fit(1)
    assert threads.callers == {threading.main_thread()}
    assert same_bits(fit(1), one)
    assert same_bits(fit(2), one)
    assert threads.beside_each_other()


def test_starts_are_those_of_the_array_where_all_rows_are_sampled(blobs):
    for init_params in ("kmeans", "k-means++", "random", "random_from_data"):
        model = GaussianMixture(3, init_params=init_params, n_init=2, random_state=0)
        assert difference(run(model, chunks_of(blobs, 5), 3), run(model, blobs, 3)) < ROUNDING


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_said_of_rows_is_what_is_said_of_the_array(family):
    X = rows_for(family, 500, 2)
    model = model_at(start_at(family, X, X[:2] + 0.5)).fit(X)
    source = Source(chunks_of(X, 7), chunk_bytes=999)
    np.testing.assert_array_equal(model.predict(source), model.predict(X))
    for method in ("predict_proba", "score_samples", "score", "bic", "aic", "icl"):
        np.testing.assert_allclose(getattr(model, method)(source), getattr(model, method)(X), rtol=ROUNDING)


def test_weights_come_with_the_chunks(blobs, rng):
    weights = rng.integers(0, 3, N_ROWS).astype(float)
    pairs = list(zip(chunks_of(blobs, 6), chunks_of(weights, 6), strict=True))
    model = GaussianMixture(3, random_state=0)
    whole = GaussianMixture(3, random_state=0).fit(blobs, sample_weight=weights)
    assert difference(model.fit(Source(pairs, chunk_bytes=7000)), whole) < ROUNDING
    np.testing.assert_allclose(model.score(pairs), whole.score(blobs, sample_weight=weights), rtol=ROUNDING)


def test_float32_chunks_stay_float32(blobs):
    single = blobs.astype(np.float32)
    model = GaussianMixture(3, random_state=0).fit(chunks_of(single, 4))
    assert model.means_.dtype == np.float32
    assert difference(model, GaussianMixture(3, random_state=0).fit(single)) < 1e-5


def test_data_far_from_zero_lose_nothing(blobs):
    near, far = (GaussianMixture(3, random_state=0, tol=1e-8).fit(chunks_of(X, 5)) for X in (blobs, blobs + 2.0**30))
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-5)


def test_a_sample_of_a_source_is_fair():
    counts = np.zeros(50)
    random_state = np.random.RandomState(0)
    for _ in range(2000):
        reservoir = Reservoir(10, random_state)
        for rows in np.split(np.arange(50.0)[:, None], [7, 8, 30]):
            reservoir.add(Sample(rows, None))
        drawn = reservoir.sample().values.ravel().astype(int)
        assert len(set(drawn)) == 10
        counts[drawn] += 1
    assert abs(counts - 400).max() < 5 * np.sqrt(400 * 0.8)  # five standard deviations


def test_a_sample_holds_no_rows_without_weight(blobs, rng):
    weights = (rng.random(N_ROWS) < 0.5).astype(float)
    reservoir = Reservoir(100, np.random.RandomState(0))
    for pair in zip(chunks_of(blobs, 6), chunks_of(weights, 6), strict=True):
        reservoir.add(Sample(*pair))
    present = {tuple(row) for row in blobs[weights > 0]}
    assert {tuple(row) for row in reservoir.sample().values} <= present


def test_a_fit_on_a_sample_of_chunks_ends_at_the_maximum(blobs):
    expected = GaussianMixture(3, random_state=0, tol=1e-9).fit(blobs)
    model = GaussianMixture(3, random_state=0, tol=1e-9, init_size=300).fit(Source(blobs, chunk_bytes=5000))
    assert abs(model.lower_bound_ - expected.lower_bound_) < 1e-8


# Kinds of sources


@pytest.fixture
def files(tmp_path, blobs):
    paths = [tmp_path / f"part{i}.npy" for i in range(3)]
    for path, part in zip(paths, chunks_of(blobs, 3), strict=True):
        np.save(path, part)
    return paths


def write_parquet(table, folder):
    pyarrow.parquet.write_table(table, folder / "a.parquet", row_group_size=700)
    return ds.dataset(folder / "a.parquet")


def write_csv(table, folder):
    pyarrow.csv.write_csv(table, folder / "a.csv")
    return ds.dataset(folder / "a.csv", format="csv")


def write_feather(table, folder):
    pyarrow.feather.write_feather(table, folder / "a.feather")
    return ds.dataset(folder / "a.feather", format="feather")


def write_partitioned(table, folder):
    year = pa.array(np.repeat([2019, 2020], table.num_rows // 2))
    schema = ds.partitioning(pa.schema([("year", pa.int64())]), flavor="hive")
    ds.write_dataset(table.append_column("year", year), folder, format="parquet", partitioning=schema)
    return Source(ds.dataset(folder, partitioning=schema), columns=["x", "y", "z"])


@pytest.mark.parametrize("write", [write_parquet, write_csv, write_feather, write_partitioned])
def test_datasets_are_sources(table, tmp_path, blobs, write):
    model = GaussianMixture(3, random_state=0).fit(write(table, tmp_path))
    assert difference(model, GaussianMixture(3, random_state=0).fit(blobs)) < ROUNDING
    assert model.feature_names_in_.tolist() == ["x", "y", "z"]


def test_files_and_slices_are_sources(blobs, files, tmp_path):
    integers = np.memmap(tmp_path / "integers", np.int16, "w+", shape=blobs.shape)
    integers[:] = blobs.round()
    expected = GaussianMixture(3, random_state=0).fit(blobs)
    np.save(tmp_path / "empty.npy", blobs[:0])
    assert difference(GaussianMixture(3, random_state=0).fit([tmp_path / "empty.npy", *files]), expected) < ROUNDING
    assert difference(GaussianMixture(3, random_state=0).fit(Source(blobs)), expected) < ROUNDING
    assert as_source(integers) is not None, "converted chunk by chunk"
    rounded = GaussianMixture(3, random_state=0).fit(blobs.round())
    assert difference(GaussianMixture(3, random_state=0).fit(integers), rounded) < ROUNDING
    assert len(expected.predict(files[0])) == len(np.load(files[0]))


def test_columns_and_weights_of_a_dataset(table, tmp_path, blobs, rng):
    weights = rng.random(N_ROWS)
    dataset = write_parquet(table.append_column("w", pa.array(weights)), tmp_path)
    source = Source(dataset, columns=["z", "x"], weight="w")
    model = GaussianMixture(3, random_state=0).fit(source)
    assert difference(model, GaussianMixture(3, random_state=0).fit(blobs[:, [2, 0]], sample_weight=weights)) < ROUNDING
    assert next(Source(dataset, weight="w").chunks())[1].frame.column_names == ["x", "y", "z"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(Source(dataset, columns=["x", "z"]))


def test_types_of_columns(tmp_path):
    columns = {
        "single": pa.array([1.5, 2.5], pa.float32()),
        "integer": pa.array([1, 2], pa.int8()),
        "logical": pa.array([True, False]),
        "decimal": pa.array(["1.25", "2.5"]).cast(pa.decimal128(5, 2)),
    }
    dataset = write_parquet(pa.table(columns), tmp_path)
    (block,) = [block.values.tolist() for block in Reader(Source(dataset)).blocks()]
    assert block == [[1.5, 1.0, 1.0, 1.25], [2.5, 2.0, 0.0, 2.5]]
    assert next(Source(dataset, columns=["single"]).chunks())[1].kind == "float32"


def test_arrays_and_lists_of_rows_are_no_sources(blobs):
    for X in (blobs, blobs.tolist(), list(blobs), b"text", [], {"x": [1.0]}, pa.table({"x": [1.0]}), None, 3):
        assert as_source(X) is None


def test_rows_of_blocks_are_those_of_chunks(rng):
    for n_columns, dtype in ((1, np.float64), (3, np.float32), (7, np.int32)):
        X = (100 * rng.random((5000, n_columns))).astype(dtype)
        for layout in (np.ascontiguousarray, np.asfortranarray, lambda X: X[::-1][::-1]):
            reader = Reader(Source([layout(part) for part in chunks_of(X, 11)], chunk_bytes=4096))
            for _ in range(2):
                blocks = [(block.first, block.values.copy()) for block in reader.blocks()]
                np.testing.assert_array_equal(np.concatenate([values for _, values in blocks]), X)
                assert [first for first, _ in blocks] == list(range(0, 5000, reader.block_rows))


# What goes wrong


def spoilt(blobs, value):
    chunks = [part.copy() for part in chunks_of(blobs, 5)]
    chunks[3][17, 2] = value
    return chunks


GOOD = np.arange(12.0).reshape(6, 2)
BAD = {
    "empty: it yields no rows": [[np.empty((0, 2)), np.empty((0, 2))]],
    "chunk 1 has 3 features, where the first chunk has 2": [[GOOD, np.ones((2, 3))]],
    "chunk 2 holds float32, where the first chunk holds float64": [[GOOD, GOOD, GOOD.astype(np.float32)]],
    "chunk 1 holds int64, where the first chunk holds float64": [[GOOD, GOOD.astype(np.int64)]],
    "chunk 1 has 1 dimension, not 2": [[GOOD, GOOD[0]]],
    "Complex data not supported: chunk 1 holds complex128": [[GOOD, GOOD + 0j]],
    "chunk 1 has no weights, where the first chunk has some": [[(GOOD, np.ones(6)), GOOD]],
    "chunk 1 has weights, where the first chunk has none": [[GOOD, (GOOD, np.ones(6))]],
    r"chunk 0 has weights of shape \(5,\)": [[(GOOD, np.ones(5))]],
    "chunk 0 has a weight of -1.0, .* in row 0": [[(GOOD, -np.ones(6))]],
    "minimum of 2 is required": [[GOOD[:1]]],
    "chunk 0 has no columns": [[np.empty((4, 0))]],
}


@pytest.mark.parametrize("message", BAD)
def test_chunks_that_cannot_be_are_named(message):
    model = GaussianMixture(1)
    with pytest.raises(ValueError, match=message):
        model.fit(*BAD[message])
    assert not fitted_names(model)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_what_is_not_finite_is_found(blobs, value, name):
    fitted = GaussianMixture(2).fit(blobs)
    for method in (GaussianMixture(2).fit, fitted.predict, fitted.score):
        with pytest.raises(
            ValueError, match=rf"Input X contains {name}: row 17, column 2 of chunk 3 \(counted from 0\)"
        ):
            method(Source(spoilt(blobs, value), chunk_bytes=5000))


def test_values_that_a_family_does_not_allow_are_found():
    with pytest.raises(ValueError, match=r"-3\.0 in row 2 of chunk 1, column 0"):
        PoissonMixture(1).fit([np.ones((4, 1)), np.array([[1.0], [1.0], [-3.0]])])


def test_a_source_that_yields_other_rows_is_found(blobs):
    chunks = chunks_of(blobs, 5)
    other = [*chunks[:3], chunks[3][::-1] + 1e-9, chunks[4]]
    swapped = [*chunks[:2], chunks[3], chunks[2], chunks[4]]
    for later, message in (
        (other, "chunk 3 holds other rows"),
        (swapped, "chunk 2 holds other rows"),
        (chunks[:4], "ends before chunk 4, and had 5"),
        ([*chunks, blobs[:1]], "chunk 5 was not there"),
        ([*chunks[:4], chunks[4][1:]], "chunk 4 has 799 rows, and had 800"),
        ([*chunks[:4], spoilt(blobs, np.nan)[3]], "chunk 4 holds other rows"),
        ([chunks[0][:, :2]], "chunk 0 has 2 features"),
        ([], "ends before chunk 0"),
    ):
        model = GaussianMixture(3, random_state=0)
        with pytest.raises(ValueError, match=message):
            model.fit(Source(Changing(chunks, later), chunk_bytes=3000))
        assert not {"weights_", "means_"} & fitted_names(model), "nothing half-fitted is left"


def test_permuted_columns_are_other_rows(blobs):
    with pytest.raises(ValueError, match="chunk 0 holds other rows"):
        GaussianMixture(3, random_state=0).fit(Changing([blobs], [blobs[:, ::-1]]))


def test_sources_that_can_be_read_once_are_refused(blobs):
    for once in (iter([blobs]), (part for part in [blobs])):
        with pytest.raises(TypeError, match="can be read only once"):
            GaussianMixture(2).fit(once)


def test_options_that_do_not_go_with_the_data(blobs, table, tmp_path):
    dataset = write_parquet(table.append_column("name", pa.array(["a"] * N_ROWS)), tmp_path)
    for message, options in (
        ("column 'name' of the dataset holds string", {}),
        ("no column 'q'; there are 'x'", {"columns": ["q"]}),
        ("no column 'w'", {"columns": ["x"], "weight": "w"}),
        ("'x' is asked for twice", {"columns": ["x"], "weight": "x"}),
        ("no columns of features", {"columns": []}),
        ("chunk_bytes must be an integer above 0, not 0", {"columns": ["x"], "chunk_bytes": 0}),
        ("chunk_bytes must be an integer", {"columns": ["x"], "chunk_bytes": 1.5}),
    ):
        with pytest.raises(ValueError, match=message):
            Source(dataset, **options)
    with pytest.raises(ValueError, match="options for a pyarrow"):
        Source([blobs], columns=["x"])
    with pytest.raises(TypeError, match="a source is an iterable of arrays"):
        Source(3)
    with pytest.raises(ValueError, match="sample_weight goes with an array"):
        GaussianMixture(2).fit([blobs], sample_weight=np.ones(N_ROWS))
    with pytest.raises(TypeError, match="partial_fit takes an array"):
        GaussianMixture(2).partial_fit([blobs])
    with pytest.raises(ValueError, match="'sparse' keeps a sorted copy of the rows: it needs an array"):
        GaussianMixture(2, algorithm="sparse").fit([blobs])
    with pytest.raises(ValueError, match="order='random' reads blocks here and there: it needs an array"):
        GaussianMixture(2, algorithm=Incremental(2, "random"), random_state=1).fit(Source([blobs], chunk_bytes=9000))


@pytest.mark.parametrize("width", [1, 2, 4, 40])
def test_another_width_than_that_of_the_fit(blobs, rng, width):
    model = GaussianMixture(3, random_state=0).fit(blobs)
    by_hand = GaussianMixture(3)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(by_hand, name, getattr(model, name))
    X = rng.normal(size=(2000, width))
    for fitted in (model, by_hand):
        for data in (X, Source(chunks_of(X, 30), chunk_bytes=3000)):
            with pytest.raises(ValueError, match=f"X has {width} features, but GaussianMixture is expecting 3"):
                fitted.predict(data)


def test_missing_cells_of_a_table_are_found(tmp_path):
    dataset = write_parquet(pa.table({"x": [1.0, 2.0, None], "y": [1, 2, 3]}), tmp_path)
    with pytest.raises(ValueError, match=r"NaN: row 2, column 0 of chunk 0 \('.*a.parquet'\)"):
        GaussianMixture(1).fit(dataset)


@pytest.mark.parametrize("shape", ["(True, 2)", "(100000000000000000000, 2)", "(6, 2", "(" * 3000 + ")" * 3000])
def test_damaged_headers_of_files_are_told_shortly(tmp_path, shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".encode()
    path = tmp_path / "damaged.npy"
    path.write_bytes(b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + bytes(96))
    with pytest.raises(ValueError, match=r"chunk 0 \(.*damaged.npy'\) is no .npy file") as caught:
        GaussianMixture(2).fit([path])
    assert len(str(caught.value)) < 600


def test_wrong_files(files, tmp_path, blobs):
    (tmp_path / "text.npy").write_text("no array")
    np.savez(tmp_path / "archive.npz", blobs)
    with pytest.raises(ValueError, match=r"chunk 1 \(.*text.npy'\) is no .npy file"):
        GaussianMixture(2).fit([files[0], tmp_path / "text.npy"])
    with pytest.raises(ValueError, match=r"archive.npz'\) is no .npy file"):
        GaussianMixture(2).fit([tmp_path / "archive.npz"])
    with pytest.raises(ValueError, match=r"text.npy'\) is no .npy file .*pyarrow\.dataset"):
        GaussianMixture(2).fit(str(tmp_path / "text.npy"))
    with pytest.raises(FileNotFoundError, match="absent"):
        GaussianMixture(2).fit([files[0], tmp_path / "absent.npy"])


def test_more_components_than_rows(blobs):
    with pytest.raises(ValueError, match="n_components = 5, n_samples = 4"):
        GaussianMixture(5).fit([blobs[:4]])
    pairs = [(blobs, (np.arange(N_ROWS) < 2).astype(float))]
    with pytest.raises(ValueError, match="n_components = 3, n_samples = 2"):
        GaussianMixture(3).fit(pairs)


class Failing:
    """Fails in its second reading, after a chunk."""

    def __init__(self, chunks):
        self.chunks, self.n_readings = chunks, 0

    def __iter__(self):
        self.n_readings += 1
        yield self.chunks[0]
        if self.n_readings > 1:
            raise ConnectionError("the disk is gone")
        yield from self.chunks[1:]


def test_errors_of_a_source_come_through(blobs):
    with pytest.raises(ConnectionError, match="the disk is gone"):
        GaussianMixture(2, random_state=0).fit(Failing(chunks_of(blobs, 3)))


# Reading


def test_reading_overlaps_with_computing_and_ends_with_it(blobs):
    """Chunks are asked for while an earlier block is in use, but not more than two blocks ahead."""
    asked = []

    def chunks():
        for i in range(8):
            asked.append(i)
            yield blobs[:500]

    class Slow:
        def __iter__(self):
            return chunks()

    before = threading.active_count()
    blocks = Reader(Source(Slow(), chunk_bytes=24 * 500)).blocks()
    next(blocks)
    deadline = time.monotonic() + 30
    while len(asked) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert asked == [0, 1, 2, 3], "one in use, two full, and a chunk that waits for memory"
    blocks.close()
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_source(blobs):
    """Blocks are reused: no more than three exist."""
    reader = Reader(Source(Changing([blobs] * 5, []), chunk_bytes=24 * 100))
    addresses = {block.values.ctypes.data for block in reader.blocks()}
    assert len(addresses) <= 3
