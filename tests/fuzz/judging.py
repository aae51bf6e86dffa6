"""The rule: an input is refused in one line with nothing left behind, or accepted without a complaint of Python."""

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from .case import CHANGED, Case, Done

REFUSED, ACCEPTED, FAILED = "refused", "accepted", "failed"
OUTCOMES = (REFUSED, ACCEPTED, CHANGED, FAILED)
LONGEST = 1000  # characters of a message
MAY_FIND = dict.fromkeys(
    ("compare", "claims", "evaluate", "energy"), (0, 1)
)  # exit codes of a command that did its work
LIST_UNREADABLE = "energy", "evaluate"  # which name each file of a set that cannot be read, in a line before
ONE_LINE = re.compile(r"(sdt-ref( [a-z]+)?: )?error: [^\n]+\n")
COMPLAINT = re.compile(
    r"Traceback \(most recent|Exception ignored|\w*Warning: |Fatal Python error|HDF5-DIAG|error #\d\d\d"
)


def judge(case: Case, done: Done) -> tuple[str, str]:
    """(outcome, what is wrong): by everything but the oracle."""
    wrong = _refused(case, done) if done.code == 2 else _accepted(case, done)
    if not wrong and done.memory > case.memory:
        wrong = f"memory: more than {case.memory} MiB"
    return (FAILED, wrong) if wrong else (REFUSED if done.code == 2 else ACCEPTED, "")


def _refused(case: Case, done: Done) -> str:
    if complaint := COMPLAINT.search(done.err):
        return f"beside a refusal: {complaint[0].strip()}"
    lines = done.err.splitlines(keepends=True)
    while case.argv[0] in LIST_UNREADABLE and lines and lines[0].startswith("unreadable "):
        del lines[0]
    if not ONE_LINE.fullmatch("".join(lines)):
        return f"refused in {done.err.count(chr(10))} lines, or not as an error"
    if max(map(len, lines)) > LONGEST + len("sdt-ref calibrate: error: ; see --help\n"):
        return f"a message of more than {LONGEST} characters"
    if not all(line.isprintable() for line in done.err.split("\n")):
        return "a message with control characters"
    if "not enough memory" in done.err and not case.may_lack_memory:
        return "not enough memory"
    if done.out:
        return "refused, and something on standard output"
    if done.left:
        return "refused, and left behind: " + _in_words(done.left)
    return ""


def _accepted(case: Case, done: Done) -> str:
    if complaint := COMPLAINT.search(done.err + done.out):
        last = done.err.strip().rpartition("\n")[2]
        return f"exit code {done.code}: {complaint[0].strip()}: {last[:160]}"
    if done.code not in MAY_FIND.get(case.argv[0], (0,)):
        return f"exit code {done.code}"
    for stream in (done.out, done.err):
        if not all(line.isprintable() for line in stream.split("\n")):
            return "control characters in the output"
    beyond = {name: how for name, how in done.left.items() if not _may_write(case, name) or how == "gone"}
    if beyond:
        return f"accepted, and left behind: {_in_words(beyond)}"
    if "--json" in case.argv:
        try:
            json.loads(done.out, parse_constant=_no_number)
        except ValueError as error:
            return f"--json: {error}"
    return ""


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _may_write(case: Case, name: str) -> bool:
    return any(name == output or name.startswith(f"{output}/") for output in case.outputs)


def _in_words(left: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({how})" for name, how in sorted(left.items()))[:200]
