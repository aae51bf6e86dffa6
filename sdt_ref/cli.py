"""What all command lines share: the parser, exit codes, the notice that kernels compile; and `sdt-ref COMMAND`."""

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, Protocol

from rich.console import Console

from .errors import ConfigError, SdtError


class Command(Protocol):
    """A command line: takes its arguments (None: those of the process), returns the exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run."""


COMMANDS = {
    "infer": "classify a picture, and show which spikes said so",
    "evaluate": "measure the accuracy on a folder or pack of pictures",
    "convert": "turn an official PyTorch checkpoint into a weights file",
}
CHECK_FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}; see --help\n")


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
    to.add_argument("--weights", metavar="W.h5", help="weights file (default: the shipped CIFAR-10 weights)")
    to.add_argument("--arithmetic", default="float32", metavar="A", help="float32 (default) or float64")
    to.add_argument("--size", type=int, metavar="N", help="evaluate at N x N pixels instead of the weights' own size")
    to.add_argument("--threads", type=int, metavar="N", help="cores to use (default: all); changes no result")


def guarded(command: Callable[[Sequence[str] | None], int]) -> Command:
    """Turn errors that a user can cause into one line and exit code 2."""

    def main(argv: Sequence[str] | None = None) -> int:
        try:
            code = command(argv)
            sys.stdout.flush()
            return code
        except SdtError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return BAD_INPUT
        except MemoryError:
            print("error: not enough memory; use a smaller --size, or smaller weights", file=sys.stderr)
            return BAD_INPUT
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:  # the reader of our output has left; give the interpreter nothing to flush
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    main.__doc__ = command.__doc__
    return main


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


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


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
        return guarded(_unknown)(arguments)
    command = importlib.import_module(f"sdt_ref.{arguments[0]}")
    return int(command.main(arguments[1:]))


def _unknown(argv: Sequence[str] | None) -> int:
    raise ConfigError(f"unknown command '{(argv or [''])[0]}'; known: {', '.join(COMMANDS)}")


if __name__ == "__main__":
    sys.exit(main())
