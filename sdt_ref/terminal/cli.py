"""What all command lines share: the parser, exit codes, the notice that kernels compile; and `sdt-ref COMMAND`."""

import argparse
import contextlib
import importlib
import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from rich.console import Console
from rich.markup import escape

from ..errors import ConfigError, SdtError
from ..kernels.policy import cache_folder

if TYPE_CHECKING:
    from rich.table import Table

    from ..network.model import SpikeDrivenTransformer


class Command(Protocol):
    """A command line: takes its arguments (None: those of the process), returns the exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run."""


COMMANDS = {
    "infer": "classify a picture or a recording, and show which spikes said so",
    "explain": "walk through one run, stage by stage, down to a single membrane",
    "evaluate": "measure the accuracy on a folder or pack of pictures, or of recordings",
    "energy": "count where operations and energy go, stage by stage",
    "claims": "check the paper's four claims, and show the evidence",
    "attention": "show which tokens and channels each attention lets through",
    "report": "write a page on which a run can be explored in a browser",
    "calibrate": "choose the registers of fixed point from sample pictures or recordings",
    "trace": "record every register of one run in fixed point",
    "compare": "find the first difference between a golden trace and a dump",
    "vectors": "write test vectors for RTL from a trace",
    "sizing": "say how wide and how deep hardware must be, from traces",
    "convert": "turn an official PyTorch checkpoint into a weights file",
}
CHECK_FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130
NARROWEST = 60  # columns; below that a table says nothing


class Parser(argparse.ArgumentParser):
    """Errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {' '.join(message.split())}; see --help\n")


class Screen(Console):
    """A console for tables and bars; a reader that leaves early is no error, and `:dog:` in a name is no emoji."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False, soft_wrap=True)
        self.width = max(self.width, NARROWEST)

    def print_whole(self, table: "Table") -> None:
        """Print a table whole: in a window that is too narrow its lines wrap, and no number is cut off."""
        given = self.width
        needed = table.__rich_measure__(self, self.options.update(max_width=10_000)).maximum
        self.width = max(given, needed)
        self.print(table)
        self.width = given

    def on_broken_pipe(self) -> None:
        """Let `showing` or `guarded` end the output; of messages and bars nobody misses any."""
        if not self.stderr:
            raise BrokenPipeError
        self.quiet = True
        _drop_output()


