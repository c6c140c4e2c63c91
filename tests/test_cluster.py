"""Fits on a cluster of processes: the same bits, whichever workers compute, die or join."""

import os
import signal
import threading
import time
import warnings

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from breaks import At, bits
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture, Source
from fastem.data.cluster import schedulers
from fastem.data.cluster.placement import TASKS, Placement
from fastem.data.cluster.schedulers import Cluster, scheduler_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler:UserWarning"),  # by some versions of Dask
]
N_ROWS, N_PARTITIONS = 6000, 12
SETTINGS = {
    "distributed.worker.daemon": False,
    "distributed.scheduler.worker-ttl": None,
    "distributed.comm.timeouts.connect": "20s",
    "distributed.admin.log-format": "%(message)s",
}


def rows():
    generator = np.random.default_rng(0)
    return generator.normal(size=(N_ROWS, 3)) + 3.0 * generator.integers(3, size=(N_ROWS, 1))


def collection():
    return da.from_array(rows(), chunks=(N_ROWS // N_PARTITIONS, 3))


def model(**options):
    return GaussianMixture(**{"n_components": 3, "random_state": 0, "max_iter": 6, "tol": 0.0, **options})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of two processes with one thread each, whose cache of compiled code is empty."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    cache = str(tmp_path_factory.mktemp("cache"))
    with dask.config.set(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with LocalCluster(n_workers=2, env={"NUMBA_CACHE_DIR": cache}, **options) as made:
            yield made


@pytest.fixture
def client(cluster):
    with Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def expected():
    """Bits of a fit in this process."""
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return bits(model().fit(collection()))


def compiled():
    """How often a process has compiled the pass of these fits, and how often it has loaded it."""
    from fastem.engine.compiled import get_passes
    from fastem.families import get_family

    stats = get_passes(get_family("gaussian-full")).of(3).fused.stats
    return [sum(counts.values()) for counts in (stats.cache_misses, stats.cache_hits)]


def test_workers_compile_once_on_a_machine_and_bits_are_those_of_one_process(client, expected):
    assert bits(model().fit(collection())) == expected
    counts = client.run(compiled)
    assert sum(misses for misses, _ in counts.values()) == 1
    assert sum(hits for _, hits in counts.values()) == 1


def test_partitions_that_have_no_room_are_read_in_each_pass(client, expected, monkeypatch):
    monkeypatch.setattr(schedulers, "SHARE", 0.0)
    assert bits(model().fit(collection())) == expected


def test_the_client_may_be_given(cluster, expected):
    with Client(cluster, set_as_default=False) as client:
        assert not isinstance(scheduler_for(), Cluster)
        assert bits(model().fit(Source(collection(), client=client))) == expected
        assert nothing_left(client)


def test_a_scheduler_of_dask_that_the_user_has_set_is_used(client):
    assert isinstance(scheduler_for(), Cluster)
    with dask.config.set(scheduler="synchronous"):
        assert not isinstance(scheduler_for(), Cluster)
        assert isinstance(scheduler_for(client), Cluster)  # given for this fit


def test_a_client_that_has_lost_its_connection_is_not_used(client, monkeypatch):
    monkeypatch.setattr(client, "status", "connecting")
    assert not isinstance(scheduler_for(), Cluster)
    with pytest.raises(ValueError, match="client is connecting"):
        scheduler_for(client)


@pytest.mark.parametrize(("n_workers", "n_threads"), [(1, 1), (1, 2), (4, 1)])
def test_bits_do_not_depend_on_the_number_of_workers_and_threads(n_workers, n_threads, expected):
    options = {"n_workers": n_workers, "threads_per_worker": n_threads, "processes": n_workers > 1}
    with (
        dask.config.set(SETTINGS),
        LocalCluster(**options, dashboard_address=":0", silence_logs=50) as made,
        Client(made),
    ):
        assert bits(model().fit(collection())) == expected


def nothing_left(client):
    """Whether workers become idle and hold no data; they may receive a client's last messages late."""
    late, quiet = time.monotonic() + 20.0, 0
    while quiet < 10 and time.monotonic() < late:
        quiet = 0 if client.who_has() or any(client.processing().values()) else quiet + 1
        time.sleep(0.05)
    return quiet == 10


def kill(client):
    """Kill a worker, as the operating system may."""
    address = next(iter(client.nthreads()))
    [process] = client.run(os.getpid, workers=[address]).values()
    os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("share", [0.6, 0.0])
@pytest.mark.parametrize("files", [False, True])
def test_a_worker_that_is_killed_changes_no_bit(files, share, client, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(schedulers, "SHARE", share)
    client.wait_for_workers(2)
    callback = At(3, lambda: kill(client))
    source = Source(dataset(tmp_path), client=client) if files else collection()
    assert bits(model().set_callbacks(callback).fit(source)) == expected
    assert callback.count >= 3


def dataset(folder):
    """The rows in files with the same partitions."""
    for number, part in enumerate(np.split(rows(), N_PARTITIONS)):
        pd.DataFrame(part, columns=list("abc")).to_parquet(folder / f"{number:02d}.parquet")
    return ds.dataset(str(folder))


def test_a_worker_that_dies_while_it_computes_changes_no_bit(client):
    timer = threading.Timer(0.25, kill, [client])
    given = model(max_iter=60).set_callbacks(At(3, timer.start))
    with dask.config.set(scheduler="synchronous"):
        alone = bits(model(max_iter=60).fit(collection()))
    found = bits(given.fit(collection()))
    assert timer.finished.is_set()  # the worker was killed during the fit
    timer.join()
    assert found == alone


def test_workers_that_join_are_used_and_change_no_bit(cluster, client, expected):
    client.wait_for_workers(2)
    used = {}

    def grow():
        cluster.scale(3)
        client.wait_for_workers(3)

    def look():
        used.update(client.has_what())

    both = [At(2, grow), At(5, look)]
    try:
        assert bits(model().set_callbacks(*both).fit(collection())) == expected
        assert sum(any("load_partition" in str(key) for key in keys) for keys in used.values()) == 3
    finally:
        cluster.scale(2)


def test_errors_of_workers_name_the_partition_and_the_row(client):
    for value, message in ((np.nan, "NaN: row 7, column 1 of partition 5"), (np.inf, "infinity: row 7, column 1")):
        spoiled = rows()
        spoiled[[2507, 4000], 1] = value
        with pytest.raises(ValueError, match=message):
            model().fit(da.from_array(spoiled, chunks=(500, 3)))
    assert nothing_left(client)


def test_partitions_that_one_worker_holds_are_shared_out(client):
    first, second = sorted(client.nthreads())
    futures = client.scatter([np.full(10, float(i)) for i in range(8)], workers=[first], hash=False)
    assert not client.has_what()[second]
    placement = Placement(client, futures)
    placement.balance()
    assert len(client.has_what()[second]) == 4
    [moved] = [{future.key for future in futures} - set(client.has_what()[first])]
    groups = [[futures[i].key for i in group] for group in placement.groups(futures, 8)]
    assert {key for group in groups for key in group if group[0] in moved} == moved  # a task's partitions lie together
    for future in futures:
        future.release()


def test_a_thread_computes_several_partitions_by_one_task(client):
    many = da.from_array(rows(), chunks=(N_ROWS // 40, 3))
    with dask.config.set(scheduler="synchronous"):
        alone = bits(model().fit(many))
    counts = []
    count = At(3, lambda: counts.append(client.run_on_scheduler(n_sweeps)))
    again = At(5, lambda: counts.append(client.run_on_scheduler(n_sweeps)))
    assert bits(model().set_callbacks(count, again).fit(many)) == alone
    assert 4 <= counts[1] - counts[0] <= 2 * 2 * (TASKS + 1)  # two passes, two threads


def n_sweeps(dask_scheduler):
    """How many tasks named sweep_partition a scheduler has seen through."""
    return dask_scheduler.task_prefixes["sweep_partition"].state_counts["memory"]


def test_a_file_that_cannot_be_read_is_an_error(client, tmp_path):
    pd.DataFrame(rows(), columns=list("abc")).to_parquet(tmp_path / "0.parquet")
    frame = dd.read_parquet(str(tmp_path))
    model(max_iter=2).fit(frame)
    (tmp_path / "0.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(Exception, match=r"[Pp]arquet"):
        model().fit(frame)


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_an_interrupt_cancels_what_runs_and_keeps_the_best_parameters(share, client, monkeypatch):
    def slowly(block):
        time.sleep(0.02)
        return block

    monkeypatch.setattr(schedulers, "SHARE", share)
    slow = da.map_blocks(slowly, collection(), dtype=float, meta=np.empty((0, 3)))
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
    interrupted = model(max_iter=10_000).set_callbacks(At(3, timer.start))
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(slow)
    timer.join()
    assert interrupted.stop_reason_ == "interrupt"
    assert 3 <= interrupted.n_iter_ < 10_000
    assert nothing_left(client)


def test_a_fit_is_resumed_from_its_checkpoint_with_the_same_bits(client, expected, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        model().set_callbacks(At(3, interrupt)).fit(collection(), checkpoint=path)
    assert bits(model().fit(collection(), checkpoint=path, resume=True)) == expected
    other = da.from_array(rows() + 1.0, chunks=(500, 3))
    with pytest.raises(ValueError, match=r"other data|fingerprint"):
        model().fit(other, checkpoint=path, resume=True)


def test_lazy_results_are_computed_on_the_workers(client):
    fitted = model().fit(rows())
    found = client.persist(fitted.predict(collection()))
    np.testing.assert_array_equal(found.compute(), fitted.predict(rows()))
    assert fitted.score(collection()) == pytest.approx(fitted.score(rows()), rel=1e-13)


def test_tasks_have_names_that_tell_what_they_do(client):
    seen = set()
    look = At(2, lambda: seen.update(str(key) for keys in client.has_what().values() for key in keys))
    model().set_callbacks(look).fit(collection())
    assert any("load_partition" in name for name in seen)
    started = {str(key) for key in client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes))}
    assert {"survey_partition", "take_sample", "sweep_partition", "add_sweeps"} <= started


def test_a_client_that_does_not_wait_is_refused(cluster):
    class Asynchronous:
        asynchronous = True
        submit = scheduler_info = None

    with pytest.raises(TypeError, match="asynchronous"):
        model().fit(Source(collection(), client=Asynchronous()))


def test_a_client_that_is_closed_is_refused(cluster):
    closed = Client(cluster, set_as_default=False)
    closed.close()
    with pytest.raises(ValueError, match="client is closed"):
        model().fit(Source(collection(), client=closed))
