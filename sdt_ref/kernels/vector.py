"""What plain Numba loops cannot say to the compiler: sums held in vector registers, and comparisons as bit masks.

Each operation stands here twice: as a Python function that says what it does (and runs when Numba is switched off), and
as the LLVM instructions that compiled kernels get instead. Lanes run across outputs or neurons, never across the
inputs of one, so both give the same bits.

All of them work on PANEL channels at once. Arrays of panels begin at whole cache lines (`aligned`): a vector that
straddles two lines costs two loads. With AVX-512 on one core an SDT-8-512 took 447 ms without that, and 274 ms with it.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

PANEL = (
    64  # channels: their spikes fill a machine word, their float32 sums eight AVX2 registers (enough to hide latency)
)
ROWS_OF_BYTES = 255  # rows of weights of -128 .. 127 whose sum 16 bits hold, whatever they are
VECTOR_BYTES = 64  # one AVX-512 register, two of AVX2, four of SSE or NEON; also a cache line

INDEX = ir.IntType(64)


def aligned(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Make an array, not initialised, that begins at a whole vector and shares no cache line with another array."""
    shape = (shape,) if isinstance(shape, int) else shape
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(nbytes + 2 * VECTOR_BYTES, np.uint8)
    start = -room.ctypes.data % VECTOR_BYTES
    return room[start : start + nbytes].view(dtype).reshape(shape)


def copy_panel(source, start, target, at):
    """Copy PANEL numbers: target[at:at+PANEL] = source[start:][:PANEL], elements of C-contiguous arrays.

    A plain loop would ask at run time whether the arrays overlap, and cost as much as ten rows.
    """
    target.reshape(-1)[at : at + PANEL] = source.reshape(-1)[start : start + PANEL]


def add_panel_rows(rows, first, last, limit, panels, base, current, at):
    """Add rows of one weight panel to PANEL outputs, which stay in registers meanwhile.

    for e in first .. last-1, while rows[e] < limit: current[at:at+PANEL] += panels[base + rows[e] * PANEL:][:PANEL]

    Weights may be narrower integers than the outputs. Whole numbers that do not overflow have no order, so bytes are
    summed in 16 bits and these sums added to outputs of 32 bits: that takes half as many vectors for each row.

    Parameters
    ----------
    rows : integer[n_events]
    panels, current : arrays of one float type, or of integers, C-contiguous; `base` and `at` count elements from their
        starts; for outputs of 32 bits, at most ROWS_OF_BYTES rows of bytes

    Returns
    -------
    int64
        the first e that was not added
    """
    weights, outputs = panels.reshape(-1), current.reshape(-1)
    for e in range(first, last):
        if rows[e] >= limit:
            return e
        row = base + int(rows[e]) * PANEL
        outputs[at : at + PANEL] += weights[row : row + PANEL]
    return last


def add_scaled_panel_rows(values, first, count, panels, base, current, at):
    """Add multiples of rows of one weight panel to PANEL outputs: the encoder's multiply-accumulate.

    for j in 0 .. count-1: current[at:at+PANEL] += values[first + j] * panels[base + j * PANEL:][:PANEL]

    Parameters
    ----------
    values, panels, current : float arrays, C-contiguous; `first`, `base` and `at` count elements from their starts
    """
    weights, outputs = panels.reshape(-1), current.reshape(-1)
    for j in range(count):
        row = base + j * PANEL
        outputs[at : at + PANEL] += values.reshape(-1)[first + j] * weights[row : row + PANEL]


def lif_step(current, at, membrane, leak, threshold):
    """Step PANEL neurons: h = v + (x - v) * leak; v = 0 where h >= threshold, else h.

    Parameters
    ----------
    current : float array, C-contiguous; x from element `at` on
    membrane : float[PANEL], v, updated
    leak, threshold : of the same type

    Returns
    -------
    uint64
        bit k is set where neuron k fires
    """
    x = current.reshape(-1)[at : at + PANEL]
    h = membrane + (x - membrane) * leak
    fired = h >= threshold
    membrane[:] = np.where(fired, 0, h)
    return np.uint64(sum(1 << k for k in range(PANEL) if fired[k]))


