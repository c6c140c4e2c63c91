"""Starts on a sample of the rows."""

import numpy as np
import pytest
from fits import run
from reference import GAUSSIAN_FAMILIES
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture
from fastem.data.row_info import Annotations
from fastem.em.initialization.start import begin, labelled, start_from
from fastem.em.subsample import LabelledReservoir, Sample, draw_sample, witnesses
from fastem.families import get_family
from fastem.families._contract import Prior

N_ROWS, SIZE = 1003, 100


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_takes_each_row_once_and_evenly_from_beginning_to_end(weighted):
    rows = np.arange(float(N_ROWS))[:, None]
    weights = np.where(rows[:, 0] % 3 == 0, 0.0, 1.0) if weighted else None
    drawn = draw_sample(Sample(rows, weights), SIZE, np.random.RandomState(0))
    kept = drawn.values[:, 0]
    assert len(kept) == SIZE
    assert (np.diff(kept) > 0).all()
    assert np.abs(np.histogram(kept, 10, range=(0, N_ROWS))[0] - SIZE / 10).max() <= 1
    if weighted:
        assert drawn.weights.min() == 1.0
        assert (kept % 3 != 0).all()


def test_every_row_is_as_likely_to_be_sampled():
    rows, counts = np.arange(17.0)[:, None], np.zeros(17)
    for seed in range(2000):
        counts[draw_sample(Sample(rows, None), 5, np.random.RandomState(seed)).values[:, 0].astype(int)] += 1
    # One row is drawn from each run of 3 or 4 rows, all of them equally likely: 2000 / 3 or 2000 / 4 draws of each.
    runs = np.diff(np.arange(6) * 17 // 5)
    expected = np.repeat(2000 / runs, runs)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(2000 * 0.25)


def test_a_sample_no_smaller_than_the_data_is_the_data():
    rows = np.arange(10.0)[:, None]
    assert draw_sample(Sample(rows, None), 10, np.random.RandomState(0)).values is rows


def test_a_start_by_k_means_does_not_depend_on_the_number_of_threads(rng):
    X = rng.normal(size=(4000, 5))
    fits = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            fits.append(run(GaussianMixture(6, random_state=0), X, 3))
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)


@pytest.mark.parametrize("labelled", [0.1, 0.5])
def test_every_row_of_a_stream_is_as_likely_to_be_drawn_beside_labelled_ones(labelled):
    """Wherever it is in the stream: 300 samples of 20 of 200 rows, which come in blocks; half a sample is labelled."""
    rows = np.arange(200.0)[:, None]
    labels = np.where(np.arange(200) % 10 < 10 * labelled, 0, -1)
    hits = np.zeros(200)
    for seed in range(300):
        reservoir = LabelledReservoir(20, np.random.RandomState(seed))
        for part in np.split(np.arange(200), [5, 60, 61]):
            reservoir.add(Sample(rows[part], None, Annotations(labels=labels[part])))
        drawn = reservoir.sample().values.ravel().astype(int)
        assert len(np.unique(drawn)) == 20
        assert (labels[drawn] == 0).sum() == 10
        hits[drawn] += 1
    for group in (labels == 0, labels < 0):
        share = 10 / group.sum()
        expected, deviation = 300 * share, np.sqrt(300 * share * (1 - share))
        thirds = np.array_split(np.flatnonzero(group), 3)
        means = np.array([hits[third].mean() for third in thirds])
        assert np.abs(means - expected).max() < 4 * deviation / np.sqrt(len(thirds[0]))


def test_a_sample_of_one_row_of_a_labelled_stream_is_a_row():
    reservoir = LabelledReservoir(1, np.random.RandomState(0))
    reservoir.add(Sample(np.ones((5, 1)), None, Annotations(labels=np.zeros(5, dtype=np.int64))))
    assert len(reservoir.sample().values) == 1


@pytest.mark.parametrize(("n_labelled", "drawn"), [(5, 5), (90, 10), (300, 10)])
def test_up_to_half_of_a_sample_is_labelled_and_unlabelled_rows_fill_it(n_labelled, drawn):
    rows = np.arange(400.0)[:, None]
    labels = np.where(np.arange(400) < n_labelled, 0, -1)
    sample = draw_sample(Sample(rows, None, Annotations(labels=labels)), 20, np.random.RandomState(0))
    assert len(sample.values) == 20
    assert np.count_nonzero(sample.values < n_labelled) == drawn
    assert (np.diff(sample.values.ravel()) > 0).all()


def test_rows_of_no_weight_are_no_witnesses_of_a_column():
    values = np.full((100, 2), np.nan)
    values[:, 0] = np.arange(100.0)
    values[[10, 60], 1] = 1.0, 2.0
    weights = np.ones(100)
    weights[10] = 0.0
    found = witnesses(Sample(values, weights), np.array([False, True]))
    np.testing.assert_array_equal(found.values, [[60.0, 2.0]])


@pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
def test_a_start_that_assigns_every_row_has_the_means_of_its_components_to_the_last_bit(form, rng):
    """Whatever their origin: steps that only other starts need do not change these."""
    X, origin = rng.normal(size=(90, 3)) + 1000.3, np.full(3, 1000.0)
    sample, blocks = Sample(X, None), labelled(np.arange(90) % 3, 3)
    family = get_family(f"gaussian-{form}")
    expected = family.describe(start_from(family, sample, origin, blocks, Prior()).params)
    started = begin(family, sample, origin, blocks, Prior(), beside=False)
    assert started.described.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(started.described[name], value, err_msg=name)
