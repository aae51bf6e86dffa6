"""What a design under test wrote, read into the shapes of the golden trace.

.h5    a trace, or any HDF5 file with datasets records/STAGE/QUANTITY laid out as in a trace
.npz   arrays named STAGE/QUANTITY, [steps, tokens, channels] as in the trace; spikes as 0 and 1
.csv   a header line, then one number per line: record,step,token,channel,value; or one spike per line, in the order in
       which the device sent them: record,step,token,channel
.mem   words as `packing` describes them, as $writememh leaves them: @address, // comments; one record in each file

Whatever is missing, cut off, unknown (x, z) or wider than its register is refused: a dump is complete or it is no dump.
"""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import TraceError, require_file
from ..registers import WIDE
from .packing import unpacked
from .trace import Record, Trace, open_trace

FORMS = (".h5", ".npz", ".csv", ".mem")
NUMBER_COLUMNS = ["record", "step", "token", "channel", "value"]
SPIKE_COLUMNS = NUMBER_COLUMNS[:-1]


@dataclass
class Dump:
    """Records of a device, in the shapes of a golden trace.

    Attributes
    ----------
    steps : time steps that it holds
    values : by record, int64[steps, tokens, channels]
    sent : by record of spikes that came as a list, its events in the order of the list, int64[events, 3]: step, token
        and channel
    beyond : records that the golden trace lacks, so that they cannot be compared
    """

    steps: list[int]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    sent: dict[str, np.ndarray] = field(default_factory=dict)
    beyond: list[str] = field(default_factory=list)


