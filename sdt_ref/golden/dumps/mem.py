"""Hexadecimal words as $writememh leaves them: @address, // comments; one record in each file. See `packing`."""

import re
from typing import TextIO

import numpy as np

from ...errors import TraceError, shown
from ..packing import digits, unpacked
from ..records import Record
from ..trace_file import Trace
from .dump import MOST_DIGITS, Dump, checked, find_record, not_a_number, require_whole
from .text import read_all

HEXADECIMAL = re.compile("[0-9a-fA-F]+")
BESIDE = 256  # characters beside a word, for its address, a comment and the end of its line
COMMENTS = 1 << 20  # characters of the others
BLOCK_COMMENT = re.compile(r"/\*.*?\*/|/\*.*", re.S)  # the second has no end: the text is searched once
PREFIXED = re.compile("0[xX][0-9a-fA-F]+")


def read_mem(file: TextIO, golden: Trace, name: str | None) -> Dump:
    """Read a text of whole lines; `name` is the record that it holds, where the text does not say it.

    Raises TraceError without the name of the file.
    """
    text = read_all(file, _longest(golden))
    named = re.findall(r"//\s*record:\s*(\S+)", text)
    if len(named) > 1:
        raise TraceError(f"expected one line '// record: ...', found {len(named)}; one file holds one record")
    if name is None and not named:
        raise TraceError(
            "does not say which record it holds; name it with --record STAGE/QUANTITY, or in a line '// record: ...'"
        )
    if name is not None and named not in ([], [name]):
        raise TraceError(f"expected the record of --record, '{name}', found the line {shown(f'// record: {named[0]}')}")
    record = find_record(golden, name or named[0])
    require_whole(record)
    steps = golden.header.steps
    rows = len(steps) * record.tokens
    words: dict[int, np.ndarray] = {}
    address = 0
    for number, line in enumerate(BLOCK_COMMENT.sub(_blank, text).splitlines(), 1):
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
    return Dump(steps, {record.name: checked(record, values, steps)})


def _address(line: int, token: str) -> int:
    written = token.removeprefix("@").replace("_", "")
    if not HEXADECIMAL.fullmatch(written) or len(written) > MOST_DIGITS:
        raise TraceError(
            f"line {line}: expected an address, '@' and up to {MOST_DIGITS} hexadecimal digits, "
            f"found {shown(token, 40)}"
        )
    return int(written, 16)


def _word(token: str, record: Record) -> np.ndarray:
    """A word's numbers, int64[channels]; raises TraceError without saying where."""
    written, expected = token.replace("_", ""), digits(record.channels, record.bits)
    if written.startswith(("+", "-")) or (len(written) != expected and PREFIXED.fullmatch(written)):
        raise TraceError(f"expected hexadecimal digits alone, without a sign or '0x', found {shown(token, 40)}")
    if not HEXADECIMAL.fullmatch(written):
        raise TraceError(not_a_number(token, "hexadecimal digits"))
    if len(written) < expected:
        raise TraceError(f"expected all digits of the word, found {len(written)}: is it cut off?")
    try:
        return unpacked(written, record.channels, record.bits)
    except ValueError as error:
        raise TraceError(str(error)) from None


def _blank(comment: re.Match[str]) -> str:
    """The line breaks of a comment, so that line numbers stay right; what is not closed is none."""
    whole = comment[0].endswith("*/") and len(comment[0]) > 3
    return "\n" * comment[0].count("\n") + " " if whole else comment[0]


def _longest(golden: Trace) -> int:
    """Characters that any record of a trace can need, with an underscore beside each digit."""
    steps = len(golden.header.steps)
    words = [(steps * r.tokens, 2 * digits(r.channels, r.bits)) for r in golden.records.values() if not r.real]
    return COMMENTS + max((rows * (width + BESIDE) for rows, width in words), default=0)
