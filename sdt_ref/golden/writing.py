"""Write a trace: run a network in fixed point, and take down every register as it comes about."""

import dataclasses
import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from ..dense import steps
from ..engine.events import CHANNEL, OFFSET, SpikeEvents
from ..engine.monitor import Monitor
from ..errors import ConfigError, InputError, TraceError
from ..files import written_whole
from ..fixed.quantise import FixedNeuron, FixedParameters, bits_for, digest
from ..fixed.registers import WIDE, wider_by
from ..network.model import SpikeDrivenTransformer
from ..result import OperationCount, Result
from ..weights.names import counted_as
from ..weights.wiring import SPIKES, Stage, wiring
from .trace_file import FORMAT, SCHEMA_VERSION, Header, Record, file_hash, narrowest, record_hash

CONVENTION = {
    "charge": "h = v + round((x - v) * leak)",
    "fire": "spike = h >= threshold",
    "reset": "v = 0 if spike else h",
    "order": ["charge", "fire", "reset"],
    "initial_v": 0,
    "refractory": 0,
}


def write_trace(
    path: str | os.PathLike[str],
    model: SpikeDrivenTransformer,
    x: Any,
    stages: Sequence[str] = ("*",),
    steps: Sequence[int] | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Result:
    """Run a network in fixed point, and stream what its registers hold to a file.

    Parameters
    ----------
    path : written whole: it appears when it is complete, and a run that is killed leaves no trace of this name
    x : one sample, as the model takes it
    stages : patterns such as 'block.0.*'
    steps : time steps to record; None records all
    progress : called with the name of each stage as it is written

    Raises
    ------
    ConfigError
        the arithmetic is not 'fixed'; no stage matches a pattern, or no such step
    InputError
        x holds more than one sample
    TraceError
        the file cannot be written
    """
    parameters = model.read_back()
    if not isinstance(parameters, FixedParameters):
        raise ConfigError(f"trace: expected arithmetic 'fixed', found '{model.arithmetic.name}'")
    if len(np.shape(x)) > 0 and np.shape(x)[0] != 1:
        raise InputError(f"trace: expected one sample, found {np.shape(x)[0]}")
    wired = wiring(model.architecture, model.config)
    for pattern in stages:
        if not fnmatch.filter(wired, pattern):
            raise ConfigError(
                f"trace: no stage matches '{pattern}'; stages are {', '.join(list(wired)[:4])}, ..., {[*wired][-1]}"
            )
    wanted = {name for pattern in stages for name in fnmatch.filter(wired, pattern)}
    n_steps = model.config.time_steps if np.ndim(x) == 4 else np.shape(x)[1]
    chosen = list(range(n_steps)) if steps is None else sorted(set(steps))
    unknown = [step for step in chosen if not 0 <= step < n_steps]
    if not chosen or unknown:
        raise ConfigError(f"trace: expected steps from 0 to {n_steps - 1}, found {unknown[0] if unknown else 'none'}")
    with written_whole(path, TraceError) as part, h5py.File(part, "w", track_order=True) as file:
        file.attrs["format"], file.attrs["schema_version"] = np.bytes_(FORMAT.encode()), SCHEMA_VERSION
        writer = _Writer(file, wired, parameters, wanted, chosen, progress)
        pixels = writer.write_input(np.asarray(x), n_steps)
        result = model(x, record=writer)
        writer.write_head(result)
        operations = {module: _operations(result.counts[counted_as(module)]) for module in parameters.layers}
        header = Header(
            dataclasses.asdict(model.architecture),
            dataclasses.asdict(model.config),
            model.formats.to_toml(),
            digest(parameters),
            hashlib.sha256(pixels).hexdigest(),
            n_steps,
            chosen,
            {**CONVENTION, "stages": writer.neurons()},
            {register: per_step.tolist() for register, per_step in result.overflows.items()},
            operations,
        )
        text = json.dumps(dataclasses.asdict(header))
        file.create_dataset("header", data=np.bytes_(text.encode()))
        file.flush()
        file.attrs["sha256"] = np.bytes_(writer.hashed(text).encode())
    return result


def _operations(count: OperationCount) -> dict[str, list[int]]:
    return {kind: getattr(count, kind).tolist() for kind in ("ac", "events", "neurons")}


class _Writer(Monitor):
    """Takes what a run records, and writes it."""

    in_turn = True

    def __init__(
        self,
        file: h5py.File,
        wired: Mapping[str, Stage],
        parameters: FixedParameters,
        wanted: set[str],
        steps: list[int],
        progress: Callable[[str], None],
    ) -> None:
        super().__init__(spikes=True, numbers=True)
        self._records = file.create_group("records", track_order=True)
        self._wired = wired
        self._parameters = parameters
        self._wanted = wanted
        self._steps = steps
        self._progress = progress
        self._of_hook = {stage.hook: name for name, stage in wired.items() if stage.hook}
        self._tokens = (1, 1)  # height and width of the stream
        self._hashes: dict[str, bytes] = {}

    def hashed(self, header: str) -> str:
        """The hash of the file."""
        return file_hash(header, self._hashes)

    def write_input(self, x: np.ndarray, n_steps: int) -> bytes:
        """Write the input register; returns the bytes of all its numbers."""
        register = self._parameters.input
        frames = x[:, None] if x.ndim == 4 else x  # [1, 1 or T, C, H, W]
        pixels = register.fit(register.quantise(np.asarray(frames, np.float64)))[0]
        H, W = pixels.shape[-2:]
        rows = np.broadcast_to(_rows(pixels[:, None]), (n_steps, H * W, pixels.shape[1]))
        self._write("input", "pixel", rows, register.bits, register.fraction, (H, W))
        return pixels.astype("<i8").tobytes()

    def add_neurons(self, module: str, currents: np.ndarray, sums: np.ndarray | None) -> None:
        """See Monitor."""
        assert sums is not None
        stage, neuron = self._wired[module], self._neuron(module)
        if stage.over_tokens:  # [T, 1, C], or in heads [T, 1, h, 1, d]
            x, sums = (part.reshape(len(part), 1, -1) for part in (currents, sums))
            size, n_tokens = (1, 1), self._tokens[0] * self._tokens[1]
        else:
            x, sums, size, n_tokens = _rows(currents), _rows(sums), _size(currents), 1
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
        self._hashes[record.name] = record_hash(record, offsets, channels)
        self._progress(name)

    def write_head(self, result: Result) -> None:
        """Write the logits of each step, whole numbers again."""
        layer = self._parameters.layers["head"]
        bits = int(layer.fraction[0])  # type: ignore[attr-defined]
        whole = np.ldexp(result.logits_per_step, bits).astype(WIDE)
        self._write("head", "sum", whole, layer.accumulator.bits, bits, (1, 1))  # type: ignore[attr-defined]

    def neurons(self) -> dict[str, dict[str, Any]]:
        """Leak and registers of each neuron layer, in words."""
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
        if stage not in self._wanted:
            return
        kept = np.ascontiguousarray(rows[self._steps], narrowest(bits))
        dataset = self._records.create_dataset(f"{stage}/{quantity}", data=kept, **_compressed(kept))
        record = Record(stage, quantity, bits, np.atleast_1d(fraction), *size, rows.shape[-1])
        _label(dataset, record)
        self._hashes[record.name] = record_hash(record, kept)
        self._progress(stage)


def _rows(official: np.ndarray) -> np.ndarray:
    """[T, 1, C, H, W] -> [T, tokens, C]."""
    return np.moveaxis(official[:, 0], 1, -1).reshape(len(official), -1, official.shape[2])


def _size(official: np.ndarray) -> tuple[int, int]:
    """Height and width of [T, 1, C, H, W]."""
    return official.shape[3], official.shape[4]


def _compressed(array: np.ndarray) -> dict[str, Any]:
    return {"compression": "gzip", "compression_opts": 1, "shuffle": True} if array.size else {}


def _label(node: h5py.Dataset | h5py.Group, record: Record) -> None:
    node.attrs["bits"], node.attrs["fraction"] = record.bits, record.fraction
    node.attrs["height"], node.attrs["width"], node.attrs["channels"] = record.height, record.width, record.channels
