"""What one number is the sum of: the additions behind a current, a stream or a logit, in the order of the engine.

Added up from the first to the last in the arithmetic of the network, they give what the engine recorded, bit for bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.events import SpikeEvents
from ..fixed.formats import Format
from ..fixed.quantise import FixedLayer, FixedNeuron
from ..fixed.registers import wider_by
from ..network.encoder import BitPlaneEncoder
from ..weights.folding import Layer
from ..weights.wiring import HEAD, INPUT, NEURON, STREAM, Stage
from .observation import Observation

BIAS, EVENT, PIXEL, BIT, RESIDUAL, TOKEN = "bias", "event", "pixel", "bit", "residual", "token"


@dataclass(frozen=True)
class Addition:
    """One addition.

    Attributes
    ----------
    kind : 'bias'; 'event', a spike whose weight is added; 'pixel', a real number times a weight; 'bit', a set bit of a
        pixel, in fixed point; 'residual'; 'token', of a sum over tokens
    value : what is added
    total : the sum behind it
    token, channel : of the input that caused it; behind a pool, tokens are those of the pooled picture; None of a bias
    pixel, weight : of a 'pixel', its two factors
    """

    kind: str
    value: Any
    total: Any
    token: int | None = None
    channel: int | None = None
    pixel: Any = None
    weight: Any = None


@dataclass(frozen=True)
class PostProcessing:
    """What is done to a sum besides additions.

    Attributes
    ----------
    words : what was done
    value : what it gave
    """

    words: str
    value: Any


@dataclass(frozen=True)
class Sum:
    """How one number came about.

    Attributes
    ----------
    additions : in the engine's order; none for a picture's pixel
    conversions : what followed, in turn
    recorded : the number that the engine recorded; equal to `value`
    """

    additions: tuple[Addition, ...]
    conversions: tuple[PostProcessing, ...]
    recorded: Any

    @property
    def value(self) -> Any:
        """The number that the additions and conversions give."""
        return self.conversions[-1].value if self.conversions else self.additions[-1].total


class Adder:
    """Lists the additions behind any element of one run.

    Parameters
    ----------
    run : what the engine did
    """

    def __init__(self, run: Observation) -> None:
        self._run = run
        self._events: dict[str, SpikeEvents] = {}

    def sum_of(self, stage: Stage, t: int, token: int, channel: int) -> Sum:
        """How the current of a neuron, or an element of a stream, or a logit came about at one time step."""
        if stage.kind == HEAD:
            return self._logit(stage, t, channel)
        if stage.kind == STREAM:
            return self._stream(stage, t, token, channel)
        assert stage.kind == NEURON
        recorded = self._run.currents(stage)[t, token, channel]
        if stage.layer is not None:
            additions = self._through_layer(stage, t, token, channel)
            fraction: Any = self._fraction(stage.layer, channel)
            return Sum(additions, self._entering(stage, additions[-1].total, fraction), recorded)
        source = self._run.stages[stage.reads[0]]
        if stage.over_tokens:
            is_count = source.kind != STREAM
            additions = self._count(stage, t, channel) if is_count else self._over_tokens(source, t, channel)
            fraction = 0 if is_count else self._stream_fraction(source.name)
            tokens = self._tokens(source)
            if fraction is None or (is_count and not self._whole):
                total = additions[-1].total
                mean = (
                    ()
                    if is_count
                    else (PostProcessing(f"divided by {tokens} tokens", total / total.dtype.type(tokens)),)
                )
                return Sum(additions, mean, recorded)
            return Sum(additions, self._entering(stage, additions[-1].total, fraction, tokens), recorded)
        at, words = self._winner(source, stage, t, token, channel) if stage.pooled else (token, "")
        below = self._stream(source, t, at, channel)
        greatest = (PostProcessing(words, below.recorded),) if words else ()
        entering = self._entering(stage, below.recorded, self._stream_fraction(source.name))
        return Sum(below.additions, (*below.conversions, *greatest, *entering), recorded)

    @property
    def _whole(self) -> bool:
        return isinstance(next(iter(self._run.model.neurons.values())), FixedNeuron)

    def _tokens(self, stage: Stage) -> int:
        height, width, _ = self._run.size(stage)
        return height * width

    def _stream(self, stage: Stage, t: int, token: int, channel: int) -> Sum:
        """A layer's sum; in fixed point brought into the stream's register; and the residual."""
        assert stage.layer is not None
        additions = self._through_layer(stage, t, token, channel)
        recorded = self._run.stream(stage.name)[t, token, channel]
        layer = self._run.parameters.layers[stage.layer]
        residual, where = (None, token) if stage.residual is None else self._residual(stage, t, token, channel)
        if not isinstance(layer, FixedLayer):
            if residual is not None:
                total = additions[-1].total + residual
                additions = (*additions, Addition(RESIDUAL, residual, total, where, channel))
            return Sum(additions, (), recorded)
        assert layer.stream is not None
        entered = _entered(layer.stream, additions[-1].total, layer.fraction[channel])
        conversions = [PostProcessing("in the register of the stream", entered)]
        if residual is not None:
            own = _entered(layer.stream, residual, self._stream_fraction(stage.residual))
            conversions.append(PostProcessing("the residual, in that register", own))
            conversions.append(PostProcessing("their sum", layer.stream.fit(entered + own)))
        return Sum(additions, tuple(conversions), recorded)

    def _residual(self, stage: Stage, t: int, token: int, channel: int) -> tuple[Any, int]:
        """The stream that is added, and its token; behind the pool of the patch embedding the greatest of a window."""
        assert stage.residual is not None
        source, reader = self._run.stages[stage.residual], self._run.stages[stage.reads[0]]
        pooled = reader.pooled and reader.reads == (source.name,)
        at = self._winner(source, reader, t, token, channel)[0] if pooled else token
        return self._run.stream(source.name)[t, at, channel], at

    def _logit(self, stage: Stage, t: int, channel: int) -> Sum:
        additions = self._through_layer(stage, t, 0, channel)
        recorded, fraction = self._run.result.logits_per_step[t, 0, channel], self._fraction("head", channel)
        if fraction is None:
            return Sum(additions, (), recorded)
        logit = np.ldexp(np.float64(additions[-1].total), -int(fraction))
        return Sum(additions, (PostProcessing(f"divided by 2^{fraction}, its unit", logit),), recorded)

    def _through_layer(self, stage: Stage, t: int, token: int, output: int) -> tuple[Addition, ...]:
        """Bias and weights, in the order (kernel row, kernel column, input channel)."""
        assert stage.layer is not None
        layer = self._run.parameters.layers[stage.layer]
        if stage.reads[0] == INPUT and not isinstance(self._run.model.patch_embed.proj_conv, BitPlaneEncoder):
            return self._analog(layer, t, token, output)
        if stage.name not in self._events:
            self._events[stage.name] = self._run.read_by(stage)
        events = self._events[stage.name]
        height, width = (*events.grid, 1, 1)[2:4]
        step = min(t, events.grid[0] - 1)  # a picture's bits come once
        caused = [
            (at, ky, kx, int(channel))
            for at, ky, kx in _taps(token, height, width, layer.weight.shape[-1])
            for channel in _row(events, step * height * width + at)
        ]
        planes = layer.planes if isinstance(layer, FixedLayer) else 1
        if planes > 1:  # the specification names the planes first
            caused.sort(key=lambda one: one[3] // (layer.weight.shape[1] // planes))
        fit = layer.accumulator.fit if isinstance(layer, FixedLayer) and layer.checked else None
        total = layer.bias[output]
        additions = [Addition(BIAS, total, total)]
        for at, ky, kx, channel in caused:
            weight = layer.weight[output, channel, ky, kx]
            total = total + weight if fit is None else fit(total + weight)
            additions.append(Addition(EVENT if planes == 1 else BIT, weight, total, at, channel))
        return tuple(additions)

    def _analog(self, layer: Layer, t: int, token: int, output: int) -> tuple[Addition, ...]:
        image = self._run.image[min(t, len(self._run.image) - 1)]
        channels, height, width = image.shape
        total = layer.bias[output]
        additions = [Addition(BIAS, total, total)]
        for at, ky, kx in _taps(token, height, width, layer.weight.shape[-1]):
            for channel in range(channels):
                pixel, weight = image[(channel, *divmod(at, width))], layer.weight[output, channel, ky, kx]
                total = total + pixel * weight
                additions.append(Addition(PIXEL, pixel * weight, total, at, channel, pixel, weight))
        return tuple(additions)

    def _count(self, stage: Stage, t: int, channel: int) -> tuple[Addition, ...]:
        """One for each token at which K and V both spike."""
        if stage.name not in self._events:
            self._events[stage.name] = self._run.read_by(stage)
        events = self._events[stage.name]
        one = np.int64(1) if self._whole else self._run.currents(stage).dtype.type(1)
        tokens = [n for n in range(events.n_tokens) if channel in _row(events, t * events.n_tokens + n)]
        nothing = Addition(BIAS, one * 0, one * 0)
        return (nothing, *(Addition(TOKEN, one, one * (n + 1), at, channel) for n, at in enumerate(tokens)))

    def _over_tokens(self, source: Stage, t: int, channel: int) -> tuple[Addition, ...]:
        """The stream of one channel at each token."""
        values = self._run.stream(source.name)[t, :, channel]
        additions = [Addition(TOKEN, values[0], values[0], 0, channel)]
        for token in range(1, len(values)):
            total = additions[-1].total + values[token]
            additions.append(Addition(TOKEN, values[token], total, token, channel))
        return tuple(additions)

    def _winner(self, source: Stage, reader: Stage, t: int, token: int, channel: int) -> tuple[int, str]:
        """The token whose current is the greatest of the 3x3 pixels that a pool reads, and how to say so."""
        height, width, _ = self._run.size(source)
        row, column = divmod(token, self._run.size(reader)[1])
        values = self._run.stream(source.name)[t, :, channel]
        window = [at for at, _, _ in _taps(2 * row * width + 2 * column, height, width, 3)]
        best = max(window, key=lambda at: values[at])
        row, column = divmod(best, width)
        return best, f"the greatest of {len(window)} pixels, that of row {row}, column {column}"

    def _entering(self, stage: Stage, total: Any, fraction: Any, tokens: int = 1) -> tuple[PostProcessing, ...]:
        """In fixed point a sum enters the register of the membrane; otherwise it is the current."""
        neuron = self._run.model.neurons[stage.name]
        if not isinstance(neuron, FixedNeuron):
            return ()
        register = neuron.membrane.wider(wider_by(tokens))
        return (PostProcessing("in the register of the membrane", _entered(register, total, fraction)),)

    def _fraction(self, module: str, channel: int) -> Any:
        """Fraction bits of a layer's sums; None in floating point."""
        layer = self._run.parameters.layers[module]
        return layer.fraction[channel] if isinstance(layer, FixedLayer) else None

    def _stream_fraction(self, module: str | None) -> Any:
        layer = self._run.parameters.layers[module or ""]
        return layer.stream.fraction if isinstance(layer, FixedLayer) and layer.stream is not None else None


def _entered(register: Format, total: Any, fraction: Any) -> Any:
    """What a register holds when a whole number of so many fraction bits is written to it."""
    return register.fit(register.align(np.asarray(total, np.int64), int(fraction)))


def _taps(token: int, height: int, width: int, window: int) -> list[tuple[int, int, int]]:
    """Tokens under a kernel, with its row and column, in their order; what lies beyond the border is left out."""
    row, column = divmod(token, width)
    half = window // 2
    return [
        ((row + ky - half) * width + column + kx - half, ky, kx)
        for ky in range(window)
        for kx in range(window)
        if 0 <= row + ky - half < height and 0 <= column + kx - half < width
    ]


def _row(events: SpikeEvents, row: int) -> list[int]:
    return events.channels[events.offsets[row] : events.offsets[row + 1]].tolist()
