"""A disk without room, for commands in a process of its own: `python -m tests.full_disk FOLDER writing|printing NAME ...`.

writing  : runs of `tests.writing_commands`, under limits on the size of a file, RLIMIT_FSIZE, which fail like a full
           disk and need no rights: of 0, 1 and 4096 bytes, half of the file, all but one byte, and all of it
printing : commands that print onto /dev/full, text and JSON

Prints JSON, a list of what was found in each run.

As root, a disk that is really full can be tried, too (here of 64 kB; the files of the run lie outside of it):

    mount -t tmpfs -o size=64k tmpfs DIR && python -m sdt_ref.trace -o DIR/run.h5; echo $?; ls -A DIR; umount DIR
"""

import importlib
import json
import os
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sdt_ref.terminal import cli
from tests.writing_commands import FORMS, PRINTING, WRITING, prepare

OLD = "what was there before"


def in_a_child(line: list[str], before: Callable[[], None]) -> tuple[int, str]:
    """Fork, and run a command there; returns its exit code, below 0 for a crash, and what it said on standard error."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  # unbuffered text cannot be had
        before()
        code = importlib.import_module(f"sdt_ref.{line[0]}").main(line[1:])
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    os.close(writing)
    with open(reading, encoding="utf-8") as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


def size_of(path: Path) -> int:
    """Bytes of a file, or of the largest in a folder."""
    return max(entry.stat().st_size for entry in (path.rglob("*") if path.is_dir() else [path]) if entry.is_file())


def writing(name: str) -> list[dict[str, Any]]:
    """Run a command under each limit; the old file is there before."""
    case = {**WRITING, **FORMS}[name]
    target = Path(case.out)
    line = [case.out if word == "OUT" else word for word in case.arguments.split()]
    code, said = in_a_child(line, lambda: None)
    assert code == 0, said
    expected, size, is_folder = case.read(target), size_of(target), target.is_dir()
    found: list[dict[str, Any]] = []
    for limit in sorted({0, 1, 4096, size // 2, size - 1, size}):
        if is_folder:
            if target.exists():
                target.rename(f"{target} before {limit}")
        else:
            target.write_text(OLD)
        before = set(os.listdir())
        code, said = in_a_child(line, partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)))
        left = sorted(set(os.listdir()) - before - {case.out})
        if target.is_file() and target.read_bytes() == OLD.encode():
            state = "old"
        else:
            state = "absent" if not target.exists() else "complete" if case.read(target) == expected else "damaged"
        found.append({"fits": limit >= size, "limit": limit, "code": code, "said": said, "left": left, "state": state})
    return found


def printing(name: str) -> list[dict[str, Any]]:
    """Run a command, for text and for JSON, onto /dev/full."""
    found: list[dict[str, Any]] = []
    for more in ([], ["--json"]):
        before = set(os.listdir())
        code, said = in_a_child([*PRINTING[name].split(), *more], onto_full)
        for path in set(os.listdir()) - before:  # so that the next run can make it
            os.rename(path, f"done {name} {len(found)}")
        found.append({"command": [name, *more], "code": code, "said": said})
    return found


def onto_full() -> None:
    """Let standard output be a device that is full."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115


def main() -> None:
    folder, what, *names = sys.argv[1:]
    os.chdir(folder)
    prepare(Path())
    assert cli.main(["trace", "photo.png", "--weights", "w.h5", "-o", "run.h5", "--json"]) == 0
    print()
    print(json.dumps([run for name in names for run in (writing if what == "writing" else printing)(name)]))


if __name__ == "__main__":
    main()
