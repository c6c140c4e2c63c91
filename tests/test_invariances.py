"""Properties of EM that hold for all data: symmetries, identities, and a lower bound that never falls."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from fits import model_at, run
from hypothesis import given, settings
from hypothesis import strategies as st
from models import learned
from reference import FAMILIES, GAUSSIAN_FAMILIES, Gaussian, Poisson, m_step, rows_for, start_at
from sklearn.base import clone

from fastem import GaussianMixture

pytestmark = pytest.mark.slow

N_ITER = 8
TOLERANCE = 1e-10
MOST_FEATURES = 9

by_family = pytest.mark.parametrize("family", FAMILIES)
by_gaussian_family = pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)


class Size(NamedTuple):
    """A sample: everything else about it follows from the seed."""

    seed: int
    n_rows: int
    n_features: int
    n_components: int


seed_numbers = st.integers(0, 2**32 - 1)
few_rows = st.builds(Size, seed_numbers, st.integers(200, 600), st.integers(1, 5), st.integers(1, 3))
several_slabs = st.builds(Size, seed_numbers, st.integers(7000, 9000), st.integers(1, MOST_FEATURES), st.integers(1, 3))
sizes = few_rows | several_slabs
units_of_measurement = st.one_of(st.integers(-60, 60).map(lambda e: 2.0**e), st.floats(1e-9, 1e9))


def for_some(*strategies):
    """Decorator of a test that takes a `Size`, and values that the strategies draw."""

    def decorate(test):
        drawn = given(sizes, *strategies)(test)
        return settings(derandomize=True, deadline=None, max_examples=20)(drawn)

    return decorate


def sample(family, size):
    """Rows in two overlapping groups, and a start near some of them, so wide that no component collapses.

    Gaussian rows are multiples of 2**-20: they can be shifted by whole numbers without an error.
    """
    X = rows_for(family, size.n_rows, size.n_features, size.seed)
    if family == "poisson":
        return X, start_at(family, X, X[: size.n_components] + 0.5)
    X = np.ldexp(np.round(np.ldexp(X, 20)), -20)
    start = start_at(family, X, (X[: size.n_components] + X.mean(axis=0)) / 2)
    return X, replace(start, covariances=4 * start.covariances)


def uneven_weights(size):
    """Weights (n_rows,), some of them zero."""
    rng = np.random.default_rng(size.seed)
    return rng.uniform(0.5, 2, size.n_rows) * (rng.random(size.n_rows) < 0.8)


def fit(start, X, sample_weight=None):
    return run(model_at(start), X, N_ITER, sample_weight)


def estimated(model):
    """The parameters by name, without the precisions, which follow from them."""
    return {name: value for name, value in learned(model).items() if not name.startswith("precisions")}


def assert_equivalent(actual, expected, jacobian=0.0):
    """Equal parameters, relative to the largest value of each, and bounds that differ by the log of a Jacobian."""
    for name, value in estimated(expected).items():
        np.testing.assert_allclose(getattr(actual, name), value, rtol=0, atol=TOLERANCE * np.abs(value).max())
    bounds = np.array(expected.lower_bounds_)
    np.testing.assert_allclose(np.array(actual.lower_bounds_) + jacobian, bounds, rtol=TOLERANCE, atol=TOLERANCE)


@by_family
@for_some()
def test_the_lower_bound_never_falls(family, size):
    X, start = sample(family, size)
    bounds = np.array(run(model_at(start), X, 20).lower_bounds_)
    assert np.all(np.diff(bounds) >= -TOLERANCE * np.abs(bounds[1:]))


@by_family
@for_some()
def test_the_lower_bound_never_falls_under_weights(family, size):
    X, start = sample(family, size)
    sample_weight = uneven_weights(size)
    bounds = np.array(run(model_at(start), X, 20, sample_weight).lower_bounds_)
    assert np.all(np.diff(bounds) >= -TOLERANCE * np.abs(bounds[1:]))


@by_family
@for_some()
def test_the_order_of_rows_does_not_matter(family, size):
    X, start = sample(family, size)
    shuffled = np.random.default_rng(size.seed).permutation(X)
    assert_equivalent(fit(start, shuffled), fit(start, X))


@by_family
@for_some()
def test_repeated_rows_are_rows_of_greater_weight(family, size):
    X, start = sample(family, size)
    counts = np.random.default_rng(size.seed).integers(4, size=len(X))
    assert_equivalent(fit(start, X, counts), fit(start, np.repeat(X, counts, axis=0)))
    assert_equivalent(fit(start, X, np.full(len(X), 2.0)), fit(start, np.repeat(X, 2, axis=0)))


@by_family
@for_some(st.floats(1e-6, 1e6))
def test_weights_matter_relative_to_each_other_only(family, size, unit):
    X, start = sample(family, size)
    sample_weight = uneven_weights(size)
    assert_equivalent(fit(start, X, unit * sample_weight), fit(start, X, sample_weight))


@by_family
@for_some()
def test_permuting_the_components_of_the_start_permutes_the_answer(family, size):
    X, start = sample(family, size)
    order = np.random.default_rng(size.seed).permutation(size.n_components)
    actual, expected = fit(select_components(start, order), X), fit(start, X)
    for name, value in estimated(expected).items():
        shared = family == "tied" and name == "covariances_"
        setattr(expected, name, value if shared else value[order])
    assert_equivalent(actual, expected)


@by_family
@for_some()
def test_permuting_the_columns_permutes_the_answer(family, size):
    X, start = sample(family, size)
    order = np.random.default_rng(size.seed).permutation(size.n_features)
    actual, expected = fit(select_columns(start, order), np.ascontiguousarray(X[:, order])), fit(start, X)
    if family == "poisson":
        expected.rates_ = expected.rates_[:, order]
    else:
        expected.means_ = expected.means_[:, order]
        expected.covariances_ = select_covariances(family, expected.covariances_, order)
    assert_equivalent(actual, expected)


@by_gaussian_family
@for_some(st.lists(st.integers(-(10**6), 10**6), min_size=MOST_FEATURES, max_size=MOST_FEATURES))
def test_shifting_the_data_shifts_the_means_and_nothing_else(family, size, shift):
    """Data that are shifted exactly lose no digit, even by a million standard deviations."""
    X, start = sample(family, size)
    shift = np.array(shift[: size.n_features])
    actual = fit(replace(start, means=start.means + shift), X + shift)
    expected = fit(start, X)
    expected.means_ = expected.means_ + shift
    assert_equivalent(actual, expected)


@by_gaussian_family
@for_some()
def test_the_answer_moves_with_a_linear_map_of_the_data(family, size):
    """Full and tied covariances follow any map; diagonal ones, the scaling of columns; spheres, a similarity."""
    X, start = sample(family, size)
    assert_moves_with(linear_map(family, size), X, start)


@by_gaussian_family
@for_some(st.lists(units_of_measurement, min_size=MOST_FEATURES, max_size=MOST_FEATURES))
def test_the_units_of_the_data_do_not_matter(family, size, units):
    """Each column has its own unit, except for spheres. Both fits start from the same random responsibilities."""
    X, _ = sample(family, size)
    units = np.full(size.n_features, units[0]) if family == "spherical" else np.array(units[: size.n_features])
    start = {"init_params": "random", "random_state": size.seed % 1000, "reg_covar": 0.0}
    model = GaussianMixture(size.n_components, covariance_type=family, **start)
    actual, expected = run(clone(model), X * units, N_ITER), run(clone(model), X, N_ITER)
    assert_moved(actual, expected, np.diag(units))


def assert_moves_with(matrix, X, start):
    """The fit of matrix @ x is that of x, moved."""
    moved = Gaussian(
        start.family,
        start.weights,
        start.means @ matrix.T,
        map_covariances(start.family, start.covariances, matrix),
    )
    assert_moved(fit(moved, X @ matrix.T), fit(start, X), matrix)


def assert_moved(actual, expected, matrix):
    """Equal parameters, in the coordinates of `expected`."""
    inverse = np.linalg.inv(matrix)
    actual.means_ = actual.means_ @ inverse.T
    actual.covariances_ = map_covariances(actual.covariance_type, actual.covariances_, inverse)
    assert_equivalent(actual, expected, jacobian=np.linalg.slogdet(matrix)[1])


@by_family
@for_some(st.integers(1, 5))
def test_the_mixture_has_the_mean_of_the_data_after_any_step(family, size, n_iter):
    X, start = sample(family, size)
    sample_weight = uneven_weights(size)
    model = run(model_at(start), X, n_iter, sample_weight)
    centres = model.rates_ if family == "poisson" else model.means_
    expected = np.average(X, axis=0, weights=sample_weight)
    assert model.weights_.sum() == pytest.approx(1, rel=1e-14)
    np.testing.assert_allclose(model.weights_ @ centres, expected, rtol=0, atol=1e-12 * np.abs(X).max())


@by_gaussian_family
@for_some(st.integers(1, 5))
def test_the_mixture_has_the_covariance_of_the_data_after_any_step(family, size, n_iter):
    """The whole matrix if covariances are full or tied, its diagonal or its trace in other families."""
    X, start = sample(family, size)
    sample_weight = uneven_weights(size)
    model = run(model_at(start), X, n_iter, sample_weight)
    deviations = model.means_ - model.weights_ @ model.means_
    within = np.einsum("k,kij->ij", model.weights_, covariance_matrices(model))
    between = (deviations * model.weights_[:, None]).T @ deviations
    expected = np.atleast_2d(np.cov(X.T, aweights=sample_weight, bias=True))
    seen = {"full": np.asarray, "tied": np.asarray, "diag": np.diag, "spherical": np.trace}[family]
    np.testing.assert_allclose(seen(within + between), seen(expected), rtol=0, atol=1e-12 * np.abs(expected).max())


@by_family
@for_some()
def test_one_component_is_the_maximum_likelihood_estimate_after_one_step(family, size):
    X, start = sample(family, size._replace(n_components=1))
    expected = m_step(family, X, np.ones((len(X), 1)))
    for name, value in estimated(run(model_at(start), X, 1)).items():
        known = getattr(expected, name.rstrip("_"))
        np.testing.assert_allclose(value, known, rtol=0, atol=1e-12 * np.abs(known).max())


def linear_map(family, size):
    """Well-conditioned matrix of the group that the family is closed under."""
    random = np.random.default_rng(size.seed)
    stretches = random.uniform(0.5, 2, size.n_features)
    rotation, turned = (np.linalg.qr(random.normal(size=(size.n_features,) * 2))[0] for _ in range(2))
    if family == "diag":
        return np.diag(stretches * random.choice([-1, 1], size.n_features))
    return rotation * stretches[0] if family == "spherical" else rotation @ np.diag(stretches) @ turned


def covariance_matrices(model):
    """One matrix per component, whatever the family."""
    n_components, n_features = model.means_.shape
    if model.covariance_type in ("full", "tied"):
        return np.broadcast_to(model.covariances_, (n_components, n_features, n_features))
    return model.covariances_.reshape(n_components, -1, 1) * np.eye(n_features)


def map_covariances(family, covariances, matrix):
    """Covariances of matrix @ x, in the shape of the family."""
    if family in ("full", "tied"):
        return matrix @ covariances @ matrix.T
    return covariances * (np.diag(matrix) ** 2 if family == "diag" else (matrix[0] ** 2).sum())


def select_components(start, order):
    if start.family == "poisson":
        return Poisson(start.weights[order], start.rates[order])
    covariances = start.covariances if start.family == "tied" else start.covariances[order]
    return Gaussian(start.family, start.weights[order], start.means[order], covariances)


def select_columns(start, order):
    if start.family == "poisson":
        return replace(start, rates=np.ascontiguousarray(start.rates[:, order]))
    return replace(
        start,
        means=np.ascontiguousarray(start.means[:, order]),
        covariances=select_covariances(start.family, start.covariances, order),
    )


def select_covariances(family, covariances, order):
    if family == "spherical":
        return covariances
    columns = covariances[..., order]
    return np.ascontiguousarray(columns if family == "diag" else columns[..., order, :])
