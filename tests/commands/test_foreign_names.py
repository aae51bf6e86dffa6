"""Names of classes and files are anybody's: none of them commands the terminal, breaks a line, or grows a page."""

import dataclasses
import importlib
import json
import os
from pathlib import Path

import pytest

from sdt_ref.page.write import MAX_BYTES
from sdt_ref.terminal.progress import working
from sdt_ref.terminal.screen import Screen, table
from sdt_ref.terminal.words import plain
from sdt_ref.weights import file as weights_file
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]

HOSTILE = "\x1b]0;title\x07\x1b[31m\u202e[/][bold]\r\n<script>$x$\udcff"
NAMES = {
    "control characters": HOSTILE,
    "a hundred thousand letters": "k" * 10**5,
    "backslashes and brackets": "[/]\\[/]\\\\",
}
COMMANDS = {
    "infer": [],
    "explain": [],
    "attention": ["-o", "map.svg"],
    "report": ["-o", "report.html"],
    "energy": ["--table", "t.tex", "--plot", "energy.svg"],
}


@pytest.fixture(params=NAMES.values(), ids=NAMES.keys())
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The weights that ship, with other names of their classes."""
    shipped = weights_file.load()
    path = tmp_path / "w.h5"
    weights_file.save(path, dataclasses.replace(shipped, classes=tuple(f"{k}{request.param}" for k in range(10))))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_names_of_classes_are_shown_as_text(
    command: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [str(CAT), "--weights", str(weights), *COMMANDS[command]]
    assert importlib.import_module(f"sdt_ref.{command}").main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.replace("\n", "").isprintable()
    assert captured.err.replace("\n", "").isprintable()
    assert len(captured.out) < 40_000
    if command == "report":
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert len(page) < MAX_BYTES / 5
        assert "<script>$x$" not in page
        assert "\x1b" not in page


def test_json_has_the_names_themselves(weights: Path, capsys: Capture) -> None:
    assert importlib.import_module("sdt_ref.infer").main([str(CAT), "--weights", str(weights), "--json"]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    known = weights_file.load(weights).classes
    assert {each["label"] for each in json.loads(text)["predictions"]} <= set(known)


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("command", COMMANDS)
def test_names_of_files_are_shown_as_text(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    name = HOSTILE.replace("/", "") + ".jpg"
    (tmp_path / name).symlink_to(CAT)
    assert importlib.import_module(f"sdt_ref.{command}").main([name, *COMMANDS[command]]) == 0
    captured = capsys.readouterr()
    assert captured.out.replace("\n", "").isprintable()
    assert captured.err.replace("\n", "").isprintable()
    if command == "report":
        assert "<script>$x$" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_screen_spells_what_is_not_printable(capsys: Capture) -> None:
    """Whatever a command forgets to spell: text, a cell of a table, a bar."""
    screen = Screen()
    screen.print("[bold]a\x1b[31mb\u202e[/]\nc")
    shown = table("\x07", "n")
    shown.add_row("d\x9be", "1")
    screen.print_table(shown)
    with working(screen, "computing") as progress:
        progress("\x1b[2J")
    out = capsys.readouterr().out
    assert r"a\x1b[31mb\u202e" + "\nc\n" in out
    assert r"d\x9be" in out
    assert out.replace("\n", "").isprintable()


def test_a_name_is_one_line_without_markup() -> None:
    assert plain("a\nb[bold]\x1b") == r"a b\[bold]\x1b"
