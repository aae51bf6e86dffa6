"""The screen of every command: text, and tables in which no number is ever cut.

A window has a width: text wraps between words there, and a table that does not fit is shown row by row, a line for each
cell. A file or a pipe has none: lines are as long as they are, so that `grep` finds whole rows.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ..camera.recording import TAKEN
from ..errors import spelled
from .words import plain

NARROWEST = 40  # columns; in a window below that, lines are longer than the window
LEAST_TEXT = 12  # columns that a column of text needs at least, to be read
LISTED = 20  # unreadable files that are named; --json names all


class Screen(Console):
    """A console for text, tables and bars; `:dog:` in a name is no emoji.

    Attributes
    ----------
    is_window : whether the output has a width: on a terminal, or where COLUMNS alone is set
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False, soft_wrap=True)
        asked_for = os.environ.get("COLUMNS", "").isdigit() and "LINES" not in os.environ  # readline sets both, unasked
        self.is_window = self.is_terminal or asked_for
        self.width = max(self.width, NARROWEST)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as Rich does, but wrap text only in a window, and only between words: Rich would cut long ones."""
        if self.is_window and len(objects) == 1 and isinstance(objects[0], str):
            objects = (_wrapped(objects[0], self.width),)
        super().print(*objects, **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does; no control character of a name from outside comes to the terminal, even so."""
        for part in super().render(renderable, options):
            is_sound = part.control or part.text.isprintable() or part.text == "\n"
            yield part if is_sound else Segment(spelled(part.text, keep="\n"), part.style)

    def print_table(self, table: Table, indent: int = 0) -> None:
        """Print a table made by `table`: as it is, or squeezed, or row by row; numbers are whole in all three."""
        if self.is_window and not _squeeze(table, self.width - indent):
            indent = 0
        if not self.is_window or _squeeze(table, self.width - indent):
            given = self.width
            self.width = max(given, 10_000)
            rows = self.render_lines(Padding(table, (0, 0, 0, indent), expand=False), self.options, pad=False)
            for row in rows:
                text = Text.assemble(*((part.text, part.style or "") for part in row))
                text.rstrip()  # of the blanks that fill a column
                super().print(text)
            self.width = given
            return
        for line in _stacked(table):
            self.print(line)

    def on_broken_pipe(self) -> None:
        """Let `cli.guarded` or `cli.showing` end the output; messages and bars may be lost."""
        if not self.stderr:
            raise BrokenPipeError
        self.quiet = True
        drop_output()


class SpelledTable(Table):
    """A table whose cells are spelled before their widths are measured."""

    def add_row(self, *cells: RenderableType | None, **how: Any) -> None:
        super().add_row(*(spelled(cell) if isinstance(cell, str) else cell for cell in cells), **how)


def table(*headings: str, left: int = 1, gap: int = 2, show_header: bool = True) -> Table:
    """Make a table: the first `left` columns are text, which may wrap; the others numbers, which never do."""
    made = SpelledTable(box=None, pad_edge=False, header_style="dim", padding=(0, gap, 0, 0), show_header=show_header)
    for n, heading in enumerate(headings):
        is_text = n < left
        made.add_column(spelled(heading), justify="left" if is_text else "right", no_wrap=not is_text)
    return made


def _wrapped(markup: str, width: int) -> Text:
    """Text in lines of at most so many columns, broken between words; a longer word makes a longer line."""
    lines: list[Text] = []
    for line in Text.from_markup(markup, emoji=False).split(allow_blank=True):
        breaks, start = [], 0
        for word in re.finditer(r"\S+", line.plain):
            if cell_len(line.plain[start : word.end()]) > width and line.plain[start : word.start()].strip():
                start = word.start()
                breaks.append(start)
        lines += line.divide(breaks)
        if breaks:
            for part in lines[-len(breaks) - 1 :]:
                part.rstrip()
    return Text("\n").join(lines)


def _squeeze(table: Table, width: int) -> bool:
    """Make a table fit by narrower gaps, then by wrapping its columns of text; whether it fits then."""
    whole, least = [], []
    for column in table.columns:
        cells = [Text.from_markup(str(cell), emoji=False).plain for cell in (column.header, *column.cells)]
        whole.append(max(map(cell_len, cells)))
        words = [cell_len(word) for cell in cells for word in cell.split()]
        least.append(whole[-1] if column.no_wrap else max([*words, min(whole[-1], LEAST_TEXT)]))
    gaps = len(whole) - 1
    if sum(whole) + gaps * table.padding[1] > width:
        table.padding = (0, 1, 0, 0)
    room = width - gaps * table.padding[1]
    while sum(whole) > room:
        widest = max(range(len(whole)), key=lambda n: whole[n] if whole[n] > least[n] else 0)
        if whole[widest] <= least[widest]:
            return False
        whole[widest] -= 1
    for column, columns in zip(table.columns, whole, strict=True):
        column.width = columns
    return True


def _stacked(table: Table) -> list[str]:
    """Each row as lines of markup: the first cell, then heading and value of the others that are not empty."""
    title, *headings = (str(column.header) for column in table.columns)
    rows = list(zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True))
    sizes = [Text.from_markup(cell, emoji=False).cell_len for _, *cells in rows for cell in cells]
    left, right = max(map(cell_len, headings), default=0), max(sizes, default=0)
    numbered = all(first.isdecimal() for first, *_ in rows)
    lines = [f"[dim]{escape(title)}[/]"] if title and not numbered else []
    for first, *cells in rows:
        lines.append(f"{title} {first}" if numbered else first)
        for heading, cell in zip(headings, cells, strict=True):
            if cell and (heading or not left):  # of a column without a heading, such as bars, nothing is lost
                room = max(0, right - Text.from_markup(cell, emoji=False).cell_len)
                lines.append(f"  [dim]{escape(heading.ljust(left))}[/]  {' ' * room}{cell}")
    return lines


def show_repairs(screen: Screen, repairs: Mapping[str, int]) -> None:
    """Say what was mended in recordings, or how it was understood, and how often."""
    for what, number in repairs.items():
        screen.print(f"[yellow]{'noticed' if TAKEN in what else 'repaired'}[/] {plain(what)}: {number:,}")


def show_overflows(screen: Screen, overflows: Mapping[str, Iterable[int]]) -> None:
    """Say which registers of fixed point could not hold all their numbers; overflows : by register, of each step."""
    beyond = {register: sum(per_step) for register, per_step in overflows.items()}
    registers = ", ".join(f"{register} {number:,}" for register, number in beyond.items() if number)
    if registers:
        screen.print(f"numbers that did not fit their registers: {registers}", style="yellow")


def show_unreadable(screen: Screen, unreadable: Sequence[tuple[str, str]]) -> None:
    """List files that could not be read, with the reasons."""
    for name, reason in unreadable[:LISTED]:
        screen.print(f"[red]unreadable[/] {plain(name)}: {plain(reason)}")
    if len(unreadable) > LISTED:
        screen.print(f"... and {len(unreadable) - LISTED} more; --json lists all")


def drop_output() -> None:
    """If a standard stream takes no more, leave the interpreter nothing to flush into it at its exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
