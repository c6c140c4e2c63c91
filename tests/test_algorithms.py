"""Variants of EM as coordinate ascent on F(q, theta): guarantees, reductions to batch EM, known answers."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import reference
import sklearn
from fits import fall, model_at, run, slow_problem
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from known_answers import DEATH_ROWS, DEATHS_START
from models import learned
from reference import FAMILIES, rows_for, start_at
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture, Incremental, PoissonMixture, Sparse, Stepwise, load
from fastem.em.algorithms.incremental import default_blocks

pytestmark = pytest.mark.slow

ALGORITHMS = ("em", "incremental", "sparse", "stepwise", "hard", "stochastic")


def initial(model):
    """Parameters of a fitted model, to begin another with."""
    if isinstance(model, PoissonMixture):
        return {"weights_init": model.weights_, "rates_init": model.rates_}
    given = {"weights_init": model.weights_, "means_init": model.means_, "precisions_init": model.precisions_}
    return {"covariance_type": model.covariance_type, "reg_covar": 0.0, **given}


@pytest.mark.parametrize("options", [{}, {"n_blocks": 1}, {"n_blocks": 7}, {"n_blocks": 7, "order": "random"}])
@pytest.mark.parametrize("family", FAMILIES)
def test_incremental_em_never_lowers_the_bound(family, options):
    X, start = slow_problem(family)
    model = run(model_at(start, algorithm=Incremental(**options), random_state=0), X, 40)
    assert fall(model.lower_bounds_) < 1e-13


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_incremental_em_of_one_block_is_batch_em(family, weighted, rng):
    X, start = slow_problem(family)
    weights = rng.random(len(X)) if weighted else None
    batch = run(model_at(start), X, 10, weights)
    one = run(model_at(start, algorithm=Incremental(n_blocks=1)), X, 10, weights)
    assert one.lower_bounds_ == batch.lower_bounds_
    for name, expected in learned(batch).items():
        np.testing.assert_array_equal(learned(one)[name], expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_incremental_em_and_its_bound_are_those_of_the_formulas(family, weighted, rng):
    """The reference keeps all responsibilities, updates them block by block, and computes F in full."""
    X, parameters = slow_problem(family, 90)
    weights = rng.random(len(X)) if weighted else np.ones(len(X))
    model = run(model_at(parameters, algorithm=Incremental(n_blocks=3)), X, 6, weights)
    bounds, q = [], np.empty((90, 3))
    for blocks in [[slice(0, 90)]] + 5 * [[slice(0, 30), slice(30, 60), slice(60, 90)]]:
        for block in blocks:
            q[block] = reference.responsibilities(X[block], parameters)
            bound = (q * (reference.log_joint(X, parameters) - np.log(q))).sum(axis=1) @ weights / weights.sum()
            parameters = reference.m_step(family, X, q, weights)
        bounds.append(bound)
    np.testing.assert_allclose(model.lower_bounds_, bounds, rtol=1e-11)
    np.testing.assert_allclose(model.weights_, parameters.weights, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    family=st.sampled_from(FAMILIES),
    algorithm=st.sampled_from(
        ["em", "hard", Incremental(2), Incremental(7, "random"), Sparse(0.1), Sparse(1e-3, n_steps=2)]
    ),
    acceleration=st.sampled_from([None, "squarem", "anderson"]),
    seed=st.integers(0, 2**32 - 1),
    n_components=st.integers(1, 5),
)
def test_the_bound_never_falls(family, algorithm, acceleration, seed, n_components):
    generator = np.random.default_rng(seed)
    X = rows_for(family, 120, seed=seed)
    start = start_at(family, X, X[generator.choice(120, n_components, replace=False)] + 0.1)
    options = {"acceleration": acceleration} if algorithm == "em" else {"algorithm": algorithm}
    try:
        model = run(model_at(start, random_state=0, **options), X, 15, generator.random(120) + 0.1)
    except ValueError as error:  # a component of few rows or none has no valid covariance
        if "ill-defined empirical covariance" not in str(error):
            raise
        reject()
    if family != "poisson" and np.linalg.norm(np.atleast_2d(model.precisions_cholesky_), axis=-1).max() > 1e5:
        reject()  # a component of a single row, whose variance is rounding error
    assert fall(model.lower_bounds_) < 1e-11


@pytest.mark.parametrize("n_blocks", [2, 9])
@pytest.mark.parametrize("family", FAMILIES)
def test_incremental_em_ends_where_batch_em_does_in_fewer_passes(family, n_blocks):
    X, start = slow_problem(family)
    near = run(model_at(start), X, 150)  # from earlier starts the two may reach different maxima
    options = {"max_iter": 3000, "tol": 1e-10, **initial(near)}
    batch = type(near)(3, **options).fit(X)
    blocks = type(near)(3, algorithm=Incremental(n_blocks), **options).fit(X)
    assert blocks.lower_bound_ == pytest.approx(batch.lower_bound_, rel=1e-7)
    assert len(blocks.lower_bounds_) <= len(batch.lower_bounds_)


def test_incremental_em_needs_little_more_than_half_the_passes_in_the_experiment_of_neal_and_hinton():
    """1000 points of 0.3 N(0, 1) + 0.7 N(-0.2, 0.1), by mean and variance; passes until within 1e-2 of the maximum."""
    ratios = []
    for seed in range(5):
        generator = np.random.default_rng(seed)
        wide = generator.random(1000) < 0.3
        x = np.where(wide, generator.normal(0.0, 1.0, 1000), generator.normal(-0.2, np.sqrt(0.1), 1000))[:, None]
        start = {"weights_init": [0.5, 0.5], "means_init": [[1.0], [-1.0]], "precisions_init": [[[1.0]], [[1.0]]]}
        passes, maximum = [], None
        for algorithm in ("em", Incremental(n_blocks=16)):
            model = run(GaussianMixture(2, reg_covar=0.0, algorithm=algorithm, **start), x, 150)
            bounds = np.array(model.lower_bounds_) * len(x)
            maximum = bounds[-1] if maximum is None else maximum
            passes.append(int((bounds > maximum - 1e-2).argmax()) + 1)
        ratios.append(passes[1] / passes[0])
    assert np.median(ratios) <= 0.6


@pytest.mark.parametrize("family", FAMILIES)
def test_hard_em_never_lowers_the_complete_data_likelihood(family):
    X, start = slow_problem(family)
    model = run(model_at(start, algorithm="hard"), X, 60)
    assert fall(model.lower_bounds_) < 1e-13
    assert model.lower_bounds_[-1] == model.lower_bounds_[-2]  # an assignment that no longer changes
    shares = np.bincount(model.predict(X), minlength=3) / len(X)
    np.testing.assert_allclose(model.weights_, shares, atol=1e-12)


def test_hard_em_of_equal_spheres_is_k_means(rng):
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    X = (centres[:, None] + rng.normal(size=(3, 200, 2))).reshape(-1, 2)
    start = X[[0, 200, 400]]
    ours = run(
        GaussianMixture(
            3, covariance_type="tied", algorithm="hard", weights_init=[1 / 3] * 3, means_init=start,
            precisions_init=np.eye(2),
        ),
        X,
        50,
    )  # fmt: skip
    theirs = KMeans(3, init=start, n_init=1, tol=0.0).fit(X)
    np.testing.assert_allclose(ours.means_, theirs.cluster_centers_, atol=0.05)
    assert (ours.predict(X) == theirs.labels_).mean() > 0.99


@pytest.mark.parametrize("family", FAMILIES)
def test_stochastic_em_wanders_about_the_maximum_and_depends_on_the_seed_alone(family):
    X, start = slow_problem(family, 3000)
    best = run(model_at(start), X, 200)
    options = {"algorithm": "stochastic", **initial(best)}
    first, again, other = (run(type(best)(3, random_state=seed, **options), X, 30) for seed in (0, 0, 1))
    assert first.lower_bounds_ == again.lower_bounds_
    assert first.lower_bounds_ != other.lower_bounds_
    assert first.lower_bound_ == pytest.approx(first.score(X), rel=1e-12)
    assert abs(first.lower_bound_ - best.lower_bound_) < 0.02


def test_rows_are_drawn_in_proportion_to_their_responsibilities():
    X = np.zeros((40_000, 1))
    start = {"weights_init": [0.2, 0.3, 0.5], "means_init": np.zeros((3, 1)), "precisions_init": np.ones((3, 1, 1))}
    model = run(GaussianMixture(3, algorithm="stochastic", random_state=0, **start), X, 1)
    np.testing.assert_allclose(model.weights_, [0.2, 0.3, 0.5], atol=5 * np.sqrt(0.25 / len(X)))


@pytest.mark.parametrize("algorithm", ["em", "hard"])  # others depend on the order of rows
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_count_rows_whatever_the_algorithm(family, algorithm, rng):
    X, start = slow_problem(family, 200)
    counts = rng.integers(1, 4, size=len(X))
    weighted = run(model_at(start, algorithm=algorithm), X, 5, counts)
    repeated = run(model_at(start, algorithm=algorithm), np.repeat(X, counts, axis=0), 5)
    np.testing.assert_allclose(weighted.lower_bounds_, repeated.lower_bounds_, rtol=1e-10)


@pytest.mark.parametrize("options", [{}, {"threshold": 0.05}, {"threshold": 0.3, "n_steps": 3}])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_sparse_em_never_lowers_the_bound_and_reports_that_of_a_full_step(family, weighted, options, rng):
    X, start = slow_problem(family)
    weights = rng.random(len(X)) if weighted else None
    model = run(model_at(start, algorithm=Sparse(**options)), X, 50, weights)
    assert fall(model.lower_bounds_) < 1e-12
    assert model.lower_bound_ == pytest.approx(model.score(X, sample_weight=weights), rel=1e-12)
    passes = [record.passes for record in model.history_]
    assert min(passes) <= 1.0 < max(passes)


@pytest.mark.parametrize("family", FAMILIES)
def test_sparse_em_to_which_all_components_are_plausible_is_batch_em(family):
    X, start = slow_problem(family)
    batch = run(model_at(start), X, 12)
    sparse = run(model_at(start, algorithm=Sparse(threshold=0.0)), X, 12)
    np.testing.assert_allclose(sparse.lower_bounds_, batch.lower_bounds_, rtol=1e-11)
    full = run(model_at(start, algorithm=Sparse(n_steps=0)), X, 12)
    assert full.lower_bounds_ == batch.lower_bounds_


def test_sparse_em_ends_where_batch_em_does_and_visits_few_of_many_components(rng):
    n_components = 30
    centres = 6.0 * rng.normal(size=(n_components, 4))
    X = centres[rng.integers(n_components, size=9000)] + rng.normal(size=(9000, 4))
    start = {
        "weights_init": np.full(n_components, 1 / n_components),
        "means_init": centres + 0.5 * rng.normal(size=centres.shape),
        "precisions_init": np.tile(np.eye(4), (n_components, 1, 1)),
    }
    batch = GaussianMixture(n_components, tol=1e-9, max_iter=500, **start).fit(X)
    sparse = GaussianMixture(n_components, tol=1e-9, max_iter=2000, algorithm="sparse", **start).fit(X)
    assert sparse.lower_bound_ == pytest.approx(batch.lower_bound_, rel=1e-6)
    assert min(record.passes for record in sparse.history_) < 0.25


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_stepwise_em_that_takes_all_rows_and_forgets_all_is_batch_em(family, weighted, rng):
    X, start = slow_problem(family)
    weights = rng.random(len(X)) if weighted else None
    batch = run(model_at(start), X, 10, weights)
    steps = run(model_at(start, algorithm=Stepwise(batch_size=len(X), exponent=0.0)), X, 10, weights)
    assert steps.lower_bounds_ == batch.lower_bounds_
    for name, expected in learned(batch).items():
        np.testing.assert_array_equal(learned(steps)[name], expected)
    assert steps.lower_bound_ == pytest.approx(batch.score(X, sample_weight=weights), rel=1e-12)


@pytest.mark.parametrize("averaging", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_stepwise_em_comes_near_the_maximum(family, averaging):
    X, start = slow_problem(family, 20_000)
    near = run(model_at(start), X, 300)
    stepwise = Stepwise(batch_size=500, exponent=0.7, averaging=averaging)
    model = run(type(near)(3, algorithm=stepwise, random_state=0, **initial(near)), X, 5)
    assert abs(model.lower_bound_ - near.score(X)) < (1e-3 if averaging else 3e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_partial_fit_over_shuffled_batches_comes_to_the_answer_of_batch_em(family, rng):
    X, start = slow_problem(family, 20_000)
    near = run(model_at(start), X, 300)
    model = type(near)(3, algorithm=Stepwise(exponent=0.8), random_state=0, **initial(near))
    for _ in range(3):
        for rows in np.array_split(rng.permutation(len(X)), 40):
            model.partial_fit(X[rows])
    assert model.n_iter_ == 120
    assert abs(model.score(X) - near.score(X)) < 2e-3


def test_partial_fit_is_the_scheme_fed_from_outside():
    """One pass of `fit` takes the batches X[0::2] and X[1::2] in a random order; both orders are tried outside."""
    X, start = slow_problem("full")
    options = {"algorithm": Stepwise(batch_size=len(X) // 2), "random_state": 0}
    inside = run(model_at(start, **options), X, 1)
    outside = []
    for order in ((0, 1), (1, 0)):
        model = model_at(start, **options)
        for b in order:
            model.partial_fit(X[b::2])
        outside.append(model)
    distances = [np.abs(inside.means_ - model.means_).max() for model in outside]
    assert min(distances) < 1e-12


def test_partial_fit_finds_a_start_and_refuses_what_does_not_fit(rng):
    X = rng.normal(size=(400, 2)) + 8.0 * rng.integers(2, size=(400, 1))
    model = GaussianMixture(2, random_state=0).partial_fit(X[:300])
    before = model.means_.copy()
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), [0.0, 8.0], atol=0.5)
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 2 features"):
        model.partial_fit(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit([[np.nan, 0.0]])
    np.testing.assert_array_equal(model.means_, before)
    assert model.partial_fit(X[300:301]).n_iter_ == 2  # a batch may be one row
    assert model.fit(X).n_iter_ > 0
    assert not hasattr(model, "stream_")


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        (Incremental(n_blocks=0), "n_blocks must be None or an integer above 0, not 0"),
        (Incremental(order="sorted"), "order must be 'cyclic' or 'random', not 'sorted'"),
        (Sparse(threshold=1.0), "threshold must be at least 0 and below 1, not 1.0"),
        (Sparse(n_steps=-1), "n_steps must be None or an integer, at least 0, not -1"),
        (Stepwise(batch_size=0), "batch_size must be None or an integer above 0, not 0"),
        (Stepwise(exponent=1.5), "exponent must be between 0 and 1, not 1.5"),
        (Stepwise(offset=-1.0), "offset must not be negative, not -1.0"),
        ("variational", "The 'algorithm' parameter of GaussianMixture must be"),
        (None, "The 'algorithm' parameter of GaussianMixture must be"),
    ],
)
def test_wrong_algorithms_are_refused(algorithm, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(algorithm=algorithm).fit(DEATH_ROWS)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, Incremental(n_blocks=3)])
def test_an_estimator_with_an_algorithm_can_be_cloned_and_saved(algorithm, tmp_path):
    model = sklearn.clone(PoissonMixture(algorithm=algorithm, **DEATHS_START))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=3).fit(DEATH_ROWS)
    model.save(tmp_path / "model.json")
    again = load(tmp_path / "model.json")
    assert again.algorithm == algorithm
    assert type(again.algorithm) is type(algorithm)
    np.testing.assert_array_equal(again.rates_, model.rates_)


@pytest.mark.parametrize(("n_stats", "n_blocks"), [(10**6, 4), (2**22, 1), (2**25, 1)])
def test_statistics_of_all_blocks_take_32_mebibytes_at_most(n_stats, n_blocks):
    problem = SimpleNamespace(source=SimpleNamespace(n_rows=10**8), n_stats=lambda mixture: n_stats)
    assert default_blocks(problem, None) == n_blocks


@pytest.mark.parametrize("algorithm", ["em", "hard", "stochastic", "sparse", Incremental(2), Stepwise(12_000)])
def test_results_do_not_depend_on_the_number_of_threads(algorithm, threads, rng):
    X = rng.normal(size=(24_000, 4)) + 3.0 * rng.integers(2, size=(24_000, 1))
    options = {"means_init": X[:8], "weights_init": np.full(8, 0.125), "algorithm": algorithm, "random_state": 0}
    options["precisions_init"] = np.tile(np.eye(4), (8, 1, 1))
    one = run(GaussianMixture(8, n_jobs=1, **options), X, 3)
    assert threads.most_in_a_pass == 1
    two = run(GaussianMixture(8, n_jobs=2, **options), X, 3)
    assert threads.in_a_pass()
    assert one.lower_bounds_ == two.lower_bounds_
    np.testing.assert_array_equal(one.covariances_, two.covariances_)


@pytest.mark.parametrize("n_steps", [1, 3, 4])
def test_full_steps_of_sparse_em_come_after_as_many_sparse_ones(n_steps):
    X = rows_for("diag", 600)
    model = GaussianMixture(3, covariance_type="diag", algorithm=Sparse(n_steps=n_steps), random_state=0)
    passes = [record.passes for record in run(model, X, 3 * (n_steps + 1)).history_]
    full = [iteration for iteration, number in enumerate(passes) if number > 1.0]
    assert full == [0, n_steps + 1, 2 * (n_steps + 1)]
