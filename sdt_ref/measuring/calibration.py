"""Formats that fit a network and its data: fraction bits from sample inputs, widths as asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..dense import steps
from ..errors import FormatError
from ..fixed import quantise as quantising
from ..fixed.formats import MAX_BITS, MAX_FRACTION, REGISTERS, Format, Formats, leak_terms, leak_text
from ..fixed.quantise import FixedNeuron
from ..inputs.reading import read, require_alike
from ..inputs.selection import Item
from ..jobs.job import Compute, Part
from ..network.model import SpikeDrivenTransformer
from ..weights.arithmetic import arithmetic
from ..weights.file import Weights
from ..weights.folding import NeuronParameters, fold

LEAST_MEMBRANE = 3  # bits
SAMPLED = 1 << 12  # neurons of a layer, and numbers of a stream, that are kept of each input


@dataclass(frozen=True)
class Widths:
    """Bits of the registers that calibration does not choose.

    Raises FormatError for a membrane that cannot hold its thresholds.
    """

    weight: int = 8
    input: int = 10
    membrane: int = 16
    stream: int = 16

    def __post_init__(self) -> None:
        if self.membrane < LEAST_MEMBRANE:
            raise FormatError(
                f"calibrate: a membrane needs {LEAST_MEMBRANE} bits to hold its thresholds 1 and 0.5, found "
                f"{self.membrane}"
            )


@dataclass
class Seen:
    """What a network saw: inputs [1, n], and [T, n] currents and stream values by module, some of each input.

    All of it is in memory, and is concatenated in the order in which it came.
    """

    pixels: list[np.ndarray] = field(default_factory=list)
    currents: dict[str, list[np.ndarray]] = field(default_factory=dict)
    streams: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def run(self, model: SpikeDrivenTransformer, x: np.ndarray) -> None:
        """Run the network on an input, and keep some of what it saw."""
        result = model(x, record="currents")
        self.pixels.append(_some(np.asarray(x, np.float64).reshape(1, -1)))
        for kept, values in ((self.currents, result.currents), (self.streams, result.streams)):
            for module, value in values.items():
                kept.setdefault(module, []).append(_some(value.reshape(len(value), -1)))

    def add(self, part: Part) -> None:
        """Take what `See` made of a chunk."""
        for name, values in part.arrays.items():
            what, _, module = name.partition("/")
            kept = self.pixels if what == "pixels" else getattr(self, what).setdefault(module, [])
            kept.append(values)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, as the arrays of a part: pixels, currents/MODULE and streams/MODULE."""
        kept = {"pixels": self.pixels}
        kept |= {
            f"{what}/{module}": values
            for what in ("currents", "streams")
            for module, values in getattr(self, what).items()
        }
        return {name: np.concatenate(values, axis=1) for name, values in kept.items()}


@dataclass(frozen=True)
class See:
    """The task of seeing what calibration needs of samples: what their float32 network saw. All must be readable.

    Attributes
    ----------
    size : as in Preprocessing.at
    strict_steps : see `inputs.reading.read`
    steps : see `inputs.reading.require_alike`
    """

    size: int | None = None
    strict_steps: bool = False
    steps: int | None = None

    def settings(self) -> Mapping[str, Any]:
        """All that changes numbers; not the widths, which are asked for later."""
        return {"task": "calibrate", **asdict(self)}

    def prepare(self, weights: Weights, threads: int | None) -> Compute:
        """Build the network.

        A part has the arrays of `Seen.arrays`, and repairs in its notes; one with a sample that cannot be read raises
        ImageError or RecordingError.
        """
        return partial(self._part, SpikeDrivenTransformer(weights, "float32", threads))

    def _part(self, model: SpikeDrivenTransformer, items: Iterable[Item]) -> Part:
        preprocessing, time_steps = model.preprocessing.at(self.size), model.config.time_steps
        seen, repairs = Seen(), Counter[str]()
        for name, source, _ in items:
            x = read(
                source, preprocessing, time_steps, strict_steps=self.strict_steps, as_official=True, repairs=repairs
            )
            require_alike(name, x, self.steps)
            seen.run(model, x[None])
        return Part(seen.arrays(), {"repairs": repairs})


def calibrate(weights: Weights, inputs: Iterable[np.ndarray], widths: Widths, threads: int | None = None) -> Formats:
    """Choose the fraction bits of all registers.

    The float32 network runs on the inputs, arrays as it takes them, normalised; then as `choose`.

    Raises FormatError when there is no input, or no width holds the thresholds or the weights.
    """
    model, seen = SpikeDrivenTransformer(weights, "float32", threads), Seen()
    for x in inputs:
        seen.run(model, x)
    return choose(weights, seen, widths)


def choose(weights: Weights, seen: Seen, widths: Widths) -> Formats:
    """Choose the fraction bits of all registers by what the float32 network saw.

    A membrane gets the fraction bits with which, on the currents seen there, the fewest spikes differ from those of
    real numbers; the input and the streams get those with the least squared error; of equals the fewest, which leave
    the most room. The accumulators get the width that no sum can leave.

    Raises FormatError when nothing was seen, or no width holds the thresholds or the weights.
    """
    if not seen.pixels:
        raise FormatError("calibrate: expected one input at least, found none")
    pixels = Format(widths.input, _with_least_error(seen.pixels, widths.input), "half even")
    neurons = fold(weights, arithmetic("float32")).neurons
    membranes = {
        module: _with_most_spikes_right(np.concatenate(values, axis=1), neurons[module], widths.membrane)
        for module, values in seen.currents.items()
    }
    streams = {module: _with_least_error(values, widths.stream) for module, values in seen.streams.items()}
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
