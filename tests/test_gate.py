"""Parameters that users may have set are checked before compiled code reads them; valid ones are never refused."""

import functools
import itertools

import numpy as np
import pytest
from reference import rows_for
from scipy.linalg import cholesky, solve_triangular

from fastem import GaussianMixture, PoissonMixture
from fastem.em import loop
from fastem.em.parameters import Frame, checked
from fastem.families import get_family
from fastem.families._gaussian import covariance_from, lower_inverse
from fastem.families._gaussian_host import factors_of_precisions
from fastem.persistence import checkpoint
from fastem.persistence.resuming import Sizes, check_arrays

TYPES = ("full", "tied", "diag", "spherical")
X = rows_for("full", 200)[:, :2]


def fitted(covariance_type="full", dtype=np.float64, **options):
    return GaussianMixture(2, covariance_type=covariance_type, random_state=0, **options).fit(X.astype(dtype))


def with_entry(array, place, value):
    """The array with one entry changed."""
    changed = np.array(array)
    changed[place] = value
    return changed


def refused(model, message):
    """Check that every method refuses the model with the same message."""
    calls = (
        lambda: model.score(X),
        lambda: model.predict(X),
        lambda: model.sample(3),
        lambda: model.marginal([0]),
        lambda: model.conditional({0: 1.0}),
        lambda: model.regress(X[:, :1], 1),
        lambda: model.impute(X),
        lambda: model.save("unwritten.json"),
        lambda: model.partial_fit(X),
        lambda: model.set_params(warm_start=True).fit(X),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights_", lambda w: np.array([0.4, 0.4]), "weights_ must be non-negative and sum to 1"),
        ("weights_", lambda w: np.array([-0.5, 1.5]), "weights_ must be non-negative and sum to 1"),
        ("weights_", lambda w: w * np.nan, "weights_ must be non-negative and sum to 1"),
        ("weights_", lambda w: np.full(3, 1 / 3), r"weights_ has shape \(3,\), and should have \(2,\)"),
        ("weights_", lambda w: w[None], r"weights_ has shape \(1, 2\), and should have \(2,\)"),
        ("weights_", list, "weights_ must be an array, not list"),
        ("weights_", lambda w: w.astype(complex), "weights_ must hold real numbers, not complex128"),
        ("weights_", lambda w: w.astype(object), "weights_ must hold real numbers, not object"),
        ("weights_", lambda w: np.ma.array(w, mask=[True, False]), "weights_ is a masked array"),
        ("means_", lambda m: with_entry(m, (1, 0), np.nan), "means_ of component 1 must be finite numbers"),
        ("means_", lambda m: with_entry(m, (0, 0), np.inf), "means_ of component 0 must be finite numbers"),
        ("means_", lambda m: m[:, 0], r"means_ has shape \(2,\), and should have \(n_components, n_features\)"),
        ("means_", lambda m: m[:1], "n_components=2 contradicts means_, which has 1 components"),
        ("means_", lambda m: m[:, :1], "means_ has 1 features, where n_features_in_ is 2"),
        ("means_", lambda m: m.astype("M8[s]"), r"means_ must hold real numbers, not datetime64\[s\]"),
        (
            "precisions_cholesky_",
            lambda u: u[:1],
            r"precisions_cholesky_ has shape \(1, 2, 2\), and should have \(2, 2, 2\)",
        ),
        ("precisions_cholesky_", lambda u: -u, "precisions_cholesky_ of component 0 must be upper-triangular"),
        ("precisions_cholesky_", lambda u: with_entry(u, (1, 1, 0), 0.1), "of component 1 must be upper-triangular"),
        ("precisions_cholesky_", lambda u: with_entry(u, (1, 0, 1), np.nan), "of component 1 must be upper-triangular"),
        ("precisions_cholesky_", lambda u: 3.0 * u, "contradict each other in component 0"),
        ("covariances_", lambda c: with_entry(c, 1, 100.0 * np.eye(2)), "contradict each other in component 1"),
        ("covariances_", lambda c: with_entry(c, (0, 0, 1), c[0, 0, 1] + 0.5), "contradict each other in component 0"),
        ("covariances_", lambda c: with_entry(c, 0, [[1.0, 2.0], [2.0, 1.0]]), "contradict each other in component 0"),
        ("covariances_", lambda c: c * np.nan, "covariances_ of component 0 must be finite numbers"),
        ("n_features_in_", str, "n_features_in_ must be an integer, not '2'"),
        ("n_features_in_", lambda n: 3, "means_ has 2 features, where n_features_in_ is 3"),
    ],
)
def test_a_parameter_that_is_none_is_named_by_every_method(name, change, message):
    model = fitted()
    setattr(model, name, change(getattr(model, name)))
    refused(model, message)


