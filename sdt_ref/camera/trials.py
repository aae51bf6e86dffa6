"""DVS128 Gesture: a recording holds one gesture after the other, and a table beside it says when each was made.

The table `*_labels.csv` has the columns class, startTime_usec and endTime_usec; classes count from 1 there, labels from
0 here. A trial is the events with start <= t < end, wherever they stand in the file.
Source: Amir et al., A Low Power, Fully Event-Based Gesture Recognition System, 2017; spikingjelly 0.0.0.0.12, which
masks by time too, since some trials of the published tables overlap.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecordingError, shown
from ..files import require_file
from .recording import CameraEvents, EventFile
from .source import Source

COLUMNS = ["class", "startTime_usec", "endTime_usec"]
LABELS = "_labels.csv"
LIMIT = 1 << 20  # bytes; a table of the data set has about 500


@dataclass(frozen=True)
class Trial:
    """One gesture of a recording.

    Attributes
    ----------
    label : class, from 0
    start, end : microseconds; the end is not part of it
    number : how many of this class came before it in the table; spikingjelly names its file {recording}_{number}.npz
    """

    label: int
    start: int
    end: int
    number: int


def table_beside(recording: Path) -> Path:
    """The table of a recording's trials, as the data set names it."""
    return recording.with_name(recording.stem + LABELS)


def list_trials(source: Any, name: str | None = None) -> list[Trial]:
    """Read the trials of a recording, in the order of the table.

    Parameters
    ----------
    source, name : of the table, as in `open_recording`

    Raises RecordingError when it is no such table, or has no trials.
    """
    if isinstance(source, (str, os.PathLike)):
        require_file(Path(source), "trials", RecordingError)
    table = Source(source, name)
    if table.size > LIMIT:
        raise RecordingError(f"trials '{table.name}': expected at most {LIMIT} bytes, found {table.size}")
    lines = io.StringIO(table.head(LIMIT).decode("utf-8-sig", "replace"), newline="")
    trials: list[Trial] = []
    before: Counter[int] = Counter()
    try:
        for number, row in enumerate(csv.reader(lines)):
            cells = [cell.strip() for cell in row]
            if number == 0 and cells != COLUMNS:
                raise RecordingError(
                    f"trials '{table.name}': expected the columns {','.join(COLUMNS)}, found {shown(','.join(cells))}"
                )
            if number and cells:
                trial = _trial(cells, before, f"trials '{table.name}', line {number + 1}")
                before[trial.label] += 1
                trials.append(trial)
    except csv.Error as error:
        raise RecordingError(f"trials '{table.name}': expected comma-separated values ({error})") from None
    if not trials:
        raise RecordingError(f"trials '{table.name}': expected trials, found none")
    return trials


def _trial(cells: list[str], before: Counter[int], where: str) -> Trial:
    if len(cells) != len(COLUMNS) or not all(cell.isascii() and cell.isdigit() and len(cell) < 19 for cell in cells):
        raise RecordingError(f"{where}: expected three whole numbers, found {shown(','.join(cells))}")
    kind, start, end = map(int, cells)
    if kind < 1 or end < start:
        raise RecordingError(
            f"{where}: expected a class from 1, and no end before the start, found {kind},{start},{end}"
        )
    return Trial(kind - 1, start, end, before[kind - 1])


def only(recording: EventFile, trial: Trial) -> EventFile:
    """Restrict a recording to the events of one trial; repairs are those of the whole recording."""
    repairs: Counter[str] = Counter()

    def read() -> Iterator[CameraEvents]:
        repairs.clear()
        for events in recording.read():
            inside = (events.t >= trial.start) & (events.t < trial.end)
            if inside.any():
                yield events.where(inside)
        repairs.update(recording.repairs)

    name = f"{recording.name}, {trial.start} to {trial.end} us"
    return EventFile(name, recording.format, recording.sensor, read, repairs)
