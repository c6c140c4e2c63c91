"""Checkpoints of every kind of fit: float32, annotations of rows, backgrounds, and any random generator."""

import warnings

import numpy as np
import pytest
from breaks import bits, broken_off_after
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture, NormalInverseWishart, PoissonMixture, Source
from fastem.persistence.checkpoint import CheckpointError

pytestmark = pytest.mark.slow

K, N_ROWS = 3, 900


@pytest.fixture
def rows(rng):
    return rng.normal(size=(N_ROWS, 2)) + 2.5 * rng.integers(K, size=(N_ROWS, 1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def fit(model, data, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(data, **given)


def gaussian(**options):
    return GaussianMixture(K, **{"max_iter": 12, "tol": 0.0, "random_state": 0, "init_size": 400, **options})


def with_holes(X):
    return np.where(np.random.default_rng(3).random(X.shape) < 0.2, np.nan, X)


RNG = np.random.default_rng(2)
KNOWN = {
    "plausibilities": {"labels": RNG.random((N_ROWS, K)) * (RNG.random((N_ROWS, K)) < 0.9) + 0.01},
    "labels": {"labels": np.where(RNG.random(N_ROWS) < 0.3, RNG.integers(K, size=N_ROWS), -1)},
    "noise": {"noise": RNG.random((N_ROWS, 2))},
    "weights": {"sample_weight": RNG.random(N_ROWS)},
}
PLAIN = lambda X: X  # noqa: E731
KINDS = {
    "float32": (gaussian, lambda X: X.astype(np.float32), {}),
    "background": (lambda: gaussian(background=True), PLAIN, {}),
    "prior": (lambda: gaussian(prior=NormalInverseWishart(), weights_prior=2.0), PLAIN, {}),
    "fixed": (lambda: gaussian(fixed={"means": [True, False, False]}, means_init=np.eye(3)[:, :2]), PLAIN, {}),
    "counts": (lambda: PoissonMixture(K, max_iter=12, tol=0.0, random_state=0), lambda X: abs(X.round()), {}),
    "missing": (lambda: gaussian(missing="marginalize"), with_holes, {}),
    **{name: (gaussian, PLAIN, known) for name, known in KNOWN.items()},
    "hard and plausible": (lambda: gaussian(algorithm="hard"), PLAIN, KNOWN["plausibilities"]),
    "squarem and background": (lambda: gaussian(acceleration="squarem", background=True), PLAIN, {}),
}


@pytest.mark.parametrize("as_source", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_fit_of_any_kind_ends_with_the_bits_of_an_unbroken_one(kind, as_source, rows, path, monkeypatch):
    make, change, known = KINDS[kind]
    X = change(rows)
    if as_source:
        cut = {"X": X, **known}
        parts = [np.array_split(array, 6) for array in cut.values()]
        X = Source([dict(zip(cut, part, strict=True)) for part in zip(*parts, strict=True)], chunk_bytes=4000)
        known = {}
    expected = bits(fit(make(), X, **known))
    for n_writings in (1, 2, 5):
        path.unlink(missing_ok=True)
        with broken_off_after(n_writings, monkeypatch):
            fit(make(), X, checkpoint=path, **known)
        assert bits(fit(make(), X, checkpoint=path, resume=True, **known)) == expected


@pytest.mark.parametrize("name", KNOWN)
def test_a_checkpoint_of_rows_of_which_else_is_known_is_refused(name, rows, path, monkeypatch):
    known = KNOWN[name]
    with broken_off_after(3, monkeypatch):
        fit(gaussian(), rows, checkpoint=path, **known)
    changed = {key: array.copy() for key, array in known.items()}
    for array in changed.values():
        array[[0, 1]] = array[[5, 6]]
    content = path.read_bytes()
    for other in ({}, changed):
        with pytest.raises(CheckpointError, match="there"):
            fit(gaussian(), rows, checkpoint=path, resume=True, **other)
        assert path.read_bytes() == content


def test_without_a_seed_the_numbers_that_follow_are_those_of_the_global_generator(rows, path, monkeypatch):
    options = {"random_state": None, "algorithm": "stochastic", "n_init": 2, "init_params": "random_from_data"}
    before = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(11)  # noqa: NPY002
        expected = bits(fit(gaussian(**options), rows))
        np.random.seed(11)  # noqa: NPY002
        with broken_off_after(9, monkeypatch):
            fit(gaussian(**options), rows, checkpoint=path)
        np.random.seed(12)  # noqa: NPY002
        assert bits(fit(gaussian(**options), rows, checkpoint=path, resume=True)) == expected
    finally:
        np.random.set_state(before)  # noqa: NPY002


class Interrupt:
    """A callback that interrupts, as Ctrl-C does, at the end of an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "iteration" and context.task_id == self.iteration:
            raise KeyboardInterrupt


@pytest.mark.parametrize("options", [{}, {"n_init": 2, "init_params": "random_from_data"}, {"algorithm": "stochastic"}])
@pytest.mark.parametrize("as_source", [False, True])
def test_a_fit_stopped_by_ctrl_c_keeps_its_iterations_and_is_resumed(as_source, options, rows, path):
    X = Source(np.array_split(rows, 6), chunk_bytes=4000) if as_source else rows
    expected = bits(fit(gaussian(**options), X))
    model = gaussian(**options)
    with pytest.raises(KeyboardInterrupt):
        fit(model.set_callbacks(Interrupt(4)), X, checkpoint=path)
    assert (model.stop_reason_, model.n_iter_) == ("interrupt", 5)
    assert bits(fit(gaussian(**options), X, checkpoint=path, resume=True)) == expected
