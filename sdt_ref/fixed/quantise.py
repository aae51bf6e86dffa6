"""Folded parameters as whole numbers, in the registers that a formats file declares.

Engine and oracle take the same whole numbers. docs/fixed-point.md, section 3, specifies what this module computes.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FormatError
from ..weights.architecture import Architecture
from ..weights.arithmetic import FLOAT64
from ..weights.file import Weights
from ..weights.folding import Layer, NeuronParameters, Parameters, fold
from ..weights.wiring import NEURON, STREAM, of_kind, wiring
from .formats import ERROR, LEAK_BITS, Format, Formats, leak_terms, leak_text, rounded, shifted_right

INPUT_LAYER = "patch_embed.proj_conv"
NARROW_BITS, WIDE_BITS = 30, 61  # of whole numbers that can be shifted and rounded in 32 and in 64 bits
LEAST_FRACTION, MOST_FRACTION = -16, 20  # of weights whose fraction bits are not declared


@dataclass(frozen=True)
class FixedLayer(Layer):
    """A weight layer in whole numbers.

    Attributes
    ----------
    weight : int64[C_out, C_in, k, k]
    bias : int64[C_out], in units of the accumulator
    fraction : int64[C_out], fraction bits of each output's accumulator
    accumulator : its width and overflow; `fraction` above says what its units are
    checked : whether a sum may leave the accumulator, so that every addition must be checked
    planes : bit planes of the input; 1 for spikes. Input channel p * C + c is bit p of channel c
    stream : register of the residual stream that the sums enter; None where neurons or logits read them
    dtype : of the sums in memory: int32 where they, and all shifts and roundings to any register, fit; or int64
    stream_dtype : of the stream in memory
    """

    fraction: np.ndarray
    accumulator: Format
    checked: bool
    planes: int
    stream: Format | None
    dtype: np.dtype
    stream_dtype: np.dtype

    @property
    def weight_dtype(self) -> np.dtype:
        """The narrowest type that holds the weights."""
        return np.result_type(
            np.min_scalar_type(self.weight.min()), np.min_scalar_type(-self.weight.max() - 1), np.int8
        )


@dataclass(frozen=True)
class FixedNeuron(NeuronParameters):
    """A neuron layer in whole numbers: h = v + round((x - v) * leak); a spike when h >= threshold, in membrane units.

    Attributes
    ----------
    leak : as a number, the sum of its terms
    threshold : in units of the membrane, a whole number
    membrane : register of the input x, of h and of v
    leak_terms : sign and shift of each term: (1, 1) is + 2**-1
    leak_rounding : of the sum of all terms
    dtype : of the membrane in memory
    """

    membrane: Format
    leak_terms: tuple[tuple[int, int], ...]
    leak_rounding: str
    dtype: np.dtype


@dataclass(frozen=True)
class FixedParameters(Parameters):
    """All layers and neurons in whole numbers, and the register of the input's pixels."""

    input: Format


def quantise(weights: Weights, formats: Formats) -> FixedParameters:
    """Fold in float64, then round every parameter once to its register.

    Raises
    ------
    FormatError
        a register does not hold its parameters, or may overflow although nothing is declared about that
    """
    formats.check_stages(registers(weights.architecture))
    streams = of_kind(weights.architecture, STREAM)
    folded = fold(weights, FLOAT64)
    readers = [formats.format(module, "membrane") for module in folded.neurons]
    readers += [formats.format(module, "stream") for module in streams]
    bits = max(register.bits for register in readers)
    fractions = [register.fraction for register in readers]
    wide = bits + 1 + LEAK_BITS > NARROW_BITS or bits + max(fractions) - min(fractions) > NARROW_BITS
    if bits + max(fractions) - min(fractions) > WIDE_BITS:
        raise FormatError("formats: the fraction bits of membranes and streams are too far apart for 64-bit arithmetic")
    dtype = np.dtype(np.int64 if wide else np.int32)
    neurons = {name: _neuron(name, parameters, formats, dtype) for name, parameters in folded.neurons.items()}
    layers = _FixedLayers(folded.layers, formats, streams, fractions, dtype)
    return FixedParameters(layers, neurons, formats.format("", "input"))


