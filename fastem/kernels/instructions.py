"""A writer of LLVM instructions, for kernels whose blocks of registers have a shape that depends on the processor.

`instructions(function)` makes a Python function callable from compiled code. The decorated function gets an
`Instructions` object and the arguments, and writes the instructions that compiled code executes; the Python function
itself, written with numpy, runs where nothing is compiled. Vectors here are registers, see `fastem.kernels.registers`;
a logical vector consists of `PARTS` registers.
"""

import contextlib
import inspect
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from fastem.kernels import shuffles, vectors
from fastem.kernels.registers import PARTS, REGISTERS

INT = ir.IntType(64)


class Array(NamedTuple):
    """An array in C order: its numba type and its LLVM value."""

    kind: Any
    value: Any


def instructions(function):
    """Replace calls of `function`, which returns nothing, in compiled code by what the decorated function writes."""

    def typing(context):
        def typer(*arguments):
            return types.void

        typer.__signature__ = inspect.signature(function)
        return typer

    def decorate(write):
        def lower(context, builder, signature, arguments):
            k = Instructions(context, builder, signature.args)
            pairs = zip(signature.args, arguments, strict=True)
            write(k, *(Array(*pair) if isinstance(pair[0], types.Array) else pair[1] for pair in pairs))
            return context.get_dummy_value()

        type_callable(function)(typing)
        lower_builtin(function, types.VarArg(types.Any))(lower)
        return write

    return decorate


