"""Highest rate of fused multiply-adds that compiled code reaches on this machine: the ceiling of dense kernels."""

import statistics
import time

import numba
import numpy as np
from numba import prange
from threadpoolctl import threadpool_limits

from fastem.kernels import jit
from fastem.kernels.instructions import instructions
from fastem.kernels.registers import REGISTERS

N_CHAINS = 12
REPEATS = 7
STEPS = 1_000_000  # per repeat, which takes some hundredths of a second


def multiply_and_add(numbers, n_steps):
    """Multiply and add in twelve independent registers: enough to keep all units of a core busy."""
    numbers[:N_CHAINS] = numbers[:N_CHAINS] * numbers[0] ** n_steps  # without compilation: no measurement


@instructions(multiply_and_add)
def _write_chains(k, numbers, n_steps):
    factor = k.load(numbers, 0)
    cells = k.sums(range(N_CHAINS), lambda n: k.load(numbers, n + 1))
    with k.loop(0, n_steps):
        for cell in cells.values():
            k.change(cell, k.multiply_add(k.value(cell), factor, factor))
    for n, cell in cells.items():
        k.store(k.value(cell), numbers, 64 + n * k.lanes)


@numba.njit(parallel=True, nogil=True)
def _on_threads(numbers, n_steps):
    for thread in prange(numbers.shape[0]):
        multiply_and_add(numbers[thread], n_steps)


def fma_gflops(n_threads: int = 1, dtype: str = "float64") -> float:
    """Billions of floating-point operations per second, median of a few repeats; a multiply-add counts as two."""
    numbers = np.tile(np.linspace(0.4, 0.5, 512).astype(dtype), (n_threads, 1))  # sums converge to a normal number
    operations = 2 * N_CHAINS * REGISTERS.n_bytes // numbers.itemsize * STEPS * n_threads
    seconds = []
    with jit.limit_threads(n_threads), threadpool_limits(1, user_api="blas"):
        _on_threads(numbers, 1)
        for _ in range(REPEATS):
            begin = time.perf_counter()
            _on_threads(numbers, STEPS)
            seconds.append(time.perf_counter() - begin)
    return operations / statistics.median(seconds) / 1e9
