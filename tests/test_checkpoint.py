"""A fit that is interrupted at any moment and resumed ends with the bits of an uninterrupted fit."""

import errno
import os
import warnings
from contextlib import suppress

import numpy as np
import pytest
from breaks import Killed, bits, killed_after
from processes import python
from sklearn.exceptions import ConvergenceWarning

from fastem import Checkpoint, GaussianMixture, Incremental, PoissonMixture, Source, Sparse, Stepwise
from fastem.persistence.checkpoint import CheckpointError, Journal

pytestmark = pytest.mark.slow

WAYS = {
    "em": {},
    "restarts": {"n_init": 3, "init_params": "random_from_data", "max_iter": 5},
    "hard": {"algorithm": "hard"},
    "stochastic": {"algorithm": "stochastic", "max_iter": 12},
    "incremental": {"algorithm": Incremental(5, "random")},
    "sparse": {"algorithm": Sparse(threshold=0.01)},
    "stepwise": {"algorithm": Stepwise(300, averaging=True), "max_iter": 12},
    "squarem": {"acceleration": "squarem"},
    "anderson": {"acceleration": "anderson", "covariance_type": "tied"},
}
OF_A_SOURCE = {way: {"init_size": 200} for way in WAYS} | {"incremental": {"algorithm": Incremental(5)}}


