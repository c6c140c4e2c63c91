"""Mixtures of t distributions: known answers, infinite degrees of freedom, precision, bounds of the likelihood."""

import numpy as np
import pytest
from breaks import bits, broken_off_after
from cases import CASES
from fits import fall, run
from known_answers import FOLDER
from reference import GAUSSIAN_FAMILIES
from reference_student_t import Student, heavy_rows
from scipy.special import digamma
from scipy.stats import multivariate_t
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastem import GaussianMixture, StudentTMixture
from fastem.engine.tiling import aligned_zeros
from fastem.families import get_family
from fastem.families._degrees import degrees_from, log_normalisers
from fastem.kernels import degrees, student_t

IRIS = np.genfromtxt(FOLDER / "iris.csv", delimiter=",", skip_header=1)[:, :4]
SPECIES = np.repeat([0, 1, 2], 50)
FAITHFUL = np.genfromtxt(FOLDER / "faithful.csv", delimiter=",", skip_header=1)[:, -2:]
LONG = (FAITHFUL[:, 0] <= 3).astype(int)
SETS = {"iris": (IRIS, SPECIES), "faithful": (FAITHFUL, LONG)}


@parametrize_with_checks([StudentTMixture(), StudentTMixture(covariance_type="diag", df=4.0)])
def test_estimator_convention(estimator, check):
    check(estimator)


def from_partition(name, **options):
    """A fit that starts with the groups of a data set."""
    X, labels = SETS[name]
    options = {"tol": 1e-11, "max_iter": 100, "reg_covar": 0.0, **options}
    return StudentTMixture(labels.max() + 1, init_params=labels, **options).fit(X), X


@pytest.mark.parametrize(
    ("name", "log_likelihood", "df", "weights"),
    [
        ("iris", -179.962809, 45.93875, [0.333333, 0.299242, 0.367424]),
        ("faithful", -1130.178919, 59.70262, None),
    ],
)
def test_shared_degrees_of_freedom_are_found_in_tens_of_passes(name, log_likelihood, df, weights):
    """Plain EM takes 1475 and 5010 iterations."""
    model, X = from_partition(name)
    assert model.converged_
    assert model.n_iter_ < 50
    assert fall(model.lower_bounds_) < 1e-14
    assert model.score(X) * len(X) == pytest.approx(log_likelihood, abs=1e-5)
    np.testing.assert_allclose(model.df_, df, rtol=1e-3)
    assert (model.df_ == model.df_[0]).all()
    if weights is not None:
        np.testing.assert_allclose(model.weights_, weights, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "log_likelihood", "weights"),
    [("iris", -187.595588, [0.333328, 0.301155, 0.365517]), ("faithful", -1137.169986, None)],
)
def test_fits_of_five_degrees_of_freedom(name, log_likelihood, weights):
    model, X = from_partition(name, df=5)
    assert model.score(X) * len(X) == pytest.approx(log_likelihood, abs=1e-6)
    np.testing.assert_array_equal(model.df_, np.full(model.n_components, 5.0))
    if weights is not None:
        np.testing.assert_allclose(model.weights_, weights, atol=2e-6)


@pytest.mark.parametrize("name", SETS)
def test_a_component_without_tails_is_normal(name):
    """In plain EM one component's df grows towards infinity on both sets, for more than 20 000 iterations."""
    model, X = from_partition(name, df="component")
    assert model.converged_
    assert np.isinf(model.df_).sum() == 1
    assert fall(model.lower_bounds_) < 1e-14
    assert model.score(X) > from_partition(name)[0].score(X)
    normal = StudentTMixture(model.n_components, df=model.df_, tol=1e-11, max_iter=500, reg_covar=0.0, warm_start=True)
    vars(normal).update({key: value for key, value in vars(model).items() if key.endswith("_")})
    assert normal.fit(X).score(X) == pytest.approx(model.score(X), abs=1e-8)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("mode", ["shared", "component"])
