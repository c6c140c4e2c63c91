"""Mean squares of the observed values, with which a single component of incomplete rows starts."""

import numpy as np
import pytest

from fastem.data import ArraySource
from fastem.data.row_info_checks import Known, annotate
from fastem.data.squares import NEXT_TO_NOTHING


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


def test_all_features_alike_where_rows_are_projections(rng):
    """On average, a projection of features of variance v has a variance of v times its squared length."""
    projection, v = rng.normal(size=(2000, 2, 3)), 4.0
    values = np.einsum("nij,nj->ni", projection, np.sqrt(v) * rng.normal(size=(2000, 3)))
    known = annotate(Known(None, 1e-9 * np.eye(2), projection), values.shape, 1)
    squares = ArraySource(values, None, annotations=known).start_squares()
    assert squares.shape == (3,)
    assert (squares == squares[0]).all()
    np.testing.assert_allclose(squares[0], v, rtol=0.1)
