"""The state of a fitted model is its attributes: contradictions are refused, and failed calls change nothing."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from models import fitted_names
from reference import rows_for

from fastem import GaussianMixture, NormalInverseWishart, PoissonMixture, load
from fastem.persistence import ModelFileError, models

TYPES = ("full", "tied", "diag", "spherical")
X = rows_for("full", 400)[:, :2]
TWO_VALUES = np.repeat([[0.0], [1.0]], 25, axis=0)  # components of zero variance
EVERY_PAIR = r"""
import itertools, sys
import numpy as np
from fastem import GaussianMixture

types, rng = ("full", "tied", "diag", "spherical"), np.random.default_rng(0)
calls = {
    "warm start": lambda model, X: model.set_params(warm_start=True).fit(X),
    "partial_fit": lambda model, X: model.partial_fit(X),
    "score": lambda model, X: model.score(X),
    "predict": lambda model, X: model.predict(X),
    "sample": lambda model, X: model.sample(3),
}
for (n_components, d), background in itertools.product(((2, 2), (2, 3), (4, 4)), (False, True)):
    X = rng.normal(size=(300, d)) + 3.0 * rng.integers(2, size=(300, 1))
    for fitted in types:
        options = {"background": background, "random_state": 0, "tol": 0.1}
        model = GaussianMixture(n_components, covariance_type=fitted, **options).fit(X)
        changes = [{"covariance_type": other} for other in types if other != fitted]
        changes += [{"n_components": n_components + 1}, {"background": not background}]
        for change, (name, call) in itertools.product(changes, calls.items()):
            before = model.get_params()
            try:
                call(model.set_params(**change), X)
            except ValueError as error:
                assert "Parameters of the constructor" in str(error), error
                assert next(iter(change)) in str(error), error
            else:
                sys.exit(f"{fitted}, {change}: {name} ran")
            model.set_params(**before)
        model.score(X)  # as before
