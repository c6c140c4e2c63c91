"""Fixed parameters stay; the others maximise the likelihood."""

import numpy as np
import pytest
from fits import model_at, run
from models import failure, learned, parameters_of
from posterior import neighbours
from reference import (
    FAMILIES,
    GAUSSIAN_FAMILIES,
    log_likelihood,
    movement,
    responsibilities,
    rows_for,
    start_at,
)

from fastem import GaussianMixture, Incremental, Source, Sparse, load

K = 3
SOME = [True, False, True]
PUBLISHED = {"weights": "weights_", "means": "means_", "rates": "rates_", "covariances": "covariances_"}
ALGORITHMS = [
    *({"algorithm": how} for how in ("em", "hard", Incremental(4), Sparse(0.01), "stepwise", "stochastic")),
    *({"acceleration": how} for how in ("squarem", "anderson")),
]


def names_of(family):
    return ["weights", "rates"] if family == "poisson" else ["weights", "means", "covariances"]


def problem_of(family):
    X = rows_for(family, 400, 3)
    return X, start_at(family, X, X[:K] + 0.5)


def cases():
    for family in FAMILIES:
        for name in names_of(family):
            yield family, name
            if (family, name) != ("tied", "covariances"):
                yield family, {name: SOME}
        yield family, names_of(family)[:2]


def kept(fixed):
    """Names of fixed parameters, with masks of the components that keep them."""
    if isinstance(fixed, dict):
        return {name: np.asarray(which) for name, which in fixed.items()}
    return dict.fromkeys([fixed] if isinstance(fixed, str) else fixed, np.ones(K, bool))


@pytest.mark.parametrize("options", ALGORITHMS, ids=str)
@pytest.mark.parametrize(("family", "fixed"), list(cases()), ids=str)
def test_what_is_fixed_stays(family, fixed, options):
    X, start = problem_of(family)
    model = run(model_at(start, fixed=fixed, random_state=0, **options), X, 12)
    for name, which in kept(fixed).items():
        expected = np.asarray({"weights": start.weights, **vars(start)}[name])
        actual = getattr(model, PUBLISHED[name])
        if family == "tied" and name == "covariances":
            which = slice(None)
        np.testing.assert_allclose(actual[which], expected[which], rtol=1e-11)
    np.testing.assert_allclose(model.weights_.sum(), 1.0)
    if options.get("algorithm") not in ("stepwise", "stochastic", "hard"):
        assert np.diff(model.lower_bounds_).min() > -1e-9


@pytest.mark.parametrize(("family", "fixed"), list(cases()), ids=str)
def test_no_neighbour_is_better(family, fixed, rng):
    """At the end of a fit, no small change of free parameters raises the likelihood: of one kind or of all."""
    X, start = problem_of(family)
    model = model_at(start, fixed=fixed, tol=1e-13, max_iter=5000).fit(X)
    best = parameters_of(family, model)
    top = log_likelihood(X, best)
    assert model.lower_bound_ == pytest.approx(top / len(X), rel=1e-12)
    n_tried = 0
    for size in (1e-2, 1e-4):
        for neighbour in neighbours(best, size, kept(fixed), rng):
            n_tried += movement(best, neighbour) > 0.0
            assert log_likelihood(X, neighbour) <= top + 1e-9
    if kept(fixed).keys() == set(names_of(family)) and all(which.all() for which in kept(fixed).values()):
        assert movement(start, best) < 1e-12
    else:
        assert n_tried >= 40, "neighbours differ if anything is free"


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_covariances_are_about_the_means_that_are_fixed(family):
    X, start = problem_of(family)
    r = responsibilities(X, start)
    model = run(model_at(start, fixed="means"), X, 1)
    residuals = X[:, None] - start.means
    scatters = np.einsum("nk,nki,nkj->kij", r, residuals, residuals)
    mass = r.sum(axis=0)
    expected = {
        "full": scatters / mass[:, None, None],
        "tied": scatters.sum(axis=0) / mass.sum(),
        "diag": np.diagonal(scatters, axis1=1, axis2=2) / mass[:, None],
        "spherical": np.trace(scatters, axis1=1, axis2=2) / mass / X.shape[1],
    }[family]
    np.testing.assert_allclose(model.covariances_, expected, rtol=1e-9)


def test_weights_that_are_free_share_what_is_left():
    X, start = problem_of("full")
    model = run(model_at(start, fixed={"weights": [True, False, False]}), X, 1)
    r = responsibilities(X, start).sum(axis=0)
    assert model.weights_[0] == start.weights[0]
    np.testing.assert_allclose(model.weights_[1:], r[1:] / r[1:].sum() * (1 - start.weights[0]), rtol=1e-12)


