"""Claim: the network is event-driven. A silent input costs no synaptic operation, and removing spikes adds none.

Additions are those that the engine counts, and that a dense computation counts, too; that no more is done than counted
is noticed by arrays, under the Python bodies of the kernels that add.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from ..dense.layers import fan_out
from ..engine.events import SpikeEvents
from ..engine.neuron import Neuron
from ..engine.run import Run
from ..engine.set_operations import pool
from ..engine.storing import store
from ..engine.synapse import Synapse, SynapticCurrent
from ..fixed.formats import Format
from ..fixed.quantise import FixedLayer
from ..inputs.arrays import as_frames
from ..network.encoder import BitPlaneEncoder, bit_planes
from ..network.model import SpikeDrivenTransformer
from ..result import Result
from ..weights.folding import Layer
from ..weights.names import counted_as
from ..weights.wiring import wiring
from .noticing import Reads, kernels_replaced, reading

SHAPE = 2, 1, 12, 3, 3  # T, B, C, H, W of the spikes that kernels read in Python
RATES = 0.5, 0.0
ADDING = {"add_rows": (8, 11, 9), "add_rows_checked": (9, 14, 10)}  # places of weights, outputs and biases
KEPT = (1.0, 0.75, 0.5, 0.25, 0.0)  # shares of the spikes; each subset lies within the one before


@dataclass(frozen=True)
class LayerEvidence:
    """Synaptic operations (additions) of one weight layer, over all time steps, as it reads fewer and fewer spikes.

    Attributes
    ----------
    events, ac : for each of KEPT: spikes read, and additions that the engine counted
    reached : spikes times the outputs that each reaches, counted apart on dense tensors
    in_network : additions that the whole network counted for this layer
    """

    layer: str
    events: tuple[int, ...]
    ac: tuple[int, ...]
    reached: tuple[int, ...]
    in_network: int

    @property
    def holds(self) -> bool:
        """Whether silence costs nothing, fewer spikes never more, and every count is right."""
        falling = all(fewer <= more for more, fewer in zip(self.ac, self.ac[1:], strict=False))
        return self.ac[-1] == 0 and falling and self.ac == self.reached and self.ac[0] == self.in_network


@dataclass(frozen=True)
class KernelReads:
    """What a kernel that adds read of its arrays, on random spikes.

    Attributes
    ----------
    spikes : of its input
    window : side of its kernel
    read, expected : numbers of the weights, of the outputs that they are added to, and of the biases
    """

    kernel: str
    spikes: int
    window: int
    read: tuple[int, int, int]
    expected: tuple[int, int, int]

    @property
    def holds(self) -> bool:
        """Whether it read no more than it must."""
        return self.read == self.expected


@dataclass(frozen=True)
class EventDriven:
    """Evidence that synaptic operations are caused by spikes alone.

    Attributes
    ----------
    reads : of the kernels that add
    silenced : additions in all layers that read spikes of neurons, when no neuron of the network spikes
    """

    layers: tuple[LayerEvidence, ...]
    silenced: int
    reads: tuple[KernelReads, ...]

    @property
    def holds(self) -> bool:
        """Whether the claim holds."""
        no_more = all(seen.holds for seen in self.reads)
        return self.silenced == 0 and no_more and all(layer.holds for layer in self.layers)


def event_driven(
    model: SpikeDrivenTransformer, x: np.ndarray, progress: Callable[[str], None] = lambda name: None, seed: int = 0
) -> EventDriven:
    """Run each weight layer alone, on the spikes that it reads of an input, on some of them, and on none.

    Parameters
    ----------
    x : as for the model
    progress : called with the name of each layer before it is run
    seed : of the order in which spikes are removed
    """
    result = model(x, record=True)
    layers = []
    for synapse, events in _inputs(model, x, result):
        progress(synapse.name)
        order = np.random.default_rng(seed).random(events.n_events)
        subsets = [subset(events, order < share) for share in KEPT]
        in_network = int(result.counts[synapse.name].ac.sum())
        ac = tuple(_additions(synapse, part, model.threads) for part in subsets)
        reached = tuple(_reached(synapse, part) for part in subsets)
        layers.append(LayerEvidence(synapse.name, tuple(part.n_events for part in subsets), ac, reached, in_network))
    of_input = counted_as("patch_embed.proj_conv")  # in fixed point it reads the bits of the picture
    silent = silenced(model)(x).counts
    additions = sum(int(count.ac.sum()) for name, count in silent.items() if name != of_input)
    return EventDriven(tuple(layers), additions, tuple(_kernel_reads(progress, seed)))


def _kernel_reads(progress: Callable[[str], None], seed: int) -> Iterator[KernelReads]:
    """Let the kernels that add run in Python, on many spikes and on none."""
    rng = np.random.default_rng(seed)
    T, B, C, H, W = SHAPE
    for name, places in ADDING.items():
        progress(name)
        for window, rate in itertools.product((1, 3), RATES):
            events = SpikeEvents.from_dense(rng.random(SHAPE) < rate)
            layer = _layer(name, rng.integers(-3, 4, (kernels.PANEL, C, window, window)))
            of = {place: Reads() for place in places}

            def reads_of(_: tuple[Any, ...], place: int, of: dict[int, Reads] = of) -> Reads:
                return of[place]

            with kernels_replaced({name: reading(name, places, reads_of)}):
                store(Synapse(name, layer)(events), Run(T, 1))
            reached = int(fan_out(events.to_dense(), layer).sum())
            weights, outputs, biases = (reads.count for reads in of.values())
            expected = reached, reached, T * B * H * W * kernels.PANEL
            yield KernelReads(name, events.n_events, window, (weights, outputs, biases), expected)


def _layer(kernel: str, weight: np.ndarray) -> Layer:
    """A layer that this kernel adds."""
    n_outputs = len(weight)
    if kernel == "add_rows":
        return Layer(weight.astype(np.float32), np.zeros(n_outputs, np.float32))
    none, narrow = np.zeros(n_outputs, np.int64), np.dtype(np.int32)
    return FixedLayer(weight, none, none, Format(24, 0), True, 1, None, narrow, narrow)


def subset(events: SpikeEvents, kept: np.ndarray) -> SpikeEvents:
    """Some of the events. kept : bool[n_events]."""
    offsets = np.concatenate([[0], np.cumsum(kept)])[events.offsets]
    return SpikeEvents(events.grid, events.n_channels, offsets, events.channels[kept])


def silenced(model: SpikeDrivenTransformer) -> SpikeDrivenTransformer:
    """The same network, whose neurons never spike, whatever they read."""
    quiet = copy.copy(model)
    quiet.patch_embed, quiet.head = _silent(model.patch_embed), _silent(model.head)
    quiet.blocks = [_silent(block) for block in model.blocks]
    for block in quiet.blocks:
        block.attn, block.mlp = _silent(block.attn), _silent(block.mlp)
    return quiet


class _NeverFires(Neuron):
    """A neuron layer without its spikes."""

    def __call__(self, current: Any, run: Run) -> SpikeEvents:
        events = super().__call__(current, run)
        return subset(events, np.zeros(events.n_events, bool))


def _silent(stage: Any) -> Any:
    """A copy of a stage, without the spikes of its neurons."""
    quiet = copy.copy(stage)
    vars(quiet).update(
        {
            name: _NeverFires(part.module, part.parameters, part.heads)
            for name, part in vars(stage).items()
            if isinstance(part, Neuron)
        }
    )
    return quiet


def _inputs(model: SpikeDrivenTransformer, x: np.ndarray, result: Result) -> Iterator[tuple[Synapse, SpikeEvents]]:
    """Each weight layer that reads events, with those that it read."""
    synapses = {module: layer for module, layer in model.weight_layers.items() if isinstance(layer, Synapse)}
    stages = wiring(model.architecture, model.config)
    for stage in stages.values():
        if stage.layer not in synapses:  # no weights, or the analog convolution
            continue
        synapse, source = synapses[stage.layer], stages[stage.reads[0]]
        if isinstance(synapse, BitPlaneEncoder):
            image, _ = as_frames(x, model.architecture, model.config, model.arithmetic.dtype)
            pixels = synapse.pixels
            yield synapse, bit_planes(pixels.fit(pixels.quantise(image)), pixels.bits)
        else:
            events = result.spikes[source.hook]
            assert isinstance(events, SpikeEvents)
            yield synapse, pool(events, 2, Run(events.grid[0], model.threads)) if stage.pooled else events


def _additions(synapse: Synapse, events: SpikeEvents, threads: int) -> int:
    run = Run(events.grid[0], threads)
    store(SynapticCurrent(synapse, events), run)
    return int(run.counter.counts()[synapse.name].ac.sum())


def _reached(synapse: Synapse, events: SpikeEvents) -> int:
    dense = events.to_dense()
    if dense.ndim == 3:  # [T, B, C]: no tokens
        dense = dense[..., None, None]
    shape = synapse.n_outputs, synapse.n_inputs, synapse.window, synapse.window
    return int(fan_out(dense, Layer(np.broadcast_to(np.float32(0), shape), np.zeros(0))).sum())
