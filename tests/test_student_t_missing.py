"""StudentTMixture of rows with missing values, against a naive reference and known properties of t distributions."""

import numpy as np
import pytest
from breaks import bits, broken_off_after
from fits import fall, run
from incomplete import ALGORITHMS, holes
from reference import GAUSSIAN_FAMILIES, log_joint, log_likelihood
from reference_student_t import heavy_rows
from reference_student_t_missing import PartialStudent
from scipy.stats import multivariate_t
from sklearn.exceptions import ConvergenceWarning

from fastem import GaussianMixture, Incremental, Source, Sparse, Stepwise, StudentTMixture
from fastem.families._degrees import Incomplete, climb, log_normalisers
from fastem.kernels import degrees

pytestmark = pytest.mark.slow
forms = pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
DEGREES = pytest.mark.parametrize("df", ["shared", "component", [2.5, 12.0], [4.0, np.inf]], ids=str)


def problem(form, df, n_rows=90, n_features=3, seed=0):
    """Rows with missing values, and a start."""
    X = heavy_rows(n_rows, n_features, seed)
    mode = df if isinstance(df, str) else "fixed"
    centres = np.array([0.5, 3.5])[:, None] * (0.6 + np.arange(n_features) % 2)
    start = PartialStudent.at(form, mode, X, centres, [6.0, 6.0] if isinstance(df, str) else df)
    return holes(X, np.random.default_rng(seed)), start


def model_at(start, df, **options):
    """An unfitted model that starts from a naive mixture, with degrees of freedom `df`."""
    options = {"covariance_type": start.form, "df": df, "reg_covar": 0.0, "missing": "marginalize", **options}
    initial = {"weights_init": start.weights, "means_init": start.means, "scales_init": start.scales}
    return StudentTMixture(len(start.weights), **initial, **options)


def begun(start, df, X, **options):
    """A model that goes on from a naive mixture; initial degrees of freedom cannot be given by an argument."""
    model = run(model_at(start, df, **options), X, 0)
    model.df_ = start.df.copy()
    return model.set_params(warm_start=True)


def naive_step(X, start, weights=1.0):
    joint = np.exp(log_joint(X, start))
    return start.maximise(X, weights * joint / joint.sum(axis=1, keepdims=True))


def assert_fitted(model, expected, tolerance=1e-10):
    for name, value in expected.fitted.items():
        found = getattr(model, name)
        np.testing.assert_array_equal(np.isinf(found), np.isinf(value))
        atol = tolerance * np.abs(value[np.isfinite(value)]).max(initial=0.0)
        np.testing.assert_allclose(found, value, rtol=0, atol=atol, err_msg=name)


@forms
@DEGREES
def test_steps_are_the_naive_ones(form, df):
    X, start = problem(form, df)
    model = begun(start, df, X)
    for _ in range(4):
        log_density = log_likelihood(X, start) / len(X)
        start = naive_step(X, start)
        model = run(model, X, 1)
        assert model.lower_bound_ == pytest.approx(log_density, rel=1e-11)
        assert_fitted(model, start)


@pytest.mark.parametrize("form", ["full", "tied"])
@pytest.mark.parametrize("df", ["component", [2.5, np.inf]], ids=str)
def test_common_patterns_give_what_rare_ones_give(form, df):
    """Weights are repetitions, and repeated rows have common patterns."""
    X, start = problem(form, df, 20)
    weights = np.full(len(X), 60.0)
    once = run(begun(start, df, X), X, 8, sample_weight=weights)
    repeated = run(begun(start, df, X), np.repeat(X, 60, axis=0), 8)
    for name in ("weights_", "means_", "scales_", "df_"):
        np.testing.assert_allclose(getattr(repeated, name), getattr(once, name), rtol=1e-9, atol=1e-9)
    assert repeated.lower_bound_ == pytest.approx(once.lower_bound_, rel=1e-12)


@forms
@DEGREES
def test_densities_are_those_of_what_is_there(form, df):
    X, start = problem(form, df, n_features=5)
    model = begun(start, df, X)
    joint = log_joint(X, start)
    expected = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(model.predict_proba(X), np.exp(joint - expected[:, None]), atol=1e-11)
    np.testing.assert_array_equal(model.predict(X), joint.argmax(axis=1))
    assert model.score_samples(X[1:2])[0] == 0.0, "a row without any value"