@pytest.mark.parametrize("name", ["weights_", "means_"])
def test_a_parameter_that_is_missing_is_named(name):
    model = fitted()
    delattr(model, name)
    with pytest.raises(ValueError, match=r"means_ is missing|not fitted"):
        model.score(X)


def test_rates_are_not_negative():
    model = PoissonMixture(2, random_state=0).fit(abs(X).round())
    model.rates_[1, 0] = -1.0  # in place
    with pytest.raises(ValueError, match="rates_ of component 1 must be numbers that are not negative"):
        model.score(abs(X).round())


def test_what_was_right_once_is_checked_again_when_it_changed_in_place():
    model = fitted()
    before = model.score(X)
    model.means_[0, 0] += 1.0
    assert model.score(X) != before
    model.means_[0, 0] = np.nan
    with pytest.raises(ValueError, match="means_ of component 0"):
        model.score(X)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_what_is_remembered_of_parameters_cannot_be_written_to(covariance_type):
    model = fitted(covariance_type)
    before, (origin, mixture) = model.score_samples(X), model._fitted().nearby(np.dtype(np.float64))
    assert model._fitted() is model._fitted()
    for array in (model._fitted().weights, *model._fitted().described.values()):
        assert not array.flags.writeable
    for array in (model._fitted().about(origin).weights, *model._fitted().about(origin).params):
        array[...] = np.nan  # these are copies
    np.testing.assert_array_equal(model.score_samples(X), before)
    np.testing.assert_array_equal(mixture.params.means + origin, model.means_)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_covariances_or_factors_of_precisions_alone_are_enough(covariance_type, dtype):
    model = fitted(covariance_type, dtype)
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    expected = model.score_samples(X), model.sample(5)[0], model.marginal([1]).covariances_, model.regress(X[:, :1], 1)
    for name in ("covariances_", "precisions_cholesky_"):
        part = fitted(covariance_type, dtype)
        delattr(part, name)
        found = part.score_samples(X), part.sample(5)[0], part.marginal([1]).covariances_, part.regress(X[:, :1], 1)
        for actual, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)
    part.covariances_ = -part.covariances_
    with pytest.raises(ValueError, match=r"must be positive definite|must be numbers that are not negative"):
        part.score(X)


def test_parameters_in_read_only_memory_or_of_other_types_are_taken():
    model, expected = fitted(), fitted().score_samples(X)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        array = np.asfortranarray(getattr(model, name).astype(np.longdouble))
        array.flags.writeable = False
        setattr(model, name, array)
    np.testing.assert_array_equal(model.score_samples(X), expected)


def test_only_a_start_may_leave_rows_unassigned():
    start, model = fitted(init_params="random_from_data", max_iter=0), fitted()
    assert 0.0 < start.weights_.sum() < 1.0  # as in scikit-learn
    assert np.isfinite(start.score(X))
    assert start.marginal([0]).weights_.sum() == pytest.approx(1.0)
    assert start.conditional({0: 1.0}).weights_.sum() == pytest.approx(1.0)
    model.weights_ = start.weights_
    with pytest.raises(ValueError, match="weights_ must be non-negative and sum to 1"):
        model.score(X)


# Valid parameters, however ill-conditioned