def digest(parameters: FixedParameters) -> str:
    """The sha256 of all whole-number parameters: what two machines must share to be compared."""
    whole = hashlib.sha256(repr(parameters.input).encode())
    for name, layer in parameters.layers.items():
        assert isinstance(layer, FixedLayer)
        whole.update(repr((name, layer.accumulator, layer.stream, layer.planes)).encode())
        for array in (layer.weight, layer.bias, layer.fraction):
            whole.update(repr(array.shape).encode() + np.ascontiguousarray(array, "<i8").tobytes())
    for name, neuron in parameters.neurons.items():
        assert isinstance(neuron, FixedNeuron)
        registers = neuron.membrane, neuron.leak_terms, neuron.leak_rounding, int(neuron.threshold)
        whole.update(repr((name, *registers)).encode())
    return whole.hexdigest()


def registers(architecture: Architecture) -> dict[str, tuple[str, ...]]:
    """The registers that can be declared for each stage, a module of the official code."""
    table: dict[str, tuple[str, ...]] = {}
    for stage in wiring(architecture).values():
        if stage.layer is not None:
            table[stage.layer] = ("weight", "bias", "accumulator", *(("stream",) if stage.kind == STREAM else ()))
        if stage.kind == NEURON:
            table[stage.name] = ("membrane",)
    return table


class _FixedLayers(Mapping[str, Layer]):
    def __init__(
        self,
        folded: Mapping[str, Layer],
        formats: Formats,
        streams: Sequence[str],
        fractions: Sequence[int],
        stream_dtype: np.dtype,
    ) -> None:
        self._folded = folded
        self._formats = formats
        self._fractions = fractions
        self._stream_dtype = stream_dtype
        self._streams = streams

    def __len__(self) -> int:
        return len(self._folded)

    def __iter__(self) -> Iterator[str]:
        return iter(self._folded)

    def __getitem__(self, module: str) -> Layer:
        stream = self._formats.format(module, "stream") if module in self._streams else None
        return _layer(module, self._folded[module], self._formats, stream, self._fractions, self._stream_dtype)


def _layer(
    module: str,
    layer: Layer,
    formats: Formats,
    stream: Format | None,
    read_at: Sequence[int],
    stream_dtype: np.dtype,
) -> FixedLayer:
    weight, bias, accumulator = (formats.register(module, name) for name in ("weight", "bias", "accumulator"))
    weights, biases = (Format(keys["bits"], 0, keys["rounding"]) for keys in (weight, bias))
    pixels = formats.format("", "input") if module == INPUT_LAYER else None
    finer = 0 if pixels is None else pixels.fraction  # a weight times a pixel has the fraction bits of both
    if weight["fraction"] is None:
        fraction = _finest(module, layer, weights, biases if bias["fraction"] is None else None, finer)
        if module == "head" and formats.stages.get("head", {}).get("weight", {}).get("scale") == "channel":
            raise FormatError("formats: stage 'head': 'weight.scale': expected layer, as its logits are compared")
        if weight["scale"] == "layer" or module == "head":
            fraction[:] = fraction.min()
    else:
        fraction = np.full(len(layer.weight), weight["fraction"])
    whole = _rounded(module, "weights", layer.weight, weights, fraction[:, None, None, None])
    units = fraction + finer  # fraction bits of the accumulators
    if bias["fraction"] is None:
        whole_bias = _rounded(module, "biases", layer.bias, biases, units)
    else:
        declared = _rounded(module, "biases", layer.bias, biases, np.array(bias["fraction"]))
        whole_bias = shifted_right(
            declared << np.maximum(units - bias["fraction"], 0),
            np.maximum(bias["fraction"] - units, 0),
            bias["rounding"],
        )
    if pixels is not None:
        ordinary = [whole << plane for plane in range(pixels.bits - 1)]
        whole = np.concatenate([*ordinary, -(whole << (pixels.bits - 1))], axis=1)  # the sign plane subtracts
    register = Format(accumulator["bits"], 0, overflow=accumulator["overflow"] or ERROR)
    if not register.holds(whole_bias).all():
        raise FormatError(
            f"layer '{module}': an accumulator of {register.bits} bits does not hold its biases; widen it"
        )
    lowest, highest = sum_range(whole, whole_bias)
    checked = lowest < register.low or highest > register.high
    if checked and accumulator["overflow"] is None:
        raise FormatError(
            f"layer '{module}': an accumulator of {register.bits} bits may overflow: its sums reach from {lowest:,} "
            f"to {highest:,}; give it {bits_for(lowest, highest)} bits, or declare overflow: saturate, wrap or error"
        )
    bits = register.bits if checked else min(register.bits, bits_for(lowest, highest))
    most = max(bits + max(0, max(read_at) - int(units.min())), int(units.max()) - min(read_at))
    if most > WIDE_BITS:
        raise FormatError(
            f"layer '{module}': sums of {bits} bits with {units.min()} to {units.max()} fraction bits are too far from "
            f"the {min(read_at)} to {max(read_at)} of membranes and streams for 64-bit arithmetic"
        )
    dtype = np.dtype(np.int64) if most > NARROW_BITS else stream_dtype  # limits of registers have this type too
    planes = 1 if pixels is None else pixels.bits
    return FixedLayer(whole, whole_bias, units, register, checked, planes, stream, dtype, stream_dtype)


