"""Maximum a posteriori: fits maximise the posterior density, and components cannot become singular."""

from dataclasses import replace

import numpy as np
import pytest
from fits import fall, model_at, run
from models import failure, learned, parameters_of
from posterior import default_prior, log_posterior, map_em, neighbours
from reference import FAMILIES, GAUSSIAN_FAMILIES, rows_for, start_at
from scipy.special import gammaln
from strong_priors import ALPHA, MONOTONE, options_of, problem_of, reference_prior, strong_prior

from fastem import GaussianMixture, Incremental, NormalInverseWishart, PoissonMixture, Source, Stepwise

pytestmark = pytest.mark.slow

K = 3
SOME = [True, False, True]
ALGORITHMS = [*MONOTONE, {"algorithm": "stepwise"}, {"algorithm": "stochastic"}]


# The posterior density, and algorithms that maximise it


@pytest.mark.parametrize("family", FAMILIES)
def test_iterations_and_bounds_are_those_of_the_formulas(family, rng):
    X, start = problem_of(family)
    weights = rng.random(len(X))
    model = run(model_at(start, **options_of(family)), X, 8, weights)
    expected, bounds = map_em(X, start, 8, weights, reference_prior(family), ALPHA)
    np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-11)
    for name, value in vars(parameters_of(family, model)).items():
        if name != "family":
            np.testing.assert_allclose(value, vars(expected)[name], rtol=1e-9, err_msg=name)


def cases():
    """Families, with nothing fixed or with some of their parameters fixed."""
    for family in FAMILIES:
        yield from ((family, fixed) for fixed in (None, "weights", {"weights": SOME}))
        if family != "poisson":
            yield from ((family, fixed) for fixed in ("means", {"means": SOME}, "covariances"))
        if family in ("full", "diag", "spherical"):
            yield family, {"covariances": SOME}


@pytest.mark.parametrize(("family", "fixed"), list(cases()), ids=str)
def test_no_neighbour_has_a_higher_posterior_density(family, fixed, rng):
    """Neighbours differ in weights, means or covariances, or in all of these, but not in what is fixed."""
    X, start = problem_of(family)
    model = model_at(start, fixed=fixed, tol=1e-14, max_iter=5000, **options_of(family)).fit(X)
    best = parameters_of(family, model)
    top = log_posterior(X, best, None, reference_prior(family), ALPHA)
    kept = dict.fromkeys([fixed], np.ones(K, bool)) if isinstance(fixed, str) else dict(fixed or {})
    for size in (1e-2, 1e-4):
        for neighbour in neighbours(best, size, kept, rng):
            assert log_posterior(X, neighbour, None, reference_prior(family), ALPHA) <= top + 1e-9
    assert model.lower_bound_ == pytest.approx(top / len(X), rel=1e-9)


