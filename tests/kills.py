"""Every command that writes, ended at random moments: `python -m tests.kills [--runs N] [--seed S] [--signal KILL|TERM|INT]`.

Each run is a process of its own, on a tiny network. Half of the moments lie anywhere in the run, from the moment at
which its handlers stand; half in the time in which the unfinished file is there. In every other run an old file stands
where the command writes. Afterwards the target must be absent, the old file, or complete, which means that the
package's own reader finds what it finds after a run that is left alone; after TERM and INT nothing else may be left, in
the folder and in the one for temporary files, and standard error holds one line. A run over a data set may leave what
it has finished; the same command then goes on there, and must end at what a run that is left alone ends at.

Prints a table, and what failed; the delay, from the signal to the end of the process, is shown and not judged.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.writing_commands import OF_DATA, WRITING, Writing, prepare

CASES = {**WRITING, **OF_DATA}
ROOT = Path(__file__).parents[1]
OLD = b"what was there before"
ENDS = {"TERM": (143, "terminated"), "INT": (130, "interrupted"), "KILL": (-signal.SIGKILL, "")}
SAID = r"( after \d of \d.*; the same command goes on there)?\n"  # of a data set
SOON = 0.001  # seconds between two looks


@dataclass
class Tally:
    """What became of all runs of one command."""

    ends: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Undisturbed:
    """A run that was left alone: what a reader finds, how long it took, and for how long the unfinished file was there."""

    content: Any
    whole: float
    unfinished: float


def started(case: Writing, folder: Path) -> "subprocess.Popen[str]":
    """Start a command in a folder; its temporary files are in `tmp` there."""
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "sdt_ref", *(case.out if word == "OUT" else word for word in case.arguments.split())],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")},
    )


def as_at_a_prompt() -> None:
    """Have children start with signals as a shell leaves them: one that is ignored here would be ignored there."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def obeys(process: "subprocess.Popen[str]") -> bool:
    """Whether the process handles SIGTERM itself: Python does not. True where the system does not tell."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return True
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def wait_until(process: "subprocess.Popen[str]", seen: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is seen, or the process has ended."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and not seen():
        time.sleep(SOON)


def unfinished(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".part")]


@contextmanager
def place(inputs: Path) -> Iterator[Path]:
    """A folder with the inputs in it, as links."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in inputs.iterdir():
            (folder / path.name).symlink_to(path)
        yield folder


def left_alone(case: Writing, inputs: Path) -> Undisturbed:
    with place(inputs) as folder:
        process = started(case, folder)
        wait_until(process, lambda: obeys(process))
        begin = time.monotonic()
        wait_until(process, lambda: unfinished(folder))
        found = time.monotonic()
        wait_until(process, (folder / case.out).exists)
        written = time.monotonic()
        _, said = process.communicate()
        assert process.returncode == 0, said
        return Undisturbed(case.read(folder / case.out), time.monotonic() - begin, written - found)


def ended(case: Writing, alone: Undisturbed, inputs: Path, name: str, draw: random.Random) -> tuple[str, float, str]:
    """Run a command and end it; what became of the target, the delay, and what is wrong."""
    has_old, anywhere, share = draw.random() < 0.5 and case.replaces, draw.random() < 0.5, draw.random()
    with place(inputs) as folder:
        target = folder / case.out
        if has_old and target.suffix:
            target.write_bytes(OLD)
        elif has_old:
            target.mkdir()
        before = {path.name for path in folder.iterdir()} | {case.out, "tmp"}
        process = started(case, folder)
        if name != "KILL" or not anywhere:
            wait_until(process, lambda: obeys(process))
        if not anywhere:
            wait_until(process, lambda: unfinished(folder))
        time.sleep(share * (alone.whole if anywhere else alone.unfinished))
        begin = time.monotonic()
        process.send_signal(getattr(signal, f"SIG{name}"))
        _, said = process.communicate()
        delay = time.monotonic() - begin
        became = state(case, target, alone.content)
        done, kept = process.returncode == 0, f"{case.out}.parts"
        extra = sorted({path.name for path in folder.iterdir()} - before) + os.listdir(folder / "tmp")
        goes_on = kept in extra and not done
        extra = [path for path in extra if path != kept or done]
        faults = []
        code, word = ENDS[name]
        if (process.returncode, said) != (0, "") and not (
            process.returncode == code and re.fullmatch(word and word + SAID, said)
        ):
            faults.append(f"exit code {process.returncode}, {said!r}")
        if extra and (name != "KILL" or done or any(not path.endswith(".part") for path in extra)):
            faults.append(f"left: {', '.join(extra)}")
        if became.startswith("damaged") or (done and became != "complete"):
            faults.append(f"the target is {became}")
        if (became == "absent") == has_old and became != "complete":
            faults.append(f"the target is {became}, and there was {'an' if has_old else 'no'} old one")
        if goes_on:
            again = started(case, folder)
            _, said = again.communicate()
            if again.returncode or state(case, target, alone.content) != "complete" or (folder / kept).exists():
                faults.append(f"it does not go on where it was ended: {said!r}")
        return became + " .part" * bool(extra), -1 if done else delay, "; ".join(faults)


