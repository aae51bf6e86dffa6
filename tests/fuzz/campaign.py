"""Run many inputs, so many at a time; count what became of them; keep what failed."""

import gc
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import child
from .judging import FAILED

LIMIT = 20.0  # seconds for one input
LAST_WORDS = 2.0  # seconds in which a process that is stopped may write where it was


@dataclass
class Row:
    """What became of the inputs of one grammar and kind; seconds and MiB are the most of one input."""

    counts: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    memory: float = 0.0

    def add(self, verdict: dict[str, Any]) -> None:
        """Count one input."""
        self.counts[verdict["outcome"]] = self.counts.get(verdict["outcome"], 0) + 1
        self.slowest = max(self.slowest, verdict.get("seconds", 0.0))
        self.memory = max(self.memory, verdict.get("memory", 0.0))


@dataclass(frozen=True)
class Failure:
    """One input that failed.

    Attributes
    ----------
    grammar, kind, number : of the input
    why : it failed
    folder : in which it is kept
    """

    grammar: str
    kind: str
    number: int
    why: str
    folder: Path


@dataclass
class Report:
    """All of a campaign: rows by (grammar, kind)."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    inputs: int = 0


@dataclass
class _Running:
    process: int
    handle: int
    grammar: str
    number: int
    folder: Path
    until: float


def inputs(grammars: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Grammar and number of one input after the other: from each grammar in turn."""
    number = 0
    while True:
        for grammar in grammars:
            yield grammar, number
        number += 1


def run(
    grammars: Sequence[str],
    seed: int,
    keep: Path,
    *,
    minutes: float | None = None,
    most: int | None = None,
    at_a_time: int = 2,
    limit: float = LIMIT,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Run inputs until the time is over, or so many; an interrupt ends it earlier."""
    report, running = Report(), list[_Running]()
    until = None if minutes is None else time.monotonic() + 60 * minutes
    upcoming = inputs(grammars)
    gc.collect()
    gc.freeze()  # else a collection in a fork copies every page of its parent
    with tempfile.TemporaryDirectory(prefix="sdt-fuzz-") as scratch:
        try:
            while True:
                over = (until is not None and time.monotonic() >= until) or (
                    most is not None and report.inputs + len(running) >= most
                )
                while len(running) < at_a_time and not over:
                    running.append(_started(*next(upcoming), seed, Path(scratch), limit))
                    over = most is not None and report.inputs + len(running) >= most
                if not running:
                    return report
                _wait(running)
                for one in list(running):
                    if (verdict := _verdict(one, limit)) is not None:
                        running.remove(one)
                        _count(report, one, verdict, keep, seed)
                progress(report)
        except KeyboardInterrupt:
            return report
        finally:
            for one in running:
                _stop(one, signal.SIGKILL)
                os.waitpid(one.process, 0)


def run_again(folder: Path, limit: float = LIMIT) -> dict[str, Any]:
    """Run a kept input once more, on copies of its files; the verdict, with what was printed."""
    with tempfile.TemporaryDirectory(prefix="sdt-fuzz-") as scratch:
        copy = Path(scratch) / "again"
        copy.mkdir()
        shutil.copy(folder / child.CASE, copy)
        _copied(folder / child.FILES, copy / child.FILES)
        one = _entered(child.again(copy), "", 0, copy, limit)
        while (verdict := _verdict(one, limit)) is None:
            _wait([one])
        return {**verdict, **{name: _read(copy / name) for name in ("stdout", "stderr")}}


def _started(grammar: str, number: int, seed: int, scratch: Path, limit: float) -> _Running:
    folder = scratch / f"{grammar}-{number}"
    folder.mkdir()
    return _entered(child.start(grammar, seed, number, folder), grammar, number, folder, limit)


def _entered(process: int, grammar: str, number: int, folder: Path, limit: float) -> _Running:
    return _Running(process, os.pidfd_open(process), grammar, number, folder, time.monotonic() + limit)


def _wait(running: Sequence[_Running]) -> None:
    """Until one of them ends, or its time does."""
    left = max(0.0, min(one.until for one in running) - time.monotonic())
    select.select([one.handle for one in running], [], [], min(left, 0.5))


def _verdict(one: _Running, limit: float) -> dict[str, Any] | None:
    """What became of an input; None as long as it runs."""
    process, status, usage = os.wait4(one.process, os.WNOHANG)
    late = False
    if not process:
        if time.monotonic() < one.until:
            return None
        late = True
        _stop(one, signal.SIGABRT)  # the fault handler writes where it was
        select.select([one.handle], [], [], LAST_WORDS)
        _stop(one, signal.SIGKILL)
        _, status, usage = os.wait4(one.process, 0)
    os.close(one.handle)
    survivors = _stop(one, signal.SIGKILL)
    path = one.folder / child.VERDICT
    verdict: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"seconds": 0.0}
    code = os.waitstatus_to_exitcode(status)
    if late:
        return {**verdict, "outcome": FAILED, "why": f"no end after {limit:g} s", "seconds": limit}
    if code < 0:
        name = signal.Signals(-code).name
        return {**verdict, "outcome": FAILED, "why": f"ended by {name}", "memory": usage.ru_maxrss / 1024}
    if "outcome" not in verdict:
        return {**verdict, "outcome": FAILED, "why": f"the process ended with {code}, before its command did"}
    if survivors:
        return {**verdict, "outcome": FAILED, "why": "a process of its own was left"}
    return verdict


def _stop(one: _Running, how: signal.Signals) -> bool:
    """Send a signal to the processes of an input; whether there was one."""
    try:
        os.killpg(one.process, how)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _count(report: Report, one: _Running, verdict: dict[str, Any], keep: Path, seed: int) -> None:
    path = one.folder / child.CASE
    kind = json.loads(path.read_text())["kind"] if path.exists() else "not made"
    report.rows.setdefault((one.grammar, kind), Row()).add(verdict)
    report.inputs += 1
    if verdict["outcome"] == FAILED:
        folder = _kept(one, verdict, keep, seed)
        report.failures.append(Failure(one.grammar, kind, one.number, verdict["why"], folder))
    shutil.rmtree(one.folder, ignore_errors=True)


def _kept(one: _Running, verdict: dict[str, Any], keep: Path, seed: int) -> Path:
    """Keep the files of an input as they were made, its command line and what it printed."""
    keep.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.name) for path in keep.iterdir() if path.name.isdecimal()), default=-1)
    target = keep / f"{number:03}"
    target.mkdir()
    for name in (child.CASE, "stdout", "stderr"):
        if (one.folder / name).exists():
            shutil.copy(one.folder / name, target)
    _copied(one.folder / child.FILES, target / child.FILES)
    made = {"grammar": one.grammar, "seed": seed, "number": one.number}
    (target / child.VERDICT).write_text(json.dumps({**made, **verdict}, indent=1))
    return target


def _copied(source: Path, target: Path) -> None:
    """Copy a folder with what is no plain file in it."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        copy = target / path.name
        if path.is_symlink():
            copy.symlink_to(os.readlink(path))
        elif path.is_dir():
            _copied(path, copy)
        elif path.is_fifo():
            os.mkfifo(copy)
        elif path.is_file():
            shutil.copyfile(path, copy)


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="backslashreplace") if path.exists() else ""
