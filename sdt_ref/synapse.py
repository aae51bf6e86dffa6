"""Weight layers that read spikes: linear (1x1 convolution) and 3x3 convolution. They only ever add weight rows."""

from collections.abc import Callable, Mapping

import numpy as np

from . import kernels
from .current import Current, Fill, positions, tile_size
from .events import SpikeEvents
from .folding import Layer
from .run import Run


class Synapse:
    """A weight layer, its rows in the order in which events add them: (kernel row, kernel column, input channel).

    Parameters
    ----------
    name : of the layer in Result.counts
    layer : folded weights [C_out, C_in, k, k], k = 1 or 3
    """

    def __init__(self, name: str, layer: Layer) -> None:
        self.name = name
        self.n_outputs, self.n_inputs, self.window, _ = layer.weight.shape
        self.n_rows = self.n_inputs * self.window**2
        self.panels = in_panels(layer.weight.transpose(2, 3, 1, 0).reshape(self.n_rows, self.n_outputs))
        self.bias = layer.bias

    def __call__(self, events: SpikeEvents) -> Current:
        """The current that these events cause: [T, B, C_in, H, W] spikes -> [T, B, H, W, C_out] current."""
        return SynapticCurrent(self, events)


def in_panels(weight: np.ndarray) -> np.ndarray:
    """Cut weights [n_rows, C_out] into the panels that `kernels.add_rows` reads, one behind the other."""
    lanes, outputs = kernels.VECTOR_BYTES // weight.itemsize, weight.shape[1]
    widths = [lanes * kernels.WIDE] * (outputs // (lanes * kernels.WIDE))
    widths += [lanes] * ((outputs - sum(widths)) // lanes)
    cuts = np.cumsum(widths, dtype=int)
    return np.concatenate([panel.ravel() for panel in np.split(weight, cuts, axis=1)])


class SynapticCurrent:
    """What a weight layer delivers to its neurons."""

    def __init__(self, synapse: Synapse, events: SpikeEvents) -> None:
        self.synapse = synapse
        self.events = events
        self.grid = events.grid
        self.n_channels = synapse.n_outputs
        self.dtype = synapse.panels.dtype
        self._rows_added: list[np.ndarray] = []  # one per thread

    def filler(self) -> Fill:
        """See Current."""
        added = np.zeros(self.grid[0], np.int64)
        self._rows_added.append(added)
        return self._linear(added) if self.synapse.window == 1 else self._conv3x3(added)

    def _linear(self, added: np.ndarray) -> Fill:
        events, synapse, n = self.events, self.synapse, positions(self.grid)
        cursors = np.empty(self.grid[0] * tile_size(self.grid, self.n_channels, self.dtype), np.int64)

        def fill(first: int, count: int, out: np.ndarray, at: int) -> None:
            kernels.add_rows(
                events.offsets, events.channels, n, first, count, synapse.panels, synapse.bias, cursors, out, at, added
            )

        return fill

    def _conv3x3(self, added: np.ndarray) -> Fill:
        """A convolution is a linear layer whose input lists are those of nine pixels, strung together."""
        events, synapse = self.events, self.synapse
        steps, batch, height, width = self.grid
        row_type = np.uint16 if synapse.n_rows <= np.iinfo(np.uint16).max else np.int32
        size = tile_size(self.grid, self.n_channels, self.dtype)
        taps = np.empty(steps * size * synapse.n_rows, row_type)
        offsets, cursors = np.empty(steps * size + 1, np.int64), np.empty(steps * size, np.int64)

        def fill(first: int, count: int, out: np.ndarray, at: int) -> None:
            kernels.gather3x3(
                events.offsets,
                events.channels,
                batch,
                height,
                width,
                steps,
                synapse.n_inputs,
                first,
                count,
                offsets,
                taps,
            )
            kernels.add_rows(offsets, taps, count, 0, count, synapse.panels, synapse.bias, cursors, out, at, added)

        return fill

    def finish(self, run: Run) -> None:
        """See Current. Each row that was added is C_out additions."""
        rows_added = np.sum(self._rows_added, axis=0)
        run.count_layer(
            self.synapse.name,
            ac=rows_added * self.n_channels,
            events=self.events.events_per_step(),
            neurons=positions(self.grid) * self.synapse.n_inputs,
        )
        run.count_other("bias", ac=positions(self.grid) * self.n_channels)


def synapse_maker(prefix: str, module: str, layers: Mapping[str, Layer]) -> Callable[[str], Synapse]:
    """Make layers by their official short name: 'q_conv' of block.0.attn is counted as MS_SSA_Conv0_q_conv."""
    return lambda name: Synapse(f"{prefix}_{name}", layers[f"{module}.{name}"])
