"""M-steps of the fourteen covariance structures, against their definition."""

import numpy as np
import pytest
from reference_structures import (
    CLOSED,
    NAMES,
    SHARING_AXES,
    climbed,
    compose,
    estimate,
    factors_of,
    numbers_of,
    objective,
    random_covariances,
)

from fastem.families import ComponentError, get_family
from fastem.families._contract import Conjugate, Prior
from fastem.families._decomposition import violation

pytestmark = pytest.mark.slow

K, D = 3, 4
EPS = np.finfo(float).eps


def problem(rng, n_components=K, n_features=D):
    """Masses (K,), and average scatters about the new means (K, d, d)."""
    mass = rng.uniform(50.0, 300.0, n_components)
    factors = rng.normal(size=(n_components, n_features, n_features))
    averages = factors @ np.swapaxes(factors, 1, 2) / n_features + 0.2 * np.eye(n_features)
    return mass, averages


def statistics(family, mass, averages, step):
    """Statistics of a pass: moments of rows about the old means; the new means differ from these by `step`."""
    first = mass[:, None] * step
    second = mass[:, None, None] * (averages + step[:, :, None] * step[:, None, :])
    return family.arrange(first, second)


def params_of(family, covariances, means=None):
    means = np.zeros(covariances.shape[:2]) if means is None else means
    return family.restore(family.complete({"means": means, "covariances": covariances}))


def stepped(name, mass, averages, before, step=None, prior=None):
    """Covariances after an M-step."""
    family = get_family(f"gaussian-{name}")
    step = np.zeros(averages.shape[:2]) if step is None else step
    stats = statistics(family, mass, averages, step)
    after = family.m_step(mass, stats, params_of(family, before), prior or Prior())
    np.testing.assert_allclose(after.means, step, atol=1e-12)
    return family.describe(after)["covariances"]


def converged(name, mass, averages, before, n_steps=200):
    for _ in range(n_steps):
        before = stepped(name, mass, averages, before)
    return before


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", NAMES)
def test_an_m_step_never_lowers_the_expected_log_likelihood(name, seed):
    rng = np.random.default_rng(seed)
    mass, averages = problem(rng)
    covariances = random_covariances(name, K, D, rng)
    last = objective(mass / mass.sum(), averages, covariances)
    for _ in range(10):
        covariances = stepped(name, mass, averages, covariances, rng.normal(size=(K, D)))
        assert violation(name, factors_of(covariances), EPS) is None
        value = objective(mass / mass.sum(), averages, covariances)
        assert value >= last - 1e-13 * abs(last)
        last = value


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_form_is_the_maximum_among_covariances_of_the_structure(name, rng):
    mass, averages = problem(rng)
    shares = mass / mass.sum()
    best = stepped(name, mass, averages, random_covariances(name, K, D, rng))
    top = objective(shares, averages, best)
    numbers, frames = numbers_of(name, best)
    np.testing.assert_allclose(compose(name, numbers, K, D, frames), best, rtol=1e-9, atol=1e-9)
    for size in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(20):
            moved = compose(name, numbers + size * rng.normal(size=numbers.shape), K, D, frames)
            assert objective(shares, averages, moved) < top
    assert climbed(name, shares, averages, random_covariances(name, K, D, rng)) <= top + 1e-9
    np.testing.assert_allclose(best, estimate(name, shares, averages), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(CLOSED) - set(SHARING_AXES)))
def test_m_steps_that_alternate_arrive_at_the_only_maximum(name, rng):
    mass, averages = problem(rng)
    shares = mass / mass.sum()
    best = converged(name, mass, averages, random_covariances(name, K, D, rng))
    np.testing.assert_allclose(best, estimate(name, shares, averages), rtol=1e-8, atol=1e-8)
    top = objective(shares, averages, best)
    assert climbed(name, shares, averages, random_covariances(name, K, D, rng)) <= top + 1e-9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SHARING_AXES)
