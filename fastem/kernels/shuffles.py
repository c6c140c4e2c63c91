"""Operations that move numbers between the lanes of vectors, and sums over lanes.

See `fastem.kernels.vectors` for what a vector is.
"""

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

from fastem.kernels.vectors import Vector, pointer_to


def total(vector):
    """Sum of the lanes, adding one half to the other until one lane is left."""
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
    sums = totals(builder, arguments[:4])
    add_to(builder, sums, range(4), pointer_to(context, builder, signature.args[4:], arguments[4:]))
    return context.get_dummy_value()


def totals(builder, registers):
    """Totals over the lanes of several registers, as one vector; additions are in the order of `total`.

    The number of registers is 1, 2, 4 or 8, and at most their number of lanes.
    """
    found = [_halve(builder, register, len(registers)) for register in registers]
    width = len(registers)  # lanes left of each register; after the first step several share a vector
    while width > 1:
        half = width // 2
        n_lanes = found[0].type.count
        low = [lane for lane in range(2 * n_lanes) if lane % width < half]
        high = [lane for lane in range(2 * n_lanes) if lane % width >= half]
        pairs = zip(found[::2], found[1::2], strict=True)
        found = [builder.fadd(pick(builder, a, b, *low), pick(builder, a, b, *high)) for a, b in pairs]
        width = half
    return found[0]


def add_to(builder, vector, lanes, pointer):
    """Add some neighbouring lanes to neighbouring float64 numbers in memory."""
    several = pick(builder, vector, vector, *lanes)
    kind = ir.VectorType(ir.DoubleType(), len(lanes))
    if several.type != kind:
        several = builder.fpext(several, kind)
    pointer = builder.bitcast(pointer, kind.as_pointer())
    before = builder.load(pointer)
    before.align = 8
    builder.store(builder.fadd(before, several), pointer).align = 8


def pick(builder, a, b, *chosen):
    """A vector of chosen lanes of `a` and `b`; the lanes of `b` are numbered after those of `a`."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), [ir.IntType(32)(i) for i in chosen])
    return builder.shuffle_vector(a, b, mask)


def _halve(builder, vector, n_lanes):
    """Add one half of a vector to the other, until `n_lanes` are left."""
    while vector.type.count > n_lanes:
        half = vector.type.count // 2
        low, high = range(half), range(half, 2 * half)
        vector = builder.fadd(pick(builder, vector, vector, *low), pick(builder, vector, vector, *high))
    return vector


def lane_bits(mask):
    """An integer with the bits set of the lanes in which a mask is true; the first lane is the lowest bit."""
    return sum(1 << lane for lane, holds in enumerate(mask) if holds)


@type_callable(lane_bits)
def _type_lane_bits(context):
    return lambda mask: types.uint64


@lower_builtin(lane_bits, Vector)
def _lower_lane_bits(context, builder, signature, arguments):
    bits = builder.bitcast(arguments[0], ir.IntType(signature.args[0].n_lanes))
    return builder.zext(bits, ir.IntType(64))


def lowest_bit(bits):
    """Index of the lowest set bit of an integer that is not zero."""
    return (int(bits) & -int(bits)).bit_length() - 1


@type_callable(lowest_bit)
def _type_lowest_bit(context):
    return lambda bits: types.int64


@lower_builtin(lowest_bit, types.Integer)
def _lower_lowest_bit(context, builder, signature, arguments):
    return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))
