"""LIF and PLIF neurons: current in, spikes out."""

from collections.abc import Callable

import numpy as np

from . import kernels
from .current import Current, Stream, n_panels, positions, scratch_shape, tile_size
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
        size = tile_size(current, run)
        P, kept = n_panels(C), None
        if run.recording == "currents":
            kept = np.empty((P, T, n, kernels.PANEL), current.dtype)

        def worker() -> Callable[[int, int], Tile]:
            fill = current.filler(size)
            scratch = kernels.aligned(scratch_shape(current, size), current.dtype)
            membrane = kernels.aligned(kernels.PANEL, current.dtype)
            fired = kernels.aligned((P, T, size), np.uint64)
            channels = np.empty(T * size * C + kernels.SLACK, CHANNEL)
            per_row = np.empty((T, size), OFFSET)

            def fire(first: int, count: int) -> Tile:
                for p in range(0, P, len(scratch)):
                    panels = slice(p, min(p + len(scratch), P))
                    x = scratch[: panels.stop - p]
                    fill(panels, first, count, x, 0)
                    if kept is not None:
                        kept[panels, :, first : first + count] = x[:, :, :count]
                    kernels.fire(x, count, self.decay, self.threshold, membrane, fired[panels])
                n_events = kernels.list_events(fired, count, channels, per_row)
                return Tile(per_row[:, :count].copy(), channels[:n_events].copy())

            return fire

        tiles = run.tiles(n, size, worker)
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
