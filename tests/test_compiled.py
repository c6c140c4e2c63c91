"""Compiled code: the same bits on any number of threads, and the same results in pure Python."""

import importlib.metadata
import sys

import numpy as np
import pytest
from fits import model_at, run
from models import learned
from processes import python
from reference import FAMILIES, rows_for, start_at

import fastem
from fastem import GaussianMixture, PoissonMixture, warmup
from fastem.data import ArraySource, Mixture, slab_bounds
from fastem.engine import compiled
from fastem.engine.compiled import get_passes
from fastem.environment import environment
from fastem.families import get_family
from fastem.mixtures import COMPILED

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shape", [(20_000, 3, 2), (17_001, 10, 5)])
@pytest.mark.parametrize("family", COMPILED)
def test_a_pass_has_the_same_bits_on_one_thread_and_on_several(family, shape, rng):
    n_rows, n_features, n_components = shape
    X = rng.poisson(4.0, size=(n_rows, n_features)).astype(float)
    source, contract, passes = ArraySource(X), get_family(family), get_passes(get_family(family))
    mixture = Mixture(rng.dirichlet(np.ones(n_components)), contract.params_at(X[:n_components] + 0.5))
    n_stats = contract.n_stats(n_features, n_components)
    serial, parallel = (source.sweep(passes, mixture, n_stats, parallel=several) for several in (False, True))
    assert serial.log_likelihood == parallel.log_likelihood
    np.testing.assert_array_equal(serial.mass, parallel.mass)
    np.testing.assert_array_equal(serial.stats, parallel.stats)
    assert len(slab_bounds(n_rows, source.executor.tile_rows(passes, source.rows, n_components), n_stats)) > 2


# Threads. All bits of results are compared.

LARGE_FITS = """
import json, warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numba
import numpy as np
from fits import model_at
from models import learned
from reference import rows_for, start_at
from fastem.engine import executor, helpers
from fastem.engine.compiled import get_passes
from fastem.families import get_family

warnings.simplefilter("ignore")  # once for all: threads share such settings
executor.PARALLEL_WORK = 1_000_000  # threads for less data than a user would have them for
DATA = {family: rows_for(family, 60_000, 10) for family in ("full", "diag", "poisson")}
PASSES = [get_passes(get_family(name)).fused for name in ("gaussian-full", "gaussian-diag", "poisson")]
PASSES += [get_passes(get_family("gaussian-full")).score]
WHAT = ["full", "diag", "poisson", "rows", "totals"]


def shared():
    return helpers._kept.cache_info().currsize > 0 and all(dispatcher.signatures for dispatcher in PASSES)


def bits(what, n_jobs=None):
    family = what if what in DATA else "full"
    X = DATA[family]
    model = model_at(start_at(family, X, X[:3] + 0.5), n_jobs=n_jobs, max_iter=4, tol=0.0).fit(X)
    if what == "rows":
        arrays = [model.score_samples(X), model.predict_proba(X), model.predict(X)]
    elif what == "totals":
        arrays = [np.array([model.score(X), model.bic(X), model.aic(X), model.icl(X)])]
    else:
        arrays = [*learned(model).values(), np.array(model.lower_bounds_)]
    return [array.tobytes().hex() for array in arrays]


def compare(expected, *others):
    return {what: all(other[i] == expected[i] for other in others) for i, what in enumerate(WHAT)}


def in_two_threads():
    with ThreadPoolExecutor(2) as pool:
        twice = list(pool.map(bits, [what for what in WHAT for _ in range(2)]))
    return twice[::2], twice[1::2]
"""
WHAT = ["full", "diag", "poisson", "rows", "totals"]  # fits of three families, results for rows, and sums


@pytest.fixture(scope="module")
def by_circumstance():
    """Whether results equal those on one thread: on more, in a child forked later, in two threads of Python at once."""
    return python(
        LARGE_FITS
        + """
one = [bits(what, 1) for what in WHAT]
alone, number = not shared(), numba.get_num_threads()
more = [[bits(what, n) for what in WHAT] for n in (2, 4, None)]
with get_context("fork").Pool(1) as pool:
    forked = pool.map(bits, WHAT)
print(json.dumps({
    "threads": compare(one, *more), "fork": compare(one, forked), "pool": compare(one, *in_two_threads()),
    "used": [alone, shared()], "number": [number, numba.get_num_threads()],
}))
""",
        NUMBA_NUM_THREADS="4",
    )


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("circumstance", ["threads", "fork", "pool"])
def test_results_are_the_same_to_the_last_bit(by_circumstance, circumstance, what):
    assert by_circumstance["used"] == [True, True], "one thread runs the slabs in a loop, several threads share them"
    assert by_circumstance[circumstance][what]


def test_a_fit_leaves_the_number_of_threads_as_it_was(by_circumstance):
    assert by_circumstance["number"] == [4, 4]


