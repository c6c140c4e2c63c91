"""Knowledge of the rows' components restricts the fit: hard labels, plausibilities, allowed sets."""

import numpy as np
import pandas as pd
import pytest
import reference_incomplete as naive
import sklearn
from fits import model_at, run
from incomplete import ALGORITHMS, holes
from known_answers import LABELLED_LOG_LIKELIHOOD, LABELLED_MEANS, LABELLED_WEIGHT, assert_meets, load
from models import assert_close, learned, parameters_of
from reference import FAMILIES, GAUSSIAN_FAMILIES, log_joint, m_step, movement, rows_for, start_at
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastem import GaussianMixture, PoissonMixture, Source, Stepwise

pytestmark = pytest.mark.slow

N_ROWS = 240
STARTS = ("kmeans", "k-means++", "random", "random_from_data")


def problem_of(family, n_components=2):
    """Rows, a start, and labels of a third of the rows, some of them against the evidence."""
    X = rows_for(family, N_ROWS)
    start = start_at(family, X, X[:n_components] + 0.5)
    labels = log_joint(X, start).argmax(axis=1)
    labels[::7] = (labels[::7] + 1) % n_components
    labels[np.arange(N_ROWS) % 3 > 0] = -1
    return X, start, labels


def one_hot(labels, n_components=2):
    return np.where(labels[:, None] < 0, 1.0, np.eye(n_components)[labels])


