"""Every family with every feature: results agree with a naive reference, or an error refuses the feature by name."""

import pickle

import numpy as np
import pytest
from cases import CASES
from fits import run
from reference import log_joint, log_likelihood, responsibilities
from sklearn.base import clone

from fastem import Source, load
from fastem.em.algorithms import ALGORITHMS
from fastem.em.algorithms.extrapolation import METHODS
from fastem.em.convergence import RULES
from fastem.plotting import ConvergenceDisplay, UncertaintyDisplay
from fastem.plotting.mixtures import plot_mixture

every_family = pytest.mark.parametrize("case", CASES, ids=str)
N_ROWS = 120


def problem_of(case, n_rows=N_ROWS, n_features=3):
    """Rows, and a naive mixture as the start."""
    X = case.rows(n_rows, n_features)
    order = np.argsort(X.sum(axis=1), kind="stable")
    return X, case.start(X, X[order[[n_rows // 5, -n_rows // 5]]])


def em(X, start, n_iter, weights=None, allowed=None):
    """The naive mixture after some iterations; `allowed` (n, K) multiplies the densities."""
    weights = np.ones(len(X)) if weights is None else weights
    for _ in range(n_iter):
        joint = np.exp(log_joint(X, start)) if allowed is None else np.exp(log_joint(X, start)) * allowed
        start = start.maximise(X, weights[:, None] * joint / joint.sum(axis=1, keepdims=True))
    return start


def largest(values):
    """The largest absolute value of finite numbers."""
    values = np.asarray(values)
    return np.abs(values[np.isfinite(values)]).max()


def assert_fitted(model, expected, tolerance=1e-9):
    """Check that fitted attributes are those of a naive mixture."""
    for name, value in expected.fitted.items():
        atol = tolerance * largest(value)
        np.testing.assert_allclose(getattr(model, name), value, rtol=0, atol=atol, err_msg=name)


def assert_same(model, other, tolerance=0.0):
    """Check that all fitted parameters agree."""
    for parameter in model._family().parameters:
        name = f"{parameter.name}_"
        first, second = getattr(model, name), getattr(other, name)
        np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance * largest(second), err_msg=name)
    np.testing.assert_allclose(model.weights_, other.weights_, rtol=tolerance, atol=tolerance)


def assert_refused(case, feature, attempt):
    """Check that an error names the class and the feature."""
    with pytest.raises(
        ValueError, match=rf"{case.kind.__name__}.*{feature.partition('=')[0]}|{feature}.*{case.kind.__name__}"
    ):
        attempt()


@every_family
def test_iterations_are_the_naive_ones(case):
    X, start = problem_of(case)
    for n_iter in (1, 4):
        assert_fitted(run(case.model(start), X, n_iter), em(X, start, n_iter))


@every_family
@pytest.mark.parametrize("n_features", [1, 2, 5, 17])
def test_few_and_many_features(case, n_features):
    X, start = problem_of(case, 400, n_features)
    assert_fitted(run(case.model(start), X, 2), em(X, start, 2), case.tolerance)


@every_family
def test_densities_responsibilities_and_labels_are_the_naive_ones(case):
    X, start = problem_of(case)
    model = run(case.model(start), X, 0)
    joint = log_joint(X, start)
    np.testing.assert_allclose(model.score_samples(X), np.logaddexp.reduce(joint, axis=1), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), responsibilities(X, start), atol=1e-10)
    np.testing.assert_array_equal(model.predict(X), joint.argmax(axis=1))
    assert model.score(X) * len(X) == pytest.approx(log_likelihood(X, start), rel=1e-11)


@every_family
def test_criteria_count_free_parameters(case):
    X, start = problem_of(case)
    model = run(case.model(start), X, 2)
    free, total = case.free(2, 3) + 1, model.score(X) * len(X)
    assert model.n_parameters_ == free
    assert model.bic(X) == pytest.approx(-2 * total + free * np.log(len(X)))
    assert model.aic(X) == pytest.approx(-2 * total + 2 * free)


@every_family
def test_float32_gives_what_float64_gives_up_to_its_rounding(case):
    X, start = problem_of(case)
    X = X.astype(np.float32)
    model = run(case.model(start), X, 3)
    assert model.weights_.dtype == np.float32
    assert_same(model, run(case.model(start), X.astype(np.float64), 3), 2e-4)


@every_family
def test_weights_are_repetitions(case):
    X, start = problem_of(case)
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = run(case.model(start), X, 3, sample_weight=weights)
    assert_fitted(weighted, em(X, start, 3, weights))
    assert_same(weighted, run(case.model(start), np.repeat(X, weights, axis=0), 3), 1e-9)


@every_family
def test_labels_are_kept(case):
    X, start = problem_of(case)
    labels = np.where(np.arange(len(X)) % 3 == 0, np.arange(len(X)) % 2, -1)
    allowed = np.where(labels[:, None] < 0, 1.0, labels[:, None] == np.arange(2))
    assert_fitted(run(case.model(start), X, 3, labels=labels), em(X, start, 3, allowed=allowed))


@every_family
def test_what_is_fixed_stays(case):
    X, start = problem_of(case)
    free = run(case.model(start), X, 3)
    for name, argument in free._arguments().items():
        together = any(parameter.together for parameter in free._family().parameters if parameter.name == name)
        model = run(case.model(start, fixed={name: True} if together else {name: [True, False]}), X, 3)
        before, after = start.fitted[f"{name}_"], getattr(model, f"{name}_")
        kept = slice(None) if together else slice(1)
        np.testing.assert_allclose(after[kept], before[kept], rtol=1e-10, err_msg=argument)
        assert model.n_parameters_ < free.n_parameters_
        assert min(np.diff(model.lower_bounds_)) > -1e-10


@every_family
def test_sources_and_threads_change_nothing(case, threads):
    X, start = problem_of(case, 20_000)
    model = run(case.model(start, n_jobs=2), X, 3)
    assert threads.in_a_pass()
    assert_same(model, run(case.model(start, n_jobs=1), X, 3))
    chunks = Source([X[:3000], X[3000:]], chunk_bytes=2**18)
    assert_same(run(case.model(start), chunks, 3), model, 1e-9)
    np.testing.assert_allclose(model.score_samples(chunks), model.score_samples(X), rtol=1e-12)


@every_family
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_climb_or_are_refused(case, algorithm):
    X, start = problem_of(case)
    model = case.model(start, algorithm=algorithm)
    if f"algorithm={algorithm!r}" in case.refused:
        assert_refused(case, "algorithm", lambda: model.fit(X))
        return
    fitted = run(model, X, 12)
    if algorithm not in ("stochastic", "stepwise"):
        assert min(np.diff(fitted.lower_bounds_), default=0.0) > -1e-10
    assert fitted.score(X) > log_likelihood(X, start) / len(X)


@every_family
@pytest.mark.parametrize("acceleration", METHODS)
def test_accelerations_end_where_em_ends_or_are_refused(case, acceleration):
    X, start = problem_of(case)
    limits = {"tol": 1e-11, "max_iter": 3000}
    accelerated = case.model(start, acceleration=acceleration, **limits)
    if f"acceleration={acceleration!r}" in case.refused:
        assert_refused(case, "acceleration", lambda: accelerated.fit(X))
        return
    assert accelerated.fit(X).score(X) > case.model(start, **limits).fit(X).score(X) - 1e-5


@every_family
@pytest.mark.parametrize("convergence", RULES)
def test_every_rule_of_convergence_ends_a_fit(case, convergence):
    X, start = problem_of(case)
    model = case.model(start, convergence=convergence, tol=1e-4, max_iter=5000).fit(X)
    assert model.converged_
    assert model.score(X) > log_likelihood(X, start) / len(X)


@every_family
def test_missing_values_are_marginalised_or_refused(case):
    X, start = problem_of(case)
    holes = np.random.default_rng(1).uniform(size=X.shape) < 0.2
    holes[:, 0] &= ~holes[:, 1:].all(axis=1)
    X = np.where(holes, np.nan, X)
    model = case.model(start, missing="marginalize")
    if "missing='marginalize'" in case.refused:
        assert_refused(case, "missing", lambda: model.fit(X))
        return
    model = run(model, X, 6)
    assert min(np.diff(model.lower_bounds_)) > -1e-10
    for pattern in np.unique(holes, axis=0):
        rows, there = (holes == pattern).all(axis=1), np.flatnonzero(~pattern)
        expected = model.marginal(list(there)).score_samples(X[rows][:, there])
        np.testing.assert_allclose(model.score_samples(X[rows]), expected, rtol=1e-9, atol=1e-9)
    filled = model.impute(X)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~holes], X[~holes])