@pytest.mark.parametrize("options", MONOTONE, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_bound_never_falls(family, options, rng):
    X, start = problem_of(family)
    model = run(model_at(start, random_state=0, **options, **options_of(family)), X, 40, rng.random(len(X)) + 0.1)
    assert fall(model.lower_bounds_) < 1e-12


@pytest.mark.parametrize("options", [o for o in MONOTONE if o != {"algorithm": "hard"}], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_all_that_never_lower_the_bound_end_on_the_same_hill(family, options):
    X, start = problem_of(family)
    model = model_at(start, random_state=0, tol=1e-11, max_iter=5000, **options, **options_of(family)).fit(X)
    near, _ = map_em(X, start, 300, None, reference_prior(family), ALPHA)
    top = log_posterior(X, near, None, reference_prior(family), ALPHA) / len(X)
    assert model.lower_bound_ == pytest.approx(top, rel=1e-6)


@pytest.mark.parametrize("options", [{"algorithm": "stepwise"}, {"algorithm": "stochastic"}], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_bound_is_exact_where_others_are_not(family, options):
    X, start = problem_of(family)
    model = run(model_at(start, random_state=0, **options, **options_of(family)), X, 7)
    expected = log_posterior(X, parameters_of(family, model), None, reference_prior(family), ALPHA) / len(X)
    assert model.lower_bound_ == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prior_does_not_fade_as_stepwise_em_reads_the_rows_again(family):
    X, start = problem_of(family, 2000)
    batch = model_at(start, tol=1e-12, max_iter=3000, **options_of(family)).fit(X)
    initial = parameters_of(family, batch)
    everything = Stepwise(batch_size=2000, exponent=0.0)  # one batch, which forgets all that was before
    model = run(model_at(initial, algorithm=everything, **options_of(family)), X, 30)
    assert model.lower_bound_ == pytest.approx(batch.lower_bound_, rel=1e-9)
    np.testing.assert_allclose(model.lower_bounds_, batch.lower_bound_, rtol=1e-9)


def test_scores_and_criteria_are_of_the_likelihood():
    X, start = problem_of("full")
    model = run(model_at(start, **options_of("full")), X, 20)
    plain = run(model_at(start), X, 20)
    assert model.score(X) > model.lower_bound_
    assert model.bic(X) == pytest.approx(-2 * model.score(X) * len(X) + model.n_parameters_ * np.log(len(X)))
    assert model.n_parameters_ == plain._n_parameters()


# Defaults


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_the_defaults_are_those_of_fraley_and_raftery(family):
    X, start = problem_of(family)
    named = run(model_at(start, prior="conjugate"), X, 5)
    default = default_prior(family, X, K)
    written = NormalInverseWishart(default.mean, default.strength, default.degrees, default.scale)
    for prior in (written, NormalInverseWishart(), written._replace(mean=None), written._replace(scale=None)):
        model = run(model_at(start, prior=prior), X, 5)
        np.testing.assert_allclose(model.lower_bounds_, named.lower_bounds_, rtol=1e-12)
        np.testing.assert_allclose(model.covariances_, named.covariances_, rtol=1e-10)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_defaults_depend_neither_on_chunks_nor_on_threads(family, threads):
    X, start = problem_of(family, 30_000)
    plain = run(model_at(start, prior="conjugate", n_jobs=1), X, 3)
    assert threads.most_in_a_pass == 1
    parallel = run(model_at(start, prior="conjugate", n_jobs=2), X, 3)
    assert threads.in_a_pass()
    assert parallel.lower_bounds_ == plain.lower_bounds_
    cuts = ([7, 8, 20_000], [100, 15_000])
    some, others = (
        run(model_at(start, prior="conjugate"), Source(np.split(X, where), chunk_bytes=200_000), 3) for where in cuts
    )
    assert some.lower_bounds_ == others.lower_bounds_
    np.testing.assert_allclose(some.lower_bounds_, plain.lower_bounds_, rtol=1e-12)


@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_one_feature_and_one_component_are_no_exceptions(family, n_components):
    X = rows_for(family, 50, 1)
    start = start_at(family, X, X[:n_components])
    model = run(model_at(start, prior="conjugate", weights_prior=1.0), X, 6)
    expected, bounds = map_em(X, start, 6, None, default_prior(family, X, n_components), [1.0] * n_components)
    np.testing.assert_allclose(model.covariances_, expected.covariances, rtol=1e-10)
    np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-11)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_strength_zero_is_the_limit_of_small_strengths(family):
    X, start = problem_of(family)
    none, little = (run(model_at(start, prior=NormalInverseWishart(mean_strength=s)), X, 6) for s in (0, 1e-12))
    for name, expected in learned(none).items():
        np.testing.assert_allclose(learned(little)[name], expected, rtol=1e-10)
    assert fall(none.lower_bounds_) < 1e-12


# What priors are for


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data", "random"])
@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_components_of_one_row_or_of_equal_rows_are_no_failure(family, init_params):
    lone = np.vstack([rows_for("full", 60), [[50.0, 60.0, 70.0]]])
    equal = np.repeat([[1.0, 2.0, 3.0], [4.0, 5.5, 7.0], [9.0, 1.0, 2.0], [0.0, 3.0, 8.0], [2.0, 2.0, 2.0]], 6, axis=0)
    for X, n_components in ((lone, 2), (lone, 20), (equal, 5)):
        model = GaussianMixture(n_components, covariance_type=family, reg_covar=0, random_state=0, max_iter=300)
        model.set_params(prior="conjugate", init_params=init_params, tol=1e-5).fit(X)
        assert fall(model.lower_bounds_) < 1e-9
        assert all(np.isfinite(array).all() for array in learned(model).values())
    assert "ill-defined" in failure(GaussianMixture(2, reg_covar=0, random_state=0), lone)


@pytest.mark.parametrize("options", ALGORITHMS, ids=str)
def test_no_algorithm_fails_at_a_single_row(options):
    X = np.vstack([rows_for("full", 200), [[50.0, 60.0, 70.0]]])
    model = GaussianMixture(2, reg_covar=0, random_state=0, prior="conjugate", tol=1e-3, **options).fit(X)
    assert sorted(np.bincount(model.predict(X))) == [1, 200]


@pytest.mark.parametrize("family", FAMILIES)
def test_many_rows_outweigh_the_prior(family):
    X, start = problem_of(family)
    likely = run(model_at(start), X, 10)
    weights = np.full(len(X), 1e9)
    probable = run(model_at(start, **options_of(family)), X, 10, weights)
    for name, expected in learned(likely).items():
        np.testing.assert_allclose(learned(probable)[name], expected, rtol=1e-5, atol=1e-7)
    assert probable.lower_bound_ == pytest.approx(likely.lower_bound_, rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_concentration_one_is_no_preference(family):
    X, start = problem_of(family)
    plain, flat = (run(model_at(start, weights_prior=alpha), X, 6) for alpha in (None, 1))
    for name, expected in learned(plain).items():
        np.testing.assert_array_equal(learned(flat)[name], expected)
    np.testing.assert_allclose(flat.lower_bounds_, np.array(plain.lower_bounds_) + gammaln(K) / len(X), rtol=1e-12)


def test_no_component_dies_out_under_a_dirichlet_prior():
    X = rows_for("poisson", 50)
    start = {"rates_init": [[5.0] * 3, [6.0] * 3, [1e4] * 3], "weights_init": [0.4, 0.6, 0.0]}
    for acceleration in (None, "squarem", "anderson"):
        model = PoissonMixture(3, weights_prior=2.0, acceleration=acceleration, **start).fit(X)
        assert model.weights_[2] == pytest.approx(1 / 53)
        assert model.lower_bounds_[0] == -np.inf  # the prior density of a weight of zero is zero
    assert PoissonMixture(3, **start).fit(X).weights_[2] == 0.0


# Invariances


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_data_may_be_shifted(family):
    X, start = problem_of(family)
    shift = 2.0**20 * np.array([1.0, -2.0, 0.0])
    far = replace(start, means=start.means + shift)
    given = strong_prior(family)
    for near_prior, far_prior in (("conjugate",) * 2, (given, given._replace(mean=given.mean + shift))):
        near = run(model_at(start, prior=near_prior), X, 6)
        moved = run(model_at(far, prior=far_prior), X + shift, 6)
        np.testing.assert_allclose(moved.means_ - shift, near.means_, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(moved.covariances_, near.covariances_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(moved.lower_bounds_, near.lower_bounds_, rtol=1e-7)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_units_do_not_matter(family, rng):
    """Full and tied covariances allow any linear map, diagonal ones a unit per column, spherical ones one unit."""
    X, start = problem_of(family)
    matrix = {"diag": np.diag([1e3, 0.1, 1.0]), "spherical": 1e3 * np.eye(3)}.get(family, rng.normal(size=(3, 3)))
    image = start_at(family, X @ matrix.T, start.means @ matrix.T)
    if family in ("full", "tied"):
        image = replace(image, covariances=matrix @ start.covariances @ matrix.T)
    before, after = (run(model_at(s, prior="conjugate"), Y, 10) for s, Y in ((start, X), (image, X @ matrix.T)))
    np.testing.assert_allclose(after.means_, before.means_ @ matrix.T, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(after.weights_, before.weights_, rtol=1e-8)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_weights_of_rows_are_repetitions(family):
    X, start = problem_of(family)
    times = np.arange(len(X)) % 3
    options = {"prior": "conjugate", "weights_prior": 2.0}
    weighted = run(model_at(start, **options), X, 8, times)
    repeated = run(model_at(start, **options), np.repeat(X, times, axis=0), 8)
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-11)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-9)


@pytest.mark.parametrize(
    ("family", "prior"), [*((f, "conjugate") for f in GAUSSIAN_FAMILIES), *((f, None) for f in FAMILIES)]
)
def test_chunks_and_float32_too(family, prior):
    X, start = problem_of(family)
    options = {"weights_prior": 2.0, "prior": prior} if prior else options_of(family)
    options["fixed"] = {"weights": [False, True, False]}
    whole = run(model_at(start, **options), X, 6)
    chunked = run(model_at(start, **options), Source(np.array_split(X, 5), chunk_bytes=2000), 6)
    single = run(model_at(start, **options), X.astype(np.float32), 6)
    for name, expected in learned(whole).items():
        np.testing.assert_allclose(learned(chunked)[name], expected, rtol=1e-9)
        np.testing.assert_allclose(learned(single)[name], expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("algorithm", [Incremental(3), "stepwise", "stochastic"], ids=str)
def test_algorithms_on_chunks(algorithm):
    X, start = problem_of("full")
    chunks = Source(np.array_split(X, 7), chunk_bytes=2000)
    model = run(model_at(start, prior="conjugate", weights_prior=2.0, algorithm=algorithm, random_state=0), chunks, 9)
    expected = log_posterior(X, parameters_of("full", model), None, default_prior("full", X, K), [2.0] * K) / len(X)
    assert model.lower_bound_ == pytest.approx(expected, rel=1e-2 if isinstance(algorithm, Incremental) else 1e-10)
