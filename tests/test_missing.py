"""NaN is a value that is missing at random: the likelihood is that of the observed values."""

from dataclasses import replace

import numpy as np
import pandas
import pytest
import reference_incomplete as naive
from fits import model_at, run
from hypothesis import given
from hypothesis import strategies as st
from incomplete import ALGORITHMS, PATTERNS, PROPERTY, holes, incomplete_rows, marginal, weighted_mean
from known_answers import (
    FITNESS,
    FITNESS_COVARIANCE,
    FITNESS_LOG_LIKELIHOOD,
    FITNESS_MEAN,
    FOUR_ROWS,
    FOUR_ROWS_MEAN,
    assert_meets,
)
from models import difference, learned, parameters_of
from reference import FAMILIES, GAUSSIAN_FAMILIES, Gaussian, arrays, movement, rows_for, start_at

from fastem import GaussianMixture, Incremental, PoissonMixture, Stepwise
from fastem.data.patterns import find_patterns
from fastem.data.row_info import NOTHING

pytestmark = pytest.mark.slow

# Known answers


def test_the_maximum_of_fitness():
    model = GaussianMixture(missing="marginalize", reg_covar=0.0)
    model = run(model, FITNESS, 500)
    for value, figure in zip(model.means_[0], FITNESS_MEAN, strict=True):
        assert_meets(value, figure)
    for value, figure in zip(model.covariances_[0][np.tril_indices(3)], FITNESS_COVARIANCE, strict=True):
        assert_meets(value, figure)
    assert_meets(model.score_samples(FITNESS).sum(), FITNESS_LOG_LIKELIHOOD)


def test_one_step_from_the_moments_of_what_is_there():
    X = np.array(FOUR_ROWS)
    mean = np.nanmean(X, axis=0)
    residuals = np.where(np.isnan(X), mean, X) - mean
    start = Gaussian("full", np.ones(1), mean[None], (residuals.T @ residuals / 4)[None])
    model = run(marginal(start), X, 1)
    for value, figure in zip(model.means_[0], FOUR_ROWS_MEAN, strict=True):
        assert_meets(value, figure)


# The reference


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_and_the_likelihood_are_the_reference_s(family, n_features, n_components):
    for n_rows, weighted in ((70, False), (200, True)):
        X, start = incomplete_rows(family, n_rows, n_features, n_components)
        weights = np.random.default_rng(1).integers(0, 4, n_rows) + 0.5 if weighted else None
        rows = naive.Rows(X)
        model = run(marginal(start), X, 1, weights)
        expected = naive.em_step(rows, start, weights)
        assert movement(expected, parameters_of(family, model)) < 1e-9
        before = weighted_mean(naive.score_samples(rows, start), weights)
        assert model.lower_bound_ == pytest.approx(before, rel=1e-9)
        np.testing.assert_allclose(model.score_samples(X), naive.score_samples(rows, expected), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            model.predict_proba(X), naive.responsibilities(rows, expected), rtol=1e-7, atol=1e-10
        )
        assert model.score(X, sample_weight=weights) == pytest.approx(
            weighted_mean(naive.score_samples(rows, expected), weights), rel=1e-9
        )


