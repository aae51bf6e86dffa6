"""Weight layers that read spikes: linear (1x1 convolution) and 3x3 convolution. They only ever add weight rows."""

from collections.abc import Callable, Mapping

import numpy as np

from . import kernels
from .current import Current, Fill, in_panels, out_of_panels, positions
from .events import SpikeEvents
from .folding import Layer
from .run import Run


class PanelledLayer:
    """A weight layer as the kernels read it: rows in canonical order (kernel row, kernel column, input channel).

    Parameters
    ----------
    name : of the layer in Result.counts
    layer : folded weights [C_out, C_in, k, k], k = 1 or 3; they are copied, and not kept

    Attributes
    ----------
    panels : [P, k * k * C_in, PANEL]
    bias : [P, PANEL]
    panel_widths : [P], outputs in each panel
    """

    def __init__(self, name: str, layer: Layer) -> None:
        self.name = name
        self.n_outputs, self.n_inputs, self.window, _ = layer.weight.shape
        self.panels = in_panels(layer.weight.transpose(2, 3, 1, 0).reshape(-1, self.n_outputs))
        self.bias = in_panels(layer.bias)
        self.panel_widths = np.diff([*range(0, self.n_outputs, kernels.PANEL), self.n_outputs])

    def layer(self) -> Layer:
        """The folded weights, read back."""
        rows = out_of_panels(self.panels, self.n_outputs).reshape(self.window, self.window, self.n_inputs, -1)
        return Layer(np.ascontiguousarray(rows.transpose(3, 2, 0, 1)), out_of_panels(self.bias, self.n_outputs))


class Synapse(PanelledLayer):
    """A weight layer that reads spikes, and only ever adds."""

    def __call__(self, events: SpikeEvents) -> Current:
        """The current that these events cause: [T, B, C_in, H, W] spikes -> [T, B, H, W, C_out] current."""
        return SynapticCurrent(self, events)


class SynapticCurrent:
    """What a weight layer delivers to its neurons."""

    static = False

    def __init__(self, synapse: Synapse, events: SpikeEvents) -> None:
        self.synapse = synapse
        self.events = events
        self.grid = events.grid
        self.n_channels = synapse.n_outputs
        self.dtype = synapse.panels.dtype
        self._rows_added: list[np.ndarray] = []  # one per thread

    def filler(self, size: int) -> Fill:
        """See Current."""
        events, synapse = self.events, self.synapse
        steps, batch, height, width = (*self.grid, 1, 1)[:4]
        added = kernels.aligned((len(synapse.panels), steps), np.int64)
        added[:] = 0
        self._rows_added.append(added)
        cursors = np.empty(steps * size, np.int64)

        def fill(panels: slice, first: int, count: int, out: np.ndarray, at: int) -> None:
            kernels.add_rows(
                events.offsets,
                events.channels,
                batch,
                height,
                width,
                synapse.window,
                first,
                count,
                synapse.panels[panels],
                synapse.bias[panels],
                cursors,
                out,
                at,
                added[panels],
            )

        return fill

    def finish(self, run: Run) -> None:
        """See Current. Each row that was added is one addition for each output of its panel."""
        run.count_layer(
            self.synapse.name,
            ac=self.synapse.panel_widths @ sum(self._rows_added),
            events=self.events.events_per_step(),
            neurons=positions(self.grid) * self.synapse.n_inputs,
        )
        run.count_other("bias", ac=positions(self.grid) * self.n_channels)


def synapse_maker(prefix: str, module: str, layers: Mapping[str, Layer]) -> Callable[[str], Synapse]:
    """Make layers by their official short name: 'q_conv' of block.0.attn is counted as MS_SSA_Conv0_q_conv."""
    return lambda name: Synapse(f"{prefix}_{name}", layers[f"{module}.{name}"])