print("all refused")
"""


def test_no_change_of_parameters_reaches_compiled_code():
    done = subprocess.run([sys.executable, "-c", EVERY_PAIR], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all refused\n", "")


def test_a_fit_after_a_change_of_parameters_is_a_fit_anew():
    model = GaussianMixture(2, random_state=0).fit(X)
    for change in ({"covariance_type": "diag"}, {"n_components": 3}, {"background": True}, {"background": False}):
        fresh = GaussianMixture(2, random_state=0).set_params(**model.get_params()).set_params(**change).fit(X)
        np.testing.assert_array_equal(model.set_params(**change).fit(X).means_, fresh.means_)


def test_a_background_that_contradicts_its_box_or_volume_is_refused():
    boxed, by_volume = GaussianMixture(1, background=True).fit(X), GaussianMixture(1, background=50.0).fit(X)
    boxed.score(X)
    boxed.background_ = 2.0 * boxed.background_
    by_volume.set_params(background=60.0)
    for model in (boxed, by_volume, boxed.set_params(background=3.0)):
        for call in (model.score, model.partial_fit, lambda X, model=model: model.sample()):
            with pytest.raises(ValueError, match=r"background_log_density_ is .* where background="):
                call(X)
    boxed.set_params(background=True).background_ = boxed.background_[:, :1]
    with pytest.raises(ValueError, match=r"background_ must be an array of shape \(2, 2\)"):
        boxed.score(X)
    narrow = GaussianMixture(1, background=True).fit((X + 1e4).astype(np.float32))  # a box whose width is rounded
    assert np.isfinite(narrow.score(X + 1e4))


# Streams


def batches():
    return [X[start::5].copy() for start in range(5)]


KINDS = {
    **{name: lambda name=name: GaussianMixture(2, covariance_type=name, random_state=0) for name in TYPES},
    "poisson": lambda: PoissonMixture(2, random_state=0),
    "background": lambda: GaussianMixture(2, background=True, random_state=0),
    "prior": lambda: GaussianMixture(2, prior=NormalInverseWishart(), random_state=0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stream_goes_on_after_saving_and_pickling_as_without(kind, dtype, tmp_path):
    parts = [(abs(part).round() if kind == "poisson" else part + 100.0).astype(dtype) for part in batches()]
    whole, broken, pickled = KINDS[kind](), KINDS[kind](), KINDS[kind]()
    for part in parts:
        whole.partial_fit(part)
        broken.partial_fit(part).save(tmp_path / "model.json")
        broken = load(tmp_path / "model.json")
        pickled = copy.deepcopy(pickle.loads(pickle.dumps(pickled.partial_fit(part))))
    assert broken.n_iter_ == pickled.n_iter_ == 5
    for model in (broken, pickled):
        for name in fitted_names(whole) - {"stream_"}:
            np.testing.assert_array_equal(getattr(model, name), getattr(whole, name))


def test_a_stream_is_of_rows_with_missing_values_too(tmp_path):
    parts = batches()
    for part in parts:
        part[::7, 0] = np.nan
    whole, broken = (GaussianMixture(2, missing="marginalize", random_state=0) for _ in range(2))
    for part in parts:
        whole.partial_fit(part)
        broken.partial_fit(part).save(tmp_path / "model.json")
        broken = load(tmp_path / "model.json")
    np.testing.assert_array_equal(broken.covariances_, whole.covariances_)


def test_parameters_set_by_hand_begin_a_new_stream():
    model, other = (GaussianMixture(2, random_state=0).partial_fit(X) for _ in range(2))
    model.means_ = model.means_ + 0.5
    del other.stream_
    other.means_ = other.means_ + 0.5
    assert model.partial_fit(X).n_iter_ == other.partial_fit(X).n_iter_ == 1
    np.testing.assert_array_equal(model.means_, other.means_)
    model.means_[0] += 0.5  # in place
    assert model.partial_fit(X).n_iter_ == 1
    assert model.partial_fit(X).n_iter_ == 2


@pytest.mark.parametrize("change", [{"n_components": 3}, {"covariance_type": "tied"}, {"background": True}])
def test_a_stream_of_other_components_is_refused(change):
    model = GaussianMixture(2, random_state=0).partial_fit(X)
    before = copy.deepcopy(vars(model))
    with pytest.raises(ValueError, match="Parameters of the constructor are those of the next fit"):
        model.set_params(**change).partial_fit(X)
    assert model.set_params(**{name: before[name] for name in change}).partial_fit(X).n_iter_ == 2
    assert model.set_params(**change).fit(X).n_iter_ > 0
    assert not hasattr(model, "stream_")


class Interrupt:
    """A callback that interrupts the fit after its first iteration."""

    setup = teardown = on_fit_task_begin = lambda self, *args, **kwargs: None

    def on_fit_task_end(self, *args, **kwargs):
        """Interrupt."""
        raise KeyboardInterrupt


class ScoresFromTheStart:
    """A callback that scores the mixture before and after each iteration, the start before the first."""

    setup = teardown = lambda self, *args, **kwargs: None

    def __init__(self):
        self.scores = []

    def on_fit_task_begin(self, estimator, context, *, X=None, fitted_estimator=None):
        """Score the mixture that a task begins or ends with."""
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X))

    on_fit_task_end = on_fit_task_begin


def test_mixtures_that_callbacks_see_can_be_used_from_the_start_on():
    callback = ScoresFromTheStart()
    model = GaussianMixture(2, init_params="random_from_data", max_iter=20, tol=0.1, random_state=0)
    model.set_callbacks(callback).fit(X)
    assert len(callback.scores) > 2 * model.n_iter_
    assert np.isfinite(callback.scores).all()


def test_an_interrupted_fit_ends_the_stream():
    model = GaussianMixture(2, random_state=0).partial_fit(X)
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(Interrupt()).fit(X + 1000.0)
    assert not hasattr(model, "stream_")
    assert (model.means_ > 900.0).all()
    model._skl_callbacks = []
    assert model.partial_fit(X + 1000.0).n_iter_ == 1


def test_a_stream_of_the_wrong_shape_is_refused():
    model = GaussianMixture(2, random_state=0).partial_fit(X)
    for change, message in (
        ({"statistics": np.zeros(3)}, r"statistics of stream_ has shape \(3,\)"),
        ({"about": np.zeros((2, 3))}, r"about of stream_ has shape \(2, 3\)"),
        ({"parameters": {}}, "stream_ holds"),
        ({"n_batches": -1}, "stream_ holds"),
    ):
        other = copy.deepcopy(model)
        other.stream_ = model.stream_._replace(**change)
        with pytest.raises(ValueError, match=message):
            other.partial_fit(X)


# Failures


def state(model):
    """All attributes of a model by name, as bytes to compare."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


def failing_fits():
    """Calls that fail, and patterns of their messages."""
    frame = pytest.importorskip("pandas").DataFrame(X[:, :1], columns=["other"])
    return [
        (lambda model: model.fit(X[:1, :1]), "minimum of 2"),
        (lambda model: model.fit(X[:1].repeat(3, axis=1)), "minimum of 2"),
        (lambda model: model.fit(TWO_VALUES), "ill-defined"),
        (lambda model: model.fit(frame, sample_weight=-np.ones(len(X))), "Negative values"),
        (lambda model: model.fit(frame * np.nan), "NaN"),
        (lambda model: model.fit([np.zeros((5, 1)), np.ones((5, 2))]), "columns|features"),
        (lambda model: model.fit(X[:, :1], labels=np.full(len(X), 7)), "7"),
        (lambda model: model.partial_fit(TWO_VALUES.repeat(5, axis=1)), "features|ill-defined"),
        (lambda model: model.fit_predict(TWO_VALUES), "ill-defined"),
    ]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("number", range(9))