@pytest.fixture
def rows(rng):
    return rng.normal(size=(1500, 2)) + 2.5 * rng.integers(3, size=(1500, 1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def fit(X, **options):
    checkpoint = {name: options.pop(name) for name in ("checkpoint", "resume", "sample_weight") if name in options}
    model = GaussianMixture(3, **{"max_iter": 25, "tol": 1e-4, "random_state": 0, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **checkpoint)


@pytest.mark.parametrize(
    ("way", "as_source"), [*((way, False) for way in WAYS), *((way, True) for way in WAYS if way != "sparse")]
)
def test_a_fit_resumed_after_any_iteration_ends_with_the_same_bits(way, as_source, rows, path, monkeypatch):
    X, options = rows, WAYS[way]
    if as_source:
        X, options = Source(np.array_split(rows, 7), chunk_bytes=5000), {**options, **OF_A_SOURCE.get(way, {})}
    expected = bits(fit(X, **options))
    n_breaks = 0
    for n_writings in range(1, 100):
        path.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            killed_after(n_writings, patch)
            try:
                fit(X, checkpoint=path, **options)
            except Killed:
                n_breaks += 1
            else:
                break
        again = fit(X, checkpoint=path, resume=True, **options)
        assert bits(again) == expected
    assert n_breaks >= (2 if way == "sparse" else 4)


def test_breaks_may_follow_each_other(rows, path, monkeypatch):
    expected = bits(fit(rows))
    models = []
    for _ in range(100):
        with monkeypatch.context() as patch:
            killed_after(1, patch)
            with suppress(Killed):
                models.append(fit(rows, checkpoint=path, resume=True))
                break
    assert bits(models[0]) == expected


KILLS = """
import json, os, random, signal, sys, time, warnings
from multiprocessing import get_context
import numpy as np
from fastem import GaussianMixture, Incremental, Source

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
rows = rng.normal(size=(30_000, 3)) + 1.5 * rng.integers(4, size=(30_000, 1))
WAYS = {
    "em": (rows, {"n_init": 2, "init_params": "random_from_data"}),
    "incremental": (rows, {"algorithm": Incremental(6, "random")}),
    "source": (Source(np.array_split(rows, 40), chunk_bytes=100_000), {"init_size": 2000}),
}


def fit(way, **checkpoint):
    X, options = WAYS[way]
    model = GaussianMixture(4, tol=1e-12, max_iter=60, random_state=3, n_jobs=1, **options)
    model.fit(X, **checkpoint)
    return [array.tobytes().hex() for array in (model.weights_, model.means_, model.covariances_)]


def child(way, folder):
    result = fit(way, checkpoint=folder + "/run.ckpt", resume=True)
    with open(folder + "/result.json", "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    delays, found = random.Random(0), {}
    context = get_context("fork")
    for way in WAYS:
        begun = time.perf_counter()
        expected = fit(way)
        seconds = time.perf_counter() - begun
        folder = os.path.join(sys.argv[1] if len(sys.argv) > 1 else os.environ["FOLDER"], way)
        os.mkdir(folder)
        kills, finished = 0, False
        while not finished:
            process = context.Process(target=child, args=(way, folder))
            process.start()
            process.join(delays.uniform(0.0, 0.2) * seconds * (1 + kills / 5))  # a busy machine shall come to an end
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
            process.join()
            finished = process.exitcode == 0
        with open(folder + "/result.json") as file:
            found[way] = [kills, json.load(file) == expected, sorted(os.listdir(folder))]
    print(json.dumps(found))
"""


def test_kill_9_in_a_loop(tmp_path):
    found = python(KILLS, FOLDER=str(tmp_path))
    for way, (kills, same, files) in found.items():
        assert kills >= 1, way
        assert same, way
        assert {"run.ckpt", "result.json"} <= set(files)
    assert sum(kills for kills, _, _ in found.values()) >= 8


def test_a_finished_fit_is_not_done_again(rows, path):
    first = fit(rows, checkpoint=path, resume=True)
    again = fit(rows, checkpoint=path, resume=True)
    assert bits(again) == bits(first)
    assert [r.seconds for r in again.history_] == [r.seconds for r in first.history_], "times are read from the file"
    fit(rows + 1.0, checkpoint=path)  # the checkpoint of a finished fit may be overwritten


def test_draws_after_a_resumed_fit_are_those_after_an_unbroken_one(rows, path, monkeypatch):
    unbroken, resumed = np.random.RandomState(5), np.random.RandomState(5)
    options = {"algorithm": "stochastic", "max_iter": 6}
    fit(rows, random_state=unbroken, **options)
    broken_off(rows, path, monkeypatch, random_state=resumed, **options)
    other = np.random.RandomState(99)
    fit(rows, random_state=other, checkpoint=path, resume=True, **options)
    assert other.random_sample() == unbroken.random_sample()


def test_minutes_between_writings(rows, path, monkeypatch):
    written = []
    write = Journal._write
    monkeypatch.setattr(Journal, "_write", lambda *arguments: (written.append(1), write(*arguments)))
    fit(rows, checkpoint=Checkpoint(path, minutes=60))
    assert len(written) == 2, "at the beginning and at the end"
    with pytest.raises(ValueError, match="minutes must not be negative"):
        fit(rows, checkpoint=Checkpoint(path, minutes=-1))


def broken_off(rows, path, monkeypatch, **options):
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            fit(rows, checkpoint=path, **options)
    return path.read_bytes()


def test_a_checkpoint_of_another_fit_is_refused(rows, path, monkeypatch):
    content = broken_off(rows, path, monkeypatch)
    weights = np.ones(len(rows))
    for message, X, options in (
        ("tol was 0.0001 there, and is 0.1 here", rows, {"tol": 0.1}),
        ('algorithm was "em" there', rows, {"algorithm": "hard"}),
        ("random_state was 0 there, and is 1 here", rows, {"random_state": 1}),
        ("n_samples was 1500 there, and is 1499 here", rows[1:], {}),
        *(("the fingerprint of X", X, {}) for X in (rows[::-1], np.roll(rows, 512, axis=0), -rows, 2.0 * rows)),
        ("the fingerprint of X", rows, {"sample_weight": weights}),
        ('the type of X was "float64" there', rows.astype(np.float32), {}),
    ):
        with pytest.raises(CheckpointError, match=message):
            fit(X, checkpoint=path, resume=True, **options)
        assert path.read_bytes() == content, "the file is unchanged"
    with pytest.raises(CheckpointError, match='estimator was "GaussianMixture" there'):
        PoissonMixture(3).fit(abs(rows.round()), checkpoint=path, resume=True)
    fit(rows, checkpoint=path, resume=True, verbose=0, n_jobs=1)


def test_an_unfinished_checkpoint_is_not_written_over(rows, path, monkeypatch):
    content = broken_off(rows, path, monkeypatch)
    with pytest.raises(FileExistsError, match="go on with resume=True, or remove it"):
        fit(rows, checkpoint=path)
    assert path.read_bytes() == content


def test_other_files_are_neither_read_nor_written_over(rows, path, monkeypatch):
    content = broken_off(rows, path, monkeypatch)
    np.save(path.with_name("array.npy"), rows)
    np.savez(path.with_name("arrays.npz"), rows)
    contents = [b"", b"{}", b"precious", content[:-100], content[100:], content[: len(content) // 2]]
    contents += [path.with_name(name).read_bytes() for name in ("array.npy", "arrays.npz")]
    for other in contents:
        path.write_bytes(other)
        with pytest.raises(CheckpointError, match=r"run\.ckpt': the file is no checkpoint"):
            fit(rows, checkpoint=path, resume=True)
        with pytest.raises(FileExistsError, match="is no checkpoint of fastem"):
            fit(rows, checkpoint=path)
        assert path.read_bytes() == other


def fail(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_fit_whose_first_writing_fails_does_not_begin(rows, path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"No space left on device: .*run\.ckpt"):
        fit(rows, checkpoint=path)
    assert not os.listdir(path.parent)


def test_a_fit_goes_on_where_a_writing_fails(rows, path, monkeypatch):
    content = broken_off(rows, path, monkeypatch)
    expected = bits(fit(rows))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.warns(RuntimeWarning, match=r"the fit goes on.*No space left on device: .*run\.ckpt"):
            model = fit(rows, checkpoint=path, resume=True)
    assert bits(model) == expected
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["run.ckpt"]
    assert bits(fit(rows, checkpoint=path, resume=True)) == expected


def test_wrong_arguments(rows, tmp_path):
    with pytest.raises(ValueError, match="resume=True needs the checkpoint"):
        fit(rows, resume=True)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*absent"):
        fit(rows, checkpoint=tmp_path / "absent" / "run.ckpt")
    with pytest.raises(TypeError):
        fit(rows, checkpoint=3)


def test_a_checkpoint_holds_no_rows(rows, path, monkeypatch):
    for way in WAYS.values():
        path.unlink(missing_ok=True)
        fit(np.tile(rows, (20, 1)), checkpoint=path, **way)
        assert path.stat().st_size < 100_000
