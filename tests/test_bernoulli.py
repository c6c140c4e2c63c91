"""Mixtures of zeros and ones: probabilities of zero and one, priors, starts, and the kernels' blocks."""

import numpy as np
import pytest
from cases import CASES
from fits import run
from reference_bernoulli import Bernoulli, binary_rows
from scipy.stats import beta
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastem import BernoulliMixture
from fastem.kernels import binary


class Signs(BernoulliMixture):
    """Mixture of the signs of numbers, because scikit-learn's checks use data other than zeros and ones."""

    def _values(self, X, known, **options):
        values = super()._values(X, known, **options)
        return np.where(np.isnan(values), values, values > 0).astype(values.dtype)


@parametrize_with_checks([Signs(), Signs(missing="marginalize")])
def test_estimator_convention(estimator, check):
    check(estimator)


CASE = next(case for case in CASES if case.name == "bernoulli")


def test_a_row_that_no_component_allows_has_density_zero():
    """For probabilities of exactly zero and one."""
    X = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]] * 10)
    model = run(CASE.model(n_components=1), X, 2)
    np.testing.assert_array_equal(model.probabilities_, [[1.0, 0.0, 0.5]])
    np.testing.assert_allclose(model.score_samples(X[:1]), np.log(0.5), rtol=1e-14)
    assert (model.score_samples([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]) == -np.inf).all()
    model.set_params(missing="marginalize")
    assert (model.score_samples([[0.0, np.nan, 1.0], [np.nan, 1.0, 1.0]]) == -np.inf).all()
    np.testing.assert_allclose(model.score_samples([[1.0, np.nan, np.nan]]), 0.0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (3, 2), (4, 7), (10, 33)])
def test_blocks_of_any_shape_sum_what_products_of_matrices_do(n_components, n_features, dtype, rng):
    rows, shape = 192, (n_components, n_features)
    tile = (rng.uniform(size=(n_features, rows)) < 0.4).astype(dtype)
    present, constant = rng.normal(size=shape).astype(dtype), rng.normal(size=n_components).astype(dtype)
    out, stats = np.empty((n_components, rows), dtype), np.zeros(n_components * n_features)
    binary.log_probabilities(present, np.zeros(shape, dtype), constant, tile, out)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(out, constant[:, None] + present @ tile, rtol=0, atol=50 * tolerance)
    resp = rng.uniform(size=(n_components, rows)).astype(dtype)
    binary.weighted_sums(resp, tile, stats)
    np.testing.assert_allclose(stats.reshape(shape), resp.astype(float) @ tile.T, rtol=0, atol=100 * tolerance)


def test_a_beta_prior_is_maximised_and_counted_in_the_bound():
    X = binary_rows(200)
    start = Bernoulli.at(X, X[:2])
    a, b = 3.0, 1.5
    model = run(CASE.model(start, prior=(a, b)), X, 400)
    assert min(np.diff(model.lower_bounds_)) > -1e-12
    mass = model.predict_proba(X)
    expected = (mass.T @ X + a - 1) / (mass.sum(axis=0)[:, None] + a + b - 2)
    np.testing.assert_allclose(model.probabilities_, expected, atol=1e-5)
    density = beta(a, b).logpdf(model.probabilities_).sum()
    last = run(CASE.model(start, prior=(a, b)), X, 401).lower_bound_
    assert last == pytest.approx(model.score(X) + density / len(X), abs=1e-9)


@pytest.mark.parametrize("prior", [0.5, (1.0, np.inf), (1.0, 2.0, 3.0), (np.nan, 1.0)])
def test_priors_without_a_mode_are_refused(prior):
    with pytest.raises(ValueError, match="prior must be a number or two"):
        BernoulliMixture(prior=prior).fit(binary_rows())


def test_truth_values_and_integers_are_zeros_and_ones():
    X = binary_rows()
    model = BernoulliMixture(2, random_state=0).fit(X)
    for other in (X.astype(bool), X.astype(np.int8), X.astype(np.uint64)):
        np.testing.assert_array_equal(
            BernoulliMixture(2, random_state=0).fit(other).probabilities_, model.probabilities_
        )


@pytest.mark.parametrize("value", [2.0, 0.5, -1.0])
def test_other_numbers_are_refused_with_their_place(value):
    X = binary_rows()
    X[7, 1] = value
    with pytest.raises(ValueError, match=r"needs zeros and ones, but X contains .* in row 7, column 1"):
        BernoulliMixture().fit(X)


def test_a_start_from_a_sample_that_lacks_a_rare_one_does_not_exclude_it():
    X = np.zeros((400, 3))
    X[:200, 0] = 1.0
    X[399, 2] = 1.0
    model = BernoulliMixture(2, init_size=20, random_state=0).fit(X)
    assert np.isfinite(model.score(X))
    assert model.weights_ @ model.probabilities_[:, 2] == pytest.approx(1 / 400, rel=1e-6)
