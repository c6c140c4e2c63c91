"""The built-in data sets hold the published numbers."""

import dataclasses

import numpy as np
import pytest

from fastem.datasets import (
    DATASETS,
    load_dataset,
    load_faithful,
    load_galaxies,
    load_iris,
    load_xu,
)


@pytest.mark.parametrize(
    ("loader", "shape", "means"),
    [
        (load_faithful, (272, 2), [3.4877830882, 70.8970588235]),
        (load_iris, (150, 4), [5.8433333333, 3.0573333333, 3.758, 1.1993333333]),
        (load_galaxies, (82, 1), [20828.1707317]),
        (load_xu, (1100, 2), [0.1488081818, 0.1521727273]),
    ],
)
def test_shapes_and_means_are_the_published_ones(loader, shape, means):
    dataset = loader()
    assert dataset.values.shape == shape
    assert dataset.values.dtype == np.float64
    assert len(dataset.columns) == shape[1]
    np.testing.assert_allclose(dataset.values.mean(axis=0), means, rtol=1e-9)


def test_iris_has_the_rows_that_are_wrong_in_the_uci_copy():
    values = load_iris().values
    assert values[34].tolist() == [4.9, 3.1, 1.5, 0.2]
    assert values[37].tolist() == [4.9, 3.6, 1.4, 0.1]


def test_the_last_hundred_points_have_labels():
    labels = load_xu().labels
    assert labels.dtype == np.int64
    assert (labels[:1000] == -1).all()
    assert np.bincount(labels[1000:]).tolist() == [43, 57]
    assert load_iris().labels is None


def test_the_78th_galaxy_is_as_in_mass():
    assert load_galaxies().values[77, 0] == 26690


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_says_what_it_is(name):
    dataset = load_dataset(name)
    assert dataset.name == name
    assert dataset.description
    assert dataset.source


@pytest.mark.parametrize("name", DATASETS)
def test_each_call_returns_an_array_of_its_own(name):
    first, second = load_dataset(name), load_dataset(name)
    first.values[:] = 0
    assert second.values.any()


def test_a_data_set_cannot_be_reassigned():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_iris().values = np.zeros((1, 1))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="faithful, galaxies, iris, xu"):
        load_dataset("irises")