class Instructions:
    """Loops, and arithmetic with registers; their numbers have the type of the first array among the arguments."""

    count = types.int64  # type of indices, for `spread`

    def __init__(self, context, builder, kinds):
        self.context, self.builder = context, builder
        self.dtype = next(kind.dtype for kind in kinds if isinstance(kind, types.Array))
        self.lanes = REGISTERS.n_bytes * 8 // self.dtype.bitwidth
        self.logical_lanes = PARTS * self.lanes
        self.scalar = context.get_value_type(self.dtype)
        self.kind = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.kind, None)

    # integers and loops

    def integer(self, n):
        return n if isinstance(n, ir.Value) else INT(n)

    def plus(self, value, n):
        """Sum of two integers."""
        if isinstance(n, int) and n == 0:
            return value
        return self.builder.add(self.integer(value), self.integer(n))

    def size(self, array, axis=0):
        """Length of an array's axis."""
        made = self.context.make_array(array.kind)(self.context, self.builder, array.value)
        return self.builder.extract_value(made.shape, axis)

    @contextlib.contextmanager
    def loop(self, start, stop, step=1) -> Iterator[Any]:
        """Loop from `start` to below `stop`; yields the index."""
        start, stop, step = map(self.integer, (start, stop, step))
        with cgutils.for_range_slice(self.builder, start, stop, step, INT) as (index, _):
            yield index

    def multiples(self, n, size):
        """The largest multiple of `size` that is at most n."""
        return self.builder.mul(self.builder.sdiv(n, INT(size)), INT(size))

    def runs(self, stop, size, write, rest=(1,)):
        """Call `write(n, first)` for runs of n = `size` indices below `stop`, then of sizes `rest` for what remains."""
        done = self.multiples(stop, size)
        with self.loop(0, done, size) as first:
            write(size, first)
        for n in rest:
            if n < size:
                until = self.plus(done, self.multiples(self.builder.sub(stop, done), n))
                with self.loop(done, until, n) as first:
                    write(n, first)
                done = until

    # registers

    def pointer(self, array, *index):
        """Pointer to an element."""
        kinds = (array.kind, *[types.int64] * len(index))
        return vectors.pointer_to(self.context, self.builder, kinds, (array.value, *map(self.integer, index)))

    def load(self, array, *index):
        """Load neighbouring elements into a register, the first from `index`."""
        loaded = self.builder.load(self.builder.bitcast(self.pointer(array, *index), self.kind.as_pointer()))
        loaded.align = self.dtype.bitwidth // 8
        return loaded

    def store(self, register, array, *index):
        """Store a register's lanes in an array, the first at `index`; they are rounded for an array of float32."""
        if array.kind.dtype.bitwidth < self.dtype.bitwidth:
            number = self.context.get_value_type(array.kind.dtype)
            register = self.builder.fptrunc(register, ir.VectorType(number, self.lanes))
        pointer = self.builder.bitcast(self.pointer(array, *index), register.type.as_pointer())
        self.builder.store(register, pointer).align = array.kind.dtype.bitwidth // 8

    def broadcast(self, array, *index):
        """A register with an element in every lane."""
        return self.spread(self.builder.load(self.pointer(array, *index)), array.kind.dtype)

    def spread(self, number, kind=types.float64):
        """A register with a number in every lane."""
        number = self.context.cast(self.builder, number, kind, self.dtype)
        return vectors.spread(self.builder, number, self.lanes)

    def constant(self, number):
        """A register with a Python number in every lane."""
        return ir.Constant(self.kind, [ir.Constant(self.scalar, number)] * self.lanes)

    def multiply_add(self, factor, other, summand):
        """Factor * other + summand, rounded once."""
        return vectors.fused(self.builder, factor, other, summand)

    def add(self, a, b):
        return self.builder.fadd(a, b)

    def subtract(self, a, b):
        return self.builder.fsub(a, b)

    def multiply(self, a, b):
        return self.builder.fmul(a, b)

    def negative(self, a):
        return self.builder.fneg(a)

    def where_larger(self, x, y, a, b):
        """Lanes of `a` where x > y, of `b` elsewhere."""
        return self.builder.select(self.builder.fcmp_ordered(">", x, y), a, b)

    # sums

    def sums(self, keys, start=None):
        """Memory for sums in registers, by key; they start at zero or at `start(key)`."""
        found = {}
        for key in keys:
            found[key] = cgutils.alloca_once(self.builder, self.kind)
            self.builder.store(self.zero if start is None else start(key), found[key])
        return found

    def value(self, cell):
        return self.builder.load(cell)

    def change(self, cell, value):
        self.builder.store(value, cell)

    def add_product(self, cell, factor, other):
        """Add a product to a sum."""
        self.change(cell, self.multiply_add(factor, other, self.value(cell)))

    def over_rows(self, keys, loop, terms, n_chains=1):
        """Sums over the rows of a tile, by key, each a register whose lanes remain to be added.

        The order of additions is that of logical vectors: lane by lane, then by halves of the lanes. A processor with
        narrower registers goes over all rows once for each part of a vector.

        Parameters
        ----------
        keys : list
        loop : callable (body)
            Writes a loop that calls body(c) for the first row c of each logical vector.
        terms : callable (c, sums)
            Adds the terms of the rows in a register, from row c on, to sums by key.
        n_chains : int, default=1
            Number of neighbouring vectors with sums of their own, a power of two. A single chain of additions would
            have to wait for each addition to finish.
        """
        cells = [cgutils.alloca_once(self.builder, self.kind, size=PARTS) for _ in keys]
        with self.loop(0, PARTS) as part:
            offset = self.builder.mul(part, INT(self.lanes))
            chains = [self.sums(keys) for _ in range(n_chains)]

            def body(c):
                for n, sums in enumerate(chains):
                    terms(self.plus(self.plus(c, offset), n * self.logical_lanes), sums)

            loop(body)
            for cell, key in zip(cells, keys, strict=True):
                found = self._by_halves([self.value(sums[key]) for sums in chains])
                self.builder.store(found, self.builder.gep(cell, [part]))
        return {key: self._of_parts(cell) for cell, key in zip(cells, keys, strict=True)}

    def _of_parts(self, cell):
        """Sum of the `PARTS` registers in a cell, added as the halves of one wide vector would be."""
        return self._by_halves([self.builder.load(self.builder.gep(cell, [INT(part)])) for part in range(PARTS)])

    def _by_halves(self, registers):
        """Sum of registers: one half of them is added to the other, until one is left."""
        while len(registers) > 1:
            half = len(registers) // 2
            registers = [self.add(low, high) for low, high in zip(registers[:half], registers[half:], strict=True)]
        return registers[0]

    def add_totals(self, array, runs):
        """Add totals over lanes to a float64 array; `runs` pairs first indices with registers of their neighbours."""
        registers = [register for _, several in runs for register in several]
        totals = []
        for size in (8, 4, 2, 1):
            while len(registers) >= size and self.lanes >= size:
                vector = shuffles.totals(self.builder, registers[:size])
                totals += [(vector, lane) for lane in range(size)]
                registers = registers[size:]
        for (*rows, column), several in runs:
            own, totals = totals[: len(several)], totals[len(several) :]
            done = 0
            for vector, group in itertools.groupby(own, key=lambda pair: pair[0]):
                lanes = [lane for _, lane in group]
                shuffles.add_to(self.builder, vector, lanes, self.pointer(array, *rows, self.plus(column, done)))
                done += len(lanes)


def keys_of(*shape):
    """List of the indices of a block of this shape."""
    return list(np.ndindex(*shape))


def over_active(k, active, body):
    """Loop over the logical vectors that begin at the rows in `active`."""
    with k.loop(0, k.size(active)) as n:
        body(k.builder.load(k.pointer(active, n)))
