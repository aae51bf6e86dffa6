"""Directed corner cases of one layer and its neurons: what a photo seldom shows, by name.

Sums and spikes come from the oracle, `sdt_ref.dense`.
"""

import bisect
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..dense import step, steps
from ..dense.fixed import FixedOracle, Numbers
from ..fixed.formats import SATURATE, Format
from ..fixed.quantise import FixedLayer, FixedNeuron, FixedParameters, bits_for
from ..weights.config import ModelConfig
from .records import Record
from .trace_file import Trace

NAMES = (
    "silent", "all_spikes", "longest", "accumulator_high", "accumulator_low", "at_threshold", "membrane_high",
    "membrane_low",
)  # fmt: skip
LAYER, STAGE, SOURCE = "block.0.attn.q_conv", "block.0.attn.q_lif", "block.0.attn.shortcut_lif"


@dataclass(frozen=True)
class Corner:
    """One directed case: what is driven, and what every register must then hold.

    Attributes
    ----------
    name : such as 'at_threshold'
    text : what happens, in words
    reads : what is driven: 'spikes' of the layer, or the 'sum' that enters the neurons
    accumulator : register of the sums, which some cases narrow
    records : 'input' (spikes that the layer reads), 'sum', 'x', 'h', 'spikes', 'v', with values int64[T, tokens, C]
    """

    name: str
    text: str
    reads: str
    accumulator: Format
    records: dict[str, tuple[Record, np.ndarray]]


class Unit:
    """The layer and the neurons that all cases are about."""

    def __init__(self, parameters: FixedParameters, config: ModelConfig, time_steps: int) -> None:
        layer, neuron = parameters.layers[LAYER], parameters.neurons[STAGE]
        assert isinstance(layer, FixedLayer)
        assert isinstance(neuron, FixedNeuron)
        self.layer, self.neuron = layer, neuron
        self.time_steps = time_steps
        self._parameters, self._config = parameters, config

    def driven_by_spikes(self, name: str, text: str, spikes: np.ndarray, bits: int | None = None) -> Corner:
        """A case of spikes [T, tokens, C_in]; `bits` narrows the accumulator, which then saturates."""
        layer = self.layer
        if bits is not None:
            narrow = dataclasses.replace(layer.accumulator, bits=bits, overflow=SATURATE)
            layer = dataclasses.replace(layer, accumulator=narrow, checked=True)
        oracle = self._oracle(layer)
        sums = oracle.conv(LAYER, np.moveaxis(spikes, 1, 2)[:, None, :, :, None])  # [T, 1, C_in, tokens, 1]
        record = Record(STAGE, "input", 1, np.zeros(1, np.int64), spikes.shape[1], 1, spikes.shape[2])
        records = {"input": (record, spikes), **self._fired(oracle, sums, layer.accumulator.bits)}
        return Corner(name, text, "spikes", layer.accumulator, records)

    def driven_by_sums(self, name: str, text: str, sums: np.ndarray) -> Corner:
        """A case of sums [T, tokens], the same in all channels, in units of the membrane."""
        membrane, outputs = self.neuron.membrane, len(self.layer.weight)
        bits = max(membrane.bits, bits_for(int(sums.min()), int(sums.max())))
        register = Format(bits, membrane.fraction)
        everywhere = np.repeat(sums[:, None, None, :, None], outputs, axis=2)  # [T, 1, C, tokens, 1]
        oracle = self._oracle(self.layer)
        return Corner(name, text, "sum", register, self._fired(oracle, Numbers(everywhere, register.fraction), bits))

    def h(self, x: int, v: int) -> int:
        """Membrane before the reset, from input x and membrane v."""
        return int(step(self.neuron, np.array([x]), np.array([v]))[0][0])

    def _oracle(self, layer: FixedLayer) -> FixedOracle:
        parameters = dataclasses.replace(self._parameters, layers={LAYER: layer})
        return FixedOracle(parameters, self._config, self.time_steps)

    def _fired(self, oracle: FixedOracle, sums: Numbers, bits: int) -> dict[str, tuple[Record, np.ndarray]]:
        spikes = oracle.fire(STAGE, sums)
        x = oracle.currents[STAGE]
        h, _, v = steps(self.neuron, x)
        membrane, silent = self.neuron.membrane, np.zeros(1, np.int64)
        found = {
            "sum": (bits, np.atleast_1d(sums.fraction), sums.values),
            "x": (membrane.bits, np.atleast_1d(membrane.fraction), x),
            "h": (membrane.bits, np.atleast_1d(membrane.fraction), h),
            "spikes": (1, silent, spikes),
            "v": (membrane.bits, np.atleast_1d(membrane.fraction), v),
        }
        n_tokens, outputs = x.shape[3], x.shape[2]
        return {
            quantity: (
                Record(STAGE, quantity, width, fraction, n_tokens, 1, outputs),
                np.moveaxis(values[:, 0, :, :, 0], 1, 2).astype(np.int64),
            )
            for quantity, (width, fraction, values) in found.items()
        }


