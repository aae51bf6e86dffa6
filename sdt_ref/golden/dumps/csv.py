"""CSV: a header line, then one number per line, or one spike per line in the order in which the device sent them."""

import csv
import re
from array import array
from collections.abc import Iterator
from typing import TextIO

import numpy as np

from ...errors import TraceError, shown
from ...fixed.registers import WIDE
from ..records import Record
from ..trace_file import Trace
from .dump import MOST_DIGITS, Dump, checked, find_record, not_a_number, require_whole, take_events
from .text import lines_of

NUMBER_COLUMNS = ["record", "step", "token", "channel", "value"]
SPIKE_COLUMNS = NUMBER_COLUMNS[:-1]
WHOLE_NUMBER = re.compile("[+-]?[0-9]+")


def read_csv(text: TextIO, golden: Trace) -> Dump:
    """Read a text of whole lines, one at a time; raises TraceError without the name of the file."""
    lines = _csv_lines(text)
    header = next(lines)[1]
    if header not in (NUMBER_COLUMNS, SPIKE_COLUMNS):
        raise TraceError(
            f"line 1: expected '{','.join(NUMBER_COLUMNS)}', or for spikes '{','.join(SPIKE_COLUMNS)}', "
            f"found {shown(','.join(header[: 2 * len(NUMBER_COLUMNS)]))}"
        )
    rows: dict[str, array[int]] = {}
    steps = set(golden.header.steps)
    for line, row in lines:
        if len(row) != len(header):
            raise TraceError(f"line {line}: expected {len(header)} columns, found {len(row)}")
        name, *numbers = row
        if not all(WHOLE_NUMBER.fullmatch(number) for number in numbers):
            raise TraceError(f"line {line}: {not_a_number(','.join(numbers))}")
        if max(map(len, numbers)) > MOST_DIGITS:
            raise TraceError(f"line {line}: a number does not fit its register")
        whole = [int(number) for number in numbers]
        if whole[0] not in steps:
            raise TraceError(f"line {line}: time step {whole[0]} is not in the golden trace")
        if name not in rows:
            rows[name] = array("q")
            record = find_record(golden, name)
            require_whole(record)
            if (record.quantity == "spikes") != (header == SPIKE_COLUMNS):
                raise TraceError(f"line {line}: '{name}' belongs in a file of the other header")
        rows[name].extend(whole)
        if len(rows[name]) > len(whole) * (most := _numbers_of(golden, name)):
            raise TraceError(f"line {line}: expected {most:,} lines of '{name}' at most, found more")
    if not rows:
        raise TraceError("has a header and no lines; write records without any spike as .npz or .h5")
    dump = Dump(golden.header.steps)
    for name, listed in rows.items():
        record, table = golden.records[name], np.array(listed, WIDE).reshape(-1, len(header) - 1)
        if header == SPIKE_COLUMNS:
            take_events(dump, record, table)
        else:
            dump.values[name] = checked(record, _placed(record, table, dump.steps), dump.steps)
    return dump


def _numbers_of(golden: Trace, name: str) -> int:
    record = golden.records[name]
    return len(golden.header.steps) * record.tokens * record.channels


def _csv_lines(text: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line."""
    lines = csv.reader(lines_of(text))
    try:
        for row in lines:
            yield lines.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise TraceError(f"line {lines.line_num}: {error}; write it again") from None


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
