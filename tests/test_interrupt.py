"""Signals: a command ends in one line, with nothing left; a program that imports the package keeps its own handlers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sdt_ref
from sdt_ref import infer
from sdt_ref.terminal import cli
from tests import kills

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

Capture = pytest.CaptureFixture[str]

NUMBERS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
LINES = {"SIGINT": "interrupted\n", "SIGTERM": "terminated\n", "SIGHUP": "terminated\n"}
PACKAGE = str(Path(sdt_ref.__file__).parents[1])
ENDING = """
import os, signal, time
os.kill(os.getpid(), signal.{})
time.sleep(20)
"""
SCRIPT = "import sys\nfrom sdt_ref.terminal.cli import main\nsys.exit(main())\n"  # as pip installs it, named sdt-ref
COMMAND = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
from sdt_ref import files, interrupt
from sdt_ref.errors import SdtError

def obey():
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    time.sleep(20)

"""


def by_default() -> None:
    """In a child: all signals as at a prompt, also where this process ignores some."""
    for name in NUMBERS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def python(*arguments: str, path: str = PACKAGE, before: Callable[[], None] = by_default) -> tuple[int, str, str]:
    """Run Python; returns its exit code and what it wrote."""
    shown = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=before,
    )
    return shown.returncode, shown.stdout, shown.stderr


def ended_while_importing(folder: Path, name: str, *arguments: str) -> tuple[int, str, str]:
    """Run Python on a package whose numba sends a signal to the process that imports it."""
    (folder / "numba.py").write_text(ENDING.format(name))
    return python(*arguments, path=os.pathsep.join([str(folder), PACKAGE]))


def ended_in(folder: Path, name: str, code: str) -> tuple[int, str, str]:
    """Run code as the script sdt-ref, in a folder of its own; `obey()` in it sends the signal."""
    (folder / "sdt-ref").write_text(COMMAND + code)
    (folder / "work").mkdir()
    return python(str(folder / "sdt-ref"), name, str(folder / "work"))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "start", ["-m sdt_ref.infer", "-m sdt_ref infer", "-msdt_ref.evaluate x", "-m sdt_ref", "script"]
)
def test_a_signal_during_the_imports_is_one_line(start: str, name: str, tmp_path: Path) -> None:
    """As numba is imported: long before any code of a command runs."""
    (tmp_path / "sdt-ref").write_text(SCRIPT)
    arguments = [str(tmp_path / "sdt-ref")] if start == "script" else start.split()
    assert ended_while_importing(tmp_path, name, *arguments) == (NUMBERS[name], "", LINES[name])


def test_a_program_that_imports_the_package_keeps_its_own_ctrl_c(tmp_path: Path) -> None:
    program = "try:\n  import sdt_ref\nexcept KeyboardInterrupt:\n  print('mine')"
    assert ended_while_importing(tmp_path, "SIGINT", "-c", program) == (0, "mine\n", "")
    assert ended_while_importing(tmp_path, "SIGTERM", "-c", program) == (-signal.SIGTERM, "", "")


