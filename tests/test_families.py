"""Functions of families for schemes that keep statistics."""

import math
from decimal import Decimal

import numpy as np
import pytest
from fits import model_at, run
from reference import FAMILIES, Gaussian, Poisson, log_likelihood, m_step, responsibilities, rows_for
from scipy.special import gammaln, logsumexp, xlogy

from fastem.data import ArraySource, Mixture, Wanted
from fastem.em.problem import Problem
from fastem.engine.compiled import get_passes
from fastem.families import get_family
from fastem.families._contract import Prior
from fastem.families._parameters import count_free

N_COMPONENTS = 3


def posed(name, rng):
    """A problem of the family, a mixture after one iteration, and other means for statistics."""
    family = get_family(name if name == "poisson" else f"gaussian-{name}")
    X = rows_for(name, 400)
    problem = Problem(family, ArraySource(X), Prior())
    start = Mixture(np.array([0.2, 0.3, 0.5]), family.params_at(X[:N_COMPONENTS] + 0.5))
    mixture = problem.maximise(problem.expect(start), start)
    return problem, mixture, X[5 : 5 + N_COMPONENTS] + 0.25


@pytest.mark.parametrize("name", FAMILIES)
def test_shifted_statistics_are_those_about_the_other_means(name, rng):
    problem, mixture, means = posed(name, rng)
    sweep = problem.expect(mixture)
    shifted = problem.shift(sweep, problem.means(mixture), means)
    there = problem.maximise(shifted, problem.about(mixture, means))
    here = problem.maximise(sweep, mixture)
    direct = problem.maximise(problem.expect(problem.about(mixture, means)), problem.about(mixture, means))
    for other in (there, direct):
        for field, expected in problem.family.describe(here.params).items():
            actual = problem.family.describe(other.params)[field]
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9, err_msg=field)
    back = problem.shift(shifted, means, problem.means(mixture))
    there = problem.maximise(back, mixture)
    np.testing.assert_allclose(there.params[0], here.params[0], rtol=1e-10)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_bound_is_the_expected_log_density_and_the_entropy(name, rng):
    """E_q[log p(x, z)] + H(q) is the log-likelihood where q is the posterior."""
    problem, mixture, means = posed(name, rng)
    sweep = problem.expect(problem.about(mixture, means))
    scores = problem.source.score(get_passes(problem.family), mixture, Wanted(entropy=True))
    complete = problem.complete(sweep, means, mixture)
    assert complete + scores.entropy == pytest.approx(sweep.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_m_step_maximises_what_the_family_says_it_expects(name, rng):
    problem, mixture, _ = posed(name, rng)
    sweep, means = problem.expect(mixture), problem.means(mixture)
    best = problem.maximise(sweep, mixture)
    top = problem.complete(sweep, means, best)
    assert top > problem.complete(sweep, means, mixture)
    vector = problem.family.pack(best.params)
    for _ in range(20):
        moved = problem.family.unpack(vector + 1e-3 * rng.normal(size=vector.shape), best.params)
        assert problem.complete(sweep, means, best._replace(params=moved)) < top


@pytest.mark.parametrize("name", FAMILIES)
def test_unpacking_is_the_inverse_of_packing(name, rng):
    problem, mixture, _ = posed(name, rng)
    vector = problem.family.pack(mixture.params)
    assert np.isfinite(vector).all()
    again = problem.family.unpack(vector, mixture.params)
    np.testing.assert_allclose(problem.family.pack(again), vector, rtol=1e-12, atol=1e-12)
    same = Mixture(mixture.weights, again)
    assert problem.log_likelihood(same) == pytest.approx(problem.log_likelihood(mixture), rel=1e-12)


@pytest.mark.parametrize("name", ["full", "tied"])
def test_matrices_of_two_hundred_features(name, rng):
    X = rows_for(name, 320, 200)
    covariances = 30 * np.var(X) * np.cov(rng.normal(size=(200, 600)))  # so wide that components overlap
    start = Gaussian(
        name, np.full(3, 1 / 3), X[:3], covariances if name == "tied" else covariances * np.ones((3, 1, 1))
    )
    model = run(model_at(start, reg_covar=1.0), X, 1)
    expected = m_step(name, X, responsibilities(X, start), reg_covar=1.0)
    assert model.lower_bound_ == pytest.approx(log_likelihood(X, start) / len(X), rel=1e-10)
    np.testing.assert_allclose(model.means_, expected.means, rtol=0, atol=1e-9 * np.std(X))
    np.testing.assert_allclose(model.covariances_, expected.covariances, rtol=0, atol=1e-9 * np.var(X))


@pytest.mark.parametrize("name", ["diag", "poisson"])
def test_two_hundred_features_and_three_hundred_components(name, rng):
    X, weights = rows_for(name, 400, 200), np.full(300, 1 / 300)
    if name == "diag":
        start = Gaussian(name, weights, X[:300], 30 * np.var(X) * rng.uniform(1, 2, size=(300, 200)))
        squares = (X[:, None] - start.means) ** 2 / start.covariances + np.log(2 * np.pi * start.covariances)
        joint = -0.5 * squares.sum(axis=2)
    else:
        start = Poisson(weights, X.mean(axis=0) + rng.uniform(-0.2, 0.2, size=(300, 200)))
        joint = (
            xlogy(X[:, None], start.rates).sum(axis=2) - start.rates.sum(axis=1) - gammaln(X + 1).sum(axis=1)[:, None]
        )
    density = logsumexp(joint, axis=1)
    resp = np.exp(joint - density[:, None])
    assert np.exp(-xlogy(resp, resp).sum(axis=1)).mean() > 2  # effective number of components of a row
    model = run(model_at(start, **({"reg_covar": 1.0} if name == "diag" else {})), X, 1)
    assert model.lower_bound_ == pytest.approx(density.mean() - np.log(300), rel=1e-12)
    totals = resp.sum(axis=0)
    np.testing.assert_allclose(model.weights_, totals / len(X), rtol=1e-9)
    means = resp.T @ X / totals[:, None]
    np.testing.assert_allclose(model.rates_ if name == "poisson" else model.means_, means, rtol=1e-9, atol=1e-9)
    if name == "diag":
        variances = np.einsum("nk,nkd->kd", resp, (X[:, None] - means) ** 2) / totals[:, None]
        np.testing.assert_allclose(model.covariances_, variances + 1.0, rtol=1e-9)


def test_a_covariance_that_is_kept_keeps_its_factor_whatever_rounding_made_of_it():
    family = get_family("gaussian-full")
    params = family.params_at(np.array([[0.0, 0.0], [5.0, 5.0]]))
    params = params._replace(covariances=np.array([[[1.0, 1.0], [1.0, 1.0]], np.eye(2)]), lower=2.0 * params.lower)
    stats = np.tile([0.0, 0.0, 3.0, 0.0, 0.0, 3.0], 2)
    after = family.m_step(np.array([2.0, 1.0]), stats, params, Prior(kept={"covariances": np.array([True, False])}))
    np.testing.assert_array_equal(after.covariances, [params.covariances[0], 3.0 * np.eye(2)])
    np.testing.assert_array_equal(after.lower[0], params.lower[0])
    np.testing.assert_allclose(after.lower[1], np.eye(2) / np.sqrt(3.0))


def test_counts_that_rounding_leaves_below_zero_give_a_rate_of_zero():
    family = get_family("poisson")
    params = family.params_at(np.full((2, 2), 3.0))
    after = family.m_step(np.array([2.0, 1.0]), np.array([-1e-17, 4.0, 0.0, 1.0]), params, Prior())
    np.testing.assert_array_equal(after.rates, [[0.0, 2.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "counts"),
    [("full", (18, 42)), ("tied", (12, 22)), ("diag", (12, 24)), ("spherical", (8, 15)), ("poisson", (6, 12))],
)
def test_free_parameters_are_those_of_the_means_and_of_symmetric_covariances(name, counts):
    family = get_family(name if name == "poisson" else f"gaussian-{name}")
    assert tuple(count_free(family.parameters, sizes, {}) for sizes in ((2, 3), (3, 4))) == counts


def test_the_largest_probability_of_a_count_is_exact():
    """The term log p(x | x) that components of large counts share, below and within the range of Stirling's series."""
    counts = np.array([*range(1, 60), 1000, 5000])[:, None]
    exact = [float(x * Decimal(x).ln() - x - Decimal(math.factorial(x)).ln()) for x in counts[:, 0].tolist()]
    for name in ("poisson.deviance", "poisson.cells.deviance"):
        np.testing.assert_allclose(get_family(name).log_base(counts), exact, rtol=0, atol=3e-14)
    assert get_family("poisson.deviance").log_base(np.zeros((1, 2))) == [0.0]
