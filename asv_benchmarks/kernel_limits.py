"""Shares of the multiply-add ceiling that kernels and their inner loops reach on one thread: prints a table.

Usage: python asv_benchmarks/kernel_limits.py

Measures loops whose operands come from the first-level cache, the E-step and the scatter over one tile, and products of
the linear algebra library that scipy comes with. Each is measured several times, in turn with the ceiling.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numba
import numpy as np
from benchmarks.ceiling import fma_gflops
from scipy.linalg import blas
from threadpoolctl import threadpool_limits

from fastem.engine.tiling import aligned_zeros, tile_rows
from fastem.families import gaussian_full
from fastem.kernels import linalg
from fastem.kernels.shuffles import total
from fastem.kernels.vectors import broadcast, lanes, load, multiply_add, splat

ROUNDS = 9
SECONDS = 0.05  # of a measurement
STEPS = 32  # of a loop before it starts again, so that its operands fit into the first-level cache
N_COMPONENTS = 8


@numba.njit(nogil=True)
def block_of_products(scalars, vectors, centre, spread, centred, n_repeats):
    """Sixteen sums of products of four scalars and four vectors, which are loaded in each step.

    `spread` loads each scalar into all lanes, as the E-step does; otherwise it is a vector, as in the scatter.
    `centred` first subtracts a centre from each of the four vectors.
    """
    step = lanes(vectors)
    zero = splat(0.0, vectors)
    m0, m1, m2, m3 = broadcast(centre, 0), broadcast(centre, 1), broadcast(centre, 2), broadcast(centre, 3)
    a0 = zero
    a1 = zero
    a2 = zero
    a3 = zero
    b0 = zero
    b1 = zero
    b2 = zero
    b3 = zero
    c0 = zero
    c1 = zero
    c2 = zero
    c3 = zero
    d0 = zero
    d1 = zero
    d2 = zero
    d3 = zero
    for _ in range(n_repeats):
        for i in range(STEPS):
            z0 = load(vectors, i, 0)
            z1 = load(vectors, i, step)
            z2 = load(vectors, i, 2 * step)
            z3 = load(vectors, i, 3 * step)
            if centred:
                z0 = z0 - m0
                z1 = z1 - m1
                z2 = z2 - m2
                z3 = z3 - m3
            p = broadcast(scalars, i, 0) if spread else load(scalars, i, 0)
            a0 = multiply_add(p, z0, a0)
            a1 = multiply_add(p, z1, a1)
            a2 = multiply_add(p, z2, a2)
            a3 = multiply_add(p, z3, a3)
            p = broadcast(scalars, i, 1) if spread else load(scalars, i, step)
            b0 = multiply_add(p, z0, b0)
            b1 = multiply_add(p, z1, b1)
            b2 = multiply_add(p, z2, b2)
            b3 = multiply_add(p, z3, b3)
            p = broadcast(scalars, i, 2) if spread else load(scalars, i, 2 * step)
            c0 = multiply_add(p, z0, c0)
            c1 = multiply_add(p, z1, c1)
            c2 = multiply_add(p, z2, c2)
            c3 = multiply_add(p, z3, c3)
            p = broadcast(scalars, i, 3) if spread else load(scalars, i, 3 * step)
            d0 = multiply_add(p, z0, d0)
            d1 = multiply_add(p, z1, d1)
            d2 = multiply_add(p, z2, d2)
            d3 = multiply_add(p, z3, d3)
    sums = ((a0 + a1) + (a2 + a3)) + ((b0 + b1) + (b2 + b3)) + ((c0 + c1) + (c2 + c3)) + ((d0 + d1) + (d2 + d3))
    return total(sums)


@numba.njit(nogil=True)
def e_step(params, tile, out, n_repeats):
    """Component log-densities of a tile."""
    for _ in range(n_repeats):
        for k in range(out.shape[0]):
            linalg.log_density(params.lower[k], params.offset[k], params.log_constant[k], tile, out[k])


@numba.njit(nogil=True)
def scatter(params, resp, tile, scratch, sums, n_repeats):
    """First and second moments of a tile, of which no vector is skipped."""
    active = np.arange(0, tile.shape[1], lanes(tile))
    for _ in range(n_repeats):
        for k in range(resp.shape[0]):
            linalg.moments(resp[k], active, tile, params.means[k], scratch, sums[k, 0], sums[k, 1:])


def filled(*shape: int) -> np.ndarray:
    """Aligned array whose values are all 0.1."""
    array = aligned_zeros(shape, np.float64)
    array[:] = 0.1
    return array


def repeated(routine: Callable[..., object], *matrices: np.ndarray) -> Callable[[int], object]:
    """Function that calls a routine of BLAS `n_repeats` times."""

    def call(n_repeats: int) -> None:
        for _ in range(n_repeats):
            routine(1.0, *matrices)

    return call


def loops() -> dict[str, tuple[Callable[[int], object], float]]:
    """Cases by name: a function of the number of repetitions, and the floating-point operations of each."""
    scalars, vectors, centre = filled(STEPS, 64), filled(STEPS, 64), np.zeros(4)
    flops = 2.0 * 16 * lanes(vectors) * STEPS
    cases: dict[str, tuple[Callable[[int], object], float]] = {}
    for name, spread, centred in (
        ("16 multiply-adds, 4 loads and 4 broadcasts", True, False),
        ("16 multiply-adds, 8 loads and 4 subtractions", False, True),
    ):
        cases[name] = (
            lambda n, spread=spread, centred=centred: block_of_products(scalars, vectors, centre, spread, centred, n),
            flops,
        )
    generator = np.random.default_rng(0)
    for d in (16, 32, 64):
        b = tile_rows(1_000_000, d, N_COMPONENTS, np.float64)
        params = gaussian_full.params_at(0.1 * generator.normal(size=(N_COMPONENTS, d)))
        tile, resp, out, scratch = filled(d, b), filled(N_COMPONENTS, b), filled(N_COMPONENTS, b), filled(8, b)
        tile[:] = generator.normal(size=tile.shape)
        sums = np.zeros((N_COMPONENTS, d + 1, d))
        flops = 1.0 * d * d * b * N_COMPONENTS  # half a product
        cases[f"E-step, d={d}"] = (lambda n, p=params, t=tile, r=out: e_step(p, t, r, n), flops)
        cases[f"scatter, d={d}"] = (
            lambda n, p=params, t=tile, r=resp, w=scratch, s=sums: scatter(p, r, t, w, s, n),
            flops,
        )
        lower, columns = np.asfortranarray(params.lower[0]), np.asfortranarray(tile)
        half = 1.0 * d * d * b
        cases[f"dgemm, {d} x {d} by {d} x {b}"] = (repeated(blas.dgemm, lower, columns), 2.0 * half)
        cases[f"dtrmm, {d} x {d} by {d} x {b}"] = (repeated(blas.dtrmm, lower, columns), half)
        cases[f"dsyrk, {d} x {b}"] = (repeated(blas.dsyrk, columns), half)
    return cases


def seconds(call: Callable[[int], object], n_repeats: int) -> float:
    """Time of a call."""
    begin = time.perf_counter()
    call(n_repeats)
    return time.perf_counter() - begin


def main() -> None:
    """Measure, and print a table."""
    with threadpool_limits(1, user_api="blas"):
        cases = loops()
        repeats, shares = {}, {name: [] for name in cases}
        for name, (call, _) in cases.items():
            seconds(call, 1)  # compile
            repeats[name] = max(1, int(SECONDS / seconds(call, 100) * 100))
        for _ in range(ROUNDS):
            ceiling = fma_gflops(1)
            for name, (call, flops) in cases.items():
                shares[name].append(1e-9 * flops * repeats[name] / seconds(call, repeats[name]) / ceiling)
    print("| loop | of the ceiling |\n|---|---|")
    for name, values in shares.items():
        print(f"| {name} | {statistics.median(values):.0%} |")


if __name__ == "__main__":
    main()
