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
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np

from ..engine.events import CHANNEL, OFFSET
from ..errors import TraceError, shown
from ..files import open_plain
from ..fixed.formats import Formats
from ..fixed.quantise import FixedParameters, quantise
from ..fixed.registers import WIDE
from ..hdf5 import File, damage_named, looked_at
from ..weights.architecture import Architecture
from ..weights.arithmetic import FIXED, Arithmetic
from ..weights.arithmetic import arithmetic as named_arithmetic
from ..weights.config import ModelConfig, is_int
from ..weights.file import load
from ..weights.wiring import HEAD, Stage, wiring
from . import validation
from .content import are_events, are_numbers, dense, require_within
from .hashing import WHOLE_NUMBERS_ALONE, array_hash, digest, file_hash
from .header import Header, parsed
from .records import Layout, Record, grids

FORMAT, SCHEMA_VERSION = "sdt_ref trace", 2
EXPECTED, REMEDY = "HDF5 written by sdt_ref.trace", "record the run again"


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

    def __init__(self, file: File, header: Header, schema: int) -> None:
        self._file = file
        self.header = header
        self.schema = schema
        self.architecture = Architecture(**header.architecture)
        self.config = ModelConfig.from_mapping(header.config)
        self.arithmetic: Arithmetic = named_arithmetic(header.arithmetic)
        self.stages = wiring(self.architecture, self.config)
        self._formats = validation.formats_of(header, self.architecture)
        validation.check_tables(header, self.stages, self.config)
        known = {stage.name: self.quantities(stage) for stage in self.stages.values()}
        self._nodes = validation.records_of(file, known)
        sizes = self._sizes()
        validation.check_neurons(header, self.stages, self._formats, sizes)
        self.records = {name: validation.labelled(node, *name.rsplit("/", 1)) for name, node in self._nodes.items()}
        neurons = header.neuron["stages"]
        one = grids(self.stages, (1, 1)) if sizes is None else sizes
        self._layout = Layout(self.stages, self.arithmetic, self._formats, neurons, one)

    def _sizes(self) -> dict[str, tuple[int, int]] | None:
        """Height and width of each stage's tokens; None where neither an input nor a record says them."""
        if self.schema > WHOLE_NUMBERS_ALONE:
            size: tuple[int, int] | None = validation.size_of_input(self._file, self.header, self.config)
        else:
            size = validation.size_by_records(self._nodes, self.stages, self.config)
        return None if size is None else grids(self.stages, size)

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
        if dataclasses.asdict(read.architecture) != self.header.architecture:
            raise TraceError(
                f"trace of another network: expected {self.architecture}, found {read.architecture} {where}"
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
            return np.asarray(self._nodes[name][()], self.arithmetic.dtype if record.real else WIDE)
        offsets, channels = self.events(name)
        return dense(offsets, channels, self._shape(record))

    def events(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and channels of a record of spikes."""
        offsets, channels = self._arrays(self.records[name])
        return offsets.astype(OFFSET, copy=False), channels.astype(CHANNEL, copy=False)

    def check(self) -> None:
        """Raise TraceError unless the hash is that of the content, and the content is what the header says.

        Every record is read once; one that claims more numbers than it may have is refused before.
        """
        hashes, wrong = {}, None
        for name, record in self.records.items():
            expected = self._layout.record(self.stages[record.stage], record.quantity, record.fraction)
            self._require_no_more(record, expected)
            arrays = self._arrays(record)
            hashes[name] = array_hash(record.attributes, arrays, self.schema)
            try:
                validation.check_labels(record, expected)
                self._check_content(expected, arrays)
            except TraceError as error:
                wrong = wrong or error
        if self.schema > WHOLE_NUMBERS_ALONE:
            read = self._file["input"][()]
            hashes["input"] = array_hash((), [read], self.schema)
            right = read.dtype.newbyteorder("=") == self.arithmetic.dtype
            if not (right and np.isfinite(read).all()):
                numbers = f"finite numbers in {self.arithmetic.dtype}"
                wrong = wrong or TraceError(f"input: expected {numbers}, found {read.dtype}; record the run again")
        if file_hash(validation.text_of(self._file), hashes) != self.sha256:
            raise TraceError("the content does not have the hash that it was written with; record the run again")
        if wrong is not None:
            raise wrong

    def _require_no_more(self, record: Record, expected: Record) -> None:
        """Raise TraceError where a record claims more numbers than one of its name may have."""
        rows = len(self.header.steps) * expected.tokens
        node, all_of_them = self._nodes[record.name], rows * expected.channels
        most = {"offsets": rows + 1, "channels": all_of_them} if record.quantity == "spikes" else {"": all_of_them}
        for part, limit in most.items():
            dataset = node[part] if part else node
            if dataset.shape is None or dataset.size > limit:
                raise TraceError(
                    f"record '{record.name}': expected {f'{part} of ' if part else ''}at most {limit:,} numbers, "
                    f"found {'none' if dataset.shape is None else f'{dataset.size:,}'}; record the run again"
                )

    def _arrays(self, record: Record) -> tuple[np.ndarray, ...]:
        node = self._nodes[record.name]
        return tuple(node[part][()] for part in validation.parts(record.quantity)) or (node[()],)

    def _check_content(self, record: Record, arrays: Sequence[np.ndarray]) -> None:
        """Raise TraceError unless arrays have the type and shape of a record, and its numbers fit its register."""
        spikes, shape = record.quantity == "spikes", self._shape(record)
        if not (are_events(arrays, shape) if spikes else are_numbers(arrays[0], shape, self.arithmetic)):
            numbers = "whole numbers" if self.arithmetic is FIXED else self.arithmetic.name
            raise TraceError(
                f"expected {numbers} or events in the shape of '{record.name}', {shape}, found {arrays[0].dtype} "
                f"{shown(arrays[0].shape)}; record the run again"
            )
        if not (spikes or record.real):
            require_within(record, arrays[0])

    def _shape(self, record: Record) -> tuple[int, int, int]:
        return len(self.header.steps), record.tokens, record.channels

    @property
    def sha256(self) -> str:
        """Of header, input and records."""
        return self._file.text("sha256")


@contextmanager
def open_trace(path: str | os.PathLike[str]) -> Iterator[Trace]:
    """Open a trace file and check its hash.

    Raises TraceError when it is missing, not a trace, of another version, not complete or damaged.
    """
    with open_plain(path, "trace", TraceError) as stream, ExitStack() as stack:
        with damage_named(stream, f"trace '{path}'", TraceError, EXPECTED, REMEDY):
            trace = _opened(stack.enter_context(looked_at(stream)))
            trace.check()
        yield trace


def _opened(file: File) -> Trace:
    found = file.attribute("format")
    if not (isinstance(found, str) and found == FORMAT):
        raise TraceError(f"not a trace: expected attribute 'format' to be '{FORMAT}', found {shown(found)}; {REMEDY}")
    version = file.attribute("schema_version", variable=True)
    if not is_int(version) or not WHOLE_NUMBERS_ALONE <= version <= SCHEMA_VERSION:
        raise TraceError(
            f"schema version: expected {WHOLE_NUMBERS_ALONE} or {SCHEMA_VERSION}, found {shown(version)}; record the "
            "run again"
        )
    if file.attribute("sha256") is None:
        raise TraceError("not complete: the run that wrote it was interrupted; record it again")
    header = parsed(validation.text_of(file))
    if version == WHOLE_NUMBERS_ALONE and header.arithmetic != FIXED.name:
        raise TraceError(f"schema 1 is of whole numbers, found {header.arithmetic}; record the run again")
    return Trace(file, header, int(version))
