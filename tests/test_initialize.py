"""Starts on a sample of the rows."""

import numpy as np
import pytest
from fits import run
from threadpoolctl import threadpool_limits

from fastem import GaussianMixture
from fastem.samples import Sample, draw_sample

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
    # Runs of 3 and of 4 rows differ by one row, within which all are alike: 2000 / 3 and 2000 / 4 draws of each.
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
