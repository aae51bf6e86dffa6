"""The two stages that read real numbers instead of spikes: the first convolution, and the pool before LIF3."""

from .policy import kernel
from .vector import PANEL, add_scaled_panel_rows, copy_panel


@kernel
def conv3x3_analog(image, batch, height, width, first, count, panels, bias, current, at, taps):
    """Multiply-accumulate 3x3 convolution over an analog image, stride 1, zero padding 1, canonical order.

    Parameters
    ----------
    image : float[1 or T, batch * height * width, C_in]
        1: a static image, whose current is the same at every time step
    panels : float[P, 9 * C_in, PANEL], bias : float[P, PANEL]
    current : float[P, 1 or T, n, PANEL]
        written at [:, :, at:at+count]
    taps : int64[P, 1 or T]
        incremented by the taps inside the image; each is C_in multiply-accumulates (MAC) for an output of the panel

    Source: official module, proj_conv of MS_SPS. It is exempt from "addition only" by name: its input is analog.
    """
    n_frames, n_rows, n_inputs = image.shape
    for p in range(current.shape[0]):
        for frame in range(n_frames):
            for i in range(count):
                position = first + i
                x = position % width
                y = position // width % height
                place = ((p * n_frames + frame) * current.shape[2] + at + i) * PANEL
                copy_panel(bias, p * PANEL, current, place)
                left = max(0, 1 - x)
                columns = min(3, width + 1 - x) - left
                for ky in range(max(0, 1 - y), min(3, height + 1 - y)):  # the pixels of a window's row lie together
                    pixel = (frame * n_rows + position + (ky - 1) * width + left - 1) * n_inputs
                    weight = (p * 9 + ky * 3 + left) * n_inputs * PANEL
                    add_scaled_panel_rows(image, pixel, columns * n_inputs, panels, weight, current, place)
                    taps[p, frame] += columns


@kernel
def max_pool3x3(current, height, width, first, count, pooled):
    """Maximum of real currents over 3x3 windows, stride 2; beyond the border lies minus infinity, not zero.

    Parameters
    ----------
    current : float[n_images, height * width, PANEL]
    first, count
        the tile, in images: one for each panel, time step and sample
    pooled : float[n_images, (height // 2) * (width // 2), PANEL]
        written at [first:first+count]; height and width are even

    Source: official module MS_SPS, stage 3 (the pool acts on the BatchNorm output).
    """
    for image in range(first, first + count):
        for y in range(height // 2):
            for x in range(width // 2):
                p = y * (width // 2) + x
                for o in range(PANEL):
                    pooled[image, p, o] = current[image, 2 * y * width + 2 * x, o]
                for yy in range(max(2 * y - 1, 0), 2 * y + 2):
                    for xx in range(max(2 * x - 1, 0), 2 * x + 2):
                        for o in range(PANEL):
                            pooled[image, p, o] = max(pooled[image, p, o], current[image, yy * width + xx, o])