def corners(trace: Trace, parameters: FixedParameters) -> Iterator[Corner]:
    """Those of NAMES that this run, this layer and these neurons can reach."""
    T = trace.header.time_steps
    unit = Unit(parameters, trace.config, T)
    weight, bias = unit.layer.weight[:, :, 0, 0], unit.layer.bias
    inputs = weight.shape[1]
    silent, everything = np.zeros((T, 1, inputs), np.int64), np.ones((T, 1, inputs), np.int64)
    yield unit.driven_by_spikes("silent", "no input spikes: the sums are the biases", silent)
    yield unit.driven_by_spikes("all_spikes", "every input spikes: the longest list that can be", everything)
    if f"{SOURCE}/spikes" in trace.records:
        spikes = trace.values(f"{SOURCE}/spikes")
        step, token = np.unravel_index(spikes.sum(axis=2).argmax(), spikes.shape[:2])
        row = np.repeat(spikes[step, token][None, None], T, axis=0)
        text = f"the longest list of the run, {row[0].sum()} events of token {token} in time step "
        yield unit.driven_by_spikes("longest", f"{text}{trace.header.steps[step]}, in every step", row)
    for name, sign, word in (("accumulator_high", 1, "above"), ("accumulator_low", -1, "below")):
        favourable = weight * sign > 0
        totals = sign * (bias + (weight * favourable).sum(axis=1))
        output, most = int(totals.argmax()), int(totals.max())
        bits = max(bits_for(-most, most) - 1, bits_for(int(bias.min()), int(bias.max())))
        bits = min(bits, unit.layer.accumulator.bits)
        if most > 1 << (bits - 1):
            steps = np.repeat(favourable[output][None, None].astype(np.int64), T, axis=0)
            steps[1::2] = 1  # what follows the limit is added to the limit
            text = f"an accumulator of {bits} bits: the sum of output {output} goes {word} its limit and stays there"
            yield unit.driven_by_spikes(name, f"{text}; in odd steps every input spikes", steps, bits)
    membrane, threshold = unit.neuron.membrane, int(unit.neuron.threshold)
    if (meeting := _at_threshold(unit, membrane, threshold, T)) is not None:
        yield meeting
    beyond = np.array([[membrane.high + 1, 2 * membrane.high]])
    yield unit.driven_by_sums(
        "membrane_high", "sums above the membrane's limit, by 1 and by as much again", np.repeat(beyond, T, axis=0)
    )
    yield unit.driven_by_sums(
        "membrane_low", "sums below the membrane's limit, by 1 and by as much again", np.repeat(-beyond - 1, T, axis=0)
    )


def _at_threshold(unit: Unit, membrane: Format, threshold: int, time_steps: int) -> Corner | None:
    """Token 0 meets the threshold in every step, token 1 stays one below it; None where the leak is too weak."""
    sums, v = np.zeros((time_steps, 2), np.int64), [0, 0]
    for t in range(time_steps):
        for token, target in enumerate((threshold, threshold - 1)):
            before = v[token]
            x = bisect.bisect_left(range(membrane.low, membrane.high), target, key=lambda x: unit.h(x, before))
            sums[t, token] = x + membrane.low
            if unit.h(int(sums[t, token]), before) != target:  # not even the greatest input brings it there
                return None
        v = [0, unit.h(int(sums[t, 1]), v[1])]
    text = "token 0: h is exactly the threshold in every step, and spikes; token 1: h is one below it, and does not"
    return unit.driven_by_sums("at_threshold", text, sums)
