"""Variational Bayes: the bound agrees with the textbook, and iterations agree with scikit-learn."""

import numpy as np
import pytest
from reference_bayesian import bound, constant_of_bound, terms
from scipy.stats import multivariate_normal, multivariate_t
from sklearn.mixture import BayesianGaussianMixture as Theirs

from fastem.data import Mixture
from fastem.data.row_info import NOTHING, Annotations
from fastem.em.algorithms import BATCH
from fastem.em.initialization.start import given_blocks
from fastem.em.problem import source_for, sum_log_base
from fastem.em.variational import VariationalProblem, posterior_mixture
from fastem.engine.compiled import get_passes
from fastem.families import family_for, get_family
from fastem.families._contract import Prior
from fastem.families._variational import Hyperparameters, expected_log_weights, mean_weights

pytestmark = pytest.mark.slow

TYPES = ("full", "tied", "diag", "spherical")
SHAPES = {"full": lambda d: np.eye(d), "tied": lambda d: np.eye(d), "diag": np.ones, "spherical": lambda d: np.ones(())}


def problem_of(values, covariance_type, weights=None, annotations=NOTHING, origin=None, **changes):
    """Variational problem with a weak prior for three components."""
    d = annotations.n_features(values.shape[1])
    options = {
        "covariance_type": covariance_type,
        "stick_breaking": True,
        "concentration": 1 / 3,
        "mean": np.zeros(d),
        "mean_precision": 1.0,
        "degrees_of_freedom": float(d),
        "covariance": SHAPES[covariance_type](d),
    }
    origin = np.zeros(d) if origin is None else origin
    family = family_for(
        get_family(f"gaussian-{covariance_type}"), missing=bool(np.isnan(values).any()), errors=annotations.has_errors
    )
    source = source_for(family, values, weights, origin, annotations)
    base = sum_log_base(family, values, weights)
    return VariationalProblem(family, source, Prior(conjugate=Hyperparameters(**{**options, **changes})), base)


def started(problem, responsibilities):
    """Posterior for given responsibilities of complete rows."""
    n_components = responsibilities.shape[1]
    params = problem.family.params_at(np.zeros((n_components, problem.source.n_features)))
    mixture = Mixture(np.full(n_components, 1.0 / n_components), params)
    passes = get_passes(problem.family)
    blocks = given_blocks(responsibilities)()
    sweep = problem.source.given(passes, mixture, problem.n_stats(mixture), blocks)
    return posterior_mixture(problem.family, sweep, params, problem.prior.conjugate)


def iterated(problem, mixture, n_iter):
    """Bounds and mixtures of so many iterations."""
    bounds, mixtures = [], []
    for _ in range(n_iter):
        step = BATCH.step(problem, mixture)
        mixture = step.state
        bounds.append(step.lower_bound)
        mixtures.append(mixture)
    return np.array(bounds), mixtures


def clusters(rng, n_features, n_rows=100):
    """Rows of three overlapping clusters."""
    return np.vstack(
        [
            rng.normal(size=(n_rows, n_features)) @ rng.normal(size=(n_features, n_features))
            + 2.0 * rng.normal(size=n_features)
            for _ in range(3)
        ]
    )


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_bound_is_the_textbooks(rng, d):
    values = clusters(rng, d)
    problem = problem_of(values, "full", stick_breaking=False, mean=rng.normal(size=d), mean_precision=0.7)
    mixture = started(problem, rng.dirichlet(np.ones(3), len(values)))
    for _ in range(5):
        before, step = mixture, BATCH.step(problem, mixture)
        mixture = step.state
        described = problem.family.describe(before.params)
        log_weights = expected_log_weights(before.posterior.concentration)
        joint = terms(values, log_weights, before.posterior, described["means"], described["covariances"])
        responsibilities = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        described = problem.family.describe(mixture.params)
        prior = problem.prior.conjugate
        posterior = mixture.posterior
        expected = bound(values, responsibilities, prior, posterior, described["means"], described["covariances"])
        found = step.lower_bound + constant_of_bound(prior, len(values), 3)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("d", [1, 3])
def test_one_component_has_the_exact_evidence(rng, d):
    """The evidence is the product of predictive Student distributions, one for each row in turn."""
    values = rng.normal(size=(30, d)) + 1.0
    problem = problem_of(values, "full", stick_breaking=False, mean_precision=0.3, degrees_of_freedom=d + 1.5)
    prior = problem.prior.conjugate
    bounds, _ = iterated(problem, started(problem, np.ones((30, 1))), 2)
    evidence, mean, beta = 0.0, prior.mean, prior.mean_precision
    nu, scatter = prior.degrees_of_freedom, prior.covariance
    for row in values:
        shape = scatter * (1 + beta) / (beta * (nu - d + 1))
        evidence += multivariate_t.logpdf(row, mean, shape, df=nu - d + 1)
        scatter = scatter + beta / (beta + 1) * np.outer(row - mean, row - mean)
        mean, beta, nu = (beta * mean + row) / (beta + 1), beta + 1, nu + 1
    np.testing.assert_allclose(bounds + constant_of_bound(prior, 30, 1), evidence, rtol=1e-12)


