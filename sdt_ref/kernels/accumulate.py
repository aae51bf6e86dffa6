"""Events in, currents out: the only arithmetic is the addition of weight rows.

Canonical order: an output element starts at its bias and adds its inputs one by one in ascending order of
(kernel row, kernel column, input channel). Vector lanes run across output elements, never across the inputs of one.

A 3x3 convolution is nine linear layers, one for each tap of the window, whose inputs lie one pixel aside.
"""

from .policy import kernel
from .vector import PANEL, ROWS_OF_BYTES, VECTOR_BYTES, add_panel_rows, copy_panel, prefetch

SLAB_BYTES = 32_768  # of a panel: a small L1 data cache
SLAB_EVENTS = 32  # events that a list should have in a slab, to be worth loading and storing its outputs


@kernel
def add_rows(offsets, channels, batch, height, width, window, first, count, panels, bias, cursors, current, at, added):
    """Currents of a weight layer at `count` positions, for all time steps.

    Panel by panel, tap by tap, and within a tap slab by slab of its input channels, so that a slab stays in the L1
    cache while all positions add their rows of it. Each list is taken in its own order, so no sum changes. Meanwhile
    the next slab is fetched, a few cache lines with each position: 6 % of the time of an SDT-8-512.

    Parameters
    ----------
    offsets, channels
        events of the input; row ((t * batch + b) * height + y) * width + x
    window : 1 or 3
        side of the kernel; stride 1, and what lies beyond the border is silent
    first, count : int
        the tile: positions first .. first+count-1 of (b, y, x)
    panels : [P, window**2 * C_in, PANEL], bias : [P, PANEL]
        BatchNorm folded; rows in canonical order, outputs padded with zeros to whole panels; float, or whole numbers
    cursors : int64[at least T * count]
        scratch
    current : [P, T, n, PANEL]
        written at [:, :, at:at+count]; of the type of the weights, or of a wider one of whole numbers
    added : int64[P, T]
        incremented by the number of weight rows added

    Source: official modules, the 3x3 convolutions of MS_SPS, the 1x1 of MS_SSA_Conv and MS_MLP_Conv, the head's Linear.
    """
    n_panels, n_steps, n_places, _ = current.shape
    n_inputs = panels.shape[1] // window**2
    n_rows = batch * height * width
    n_events = 0
    for t in range(n_steps):
        n_events += offsets[t * n_rows + first + count] - offsets[t * n_rows + first]
    slab = max(SLAB_BYTES // (PANEL * panels.itemsize), SLAB_EVENTS * n_steps * count * n_inputs // (n_events + 1))
    slab = min(slab, n_inputs)
    at_once = ROWS_OF_BYTES if panels.itemsize == 1 else n_inputs
    line = VECTOR_BYTES // panels.itemsize
    lines = slab * PANEL // line
    share = lines // count + 1  # to fetch with each position
    for p in range(n_panels):
        for t in range(n_steps):
            for i in range(count):
                copy_panel(bias, p * PANEL, current, ((p * n_steps + t) * n_places + at + i) * PANEL)
        for tap in range(window**2):
            dy = tap // window - window // 2
            dx = tap % window - window // 2
            weights = (p * window**2 + tap) * n_inputs * PANEL  # the element where those of this tap begin
            for limit in range(slab, n_inputs + slab, slab):
                ahead = weights + limit * PANEL  # the element behind this slab, or a few rows further
                x = first % width
                y = first // width % height
                for i in range(count):
                    for fetched in range(i * share, min((i + 1) * share, lines)):
                        prefetch(panels, ahead + fetched * line)
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        for t in range(n_steps):  # innermost: a neuron that spikes once often spikes again
                            row = t * n_rows + first + i + dy * width + dx
                            e = offsets[row] if limit == slab else cursors[t * count + i]
                            place = ((p * n_steps + t) * n_places + at + i) * PANEL
                            begin = e
                            while True:
                                last = min(offsets[row + 1], e + at_once)
                                e = add_panel_rows(channels, e, last, limit, panels, weights, current, place)
                                if e < last or e == offsets[row + 1]:
                                    break
                            cursors[t * count + i] = e
                            added[p, t] += e - begin
                    x += 1
                    if x == width:
                        x = 0
                        y = y + 1 if y + 1 < height else 0