def covariance(rng):
    """A covariance of 1 to 40 features, with condition numbers up to 1e16 and units that differ by up to 1e16."""
    d = int(rng.choice([1, 2, 3, 5, 8, 16, 40]))
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    condition, spread = 10.0 ** -rng.uniform(0, 16), rng.uniform(size=d)
    shape = rng.integers(3)
    values = (
        condition**spread if shape == 0 else np.where(np.arange(d) == 0, *((1, condition), (condition, 1))[shape - 1])
    )
    unit = 10.0 ** rng.uniform(-8, 8, size=d) if rng.random() < 0.5 else np.ones(d)
    matrix = (axes * values) @ axes.T * unit * unit[:, None]
    return np.tril(matrix) + np.tril(matrix, -1).T


def pairs(matrix):
    """Covariances and factors of precisions as M-steps, scikit-learn and `precisions_init` give them."""
    try:
        lower = np.asarray(lower_inverse(matrix, 0))
        theirs = solve_triangular(cholesky(matrix, lower=True), np.eye(len(matrix)), lower=True).T
        given = factors_of_precisions((lower.T @ lower)[None])[0]
    except (ValueError, np.linalg.LinAlgError):  # not numerically positive definite: no fit has it
        return
    yield matrix, lower.T
    yield matrix, theirs
    yield covariance_from(np.ascontiguousarray(lower)), lower.T
    yield covariance_from(np.ascontiguousarray(given.T)), given


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_honest_covariances_are_never_refused(dtype):
    rng, tried = np.random.default_rng(0), 0
    contradiction, eps = get_family("gaussian-full").contradiction, float(np.finfo(dtype).eps)
    for _ in range(1000):
        for covariances, factors in pairs(covariance(rng)):
            if max(abs(covariances).max(), abs(factors).max()) < np.finfo(dtype).max:
                rounded = {"covariances": covariances[None], "precisions_cholesky": factors[None]}
                rounded = {name: value.astype(dtype).astype(np.float64) for name, value in rounded.items()}
                assert contradiction(rounded, eps) is None
                tried += 1
    assert tried > 1500


def test_variances_too_small_for_float32_are_no_contradiction():
    for exponent in range(-60, 30):
        variances = np.array([[10.0**exponent]])
        for name, shape in (("diag", (1, 1)), ("spherical", (1,)), ("full", (1, 1, 1)), ("tied", (1, 1))):
            described = {
                "covariances": variances.astype(np.float32).astype(np.float64).reshape(shape),
                "precisions_cholesky": (1.0 / np.sqrt(variances)).astype(np.float32).astype(np.float64).reshape(shape),
            }
            assert get_family(f"gaussian-{name}").contradiction(described, 1.2e-7) is None


def test_every_entry_of_a_covariance_counts():
    rng = np.random.default_rng(1)
    for d in (1, 2, 5, 20):
        root = rng.normal(size=(3 * d, d))
        matrix = root.T @ root
        factors = lower_inverse(matrix, 0).T[None]
        for place in np.ndindex(d, d):
            for relative in (1e-8, 1e-2, 1e4, np.nan):
                other = matrix.copy()
                other[place] += relative * np.sqrt(matrix[place[0], place[0]] * matrix[place[1], place[1]])
                described = {"covariances": other[None], "precisions_cholesky": factors}
                assert "in component 0" in get_family("gaussian-full").contradiction(described, 2.2e-16)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("scale", "dtype"), [(1e150, "f8"), (1e-150, "f8"), (1e-19, "f4"), (1e17, "f4")])
def test_fits_at_the_ends_of_the_range_can_be_used(covariance_type, scale, dtype):
    model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0.0, random_state=0, max_iter=5, tol=0.1)
    values = (X * scale).astype(dtype)
    model.fit(values)
    assert np.isfinite(model.score_samples(values)).all()
    model.sample(3)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fits_to_collinear_columns_can_be_used(covariance_type, dtype):
    columns = np.column_stack([X, X.sum(axis=1), X @ [1.0, -1.0]]).astype(dtype)
    for reg_covar in (1e-3, 1e-6, 1e-9, 1e-12):
        model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=reg_covar, random_state=0, tol=0.1)
        try:
            model.fit(columns)
        except ValueError as error:
            assert "ill-defined" in str(error)  # noqa: PT017
            continue
        model.score(columns)
        model.sample(3)


