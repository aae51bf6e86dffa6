"""One input in a process of its own, forked from one that has imported and compiled everything."""

import contextlib
import faulthandler
import gc
import hashlib
import importlib
import io
import json
import os
import resource
import signal
import stat
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, NoReturn

from .case import CHANGED, Case, Done, make
from .judging import ACCEPTED, FAILED, judge

ADDRESS_SPACE = 4_000_000 * 1024  # bytes, as `ulimit -v 4000000`
DEEP = 10 << 20  # bytes; what is larger is known by its size and its time alone
FILES, TEMPORARY, CASE, VERDICT = "files", "temporary", "case.json", "verdict.json"


def start(grammar: str, seed: int, number: int, folder: Path) -> int:
    """Fork: make an input below `folder`, run it, judge it. Returns the process, which leads a group of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: there is none that holds a lock
        process = os.fork()
    if process:
        return process
    _end(lambda: _run(lambda: _made(grammar, seed, number, folder), folder), folder)


def again(folder: Path) -> int:
    """Fork: run an input whose case and files stand in `folder`."""
    process = os.fork()
    if process:
        return process
    _end(lambda: _run(lambda: Case.from_json((folder / CASE).read_text()), folder), folder)


def _end(run: Any, folder: Path) -> NoReturn:
    """Run, and end the process without anything of its parent's: no handlers, no buffers."""
    code = 0
    try:
        run()
    except BaseException:
        text = traceback.format_exc()
        (folder / "stderr").write_text(text)
        (folder / VERDICT).write_text(
            json.dumps({"outcome": FAILED, "why": f"the fuzzer: {text.strip().splitlines()[-1][:200]}"})
        )
        code = 3
    os._exit(code)


def _made(grammar: str, seed: int, number: int, folder: Path) -> Case:
    (folder / FILES).mkdir()
    case = make(grammar, seed, number, folder / FILES)
    (folder / CASE).write_text(case.to_json())
    return case


def _run(prepared: Any, folder: Path) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    case = prepared()
    files = folder / FILES
    (folder / TEMPORARY).mkdir(exist_ok=True)
    tempfile.tempdir = str(folder / TEMPORARY)
    os.environ["TMPDIR"] = tempfile.tempdir
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    before = _state(files)
    _streams(folder, files / case.stdin if case.stdin else Path(os.devnull))
    os.chdir(files)
    most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, most[1]))
    had = _memory("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    clock = time.perf_counter()
    code = _call(case)
    seconds = time.perf_counter() - clock
    peak = _memory("VmHWM") - had
    resource.setrlimit(resource.RLIMIT_AS, most)
    after = _state(files)
    left = {name: "gone" if name not in after else "changed" if name in before else "new"
            for name in {*before, *after} if before.get(name) != after.get(name)}  # fmt: skip
    left |= {f"temporary/{path.name}": "new" for path in (folder / TEMPORARY).iterdir()}
    out, err = ((folder / name).read_bytes().decode(errors="backslashreplace") for name in ("stdout", "stderr"))
    done = Done(code, out, err, seconds, peak, left)
    (folder / VERDICT).write_text(
        json.dumps({"outcome": FAILED, "why": "the oracle ended the process", "seconds": seconds})
    )
    outcome, why = judge(case, done)
    if outcome == ACCEPTED and case.oracle is not None:
        said = case.oracle(files, done)
        outcome, why = (ACCEPTED, "") if not said else (CHANGED, "") if said == CHANGED else (FAILED, f"oracle: {said}")
    verdict = {"outcome": outcome, "why": why, "seconds": seconds, "memory": peak, "code": code}
    (folder / VERDICT).write_text(json.dumps(verdict))


def _streams(folder: Path, stdin: Path) -> None:
    """Give the process the standard streams of a command in a pipeline."""
    for number, path, flags in (
        (0, stdin, os.O_RDONLY | os.O_NONBLOCK),
        (1, folder / "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False))  # noqa: SIM115 - as long as the process
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), "utf-8")  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), "utf-8", line_buffering=True)  # noqa: SIM115


def _call(case: Case) -> int:
    """What `python -m sdt_ref COMMAND` does, and its exit code."""
    warnings.resetwarnings()
    warnings.simplefilter("default")
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    warnings.showwarning = lambda message, kind, *_: print(f"{kind.__name__}: {message}", file=sys.stderr)
    sys.unraisablehook = sys.__unraisablehook__
    faulthandler.enable(sys.stderr)
    sys.argv = ["sdt-ref", *case.argv]
    try:
        code = importlib.import_module(f"sdt_ref.{case.argv[0]}").main(case.argv[1:])
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    gc.collect()  # what an object says at its end belongs to the output
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code)


def _memory(name: str) -> float:
    """A line of /proc/self/status, in MiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name + ":"))


def _state(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder, without following links."""
    found: dict[str, tuple[Any, ...]] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            state: tuple[Any, ...] = (stat.S_IFMT(status.st_mode),)
            if stat.S_ISREG(status.st_mode):
                state = *state, status.st_size, status.st_ino
                if status.st_size <= DEEP:
                    with open(path, "rb") as file:
                        state = *state, hashlib.sha1(file.read()).hexdigest()
            found[os.path.relpath(path, folder)] = state
    return found