def test_jobs_may_be_any_number_but_zero():
    X = rows_for("full")
    with pytest.raises(ValueError, match="n_jobs"):
        GaussianMixture(n_jobs=0).fit(X)
    expected = GaussianMixture().fit(X).lower_bounds_
    for n_jobs in (1, 10**6, -1, -(10**6)):
        assert GaussianMixture(n_jobs=n_jobs).fit(X).lower_bounds_ == expected


# Without compiled code


def test_importing_the_package_imports_nothing_that_is_slow_or_optional():
    seen = python(
        """
import json, sys
import sklearn.callback, sklearn.mixture
before = set(sys.modules)  # scikit-learn imports pandas and rich where it finds them
import fastem
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
    )
    assert not {"numba", "llvmlite", "matplotlib", "pandas", "polars", "pyarrow", "rich", "typer"} & set(seen)


def test_pure_python_gives_what_compiled_code_gives():
    seen = python(
        """
import json
from fits import model_at, run
from models import learned
from reference import FAMILIES, rows_for, start_at

values = {}
for family in FAMILIES:
    X = rows_for(family, 60, 2)
    model = run(model_at(start_at(family, X, X[:2] + 0.5)), X, 3)
    values[family] = {name: array.tolist() for name, array in learned(model).items()}
    values[family] |= {"densities": model.score_samples(X).tolist(), "labels": model.predict(X).tolist()}
print(json.dumps(values))
""",
        NUMBA_DISABLE_JIT="1",
    )
    for family in FAMILIES:
        X = rows_for(family, 60, 2)
        model = run(model_at(start_at(family, X, X[:2] + 0.5)), X, 3)
        expected = {**learned(model), "densities": model.score_samples(X), "labels": model.predict(X)}
        assert seen[family].keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(seen[family][name], value, rtol=1e-10, err_msg=f"{family} {name}")


# Reports to users


def test_the_environment_is_reported():
    report = environment()
    assert all(isinstance(value, str) and value for value in report.values())
    for package in ("numpy", "numba", "llvmlite", "scikit-learn", "scipy"):
        assert report[package] == importlib.metadata.version(package)
    assert report["fastem"] == fastem.__version__
    assert report["python"] == ".".join(map(str, sys.version_info[:3]))
    assert int(report["threads"]) >= 1
    assert {"processor", "cache directory"} <= report.keys()


@pytest.mark.parametrize(
    ("family", "dtype"), [("poisson", "float64"), ("gaussian-spherical", "float64"), ("gaussian-spherical", "float32")]
)
def test_warmup_compiles_every_pass_and_reports_it(family, dtype, monkeypatch):
    monkeypatch.setattr(warmup, "COMPILED", (family,))
    reports = []
    compiled._specialised.cache_clear()  # what was compiled for other tests
    compiled.get_cluster_passes.cache_clear()
    warmup.warmup(lambda label, seconds: reports.append((label, seconds)), (dtype,))
    steps = ("fit", "score")
    kinds = ["float32", "float32 in float64"] if dtype == "float32" else [dtype]
    starts = ("seeds", "clusters")
    labels = ["threads", "structures of covariances"] + [f"k-means {dtype}: {step}" for step in starts]
    assert [label for label, _ in reports] == labels + [f"{family} {kind}: {step}" for kind in kinds for step in steps]
    assert all(seconds > 0 for _, seconds in reports)
    passes = get_passes(get_family(family))
    used = [passes.fused, passes.score, *compiled.get_cluster_passes(), compiled.get_waiting()]
    before = [dispatcher.signatures for dispatcher in used]
    assert all(len(signatures) == (len(kinds) if i < 2 else 1) for i, signatures in enumerate(before))
    monkeypatch.setattr("fastem.engine.executor.PARALLEL_WORK", 0)
    monkeypatch.setattr("fastem.em.initialization.partition.SMALL", 0)
    model = PoissonMixture(2) if family == "poisson" else GaussianMixture(2, covariance_type="spherical")
    for n_jobs in (1, 2):
        X = rows_for("poisson", 20_000).astype(dtype)
        model.set_params(n_jobs=n_jobs).fit(X).predict(X)
    assert [dispatcher.signatures for dispatcher in used] == before, "a fit compiles nothing more"


def test_warmup_compiles_for_few_columns_too_where_a_family_has_kernels_for_them(monkeypatch):
    monkeypatch.setattr(warmup, "COMPILED", ("gaussian-full", "poisson"))
    monkeypatch.setattr(warmup, "_starts", lambda dtype: [])
    monkeypatch.setattr(warmup, "_steps", lambda family, source: [(f"{source.n_features} columns", lambda: None)])
    labels = []
    warmup.warmup(lambda label, seconds: labels.append(label))
    full = ["gaussian-full float64: 4 columns", "gaussian-full float64, few columns: 2 columns"]
    assert labels == ["threads", "structures of covariances", *full, "poisson float64: 4 columns"]
