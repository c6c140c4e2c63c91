"""Options that are integers or truth values may be numpy's as well as Python's."""

import numpy as np
import pytest
from fits import run
from models import difference

from fastem import GaussianMixture, Incremental, Source, Sparse, Stepwise

X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [6.0]], 100, axis=0)
ALGORITHMS = [(Incremental, "n_blocks", 4), (Stepwise, "batch_size", 50), (Sparse, "n_steps", 2)]


def fit(data=X, **options):
    return run(GaussianMixture(2, random_state=0, **options), data, 3)


@pytest.mark.parametrize(("algorithm", "name", "value"), ALGORITHMS)
def test_options_of_algorithms_may_be_numpy_s_integers(algorithm, name, value):
    expected = fit(algorithm=algorithm(**{name: value}))
    for kind in (np.int64, np.uint8):
        assert difference(fit(algorithm=algorithm(**{name: kind(value)})), expected) == 0.0
    durations = np.timedelta64(value, "s"), np.timedelta64(value)  # which numpy takes for integers
    for wrong in (-1, value + 0.5, True, np.True_, str(value), np.float64(value), np.array([value]), *durations):
        with pytest.raises(ValueError, match=f"{name} must be None or an integer"):
            fit(algorithm=algorithm(**{name: wrong}))


@pytest.mark.parametrize("wrong", ["0.5", np.timedelta64(0), None, 0.5j, np.ma.masked, np.nan])
@pytest.mark.parametrize(("algorithm", "name"), [(Sparse, "threshold"), (Stepwise, "exponent"), (Stepwise, "offset")])
def test_options_that_are_no_numbers_are_named(algorithm, name, wrong):
    with pytest.raises(ValueError, match=f"{name} must"):
        fit(algorithm=algorithm(**{name: wrong}))


@pytest.mark.parametrize("wrong", ["no", 1, None])
def test_averaging_is_a_truth_value(wrong):
    assert difference(fit(algorithm=Stepwise(averaging=np.True_)), fit(algorithm=Stepwise(averaging=True))) == 0.0
    with pytest.raises(ValueError, match="averaging must be True or False"):
        fit(algorithm=Stepwise(averaging=wrong))


@pytest.mark.parametrize("wrong", [0, 2.5, "3", np.timedelta64(3), None])
def test_a_number_of_draws_is_an_integer(wrong):
    with pytest.raises(ValueError, match="Invalid value for 'n_samples'"):
        fit().sample(wrong)


def test_what_is_fixed_may_be_numpy_s_truth_value():
    start = {"means_init": X[[0, -1]]}
    for fixed in (True, np.True_, [True, True], np.array([True, True])):
        assert (fit(fixed={"means": fixed}, **start).means_ == X[[0, -1]]).all()
    assert difference(fit(fixed={"means": np.False_}, **start), fit(**start)) == 0.0


def test_sizes_and_columns_may_be_numpy_s_integers():
    assert Source([X], chunk_bytes=np.int32(4096)).chunk_bytes == 4096
    model = fit(n_init=np.int64(2), max_iter=np.int64(3), n_jobs=np.int64(1), init_size=np.int64(100))
    np.testing.assert_array_equal(model.marginal([np.int8(1)]).means_, model.marginal([1]).means_)
    np.testing.assert_array_equal(model.conditional({np.int64(-1): 1.0}).means_, model.conditional({1: 1.0}).means_)
    np.testing.assert_array_equal(model.regress([[1.0]], np.int64(1)), model.regress([[1.0]], 1))
    assert len(model.sample(np.int64(3))[0]) == 3
    for wrong in (True, np.True_, 2, 0.0):
        with pytest.raises(ValueError, match="there is no column"):
            model.marginal([wrong])
