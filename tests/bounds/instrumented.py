"""Kernels that check each access to an array before they make it, for tests alone.

`install` changes how vectors are lowered, so that every load and store of a vector checks whether all its lanes are in
the array, in the row in which it begins. An access outside is counted and redirected to a spare buffer: nothing is
corrupted, and the process goes on. `NUMBA_BOUNDSCHECK=1` checks scalars, and raises an IndexError. Call `install` in a
process of its own before any module of `fastem` that compiles is imported; compiled code is not cached.
"""

import ctypes
import os
import traceback

os.environ["NUMBA_BOUNDSCHECK"] = "1"

from llvmlite import ir
from numba.core import cgutils

from fastem.kernels import jit, vectors

INT = ir.IntType(64)
_tally = (ctypes.c_int64 * 2)()  # how many accesses were out of bounds, and the site of the last of them
_elsewhere = (ctypes.c_char * 4096)()
_sites: list[str] = []


def violations():
    """Number of accesses out of bounds since the last call, and the place in the source of the last of them."""
    number, site = _tally
    _tally[0] = 0
    return number, _sites[site] if number else ""


def n_checks():
    """Number of checks in compiled code."""
    return len(_sites)


def install():
    """Let kernels load and store vectors with checks."""
    jit.CheckedCache = _no_cache
    _mark_pointers()
    _check_marked()


def _no_cache(function):
    raise RuntimeError("instrumented code holds addresses of this process")


def _mark_pointers():
    """Let pointers remember the array and the indices that they were made from."""
    plain = vectors.pointer_to

    def pointer_to(context, builder, kinds, values):
        pointer = plain(context, builder, kinds, values)
        array = context.make_array(kinds[0])(context, builder, values[0])
        given = zip(values[1:], kinds[1:], strict=True)
        indices = [context.cast(builder, value, kind, vectors.types.intp) for value, kind in given]
        shape = cgutils.unpack_tuple(builder, array.shape)
        assert (kinds[0].layout, kinds[0].ndim) == ("C", len(indices)), kinds
        pointer.inside = lambda builder, count: _in_row(builder, shape, indices, count)
        return pointer

    vectors.pointer_to = pointer_to
    from fastem.kernels import blocks, shuffles  # which import it by name

    assert blocks.pointer_to is shuffles.pointer_to is pointer_to
    source = blocks._Block._source

    def marked_source(self, row, column):
        pointer = source(self, row, column)
        array = self.context.make_array(self.values_type)(self.context, self.builder, self.values)
        shape = cgutils.unpack_tuple(self.builder, array.shape)
        index = self._later(self.row, row), self._later(self.column, column)
        inside = {"C": _in_rows, "F": _in_column, "A": _in_row}[self.values_type.layout]
        pointer.inside = lambda builder, count: inside(builder, shape, index, count)
        return pointer

    blocks._Block._source = marked_source


def _check_marked():
    """Check loads from marked pointers, and stores to them."""
    bitcast, load, store = ir.IRBuilder.bitcast, ir.IRBuilder.load, ir.IRBuilder.store

    def marked_bitcast(self, value, kind, name=""):
        pointer = bitcast(self, value, kind, name)
        if hasattr(value, "inside"):
            pointer.inside = value.inside
        return pointer

    def checked_load(self, pointer, *arguments, **options):
        return load(self, _checked(self, pointer), *arguments, **options)

    def checked_store(self, value, pointer, *arguments, **options):
        return store(self, value, _checked(self, pointer), *arguments, **options)

    ir.IRBuilder.bitcast, ir.IRBuilder.load, ir.IRBuilder.store = marked_bitcast, checked_load, checked_store


def _checked(builder, pointer):
    """The pointer, or one to the spare buffer if not all its lanes are inside the array."""
    if not hasattr(pointer, "inside"):
        return pointer
    kind = pointer.type.pointee
    ok = pointer.inside(builder, getattr(kind, "count", 1))
    frames = (f for f in traceback.extract_stack() if "/kernels/" in f.filename)
    _sites.append(f"{kind}: " + ", ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames))
    with builder.if_then(builder.not_(ok), likely=False):
        number, site = (INT(ctypes.addressof(_tally) + offset).inttoptr(INT.as_pointer()) for offset in (0, 8))
        builder.store(builder.add(builder.load(number), INT(1)), number)
        builder.store(INT(len(_sites) - 1), site)
    return builder.select(ok, pointer, INT(ctypes.addressof(_elsewhere)).inttoptr(pointer.type))


def _in_row(builder, shape, index, count):
    """Condition that `count` elements from an index lie in one row."""
    ok = _within(builder, index[-1], count, shape[-1])
    return ok if len(index) == 1 else builder.and_(ok, _within(builder, index[0], 1, shape[0]))


def _in_column(builder, shape, index, count):
    """Condition that `count` elements from an index lie in one column."""
    return _in_row(builder, shape[::-1], index[::-1], count)


def _in_rows(builder, shape, index, count):
    """Condition that `count` elements lie in one row, or make up several whole rows that follow each other."""
    (n, d), (row, column) = shape, index
    whole = builder.and_(
        builder.and_(builder.icmp_signed("<", d, d.type(count)), builder.icmp_signed("==", column, column.type(0))),
        _within(builder, builder.mul(row, d), count, builder.mul(n, d)),
    )
    return builder.or_(_in_row(builder, shape, index, count), whole)


def _within(builder, first, count, size):
    not_before = builder.icmp_signed(">=", first, first.type(0))
    return builder.and_(not_before, builder.icmp_signed("<=", builder.add(first, first.type(count)), size))
