"""The most fused multiply-adds that compiled code gets from this machine: what dense kernels are measured against."""

import statistics
import time

import numba
import numpy as np
from numba import prange
from threadpoolctl import threadpool_limits

from fastem import _jit
from fastem.kernels.shuffles import total
from fastem.kernels.vectors import lanes, load, multiply_add

N_CHAINS = 12
REPEATS = 7
STEPS = 1_000_000  # of a repeat: some hundredths of a second


@_jit.kernel
def _chains(numbers, n_steps):
    """Multiply and add in twelve vectors that wait for none but themselves: enough for a core's units."""
    factor = load(numbers, 0)
    a, b, c, d = load(numbers, 1), load(numbers, 2), load(numbers, 3), load(numbers, 4)
    e, f, g, h = load(numbers, 5), load(numbers, 6), load(numbers, 7), load(numbers, 8)
    i, j, k, m = load(numbers, 9), load(numbers, 10), load(numbers, 11), load(numbers, 12)
    for _ in range(n_steps):
        a = multiply_add(a, factor, factor)
        b = multiply_add(b, factor, factor)
        c = multiply_add(c, factor, factor)
        d = multiply_add(d, factor, factor)
        e = multiply_add(e, factor, factor)
        f = multiply_add(f, factor, factor)
        g = multiply_add(g, factor, factor)
        h = multiply_add(h, factor, factor)
        i = multiply_add(i, factor, factor)
        j = multiply_add(j, factor, factor)
        k = multiply_add(k, factor, factor)
        m = multiply_add(m, factor, factor)
    return total((a + b) + (c + d) + (e + f) + (g + h) + (i + j) + (k + m))


@numba.njit(parallel=True, nogil=True)
def _on_threads(numbers, n_steps, results):
    for thread in prange(results.size):
        results[thread] = _chains(numbers, n_steps)


def fma_gflops(n_threads: int = 1, dtype: str = "float64") -> float:
    """Billions of floating-point operations a second, a multiply-add being two: the median of a few repeats."""
    numbers = np.linspace(0.4, 0.5, 64).astype(dtype)  # sums converge to a normal number
    results = np.empty(n_threads)
    operations = 2 * N_CHAINS * lanes(numbers) * STEPS * n_threads
    seconds = []
    with _jit.limit_threads(n_threads), threadpool_limits(1, user_api="blas"):
        _on_threads(numbers, 1, results)
        for _ in range(REPEATS):
            begin = time.perf_counter()
            _on_threads(numbers, STEPS, results)
            seconds.append(time.perf_counter() - begin)
    return operations / statistics.median(seconds) / 1e9
