"""Mutants of the kernels, made by hand: a sign, an index, a dropped term, a wrong precision."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

KERNEL_TESTS = ("tests/test_kernels.py", "tests/test_kernels_incomplete.py")


@dataclass(frozen=True)
class KernelMutant:
    """A piece of a kernel's source, which occurs once, and its replacement.

    With `jit` the tests run compiled code, because kernels in pure Python do not use the changed code.
    """

    path: str
    old: str
    new: str
    jit: bool = False
    files: tuple[str, ...] = KERNEL_TESTS

    @property
    def key(self) -> str:
        """Name of the mutant in the results."""
        return hashlib.sha256(f"{self.path}\0{self.old}\0{self.new}".encode()).hexdigest()

    @property
    def tests(self) -> list[str]:
        """Files of tests, as pytest takes them."""
        return list(self.files)

    @property
    def function(self) -> str:
        """Empty, because the change shows the place."""
        return ""

    def change(self, _: Path) -> str:
        """The source before and after, in one line."""
        return f"`{self.old.strip()}` becomes `{self.new.strip()}`".replace("\n", " ")

    def source(self, package: Path) -> str:
        """The file's text with the change in it."""
        text = (package / self.path).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path}: {self.old!r} is there {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)


CHANGES = {
    "linalg": [
        (
            "lambda i, r: k.negative(k.broadcast(offset, k.plus(i, r)))",
            "lambda i, r: k.broadcast(offset, k.plus(i, r))",
        ),
        ("k.add_product(squares[v], y, y)", "k.add_product(squares[0], y, y)"),
        (
            "k.multiply_add(minus_half, k.value(squares[v]), level)",
            "k.multiply_add(minus_half, k.value(squares[v]), k.zero)",
        ),
        ("with k.loop(0, k.plus(i, 1)) as j:", "with k.loop(0, i) as j:"),
        (
            "for r in range(1, n_rows):\n            add(r, k.plus(i, r))",
            "for r in range(1, n_rows):\n            add(0, k.plus(i, r))",
        ),
        ("k.load(tile, j, k.plus(c, v * k.lanes)) for v", "k.load(tile, j, c) for v"),
        ("k.change(cells[r], k.add(k.value(cells[r]), p))", "k.change(cells[r], p)"),
        (
            "k.add_totals(sums, [((i,), first.values())])",
            "k.add_totals(sums, [((0,), first.values())])",
        ),
        ("centres = centres_at(j, n_columns)", "centres = centres_at(i, n_columns)"),
        ("lambda r, s, j=j: r >= s + j)", "lambda r, s, j=j: r > s + j)"),
        ("SHAPES.scatter[0], strip, rest=(2, 1))", "SHAPES.scatter[0], strip, rest=(2,))"),
    ],
    "columns": [
        ("stats[first + i] += total(t0)", "stats[first] += total(t0)"),
        ("k.multiply(k.multiply(square, scale), scale)", "k.multiply(square, scale)"),
        ("k.negative(k.broadcast(offset, component, j))", "k.broadcast(offset, component, j)"),
        ("k.add_product(cell, x, k.where_larger(x, k.zero, a, k.zero))", "k.add_product(cell, x, a)"),
        ("p = k.multiply(w, u)", "p = k.multiply(weights[0], u)"),
        ("row = k.plus(k.builder.mul(components[r], k.integer(2)), power)", "row = k.plus(components[r], power)"),
        ("u = k.subtract(x, means[r, f])", "u = x"),
        ("k.runs(k.size(out), n_at_once, write)", "k.runs(k.size(out), n_at_once, write, rest=())"),
    ],
    "small": [
        (
            "starts = [k.negative(k.broadcast(offset, i)) for i in range(d)]",
            "starts = [k.negative(k.broadcast(offset, 0)) for i in range(d)]",
        ),
        ("k.add_product(cells[i, j], p, z[j])", "k.add_product(cells[i, j], p, z[i])"),
        ("((d + i * d + j,), [found", "((d + j * d + i,), [found"),
    ],
    "instructions": [
        ("terms(self.plus(self.plus(c, offset), n * self.logical_lanes), sums)", "terms(self.plus(c, offset), sums)"),
        ("found = self._by_halves([self.value(sums[key]) for sums in chains])", "found = self.value(chains[0][key])"),
        ("until = self.plus(done, self.multiples(self.builder.sub(stop, done), n))", "until = stop"),
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
        ("resp[k, c] = row_weight * part[c, k]", "resp[k, c] = part[c, k]"),
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
WRITTEN = (
    "linalg",
    "columns",
    "small",
    "instructions",
)  # generators of compiled code, which pure Python does not use
KERNEL_MUTANTS = [
    KernelMutant(f"kernels/{name}.py", *change, jit=name in WRITTEN)
    for name, changes in CHANGES.items()
    for change in changes
]