def test_the_maximum_of_labelled_and_unlabelled_rows():
    labelled, unlabelled = load("xu_labeled")[0], load("xu_unlabeled")[0]
    X = np.vstack([labelled[:, :2], unlabelled])
    labels = np.concatenate([labelled[:, 2].astype(int), np.full(len(unlabelled), -1)])
    model = GaussianMixture(2, reg_covar=0.0, random_state=0)
    run(model, X, 500, labels=labels)
    clamped = labels >= 0
    joint = log_joint(X, parameters_of("full", model))
    total = joint[clamped, labels[clamped]].sum() + np.logaddexp.reduce(joint[~clamped], axis=1).sum()
    assert_meets(total, LABELLED_LOG_LIKELIHOOD)
    assert_meets(model.lower_bound_ * len(X), LABELLED_LOG_LIKELIHOOD)
    assert_meets(model.weights_[np.argmax(model.means_[:, 0])], LABELLED_WEIGHT)
    order = model.means_[:, 0].argsort()
    for value, figure in zip(model.means_[order].ravel(), LABELLED_MEANS, strict=True):
        assert_meets(value, figure)
    assert (order == [0, 1]).all() == (labelled[labelled[:, 2] == 0, 0].mean() < 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_the_reference_s(family):
    X, start, labels = problem_of(family)
    X = holes(X, np.random.default_rng(0), 0.2)
    soft = np.random.default_rng(1).uniform(size=(N_ROWS, 2)) * (
        np.random.default_rng(2).uniform(size=(N_ROWS, 2)) < 0.9
    )
    soft[~soft.any(axis=1)] = 1.0
    for known, plausible in ((labels, one_hot(labels)), (soft, soft)):
        model = run(model_at(start, missing="marginalize"), X, 1, labels=known)
        rows = naive.Rows(X)
        expected = naive.em_step(rows, start, plausible=plausible)
        assert movement(expected, parameters_of(family, model)) < 1e-9
        with np.errstate(divide="ignore"):
            joint = naive.log_joint(rows, start) + np.log(plausible)
        assert model.lower_bound_ == pytest.approx(np.logaddexp.reduce(joint, axis=1).mean(), rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_ways_to_say_the_same(family):
    X, start, labels = problem_of(family)
    expected = run(model_at(start), X, 10, labels=labels)
    assert_close(run(model_at(start), X, 10, labels=labels.astype(np.int8)), expected)
    assert_close(run(model_at(start), X, 10, labels=pd.Series(labels)), expected)
    assert_close(run(model_at(start), X, 10, labels=one_hot(labels)), expected, 1e-12)
    assert_close(run(model_at(start), X, 10, labels=one_hot(labels) > 0), expected, 1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_says_nothing_changes_nothing(family):
    X, start, _ = problem_of(family)
    plain = run(model_at(start), X, 10)
    for labels in (np.full(N_ROWS, -1), np.ones((N_ROWS, 2)), np.ones((N_ROWS, 2), bool)):
        model = run(model_at(start), X, 10, labels=labels)
        assert_close(model, plain)
        assert model.lower_bounds_ == plain.lower_bounds_


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_s_plausibilities_are_known_up_to_a_factor(family):
    X, start, _ = problem_of(family)
    rng = np.random.default_rng(0)
    plausible = rng.uniform(size=(N_ROWS, 2))
    factors = np.exp(rng.normal(size=N_ROWS) * 5)
    model = run(model_at(start), X, 10, labels=plausible)
    scaled = run(model_at(start), X, 10, labels=plausible * factors[:, None])
    assert_close(scaled, model, 1e-10)
    change = np.subtract(scaled.lower_bounds_, model.lower_bounds_)
    np.testing.assert_allclose(change, np.log(factors).mean(), atol=1e-10)


@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_all_rows_labelled_have_the_estimates_of_each_class(family, init_params):
    X, start, _ = problem_of(family)
    labels = np.arange(N_ROWS) % 3 % 2
    expected = m_step(family, X, one_hot(labels))
    model = run(model_at(start), X, 2, labels=labels)
    assert movement(expected, parameters_of(family, model)) < 1e-10
    kind = PoissonMixture if family == "poisson" else GaussianMixture
    options = {} if family == "poisson" else {"covariance_type": family, "reg_covar": 1e-10}
    started = run(kind(2, init_params=init_params, random_state=0, **options), X, 3, labels=labels)
    assert movement(expected, parameters_of(family, started)) < 1e-9


@pytest.mark.parametrize("options", ALGORITHMS, ids=str)
@pytest.mark.parametrize("family", ["full", "diag", "poisson"])
def test_every_algorithm_keeps_to_labels(family, options):
    """All rows are labelled, at random: every algorithm gives the estimates of the classes."""
    X, start, _ = problem_of(family)
    labels = np.random.default_rng(0).integers(2, size=N_ROWS)
    expected = m_step(family, X, one_hot(labels))
    model = run(model_at(start, random_state=0, **of_one_batch(options)), X, 8, labels=labels)
    assert movement(expected, parameters_of(family, model)) < 1e-8


def of_one_batch(options):
    return {"algorithm": Stepwise(N_ROWS)} if options.get("algorithm") == Stepwise(50) else options


def log_joint_allowed(X, parameters, labels):
    return np.where(one_hot(labels) > 0, log_joint(X, parameters), -np.inf)


@pytest.mark.parametrize("options", ALGORITHMS, ids=str)
@pytest.mark.parametrize("family", ["full", "diag", "poisson"])
def test_every_algorithm_ends_where_labelled_and_unlabelled_rows_send_it(family, options):
    """Half of the labels are kept: then algorithms take different steps, and each has a fixed point."""
    X, start, _ = problem_of(family)
    labels = np.random.default_rng(0).integers(2, size=N_ROWS)
    labels[::2] = -1
    model = run(model_at(start, random_state=0, **of_one_batch(options)), X, 60, labels=labels)
    best = start
    for _ in range(200):
        joint = log_joint_allowed(X, best, labels)
        best = m_step(family, X, np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)))
    there = log_joint_allowed(X, parameters_of(family, model), labels)
    algorithm = options.get("algorithm", "em")
    if algorithm == "hard":
        assert movement(m_step(family, X, np.eye(2)[there.argmax(axis=1)]), parameters_of(family, model)) < 1e-9
        assert model.lower_bound_ == pytest.approx(there.max(axis=1).mean(), rel=1e-10)
        return
    likelihood = np.logaddexp.reduce(there, axis=1).mean()
    assert model.lower_bound_ == pytest.approx(likelihood, rel=1e-10)
    if algorithm in ("stochastic", Stepwise(50)):  # whose bound may fall
        assert abs(likelihood - np.logaddexp.reduce(joint, axis=1).mean()) < 5e-3
    else:
        assert np.diff(model.lower_bounds_).min() > -1e-12
        assert movement(best, parameters_of(family, model)) < 1e-8


@pytest.mark.parametrize("init_params", STARTS)
def test_components_are_in_the_order_of_their_labels(init_params, rng):
    centres = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0], [30.0, 30.0]])
    truth = rng.integers(4, size=800)
    X = centres[truth] + rng.normal(size=(800, 2))
    for seed in range(3):
        order = rng.permutation(4)
        labels = np.where(rng.uniform(size=800) < 0.1, order[truth], -1)
        model = GaussianMixture(4, init_params=init_params, random_state=seed).fit(X, labels=labels)
        np.testing.assert_allclose(model.means_[order], centres, atol=0.5)
        assert (model.predict(X) == order[truth]).all()


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_doubtful_labels_decide_the_order_too(init_params, rng):
    group = rng.integers(2, size=400)
    X = rng.normal(size=(400, 2)) + 6.0 * group[:, None]
    plausible = np.where(rng.random(400)[:, None] < 0.9, 1.0, np.where(np.eye(2)[1 - group] > 0, 0.9, 0.1))
    means = GaussianMixture(2, init_params=init_params, random_state=0).fit(X, labels=plausible).means_
    assert means[0].mean() > means[1].mean()


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_labels_of_some_components_leave_the_others_to_be_found(init_params, rng):
    truth = rng.integers(3, size=600)
    X = 20.0 * truth[:, None] + rng.normal(size=(600, 2))
    labels = np.where((truth == 2) & (rng.uniform(size=600) < 0.2), 0, -1)
    model = GaussianMixture(3, init_params=init_params, random_state=0).fit(X, labels=labels)
    np.testing.assert_allclose(model.means_[0], [40, 40], atol=0.5)
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), [0, 20, 40], atol=0.5)


