"""scikit-learn's progress bar on fits of all kinds of data, however they end; it must not change the fits."""

import re
import warnings

import dask
import dask.array as da
import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from fastem import GaussianMixture, PoissonMixture, Source, Stepwise

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2)) + 2.0 * RNG.integers(3, size=(300, 1))
DATA = {
    "an array": lambda: X,
    "a list of chunks": lambda: [X[:100], X[100:]],
    "a source": lambda: Source([X[:100], X[100:]]),
    "a collection": lambda: da.from_array(X, chunks=(100, 2)),
}


@pytest.fixture(autouse=True)
def _in_turn():
    with dask.config.set(scheduler="synchronous"):
        yield


class Ending:
    """Callback that ends a restart, or raises, after an iteration of it."""

    def __init__(self, restart, iteration, error=None):
        self.place = (restart, iteration)
        self.error = error

    def setup(self, estimator, context):
        """Nothing to prepare."""

    def on_fit_task_begin(self, estimator, context):
        """Only ends count."""

    def on_fit_task_end(self, estimator, context):
        """True ends the restart."""
        if context.task_name != "iteration" or (context.parent.task_id, context.task_id + 1) != self.place:
            return False
        if self.error is not None:
            raise self.error
        return True

    def teardown(self, estimator, context):
        """Nothing to clear away."""


def fit(model, data, *callbacks):
    """Fit with callbacks, whether or not the fit converges."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.set_callbacks(*callbacks).fit(data)


def bars(text):
    """Final percentages by the names of tasks."""
    return {name: int(share) for name, share in re.findall(r"GaussianMixture - ([\w #]*?)\s+[^\w\s]*\s+(\d+)%", text)}


def model_of(**options):
    return GaussianMixture(**{"n_components": 3, "random_state": 0, "n_init": 3, "max_iter": 10, "tol": 0.0, **options})


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("tol", [0.0, 1e-3], ids=["to the last iteration", "until convergence"])
def test_every_restart_has_a_bar_which_is_full_in_the_end(capsys, kind, tol):
    fit(model_of(tol=tol), DATA[kind](), ProgressBar())
    assert bars(capsys.readouterr().out) == {"fit": 100, "restart #0": 100, "restart #1": 100, "restart #2": 100}


@pytest.mark.parametrize("kind", DATA)
def test_a_bar_changes_no_bit(kind):
    plain, watched = fit(model_of(), DATA[kind]()), fit(model_of(), DATA[kind](), ProgressBar())
    np.testing.assert_array_equal(plain.means_, watched.means_)
    assert plain.lower_bounds_ == watched.lower_bounds_


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError()], ids=["Ctrl-C", "an error"])
def test_a_fit_that_is_broken_off_leaves_the_share_that_is_done(capsys, error):
    with pytest.raises(type(error)):
        fit(model_of(), X, ProgressBar(), Ending(1, 4, error))
    # The iteration that raises is counted, because the bar is notified of its end before.
    assert bars(capsys.readouterr().out) == {"fit": round(100 * (1 + 0.4) / 3), "restart #0": 100, "restart #1": 40}


def test_restarts_that_a_callback_ends_are_done(capsys):
    model = fit(model_of(), X, ProgressBar(), Ending(1, 4))
    assert [sum(record.restart == restart for record in model.history_) for restart in range(3)] == [10, 4, 10]
    assert set(bars(capsys.readouterr().out).values()) == {100}


@pytest.mark.parametrize(
    "options",
    [
        {"algorithm": "incremental"},
        {"algorithm": Stepwise(batch_size=100)},
        {"algorithm": "hard"},
        {"acceleration": "squarem"},
        {"background": True},
        {"covariance_type": "VEV"},
        {"max_iter": 0},
    ],
    ids=str,
)
def test_bars_of_all_algorithms(capsys, options):
    fit(model_of(n_init=2, **options), X, ProgressBar())
    expected = {"fit"} if options.get("max_iter") == 0 else {"fit", "restart #0", "restart #1"}
    assert bars(capsys.readouterr().out) == dict.fromkeys(expected, 100)


def test_data_that_are_refused_have_no_bar(capsys):
    with pytest.raises(ValueError, match="non-negative"):
        fit(PoissonMixture(2), -np.abs(X), ProgressBar())
    assert capsys.readouterr().out == ""


def test_verbose_prints_what_it_prints_without_a_bar(capsys):
    plain = fit(model_of(verbose=1, verbose_interval=3), X)
    expected = capsys.readouterr().out
    watched = fit(model_of(verbose=1, verbose_interval=3), X, ProgressBar())
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert "".join(line for line in lines if line.startswith(("Init", "  Iter"))) == expected
    assert plain.lower_bound_ == watched.lower_bound_


def test_no_callbacks_end_the_bar(capsys):
    model = fit(model_of(), X, ProgressBar())
    capsys.readouterr()
    fit(model, X)
    assert capsys.readouterr().out == ""


def test_a_search_shows_the_fits_of_its_mixtures(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    search = GridSearchCV(model_of(n_init=1), {"n_components": [1, 2]}, cv=2)
    fit(search, X, ProgressBar())
    assert capsys.readouterr().out.count("GaussianMixture - restart #0") == 5
