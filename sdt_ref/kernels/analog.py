"""The two stages that read real numbers instead of spikes: the first convolution, and the pool before LIF3."""

from .policy import kernel


@kernel
def conv3x3_analog(image, batch, height, width, first, count, weight, bias, current, at, macs):
    """Multiply-accumulate 3x3 convolution over an analog image, stride 1, zero padding 1, canonical order.

    Parameters
    ----------
    image : float[T, batch * height * width, C_in]
    weight : float[9 * C_in, C_out], bias : float[C_out]
    current : float[T, n, C_out]
        written at [:, at:at+count]
    macs : int64[T]
        incremented by the taps inside the image; each is C_in * C_out multiply-accumulates (MAC)

    Source: official module, proj_conv of MS_SPS. It is exempt from "addition only" by name: its input is analog.
    """
    n_inputs = image.shape[2]
    for t in range(current.shape[0]):
        for i in range(count):
            for o in range(weight.shape[1]):
                current[t, at + i, o] = bias[o]
            position = first + i
            x = position % width
            y = (position // width) % height
            for ky in range(3):
                for kx in range(3):
                    if 0 <= y + ky - 1 < height and 0 <= x + kx - 1 < width:
                        macs[t] += 1
                        source = position + (ky - 1) * width + kx - 1
                        for c in range(n_inputs):
                            value = image[t, source, c]
                            for o in range(weight.shape[1]):
                                current[t, at + i, o] += value * weight[(ky * 3 + kx) * n_inputs + c, o]


@kernel
def max_pool3x3(current, height, width, pooled):
    """Maximum of real currents over 3x3 windows, stride 2; beyond the border lies minus infinity, not zero.

    Parameters
    ----------
    current : float[n_images, height * width, C]
    pooled : float[n_images, (height // 2) * (width // 2), C]
        written; height and width are even

    Source: official module MS_SPS, stage 3 (the pool acts on the BatchNorm output).
    """
    for image in range(current.shape[0]):
        for y in range(height // 2):
            for x in range(width // 2):
                p = y * (width // 2) + x
                for c in range(current.shape[2]):
                    pooled[image, p, c] = current[image, 2 * y * width + 2 * x, c]
                for ky in range(3):
                    for kx in range(3):
                        yy = 2 * y + ky - 1
                        xx = 2 * x + kx - 1
                        if 0 <= yy < height and 0 <= xx < width:
                            for c in range(current.shape[2]):
                                pooled[image, p, c] = max(pooled[image, p, c], current[image, yy * width + xx, c])
