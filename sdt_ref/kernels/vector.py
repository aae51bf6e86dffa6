"""What plain Numba loops cannot say to the compiler: sums held in vector registers, and comparisons as bit masks.

Each operation stands here twice: as a Python function that says what it does (and runs when Numba is switched off), and
as the LLVM instructions that compiled kernels get instead. Lanes run across outputs or neurons, never across the
inputs of one, so both give the same bits.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

VECTOR_BYTES = 64  # one AVX-512 register, two of AVX2, four of SSE or NEON
WIDE = 4  # vectors of a wide block: 64 float32; eight AVX2 registers, enough to hide the latency of an addition

INDEX = ir.IntType(64)


def add_wide_block(rows, first, last, limit, panels, base, current, at):
    """Add rows of one panel, WIDE vectors wide, to a block of outputs, which stays in registers meanwhile.

    for e in first .. last-1, while rows[e] < limit: current[at:at+n] += panels[base + rows[e] * n:][:n],
    n elements in WIDE vectors

    Parameters
    ----------
    rows : integer[n_events]
    panels, current : float arrays, C-contiguous; `base` and `at` count elements from their starts

    Returns
    -------
    int64
        the first e that was not added
    """
    return _add_block(rows, first, last, limit, panels, base, current, at, WIDE)


def add_narrow_block(rows, first, last, limit, panels, base, current, at):
    """Add rows of one panel, one vector wide, to a block of outputs, as `add_wide_block`."""
    return _add_block(rows, first, last, limit, panels, base, current, at, 1)


def _add_block(rows, first, last, limit, panels, base, current, at, n_vectors):
    n, outputs = n_vectors * VECTOR_BYTES // panels.itemsize, current.reshape(-1)
    for e in range(first, last):
        if rows[e] >= limit:
            return e
        row = base + int(rows[e]) * n
        outputs[at : at + n] += panels[row : row + n]
    return last


def charge(current, at, membrane, place, decay, threshold):
    """Step one vector of neurons: h = v + (x - v) * decay; v = 0 where h >= threshold, else h.

    Parameters
    ----------
    current, membrane : float arrays, C-contiguous; x from element `at` on, v from element `place` on, v updated
    decay, threshold : of the same type

    Returns
    -------
    uint64
        bit k is set where neuron k fires
    """
    n = VECTOR_BYTES // current.itemsize
    v = membrane.reshape(-1)[place : place + n]
    h = v + (current.reshape(-1)[at : at + n] - v) * decay
    fired = h >= threshold
    v[:] = np.where(fired, 0, h)
    return np.uint64(sum(1 << k for k in range(n) if fired[k]))


class _Vectors:
    """Loads and stores of whole vectors in an array that a kernel was given."""

    def __init__(self, context, builder, array_type, array):
        self.builder = builder
        self.data = context.make_array(array_type)(context, builder, array).data
        self.scalar = context.get_data_type(array_type.dtype)
        self.itemsize = context.get_abi_sizeof(self.scalar)
        self.lanes = VECTOR_BYTES // self.itemsize
        self.type = ir.VectorType(self.scalar, self.lanes)

    def _pointer(self, element, k):
        place = self.builder.gep(self.data, [self.builder.add(element, INDEX(k * self.lanes))])
        return self.builder.bitcast(place, self.type.as_pointer())

    def load(self, element, k=0):
        """Vector k, counted from an element on."""
        return self.builder.load(self._pointer(element, k), align=self.itemsize)

    def store(self, vector, element, k=0):
        """Store vector k, counted from an element on."""
        self.builder.store(vector, self._pointer(element, k), align=self.itemsize)

    def repeat(self, scalar):
        """A vector with the same number in all lanes."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.IntType(32)(0))
        return self.builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        )


def _block_adder(n_vectors):
    """Make the instructions of `_add_block` for a fixed number of vectors."""

    @intrinsic
    def add(typing_context, rows, first, last, limit, panels, base, current, at):
        whole = types.int64
        signature = whole(rows, whole, whole, whole, panels, whole, current, whole)

        def generate(context, builder, signature, arguments):
            rows, first, last, limit, panels, base, current, at = arguments
            rows_type, panels_type, current_type = (signature.args[k] for k in (0, 4, 6))
            row_numbers = context.make_array(rows_type)(context, builder, rows).data
            weights = _Vectors(context, builder, panels_type, panels)
            outputs = _Vectors(context, builder, current_type, current)
            widen = builder.sext if rows_type.dtype.signed else builder.zext
            before = builder.block
            starts = [outputs.load(at, k) for k in range(n_vectors)]
            head, check, body, done = (builder.append_basic_block(n) for n in ("events", "check", "row", "done"))
            builder.branch(head)
            builder.position_at_end(head)
            e, sums = builder.phi(INDEX), [builder.phi(outputs.type) for _ in range(n_vectors)]
            builder.cbranch(builder.icmp_signed("<", e, last), check, done)
            builder.position_at_end(check)
            row = widen(builder.load(builder.gep(row_numbers, [e])), INDEX)
            builder.cbranch(builder.icmp_signed("<", row, limit), body, done)
            builder.position_at_end(body)
            element = builder.add(builder.mul(row, INDEX(weights.lanes * n_vectors)), base)
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

    return add


@intrinsic
def _charge(typing_context, current, at, membrane, place, decay, threshold):
    signature = types.uint64(current, types.int64, membrane, types.int64, decay, threshold)

    def generate(context, builder, signature, arguments):
        current, at, membrane, place, decay, threshold = arguments
        inputs = _Vectors(context, builder, signature.args[0], current)
        membranes = _Vectors(context, builder, signature.args[2], membrane)
        v = membranes.load(place)
        h = builder.fadd(v, builder.fmul(builder.fsub(inputs.load(at), v), inputs.repeat(decay)))
        fired = builder.fcmp_ordered(">=", h, inputs.repeat(threshold))
        membranes.store(builder.select(fired, ir.Constant(inputs.type, [0.0] * inputs.lanes), h), place)
        return builder.zext(builder.bitcast(fired, ir.IntType(inputs.lanes)), INDEX)

    return signature, generate


_wide_block, _narrow_block = _block_adder(WIDE), _block_adder(1)


@overload(add_wide_block)
def _compiled_wide_block(rows, first, last, limit, panels, base, current, at):
    return lambda rows, first, last, limit, panels, base, current, at: _wide_block(
        rows, first, last, limit, panels, base, current, at
    )


@overload(add_narrow_block)
def _compiled_narrow_block(rows, first, last, limit, panels, base, current, at):
    return lambda rows, first, last, limit, panels, base, current, at: _narrow_block(
        rows, first, last, limit, panels, base, current, at
    )


@overload(charge)
def _compiled_charge(current, at, membrane, place, decay, threshold):
    return lambda current, at, membrane, place, decay, threshold: _charge(
        current, at, membrane, place, decay, threshold
    )
