"""Copying blocks of the data into feature-major tiles, where rows become lanes.

See `fastem.kernels.vectors` for what a vector is.
"""

from llvmlite import ir
from numba import types
from numba.core.cgutils import for_range_slice
from numba.extending import lower_builtin, type_callable

from fastem.kernels.shuffles import pick
from fastem.kernels.vectors import declare, lanes, pointer_to, spread, vector_of

LINE = 64  # bytes of the cache
AHEAD = 4096  # bytes from the rows that are read to those prefetched; hardware prefetchers stop at a page's end


def block_columns(tile):
    """Number of columns that `load_block` moves at once."""
    return min(lanes(tile), 8)


@type_callable(block_columns)
def _type_block_columns(context):
    return lambda tile: types.intp


@lower_builtin(block_columns, types.Array)
def _lower_block_columns(context, builder, signature, arguments):
    return context.get_constant(types.intp, _columns_of(signature.args[0]))


def _columns_of(tile_type):
    return min(vector_of(tile_type).n_lanes, 8)


def load_block(values, row, column, origin, tile, lane):
    """Copy the block of `values` (n, d) at (row, column), less `origin` (d,), into `tile` (d, b) at (column, lane).

    The block has as many rows as a vector of `tile` has lanes, and `block_columns` columns. It is transposed: rows
    become lanes.
    """
    _load_in_python(values, row, column, origin, tile, lane, block_columns(tile))


def load_four(values, row, column, origin, tile, lane):
    """`load_block` of four columns."""
    _load_in_python(values, row, column, origin, tile, lane, 4)


def _load_in_python(values, row, column, origin, tile, lane, n_columns):
    n_rows = lanes(tile)
    columns = slice(column, column + n_columns)
    tile[columns, lane : lane + n_rows] = (values[row : row + n_rows, columns] - origin[columns]).T


def _lower_block(function, columns_in):
    """Define the compiled code of `function`, which copies a block of `columns_in(tile)` columns."""

    @type_callable(function)
    def typing(context):
        return lambda values, row, column, origin, tile, lane: types.void

    @lower_builtin(function, types.Array, types.Integer, types.Integer, types.Array, types.Array, types.Integer)
    def lower(context, builder, signature, arguments):
        block = _Block(context, builder, signature, arguments)
        n_columns = columns_in(signature.args[4])
        if signature.args[0].layout == "C":
            rows = [block.neighbours(row, n_columns) for row in range(block.n_rows)]
            columns = _transpose(builder, _side_by_side(builder, rows))
        else:
            columns = [block.column_of(column) for column in range(n_columns)]
        for column, vector in enumerate(columns):
            block.put(vector, column)
        return context.get_dummy_value()


_lower_block(load_block, _columns_of)
_lower_block(load_four, lambda tile: 4)


def load_narrow(values, row, origin, tile, lane):
    """Copy as many rows of `values` (n, d) as a vector has lanes, from `row` on, less `origin`, into `tile` at `lane`.

    Only for d from 1 to 3.
    """
    n = lanes(tile)
    tile[:, lane : lane + n] = (values[row : row + n] - origin).T


@type_callable(load_narrow)
def _type_load_narrow(context):
    return lambda values, row, origin, tile, lane: types.void


@lower_builtin(load_narrow, types.Array, types.Integer, types.Array, types.Array, types.Integer)
def _lower_load_narrow(context, builder, signature, arguments):
    kinds, given = signature.args, arguments
    zero = context.get_constant(types.intp, 0)
    full = signature.replace(args=(kinds[0], kinds[1], types.intp, kinds[2], kinds[3], kinds[4]))
    block = _Block(context, builder, full, (given[0], given[1], zero, given[2], given[3], given[4]))
    n_columns = builder.extract_value(context.make_array(kinds[0])(context, builder, given[0]).shape, 1)
    done = builder.append_basic_block("loaded")
    for count in range(1, 4):
        here, other = builder.append_basic_block(f"columns.{count}"), builder.append_basic_block("other")
        builder.cbranch(builder.icmp_signed("==", n_columns, ir.Constant(n_columns.type, count)), here, other)
        builder.position_at_end(here)
        if kinds[0].layout == "C":
            size = block.n_rows * count
            together = block.neighbours(0, size)
            columns = [pick(builder, together, together, *range(i, size, count)) for i in range(count)]
        else:
            columns = [block.column_of(column) for column in range(count)]
        for column, vector in enumerate(columns):
            block.put(vector, column)
        builder.branch(done)
        builder.position_at_end(other)
    builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


def ask_ahead(values, row, n_rows):
    """Prefetch the memory `AHEAD` bytes after some rows, if the array is in C order.

    The program does not wait for it, and the addresses need not be valid.
    """


@type_callable(ask_ahead)
def _type_ask_ahead(context):
    return lambda values, row, n_rows: types.void


@lower_builtin(ask_ahead, types.Array, types.Integer, types.Integer)
def _lower_ask_ahead(context, builder, signature, arguments):
    kind = signature.args[0]
    if kind.layout == "C":
        array = context.make_array(kind)(context, builder, arguments[0])
        row, n_rows = (
            context.cast(builder, value, given, types.intp)
            for value, given in zip(arguments[1:], signature.args[1:], strict=True)
        )
        stride = builder.extract_value(array.strides, 0)
        first = builder.add(builder.mul(row, stride), ir.Constant(stride.type, AHEAD))
        data = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        step = ir.Constant(stride.type, LINE)
        with for_range_slice(
            builder, first, builder.add(first, builder.mul(n_rows, stride)), step, stride.type
        ) as loop:
            _prefetch(builder, builder.gep(data, [loop[0]]))
    return context.get_dummy_value()


