"""Ctrl-C while a command still imports: the same one line and exit code as later.

The imports take most of a second and come before any code of a command. So this module is imported first, imports
nothing of the package itself, and acts when it is imported: `sdt_ref/__init__.py` begins with it.
"""

import os
import signal
import sys
import threading
from typing import Any

INTERRUPTED = 130  # exit code: 128 + SIGINT


def end(*_: Any) -> None:
    """End the process as an interrupted command ends."""
    if sys.stderr is not None:
        os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(INTERRUPTED)


def end_while_importing() -> None:
    """Until `raise_from_now`, let Ctrl-C end the process, if it is a command and not a program that imports us."""
    if (
        _is_command()
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, end)


def raise_from_now() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, which `cli.guarded` turns into the same line."""
    if signal.getsignal(signal.SIGINT) is end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_command() -> bool:
    """Whether this process was started as `python -m sdt_ref[.X]` or as `sdt-ref`."""
    if sys.argv[:1] == ["-m"]:  # as long as Python looks for the module; the arguments behind its name are the user's
        module = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
        return module.partition(".")[0] == __name__.partition(".")[0]
    return bool(sys.argv) and os.path.splitext(os.path.basename(sys.argv[0]))[0] == "sdt-ref"


end_while_importing()
