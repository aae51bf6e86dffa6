"""The trace file: what every register of one fixed-point run held, step by step.

HDF5, schema 1:
    format, schema_version   attributes
    header                   JSON text: see `Header`
    records/STAGE/QUANTITY   whole numbers [steps, tokens, channels]; stages and quantities as in `wiring`
    records/STAGE/spikes     a group: offsets int64[steps * tokens + 1], channels uint16[events]; row r holds
                             channels[offsets[r]:offsets[r + 1]], as in SpikeEvents
    sha256                   attribute, written last: of header and records. A file without it is not complete.

Each record has attributes: bits (width of the register), fraction (bits, one for all channels or one for each),
height and width (tokens = height * width, row by row), channels. The sha256 is also that of these attributes.
"""

import dataclasses
import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..dense import steps
from ..engine.events import CHANNEL, OFFSET, SpikeEvents
from ..engine.monitor import Monitor
from ..errors import ConfigError, InputError, TraceError, require_file
from ..files import written_whole
from ..fixed.formats import DEFAULT, Formats
from ..fixed.quantise import FixedNeuron, FixedParameters, bits_for, digest
from ..fixed.registers import WIDE, wider_by
from ..network.model import SpikeDrivenTransformer
from ..result import OperationCount, Result
from ..weights.architecture import Architecture
from ..weights.config import ModelConfig, is_int
from ..weights.file import load
from ..weights.wiring import SPIKES, Stage, counted_as, wiring

FORMAT, SCHEMA_VERSION = "sdt_ref trace", 1

CONVENTION = {
    "charge": "h = v + round((x - v) * leak)",
    "fire": "spike = h >= threshold",
    "reset": "v = 0 if spike else h",
    "order": ["charge", "fire", "reset"],
    "initial_v": 0,
    "refractory": 0,
}


@dataclass(frozen=True)
class Header:
    """What was run.

    Attributes
    ----------
    architecture, config : sizes and settings of the network
    formats : text of the formats file, complete
    parameters : sha256 of the whole-number parameters, see `quantising.digest`
    input : sha256 of the numbers in the input register, int64 in little-endian order
    time_steps : T of the run
    steps : time steps recorded
    neuron : the convention of all neurons, and of each stage its leak, rounding and threshold
    overflows : by register, numbers that did not fit in each of the T steps
    operations : by weight layer, additions and events of each of the T steps
    """

    architecture: dict[str, Any]
    config: dict[str, Any]
    formats: str
    parameters: str
    input: str
    time_steps: int
    steps: list[int]
    neuron: dict[str, Any]
    overflows: dict[str, list[int]]
    operations: dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class Record:
    """One recorded quantity of one stage.

    Attributes
    ----------
    bits : width of the register in two's complement; 1 for spikes
    fraction : of the numbers, int64[1] or int64[channels]
    height, width : of the tokens; (1, 1) where there is but one
    """

    stage: str
    quantity: str
    bits: int
    fraction: np.ndarray
    height: int
    width: int
    channels: int

    @property
    def name(self) -> str:
        """Path under records/."""
        return f"{self.stage}/{self.quantity}"

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.height * self.width


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
            (model.formats or DEFAULT).to_toml(),
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
        return _combined(header, self._hashes)

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
        self._hashes[record.name] = _digest_of(record, offsets, channels)
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
        self._hashes[record.name] = _digest_of(record, kept)
        self._progress(stage)


def narrowest(bits: int) -> np.dtype:
    """The narrowest integer type that holds registers of so many bits."""
    return np.dtype(next(f"<i{n}" for n in (1, 2, 4, 8) if bits <= 8 * n))


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


def _digest_of(record: Record, *arrays: np.ndarray) -> bytes:
    attributes = record.bits, record.fraction.tolist(), record.height, record.width, record.channels
    digest_ = hashlib.sha256(repr(attributes).encode())
    for array in arrays:
        digest_.update(repr(array.shape).encode())
        digest_.update(np.ascontiguousarray(array, "<i8").tobytes())
    return digest_.digest()


