"""The first convolution: the one weight layer that reads real numbers, and therefore multiplies."""

import numpy as np

from . import kernels
from .current import Current, Fill, positions
from .run import Run
from .synapse import PanelledLayer


class Encoder(PanelledLayer):
    """3x3 multiply-accumulate convolution with its BatchNorm folded in (official MS_SPS.proj_conv, proj_bn)."""

    def __call__(self, image: np.ndarray, time_steps: int) -> Current:
        """The current that an image causes: [1 or T, B, C_in, H, W] -> [T, B, H, W, C_out].

        A static image comes once; its current is computed once and serves all time steps.
        """
        return AnalogCurrent(self, image, time_steps)


class AnalogCurrent:
    """What the encoder delivers to the first neurons."""

    def __init__(self, encoder: Encoder, image: np.ndarray, time_steps: int) -> None:
        frames, B, C, H, W = image.shape
        self.encoder = encoder
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
        """See Current. Each tap inside the image is C_in multiply-accumulates for each output of its panel."""
        macs = np.zeros(run.time_steps, np.int64)
        macs[: self._frames] = self.encoder.panel_widths @ sum(self._taps) * self.encoder.n_inputs
        run.count_layer(self.encoder.name, mac=macs)
        run.count_other(
            "bias", ac=np.where(np.arange(run.time_steps) < self._frames, positions(self.grid) * self.n_channels, 0)
        )