def read_dump(path: str, golden: Trace, record: str | None = None) -> Dump:
    """Read a dump.

    Parameters
    ----------
    golden : trace that it is to be compared with
    record : name of the only record in a .mem file that does not say it itself

    Raises TraceError in one line.
    """
    file = Path(path)
    require_file(file, "dump", TraceError)
    if file.suffix not in FORMS:
        raise TraceError(f"dump '{file}': expected a file that ends in {', '.join(FORMS)}")
    if record is not None and file.suffix != ".mem":
        raise TraceError(f"dump '{file}': --record is for .mem files; this one names its records itself")
    try:
        if file.suffix == ".h5":
            return _read_h5(file, golden)
        if file.suffix == ".npz":
            return _read_npz(file, golden)
        text = file.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise TraceError("ends in the middle of a line; write it anew" if text else "is empty; write it anew")
        return _read_csv(text, golden) if file.suffix == ".csv" else _read_mem(text, golden, record)
    except TraceError as error:
        raise TraceError(f"dump '{file}': {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"dump '{file}': cannot be read ({' '.join(str(error).split())}); write it anew") from None


def _record(golden: Trace, name: str) -> Record:
    if name not in golden.records:
        stage, _, quantity = name.rpartition("/")
        if stage in golden.stages and quantity in golden.stages[stage].quantities:
            raise TraceError(f"record '{name}' is not in the golden trace; record it there, or leave it out here")
        raise TraceError(f"unknown record '{name}'; records are STAGE/QUANTITY, such as '{next(iter(golden.records))}'")
    return golden.records[name]


def _checked(golden: Trace, record: Record, values: Any, steps: list[int]) -> np.ndarray:
    """Raise TraceError unless the values have a record's shape and fit its register."""
    array, name = np.asarray(values), record.name
    shape = len(steps), record.tokens, record.channels
    if array.dtype.kind not in "iub":
        raise TraceError(f"record '{name}': expected whole numbers, found {array.dtype}")
    if array.shape != shape:
        raise TraceError(f"record '{name}': expected [steps, tokens, channels] = {shape}, found {array.shape}")
    low, high = (0, 1) if record.quantity == "spikes" else (-(1 << (record.bits - 1)), (1 << (record.bits - 1)) - 1)
    wrong = (array < low) | (array > high)
    if wrong.any():
        step, token, channel = (int(part[0]) for part in np.nonzero(wrong))
        raise TraceError(
            f"record '{name}': expected {low} to {high}, found {array[step, token, channel]} at step {steps[step]}, "
            f"token {token}, channel {channel}; numbers are signed"
        )
    return array.astype(WIDE)


def _read_h5(file: Path, golden: Trace) -> Dump:
    with _opened_h5(file) as opened:
        is_trace = "format" in opened.attrs
    return _read_trace(file, golden) if is_trace else _read_plain_h5(file, golden)


@contextmanager
def _opened_h5(file: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(file, "r") as opened:
            yield opened
    except TraceError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise TraceError(f"expected HDF5, found a file that cannot be read ({error}); write it anew") from None


def _read_trace(file: Path, golden: Trace) -> Dump:
    with open_trace(file) as other:
        for what in ("architecture", "config", "formats", "parameters", "input"):
            if getattr(other.header, what) != getattr(golden.header, what):
                raise TraceError(
                    f"a trace of another run: its {what} differ{'s' * (what == 'input')} from the golden's"
                )
        steps = [step for step in other.header.steps if step in golden.header.steps]
        names = [name for name in other.records if name in golden.records]
        if not steps or not names:
            raise TraceError("has no record and time step in common with the golden trace")
        kept = [other.header.steps.index(step) for step in steps]
        dump = Dump(steps, beyond=[name for name in other.records if name not in golden.records])
        for name in names:
            dump.values[name] = _checked(golden, golden.records[name], other.values(name)[kept], steps)
        return dump


def _read_plain_h5(file: Path, golden: Trace) -> Dump:
    dump, steps = Dump(golden.header.steps), golden.header.steps
    with _opened_h5(file) as opened:
        stages = opened.get("records")
        if not isinstance(stages, h5py.Group) or not len(stages):
            raise TraceError("expected groups records/STAGE, found none")
        for stage, group in stages.items():
            for quantity in group:
                record = _record(golden, f"{stage}/{quantity}")
                node = group[quantity]
                if isinstance(node, h5py.Group):
                    offsets, channels = (np.asarray(node[part][()], WIDE) for part in ("offsets", "channels"))
                    rows = len(steps) * record.tokens
                    if len(offsets) != rows + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any() or (
                        offsets[-1] != len(channels)
                    ):  # fmt: skip
                        raise TraceError(
                            f"record '{record.name}': expected {rows + 1} offsets that rise from 0 to the number of "
                            f"channels, {len(channels)}"
                        )
                    row = np.repeat(np.arange(rows), np.diff(offsets))
                    step = np.asarray(steps)[row // record.tokens]
                    events = np.stack([step, row % record.tokens, channels], axis=1)
                    _take_events(dump, record, events)
                else:
                    dump.values[record.name] = _checked(golden, record, node[()], steps)
    return dump


def _read_npz(file: Path, golden: Trace) -> Dump:
    dump = Dump(golden.header.steps)
    if not zipfile.is_zipfile(file):
        raise TraceError("expected arrays of numbers that numpy.savez wrote, found another or a damaged file")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if not arrays.files:
                raise TraceError("holds no array")
            for name in arrays.files:
                dump.values[name] = _checked(golden, _record(golden, name), arrays[name], dump.steps)
    except TraceError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, ValueError) as error:
        raise TraceError(f"expected arrays of numbers that numpy.savez wrote ({error}); write it anew") from None
    return dump


def _take_events(dump: Dump, record: Record, events: np.ndarray) -> None:
    """Enter events [n, 3] of one record; raises TraceError when one is out of range or stands twice."""
    name = record.name
    limits = record.tokens, record.channels
    for column, what, limit in ((1, "token", limits[0]), (2, "channel", limits[1])):
        wrong = (events[:, column] < 0) | (events[:, column] >= limit)
        if wrong.any():
            found = events[wrong][0, column]
            raise TraceError(f"record '{name}': {what}: expected 0 to {limit - 1}, found {found}")
    values = np.zeros((len(dump.steps), *limits), WIDE)
    places = np.searchsorted(dump.steps, events[:, 0]), events[:, 1], events[:, 2]
    np.add.at(values, places, 1)
    if (values > 1).any():
        step, token, channel = (int(part[0]) for part in np.nonzero(values > 1))
        raise TraceError(
            f"record '{name}': the spike of step {dump.steps[step]}, token {token}, channel {channel} stands there "
            f"{values[step, token, channel]} times"
        )
    dump.values[name], dump.sent[name] = values, events


def _read_csv(text: str, golden: Trace) -> Dump:
    lines = csv.reader(io.StringIO(text))
    header = [column.strip() for column in next(lines)]
    if header not in (NUMBER_COLUMNS, SPIKE_COLUMNS):
        raise TraceError(
            f"line 1: expected '{','.join(NUMBER_COLUMNS)}', or for spikes '{','.join(SPIKE_COLUMNS)}', "
            f"found '{','.join(header)[:60]}'"
        )
    rows: dict[str, list[list[int]]] = {}
    for row in lines:
        if len(row) != len(header):
            raise TraceError(f"line {lines.line_num}: expected {len(header)} columns, found {len(row)}")
        name, *numbers = (cell.strip() for cell in row)
        try:
            whole = [int(number) for number in numbers]
        except ValueError:
            raise TraceError(f"line {lines.line_num}: {_not_a_number(','.join(numbers))}") from None
        if max(map(abs, whole)) >= 1 << 62:
            raise TraceError(f"line {lines.line_num}: a number does not fit its register")
        if whole[0] not in golden.header.steps:
            raise TraceError(f"line {lines.line_num}: time step {whole[0]} is not in the golden trace")
        if name not in rows:
            rows[name] = []
            record = _record(golden, name)
            if (record.quantity == "spikes") != (header == SPIKE_COLUMNS):
                raise TraceError(f"line {lines.line_num}: '{name}' belongs in a file of the other header")
        rows[name].append(whole)
    if not rows:
        raise TraceError("has a header and nothing else; spikes of a silent record cannot be told from none written")
    dump = Dump(golden.header.steps)
    for name, listed in rows.items():
        record, table = golden.records[name], np.array(listed, WIDE)
        if header == SPIKE_COLUMNS:
            _take_events(dump, record, table)
        else:
            dump.values[name] = _checked(golden, record, _placed(record, table, dump.steps), dump.steps)
    return dump


def _placed(record: Record, table: np.ndarray, steps: list[int]) -> np.ndarray:
    """Lines (step, token, channel, value) -> [steps, tokens, channels]; each place must be named once."""
    shape = len(steps), record.tokens, record.channels
    for column, what, limit in ((1, "token", record.tokens), (2, "channel", record.channels)):
        wrong = (table[:, column] < 0) | (table[:, column] >= limit)
        if wrong.any():
            raise TraceError(
                f"record '{record.name}': {what}: expected 0 to {limit - 1}, found {table[wrong][0, column]}"
            )
    places = np.searchsorted(steps, table[:, 0]), table[:, 1], table[:, 2]
    times = np.zeros(shape, WIDE)
    np.add.at(times, places, 1)
    if (times != 1).any():
        step, token, channel = (int(part[0]) for part in np.nonzero(times != 1))
        raise TraceError(
            f"record '{record.name}': expected every number once ({times.size:,}), found step {steps[step]}, token "
            f"{token}, channel {channel} {times[step, token, channel]} times; is the dump cut off?"
        )
    values = np.zeros(shape, WIDE)
    values[places] = table[:, 3]
    return values


def _read_mem(text: str, golden: Trace, name: str | None) -> Dump:
    named = re.findall(r"//\s*record:\s*(\S+)", text)
    if name is None and len(named) != 1:
        raise TraceError("expected to hear which record it holds: --record STAGE/QUANTITY, or a line '// record: ...'")
    record = _record(golden, name or named[0])
    steps = golden.header.steps
    rows = len(steps) * record.tokens
    words: dict[int, np.ndarray] = {}
    address = 0
    for number, line in enumerate(re.sub(r"/\*.*?\*/", _blank, text, flags=re.S).splitlines(), 1):
        for token in line.partition("//")[0].split():
            digits = token.removeprefix("@").replace("_", "")
            try:
                if token.startswith("@"):
                    address = int(digits, 16)
                    continue
                word = unpacked(digits, record.channels, record.bits)
            except ValueError as error:
                reason = str(error) if "wide" in str(error) else _not_a_number(token)
                raise TraceError(
                    f"line {number}: {reason}; a word of '{record.name}' is {record.channels} numbers of "
                    f"{record.bits} bits"
                ) from None
            if address >= rows or address in words:
                raise TraceError(
                    f"line {number}: expected each address from 0 to {rows - 1} once, found {address} "
                    f"{'again' if address in words else ''}".rstrip()
                )
            words[address] = word
            address += 1
    if len(words) != rows:
        absent = next(row for row in range(rows) if row not in words)
        raise TraceError(
            f"record '{record.name}': expected {rows:,} words ({len(steps)} time steps of {record.tokens} tokens), "
            f"found {len(words):,}; the first that is missing is {absent}: is the dump cut off?"
        )
    values = np.stack([words[row] for row in range(rows)]).reshape(len(steps), record.tokens, record.channels)
    return Dump(steps, {record.name: _checked(golden, record, values, steps)})


def _blank(comment: re.Match[str]) -> str:
    """The line breaks of a comment, so that line numbers stay right."""
    return "\n" * comment[0].count("\n") + " "


def _not_a_number(text: str) -> str:
    short = text if len(text) <= 40 else text[:40] + "..."
    unknown = re.search(r"[xXzZ?]", text)
    if unknown:
        return f"found '{short}', which holds an unknown value ({unknown[0]}); reset the device, or look at its drivers"
    return f"expected a whole number, found '{short}'"


def canonical(values: np.ndarray, steps: Iterable[int]) -> np.ndarray:
    """The spikes of dense values in canonical order: int64[events, 3], step, token and channel."""
    step, token, channel = np.nonzero(values)
    return np.stack([np.asarray(list(steps))[step], token, channel], axis=1)
