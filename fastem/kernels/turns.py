"""Atomic counters by which the threads of a pass share slabs, and learn that slabs are done or a new pass begins.

Compiled code reads and writes these numbers atomically. `turns` (16,) holds the number of slabs that were taken, the
number that one call may take, because a call cannot be interrupted, and in another cache line the number of slabs done.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from fastem.kernels.registers import is_arm
from fastem.kernels.vectors import pointer_to

TAKEN, AT_ONCE, DONE, SIZE = 0, 1, 8, 16
YIELD = ir.Constant(ir.IntType(32), 1)
LOOKS = 10_000  # reads of some dozens of processor cycles each, together less than a millisecond


def add_one(numbers, place):
    """Add one to a number atomically; return its value before."""
    numbers[place] += 1
    return numbers[place] - 1


@type_callable(add_one)
def _type_add_one(context):
    return lambda numbers, place: types.int64


@lower_builtin(add_one, types.Array, types.Integer)
def _lower_add_one(context, builder, signature, arguments):
    pointer = pointer_to(context, builder, signature.args, arguments)
    return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "seq_cst")


def look(numbers):
    """Current value of the first number, after a pause in which another thread of the same core may run."""
    return numbers[0]


@type_callable(look)
def _type_look(context):
    return lambda numbers: types.int64


@lower_builtin(look, types.Array)
def _lower_look(context, builder, signature, arguments):
    kinds = (*signature.args, types.int64)
    pointer = pointer_to(context, builder, kinds, (*arguments, ir.Constant(ir.IntType(64), 0)))
    name, *hint = ("llvm.aarch64.hint", YIELD) if is_arm() else ("llvm.x86.sse2.pause",)
    kind = ir.FunctionType(ir.VoidType(), [number.type for number in hint])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), hint)
    return builder.load_atomic(pointer, "acquire", 8)


def await_change(numbers, seen):
    """Wait until the first number differs from `seen`, for at most `LOOKS` reads."""
    for _ in range(LOOKS):
        if look(numbers) != seen:
            return
