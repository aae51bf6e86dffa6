"""Events in, currents out: the only arithmetic is the addition of weight rows.

Canonical order: an output element starts at its bias and adds its inputs one by one in ascending order of
(kernel row, kernel column, input channel). Vector lanes run across output elements, never across the inputs of one.
"""

from .policy import kernel


@kernel
def add_rows(rows, first, last, weight, current, t, i):
    """Add one weight row to one current per event.

    for e in first .. last-1, ascending: current[t, i, o] += weight[rows[e], o] for all o

    Eight rows are taken per pass over the outputs, so that a current is loaded and stored once for eight additions;
    the parentheses keep the order.
    """
    n_outputs = weight.shape[1]
    e = first
    while e + 8 <= last:
        r0, r1, r2, r3 = rows[e], rows[e + 1], rows[e + 2], rows[e + 3]
        r4, r5, r6, r7 = rows[e + 4], rows[e + 5], rows[e + 6], rows[e + 7]
        for o in range(n_outputs):
            four = (((current[t, i, o] + weight[r0, o]) + weight[r1, o]) + weight[r2, o]) + weight[r3, o]
            current[t, i, o] = (((four + weight[r4, o]) + weight[r5, o]) + weight[r6, o]) + weight[r7, o]
        e += 8
    while e < last:
        r = rows[e]
        for o in range(n_outputs):
            current[t, i, o] += weight[r, o]
        e += 1


@kernel
def linear(offsets, channels, n_positions, first, count, weight, bias, current, at, added):
    """Currents of a linear layer (a 1x1 convolution) at `count` positions, for all time steps.

    Parameters
    ----------
    offsets : int64[T * n_positions + 1], channels : uint16[n_events]
        events of the input; row t * n_positions + p
    first, count : int
        the tile: positions first .. first+count-1
    weight : float[C_in, C_out], bias : float[C_out]
        BatchNorm folded
    current : float[T, n, C_out]
        written at [:, at:at+count]
    added : int64[T]
        incremented by the number of weight rows added; each is C_out additions (AC)

    Source: official modules, the 1x1 convolutions of MS_SSA_Conv and MS_MLP_Conv; the head's Linear.
    """
    for t in range(current.shape[0]):
        for i in range(count):
            for o in range(weight.shape[1]):
                current[t, at + i, o] = bias[o]
            row = t * n_positions + first + i
            add_rows(channels, offsets[row], offsets[row + 1], weight, current, t, at + i)
            added[t] += offsets[row + 1] - offsets[row]


@kernel
def conv3x3(offsets, channels, batch, height, width, first, count, weight, bias, taps, current, at, added):
    """Currents of a 3x3 convolution, stride 1, zero padding 1, in gather form.

    For each output pixel the event lists of its (up to nine) input pixels are strung together, as row numbers of
    `weight`: that list is already in canonical order. What lies beyond the border is silent and costs nothing.

    Parameters
    ----------
    offsets, channels
        events of the input; row ((t * batch + b) * height + y) * width + x
    weight : float[9 * C_in, C_out]
        row (ky * 3 + kx) * C_in + c
    taps : int32[9 * C_in]
        scratch
    others
        as in `linear`

    Source: official module, proj_conv1..3 and rpe_conv of MS_SPS.
    """
    n_inputs = weight.shape[0] // 9
    for t in range(current.shape[0]):
        for i in range(count):
            for o in range(weight.shape[1]):
                current[t, at + i, o] = bias[o]
            position = first + i
            x = position % width
            image_row = t * batch * height + position // width  # (t * batch + b) * height + y
            y = (position // width) % height
            n_taps = 0
            tap_row = 0
            for ky in range(3):
                for kx in range(3):
                    if 0 <= y + ky - 1 < height and 0 <= x + kx - 1 < width:
                        row = (image_row + ky - 1) * width + x + kx - 1
                        for e in range(offsets[row], offsets[row + 1]):
                            taps[n_taps] = tap_row + channels[e]
                            n_taps += 1
                    tap_row += n_inputs
            add_rows(taps, 0, n_taps, weight, current, t, at + i)
            added[t] += n_taps