def test_tails_come_back_where_a_fit_begins_without(name, mode):
    best, X = from_partition(name, df=mode)
    model = StudentTMixture(best.n_components, df=mode, tol=1e-11, max_iter=200, reg_covar=0.0, warm_start=True)
    vars(model).update({key: value for key, value in vars(best).items() if key.endswith("_")})
    model.df_ = np.full(best.n_components, np.inf)
    model.fit(X)
    assert model.score(X) == pytest.approx(best.score(X), abs=1e-8)
    np.testing.assert_array_equal(np.isinf(model.df_), np.isinf(best.df_))
    finite = np.isfinite(best.df_)
    np.testing.assert_allclose(model.df_[finite], best.df_[finite], rtol=2e-3)


@pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
def test_infinite_degrees_of_freedom_are_a_gaussian_mixture(form):
    X = heavy_rows(300)
    options = {"covariance_type": form, "init_params": (X[:, 0] > 2).astype(int)}
    theirs = run(GaussianMixture(2, **options), X, 5)
    ours = run(StudentTMixture(2, df=np.inf, **options), X, 5)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-12)
    np.testing.assert_allclose(ours.scales_, theirs.covariances_, rtol=1e-12)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-12)
    assert ours.n_parameters_ == theirs.n_parameters_


@pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
@pytest.mark.parametrize("df", ["shared", "component", 3.0, [2.0, np.inf], [0.6, 40.0]], ids=str)
@pytest.mark.parametrize("fixed", [None, {"scales": True}, {"means": [True, False]}], ids=str)
def test_the_likelihood_never_falls(form, df, fixed):
    X = heavy_rows(250, 2, seed=3)
    mode = df if isinstance(df, str) else "fixed"
    start = Student.at(form, mode, X, X[:2], 30.0 if isinstance(df, str) else df)
    initial = {"weights_init": start.weights, "means_init": start.means, "scales_init": 2 * start.scales}
    model = run(StudentTMixture(2, covariance_type=form, df=df, reg_covar=0.0, fixed=fixed, **initial), X, 60)
    assert fall(model.lower_bounds_) < 1e-14
    assert model.lower_bound_ > model.lower_bounds_[0]


@pytest.mark.parametrize("df", [0.5, 1.0, 2.0, 7.5, 1e4])
def test_degrees_of_freedom_of_a_large_sample_are_found(df, rng):
    X = rng.standard_t(df, size=(40_000, 1)) * 3 + 1
    model = StudentTMixture(df="component", tol=1e-9, max_iter=200).fit(X)
    assert model.converged_
    assert 1 / model.df_[0] == pytest.approx(1 / df, rel=0.05, abs=0.01)
    assert model.scales_[0, 0, 0] == pytest.approx(9.0, rel=0.06)


@pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_units_and_origins_do_not_matter(form, dtype):
    X = np.round(heavy_rows(300, 3) * 2**6) / 2**6
    options = {"covariance_type": form, "init_params": (X[:, 0] > 2).astype(int), "reg_covar": 0.0}
    here = run(StudentTMixture(2, **options), X.astype(dtype), 15)
    there = run(StudentTMixture(2, **options), (X * 2.0**9 + 2.0**14).astype(dtype), 15)
    np.testing.assert_allclose(there.df_, here.df_, rtol=1e-6 if dtype == np.float64 else 1e-2)
    np.testing.assert_allclose(
        (there.means_ - 2.0**14) / 2.0**9, here.means_, atol=1e-8 if dtype == np.float64 else 1e-2
    )
    assert there.lower_bound_ == pytest.approx(
        here.lower_bound_ - 27 * np.log(2), rel=1e-9 if dtype == np.float64 else 1e-5
    )


def test_densities_are_those_of_scipy(rng):
    X = heavy_rows(50, 4)
    scale = np.cov(X.T)
    for df in (0.3, 1.0, 5.0, 1e3, 1e7):
        model = StudentTMixture(df=df, max_iter=0, weights_init=[1.0], means_init=X[:1], scales_init=scale[None]).fit(X)
        expected = multivariate_t(X[0], scale, df).logpdf(X)
        np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-9, atol=1e-9 * max(1.0, df * 1e-6))


