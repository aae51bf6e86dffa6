"""What is no plain file is refused at once, in one line, wherever a command takes a path; '-' reads from a pipe."""

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdt_ref.errors import LONGEST
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")

PATHS = {
    "infer": ([], ["{}"], ["--formats", "{}"], ["--weights", "{}"]),
    "explain": ([], ["{}"], ["--formats", "{}"]),
    "attention": ([], ["{}"], ["--formats", "{}"]),
    "report": (["-o", "r.html"], ["{}"], ["--formats", "{}"]),
    "energy": ([], ["{}"]),
    "calibrate": (["-o", "f.toml"], ["{}"]),
    "evaluate": ([], ["{}"], ["set", "--against", "{}"]),
}
USES = [(command, [*base, *use]) for command, (base, *uses) in PATHS.items() for use in uses]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a pipe, a loop of links, an empty file, and a set of one picture."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "set" / "cat").mkdir(parents=True)
    Image.open(CAT).resize((32, 32)).save(tmp_path / "set" / "cat" / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", ["pipe", "/dev/zero", "/dev/full", "/dev/stdin", "loop", "x" * 5000, "\x1b[31m"])
@pytest.mark.parametrize(("command", "arguments"), USES, ids=lambda value: " ".join(value) if value else "")
def test_what_is_no_plain_file_is_refused(
    command: str, arguments: list[str], path: str, folder: Path, capsys: Capture
) -> None:
    before = sorted(folder.rglob("*"))
    assert importlib.import_module(f"sdt_ref.{command}").main([text.format(path) for text in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err[:-1].isprintable()
    assert len(captured.err) <= LONGEST + len("error: \n")
    assert sorted(folder.rglob("*")) == before


def test_a_pipe_in_a_data_set_is_one_unreadable_file(folder: Path, capsys: Capture) -> None:
    os.mkfifo(folder / "set" / "cat" / "b.png")
    (folder / "set" / "cat" / "c.png").symlink_to("/dev/zero")
    assert importlib.import_module("sdt_ref.evaluate").main(["set", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 1
    assert [each["name"] for each in found["unreadable"]] == ["cat/b.png", "cat/c.png"]
    assert all("a pipe or a device" in each["reason"] for each in found["unreadable"])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}", "found fewer"),
        (f"{{'descr': '<i8', 'fortran_order': False, 'shape': (0x{'f' * 5000},)}}", "found fewer"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}", "expected at least 1 integers"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", "found float64 of shape (1,)"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "found object of shape (1,)"),
        ("-" * 9000 + "1", "expected a .npy file of integers"),
    ],
)
def test_labels_are_bounded_by_their_header(header: str, message: str, folder: Path, capsys: Capture) -> None:
    text = header.encode()
    (folder / "labels.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    assert importlib.import_module("sdt_ref.evaluate").main(["set", "--against", "labels.npy"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_labels_are_read_as_before(folder: Path, capsys: Capture) -> None:
    agreeing = []
    for label in range(10):
        np.save(folder / "labels.npy", np.array([label, 99], ">i4"))  # more than there are pictures
        assert importlib.import_module("sdt_ref.evaluate").main(["set", "--against", "labels.npy", "--json"]) == 0
        agreeing.append(json.loads(capsys.readouterr().out)["agreeing"])
    assert sorted(agreeing) == [0] * 9 + [1]