@pytest.mark.parametrize("stick_breaking", [True, False])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("d", [1, 2, 6])
def test_iterations_are_scikit_learns(rng, covariance_type, stick_breaking, d):
    values = clusters(rng, d) + 3.0
    kind = "dirichlet_process" if stick_breaking else "dirichlet_distribution"
    theirs = Theirs(n_components=4, covariance_type=covariance_type, weight_concentration_prior_type=kind)
    theirs._check_parameters(values)
    responsibilities = rng.dirichlet(np.ones(4), len(values))
    theirs._initialize(values, responsibilities)
    problem = problem_of(
        values,
        covariance_type,
        stick_breaking=stick_breaking,
        concentration=0.25,
        mean=values.mean(axis=0),
        covariance=np.asarray(theirs.covariance_prior_),
        reg_covar=1e-6,
    )
    mixture = started(problem, responsibilities)
    for _ in range(20):
        log_likelihood, log_resp = theirs._e_step(values)
        theirs._m_step(values, log_resp)
        step = BATCH.step(problem, mixture)
        mixture = step.state
        expected = theirs._compute_lower_bound(log_resp, log_likelihood)
        np.testing.assert_allclose(step.lower_bound, expected, rtol=1e-8)
        described, posterior = problem.family.describe(mixture.params), mixture.posterior
        for name in ("means", "covariances", "precisions_cholesky"):
            expected = getattr(theirs, name + "_")
            np.testing.assert_allclose(described[name], expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
        np.testing.assert_allclose(posterior.concentration, theirs.weight_concentration_, rtol=1e-8)
        np.testing.assert_allclose(posterior.mean_precision, theirs.mean_precision_, rtol=1e-8)
        np.testing.assert_allclose(posterior.degrees_of_freedom, theirs.degrees_of_freedom_, rtol=1e-8)
        theirs._set_parameters(theirs._get_parameters())
        np.testing.assert_allclose(mixture.weights, theirs.weights_, rtol=1e-8)


def test_densities_of_rows_are_scikit_learns(rng):
    values = clusters(rng, 3)
    theirs = Theirs(n_components=3, random_state=0).fit(values)
    problem = problem_of(values, "full", covariance=theirs.covariance_prior_, mean=theirs.mean_prior_, reg_covar=1e-6)
    mixture = started(problem, theirs.predict_proba(values))
    theirs._m_step(values, np.log(theirs.predict_proba(values)))
    np.testing.assert_allclose(problem.densities(mixture), theirs.score_samples(values), rtol=1e-10)


def bounds_from(problem, values, rng, n_iter=40):
    """Bounds of iterations from components at random rows."""
    filled = np.nan_to_num(values)
    d = problem.source.n_features
    params = problem.family.params_at(filled[rng.choice(len(filled), 3, replace=False)][:, :d])
    sweep = problem.expect(Mixture(np.full(3, 1 / 3), params))
    return iterated(problem, posterior_mixture(problem.family, sweep, params, problem.prior.conjugate), n_iter)


@pytest.mark.parametrize("stick_breaking", [True, False])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("known", ["nothing", "weights", "labels", "plausibilities", "some values", "errors"])
def test_the_bound_never_falls(rng, covariance_type, stick_breaking, known):
    values = clusters(rng, 3)
    weights, annotations = None, NOTHING
    if known == "weights":
        weights = rng.uniform(0.0, 3.0, len(values))
    elif known == "labels":
        annotations = Annotations(labels=np.where(rng.random(len(values)) < 0.2, rng.integers(0, 3, len(values)), -1))
    elif known == "plausibilities":
        annotations = Annotations(plausibility=rng.dirichlet(np.ones(3), len(values)))
    elif known == "some values":
        values[rng.random(values.shape) < 0.3] = np.nan
        values = values[~np.isnan(values).all(axis=1)]
    elif known == "errors":
        annotations = Annotations(noise=0.3 * np.eye(3).reshape(1, 9))
    problem = problem_of(values, covariance_type, weights, annotations, stick_breaking=stick_breaking)
    bounds, _ = bounds_from(problem, values, rng)
    assert (np.diff(bounds) >= -1e-12 * np.abs(bounds[:-1])).all()


def test_missing_values_have_marginal_densities(rng):
    """Terms of components are integrated over the missing values of a row."""
    values = clusters(rng, 3)
    problem = problem_of(values, "full")
    mixture = started(problem, rng.dirichlet(np.ones(3), len(values)))
    some = values.copy()
    some[:, 1] = np.nan
    fewer = problem_of(some, "full")
    found = fewer.densities(mixture) + fewer.family.log_base(some)
    described, columns = problem.family.describe(mixture.params), [0, 2]
    densities = [
        multivariate_normal.logpdf(some[:, columns], mean[columns], covariance[np.ix_(columns, columns)])
        for mean, covariance in zip(described["means"], described["covariances"], strict=True)
    ]
    expected = np.logaddexp.reduce(np.stack(densities, axis=1) + mixture.log_weights, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_weights_are_repetitions(rng, covariance_type):
    values = clusters(rng, 2)
    counts = rng.integers(0, 4, len(values))
    responsibilities = rng.dirichlet(np.ones(3), len(values))
    weighted = problem_of(values, covariance_type, counts.astype(float))
    repeated = problem_of(np.repeat(values, counts, axis=0), covariance_type)
    bounds, mixtures = iterated(weighted, started(weighted, responsibilities), 10)
    same, others = iterated(repeated, started(repeated, np.repeat(responsibilities, counts, axis=0)), 10)
    np.testing.assert_allclose(bounds, same, rtol=1e-10)
    np.testing.assert_allclose(mixtures[-1].params.means, others[-1].params.means, rtol=1e-8, atol=1e-10)


def test_labelled_rows_are_of_their_component(rng):
    """With a label for each row, one step gives the posterior of these assignments, and further steps keep it."""
    values, labels = clusters(rng, 2), rng.integers(0, 3, 300)
    problem = problem_of(values, "full", annotations=Annotations(labels=labels))
    bounds, mixtures = iterated(problem, started(problem, np.full((300, 3), 1 / 3)), 3)
    expected = started(problem_of(values, "full"), np.eye(3)[labels])
    np.testing.assert_allclose(mixtures[-1].params.means, expected.params.means, rtol=1e-10)
    np.testing.assert_allclose(mixtures[-1].posterior.concentration, expected.posterior.concentration, rtol=1e-12)
    np.testing.assert_allclose(bounds[1:], bounds[0], rtol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_components_without_rows_have_the_prior(covariance_type):
    values = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    problem = problem_of(values, covariance_type, mean=np.array([3.0, -1.0]), stick_breaking=False)
    mixture = started(problem, np.repeat([[1.0, 0.0, 0.0]], 3, axis=0))
    posterior, prior = mixture.posterior, problem.prior.conjugate
    np.testing.assert_array_equal(mixture.params.means[1:], [prior.mean] * 2)
    np.testing.assert_array_equal(posterior.mean_precision[1:], prior.mean_precision)
    np.testing.assert_array_equal(posterior.concentration[1:], prior.concentration)
    if covariance_type != "tied":
        np.testing.assert_array_equal(posterior.degrees_of_freedom[1:], prior.degrees_of_freedom)
        covariances = problem.family.describe(mixture.params)["covariances"][1]
        np.testing.assert_allclose(covariances, prior.covariance / prior.degrees_of_freedom, rtol=1e-15)


def test_expected_weights_are_those_of_draws(rng):
    """First for stick-breaking, whose mean weights are normalised, then for a Dirichlet distribution."""
    concentration = np.array([[2.0, 5.0, 1.5], [3.0, 0.7, 0.4]])
    sticks = rng.beta(*concentration, size=(400_000, 3))
    rest = np.cumprod(np.hstack([np.ones((len(sticks), 1)), 1.0 - sticks[:, :-1]]), axis=1)
    drawn = sticks * rest
    np.testing.assert_allclose(np.log(drawn).mean(axis=0), expected_log_weights(concentration), atol=0.02)
    means = drawn.mean(axis=0)
    np.testing.assert_allclose(mean_weights(concentration), means / means.sum(), rtol=5e-3)
    concentration = np.array([0.5, 2.0, 4.0])
    drawn = rng.dirichlet(concentration, 400_000)
    np.testing.assert_allclose(np.log(drawn).mean(axis=0), expected_log_weights(concentration), atol=0.02)
    np.testing.assert_allclose(drawn.mean(axis=0), mean_weights(concentration), rtol=5e-3)


def test_the_origin_changes_nothing(rng):
    values = clusters(rng, 2)
    responsibilities, shift = rng.dirichlet(np.ones(3), len(values)), np.array([512.0, -64.0])
    here, there = problem_of(values, "full"), problem_of(values + shift, "full", origin=shift)
    first, mixtures = iterated(here, started(here, responsibilities), 5)
    second, others = iterated(there, started(there, responsibilities), 5)
    np.testing.assert_allclose(first, second, rtol=1e-10)
    np.testing.assert_allclose(mixtures[-1].params.means, others[-1].params.means, rtol=1e-8)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_compiled_code_is_that_of_the_plain_family(covariance_type):
    plain = get_passes(get_family(f"gaussian-{covariance_type}"))
    for weights in ("process", "distribution"):
        passes = get_passes(get_family(f"bayesian_gaussian-{covariance_type}-{weights}"))
        assert (passes.fused, passes.score) == (plain.fused, plain.score)


@pytest.mark.parametrize("name", ["full", "full-sticks", "round-process"])
def test_there_are_no_other_families(name):
    with pytest.raises((KeyError, TypeError)):
        get_family(f"bayesian_gaussian-{name}")
