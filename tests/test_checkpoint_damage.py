"""A damaged or edited checkpoint is resumed, or refused with an error that names the file."""

import contextlib
import copy
import functools
import io
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from fastem import GaussianMixture, Incremental, PoissonMixture, Stepwise
from fastem.em import loop
from fastem.em.algorithms import stepwise
from fastem.persistence import checkpoint_format
from fastem.persistence.checkpoint import CheckpointError, Journal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Best performing")]

X = np.random.default_rng(0).normal(size=(60, 2)) + 3 * np.arange(2).repeat(30)[:, None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A checkpoint in the middle of a fit."""
    path = tmp_path_factory.mktemp("whole") / "run.ckpt"
    contents = []
    write = Journal._write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "_write", lambda *given: (write(*given), contents.append(path.read_bytes())))
        GaussianMixture(2, n_init=2, init_params="random_from_data", tol=1e-3, random_state=0).fit(X, checkpoint=path)
    return contents[len(contents) // 2 + 2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


@pytest.fixture
def taken_up(path, whole, monkeypatch):
    """Function that returns the progress from which a fit is resumed, given the content of its checkpoint."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    identity = json.loads(checkpoint_format.unpacked(whole).value("identity", str))

    def take_up(content):
        path.write_bytes(content)
        random_state = np.random.RandomState(0)
        with Journal(path, True, random_state) as journal:
            journal.identify(identity)
            progress = journal.recall()
        return repr(progress), random_state.get_state()[1].tobytes()

    return take_up


def refused(take_up, content):
    with pytest.raises(CheckpointError, match=r"run\.ckpt'") as caught:
        take_up(content)
    return str(caught.value)


def outcome(take_up, content):
    """The progress from which a fit is resumed, or the message of the refusal."""
    try:
        return take_up(content)[0]
    except CheckpointError as error:
        return str(error)


def test_a_changed_bit_anywhere_is_found(whole, taken_up):
    taken_up(whole)
    rng = np.random.default_rng(1)
    for place in [*range(100), *rng.integers(len(whole), size=300)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        refused(taken_up, bytes(damaged))


def test_parts_that_are_missing_zeroed_repeated_or_added_are_found(whole, taken_up, path):
    rng = np.random.default_rng(2)
    for place in rng.integers(len(whole), size=60):
        for damaged in (
            whole[:place],
            whole[place + 1 :],
            whole[:place] + bytes(len(whole) - place),
            whole[:place] + bytes(rng.integers(256, size=40, dtype=np.uint8)) + whole[place + 40 :],
            whole[:place] + whole[max(0, place - 100) :],
            whole + whole[:place] + b".",
        ):
            if damaged != whole:
                refused(taken_up, damaged)
                with pytest.raises(FileExistsError, match="is no checkpoint of fastem"):
                    Journal(path, False, np.random.RandomState(0))
                assert path.read_bytes() == damaged


def test_another_format_is_named(whole, taken_up):
    assert "an earlier version of fastem" in refused(taken_up, b"PK\x03\x04 and so on")
    assert "its format is 3, and this version of fastem reads format 2" in refused(
        taken_up, whole.replace(b"checkpoint 2", b"checkpoint 3", 1)
    )


def forged(whole, change):
    """Content of a checkpoint with a valid checksum, but an edited document."""
    saved = checkpoint_format.unpacked(whole)
    tree, arrays = copy.deepcopy(saved.tree), list(saved.arrays)
    changed = change(tree, arrays)
    tree = tree if changed is None else changed
    content = io.BytesIO()
    document = np.frombuffer(json.dumps(tree).encode(), np.uint8)
    np.savez(content, tree=document, **{str(i): array for i, array in enumerate(arrays)})
    return checkpoint_format._header(content.getvalue()) + content.getvalue()


@pytest.mark.parametrize("oldest", [True, False])
def test_files_that_name_records_by_the_modules_of_earlier_versions_are_taken_up(oldest, whole, taken_up):
    moves = checkpoint_format.MOVED.items()
    before = {new: old for old, new in (reversed(moves) if oldest else moves)}
    named = []

    def rename(value):
        if isinstance(value, dict):
            if "record" in value:
                module, name = value["record"]
                named.append(before.get(module, module))
                value["record"] = [named[-1], name]
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                rename(item)

    earlier = forged(whole, lambda tree, arrays: rename(tree))
    assert {"fastem.driver", "fastem.sources._contract" if oldest else "fastem.data.base"} <= set(named)
    assert taken_up(earlier) == taken_up(whole)


def of_every_place(tree, change):
    """Copies of a document, each with one value changed."""
    places = [()]
    for place in places:
        value = tree
        for key in place:
            value = value[key]
        if isinstance(value, dict | list) and len(place) < 6:
            places += [(*place, key) for key in (value if isinstance(value, dict) else range(len(value)))]
    for place in places[1:]:
        copied = copy.deepcopy(tree)
        value = copied
        for key in place[:-1]:
            value = value[key]
        change(value, place[-1])
        yield copied


def test_files_that_were_edited_are_refused_or_are_progress(whole, taken_up):
    tree = checkpoint_format.unpacked(whole).tree
    values = (None, -1, 10**30, "text", [], {}, {"array": 99}, {"tuple": 3}, {"record": ["os", "system"], "fields": {}})
    rng, tried = np.random.default_rng(3), 0
    changes = [lambda value, key: value.pop(key)]
    changes += [lambda value, key, new=new: value.__setitem__(key, new) for new in values]
    for change in changes:
        for edited in of_every_place(tree, change):
            if rng.random() < 0.1:
                tried += 1
                found = outcome(taken_up, forged(whole, lambda *_, edited=edited: edited))
                assert re.search(r"^Progress\(|run\.ckpt'", found)
    assert tried > 100


def test_edited_files_run_no_code_and_are_refused(whole, taken_up):
    def set_of(name, value):
        return lambda tree, arrays: tree.__setitem__(name, value)

    for change in (
        *(
            set_of(name, value)
            for name in ("progress", "draws", "first_draws")
            for value in (None, 3, [], {"tuple": []})
        ),
        *(set_of("finished", value) for value in (None, 1, "true")),
        *(set_of("identity", value) for value in (None, 3, "", "{")),
        set_of("progress", {"record": ["fastem.em.loop", "Run"], "fields": {}}),
        set_of("progress", {"record": ["os", "system"], "fields": {"command": "true"}}),
        set_of("progress", {"record": ["fastem.persistence.checkpoint", "Journal"], "fields": {}}),
        lambda tree, arrays: [],
        lambda tree, arrays: arrays.clear(),
        lambda tree, arrays: arrays.__setitem__(slice(None), [array[:0] for array in arrays]),
        lambda tree, arrays: arrays.__setitem__(slice(None), [np.array(["x"])] * len(arrays)),
    ):
        refused(taken_up, forged(whole, change))


def test_archives_that_were_tampered_with_are_refused(whole, taken_up):
    archive = whole.partition(b"\n")[2]
    rng, refusals = np.random.default_rng(4), 0
    structure = [place for place in range(len(archive)) if archive[place - 30 : place + 30].find(b"PK") >= 0]
    for place in rng.choice(structure, 300):
        damaged = bytearray(archive)
        damaged[place] ^= 1 << int(rng.integers(8))
        found = outcome(taken_up, checkpoint_format._header(bytes(damaged)) + bytes(damaged))
        assert re.search(r"^Progress\(|run\.ckpt'", found)
        refusals += not found.startswith("Progress(")
    assert refusals > 100


def test_a_finished_fit_without_a_result_is_refused(whole, taken_up):
    content = checkpoint_format.packed(
        {name: checkpoint_format.unpacked(whole).value(name, kind) for name, kind in KINDS.items()}
        | {"progress": loop.Progress(finished=True)}
    )
    assert "it is not known how far the fit came" in refused(taken_up, content)


KINDS = {"finished": bool, "identity": str, "first_draws": tuple, "draws": tuple}


def test_a_folder_and_a_pipe_are_no_checkpoints(tmp_path):
    for resume in (True, False):
        with pytest.raises(IsADirectoryError, match="is a folder"):
            GaussianMixture(2).fit(X, checkpoint=tmp_path, resume=resume)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        for name in (tmp_path / "pipe", "/dev/null"):
            with pytest.raises(OSError, match="is no regular file"):
                GaussianMixture(2).fit(X, checkpoint=name)


# Files with a valid checksum whose arrays and numbers do not fit the problem

FITS = {
    "em": (GaussianMixture, {}),
    "tied": (GaussianMixture, {"covariance_type": "tied", "algorithm": Incremental(n_blocks=3)}),
    "background": (GaussianMixture, {"background": True, "algorithm": Incremental(n_blocks=3)}),
    "stepwise": (GaussianMixture, {"algorithm": Stepwise(batch_size=20, averaging=True)}),
    "squarem": (GaussianMixture, {"acceleration": "squarem", "covariance_type": "diag"}),
    "anderson": (PoissonMixture, {"acceleration": "anderson"}),
    "stochastic": (PoissonMixture, {"algorithm": "stochastic"}),
}


@pytest.fixture(params=FITS)
def interrupted(request, path, monkeypatch):
    """A fit, and its checkpoint after five iterations."""
    kind, options = FITS[request.param]
    model = kind(2, tol=0.0, random_state=0, **options)
    data = abs(X).round() if kind is PoissonMixture else X
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "keep", lambda journal, progress: (Journal._write(journal, progress), stop(progress)))
        with pytest.raises(KeyboardInterrupt):
            model.set_params(max_iter=8).fit(data, checkpoint=path)
    return functools.partial(model.fit, data, checkpoint=path, resume=True), path.read_bytes()


def stop(progress):
    if len(progress.history) == 5:
        raise KeyboardInterrupt


def test_arrays_of_other_shapes_types_or_values_are_refused(interrupted, path):
    fit, whole = interrupted
    saved = checkpoint_format.unpacked(whole)
    inside = {place["array"] for place in arrays_of(saved.tree["progress"])}
    assert len(inside) > 4
    for number in inside:
        array = saved.arrays[number]
        for wrong in (array[:-1], array[None], array.astype(np.float32), array * np.nan, np.append(array, 1.0)):
            path.write_bytes(forged(whole, lambda _, arrays, i=number, new=wrong: arrays.__setitem__(i, new)))
            with pytest.raises(CheckpointError, match=r"run\.ckpt': the file is damaged: it holds"):
                fit()
    path.write_bytes(whole)
    fit()


def arrays_of(value):
    """The places of arrays in a document."""
    if isinstance(value, dict) and "array" in value and "scalar" not in value:
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from arrays_of(item)


def test_values_of_another_kind_are_refused_or_the_fit_goes_on(interrupted, path):
    """Each number, flag and text of a fit's progress, in its records and their lists, is replaced by others."""
    fit, whole = interrupted
    tree, tried = checkpoint_format.unpacked(whole).tree, 0
    values = ("text", float("nan"), {"tuple": ["text"]}, {"array": 0})
    for new in values:
        for edited in of_every_place(tree["progress"], lambda value, key, new=new: value.__setitem__(key, new)):
            path.write_bytes(forged(whole, lambda tree, _, edited=edited: tree.__setitem__("progress", edited)))
            tried += 1
            with contextlib.suppress(CheckpointError):
                fit()  # is refused, or goes on, for example with another reason to stop
    assert tried > 60


def test_the_state_of_another_algorithm_is_refused(interrupted, path):
    fit, whole = interrupted
    saved = checkpoint_format.unpacked(whole)
    progress = saved.value("progress", loop.Progress)
    state = progress.run.mixture if hasattr(progress.state, "mixture") else stepwise.begin(progress.run.mixture)
    values = {name: saved.value(name, kind) for name, kind in KINDS.items()}
    path.write_bytes(checkpoint_format.packed({**values, "progress": replace(progress, state=state)}))
    with pytest.raises(CheckpointError, match=r"run\.ckpt': the file is damaged: it holds a \w+ for a"):
        fit()
