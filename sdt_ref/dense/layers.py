"""Dense layers on [T, B, C, H, W] tensors."""

import numpy as np

from ..weights.folding import Layer


def conv(x: np.ndarray, layer: Layer) -> np.ndarray:
    """Convolution, stride 1, zero padding to the same size; 3x3 or 1x1.

    out[o] = bias[o] + sum over (ky, kx, c), in this order, of weight[o, c, ky, kx] * x[c, y + ky - pad, x + kx - pad]
    """
    outputs, inputs, window, _ = layer.weight.shape
    T, B, _, H, W = x.shape
    pad = window // 2
    padded = np.pad(x.astype(layer.weight.dtype), ((0, 0), (0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.empty((T, B, outputs, H, W), layer.weight.dtype)
    out[:] = layer.bias[:, None, None]
    for ky in range(window):
        for kx in range(window):
            for c in range(inputs):
                tap = padded[:, :, c, None, ky : ky + H, kx : kx + W]  # [T, B, 1, H, W]
                out += tap * layer.weight[:, c, ky, kx, None, None]
    return out


def max_pool(x: np.ndarray, stride: int) -> np.ndarray:
    """Maximum over 3x3 windows of the last two axes; nothing beyond the border counts."""
    H, W = x.shape[-2:]
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)], constant_values=lowest)
    windows = [padded[..., ky : ky + H : stride, kx : kx + W : stride] for ky in range(3) for kx in range(3)]
    return np.maximum.reduce(windows)


def sequential_sum(x: np.ndarray, axis: int) -> np.ndarray:
    """Sum along one axis, term by term."""
    terms = np.moveaxis(x, axis, 0)
    total = terms[0].copy()
    for term in terms[1:]:
        total += term
    return total


def fan_out(x: np.ndarray, layer: Layer) -> np.ndarray:
    """Output elements that each spike reaches, summed per time step: [T, B, C, H, W] -> int64[T].

    A pixel at (y, x) reaches the outputs whose window holds it: all of them but those beyond the border.
    """
    outputs, _, window, _ = layer.weight.shape
    H, W = x.shape[-2:]
    pad = window // 2
    reach_y = np.array([min(y + pad, H - 1) - max(y - pad, 0) + 1 for y in range(H)])
    reach_x = np.array([min(i + pad, W - 1) - max(i - pad, 0) + 1 for i in range(W)])
    reached = (x != 0).astype(np.int64) * reach_y[:, None] * reach_x
    return reached.sum(axis=(1, 2, 3, 4)) * outputs
