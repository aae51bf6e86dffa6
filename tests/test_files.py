"""Files that are written whole or not at all, under names of any length."""

import importlib
import re
from pathlib import Path

import pytest

import sdt_ref
from sdt_ref.files import require_writable, written_whole
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]

LONG = "a" * 300


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("report", ["-o", f"{LONG}.html"]),
        ("attention", ["-o", f"{LONG}.png"]),
        ("energy", ["--csv", f"{LONG}.csv"]),
        ("energy", ["--plot", f"{LONG}.png"]),
        ("trace", ["-o", f"{LONG}.h5"]),
        ("calibrate", [str(CAT.parent), "-o", f"{LONG}.toml"]),
        ("vectors", ["run.h5", "-o", LONG]),
        ("energy", [LONG]),
        ("evaluate", [LONG]),
        ("infer", [LONG]),
    ],
)
def test_a_name_that_is_too_long_is_said_in_words(
    command: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    if command == "vectors":
        assert importlib.import_module("sdt_ref.trace").main(["-o", "run.h5"]) == 0
        capsys.readouterr()
    before = list(tmp_path.iterdir())
    assert importlib.import_module(f"sdt_ref.{command}").main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search("the name is too long for the disk; choose a shorter one|File name too long", captured.err)
    assert "Errno" not in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == before


def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path: Path) -> None:
    """The unfinished file beside it has a shorter one."""
    target = tmp_path / ("ä" * 127)  # 254 bytes
    require_writable(target, sdt_ref.SdtError)
    with written_whole(target, sdt_ref.SdtError) as part:
        part.write_text("all of it")
    assert target.read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [target]