def state(case: Writing, target: Path, expected: Any) -> str:
    """What a target is: absent, old, complete, or damaged."""
    if not target.exists():
        return "absent"
    if target.is_dir() and not os.listdir(target):
        return "old"
    if target.is_file() and target.read_bytes() == OLD:
        return "old"
    try:
        return "complete" if case.read(target) == expected else "damaged, but it reads as complete"
    except Exception as failed:
        return f"damaged: {failed}"


def campaign(names: list[str], runs: int, name: str, seed: int, inputs: Path) -> dict[str, Tally]:
    """End each command so often; two at a time."""
    as_at_a_prompt()
    tallies = {}
    for command in names:
        case, tally = CASES[command], Tally()
        alone = left_alone(case, inputs)
        draws = [random.Random(f"{seed} {command} {name} {k}") for k in range(runs)]
        with ThreadPoolExecutor(2) as pool:
            for became, delay, fault in pool.map(lambda draw: ended(case, alone, inputs, name, draw), draws):  # noqa: B023
                tally.ends[became] += 1
                tally.delays += [delay] * (delay >= 0)
                tally.faults += [fault] * bool(fault)
        tallies[command] = tally
    return tallies


def table(tallies: dict[str, Tally], name: str) -> str:
    rows = [("command", "runs", "absent", "old", "complete", ".part left", "done before", "faults", "delay p50", "max")]
    for command, tally in tallies.items():
        ends, delays = tally.ends, sorted(tally.delays)
        counts = [
            sum(n for became, n in ends.items() if became.startswith(kind)) for kind in ("absent", "old", "complete")
        ]
        parts = sum(n for became, n in ends.items() if became.endswith(".part"))
        times = [f"{1000 * delays[k]:.0f} ms" if delays else "" for k in (len(delays) // 2, -1)]
        cells = (ends.total(), *counts, parts, ends.total() - len(delays), len(tally.faults))
        rows.append((command, *map(str, cells), *times))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    return "\n".join([f"SIG{name}", *lines])


@contextmanager
def prepared() -> Iterator[Path]:
    """A folder with all inputs, among them a trace."""
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name)
        prepare(inputs)
        command = [sys.executable, "-m", "sdt_ref.trace", "photo.png", "--weights", "w.h5", "-o", "run.h5"]
        subprocess.run(
            command, cwd=inputs, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        yield inputs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="of each command and signal (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", choices=ENDS, help="(default: all three)")
    parser.add_argument("--commands", help=f"separated by commas: {', '.join(CASES)} (default: all)")
    options = parser.parse_args()
    names = options.commands.split(",") if options.commands else list(CASES)
    failed = 0
    with prepared() as inputs:
        for name in [options.signal] if options.signal else ENDS:
            tallies = campaign(names, options.runs, name, options.seed, inputs)
            print(table(tallies, name), flush=True)
            for command, tally in tallies.items():
                failed += len(tally.faults)
                for fault, n in Counter(tally.faults).items():
                    print(f"  {command}: {fault} ({n} times)", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
