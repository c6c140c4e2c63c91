"""A warm start goes on where the last fit ended, with any other options."""

import warnings

import numpy as np
import pytest
from fits import model_at, run
from models import assert_close, learned
from reference import FAMILIES, rows_for, start_at
from sklearn.exceptions import ConvergenceWarning

from fastem import Incremental, NormalInverseWishart, Source, Sparse

K, N_ROWS = 2, 300
ROUNDING = 1e-10  # fitted attributes are relative to zero, not to the origin of a fit
WHOLE = {
    "source": {},
    "hard": {"algorithm": "hard"},
    "incremental": {"algorithm": Incremental(1)},
    "prior": {"prior": NormalInverseWishart(), "weights_prior": 2.0},
    "background": {"background": True, "weights_init": [0.5, 0.4, 0.1]},
}


def problem_of(family="full"):
    X = rows_for(family, N_ROWS)
    return X, start_at(family, X, X[:K] + 0.5)


def source_of(X):
    return Source(np.array_split(X, 5), chunk_bytes=2000)


def in_two_parts(model, data, first=4, second=5, **known):
    """Fit twice with a warm start, and return the bounds of both fits."""
    bounds = list(run(model.set_params(warm_start=True), data, first, **known).lower_bounds_)
    return bounds + run(model, data, second, **known).lower_bounds_


@pytest.mark.parametrize("what", WHOLE)
@pytest.mark.parametrize("family", ["full", "tied"])
def test_two_fits_are_one_longer_fit(family, what):
    X, start = problem_of(family)
    data = source_of(X) if what == "source" else X
    once = run(model_at(start, **WHOLE[what]), data, 9)
    twice = model_at(start, **WHOLE[what])
    np.testing.assert_allclose(in_two_parts(twice, data), once.lower_bounds_, rtol=ROUNDING)
    assert_close(twice, once, ROUNDING)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fit_of_an_array_goes_on_from_a_source_and_back(family):
    X, start = problem_of(family)
    once = run(model_at(start), X, 9)
    model = run(model_at(start, warm_start=True), X, 3)
    assert_close(run(run(model, source_of(X), 3), X, 3), once, ROUNDING)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_fixed_stays_where_it_is(family):
    X, start = problem_of(family)
    name = "rates" if family == "poisson" else "means"
    fixed = {name: [True, False]}
    once = run(model_at(start, fixed=fixed), X, 9)
    twice = model_at(start, fixed=fixed)
    np.testing.assert_allclose(in_two_parts(twice, X), once.lower_bounds_, rtol=ROUNDING)
    assert_close(twice, once, ROUNDING)
    np.testing.assert_allclose(getattr(twice, f"{name}_")[0], getattr(start, name)[0], rtol=1e-15)


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_goes_on_up_to_the_rounding_of_what_is_published(family):
    X, start = problem_of(family)
    X = X.astype(np.float32)
    once = run(model_at(start), X, 9)
    twice = model_at(start)
    np.testing.assert_allclose(in_two_parts(twice, X), once.lower_bounds_, rtol=1e-5)
    assert_close(twice, once, 1e-4)
    assert twice.weights_.dtype == np.float32


@pytest.mark.parametrize("family", ["full", "poisson"])
@pytest.mark.parametrize(
    "options",
    [
        *({"acceleration": how} for how in ("squarem", "anderson")),
        *({"algorithm": how} for how in ("incremental", Incremental(5, "random"), Sparse(0.01))),
    ],
    ids=str,
)
def test_what_remembers_more_than_parameters_never_falls_and_ends_where_it_would_have(family, options):
    """Accelerations and statistics of blocks start again; the bound goes on from where it was."""
    X, start = problem_of(family)
    best = model_at(start, tol=1e-12, max_iter=3000).fit(X)
    model = model_at(start, random_state=0, **options)
    bounds = in_two_parts(model, X, 4, 400)
    assert np.diff(bounds).min() > -1e-9
    assert model.lower_bound_ == pytest.approx(best.lower_bound_, abs=1e-8)


def test_a_converged_fit_ends_at_once_with_what_it_had():
    X, start = problem_of()
    model = model_at(start, tol=1e-6, max_iter=500, warm_start=True).fit(X)
    expected, bound = learned(model), model.lower_bound_
    model.fit(X)
    assert model.n_iter_ == 1
    assert abs(model.lower_bound_ - bound) < 1e-6
    for name, value in expected.items():
        np.testing.assert_allclose(learned(model)[name], value, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("as_source", [False, True])
def test_a_warm_start_is_broken_off_and_resumed(as_source, tmp_path):
    X, start = problem_of()
    data = source_of(X) if as_source else X
    unbroken, broken = (run(model_at(start, warm_start=True), data, 3) for _ in range(2))
    run(unbroken, data, 8)
    options = {"checkpoint": tmp_path / "run.ckpt", "resume": True}

    class Break:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            if context.task_name == "iteration" and context.task_id == 3:
                raise SystemExit

    again = model_at(start, warm_start=True, max_iter=3, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again.fit(data)
        with pytest.raises(SystemExit):
            broken.set_params(max_iter=8, tol=0.0).set_callbacks(Break()).fit(data, **options)
        again.set_params(max_iter=8).fit(data, **options)
    assert_close(again, unbroken, 0.0)
    assert again.lower_bounds_ == unbroken.lower_bounds_
