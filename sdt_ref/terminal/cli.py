"""Every command line: its options, its exit codes, errors in one line; and `sdt-ref COMMAND`."""

import argparse
import contextlib
import dataclasses
import importlib
import io
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from rich.markup import escape

from .. import interrupt
from ..errors import ConfigError, SdtError, one_line, shown
from ..kernels.policy import cache_folder
from .completion import SHELLS, script
from .screen import Screen, drop_output

if TYPE_CHECKING:
    from ..fixed.formats import Formats
    from ..network.model import SpikeDrivenTransformer
    from ..weights.file import Weights


class Command(Protocol):
    """A command line: takes its arguments (None: those of the process), returns the exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run."""


COMMANDS = {
    "infer": "classify a picture or a recording, and show the spikes and additions behind the answer",
    "explain": "walk through one run, stage by stage, down to a single membrane",
    "evaluate": "measure the accuracy on a folder or a pack, of pictures or of recordings",
    "energy": "count where operations and energy go, stage by stage",
    "claims": "check the paper's four claims, and show the evidence",
    "attention": "show which tokens and channels each attention lets through",
    "report": "write a page on which a run can be explored in a browser",
    "calibrate": "choose the registers of fixed point from sample pictures or recordings",
    "sweep": "measure the accuracy over a grid of fixed-point widths and time steps",
    "trace": "record every register, or current and membrane, of one run",
    "compare": "find the first difference between a golden trace and a dump",
    "vectors": "write test vectors for RTL from a trace",
    "sizing": "say how wide and how deep hardware must be, from traces",
    "convert": "turn an official PyTorch checkpoint into a weights file",
}
OPTIONS = {
    "--help": "print this text",
    "--version": "print the version",
    "--print-completion": "bash or zsh: print a script that completes commands and options",
}
CHECK_FAILED = 1
BAD_INPUT = 2
notes: list[str] = []  # lines for stderr, behind the answer; a command that fails says why, and no more
LONGEST_NUMBERS = 10_000  # characters of an option such as 0,2-3
NEAR = 0.65  # of a name that was probably meant: the share of letters in common


class Parser(argparse.ArgumentParser):
    """Errors in one line, exit code 2; options are written in full.

    Parameters
    ----------
    gone : options that are no more, with the message that refuses each
    others : as of argparse
    """

    def __init__(self, *, gone: Mapping[str, str] | None = None, **others: Any) -> None:
        super().__init__(**others)
        self._gone = gone or {}

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown or shortened option is refused first, and the one that was probably meant is named."""
        given = list(sys.argv[1:] if args is None else args)
        for text in given[: given.index("--") if "--" in given else None]:
            option = text.partition("=")[0]
            if option in self._gone:
                self.error(self._gone[option])
            if option.startswith("--") and option not in self._option_string_actions:
                self.error(f"unknown option {shown(option)}{did_you_mean(option, self._option_string_actions)}")
        options, surplus = self.parse_known_args(given, namespace)
        if surplus:
            self.error(f"unexpected argument {shown(surplus[0])}")
        for action in self._actions:  # argparse takes the value of --option=-- for the end of options
            value = getattr(options, action.dest, None)
            if action.option_strings and action.nargs is None and value != action.default and _is_empty(value):
                self.error(f"{action.option_strings[-1]}: expected a value, found '--'")
        return options

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {one_line(message, 900)}; see --help\n")


def _is_empty(value: Any) -> bool:
    return isinstance(value, list) and (not value or [] in value)


def whole_number(text: str) -> int:
    """Read an option's whole number; argparse puts its name before the message."""
    try:
        return int(text)
    except ValueError:  # no number, or one of thousands of digits
        raise argparse.ArgumentTypeError(f"expected a whole number, found {shown(text)}") from None


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """The nearest of what is known, as the end of an error message; nothing where none is near."""
    near = get_close_matches(found, list(known), n=1, cutoff=NEAR)
    return f" (did you mean '{near[0]}'?)" if near else ""


def parser(command: str, example: str, gone: Mapping[str, str] | None = None) -> Parser:
    """Make the parser of one command, with --json and an example in its --help."""
    made = Parser(
        prog=f"sdt-ref {command}",
        description=f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        gone=gone,
    )
    made.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    return made


