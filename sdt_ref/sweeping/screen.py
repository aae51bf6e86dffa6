"""The rows of a grid on a screen."""

from ..terminal.screen import Screen, show_repairs, show_unreadable, table
from ..terminal.words import plain
from .grid import Outcome
from .table import HEAD, about, cells


def show(screen: Screen, outcome: Outcome) -> None:
    """Print the table, below it what it is of."""
    T, *bits, top1, interval, flips = HEAD
    shown = table(T, *(f"{name}, bits" for name in bits), top1, interval, flips, left=0)
    for row in outcome.rows:
        shown.add_row(*cells(row))
    screen.print_table(shown)
    screen.print("")
    for line in about(outcome):
        screen.print(plain(line))
    show_repairs(screen, outcome.repairs)
    show_unreadable(screen, outcome.unreadable)
