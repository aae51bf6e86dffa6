"""Formats that fit a network and its data: fraction bits from sample inputs, widths as asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dense import steps
from ..errors import FormatError
from ..fixed import quantise as quantising
from ..fixed.formats import MAX_BITS, MAX_FRACTION, REGISTERS, Format, Formats, leak_terms, leak_text
from ..fixed.quantise import FixedNeuron
from ..network.model import SpikeDrivenTransformer
from ..weights.file import Weights
from ..weights.folding import NeuronParameters

LEAST_MEMBRANE = 3  # bits
SAMPLED = 1 << 12  # neurons of a layer, and numbers of a stream, that are kept of each input


@dataclass(frozen=True)
class Widths:
    """Bits of the registers that calibration does not choose."""

    weight: int = 8
    input: int = 10
    membrane: int = 16
    stream: int = 16


@dataclass
class _Samples:
    """What a network saw: inputs, and [T, n] currents and stream values by module."""

    pixels: list[np.ndarray] = field(default_factory=list)
    currents: dict[str, list[np.ndarray]] = field(default_factory=dict)
    streams: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, x: np.ndarray, currents: Mapping[str, np.ndarray], streams: Mapping[str, np.ndarray]) -> None:
        self.pixels.append(_some(x.reshape(1, -1)))
        for kept, values in ((self.currents, currents), (self.streams, streams)):
            for module, value in values.items():
                kept.setdefault(module, []).append(_some(value.reshape(len(value), -1)))


def calibrate(weights: Weights, inputs: Iterable[np.ndarray], widths: Widths, threads: int | None = None) -> Formats:
    """Choose the fraction bits of all registers.

    The float32 network runs on the inputs. A membrane gets the fraction bits with which, on the currents seen there,
    the fewest spikes differ from those of real numbers; the input and the streams get those with the least squared
    error; of equals the fewest, which leave the most room. The accumulators get the width that no sum can leave.

    Parameters
    ----------
    inputs : arrays as the network takes them, normalised

    Raises FormatError when there is no input, or no width holds the thresholds or the weights.
    """
    if widths.membrane < LEAST_MEMBRANE:
        raise FormatError(
            f"calibrate: a membrane needs {LEAST_MEMBRANE} bits to hold its thresholds 1 and 0.5, found "
            f"{widths.membrane}"
        )
    model, samples = SpikeDrivenTransformer(weights, "float32", threads), _Samples()
    for x in inputs:
        result = model(x, record="currents")
        samples.add(np.asarray(x, np.float64), result.currents, result.streams)
    if not samples.pixels:
        raise FormatError("calibrate: expected one input at least, found none")
    pixels = Format(widths.input, _with_least_error(samples.pixels, widths.input), "half even")
    neurons = model.neurons
    membranes = {
        module: _with_most_spikes_right(np.concatenate(values, axis=1), neurons[module], widths.membrane)
        for module, values in samples.currents.items()
    }
    streams = {module: _with_least_error(values, widths.stream) for module, values in samples.streams.items()}
    room = quantising.WIDE_BITS - max(widths.membrane, widths.stream)  # that 64-bit arithmetic leaves between them
    most = min(*membranes.values(), *streams.values()) + room
    membranes, streams = ({k: min(f, most) for k, f in fractions.items()} for fractions in (membranes, streams))
    default: dict[str, dict[str, Any]] = {
        "input": {"bits": widths.input, "fraction": pixels.fraction},
        "weight": {"bits": widths.weight},
        "bias": {"bits": REGISTERS["bias"]["bits"]},
        "accumulator": {"bits": MAX_BITS},
        "membrane": {"bits": widths.membrane, "fraction": _most_common(membranes)},
        "stream": {"bits": widths.stream, "fraction": _most_common(streams)},
    }
    stages: dict[str, dict[str, dict[str, Any]]] = {}
    for register, fractions in (("membrane", membranes), ("stream", streams)):
        for module, fraction in fractions.items():
            if fraction != default[register]["fraction"]:
                stages.setdefault(module, {})[register] = {"fraction": fraction}
    whole = quantising.quantise(weights, Formats(default, stages))
    ranges = [quantising.sum_range(layer.weight, layer.bias) for layer in whole.layers.values()]
    default["accumulator"]["bits"] = max(quantising.bits_for(*sums) for sums in ranges)
    return Formats(default, stages)


def _some(values: np.ndarray) -> np.ndarray:
    """SAMPLED columns, evenly spread: [T, n] -> [T, at most SAMPLED]."""
    return values[:, :: -(-values.shape[1] // SAMPLED)].copy()


def _most_common(fractions: Mapping[str, int]) -> int:
    return Counter(fractions.values()).most_common(1)[0][0]


def _with_least_error(values: list[np.ndarray], bits: int) -> int:
    """The fraction bits at which registers come closest to these real numbers."""
    numbers = np.concatenate(values, axis=1)

    def error(fraction: int) -> float:
        register = Format(bits, fraction, "half even")
        return float(np.square(np.ldexp(register.fit(register.quantise(numbers)), -fraction) - numbers).sum())

    return min(range(min(bits, MAX_FRACTION) + 1), key=error)


def _with_most_spikes_right(currents: np.ndarray, neuron: NeuronParameters, bits: int) -> int:
    """The fraction bits at which the fewest spikes differ from those of a membrane in real numbers; currents [T, n]."""
    exact = currents.astype(np.float64)
    threshold, terms = float(neuron.threshold), leak_terms(leak_text(float(neuron.leak)))
    _, spikes, _ = steps(NeuronParameters(np.float64(neuron.leak), np.float64(threshold)), exact)

    def wrong(fraction: int) -> int:
        register = Format(bits, fraction, "half up")
        whole = np.float64(int(threshold * 2**fraction))
        fixed = FixedNeuron(np.float64(neuron.leak), whole, register, terms, "half up", np.dtype(np.int64))
        _, fired, _ = steps(fixed, register.fit(register.quantise(exact)))
        return int(np.count_nonzero(fired != spikes))

    # 1 bit holds the attention's threshold, bits - 2 still hold the other
    return min(range(1, min(bits - 2, MAX_FRACTION) + 1), key=wrong)
