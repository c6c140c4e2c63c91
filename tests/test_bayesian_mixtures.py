"""BayesianGaussianMixture: agreement with scikit-learn's, and the features that fastem adds."""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest
from reference import rows_for
from reference_bayesian import step_with_missing
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture as Theirs

from fastem import BayesianGaussianMixture, Source, load
from fastem.em import variational

TYPES = ("full", "tied", "diag", "spherical")
KINDS = ("dirichlet_process", "dirichlet_distribution")
POSTERIOR = ("weight_concentration_", "mean_precision_", "means_", "degrees_of_freedom_", "covariances_")
LEARNED = (*POSTERIOR, "precisions_cholesky_", "precisions_", "weights_")
PRIOR = (
    *("weight_concentration_prior_", "mean_precision_prior_", "mean_prior_"),
    *("degrees_of_freedom_prior_", "covariance_prior_"),
)

pytestmark = pytest.mark.slow
by_type = pytest.mark.parametrize("covariance_type", TYPES)
by_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def X(rng):
    """Three overlapping groups in two columns."""
    centres = np.array([[-2.0, 0], [0, 3], [3, -1]])
    return centres[np.repeat([0, 1, 2], 100)] + rng.normal(size=(300, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]]) + 5.0


def fitted(X, covariance_type="full", kind="dirichlet_process", cls=BayesianGaussianMixture, known=None, **options):
    options = {"n_components": 4, "random_state": 0, "max_iter": 20, "tol": 0.0, **options}
    model = cls(covariance_type=covariance_type, weight_concentration_prior_type=kind, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **(known or {}))


def assert_same(actual, expected, rtol, names=LEARNED):
    for name in names:
        wanted = np.asarray(getattr(expected, name))
        found = np.asarray(getattr(actual, name))
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max(), err_msg=name)


@by_type
@by_kind
@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random", "random_from_data"])
def test_fits_are_scikit_learns(X, covariance_type, kind, start):
    ours = fitted(X, covariance_type, kind, init_params=start)
    theirs = fitted(X, covariance_type, kind, cls=Theirs, init_params=start)
    assert_same(ours, theirs, 1e-8, (*LEARNED, *PRIOR))
    bounds = np.ravel(theirs.lower_bounds_)  # arrays of one number for 'tied'
    np.testing.assert_allclose(ours.lower_bounds_, bounds, rtol=1e-8)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    for name in LEARNED:
        assert np.shape(getattr(ours, name)) == np.shape(getattr(theirs, name)), name


@by_type
def test_priors_that_are_given_are_scikit_learns(X, covariance_type):
    scale = {"full": [[2.0, 0.1], [0.1, 1.0]], "tied": [[2.0, 0.1], [0.1, 1.0]], "diag": [2.0, 1.0], "spherical": 1.5}
    options = {
        "weight_concentration_prior": 7.5,
        "mean_precision_prior": 0.3,
        "mean_prior": [4.0, 6.0],
        "degrees_of_freedom_prior": 3.5,
        "covariance_prior": scale[covariance_type],
        "reg_covar": 1e-2,
        "n_init": 3,
    }
    ours = fitted(X, covariance_type, **options)
    theirs = fitted(X, covariance_type, cls=Theirs, **options)
    assert_same(ours, theirs, 1e-8, (*LEARNED, *PRIOR))
    assert ours.lower_bound_ == pytest.approx(float(np.squeeze(theirs.lower_bound_)), rel=1e-8)


def test_iterations_end_where_scikit_learns_do(X):
    for tol in (1e-1, 1e-3, 1e-6):
        ours, theirs = (fitted(X, cls=cls, tol=tol, max_iter=1000) for cls in (BayesianGaussianMixture, Theirs))
        assert ours.converged_
        assert ours.n_iter_ == theirs.n_iter_


def test_a_warm_start_goes_on(X):
    whole = fitted(X, max_iter=12)
    parts = fitted(X, max_iter=5, warm_start=True)
    bounds = list(parts.lower_bounds_)
    with pytest.warns(ConvergenceWarning):
        parts.set_params(max_iter=7).fit(X)
    np.testing.assert_allclose(bounds + parts.lower_bounds_, whole.lower_bounds_, rtol=1e-12)
    assert_same(parts, whole, 1e-9)


