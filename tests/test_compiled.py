"""Compiled code: the same bits on any number of threads and in any process, a cache that is never stale."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fits import model_at, run
from models import learned
from reference import FAMILIES, rows_for, start_at

import fastem
from fastem import GaussianMixture, PoissonMixture, families, warmup
from fastem.compiled import get_passes
from fastem.environment import environment

HERE = Path(__file__).parent
PACKAGE = Path(fastem.__file__).parent


def python(code, *, path=(PACKAGE.parent, HERE), **variables):
    """Run code in another process, whose last line of output is JSON."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), **variables}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


# Threads. Results are compared by the bits of all that they are.

LARGE_FITS = """
import json, warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numba
import numpy as np
from fits import model_at
from models import learned
from reference import rows_for, start_at
from fastem import sources
from fastem.compiled import get_passes

warnings.simplefilter("ignore")  # once for all: threads share such settings
sources.PARALLEL_WORK = 1_000_000  # parallel passes on less data than a user would have them for
DATA = {family: rows_for(family, 60_000, 10) for family in ("full", "diag", "poisson")}
TWINS = [get_passes(name).fused for name in ("gaussian-full", "gaussian-diag", "poisson")]
TWINS += [get_passes("gaussian-full").score]
WHAT = ["full", "diag", "poisson", "rows", "totals"]


def used(twin):
    return all(getattr(twins, twin).signatures for twins in TWINS)


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
WHAT = ["full", "diag", "poisson", "rows", "totals"]  # fits of three families, what is said of rows, and sums over them


@pytest.fixture(scope="module")
def by_circumstance():
    """What is the same as on one thread: on more, in a child forked thereafter, in two threads of Python at once."""
    return python(
        LARGE_FITS
        + """
one = [bits(what, 1) for what in WHAT]
only_serial, threads = used("serial") and not any(twins.parallel.signatures for twins in TWINS), numba.get_num_threads()
more = [[bits(what, n) for what in WHAT] for n in (2, 4, None)]
with get_context("fork").Pool(1) as pool:
    forked = pool.map(bits, WHAT)
print(json.dumps({
    "threads": compare(one, *more), "fork": compare(one, forked), "pool": compare(one, *in_two_threads()),
    "used": [only_serial, used("parallel")], "number": [threads, numba.get_num_threads()],
}))
""",
        NUMBA_NUM_THREADS="4",
    )


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("circumstance", ["threads", "fork", "pool"])
def test_results_are_the_same_to_the_last_bit(by_circumstance, circumstance, what):
    assert by_circumstance["used"] == [True, True], "one thread runs the serial passes, more the parallel ones"
    assert by_circumstance[circumstance][what]


def test_a_fit_leaves_the_number_of_threads_as_it_was(by_circumstance):
    assert by_circumstance["number"] == [4, 4]


def test_threads_may_fit_at_once_where_the_layer_is_not_safe():
    """Two threads in parallel code at once would abort the process under numba's own "workqueue"."""
    seen = python(
        LARGE_FITS
        + """
before = [bits(what) for what in WHAT]
print(json.dumps([numba.threading_layer(), used("parallel"), compare(before, *in_two_threads())]))
""",
        NUMBA_NUM_THREADS="4",
        NUMBA_THREADING_LAYER="workqueue",
    )
    assert seen == ["workqueue", True, dict.fromkeys(WHAT, True)]


def test_jobs_may_be_any_number_but_zero():
    X = rows_for("full")
    with pytest.raises(ValueError, match="n_jobs"):
        GaussianMixture(n_jobs=0).fit(X)
    expected = GaussianMixture().fit(X).lower_bounds_
    for n_jobs in (1, 10**6, -1, -(10**6)):
        assert GaussianMixture(n_jobs=n_jobs).fit(X).lower_bounds_ == expected


# The disk cache

SMALL_FITS = """
import json
from fits import model_at, run
from models import learned
from reference import rows_for, start_at
from fastem.compiled import get_passes
from fastem.environment import environment

values, stats = {}, {}
for name in NAMES:
    family = name.removeprefix("gaussian-")
    X = rows_for(family)
    model = run(model_at(start_at(family, X, X[:2] + 0.5)), X, 5)
    values[family] = {name: array.tolist() for name, array in learned(model).items()}
    dispatcher = get_passes(name).fused.serial
    stats[family] = {kind: sum(getattr(dispatcher.stats, kind).values()) for kind in ("cache_hits", "cache_misses")}
print(json.dumps({"values": values, "stats": stats, "folder": environment()["cache directory"]}))
"""


def small_fits(*families):
    """The same in this process."""
    values = {}
    for family in families:
        X = rows_for(family)
        model = run(model_at(start_at(family, X, X[:2] + 0.5)), X, 5)
        values[family] = {name: array.tolist() for name, array in learned(model).items()}
    return values


