"""Numbers of options that no computer counts to: they are limits that limit nothing, or one line."""

import importlib
from pathlib import Path

import pytest
from PIL import Image

from sdt_ref.errors import LONGEST
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]

OPTIONS = {
    "infer": ["--top", "--trial", "--size", "--time-steps", "--threads"],
    "explain": ["--token", "--channel", "--step", "--size", "--time-steps", "--threads"],
    "evaluate": ["--limit", "--size", "--time-steps", "--threads"],
    "energy": ["--limit", "--batch", "--size", "--time-steps", "--threads"],
    "attention": ["--blocks", "--steps", "--size", "--time-steps", "--threads"],
    "report": ["--steps", "--size", "--time-steps", "--threads"],
    "calibrate": ["--limit", "--size", "--time-steps", "--threads", "--weight-bits", "--membrane-bits"],
    "claims": ["--size", "--time-steps", "--threads"],
}
USES = [(command, option) for command, options in OPTIONS.items() for option in options]
LIMITS_NOTHING = {("infer", "--top"), ("evaluate", "--limit"), ("energy", "--limit"), ("energy", "--batch"), ("calibrate", "--limit")}  # fmt: skip
BESIDE = {"report": ["-o", "r.html"], "calibrate": ["-o", "f.toml"], "explain": ["--stage", "block.0.attn.q_lif"]}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a set of one picture."""
    (tmp_path / "set" / "cat").mkdir(parents=True)
    Image.open(CAT).resize((32, 32)).save(tmp_path / "set" / "cat" / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, option: str, text: str) -> int:
    """The exit code of a command with one option."""
    source = {"evaluate": ["set"], "claims": []}.get(command, ["set/cat/a.png"])
    try:
        return importlib.import_module(f"sdt_ref.{command}").main(
            [*source, *BESIDE.get(command, []), f"{option}={text}"]
        )
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("text", ["99999999999999999999", "9" * 4000, "9" * 5000, "-" + "9" * 30, "x" * 10**5])
@pytest.mark.parametrize(("command", "option"), USES)
def test_a_number_beyond_all_is_one_line(command: str, option: str, text: str, data: Path, capsys: Capture) -> None:
    code = run(command, option, text)
    captured = capsys.readouterr()
    if (command, option) in LIMITS_NOTHING and text.isdecimal() and len(text) < 4300:
        assert code == 0
        return
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err[:-1].isprintable()
    assert len(captured.err) < LONGEST + 99
