"""Mutants of the kernels, made by hand: a sign, an index, a dropped term, a wrong precision."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

KERNEL_TESTS = ("tests/test_kernels.py", "tests/test_kernels_incomplete.py")


@dataclass(frozen=True)
class KernelMutant:
    """A piece of a kernel's text, which is there once, and what it becomes.

    With `jit` the tests need compiled code: they fit, or they are about what is not kept when kernels run in Python.
    """

    path: str
    old: str
    new: str
    jit: bool = False
    files: tuple[str, ...] = KERNEL_TESTS

    @property
    def key(self) -> str:
        """Names it in the results."""
        return hashlib.sha256(f"{self.path}\0{self.old}\0{self.new}".encode()).hexdigest()

    @property
    def tests(self) -> list[str]:
        """As pytest takes them."""
        return list(self.files)

    @property
    def function(self) -> str:
        """Not told: the change tells."""
        return ""

    def change(self, _: Path) -> str:
        """Before and after, in a line."""
        return f"`{self.old.strip()}` becomes `{self.new.strip()}`".replace("\n", " ")

    def source(self, package: Path) -> str:
        """The file's text with the change in it."""
        text = (package / self.path).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path}: {self.old!r} is there {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)


CHANGES = {
    "linalg": [
        ("y00 = -broadcast(offset, i); y10", "y00 = broadcast(offset, i); y10"),
        (
            "x0 = load(tile, i + 2, c); x1 = load(tile, i + 2, c1)",
            "x0 = load(tile, i + 1, c); x1 = load(tile, i + 2, c1)",
        ),
        ("a = broadcast(lower, i + 3, i + 2)", "a = broadcast(lower, i + 2, i + 2)"),
        (
            "s2 = multiply_add(y32, y32, s2); s3 = multiply_add(y33, y33, s3)\n        if d - whole >= 2:",
            "s3 = multiply_add(y33, y33, s3)\n        if d - whole >= 2:",
        ),
        (
            "zero, minus_half, level = splat(0.0, tile), splat(-0.5, tile), splat(constant, tile)",
            "zero, minus_half, level = splat(0.0, tile), splat(-0.5, tile), splat(0.0, tile)",
        ),
        ("for j in range(whole + 1):", "for j in range(whole):"),
        (
            "t0 = t0 + p0; t1 = t1 + p1; t2 = t2 + p2; t3 = t3 + p3\n        a00",
            "t0 = t0 + p0; t1 = t1 + p1; t2 = t2 + p2; t3 = t3 + z3\n        a00",
        ),
        (
            "a32 = multiply_add(p3, z2, a32); a33 = multiply_add(p3, z3, a33)\n    add_totals",
            "a32 = multiply_add(p2, z2, a32); a33 = multiply_add(p3, z3, a33)\n    add_totals",
        ),
        (
            "add_eight_totals(a20, a21, a22, a23, a30, a31, a32, a33, scatter, i + 2, j)",
            "add_eight_totals(a20, a21, a22, a23, a30, a31, a32, a33, scatter, i + 1, j)",
        ),
        ("scatter[whole + 1, whole] += total(a10)", "scatter[whole + 1, whole] = total(a10)"),
        ("for j in range(0, i, 4):", "for j in range(4, i, 4):"),
    ],
    "columns": [
        ("stats[first + i] += total(t0)", "stats[first] += total(t0)"),
        ("s0 = s0 * scale * scale; s1 = s1 * scale * scale;", "s0 = s0 * scale; s1 = s1 * scale * scale;"),
        (
            "a, h = broadcast(inverse_deviation, other, j), -broadcast(offset, other, j)",
            "a, h = broadcast(inverse_deviation, other, j), -broadcast(offset, k, j)",
        ),
        ("s0 = multiply_add(x0, where(x0 > zero, a, zero), s0)", "s0 = multiply_add(x0, a, s0)"),
        (
            "u = x - n2; p = v * u; t2 = t2 + p; r2 = multiply_add(p, u, r2)",
            "u = x - n2; p = w * u; t2 = t2 + p; r2 = multiply_add(p, u, r2)",
        ),
        ("first, other = 2 * k * d, 2 * (k + 1) * d", "first, other = 2 * k * d, 2 * k * d + 1"),
        ("u0 = load(tile, j, c) - m0\n", "u0 = load(tile, j, c)\n"),
    ],
    "small": [
        (
            "u1 = multiply_add(l11, load(tile, 1, c), multiply_add(l10, x0, h1))",
            "u1 = multiply_add(l11, load(tile, 1, c), h1)",
        ),
        ("a21 = multiply_add(p2, x1, a21); b21", "a21 = multiply_add(p1, x1, a21); b21"),
        ("stats[4] += total(a10 + b10)", "stats[3] += total(a10 + b10)"),
    ],
    "posterior": [
        ("sum0 = sum0 + e0; sum1 = sum1 + e1", "sum0 = sum0 + e0; sum1 = e1"),
        (
            "store(where(possible, load(row_log_likelihood, c) + logarithm, impossible), row_log_likelihood, c)",
            "store(load(row_log_likelihood, c) + logarithm, row_log_likelihood, c)",
        ),
        ("store(where(possible, quotient, zero), scale, c)", "store(quotient, scale, c)"),
        ("LOWEST if is_double(joint) else LOWEST_32", "LOWEST_32"),
        ("better = candidate > top", "better = candidate >= top"),
        (
            "result = result + w * where(w > zero, load(row_log_likelihood, c), zero)",
            "result = result + w * load(row_log_likelihood, c)",
        ),
        ("row = row + r * where(r > zero, logarithm, zero)", "row = row + where(r > zero, logarithm, zero)"),
        ("n_both += matters & matters_too", "n_both += matters | matters_too"),
        ("NEGLIGIBLE = 1e-20", "NEGLIGIBLE = 1e-8"),
        ("                    if k != label:", "                    if k > label:"),
        ("if log_weights[k] > log_weights[heaviest]:", "if log_weights[k] < log_weights[heaviest]:"),
    ],
    "vecmath": [
        ("r = multiply_add(multiple, alike(-LN2_LOW, x), r)", "r = r"),
        ("alike(0.00019841269863053618, x)", "alike(0.0001984126, x)"),
        ("UNDERFLOW_32 = -87.0", "UNDERFLOW_32 = -80.0"),
        ("rest = multiply_add(s * t, p, exponent * low)", "rest = s * t * p"),
    ],
    "tiles": [
        ("tile[j, c] = tile[j, 0]", "tile[j, c] = 0.0"),
        (
            "weight[c] = 0.0\n        for j in range(n_features):",
            "weight[c] = 1.0\n        for j in range(n_features):",
        ),
        ("last = n_features - width", "last = n_features - width - 1"),
        ("row[c] = weight[c] * part[c, k]", "row[c] = part[c, k]"),
    ],
    "cells": [
        (
            "s1 = s1 + where(x1 >= x1, multiply_add(minus_half * u1, u1, scale), zero)",
            "s1 = s1 + where(x1 >= x1, minus_half * u1 * u1, zero)",
        ),
        (
            "term = multiply_add(x, where(x > zero, broadcast(log_rates, k, j), zero), zero - rate)",
            "term = multiply_add(x, where(x > zero, broadcast(log_rates, k, j), zero), zero)",
        ),
        ("stats[first + 2 * d + j] += total(q)", "stats[first + 2 * d + j] += total(s)"),
    ],
    "uniform": [
        (
            "density = density + where(x >= x, there, zero + broadcast(log_widths, j))",
            "density = density + where(x >= x, there, zero)",
        ),
        ("where(total > negligible * load(weight, c), total, zero)", "total"),
    ],
    "lane_matrices": [
        ("e1 = multiply_add(zero - e0, unit, e1)", "e1 = multiply_add(e0, unit, e1)"),
        ("t11 = multiply_add(n10, unit, t11)", "t11 = multiply_add(n00, unit, t11)"),
        (
            "inverse1 = where(seen1, quotient * mantissa * inverse_power_of_both * a, zero)",
            "inverse1 = where(seen1, quotient * mantissa * inverse_power_of_both, zero)",
        ),
        ("for p in range(first, m + 1):", "for p in range(first, m):"),
    ],
    "incomplete": [
        ("row = start + (c if c < stop - start else 0)", "row = start"),
        (
            "residual = residual - load_group(tile, first + i * d + p, c) * broadcast_group(centre, p)",
            "residual = residual + load_group(tile, first + i * d + p, c) * broadcast_group(centre, p)",
        ),
    ],
}
KERNEL_MUTANTS = [
    KernelMutant(f"kernels/{name}.py", *change) for name, changes in CHANGES.items() for change in changes
]
