"""Conversion to and from scikit-learn's mixtures keeps densities, parameters and names."""

import base64
import pickle

import numpy as np
import pandas as pd
import pytest
from processes import python
from reference import GAUSSIAN_FAMILIES
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture
from sklearn.mixture import GaussianMixture as Theirs

import fastem
from fastem import GaussianMixture as Ours
from fastem import PoissonMixture, from_sklearn

SHARED = (
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
    *("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_"),
)
OPTIONS = {
    "tol": 1e-2,
    "reg_covar": 1e-4,
    "max_iter": 200,
    "n_init": 2,
    "init_params": "k-means++",
    "random_state": 5,
    "warm_start": True,
    "verbose": 0,
    "verbose_interval": 3,
}
RTOL = {"float64": 1e-10, "float32": 2e-5}

by_kind = pytest.mark.parametrize("kind", GAUSSIAN_FAMILIES)
by_type = pytest.mark.parametrize("dtype", RTOL)
by_class = pytest.mark.parametrize("cls", [Ours, Theirs])


@pytest.fixture
def X(rng):
    """Three groups that overlap."""
    centres = np.array([[-2.0, 0, 1], [0, 2, -1], [2, -2, 0]])
    return centres[rng.integers(3, size=300)] + rng.normal(size=(300, 3)) @ np.triu(np.full((3, 3), 0.5))


@pytest.fixture
def groups(rng):
    """Two groups of one column."""
    return rng.normal(size=(60, 1)) + 6.0 * (np.arange(60) % 2)[:, None]


def converted(model):
    return from_sklearn(model) if isinstance(model, Theirs) else model.to_sklearn()


def assert_same(actual, expected):
    """Attributes and parameters that both classes have are equal, with their types."""
    for name in SHARED:
        tied = name == "covariances_" and expected.covariance_type == "tied"
        comparable = np.tril if tied else np.asarray  # scikit-learn's may lack symmetry by rounding
        value, wanted = comparable(getattr(actual, name)), comparable(getattr(expected, name))
        np.testing.assert_array_equal(value, wanted, err_msg=name)
        assert value.dtype == wanted.dtype
    for name in Theirs().get_params():
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)


def assert_agree(actual, expected, X, rtol):
    np.testing.assert_array_equal(actual.predict(X), expected.predict(X))
    np.testing.assert_allclose(actual.predict_proba(X), expected.predict_proba(X), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(actual.score_samples(X), expected.score_samples(X), rtol=rtol, atol=rtol)
    for criterion in ("score", "bic", "aic"):
        assert getattr(actual, criterion)(X) == pytest.approx(getattr(expected, criterion)(X), rel=rtol)


@by_class
@by_kind
@by_type
def test_densities_and_attributes_are_the_same(X, cls, kind, dtype):
    X = X.astype(dtype)
    model = cls(3, covariance_type=kind, **OPTIONS).fit(X)
    other = converted(model)
    assert type(other) is (Ours if cls is Theirs else Theirs)
    assert other.means_.dtype == dtype
    assert_same(other, model)
    assert_agree(other, model, X, RTOL[dtype])
    back = converted(other)
    assert type(back) is cls
    assert_same(back, model)


@by_class
def test_names_of_columns_go_along(X, cls):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = cls(2, random_state=0).fit(frame)
    other = converted(model)
    assert other.feature_names_in_.tolist() == ["a", "b", "c"]
    assert other.feature_names_in_ is not model.feature_names_in_
    np.testing.assert_array_equal(other.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        other.predict(frame[["b", "a", "c"]])


@by_class
def test_nothing_is_shared(groups, cls):
    model = cls(2, random_state=np.random.RandomState(0), means_init=np.array([[0.0], [6.0]])).fit(groups)
    other = converted(model)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "means_init"):
        assert not np.shares_memory(getattr(other, name), getattr(model, name))
    assert other.lower_bounds_ is not model.lower_bounds_
    np.testing.assert_array_equal(other.sample(5)[0], model.sample(5)[0])  # from generators in the same state


def test_what_comes_from_scikit_learn_is_a_fitted_model(X, tmp_path):
    theirs = Theirs(3, random_state=0, warm_start=True, tol=1e-2).fit(X)
    ours = from_sklearn(theirs)
    assert (ours.stop_reason_, ours.history_) == ("tol", [])
    ours.save(tmp_path / "model.json")
    np.testing.assert_array_equal(fastem.load(tmp_path / "model.json").score_samples(X), ours.score_samples(X))
    np.testing.assert_array_equal(ours.sample(7)[0], theirs.sample(7)[0])
    for model in (ours, theirs):
        model.set_params(tol=1e-4).fit(X)
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-8)
    assert len(ours.history_) == ours.n_iter_


