"""Weight layers that read spikes: linear (1x1 convolution) and 3x3 convolution. They only ever add weight rows."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .. import kernels
from ..fixed.formats import WRAP
from ..fixed.quantise import FixedLayer
from ..fixed.registers import Fraction, Register
from ..weights.folding import Layer
from .counting import Named, first_steps
from .current import Current, Fill, Units, positions
from .events import SpikeEvents
from .panels import in_panels, out_of_panels
from .run import Run


@dataclass(frozen=True)
class LayerRules:
    """What a weight layer does in a run: each row that was added is one addition for each output of its panel.

    An image that is the same at every step is read, and its bias added, at the first one.

    Attributes
    ----------
    widths : [P], outputs in each panel
    """

    name: str
    module: str
    widths: np.ndarray
    n_inputs: int

    def of_events(self, time_steps: int, places: int, offsets: np.ndarray, rows: list[np.ndarray]) -> Iterable[Named]:
        """Rule for a layer that reads spikes.

        Parameters
        ----------
        places : positions of one time step
        offsets : of the steps of the spikes read, int64[1 or T, + 1]
        rows : rows added, from each thread int64[P, 1 or T]
        """
        frames = len(offsets) - 1
        done = {"ac": self.widths @ sum(rows), "events": np.diff(offsets), "neurons": places * self.n_inputs}
        yield (self.name,), {field: first_steps(time_steps, values, frames) for field, values in done.items()}
        yield self.of_bias(time_steps, places, frames)

    def of_image(self, time_steps: int, places: int, taps: list[np.ndarray]) -> Iterable[Named]:
        """Rule for a layer that reads real numbers: each tap is C_in multiply-accumulates for each output.

        Parameters
        ----------
        taps : inside the image, from each thread int64[P, 1 or T]
        """
        multiplied = self.widths @ sum(taps) * self.n_inputs
        yield (self.name,), {"mac": first_steps(time_steps, multiplied, len(multiplied))}
        yield self.of_bias(time_steps, places, len(multiplied))

    def of_bias(self, time_steps: int, places: int, frames: int) -> Named:
        """Every output begins at its bias."""
        return ("bias", self.module), {"ac": first_steps(time_steps, places * int(self.widths.sum()), frames)}


class PanelledLayer:
    """A weight layer as the kernels read it: rows in canonical order (kernel row, kernel column, input channel).

    Parameters
    ----------
    name : of the layer in Result.counts
    module : official path, such as 'block.0.attn.q_conv'
    layer : folded weights [C_out, C_in, k, k], k = 1 or 3; they are copied, and not kept

    Attributes
    ----------
    panels : [P, k * k * C_in, PANEL]
    bias : [P, PANEL]
    rules : of what the layer does
    dtype : of the sums
    units : of the sums, in fixed point
    """

    units: Units | None = None

    def __init__(self, name: str, layer: Layer, module: str = "") -> None:
        self.name = name
        self.module = module
        self.n_outputs, self.n_inputs, self.window, _ = layer.weight.shape
        rows = layer.weight.transpose(2, 3, 1, 0).reshape(-1, self.n_outputs)
        self.dtype = layer.bias.dtype
        self._without_arrays: FixedLayer | None = None
        if isinstance(layer, FixedLayer):
            rows, self.dtype = rows.astype(layer.weight_dtype), layer.dtype
            register = None if layer.stream is None else Register(layer.stream, layer.stream_dtype)
            self.units = Units(Fraction(in_panels(layer.fraction)), register)
            none = np.empty((0, 0), rows.dtype)  # no view of the rows, which would keep them
            self._without_arrays = dataclasses.replace(layer, weight=none, bias=none)
        self.panels = in_panels(rows)
        self.bias = in_panels(layer.bias.astype(self.dtype))
        widths = np.diff([*range(0, self.n_outputs, kernels.PANEL), self.n_outputs])
        self.rules = LayerRules(name, module, widths, self.n_inputs)

    def layer(self) -> Layer:
        """The folded weights, read back."""
        rows = out_of_panels(self.panels, self.n_outputs).reshape(self.window, self.window, self.n_inputs, -1)
        weight, bias = np.ascontiguousarray(rows.transpose(3, 2, 0, 1)), out_of_panels(self.bias, self.n_outputs)
        if self._without_arrays is None:
            return Layer(weight, bias)
        return dataclasses.replace(self._without_arrays, weight=weight.astype(np.int64), bias=bias.astype(np.int64))


class Synapse(PanelledLayer):
    """A weight layer that reads spikes, and only ever adds."""

    @property
    def checked(self) -> FixedLayer | None:
        """The layer without its arrays, where each addition must be checked."""
        return self._without_arrays if self._without_arrays is not None and self._without_arrays.checked else None

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
        self.module = synapse.module
        self.n_channels = synapse.n_outputs
        self.dtype = synapse.dtype
        self.units = synapse.units
        self._rows_added: list[np.ndarray] = []  # one per thread
        self._overflows: list[np.ndarray] = []

    def filler(self, size: int) -> Fill:
        """See Current."""
        events, synapse = self.events, self.synapse
        steps, batch, height, width = (*events.grid, 1, 1)[:4]
        added = kernels.aligned((len(synapse.panels), steps), np.int64)
        added[:] = 0
        self._rows_added.append(added)
        if synapse.checked is not None:
            return self._checked_filler(synapse.checked, added)
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

    def _checked_filler(self, layer: FixedLayer, added: np.ndarray) -> Fill:
        """As `filler`, for sums that may leave their register."""
        events, synapse, register = self.events, self.synapse, layer.accumulator
        _, batch, height, width = (*events.grid, 1, 1)[:4]
        limits = register.low, register.high, register.overflow == WRAP
        overflows = np.zeros_like(added)
        self._overflows.append(overflows)

        def fill(panels: slice, first: int, count: int, out: np.ndarray, at: int) -> None:
            kernels.add_rows_checked(
                events.offsets,
                events.channels,
                batch,
                height,
                width,
                synapse.window,
                layer.planes,
                first,
                count,
                synapse.panels[panels],
                synapse.bias[panels],
                *limits,
                out,
                at,
                added[panels],
                overflows[panels],
            )

        return fill

    def finish(self, run: Run) -> None:
        """See Current."""
        offsets, rows = self.events.step_offsets(), self._rows_added
        run.counter.add(self.synapse.rules.of_events, positions(self.grid), offsets, rows)
        if self._overflows:
            overflows = first_steps(run.time_steps, np.sum(self._overflows, axis=(0, 1)), len(offsets) - 1)
            run.count_overflows(f"{self.synapse.module}.accumulator", overflows)