def test_ctrl_c_in_a_command_that_a_program_calls_is_the_same_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def stop(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(cli, "load_model", stop)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert infer.main([]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "interrupted\n"


def test_a_signal_that_the_parent_ignores_stays_ignored(tmp_path: Path) -> None:
    """As nohup ignores SIGHUP, and a shell SIGINT of what runs in the background."""

    def ignoring() -> None:
        by_default()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    (tmp_path / "sdt-ref").write_text(
        COMMAND
        + "for n in (signal.SIGHUP, signal.SIGINT):\n  os.kill(os.getpid(), n)\nprint('done', flush=True)\nobey()"
    )
    found = python(str(tmp_path / "sdt-ref"), "SIGTERM", before=ignoring)
    assert found == (143, "done\n", "terminated\n")


WITHIN = {  # where the signal comes, and what would be left there
    "a file": "with files.written_whole('new', SdtError) as part:\n  part.write_text('half')\n  obey()",
    "an old file": "Path('old').write_text('old')\nwith files.written_whole('old', SdtError) as part:\n  obey()",
    "a folder": "with files.folder_written_whole('new', SdtError) as part:\n  (part / 'a').mkdir()\n"
    "  (part / 'a' / 'b').write_text('half')\n  obey()",
    "an old folder": "os.mkdir('old')\nwith files.folder_written_whole('old', SdtError) as part:\n  obey()",
    "a temporary folder": "import tempfile\ntempfile.tempdir = os.getcwd()\n"
    "with files.temporary_folder() as part:\n  (part / 'x').write_text('half')\n  obey()",
    "two of them": "with files.written_whole('a', SdtError), files.written_whole('b', SdtError):\n  obey()",
    "a folder that has vanished": "os.mkdir('x')\nwith files.written_whole('x/new', SdtError):\n"
    "  import shutil\n  shutil.rmtree('x')\n  obey()",
    "as it is made": "def made(*a, open=os.open):\n  os.open = open\n  open(*a)\n  obey()\n"
    "os.open = made\nwith files.written_whole('new', SdtError):\n  pass",
    "as a folder is made": "os.mkdir = lambda *a, mkdir=os.mkdir, **k: (mkdir(*a, **k), obey())\n"
    "with files.folder_written_whole('new', SdtError):\n  pass",
    "as it is removed": "os.unlink = lambda *a, unlink=os.unlink, **k: (obey() if a else None, unlink(*a, **k))\n"
    "files.require_writable('new', SdtError)",
    "a callback that swallows": "class Swallowing:\n  def __del__(self):\n    obey()\n"
    "with files.written_whole('new', SdtError):\n  Swallowing()\n  time.sleep(20)",
    "a thread": "def write():\n  with files.written_whole('new', SdtError):\n    obey()\n"
    "with files.written_whole('other', SdtError):\n  threading.Thread(target=write).start()\n  time.sleep(20)",
}


@pytest.mark.parametrize("where", WITHIN)
def test_nothing_unfinished_stays(where: str, tmp_path: Path) -> None:
    name = "SIGINT" if where == "a callback that swallows" else "SIGTERM"
    code = f"os.chdir(sys.argv[2])\n{WITHIN[where]}"
    assert ended_in(tmp_path, name, code) == (NUMBERS[name], "", LINES[name])
    left = sorted(entry.name for entry in (tmp_path / "work").iterdir())
    assert left == (["old"] if "an old" in where else [])
    if where == "an old file":
        assert (tmp_path / "work" / "old").read_text() == "old"


def test_a_second_signal_does_not_stop_the_first_from_tidying_up(tmp_path: Path) -> None:
    code = """
os.chdir(sys.argv[2])
remove = os.unlink
def again(*arguments, **named):
    os.kill(os.getpid(), signal.SIGINT)
    remove(*arguments, **named)
os.unlink = again
with files.written_whole('new', SdtError):
    obey()
"""
    assert ended_in(tmp_path, "SIGTERM", code) == (143, "", "terminated\n")
    assert not list((tmp_path / "work").iterdir())


def test_no_thread_makes_a_file_once_the_end_has_begun(tmp_path: Path) -> None:
    """The signal comes as a thread is about to make one; what undoes the main thread's gives it all the time it wants."""
    code = """
os.chdir(sys.argv[2])
begun = threading.Event()
def write():
    begun.wait()
    with files.written_whole('late', SdtError) as part:
        part.write_text('late')
threading.Thread(target=write, daemon=True).start()
def undo():
    begun.set()
    time.sleep(0.2)
with interrupt.undone_at_end(undo):
    obey()
"""
    assert ended_in(tmp_path, "SIGTERM", code) == (143, "", "terminated\n")
    assert not list((tmp_path / "work").iterdir())


def test_children_end_too(tmp_path: Path) -> None:
    """What is written by a child that holds this process's output open is waited for."""
    code = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with interrupt.undone_at_end(child.kill):
    obey()
"""
    assert ended_in(tmp_path, "SIGTERM", code) == (143, "", "terminated\n")


def test_nothing_is_said_after_the_last_line(tmp_path: Path) -> None:
    """Neither by other threads, which go on until the process has ended, nor by libraries."""
    code = """
end = os._exit
os._exit = lambda code: (os.write(2, b'late'), end(code))
obey()
"""
    assert ended_in(tmp_path, "SIGINT", code) == (130, "", "interrupted\n")


def test_when_all_is_done_a_signal_changes_nothing(tmp_path: Path) -> None:
    """Python takes the handlers away while it ends: the signal would end it without a line."""
    code = "class Late:\n  def __del__(self, kill=os.kill, pid=os.getpid()):\n    kill(pid, 15)\n    kill(pid, 2)\nlate = Late()\n"
    assert ended_in(tmp_path, "SIGTERM", f"{code}print('done')") == (0, "done\n", "")


@pytest.mark.parametrize("closed", ["sys.stderr = None", "sys.stderr.close()", "os.close(2)"])
def test_a_closed_standard_error(closed: str, tmp_path: Path) -> None:
    assert ended_in(tmp_path, "SIGTERM", f"{closed}\nobey()") == (143, "", "")


@pytest.mark.parametrize(("term", "before"), [("xterm", "\r\x1b[2K\x1b[?25h"), ("dumb", "")])
def test_the_cursor_of_a_terminal_is_shown_again(term: str, before: str, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    (tmp_path / "sdt-ref").write_text(COMMAND + "obey()")
    ours, theirs = pty.openpty()
    command = [sys.executable, str(tmp_path / "sdt-ref"), "SIGTERM"]
    environment = {**os.environ, "PYTHONPATH": PACKAGE, "TERM": term}
    done = subprocess.run(command, stderr=theirs, env=environment, check=False, timeout=600, preexec_fn=by_default)
    os.close(theirs)
    assert done.returncode == 143
    assert os.read(ours, 1000).decode() == f"{before}terminated\r\n"
    os.close(ours)


@pytest.mark.campaign
@pytest.mark.parametrize("name", kills.ENDS)
def test_ends_at_random_moments(name: str) -> None:
    """A few; `python -m tests.kills` makes as many as wanted."""
    with kills.prepared() as inputs:
        tallies = kills.campaign(list(kills.CASES), 4, name, 0, inputs)
    assert {command: tally.faults for command, tally in tallies.items()} == {command: [] for command in kills.CASES}
