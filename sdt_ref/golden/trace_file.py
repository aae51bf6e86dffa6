"""The trace file: what every register, current and membrane of one run held, step by step.

HDF5, schema 2:
    format, schema_version   attributes
    header                   JSON text: see `Header`
    input                    what the network ran on, as it takes it: (1, C, H, W) or (1, T, C, H, W), in real numbers
    records/STAGE/QUANTITY   numbers [steps, tokens, channels], whole ones in fixed point, or float32 or float64; stages
                             and quantities as in `wiring`, but `sum` is of fixed point and of the head alone
    records/STAGE/spikes     a group: offsets int64[steps * tokens + 1], channels uint16[events]; row r holds
                             channels[offsets[r]:offsets[r + 1]], as in SpikeEvents
    sha256                   attribute, written last: of header, input and records. A file without it is not complete.

Each record has attributes: bits (width of the register), fraction (bits, one for all channels or one for each; none of
real numbers), height and width (tokens = height * width, row by row), channels. The sha256 is also that of these
attributes. Schema 1, which is read as well, had no input, and whole numbers alone.
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import TraceError
from ..files import require_file
from ..fixed.formats import Formats
from ..fixed.quantise import FixedParameters, quantise
from ..fixed.registers import WIDE
from ..weights.architecture import Architecture
from ..weights.arithmetic import FIXED, Arithmetic
from ..weights.arithmetic import arithmetic as named_arithmetic
from ..weights.config import ModelConfig, is_int
from ..weights.file import load
from ..weights.wiring import HEAD, Stage, wiring
from .content import are_events, are_numbers, dense
from .hashing import WHOLE_NUMBERS_ALONE, array_hash, digest, file_hash

FORMAT, SCHEMA_VERSION = "sdt_ref trace", 2


@dataclass(frozen=True)
class Header:
    """What was run.

    Attributes
    ----------
    architecture, config : sizes and settings of the network
    formats : text of the formats file, complete; '' without registers
    parameters : sha256 of the parameters, see `hashing.digest`
    input : sha256 of the numbers in the input register, int64 in little-endian order; of real numbers, in their type
    time_steps : T of the run
    steps : time steps recorded
    neuron : the convention of all neurons, and of each stage its leak, rounding and threshold
    overflows : by register, numbers that did not fit in each of the T steps
    operations : by weight layer, additions and events of each of the T steps
    arithmetic : 'fixed', 'float32' or 'float64'
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
    arithmetic: str = FIXED.name  # schema 1 does not name it


