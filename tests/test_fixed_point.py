"""EM for models other than mixtures, with the loop of mixtures: classic problems with known answers."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from fastem import fixed_point

DATA = Path(__file__).parent / "data"
METHODS = (None, "squarem", "anderson")

by_method = pytest.mark.parametrize("acceleration", METHODS)


def linkage_step(t):
    """Dempster, Laird and Rubin (1977): 125 animals are of two unobserved classes of probabilities 1/2 and t/4."""
    split = 125 * t / (2 + t)
    return (split + 34) / (split + 34 + 18 + 20)


def linkage_log_likelihood(t):
    return 125 * np.log(2 + t) + 38 * np.log(1 - t) + 34 * np.log(t)


def blood_step(p):
    """Gene frequencies of A, B, O from blood groups: genotypes AA and AO, BB and BO look alike."""
    a, b, o = p
    aa, bb = 186 * a / (a + 2 * o), 38 * b / (b + 2 * o)
    counts = np.array([186 + aa + 13, 38 + bb + 13, (186 - aa) + (38 - bb) + 2 * 284])
    return counts / counts.sum()


def blood_log_likelihood(p):
    a, b, o = p
    return 186 * np.log(a * (a + 2 * o)) + 38 * np.log(b * (b + 2 * o)) + 13 * np.log(2 * a * b) + 568 * np.log(o)


def motors():
    """Regression of log life on inverse temperature; tests that ended before the motor failed are censored."""
    temperature, hours, failed = np.loadtxt(DATA / "motors.csv", delimiter=",", skiprows=1, unpack=True)
    design = np.column_stack([np.ones(len(hours)), 1000 / (temperature + 273.2)])
    y, censored = np.log10(hours), failed == 0

    def step(theta):
        mean, sigma = design @ theta[:2], np.exp(theta[2])
        excess = (y - mean) / sigma
        hazard = np.where(censored, np.exp(norm.logpdf(excess) - norm.logsf(excess)), 0.0)
        filled = np.where(censored, mean + sigma * hazard, y)
        variance = np.where(censored, sigma**2 * (1 + excess * hazard - hazard**2), 0.0)
        beta = np.linalg.lstsq(design, filled, rcond=None)[0]
        return np.append(beta, 0.5 * np.log(np.mean((filled - design @ beta) ** 2 + variance)))

    def log_likelihood(theta):
        excess = (y - design @ theta[:2]) / np.exp(theta[2])
        return np.where(censored, norm.logsf(excess), norm.logpdf(excess) - theta[2]).sum()

    return step, log_likelihood


def dyestuff():
    """Variance components of six batches of five: theta is the mean and the logarithms of both standard deviations."""
    y = np.loadtxt(DATA / "dyestuff.csv", skiprows=1).reshape(6, 5)

    def step(theta):
        mean, between, within = theta[0], np.exp(2 * theta[1]), np.exp(2 * theta[2])
        shrink = 5 * between / (5 * between + within)
        effect, variance = shrink * (y.mean(axis=1) - mean), between * (1 - shrink)
        mean = (y - effect[:, None]).mean()
        between = np.mean(effect**2 + variance)
        within = np.mean((y - mean - effect[:, None]) ** 2) + variance
        return np.array([mean, 0.5 * np.log(between), 0.5 * np.log(within)])

    def log_likelihood(theta):
        mean, between, within = theta[0], np.exp(2 * theta[1]), np.exp(2 * theta[2])
        covariance = within * np.eye(5) + between
        residual = y - mean
        squares = (residual @ np.linalg.inv(covariance) * residual).sum()
        return -0.5 * (squares + 6 * np.linalg.slogdet(covariance)[1] + 30 * np.log(2 * np.pi))

    return step, log_likelihood


@pytest.mark.parametrize("guarded", [False, True])
@by_method
def test_genetic_linkage(acceleration, guarded):
    objective = linkage_log_likelihood if guarded else None
    result = fixed_point(linkage_step, 0.5, objective, acceleration=acceleration, tol=1e-13)
    assert result.converged
    assert result.theta == pytest.approx((15 + np.sqrt(53809)) / 394, rel=1e-7)
    if acceleration is None and not guarded:
        assert result.rate == pytest.approx(0.1328, abs=1e-3)


def test_the_first_steps_of_genetic_linkage_are_those_of_the_article():
    seen = []
    fixed_point(linkage_step, 0.5, callback=lambda record, t: seen.append(t), tol=1e-12)
    np.testing.assert_allclose(seen[:3], [0.608247423, 0.624321050, 0.626488879], atol=5e-10)


@by_method
def test_blood_groups(acceleration):
    result = fixed_point(blood_step, [0.3, 0.3, 0.4], blood_log_likelihood, acceleration=acceleration, tol=1e-13)
    np.testing.assert_allclose(result.theta, [0.21359094, 0.05014533, 0.73626373], atol=1e-7)


@by_method
def test_censored_regression(acceleration):
    step, log_likelihood = motors()
    result = fixed_point(step, [-4.0, 3.5, 0.0], log_likelihood, acceleration=acceleration, tol=1e-13, max_iter=2000)
    np.testing.assert_allclose(result.theta[:2], [-6.019250, 4.311247], atol=2e-5)
    assert np.exp(result.theta[2]) == pytest.approx(0.259183, abs=2e-6)


@by_method
def test_variance_components(acceleration):
    step, log_likelihood = dyestuff()
    start = [1500.0, np.log(20.0), np.log(20.0)]
    result = fixed_point(step, start, log_likelihood, acceleration=acceleration, tol=1e-12, max_iter=2000)
    assert result.theta[0] == pytest.approx(1527.5, abs=1e-3)
    np.testing.assert_allclose(np.exp(result.theta[1:]), [37.260345, 49.510100], rtol=1e-4)
    assert result.objective == pytest.approx(-163.663530, abs=1e-6)


def test_the_objective_never_falls_and_acceleration_takes_fewer_steps():
    step, log_likelihood = motors()
    counts = {}
    for method in METHODS:
        result = fixed_point(step, [-4.0, 3.5, 0.0], log_likelihood, acceleration=method, tol=1e-11, max_iter=2000)
        bounds = [record.lower_bound for record in result.history]
        assert min(np.diff(bounds)) > -1e-12
        assert result.n_iter == len(bounds)
        counts[method] = result.n_iter
    assert counts["squarem"] < counts[None] / 2
    assert counts["anderson"] < counts[None] / 2


def test_parameters_keep_their_shape():
    result = fixed_point(lambda m: 0.5 * (m + np.eye(2)), np.zeros((2, 2)))
    np.testing.assert_allclose(result.theta, np.eye(2), atol=1e-9)
    assert result.rate == pytest.approx(0.5, rel=1e-6)
    assert np.isnan(result.objective)


def test_a_callback_ends_the_iteration():
    result = fixed_point(linkage_step, 0.5, callback=lambda record, t: record.iteration == 3)
    assert (result.n_iter, result.stop_reason, result.converged) == (3, "callback", False)


def test_too_few_iterations_are_said():
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        result = fixed_point(linkage_step, 0.5, max_iter=2)
    assert (result.stop_reason, result.converged) == ("max_iter", False)


def test_an_extrapolation_out_of_the_domain_is_taken_back():
    def step(x):
        if x > 1.0:
            raise ValueError("outside")
        return 1.0 - 0.9 * (1.0 - x) - 0.05 * (1.0 - x) ** 2

    result = fixed_point(step, 0.0, acceleration="squarem", tol=1e-9)
    assert result.theta == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((linkage_step, np.nan), {}, "theta must be finite"),
        ((linkage_step, 0.5), {"acceleration": "newton"}, r"acceleration must be None or one of .*, not 'newton'"),
        ((lambda t: [t, t], 0.5), {}, r"step returned shape \(2,\) for theta of shape \(\)"),
        ((lambda t: np.inf, 0.5), {}, "step returned numbers that are not finite at theta = 0.5"),
        ((linkage_step, 0.5, lambda t: np.nan), {}, "objective returned nan at theta = 0.5"),
    ],
)
def test_wrong_arguments_are_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        fixed_point(*arguments, **options)


@by_method
def test_functions_may_write_to_what_they_are_given_and_return_the_same_array_each_time(acceleration):
    kept = np.empty(2)

    def in_place(theta):
        theta *= 0.5
        theta += [1.0, 2.0]
        return theta

    def into_one_array(theta):
        np.add(0.5 * theta, [1.0, 2.0], out=kept)
        return kept

    def objective(theta):
        value = -np.square(theta - [2.0, 4.0]).sum()
        theta[:] = np.nan
        return value

    def callback(record, theta):
        theta[:] = np.nan

    options = {"acceleration": acceleration, "tol": 1e-12}
    pure = fixed_point(lambda theta: theta * 0.5 + [1.0, 2.0], [10.0, 20.0], **options)
    np.testing.assert_allclose(pure.theta, [2.0, 4.0], atol=1e-10)
    for step in (in_place, into_one_array):
        found = fixed_point(step, [10.0, 20.0], callback=callback, **options)
        assert found.n_iter == pure.n_iter
        assert (found.theta == pure.theta).all()
        found = fixed_point(step, [10.0, 20.0], objective, **options)
        np.testing.assert_allclose(found.theta, [2.0, 4.0], atol=1e-5)
