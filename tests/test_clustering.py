"""k-means and the rows of starts, with missing values or known components."""

import numpy as np
import pytest

from fastem.data.row_info import Annotations
from fastem.em.initialization.clustering import choose_rows, cluster_known
from fastem.em.initialization.start import _known_moments, draw_responsibilities, given_blocks
from fastem.em.subsample import Sample


def test_a_cluster_none_of_whose_rows_has_a_column_is_found_by_the_others(rng):
    values = np.concatenate([rng.normal(0.0, 0.1, (20, 2)), rng.normal(10.0, 0.1, (20, 2))])
    values[:20, 1] = np.nan
    labels = cluster_known(values, None, None, 2, np.random.RandomState(0))
    assert len(set(labels[:20])) == len(set(labels[20:])) == 1
    assert labels[0] != labels[-1]


@pytest.mark.parametrize("spread", [False, True])
def test_rows_without_weight_are_never_chosen(rng, spread):
    weights = np.zeros(50)
    weights[[3, 7, 11]] = [0.1, 5.0, 1.0]
    for seed in range(10):
        chosen = choose_rows(rng.normal(size=(50, 2)), weights, None, 3, np.random.RandomState(seed), spread)
        assert sorted(chosen) == [3, 7, 11]


def test_only_k_means_plus_plus_keeps_known_rows_apart():
    """The first component takes row 0. Rows 1 and 2 can only be of the second, and row 1 equals row 0."""
    values = np.array([[0.0], [0.0], [5.0], [9.0]])
    plausible = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    for spread, expected in ((False, {1, 2}), (True, {2})):
        draws = [choose_rows(values, None, plausible, 3, np.random.RandomState(seed), spread) for seed in range(40)]
        assert {tuple(np.delete(chosen, 1)) for chosen in draws} == {(0, 3)}
        assert {chosen[1] for chosen in draws} == expected


def test_a_cluster_may_begin_where_another_is():
    """All rows are equal, and only two of them may be of the second component."""
    values, plausible = np.ones((6, 2)), np.ones((6, 2))
    values[3:] = 2.0
    plausible[0, 1] = 0.0
    plausible[3:, 1] = 0.0
    labels = cluster_known(np.where(values == 2.0, 1.0, values), None, plausible, 2, np.random.RandomState(0))
    assert (labels[plausible[:, 1] == 0.0] == 0).all()


@pytest.mark.parametrize("n_components", [2, 3])
def test_rows_of_the_background_are_of_no_component_more_than_of_others(n_components):
    labels = np.array([0, n_components, -1, n_components, 1])
    sample = Sample(np.arange(5.0)[:, None], None, Annotations(labels=labels))
    blocks = draw_responsibilities("random", sample, n_components, np.random.RandomState(0))
    responsibilities = np.concatenate(list(blocks()))
    np.testing.assert_array_equal(responsibilities[[0, 4]], np.eye(n_components)[:2])
    assert (responsibilities[1:4] > 0.0).all()
    np.testing.assert_allclose(responsibilities.sum(axis=1), 1.0)


def test_starts_from_incomplete_rows_have_the_variances_of_clusters_but_no_points(rng):
    """A component of a single row, or of equal ones, begins with a thousandth of a column's variance."""
    values = np.concatenate([rng.normal(size=(200, 2)), np.full((5, 2), 20.0)])
    values[::7, 0] = np.nan
    labels = np.arange(205) >= 200
    means, variances = _known_moments(values, None, given_blocks(np.eye(2)[labels.astype(int)]))
    np.testing.assert_allclose(means, [np.nanmean(values[:200], axis=0), [20.0, 20.0]])
    np.testing.assert_allclose(variances[0], np.nanvar(values[:200], axis=0))
    np.testing.assert_allclose(variances[1], 1e-3 * np.nanvar(values, axis=0))
