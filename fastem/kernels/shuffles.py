"""What moves numbers between the lanes of vectors: sums over lanes.

See `fastem.kernels.vectors` for what a vector is.
"""

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

from fastem.kernels.vectors import Vector, pointer_to


def total(vector):
    """Sum of the lanes, by halves."""
    while vector.size > 1:
        vector = vector[: vector.size // 2] + vector[vector.size // 2 :]
    return vector[0]


@type_callable(total)
def _type_total(context):
    return lambda vector: vector.scalar


@lower_builtin(total, Vector)
def _lower_total(context, builder, signature, arguments):
    halved = _halve(builder, arguments[0], 1)
    return builder.extract_element(halved, ir.IntType(32)(0))


def add_totals(a, b, c, d, array, *index):
    """Add the sums of the lanes of four vectors to four neighbours in `array`, float64."""
    row, first = array[index[:-1]], index[-1]
    for i, vector in enumerate((a, b, c, d)):
        row[first + i] += total(vector)


@type_callable(add_totals)
def _type_add_totals(context):
    return lambda a, b, c, d, array, i, j=None: types.void


@lower_builtin(add_totals, Vector, Vector, Vector, Vector, types.Array, types.VarArg(types.Integer))
def _lower_add_totals(context, builder, signature, arguments):
    sums = _sums_of_four(builder, [_halve(builder, vector, 4) for vector in arguments[:4]])
    _add_to(context, builder, sums, pointer_to(context, builder, signature.args[4:], arguments[4:]))
    return context.get_dummy_value()


def add_eight_totals(a, b, c, d, e, f, g, h, array, i, j):
    """Add the sums of the lanes of four vectors to array[i, j : j + 4], of four others to the row that follows."""
    add_totals(a, b, c, d, array, i, j)
    add_totals(e, f, g, h, array, i + 1, j)


@type_callable(add_eight_totals)
def _type_add_eight_totals(context):
    return lambda a, b, c, d, e, f, g, h, array, i, j: types.void


@lower_builtin(add_eight_totals, *[Vector] * 8, types.Array, types.Integer, types.Integer)
def _lower_add_eight_totals(context, builder, signature, arguments):
    vectors = [_halve(builder, vector, 8) for vector in arguments[:8]]
    if vectors[0].type.count == 8:
        pairs = [
            builder.fadd(pick(builder, a, b, 0, 8, 2, 10, 4, 12, 6, 14), pick(builder, a, b, 1, 9, 3, 11, 5, 13, 7, 15))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        low, high = (
            builder.fadd(pick(builder, a, b, 0, 1, 8, 9, 4, 5, 12, 13), pick(builder, a, b, 2, 3, 10, 11, 6, 7, 14, 15))
            for a, b in zip(pairs[::2], pairs[1::2], strict=True)
        )
        sums = builder.fadd(
            pick(builder, low, high, 0, 1, 2, 3, 8, 9, 10, 11), pick(builder, low, high, 4, 5, 6, 7, 12, 13, 14, 15)
        )
        rows = [pick(builder, sums, sums, *range(4)), pick(builder, sums, sums, *range(4, 8))]
    else:
        rows = [_sums_of_four(builder, vectors[:4]), _sums_of_four(builder, vectors[4:])]
    array, first, column = arguments[8:]
    second = builder.add(first, ir.Constant(first.type, 1))
    for sums, row in zip(rows, (first, second), strict=True):
        pointer = pointer_to(context, builder, signature.args[8:], (array, row, column))
        _add_to(context, builder, sums, pointer)
    return context.get_dummy_value()


def _sums_of_four(builder, vectors):
    """The sums of four vectors of four lanes, as one vector."""
    a, b, c, d = vectors
    ab = builder.fadd(pick(builder, a, b, 0, 4, 1, 5), pick(builder, a, b, 2, 6, 3, 7))
    cd = builder.fadd(pick(builder, c, d, 0, 4, 1, 5), pick(builder, c, d, 2, 6, 3, 7))
    return builder.fadd(pick(builder, ab, cd, 0, 1, 4, 5), pick(builder, ab, cd, 2, 3, 6, 7))


def _add_to(context, builder, four, pointer):
    """Add four lanes to four neighbours in memory, float64."""
    kind = ir.VectorType(ir.DoubleType(), 4)
    if four.type != kind:
        four = builder.fpext(four, kind)
    pointer = builder.bitcast(pointer, kind.as_pointer())
    before = builder.load(pointer)
    before.align = 8
    builder.store(builder.fadd(before, four), pointer).align = 8


def pick(builder, a, b, *chosen):
    """A vector of chosen lanes of two, counted through both."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), [ir.IntType(32)(i) for i in chosen])
    return builder.shuffle_vector(a, b, mask)


def _halve(builder, vector, n_lanes):
    """Add one half of a vector to the other, until `n_lanes` are left."""
    while vector.type.count > n_lanes:
        half = vector.type.count // 2
        low, high = range(half), range(half, 2 * half)
        vector = builder.fadd(pick(builder, vector, vector, *low), pick(builder, vector, vector, *high))
    return vector