@pytest.mark.parametrize(("n_rows", "n_features"), [(200, 8), (1000, 3)])
@pytest.mark.parametrize("family", FAMILIES)
def test_ten_steps_whether_patterns_are_rare_or_common(family, n_rows, n_features):
    X, start = incomplete_rows(family, n_rows, n_features)
    model = run(marginal(start), X, 10)
    expected = start
    for _ in range(10):
        expected = naive.em_step(naive.Rows(X), expected)
    assert movement(expected, parameters_of(family, model)) < 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_that_is_missing_wholly_counts_and_tells_nothing(family):
    X, start = incomplete_rows(family)
    model = run(marginal(start), X, 5)
    nothing = np.full((1, 3), np.nan)
    np.testing.assert_allclose(model.predict_proba(nothing), [model.weights_], rtol=1e-12)
    assert model.score_samples(nothing)[0] == pytest.approx(0.0, abs=1e-12)
    assert model.bic(np.vstack([X, nothing])) - model.bic(X) == pytest.approx(
        model.n_parameters_ * np.log1p(1 / len(X)), rel=1e-9
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_missing_is_the_plain_fit(family):
    X = rows_for(family, 300)
    start = start_at(family, X, X[:2] + 0.5)
    plain = learned(run(model_at(start), X, 5))
    actual = learned(run(marginal(start), X, 5))
    assert all((actual[name] == plain[name]).all() for name in plain)
    kind = PoissonMixture if family == "poisson" else GaussianMixture
    options = {} if family == "poisson" else {"covariance_type": family}
    plain = run(kind(2, random_state=0, **options), X, 5)
    actual = run(kind(2, random_state=0, missing="marginalize", **options), X, 5)
    assert all((learned(actual)[name] == expected).all() for name, expected in learned(plain).items())
    assert (actual.score_samples(X) == plain.score_samples(X)).all()


# Properties of EM


@pytest.mark.parametrize("family", FAMILIES)
@PROPERTY
@given(seed=PATTERNS, share=st.floats(0.0, 0.8), n_features=st.integers(1, 4))
def test_the_bound_never_falls(family, seed, share, n_features):
    X = rows_for(family, 150, n_features, seed)
    start = start_at(family, X, (X[:2] + X.mean(axis=0)) / 2)
    if family != "poisson":
        start = replace(start, covariances=4 * start.covariances)  # so wide that no component collapses
    X = holes(X, np.random.default_rng(seed), share)
    regularised = {} if family == "poisson" else {"prior": "conjugate"}
    for options in ({}, {"algorithm": Incremental(3)}, regularised):
        model = run(marginal(start, **options), X, 12)
        assert np.diff(model.lower_bounds_).min() > -1e-10
        assert np.isfinite(model.lower_bound_)


@pytest.mark.parametrize("options", ALGORITHMS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_algorithm(family, options):
    X, start = incomplete_rows(family, 400)
    model = run(marginal(start, random_state=0, **options), X, 25)
    bounds = np.array(model.lower_bounds_)
    if options.get("algorithm") in ("stochastic", Stepwise(50)):
        assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-12)
        assert model.lower_bound_ > naive.score_samples(naive.Rows(X), start).mean()
    else:
        assert np.diff(bounds).min() > -1e-9
    if options.get("algorithm") not in ("stochastic", "hard", Stepwise(50)):
        best = marginal(start, tol=1e-13, max_iter=5000).fit(X)
        converged = marginal(start, tol=1e-13, max_iter=5000, random_state=0, **options).fit(X)
        assert converged.score(X) == pytest.approx(best.score(X), abs=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_of_columns_and_their_units_do_not_matter(family):
    X, start = incomplete_rows(family, 200, 4)
    model = run(marginal(start), X, 8)
    order = np.array([2, 0, 3, 1])
    permuted = rows_for(family, 200, 4)[:, order]
    other = run(marginal(start_at(family, permuted, permuted[:2] + 0.5)), X[:, order], 8)
    np.testing.assert_allclose(other.lower_bounds_, model.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(
        arrays(parameters_of(family, other))["rates" if family == "poisson" else "means"],
        arrays(parameters_of(family, model))["rates" if family == "poisson" else "means"][:, order],
        rtol=1e-9,
    )
    if family in ("full", "tied"):
        expected = model.covariances_[..., order, :][..., order]
        np.testing.assert_allclose(other.covariances_, expected, rtol=1e-8, atol=1e-9)
    if family in ("full", "tied", "diag"):
        scale = np.array([1.0, 2.0**20, 1.0, 2.0**-30])
        scaled = rows_for(family, 200, 4) * scale
        other = run(marginal(start_at(family, scaled, (rows_for(family, 200, 4)[:2] + 0.5) * scale)), X * scale, 8)
        np.testing.assert_allclose(other.means_ / scale, model.means_, rtol=1e-9)
        square = scale**2 if family == "diag" else scale[:, None] * scale
        np.testing.assert_allclose(other.covariances_ / square, model.covariances_, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("options", [{"prior": "conjugate"}, {"fixed": {"means": [True, False]}}], ids=str)
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_no_neighbour_is_better(family, options, rng):
    """Under a prior or with a fixed mean, too: a fit's first bound is greatest if it starts where a fit has ended."""
    X, start = incomplete_rows(family, 200)
    model = marginal(start, tol=1e-14, max_iter=5000, **options).fit(X)
    end = parameters_of(family, model)
    best = run(marginal(end, **options), X, 1).lower_bound_
    assert best == pytest.approx(model.lower_bound_, abs=1e-9)
    for _ in range(10):
        change = 1e-3 * rng.normal(size=end.means.shape)
        change[0] *= "prior" in options
        factor = np.exp(1e-3 * rng.normal())
        near = Gaussian(family, end.weights, end.means + change, end.covariances * factor)
        assert run(marginal(near, **options), X, 1).lower_bound_ <= best + 1e-10


def test_means_that_are_fixed_stay():
    X, start = incomplete_rows("full")
    model = run(marginal(start, fixed={"means": [True, False]}), X, 8)
    np.testing.assert_array_equal(model.means_[0], start.means[0])
    assert np.diff(model.lower_bounds_).min() > -1e-10


def test_thirty_per_cent_missing_of_a_large_sample():
    """A mean of n values has the standard error sigma / sqrt(n). Missing 30 % of them at random loses at most 30 % of
    the information, so the two estimates differ by about sigma sqrt(0.43 / n); the test allows five times that."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 8)) * 6
    mixing = rng.normal(size=(4, 8, 8)) / 3 + np.eye(8)
    labels = rng.integers(4, size=100_000)
    complete = centres[labels] + np.einsum("nij,nj->ni", mixing[labels], rng.normal(size=(100_000, 8)))
    X = np.where(rng.uniform(size=complete.shape) < 0.3, np.nan, complete)
    model = GaussianMixture(4, means_init=centres, missing="marginalize", random_state=0, tol=1e-5).fit(X)
    best = GaussianMixture(4, means_init=centres, random_state=0, tol=1e-5).fit(complete)
    size = 100_000 * best.weights_[:, None]
    variances = np.diagonal(best.covariances_, axis1=1, axis2=2)
    assert (np.abs(model.means_ - best.means_) < 5 * np.sqrt(0.43 * variances / size)).all()
    spread = np.sqrt((variances[:, :, None] * variances[:, None, :] + best.covariances_**2) / size[:, None])
    assert (np.abs(model.covariances_ - best.covariances_) < 5 * spread).all()
    assert difference(model, best) < 0.1


# Errors


def test_a_count_that_is_none_is_named():
    X = rows_for("poisson", 50)
    X[3, 1], X[7, 2] = np.nan, 0.5
    with pytest.raises(ValueError, match="row 7, column 2"):
        PoissonMixture(missing="marginalize").fit(X)


@pytest.mark.parametrize("family", ["full", "diag", "spherical"])
def test_a_component_without_spread_is_named(family):
    X = np.vstack([np.zeros((30, 2)), rows_for("full", 30, 2) + 50])
    X[::3, 1] = np.nan
    model = GaussianMixture(2, covariance_type=family, missing="marginalize", reg_covar=0.0, random_state=0)
    with pytest.raises(ValueError, match="component"):
        model.set_params(max_iter=500, tol=0.0).fit(X)


def test_columns_that_are_never_seen_are_named():
    X = np.arange(12.0).reshape(4, 3)
    X[:, 1] = np.nan
    model = GaussianMixture(1, missing="marginalize")
    with pytest.raises(ValueError, match="missing in column 1 of X"):
        model.fit(X)
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match="missing in columns 'b', 'c' of X"):
        model.fit(pandas.DataFrame(X, columns=["a", "b", "c"]))


@pytest.mark.parametrize("n_columns", [1, 8, 9, 64, 65, 130])
def test_rows_are_of_one_pattern_if_the_same_columns_are_missing(n_columns, rng):
    X = np.zeros((400, n_columns))
    patterns = rng.random((4, n_columns)) < 0.5
    patterns[:, -1] = [0, 1, 0, 1]
    patterns[:, 0] = [0, 0, 1, 1] if n_columns > 1 else patterns[:, 0]
    X[np.repeat(patterns, 100, axis=0)] = np.nan
    found = find_patterns(X, None, NOTHING, np.zeros(n_columns))
    sizes = [size for group in found.groups for size in np.bincount(group.which, np.diff(group.bounds))]
    some = ~patterns.all(axis=1)
    assert sum(sizes) + len(found.rest) == 400
    assert len(sizes) == len(np.unique(patterns[some], axis=0))