@dataclass(frozen=True)
class Record:
    """One recorded quantity of one stage.

    Attributes
    ----------
    bits : width of the register in two's complement, or of a real number; 1 for spikes
    fraction : of the numbers, int64[1] or int64[channels]; int64[0] of real numbers
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

    @property
    def real(self) -> bool:
        """Whether its numbers are floating-point ones."""
        return not len(self.fraction)

    @property
    def attributes(self) -> tuple[Any, ...]:
        """What stands beside the numbers, as it is hashed."""
        return self.bits, self.fraction.tolist(), self.height, self.width, self.channels


def narrowest(bits: int) -> np.dtype:
    """The narrowest integer type that holds registers of so many bits."""
    return np.dtype(next(f"<i{n}" for n in (1, 2, 4, 8) if bits <= 8 * n))


class Trace:
    """A complete trace file, open for reading.

    Attributes
    ----------
    header : what was run
    schema : version of the file
    arithmetic : of the run
    records : by name 'STAGE/QUANTITY', in the order of the data flow
    stages : the network's, by name
    """

    def __init__(self, file: h5py.File, header: Header, schema: int) -> None:
        self._file = file
        self.header = header
        self.schema = schema
        self.architecture = Architecture(**header.architecture)
        self.config = ModelConfig.from_mapping(header.config)
        self.arithmetic: Arithmetic = named_arithmetic(header.arithmetic)
        self._formats = Formats.from_toml(header.formats) if self.arithmetic is FIXED else None
        self.stages = wiring(self.architecture, self.config)
        found = file["records"]
        self.records = {
            f"{stage.name}/{quantity}": _labelled(found[stage.name][quantity], stage.name, quantity)
            for stage in self.stages.values()
            if stage.name in found
            for quantity in self.quantities(stage)
            if quantity in found[stage.name]
        }

    def quantities(self, stage: Stage) -> tuple[str, ...]:
        """What is recorded of a stage in this arithmetic, in the order in which it comes about."""
        registers_alone = () if self.arithmetic is FIXED or stage.kind == HEAD else ("sum",)
        return tuple(quantity for quantity in stage.quantities if quantity not in registers_alone)

    def require_fixed(self, what: str) -> None:
        """Raise TraceError, in the name of what needs registers, unless the run was in fixed point."""
        if self.arithmetic is not FIXED:
            raise TraceError(
                f"{what}: expected a trace in fixed point, found {self.arithmetic.name}; record the run with "
                "--arithmetic fixed"
            )

    @property
    def formats(self) -> Formats:
        """Registers of the run; raises TraceError where there are none."""
        self.require_fixed("registers")
        assert self._formats is not None
        return self._formats

    @property
    def input(self) -> np.ndarray | None:
        """What the network ran on, as it takes it; None in a file of schema 1."""
        return self._file["input"][()] if self.schema > WHOLE_NUMBERS_ALONE else None

    def parameters(self, weights: str | os.PathLike[str] | None = None) -> FixedParameters:
        """The whole-number parameters that were traced; None stands for the weights that ship with the package.

        Raises TraceError when these weights, in the trace's formats, or their settings are not what was traced (their
        own T may be another one, as a run may take any), and when the run was not in fixed point.
        """
        self.require_fixed("whole-number parameters")
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
        """The numbers of a record, [steps, tokens, channels]: int64, or real as recorded; spikes as 0 and 1."""
        record = self.records[name]
        if record.quantity != "spikes":
            return np.asarray(self._file["records"][name][()], self.arithmetic.dtype if record.real else WIDE)
        offsets, channels = self.events(name)
        return dense(offsets, channels, self._shape(record))

    def events(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and channels of a record of spikes."""
        group = self._file["records"][name]
        return group["offsets"][()], group["channels"][()]

    def check(self) -> None:
        """Raise TraceError unless the hash is that of the content, and the content is what its attributes say."""
        hashes, wrong = {}, ""
        for name, record in self.records.items():
            arrays = self.events(name) if record.quantity == "spikes" else (self._file["records"][name][()],)
            hashes[name] = array_hash(record.attributes, arrays, self.schema)
            if not wrong and not self._fits(record, arrays):
                wrong = f"of '{name}', {self._shape(record)}, found {arrays[0].dtype} {arrays[0].shape}"
        if self.schema > WHOLE_NUMBERS_ALONE:
            hashes["input"] = array_hash((), [self._file["input"][()]], self.schema)
        text = bytes(self._file["header"][()]).decode()
        if file_hash(text, hashes) != self.sha256:
            raise TraceError("the content does not have the hash that it was written with; record the run again")
        if wrong:
            numbers = "whole numbers" if self.arithmetic is FIXED else self.arithmetic.name
            raise TraceError(f"expected {numbers} or events in the shape {wrong}; record the run again")

    def _fits(self, record: Record, arrays: Sequence[np.ndarray]) -> bool:
        if record.quantity == "spikes":
            return not record.real and are_events(arrays, self._shape(record))
        return record.real == (self.arithmetic is not FIXED) and are_numbers(
            arrays[0], self._shape(record), self.arithmetic
        )

    def _shape(self, record: Record) -> tuple[int, int, int]:
        return len(self.header.steps), record.tokens, record.channels

    @property
    def sha256(self) -> str:
        """Of header, input and records."""
        return bytes(self._file.attrs["sha256"]).decode()


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
    if not is_int(version) or not WHOLE_NUMBERS_ALONE <= version <= SCHEMA_VERSION:
        raise TraceError(
            f"schema version: expected {WHOLE_NUMBERS_ALONE} or {SCHEMA_VERSION}, found {version}; record the run again"
        )
    if "sha256" not in file.attrs:
        raise TraceError("not complete: the run that wrote it was interrupted; record it again")
    header = Header(**json.loads(bytes(file["header"][()]).decode()))
    if version == WHOLE_NUMBERS_ALONE and header.arithmetic != FIXED.name:
        raise TraceError(f"schema 1 is of whole numbers, found {header.arithmetic}; record the run again")
    return Trace(file, header, int(version))