@forms
@pytest.mark.parametrize("df", ["shared", "component", 0.7], ids=str)
@pytest.mark.parametrize("acceleration", [None, "squarem", "anderson"])
def test_the_likelihood_never_falls_and_ends_in_the_same_place(form, df, acceleration):
    X, start = problem(form, df, 400, 3, seed=4)
    model = model_at(start, df, acceleration=acceleration, tol=1e-10, max_iter=4000).fit(X)
    assert model.converged_
    assert fall(model.lower_bounds_) < 1e-13
    plain = model_at(start, df, tol=1e-10, max_iter=4000).fit(X)
    assert model.score(X) == pytest.approx(plain.score(X), abs=1e-6)


@forms
@pytest.mark.parametrize("fixed", [{"scales": True}, {"means": [True, False]}, {"weights": [True, False]}], ids=str)
def test_the_likelihood_never_falls_where_something_is_fixed(form, fixed):
    X, start = problem(form, "component", 300)
    model = run(model_at(start, "component", fixed=fixed), X, 60)
    assert fall(model.lower_bounds_) < 1e-13
    name = next(iter(fixed))
    kept = slice(None) if fixed[name] is True else slice(1)
    before = getattr(start, name)
    np.testing.assert_allclose(getattr(model, f"{name}_")[kept], before[kept], rtol=1e-12)