@pytest.mark.parametrize("begun", ["unfitted", "fitted", "named", "streaming"])
def test_a_fit_that_fails_changes_nothing(number, begun):
    model = GaussianMixture(2, reg_covar=0.0, random_state=0)
    if begun == "named":
        model.fit(pytest.importorskip("pandas").DataFrame(X, columns=["a", "b"]))
    elif begun != "unfitted":
        model = model.partial_fit(X) if begun == "streaming" else model.fit(X)
    call, message = failing_fits()[number]
    before = state(model)
    with pytest.raises(ValueError, match=message):
        call(model)
    assert state(model) == before


def test_init_size_below_the_number_of_components_is_named():
    for init_params in ("kmeans", "k-means++", "random", "random_from_data"):
        with pytest.raises(ValueError, match="init_size=3 is less than n_components=5"):
            GaussianMixture(5, init_size=3, init_params=init_params).fit(X)


# Files


def forged(path, **attributes):
    """Change attributes of a saved model, and give the file a checksum that fits."""
    document = json.loads(path.read_text())
    document["attributes"].update(models.encode_all(attributes))
    document["sha256"] = models._checksum(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights_": np.array([-0.5, 1.5])}, "weights_ must be non-negative"),
        ({"weights_": np.array([np.nan, 1.0])}, "weights_ must be non-negative"),
        ({"weights_": None}, "weights_ is missing"),
        ({"weights_": "hello"}, "weights_ must be an array, not str"),
        ({"means_": np.zeros((3, 2))}, "n_components=2 contradicts means_"),
        ({"means_": np.zeros(2)}, "means_ has shape"),
        ({"means_": np.array([["a", "b"], ["c", "d"]], dtype=object)}, "means_ must hold real numbers, not object"),
        ({"covariances_": np.tile([[1.0, 2.0], [2.0, 1.0]], (2, 1, 1))}, "contradict each other in component 0"),
        ({"precisions_cholesky_": np.ones((2, 3, 3))}, "precisions_cholesky_ has shape"),
        ({"n_features_in_": "2"}, "n_features_in_ must be an integer"),
        ({"feature_names_in_": np.array(["a", "b", "c"], dtype=object)}, "feature_names_in_ has 3 names"),
    ],
)
def test_a_forged_model_is_refused_by_the_same_gate(change, message, tmp_path):
    path = tmp_path / "model.json"
    GaussianMixture(2, random_state=0).fit(X).save(path)
    forged(path, **change)
    with pytest.raises(ModelFileError, match=rf"model\.json': .*({message})"):
        load(path)


def test_a_forged_stream_is_refused(tmp_path):
    path = tmp_path / "model.json"
    stream = GaussianMixture(2, random_state=0).partial_fit(X).stream_
    upside_down = {**stream.parameters, "precisions_cholesky": -stream.parameters["precisions_cholesky"]}
    for change, message in (
        ({"parameters": upside_down}, "stream_: precisions_cholesky_ of component 0 must be upper-triangular"),
        ({"statistics": stream.statistics * np.nan}, "statistics of no data"),
        ({"mass": stream.mass[:1]}, "mass of stream_ has shape"),
    ):
        GaussianMixture(2, random_state=0).partial_fit(X).save(path)
        forged(path, stream_=stream._replace(**change))
        with pytest.raises(ModelFileError, match=message):
            load(path)


def test_a_model_without_a_stream_is_written_in_the_format_of_earlier_versions(tmp_path):
    path = tmp_path / "model.json"
    versions = []
    for model in (GaussianMixture().fit(X), GaussianMixture().partial_fit(X)):
        model.save(path)
        versions.append(json.loads(path.read_text())["format_version"])
    assert versions == [1, 2]


def test_starts_that_leave_rows_unassigned_are_loaded_as_they_were_saved(tmp_path):
    model = GaussianMixture(2, init_params="random_from_data", max_iter=0, random_state=0).fit(X)
    model.save(tmp_path / "model.json")
    assert model.weights_.sum() < 1.0
    np.testing.assert_array_equal(load(tmp_path / "model.json").weights_, model.weights_)
