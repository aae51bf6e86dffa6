"""How a command ends before it is done: on Ctrl-C or SIGTERM, in one line, and nothing unfinished stays.

The handler ends the process itself. A KeyboardInterrupt is lost where it is raised in a callback of a C library or in a
destructor, and the command would go on. A program that imports the package keeps its own handlers.

The imports take most of a second and come before any code of a command. So this module is imported first, imports
nothing of the package itself, and acts when it is imported: `sdt_ref/__init__.py` begins with it.
"""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated"}  # Windows has no SIGHUP
INTERRUPTED = 128 + signal.SIGINT  # exit code
SHOWN_CURSOR = b"\r\x1b[2K\x1b[?25h"  # and the bar before it wiped out
LONGEST_WAIT = 1.0  # seconds, for a thread that is making a file

making = threading.RLock()  # held while a file or a folder is made
_undoing: dict[object, Callable[[], object]] = {}
_saying: list[Callable[[], str]] = []
_ending: list[int] = []


@contextlib.contextmanager
def undone_at_end(undo: Callable[[], object]) -> Iterator[None]:
    """Have `undo` called if the process is ended in here; what it undoes is made in here, too, holding `making`."""
    key = object()
    _undoing[key] = undo
    try:
        yield
    finally:
        del _undoing[key]


@contextlib.contextmanager
def adding_words(words: Callable[[], str]) -> Iterator[None]:
    """Have the last line go on with what `words` returns if the process is ended in here: such as how far it came."""
    _saying.append(words)
    try:
        yield
    finally:
        _saying.remove(words)


def end(number: int, _: Any = None) -> None:
    """Undo what is unfinished, say so in one line, and end the process with 128 + the number of the signal."""
    if _ending:  # a second signal: the first one is being obeyed
        return
    _ending.append(number)
    making.acquire(timeout=LONGEST_WAIT)  # and never released: no other thread makes anything from now on
    for undo in reversed(list(_undoing.values())):
        with contextlib.suppress(Exception):
            undo()
    with contextlib.suppress(Exception):  # standard error may be closed
        _say(" ".join(filter(None, [WORDS[signal.Signals(number).name], *(words() for words in _saying)])))
    os._exit(128 + number)


def _say(words: str) -> None:
    """Write the last line on standard error; what other threads still write there goes nowhere."""
    shown = sys.stderr.fileno()
    kept = os.dup(shown)
    os.dup2(os.open(os.devnull, os.O_WRONLY), shown)
    drawn = os.isatty(kept) and os.environ.get("TERM") != "dumb"
    os.write(kept, SHOWN_CURSOR * drawn + f"{words}\n".encode())


def _end_on_signals() -> None:
    """Obey signals so, if this process is a command; one that its parent ignores, as nohup does, stays ignored."""
    if not _is_command() or threading.current_thread() is not threading.main_thread():
        return
    by_default = (signal.SIG_DFL, signal.default_int_handler)
    numbers = [getattr(signal, name) for name in WORDS if hasattr(signal, name)]
    for number in [number for number in numbers if signal.getsignal(number) in by_default]:
        signal.signal(number, end)
        # registered first, so called last: Python takes the handlers away then, and all is done
        atexit.register(signal.signal, number, signal.SIG_IGN)


def _is_command() -> bool:
    """Whether this process was started as `python -m sdt_ref[.X]` or as `sdt-ref`, and not by one that was."""
    if sys.orig_argv[-1:] == ["--multiprocessing-fork"]:  # it has the arguments of its parent
        return False
    if sys.argv[:1] == ["-m"]:  # as long as Python looks for the module; the arguments behind its name are the user's
        module = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
        return module.partition(".")[0] == __name__.partition(".")[0]
    return bool(sys.argv) and os.path.splitext(os.path.basename(sys.argv[0]))[0] == "sdt-ref"


_end_on_signals()
