"""One recorded run of the engine on one input, with everything in the same axes: [T, tokens, channels]."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..engine.events import SpikeEvents
from ..engine.run import Run
from ..engine.set_operations import pool, pool_tokens
from ..errors import LONGEST_VALUE, ConfigError, InputError, shown
from ..inputs.arrays import as_frames
from ..network.encoder import BitPlaneEncoder, bit_planes
from ..network.model import SpikeDrivenTransformer
from ..result import OperationCount, Result
from ..weights.folding import Parameters
from ..weights.names import counted_as
from ..weights.wiring import HEAD, INPUT, NEURON, SPIKES, Stage, wiring


@dataclass(frozen=True, eq=False)
class Observation:
    """What the engine did with one input.

    Attributes
    ----------
    model : the network, in any arithmetic
    image : [1 or T, C, H, W], what it read; once where it is the same at every time step
    result : recorded with its currents
    stages : of the network, in the order of the data flow, see `wiring`
    """

    model: SpikeDrivenTransformer
    image: np.ndarray
    result: Result
    stages: Mapping[str, Stage]

    @property
    def time_steps(self) -> int:
        """T."""
        return len(self.result.logits_per_step)

    @cached_property
    def parameters(self) -> Parameters:
        """The folded parameters, read back once; neurons alone are in `model.neurons`."""
        return self.model.read_back()

    def stage(self, name: str) -> Stage:
        """A stage by its name, by its layer's or by its official hook's; raises ConfigError that suggests another."""
        if not isinstance(name, str):
            raise ConfigError(f"stage: expected the name of one, found {shown(name)}")
        if name in self.stages:
            return self.stages[name]
        for stage in self.stages.values():
            if name and name in (stage.layer, stage.hook):
                return stage
        stages = self.stages.values()
        others = [one for stage in stages for one in (stage.layer, stage.hook) if one]
        guess = f"did you mean '{_nearest(name, [*self.stages, *others])}'? " if name else ""
        listed = [one for one in self.stages if not one.startswith("block.") or one.startswith("block.0.")]
        names = ", ".join(listed).replace("block.0.", "block.J.")
        last = self.model.architecture.depth - 1
        raise ConfigError(f"unknown stage {shown(name)}; {guess}known, with J from 0 to {last}: {names}")

    def size(self, stage: Stage) -> tuple[int, int, int]:
        """Height and width in tokens, and channels, of what leaves a stage; height and width are 1 without tokens."""
        if stage.kind == INPUT:
            _, channels, height, width = self.image.shape
            return height, width, channels
        if stage.kind == HEAD:
            return 1, 1, self.result.logits.shape[1]
        if stage.hook:
            events = self.spikes(stage)
            height, width = events.grid[2:] if len(events.grid) == 4 else (1, 1)
            return height, width, events.n_channels
        _, _, channels, height, width = self.result.streams[stage.name].shape
        return height, width, channels

    def spikes(self, stage: Stage) -> SpikeEvents:
        """The spikes of a stage, under its official hook; of K and V in dvs mode those behind their pool."""
        events = self.result.spikes[stage.hook]
        assert isinstance(events, SpikeEvents)
        return events

    def spike_rows(self, stage: Stage) -> np.ndarray:
        """The same as 0 and 1, uint8[T, tokens, C]."""
        return rows_of(self.spikes(stage))

    def currents(self, stage: Stage) -> np.ndarray:
        """What enters the neurons of a stage, as recorded, [T, tokens, C]; in fixed point in units of the membrane."""
        return by_tokens(self.result.currents[stage.name], stage.over_tokens)

    def stream(self, name: str) -> np.ndarray:
        """The residual stream behind a layer, as recorded, [T, tokens, C]; in fixed point in units of its register."""
        return by_tokens(self.result.streams[name])

    def sums(self, name: str) -> np.ndarray:
        """In fixed point, what entered the register of a neuron layer or stream, as recorded, [T, tokens, C]."""
        return by_tokens(self.result.sums[name], name in self.stages and self.stages[name].over_tokens)

    def read_by(self, stage: Stage) -> SpikeEvents:
        """The events that the layer of a stage, or its sum over tokens, reads: pooled if the network pools them.

        Of a picture in fixed point they are its bit planes: channel p * C + c is bit p of colour c.
        """
        if stage.kind == NEURON and stage.reads[0] == INPUT:
            encoder = self.model.patch_embed.proj_conv
            assert isinstance(encoder, BitPlaneEncoder)
            return bit_planes(encoder.pixels.fit(encoder.pixels.quantise(self.image[:, None])), encoder.pixels.bits)
        events = self.spikes(self.stages[stage.reads[0]])
        run = Run(events.grid[0], self.model.threads)
        if stage.over_tokens and stage.pooled:
            return pool_tokens(events, self.model.config.num_heads, run)
        return pool(events, 2, run) if stage.pooled else events

    def layer_count(self, stage: Stage) -> OperationCount | None:
        """The operations of the weight layer of a stage; None where it has none."""
        return None if stage.layer is None else self.result.counts[counted_as(stage.layer)]

    def other_count(self, kind: str, name: str) -> OperationCount:
        """Operations besides the weight layers, zeros where there are none; kinds and names as in Result."""
        return self.result.stage_counts.get(kind, {}).get(name) or OperationCount.none(self.time_steps)

    def fired(self, stage: Stage) -> np.ndarray | None:
        """Share of the neurons of a stage that spike at each step, before any pool; None where nothing spikes.

        float64[T]; of an AND, the share of the places that remain.
        """
        if stage.kind == NEURON:
            count = self.other_count("threshold", stage.name)
            return count.events / count.neurons
        if stage.kind == SPIKES:
            events = self.spikes(stage)
            return events.events_per_step() * events.grid[0] / (events.n_rows * events.n_channels)
        return None


def observe(model: SpikeDrivenTransformer, x: Any) -> Observation:
    """Run a network on one input, and keep everything that it did.

    Parameters
    ----------
    x : (1, C, H, W), repeated over T, or (1, T, C, H, W) frames; as the model takes it

    Raises
    ------
    InputError
        more than one sample, or what the model does not take
    """
    image, _ = as_frames(x, model.architecture, model.config, model.arithmetic.dtype)
    if image.shape[1] != 1:
        raise InputError(f"input: expected one sample to explain, found {image.shape[1]}; take x[n:n + 1]")
    result = model(x, record="currents")
    return Observation(model, image[:, 0], result, wiring(model.architecture, model.config))


def _nearest(name: str, known: Iterable[str]) -> str:
    """The name most like another, in whole or in its last part: one that begins so, else one of similar letters."""
    wanted = name[:LONGEST_VALUE].casefold()

    def likeness(one: str) -> tuple[bool, float]:
        parts = [part.casefold() for part in (one, one.rpartition(".")[2])]
        return (
            any(part.startswith(wanted) for part in parts),
            max(difflib.SequenceMatcher(None, wanted, part).ratio() for part in parts),
        )

    return max(known, key=likeness)


def by_tokens(official: np.ndarray, over_tokens: bool = False) -> np.ndarray:
    """[T, 1, C, H, W] of one sample, or over tokens [T, 1, C] or [T, 1, h, 1, d] -> [T, tokens, C]."""
    T = len(official)
    if over_tokens:
        return official.reshape(T, 1, -1)
    return np.moveaxis(official[:, 0], 1, -1).reshape(T, -1, official.shape[2])


def rows_of(events: SpikeEvents) -> np.ndarray:
    """Events of one sample as 0 and 1, uint8[T, tokens, C]."""
    rows = np.zeros((events.n_rows, events.n_channels), np.uint8)
    rows[np.repeat(np.arange(events.n_rows), np.diff(events.offsets)), events.channels] = 1
    return rows.reshape(events.grid[0], -1, events.n_channels)
