"""Initial parameters are checked wherever they are read, and errors name the wrong parameter of the constructor."""

import numpy as np
import pandas
import pytest
from reference import rows_for

from fastem import GaussianMixture, PoissonMixture

X = rows_for("full", 60)[:, :2]
COUNTS = abs(X).round()
GIVEN = {"weights_init": np.array([0.4, 0.6]), "means_init": X[:2], "precisions_init": np.stack([np.eye(2)] * 2)}
RATES = {"weights_init": GIVEN["weights_init"], "rates_init": COUNTS[:2] + 1.0}
PARAMETERS = [*((GaussianMixture, GIVEN, name) for name in GIVEN), *((PoissonMixture, RATES, name) for name in RATES)]


def with_last(array, value):
    changed = array.copy()
    changed[(-1,) * array.ndim] = value
    return changed


WRONG = {
    "NaN": lambda array: with_last(array, np.nan),
    "infinity": lambda array: with_last(array, np.inf),
    "beyond float64": lambda array: with_last(array.astype(np.longdouble), np.longdouble("1e400")),
    "ragged": lambda array: [*array.tolist(), [[1.0]]],
    "text": lambda array: array.astype(str).tolist(),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("kind", "given", "name"), PARAMETERS)
def test_the_parameter_that_is_no_array_of_finite_numbers_is_named(kind, given, name, wrong):
    model = kind(2, **{**given, name: WRONG[wrong](given[name])})
    with pytest.raises(ValueError, match=name):
        model.fit(COUNTS)


@pytest.mark.parametrize(("kind", "given", "name"), PARAMETERS)
def test_shapes_are_checked_also_where_one_would_do_for_all(kind, given, name):
    for wrong in (given[name][:1], given[name][None], np.float64(0.5) * np.ones((0,)), given[name][..., :1]):
        with pytest.raises(ValueError, match=f"{name.removesuffix('s_init')}.* should have the shape"):
            kind(2, **{**given, name: wrong}).fit(COUNTS)


@pytest.mark.parametrize("wrong", [X[:1], with_last(X[:2], np.nan), X[:2].astype(complex)])
def test_values_to_keep_are_checked_in_mid_stream(wrong):
    model = GaussianMixture(2, random_state=0).partial_fit(X)
    model.set_params(fixed="means", means_init=wrong)
    with pytest.raises(ValueError, match="means"):
        model.partial_fit(X)


@pytest.mark.parametrize("covariance_type", ["diag", "tied"])
def test_columns_of_precisions_are_those_of_the_data(covariance_type):
    named = pandas.DataFrame(X, columns=["a", "b"])
    precisions = pandas.DataFrame(np.eye(2) + 1.0, columns=["b", "a"])
    model = GaussianMixture(2, covariance_type=covariance_type, precisions_init=precisions)
    with pytest.raises(ValueError, match="precisions_init has the columns 'b', 'a', where X has 'a', 'b'"):
        model.fit(named)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_precisions_whose_inverses_overflow_are_refused(covariance_type):
    shape = {"full": np.stack([np.eye(2)] * 2), "tied": np.eye(2), "diag": np.ones((2, 2)), "spherical": np.ones(2)}
    for least in (1e-310, 0.9e-307):
        model = GaussianMixture(2, covariance_type=covariance_type, precisions_init=least * shape[covariance_type])
        with pytest.raises(ValueError, match=r"precisions_init has a precision of .*overflow"):
            model.fit(X)
    options = {"covariance_type": covariance_type, "fixed": "covariances", "max_iter": 3, "tol": 1.0}
    model = GaussianMixture(2, precisions_init=1e-305 * shape[covariance_type], **options).fit(X)
    assert np.isfinite(model.score_samples(X)).all()


def test_weights_sum_to_one_in_whatever_type_they_are():
    """Also weights of float32, whose sum may be less precise."""
    thirds = np.full(3, 1 / 3, dtype=np.float32)
    GaussianMixture(3, weights_init=thirds / thirds.sum(), random_state=0, tol=1.0).fit(X)
    for wrong in ([0.5, 0.25, 0.0], np.float32([0.5, 0.5, 1e-4]), [0.3, 0.3, 0.4 - 1e-7]):
        with pytest.raises(ValueError, match="'weights' should be normalized"):
            GaussianMixture(3, weights_init=wrong).fit(X)


@pytest.mark.parametrize("diagonal", [[-1.0, 1.0], [0.0, 1.0]])
def test_precisions_with_a_diagonal_that_is_not_positive_are_none(diagonal):
    with pytest.raises(ValueError, match="'full precision' should be symmetric, positive-definite"):
        GaussianMixture(1, precisions_init=[np.diag(diagonal)]).fit(X)


def test_rates_are_not_negative():
    with pytest.raises(ValueError, match="The parameter 'rates' should be non-negative"):
        PoissonMixture(2, rates_init=with_last(RATES["rates_init"], -1e-300)).fit(COUNTS)