@forms
def test_infinite_degrees_of_freedom_are_a_gaussian_mixture(form):
    X, _ = problem(form, "shared", 300)
    options = {"covariance_type": form, "missing": "marginalize", "init_params": (np.arange(300) % 2)}
    theirs = run(GaussianMixture(2, **options), X, 6)
    for df, tolerance in ((np.inf, 1e-11), (1e8, 1e-5)):
        ours = run(StudentTMixture(2, df=df, **options), X, 6)
        np.testing.assert_allclose(ours.means_, theirs.means_, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(ours.scales_, theirs.covariances_, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(ours.impute(X), theirs.impute(X), rtol=tolerance, atol=tolerance)


@forms
@pytest.mark.parametrize("df", ["component", 3.0], ids=str)
def test_rows_without_any_value_teach_nothing(form, df):
    """They have density 1 under all parameters, so the maximum of the likelihood is the same without them."""
    X, start = problem(form, df, 200)
    extended = np.vstack([X, np.full((70, 3), np.nan)])
    options = {"tol": 1e-13, "max_iter": 4000}
    without, among = (model_at(start, df, **options).fit(rows) for rows in (X, extended))
    for name in ("weights_", "means_", "scales_", "df_"):
        np.testing.assert_allclose(getattr(among, name), getattr(without, name), rtol=1e-3, atol=1e-4, err_msg=name)
    assert among.score(extended) * 270 == pytest.approx(without.score(X) * 200, abs=1e-6)


@forms
@pytest.mark.parametrize("df", ["shared", [4.0, np.inf]], ids=str)
def test_a_column_that_hardly_any_row_shows(form, df):
    X, start = problem(form, df, 120)
    X[:, 1] = np.where(np.arange(120) % 30 == 0, heavy_rows(120)[:, 1], np.nan)
    model = begun(start, df, X)
    for _ in range(4):
        start = naive_step(X, start)
        model = run(model, X, 1)
        assert_fitted(model, start)
    model = run(model_at(start, df), X, 60)
    assert fall(model.lower_bounds_) < 1e-13
    assert all(np.isfinite(getattr(model, name)).all() for name in ("means_", "scales_", "weights_"))


@forms
@pytest.mark.parametrize("df", ["shared", 4.0], ids=str)
@pytest.mark.parametrize("options", ALGORITHMS, ids=str)
def test_algorithms_climb_or_are_refused(form, df, options):
    X, start = problem(form, df, 400)
    model = model_at(start, df, random_state=0, **options)
    name = str(options.get("algorithm", ""))
    if df == "shared" and name.startswith(("Incremental", "Sparse")):
        with pytest.raises(ValueError, match=r"StudentTMixture does not support algorithm"):
            model.fit(X)
        return
    fitted = run(model, X, 15)
    assert fitted.score(X) > log_likelihood(X, start) / len(X)
    if not name.startswith("Stepwise") and name != "stochastic":
        assert fall(fitted.lower_bounds_) < 1e-13


@pytest.mark.parametrize("form", ["full", "diag"])
@pytest.mark.parametrize("algorithm", ["incremental", "sparse"])
def test_schemes_that_keep_statistics_end_where_em_ends(form, algorithm):
    X, start = problem(form, 4.0, 500)
    options = {"tol": 1e-11, "max_iter": 3000}
    expected = model_at(start, 4.0, **options).fit(X)
    found = model_at(start, 4.0, algorithm=algorithm, random_state=0, **options).fit(X)
    assert found.score(X) == pytest.approx(expected.score(X), abs=1e-7)
    np.testing.assert_allclose(found.means_, expected.means_, atol=1e-3)


@forms
def test_weights_labels_and_float32(form):
    X, start = problem(form, "component", 150)
    rng = np.random.default_rng(0)
    weights, labels = rng.integers(0, 4, len(X)), np.where(rng.random(len(X)) < 0.3, rng.integers(0, 2, len(X)), -1)
    weighted = run(model_at(start, "component"), X, 5, sample_weight=weights, labels=labels)
    repeated = run(
        model_at(start, "component"), np.repeat(X, weights, axis=0), 5, labels=np.repeat(labels, weights, axis=0)
    )
    for name in ("weights_", "means_", "scales_", "df_"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9, atol=1e-9)
    single = X.astype(np.float32)
    narrow, wide = (run(model_at(start, 5.0), rows, 4) for rows in (single, single.astype(np.float64)))
    assert narrow.means_.dtype == np.float32
    for name in ("means_", "scales_"):
        np.testing.assert_allclose(getattr(narrow, name), getattr(wide, name), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(narrow.score_samples(single), wide.score_samples(single), rtol=1e-4, atol=1e-4)


@forms
def test_sources_and_threads_change_nothing(form, threads):
    X, start = problem(form, "component", 20_000)
    two = run(model_at(start, "component", n_jobs=2), X, 3)
    assert threads.in_a_pass()
    one = run(model_at(start, "component", n_jobs=1), X, 3)
    chunks = run(model_at(start, "component"), Source([X[:3000], X[3000:]], chunk_bytes=2**18), 3)
    for name in ("weights_", "means_", "scales_", "df_"):
        np.testing.assert_array_equal(getattr(two, name), getattr(one, name))
        np.testing.assert_allclose(getattr(chunks, name), getattr(one, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", ["full", "diag"])
@pytest.mark.parametrize("df", ["component", 4.0], ids=str)
def test_batches_with_and_without_missing_values_follow_each_other(form, df):
    X, start = problem(form, df, 400)
    complete = heavy_rows(400, seed=5)
    stream = model_at(start, df, random_state=0)
    for rows in (complete[:200], X[:200], complete[200:], X[200:]):
        stream.partial_fit(rows)
    assert np.isfinite(stream.score(X))
    assert stream.score(X) > log_likelihood(X, start) / len(X)
    whole = model_at(start, df, tol=1e-8, max_iter=500).fit(np.vstack([complete, X]))
    rng = np.random.default_rng(0)
    for _ in range(60):
        stream.partial_fit(rng.permutation(complete)[:200]).partial_fit(rng.permutation(X)[:200])
    both = np.vstack([complete, X])
    assert stream.score(both) == pytest.approx(whole.score(both), abs=0.02)


@pytest.mark.parametrize(
    ("df", "options"),
    [
        ("shared", {}),
        ("component", {"acceleration": "anderson"}),
        ("component", {"algorithm": Stepwise(50, averaging=True)}),
        (4.0, {"algorithm": Incremental(5, "random")}),
        (4.0, {"algorithm": Sparse(0.01)}),
    ],
    ids=str,
)
def test_a_fit_that_is_broken_off_is_resumed_with_the_same_bits(df, options, tmp_path, monkeypatch):
    X, start = problem("full", df, 300)
    expected, path = run(model_at(start, df, random_state=0, **options), X, 12), tmp_path / "fit"
    model = model_at(start, df, random_state=0, **options).set_params(max_iter=12, tol=0.0)
    with broken_off_after(2, monkeypatch):
        model.fit(X, checkpoint=path)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, checkpoint=path, resume=True)
    assert bits(model) == bits(expected)


@forms
def test_expectations_and_draws_are_those_of_the_conditional_distribution(form):
    """Given some columns, the others have more degrees of freedom, and a scale that grows with the given distance."""
    X, start = problem(form, 5.0, n_features=3)
    model = begun(start, 5.0, X).set_params(random_state=1)
    row = np.array([[9.0, np.nan, np.nan]])
    share = model.predict_proba(row)[0]
    found = model.impute(row)[0]
    behind = [start.behind(row[0], k) for k in range(2)]
    np.testing.assert_allclose(found[1:], sum(r * b[1][1:] for r, b in zip(share, behind, strict=True)), rtol=1e-10)
    drawn = model.impute(row, n_draws=40_000)[:, 0, 1]
    quantiles = np.quantile(drawn, [0.05, 0.25, 0.5, 0.75, 0.95])
    laws = [multivariate_t(b[1][1:2], b[2][1:2, 1:2] * (5 + b[0]) / 6, 6) for b in behind]
    for quantile, level in zip(quantiles, [0.05, 0.25, 0.5, 0.75, 0.95], strict=True):
        assert sum(r * law.cdf([quantile]) for r, law in zip(share, laws, strict=True)) == pytest.approx(
            level, abs=0.01
        )


# The bound of the degrees of freedom


def incomplete_sums(rng, at, n_features, n_rows=400):
    """Rows of a component: numbers of observed values, masses and distances; and the sums over these rows."""
    seen, mass = rng.integers(0, n_features + 1, n_rows), rng.uniform(size=n_rows)
    distances = rng.chisquare(np.maximum(seen, 1)) * (seen > 0) * np.where(rng.random(n_rows) < 0.1, 30, 1)
    q = distances / (1 + at * distances)
    y = at * q
    cubes = q**3 * sum(y**j / (j + 3) for j in range(4000))
    logs = np.log1p(at * distances) / at
    terms = np.array([0 * q, q, logs, q**2, cubes, distances, 0 * q])
    none = (terms[1:6] * mass * (1 - seen / n_features)).sum(axis=1)
    counts = np.array([mass[seen == p].sum() for p in range(n_features)])
    return seen, mass, distances, (terms * mass).sum(axis=1)[None], Incomplete(none[None], counts[None])


@pytest.mark.parametrize("at", [0.02, 0.2, 1.0])
def test_an_estimate_never_lowers_the_likelihood_of_what_is_there(at, rng):
    n_features = 4
    seen, mass, distances, sums, incomplete = incomplete_sums(rng, at, n_features)

    def likelihood(k, s):
        normalisers = log_normalisers(np.full(len(seen), k), seen)
        return mass @ (normalisers - 0.5 * seen * np.log(s) - (0.5 / k + 0.5 * seen) * np.log1p(k / s * distances))

    groups = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    found, scale, gain = climb(mass.sum(keepdims=True), sums, np.array([at]), n_features, groups, incomplete)
    rise = likelihood(found[0], scale[0]) - likelihood(at, 1.0)
    assert 0.0 < gain <= rise * (1 + 1e-9)
    masses, parts = incomplete.by_number(mass.sum(keepdims=True), sums)
    np.testing.assert_allclose(masses[0], [mass[seen == p].sum() for p in range(1, n_features + 1)], rtol=1e-12)
    for k, s in ((at, 1.0), (2 * at, 0.7), (0.4 * at, 1.5)):
        bound = sum(degrees.height(masses[0, p - 1], parts[0, p - 1], at, p, k, s) for p in range(1, n_features + 1))
        assert bound <= likelihood(k, s) + 1e-9
        if k == at and s == 1.0:
            assert bound == pytest.approx(likelihood(k, s), rel=1e-12)


def test_complete_rows_are_a_special_case(rng):
    """If no value is missing, the estimate is the same with and without the sums for incomplete rows."""
    _, mass, _, sums, _ = incomplete_sums(rng, 0.3, 3)
    total, groups = mass.sum(keepdims=True), (np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    plain = climb(total, sums, np.array([0.3]), 3, groups)
    incomplete = climb(total, sums, np.array([0.3]), 3, groups, Incomplete(np.zeros((1, 5)), np.zeros((1, 3))))
    for first, second in zip(plain, incomplete, strict=True):
        np.testing.assert_array_equal(first, second)