def _combined(header: str, hashes: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256(header.encode())
    for name in sorted(hashes):
        whole.update(name.encode() + hashes[name])
    return whole.hexdigest()


class Trace:
    """A complete trace file, open for reading.

    Attributes
    ----------
    header : what was run
    records : by name 'STAGE/QUANTITY', in the order of the data flow
    stages : the network's, by name
    formats : registers of the run
    """

    def __init__(self, file: h5py.File, header: Header) -> None:
        self._file = file
        self.header = header
        self.architecture = Architecture(**header.architecture)
        self.config = ModelConfig.from_mapping(header.config)
        self.formats = Formats.from_toml(header.formats)
        self.stages = wiring(self.architecture, self.config)
        found = file["records"]
        self.records = {
            f"{stage.name}/{quantity}": _labelled(found[stage.name][quantity], stage.name, quantity)
            for stage in self.stages.values()
            if stage.name in found
            for quantity in stage.quantities
            if quantity in found[stage.name]
        }

    def model(self, weights: str | os.PathLike[str] | None = None) -> SpikeDrivenTransformer:
        """Load the network that was traced; None stands for the weights that ship with the package.

        Raises TraceError when these weights, in the trace's formats, or their settings are not what was traced.
        """
        model = SpikeDrivenTransformer(load(weights), "fixed", formats=self.formats)
        parameters = model.read_back()
        assert isinstance(parameters, FixedParameters)
        where = (
            f"in {'the shipped weights' if weights is None else repr(str(weights))}; name the right file with --weights"
        )
        if (found := digest(parameters)) != self.header.parameters:
            raise TraceError(
                f"trace of other weights: expected parameters with sha256 {self.header.parameters[:12]}..., found "
                f"{found[:12]}... {where}"
            )
        for setting, value in dataclasses.asdict(model.config).items():
            if value != self.header.config[setting]:
                raise TraceError(
                    f"trace of other settings: expected {setting} {self.header.config[setting]}, found {value} {where}"
                )
        return model

    def values(self, name: str) -> np.ndarray:
        """The numbers of a record, int64[steps, tokens, channels]; spikes as 0 and 1."""
        record = self.records[name]
        shape = len(self.header.steps), record.tokens, record.channels
        if record.quantity != "spikes":
            return np.asarray(self._file["records"][name][()], WIDE)
        offsets, channels = self.events(name)
        return dense(offsets, channels, shape)

    def events(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and channels of a record of spikes."""
        group = self._file["records"][name]
        return group["offsets"][()], group["channels"][()]

    def check(self) -> None:
        """Raise TraceError unless the hash is that of the content."""
        hashes = {}
        for name, record in self.records.items():
            node = self._file["records"][name]
            parts = self.events(name) if record.quantity == "spikes" else (node[()],)
            hashes[name] = _digest_of(record, *parts)
        text = bytes(self._file["header"][()]).decode()
        if _combined(text, hashes) != self.sha256:
            raise TraceError("the content does not have the hash that it was written with; record the run anew")

    @property
    def sha256(self) -> str:
        """Of header and records."""
        return bytes(self._file.attrs["sha256"]).decode()


def dense(offsets: np.ndarray, channels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Events as 0 and 1, int64[steps, tokens, channels]."""
    rows = np.zeros((shape[0] * shape[1], shape[2]), WIDE)
    rows[np.repeat(np.arange(len(rows)), np.diff(offsets)), channels] = 1
    return rows.reshape(shape)


def _labelled(node: h5py.Dataset | h5py.Group, stage: str, quantity: str) -> Record:
    bits, height, width, channels = (int(node.attrs[name]) for name in ("bits", "height", "width", "channels"))
    return Record(stage, quantity, bits, np.asarray(node.attrs["fraction"], WIDE), height, width, channels)


@contextmanager
def open_trace(path: str | os.PathLike[str]) -> Iterator[Trace]:
    """Open a trace file and check its hash.

    Raises TraceError when it is missing, not a trace, of another version, not complete or damaged.
    """
    file_path = Path(path)
    require_file(file_path, "trace", TraceError)
    try:
        file = h5py.File(file_path, "r")
    except OSError as error:
        raise TraceError(
            f"trace '{file_path}': expected HDF5 written by sdt_ref.trace, found a file that cannot be read ({error})"
        ) from None
    with file:
        try:
            trace = _opened(file)
            trace.check()
        except TraceError as error:
            raise TraceError(f"trace '{file_path}': {error}") from None
        except (KeyError, OSError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TraceError(f"trace '{file_path}': damaged ({reason}); record the run anew") from None
        yield trace


def _opened(file: h5py.File) -> Trace:
    if bytes(file.attrs.get("format", b"")) != FORMAT.encode():
        raise TraceError("not a trace: attribute 'format' is missing; write it with sdt_ref.trace")
    version = file.attrs.get("schema_version")
    if not is_int(version) or version != SCHEMA_VERSION:
        raise TraceError(f"schema version: expected {SCHEMA_VERSION}, found {version}; record the run anew")
    if "sha256" not in file.attrs:
        raise TraceError("not complete: the run that wrote it did not come to its end; record it anew")
    return Trace(file, Header(**json.loads(bytes(file["header"][()]).decode())))
