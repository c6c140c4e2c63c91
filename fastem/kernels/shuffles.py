"""What moves numbers between the lanes of vectors: sums over lanes, and rows of the data into feature-major tiles.

See `fastem.kernels.vectors` for what a vector is.
"""

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

from fastem.kernels.vectors import Vector, lanes, pointer_to, spread, vector_of


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
            builder.fadd(
                _pick(builder, a, b, 0, 8, 2, 10, 4, 12, 6, 14), _pick(builder, a, b, 1, 9, 3, 11, 5, 13, 7, 15)
            )
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        low, high = (
            builder.fadd(
                _pick(builder, a, b, 0, 1, 8, 9, 4, 5, 12, 13), _pick(builder, a, b, 2, 3, 10, 11, 6, 7, 14, 15)
            )
            for a, b in zip(pairs[::2], pairs[1::2], strict=True)
        )
        sums = builder.fadd(
            _pick(builder, low, high, 0, 1, 2, 3, 8, 9, 10, 11), _pick(builder, low, high, 4, 5, 6, 7, 12, 13, 14, 15)
        )
        rows = [_pick(builder, sums, sums, *range(4)), _pick(builder, sums, sums, *range(4, 8))]
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
    ab = builder.fadd(_pick(builder, a, b, 0, 4, 1, 5), _pick(builder, a, b, 2, 6, 3, 7))
    cd = builder.fadd(_pick(builder, c, d, 0, 4, 1, 5), _pick(builder, c, d, 2, 6, 3, 7))
    return builder.fadd(_pick(builder, ab, cd, 0, 1, 4, 5), _pick(builder, ab, cd, 2, 3, 6, 7))


def _add_to(context, builder, four, pointer):
    """Add four lanes to four neighbours in memory, float64."""
    kind = ir.VectorType(ir.DoubleType(), 4)
    if four.type != kind:
        four = builder.fpext(four, kind)
    pointer = builder.bitcast(pointer, kind.as_pointer())
    before = builder.load(pointer)
    before.align = 8
    builder.store(builder.fadd(before, four), pointer).align = 8


def block_columns(tile):
    """Number of columns that `load_block` moves at once."""
    return min(lanes(tile), 8)


@type_callable(block_columns)
def _type_block_columns(context):
    return lambda tile: types.intp


@lower_builtin(block_columns, types.Array)
def _lower_block_columns(context, builder, signature, arguments):
    return context.get_constant(types.intp, min(vector_of(signature.args[0]).n_lanes, 8))


def load_block(values, row, column, origin, tile, lane):
    """Put the block of `values` at (row, column), less `origin`, into `tile` at (column, lane): rows become lanes.

    The block has as many rows as a vector of `tile` has lanes, and `block_columns` columns.
    """
    n_rows, n_columns = lanes(tile), block_columns(tile)
    block = values[row : row + n_rows, column : column + n_columns] - origin[column : column + n_columns]
    tile[column : column + n_columns, lane : lane + n_rows] = block.T


@type_callable(load_block)
def _type_load_block(context):
    return lambda values, row, column, origin, tile, lane: types.void


@lower_builtin(load_block, types.Array, types.Integer, types.Integer, types.Array, types.Array, types.Integer)
def _lower_load_block(context, builder, signature, arguments):
    n_lanes = vector_of(signature.args[4]).n_lanes
    n_columns = min(n_lanes, 8)
    block = _Block(context, builder, signature, arguments)
    if signature.args[0].layout == "C":
        rows = [block.neighbours(row, n_columns) for row in range(n_lanes)]
        if n_lanes > n_columns:
            both = range(2 * n_columns)
            rows = [_pick(builder, rows[i], rows[i + n_columns], *both) for i in range(n_columns)]
        columns = _transpose(builder, rows)
    else:
        columns = [block.gather(n_lanes, column) for column in range(n_columns)]
    for column, vector in enumerate(columns):
        block.put(vector, column)
    return context.get_dummy_value()


def load_narrow(values, row, origin, tile, lane):
    """Put as many rows of `values` (n, d) from `row` on as a vector has lanes, less `origin`, into `tile` at `lane`.

    Only for one to four columns.
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
    n_lanes = vector_of(kinds[3]).n_lanes
    n_columns = builder.extract_value(context.make_array(kinds[0])(context, builder, given[0]).shape, 1)
    done = builder.append_basic_block("loaded")
    for count in range(1, 5):
        here, other = builder.append_basic_block(f"columns.{count}"), builder.append_basic_block("other")
        builder.cbranch(builder.icmp_signed("==", n_columns, ir.Constant(n_columns.type, count)), here, other)
        builder.position_at_end(here)
        if kinds[0].layout == "C":
            together = block.neighbours(0, n_lanes * count)
            columns = [_pick(builder, together, together, *range(i, n_lanes * count, count)) for i in range(count)]
        else:
            columns = [block.gather(n_lanes, column) for column in range(count)]
        for column, vector in enumerate(columns):
            block.put(vector, column)
        builder.branch(done)
        builder.position_at_end(other)
    builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


class _Block:
    """A part of the data on its way into a tile."""

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

    def _later(self, index, offset):
        return self.builder.add(index, ir.Constant(index.type, offset))

    def _source(self, row, column):
        """Where an element of the data is, whatever the array's strides."""
        builder = self.builder
        array = self.context.make_array(self.values_type)(self.context, builder, self.values)
        strides = array.strides
        offset = builder.add(
            builder.mul(self._later(self.row, row), builder.extract_value(strides, 0)),
            builder.mul(self._later(self.column, column), builder.extract_value(strides, 1)),
        )
        data = builder.ptrtoint(array.data, offset.type)
        return builder.inttoptr(builder.add(data, offset), array.data.type)

    def neighbours(self, row, count):
        """Elements that follow each other in memory, from the block's first column of a row on."""
        kind = ir.VectorType(self.context.get_value_type(self.values_type.dtype), count)
        loaded = self.builder.load(self.builder.bitcast(self._source(row, 0), kind.as_pointer()))
        loaded.align = self.values_type.dtype.bitwidth // 8
        return loaded

    def gather(self, n_rows, column):
        """One column of the block."""
        builder = self.builder
        vector = ir.Constant(ir.VectorType(self.context.get_value_type(self.values_type.dtype), n_rows), ir.Undefined)
        for row in range(n_rows):
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


def _transpose(builder, rows):
    """Columns from the rows of a square block, or of several whose rows stand side by side.

    Pairs of vectors exchange every other lane, then every other pair of lanes, and so on.
    """
    rows = list(rows)
    n = rows[0].type.count
    half = 1
    while half < len(rows):
        for i in range(len(rows)):
            if not i & half:
                a, b = rows[i], rows[i + half]
                rows[i] = _pick(builder, a, b, *(t if not t & half else n + t - half for t in range(n)))
                rows[i + half] = _pick(builder, a, b, *(t + half if not t & half else n + t for t in range(n)))
        half *= 2
    return rows


def _pick(builder, a, b, *chosen):
    """A vector of chosen lanes of two, counted through both."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), [ir.IntType(32)(i) for i in chosen])
    return builder.shuffle_vector(a, b, mask)


def _halve(builder, vector, n_lanes):
    """Add one half of a vector to the other, until `n_lanes` are left."""
    while vector.type.count > n_lanes:
        half = vector.type.count // 2
        low, high = range(half), range(half, 2 * half)
        vector = builder.fadd(_pick(builder, vector, vector, *low), _pick(builder, vector, vector, *high))
    return vector
