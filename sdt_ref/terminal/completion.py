"""Completion of commands and options in bash and zsh, written by shtab."""

import argparse
import importlib

from ..errors import ConfigError
from .cli import COMMANDS, OPTIONS, Parser

SHELLS = ("bash", "zsh")
FILES = (".", "FOLDER", "DIR", "PICTURE", "IMAGE", "DUMP", "CKPT")  # what names of arguments that are paths hold


def script(shell: str) -> str:
    """Return what `shell` has to read; raises ConfigError for another shell, or without shtab."""
    if shell not in SHELLS:
        raise ConfigError(f"--print-completion: expected {' or '.join(SHELLS)}, found '{shell}'")
    try:
        import shtab
    except ImportError:
        raise ConfigError("completion needs shtab, which is not installed; pip install 'sdt_ref[completion]'") from None
    top = Parser(prog="sdt-ref")
    top.add_argument("--version", action="store_true", help=OPTIONS["--version"])
    top.add_argument("--print-completion", choices=SHELLS, help=OPTIONS["--print-completion"])
    commands = top.add_subparsers()
    for name, purpose in COMMANDS.items():
        made: Parser = importlib.import_module(f"sdt_ref.{name}").command_line()
        for action in made._actions:
            if _is_path(action):
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
        commands.add_parser(name, help=purpose, parents=[made], add_help=False)
    return str(shtab.complete(top, shell))


def _is_path(action: argparse.Action) -> bool:
    return isinstance(action.metavar, str) and any(part in action.metavar for part in FILES)