def test_a_start_alone_is_a_posterior(X):
    ours, theirs = (fitted(X, cls=cls, max_iter=0) for cls in (BayesianGaussianMixture, Theirs))
    assert_same(ours, theirs, 1e-10)
    assert (ours.lower_bound_, ours.n_iter_) == (-np.inf, 0)


@by_kind
def test_starts_of_simpler_covariances_are_parts_of_full_ones(X, kind):
    """Scatters for equal responsibilities: tied are means of full, diag their diagonals, spherical means of diag."""
    scatter = {}
    for covariance_type in TYPES:
        model = fitted(X, covariance_type, kind, max_iter=0)
        degrees = np.asarray(model.degrees_of_freedom_)
        ndim = model.covariances_.ndim - degrees.ndim
        scatter[covariance_type] = model.covariances_ * degrees.reshape(degrees.shape + (1,) * ndim)
    np.testing.assert_allclose(scatter["tied"], scatter["full"].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scatter["diag"], np.diagonal(scatter["full"], axis1=1, axis2=2), rtol=1e-12)
    np.testing.assert_allclose(scatter["spherical"], scatter["diag"].mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"mean_prior": [1.0]},
        {"covariance_prior": [1.0, 2.0]},
        {"covariance_prior": [[1.0, 2.0], [2.0, 1.0]]},
        {"covariance_type": "diag", "covariance_prior": [1.0, -1.0]},
        {"covariance_type": "diag", "covariance_prior": [[1.0, 1.0]]},
        {"degrees_of_freedom_prior": 1.0},
        {"degrees_of_freedom_prior": 0.5},
        {"n_components": 301},
        {"weight_concentration_prior": 0.0},
        {"weight_concentration_prior_type": "dirichlet"},
        {"mean_precision_prior": -1.0},
    ],
)
def test_complaints_are_scikit_learns(X, options):
    messages = []
    for cls in (BayesianGaussianMixture, Theirs):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 # compared below
            cls(**options).fit(X)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@by_type
@by_kind
def test_samples_are_scikit_learns(X, covariance_type, kind):
    ours, theirs = (fitted(X, covariance_type, kind, cls=cls) for cls in (BayesianGaussianMixture, Theirs))
    rows, labels = ours.sample(50)
    expected, expected_labels = theirs.sample(50)
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


@by_type
def test_weights_are_repetitions(X, rng, covariance_type):
    """Both for the fit and for the defaults of the prior."""
    counts, start = rng.integers(0, 4, len(X)), rng.dirichlet(np.ones(4), len(X))
    weighted = fitted(X, covariance_type, init_params=start, known={"sample_weight": counts})
    repeated = fitted(np.repeat(X, counts, axis=0), covariance_type, init_params=np.repeat(start, counts, axis=0))
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-9)
    assert_same(weighted, repeated, 1e-8, (*LEARNED, *PRIOR))


def test_a_weight_of_less_than_two_rows_has_no_covariance(X):
    light = np.full(len(X), 1e-3)
    with pytest.raises(ValueError, match=r"sample_weight leaves 0\.3 rows"):
        BayesianGaussianMixture().fit(X, sample_weight=light)
    model = fitted(X, covariance_prior=np.eye(2), known={"sample_weight": light})
    assert np.isfinite(model.lower_bound_)


def test_labels_hold(X):
    labels = np.where(np.arange(300) % 3 == 0, np.repeat([2, 0, 1], 100), -1)
    model = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=500)
    found = model.fit_predict(X, labels=labels)
    np.testing.assert_array_equal(found[labels >= 0], labels[labels >= 0])
    assert np.median(found[:100]) == 2
    assert np.diff(model.lower_bounds_).min() > -1e-9