def test_a_second_process_compiles_nothing_and_each_family_finds_its_own_code(tmp_path):
    code = SMALL_FITS.replace("NAMES", "['gaussian-full', 'poisson']")
    first, second = (python(code, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first["stats"] == {family: {"cache_hits": 0, "cache_misses": 1} for family in ("full", "poisson")}
    assert second["stats"] == {family: {"cache_hits": 1, "cache_misses": 0} for family in ("full", "poisson")}
    assert first["values"] == second["values"] == small_fits("full", "poisson")
    assert Path(first["folder"]).is_relative_to(tmp_path)
    names = [path.name for path in tmp_path.rglob("*.nbi")]
    assert len(names) == 2
    assert all(f"fused_pass.{name}.soft.serial" in "".join(names) for name in ("gaussian-full", "poisson"))


def test_code_is_compiled_anew_where_no_folder_is_writable(tmp_path):
    no_folder = tmp_path / "file"
    no_folder.touch()
    forget = (
        "from numba.core import caching; caching.CacheImpl._locator_classes = []\n"  # this folder was the last hope
    )
    seen = python(forget + SMALL_FITS.replace("NAMES", "['poisson']"), NUMBA_CACHE_DIR=str(no_folder / "below"))
    assert seen["folder"].startswith("none")
    assert seen["values"] == small_fits("poisson")


@pytest.mark.parametrize("edited", ["kernels/linalg.py", "families/poisson.py", "_jit.py"])
def test_the_fingerprint_changes_with_the_source_of_whatever_is_compiled(tmp_path, edited):
    copy = shutil.copytree(PACKAGE, tmp_path / "fastem", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import json; from fastem import _jit; print(json.dumps([_jit.__file__, _jit.fingerprint()]))"
    _, before = python(code, path=[tmp_path])
    with (copy / edited).open("a") as file:
        file.write("# edited\n")
    origin, after = python(code, path=[tmp_path])
    assert Path(origin).is_relative_to(tmp_path)
    assert before != after


def elsewhere(array):
    """The same numbers, column by column or every other number."""
    return np.asfortranarray(array) if array.ndim > 1 else np.repeat(array, 2)[::2]


def test_the_memory_order_of_initial_parameters_compiles_nothing_new():
    """Nor does that of fitted ones that are set by hand."""
    for family in FAMILIES:
        X = rows_for(family)
        start = start_at(family, X, X[:2] + 0.5)
        expected = run(model_at(start), X, 3)
        labels = expected.predict(X)
        passes = get_passes("poisson" if family == "poisson" else f"gaussian-{family}")
        before = [len(twins.serial.signatures) for twins in (passes.fused, passes.score)]
        model = model_at(start)
        for name in {"weights_init", "means_init", "precisions_init", "rates_init"} & model.get_params().keys():
            model.set_params(**{name: elsewhere(getattr(model, name))})
        run(model, X, 3)
        for name, value in vars(expected).items():
            if isinstance(value, np.ndarray):
                setattr(model, name, elsewhere(value))
        np.testing.assert_array_equal(model.predict(X), labels)
        after = [len(twins.serial.signatures) for twins in (passes.fused, passes.score)]
        assert after == before, family


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


# What a user is told


def test_the_environment_is_reported():
    report = environment()
    assert all(isinstance(value, str) and value for value in report.values())
    for package in ("numpy", "numba", "llvmlite", "scikit-learn", "scipy"):
        assert report[package] == importlib.metadata.version(package)
    assert report["fastem"] == fastem.__version__
    assert report["python"] == ".".join(map(str, sys.version_info[:3]))
    assert int(report["threads"]) >= 1
    assert {"processor", "threading layer", "cache directory"} <= report.keys()


def test_warmup_compiles_every_pass_and_reports_it(monkeypatch):
    monkeypatch.setattr(families, "NAMES", ("poisson",))
    reports = []
    warmup.warmup(lambda label, seconds: reports.append((label, seconds)))
    steps = ("start", "fit, serial", "score, serial", "fit, parallel", "score, parallel")
    assert [label for label, _ in reports] == [f"poisson float64: {step}" for step in steps]
    assert all(seconds > 0 for _, seconds in reports)
    passes = get_passes("poisson")
    used = [*passes.fused, *passes.score, passes.given]
    before = [len(dispatcher.signatures) for dispatcher in used]
    assert min(before) > 0
    PoissonMixture(2).fit(rows_for("poisson")).predict(rows_for("poisson"))
    assert [len(dispatcher.signatures) for dispatcher in used] == before, "a fit finds what it needs"
