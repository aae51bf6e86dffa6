"""A set of channels as 64-bit words: scratch for one row at a time, to merge event lists without sorting."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from .policy import kernel

ONE = np.uint64(1)
LOW_SIX_BITS = 63
BITS_OF_BYTE = np.zeros((256, 8), np.uint16)  # the positions of the set bits of each byte, ascending
for byte in range(256):
    positions = [k for k in range(8) if byte >> k & 1]
    BITS_OF_BYTE[byte, : len(positions)] = positions
SLACK = 8  # places behind the last event that `append` may overwrite


def append(word, base, channels, n_events, bits_of_byte):
    """Append base + k for each bit k that is set in a word, ascending; return the new length.

    Compiled, a byte at a time: all 8 places are written, whatever the bits, and then the length grows by their number.
    So no branch waits for data, and a word takes the same time at every firing rate.

    Parameters
    ----------
    word : uint64
    base : int
        of the channel of bit 0
    channels : uint16 array, C-contiguous
        written from element n_events on; up to SLACK elements more than are appended
    bits_of_byte
        BITS_OF_BYTE, which compiled code cannot find by itself
    """
    for byte in range(8):
        value = (int(word) >> (8 * byte)) & 255
        for k in range(value.bit_count()):
            channels.reshape(-1)[n_events] = base + 8 * byte + bits_of_byte[value, k]
            n_events += 1
    return n_events


@intrinsic
def _append(typing_context, word, base, channels, n_events, bits_of_byte):
    whole = types.int64
    signature = whole(types.uint64, whole, channels, whole, bits_of_byte)

    def generate(context, builder, signature, arguments):
        word, base, channels, n_events, bits_of_byte = arguments
        places = context.make_array(signature.args[2])(context, builder, channels).data
        table = context.make_array(signature.args[4])(context, builder, bits_of_byte).data
        short, index = ir.IntType(16), ir.IntType(64)
        vector = ir.VectorType(short, 8)
        undefined, spread = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
        for byte in range(8):
            value = builder.and_(builder.lshr(word, index(8 * byte)), index(255))
            entry = builder.bitcast(builder.gep(table, [builder.shl(value, index(3))]), vector.as_pointer())
            first = builder.trunc(builder.add(base, index(8 * byte)), short)
            repeated = builder.shuffle_vector(
                builder.insert_element(undefined, first, spread.type.element(0)), undefined, spread
            )
            place = builder.bitcast(builder.gep(places, [n_events]), vector.as_pointer())
            builder.store(builder.add(builder.load(entry, align=2), repeated), place, align=2)
            n_events = builder.add(n_events, builder.ctpop(value))
        return n_events

    return signature, generate


@overload(append)
def _compiled_append(word, base, channels, n_events, bits_of_byte):
    return lambda word, base, channels, n_events, bits_of_byte: _append(word, base, channels, n_events, bits_of_byte)


@kernel
def insert(bits, channel):
    """Add a channel to the set."""
    bits[channel >> 6] |= ONE << np.uint64(channel & LOW_SIX_BITS)


@kernel
def contains(bits, channel):
    """Return 1 if the channel is in the set, else 0."""
    return int((bits[channel >> 6] >> np.uint64(channel & LOW_SIX_BITS)) & ONE)


@kernel
def drain(bits, channels, n_events):
    """Append the members of the set to `channels` in ascending order, empty the set, return the new length."""
    for w in range(bits.shape[0]):
        n_events = append(bits[w], 64 * w, channels, n_events, BITS_OF_BYTE)
        bits[w] = 0
    return n_events
