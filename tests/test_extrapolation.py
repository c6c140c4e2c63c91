"""Extrapolation of vectors: its formulas on linear maps, whose fixed points are known."""

import numpy as np
import pytest

from fastem.em.algorithms.extrapolation import METHODS, Anderson, Squarem


def linear_map(rng, n, largest=0.95):
    """A contraction x -> M x + c by a matrix with eigenvalues of 0.1 to `largest`, and its fixed point."""
    basis = rng.normal(size=(n, n)) + 2 * np.eye(n)
    matrix = basis @ np.diag(np.linspace(0.1, largest, n)) @ np.linalg.inv(basis)
    constant = rng.normal(size=n)
    return lambda x: matrix @ x + constant, np.linalg.solve(np.eye(n) - matrix, constant)


def iterate(method, step, point, n_steps):
    """The last image after so many evaluations, if all proposals of a method are accepted."""
    for _ in range(n_steps):
        image = step(point)
        proposal = method.propose(point, image)
        point = image if proposal is None else proposal
    return image


def test_squarem_is_exact_where_one_eigenvalue_is_left(rng):
    """Along one direction x - x* shrinks by a constant factor: the step of length |r| / |v| ends at the fixed point."""
    fixed, direction = rng.normal(size=3), rng.normal(size=3)
    method, points = Squarem(), [fixed + 0.6**n * direction for n in range(3)]
    assert method.propose(points[0], points[1]) is None
    np.testing.assert_allclose(method.propose(points[1], points[2]), fixed, atol=1e-12)
    assert method.length == pytest.approx(1 / 0.4)


def test_squarem_steps_no_farther_than_its_longest_step_which_grows_and_shrinks(rng):
    points = [0.99**n * np.ones(2) for n in range(3)]
    method = Squarem()
    method.propose(points[0], points[1])
    r, v = points[1] - points[0], points[2] - 2 * points[1] + points[0]
    np.testing.assert_allclose(method.propose(points[1], points[2]), points[0] + 8 * r + 16 * v, rtol=1e-12)
    assert method.propose(points[2], points[2]) is None  # the image of a proposal is where the next cycle begins
    assert method.longest == 16.0
    method.reject()
    method.reject()
    method.reject()
    assert method.longest == 2.0


@pytest.mark.parametrize("points", [[0.0, 1.0, 2.0], [0.0, 1.0, 0.0], [3.0, 3.0, 3.0]], ids=str)
def test_squarem_proposes_nothing_where_steps_do_not_shrink_or_turn_back(points):
    """Equal steps give no finite length, and a step back gives a length below that of an EM step."""
    method, (first, second, third) = Squarem(), (np.array([point]) for point in points)
    assert method.propose(first, second) is None
    assert method.propose(second, third) is None


def test_anderson_solves_a_linear_map_in_as_many_steps_as_it_has_dimensions(rng):
    step, fixed = linear_map(rng, 3, 0.8)
    found = iterate(Anderson(memory=5), step, np.zeros(3), 6)
    np.testing.assert_allclose(found, fixed, rtol=1e-6)
    plain = np.zeros(3)
    for _ in range(6):
        plain = step(plain)
    assert np.abs(found - fixed).max() < 1e-4 * np.abs(plain - fixed).max()


def test_anderson_keeps_its_memory_short_and_forgets_when_rejected(rng):
    step, _ = linear_map(rng, 8)
    method = Anderson(memory=2)
    iterate(method, step, np.zeros(8), 10)
    assert len(method.points) == len(method.images) == 3
    method.reject()
    assert method.propose(np.zeros(8), step(np.zeros(8))) is None


def test_anderson_proposes_nothing_where_nothing_moves():
    method, still = Anderson(), np.ones(2)
    assert method.propose(still, still) is None
    assert method.propose(still, still) is None


@pytest.mark.parametrize("name", METHODS)
def test_a_slow_linear_map_is_found_sooner(name, rng):
    step, fixed = linear_map(rng, 6, 0.99)
    found, plain = iterate(METHODS[name](), step, np.zeros(6), 60), np.zeros(6)
    for _ in range(60):
        plain = step(plain)
    assert np.abs(found - fixed).max() < 0.1 * np.abs(plain - fixed).max()


@pytest.mark.parametrize("name", METHODS)
def test_no_method_writes_to_what_it_is_shown(name, rng):
    step, _ = linear_map(rng, 4)
    method, point = METHODS[name](), np.zeros(4)
    for _ in range(8):
        image = step(point)
        before = point.copy(), image.copy()
        proposal = method.propose(point, image)
        assert (point == before[0]).all()
        assert (image == before[1]).all()
        point = image if proposal is None else proposal
