"""A background and priors: the mode of the posterior, in which the background has a weight and no other parameters."""

from dataclasses import replace

import numpy as np
import pytest
from backgrounds import WEIGHTS, K, by_family, clusters, joint, model_beside, problem_of, volume_of
from fits import fall, run
from models import failure, learned
from posterior import default_prior, log_prior, map_m_step, neighbours
from reference import GAUSSIAN_FAMILIES, Gaussian, rows_for
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import clone
from strong_priors import MONOTONE, reference_prior, strong_prior

from fastem import GaussianMixture, NormalInverseWishart, Source

pytestmark = pytest.mark.slow

ALPHA = np.array([1.5, 4.0, 2.5, 9.0])


def options_of(family):
    """Options with strong priors."""
    return {"prior": strong_prior(family), "weights_prior": ALPHA}


def begin(start):
    """The start with an additional last weight, the background's."""
    return replace(start, weights=WEIGHTS)


def found(model):
    """The fitted parameters as a naive mixture."""
    return Gaussian(model.covariance_type, model.weights_, model.means_, model.covariances_)


def log_joint(X, parameters, volume):
    """Logarithm of weight times density (n, K + 1) of each component; the background is the last."""
    others = replace(parameters, weights=parameters.weights[:-1])
    return joint(X, others, parameters.weights, volume)


def log_posterior(X, parameters, prior, alpha=ALPHA, share=None):
    """Log-likelihood and the log-density of the prior: of K means and covariances, and of K + 1 weights."""
    rows = logsumexp(log_joint(X, parameters, volume_of(X)), axis=1)
    total = rows.sum() if share is None else share @ rows
    weights = parameters.weights / parameters.weights.sum()
    return total + stats.dirichlet(alpha).logpdf(weights) + log_prior(parameters, prior)


def map_em(X, start, n_iter, prior, alpha=ALPHA, share=None):
    """Parameters after so many iterations of the formulas, and the log-posterior per row before each."""
    share = np.ones(len(X)) if share is None else share
    parameters, bounds = begin(start), []
    for _ in range(n_iter):
        bounds.append(log_posterior(X, parameters, prior, alpha, share) / share.sum())
        logarithms = log_joint(X, parameters, volume_of(X))
        resp = np.exp(logarithms - logsumexp(logarithms, axis=1, keepdims=True))
        moved = map_m_step(start.family, X, resp[:, :K], share, prior, np.ones(K))
        weights = share @ resp + alpha - 1.0
        parameters = replace(moved, weights=weights / weights.sum())
    return parameters, bounds