def prefetch(array, element):
    """Ask for the cache line of an element that will be read soon: a hint, without effect on any result.

    The element may lie beyond the end of the array.
    """


@intrinsic
def _prefetch(typing_context, array, element):
    signature = types.void(array, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        function = ir.FunctionType(ir.VoidType(), [place.type, flag, flag, flag])
        hint = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0i8")
        builder.call(hint, [place, flag(0), flag(2), flag(1)])
        return context.get_dummy_value()

    return signature, generate


@overload(prefetch)
def _compiled_prefetch(array, element):
    return lambda array, element: _prefetch(array, element)


class Panel:
    """Loads and stores of the vectors of a panel in an array that a kernel was given.

    Its vectors have so many lanes as those of another one; by default they are whole.
    """

    def __init__(self, context, builder, array_type, array, like=None):
        self.builder = builder
        self.data = context.make_array(array_type)(context, builder, array).data
        self.scalar = context.get_data_type(array_type.dtype)
        self.itemsize = context.get_abi_sizeof(self.scalar)
        self.lanes = VECTOR_BYTES // self.itemsize if like is None else like.lanes
        self.type = ir.VectorType(self.scalar, self.lanes)
        self.vectors = range(PANEL // self.lanes)

    def _pointer(self, element, k):
        place = self.builder.gep(self.data, [self.builder.add(element, INDEX(k * self.lanes))])
        return self.builder.bitcast(place, self.type.as_pointer())

    def load(self, element, k):
        """Vector k of the panel that begins at an element."""
        return self.builder.load(self._pointer(element, k), align=self.itemsize)

    def store(self, vector, element, k):
        """Store vector k of the panel that begins at an element."""
        self.builder.store(vector, self._pointer(element, k), align=self.itemsize)

    def widened(self, vectors, k):
        """Vector k of the same lanes as in vectors of narrower integers that have twice as many each."""
        half = ir.Constant(
            ir.VectorType(ir.IntType(32), self.lanes), [k % 2 * self.lanes + i for i in range(self.lanes)]
        )
        narrow = vectors[k // 2]
        return self.builder.sext(
            self.builder.shuffle_vector(narrow, ir.Constant(narrow.type, ir.Undefined), half), self.type
        )

    def repeat(self, scalar):
        """A vector with the same number in all lanes."""
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.IntType(32)(0))
        return self.builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        )


class _Sums:
    """Vectors of integers that live in registers only."""

    def __init__(self, scalar):
        self.lanes = VECTOR_BYTES * 8 // scalar.width
        self.type = ir.VectorType(scalar, self.lanes)
        self.zero = ir.Constant(self.type, [0] * self.lanes)


@intrinsic
def _copy_panel(typing_context, source, start, target, at):
    signature = types.void(source, types.int64, target, types.int64)

    def generate(context, builder, signature, arguments):
        source, start, target, at = arguments
        read = Panel(context, builder, signature.args[0], source)
        written = Panel(context, builder, signature.args[2], target)
        for k in read.vectors:
            written.store(read.load(start, k), at, k)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _add_panel_rows(typing_context, rows, first, last, limit, panels, base, current, at):
    whole = types.int64
    signature = whole(rows, whole, whole, whole, panels, whole, current, whole)

    def generate(context, builder, signature, arguments):
        rows, first, last, limit, panels, base, current, at = arguments
        rows_type, panels_type, current_type = (signature.args[k] for k in (0, 4, 6))
        row_numbers = context.make_array(rows_type)(context, builder, rows).data
        outputs = Panel(context, builder, current_type, current)
        sums_type = outputs
        in_two_steps = (panels_type.dtype, current_type.dtype) == (types.int8, types.int32)
        if in_two_steps:
            sums_type = _Sums(ir.IntType(16))
        weights = Panel(context, builder, panels_type, panels, like=sums_type)
        widen = builder.sext if rows_type.dtype.signed else builder.zext
        add = builder.fadd if isinstance(current_type.dtype, types.Float) else builder.add
        before = builder.block
        starts = [sums_type.zero if in_two_steps else outputs.load(at, k) for k in weights.vectors]
        head, check, body, done = (builder.append_basic_block(n) for n in ("events", "check", "row", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        e, sums = builder.phi(INDEX), [builder.phi(sums_type.type) for _ in weights.vectors]
        builder.cbranch(builder.icmp_signed("<", e, last), check, done)
        builder.position_at_end(check)
        row = widen(builder.load(builder.gep(row_numbers, [e])), INDEX)
        builder.cbranch(builder.icmp_signed("<", row, limit), body, done)
        builder.position_at_end(body)
        element = builder.add(builder.mul(row, INDEX(PANEL)), base)
        loaded = [weights.load(element, k) for k in weights.vectors]
        if weights.type != sums_type.type:
            loaded = [builder.sext(vector, sums_type.type) for vector in loaded]
        totals = [add(total, row) for total, row in zip(sums, loaded, strict=True)]
        following = builder.add(e, INDEX(1))
        builder.branch(head)
        for phi, start, end in zip([e, *sums], [first, *starts], [following, *totals], strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(end, body)
        builder.position_at_end(done)
        if in_two_steps:
            sums = [builder.add(outputs.load(at, k), outputs.widened(sums, k)) for k in outputs.vectors]
        for k, total in enumerate(sums):
            outputs.store(total, at, k)
        return e

    return signature, generate


@intrinsic
def _add_scaled_panel_rows(typing_context, values, first, count, panels, base, current, at):
    whole = types.int64
    signature = types.void(values, whole, whole, panels, whole, current, whole)

    def generate(context, builder, signature, arguments):
        values, first, count, panels, base, current, at = arguments
        numbers = context.make_array(signature.args[0])(context, builder, values).data
        weights = Panel(context, builder, signature.args[3], panels)
        outputs = Panel(context, builder, signature.args[5], current)
        sums = [cgutils.alloca_once_value(builder, outputs.load(at, k)) for k in outputs.vectors]  # become registers
        with cgutils.for_range(builder, count) as loop:
            value = outputs.repeat(builder.load(builder.gep(numbers, [builder.add(first, loop.index)])))
            element = builder.add(base, builder.mul(loop.index, INDEX(PANEL)))
            for k, total in enumerate(sums):
                product = builder.fmul(value, weights.load(element, k))
                builder.store(builder.fadd(builder.load(total), product), total)
        for k, total in enumerate(sums):
            outputs.store(builder.load(total), at, k)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _lif_step(typing_context, current, at, membrane, leak, threshold):
    signature = types.uint64(current, types.int64, membrane, leak, threshold)

    def generate(context, builder, signature, arguments):
        current, at, membrane, leak, threshold = arguments
        inputs = Panel(context, builder, signature.args[0], current)
        membranes = Panel(context, builder, signature.args[2], membrane)
        word = INDEX(0)
        for k in inputs.vectors:
            v = membranes.load(INDEX(0), k)
            h = builder.fadd(v, builder.fmul(builder.fsub(inputs.load(at, k), v), inputs.repeat(leak)))
            fired = builder.fcmp_ordered(">=", h, inputs.repeat(threshold))
            membranes.store(builder.select(fired, ir.Constant(inputs.type, [0.0] * inputs.lanes), h), INDEX(0), k)
            bits = builder.zext(builder.bitcast(fired, ir.IntType(inputs.lanes)), INDEX)
            word = builder.or_(word, builder.shl(bits, INDEX(k * inputs.lanes)))
        return word

    return signature, generate


@overload(copy_panel)
def _compiled_copy_panel(source, start, target, at):
    return lambda source, start, target, at: _copy_panel(source, start, target, at)


@overload(add_panel_rows)
def _compiled_add_panel_rows(rows, first, last, limit, panels, base, current, at):
    return lambda rows, first, last, limit, panels, base, current, at: _add_panel_rows(
        rows, first, last, limit, panels, base, current, at
    )


@overload(add_scaled_panel_rows)
def _compiled_add_scaled_panel_rows(values, first, count, panels, base, current, at):
    return lambda values, first, count, panels, base, current, at: _add_scaled_panel_rows(
        values, first, count, panels, base, current, at
    )


@overload(lif_step)
def _compiled_lif_step(current, at, membrane, leak, threshold):
    return lambda current, at, membrane, leak, threshold: _lif_step(current, at, membrane, leak, threshold)