def test_a_variance_that_is_infinite_is_said_to_be(rng):
    X = heavy_rows(100, 3)
    model = StudentTMixture(2, df=[0.8, 5.0], random_state=0).fit(X)
    assert np.isinf(model.regress(X[:4, 1:2], [0, 2])[1]).all()
    assert np.isfinite(model.regress(X[:4, 1:], 0)[1]).all()
    assert np.isfinite(model.regress(X[:4, 1:], 0)[0]).all()


def test_a_warm_start_takes_the_degrees_of_freedom_that_are_given():
    X = heavy_rows(200)
    model = StudentTMixture(2, warm_start=True, random_state=0, max_iter=300, tol=1e-8).fit(X)
    model.set_params(df=[3.0, 8.0]).fit(X)
    np.testing.assert_array_equal(model.df_, [3.0, 8.0])


@pytest.mark.parametrize("df", [4, "shared", "component"])
def test_batches_lead_where_the_fit_leads(df, rng):
    X = heavy_rows(4000)
    batch = StudentTMixture(2, df=df, tol=1e-8, max_iter=500, random_state=0).fit(X)
    stream = StudentTMixture(2, df=df, random_state=0)
    for rows in np.array_split(np.tile(rng.permutation(X), (30, 1)), 300):
        stream.partial_fit(rows)
    assert stream.score(X) == pytest.approx(batch.score(X), abs=2e-3)


@pytest.mark.parametrize("df", [0.0, -1.0, [3.0, -1.0], [1.0, 2.0, 3.0], [np.nan, 1.0], "free", ["a", "b"]], ids=str)
def test_degrees_of_freedom_that_are_none_are_refused(df):
    with pytest.raises(ValueError, match="df"):
        StudentTMixture(2, df=df).fit(heavy_rows())


def test_outliers_do_not_widen_a_component(rng):
    X = np.vstack([rng.normal(size=(500, 2)), rng.uniform(-100, 100, size=(25, 2))])
    model = StudentTMixture(tol=1e-6).fit(X)
    assert np.abs(model.means_).max() < 0.15
    assert np.abs(GaussianMixture().fit(X).covariances_[0]).max() > 50
    assert model.scales_[0].diagonal().max() < 1.5


@pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
def test_a_fit_that_is_broken_off_is_resumed_with_the_same_bits(form, tmp_path, monkeypatch):
    X, path = heavy_rows(200), tmp_path / "fit"
    expected = run(StudentTMixture(2, covariance_type=form, random_state=0), X, 8)
    model = StudentTMixture(2, covariance_type=form, random_state=0, max_iter=8, tol=0.0)
    with broken_off_after(4, monkeypatch):
        model.fit(X, checkpoint=path)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, checkpoint=path, resume=True)
    assert bits(model) == bits(expected)


# Kernels