@pytest.mark.parametrize("weighted", [False, True])
@by_family
def test_iterations_and_bounds_are_those_of_the_formulas(family, weighted, rng):
    X, start = problem_of(family)
    share = rng.uniform(0.5, 2.0, size=len(X)) if weighted else None
    model = run(model_beside(start, **options_of(family)), X, 10, share)
    expected, bounds = map_em(X, start, 10, reference_prior(family), share=share)
    np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-11)
    for name in ("weights", "means", "covariances"):
        actual = getattr(found(model), name)
        np.testing.assert_allclose(actual, getattr(expected, name), rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("options", MONOTONE, ids=str)
@by_family
def test_the_posterior_density_never_falls(family, options, rng):
    X, start = problem_of(family)
    share = rng.random(len(X)) + 0.1
    model = run(model_beside(start, **options, **options_of(family)), X, 40, share)
    assert fall(model.lower_bounds_) < 1e-12
    default = {"background": True, "reg_covar": 0.0, "random_state": 0, "prior": "conjugate", "weights_prior": 2.0}
    model = run(GaussianMixture(K, covariance_type=family, **default, **options), X, 40, share)
    assert fall(model.lower_bounds_) < 1e-12


@pytest.mark.parametrize("options", [o for o in MONOTONE if o != {"algorithm": "hard"}], ids=str)
@by_family
def test_all_that_never_lower_it_end_on_the_same_hill(family, options):
    X, start = problem_of(family)
    prior = reference_prior(family)
    model = model_beside(start, tol=1e-11, max_iter=5000, **options, **options_of(family)).fit(X)
    top = log_posterior(X, map_em(X, start, 400, prior)[0], prior) / len(X)
    assert model.lower_bound_ == pytest.approx(top, rel=1e-6)


@pytest.mark.parametrize(
    "kept",
    [{}, {"weights": [False] * K + [True]}, {"weights": [True, False, False, False]}, {"means": [True, False, True]}],
    ids=str,
)
@by_family
def test_no_neighbour_has_a_higher_posterior_density(family, kept, rng):
    """Weights, means and covariances are moved, one kind at a time and together; fixed ones stay."""
    X, start = problem_of(family)
    prior = reference_prior(family)
    model = model_beside(start, fixed=kept or None, tol=1e-14, max_iter=5000, **options_of(family)).fit(X)
    best = found(model)
    top = log_posterior(X, best, prior)
    for size in (1e-2, 1e-4):
        for neighbour in neighbours(best, size, kept, rng):
            assert log_posterior(X, neighbour, prior) <= top + 1e-9
    assert model.lower_bound_ == pytest.approx(top / len(X), rel=1e-9)


@pytest.mark.parametrize("algorithm", ["stepwise", "stochastic"])
@by_family
def test_the_last_bound_is_exact_where_others_are_not(family, algorithm):
    X, start = problem_of(family)
    for data in (X, Source(np.array_split(X, 7), chunk_bytes=2000)):
        model = run(model_beside(start, algorithm=algorithm, **options_of(family)), data, 7)
        expected = log_posterior(X, found(model), reference_prior(family)) / len(X)
        assert model.lower_bound_ == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("prior", ["conjugate", None])
@by_family
def test_chunks_and_float32_too(family, prior):
    X, start = problem_of(family)
    options = {**options_of(family), **({"prior": prior} if prior else {})}
    whole = run(model_beside(start, **options), X, 6)
    chunked = run(model_beside(start, **options), Source(np.array_split(X, 5), chunk_bytes=2000), 6)
    single = run(model_beside(start, **options), X.astype(np.float32), 6)
    np.testing.assert_allclose(chunked.lower_bounds_, whole.lower_bounds_, rtol=1e-11)
    for name, expected in learned(whole).items():
        np.testing.assert_allclose(learned(chunked)[name], expected, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(learned(single)[name], expected, rtol=2e-3, atol=2e-3)


@by_family
def test_defaults_are_those_of_the_components_whatever_the_background(family):
    """The defaults use K as the number of components, and the moments of all rows."""
    X, start = problem_of(family)
    prior = default_prior(family, X, K)
    written = NormalInverseWishart(prior.mean, prior.strength, prior.degrees, prior.scale)
    _, bounds = map_em(X, start, 5, prior, np.full(K + 1, 2.0))
    for given in ("conjugate", written, NormalInverseWishart()):
        for weights_prior in (2.0, [2.0] * (K + 1)):
            model = run(model_beside(start, prior=given, weights_prior=weights_prior), X, 5)
            np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-11)


@by_family
def test_the_density_of_the_prior_is_that_without_a_background(family):
    """If the background's weight is fixed at zero, results are those without a background."""
    X, start = problem_of(family)
    options = {"prior": strong_prior(family), "fixed": {"weights": [False] * K + [True]}}
    none = run(model_beside(start, weights_init=[0.3, 0.3, 0.4, 0.0], **options), X, 6)
    plain = run(model_beside(start, weights_init=[0.3, 0.3, 0.4], background=False, prior=strong_prior(family)), X, 6)
    np.testing.assert_allclose(none.lower_bounds_, plain.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(none.covariances_, plain.covariances_, rtol=1e-10)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data", "random"])
@by_family
def test_components_of_one_row_or_of_equal_rows_are_no_failure(family, init_params):
    lone = np.vstack([rows_for("full", 60), [[50.0, 60.0, 70.0]]])
    equal = np.repeat([[1.0, 2.0, 3.0], [4.0, 5.5, 7.0], [9.0, 1.0, 2.0], [0.0, 3.0, 8.0], [2.0, 2.0, 2.0]], 6, axis=0)
    for X, n_components in ((lone, 2), (lone, 20), (equal, 5)):
        model = GaussianMixture(n_components, covariance_type=family, background=True, reg_covar=0, random_state=0)
        model.set_params(prior="conjugate", weights_prior=1.5, init_params=init_params, tol=1e-5, max_iter=1000)
        assert fall(model.fit(X).lower_bounds_) < 1e-9
        assert all(np.isfinite(array).all() for array in learned(model).values())


def test_a_component_that_the_background_leaves_nothing_falls_back_on_the_prior():
    """Its mean is the prior's, its covariance the scale over nu + d + 2, and its weight that of alpha - 1 rows."""
    X = rows_for("full", 50)
    prior = NormalInverseWishart([1.0, 2.0, 3.0], 0.5, 6.0, np.eye(3))
    options = {"background": True, "prior": prior, "weights_prior": 2.0, "reg_covar": 0.0}
    start = {"means_init": [[1e6] * 3], "precisions_init": [np.eye(3)], "weights_init": [0.5, 0.5]}
    model = run(GaussianMixture(1, **options, **start), X, 1)
    np.testing.assert_allclose(model.means_, [[1.0, 2.0, 3.0]], rtol=1e-9)
    np.testing.assert_allclose(model.covariances_, [np.eye(3) / 11], rtol=1e-9)
    np.testing.assert_allclose(model.weights_, [1 / 52, 51 / 52])


def test_concentration_of_the_background_is_so_many_more_outliers():
    X, _ = clusters()
    weights = [
        GaussianMixture(3, background=True, random_state=0, tol=1e-8, max_iter=500, weights_prior=[1, 1, 1, alpha])
        .fit(X)
        .weights_[-1]
        for alpha in (1, 101, 1001)
    ]
    plain = GaussianMixture(3, background=True, random_state=0, tol=1e-8, max_iter=500).fit(X).weights_[-1]
    assert weights[0] == pytest.approx(plain, rel=1e-12)
    assert plain + 0.05 < weights[1] < weights[2] - 0.05


def test_scores_and_criteria_are_of_the_likelihood():
    X, start = problem_of("full")
    model, plain = run(model_beside(start, **options_of("full")), X, 20), run(model_beside(start), X, 20)
    rows = logsumexp(log_joint(X, found(model), volume_of(X)), axis=1)
    assert model.score(X) == pytest.approx(rows.mean(), rel=1e-12)
    assert model.bic(X) == pytest.approx(-2 * rows.sum() + model.n_parameters_ * np.log(len(X)))
    assert model.n_parameters_ == plain._n_parameters()


def test_batches_keep_the_prior_and_the_box_of_the_first():
    X, start = problem_of("full", 1200)
    model, before = model_beside(start, prior="conjugate", weights_prior=2.0), begin(start)
    first, *others = np.array_split(X, 6)
    prior = default_prior("full", first, K)
    for i, part in enumerate([first, *others]):
        model.partial_fit(part)
        volume = volume_of(first)
        likelihood = logsumexp(log_joint(part, before, volume), axis=1).sum()
        density = stats.dirichlet([2.0] * (K + 1)).logpdf(before.weights) + log_prior(before, prior)
        assert model.lower_bound_ == pytest.approx(likelihood / 200 + density / (200 * (i + 1)), rel=1e-9)
        before = replace(found(model), weights=model.weights_ / model.weights_.sum())


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_parts_of_a_mixture_can_be_fitted_again(family):
    X, start = problem_of(family)
    part = run(model_beside(start, **options_of(family)), X, 3).marginal([0, 2])
    assert part.prior == NormalInverseWishart(mean_strength=7.0, degrees_of_freedom=31.5)
    again = clone(part).set_params(random_state=0, tol=1.0).fit(X[:, [0, 2]])
    assert np.isfinite(again.lower_bound_)


def test_concentrations_are_one_more_than_components():
    X, _ = clusters(n_rows=60)
    message = failure(GaussianMixture(3, background=True, weights_prior=[2.0] * 3), X)
    assert "weights_prior must be a number, or 4: one for each component" in message
    assert "or 3: one for each" in failure(GaussianMixture(3, weights_prior=[2.0] * 4), X)