def test_the_gate_names_what_a_frame_lacks():
    family = get_family("poisson")
    given = {"weights_": np.ones(1, dtype=int), "rates_": np.ones((1, 3))}
    assert checked(family, Frame(given, 1, None, ())).locations.shape == (1, 3)
    with pytest.raises(ValueError, match=r"rates_ has 3 features, where n_features_in_ is 2"):
        checked(family, Frame(given, 1, 2, ()))
    with pytest.raises(ValueError, match=r"rates_ has shape \(1, 0\)"):
        checked(family, Frame({**given, "rates_": np.ones((1, 0))}, 1, None, ()))


def test_whole_numbers_and_foreign_byte_orders_are_numbers():
    given = {"weights_": np.ones(1, int), "means_": np.zeros((1, 2), int), "covariances_": np.eye(2, dtype=int)[None]}
    given["precisions_cholesky_"] = given["covariances_"]
    family = get_family("gaussian-full")
    found = checked(family, Frame(given, 1, None, ()))
    swapped = {name: value.astype(float).astype(">f8") for name, value in given.items()}
    for name, value in checked(family, Frame(swapped, 1, None, ())).described.items():
        np.testing.assert_array_equal(value, found.described[name])
    native = {name: value.view("<f8") for name, value in swapped.items()}  # the same bytes, other numbers
    with pytest.raises(ValueError, match="weights_ must be non-negative and sum to 1"):
        checked(family, Frame(native, 1, None, ()))


def test_mixtures_of_checkpoints_have_arrays_that_passes_can_read():
    rng = np.random.default_rng(0)
    saved = rng.normal(size=(60, 2)) + 3 * np.arange(2).repeat(30)[:, None]
    for covariance_type, background in itertools.product(TYPES, (False, True)):
        name = f"gaussian-{covariance_type}" + (".background" if background else "")
        family, model = get_family(name), GaussianMixture(2, covariance_type=covariance_type, background=background)
        mixture = model.fit(saved)._fitted().about(np.zeros(2))
        n_weights = len(mixture.weights)
        check_arrays([loop.Run(0, mixture, 0.0), (mixture,)], Sizes(family, n_weights, 2))
        for field in mixture.params._fields:
            array = getattr(mixture.params, field)
            for wrong in (array[:-1], array.astype(np.float32), array.ravel().tolist(), array[..., None]):
                forged = mixture._replace(params=mixture.params._replace(**{field: wrong}))
                with pytest.raises(ValueError, match=f"it holds {field} of shape"):
                    check_arrays(loop.Progress(run=loop.Run(0, forged, 0.0)), Sizes(family, n_weights, 2))
        other = get_family("poisson").params_at(np.ones((2, 2)))
        with pytest.raises(ValueError, match="PoissonParams in place of"):
            check_arrays(mixture._replace(params=other), Sizes(family, n_weights, 2))
        with pytest.raises(ValueError, match="whose weights are not those of"):
            check_arrays(mixture._replace(weights=mixture.weights[:, None]), Sizes(family, n_weights, 2))


def test_a_checkpoint_with_other_arrays_is_refused_by_name(tmp_path, monkeypatch):
    path, fit = tmp_path / "run.ckpt", functools.partial(GaussianMixture(2, random_state=0).fit, X)
    recall, refused_shapes = checkpoint.Saved.value, []

    def forged(saved, name, kind):
        progress = recall(saved, name, kind)
        if name == "progress":
            params = progress.best.mixture.params
            progress.best.mixture = progress.best.mixture._replace(params=params._replace(lower=params.lower[:1]))
            refused_shapes.append(params.lower[:1].shape)
        return progress

    fit(checkpoint=path)
    monkeypatch.setattr(checkpoint.Saved, "value", forged)
    with pytest.raises(checkpoint.CheckpointError, match=r"run\.ckpt'.*it holds lower of shape \(1, 2, 2\)"):
        fit(checkpoint=path, resume=True)
    assert refused_shapes == [(1, 2, 2)]
