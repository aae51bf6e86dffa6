"""The pages, run as they are typed: `python -m tests.pages [PAGE ...]` stores what their commands print anew.

Every block of commands and of Python in README.md and docs/ is run from top to bottom, each page in a fresh copy of the
repository. What a block prints is compared with the block that stands directly below it; there, a line '...' stands
for any lines. A comment above a block, which no reader sees, says what is special:

    <!-- needs: torch -->        skipped, loudly, where that is not installed
    <!-- exit code: 1 -->        of the block; 0 without such a comment. Two of them: <!-- needs: icarus; exit code: 1 -->
    <!-- not run: REASON -->     nothing is executed; its options must exist all the same

Commands in README's tables are run, too. `pip install`, `apt install` and `python3 -m venv` only pretend, since the
environment of the tests stands in for what they would make; but an extra that pyproject.toml lacks is refused, and on a
page that makes its own environment there is no `python` before it is activated.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = (
    README,
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("CONTRIBUTING.md", "hardware/README.md", "weights/README.md", "lessons/README.md")),
    ROOT / "weights" / "recipe" / "README.md",
)
TOOLS: dict[str, Callable[[], bool]] = {
    "torch": lambda: find_spec("torch") is not None,
    "icarus": lambda: shutil.which("iverilog") is not None and find_spec("cocotb") is not None,
    "mkdocs": lambda: find_spec("material") is not None and find_spec("mkdocstrings") is not None,
}
PRETEND = f'"{sys.executable}" "{Path(__file__)}" --pretend'
SYSTEM = {
    "python3": f'exec {PRETEND} python3 "$@"',
    "python": f'exec {PRETEND} python "$@"',
    "pip": f'exec {PRETEND} python "$@"',
    "apt": "exit 0",
}
ENVIRONMENT = {
    "python": f'exec "{sys.executable}" "$@"',
    "python3": f'exec "{sys.executable}" "$@"',
    "pip": f'exec {PRETEND} pip "$@"',
    "sdt-ref": f'exec "{sys.executable}" -c "import sys; from sdt_ref.terminal.cli import main; sys.exit(main())" "$@"',
    "mkdocs": f'exec "{sys.executable}" -m mkdocs "$@"',
}
MARKS = {"needs", "exit code", "not run"}
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", "__pycache__", "build", "dist", "out", ".*_cache", ".hypothesis")
Outcome = tuple[int, str, str]
BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<marks>[a-z ]+: [^\n]*?) -->\n+ *)?"
    r"```(?P<kind>sh|python)\n(?P<code>.*?)\n *```\n"
    r"(?:\n *```\n(?P<shown>.*?)\n *```\n)?",
    re.M | re.S,
)
ROW = re.compile(r"^\|[^|`]*\| `(?P<code>python -m [^`]+)` \|", re.M)
MASKED = re.compile(r"\d+\.\d+ s on \d+ threads?|\d+(?:\.\d+)? s\b|\d+(?:\.\d+)? ms\b")  # differ from run to run


@dataclass(frozen=True)
class Block:
    """A block that is typed, and what the page shows below it (None: nothing)."""

    page: Path
    line: int
    kind: str
    code: str
    shown: str | None
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return int(self.marks.get("exit code", 0))

    @property
    def missing(self) -> str | None:
        """The tool that it needs and that is not installed."""
        tool = self.marks.get("needs")
        return tool if tool is not None and not TOOLS[tool]() else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page}, line {self.line}"


def blocks(page: Path) -> list[Block]:
    """Every block of a page that can be typed, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in ROW.finditer(text) if page == README else ():
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, "sh", match["code"], None))
    for match in BLOCK.finditer(text):
        part = {name: without(value, match["indent"]) for name, value in match.groupdict().items()}
        line = text.count("\n", 0, match.start("code")) + 1
        marks = dict(mark.split(": ", 1) for mark in (match["marks"] or "").split("; ") if mark)
        if unknown := set(marks) - MARKS:
            raise ValueError(f"{page}, line {line}: expected one of {sorted(MARKS)}, found {sorted(unknown)}")
        found.append(Block(page, line, match["kind"], part["code"] or "", part["shown"], marks))
    return sorted(found, key=lambda block: block.line)


def without(text: str | None, indent: str) -> str | None:
    """Lines of a block, moved to the left."""
    return text and "\n".join(line.removeprefix(indent) for line in text.split("\n"))


def same(printed: str, shown: str) -> bool:
    """Whether that is what the page shows."""
    wanted = "".join("(?:.*\n)*?" if line == "..." else f"{re.escape(line)}\n" for line in masked(shown).splitlines())
    return re.fullmatch(wanted, masked(printed)) is not None


