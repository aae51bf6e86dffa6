"""One run as a table: what each stage did at each time step, as the engine counted it.

A synaptic operation is an input that reaches an output through a weight. In NeuroBench's terms (Yik et al., Nature
Communications 2025): `dense` ones are all there are, silent inputs and zero weights included; effective ones have
neither a silent input nor a zero weight, and are ACs behind spikes and MACs behind real numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.events import SpikeEvents
from ..engine.neuron import is_or
from ..engine.run import Run
from ..engine.set_operations import pool
from ..fixed.quantise import FixedNeuron
from ..inputs.arrays import as_frames
from ..network.encoder import BitPlaneEncoder, bit_planes
from ..network.model import SpikeDrivenTransformer
from ..result import OPERATIONS, OperationCount, Result
from ..weights.arithmetic import FIXED
from ..weights.names import counted_as
from ..weights.wiring import INPUT, Stage, wiring

SYNAPSES = "synapses"  # the kind of a weight layer's own operations; the other kinds are those of Result.stage_counts
SYNAPTIC = ("dense", "effective_macs", "effective_acs", "weight_rows")
FIELDS = (*OPERATIONS, *SYNAPTIC)

Cell = tuple[str, str]  # stage, kind


@dataclass(frozen=True)
class EarlyExit:
    """What an OR saves against a count: it is settled by the first token with a spike of K and V.

    Attributes
    ----------
    comparisons, saved : ANDs of K with V that are made, and those of them that came after the first hit; int64[T]
    additions : counts that an OR need not add up, all of them; int64[T]
    """

    comparisons: np.ndarray
    saved: np.ndarray
    additions: np.ndarray


@dataclass(frozen=True)
class Account:
    """The operations of one run, in the order of the data flow.

    Attributes
    ----------
    stages : all stages by name, see `wiring`
    cells : (stage, kind) -> [len(FIELDS), T]: int64, or float64 in a mean over runs
    early_exit : by stage ('block.0.attn.kv'), where the attention is an OR; empty in dvs mode
    bits : width of the weights of (stage, 'synapses'), and of the membranes of (stage, 'threshold')
    """

    stages: Mapping[str, Stage]
    cells: Mapping[Cell, np.ndarray]
    early_exit: Mapping[str, EarlyExit]
    bits: Mapping[Cell, int]

    @property
    def time_steps(self) -> int:
        """T."""
        return next(iter(self.cells.values())).shape[1]

    def get(self, stage: str, kind: str, field: str) -> np.ndarray:
        """One row of a cell, [T]; zeros where there is no such cell."""
        cell = self.cells.get((stage, kind))
        return np.zeros(self.time_steps, np.int64) if cell is None else cell[FIELDS.index(field)]

    def total(self, field: str, kind: str | None = None) -> float:
        """A field summed over all stages and time steps, of one kind or of all."""
        return sum(cell[FIELDS.index(field)].sum() for (_, k), cell in self.cells.items() if kind in (None, k))

    def fired(self, stage: str) -> np.ndarray:
        """Firing rate of a neuron layer at each time step, before any pool, [T]."""
        return rate(self.get(stage, "threshold", "events"), self.get(stage, "threshold", "neurons"))

    def hook(self, stage: str) -> np.ndarray:
        """Firing rate that the official hook of this stage shows, [T]: behind the pool only for K and V in dvs mode."""
        behind = "pool" if (stage, "pool") in self.cells and ".attn." in stage else "threshold"
        return rate(self.get(stage, behind, "events"), self.get(stage, behind, "neurons"))

    def read(self, stage: str) -> np.ndarray:
        """Firing rate of what the weight layer of this stage reads, pooled if it is, [T]; NaN where that is analog."""
        return rate(self.get(stage, SYNAPSES, "events"), self.get(stage, SYNAPSES, "neurons"))


def rate(events: np.ndarray, neurons: np.ndarray) -> np.ndarray:
    """Events per neuron, [T]; NaN where there are no neurons."""
    return np.divide(events, neurons, out=np.full(len(events), np.nan), where=neurons > 0)


class Accountant:
    """Takes the account of runs of one network.

    Parameters
    ----------
    model : in any arithmetic
    """

    def __init__(self, model: SpikeDrivenTransformer) -> None:
        self.model = model
        self.stages = wiring(model.architecture, model.config)
        # outputs that a spike reaches through a weight that is not zero, [k, k, C_in]
        self._reach = {
            name: np.count_nonzero(model.layer(name).weight, axis=0).transpose(1, 2, 0) for name in model.weight_layers
        }
        self._n_outputs = {name: synapse.n_outputs for name, synapse in model.weight_layers.items()}
        self._bits = {
            (name, kind): _width(model, part)
            for name, stage in self.stages.items()
            for kind, part in ((SYNAPSES, stage.layer), ("threshold", name))
            if part in (model.weight_layers if kind == SYNAPSES else model.neurons)
        }

    def account(self, x: Any) -> Account:
        """Run the network on an input, as the model takes it, and return the account of that run."""
        return self.of(x, self.model(x, record=True))

    def of(self, x: Any, result: Result) -> Account:
        """The account of a run whose spikes were recorded."""
        cells: dict[Cell, np.ndarray] = {}
        image, _ = as_frames(x, self.model.architecture, self.model.config, self.model.arithmetic.dtype)
        for name, stage in self.stages.items():
            if stage.layer is not None:
                count = result.counts[counted_as(stage.layer)]
                cells[name, SYNAPSES] = _cell(count, self._synaptic(stage, count, image, result))
            for kind, stages in result.stage_counts.items():
                for module in (name, stage.layer):  # biases and residuals are counted under the name of the layer
                    if module is not None and module in stages:
                        cells[name, kind] = _cell(stages[module])
        return Account(self.stages, cells, self._early_exits(result), self._bits)

    def _synaptic(self, stage: Stage, count: OperationCount, image: np.ndarray, result: Result) -> np.ndarray:
        """Dense and effective operations, and weight rows fetched: int64[len(SYNAPTIC), T]."""
        assert stage.layer is not None
        reach, n_outputs = self._reach[stage.layer], self._n_outputs[stage.layer]
        analog = bool(count.mac.any())
        effective = count.mac + count.ac
        if analog or (reach < n_outputs).any():
            effective = np.zeros_like(count.ac)
            inputs = self._inputs(stage, image, result)
            effective[: inputs.grid[0]] = reached(inputs, reach)
        height, width = image.shape[-2:] if stage.reads[0] == INPUT else self._size(stage, result)
        taps = (3 * height - 2) * (3 * width - 2) if stage.window == 3 else height * width  # all that are inside
        neurons = count.neurons.copy()
        if analog:
            neurons[: len(image)] = image[0].size
        dense = neurons // (height * width) * taps * n_outputs
        nothing = np.zeros_like(effective)
        rows = np.stack(
            [
                dense,
                effective if analog else nothing,
                nothing if analog else effective,
                (count.ac + count.mac) // n_outputs,
            ]
        )
        return rows

    def _size(self, stage: Stage, result: Result) -> tuple[int, int]:
        """Height and width of what a layer reads."""
        grid = _spikes(result, self.stages[stage.reads[0]]).grid
        height, width = grid[2:] if len(grid) == 4 else (1, 1)
        return (height // 2, width // 2) if stage.pooled else (height, width)

    def _inputs(self, stage: Stage, image: np.ndarray, result: Result) -> SpikeEvents:
        """What a layer reads, as events; of a picture the pixels that are not zero, or its bit planes."""
        source = self.stages[stage.reads[0]]
        encoder = self.model.patch_embed.proj_conv
        if source.kind == INPUT:
            if isinstance(encoder, BitPlaneEncoder):
                return bit_planes(encoder.pixels.fit(encoder.pixels.quantise(image)), encoder.pixels.bits)
            return SpikeEvents.from_dense(image != 0)
        spikes = _spikes(result, source)
        return pool(spikes, 2, Run(spikes.grid[0], self.model.threads)) if stage.pooled else spikes

    def _early_exits(self, result: Result) -> dict[str, EarlyExit]:
        exits = {}
        for name, stage in self.stages.items():
            if not name.endswith(".kv") or self.model.config.dvs_mode:
                continue
            k, kv = _spikes(result, self.stages[stage.reads[0]]), _spikes(result, stage)
            if not is_or(self.model.neurons[name.replace(".kv", ".talking_heads_lif")], k.n_tokens):
                continue
            saved = saved_by_exit(k, kv)
            exits[name] = EarlyExit(k.events_per_step(), saved, kv.events_per_step())
        return exits


def _width(model: SpikeDrivenTransformer, module: str | None) -> int:
    """Bits of the weights of a layer, or of the membranes of a neuron layer, as they are declared or held."""
    assert module is not None
    neuron = model.neurons.get(module)
    if model.arithmetic is not FIXED:
        return 8 * model.arithmetic.dtype.itemsize
    if isinstance(neuron, FixedNeuron):
        return neuron.membrane.bits
    bits: int = model.formats.register(module, "weight")["bits"]
    return bits


def saved_by_exit(k: SpikeEvents, kv: SpikeEvents) -> np.ndarray:
    """ANDs of K with V that come after the first hit in their channel, int64[T]."""
    n = k.n_tokens
    pairs = k.n_rows // n  # time steps times samples
    first = np.full((pairs, k.n_channels), n)
    pair, token = np.divmod(np.repeat(np.arange(kv.n_rows), np.diff(kv.offsets)), n)
    np.minimum.at(first, (pair, kv.channels), token)
    pair, token = np.divmod(np.repeat(np.arange(k.n_rows), np.diff(k.offsets)), n)
    late = token > first[pair, k.channels]
    return np.bincount(pair[late] // (pairs // k.grid[0]), minlength=k.grid[0])


def reached(events: SpikeEvents, reach: np.ndarray) -> np.ndarray:
    """Outputs that events reach in a convolution of stride 1, borders counted truly.

    Parameters
    ----------
    events : [T, B, C_in, H, W] or [T, B, C_in]
    reach : int64[k, k, C_in], outputs behind each tap and input channel, k = 1 or 3

    Returns
    -------
    int64[T]
    """
    T, _, H, W = (*events.grid, 1, 1)[:4]
    step_ends = events.offsets[:: events.n_rows // T]
    per_row = np.diff(events.offsets)
    total, half = np.zeros(T, np.int64), len(reach) // 2
    for ky, kx in np.ndindex(reach.shape[:2]):
        y, x = np.arange(H) + half - ky, np.arange(W) + half - kx  # of the output that this tap leads to
        inside = np.logical_and.outer((y >= 0) & (y < H), (x >= 0) & (x < W))
        there = np.repeat(np.tile(inside.ravel(), events.n_rows // (H * W)), per_row)
        sums = np.concatenate([[0], np.cumsum(reach[ky, kx][events.channels] * there)])
        total += np.diff(sums[step_ends])
    return total


def _spikes(result: Result, stage: Stage) -> SpikeEvents:
    spikes = result.spikes[stage.hook]
    assert isinstance(spikes, SpikeEvents)
    return spikes


def _cell(count: OperationCount, synaptic: np.ndarray | None = None) -> np.ndarray:
    plain = np.stack([getattr(count, name) for name in OPERATIONS])
    return np.concatenate(
        [plain, np.zeros((len(SYNAPTIC), plain.shape[1]), np.int64) if synaptic is None else synaptic]
    )