def test_missing_values_are_integrated_out(X, rng):
    holes = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    holes = holes[~np.isnan(holes).all(axis=1)]
    weights = rng.uniform(0.5, 2.0, len(holes))
    options = {"missing": "marginalize", "warm_start": True, "known": {"sample_weight": weights}}
    model = fitted(holes, "full", "dirichlet_distribution", max_iter=4, **options)
    expected = step_with_missing(holes, weights, model)
    with pytest.warns(ConvergenceWarning):
        model.set_params(max_iter=1).fit(holes, sample_weight=weights)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(model, name), value, rtol=1e-9, err_msg=name)


@by_type
@by_kind
def test_without_holes_marginalising_changes_nothing(X, covariance_type, kind):
    plain = fitted(X, covariance_type, kind)
    same = fitted(X, covariance_type, kind, missing="marginalize")
    assert_same(same, plain, 0.0)
    absent = {"sample_weight": np.append(np.ones(300), 0.0)}
    rows = fitted(np.vstack([X, [[np.nan, 0.0]]]), covariance_type, kind, missing="marginalize", known=absent)
    np.testing.assert_allclose(rows.mean_prior_, plain.mean_prior_, rtol=1e-10)
    np.testing.assert_allclose(rows.covariance_prior_, plain.covariance_prior_, rtol=1e-10)


@by_type
def test_errors_are_taken_out(rng, covariance_type):
    """If errors are large, components are narrower than the measured groups."""
    true = np.repeat([[-4.0, 0.0], [4.0, 1.0]], 400, axis=0) + rng.normal(size=(800, 2))
    measured = true + 2.0 * rng.normal(size=true.shape)
    noise = np.full(true.shape, 4.0)
    model = BayesianGaussianMixture(n_components=2, covariance_type=covariance_type, random_state=0, max_iter=500)
    model.fit(measured, noise=noise)
    order = model.means_[:, 0].argsort()
    np.testing.assert_allclose(model.means_[order], [[-4, 0], [4, 1]], atol=0.4)
    assert 0.5 < model.covariances_.max() < 2.0
    assert np.diff(model.lower_bounds_).min() > -1e-8
    assert ((model.denoise(measured, noise=noise)[0] - true) ** 2).mean() < 0.7 * ((measured - true) ** 2).mean()


@by_type
@by_kind
def test_missing_cells_are_filled_in(X, rng, covariance_type, kind):
    model = fitted(X, covariance_type, kind, missing="marginalize", max_iter=50)
    holes = X.copy()
    holes[::3, 1] = np.nan
    filled = model.impute(holes)
    np.testing.assert_array_equal(filled[~np.isnan(holes)], X[~np.isnan(holes)])
    mean = np.nanmean(holes[:, 1])
    assert ((filled[::3, 1] - X[::3, 1]) ** 2).mean() < ((mean - X[::3, 1]) ** 2).mean()


@by_type
@by_kind
def test_float32_gives_the_same_but_for_rounding(X, covariance_type, kind):
    narrow = fitted(X.astype(np.float32), covariance_type, kind)
    wide = fitted(X.astype(np.float32).astype(np.float64), covariance_type, kind)
    assert_same(narrow, wide, 2e-3)
    for name in LEARNED:
        assert getattr(narrow, name).dtype == np.float32, name
    assert narrow.score_samples(X.astype(np.float32)).dtype == np.float32


@by_type
@by_kind
def test_chunks_give_the_same(X, covariance_type, kind):
    whole = fitted(X, covariance_type, kind)
    chunks = fitted(Source(np.array_split(X, 4)), covariance_type, kind)
    assert_same(chunks, whole, 1e-10, (*LEARNED, *PRIOR))
    np.testing.assert_allclose(chunks.lower_bounds_, whole.lower_bounds_, rtol=1e-12)
    assert chunks.score(Source(np.array_split(X, 4))) == pytest.approx(whole.score(X), rel=1e-12)


def test_threads_change_no_bit(rng, threads):
    X = rng.normal(size=(40_000, 3)) + 3.0 * rng.integers(0, 3, size=(40_000, 1))
    one, two = (fitted(X, n_jobs=n_jobs, max_iter=5) for n_jobs in (1, 2))
    assert threads.in_a_pass()
    for name in LEARNED:
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert one.lower_bounds_ == two.lower_bounds_


