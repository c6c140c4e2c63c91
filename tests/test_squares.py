"""What a single component of incomplete rows starts with: squares of what is there."""

import numpy as np
import pytest

from fastem.sources import ArraySource
from fastem.sources.squares import NEXT_TO_NOTHING


@pytest.mark.parametrize("light", [0.01, 0.5, 7.0])
def test_rows_of_any_positive_weight_count_once_and_those_without_do_not(light, rng):
    values = rng.normal(size=(40, 3))
    values[rng.random(values.shape) < 0.3] = np.nan
    weights = np.where(np.arange(40) % 4 == 0, 0.0, light)
    values[::4] *= 1e6
    expected = np.nanmean((values[weights > 0.0] - [1.0, 0.0, 2.0]) ** 2, axis=0)
    source = ArraySource(values, weights, np.array([1.0, 0.0, 2.0]))
    np.testing.assert_allclose(source.start_squares(), NEXT_TO_NOTHING * expected, rtol=1e-12)


def test_a_feature_that_is_never_there_has_none():
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    np.testing.assert_allclose(ArraySource(values).start_squares(), [5.0 * NEXT_TO_NOTHING, 0.0])
