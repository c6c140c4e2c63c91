"""Acceleration reaches the same maximum in fewer passes, and never lowers the bound."""

import numpy as np
import pytest
from fits import fall, model_at, run, slow_problem
from known_answers import DEATH_ROWS, DEATHS_START
from reference import FAMILIES

from fastem import GaussianMixture, PoissonMixture
from fastem.em.algorithms.accelerated import State, advance, begin

DEATHS_MAXIMUM = -1989.945859882964


@pytest.mark.parametrize("acceleration", ["squarem", "anderson"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_accelerated_fit_never_lowers_the_reported_bound(family, acceleration):
    X, start = slow_problem(family)
    model = run(model_at(start, acceleration=acceleration), X, 80)
    assert fall(model.lower_bounds_) <= 0.0
    assert model.score(X) >= model.lower_bound_ - 1e-12 * abs(model.lower_bound_)


@pytest.mark.parametrize(("acceleration", "evaluations"), [("squarem", 60), ("anderson", 60)])
def test_acceleration_finds_the_maximum_that_takes_em_thousands_of_iterations(acceleration, evaluations):
    plain = run(PoissonMixture(**DEATHS_START), DEATH_ROWS, 1500)
    assert plain.lower_bound_ * len(DEATH_ROWS) < DEATHS_MAXIMUM - 1e-7
    model = run(PoissonMixture(acceleration=acceleration, **DEATHS_START), DEATH_ROWS, evaluations)
    assert model.lower_bound_ * len(DEATH_ROWS) == pytest.approx(DEATHS_MAXIMUM, abs=2e-9)
    np.testing.assert_allclose(sorted(model.rates_[:, 0]), [1.2560951012662, 2.6634043566619], rtol=1e-4)


def test_squarem_takes_a_fifth_of_the_passes_on_overlapping_clusters():
    rng = np.random.default_rng(1)
    centres = 1.5 * rng.normal(size=(3, 2))
    X = centres[rng.integers(3, size=5000)] + rng.normal(size=(5000, 2))
    start = {
        "n_components": 3,
        "weights_init": np.full(3, 1 / 3),
        "means_init": centres + 0.3 * rng.normal(size=centres.shape),
        "precisions_init": np.tile(np.eye(2), (3, 1, 1)),
    }
    plain = np.array(run(GaussianMixture(**start), X, 1500).lower_bounds_)
    squarem = np.array(run(GaussianMixture(acceleration="squarem", **start), X, 300).lower_bounds_)
    target = plain[-1] - 1e-6
    assert (plain >= target).argmax() > 300  # plain EM is slow here
    assert squarem[-1] >= target
    assert (squarem >= target).argmax() + 1 <= ((plain >= target).argmax() + 1) / 5


def test_acceleration_goes_with_em_only():
    with pytest.raises(ValueError, match="acceleration='squarem' goes with algorithm='em' only, not with Hard"):
        GaussianMixture(algorithm="hard", acceleration="squarem").fit(DEATH_ROWS)


class Cliff:
    """Points 0, 1, 2, ..., each mapped to the next. Bounds rise up to 99, that of 100 is low, and 101 is degenerate."""

    slack = np.inf

    def evaluate(self, point):
        if point[0] == 101.0:
            raise ValueError("degenerate")
        return point + 1.0, float(point[0]) if point[0] < 100.0 else 0.5

    def pack(self, point):
        return point

    def unpack(self, vector, like):
        return vector


class Leap:
    """Proposes 100 once."""

    def __init__(self):
        self.leaps, self.rejections = 1, 0

    def propose(self, point, image):
        self.leaps -= 1
        return np.array([100.0]) if self.leaps == 0 and point[0] == 1.0 else None

    def reject(self):
        self.rejections += 1


def test_a_step_that_degenerates_after_an_extrapolation_goes_back_to_the_best_point():
    method = Leap()
    method.leaps = 2
    state = State(np.array([0.0]), method, None, np.array([0.0]), -np.inf, 0)
    visited, bounds = [], []
    for _ in range(6):
        visited.append(float(state.point[0]))
        step = advance(Cliff(), state)
        state = step.state
        bounds.append(step.lower_bound)
    assert visited == [0.0, 1.0, 100.0, 101.0, 2.0, 3.0]
    assert method.rejections == 1
    assert bounds == [0.0, 1.0, 1.0, 1.0, 2.0, 3.0]


def test_a_plain_step_that_degenerates_raises():
    state = State(np.array([101.0]), Leap(), None, np.array([101.0]), -np.inf, 0)
    state = state._replace(best=state.point)
    with pytest.raises(ValueError, match="degenerate"):
        advance(Cliff(), state)


class Summit:
    """A maximum, whose bound is computed a little lower each time after the first."""

    slack = 1.0

    def __init__(self):
        self.bounds = iter([0.0] + 99 * [-1e-16])

    def evaluate(self, point):
        return point.copy(), next(self.bounds)

    def pack(self, point):
        return point

    def unpack(self, vector, like):
        return vector


@pytest.mark.parametrize("acceleration", ["squarem", "anderson"])
def test_rounding_at_the_maximum_does_not_keep_a_fit_from_its_end(acceleration):
    space, state, changes = Summit(), begin(acceleration, np.array([1.0])), []
    for _ in range(20):
        step = advance(space, state)
        state = step.state
        if step.settled:
            changes.append(step.change)
    assert changes[0] is None
    assert changes[1] == -1e-16