def test_a_component_whose_covariance_is_fixed_cannot_collapse():
    X = np.vstack([np.zeros((5, 2)), np.random.default_rng(0).normal(5.0, 1.0, size=(200, 2))])
    start = {"means_init": [[0.0, 0.0], [5.0, 5.0]], "weights_init": [0.5, 0.5], "precisions_init": [np.eye(2)] * 2}
    assert "component 0" in failure(GaussianMixture(2, reg_covar=0.0, **start), X)
    model = GaussianMixture(2, reg_covar=0.0, fixed={"covariances": [True, False]}, **start).fit(X)
    np.testing.assert_array_equal(model.covariances_[0], np.eye(2))


def test_data_far_from_zero():
    X, start = problem_of("full")
    near = run(model_at(start, fixed={"means": SOME}), X, 8)
    shifted = start_at("full", X + 2.0**20, start.means + 2.0**20)
    far = run(model_at(shifted, fixed={"means": SOME}), X + 2.0**20, 8)
    np.testing.assert_allclose(far.means_ - 2.0**20, near.means_, rtol=1e-6)
    np.testing.assert_array_equal(far.means_[SOME], shifted.means[SOME])


def test_everything_fixed_changes_nothing():
    X, start = problem_of("diag")
    model = run(model_at(start, fixed=["weights", "means", "covariances"]), X, 3)
    np.testing.assert_allclose(model.covariances_, start.covariances, rtol=1e-12)
    assert len(set(np.round(model.lower_bounds_, 12))) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_criteria_count_what_is_free(family):
    X, start = problem_of(family)
    of_spreads = {"full": 6 * K, "tied": 6, "diag": 3 * K, "spherical": K, "poisson": 0}[family]
    free = K - 1 + 3 * K + of_spreads
    assert run(model_at(start), X, 1).n_parameters_ == free
    location = "rates" if family == "poisson" else "means"
    for fixed, fewer in (("weights", K - 1), (location, 3 * K), ({location: SOME}, 6), ({"weights": SOME}, K - 1)):
        assert run(model_at(start, fixed=fixed), X, 1).n_parameters_ == free - fewer
    if family != "poisson":
        assert run(model_at(start, fixed=["means", "covariances"]), X, 1).n_parameters_ == K - 1


def test_nothing_fixed_is_the_plain_fit():
    X, start = problem_of("full")
    expected = learned(run(model_at(start), X, 5))
    for fixed in (None, [], {}, {"means": False}, {"means": [False] * K}):
        actual = learned(run(model_at(start, fixed=fixed), X, 5))
        assert all((actual[name] == expected[name]).all() for name in expected)


def test_partial_fit_and_files_know_of_it(tmp_path):
    X, start = problem_of("full")
    model = model_at(start, fixed={"means": SOME}, random_state=0)
    for part in np.array_split(X, 4):
        model.partial_fit(part)
    np.testing.assert_allclose(model.means_[SOME], start.means[SOME], rtol=1e-12)
    model.save(tmp_path / "model.json")
    assert load(tmp_path / "model.json").fixed == {"means": SOME}


def test_wrong_arguments():
    X, start = problem_of("full")
    for message, options in {
        "fixed names 'rates', where there are 'weights', 'means', 'covariances'": {"fixed": "rates"},
        "fixed='means' needs means_init: the values to keep": {"fixed": "means", "means_init": None},
        r"fixed\['means'\] must be True, or 3 truth values": {"fixed": {"means": [True, False]}},
        r"3 truth values: one for each component, not \[1, 0, 1\]": {"fixed": {"means": [1, 0, 1]}},
        "The 'fixed' parameter of GaussianMixture must be": {"fixed": 3},
    }.items():
        with pytest.raises(ValueError, match=message):
            model_at(start).set_params(**options).fit(X)
    tied = start_at("tied", X, X[:K])
    with pytest.raises(ValueError, match="they share one covariance"):
        model_at(tied, fixed={"covariances": SOME}).fit(X)


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_and_float32_too(family):
    X, start = problem_of(family)
    fixed = {names_of(family)[1]: SOME, "weights": [False, True, False]}
    whole = run(model_at(start, fixed=fixed), X, 6)
    chunked = run(model_at(start, fixed=fixed), Source(np.array_split(X, 5), chunk_bytes=2000), 6)
    single = run(model_at(start, fixed=fixed), X.astype(np.float32), 6)
    for name, expected in learned(whole).items():
        np.testing.assert_allclose(learned(chunked)[name], expected, rtol=1e-9)
        np.testing.assert_allclose(learned(single)[name], expected, rtol=2e-3, atol=1e-3)