def add_model_options(to: Parser, *, default: str = "float32") -> None:
    """Add the options of every command that runs the network; `default`: its arithmetic where none is asked for."""
    to.add_argument(
        "--weights",
        metavar="W.h5",
        help="weights file, or the name of weights that ship (default: those for pictures; for a recording, those "
        "for recordings)",
    )
    names = (f"{name} (default)" if name == default else name for name in ("float32", "float64"))
    whole = f"fixed{' (default)' * (default == 'fixed')} for whole numbers"
    to.add_argument("--arithmetic", metavar="A", help=f"{', '.join(names)}, or {whole}")
    to.set_defaults(default_arithmetic=default)
    to.add_argument("--formats", metavar="F.toml", help="registers of fixed point (default: built in)")
    to.add_argument(
        "--size", type=whole_number, metavar="N", help="run at N x N pixels instead of the size in the weights"
    )
    add_time_steps(to)
    to.add_argument("--threads", type=whole_number, metavar="N", help="cores to use (default: all); changes no result")


def add_time_steps(to: Parser) -> None:
    """Add the option that `load_weights` obeys."""
    to.add_argument(
        "--time-steps",
        type=whole_number,
        metavar="T",
        help="steps to take, and so the frames to make of a recording (default: as in the weights)",
    )


def load_model(options: argparse.Namespace, source: Any = None) -> "SpikeDrivenTransformer":
    """Load the network that the model options ask for; --formats alone means fixed point."""
    from ..network.model import SpikeDrivenTransformer

    name, formats = arithmetic(options)
    return SpikeDrivenTransformer(load_weights(options, source), name, options.threads, formats)


def arithmetic(options: argparse.Namespace) -> "tuple[str, Formats | None]":
    """The arithmetic that the model options ask for, and the formats where they name some."""
    from ..fixed import formats

    name = options.arithmetic or ("fixed" if options.formats is not None else options.default_arithmetic)
    return name, None if options.formats is None else formats.load(options.formats)


def load_weights(options: argparse.Namespace, source: Any = None) -> "Weights":
    """Load the weights that --weights names, with the T of --time-steps in place of their own.

    Without --weights those that ship: for pictures, or for recordings if the source is one.
    """
    from ..camera.opening import is_recording
    from ..weights.config import MOST_STEPS
    from ..weights.file import DEFAULT_OF_RECORDINGS, load

    require_range(options, "time_steps", most=MOST_STEPS)
    name = options.weights
    if name is None and source is not None and is_recording(source):
        name = DEFAULT_OF_RECORDINGS
    weights = load(name)
    if not weights.checked:
        notes.append(
            f"note: weights file {shown(name)} has no checksum, so that damage goes unseen; convert the checkpoint "
            "again to have one"
        )
    if options.time_steps is None:
        return weights
    return dataclasses.replace(weights, config=dataclasses.replace(weights.config, time_steps=options.time_steps))


def numbers(option: str, text: str) -> list[int]:
    """Read an option's '0,2-3'; a range ends after 4096 numbers, more than there are time steps or blocks."""
    found: list[int] = []
    if len(text) > LONGEST_NUMBERS:
        raise ConfigError(f"{option}: expected at most {LONGEST_NUMBERS} characters, found {shown(text)}")
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and len(part) < 12) or int(last or first) < int(
            first
        ):
            raise ConfigError(
                f"{option}: expected whole numbers and ascending ranges such as 0,2-3, found {shown(text)}"
            )
        found += range(int(first), min(int(last or first), int(first) + 4096) + 1)
    return found


def chosen(option: str, text: str | None, n: int) -> list[int]:
    """The numbers of an option's '0,2-3', ascending, each below n; all of them where it was not given."""
    if text is None:
        return list(range(n))
    found = sorted(set(numbers(option, text)))
    if not found or found[-1] >= n:
        raise ConfigError(f"{option}: expected numbers from 0 to {n - 1}, found {shown(text)}")
    return found


def require_range(options: argparse.Namespace, *names: str, least: int = 1, most: int | None = None) -> None:
    """Refuse options that were given and lie outside of a range; names as in argparse's namespace."""
    for name in names:
        value = getattr(options, name)
        if value is not None and (value < least or (most is not None and value > most)):
            expected = f"{least} or more" if most is None else f"{least} to {most}"
            raise ConfigError(f"--{name.replace('_', '-')}: expected {expected}, found {shown(value)}")


