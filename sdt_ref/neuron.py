"""LIF and PLIF neurons: current in, spikes out."""

from collections.abc import Callable

import numpy as np

from . import kernels
from .current import Current, Stream, panel_shape, positions, tile_sizes
from .events import CHANNEL, OFFSET, SpikeEvents, Tile
from .folding import NeuronParameters
from .run import Run


class Neuron:
    """A layer of leaky integrate-and-fire neurons with a hard reset, at rest at the start of every call.

    Parameters
    ----------
    module : official path, such as 'block.0.attn.q_lif'
    parameters : leak and threshold
    heads : set for the attention's neurons, whose official tensors split the channels into heads
    """

    def __init__(self, module: str, parameters: NeuronParameters, heads: int | None = None) -> None:
        self.module = module
        self.decay = parameters.decay
        self.threshold = parameters.threshold
        self.heads = heads

    def __call__(self, current: Current, run: Run) -> SpikeEvents:
        """Step all neurons through all time steps: [T, B, H, W, C] current -> [T, B, C, H, W] spikes.

        Current and membranes exist one tile at a time; only events leave it.
        """
        T, n, C = current.grid[0], positions(current.grid), current.n_channels
        size, least = tile_sizes(current.grid, C, current.dtype)
        kept = np.empty(panel_shape(current.grid, C, n), current.dtype) if run.record_currents else None

        def worker() -> Callable[[int, int], Tile]:
            fill = current.filler()
            tile = kernels.aligned(panel_shape(current.grid, C, size), current.dtype)
            membrane = kernels.aligned(kernels.PANEL, current.dtype)
            channels = np.empty((T, size * C), CHANNEL)
            n_spikes, per_row = kernels.aligned(T, OFFSET), np.empty((T, size), OFFSET)

            def fire(first: int, count: int) -> Tile:
                fill(first, count, tile, 0)
                if kept is not None:
                    kept[:, :, first : first + count] = tile[:, :, :count]
                kernels.fire(tile, count, self.decay, self.threshold, membrane, channels, n_spikes, per_row)
                return Tile(
                    per_row[:, :count].copy(), [step[:m].copy() for step, m in zip(channels, n_spikes, strict=True)]
                )

            return fire

        tiles = run.tiles(n, size, least, worker)
        current.finish(run)
        run.count_other("leak", ac=n * C, mac=n * C)
        if kept is not None:
            kept_rows = Stream(current.grid, C, kept).array
            run.currents[self.module] = self._official_axes(kept_rows.reshape(*current.grid, C))
        return SpikeEvents.from_kernel(current.grid, C, tiles)

    def _official_axes(self, current: np.ndarray) -> np.ndarray:
        if self.heads is None:
            return np.moveaxis(current, -1, 2)
        T, B, C = current.shape
        return current.reshape(T, B, self.heads, 1, C // self.heads)
