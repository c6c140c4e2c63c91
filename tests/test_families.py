"""What schemes that keep statistics ask of a family."""

import numpy as np
import pytest
from reference import FAMILIES, rows_for

from fastem.compiled import get_passes
from fastem.families import get_family
from fastem.families._contract import Prior
from fastem.problem import Problem
from fastem.sources import ArraySource, Mixture, Wanted

N_COMPONENTS = 3


def posed(name, rng):
    """A problem of the family, parameters somewhere, and means to take statistics about."""
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
    scores = problem.source.score(get_passes(problem.family.name), mixture, Wanted(entropy=True))
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
