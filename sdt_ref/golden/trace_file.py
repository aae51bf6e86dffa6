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
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import TraceError, require_file
from ..fixed.formats import Formats
from ..fixed.quantise import FixedParameters, digest, quantise
from ..fixed.registers import WIDE
from ..weights.architecture import Architecture
from ..weights.config import ModelConfig, is_int
from ..weights.file import load
from ..weights.wiring import wiring

FORMAT, SCHEMA_VERSION = "sdt_ref trace", 1


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


def narrowest(bits: int) -> np.dtype:
    """The narrowest integer type that holds registers of so many bits."""
    return np.dtype(next(f"<i{n}" for n in (1, 2, 4, 8) if bits <= 8 * n))


def record_hash(record: Record, *arrays: np.ndarray) -> bytes:
    """The hash of a record: of its attributes, and of its arrays."""
    attributes = record.bits, record.fraction.tolist(), record.height, record.width, record.channels
    digest_ = hashlib.sha256(repr(attributes).encode())
    for array in arrays:
        digest_.update(repr(array.shape).encode())
        digest_.update(np.ascontiguousarray(array, "<i8").tobytes())
    return digest_.digest()


def file_hash(header: str, hashes: Mapping[str, bytes]) -> str:
    """The hash of a file: of its header, and of its records' hashes by their names."""
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

    def parameters(self, weights: str | os.PathLike[str] | None = None) -> FixedParameters:
        """The whole-number parameters that were traced; None stands for the weights that ship with the package.

        Raises TraceError when these weights, in the trace's formats, or their settings are not what was traced; their
        own T may be another one, as a run may take any.
        """
        read = load(weights)
        quantised = quantise(read, self.formats)
        parameters = dataclasses.replace(quantised, layers=dict(quantised.layers))  # each layer is quantised once
        where = (
            f"in {'the shipped weights' if weights is None else repr(str(weights))}; name the right file with --weights"
        )
        if (found := digest(parameters)) != self.header.parameters:
            raise TraceError(
                f"trace of other weights: expected parameters with sha256 {self.header.parameters[:12]}..., found "
                f"{found[:12]}... {where}"
            )
        for setting, value in dataclasses.asdict(read.config).items():
            if setting != "time_steps" and value != self.header.config[setting]:
                raise TraceError(
                    f"trace of other settings: expected {setting} {self.header.config[setting]}, found {value} {where}"
                )
        return parameters

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
            hashes[name] = record_hash(record, *parts)
        text = bytes(self._file["header"][()]).decode()
        if file_hash(text, hashes) != self.sha256:
            raise TraceError("the content does not have the hash that it was written with; record the run again")

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
            raise TraceError(f"trace '{file_path}': damaged ({reason}); record the run again") from None
        yield trace


def _opened(file: h5py.File) -> Trace:
    if bytes(file.attrs.get("format", b"")) != FORMAT.encode():
        raise TraceError("not a trace: attribute 'format' is missing; write it with sdt_ref.trace")
    version = file.attrs.get("schema_version")
    if not is_int(version) or version != SCHEMA_VERSION:
        raise TraceError(f"schema version: expected {SCHEMA_VERSION}, found {version}; record the run again")
    if "sha256" not in file.attrs:
        raise TraceError("not complete: the run that wrote it was interrupted; record it again")
    return Trace(file, Header(**json.loads(bytes(file["header"][()]).decode())))
