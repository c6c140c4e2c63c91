"""Files of a dataset that workers read: the fit is that of the same rows in one array or in a data frame of Dask."""

import pickle
import threading
import time
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from breaks import At, bits
from distributed import Client, LocalCluster
from test_every_family import assert_same

from fastem import GaussianMixture, PoissonMixture, Source
from fastem.data.cluster import files, schedulers
from fastem.data.cluster.placement import Placement

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NAMES = ["a", "b", "c"]
SIZES = (30, 1, 57, 32)
ROWS = np.random.default_rng(0).normal(size=(120, 3)) + 3.0 * np.random.default_rng(1).integers(2, size=(120, 1))
FRAME = pd.DataFrame(ROWS, columns=NAMES)
WEIGHTS = np.random.default_rng(2).integers(1, 4, size=120) / 2.0
LABELS = np.where(np.arange(120) % 7 == 0, (ROWS.sum(axis=1) > 4.5).astype(int), -1)
NOISE = np.random.default_rng(3).uniform(0.1, 0.5, size=(120, 3))


@pytest.fixture(scope="module")
def client():
    """A cluster of threads in this process, which is not in scope."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def table(**others):
    return pa.table({**dict(zip(NAMES, ROWS.T, strict=True)), **others})


def written(folder, whole, sizes=SIZES, **options):
    """A dataset of files with these numbers of rows."""
    start = 0
    for number, size in enumerate(sizes):
        pq.write_table(whole[start : start + size], folder / f"{number}.parquet", **options)
        start += size
    return ds.dataset(str(folder))


def model(**options):
    return GaussianMixture(2, random_state=0, max_iter=5, tol=0.0, **options)


def chunked(array, sizes=SIZES):
    return da.from_array(array, chunks=(sizes, *array.shape[1:]))


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_fit_to_files_is_that_to_a_collection_with_the_same_partitions(share, client, tmp_path, monkeypatch):
    monkeypatch.setattr(schedulers, "SHARE", share)
    source = Source(written(tmp_path, table()), client=client)
    found = model().fit(source)
    assert bits(found) == bits(model().fit(Source(chunked(ROWS), client=client)))
    assert found.feature_names_in_.tolist() == NAMES
    late = time.monotonic() + 10.0
    while client.futures and time.monotonic() < late:  # another thread releases them
        time.sleep(0.01)
    assert not client.futures


def test_each_worker_reads_consecutive_files(client, tmp_path):
    collection = Source(written(tmp_path, table(), (10,) * 12), client=client).collection()
    held = schedulers.Cluster(client).keep(collection.pieces, 0)
    late = time.monotonic() + 10.0
    while sum(map(len, client.has_what().values())) < 12 and time.monotonic() < late:
        time.sleep(0.01)
    found = [[number for _, number in sorted(keys)] for keys in client.has_what().values()]
    held.release()
    assert sorted(found) == [list(range(6)), list(range(6, 12))]


def test_there_may_be_fewer_files_than_workers(client, tmp_path):
    source = Source(written(tmp_path, table(), (120,)), client=client)
    assert bits(model().fit(source)) == bits(model().fit(Source(chunked(ROWS, (120,)), client=client)))


@pytest.mark.parametrize("error", [KeyError("tcp://gone"), Exception("RuntimeError('ConnectionPool is closed')")])
def test_a_worker_that_leaves_while_partitions_are_copied_is_no_error(error):
    class Leaving:
        """A client of two workers, of which one leaves while it copies partitions."""

        def nthreads(self):
            return {"here": 1, "gone": 1}

        def who_has(self, futures):
            return {future.key: ["here"] for future in futures}

        def replicate(self, futures, n, workers):
            assert workers == ["gone"]
            raise error

    futures = [SimpleNamespace(key=number) for number in range(6)]
    placement = Placement(Leaving(), futures)
    placement.balance()
    assert sorted(number for group in placement.groups(futures, 64) for number in group) == list(range(6))


def test_columns_are_weights_labels_and_errors(client, tmp_path):
    noises = dict(zip(["na", "nb", "nc"], NOISE.T, strict=True))
    dataset = written(tmp_path, table(weight=WEIGHTS, label=LABELS, **noises))
    source = Source(dataset, columns=NAMES, weight="weight", label="label", noise=list(noises), client=client)
    known = {"labels": chunked(LABELS), "noise": chunked(NOISE)}
    expected = model().fit(Source(chunked(ROWS), client=client), sample_weight=chunked(WEIGHTS), **known)
    assert bits(model().fit(source)) == bits(expected)
    np.testing.assert_array_equal(
        model().fit_predict(source).compute(),
        model().fit_predict(ROWS, sample_weight=WEIGHTS, labels=LABELS, noise=NOISE),
    )


def test_a_large_file_is_several_partitions(client, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PARTITION_BYTES", 45 * 3 * 8)
    dataset = written(tmp_path, table(), (120,), row_group_size=20)
    collection = Source(dataset, client=client).collection()
    assert collection.sizes == (40, 40, 40)
    path = dataset.files[0]
    assert collection.names[1] == f"partition 1 of X ({path!r}, from row 40 on)"
    expected = model().fit(Source(chunked(ROWS, (40, 40, 40)), client=client))
    assert bits(model().fit(Source(dataset, client=client))) == bits(expected)


def test_a_row_group_that_is_larger_than_a_partition_is_one(client, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PARTITION_BYTES", 1)
    dataset = written(tmp_path, table(), (120,), row_group_size=50)
    assert Source(dataset, client=client).collection().sizes == (50, 50, 20)


def test_float32_stays_float32_and_other_numbers_become_float64(client, tmp_path):
    single = pa.table({name: column.astype(np.float32) for name, column in zip(NAMES, ROWS.T, strict=True)})
    (tmp_path / "single").mkdir()
    (tmp_path / "counts").mkdir()
    source = Source(written(tmp_path / "single", single), client=client)
    assert source.collection().dtype == np.float32
    assert bits(model().fit(source)) == bits(model().fit(Source(chunked(ROWS.astype(np.float32)), client=client)))
    counts = np.random.default_rng(0).poisson(3.0, size=(120, 2))
    dataset = written(tmp_path / "counts", pa.table({"u": counts[:, 0], "v": counts[:, 1].astype(np.uint8)}))
    found, whole = (PoissonMixture(2, random_state=0).fit(data) for data in (Source(dataset, client=client), counts))
    np.testing.assert_allclose(found.rates_, whole.rates_, rtol=1e-12)


def test_nulls_are_missing_values(client, tmp_path):
    incomplete = np.where(np.random.default_rng(4).random((120, 3)) < 0.2, np.nan, ROWS)
    columns = {name: pa.array(column, from_pandas=True) for name, column in zip(NAMES, incomplete.T, strict=True)}
    source = Source(written(tmp_path, pa.table(columns)), client=client)
    expected = model(missing="marginalize").fit(Source(chunked(incomplete), client=client))
    assert bits(model(missing="marginalize").fit(source)) == bits(expected)


def test_files_whose_lengths_are_not_known_are_read_to_find_out(client, tmp_path):
    for number in range(2):
        pyarrow.csv.write_csv(table()[60 * number : 60 * number + 60], tmp_path / f"{number}.csv")
    source = Source(ds.dataset(str(tmp_path), format="csv"), client=client)
    assert source.collection().sizes is None
    assert bits(model().fit(source)) == bits(model().fit(Source(chunked(ROWS, (60, 60)), client=client)))


def test_a_column_may_be_in_the_names_of_folders(client, tmp_path):
    for label in (0, 1):
        (tmp_path / f"label={label}").mkdir()
        pq.write_table(
            table().filter(pa.array(ROWS.sum(axis=1) > 4.5) if label else pa.array(ROWS.sum(axis=1) <= 4.5)),
            tmp_path / f"label={label}" / "rows.parquet",
        )
    dataset = ds.dataset(str(tmp_path), partitioning="hive")
    found = model().fit(Source(dataset, columns=NAMES, label="label", client=client))
    means = [ROWS[ROWS.sum(axis=1) <= 4.5].mean(axis=0), ROWS[ROWS.sum(axis=1) > 4.5].mean(axis=0)]
    np.testing.assert_allclose(found.means_, means)


def test_a_file_without_rows_is_no_partition_of_the_fit(client, tmp_path):
    source = Source(written(tmp_path, table(), (60, 0, 60)), client=client)
    assert bits(model().fit(source)) == bits(model().fit(Source(chunked(ROWS, (60, 60)), client=client)))
    assert model().fit(source).predict(source).compute().shape == (120,)


def test_results_for_each_row_are_lazy(client, tmp_path):
    source, fitted = Source(written(tmp_path, table()), client=client), model().fit(FRAME)
    labels = fitted.predict(source)
    assert labels.chunks == (SIZES,)
    np.testing.assert_array_equal(labels.compute(), fitted.predict(FRAME))
    np.testing.assert_allclose(fitted.predict_proba(source).compute(), fitted.predict_proba(FRAME), rtol=1e-12)
    for name in ("score", "bic", "aic"):
        assert getattr(fitted, name)(source) == pytest.approx(getattr(fitted, name)(FRAME), rel=1e-12)


def test_partial_fit_takes_files_one_after_the_other(client, tmp_path):
    expected = model()
    for part in np.split(ROWS, np.cumsum(SIZES)[:-1]):
        expected.partial_fit(part)
    assert_same(model().partial_fit(Source(written(tmp_path, table()), client=client)), expected)


@pytest.mark.parametrize("size", [45 * 3 * 8, 2**27])
def test_a_scheduler_does_not_open_files(size, client, tmp_path, monkeypatch):
    """A scheduler that has unpickled a task pickles it again, to send it to a worker; it may have no such file."""
    monkeypatch.setattr(files, "PARTITION_BYTES", size)
    dataset = written(tmp_path, table(), (120,), row_group_size=20)
    pieces = Source(dataset, client=client).collection().pieces
    there = tmp_path / "0.parquet"
    there.rename(tmp_path / "elsewhere")
    sent = pickle.dumps(pickle.loads(pickle.dumps(pieces)))
    (tmp_path / "elsewhere").rename(there)
    np.testing.assert_array_equal(np.vstack([piece.make()["X"] for piece in pickle.loads(sent)]), ROWS)


def test_partial_fit_reads_on_the_workers(client):
    persisted = client.persist(chunked(ROWS))
    expected = model().partial_fit(chunked(ROWS))
    assert_same(model().partial_fit(Source(persisted, client=client)), expected)


def test_callbacks_of_fits_are_not_sent_to_workers(client, tmp_path):
    class Watch:
        lock = None

        def setup(self, estimator, context):
            self.lock = threading.Lock()  # cannot be pickled

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context): ...

        def teardown(self, estimator, context): ...

    source = Source(written(tmp_path, table()), client=client)
    fitted = model().set_callbacks(Watch()).fit(source)
    assert fitted.score(source) == pytest.approx(fitted.score(FRAME), rel=1e-12)
    np.testing.assert_array_equal(client.compute(fitted.predict(source)).result(), fitted.predict(FRAME))


# Errors name what is wrong, and where


def test_an_invalid_value_is_named_by_its_file(client, tmp_path):
    spoiled = ROWS.copy()
    spoiled[33, 1] = np.nan
    dataset = written(tmp_path, pa.table(dict(zip(NAMES, spoiled.T, strict=True))))
    with pytest.raises(ValueError, match=r"NaN: row 2, column 1 of partition 2 of X \('.*2\.parquet'\)"):
        model().fit(Source(dataset, client=client))
    with pytest.raises(ValueError, match=r"partition 2 of X \('.*2\.parquet'\): .*NaN"):
        model().fit(FRAME).score(Source(dataset, client=client))


def test_a_number_that_no_float_represents_is_named_by_its_row(client, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BATCH_BYTES", 80)  # batches of ten rows
    large = np.arange(60, dtype=np.int64)
    large[[3, 47]] = [2**53 - 1, 2**53 + 1]
    dataset = written(tmp_path, pa.table({"a": large}), (30, 30))
    with pytest.raises(ValueError, match=r"partition 1 of X \('.*1\.parquet'\): .*row 17, column 'a'"):
        model().fit(Source(dataset, client=client))


@pytest.mark.parametrize("contents", [b"nothing", b"PAR1 and more than the eight bytes of an empty file PAR1"])
def test_a_file_that_cannot_be_read_is_named(contents, client, tmp_path):
    dataset = written(tmp_path, table())
    (tmp_path / "2.parquet").write_bytes(contents)
    with pytest.raises(ValueError, match=r"2\.parquet.* cannot be read"):
        model().fit(Source(dataset, client=client))


@pytest.mark.parametrize("local", [False, True])
def test_a_file_whose_pages_cannot_be_read_is_named(local, client, tmp_path):
    """The footer is intact, so that the file is opened and its rows are counted."""
    dataset = written(tmp_path, table())
    contents = bytearray((tmp_path / "2.parquet").read_bytes())
    contents[4:200] = b"\xff" * 196
    (tmp_path / "2.parquet").write_bytes(contents)
    source = Source(dataset, client=None if local else client)
    with pytest.raises(ValueError, match=r"2\.parquet.* cannot be read"):
        model().fit(source)


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_file_that_disappears_during_a_fit_is_named_if_it_is_read_again(share, client, tmp_path, monkeypatch):
    monkeypatch.setattr(schedulers, "SHARE", share)
    dataset = written(tmp_path, table())

    given = model().set_callbacks(At(1, (tmp_path / "2.parquet").unlink))
    if share:
        assert bits(given.fit(Source(dataset, client=client))) == bits(model().fit(Source(chunked(ROWS))))
    else:
        with pytest.raises(ValueError, match=r"2\.parquet.* cannot be read"):
            given.fit(Source(dataset, client=client))


@pytest.mark.parametrize("wrong", ["tcp://scheduler", False])
def test_what_is_no_client_is_refused_before_anything_is_read(wrong, tmp_path):
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, not"):
        Source(written(tmp_path, table()), client=wrong)


def test_a_file_that_lacks_a_column_is_named(client, tmp_path):
    written(tmp_path, table())
    pq.write_table(table().drop_columns("b"), tmp_path / "4.parquet")
    with pytest.raises(ValueError, match=r"4\.parquet.* has no column 'b'"):
        model().fit(Source(ds.dataset(str(tmp_path)), client=client))


def test_files_that_change_are_an_error(client, tmp_path, monkeypatch):
    monkeypatch.setattr(schedulers, "SHARE", 0.0)
    dataset = written(tmp_path, table())

    changed = pa.table(dict(zip(NAMES, ROWS[::-1].T, strict=True)))
    with pytest.raises(ValueError, match=r"the data have changed: partition \d of X \('.*parquet'\)"):
        model().set_callbacks(At(1, lambda: written(tmp_path, changed))).fit(Source(dataset, client=client))


WRONG = {
    "a filter": (lambda dataset: dataset.filter(ds.field("a") > 0), {}, "the dataset is filtered"),
    "rows in memory": (lambda dataset: ds.dataset(dataset.to_table()), {}, "the dataset is in memory"),
    "a column that is not there": (lambda dataset: dataset, {"columns": ["a", "z"]}, "no column 'z'"),
    "an array": (lambda dataset: ROWS, {}, r"client is for a collection of Dask, or for a pyarrow\.dataset"),
    "files of arrays": (lambda dataset: ["rows.npy"], {}, "client is for"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_workers_cannot_read_is_refused(wrong, client, tmp_path):
    made, options, message = WRONG[wrong]
    dataset = written(tmp_path, table())
    with pytest.raises(ValueError, match=message):
        model().fit(Source(made(dataset), client=client, **options))


def test_weights_of_files_are_columns(client, tmp_path):
    source = Source(written(tmp_path, table()), client=client)
    with pytest.raises(ValueError, match="name the columns of weights"):
        model().fit(source, sample_weight=WEIGHTS)
    with pytest.raises(ValueError, match="name the columns of weights"):
        model().fit(FRAME).predict(source, noise=NOISE)


def test_without_client_this_process_reads_the_files(client, tmp_path):
    source = Source(written(tmp_path, table()))
    with client.as_current():  # in scope, and not asked for
        assert not source.partitioned
        assert_same(model().fit(source), model().fit(ROWS))
