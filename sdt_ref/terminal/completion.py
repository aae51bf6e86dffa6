"""Completion of commands and options in bash and zsh, written by shtab."""

import argparse
from collections.abc import Mapping

from ..errors import ConfigError, shown

SHELLS = ("bash", "zsh")
FILES = (".", "FOLDER", "DIR", "PICTURE", "IMAGE", "DUMP", "CKPT")  # what names of arguments that are paths hold


def script(shell: str, top: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """Return what `shell` has to read; raises ConfigError for another shell, or without shtab.

    Parameters
    ----------
    top : parser of all, which has those of the commands as subparsers
    commands : those parsers by name
    """
    if shell not in SHELLS:
        raise ConfigError(f"--print-completion: expected {' or '.join(SHELLS)}, found {shown(shell)}")
    try:
        import shtab
    except ImportError:
        raise ConfigError(
            "completion needs shtab, which is not installed; in the folder of sdt_ref: pip install '.[completion]'"
        ) from None
    for command in commands.values():
        for action in command._actions:
            if _is_path(action):
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    return str(shtab.complete(top, shell))


def _is_path(action: argparse.Action) -> bool:
    return isinstance(action.metavar, str) and any(part in action.metavar for part in FILES)
