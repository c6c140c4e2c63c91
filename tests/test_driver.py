"""The loop: its records, its reasons to stop, its callbacks, and the state after an interrupted fit."""

import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
from fits import run
from models import learned
from reference import rows_for
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastem import GaussianMixture, PoissonMixture
from fastem.mixtures import unfitted

FIELDS = ("restart", "iteration", "lower_bound", "change", "seconds", "passes")
ATTRIBUTES = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "stop_reason_", "history_")


@pytest.fixture(params=["gaussian", "poisson"])
def model(request):
    """An estimator that takes a few dozen iterations."""
    options = {"init_params": "random", "random_state": 0, "tol": 1e-4, "max_iter": 500}
    return GaussianMixture(2, **options) if request.param == "gaussian" else PoissonMixture(2, **options)


@pytest.fixture
def X():
    return rows_for("poisson", 100)


class AtEnd:
    """A callback that acts once, at the end of an iteration of a restart (both counted from 1)."""

    def __init__(self, act, iteration, restart=1):
        self.act, self.iteration, self.restart = act, iteration, restart
        self.called = 0

    def setup(self, estimator, context):
        self.set_up = True

    def teardown(self, estimator, context):
        self.torn_down = True

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name != "iteration":
            return False
        self.called += 1
        here = context.task_id + 1 == self.iteration and context.parent.task_id + 1 == self.restart
        return self.act() if here else False


class AtBegin(AtEnd):
    """A callback that acts when the task of this name begins."""

    def __init__(self, act, task):
        self.act, self.task = act, task

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == self.task:
            self.act()

    def on_fit_task_end(self, estimator, context):
        pass


def stop():
    return True


def interrupt():
    raise KeyboardInterrupt


def score(estimator, X, y):
    return estimator.score(X)


def assert_same_fit(actual, expected):
    for name, value in learned(expected).items():
        np.testing.assert_array_equal(getattr(actual, name), value)
    assert actual.lower_bounds_ == expected.lower_bounds_


# The record


def test_history_has_one_record_an_iteration_and_restart(model, X):
    model.set_params(n_init=3).fit(X)
    for restart in range(3):
        records = [record for record in model.history_ if record.restart == restart]
        assert [record.iteration for record in records] == list(range(1, len(records) + 1))
        bounds = [-math.inf, *(record.lower_bound for record in records)]
        assert [record.change for record in records] == [b - a for a, b in itertools.pairwise(bounds)]
        assert abs(records[-1].change) < model.tol <= min(abs(record.change) for record in records[:-1])
    assert model.history_ == sorted(model.history_, key=lambda record: record[:2])
    assert {record.restart for record in model.history_} == {0, 1, 2}
    for record in model.history_:
        assert record._fields == FIELDS
        assert record.seconds > 0
        assert record.passes == 1


def test_the_fitted_attributes_describe_the_best_restart(model, X):
    model.set_params(n_init=4).fit(X)
    ends = {record.restart: record.lower_bound for record in model.history_}
    best = max(ends, key=ends.get)
    assert model.lower_bound_ == ends[best] == model.lower_bounds_[-1]
    assert model.lower_bounds_ == [record.lower_bound for record in model.history_ if record.restart == best]
    assert model.n_iter_ == len(model.lower_bounds_)


def test_restarts_are_consecutive_draws_from_one_random_state(model, X):
    state = np.random.RandomState(5)
    singles = [clone(model).set_params(random_state=state).fit(X) for _ in range(3)]
    together = clone(model).set_params(random_state=np.random.RandomState(5), n_init=3).fit(X)
    assert_same_fit(together, max(singles, key=lambda single: single.lower_bound_))


def test_the_reason_for_stopping(model, X):
    assert model.fit(X).stop_reason_ == "tol"
    assert model.converged_
    model.set_params(max_iter=2)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(X)
    assert (model.stop_reason_, model.converged_, model.n_iter_) == ("max_iter", False, 2)


