"""What every command has in common: options, streams, encodings, interruption."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from sdt_ref import evaluate, infer
from sdt_ref.terminal import cli
from tests.processes import module
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]


def test_an_empty_name_is_no_default(capsys: Capture, pack: Path) -> None:
    """'infer "$photo"' with an unset variable must not classify the cat."""
    assert infer.main([""]) == 2
    assert evaluate.main([str(pack), "--against", ""]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_encoding_of_the_terminal(encoding: str, tmp_path: Path) -> None:
    photo = tmp_path / "caf\u00e9[bold] \u732b.jpg"
    photo.write_bytes(CAT.read_bytes())
    shown = module(
        "sdt_ref.infer",
        str(photo),
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        encoding=encoding,
    )
    assert shown.returncode == 0, shown.stderr
    assert "##" in shown.stdout
    assert "[bold]" in shown.stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX shells")
@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        (">&-", 0),
        ("absent.jpg 2>&-", 2),
        (">/dev/full", 2),
        ("--json >/dev/full", 2),
        ("| true", 0),
        ("absent.jpg 2>&1 | true", 2),
    ],
)
def test_closed_and_full_streams(redirection: str, code: int) -> None:
    command = f"set -o pipefail; {sys.executable} -m sdt_ref.infer {redirection}"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=600)
    assert shown.returncode == code, shown.stderr
    assert "Traceback" not in shown.stderr
    if "2>&-" in redirection:
        assert shown.stdout == ""


def test_wrong_options_are_one_line(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        infer.main(["--colour"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "sdt-ref infer: error: unknown option '--colour'; see --help\n"


@pytest.mark.parametrize(
    ("command", "options", "option"),
    [
        ("convert", "m.pth w.h5 --classes=--", "--classes"),
        ("convert", "m.pth w.h5 --set TET=true --set=--", "--set"),
        ("trace", "-o--", "--output"),
        ("energy", "--pj=--", "--pj"),
        ("evaluate", "pack.h5 --limit=--", "--limit"),
    ],
)
def test_two_dashes_are_no_value(command: str, options: str, option: str, capsys: Capture) -> None:
    """Python's argparse makes an empty list of them."""
    with pytest.raises(SystemExit) as end:
        cli.main([command, *options.split()])
    assert end.value.code == 2
    assert capsys.readouterr().err == f"sdt-ref {command}: error: {option}: expected a value, found '--'; see --help\n"


def test_what_libraries_remark_does_not_stand_beside_the_one_line() -> None:
    code = (
        "import logging, sys; from sdt_ref.terminal import cli; from sdt_ref.errors import ConfigError\n"
        "@cli.guarded\n"
        "def main(argv):\n"
        "    logging.getLogger('library').error('remark'); raise ConfigError('wrong')\n"
        "sys.exit(main([]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "error: wrong\n")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_has_an_example(command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Run as `python -m` runs a module."""
    monkeypatch.setattr(sys, "argv", [f"{command}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"sdt_ref.{command}", run_name="__main__")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"example:\n  python -m sdt_ref.{command} " in shown
    assert "--json" in shown


def test_the_dispatcher(capsys: Capture) -> None:
    assert cli.main(["infer", "--json", "--top", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "cat"
    assert cli.main(["--help"]) == 0
    assert "evaluate" in capsys.readouterr().out
    assert cli.main([]) == 2
    capsys.readouterr()
    assert cli.main(["dance"]) == 2
    assert (
        "unknown command 'dance'; known: infer, explain, evaluate, energy, claims, attention, report, calibrate, sweep, "
        "trace, compare, vectors, sizing, convert" in capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_closed_pipe_is_quiet() -> None:
    shown = subprocess.run(
        f"{sys.executable} -m sdt_ref.infer | head -c 10", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in shown.stderr
    assert "Exception" not in shown.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX")
def test_progress_goes_to_stderr_and_output_has_no_escape_codes(pack: Path) -> None:
    shown = module("sdt_ref.evaluate", str(pack), "--json")
    assert shown.returncode == 1
    json.loads(shown.stdout)
    assert "\x1b" not in module("sdt_ref.infer").stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX shells")
@pytest.mark.parametrize("more", ["", "--json"])
def test_a_reader_that_leaves_does_not_turn_a_failed_check_into_success(tree: Path, more: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m sdt_ref.evaluate {tree} {more} | true"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=600)
    assert (shown.returncode, shown.stderr) == (1, "")