def test_allowed_sets(rng):
    truth = rng.integers(3, size=600)
    X = 20.0 * truth[:, None] + rng.normal(size=(600, 2))
    allowed = np.ones((600, 3), bool)
    allowed[truth == 0, 2] = allowed[truth == 2, 0] = False
    model = GaussianMixture(3, random_state=0).fit(X, labels=allowed)
    assert (model.fit_predict(X, labels=allowed)[truth == 2] != 0).all()
    assert np.isfinite(model.lower_bound_)


@pytest.mark.parametrize("n_free", [0, 2, 10])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_components_that_are_allowed_together_start_apart(init_params, n_free, rng):
    truth = rng.integers(3, size=600)
    X = 20.0 * truth[:, None] + rng.normal(size=(600, 2))
    allowed = np.where((truth == 2)[:, None], [False, False, True], [True, True, False])
    allowed[rng.integers(10, size=600) < n_free] = True
    model = GaussianMixture(3, init_params=init_params, random_state=0).fit(X, labels=allowed)
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), [0, 20, 40], atol=0.5)
    if n_free < 10:
        np.testing.assert_allclose(model.means_[2], [40, 40], atol=0.5)


@pytest.mark.parametrize("init_params", STARTS)
def test_a_start_from_a_single_row(init_params):
    X, _, _ = problem_of("full")
    labels = np.where(np.arange(N_ROWS) % 2, 0, -1)
    model = GaussianMixture(1, init_size=1, init_params=init_params, random_state=0).fit(X, labels=labels)
    np.testing.assert_allclose(model.means_, [X.mean(axis=0)], rtol=1e-9)


def test_batches_may_lack_a_component(rng):
    truth = rng.integers(2, size=400)
    X = 10.0 * truth[:, None] + rng.normal(size=(400, 2))
    model = GaussianMixture(2, random_state=0).partial_fit(X, labels=truth)
    for k in (0, 1, 0, 1):
        model.partial_fit(X[truth == k], labels=truth[truth == k])
        model.partial_fit(X[truth == k], labels=np.eye(2)[truth[truth == k]])
    np.testing.assert_allclose(model.means_, [[0, 0], [10, 10]], atol=0.5)