@every_family
def test_errors_of_measurement_are_known_or_refused(case):
    X, start = problem_of(case)
    noise = np.full(X.shape, 0.1)
    if "noise" in case.refused:
        assert_refused(case, "noise", lambda: case.model(start).fit(X, noise=noise))
        return
    model = run(case.model(start), X, 6, noise=noise)
    assert min(np.diff(model.lower_bounds_)) > -1e-10


@every_family
def test_marginal_times_conditional_is_the_mixture(case):
    X, start = problem_of(case)
    model = run(case.model(start), X, 3)
    if "conditional" in case.refused:
        assert_refused(case, "conditional", lambda: model.conditional({1: 0.0}))
        return
    for row in X[:5]:
        given = model.marginal([1]).score_samples(row[None, [1]])
        rest = model.conditional({1: row[1]}).score_samples(row[None, [0, 2]])
        np.testing.assert_allclose(given + rest, model.score_samples(row[None]), rtol=1e-9)


@every_family
def test_regression_is_the_mean_of_the_conditional_distribution(case):
    X, start = problem_of(case)
    model = run(case.model(start), X, 3)
    mean, variance = model.regress(X[:3, [0, 2]], 1)
    assert (variance > 0).all()
    if "conditional" in case.refused:
        return
    for row, expected, spread in zip(X[:3], mean, variance, strict=True):
        drawn = model.conditional({0: row[0], 2: row[2]}).sample(40_000)[0][:, 0]
        assert drawn.mean() == pytest.approx(expected, abs=6 * np.sqrt(spread / 40_000))


