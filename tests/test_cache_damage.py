"""Damaged files of the disk cache stop no fit: code is compiled again, with one warning."""

import os
import pickle
import shutil
import sys
import types
from pathlib import Path

import numba
import numpy as np
import pytest
from processes import python
from small_fits import SMALL_FITS, small_fits

from fastem.engine.compiled import get_passes
from fastem.families import get_family
from fastem.kernels import cache, jit

pytestmark = pytest.mark.slow


def half(number):
    return number / 2


def halves():
    """`half` compiled as passes are, as if in a new process."""
    return jit.specialise(half, "halves", {})


def counts(dispatcher):
    """How often a dispatcher's code came from the disk, and how often from the compiler."""
    return [sum(getattr(dispatcher.stats, kind).values()) for kind in ("cache_hits", "cache_misses")]


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The only file of an undamaged cache."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_warned", set())
    assert halves()(1.0) == 0.5
    (file,) = tmp_path.rglob("*.nbc")
    return file


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)


def make_a_folder(file):
    file.unlink()
    file.mkdir()


def make_unreadable(file):
    file.unlink()
    file.symlink_to(file.name)


def sign(content):
    return cache._digest(content) + content


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "cut within its hash": lambda file: file.write_bytes(file.read_bytes()[:7]),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "one byte less": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "zeroed": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "random": lambda file: file.write_bytes(np.random.default_rng(0).bytes(file.stat().st_size)),
    "one bit": flip,
    "unreadable": make_unreadable,
    "no pickle, well signed": lambda file: file.write_bytes(sign(b"no pickle")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_compiled_anew_with_one_warning_that_names_it(cached, damage):
    damage(cached)
    again = halves()
    with pytest.warns(RuntimeWarning, match="compiled code is made anew") as warned:
        assert [again(1.0), again(3.0)] == [0.5, 1.5]
    (warning,) = warned
    assert str(cached) in str(warning.message)
    assert counts(again) == [0, 1]
    third = halves()
    assert third(1.0) == 0.5
    assert counts(third) == [1, 0], "the damaged file was replaced"


def test_a_file_of_other_code_is_not_taken_for_this(cached):
    """This happens if two processes write at once, or if a name is used twice."""
    key, data = pickle.loads(cached.read_bytes()[cache.DIGEST_BYTES :])
    cached.write_bytes(sign(pickle.dumps(((key[0], "another key"), data))))
    again = halves()
    assert again(1.0) == 0.5
    assert counts(again) == [0, 1]


def test_a_folder_that_vanished_is_made_again(cached):
    made = halves()
    shutil.rmtree(cached.parent)
    assert made(1.0) == 0.5
    assert cached.is_file()


def test_a_folder_in_a_files_place_leaves_code_without_a_cache(cached):
    make_a_folder(cached)
    with pytest.warns(RuntimeWarning) as warned:
        assert [halves()(1.0), halves()(1.0)] == [0.5, 0.5]
    assert sorted("cannot be kept" in str(warning.message) for warning in warned) == [False, True]


@pytest.mark.parametrize("call", ["write_bytes", "replace"])
def test_a_full_disk_leaves_code_without_a_cache_and_no_file_behind(cached, monkeypatch, call):
    def full(path, *arguments):
        if call == "write_bytes":
            with open(path, "wb") as file:
                file.write(b"as much as there was room for")
        raise OSError(28, "No space left on device", str(path))

    cached.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(cache.Path if call == "write_bytes" else os, call, full)
        with pytest.warns(RuntimeWarning, match="cannot be kept.*No space left") as warned:
            assert [halves()(1.0), halves()(2.0)] == [0.5, 1.0]
    assert len(warned) == 1, "one warning for each folder"
    assert [path.name for path in cached.parent.iterdir()] == ["fastem.lock"], "only the file of the lock is left"
    assert halves()(1.0) == 0.5
    assert cached.is_file()


def test_an_interrupt_while_a_file_is_written_leaves_none(cached, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    cached.unlink()
    monkeypatch.setattr(cache.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        halves()(1.0)
    assert [path.name for path in cached.parent.iterdir()] == ["fastem.lock"], "only the file of the lock is left"


def test_recompiling_forgets_the_files(cached):
    again = halves()
    again(1.0)
    again.recompile()
    assert counts(again)[1] == 1
    assert cached.is_file()


DAMAGED = """
import warnings
from pathlib import Path
from fastem.engine.compiled import get_passes
from fastem.families import get_family

found = []
warnings.simplefilter("always")
warnings.showwarning = lambda message, *_: found.append(str(message))
folder = Path(get_passes(get_family("poisson")).fused._cache.cache_path)
for file in FILES:
    (folder / file).touch()
"""


def test_a_fit_outlives_the_damage_of_a_cache(tmp_path):
    expected = small_fits("poisson")
    cache = get_passes(get_family("poisson")).fused._cache
    files = [path.name for path in Path(cache.cache_path).glob(f"{cache._impl.filename_base}.*")]
    fit = SMALL_FITS.replace("NAMES", "['poisson']").replace('"folder":', '"warnings": found, "folder":')
    seen = python(DAMAGED.replace("FILES", str(files)) + fit, NUMBA_CACHE_DIR=str(tmp_path))
    assert seen["values"] == expected
    assert seen["stats"]["poisson"] == {"cache_hits": 0, "cache_misses": 1}
    (warning,) = seen["warnings"]
    assert any(str(Path(seen["folder"], file)) in warning for file in files)


def test_a_whole_file_of_a_version_with_other_modules_is_passed_over(tmp_path, monkeypatch):
    """Its classes no longer exist: this is no damage, and causes no warning."""
    module = types.ModuleType("fastem_of_old")
    module.Rows = type("Rows", (), {"__module__": "fastem_of_old"})
    monkeypatch.setitem(sys.modules, "fastem_of_old", module)
    files = cache._CheckedFiles(tmp_path, "function", "stamp")
    files.save("key", module.Rows())
    assert type(files.load("key")) is module.Rows
    monkeypatch.delitem(sys.modules, "fastem_of_old")
    assert files.load("key") is None
    monkeypatch.setitem(sys.modules, "fastem_of_old", types.ModuleType("fastem_of_old"))
    assert files.load("key") is None
