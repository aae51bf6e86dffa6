"""Events in, currents out: the only arithmetic is the addition of weight rows.

Canonical order: an output element starts at its bias and adds its inputs one by one in ascending order of
(kernel row, kernel column, input channel). Vector lanes run across output elements, never across the inputs of one.

Weights come as panels: the rows of outputs o .. o+n-1 stand together, n elements each, from element n_rows * o on; n is
WIDE vectors as long as they fit, then one vector, then the rest. A panel stays in a core's L2 cache while a tile of
positions adds its rows.
"""

from .policy import kernel
from .vector import VECTOR_BYTES, WIDE, add_narrow_block, add_wide_block

PIECE_BYTES = 16_384  # of a panel: half of a small L1 data cache
PIECE_EVENTS = 16  # events that a list should have in a piece, to be worth loading and storing its outputs


@kernel
def add_rows(offsets, rows, lists_per_step, first, count, panels, bias, cursors, current, at, added):
    """Currents of a weight layer at `count` positions, for all time steps.

    Panel by panel, and within a panel piece by piece of rows, so that a piece stays in the L1 cache while all positions
    add their rows of it. Each list is taken in its own order, so no sum changes.

    Parameters
    ----------
    offsets : int64[n_lists + 1], rows : integer[n_events]
        list l holds the weight rows rows[offsets[l]:offsets[l + 1]] in canonical order; the list of time step t and
        position first + i is t * lists_per_step + first + i
    panels : float[n_rows * C_out], bias : float[C_out]
        BatchNorm folded
    cursors : int64[at least T * count]
        scratch
    current : float[T, n, C_out]
        written at [:, at:at+count]
    added : int64[T]
        incremented by the number of weight rows added; each is C_out additions (AC)

    Source: official modules, the 1x1 convolutions of MS_SSA_Conv and MS_MLP_Conv; the head's Linear.
    """
    n_steps, n_places, n_outputs = current.shape
    n_rows = panels.shape[0] // n_outputs
    lanes = VECTOR_BYTES // panels.itemsize
    n_events = 0
    for t in range(n_steps):
        start = t * lists_per_step + first
        added[t] += offsets[start + count] - offsets[start]
        n_events += offsets[start + count] - offsets[start]
        for i in range(count):
            for o in range(n_outputs):
                current[t, at + i, o] = bias[o]
    o = 0
    while o < n_outputs:
        width = n_outputs - o
        if width >= WIDE * lanes:
            width = WIDE * lanes
        elif width >= lanes:
            width = lanes
        for t in range(n_steps):
            for i in range(count):
                cursors[t * count + i] = offsets[t * lists_per_step + first + i]
        piece = max(PIECE_BYTES // (width * panels.itemsize), PIECE_EVENTS * n_steps * count * n_rows // (n_events + 1))
        limit = 0
        while limit < n_rows:
            limit += piece
            for t in range(n_steps):
                for i in range(count):
                    e = cursors[t * count + i]
                    end = offsets[t * lists_per_step + first + i + 1]
                    place = (t * n_places + at + i) * n_outputs + o
                    if width == WIDE * lanes:
                        e = add_wide_block(rows, e, end, limit, panels, n_rows * o, current, place)
                    elif width == lanes:
                        e = add_narrow_block(rows, e, end, limit, panels, n_rows * o, current, place)
                    else:
                        while e < end and rows[e] < limit:
                            row = n_rows * o + rows[e] * width
                            for k in range(width):
                                current[t, at + i, o + k] += panels[row + k]
                            e += 1
                    cursors[t * count + i] = e
        o += width


@kernel
def gather3x3(offsets, channels, batch, height, width, n_steps, n_inputs, first, count, tap_offsets, taps):
    """String the events of each 3x3 window together as weight rows, in canonical order.

    For each output pixel: the event lists of its (up to nine) input pixels; what lies beyond the border is silent.

    Parameters
    ----------
    offsets, channels
        events of the input; row ((t * batch + b) * height + y) * width + x
    first, count : int
        the tile: positions first .. first+count-1
    tap_offsets : int64[n_steps * count + 1]
        written: where the list of step t and position i begins, at t * count + i
    taps : integer[at least n_steps * count * 9 * n_inputs]
        written: rows (ky * 3 + kx) * n_inputs + c

    Source: official module, proj_conv1..3 and rpe_conv of MS_SPS; stride 1, zero padding 1.
    """
    n_taps = 0
    tap_offsets[0] = 0
    for t in range(n_steps):
        for i in range(count):
            position = first + i
            x = position % width
            image_row = t * batch * height + position // width  # (t * batch + b) * height + y
            y = (position // width) % height
            tap_row = 0
            for ky in range(3):
                for kx in range(3):
                    if 0 <= y + ky - 1 < height and 0 <= x + kx - 1 < width:
                        row = (image_row + ky - 1) * width + x + kx - 1
                        for e in range(offsets[row], offsets[row + 1]):
                            taps[n_taps] = tap_row + channels[e]
                            n_taps += 1
                    tap_row += n_inputs
            tap_offsets[t * count + i + 1] = n_taps