def plain(text: object) -> str:
    """Show a name from outside as it stands: no markup, no control characters."""
    return escape("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)))


def many(n: int, one: str) -> str:
    """Count things in words: '1 event', '1,234 events'."""
    return f"{n:,} {one}{'s' * (n != 1)}"


def parser(command: str, example: str) -> Parser:
    """Make the parser of one command, with --json and an example in its --help."""
    made = Parser(
        prog=f"sdt-ref {command}",
        description=f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    return made


def add_model_options(to: Parser) -> None:
    """Add the options of every command that runs the network."""
    to.add_argument(
        "--weights",
        metavar="W.h5",
        help="weights file, or a name that ships (default: what ships for pictures; for a recording, what reads it)",
    )
    to.add_argument("--arithmetic", metavar="A", help="float32 (default), float64, or fixed for whole numbers")
    to.add_argument("--formats", metavar="F.toml", help="registers of --arithmetic fixed (default: built in)")
    to.add_argument("--size", type=int, metavar="N", help="evaluate at N x N pixels instead of the weights' own size")
    to.add_argument("--threads", type=int, metavar="N", help="cores to use (default: all); changes no result")


def load_model(options: argparse.Namespace, source: str | None = None) -> "SpikeDrivenTransformer":
    """Load the network that the model options ask for; --formats alone means fixed point.

    Without --weights those that ship: for pictures, or for recordings if the source is one.
    """
    from ..camera.opening import is_recording
    from ..network.model import load
    from ..weights.file import DEFAULT_OF_RECORDINGS

    weights = options.weights
    if weights is None and source is not None and is_recording(source):
        weights = DEFAULT_OF_RECORDINGS
    arithmetic = options.arithmetic or ("float32" if options.formats is None else "fixed")
    return load(weights, arithmetic, options.threads, options.formats)


def numbers(option: str, text: str) -> list[int]:
    """Read an option's '0,2-3'; a range ends after 4096 numbers, more than there are time steps or blocks."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and len(part) < 12):
            raise ConfigError(f"{option}: expected whole numbers and ranges such as 0,2-3, found '{text}'")
        found += range(int(first), min(int(last or first), int(first) + 4096) + 1)
    return found


def guarded(command: Callable[[Sequence[str] | None], int]) -> Command:
    """Turn errors that a user can cause into one line and exit code 2."""

    def main(argv: Sequence[str] | None = None) -> int:
        try:
            for stream in (sys.stdout, sys.stderr):  # names and bars that an encoding lacks are spelled out
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")
            code = command(argv)
            with showing():
                return code
        except BrokenPipeError:  # the reader of our output has left; a command that judges prints in `showing`
            _drop_output()
            return 0
        except KeyboardInterrupt:
            return _fail("interrupted", INTERRUPTED)
        except SdtError as error:
            return _fail(f"error: {' '.join(str(error).split())}")
        except (pickle.UnpicklingError, EOFError):
            return _fail(
                f"error: the compiled kernels in '{cache_folder()}' are damaged; delete that folder and run again"
            )
        except OSError as error:
            _drop_output()
            said = f"'{error.filename}': {error.strerror}" if error.filename and error.strerror else str(error)
            return _fail(f"error: {' '.join(said.split())}; check the path, its permissions and the disk")
        except MemoryError:
            return _fail("error: not enough memory; use a smaller picture, --size or weights")
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            return _fail("error: no more threads can be started here; use fewer, such as --threads 1")

    main.__doc__ = command.__doc__
    return main


def _fail(message: str, code: int = BAD_INPUT) -> int:
    try:
        if sys.stderr is not None:
            print(message, file=sys.stderr)
    except OSError:
        _drop_output()
    return code


@contextlib.contextmanager
def showing() -> Iterator[None]:
    """Print what was found in here: a reader that leaves early ends the output, but does not change the exit code."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    """If a standard stream takes no more, leave the interpreter nothing to flush into it at its exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def kernels_loading(console: Console) -> Iterator[None]:
    """Say so, once, when a kernel has to be compiled: the first run after an installation takes a while.

    And keep scipy.linalg out meanwhile: with the first kernel numba imports it, to find a BLAS that no kernel here
    calls, for a fifth of this process's time.
    """
    from numba.core import event

    class Notice(event.Listener):  # numba has no types
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                self.told = True
                console.print("first run: compiling the kernels; this takes some seconds, once", style="dim")

        def on_end(self, event: Any) -> None:
            """Nothing to say."""

    keep_out = "scipy.linalg" not in sys.modules
    if keep_out:
        sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        with event.install_listener("numba:compile", Notice()):
            yield
    finally:
        if keep_out:
            del sys.modules["scipy.linalg"]


@contextlib.contextmanager
def working(screen: Console, verb: str) -> Iterator[Callable[[str], None]]:
    """Show what is being worked on, while it lasts; yields a function that takes its name."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(verb, total=None)
        yield lambda name: progress.update(task, description=f"{verb} {plain(name)}")


def show_repairs(console: Console, repairs: Mapping[str, int]) -> None:
    """Say what was mended in recordings, and how often."""
    for what, number in repairs.items():
        console.print(f"[yellow]repaired[/] {plain(what)}: {number:,}")


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """`sdt-ref COMMAND`: run `python -m sdt_ref.COMMAND`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: sdt-ref COMMAND [options]\n\ncommands:")
        for name, purpose in COMMANDS.items():
            print(f"  {name:<10} {purpose}")
        print(
            "\neach has --help; 'sdt-ref X' is the same as 'python -m sdt_ref.X'\n\nexample:\n  sdt-ref infer photo.jpg"
        )
        return 0 if arguments else BAD_INPUT
    if arguments[0] not in COMMANDS:
        raise ConfigError(f"unknown command '{arguments[0]}'; known: {', '.join(COMMANDS)}")
    command = importlib.import_module(f"sdt_ref.{arguments[0]}")
    return int(command.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
