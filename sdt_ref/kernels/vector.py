"""What plain Numba loops cannot say to the compiler: sums held in vector registers, and comparisons as bit masks.

Each operation stands here twice: as a Python function that says what it does (and runs when Numba is switched off), and
as the LLVM instructions that compiled kernels get instead. Lanes run across outputs or neurons, never across the
inputs of one, so both give the same bits.

All of them work on PANEL channels at once. Arrays of panels begin at whole cache lines (`aligned`): a vector that
straddles two lines costs two loads, and the whole network a seventh of its time.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

PANEL = (
    64  # channels: their spikes fill a machine word, their float32 sums eight AVX2 registers (enough to hide latency)
)
VECTOR_BYTES = 64  # one AVX-512 register, two of AVX2, four of SSE or NEON; also a cache line

INDEX = ir.IntType(64)


def aligned(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Make an array, not initialised, that begins at a whole vector and shares no cache line with another array."""
    shape = (shape,) if isinstance(shape, int) else shape
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(nbytes + 2 * VECTOR_BYTES, np.uint8)
    start = -room.ctypes.data % VECTOR_BYTES
    return room[start : start + nbytes].view(dtype).reshape(shape)


def add_panel_rows(rows, first, last, limit, panels, base, current, at):
    """Add rows of one weight panel to PANEL outputs, which stay in registers meanwhile.

    for e in first .. last-1, while rows[e] < limit: current[at:at+PANEL] += panels[base + rows[e] * PANEL:][:PANEL]

    Parameters
    ----------
    rows : integer[n_events]
    panels, current : float arrays, C-contiguous; `base` and `at` count elements from their starts

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


def charge(current, at, membrane, decay, threshold):
    """Step PANEL neurons: h = v + (x - v) * decay; v = 0 where h >= threshold, else h.

    Parameters
    ----------
    current : float array, C-contiguous; x from element `at` on
    membrane : float[PANEL], v, updated
    decay, threshold : of the same type

    Returns
    -------
    uint64
        bit k is set where neuron k fires
    """
    x = current.reshape(-1)[at : at + PANEL]
    h = membrane + (x - membrane) * decay
    fired = h >= threshold
    membrane[:] = np.where(fired, 0, h)
    return np.uint64(sum(1 << k for k in range(PANEL) if fired[k]))


class _Panel:
    """Loads and stores of the vectors of a panel in an array that a kernel was given."""

    def __init__(self, context, builder, array_type, array):
        self.builder = builder
        self.data = context.make_array(array_type)(context, builder, array).data
        self.scalar = context.get_data_type(array_type.dtype)
        self.itemsize = context.get_abi_sizeof(self.scalar)
        self.lanes = VECTOR_BYTES // self.itemsize
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

    def repeat(self, scalar):
        """A vector with the same number in all lanes."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.IntType(32)(0))
        return self.builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        )


@intrinsic
def _add_panel_rows(typing_context, rows, first, last, limit, panels, base, current, at):
    whole = types.int64
    signature = whole(rows, whole, whole, whole, panels, whole, current, whole)

    def generate(context, builder, signature, arguments):
        rows, first, last, limit, panels, base, current, at = arguments
        rows_type, panels_type, current_type = (signature.args[k] for k in (0, 4, 6))
        row_numbers = context.make_array(rows_type)(context, builder, rows).data
        weights = _Panel(context, builder, panels_type, panels)
        outputs = _Panel(context, builder, current_type, current)
        widen = builder.sext if rows_type.dtype.signed else builder.zext
        before = builder.block
        starts = [outputs.load(at, k) for k in outputs.vectors]
        head, check, body, done = (builder.append_basic_block(n) for n in ("events", "check", "row", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        e, sums = builder.phi(INDEX), [builder.phi(outputs.type) for _ in outputs.vectors]
        builder.cbranch(builder.icmp_signed("<", e, last), check, done)
        builder.position_at_end(check)
        row = widen(builder.load(builder.gep(row_numbers, [e])), INDEX)
        builder.cbranch(builder.icmp_signed("<", row, limit), body, done)
        builder.position_at_end(body)
        element = builder.add(builder.mul(row, INDEX(PANEL)), base)
        totals = [builder.fadd(total, weights.load(element, k)) for k, total in enumerate(sums)]
        following = builder.add(e, INDEX(1))
        builder.branch(head)
        for phi, start, end in zip([e, *sums], [first, *starts], [following, *totals], strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(end, body)
        builder.position_at_end(done)
        for k, total in enumerate(sums):
            outputs.store(total, at, k)
        return e

    return signature, generate


@intrinsic
def _charge(typing_context, current, at, membrane, decay, threshold):
    signature = types.uint64(current, types.int64, membrane, decay, threshold)

    def generate(context, builder, signature, arguments):
        current, at, membrane, decay, threshold = arguments
        inputs = _Panel(context, builder, signature.args[0], current)
        membranes = _Panel(context, builder, signature.args[2], membrane)
        word = INDEX(0)
        for k in inputs.vectors:
            v = membranes.load(INDEX(0), k)
            h = builder.fadd(v, builder.fmul(builder.fsub(inputs.load(at, k), v), inputs.repeat(decay)))
            fired = builder.fcmp_ordered(">=", h, inputs.repeat(threshold))
            membranes.store(builder.select(fired, ir.Constant(inputs.type, [0.0] * inputs.lanes), h), INDEX(0), k)
            bits = builder.zext(builder.bitcast(fired, ir.IntType(inputs.lanes)), INDEX)
            word = builder.or_(word, builder.shl(bits, INDEX(k * inputs.lanes)))
        return word

    return signature, generate


@overload(add_panel_rows)
def _compiled_add_panel_rows(rows, first, last, limit, panels, base, current, at):
    return lambda rows, first, last, limit, panels, base, current, at: _add_panel_rows(
        rows, first, last, limit, panels, base, current, at
    )


@overload(charge)
def _compiled_charge(current, at, membrane, decay, threshold):
    return lambda current, at, membrane, decay, threshold: _charge(current, at, membrane, decay, threshold)
