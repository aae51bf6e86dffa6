"""A disk without room, for commands in a process of its own: `python -m tests.full_disk FOLDER KIND [NAME ...]`.

writing  : runs of `tests.writing_commands`, under limits on the size of a file, RLIMIT_FSIZE, which fail like a full
           disk and need no rights: of 0, 1 and 4096 bytes, half of the file, all but one byte, and all of it
mounted  : the same runs on a disk that is really full, a tmpfs without room, with room for half of what is written, and
           for all but one page of it; only root can mount it. A run over a data set may leave what it has finished, and
           must go on from there when there is room
printing : commands that print onto /dev/full, text and JSON

Without names, all of that kind. Prints JSON, a list of what was found in each run; `mounted` also prints how many of
them were as they must be: exit code 2, one line, nothing left, the old file as it was.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sdt_ref.terminal import cli
from tests.writing_commands import FORMS, OF_DATA, PRINTING, WRITING, prepare

OLD = "what was there before"
PAGE = 4096  # bytes


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


def mounted(name: str) -> list[dict[str, Any]]:
    """Run a command on disks of three sizes; the old file is there before, or an empty folder."""
    case = {**WRITING, **FORMS, **OF_DATA}[name]
    line = [case.out if word == "OUT" else word for word in case.arguments.split()]
    code, said = in_a_child(line, lambda: None)
    assert code == 0, said
    expected = case.read(Path(case.out))
    written, is_folder = Path(case.out), Path(case.out).is_dir()
    files = [path for path in [*written.rglob("*"), written] if path.is_file()]
    pages = sum(-(-path.stat().st_size // PAGE) for path in files)
    written.rename(f"{written} of {name}")
    found: list[dict[str, Any]] = []
    rooms = {int(is_folder), pages // 2, pages - 1} if name not in OF_DATA else {0, 1, 2, 4, 6}
    for room in sorted(rooms):  # a size of 0 is no limit
        disk = Path("disk")
        disk.mkdir(exist_ok=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={(room + 1 - is_folder) * PAGE}", "tmpfs", disk], check=True
        )
        try:
            if has_old := not is_folder and case.replaces:
                (disk / case.out).write_text(OLD)  # takes a page of its own
            before = set(os.listdir(disk))
            there = [str(disk / word) if word == case.out else word for word in line]
            code, said = in_a_child(there, lambda: None)
            left = set(os.listdir(disk)) - before
            kept = before <= set(os.listdir(disk)) and (not has_old or (disk / case.out).read_text() == OLD)
            if name in OF_DATA:
                subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
                again, _ = in_a_child(there, lambda: None)
                kept &= left <= {f"{case.out}.parts"} and again == 0 and case.read(disk / case.out) == expected
                kept &= set(os.listdir(disk)) == before | {case.out}
            else:
                kept &= not left
        finally:
            subprocess.run(["umount", disk], check=True)
        right = code == 2 and said.count("\n") == 1 and kept
        found.append(
            {
                "name": name,
                "pages": room,
                "of": pages,
                "code": code,
                "said": said,
                "left": sorted(left),
                "kept": kept,
                "right": right,
            }
        )
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
    folder, kind, *names = sys.argv[1:]
    run, known = {"writing": (writing, {**WRITING, **FORMS}), "mounted": (mounted, {**WRITING, **FORMS, **OF_DATA}),
                  "printing": (printing, PRINTING)}[kind]  # fmt: skip
    os.chdir(folder)
    prepare(Path())
    assert cli.main(["trace", "photo.png", "--weights", "w.h5", "-o", "run.h5", "--json"]) == 0
    print()
    found = [each for name in names or known for each in run(name)]
    print(json.dumps(found))
    if kind == "mounted":
        print(f"{sum(each['right'] for each in found)} of {len(found)} as they must be")


if __name__ == "__main__":
    main()