def test_no_iterations_are_no_failure_to_converge(model, X):
    model.set_params(max_iter=0).fit(X)
    assert (model.stop_reason_, model.converged_, model.n_iter_) == ("max_iter", False, 0)
    assert (model.history_, model.lower_bounds_, model.lower_bound_) == ([], [], -math.inf)
    assert model.predict(X).shape == (len(X),)


# Callbacks


def test_a_callback_that_returns_true_stops_the_restart(model, X):
    expected = run(clone(model), X, 3)
    callback = AtEnd(stop, iteration=3)
    model.set_callbacks(callback).fit(X)  # and no ConvergenceWarning
    assert (model.stop_reason_, model.converged_, callback.called) == ("callback", False, 3)
    assert_same_fit(model, expected)


def test_callbacks_are_set_up_and_torn_down_even_if_the_fit_fails(model, X):
    callback = AtEnd(interrupt, iteration=1)
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(callback).fit(X)
    assert callback.set_up
    assert callback.torn_down


def test_the_scoring_monitor_sees_the_score_after_each_iteration(model, X):
    monitor = ScoringMonitor(scoring={"score": score})
    model.set_callbacks(monitor).fit(X)
    logged = iteration_scores(monitor)
    assert len(logged) == model.n_iter_
    # the bound of an iteration belongs to the parameters that it began with
    np.testing.assert_allclose(logged[:-1], model.lower_bounds_[1:], rtol=1e-12)
    np.testing.assert_allclose(logged[-1], model.score(X), rtol=1e-12)


def test_the_scoring_monitor_sees_the_scores_of_refits_that_stop_there(model, X):
    monitor = ScoringMonitor(scoring={"bic": lambda estimator, X, y: estimator.bic(X)})
    run(model.set_callbacks(monitor), X, 4)
    refits = [run(clone(model).set_callbacks(), X, n_iter).bic(X) for n_iter in (1, 2, 3, 4)]
    assert iteration_scores(monitor, "bic") == refits


def iteration_scores(monitor, name="score"):
    return [row[name] for row in monitor.get_logs().data if row["task_name"] == "iteration"]


class Recorder(AtBegin):
    """A callback that scores the estimators that it receives, with the weights that it receives."""

    def __init__(self):
        self.scores = []

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, metadata=None, fitted_estimator=None):
        if context.task_name == "iteration":
            self.scores.append(fitted_estimator.score(X, **metadata))


def test_a_callback_is_handed_a_fitted_estimator_and_the_weights(model, X):
    recorder = Recorder()
    sample_weight = np.arange(len(X)) % 3
    model.set_callbacks(recorder).fit(X, sample_weight=sample_weight)
    np.testing.assert_allclose(recorder.scores[:-1], model.lower_bounds_[1:], rtol=1e-12)
    assert recorder.scores[-1] == model.score(X, sample_weight=sample_weight)


def test_the_scoring_monitor_logs_every_restart_by_itself(model, X):
    monitor = ScoringMonitor(scoring={"score": score})
    model.set_params(n_init=3).set_callbacks(monitor).fit(X)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    for restart in range(3):
        n_iter = sum(record.restart == restart for record in model.history_)
        assert sum(row["parent_task_id_path"][-1] == restart for row in rows) == n_iter


def test_the_progress_bar_shows_restarts(model, X, capsys):
    model.set_params(n_init=2).set_callbacks(ProgressBar()).fit(X)
    shown = capsys.readouterr().out
    assert f"{type(model).__name__} - fit" in shown
    assert shown.count("restart") >= 2


def test_callbacks_change_no_result(model, X):
    watched = clone(model).set_callbacks(ScoringMonitor(scoring={"score": score}), AtEnd(stop, iteration=10**6)).fit(X)
    assert_same_fit(watched, model.fit(X))


def test_callbacks_reach_the_fits_of_a_meta_estimator(model, X):
    monitor = ScoringMonitor(scoring={"score": score})
    pipeline = make_pipeline(StandardScaler(with_mean=False), model.set_callbacks(monitor))
    if isinstance(model, PoissonMixture):
        pipeline.steps[0] = ("identity", "passthrough")
    pipeline.fit(X)
    assert len(iteration_scores(monitor)) == model.n_iter_


