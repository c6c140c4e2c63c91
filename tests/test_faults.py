"""Whichever system call fails while a file is written, the complete old file or the complete new one remains."""

import os
import warnings

import numpy as np
import pytest
from faults import ERRORS, Faults, injected
from processes import python

from fastem import GaussianMixture, load
from fastem.cli import main
from fastem.datasets import load_faithful
from fastem.system.writing import write_together, write_whole

pytestmark = pytest.mark.slow


@pytest.fixture(params=["old", "new"])
def old(request):
    """Whether a file that nobody else may read exists before."""
    return request.param == "old"


def prepare(paths, content):
    for path in paths:
        path.unlink(missing_ok=True)
        if content:
            path.write_bytes(b"old")
            path.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(path, 1234, 4321)


def faults_of(run, *, all_errors=True):
    """Faults at each call that a clean run makes, with each of the errors or with one of them."""
    run()  # compiling writes files too
    with injected(Faults()) as clean:
        run()
    assert {"open", "write", "flush", "close", "fsync"} <= set(clean.calls)
    places = range(len(clean.calls))
    if all_errors:
        return [Faults(place, error) for place in places for error in ERRORS]
    return [Faults(place, ERRORS[place % len(ERRORS)]) for place in places]


def error_of(action, faults):
    """The OSError that an action raises, or None."""
    try:
        with injected(faults):
            action()
    except OSError as error:
        return error
    return None


def held(paths):
    return [path.read_bytes() if path.exists() else None for path in paths]


def temporaries(folder, *known):
    return {name for name in os.listdir(folder) if name not in known}


def remove_temporaries(folder):
    for path in folder.glob(".fastem-*.tmp"):
        path.unlink()


@pytest.mark.parametrize("n_files", [1, 2, 3])
def test_files_are_all_old_or_all_new(n_files, old, tmp_path):
    paths = [tmp_path / f"{i}.csv" for i in range(n_files)]
    names = [path.name for path in paths]
    new = [f"new {name}".encode() for name in names]

    def write():
        if n_files == 1:
            write_whole(paths[0], new[0])
        else:
            write_together(dict(zip(paths, new, strict=True)))

    prepare(paths, old)
    before, seen = held(paths), set()
    for faults in faults_of(write):
        prepare(paths, old)
        error = error_of(write, faults)
        seen.add(faults.failed)
        if error is None:
            assert held(paths) == new, faults.failed
        else:
            assert (error.errno, error.filename in map(str, paths)) == (faults.error, True)
            assert held(paths) in (before, new)
            assert held(paths) == before or faults.failed in ("open", "fsync"), "only after all files were replaced"
        assert faults.failed == "unlink" or not temporaries(tmp_path, *names)
        remove_temporaries(tmp_path)
        if old:
            assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert seen >= {"open", "write", "flush", "close", "fsync", "replace"}
    assert n_files == 1 or not old or seen >= {"link", "unlink"}
    assert not old or os.geteuid() or seen >= {"fchown"}


def test_a_model_is_the_old_or_the_new_one(old, tmp_path):
    path = tmp_path / "model.json"

    def save():
        GaussianMixture(3).save(path)

    for faults in faults_of(save):
        path.unlink(missing_ok=True)
        if old:
            GaussianMixture(2).save(path)
        error = error_of(save, faults)
        assert error is None or str(path) in str(error)
        assert (load(path).n_components in (2, 3)) if path.exists() else not old
        assert not temporaries(tmp_path, "model.json")


X = np.random.default_rng(0).normal(size=(60, 2)) + 3 * np.arange(2).repeat(30)[:, None]


def fit(**options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the fit goes on")
        model = GaussianMixture(2, tol=0.1, random_state=0, init_params="random_from_data").fit(X, **options)
    return model.means_.tobytes(), model.n_iter_


def test_a_fit_with_a_checkpoint_ends_as_without_or_does_not_begin(tmp_path):
    path, expected = tmp_path / "run.ckpt", fit()
    begun = 0
    for faults in faults_of(lambda: fit(checkpoint=path), all_errors=False):
        path.unlink(missing_ok=True)
        found = []
        error = error_of(lambda found=found: found.append(fit(checkpoint=path)), faults)
        assert found == [expected] if error is None else str(path) in str(error)
        begun += len(found)
        assert faults.failed == "unlink" or not temporaries(tmp_path, "run.ckpt"), faults.failed
        remove_temporaries(tmp_path)
        assert fit(checkpoint=path, resume=True) == expected
    assert begun > 20


def test_outputs_of_the_command_are_all_old_or_all_new(old, tmp_path, capsys):
    paths = [tmp_path / name for name in ("model.json", "labels.csv", "plot.svg")]
    options = zip(("--output", "--labels", "--plot"), map(str, paths), strict=True)
    command = ["fit", "faithful", "-k", "1", *(word for pair in options for word in pair)]

    def run():
        assert main(command) in (0, 2)
        return capsys.readouterr().err

    prepare(paths, old)
    before = held(paths)
    for faults in faults_of(run, all_errors=False):
        prepare(paths, old)
        with injected(faults):
            said = run()
        if said:
            assert said.startswith("fastem: error: cannot write '")
            assert any(path.name in said for path in paths)
            assert said.count("\n") == 1
        whole = held(paths)
        assert whole == before or (load(paths[0]).n_components == 1 and whole[2].endswith(b"</svg>\n"))
        assert whole == before or whole[1].count(b"\n") == len(load_faithful().values) + 1
        assert faults.failed == "unlink" or not temporaries(tmp_path, *(path.name for path in paths))
        remove_temporaries(tmp_path)


KILLS = """
import json, os, sys
from pathlib import Path
from faults import Faults, Kill, injected
from fastem.system.claims import Claim
from fastem.system.writing import write_together

os.fsync = lambda descriptor: None
folder = Path(os.environ["FOLDER"])
paths = [folder / name for name in ("a", "b", "c")]
new = [(name.name * 100_000).encode() for name in paths]


def write():
    write_together(dict(zip(paths, new)))
    claim = Claim(folder / "d")
    claim.write(b"new")
    claim.write(b"new" * 1000)
    claim.release()


with injected(Faults()) as clean:
    write()
found = []
for place in range(len(clean.calls)):
    for path in (*paths, folder / "d"):
        path.write_bytes(b"old")
    child = os.fork()
    if child == 0:
        with injected(Faults(place, Kill)):
            write()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    whole = all(path.read_bytes() in (b"old", content) for path, content in zip(paths, new))
    whole = whole and (folder / "d").read_bytes() in (b"old", b"new", b"new" * 1000)
    write()
    claim = Claim(folder / "d")
    claimed = [name for name in os.listdir(folder) if name.startswith(claim._prefix)]
    claim.release()
    found.append([status, whole, [path.read_bytes() for path in paths] == new, claimed])
print(json.dumps(found))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_a_process_that_is_killed_at_any_call_leaves_whole_files(tmp_path):
    found = python(KILLS, FOLDER=str(tmp_path))
    assert len(found) > 30
    for place, state in enumerate(found):
        assert state == [9, True, True, []], place
