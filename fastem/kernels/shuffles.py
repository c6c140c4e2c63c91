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
    a, b, c, d = (_halve(builder, vector, 4) for vector in arguments[:4])
    ab = builder.fadd(_pick(builder, a, b, 0, 4, 1, 5), _pick(builder, a, b, 2, 6, 3, 7))
    cd = builder.fadd(_pick(builder, c, d, 0, 4, 1, 5), _pick(builder, c, d, 2, 6, 3, 7))
    totals = builder.fadd(_pick(builder, ab, cd, 0, 1, 4, 5), _pick(builder, ab, cd, 2, 3, 6, 7))
    four = ir.VectorType(ir.DoubleType(), 4)
    if signature.args[0].scalar.bitwidth < 64:
        totals = builder.fpext(totals, four)
    pointer = builder.bitcast(pointer_to(context, builder, signature.args[4:], arguments[4:]), four.as_pointer())
    before = builder.load(pointer)
    before.align = 8
    builder.store(builder.fadd(before, totals), pointer).align = 8
    return context.get_dummy_value()


def load_square(values, row, column, origin, tile, lane):
    """Put the square of `values` at (row, column), less `origin`, into `tile` at (column, lane): rows become columns.

    Its side is as long as a vector of `tile`, which has the type of `values` or a wider one.
    """
    side = lanes(tile)
    block = values[row : row + side, column : column + side] - origin[column : column + side]
    tile[column : column + side, lane : lane + side] = block.T


@type_callable(load_square)
def _type_load_square(context):
    return lambda values, row, column, origin, tile, lane: types.void


@lower_builtin(load_square, types.Array, types.Integer, types.Integer, types.Array, types.Array, types.Integer)
def _lower_load_square(context, builder, signature, arguments):
    side = vector_of(signature.args[4]).n_lanes
    block = _Block(context, builder, signature, arguments)
    if signature.args[0].layout == "C":
        columns = _transpose(builder, [block.neighbours(row, side) for row in range(side)])
    else:
        columns = [block.gather(side, column) for column in range(side)]
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
    """Columns of a square block from its rows: pairs of vectors exchange halves, quarters, eighths ..."""
    n = len(rows)
    rows = list(rows)
    half = 1
    while half < n:
        for i in range(n):
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
