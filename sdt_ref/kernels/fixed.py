"""Whole numbers in registers: rounded to other fraction bits, fitted to a width, leaked and compared.

docs/fixed-point.md specifies each operation. They run on the lanes of a panel, as those of `vector.py`, each once as a
Python function that says what it does and once as LLVM instructions. Shifts have the type of what they shift.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from .policy import kernel
from .vector import INDEX, PANEL, Panel

STEPS = 5  # numbers that `shifted` reads for each lane: left, right, add, even, negative


def shifted(x, shifts, base, sign):
    """Shift left, or right with rounding: lane by lane, as `shifts` says from element `base` on.

    x : integer[PANEL];  sign : the number of the type's highest bit;  returns integer[PANEL]
    """
    left, right, add, even, negative = shifts.reshape(-1)[base : base + STEPS * PANEL].reshape(STEPS, PANEL)
    y = x << left
    return (y + add + ((y >> right) & even) + ((y >> sign) & negative)) >> right


def fitted(x, low, high, wrap):
    """Fit numbers into low .. high: they saturate, or wrap around. Returns (integer[PANEL], how many did not fit)."""
    inside = np.minimum(np.maximum(x, low), high)
    fits = ((x - low) & (high - low)) + low if wrap else inside
    return fits, int(np.count_nonzero(x != inside))


def convert_panel(source, start, shifts, base, plain, low, high, wrap, target, at):
    """Bring PANEL numbers to another register: target[at:at+PANEL] = fitted(shifted(source[start:][:PANEL])).

    Parameters
    ----------
    plain : whether EVEN and NEGATIVE are 0 in all lanes and nothing wraps around: then half the instructions will do

    Returns
    -------
    int64
        how many did not fit
    """
    x = shifted(source.reshape(-1)[start : start + PANEL], shifts, base, 8 * source.itemsize - 1)
    target.reshape(-1)[at : at + PANEL], overflows = fitted(x, low, high, wrap)
    return overflows


def add_panel(source, start, low, high, wrap, target, at):
    """Add PANEL numbers into a register: target[at:at+PANEL] = fitted(target[at:][:PANEL] + source[start:][:PANEL]).

    Returns how many did not fit, int64.
    """
    total = target.reshape(-1)[at : at + PANEL] + source.reshape(-1)[start : start + PANEL]
    target.reshape(-1)[at : at + PANEL], overflows = fitted(total, low, high, wrap)
    return overflows


def lif_step_panel(x, membrane, terms, rounding, plain, threshold):
    """Step PANEL neurons: h = v + rounded((x - v) * leak); v = 0 where h >= threshold, else h.

    Parameters
    ----------
    x, membrane : integer[PANEL], the input, and v, which is updated
    terms : int64[n, 2], sign and left shift of each term of the leak, in units of its last one
    rounding : as `shifts` of `shifted`: the right shift by which those units are too fine
    plain : whether the leak is one term, not shifted, and EVEN and NEGATIVE are 0

    Returns
    -------
    uint64
        bit k is set where neuron k fires
    """
    difference = x - membrane
    part = np.zeros_like(x)
    for sign, shift in terms:
        part = part + (difference << shift) if sign > 0 else part - (difference << shift)
    h = membrane + shifted(part, rounding, 0, 8 * x.itemsize - 1)
    fired = h >= threshold
    membrane[:] = np.where(fired, 0, h)
    return np.uint64(sum(1 << k for k in range(PANEL) if fired[k]))


@kernel
def requantise(
    source, count, shifts, plain, residual, residual_shifts, low, high, wrap, scratch, target, at, overflows
):
    """Sums of a weight layer, and a residual, into the registers of a stream.

    Parameters
    ----------
    source : integer[P, T, n, PANEL], accumulators, read at [:, :, :count]
    shifts, residual_shifts : integer[P, STEPS, PANEL], from either to the stream; plain : see `convert_panel`
    residual : integer[P, T, N, PANEL], added at [:, :, at:at+count]; with N = 0, none
    scratch : integer[PANEL]
    target : integer[P, T, N, PANEL], written at [:, :, at:at+count]
    overflows : int64[T], incremented by the numbers that did not fit

    Source: official modules MS_SPS, MS_SSA_Conv and MS_MLP_Conv, the sums with the identity.
    """
    n_panels, n_steps, n_places, _ = source.shape
    n_targets = target.shape[2]
    for p in range(n_panels):
        for t in range(n_steps):
            for i in range(count):
                start = ((p * n_steps + t) * n_places + i) * PANEL
                place = ((p * n_steps + t) * n_targets + at + i) * PANEL
                overflows[t] += convert_panel(
                    source, start, shifts, p * STEPS * PANEL, plain, low, high, wrap, target, place
                )
                if residual.shape[2] > 0:
                    overflows[t] += convert_panel(
                        residual, place, residual_shifts, p * STEPS * PANEL, plain, low, high, wrap, scratch, 0
                    )
                    overflows[t] += add_panel(scratch, 0, low, high, wrap, target, place)


@kernel
def lif_steps_fixed(
    current,
    count,
    shifts,
    plain,
    low,
    high,
    wrap,
    terms,
    rounding,
    plain_leak,
    threshold,
    x,
    membrane,
    fired,
    overflows,
):
    """Step `count` positions of neurons in whole numbers through all time steps, from rest. See `lif_steps`.

    Parameters
    ----------
    current : integer[P, T or 1, n, PANEL], accumulators or a stream
    shifts, plain : integer[P, STEPS, PANEL], from those to the membrane; low, high, wrap say what it holds
    terms, rounding, plain_leak, threshold : see `lif_step_panel`
    x, membrane : integer[PANEL], scratch
    fired : uint64[P, T, n]
    overflows : int64[T], incremented by the inputs that did not fit into the membrane

    Source: as `lif_steps`, in the registers of docs/fixed-point.md.
    """
    n_panels, n_frames, n_places, _ = current.shape
    for p in range(n_panels):
        for i in range(count):
            for o in range(PANEL):
                membrane[o] = 0
            for t in range(fired.shape[1]):
                frame = t if n_frames > 1 else 0
                start = ((p * n_frames + frame) * n_places + i) * PANEL
                overflows[t] += convert_panel(current, start, shifts, p * STEPS * PANEL, plain, low, high, wrap, x, 0)
                fired[p, t, i] = lif_step_panel(x, membrane, terms, rounding, plain_leak, threshold)


@kernel
def add_rows_checked(offsets, channels, batch, height, width, window, planes, first, count, panels, bias,
                     low, high, wrap, current, at, added, overflows):  # fmt: skip
    """As `add_rows`, but each addition is fitted into the accumulator, in the order that the specification names.

    bias, then bit planes of the input, kernel positions, channels

    Parameters
    ----------
    planes : of the input; its channels are numbered plane by plane
    low, high, wrap : what an accumulator holds, and whether it wraps around
    current : integer[P, T, n, PANEL]; panels, bias : of the same type
    overflows : int64[P, T], incremented by the additions that did not fit
    """
    n_panels, n_steps = current.shape[:2]
    n_inputs = panels.shape[1] // window**2
    n_rows = batch * height * width
    span = high - low
    for p in range(n_panels):
        for t in range(n_steps):
            for i in range(count):
                for o in range(PANEL):
                    current[p, t, at + i, o] = bias[p, o]
                x = (first + i) % width
                y = (first + i) // width % height
                for plane in range(planes):
                    begin = plane * (n_inputs // planes)
                    end = begin + n_inputs // planes
                    for tap in range(window**2):
                        dy = tap // window - window // 2
                        dx = tap % window - window // 2
                        if not (0 <= y + dy < height and 0 <= x + dx < width):
                            continue
                        row = t * n_rows + first + i + dy * width + dx
                        for e in range(offsets[row], offsets[row + 1]):
                            if begin <= channels[e] < end:
                                added[p, t] += 1
                                weight = tap * n_inputs + channels[e]
                                for o in range(PANEL):
                                    total = current[p, t, at + i, o] + panels[p, weight, o]
                                    inside = min(max(total, low), high)
                                    overflows[p, t] += total != inside
                                    current[p, t, at + i, o] = ((total - low) & span) + low if wrap else inside


class _Lanes:
    """Instructions on all lanes of a vector type."""

    def __init__(self, builder, panel):
        self.builder = builder
        self.panel = panel
        self.sign = panel.itemsize * 8 - 1

    def same(self, value):
        """The same number in all lanes: of a 64-bit one the low part."""
        if value.type != self.panel.scalar:
            value = self.builder.trunc(value, self.panel.scalar)
        return self.panel.repeat(value)

    def shifted(self, x, shifts, base, k, plain):
        """See `shifted`; vector k of the panel."""
        b = self.builder
        left, right, add, even, negative = (shifts.load(b.add(base, INDEX(step * PANEL)), k) for step in range(STEPS))
        y = b.shl(x, left)
        if plain:
            return b.ashr(b.add(y, add), right)
        sign = ir.Constant(x.type, [self.sign] * self.panel.lanes)
        total = b.add(b.add(y, add), b.and_(b.ashr(y, right), even))
        return b.ashr(b.add(total, b.and_(b.ashr(y, sign), negative)), right)

    def fitted(self, x, low, high, wrap):
        """See `fitted`; low and high are vectors, wrap a bit or None. The second result is an integer of 64 bits."""
        b = self.builder
        inside = b.select(b.icmp_signed("<", x, low), low, x)
        inside = b.select(b.icmp_signed(">", inside, high), high, inside)
        mask = b.bitcast(b.icmp_signed("!=", x, inside), ir.IntType(self.panel.lanes))
        overflows = b.ctpop(b.zext(mask, INDEX))
        if wrap is not None:
            around = b.add(b.and_(b.sub(x, low), b.sub(high, low)), low)
            inside = b.select(self.panel.repeat(wrap), around, inside)
        return inside, overflows


def _converting(plain):
    @intrinsic
    def convert(typing_context, source, start, shifts, base, low, high, wrap, target, at):
        whole = types.int64
        signature = whole(source, whole, shifts, whole, whole, whole, types.boolean, target, whole)

        def generate(context, builder, signature, arguments):
            source, start, shifts, base, low, high, wrap, target, at = arguments
            read = Panel(context, builder, signature.args[0], source)
            steps = Panel(context, builder, signature.args[2], shifts)
            written = Panel(context, builder, signature.args[7], target, like=read)
            lanes, overflows = _Lanes(builder, read), INDEX(0)
            low, high = lanes.same(low), lanes.same(high)
            for k in read.vectors:
                moved = lanes.shifted(read.load(start, k), steps, base, k, plain)
                x, more = lanes.fitted(moved, low, high, None if plain else wrap)
                if written.itemsize != read.itemsize:
                    x = (builder.trunc if written.itemsize < read.itemsize else builder.sext)(x, written.type)
                written.store(x, at, k)
                overflows = builder.add(overflows, more)
            return overflows

        return signature, generate

    return convert


_convert_plain_panel, _convert_any_panel = _converting(plain=True), _converting(plain=False)


@intrinsic
def _add_panel(typing_context, source, start, low, high, wrap, target, at):
    whole = types.int64
    signature = whole(source, whole, whole, whole, types.boolean, target, whole)

    def generate(context, builder, signature, arguments):
        source, start, low, high, wrap, target, at = arguments
        read, written = (Panel(context, builder, signature.args[n], a) for n, a in ((0, source), (5, target)))
        lanes, overflows = _Lanes(builder, read), INDEX(0)
        low, high = lanes.same(low), lanes.same(high)
        for k in read.vectors:
            x, more = lanes.fitted(builder.add(written.load(at, k), read.load(start, k)), low, high, wrap)
            written.store(x, at, k)
            overflows = builder.add(overflows, more)
        return overflows

    return signature, generate


def _stepping(plain):
    @intrinsic
    def step(typing_context, x, membrane, terms, n_terms, rounding, threshold):
        signature = types.uint64(x, membrane, terms, types.int64, rounding, types.int64)

        def generate(context, builder, signature, arguments):
            x, membrane, terms, n_terms, rounding, threshold = arguments
            inputs, membranes, steps = (
                Panel(context, builder, signature.args[n], a) for n, a in ((0, x), (1, membrane), (4, rounding))
            )
            lanes, word = _Lanes(builder, inputs), INDEX(0)
            v = [membranes.load(INDEX(0), k) for k in inputs.vectors]
            parts = [builder.sub(inputs.load(INDEX(0), k), v[k]) for k in inputs.vectors]
            if not plain:
                table = context.make_array(signature.args[2])(context, builder, terms).data
                parts = _summed(builder, lanes, parts, table, n_terms)
            threshold, zero = lanes.same(threshold), ir.Constant(inputs.type, [0] * inputs.lanes)
            for k in inputs.vectors:
                h = builder.add(v[k], lanes.shifted(parts[k], steps, INDEX(0), k, plain))
                fired = builder.icmp_signed(">=", h, threshold)
                membranes.store(builder.select(fired, zero, h), INDEX(0), k)
                bits = builder.zext(builder.bitcast(fired, ir.IntType(inputs.lanes)), INDEX)
                word = builder.or_(word, builder.shl(bits, INDEX(k * inputs.lanes)))
            return word

        return signature, generate

    return step


def _summed(builder, lanes, differences, table, n_terms):
    """Sum of the terms of a leak; table: pairs of a sign and a shift."""
    zero = ir.Constant(differences[0].type, [0] * lanes.panel.lanes)
    sums = [cgutils.alloca_once_value(builder, zero) for _ in differences]  # become registers
    with cgutils.for_range(builder, n_terms) as loop:
        entry = builder.shl(loop.index, INDEX(1))
        adds = lanes.panel.repeat(builder.icmp_signed(">", builder.load(builder.gep(table, [entry])), INDEX(0)))
        shift = lanes.same(builder.load(builder.gep(table, [builder.add(entry, INDEX(1))])))
        for total, difference in zip(sums, differences, strict=True):
            before, moved = builder.load(total), builder.shl(difference, shift)
            builder.store(builder.select(adds, builder.add(before, moved), builder.sub(before, moved)), total)
    return [builder.load(total) for total in sums]


_charge_plain_panel, _charge_any_panel = _stepping(plain=True), _stepping(plain=False)


@overload(convert_panel)
def _compiled_convert_panel(source, start, shifts, base, plain, low, high, wrap, target, at):
    def choose(source, start, shifts, base, plain, low, high, wrap, target, at):
        if plain:
            return _convert_plain_panel(source, start, shifts, base, low, high, wrap, target, at)
        return _convert_any_panel(source, start, shifts, base, low, high, wrap, target, at)

    return choose


@overload(lif_step_panel)
def _compiled_lif_step_panel(x, membrane, terms, rounding, plain, threshold):
    def choose(x, membrane, terms, rounding, plain, threshold):
        if plain:
            return _charge_plain_panel(x, membrane, terms, len(terms), rounding, threshold)
        return _charge_any_panel(x, membrane, terms, len(terms), rounding, threshold)

    return choose


@overload(add_panel)
def _compiled_add_panel(source, start, low, high, wrap, target, at):
    return lambda source, start, low, high, wrap, target, at: _add_panel(source, start, low, high, wrap, target, at)