def vector_of(values, dtype):
    """Values in an aligned row of whole vectors."""
    row = aligned_zeros((1, -(-len(values) // 64) * 64), dtype)
    row[0, : len(values)] = values
    return row


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("inverse", [1e-12, 1e-8, 1e-4, 0.03, 1.0, 50.0])
def test_logarithms_keep_their_digits_however_small(inverse, dtype, rng):
    distances = np.exp(rng.uniform(-12, 12, 320)).astype(dtype)
    inverse_df = np.array([inverse], dtype)
    halves = vector_of(-0.5 * distances, dtype)
    out, logarithms = np.zeros_like(halves), np.zeros_like(halves)
    exponent = (-0.5 / inverse_df).astype(dtype)
    student_t.log_densities(inverse_df, exponent, np.zeros(1, dtype), halves, logarithms, out)
    exact = np.log1p(np.longdouble(inverse_df[0]) * distances.astype(np.longdouble))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(logarithms[0, :320], exact.astype(float), rtol=4 * eps)
    np.testing.assert_allclose(out[0, :320], (exact * exponent[0]).astype(float), rtol=5 * eps)


def exact_sums(inverse, responsibilities, distances, n_features):
    """The seven sums in long double, the fifth by a series where the direct formula would cancel."""
    k, r, D = np.longdouble(inverse), responsibilities.astype(np.longdouble), distances.astype(np.longdouble)
    q = D / (1 + k * D)
    y = k * q
    series = sum(y**j / (j + 3) for j in range(60))
    with np.errstate(all="ignore"):
        direct = (np.log1p(k * D) - y - y**2 / 2) / y**3
    logs = np.log1p(k * D) / k if k > 0 else D
    u = (1 + k * n_features) / (1 + k * D)
    half = 0.5 / float(inverse) + 0.5 * n_features if inverse > 0 else 1.0
    latent = np.log(u) + (digamma(half) - np.log(half)) - u + 1 if inverse > 0 else 0 * D
    terms = [(1 + k * n_features) / (1 + k * D), q, logs, q**2, q**3 * np.where(y < 0.3, series, direct), D, latent]
    return np.array([float((r * term).sum()) for term in terms])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("inverse", [0.0, 1e-9, 1e-6, 1e-4, 0.005, 0.03, 1.0, 50.0])
def test_sums_have_their_digits(inverse, dtype, rng):
    n_features = 4
    distances = rng.chisquare(n_features, 640).astype(dtype)
    distances[::50] *= 1000
    responsibilities = rng.uniform(size=640).astype(dtype)
    inverse_df = np.array([inverse], dtype)
    halves, resp = vector_of(-0.5 * distances, dtype), vector_of(responsibilities, dtype)
    out, logarithms = np.zeros_like(halves), np.zeros_like(halves)
    centre = 0.5 / inverse + 0.5 * n_features if inverse > 0 else 1.0
    log_weight = np.array([digamma(centre) - np.log(centre) + np.log1p(inverse * n_features)], dtype) * (inverse > 0)
    student_t.log_densities(inverse_df, np.zeros(1, dtype), np.zeros(1, dtype), halves, logarithms, out)
    active, sums = np.arange(0, 640, 64 // out.itemsize), np.zeros(7)
    student_t.weigh(inverse_df, log_weight, 0, n_features, active, halves, logarithms, resp, sums)
    expected = exact_sums(inverse_df[0], responsibilities, distances, n_features)
    assert sums[6] == pytest.approx(expected[6], rel=1e-6, abs=500 * float(np.finfo(dtype).eps))
    tolerance = 2e-9 if dtype == np.float64 else 2e-3  # of the fifth sum, which only influences steps
    np.testing.assert_allclose(sums[[0, 1, 2, 3, 5]], expected[[0, 1, 2, 3, 5]], rtol=20 * np.finfo(dtype).eps)
    assert sums[4] == pytest.approx(expected[4], rel=tolerance)
    weights = (1 + inverse * n_features) / (1 + inverse * distances.astype(float))
    np.testing.assert_allclose(resp[0, :640], responsibilities * weights, rtol=10 * np.finfo(dtype).eps)


def test_rows_that_are_out_of_reach_overflow_nothing():
    for dtype in (np.float64, np.float32):
        largest = float(np.finfo(dtype).max)
        for inverse in (0.0, 1e-9, 0.1, 100.0):
            halves = vector_of(np.array([-np.inf, -largest, -1.0]), dtype)
            out, logarithms = np.zeros_like(halves), np.zeros_like(halves)
            args = np.array([inverse], dtype), np.array([-3.0], dtype), np.zeros(1, dtype)
            student_t.log_densities(*args, halves, logarithms, out)
            assert (out[0] <= 0.0).all()
            resp, sums = vector_of(np.full(3, 1.0), dtype), np.zeros(7)
            student_t.weigh(
                args[0], args[2], 0, 2, np.arange(0, 64, 64 // out.itemsize), halves, logarithms, resp, sums
            )
            assert np.isfinite(sums).all()
            assert np.isfinite(resp).all()


@pytest.mark.parametrize("n_features", [2, 4, 10, 100])
def test_normalisers_are_exact(n_features):
    """For even d a normaliser is the logarithm of a product of d / 2 numbers."""
    inverse = np.array([0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.02, 0.1, 1.0, 10.0, 100.0])
    halves = np.arange(n_features // 2, dtype=np.longdouble)
    exact = [float(np.log1p(2 * np.longdouble(k) * halves).sum()) for k in inverse]
    np.testing.assert_allclose(log_normalisers(inverse, n_features), exact, rtol=1e-12, atol=3e-15 * n_features)
    for k in inverse:
        slope = float((2 * halves / (1 + 2 * np.longdouble(k) * halves)).sum())
        assert degrees.slope_of_normaliser(k, n_features) == pytest.approx(slope, rel=1e-12, abs=1e-13)


def test_normalisers_of_odd_numbers_of_features_are_between():
    inverse = np.array([1e-6, 1e-3, 0.1, 1.0, 10.0])
    for n_features in (1, 3, 7):
        below, here, above = (log_normalisers(inverse, d) for d in (n_features - 1, n_features, n_features + 1))
        doubled = np.log1p(inverse * (n_features - 1))  # Gamma(z + 1) = z Gamma(z)
        np.testing.assert_allclose(above - below, doubled, rtol=1e-10, atol=1e-14)
        assert (here < (above + below) / 2).all()


@pytest.mark.parametrize("at", [0.0, 1e-6, 0.01, 0.3, 5.0])
def test_the_bound_touches_what_it_bounds(at, rng):
    distances, mass = rng.chisquare(3, 200) * np.where(rng.uniform(size=200) < 0.1, 50, 1), rng.uniform(size=200)
    sums = exact_sums(at, mass, distances, 3)
    for t in np.concatenate([[1e-12], at * np.array([0.01, 0.3, 0.9, 1.0, 1.1, 3.0, 100.0]), [1e-3, 1.0]]):
        if t < at * 1e-3 or (at == 0.0 and t == 0.0):
            continue
        exact = float(mass @ (np.log1p(t * distances) / t))
        assert degrees.bounded(sums, at, t) >= exact * (1 - 1e-12)
    assert degrees.bounded(sums, at, at) == pytest.approx(sums[2])
    for t in (at * 0.7, at * 1.3, at + 0.1):
        if t > 0.0:
            step = 1e-5 * t
            ends = [degrees.bounded(sums, at, t + sign * step) for sign in (-1, 1)]
            assert degrees.slope_of_bounded(sums, at, t) == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-5)


def test_degrees_of_freedom_from_expected_weights():
    df = np.array([0.011, 0.1, 1.0, 5.0, 100.0, 1e5])
    np.testing.assert_allclose(degrees_from(np.log(df / 2) - digamma(df / 2)), df, rtol=1e-9)
    np.testing.assert_allclose(degrees_from(np.array([1e-30, 1e9])), [1e9, 0.01])


@pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
@pytest.mark.parametrize("mode", ["fixed", "shared", "component"])
def test_described_parameters_come_back(form, mode, rng):
    family = get_family(f"student_t-{form}-{mode}")
    X = heavy_rows(100)
    start = Student.at(form, mode, X, X[:2], [4.0, np.inf] if mode != "shared" else 4.0)
    params = family.restore({"means": start.means, "scales": start.scales, "df": start.df})
    again = family.restore(family.describe(params))
    for first, second in zip(params, again, strict=True):
        np.testing.assert_array_equal(first, second)
    packed = family.unpack(family.pack(params), params)
    np.testing.assert_allclose(family.describe(packed)["df"], start.df, rtol=1e-13)
    np.testing.assert_allclose(packed.means, params.means, rtol=1e-13)


def test_no_mixture_of_these_names():
    for name in ("student_t-full-free", "student_t-round-shared"):
        with pytest.raises(KeyError):
            get_family(name)


def test_all_cases_are_of_this_family():
    ours = [case for case in CASES if case.kind is StudentTMixture]
    assert {case.options["covariance_type"] for case in ours} == set(GAUSSIAN_FAMILIES)
    assert len(ours) == 10
