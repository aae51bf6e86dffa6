"""Take what a run records, and write it: the registers of fixed point, or the numbers of floating point."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from ..dense import steps
from ..engine.events import CHANNEL, OFFSET, SpikeEvents
from ..engine.monitor import Monitor
from ..fixed.quantise import FixedNeuron, FixedParameters, bits_for
from ..fixed.registers import WIDE, wider_by
from ..hdf5 import Output
from ..result import Result
from ..weights.folding import Parameters
from ..weights.wiring import SPIKES, Stage
from .hashing import array_hash, file_hash
from .records import Record, narrowest
from .trace_file import SCHEMA_VERSION

Network = TypeVar("Network", bound=Parameters)


class Recorder(Monitor, Generic[Network]):
    """What the arithmetics have in common.

    Parameters
    ----------
    wired : all stages
    wanted : names of the stages to record
    steps : time steps to record
    """

    in_turn = True

    def __init__(
        self,
        parameters: Network,
        file: Output,
        wired: Mapping[str, Stage],
        wanted: set[str],
        steps: list[int],
        progress: Callable[[str], None],
    ) -> None:
        super().__init__(spikes=True, numbers=True)
        self._file = file
        self._records = file.create_group("records", track_order=True)
        self._wired = wired
        self._parameters = parameters
        self._wanted = wanted
        self._steps = steps
        self._progress = progress
        self._of_hook = {stage.hook: name for name, stage in wired.items() if stage.hook}
        self._hashes: dict[str, bytes] = {}

    def hashed(self, header: str) -> str:
        """The hash of the file."""
        return file_hash(header, self._hashes)

    def write_input(self, x: np.ndarray, n_steps: int) -> bytes:
        """Write the input, (1, C, H, W) or (1, T, C, H, W); returns its numbers in the arithmetic, as bytes."""
        self._file.create_dataset("input", data=x, **_compressed(x))
        self._hashes["input"] = array_hash((), [x], SCHEMA_VERSION)
        return self._write_pixels(x if x.ndim == 4 else x[0], n_steps)

    def add_spikes(self, hook: str, events: SpikeEvents) -> None:
        """See Monitor."""
        name = self._of_hook[hook]
        if name not in self._wanted:
            return
        n = events.n_tokens
        height, width = events.grid[2:] or (1, 1)
        slices = [slice(events.offsets[t * n], events.offsets[(t + 1) * n]) for t in self._steps]
        per_row = np.concatenate([np.diff(events.offsets[t * n : (t + 1) * n + 1]) for t in self._steps])
        offsets = np.concatenate([[0], np.cumsum(per_row)]).astype(OFFSET)
        channels = np.concatenate([events.channels[part] for part in slices]).astype(CHANNEL)
        group = self._records.create_group(f"{name}/spikes")
        record = Record(name, "spikes", 1, np.zeros(1, WIDE), height, width, events.n_channels)
        _label(group, record)
        for part, array in (("offsets", offsets), ("channels", channels)):
            group.create_dataset(part, data=array, **_compressed(array))
        self._hashes[record.name] = array_hash(record.attributes, [offsets, channels], SCHEMA_VERSION)
        self._progress(name)

    def write_head(self, result: Result) -> None:
        """Write the logits of each step."""
        raise NotImplementedError

    def neurons(self) -> dict[str, dict[str, Any]]:
        """What each neuron layer is, in words and numbers."""
        raise NotImplementedError

    def _write_pixels(self, frames: np.ndarray, n_steps: int) -> bytes:
        """Write [1 or T, C, H, W] for each step, in the numbers of the arithmetic; returns their bytes."""
        raise NotImplementedError

    def _write_numbers(
        self, stage: str, quantity: str, rows: np.ndarray, bits: int, fraction: np.ndarray | int, size: tuple[int, int]
    ) -> None:
        """Write [T, tokens, channels], in the type in which they are."""
        if stage not in self._wanted:
            return
        kept = np.ascontiguousarray(rows[self._steps])
        real = kept.dtype.kind == "f"  # would shrink by a tenth, in five times the time
        packing = {} if real else _compressed(kept)
        dataset = self._records.create_dataset(f"{stage}/{quantity}", data=kept, **packing)
        record = Record(stage, quantity, bits, np.atleast_1d(fraction), *size, rows.shape[-1])
        _label(dataset, record)
        self._hashes[record.name] = array_hash(record.attributes, [kept], SCHEMA_VERSION)
        self._progress(stage)


class NumberRecorder(Recorder[Parameters]):
    """Floating point: of neurons the current, the membrane before and after the reset; and the residual stream."""

    def _write_pixels(self, frames: np.ndarray, n_steps: int) -> bytes:
        """See Recorder."""
        rows = _rows(frames[:, None])
        self._write("input", "pixel", np.broadcast_to(rows, (n_steps, *rows.shape[1:])), frames.shape[-2:])
        return frames.astype(frames.dtype.newbyteorder("<")).tobytes()

    def add_neurons(self, module: str, currents: np.ndarray, sums: np.ndarray | None) -> None:
        """See Monitor."""
        x, size = _seen(self._wired[module], currents)
        with np.errstate(over="ignore", invalid="ignore"):  # as in the run itself
            h, _, v = steps(self._parameters.neurons[module], x)
        for quantity, values in (("x", x), ("h", h), ("v", v)):
            self._write(module, quantity, values, size)

    def add_stream(self, module: str, stream: np.ndarray, sums: np.ndarray | None) -> None:
        """See Monitor."""
        self._write(module, "u", _rows(stream), _size(stream))

    def write_head(self, result: Result) -> None:
        """See Recorder."""
        self._write("head", "sum", result.logits_per_step, (1, 1))

    def neurons(self) -> dict[str, dict[str, Any]]:
        """See Recorder."""
        return {
            module: {"leak": float(neuron.leak), "threshold": float(neuron.threshold)}
            for module, neuron in self._parameters.neurons.items()
        }

    def _write(self, stage: str, quantity: str, rows: np.ndarray, size: tuple[int, int]) -> None:
        self._write_numbers(stage, quantity, rows, 8 * rows.dtype.itemsize, np.zeros(0, WIDE), size)


class RegisterRecorder(Recorder[FixedParameters]):
    """Fixed point: every register."""

    _tokens = (1, 1)  # height and width of the stream

    def _write_pixels(self, frames: np.ndarray, n_steps: int) -> bytes:
        """See Recorder."""
        register = self._parameters.input
        pixels = register.fit(register.quantise(frames))
        rows = _rows(pixels[:, None])
        spread = np.broadcast_to(rows, (n_steps, *rows.shape[1:]))
        self._write("input", "pixel", spread, register.bits, register.fraction, pixels.shape[-2:])
        return pixels.astype("<i8").tobytes()

    def add_neurons(self, module: str, currents: np.ndarray, sums: np.ndarray | None) -> None:
        """See Monitor."""
        assert sums is not None
        stage, neuron = self._wired[module], self._neuron(module)
        (x, size), (sums, _) = _seen(stage, currents), _seen(stage, sums)
        n_tokens = self._tokens[0] * self._tokens[1] if stage.over_tokens else 1
        h, _, v = steps(neuron, x)
        bits = neuron.membrane.bits
        self._write(module, "sum", sums, *self._width_of_sums(stage, n_tokens), size)
        for quantity, values in (("x", x), ("h", h), ("v", v)):
            self._write(module, quantity, values, bits, neuron.membrane.fraction, size)

    def add_stream(self, module: str, stream: np.ndarray, sums: np.ndarray | None) -> None:
        """See Monitor."""
        assert sums is not None
        layer = self._parameters.layers[module]
        size = self._tokens = _size(stream)
        self._write(module, "sum", _rows(sums), layer.accumulator.bits, layer.fraction, size)  # type: ignore[attr-defined]
        self._write(module, "u", _rows(stream), layer.stream.bits, layer.stream.fraction, size)  # type: ignore[attr-defined]

    def write_head(self, result: Result) -> None:
        """See Recorder. They are whole numbers again."""
        layer = self._parameters.layers["head"]
        bits = int(layer.fraction[0])  # type: ignore[attr-defined]
        whole = np.ldexp(result.logits_per_step, bits).astype(WIDE)
        self._write("head", "sum", whole, layer.accumulator.bits, bits, (1, 1))  # type: ignore[attr-defined]

    def neurons(self) -> dict[str, dict[str, Any]]:
        """See Recorder."""
        table = {}
        for module in self._parameters.neurons:
            neuron = self._neuron(module)
            terms = " ".join(f"{'+' if sign > 0 else '-'} 2^-{shift}" for sign, shift in neuron.leak_terms) or "0"
            table[module] = {
                "leak": terms.removeprefix("+ "),
                "leak_rounding": neuron.leak_rounding,
                "threshold": int(neuron.threshold),
                "bits": neuron.membrane.bits,
                "fraction": neuron.membrane.fraction,
                "rounding": neuron.membrane.rounding,
                "overflow": neuron.membrane.overflow,
            }
        return table

    def _neuron(self, module: str) -> FixedNeuron:
        """A neuron layer as it runs: with wider registers, and a threshold for a sum, where it reads all tokens."""
        neuron, n_tokens = self._parameters.neurons[module], self._tokens[0] * self._tokens[1]
        assert isinstance(neuron, FixedNeuron)
        if not self._wired[module].over_tokens:
            return neuron
        threshold = neuron.threshold * (n_tokens if module == "head_lif" else 1)
        return dataclasses.replace(neuron, membrane=neuron.membrane.wider(wider_by(n_tokens)), threshold=threshold)

    def _width_of_sums(self, stage: Stage, n_tokens: int) -> tuple[int, np.ndarray | int]:
        if stage.layer is not None:
            layer = self._parameters.layers[stage.layer]
            return layer.accumulator.bits, layer.fraction  # type: ignore[attr-defined]
        source = self._wired[stage.reads[0]]
        if source.kind == SPIKES:  # counts
            return bits_for(0, n_tokens), 0
        stream = self._parameters.layers[source.name].stream  # type: ignore[attr-defined]
        return stream.bits + wider_by(n_tokens), stream.fraction

    def _write(
        self, stage: str, quantity: str, rows: np.ndarray, bits: int, fraction: np.ndarray | int, size: tuple[int, int]
    ) -> None:
        self._write_numbers(stage, quantity, rows.astype(narrowest(bits)), bits, fraction, size)


def _seen(stage: Stage, official: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """What neurons read, [T, tokens, C], and the height and width of its tokens."""
    if stage.over_tokens:  # [T, 1, C], or in heads [T, 1, h, 1, d]
        return official.reshape(len(official), 1, -1), (1, 1)
    return _rows(official), _size(official)


def _rows(official: np.ndarray) -> np.ndarray:
    """[T, 1, C, H, W] -> [T, tokens, C]."""
    return np.moveaxis(official[:, 0], 1, -1).reshape(len(official), -1, official.shape[2])


def _size(official: np.ndarray) -> tuple[int, int]:
    """Height and width of [T, 1, C, H, W]."""
    return official.shape[3], official.shape[4]


def _compressed(array: np.ndarray) -> dict[str, Any]:
    return {"compression": "gzip", "compression_opts": 1, "shuffle": True} if array.size else {}


def _label(node: Any, record: Record) -> None:
    node.attrs["bits"], node.attrs["fraction"] = record.bits, record.fraction
    node.attrs["height"], node.attrs["width"], node.attrs["channels"] = record.height, record.width, record.channels
