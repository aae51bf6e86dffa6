"""Spike-driven self-attention: mask, add, mask. Integers and comparisons only."""

from .bitset import contains, drain, insert
from .policy import kernel


@kernel
def intersect(a_offsets, a_channels, b_offsets, b_channels, rows_per_b, first, count, bits, common, per_row):
    """Events that stand in both lists: the elementwise AND of two binary tensors.

    Row r of a meets row r // rows_per_b of b: 1 for K AND V, the number of tokens for Q AND the attention mask.

    Parameters
    ----------
    first, count
        the tile, in rows of a
    bits : uint64[(C + 63) // 64]
        scratch, zero on entry and on exit: the channels of a row of b, so that no branch depends on what spikes
    common : uint16[at least the events of a in the tile]
        written: channels of the common events
    per_row : int64[count]
        written: common events of each row

    Returns
    -------
    int64
        number of common events

    Source: official module MS_SSA_Conv, K AND V, and Q AND mask.
    """
    n_events = 0
    for i in range(count):
        before = n_events
        row = first + i
        b = row // rows_per_b
        if i == 0 or row % rows_per_b == 0:
            for e in range(b_offsets[b], b_offsets[b + 1]):
                insert(bits, b_channels[e])
        for e in range(a_offsets[row], a_offsets[row + 1]):
            common[n_events] = a_channels[e]
            n_events += contains(bits, a_channels[e])
        per_row[i] = n_events - before
        if i == count - 1 or (row + 1) % rows_per_b == 0:
            for w in range(bits.shape[0]):
                bits[w] = 0
    return n_events


@kernel
def sum_tokens(offsets, channels, n_tokens, sums):
    """Number of events of each channel over the tokens of one time step and sample.

    Parameters
    ----------
    n_tokens : int
        rows per time step and sample
    sums : float[n_pairs, C]
        written for each pair (time step, sample); whole numbers, exact

    Source: official module MS_SSA_Conv, the sum over tokens.
    """
    for pair in range(sums.shape[0]):
        for c in range(sums.shape[1]):
            sums[pair, c] = 0
        for e in range(offsets[pair * n_tokens], offsets[(pair + 1) * n_tokens]):
            sums[pair, channels[e]] += 1


@kernel
def spread_tokens(offsets, channels, n_tokens, low, high, first, count, bits, spread, per_row):
    """Union over the 3x3 window of (token number, channel within its head): the odd pool of dvs mode.

    The tokens n-1, n, n+1 are neighbours in row-major order, so the last pixel of an image row touches the first of
    the next one; channels touch only within their head.

    Parameters
    ----------
    n_tokens : int
        tokens of one time step and sample; the window stops at the first and the last
    low, high : int64[C]
        first and last channel that channel c reaches
    first, count, bits, spread, per_row
        as `first`, `count`, `bits`, `pooled`, `per_row` in `pool3x3`

    Source: official module MS_SSA_Conv, the pools of K AND V and of the masked Q in dvs mode.
    """
    n_events = 0
    for i in range(count):
        before = n_events
        row = first + i
        token = row % n_tokens
        start = row - min(token, 1)
        stop = row + min(n_tokens - token, 2)
        for e in range(offsets[start], offsets[stop]):
            for c in range(low[channels[e]], high[channels[e]] + 1):
                insert(bits, c)
        n_events = drain(bits, spread, n_events)
        per_row[i] = n_events - before
    return n_events
