"""The origin of the data is near the rows if subtracting it loses no bit of any of them, otherwise it is zero."""

import numpy as np
import pytest
from fits import run
from hypothesis import given, settings
from hypothesis import strategies as st

from fastem import GaussianMixture
from fastem.data import exact_origin, range_of, range_of_present
from fastem.em.setup import origin_of

N_ROWS = 4000


def rows_of_two_sizes(sd):
    """Every fourth row is 1e12 away from the others, whose deviations such an origin would round away."""
    rng = np.random.default_rng(0)
    X = rng.normal(scale=sd, size=(N_ROWS, 1))
    X[::4] = 1e12 + rng.normal(size=(N_ROWS // 4, 1))
    return X


@pytest.mark.parametrize("sd", [5e-5, 1e-5])
def test_rows_that_the_origin_is_not_chosen_by_lose_no_bit(sd):
    X = rows_of_two_sizes(sd)
    small = X[X[:, 0] < 1.0]
    model = GaussianMixture(2, reg_covar=0, random_state=0).fit(X)
    narrow = model.means_[:, 0].argmin()
    assert model.covariances_[narrow, 0, 0] == pytest.approx(small.var(), rel=1e-6)
    assert model.means_[narrow, 0] == pytest.approx(small.mean(), rel=1e-6)


def test_rows_without_weight_have_no_part_in_the_origin():
    rng = np.random.default_rng(0)
    X = 1e9 + rng.normal(size=(N_ROWS, 2))
    absent = np.arange(N_ROWS) % 7 == 3
    weights = np.where(absent, 0.0, 1.0)
    expected = origin_of(X, weights, missing=False)
    assert (expected > 9e8).all()
    X[absent] = [-1.0, 1e-5]
    assert (origin_of(X, weights, missing=False) == expected).all()
    start = {"means_init": [[1e9, 1e9]], "weights_init": [1.0], "precisions_init": np.eye(2)[None]}
    present = run(GaussianMixture(1, **start), X[~absent], 3)
    for rows in ((X, weights), ([(X[:1000], weights[:1000]), (X[1000:], weights[1000:])], None)):
        model = run(GaussianMixture(1, **start), rows[0], 3, rows[1])
        np.testing.assert_allclose(model.covariances_, present.covariances_, rtol=1e-12)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_subtracting_the_origin_is_exact(seed):
    """x - origin + origin is x for all rows, and columns that allow an origin have one."""
    rng = np.random.default_rng(seed)
    centre = rng.choice([0.0, 1.0, -1.0], size=5) * 10.0 ** rng.integers(-3, 12, size=5)
    X = centre + rng.normal(size=(3000, 5)) * 10.0 ** rng.integers(-12, 3, size=5)
    X[rng.integers(3000, size=3), rng.integers(5, size=3)] *= rng.choice([1e-9, 0.4, 0.6, 1.9, 3.0, -1.0])
    origin = origin_of(X, None, missing=False)
    assert (X - origin + origin == X).all()
    one_sided = (X.min(axis=0) > 0.75 * X.max(axis=0)) & (X.min(axis=0) > 0)
    assert (origin[one_sided] > 0).all()


def test_an_origin_is_kept_if_all_values_are_between_its_half_and_its_double():
    origin = np.array([4.0, 4.0, 4.0, -4.0, -4.0, 0.0])
    rows = np.array([[2.0, 1.9, 2.0, -8.0, -8.1, 1.0], [8.0, 8.0, 8.1, -2.0, -2.0, 3.0]])
    assert exact_origin(origin, range_of(rows)).tolist() == [4.0, 0.0, 0.0, -4.0, 0.0, 0.0]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("shape", [(70_001, 1), (70_001, 3), (5, 4), (9000, 8), (40, 9000)])
def test_ranges_are_those_of_the_columns(shape, missing, rng):
    X = rng.normal(size=shape)
    weights = np.where(rng.random(shape[0]) < 0.5, 0.0, 1.0)
    if missing:
        X[rng.random(shape) < 0.2] = np.nan
    for values in (X, np.asfortranarray(X), X[:, ::-1], X.astype(np.float32)):
        found = range_of(values, missing=missing)
        assert (found.low == np.nanmin(values, axis=0)).all()
        assert (found.high == np.nanmax(values, axis=0)).all()
        assert found.low.dtype == values.dtype
        some = range_of_present(values, weights, missing=missing)
        assert (some.low == np.nanmin(values[weights > 0], axis=0)).all()
        assert (some.high == np.nanmax(values[weights > 0], axis=0)).all()