@by_type
@by_kind
def test_models_survive_files_pickles_and_copies(X, tmp_path, covariance_type, kind):
    model = fitted(X, covariance_type, kind)
    model.save(tmp_path / "model.json")
    for other in (load(tmp_path / "model.json"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        for name in LEARNED:
            assert np.asarray(getattr(other, name)).tobytes() == np.asarray(getattr(model, name)).tobytes()
        np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
        assert other.get_params().keys() == model.get_params().keys()
    assert not hasattr(clone(model), "means_")


@by_type
@by_kind
def test_a_fit_that_was_broken_off_goes_on(X, tmp_path, covariance_type, kind):
    options = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind, "random_state": 0}
    whole = BayesianGaussianMixture(n_components=4, max_iter=300, tol=1e-6, **options).fit(X)

    path, update, n_updates = tmp_path / "fit.checkpoint", variational.posterior_mixture, itertools.count()

    def interrupted(*arguments):
        if next(n_updates) == 5:
            raise KeyboardInterrupt
        return update(*arguments)

    model = clone(whole)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(variational, "posterior_mixture", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, checkpoint=path)
    model.fit(X, checkpoint=path, resume=True)
    for name in LEARNED:
        assert np.asarray(getattr(model, name)).tobytes() == np.asarray(getattr(whole, name)).tobytes()
    assert model.lower_bounds_ == whole.lower_bounds_


@pytest.mark.parametrize("rule", ["bound", "parameters", "aitken"])
def test_fits_end_by_any_rule(X, rule):
    model = BayesianGaussianMixture(n_components=3, convergence=rule, max_iter=2000, random_state=0).fit(X)
    assert model.stop_reason_ == "tol"


def test_components_that_are_not_needed_lose_their_weight(X):
    model = BayesianGaussianMixture(
        n_components=10, weight_concentration_prior=1e-3, max_iter=5000, tol=1e-6, random_state=0
    ).fit(X)
    assert (model.weights_ > 1e-2).sum() == 3


def test_what_follows_from_a_likelihood_is_not_there(X):
    model = fitted(X)
    for name in ("bic", "aic", "icl", "partial_fit", "n_parameters_", "marginal", "conditional", "regress"):
        assert not hasattr(model, name), name
    for name in ("algorithm", "acceleration", "fixed", "weights_init", "background"):
        with pytest.raises(TypeError, match=name):
            BayesianGaussianMixture(**{name: None})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("degrees_of_freedom_", np.array([3.0, 1.0, 3.0, 3.0]), "must be above 1"),
        ("mean_precision_", np.array([3.0, 0.0, 3.0, 3.0]), "of component 1 must be positive"),
        ("weight_concentration_", np.ones(4), r"shape \(4,\), and should have \(2, 4\)"),
        ("weight_concentration_", np.zeros((2, 4)), "must be positive"),
        ("weight_concentration_", None, "is missing"),
        ("covariances_", np.tile(np.eye(2), (4, 1, 1)), "contradict each other"),
    ],
)
def test_attributes_that_are_set_by_hand_are_checked(X, name, value, words):
    model = fitted(X)
    setattr(model, name, value)
    with pytest.raises(ValueError, match=words):
        model.predict(X)


def test_rows_that_no_component_allows_have_the_weights_as_probabilities(X):
    model = fitted(X)
    far = np.array([[1e200, 0.0]])
    np.testing.assert_allclose(model.predict_proba(far), model.weights_[None], rtol=1e-12)
    assert model.predict(far) == model.weights_.argmax()
    assert model.score_samples(far) == -np.inf


def test_parameters_of_the_next_fit_are_not_those_of_this_one(X):
    model = fitted(X)
    model.weight_concentration_prior_type = "dirichlet_distribution"
    with pytest.raises(ValueError, match="weight_concentration_prior_type='dirichlet_distribution'"):
        model.predict(X)


def test_more_components_and_columns_are_scikit_learns():
    X = rows_for("full", 600, 4)
    ours, theirs = (fitted(X, cls=cls, n_components=8, max_iter=60) for cls in (BayesianGaussianMixture, Theirs))
    assert_same(ours, theirs, 1e-8)
