"""Arrays of other libraries: every family takes and returns them, on their device and with the same bits."""

import pickle

import array_api_strict
import numpy as np
import pytest
from cases import CASES
from fits import run
from sklearn import config_context
from test_every_family import problem_of

from fastem import BayesianGaussianMixture, GaussianMixture, load
from fastem.data.namespaces import namespace_of, on_host

DEVICES = [array_api_strict.Device("CPU_DEVICE"), array_api_strict.Device("device1")]
every_family = pytest.mark.parametrize("case", CASES, ids=str)
on_every_device = pytest.mark.parametrize("device", DEVICES, ids=str)


def there(values, device):
    return array_api_strict.asarray(values, device=device)


def assert_there(found, expected, device):
    """The array is one of that library and device, with these bits."""
    assert type(found) is type(there(np.zeros(1), device))
    assert found.device == device
    np.testing.assert_array_equal(on_host(found), expected)


@on_every_device
@every_family
def test_fits_and_answers_are_those_of_numpy(case, device):
    X, start = problem_of(case)
    weights, labels = np.linspace(0.5, 2.0, len(X)), np.where(np.arange(len(X)) % 5, -1, 0)
    expected = run(case.model(start), X, 3, sample_weight=weights, labels=labels)
    with config_context(array_api_dispatch=True):
        initial = {name: there(value, device) for name, value in case.initial(start).items()}
        model = case.model(start, **initial)
        known = {"sample_weight": there(weights, device), "labels": there(labels, device)}
        values = there(X, device)
        model = run(model, values, 3, **known)
        for name in ("weights", *(parameter.name for parameter in model._family().parameters)):
            assert_there(getattr(model, f"{name}_"), getattr(expected, f"{name}_"), device)
        for method in ("score_samples", "predict_proba", "predict"):
            assert_there(getattr(model, method)(values), getattr(expected, method)(X), device)
        for method in ("score", "bic", "aic", "icl"):
            found = getattr(model, method)(values)
            assert type(found) is float
            assert found == getattr(expected, method)(X)
        for found, drawn in zip(model.sample(7), expected.sample(7), strict=True):
            assert_there(found, drawn, device)
        marginal, of_numpy = model.marginal([0, 2]), expected.marginal([0, 2])
        assert_there(marginal.score_samples(there(X[:, [0, 2]], device)), of_numpy.score_samples(X[:, [0, 2]]), device)
        for found, mean in zip(model.regress(values[:, :2], 2), expected.regress(X[:, :2], 2), strict=True):
            assert_there(found, mean, device)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@on_every_device
def test_starts_are_those_of_numpy(init_params, device):
    X = np.random.default_rng(0).normal(size=(200, 3))
    expected = GaussianMixture(3, init_params=init_params, random_state=0, max_iter=500).fit(X)
    with config_context(array_api_dispatch=True):
        model = GaussianMixture(3, init_params=init_params, random_state=0, max_iter=500)
        assert_there(model.fit_predict(there(X, device)), expected.predict(X), device)
        assert_there(model.means_, expected.means_, device)


def test_models_leave_their_namespace_in_files_and_go_on_with_numpy(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 3))
    expected = GaussianMixture(2, random_state=0, background=True).fit(X)
    with config_context(array_api_dispatch=True):
        model = GaussianMixture(2, random_state=0, background=True).fit(there(X, DEVICES[1]))
        assert_there(model.background_, expected.background_, DEVICES[1])
    model.save(tmp_path / "model.json")
    for other in (load(tmp_path / "model.json"), model, pickle.loads(pickle.dumps(model))):
        found = other.score_samples(X)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected.score_samples(X))
    assert type(load(tmp_path / "model.json").means_) is np.ndarray


@on_every_device
def test_posteriors_are_where_the_rows_are(device):
    X = np.random.default_rng(0).normal(size=(100, 2))
    expected = BayesianGaussianMixture(n_components=2, random_state=0, max_iter=500).fit(X)
    with config_context(array_api_dispatch=True):
        model = BayesianGaussianMixture(n_components=2, random_state=0, max_iter=500).fit(there(X, device))
        for parameter in model._family().parameters:
            assert_there(getattr(model, f"{parameter.name}_"), getattr(expected, f"{parameter.name}_"), device)
        for found, drawn in zip(model.sample(5), expected.sample(5), strict=True):
            assert_there(found, drawn, device)
        assert_there(model.predict(there(X, device)), expected.predict(X), device)


def test_missing_values_are_filled_in_where_the_rows_are():
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[::4, 1] = np.nan
    expected = run(GaussianMixture(1, missing="marginalize"), X, 3)
    with config_context(array_api_dispatch=True):
        model = run(GaussianMixture(1, missing="marginalize"), there(X, DEVICES[0]), 3)
        assert_there(model.impute(there(X, DEVICES[0])), expected.impute(X), DEVICES[0])


def test_batches_go_on_whatever_they_are_given_in():
    X = np.random.default_rng(0).normal(size=(200, 3))
    expected, model = (GaussianMixture(2, random_state=0) for _ in range(2))
    for batch in np.split(X, 2):
        expected.partial_fit(batch)
        with config_context(array_api_dispatch=True):
            model.partial_fit(there(batch, DEVICES[1]))
    assert_there(model.means_, expected.means_, DEVICES[1])


def test_wrong_values_are_named_as_ever():
    X = np.ones((5, 2))
    X[3, 1] = np.nan
    with config_context(array_api_dispatch=True), pytest.raises(ValueError, match="Input X contains NaN"):
        GaussianMixture().fit(there(X, DEVICES[0]))


def test_without_the_option_arrays_become_those_of_numpy():
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert namespace_of(there(X, DEVICES[0])).functions is np
    model = GaussianMixture(1).fit(there(X, DEVICES[0]))
    assert type(model.means_) is np.ndarray
    assert type(model.predict(there(X, DEVICES[0]))) is np.ndarray


def test_rows_from_elsewhere_are_refused_as_scikit_learn_does():
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = GaussianMixture(1).fit(X)
    with config_context(array_api_dispatch=True):
        for method in ("predict", "predict_proba", "score_samples"):
            with pytest.raises(ValueError, match=rf"GaussianMixture.{method}\(\) must use the same namespace"):
                getattr(model, method)(there(X, DEVICES[1]))
        assert model.predict(X.tolist()).shape == (50,)
