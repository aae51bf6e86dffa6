"""A set of channels as 64-bit words: scratch for one row at a time, to merge event lists without sorting."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from .policy import kernel

ONE = np.uint64(1)
LOW_SIX_BITS = 63


def lowest_bit(word):
    """Position of the lowest set bit of a word that is not zero."""
    return (int(word) & -int(word)).bit_length() - 1


@intrinsic
def _count_trailing_zeros(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@overload(lowest_bit)
def _compiled_lowest_bit(word):
    return lambda word: np.int64(_count_trailing_zeros(word))


@kernel
def insert(bits, channel):
    """Add a channel to the set."""
    bits[channel >> 6] |= ONE << np.uint64(channel & LOW_SIX_BITS)


@kernel
def drain(bits, channels, n_events):
    """Append the members of the set to `channels` in ascending order, empty the set, return the new length."""
    base = 0
    for w in range(bits.shape[0]):
        word = bits[w]
        while word != 0:
            channels[n_events] = base + lowest_bit(word)
            n_events += 1
            word &= word - ONE
        bits[w] = 0
        base += 64
    return n_events
