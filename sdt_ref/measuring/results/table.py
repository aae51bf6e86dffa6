"""A table, .csv: name, label, predicted, `logit:CLASS` of each class, in fixed point `sum:CLASS` and scale; and run.

Numbers are the shortest decimals that read back the same; `run` is the short digest of the run. The text is UTF-8 in
every case: what no text can hold, such as a byte of a file's name, is written as in Python ('\\udcff'), and a backslash
that would look like the beginning of one of these as '\\u005c'. A table does not say how wide its floats were, so that
logits are read as float64: as float32 they are those that were written.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from ...errors import ConfigError, shown
from ...jobs.identity import DIGEST, Identity
from .rows import BLOCK, Chunks, Content, Rows, reading, require_classes, require_scale, require_sound

NAMED, LOGIT, SUM, SCALE, RUN = ["name", "label", "predicted"], "logit:", "sum:", "scale", "run"
LONGEST_RECORD = 1 << 22  # characters; 100,000 classes take less
CELL = 128  # bytes of a number as text, in an array or as an object
SPECIAL = re.compile(r'[",\r\n]')
NO_TEXT = re.compile(r"[\ud800-\udfff]|\\(?=u(?:d[89a-f][0-9a-f]{2}|005c))")
SPELLED = re.compile(r"\\u(d[89a-f][0-9a-f]{2}|005c)")
WHOLE_NUMBERS = re.compile(r"(?:-?[0-9]{1,19},)*")
DECIMALS = re.compile(r"(?:[-+.0-9e]+,|nan,|-?inf,)*")


def write_csv(part: Path, chunks: Chunks, first: Rows, classes: Sequence[str], run: Identity) -> None:
    """Write all rows; `first` are rows of the same kind, possibly none."""
    sums = [] if first.sums is None else [*map(f"{SUM}{{}}".format, classes), SCALE]
    heading = [*NAMED, *(f"{LOGIT}{name}" for name in classes), *sums, RUN]
    with part.open("w", encoding="utf-8", newline="") as text:
        text.write(_line(map(_quoted, heading)))
        step = max(1, BLOCK // (CELL * len(heading)))
        for rows in chunks():
            for at in range(0, len(rows), step):
                text.writelines(_lines(rows[at : at + step], run.digest))


def _lines(rows: Rows, run: str) -> Iterator[str]:
    logits = _decimals(rows.logits).tolist()
    whole: list[list[str]] = [[]] * len(rows)
    if rows.sums is not None and rows.scale is not None:
        whole = [[*map(str, line), repr(float(rows.scale))] for line in rows.sums.tolist()]
    labels = zip(rows.names, rows.labels.tolist(), rows.predicted.tolist(), strict=True)
    for (name, label, predicted), numbers, sums in zip(labels, logits, whole, strict=True):
        yield _line([_quoted(name), str(label), str(predicted), *numbers, *sums, run])


def _decimals(values: np.ndarray) -> np.ndarray:
    """The shortest decimals that read back the same, also through float64, as Python and pandas read them."""
    texts = values.astype(str)
    other = texts.astype(np.float64).astype(values.dtype) != values  # rounded twice, such as 7.038531e-26, and nan
    texts[other] = values[other].astype(np.float64).astype(str)
    return texts


def _line(cells: Iterator[str] | list[str]) -> str:
    return ",".join(cells) + "\n"


def _quoted(text: str) -> str:
    """A cell of text, in quotes where it needs them."""
    spelled = NO_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return '"{}"'.format(spelled.replace('"', '""')) if SPECIAL.search(spelled) else spelled


def _unquoted(text: str) -> str:
    return SPELLED.sub(lambda found: chr(int(found[1], 16)), text)


def open_csv(path: str) -> Content:
    """Look at the heading, and at the run and the scale of the first row.

    Raises ConfigError for another heading.
    """
    with reading(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        records = _records(text)
        classes, is_fixed = _classes(next(records, (1, []))[1])
        line, row = next(records, (2, []))
        layout = _Layout(classes, is_fixed, row)
        if row:
            layout.check(line, row)
    return Content(classes, layout.run, is_fixed, partial(_rows, path, layout))


def _classes(heading: list[str]) -> tuple[tuple[str, ...], bool]:
    """The names of all classes, and whether the table has sums."""
    logits = [cell.removeprefix(LOGIT) for cell in heading if cell.startswith(LOGIT)]
    fixed = [*NAMED, *map(f"{LOGIT}{{}}".format, logits), *map(f"{SUM}{{}}".format, logits), SCALE, RUN]
    floats = [*fixed[: len(NAMED) + len(logits)], RUN]
    if not logits or heading not in (floats, fixed):
        raise ConfigError(
            f"line 1: expected {','.join(NAMED)}, a column {LOGIT}CLASS for each class, in fixed point {SUM}CLASS and "
            f"{SCALE}, and {RUN}; found {shown(','.join(heading[:8]))}"
        )
    return require_classes([_unquoted(name) for name in logits]), heading == fixed


class _Layout:
    """Which columns a row has, and what all rows have in common."""

    def __init__(self, classes: tuple[str, ...], is_fixed: bool, row: list[str]) -> None:
        self.classes, self.is_fixed = classes, is_fixed
        K = len(classes)
        self.logits = slice(len(NAMED), len(NAMED) + K)
        self.sums = slice(self.logits.stop, self.logits.stop + K * is_fixed)
        self.width = self.sums.stop + is_fixed + 1
        self.common = row[self.sums.stop :]  # the scale, if there is one, and the run
        self.run = row[-1] if row else None
        self.scale: float | None = None

    def check(self, line: int, row: list[str]) -> None:
        """Raise ConfigError unless a row is as wide as the heading, and its numbers look like such."""
        if len(row) != self.width:
            raise ConfigError(f"line {line}: expected {self.width} columns, found {len(row)}")
        if row[self.sums.stop :] != self.common or not DIGEST.fullmatch(row[-1]):
            raise ConfigError(f"line {line}: expected one scale and one run in all rows, found {shown(row[-1])}")
        whole, decimals = [*row[1 : len(NAMED)], *row[self.sums]], [*row[self.logits], *self.common[:-1]]
        for cells, pattern, what in ((whole, WHOLE_NUMBERS, "whole numbers"), (decimals, DECIMALS, "decimals")):
            if not pattern.fullmatch("".join(f"{cell}," for cell in cells)):
                wrong = next(cell for cell in cells if not pattern.fullmatch(f"{cell},"))
                raise ConfigError(f"line {line}: expected {what}, found {shown(wrong)}")
        if self.is_fixed:
            self.scale = require_scale(float(self.common[0]))


def _rows(path: str, layout: _Layout, most: int) -> Iterator[Rows]:
    with reading(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        records = _records(text)
        if _classes(next(records, (1, []))[1]) != (layout.classes, layout.is_fixed):
            raise ConfigError("expected the columns that were opened, found others; leave the file as it is")
        first, most = 0, max(1, min(most, BLOCK // (CELL * layout.width)))
        held: list[list[str]] = []
        size = 0
        for line, row in records:
            layout.check(line, row)
            held.append(row)
            size += len(row[0])
            if len(held) == most or size > BLOCK:
                yield _taken(layout, held, first)
                first, held, size = first + len(held), [], 0
        if held:
            yield _taken(layout, held, first)


def _taken(layout: _Layout, rows: list[list[str]], first: int) -> Rows:
    """Cells that were looked at as numbers."""
    try:
        labels, predicted = (np.array([int(row[column]) for row in rows], np.int64) for column in (1, 2))
        logits = np.array([[float(cell) for cell in row[layout.logits]] for row in rows])
        sums = np.array([[int(cell) for cell in row[layout.sums]] for row in rows], np.int64)
    except (ValueError, OverflowError):
        raise ConfigError(f"images from {first}: expected numbers of 64 bits, found others") from None
    names = [_unquoted(row[0]) for row in rows]
    fixed = (sums, layout.scale) if layout.is_fixed else (None, None)
    return require_sound(Rows(names, labels, predicted, logits, *fixed), len(layout.classes), first)


def _records(text: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The last line's number, and the cells, of each row, of which a name may go over several lines."""
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        while line := text.readline(LONGEST_RECORD + 1):
            taken += len(line)
            if taken > LONGEST_RECORD:
                raise ConfigError(f"expected rows of at most {LONGEST_RECORD:,} characters, found a longer one")
            yield line

    reader = csv.reader(lines(), strict=True)
    for row in reader:
        taken = 0
        yield reader.line_num, row