@every_family
def test_samples_come_from_the_mixture(case):
    X, start = problem_of(case)
    model = run(case.model(start), X, 5)
    rows, labels = model.sample(40_000)
    assert rows.shape == (40_000, 3)
    np.testing.assert_allclose(np.bincount(labels) / len(labels), model.weights_, atol=0.02)
    # the density integrates to one: E[q / p] is one for the naive density q of a mixture with the same support
    ratio = np.exp(np.logaddexp.reduce(log_joint(rows, em(X, start, 6)), axis=1) - model.score_samples(rows))
    assert ratio.mean() == pytest.approx(1.0, abs=6 * ratio.std() / 200)


@every_family
def test_models_survive_files_pickles_and_clones(case, tmp_path):
    X, start = problem_of(case)
    model = run(case.model(start), X, 3)
    model.save(tmp_path / "model.json")
    for other in (load(tmp_path / "model.json"), pickle.loads(pickle.dumps(model))):
        assert_same(other, model)
        np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
    assert_same(run(clone(model), X, 3), model)


@every_family
def test_a_warm_start_goes_on(case):
    X, start = problem_of(case)
    whole = run(case.model(start), X, 6)
    model = run(case.model(start, warm_start=True), X, 3)
    assert_same(run(model, X, 3), whole, 1e-9)


@every_family
def test_batches_are_taken_in_or_refused(case):
    X, start = problem_of(case, 600)
    model = case.model(start)
    if "algorithm='stepwise'" in case.refused:
        assert_refused(case, "algorithm", lambda: model.partial_fit(X))
        return
    for _ in range(3):
        for batch in np.array_split(X, 3):
            model.partial_fit(batch)
    assert model.score(X) > log_likelihood(X, start) / len(X)


@every_family
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_leads_to_a_fit(case, init_params):
    X = case.rows(300, 3, 2)
    model = case.kind(2, random_state=0, init_params=init_params, **case.options).fit(X)
    assert np.isfinite(model.score(X))
    assert min(np.diff(model.lower_bounds_), default=0.0) > -1e-6


@every_family
def test_a_picture_shows_the_components(case):
    X, start = problem_of(case)
    model = run(case.model(start), X, 3)
    figure = plot_mixture(model, X)
    assert len(figure.axes) >= 3
    shown = UncertaintyDisplay.from_estimator(model, X, ax=figure.add_subplot()).points_.get_array()
    np.testing.assert_allclose(shown, np.sort(1 - model.predict_proba(X).max(axis=1)), atol=1e-9)
    drawn = ConvergenceDisplay.from_estimator(model, ax=figure.add_subplot()).lines_
    np.testing.assert_array_equal(drawn[0].get_ydata(), model.lower_bounds_)
    assert "<svg" in model._repr_html_()