def ask_for(array, index):
    """Prefetch the cache line of an element of a flat array; the program does not wait for it."""


@type_callable(ask_for)
def _type_ask_for(context):
    return lambda array, index: types.void


@lower_builtin(ask_for, types.Array, types.Integer)
def _lower_ask_for(context, builder, signature, arguments):
    _prefetch(builder, pointer_to(context, builder, signature.args, arguments))
    return context.get_dummy_value()


def _prefetch(builder, pointer):
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    prefetch = declare(builder, "llvm.prefetch.p0i8", ir.VoidType(), [byte, number, number, number])
    to_read, first_level, of_data = number(0), number(3), number(1)
    builder.call(prefetch, [builder.bitcast(pointer, byte), to_read, first_level, of_data])


class _Block:
    """Writer of the instructions that copy a block of the data into a tile."""

    def __init__(self, context, builder, signature, arguments):
        self.context, self.builder = context, builder
        self.values_type, _, _, self.origin_type, self.tile_type, _ = signature.args
        self.values, row, column, self.origin, self.tile, lane = arguments
        index = [
            context.cast(builder, value, signature.args[i], types.intp)
            for i, value in ((1, row), (2, column), (5, lane))
        ]
        self.row, self.column, self.lane = index
        self.scalar = context.get_value_type(self.tile_type.dtype)
        self.n_rows = vector_of(self.tile_type).n_lanes

    def _later(self, index, offset):
        return self.builder.add(index, ir.Constant(index.type, offset))

    def _source(self, row, column):
        """Pointer to an element of the data, for any strides of the array."""
        builder = self.builder
        array = self.context.make_array(self.values_type)(self.context, builder, self.values)
        strides = array.strides
        offset = builder.add(
            builder.mul(self._later(self.row, row), builder.extract_value(strides, 0)),
            builder.mul(self._later(self.column, column), builder.extract_value(strides, 1)),
        )
        data = builder.ptrtoint(array.data, offset.type)
        return builder.inttoptr(builder.add(data, offset), array.data.type)

    def _together(self, row, column, count):
        """Load `count` elements that follow each other in memory, as a vector."""
        kind = ir.VectorType(self.context.get_value_type(self.values_type.dtype), count)
        loaded = self.builder.load(self.builder.bitcast(self._source(row, column), kind.as_pointer()))
        loaded.align = self.values_type.dtype.bitwidth // 8
        return loaded

    def neighbours(self, row, count):
        """Load `count` elements of a row, from the block's first column on, for data in C order."""
        return self._together(row, 0, count)

    def column_of(self, column):
        """Load one column of the block, for data in any order."""
        if self.values_type.layout == "F":
            return self._together(0, column, self.n_rows)
        builder = self.builder
        kind = ir.VectorType(self.context.get_value_type(self.values_type.dtype), self.n_rows)
        vector = ir.Constant(kind, ir.Undefined)
        for row in range(self.n_rows):
            element = builder.load(self._source(row, column))
            vector = builder.insert_element(vector, element, ir.IntType(32)(row))
        return vector

    def put(self, vector, column):
        """Store a column of the block, less its origin, as a row of the tile."""
        builder, context = self.builder, self.context
        wide = ir.VectorType(self.scalar, vector.type.count)
        if vector.type != wide:
            vector = builder.fpext(vector, wide)
        where = self._later(self.column, column)
        origin = builder.load(pointer_to(context, builder, (self.origin_type, types.intp), (self.origin, where)))
        origin = context.cast(builder, origin, self.origin_type.dtype, self.tile_type.dtype)
        vector = builder.fsub(vector, spread(builder, origin, vector.type.count))
        kinds = (self.tile_type, types.intp, types.intp)
        target = pointer_to(context, builder, kinds, (self.tile, where, self.lane))
        builder.store(vector, builder.bitcast(target, wide.as_pointer())).align = self.tile_type.dtype.bitwidth // 8


def _side_by_side(builder, rows):
    """Join rows of n columns to n longer vectors: the i-th holds the rows i, i + n, i + 2 n and so on."""
    n = rows[0].type.count
    while len(rows) > n:
        both = range(2 * rows[0].type.count)
        starts = range(0, len(rows), 2 * n)
        rows = [pick(builder, rows[s + i], rows[s + n + i], *both) for s in starts for i in range(n)]
    return rows


def _transpose(builder, rows):
    """Columns from the rows of a square block, or of several square blocks side by side.

    Pairs of vectors exchange every other lane, then every other pair of lanes, and so on.
    """
    rows = list(rows)
    n = rows[0].type.count
    half = 1
    while half < len(rows):
        for i in range(len(rows)):
            if not i & half:
                a, b = rows[i], rows[i + half]
                rows[i] = pick(builder, a, b, *(t if not t & half else n + t - half for t in range(n)))
                rows[i + half] = pick(builder, a, b, *(t + half if not t & half else n + t for t in range(n)))
        half *= 2
    return rows
