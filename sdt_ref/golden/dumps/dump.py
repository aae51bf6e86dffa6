"""What a design under test wrote, read into the shapes of the golden trace.

.h5    a trace, or any HDF5 file with datasets records/STAGE/QUANTITY laid out as in a trace
.npz   arrays named STAGE/QUANTITY, [steps, tokens, channels] as in the trace; spikes as 0 and 1
.csv   a header line, then one number per line: record,step,token,channel,value; or one spike per line, in the order in
       which the device sent them: record,step,token,channel
.mem   words as `packing` describes them, as $writememh leaves them: @address, // comments; one record in each file

Whatever is missing, cut off, unknown (x, z) or wider than its register is refused: a dump is complete or it is no dump.
Shapes are checked before numbers are read, so that a false one costs no memory.
"""

import csv
import io
import lzma
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...errors import TraceError, require_file
from ...fixed.registers import WIDE
from ..packing import digits, unpacked
from ..trace_file import Record, Trace, open_trace

FORMS = (".h5", ".npz", ".csv", ".mem")
NUMBER_COLUMNS = ["record", "step", "token", "channel", "value"]
SPIKE_COLUMNS = NUMBER_COLUMNS[:-1]
WHOLE_NUMBER, HEXADECIMAL = re.compile("[+-]?[0-9]+"), re.compile("[0-9a-fA-F]+")
PREFIXED = re.compile("0[xX][0-9a-fA-F]+")
NO_ARRAYS = (  # what zipfile and numpy raise
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError, EOFError, KeyError, RuntimeError,
    SyntaxError, ValueError,
)  # fmt: skip
MOST_DIGITS = 18  # of a number or an address; no register has more
NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass
class Dump:
    """Records of a device, in the shapes of a golden trace.

    Attributes
    ----------
    steps : time steps that it holds
    values : by record, int64[steps, tokens, channels]
    sent : by record of spikes that came as a list, its events in the order of the list, int64[events, 3]: step, token
        and channel
    extra : records that the golden trace lacks, so that they cannot be compared
    """

    steps: list[int]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    sent: dict[str, np.ndarray] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)


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
        dump = _read(file, golden, record)
        if not dump.values:
            raise TraceError("holds no record, so that there is nothing to compare")
        return dump
    except TraceError as error:
        raise TraceError(f"dump '{file}': {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"dump '{file}': cannot be read ({' '.join(str(error).split())}); write it anew") from None


def _read(file: Path, golden: Trace, record: str | None) -> Dump:
    if file.suffix == ".h5":
        return _read_h5(file, golden)
    if file.suffix == ".npz":
        return _read_npz(file, golden)
    text = file.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise TraceError("ends in the middle of a line; write it anew" if text else "is empty; write it anew")
    return _read_csv(text, golden) if file.suffix == ".csv" else _read_mem(text, golden, record)


def _record(golden: Trace, name: str) -> Record:
    if name not in golden.records:
        stage, _, quantity = name.rpartition("/")
        if stage in golden.stages and quantity in golden.stages[stage].quantities:
            raise TraceError(f"record '{name}' is not in the golden trace; record it there, or leave it out here")
        raise TraceError(f"unknown record '{name}'; records are STAGE/QUANTITY, such as '{next(iter(golden.records))}'")
    return golden.records[name]


def _checked(record: Record, values: Any, steps: list[int]) -> np.ndarray:
    """Raise TraceError unless the values have a record's shape and fit its register; see `_check_kind`."""
    _check_kind(record, values.dtype, values.shape, steps)
    array, name = np.asarray(values[()]), record.name
    low, high = (0, 1) if record.quantity == "spikes" else (-(1 << (record.bits - 1)), (1 << (record.bits - 1)) - 1)
    wrong = (array < low) | (array > high)
    if wrong.any():
        step, token, channel = (int(part[0]) for part in np.nonzero(wrong))
        raise TraceError(
            f"record '{name}': expected {low} to {high}, found {array[step, token, channel]} at step {steps[step]}, "
            f"token {token}, channel {channel}; numbers are signed"
        )
    return array.astype(WIDE)


def _check_kind(record: Record, dtype: np.dtype, found: tuple[int, ...] | None, steps: list[int]) -> None:
    """Raise TraceError unless type and shape are those of a record's numbers [steps, tokens, channels]."""
    shape = len(steps), record.tokens, record.channels
    if dtype.kind not in "iub":
        raise TraceError(f"record '{record.name}': expected whole numbers, found {dtype}")
    if found != shape:
        raise TraceError(f"record '{record.name}': expected [steps, tokens, channels] = {shape}, found {found}")


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
        dump = Dump(steps, extra=[name for name in other.records if name not in golden.records])
        for name in names:
            dump.values[name] = _checked(golden.records[name], other.values(name)[kept], steps)
        return dump


def _read_plain_h5(file: Path, golden: Trace) -> Dump:
    dump = Dump(golden.header.steps)
    with _opened_h5(file) as opened:
        stages = opened.get("records")
        if not isinstance(stages, h5py.Group) or not len(stages):
            raise TraceError("expected groups records/STAGE, found none")
        for stage, group in stages.items():
            if not isinstance(group, h5py.Group) or not len(group):
                raise TraceError(f"expected a group records/{stage} that holds records, found one that holds none")
            for quantity in group:
                record, node = _record(golden, f"{stage}/{quantity}"), group[quantity]
                if isinstance(node, h5py.Group):
                    _take_events(dump, record, _listed(record, node, dump.steps))
                else:
                    dump.values[record.name] = _checked(record, node, dump.steps)
    return dump


def _listed(record: Record, group: h5py.Group, steps: list[int]) -> np.ndarray:
    """Events [n, 3] of a group with offsets and channels, laid out as in a trace."""
    rows = len(steps) * record.tokens
    if record.quantity != "spikes":
        raise TraceError(f"record '{record.name}': expected a dataset, found a group; lists of events are of spikes")
    for part, most in (("offsets", rows + 1), ("channels", rows * record.channels)):
        node = group.get(part)
        if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "iu" or len(node.shape or ()) != 1:
            found = f"{node.dtype} of shape {node.shape}" if isinstance(node, h5py.Dataset) else "no such dataset"
            raise TraceError(f"record '{record.name}': {part}: expected whole numbers along one axis, found {found}")
        if len(node) > most:
            raise TraceError(f"record '{record.name}': {part}: expected {most:,} numbers at most, found {len(node):,}")
    offsets, channels = (np.asarray(group[part][()], WIDE) for part in ("offsets", "channels"))
    if len(offsets) != rows + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(channels):
        raise TraceError(
            f"record '{record.name}': expected {rows + 1} offsets that rise from 0 to the number of channels, "
            f"{len(channels)}"
        )
    row = np.repeat(np.arange(rows), np.diff(offsets))
    return np.stack([np.asarray(steps)[row // record.tokens], row % record.tokens, channels], axis=1)


def _read_npz(file: Path, golden: Trace) -> Dump:
    dump = Dump(golden.header.steps)
    if not zipfile.is_zipfile(file):
        raise TraceError("expected arrays of numbers that numpy.savez wrote, found another or a damaged file")
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                record = _record(golden, member.removesuffix(".npy"))
                if record.name in dump.values:
                    raise TraceError(f"record '{record.name}' stands in it twice; write each once")
                with archive.open(member) as stream:  # its header first
                    shape, _, dtype = NPY_HEADERS[np.lib.format.read_magic(stream)](stream)
                _check_kind(record, dtype, shape, dump.steps)
                with archive.open(member) as stream:
                    array = np.lib.format.read_array(stream, allow_pickle=False)
                    if stream.read(1):
                        raise TraceError(f"record '{record.name}': expected {array.size:,} numbers, found more behind")
                dump.values[record.name] = _checked(record, array, dump.steps)
    except TraceError:
        raise
    except NO_ARRAYS as error:
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
    lines = _csv_lines(text)
    header = next(lines)[1]
    if header not in (NUMBER_COLUMNS, SPIKE_COLUMNS):
        raise TraceError(
            f"line 1: expected '{','.join(NUMBER_COLUMNS)}', or for spikes '{','.join(SPIKE_COLUMNS)}', "
            f"found '{','.join(header)[:60]}'"
        )
    rows: dict[str, list[list[int]]] = {}
    for line, row in lines:
        if len(row) != len(header):
            raise TraceError(f"line {line}: expected {len(header)} columns, found {len(row)}")
        name, *numbers = row
        if not all(WHOLE_NUMBER.fullmatch(number) for number in numbers):
            raise TraceError(f"line {line}: {_not_a_number(','.join(numbers))}")
        if max(map(len, numbers)) > MOST_DIGITS:
            raise TraceError(f"line {line}: a number does not fit its register")
        whole = [int(number) for number in numbers]
        if whole[0] not in golden.header.steps:
            raise TraceError(f"line {line}: time step {whole[0]} is not in the golden trace")
        if name not in rows:
            rows[name] = []
            record = _record(golden, name)
            if (record.quantity == "spikes") != (header == SPIKE_COLUMNS):
                raise TraceError(f"line {line}: '{name}' belongs in a file of the other header")
        rows[name].append(whole)
    if not rows:
        raise TraceError("has a header and nothing else; spikes of a silent record cannot be told from none written")
    dump = Dump(golden.header.steps)
    for name, listed in rows.items():
        record, table = golden.records[name], np.array(listed, WIDE)
        if header == SPIKE_COLUMNS:
            _take_events(dump, record, table)
        else:
            dump.values[name] = _checked(record, _placed(record, table, dump.steps), dump.steps)
    return dump


def _csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line."""
    lines = csv.reader(io.StringIO(text))
    try:
        for row in lines:
            yield lines.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise TraceError(f"line {lines.line_num}: {error}; write it anew") from None


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
    if len(named) > 1:
        raise TraceError(f"expected one line '// record: ...', found {len(named)}; one file holds one record")
    if name is None and not named:
        raise TraceError("expected to hear which record it holds: --record STAGE/QUANTITY, or a line '// record: ...'")
    if name is not None and named not in ([], [name]):
        raise TraceError(f"expected the record of --record, '{name}', found the line '// record: {named[0]}'")
    record = _record(golden, name or named[0])
    steps = golden.header.steps
    rows = len(steps) * record.tokens
    words: dict[int, np.ndarray] = {}
    address = 0
    for number, line in enumerate(re.sub(r"/\*.*?\*/", _blank, text, flags=re.S).splitlines(), 1):
        for token in line.partition("//")[0].split():
            if token.startswith("@"):
                address = _address(number, token)
                continue
            if address >= rows or address in words:
                raise TraceError(
                    f"line {number}: expected each address from 0 to {rows - 1} once, found {address} "
                    f"{'again' if address in words else ''}".rstrip()
                )
            try:
                words[address] = _word(token, record)
            except TraceError as error:
                raise TraceError(
                    f"line {number}: {error}; a word of '{record.name}' is {record.channels} numbers of "
                    f"{record.bits} bits, {digits(record.channels, record.bits)} digits"
                ) from None
            address += 1
    if len(words) != rows:
        absent = next(row for row in range(rows) if row not in words)
        raise TraceError(
            f"record '{record.name}': expected {rows:,} words ({len(steps)} time steps of {record.tokens} tokens), "
            f"found {len(words):,}; the first that is missing is {absent}: is the dump cut off?"
        )
    values = np.stack([words[row] for row in range(rows)]).reshape(len(steps), record.tokens, record.channels)
    return Dump(steps, {record.name: _checked(record, values, steps)})


def _address(line: int, token: str) -> int:
    written = token.removeprefix("@").replace("_", "")
    if not HEXADECIMAL.fullmatch(written) or len(written) > MOST_DIGITS:
        raise TraceError(
            f"line {line}: expected an address, '@' and up to {MOST_DIGITS} hexadecimal digits, found '{_short(token)}'"
        )
    return int(written, 16)


def _word(token: str, record: Record) -> np.ndarray:
    """A word's numbers, int64[channels]; raises TraceError without saying where."""
    written, expected = token.replace("_", ""), digits(record.channels, record.bits)
    if written.startswith(("+", "-")) or (len(written) != expected and PREFIXED.fullmatch(written)):
        raise TraceError(f"expected hexadecimal digits alone, without a sign or '0x', found '{_short(token)}'")
    if not HEXADECIMAL.fullmatch(written):
        raise TraceError(_not_a_number(token, "hexadecimal digits"))
    if len(written) < expected:
        raise TraceError(f"expected all digits of the word, found {len(written)}: is it cut off?")
    try:
        return unpacked(written, record.channels, record.bits)
    except ValueError as error:
        raise TraceError(str(error)) from None


def _blank(comment: re.Match[str]) -> str:
    """The line breaks of a comment, so that line numbers stay right."""
    return "\n" * comment[0].count("\n") + " "


def _not_a_number(text: str, expected: str = "a whole number") -> str:
    unknown = re.search(r"[xXzZ?]", text)
    if unknown:
        return (
            f"found '{_short(text)}', which holds an unknown value ({unknown[0]}); reset the device, or look at its "
            "drivers"
        )
    return f"expected {expected}, found '{_short(text)}'"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."


def canonical(values: np.ndarray, steps: Iterable[int]) -> np.ndarray:
    """The spikes of dense values in canonical order: int64[events, 3], step, token and channel."""
    step, token, channel = np.nonzero(values)
    return np.stack([np.asarray(list(steps))[step], token, channel], axis=1)
