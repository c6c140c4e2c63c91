"""Damaged, foreign and forged model files are refused, with an error that names the cause."""

import json

import pytest
from reference import rows_for

from fastem import GaussianMixture, load
from fastem.persistence import ModelFileError, models


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.json"


@pytest.fixture
def saved(path):
    GaussianMixture(2, tol=1e-2, random_state=3).fit(rows_for("full")).save(path)
    return path


def vars_of(model):
    """All that a model holds, comparable with ==."""
    return {key: getattr(value, "tolist", lambda v=value: v)() for key, value in vars(model).items()}


def forge(path, **changes):
    """Change a file and give it a valid checksum: the fault of a writer, not of a disk."""
    document = {**json.loads(path.read_text()), **changes}
    document["sha256"] = models._checksum(document)
    path.write_text(json.dumps(document))


def means(**changes):
    return {"attributes": {"means_": {"dtype": "float64", "shape": [1], "data": [0.5], **changes}}}


def test_a_missing_file_is_a_missing_file(path):
    with pytest.raises(FileNotFoundError):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"weights,means", "not a JSON file"),
        (b"\x80\x04\x95\xff", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b"1 2", "not a JSON file"),
        (b'{"format": "fastem-model"} {', "more follows after the model"),
        (b'{"format": "fastem-model"}x', "more follows after the model"),
        (b"[1, 2]", 'not a fastem model: "format"'),
        (b'{"format": "another-model"}', 'not a fastem model: "format"'),
        (b'{"format": "fastem-model"}', "format_version None does not exist"),
        (b'{"format": "fastem-model", "format_version": true}', "format_version True"),
        (b'{"format": "fastem-model", "format_version": 1}', "missing or unknown fields"),
    ],
)
def test_foreign_files_are_named_for_what_they_are(content, message, path):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"model\.json': .*{message}"):
        load(path)


def test_a_file_cut_anywhere_is_refused(saved):
    content = saved.read_bytes().rstrip()
    for length in range(1, len(content), max(1, len(content) // 50)):
        saved.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"cut short|not a JSON file"):
            load(saved)


def test_a_changed_byte_anywhere_is_refused_or_means_the_same(saved):
    model, content = load(saved), saved.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 200)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        saved.write_bytes(damaged)
        try:
            restored = load(saved)
        except ModelFileError:
            continue
        assert vars_of(restored) == vars_of(model)  # for example if a 17th digit has changed that does not count


def test_a_changed_number_fails_the_checksum(saved):
    document = json.loads(saved.read_text())
    document["attributes"]["weights_"]["data"][0] += 1e-15
    saved.write_text(json.dumps(document))
    with pytest.raises(ModelFileError, match="checksum does not match"):
        load(saved)


def test_white_space_and_the_order_of_fields_do_not_matter(saved):
    model = load(saved)
    saved.write_text(json.dumps(json.loads(saved.read_text()), indent=4, sort_keys=True))
    assert vars_of(load(saved)) == vars_of(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3, "fastem_version": "9.1"}, "3, written by fastem 9.1, is newer"),
        ({"model": "Pipeline"}, "unknown model class 'Pipeline'"),
        ({"model": ["GaussianMixture"]}, "unknown model class"),
        ({"parameters": []}, "expected names and values"),
        ({"parameters": {"n_clusters": 3}}, "parameters do not fit GaussianMixture.*n_clusters"),
        ({"attributes": {"predict": 1}}, "'predict' is not the name of a fitted attribute"),
        ({"attributes": {"__class__": 1}}, "not the name of a fitted attribute"),
        ({"attributes": {"x_": {"import": "os"}}}, "x_: a value of unknown kind.*import"),
        ({"attributes": {"x_": {"record": "Popen", "values": {}}}}, "x_: .*unknown kind"),
        ({"attributes": {"x_": {"record": "HistoryRecord", "values": {}}}}, "x_: .*missing"),
        ({"attributes": {"x_": {"record": "HistoryRecord", "values": 1}}}, "x_: "),
        ({"attributes": {"x_": {"float": "1"}}}, "x_: .*unknown kind"),
        (means(dtype="complex128"), "means_: unknown dtype 'complex128'"),
        (means(shape=[2]), r"means_: .*reshape"),
        (means(shape=[-1]), r"means_: the data are not float64 of shape \[-1\]"),
        (means(data=0.5), "means_: the data are not"),
        (means(data=["0.5"]), "means_: the data are not"),
        (means(data=["half"]), "means_: could not convert"),
        (means(dtype="float32", data=[0.1]), "means_: the data are not float32"),
        (means(dtype="float32", data=[1e300]), "means_: the data are not float32"),
        (means(dtype="int8", data=[300]), "means_: .*out of bounds"),
        (means(dtype="bool", data=[2]), "means_: the data are not bool"),
        (means(dtype="object"), "means_: .*only hold strings"),
    ],
)
def test_nonsense_with_a_good_checksum_is_refused(changes, message, saved):
    forge(saved, **changes)
    with pytest.raises(ModelFileError, match=message):
        load(saved)


OUTCOMES = {
    "converged_": ["yes", 1],
    "n_iter_": [-1, 2.5, True],
    "lower_bound_": [{"float": "nan"}, {"float": "inf"}, "high", None],
    "lower_bounds_": [-3.0, [{"float": "nan"}], ["high"]],
    "stop_reason_": ["boredom", None, []],
    "history_": [[1], "none"],
    "feature_names_in_": [{"dtype": "object", "shape": [2], "data": ["a", "b"]}, "abc"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in OUTCOMES.items() for value in values])
def test_what_no_fit_says_of_itself_is_refused(name, value, saved):
    attributes = {**json.loads(saved.read_text())["attributes"], name: value}
    forge(saved, attributes=attributes)
    with pytest.raises(ModelFileError, match=f"{name} "):
        load(saved)


def test_what_could_not_be_loaded_is_not_saved(saved):
    model, before = load(saved), saved.read_bytes()
    model.lower_bound_ = float("nan")
    with pytest.raises(ValueError, match="lower_bound_ must be a log-likelihood, not nan"):
        model.save(saved)
    assert saved.read_bytes() == before
