"""The disk cache: its code is never stale or of another family, and no fit fails without it."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fits import model_at, run
from processes import PACKAGE, python
from reference import FAMILIES, rows_for, start_at
from small_fits import SMALL_FITS, small_fits

from fastem.engine.compiled import get_passes
from fastem.families import get_family

pytestmark = pytest.mark.slow


def test_a_second_process_compiles_nothing_and_each_family_finds_its_own_code(tmp_path):
    code = SMALL_FITS.replace("NAMES", "['gaussian-full', 'poisson']")
    first, second = (python(code, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first["stats"] == {family: {"cache_hits": 0, "cache_misses": 1} for family in ("full", "poisson")}
    assert second["stats"] == {family: {"cache_hits": 1, "cache_misses": 0} for family in ("full", "poisson")}
    assert first["values"] == second["values"] == small_fits("full", "poisson"), "equal bits, wherever compiled"
    assert Path(first["folder"]).is_relative_to(tmp_path)
    names = [path.name for path in tmp_path.rglob("*.nbc")]
    for label in ("gaussian-full.soft.ignore.all_allowed.few", "poisson.soft.ignore.all_allowed"):
        assert sum(f"fold_slabs.{label}." in file for file in names) == 1


def test_of_processes_that_begin_together_one_compiles(tmp_path):
    code = SMALL_FITS.replace("NAMES", "['gaussian-full']")
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: python(code, NUMBA_CACHE_DIR=str(tmp_path)), range(3)))
    counts = [each["stats"]["full"] for each in found]
    assert sum(count["cache_misses"] for count in counts) == 1
    assert sum(count["cache_hits"] for count in counts) == 2
    assert all(each["values"] == found[0]["values"] for each in found)


READY = """
import json
import sys
from fastem import GaussianMixture
from fastem.kernels import linalg, small
from reference import rows_for

model = GaussianMixture(2, random_state=0).fit(rows_for("full"))
compiled = [len(kernels.moments.linked.signatures) for kernels in (small, linalg)]
learned = [model.means_.tolist(), model.predict(rows_for("full")).tolist()]
print(json.dumps([compiled, "numba.np.arrayobj" in sys.modules, learned]))
"""


def test_code_from_the_disk_runs_without_what_numba_needs_to_compile(tmp_path):
    """numba's compiler takes several times as long to import as compiled code takes to load."""
    first, second = (python(READY, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first[:2] == [[1, 0], True], "kernels for more features are not compiled"
    assert second == [[0, 0], False, first[2]]


BACKGROUNDS = """
import json
import numpy as np
from reference import rows_for
from fastem import GaussianMixture
from fastem.engine.compiled import get_passes
from fastem.families import get_family

values, stats = [], []
for covariance_type in ("diag", "full"):
    model = GaussianMixture(2, covariance_type=covariance_type, background=True, random_state=0).fit(rows_for("full"))
    values.append([model.weights_.tolist(), model.means_.tolist(), model.lower_bounds_])
    dispatcher = get_passes(get_family(f"gaussian-{covariance_type}.background")).of(3).fused
    stats.append([sum(getattr(dispatcher.stats, kind).values()) for kind in ("cache_hits", "cache_misses")])
print(json.dumps([values, stats]))
"""


def test_kernels_made_of_other_kernels_are_found_too(tmp_path):
    first, second = (python(BACKGROUNDS, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first[1] == [[0, 1], [0, 1]]
    assert second[1] == [[1, 0], [1, 0]]
    assert first[0] == second[0]


def test_code_is_compiled_anew_where_no_folder_is_writable(tmp_path):
    no_folder = tmp_path / "file"
    no_folder.touch()
    forget = "from numba.core import caching; caching.CacheImpl._locator_classes = []\n"  # no other folders
    seen = python(forget + SMALL_FITS.replace("NAMES", "['poisson']"), NUMBA_CACHE_DIR=str(no_folder / "below"))
    assert seen["folder"].startswith("none")
    assert seen["values"] == small_fits("poisson")


@pytest.mark.parametrize("edited", ["kernels/linalg.py", "families/poisson.py", "kernels/jit.py"])
def test_the_fingerprint_changes_with_the_source_of_whatever_is_compiled(tmp_path, edited):
    copy = shutil.copytree(PACKAGE, tmp_path / "fastem", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import json; from fastem.kernels import jit; print(json.dumps([jit.__file__, jit.fingerprint()]))"
    _, before = python(code, path=[tmp_path])
    with (copy / edited).open("a") as file:
        file.write("# edited\n")
    origin, after = python(code, path=[tmp_path])
    assert Path(origin).is_relative_to(tmp_path)
    assert before != after


def elsewhere(array):
    """The same numbers in another memory order: by column, or with gaps."""
    return np.asfortranarray(array) if array.ndim > 1 else np.repeat(array, 2)[::2]


def test_the_memory_order_of_initial_parameters_compiles_nothing_new():
    """Nor does the memory order of fitted parameters that are set by hand."""
    for family in FAMILIES:
        X = rows_for(family)
        start = start_at(family, X, X[:2] + 0.5)
        expected = run(model_at(start), X, 3)
        labels = expected.predict(X)
        passes = get_passes(get_family("poisson" if family == "poisson" else f"gaussian-{family}")).of(X.shape[1])
        before = [len(dispatcher.signatures) for dispatcher in (passes.fused, passes.score)]
        model = model_at(start)
        for name in {"weights_init", "means_init", "precisions_init", "rates_init"} & model.get_params().keys():
            model.set_params(**{name: elsewhere(getattr(model, name))})
        run(model, X, 3)
        for name, value in vars(expected).items():
            if isinstance(value, np.ndarray):
                setattr(model, name, elsewhere(value))
        np.testing.assert_array_equal(model.predict(X), labels)
        after = [len(dispatcher.signatures) for dispatcher in (passes.fused, passes.score)]
        assert after == before, family