def guarded(command: Callable[[Sequence[str] | None], int]) -> Command:
    """Turn errors that a user can cause into one line and exit code 2."""

    def main(argv: Sequence[str] | None = None) -> int:
        try:
            for stream in (sys.stdout, sys.stderr):  # names and bars that an encoding lacks are spelled out
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")
            logging.lastResort = logging.NullHandler()  # what libraries remark does not stand beside the one line
            notes.clear()
            code = command(argv)
            with showing():
                for note in notes:
                    print(note, file=sys.stderr)
                return code
        except BrokenPipeError:  # the reader of our output has left; a command that judges prints in `showing`
            drop_output()
            return 0
        except KeyboardInterrupt:  # in a program that calls a command; a command itself ends in `interrupt.end`
            return _fail("interrupted", interrupt.INTERRUPTED)
        except SdtError as error:
            return _fail(f"error: {error}")
        except OSError as error:
            drop_output()
            said = f"'{error.filename}': {error.strerror}" if error.filename else error.strerror or str(error)
            return _fail(f"error: {one_line(said)}; check the path, its permissions and the disk")
        except MemoryError:
            return _fail("error: not enough memory; use fewer samples or --time-steps, a smaller --size or weights")
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            return _fail("error: no more threads can be started here; use fewer, such as --threads 1")

    main.__doc__ = command.__doc__
    return main


def _fail(message: str, code: int = BAD_INPUT) -> int:
    try:
        if sys.stderr is not None:
            print(one_line(message), file=sys.stderr)
    except OSError:
        drop_output()
    return code


@contextlib.contextmanager
def showing() -> Iterator[None]:
    """Print what was found in here: a reader that leaves early ends the output, but does not change the exit code."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """`sdt-ref COMMAND`: run `python -m sdt_ref.COMMAND`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help"):
        Screen().print(escape(_help()))
        return 0 if arguments else BAD_INPUT
    if first == "--version":
        from .. import __version__

        print(f"sdt-ref {__version__}")
        return 0
    if first == "--print-completion":
        print(script(arguments[1] if len(arguments) > 1 else "", *_all_parsers()))
        return 0
    if first not in COMMANDS:
        what = "option" if first.startswith("-") else "command"
        near = did_you_mean(first, OPTIONS if what == "option" else COMMANDS)
        raise ConfigError(
            f"unknown {what} {shown(first)}{near}; known: {', '.join(OPTIONS if what == 'option' else COMMANDS)}"
        )
    command = importlib.import_module(f"sdt_ref.{first}")
    return int(command.main(arguments[1:]))


def _all_parsers() -> tuple[Parser, dict[str, Parser]]:
    """The parser of `sdt-ref`, and those of its commands."""
    top = Parser(prog="sdt-ref")
    top.add_argument("--version", action="store_true", help=OPTIONS["--version"])
    top.add_argument("--print-completion", choices=SHELLS, help=OPTIONS["--print-completion"])
    below = top.add_subparsers()
    commands = {}
    for name, purpose in COMMANDS.items():
        made: Parser = importlib.import_module(f"sdt_ref.{name}").command_line()
        commands[name] = below.add_parser(name, help=purpose, parents=[made], add_help=False)
    return top, commands


def _help() -> str:
    commands = "\n".join(f"  {name:<10} {purpose}" for name, purpose in COMMANDS.items())
    options = "\n".join(f"  {name:<20} {purpose}" for name, purpose in OPTIONS.items())
    folder = cache_folder()
    kept = "nowhere, as no folder can be written" if folder is None else f"in '{folder.parent}'"
    return f"""usage: sdt-ref COMMAND [options]

commands:
{commands}

options:
{options}

Each command has --help. 'sdt-ref X' is the same as 'python -m sdt_ref.X'.

Compiled kernels are kept {kept}; delete that folder to remove them, and the next run compiles them again.
NUMBA_CACHE_DIR or XDG_CACHE_HOME names another place for them.

example:
  sdt-ref infer photo.jpg"""
