"""The first convolution: the one weight layer that reads real numbers.

In floating point it multiplies. In fixed point a pixel is a register, and each of its bits that is set an event: the
events of a bit plane add their weights shifted to the place of that bit, so nothing is multiplied either.
"""

import numpy as np

from .. import kernels
from ..engine.current import Current, Fill, positions
from ..engine.events import CHANNEL, OFFSET, SpikeEvents, Tile
from ..engine.panels import n_panels
from ..engine.run import Run
from ..engine.synapse import PanelledLayer, Synapse, SynapticCurrent
from ..fixed.formats import Format
from ..fixed.quantise import FixedParameters
from ..weights.folding import Layer, Parameters


class Encoder(PanelledLayer):
    """3x3 multiply-accumulate convolution with its BatchNorm folded in (official MS_SPS.proj_conv, proj_bn)."""

    def __call__(self, image: np.ndarray, time_steps: int) -> Current:
        """The current that an image causes: [1 or T, B, C_in, H, W] -> [T, B, H, W, C_out].

        A static image comes once; its current is computed once and serves all time steps.
        """
        return AnalogCurrent(self, image, time_steps)


class BitPlaneEncoder(Synapse):
    """3x3 convolution over the bit planes of an image: input channel p * C + c is bit p of channel c.

    Parameters
    ----------
    name, layer, module : see PanelledLayer; the weights of each plane are shifted to its place, the sign's negated
    pixels : register of the input
    """

    def __init__(self, name: str, layer: Layer, module: str, pixels: Format) -> None:
        super().__init__(name, layer, module)
        self.pixels = pixels

    def __call__(self, image: np.ndarray, time_steps: int) -> Current:  # type: ignore[override]  # it reads an image
        """See Encoder."""
        whole = self.pixels.quantise(image)  # [1 or T, B, C_in, H, W]
        inside = self.pixels.holds(whole)
        return PlaneCurrent(self, bit_planes(self.pixels.fit(whole), self.pixels.bits), time_steps, ~inside)


class PlaneCurrent(SynapticCurrent):
    """What the bit planes of an image deliver to the first neurons."""

    def __init__(self, encoder: BitPlaneEncoder, planes: SpikeEvents, time_steps: int, overflows: np.ndarray) -> None:
        super().__init__(encoder, planes)
        self.grid = (time_steps, *planes.grid[1:])
        self.static = planes.grid[0] == 1 < time_steps
        self._pixel_overflows = overflows

    def finish(self, run: Run) -> None:
        """See Current."""
        overflows = np.zeros(run.time_steps, np.int64)
        overflows[: len(self._pixel_overflows)] = np.count_nonzero(self._pixel_overflows, axis=(1, 2, 3, 4))
        run.count_overflows("input", overflows)
        super().finish(run)


def bit_planes(image: np.ndarray, bits: int) -> SpikeEvents:
    """The set bits of two's-complement numbers as events: [T, B, C, H, W] -> spikes [T, B, bits * C, H, W]."""
    T, B, C, H, W = image.shape
    numbers = np.arange(bits * C)
    words = np.zeros((n_panels(bits * C), T, B * H * W), np.uint64)
    for number in numbers:
        plane, channel = divmod(int(number), C)
        bit = (image[:, :, channel] >> plane) & 1
        words[number // 64] |= bit.reshape(T, -1).astype(np.uint64) << np.uint64(number % 64)
    per_row = np.empty((T, B * H * W), OFFSET)
    channels = np.empty(per_row.size * bits * C + kernels.SLACK, CHANNEL)
    n_events = kernels.list_events(words, B * H * W, channels, per_row)
    return SpikeEvents.from_kernel((T, B, H, W), bits * C, [Tile(per_row, channels[:n_events].copy())])


class AnalogCurrent:
    """What the encoder delivers to the first neurons."""

    units = None

    def __init__(self, encoder: Encoder, image: np.ndarray, time_steps: int) -> None:
        frames, B, C, H, W = image.shape
        self.encoder = encoder
        self.module = encoder.module
        self.grid = (time_steps, B, H, W)
        self.n_channels = encoder.n_outputs
        self.dtype = image.dtype
        self._frames = frames  # 1 for a static image
        self.static = frames == 1 < time_steps
        self._image = np.ascontiguousarray(np.moveaxis(image, 2, -1)).reshape(frames, -1, C)
        self._taps: list[np.ndarray] = []  # one per thread

    def filler(self, size: int) -> Fill:
        """See Current."""
        taps = kernels.aligned((len(self.encoder.panels), self._frames), np.int64)
        taps[:] = 0
        self._taps.append(taps)
        _, batch, height, width = self.grid

        def fill(panels: slice, first: int, count: int, out: np.ndarray, at: int) -> None:
            kernels.conv3x3_analog(
                self._image,
                batch,
                height,
                width,
                first,
                count,
                self.encoder.panels[panels],
                self.encoder.bias[panels],
                out,
                at,
                taps[panels],
            )

        return fill

    def finish(self, run: Run) -> None:
        """See Current."""
        run.counter.add(self.encoder.rules.of_image, positions(self.grid), self._taps)


def encoder(name: str, module: str, parameters: Parameters) -> Encoder | BitPlaneEncoder:
    """Make the first convolution, as the arithmetic of its parameters demands."""
    layer = parameters.layers[module]
    if isinstance(parameters, FixedParameters):
        return BitPlaneEncoder(name, layer, module, parameters.input)
    return Encoder(name, layer, module)
