"""A checkpoint belongs to one fit at a time, whatever happens to its process."""

import os
import threading

import numpy as np
import pytest
from processes import python

from fastem import GaussianMixture
from fastem.persistence.checkpoint import CheckpointError
from fastem.system.claims import Claim, InUse

pytestmark = pytest.mark.slow

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def rows(rng):
    return rng.normal(size=(300, 2)) + 4 * rng.integers(2, size=(300, 1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def fit(X, **options):
    return GaussianMixture(2, random_state=0, tol=0.1).fit(X, **options)


def test_what_is_claimed_cannot_be_claimed_and_is_free_afterwards(path):
    claim = Claim(path)
    assert claim.content is None
    for content in (b"1", b"2", b"3"):
        claim.write(content)
        with pytest.raises(InUse, match=r"in use by another fit: .*run\.ckpt"):
            Claim(path)
    claim.release()
    claim.release()
    again = Claim(path)
    assert again.content == b"3"
    again.release()
    assert os.listdir(path.parent) == [path.name]


def test_of_two_that_begin_a_file_one_writes_it(path):
    first, second = Claim(path), Claim(path)
    first.write(b"first")
    for _ in range(2):
        with pytest.raises(InUse, match="has been written by somebody else"):
            second.write(b"second")
    first.write(b"more")
    assert path.read_bytes() == b"more"
    assert os.listdir(path.parent) == [path.name]
    first.release()


@pytest.mark.parametrize("locks", [True, False])
def test_what_another_has_put_in_place_is_not_written_over(locks, path, monkeypatch):
    if not locks:
        monkeypatch.setattr("fastem.system.claims.fcntl", None)
    claim = Claim(path)
    claim.write(b"ours")
    path.with_name("other").write_bytes(b"another's")
    os.replace(path.with_name("other"), path)
    with pytest.raises(InUse, match="has been replaced by somebody else"):
        claim.write(b"ours again")
    assert path.read_bytes() == b"another's"
    path.unlink()
    claim.write(b"ours again")  # if the file was removed, nothing is overwritten
    assert path.read_bytes() == b"ours again"
    claim.release()


def test_a_claimed_file_that_is_read_is_never_torn(path):
    claim, seen, done = Claim(path), set(), threading.Event()
    claim.write(bytes(100_000))

    def read():
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    written = {bytes([i]) * 100_000 for i in range(30)}
    for content in written:
        claim.write(content)
    done.set()
    reader.join()
    assert seen <= written
    claim.release()


def test_files_that_were_left_behind_are_removed_and_those_of_users_are_not(path):
    claim = Claim(path)
    claim.write(b"1")
    left = path.with_name(f"{claim._prefix}0123456789abcdef.tmp")
    claim.release()
    mine = [path.with_name(name) for name in (".run.ckpt.tmp", ".fastem-0123456789abcdef.tmp", f"{claim._prefix}1")]
    for file in (left, *mine):
        file.write_bytes(b"precious")
    again = Claim(path)
    again.write(b"2")
    again.release()
    assert set(path.parent.iterdir()) == {path, *mine}
    assert {file.read_bytes() for file in mine} == {b"precious"}


def test_a_second_fit_is_refused_and_the_first_goes_on(rows, path, monkeypatch):
    expected = fit(rows)
    write, refused = Claim.write, []

    def write_and_intrude(claim, content):
        write(claim, content)
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(Claim, "write", write)
            for resume in (True, False):
                with pytest.raises(CheckpointError, match=r"run\.ckpt' is in use: another fit writes it"):
                    fit(rows, checkpoint=path, resume=resume)
                refused.append(resume)
        assert path.read_bytes() == before

    monkeypatch.setattr(Claim, "write", write_and_intrude)
    model = fit(rows, checkpoint=path)
    assert np.array_equal(model.means_, expected.means_)
    assert len(refused) >= 6


def test_a_fit_that_fails_has_no_claim_left(rows, path):
    for bad in (np.full((5, 1), np.nan), rows[:1]):
        errors = []
        for _ in range(2):
            try:
                fit(bad, checkpoint=path)
            except ValueError as error:
                errors.append(error)  # with the traceback, and all objects that it refers to
        assert len(errors) == 2
    fit(rows, checkpoint=path)
    with pytest.raises(ValueError, match="another fit: n_samples") as caught:
        fit(rows[1:], checkpoint=path, resume=True)
    fit(rows, checkpoint=path, resume=True)
    assert caught.value.__traceback__


SHARED = """
import os, time
from multiprocessing import get_context
import numpy as np
from fastem import GaussianMixture
from fastem.persistence.checkpoint import CheckpointError

os.fsync = lambda descriptor: None
rng = np.random.default_rng(5)
X = rng.normal(size=(1000, 2)) + 2.0 * rng.integers(4, size=(1000, 1))
path = os.environ["CHECKPOINT"]


def fit(**options):
    model = GaussianMixture(6, tol=1e-9, max_iter=80, random_state=0, init_params="random", n_jobs=1)
    return model.fit(X, **options).means_.tobytes()


def child(at, results):
    while time.time() < at:
        pass
    try:
        results.put(fit(checkpoint=path, resume=True))
    except CheckpointError as error:
        results.put(str(error))


if __name__ == "__main__":
    import json, warnings
    warnings.simplefilter("ignore")
    expected = fit()
    context = get_context("fork")
    results = context.Queue()
    at = time.time() + 0.2
    children = [context.Process(target=child, args=(at, results)) for _ in range(3)]
    for process in children:
        process.start()
    found = [results.get(timeout=60) for _ in children]
    for process in children:
        process.join()
    finished = sum(result == expected for result in found)
    refused = sum("in use" in result for result in found if isinstance(result, str))
    same = fit(checkpoint=path, resume=True) == expected
    print(json.dumps([finished, refused, same, os.listdir(os.path.dirname(path))]))
"""


def test_processes_that_share_a_checkpoint_finish_or_are_refused(path):
    finished, refused, same, files = python(SHARED, CHECKPOINT=str(path))
    assert finished >= 1
    assert finished + refused == 3
    assert same
    assert files == [path.name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_a_child_that_outlives_its_parent_has_no_claim(path):
    found = python(
        """
import json, os, signal, time
from fastem.system.claims import Claim

path, (read, write) = os.environ["CHECKPOINT"], os.pipe()
parent = os.fork()
if parent == 0:
    claim = Claim(path)
    claim.write(b"1")
    worker = os.fork()  # as of a source
    if worker == 0:
        time.sleep(60)
        os._exit(0)
    time.sleep(0.1)
    os.write(write, str(worker).encode())
    signal.pause()
worker = int(os.read(read, 20))
os.kill(parent, signal.SIGKILL)
os.waitpid(parent, 0)
try:
    print(json.dumps(Claim(path).content.decode()))
finally:
    os.kill(worker, signal.SIGKILL)
""",
        CHECKPOINT=str(path),
    )
    assert found == "1"


def test_a_checkpoint_that_may_only_be_read_gives_back_a_fit_that_has_ended(rows, path, monkeypatch):
    finished = fit(rows, checkpoint=path)
    access, write = os.access, Claim.write
    monkeypatch.setattr(os, "access", lambda name, how: access(name, how) and (how != os.W_OK or name != str(path)))
    assert np.array_equal(fit(rows, checkpoint=path, resume=True).means_, finished.means_)
    with pytest.raises(PermissionError, match="may not be written to"):
        fit(rows, checkpoint=path)
    path.unlink()
    monkeypatch.setattr(os, "access", access)
    written = []

    def break_off(claim, content):
        write(claim, content)
        written.append(1)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Claim, "write", break_off)
    with pytest.raises(KeyboardInterrupt):
        fit(rows, checkpoint=path)
    content = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda name, how: access(name, how) and (how != os.W_OK or name != str(path)))
    with pytest.raises(PermissionError, match="may not be written to"):
        fit(rows, checkpoint=path, resume=True)
    assert path.read_bytes() == content
