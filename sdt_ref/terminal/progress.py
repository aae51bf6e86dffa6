"""What is going on, on standard error, while it lasts: bars, and the notice that kernels are compiled."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from ..kernels import policy
from .screen import Screen
from .words import plain

BAR = 40  # columns of a bar, where there is room
LEAST_BAR = 8  # a shorter one says nothing
BESIDE = 48  # columns of what stands beside a bar: what is being done, how many of how many, the time


def _progress(screen: Screen, *columns: ProgressColumn) -> Progress:
    """A display that vanishes at its end; in a narrow window its bar is shorter or left out, and no number is cut."""
    room = min(BAR, screen.width - BESIDE)
    bar = [BarColumn(bar_width=room)] if room >= LEAST_BAR else []
    words = TextColumn("{task.description}", table_column=Column(no_wrap=False))
    shown = words, *bar, *columns
    return Progress(*shown, console=screen, transient=True, disable=not screen.is_terminal)


@contextlib.contextmanager
def working(screen: Screen, verb: str) -> Iterator[Callable[[str], None]]:
    """Show what is being worked on, while it lasts; yields a function that takes its name."""
    with _progress(screen, TimeElapsedColumn(table_column=Column(no_wrap=True))) as progress:
        task = progress.add_task(verb, total=None)
        yield lambda name: progress.update(task, description=f"{verb} {plain(name)}")


@contextlib.contextmanager
def counting(screen: Screen, verb: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show how many of how many are done; yields a function that takes their number, and words instead of the verb."""
    whole = Column(no_wrap=True)
    columns = MofNCompleteColumn(table_column=whole), TimeElapsedColumn(table_column=whole), TimeRemainingColumn()
    with _progress(screen, *columns) as progress:
        task = progress.add_task(verb, total=total)
        yield lambda done, words: progress.update(task, completed=done, description=words)


@contextlib.contextmanager
def kernels_loading(screen: Screen, arithmetic: str) -> Iterator[None]:
    """Say so when kernels have to be compiled, and compile all of them: the first run with an arithmetic takes a while.

    Where they cannot be kept, the run compiles what it needs and no more.

    Meanwhile `sys.modules` says, to this whole process, that scipy.linalg cannot be imported: with the first kernel
    numba imports it, to find a BLAS that no kernel here calls, for a fifth of a small run's time. Another thread that
    imports it at that moment gets an ImportError.
    """
    from numba.core import event

    class Notice(event.Listener):  # numba has no types
        shown = False

        def on_start(self, event: Any) -> None:
            if not self.shown:
                self.shown = True
                kept = "which are kept" if policy.cache_folder() else "which can be kept nowhere"
                screen.print(f"compiling kernels for {arithmetic}, {kept}: this takes a few seconds", style="dim")

        def on_end(self, event: Any) -> None:
            """Nothing to say."""

    keep_out = "scipy.linalg" not in sys.modules
    if keep_out:
        sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        notice = Notice()
        with event.install_listener("numba:compile", notice):
            yield
            if policy.unkept:
                screen.print(f"they are not kept: {plain(str(policy.unkept[0]))}", style="dim")
            elif notice.shown and policy.cache_folder():  # then all, so that no later run has to
                from ..network.warm_up import compile_all

                compile_all(arithmetic)
    finally:
        if keep_out:
            del sys.modules["scipy.linalg"]