def masked(text: str) -> str:
    """Without times and trailing spaces."""
    lines = [MASKED.sub("TIME", line).rstrip() for line in text.rstrip().splitlines()]
    return "".join(f"{line}\n" for line in lines)


class WorkingCopy:
    """A copy of the repository, in which a page is typed."""

    def __init__(self, folder: Path, page: Path) -> None:
        self.shell = stand_ins(folder, activated=not any("-m venv" in block.code for block in blocks(page)))
        shutil.copytree(ROOT, self.shell.folder, ignore=NOT_COPIED, dirs_exist_ok=True)
        self._git("init", "-q")
        self._git("add", "-A")

    def run(self, block: Block) -> Outcome:
        """See Shell."""
        return self.shell.run(block)

    def left_behind(self) -> str:
        """What `git status` would show after the page: files of the commands where they do not belong."""
        return self._git("diff", "--name-only") + self._git("ls-files", "--others", "--exclude-standard")

    def _git(self, *words: str) -> str:
        folder = self.shell.folder
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Shell:
    """Runs blocks in a folder; what one of them exports stays for the next ones."""

    folder: Path
    exported: Path
    environment: Mapping[str, str]

    def run(self, block: Block) -> Outcome:
        """Exit code, standard output and standard error of a block."""
        if block.kind == "python":
            return self.interpret(block)
        script = f'. "{self.exported}"\nset -eo pipefail\n{block.code}\nexport -p > "{self.exported}"\n'
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
            timeout=600,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def interpret(self, block: Block) -> Outcome:
        """The same of a block of Python, in this process; each begins anew."""
        out = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out):
            exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
        return 0, out.getvalue(), ""


def stand_ins(folder: Path, *, activated: bool) -> Shell:
    """A shell in folder/sdt_ref, with programs that stand in for those of an environment, activated or yet to be."""
    tools = [write_tools(folder / "environment", ENVIRONMENT)] * activated
    tools.append(write_tools(folder / "system", SYSTEM))
    keep = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "COLUMNS")}
    (folder / "sdt_ref").mkdir(parents=True)
    (folder / "exported").write_text("")
    environment = {
        **keep,
        "PATH": os.pathsep.join([*map(str, tools), os.environ["PATH"]]),
        "PYTHONPATH": str(folder / "sdt_ref"),
        "PYTHONUTF8": "1",
        "COLUMNS": "80",
        "NO_MKDOCS_2_WARNING": "1",
    }
    return Shell(folder / "sdt_ref", folder / "exported", environment)


def extras(words: list[str]) -> Iterator[str]:
    """The extras that a `pip install` names."""
    for word in words:
        if found := re.fullmatch(r"(?:\.|sdt_ref)\[([\w,]+)\]", word):
            yield from found[1].split(",")


def write_tools(folder: Path, tools: Mapping[str, str]) -> Path:
    """A folder of programs, each a line of shell, for the PATH."""
    folder.mkdir(parents=True)
    for name, line in tools.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return folder


def pretend(name: str, words: list[str]) -> int:
    """What pip, and a python3 that has no packages, do: install nothing, and make an environment of this Python."""
    if name == "python3" and words[:2] == ["-m", "venv"]:
        home = write_tools(Path(words[2]) / "bin", ENVIRONMENT)
        (home / "activate").write_text(f'export PATH="{home.resolve()}:$PATH"\n')
        return 0
    if name == "pip" and words[0] == "install":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        unknown = sorted(set(extras(words)) - set(known))
        print(*(f"pyproject.toml has no extra '{extra}'" for extra in unknown), sep="\n", file=sys.stderr)
        return bool(unknown)
    print(f"{name} {' '.join(words)}: not before the environment is activated", file=sys.stderr)
    return 127


def store(page: Path) -> None:
    """Run a page, and put what it prints into its place, except where lines are left out."""
    text = page.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        copy = WorkingCopy(Path(folder), page)
        for block in blocks(page):
            if "not run" in block.marks or block.missing:
                continue
            code, printed, complaint = copy.run(block)
            if code != block.exit_code:
                print(f"{block}: exit code {code}\n{complaint}")
            if block.shown is not None and not same(printed, block.shown):
                new = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
                if "..." in block.shown.splitlines() or text.count(block.shown) != 1:
                    print(f"{block}: to be stored by hand:\n{new}")
                else:
                    text = text.replace(block.shown, new)
                    print(f"{block}: stored anew")
        if left := copy.left_behind():
            print(f"{page}: left behind:\n{left}")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pretend"]:
        sys.exit(pretend(sys.argv[2], sys.argv[3:]))
    for chosen in map(Path, sys.argv[1:] or PAGES):
        store(chosen.resolve())