def test_m_steps_that_rotate_arrive_at_a_maximum(name, seed):
    """It is no lower than the maximum of majorisation-minimisation; the scatters nearly share their axes."""
    rng = np.random.default_rng(seed)
    mass, other = problem(rng)
    shares = mass / mass.sum()
    frame = np.linalg.qr(rng.normal(size=(D, D)))[0]
    averages = frame @ random_covariances("VVI", K, D, rng) @ frame.T + 0.05 * other
    best = converged(name, mass, averages, np.array([np.eye(D)] * K))
    top = objective(shares, averages, best)
    assert climbed(name, shares, averages, best) <= top + 1e-9
    assert objective(shares, averages, estimate(name, shares, averages)) <= top + 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_covariances_of_the_structure_are_a_fixed_point(name, rng):
    covariances = random_covariances(name, K, D, rng)
    mass, _ = problem(rng)
    after = stepped(name, mass, covariances, covariances)
    np.testing.assert_allclose(after, covariances, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_powers_of_two_change_exponents_only(name, rng):
    """A change of units multiplies covariances by its square: if this is a power of two, no digit changes."""
    mass, averages = problem(rng)
    before = random_covariances(name, K, D, rng)
    plain = stepped(name, mass, averages, before)
    for scale in (2.0**100, 2.0**-302, 2.0**602):
        np.testing.assert_array_equal(stepped(name, mass, averages * scale, before * scale), plain * scale)


COLUMNWISE = ("EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV")


@pytest.mark.parametrize("name", COLUMNWISE)
def test_each_column_may_have_a_unit_of_its_own(name, rng):
    mass, averages = problem(rng)
    before = random_covariances(name, K, D, rng)
    unit = np.outer(*[2.0 ** np.array([0, 40, -35, 7])] * 2)
    plain = stepped(name, mass, averages, before)
    np.testing.assert_array_equal(stepped(name, mass, averages * unit, before * unit), plain * unit)


@pytest.mark.parametrize("name", [name for name in NAMES if name[2] != "I"])
def test_rotations_of_the_data_rotate_the_estimate(name, rng):
    mass, averages = problem(rng)
    before = np.array([np.eye(D)] * K)
    frame = np.linalg.qr(rng.normal(size=(D, D)))[0]
    plain = converged(name, mass, averages, before, 50)
    rotated = converged(name, mass, frame @ averages @ frame.T, before, 50)
    np.testing.assert_allclose(frame.T @ rotated @ frame, plain, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("n_features", [1, 2, 12])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_features_will_do(name, n_features, rng):
    mass, averages = problem(rng, 2, n_features)
    before = np.array([np.eye(n_features)] * 2)
    covariances = stepped(name, mass, averages, before)
    assert violation(name, factors_of(covariances), EPS) is None
    if name in CLOSED:
        np.testing.assert_allclose(covariances, estimate(name, mass / mass.sum(), averages), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_regularisation_is_added_to_each_average_scatter(name, rng):
    mass, averages = problem(rng)
    before = random_covariances(name, K, D, rng)
    regularised = stepped(name, mass, averages, before, prior=Prior(0.5))
    np.testing.assert_allclose(
        regularised, stepped(name, mass, averages + 0.5 * np.eye(D), before), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_component_without_rows_is_named_where_its_covariance_is_its_own(name, rng):
    mass, averages = problem(rng)
    mass[1], averages[1] = 0.0, 0.0
    before = random_covariances(name, K, D, rng)
    if name in ("EII", "EEI", "EEE", "EEV"):  # it has the others' volume and shape
        assert violation(name, factors_of(stepped(name, mass, averages, before)), EPS) is None
        return
    with pytest.raises(ComponentError) as error:
        stepped(name, mass, averages, before)
    assert error.value.component == 1


@pytest.mark.parametrize("name", NAMES)
def test_what_no_component_varies_in_is_no_nan(name, rng):
    mass, averages = problem(rng)
    averages[:, 2], averages[:, :, 2] = 0.0, 0.0
    before = random_covariances(name, K, D, rng)
    if name in ("EII", "VII"):
        assert violation(name, factors_of(stepped(name, mass, averages, before)), EPS) is None
        return
    with pytest.raises(ComponentError):
        converged(name, mass, averages, before, 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_m_step_maximises_the_posterior_density_under_a_prior(name, rng):
    """The prior also shrinks the means, and the masses are those of a few rows."""
    family = get_family(f"gaussian-{name}")
    mass, averages = problem(rng)
    mass /= 30.0
    axes = {"EII": 0, "VII": 0}.get(name, 1 if name[2] == "I" else 2)
    scale = (0.7, np.linspace(0.5, 2.0, D), np.eye(D) + 0.3)[axes]
    conjugate = Conjugate(rng.normal(size=D), 1.5, D + 2.5, np.asarray(scale))
    stats = statistics(family, mass, averages, rng.normal(size=(K, D)))

    def posterior(params):
        shifted = family.shift(mass, stats, np.zeros((K, D)), params.means)
        return family.expected(mass, shifted, params) + family.log_prior(params, conjugate)

    params = params_of(family, np.array([np.eye(D)] * K))
    values = [posterior(params)]
    for _ in range(60):
        shifted = family.shift(mass, stats, np.zeros((K, D)), params.means)
        params = family.m_step(mass, shifted, params, Prior(conjugate=conjugate))
        values.append(posterior(params))
    assert (np.diff(values) >= -1e-12 * np.abs(values[-1])).all()
    numbers, frames = numbers_of(name, family.describe(params)["covariances"])
    for _ in range(40):
        moved = compose(name, numbers + 3e-3 * rng.normal(size=numbers.shape), K, D, frames)
        means = params.means + 3e-3 * rng.normal(size=(K, D))
        assert posterior(params_of(family, moved, means)) < values[-1]


@pytest.mark.parametrize("name", NAMES)
def test_unpacking_is_the_inverse_of_packing_and_keeps_the_structure(name, rng):
    family = get_family(f"gaussian-{name}")
    covariances = random_covariances(name, K, D, rng)
    params = params_of(family, covariances, rng.normal(size=(K, D)))
    vector = family.pack(params)
    again = family.unpack(vector, params_of(family, random_covariances(name, K, D, rng)))
    np.testing.assert_allclose(family.describe(again)["covariances"], covariances, rtol=1e-9, atol=1e-9)
    moved = family.unpack(vector + 0.2 * rng.normal(size=vector.shape), params)
    assert violation(name, factors_of(family.describe(moved)["covariances"]), EPS) is None


@pytest.mark.parametrize("condition", [1e3, 1e9])
@pytest.mark.parametrize("name", NAMES)
def test_covariances_that_are_almost_singular_have_their_structure_still(name, condition, rng):
    unit = np.diag(np.geomspace(1.0, condition**0.5, D)) if name[2] != "I" and name in COLUMNWISE else np.eye(D)
    mass, averages = problem(rng)
    covariances = stepped(name, mass, unit @ averages @ unit, unit @ np.array([np.eye(D)] * K) @ unit)
    assert violation(name, factors_of(covariances), EPS) is None
    values = np.geomspace(1.0, condition, D)
    frame = np.linalg.qr(rng.normal(size=(D, D)))[0] if name[2] != "I" else np.eye(D)
    if name[1] != "I":
        covariances = np.array([(frame * values) @ frame.T] * K)
        assert violation(name, factors_of(0.5 * (covariances + np.swapaxes(covariances, 1, 2))), EPS) is None
