"""Model files are exact, checked for damage, and written completely or not at all."""

import json
import math
import os
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reference import GAUSSIAN_FAMILIES, rows_for

from fastem import GaussianMixture, PoissonMixture, load
from fastem.persistence import save


def fitted_gaussian(covariance_type="full", dtype=np.float64, **parameters):
    X = rows_for("full").astype(dtype)
    return GaussianMixture(2, covariance_type=covariance_type, max_iter=50, tol=1e-2, random_state=3, **parameters).fit(
        X
    )


def fitted_poisson():
    return PoissonMixture(2, tol=1e-2, random_state=3).fit(rows_for("poisson"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.json"


@pytest.fixture
def saved(path):
    fitted_gaussian().save(path)
    return path


def round_trip(model, path):
    model.save(path)
    return load(path)


def assert_identical(actual, expected):
    """Equal in type, and to the last bit."""
    assert type(actual) is type(expected)
    if isinstance(expected, np.ndarray | np.generic):
        assert actual.dtype == expected.dtype
        assert actual.shape == expected.shape
        same_bits = np.asarray(actual).tolist() == np.asarray(expected).tolist()
        assert same_bits if expected.dtype == object else actual.tobytes() == expected.tobytes()
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for pair in zip(actual, expected, strict=True):
            assert_identical(*pair)
    elif isinstance(expected, float):
        if math.isnan(expected):
            assert math.isnan(actual)  # any NaN will do
        else:
            assert actual == expected
            assert math.copysign(1, actual) == math.copysign(1, expected)
    else:
        assert actual == expected


def assert_same_model(actual, expected):
    assert type(actual) is type(expected)
    parameters = expected.get_params()
    assert actual.get_params().keys() == parameters.keys()
    for name, value in actual.get_params().items():
        assert_identical(value, parameters[name])
    public = {key for key in vars(expected) if key.endswith("_") and not key.startswith("_")}
    assert {key for key in vars(actual) if key.endswith("_")} >= public
    for name in public:
        assert_identical(getattr(actual, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("covariance_type", "dtype"),
    [
        *((covariance_type, np.float64) for covariance_type in GAUSSIAN_FAMILIES),
        ("full", np.float32),
    ],
)
def test_a_gaussian_mixture_comes_back_to_the_last_bit(covariance_type, dtype, path):
    model = fitted_gaussian(covariance_type, dtype)
    restored = round_trip(model, path)
    assert_same_model(restored, model)
    X = rows_for("full", seed=1).astype(dtype)
    for method in ("predict", "predict_proba", "score_samples"):
        assert_identical(getattr(restored, method)(X), getattr(model, method)(X))
    assert restored.bic(X) == model.bic(X)


def test_a_poisson_mixture_comes_back_to_the_last_bit(path):
    model = fitted_poisson()
    restored = round_trip(model, path)
    assert_same_model(restored, model)
    X = rows_for("poisson", seed=1)
    assert_identical(restored.predict_proba(X), model.predict_proba(X))


def test_an_unfitted_model_comes_back_unfitted_and_fits_the_same(path):
    start = np.asfortranarray(rows_for("full")[:2])
    model = GaussianMixture(2, means_init=start, tol=1e-2, random_state=5)
    restored = round_trip(model, path)
    assert_same_model(restored, model)
    assert not hasattr(restored, "means_")
    X = rows_for("full")
    assert_identical(restored.fit(X).means_, model.fit(X).means_)


def test_a_loaded_model_goes_on_where_the_saved_one_stopped(path):
    model = fitted_gaussian(warm_start=True)
    restored = round_trip(model, path)
    X = rows_for("full", seed=2)
    for each in (model, restored):
        each.set_params(tol=1e-4).fit(X)
    assert restored.n_iter_ == model.n_iter_
    assert_identical(restored.covariances_, model.covariances_)


def test_a_loaded_model_can_be_saved_to_the_same_file_again(saved, tmp_path):
    load(saved).save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == saved.read_text()


def test_feature_names_and_history_come_back(path):
    model = fitted_gaussian()
    model.feature_names_in_ = np.array(["année", "数", ""], dtype=object)  # as from a data frame
    restored = round_trip(model, path)
    assert restored.feature_names_in_.tolist() == ["année", "数", ""]
    assert restored.history_ == model.history_
    assert restored.history_[0].change == model.history_[0].change == math.inf


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(max_examples=60, deadline=None)  # each example waits for the disk
@given(data=st.data())
def test_every_float_survives(dtype, data, tmp_path_factory):
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
    array = np.where(np.isnan(array), dtype(np.nan), array)  # the bits of NaN are not kept
    assert_survives(array, tmp_path_factory)


@settings(max_examples=60, deadline=None)  # each example waits for the disk
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
        max_leaves=5,
    )
)
def test_every_plain_value_survives(value, tmp_path_factory):
    assert_survives(value, tmp_path_factory)


@pytest.mark.parametrize(
    "value",
    [
        *(np.float64(5e-324), np.float32(0.1), np.float64(-0.0), np.float32("-inf")),
        *(np.int64(-(2**63)), np.uint64(2**64 - 1), np.int32(7), np.bool_(True)),
        *(np.arange(6).reshape(2, 3).T, np.zeros((0, 3)), np.array(1.5), np.array([True, False])),
        *(np.arange(3, dtype=np.int8), np.array([], dtype=object)),
    ],
    ids=repr,
)
def test_numpy_values_keep_dtype_and_shape(value, tmp_path_factory):
    assert_survives(value, tmp_path_factory)


def assert_survives(value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "value.json"
    model = GaussianMixture()
    model.value_ = value
    assert_identical(round_trip(model, path).value_, value)
    json.loads(path.read_text(), parse_constant=pytest.fail)  # standard JSON has no NaN


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.random.RandomState(0), "random_state: .*RandomState; set it to None or an integer"),
        (np.random.default_rng(0), "random_state: .*Generator"),
        (np.array([1j]), "random_state: .*complex128"),
        (np.array([None]), "random_state: .*only hold strings"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_by_name(value, message, path):
    with pytest.raises(TypeError, match=message):
        GaussianMixture(random_state=value).save(path)
    assert not path.exists()


def test_another_class_is_refused(path):
    class Special(GaussianMixture):
        pass

    for model in (Special(), object()):
        with pytest.raises(TypeError, match=r"only GaussianMixture, .* and PoissonMixture have"):
            save(model, path)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failure_while_writing_leaves_the_old_file(failing, saved, monkeypatch):
    before = saved.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        fitted_poisson().save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_folder_that_cannot_be_written_is_an_error(path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        GaussianMixture().save(path)


def test_the_folder_must_exist_and_the_target_be_a_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        GaussianMixture().save(tmp_path / "nowhere" / "model.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        GaussianMixture().save(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_the_file_has_the_usual_permissions_and_links_stay(tmp_path):
    plain, target, link = (tmp_path / name for name in ("plain", "model.json", "link.json"))
    plain.touch()
    link.symlink_to(target)
    GaussianMixture(2).save(str(link))
    assert link.is_symlink()
    assert load(target).n_components == 2
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
