"""The two stages that read real numbers instead of spikes: the first convolution, and the pool before LIF3."""

from .policy import kernel
from .vector import PANEL


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
    n_frames, _, n_inputs = image.shape
    for p in range(current.shape[0]):
        for frame in range(n_frames):
            for i in range(count):
                position = first + i
                x = position % width
                y = position // width % height
                for o in range(PANEL):
                    current[p, frame, at + i, o] = bias[p, o]
                for ky in range(3):
                    for kx in range(3):
                        if 0 <= y + ky - 1 < height and 0 <= x + kx - 1 < width:
                            taps[p, frame] += 1
                            source = position + (ky - 1) * width + kx - 1
                            for c in range(n_inputs):
                                value = image[frame, source, c]
                                for o in range(PANEL):
                                    current[p, frame, at + i, o] += value * panels[p, (ky * 3 + kx) * n_inputs + c, o]


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