def test_a_background_comes_after_the_components(rng):
    X = np.vstack([rng.normal(size=(300, 2)), rng.uniform(-20, 20, size=(60, 2))])
    labels = np.full(360, -1)
    labels[300:330], labels[:20] = 1, 0
    model = GaussianMixture(1, background=True, random_state=0).fit(X, labels=labels)
    assert model.weights_.shape == (2,)
    assert model.weights_[1] >= 30 / 360
    np.testing.assert_allclose(model.means_, [[0, 0]], atol=0.3)
    predicted = model.fit_predict(X, labels=labels)
    assert (predicted[300:330] == -1).all()
    assert (predicted[:20] == 0).all()
    plausible = np.where(labels[:, None] < 0, 1.0, np.eye(2)[labels])
    assert_close(GaussianMixture(1, background=True, random_state=0).fit(X, labels=plausible), model, 1e-6)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_fit_predict_returns_what_is_known(family):
    X, start, labels = problem_of(family)
    model = model_at(start)
    predicted = model.fit_predict(X, labels=labels)
    assert (predicted[labels >= 0] == labels[labels >= 0]).all()
    assert (predicted[labels < 0] == model.predict(X)[labels < 0]).all()
    assert (model_at(start).fit_predict(X, labels=one_hot(labels)) == predicted).all()
    plausible, weights = one_hot(labels), np.where(np.arange(N_ROWS) == 5, 0.0, 1.0)
    plausible[5] = 0.0  # a row without weight may have no possible component
    model = model_at(start)
    predicted = model.fit_predict(X, sample_weight=weights, labels=plausible)
    assert predicted[5] == model.predict(X[5:6])


def test_rows_of_weight_zero_have_no_labels_to_keep():
    X, start, labels = problem_of("full")
    weights = np.where(np.arange(N_ROWS) % 2, 1.0, 0.0)
    present = weights > 0
    some = run(model_at(start), X[present], 6, labels=labels[present])
    assert_close(run(model_at(start), X, 6, weights, labels=labels), some, 1e-10)


def test_pipelines_and_routing(rng):
    X = rng.normal(size=(200, 2)) + 6 * rng.integers(2, size=(200, 1))
    y = rng.integers(2, size=200)
    plain = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(X)
    assert_close(make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(X, y)[-1], plain[-1])
    with sklearn.config_context(enable_metadata_routing=True):
        mixture = GaussianMixture(2, random_state=0).set_fit_request(labels=True)
        routed = make_pipeline(StandardScaler(), mixture).fit(X, labels=y)
    assert_close(routed[-1], GaussianMixture(2, random_state=0).fit(StandardScaler().fit_transform(X), labels=y))


# Errors

K2 = np.ones((N_ROWS, 2))
AT_3 = np.arange(N_ROWS) == 3
WRONG = {
    "labels holds 2 in row 3: with 2 components labels are 0 to 1": np.where(AT_3, 2, -1),
    "labels holds -2 in row 3": np.where(AT_3, -2, 0),
    "labels must be integers, -1 where they are not known, not float64": np.zeros(N_ROWS),
    "labels has shape (239,)": np.zeros(N_ROWS - 1, int),
    "labels has shape (240, 2, 1)": np.ones((N_ROWS, 2, 1)),
    "labels has 3 columns, where there are 2 components": np.ones((N_ROWS, 3)),
    "labels leaves no row for component 1": np.zeros(N_ROWS, int),
    "labels leaves no row for component 0": K2 * [0.0, 1.0],
    "labels allows no component for row 3": np.where(AT_3[:, None], 0.0, K2),
    "labels holds -1.0 in row 3, column 0": np.where(AT_3[:, None], -1.0, K2),
    "labels holds nan in row 3, column 0": np.where(AT_3[:, None], np.nan, K2),
    "not real numbers": np.full((N_ROWS, 2), "a"),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_labels_are_named(message):
    X, start, _ = problem_of("full")
    model = run(model_at(start), X, 3)
    before = learned(model)
    for use in (model.fit, model.partial_fit, model.fit_predict):
        with pytest.raises(ValueError) as error:  # noqa: PT011
            use(X, labels=WRONG[message])
        assert message in str(error.value)
    assert all(learned(model)[name] is value for name, value in before.items())


def test_labels_go_with_arrays():
    X, start, labels = problem_of("full")
    with pytest.raises(ValueError, match="labels goes with an array"):
        model_at(start).fit(Source([X]), labels=labels)
