"""Kernels stay within their arrays at each width of vectors that the machine runs; violations are detected."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bounds.__main__ import TARGETS, can_run, environment
from processes import python

pytestmark = pytest.mark.slow

BOUNDS = Path(__file__).parent / "bounds"


@pytest.mark.parametrize("target", TARGETS)
def test_random_fits_and_calls_stay_within_their_arrays(target):
    if not can_run(target):
        pytest.skip("this processor has no such vectors")
    command = [sys.executable, "-P", str(BOUNDS), "--inside", f"--target={target}", "--cases=5"]
    done = subprocess.run(command, env=environment(target), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["violations"] == 0, done.stderr[-3000:]
    assert found["fits"] >= 10
    assert found["calls"] > 5 * found["fits"]


PLANTED = """
import json
import instrumented
instrumented.install()

import numpy as np
from fastem.kernels import jit
from fastem.kernels import linalg
from fastem.kernels.blocks import load_block
from fastem.kernels.shuffles import add_totals
from fastem.kernels.vectors import lanes, load, store

@jit.kernel
def copy_lanes(a, i, b, j):
    store(load(a, i), b, j)

@jit.kernel
def copy_row(a, i, b, j, k):
    store(load(a, i), b, j, k)

@jit.kernel
def sum_to(a, b, j):
    v = load(a, 0)
    add_totals(v, v, v, v, b, j)

@jit.kernel
def move(values, row, column, origin, tile, lane):
    load_block(values, row, column, origin, tile, lane)

@jit.kernel
def weigh(resp, active, tile, centre, scratch, sums, scatter):
    linalg.weighted_moments(resp, active, tile, centre, scratch, sums, scatter)

@jit.kernel
def at(a, i):
    return a[i]

def seen(function, *arguments):
    try:
        function(*arguments)
    except IndexError:
        return 1
    return instrumented.violations()[0]

found = []
for dtype in (np.float64, np.float32):
    n = 64 // np.dtype(dtype).itemsize
    a, b, rows = np.ones(3 * n, dtype), np.zeros(4 * n, dtype), np.zeros((2, 2 * n), dtype)
    tile, origin = np.zeros((8, 2 * n), dtype), np.zeros(8)
    width, values = min(n, 8), np.ones((n + 3, 8), dtype)
    strided = np.ones((2 * n + 6, 16), dtype)[::2, ::2]
    weighing = [tile[0], np.array([0, n]), tile, origin.astype(dtype), tile[:4].copy(), np.zeros(8), np.zeros((8, 8))]
    spoilt = ((0, tile[0, :n]), (1, np.array([0, n + 1])), (2, tile[:, :n].copy()), (3, origin[:7].astype(dtype)),
              (4, tile[:3].copy()), (5, np.zeros(7)), (6, np.zeros((7, 8))))
    inside = [
        seen(copy_lanes, a, 2 * n, b, 3 * n), seen(copy_row, a, 0, rows, 1, n),
        seen(sum_to, a, b.astype(float), 4 * n - 4), seen(at, a, 3 * n - 1), seen(weigh, *weighing),
        *(seen(move, v, 3, 8 - width, origin, tile, n) for v in (values, np.asfortranarray(values), strided)),
    ]
    outside = [
        seen(copy_lanes, a, 2 * n + 1, b, 0), seen(copy_lanes, a, -1, b, 0), seen(copy_lanes, a, 0, b, 3 * n + 1),
        seen(copy_row, a, 0, rows, 0, n + 1),  # from one row into the next
        *(seen(weigh, *weighing[:i], wrong, *weighing[i + 1 :]) for i, wrong in spoilt),
        seen(copy_row, a, 0, rows, 2, 0), seen(sum_to, a, b.astype(float), 4 * n - 3), seen(at, a, 3 * n),
        *(
            seen(move, v, *place)
            for v in (values, np.asfortranarray(values), strided)
            for place in (
                (4, 8 - width, origin, tile, 0),  # a row too many
                (0, 8 - width + 1, np.zeros(9), np.zeros((9, 2 * n), dtype), 0),  # a column too many
                (0, 8 - width, origin, tile, n + 1),  # beyond the tile's row
                (0, 8 - width, origin[:7], tile, 0),
            )
        ),
    ]
    found.append([inside, [number > 0 for number in outside], instrumented.n_checks()])
print(json.dumps(found))
"""


@pytest.mark.parametrize("width", [16, 32, 64])
def test_planted_accesses_beyond_an_array_are_seen(width):
    variables = {"NUMBA_OPT": "0", "FASTEM_VECTOR_BYTES": str(width)}
    seen = python(PLANTED, path=[BOUNDS.parents[1], BOUNDS], **variables)
    for inside, outside, n_checks in seen:
        assert inside == [0] * len(inside)
        assert outside == [True] * len(outside)
        assert n_checks > 20


CLUSTERS = """
import itertools, json, warnings
import instrumented
instrumented.install()

import numpy as np
from fastem.em.initialization import clustering
from fastem.em.initialization import partition

partition.SMALL = 0  # or numpy takes what is as small as this
warnings.simplefilter("ignore")
rng, found = np.random.default_rng(0), 0
for d, k, dtype, n in itertools.product((1, 3, 8), (2, 5), ("f8", "f4"), (6, 500)):
    labels = clustering.cluster(rng.normal(size=(n, d)).astype(dtype), None, k, np.random.RandomState(0))
    found += instrumented.violations()[0]
    assert 0 <= labels.min() and labels.max() < k
print(json.dumps([found, instrumented.n_checks()]))
"""


@pytest.mark.parametrize("width", [16, 64])
def test_clusters_stay_within_their_arrays(width):
    variables = {"NUMBA_OPT": "0", "FASTEM_VECTOR_BYTES": str(width)}
    violations, n_checks = python(CLUSTERS, path=[BOUNDS.parents[1], BOUNDS], **variables)
    assert violations == 0
    assert n_checks > 10


@pytest.mark.parametrize("end", [True, False])
def test_a_reading_beyond_memory_ends_the_process(end):
    code = f"""
import ctypes
import numpy as np
from memory import at_an_edge

array = np.arange(7.0)
copy = at_an_edge(array, end={end})
assert (copy == array).all()
print("inside", flush=True)
ctypes.c_double.from_address(copy.ctypes.data + {56 if end else -8}).value
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(BOUNDS)}, capture_output=True, text=True
    )
    assert done.stdout == "inside\n"
    assert done.returncode == -signal.SIGSEGV


def test_arrays_at_an_edge_are_what_they_were():
    code = """
import json
import numpy as np
from memory import at_an_edge

base = np.arange(60.0, dtype=np.float32).reshape(10, 6)
for array in (base, np.asfortranarray(base), base[::2, ::3], np.arange(5), np.zeros((3, 2, 2)), np.zeros((0, 4))):
    for end in (True, False):
        copy = at_an_edge(array, end=end)
        assert copy.dtype == array.dtype and (copy == array).all() and copy.shape == array.shape
        assert copy.strides == array.strides, (copy.strides, array.strides)
        assert not np.shares_memory(copy, array)
print(json.dumps("done"))
"""
    assert python(code, path=[BOUNDS]) == "done"