def test_what_goes_to_scikit_learn_continues_there(X):
    ours = Ours(3, random_state=0, warm_start=True, tol=1e-2).fit(X)
    theirs = ours.to_sklearn()
    for model in (ours, theirs):
        model.set_params(tol=1e-4).fit(X)
    np.testing.assert_allclose(theirs.lower_bounds_, ours.lower_bounds_, rtol=1e-8)


def test_a_shared_covariance_that_rounding_has_left_without_its_symmetry(X):
    """This occurs far from zero, where scikit-learn subtracts second moments; factors depend on the lower triangle."""
    theirs = Theirs(2, covariance_type="tied", random_state=0).fit(X)
    theirs.covariances_[0, 1] += 1e-6
    ours = from_sklearn(theirs)
    np.testing.assert_array_equal(ours.covariances_, ours.covariances_.T)
    assert_same(ours, theirs)
    assert_agree(ours, theirs, X, 1e-10)


def test_starts_that_were_never_iterated(X):
    theirs = Theirs(3, max_iter=0, random_state=0, init_params="random_from_data").fit(X)
    assert theirs.weights_.sum() < 0.1  # one row for each component
    ours = from_sklearn(theirs)
    assert (ours.n_iter_, ours.lower_bound_, ours.stop_reason_) == (0, -np.inf, "max_iter")
    assert_agree(ours, theirs, X, 1e-10)
    assert_same(ours.to_sklearn(), theirs)


@by_kind
def test_parameters_set_by_hand(X, kind):
    """scikit-learn's methods read weights, means and factors of precisions; for fastem, covariances suffice."""
    fitted = Theirs(3, covariance_type=kind, random_state=0).fit(X)
    theirs, ours = Theirs(3, covariance_type=kind), Ours(3, covariance_type=kind)
    for name in ("weights_", "means_", "precisions_cholesky_"):
        setattr(theirs, name, getattr(fitted, name))
    for name in ("weights_", "means_", "covariances_"):
        setattr(ours, name, getattr(fitted, name))
    ours.precisions_ = np.zeros_like(fitted.precisions_)  # contradicts the covariances, but is not read
    assert_agree(from_sklearn(theirs), fitted, X, 1e-10)
    other = ours.to_sklearn()
    assert_agree(other, fitted, X, 1e-10)
    np.testing.assert_allclose(other.precisions_, fitted.precisions_, rtol=1e-8)
    assert not hasattr(other, "n_iter_")
    assert not hasattr(from_sklearn(theirs), "history_")
    ours.precisions_cholesky_ = fitted.precisions_cholesky_
    del ours.precisions_
    np.testing.assert_allclose(ours.to_sklearn().precisions_, fitted.precisions_, rtol=1e-12)


def test_what_only_a_fit_reads_is_left_out(groups):
    ours = Ours(2, random_state=0, prior="conjugate", weights_prior=2.0, algorithm="incremental", n_jobs=1)
    ours.set_params(missing="marginalize", init_size=50).fit(np.append(groups, [[np.nan]], axis=0))
    theirs = ours.to_sklearn()
    assert_agree(theirs, ours, groups, 1e-10)
    assert vars(theirs).keys() == vars(Theirs(2, random_state=0).fit(groups)).keys()


def test_streams_and_parts(X):
    ours = Ours(2, random_state=0).partial_fit(X[:200]).partial_fit(X[200:])
    assert_agree(ours.to_sklearn(), ours, X, 1e-10)
    part = ours.conditional({0: 1.0})
    assert_agree(part.to_sklearn(), part, X[:, 1:], 1e-10)


ALONE = """
import base64, json, pickle, sys
sys.modules["fastem"] = None  # which fails its import
model = pickle.loads(base64.b64decode("{pickled}"))
print(json.dumps([type(model).__module__, model.predict([[0.0], [6.0]]).tolist(), model.score([[1.5]])]))
"""


