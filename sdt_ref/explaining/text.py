"""Text of the walk on a screen: titles, labelled paragraphs, notes; lines of at most 100 columns."""

import textwrap
from collections.abc import Sequence

from rich.markup import escape

from ..terminal.screen import Screen
from .characters import TextPicture, side_by_side

WIDEST = 100  # columns of text: longer lines are hard to follow
INDENT = 10  # of the text, behind its label


def heading(screen: Screen, title: str, names: str) -> None:
    """A title, with the names of its stages beside it, or below it where they do not fit."""
    room = min(screen.width, WIDEST) - len(title) - 2
    if screen.is_window and len(names) > room:
        screen.print(f"[bold]{escape(title)}[/]")
        return note(screen, names)
    shown = textwrap.shorten(names, room, placeholder=" ...") if names else ""
    beside = f"{' ' * (room - len(shown) + 2)}[dim]{escape(shown)}[/]" if names else ""
    return screen.print(f"[bold]{escape(title)}[/]{beside}")


def paragraph(screen: Screen, label: str, text: str) -> None:
    """Text behind a label."""
    for n, line in enumerate(wrapped(screen, text, INDENT)):
        shown = f"[dim]{label:<{INDENT - 4}}[/]" if n == 0 else " " * (INDENT - 4)
        screen.print(f"    {shown}{escape(line)}")


def wrapped(screen: Screen, text: str, indent: int) -> list[str]:
    """Lines that leave room for the indent; a word that is longer stays whole, as a number must."""
    room = min(screen.width, WIDEST) - indent
    return textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False)


def pictures_below(screen: Screen, pictures: Sequence[TextPicture]) -> None:
    """Small pictures, as many in a row as fit."""
    if not pictures:
        return
    screen.print()
    for line in side_by_side(pictures, min(screen.width, WIDEST) - INDENT, screen.options.ascii_only):
        screen.print(f"{' ' * INDENT}[cyan]{escape(line)}[/]" if line else "")


def note(screen: Screen, text: str) -> None:
    """Text that stands back."""
    for line in wrapped(screen, text, 4):
        screen.print(f"    [dim]{escape(line)}[/]")


def paragraph_of(screen: Screen, lead: str, text: str) -> None:
    """A paragraph whose first words are bold."""
    for n, line in enumerate(wrapped(screen, f"{lead}: {text}", 4)):
        screen.print(
            f"    [bold]{escape(line[: len(lead)])}[/]{escape(line[len(lead) :])}" if n == 0 else f"    {escape(line)}"
        )