def sum_range(weight: np.ndarray, bias: np.ndarray) -> tuple[int, int]:
    """The least and the greatest partial sum that any events can cause."""
    rows = weight.reshape(len(weight), -1)
    return int((bias + np.minimum(rows, 0).sum(axis=1)).min()), int((bias + np.maximum(rows, 0).sum(axis=1)).max())


def bits_for(lowest: int, highest: int) -> int:
    """Width of the narrowest register that holds two whole numbers."""
    return max(highest.bit_length(), (-lowest - 1).bit_length() if lowest < 0 else 0) + 1


def _finest(module: str, layer: Layer, weights: Format, biases: Format | None, finer: int) -> np.ndarray:
    """For each output the most fraction bits at which its weights, and its bias, fit; int64[C_out]."""
    rows = layer.weight.reshape(len(layer.weight), -1)
    extremes = np.stack([rows.min(axis=1), rows.max(axis=1)])  # rounding keeps the order, so the others fit too
    finest = np.full(len(rows), LEAST_FRACTION - 1)
    for fraction in range(LEAST_FRACTION, MOST_FRACTION + 1):
        fits = weights.holds(rounded(np.ldexp(extremes, fraction), weights.rounding)).all(axis=0)
        if biases is not None:
            fits &= biases.holds(rounded(np.ldexp(layer.bias, fraction + finer), biases.rounding))
        finest[fits] = fraction
    if finest.min() < LEAST_FRACTION:
        raise FormatError(
            f"layer '{module}': weights of {weights.bits} bits and biases of {biases.bits if biases else 0} bits "
            f"do not hold its parameters at any scale down to 2**{-LEAST_FRACTION}"
        )
    return finest


def _rounded(module: str, what: str, values: np.ndarray, register: Format, fraction: np.ndarray) -> np.ndarray:
    whole = rounded(np.ldexp(values, fraction), register.rounding)
    if not register.holds(whole).all():
        worst = int(np.abs(values).argmax())
        raise FormatError(
            f"layer '{module}': {register.bits} bits with {int(np.max(fraction))} fraction bits do not hold its "
            f"{what}: found {float(values.ravel()[worst]):g}; declare fewer fraction bits or more bits"
        )
    return whole


def _neuron(module: str, parameters: NeuronParameters, formats: Formats, dtype: np.dtype) -> FixedNeuron:
    keys, membrane = formats.register(module, "membrane"), formats.format(module, "membrane")
    threshold = membrane.quantise(np.array(float(parameters.threshold)))
    if not membrane.holds(threshold) or np.ldexp(float(threshold), -membrane.fraction) != parameters.threshold:
        raise FormatError(
            f"stage '{module}': a membrane of {membrane.bits} bits with {membrane.fraction} fraction bits does not "
            f"hold its threshold {float(parameters.threshold)}; declare other bits or fraction bits"
        )
    terms = leak_terms(leak_text(float(parameters.leak)) if keys["leak"] is None else keys["leak"])
    leak = np.float64(sum(sign * 2.0**-shift for sign, shift in terms))
    return FixedNeuron(leak, np.float64(threshold), membrane, terms, keys["leak_rounding"], dtype)
