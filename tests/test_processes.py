"""Fits in pools of processes and threads, however these start, give the same results as in this process."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import joblib
import numpy as np
import pytest
from jobs import fit, fit_source
from reference import rows_for
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from fastem import GaussianMixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Best performing initialization did not converge"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),  # Python 3.12, if threads are running
]


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_fits_in_a_pool_of_processes_give_what_they_give_here(start):
    expected = [fit(0), fit(1), fit_source(2)]
    with ProcessPoolExecutor(1, mp_context=get_context(start)) as pool:
        found = [pool.submit(job, seed) for job, seed in ((fit, 0), (fit, 1), (fit_source, 2))]
        assert [future.result(120) for future in found] == expected


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_fits_by_joblib_give_what_they_give_here(backend):
    expected = [fit(0), fit(1)]
    assert joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(fit)(seed) for seed in (0, 1)) == expected


def test_a_grid_search_on_two_processes_gives_what_one_gives():
    X = rows_for("full")
    grid = {"n_components": [1, 2, 3], "reg_covar": [1e-6, 1e-2]}
    one, two = (
        GridSearchCV(GaussianMixture(covariance_type="spherical", random_state=0), grid, cv=3, n_jobs=n_jobs).fit(X)
        for n_jobs in (1, 2)
    )
    assert two.best_params_ == one.best_params_
    np.testing.assert_array_equal(two.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"])
    assert np.isfinite(one.cv_results_["mean_test_score"]).all()
    assert two.best_estimator_.lower_bound_ == one.best_estimator_.lower_bound_


def limits():
    return sorted((library["filepath"], library["num_threads"]) for library in threadpool_info())


def test_fits_in_many_threads_give_what_one_gives_and_leave_all_limits_as_they_were():
    jobs = [(seed, n_jobs) for seed in range(4) for n_jobs in (1, 2, None)]

    def job(seed_and_jobs):
        seed, n_jobs = seed_and_jobs
        if n_jobs == 2:
            with pytest.raises(ValueError, match="n_components"):  # one of three fits fails
                GaussianMixture(10**6, n_jobs=1).fit(rows_for("full"))
        return fit(seed, n_jobs=n_jobs, source=n_jobs == 2)

    expected, before = [job(seed_and_jobs) for seed_and_jobs in jobs], limits()
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(job, jobs)) == expected
    assert limits() == before
