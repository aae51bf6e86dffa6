"""Max-pooling of spikes is the union of event lists: no arithmetic at all."""

from .bitset import drain, insert
from .policy import kernel


@kernel
def pool3x3(offsets, channels, height, width, stride, first, count, bits, pooled, per_row):
    """Union of the events in each 3x3 window, stride 1 or 2, at `count` output rows.

    Parameters
    ----------
    offsets, channels
        events of the input; row (image * height + y) * width + x, one image per time step and sample
    stride : 1 or 2
        height and width are divisible by it
    first, count
        the tile, in output rows
    bits : uint64[(C + 63) // 64]
        scratch, zero on entry and on exit
    pooled : uint16[at least count * C + SLACK]
        written: the channels of the output events
    per_row : int64[count]
        written: events of each output row

    Returns
    -------
    int64
        number of output events

    Source: official modules MS_SPS (stages 0-2, stride 2) and MS_SSA_Conv (K and V in dvs mode, stride 1).
    """
    out_width = width // stride
    out_height = height // stride
    n_events = 0
    for i in range(count):
        before = n_events
        x = (first + i) % out_width * stride
        y = (first + i) // out_width % out_height * stride
        image_row = (first + i) // out_width // out_height * height
        for yy in range(max(y - 1, 0), min(y + 2, height)):
            row = (image_row + yy) * width
            for e in range(offsets[row + max(x - 1, 0)], offsets[row + min(x + 2, width)]):
                insert(bits, channels[e])
        n_events = drain(bits, pooled, n_events)
        per_row[i] = n_events - before
    return n_events