def test_a_pickle_needs_fastem_no_longer(groups):
    ours = Ours(2, random_state=0, prior=fastem.NormalInverseWishart(), algorithm=fastem.Batch()).fit(groups)
    pickled = base64.b64encode(pickle.dumps(ours.to_sklearn())).decode()
    module, labels, score = python(ALONE.format(pickled=pickled))
    assert module.startswith("sklearn.")
    assert labels == ours.predict([[0.0], [6.0]]).tolist()
    assert score == pytest.approx(ours.score([[1.5]]), rel=1e-10)


@by_class
def test_unfitted_models_are_refused(cls):
    with pytest.raises(NotFittedError, match="GaussianMixture"):
        converted(cls(2))


def test_other_densities_are_refused(groups):
    ours = Ours(2, background=True, random_state=0).fit(groups)
    with pytest.raises(ValueError, match="background=True has no counterpart in sklearn"):
        ours.to_sklearn()
    assert not hasattr(PoissonMixture, "to_sklearn")


class Derived(Theirs):
    """A subclass, which might have other densities."""


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (Ours(), r"a fastem\.mixtures\.gaussian\.GaussianMixture"),
        (PoissonMixture(), r"a fastem\.mixtures\.poisson\.PoissonMixture"),
        (Derived(), r"a test_conversion\.Derived"),
        (Theirs, r"the class sklearn\.mixture\._gaussian_mixture\.GaussianMixture"),
        (None, r"a builtins\.NoneType"),
    ],
)
def test_other_classes_are_refused(model, named):
    with pytest.raises(TypeError, match=rf"expected a fitted sklearn\.mixture\.GaussianMixture or .*, not {named}$"):
        from_sklearn(model)


@by_class
def test_contradictions_are_refused(groups, cls):
    model = cls(2, random_state=0).fit(groups)
    model.n_components = 3
    with pytest.raises(ValueError, match="n_components=3 contradicts means_"):
        converted(model)
    model.n_components = 2
    model.covariances_ = 2.0 * model.covariances_
    with pytest.raises(ValueError, match="covariances_"):
        converted(model)


def test_a_start_from_an_array_is_left_out():
    X = np.repeat([[0.0], [1.0], [10.0], [11.0]], 3, axis=0)
    model = Ours(2, init_params=np.repeat([0, 1], 6)).fit(X)
    theirs = model.to_sklearn()
    assert theirs.init_params == "kmeans"
    np.testing.assert_array_equal(theirs.fit(X).predict(X), theirs.predict(X))


@pytest.mark.parametrize("prior", ["dirichlet_process", "dirichlet_distribution"])
@pytest.mark.parametrize("kind", GAUSSIAN_FAMILIES)
def test_posteriors_come_and_go(kind, prior, X, tmp_path):
    options = {"n_components": 3, "covariance_type": kind, "weight_concentration_prior_type": prior, "random_state": 0}
    theirs = BayesianGaussianMixture(max_iter=500, **options).fit(X)
    ours = from_sklearn(theirs)
    assert type(ours) is fastem.BayesianGaussianMixture
    back = ours.to_sklearn()
    assert type(back) is BayesianGaussianMixture
    for model in (ours, back):
        np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-9)
        np.testing.assert_allclose(model.score_samples(X), theirs.score_samples(X), rtol=1e-9)
        np.testing.assert_allclose(model.sample(20)[0], theirs.sample(20)[0], rtol=1e-9)
    assert back.get_params() == theirs.get_params()
    assert vars(back).keys() == vars(theirs).keys()
    for name, value in vars(theirs).items():
        if name.endswith("_") and not callable(value):
            found = np.reshape(getattr(back, name), np.shape(value))  # scikit-learn's bounds are arrays of one number
            np.testing.assert_allclose(found, value, rtol=1e-12, err_msg=name)
    ours.save(tmp_path / "model.json")
    np.testing.assert_array_equal(fastem.load(tmp_path / "model.json").predict(X), ours.predict(X))
    moved = ours.set_params(warm_start=True, tol=1e-2)
    assert moved.fit(X).lower_bound_ >= theirs.lower_bound_ - 1e-6


def test_structures_become_full_covariances(X):
    ours = Ours(3, covariance_type="VEV", random_state=0, max_iter=500).fit(X)
    theirs = ours.to_sklearn()
    assert theirs.covariance_type == "full"
    np.testing.assert_allclose(theirs.score_samples(X), ours.score_samples(X), rtol=1e-10)
