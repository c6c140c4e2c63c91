"""Vectors of numbers held in registers, for kernels that state vector operations explicitly.

To vectorise a loop by itself, a compiler must be allowed to change the order of additions; it also guards each loop
against overlapping arrays, and keeps sums in memory. Here the source works with vectors: `load` reads as many
neighbours of an array as a vector holds, arithmetic applies to all lanes at once, `store` writes them back. Nothing is
reordered, and a vector has 64 bytes on every processor, so results have the same bits on all of them.

Without compilation (NUMBA_DISABLE_JIT=1) vectors are small numpy arrays, and the same source runs in Python.

Arrays are C-contiguous, of one or two dimensions, float64 or float32. Indices are not checked.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable

from fastem.kernels.registers import LOGICAL_BYTES, REGISTERS

GROUP_BYTES = 2 * REGISTERS.n_bytes  # two registers at a time in small matrices, to hide the latency of operations


class Vector(types.Type):
    """Lanes of one scalar type."""

    def __init__(self, scalar, n_lanes):
        self.scalar = scalar
        self.n_lanes = n_lanes
        super().__init__(name=f"Vector({scalar} x {n_lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        scalar = manager.lookup(vector.scalar).get_value_type()
        super().__init__(manager, vector, ir.VectorType(scalar, vector.n_lanes))


# Functions that kernels call. Their bodies run in Python; the code of compiled kernels follows each function.


def lanes(array):
    """Number of elements of `array` in a vector."""
    return LOGICAL_BYTES // array.itemsize


@type_callable(lanes)
def _type_lanes(context):
    return lambda array: types.intp


@lower_builtin(lanes, types.Array)
def _lower_lanes(context, builder, signature, arguments):
    return context.get_constant(types.intp, vector_of(signature.args[0]).n_lanes)


def is_double(array):
    """Whether the elements of an array or a vector are float64; known when the code is compiled."""
    return array.itemsize == 8


@type_callable(is_double)
def _type_is_double(context):
    return lambda array: types.boolean


@lower_builtin(is_double, types.Array)
def _lower_is_double(context, builder, signature, arguments):
    return context.get_constant(types.boolean, signature.args[0].dtype.bitwidth == 64)


@lower_builtin(is_double, Vector)
def _lower_is_double_vector(context, builder, signature, arguments):
    return context.get_constant(types.boolean, signature.args[0].scalar.bitwidth == 64)


def load(array, *index):
    """A vector of neighbouring elements of `array`, the first at `index`."""
    return array[(*index[:-1], slice(index[-1], index[-1] + lanes(array)))].copy()


@type_callable(load)
def _type_load(context):
    return lambda array, i, j=None: vector_of(array)


def group_lanes(array):
    """Number of elements of `array` in a group, which is two registers."""
    return GROUP_BYTES // array.itemsize


@type_callable(group_lanes)
def _type_group_lanes(context):
    return lambda array: types.intp


@lower_builtin(group_lanes, types.Array)
def _lower_group_lanes(context, builder, signature, arguments):
    return context.get_constant(types.intp, group_of(signature.args[0]).n_lanes)


def load_group(array, *index):
    """A group of neighbouring elements of `array`, the first at `index`."""
    return array[(*index[:-1], slice(index[-1], index[-1] + group_lanes(array)))].copy()


@type_callable(load_group)
def _type_load_group(context):
    return lambda array, i, j=None: group_of(array)


@lower_builtin(load, types.Array, types.VarArg(types.Integer))
@lower_builtin(load_group, types.Array, types.VarArg(types.Integer))
def _lower_load(context, builder, signature, arguments):
    pointer = pointer_to(context, builder, signature.args, arguments)
    value_type = context.get_value_type(signature.return_type)
    loaded = builder.load(builder.bitcast(pointer, value_type.as_pointer()))
    loaded.align = signature.args[0].dtype.bitwidth // 8
    return loaded


def broadcast(array, *index):
    """The element of `array` at `index`, in every lane."""
    return np.full(lanes(array), array[index])


@type_callable(broadcast)
def _type_broadcast(context):
    return lambda array, i, j=None: vector_of(array)


def broadcast_group(array, *index):
    """The element of `array` at `index`, in every lane of a group."""
    return np.full(group_lanes(array), array[index])


@type_callable(broadcast_group)
def _type_broadcast_group(context):
    return lambda array, i, j=None: group_of(array)


@lower_builtin(broadcast, types.Array, types.VarArg(types.Integer))
@lower_builtin(broadcast_group, types.Array, types.VarArg(types.Integer))
def _lower_broadcast(context, builder, signature, arguments):
    element = builder.load(pointer_to(context, builder, signature.args, arguments))
    return spread(builder, element, signature.return_type.n_lanes)


def splat(number, array):
    """A number in every lane, in the type of `array`."""
    return np.full(lanes(array), number, array.dtype)


@type_callable(splat)
def _type_splat(context):
    return lambda number, array: vector_of(array)


def alike(number, vector):
    """A number in every lane, in the type of `vector`."""
    return np.full(vector.size, number, vector.dtype)


@type_callable(alike)
def _type_alike(context):
    return lambda number, vector: vector


@lower_builtin(splat, types.Number, types.Array)
@lower_builtin(alike, types.Number, Vector)
def _lower_splat(context, builder, signature, arguments):
    vector = signature.return_type
    number = context.cast(builder, arguments[0], signature.args[0], vector.scalar)
    return spread(builder, number, vector.n_lanes)


def store(vector, array, *index):
    """Store the lanes in `array`, the first at `index`."""
    array[(*index[:-1], slice(index[-1], index[-1] + vector.size))] = vector


@type_callable(store)
def _type_store(context):
    return lambda vector, array, i, j=None: types.void


@lower_builtin(store, Vector, types.Array, types.VarArg(types.Integer))
def _lower_store(context, builder, signature, arguments):
    pointer = pointer_to(context, builder, signature.args[1:], arguments[1:])
    stored = builder.store(arguments[0], builder.bitcast(pointer, arguments[0].type.as_pointer()))
    stored.align = signature.args[1].dtype.bitwidth // 8
    return context.get_dummy_value()


def multiply_add(factor, other, summand):
    """Factor * other + summand, rounded once on processors with fused multiply-add."""
    with np.errstate(invalid="ignore"):  # compiled code does not warn
        return factor * other + summand


@type_callable(multiply_add)
def _type_multiply_add(context):
    return lambda factor, other, summand: summand


@lower_builtin(multiply_add, Vector, Vector, Vector)
def _lower_multiply_add(context, builder, signature, arguments):
    return fused(builder, *arguments)


def maximum(a, b):
    """The larger one, lane by lane; the second where they are equal."""
    return np.where(a > b, a, b)


@type_callable(maximum)
def _type_maximum(context):
    return lambda a, b: a


@lower_builtin(maximum, Vector, Vector)
def _lower_maximum(context, builder, signature, arguments):
    return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)


def where(mask, a, b):
    """Lanes of `a` where `mask` is true, of `b` elsewhere."""
    return np.where(mask, a, b)


@type_callable(where)
def _type_where(context):
    return lambda mask, a, b: a


@lower_builtin(where, Vector, Vector, Vector)
def _lower_where(context, builder, signature, arguments):
    return builder.select(*arguments)


def any_lane(mask):
    """Whether `mask` is true in any lane."""
    return bool(mask.any())


@type_callable(any_lane)
def _type_any_lane(context):
    return lambda mask: types.boolean


@lower_builtin(any_lane, Vector)
def _lower_any_lane(context, builder, signature, arguments):
    bits = ir.IntType(signature.args[0].n_lanes)
    return builder.icmp_unsigned("!=", builder.bitcast(arguments[0], bits), bits(0))


def as_integers(vector):
    """The bits of the lanes as integers."""
    return vector.view(f"i{vector.itemsize}")


@type_callable(as_integers)
def _type_as_integers(context):
    return lambda vector: Vector(types.Integer.from_bitwidth(vector.scalar.bitwidth), vector.n_lanes)


def as_floats(vector):
    """The integer lanes reinterpreted as floats."""
    return vector.view(f"f{vector.itemsize}")


@type_callable(as_floats)
def _type_as_floats(context):
    return lambda vector: Vector(types.float64 if vector.scalar.bitwidth == 64 else types.float32, vector.n_lanes)


@lower_builtin(as_integers, Vector)
@lower_builtin(as_floats, Vector)
def _lower_bits(context, builder, signature, arguments):
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


# Operators between vectors in compiled code; in Python numpy's operators are used.


def _lower_operator(function, floats, integers=None):
    """Define a binary operator by the names of its LLVM instructions for floats and for integers."""

    @type_callable(function)
    def typing(context):
        def result(a, b):
            return a if isinstance(a, Vector) and a == b else None

        return result

    @lower_builtin(function, Vector, Vector)
    def lower(context, builder, signature, arguments):
        is_float = isinstance(signature.args[0].scalar, types.Float)
        return getattr(builder, floats if is_float else integers)(*arguments)


_lower_operator(operator.add, "fadd", "add")
_lower_operator(operator.sub, "fsub", "sub")
_lower_operator(operator.mul, "fmul", "mul")
_lower_operator(operator.truediv, "fdiv")


@type_callable(operator.neg)
def _type_negation(context):
    return lambda a: a if isinstance(a, Vector) else None


@lower_builtin(operator.neg, Vector)
def _lower_negation(context, builder, signature, arguments):
    return builder.fneg(arguments[0])


def _lower_shift(function, instruction):
    """Define a shift of integer lanes by a number of bits."""

    @type_callable(function)
    def typing(context):
        def result(vector, bits):
            return vector if isinstance(vector, Vector) and isinstance(bits, types.Integer) else None

        return result

    @lower_builtin(function, Vector, types.Integer)
    def lower(context, builder, signature, arguments):
        vector = signature.args[0]
        bits = context.cast(builder, arguments[1], signature.args[1], vector.scalar)
        return getattr(builder, instruction)(arguments[0], spread(builder, bits, vector.n_lanes))


_lower_shift(operator.lshift, "shl")
_lower_shift(operator.rshift, "ashr")


def _lower_comparison(function, symbol):
    """Define a comparison of floats, which is false where a lane is NaN."""

    @type_callable(function)
    def typing(context):
        def result(a, b):
            return Vector(types.boolean, a.n_lanes) if isinstance(a, Vector) and a == b else None

        return result

    @lower_builtin(function, Vector, Vector)
    def lower(context, builder, signature, arguments):
        return builder.fcmp_ordered(symbol, *arguments)


_lower_comparison(operator.gt, ">")
_lower_comparison(operator.ge, ">=")


def vector_of(array):
    """Type of the vectors of an array, to define functions of vectors."""
    return Vector(array.dtype, LOGICAL_BYTES * 8 // array.dtype.bitwidth)


def group_of(array):
    """Type of a group of an array's elements."""
    return Vector(array.dtype, GROUP_BYTES * 8 // array.dtype.bitwidth)


def pointer_to(context, builder, kinds, values):
    """Pointer to an element: `values` are a C-contiguous array and its indices."""
    array_type, index_types = kinds[0], kinds[1:]
    array = context.make_array(array_type)(context, builder, values[0])
    casts = zip(values[1:], index_types, strict=True)
    index = [context.cast(builder, value, kind, types.intp) for value, kind in casts]
    offset = index[0]
    if len(index) == 2:
        n_columns = builder.extract_value(array.shape, 1)
        offset = builder.add(builder.mul(offset, n_columns), index[1])
    return builder.gep(array.data, [offset])


def spread(builder, number, n_lanes):
    """A vector with a number in every lane."""
    kind = ir.VectorType(number.type, n_lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), n_lanes), None)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def fused(builder, factor, other, summand):
    """A multiply-add, rounded once if the processor has fused multiply-add, for any options of compilation."""
    kind = factor.type
    name = "fma" if REGISTERS.fused else "fmuladd"
    bits = 64 if isinstance(kind.element, ir.DoubleType) else 32
    return builder.call(
        declare(builder, f"llvm.{name}.v{kind.count}f{bits}", kind, [kind] * 3), [factor, other, summand]
    )


def declare(builder, name, result, arguments):
    """An LLVM function, declared once in the module."""
    module = builder.module
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(result, arguments), name)