def test_the_progress_bar_of_a_grid_search_reaches_its_fits(model, X, capsys):
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X)
    assert f"{type(model).__name__} - fit" in capsys.readouterr().out
    assert not hasattr(search.best_estimator_, "_parent_callback_ctx")


def test_a_clone_keeps_the_callbacks_and_a_pickle_the_fit(model, X):
    callback = AtEnd(stop, iteration=3)
    model.set_callbacks(callback).fit(X)
    assert clone(model).fit(X).n_iter_ == 3
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_fit(loaded, model)
    for name in ATTRIBUTES:
        assert getattr(loaded, name) == getattr(model, name)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


# Interruption


def test_an_interrupted_fit_keeps_its_last_iteration_and_passes_the_interrupt_on(model, X):
    expected = run(clone(model), X, 3)
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(AtEnd(interrupt, iteration=3)).fit(X)
    assert_same_fit(model, expected)
    assert (model.stop_reason_, model.converged_, model.n_iter_) == ("interrupt", False, 3)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_an_interrupt_between_restarts_keeps_the_best_of_them(model, X):
    expected = clone(model).fit(X)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(n_init=3).set_callbacks(AtEnd(interrupt, iteration=1, restart=2)).fit(X)
    assert_same_fit(model, expected)
    assert {record.restart for record in model.history_} == {0, 1}
    assert sum(record.restart == 1 for record in model.history_) == 1


def test_an_interrupted_fit_can_be_continued(model, X):
    expected = run(clone(model), X, 7)
    model.set_params(warm_start=True).set_callbacks(AtEnd(interrupt, iteration=3))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    first = model.lower_bounds_
    run(model.set_callbacks(), X, 4)
    np.testing.assert_allclose(first + model.lower_bounds_, expected.lower_bounds_, rtol=1e-12)


def test_an_interrupt_before_the_first_start_leaves_the_estimator_unfitted(model, X, monkeypatch):
    monkeypatch.setattr(unfitted, "draw_responsibilities", lambda *arguments: interrupt())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert_unfitted(model, X)


def test_an_interrupt_as_the_fit_begins_leaves_the_estimator_unfitted(model, X):
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(AtBegin(interrupt, "fit")).fit(X)
    assert_unfitted(model, X)


def assert_unfitted(model, X):
    assert not any(hasattr(model, name) for name in (*ATTRIBUTES, "weights_"))
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_an_error_in_a_callback_is_passed_on_as_it_is(model, X):
    def fail():
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        model.set_callbacks(AtEnd(fail, iteration=2)).fit(X)


def lengths_of_restarts(model):
    """Numbers of iterations of both restarts, and which of them reached the larger bound."""
    ends = [[record for record in model.history_ if record.restart == restart] for restart in range(2)]
    return [len(records) for records in ends], int(np.argmax([records[-1].lower_bound for records in ends]))


@pytest.mark.parametrize("best_is_shorter", [True, False])
def test_only_the_best_restart_decides_on_the_warning(X, best_is_shorter):
    """The shorter of two restarts converges, the longer meets `max_iter`: that matters if it is the better one."""
    for seed in range(50):
        model = GaussianMixture(3, init_params="random", random_state=seed, n_init=2, tol=1e-4, max_iter=500)
        lengths, best = lengths_of_restarts(model.fit(X))
        model.set_params(max_iter=max(lengths) - 1)
        if min(lengths) < max(lengths) - 1 and (lengths[best] == min(lengths)) == best_is_shorter:
            break
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    found, still_best = lengths_of_restarts(model)
    assert (found, still_best) == ([min(length, max(lengths) - 1) for length in lengths], best)
    assert model.stop_reason_ == ("tol" if best_is_shorter else "max_iter")
    assert [issubclass(each.category, ConvergenceWarning) for each in caught] == ([] if best_is_shorter else [True])
