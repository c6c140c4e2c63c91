"""Shares of the multiply-add ceiling that blocks of registers reach, by their shape, for `fastem.kernels.registers`.

Usage: python asv_benchmarks/register_blocks.py
       FASTEM_VECTOR_BYTES=32 NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES= python asv_benchmarks/register_blocks.py

On one thread, over one tile that stays in the first-level cache; kernel and ceiling take turns. Operations other than
multiply-adds count as two, so kernels that mostly add may reach more than 100 %. `*` marks the shapes in use.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
from benchmarks.ceiling import fma_gflops

from fastem.em.initialization.partition import TILE_ROWS
from fastem.engine.tiling import aligned_zeros, tile_rows
from fastem.kernels import clusters, columns, linalg, registers

ROUNDS = 5
SECONDS = 0.02  # of a measurement
TRIANGLES = ((4, 2), (4, 3), (6, 2), (3, 3), (5, 2), (4, 4), (6, 3), (6, 4), (8, 3))
SCATTERS = ((2, 2), (4, 2), (6, 2), (3, 3), (8, 2), (4, 4), (6, 3), (5, 4))
COLUMNS = ((1, 4), (2, 2), (2, 3), (4, 2), (2, 4), (4, 3), (4, 4))
NEAREST = ((2, 4), (4, 1), (4, 2), (4, 4), (8, 1), (8, 2))
FEATURES = (1, 2, 3, 4, 6, 8)


class Case(NamedTuple):
    """A kernel, its arguments, and the number of operations of a call."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    operations: float


def cases(kernel: str, d: int, dtype: Any) -> Case:
    """A kernel on random numbers."""
    rng, n_components = np.random.default_rng(0), 16
    b = tile_rows(1_000_000, d, n_components, dtype)

    def random(*shape: int) -> np.ndarray:
        array = aligned_zeros(shape, dtype)
        array[:] = rng.random(shape)
        return array

    tile, resp = random(d, b), random(n_components, b)
    active = np.arange(0, b, registers.LOGICAL_BYTES // tile.itemsize)
    centres, constants = random(n_components, d), np.zeros(n_components)
    if kernel == "triangle":
        return Case(linalg.halved_squares, (random(d, d), centres[0], 1.0, tile, resp[0]), d * (d + 1) * b)
    if kernel == "scatter":
        arguments = (resp[0], active, tile, centres[0], random(8, b), np.zeros(d), np.zeros((d, d)))
        return Case(linalg.weighted_moments, arguments, d * (d + 1) * b)
    if kernel == "columns":
        return Case(
            columns.halved_residuals,
            (random(n_components, d), centres, constants, tile, resp),
            4 * d * n_components * b,
        )
    if kernel == "nearest":
        few = random(d, TILE_ROWS)
        arguments = (few, centres, constants.astype(dtype), np.empty_like(few[0]))
        return Case(clusters.largest_products, arguments, 2 * d * n_components * few.shape[1])
    several = {"pair": 2, "single": 1}[kernel]
    function = columns.moments_of_two if several == 2 else columns.moments_of_one
    return Case(function, (resp, active, tile, centres, 0, np.zeros(2 * n_components * d)), 8 * several * d * b)


def compiled(function: Callable[..., Any], n_arguments: int) -> Callable[..., Any]:
    """Compiled loop of calls; a new function for each shape."""
    names = ", ".join(f"a{n}" for n in range(n_arguments))
    namespace: dict[str, Any] = {"function": function}
    exec(f"def repeat(n, {names}):\n    for _ in range(n):\n        function({names})", namespace)
    return numba.njit(nogil=True, error_model="numpy")(namespace["repeat"])


def shapes(kernel: str) -> Iterator[Any]:
    """The shapes that are tried."""
    yield from {"triangle": TRIANGLES, "scatter": SCATTERS, "columns": COLUMNS, "nearest": NEAREST}.get(
        kernel, FEATURES
    )


def with_shape(kernel: str, shape: Any, case: Case) -> Callable[..., Any]:
    """The kernel compiled with a shape of its blocks."""
    chosen = registers.SHAPES
    linalg.SHAPES = columns.SHAPES = clusters.SHAPES = chosen._replace(**{kernel: shape})
    repeat = compiled(case.function, len(case.arguments))
    try:
        repeat(1, *case.arguments)
    finally:
        linalg.SHAPES = columns.SHAPES = clusters.SHAPES = chosen
    return repeat


def seconds(call: Callable[..., Any], n: int, case: Case) -> float:
    """Time of n calls."""
    begin = time.perf_counter()
    call(n, *case.arguments)
    return time.perf_counter() - begin


def main() -> None:
    """Measure, and print a table for each kernel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", default="triangle,scatter,columns,pair,single,nearest")
    parser.add_argument("--features", default="10,16,32,64")
    parser.add_argument("--dtype", default="float64")
    options = parser.parse_args()
    print(f"{registers.REGISTERS}")
    widths = [int(d) for d in options.features.split(",")]
    for kernel in options.kernels.split(","):
        print(
            f"\n| {kernel} | compiled, s |"
            + "".join(f" d={d} |" for d in widths)
            + "\n|---|---|"
            + "---|" * len(widths)
        )
        for shape in shapes(kernel):
            row = []
            begin = time.perf_counter()
            first = with_shape(kernel, shape, cases(kernel, widths[0], options.dtype))
            took = time.perf_counter() - begin
            for d in widths:
                case = cases(kernel, d, options.dtype)
                n = max(1, int(SECONDS / max(seconds(first, 20, case), 1e-9) * 20))
                shares = []
                for _ in range(ROUNDS):
                    ceiling = fma_gflops(1)
                    shares.append(1e-9 * case.operations * n / seconds(first, n, case) / ceiling)
                row.append(f"{statistics.median(shares):.0%}")
            mark = "*" if getattr(registers.SHAPES, kernel) == shape else ""
            print(f"| {shape}{mark} | {took:.2f} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
