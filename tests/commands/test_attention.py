"""`attention`: its table, its picture, and what it refuses."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdt_ref import attention
from sdt_ref.terminal import cli
from sdt_ref.weights import file as weights_file
from tests.attention_maps import maps_of_the_cat
from tests.networks import Network, weights_of
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]


def test_the_table_is_aligned_and_exact(capsys: Capture) -> None:
    assert attention.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cat.jpg, the sample photo  451x300, seen at 32x32"
    rows = lines[3:11]
    assert len({len(row.rstrip()) for row in rows}) == 1
    seen = maps_of_the_cat()[1]
    q, passed = seen.q[3], seen.passed[3]
    expected = f"1 3 {seen.kv[3]} {seen.mask[3].sum()} of 256 {q} {passed} {passed / q:.1%} {seen.tokens[3]} of 64"
    assert rows[-1].split() == expected.split()


def test_json_alone_says_all(capsys: Capture) -> None:
    assert attention.main([str(CAT), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["size"], summary["n_channels"], summary["n_heads"], summary["picture"]) == (32, 256, 8, None)
    assert (summary["arithmetic"], summary["image"]) == ("float32", str(CAT))
    for seen, block in zip(maps_of_the_cat(), summary["blocks"], strict=True):
        assert block["block"] == seen.block
        for t, step in enumerate(block["steps"]):
            assert step["step"] == t
            assert step["channels"] == np.flatnonzero(seen.mask[t]).tolist()
            assert step["passing"] == seen.passing[t].tolist()
            for name in ("q", "k", "v", "kv", "passed", "output", "tokens"):
                assert step[name] == getattr(seen, name)[t]


@pytest.mark.parametrize("columns", ["20", "60"])
def test_no_number_is_cut_off_in_a_narrow_window(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert attention.main(["--size", "128", "--steps", "1", "--blocks", "0"]) == 0
    screen = capsys.readouterr().out
    assert "…" not in screen
    assert "of 1,024" in screen


def test_blocks_and_steps_are_chosen(capsys: Capture) -> None:
    assert attention.main(["--json", "--blocks", "1", "--steps", "2-3,0"]) == 0
    chosen = json.loads(capsys.readouterr().out)["blocks"]
    assert [(block["block"], [step["step"] for step in block["steps"]]) for block in chosen] == [(1, [0, 2, 3])]
    assert chosen[0]["steps"][1]["passing"] == maps_of_the_cat()[1].passing[2].tolist()


def test_a_silent_network_has_no_shares(tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(drive=-100)))
    assert attention.main(["--weights", str(tmp_path / "w.h5")]) == 0
    assert "0 of 16" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_written(ending: str, drawing: Any, tmp_path: Path, capsys: Capture) -> None:
    """Whatever the name holds: markup of pictures and of terminals, signs that the font lacks."""
    photo = tmp_path / "caf\u00e9 $\\x$ \u732b [bold] of a rather long name.jpg"
    photo.write_bytes(CAT.read_bytes())
    path = tmp_path / f"map.{ending}"
    assert attention.main([str(photo), "-o", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["picture"] == str(path)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)
    assert sorted(tmp_path.iterdir()) == sorted([photo, path])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg"], "picture 'absent.jpg' does not exist"),
        ([""], "expected a file, found a folder"),
        ([__file__], "expected a format that Pillow reads"),
        (["--size", "33"], "expected height and width divisible by 4"),
        (["--weights", "absent.h5"], "weights file 'absent.h5' does not exist"),
        (["--steps", "4"], "--steps: expected numbers from 0 to 3, found '4'"),
        (["--steps", "0,5000"], "--steps: expected numbers from 0 to 3, found '0,5000'"),
        (["--blocks", "2-1"], "--blocks: expected whole numbers and ascending ranges such as 0,2-3, found '2-1'"),
        (["--steps", "0,3-1"], "--steps: expected whole numbers and ascending ranges such as 0,2-3, found '0,3-1'"),
        (["--blocks", "one"], "--blocks: expected whole numbers and ascending ranges such as 0,2-3, found 'one'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys: Capture) -> None:
    assert attention.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("folder.png", "it is a folder; name a file in it"),
        ("map.jpg", "expected a name that ends in .png, .svg, .pdf"),
        ("", "expected a name that ends in .png, .svg, .pdf"),
        ("absent/map.png", "cannot write"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_first(
    output: str, message: str, drawing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "load_model", lambda options: pytest.fail("computed in vain"))
    assert attention.main(["-o", output]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_without_matplotlib_there_is_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith(("matplotlib.", "sdt_ref.drawing."))]:
        monkeypatch.delitem(sys.modules, name)
    assert attention.main(["-o", str(tmp_path / "map.png")]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err
        == "error: pictures need matplotlib, which is not installed; in the folder of sdt_ref: pip install '.[report]'\n"
    )
    assert (captured.out, list(tmp_path.iterdir())) == ("", [])
    assert attention.main([]) == 0
    assert "K AND V" in capsys.readouterr().out


def test_event_camera_weights_take_no_photo(drawing: Any, tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(in_channels=2)))
    assert attention.main(["--weights", str(tmp_path / "w.h5"), "-o", str(tmp_path / "map.png")]) == 2
    captured = capsys.readouterr()
    assert "these weights read event-camera frames" in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]


@pytest.mark.slow
def test_too_large_a_picture_is_refused_but_not_a_table(drawing: Any, tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(time_steps=520)))
    arguments = ["--weights", str(tmp_path / "w.h5"), "-o", str(tmp_path / "map.png")]
    assert attention.main(arguments) == 2
    assert "expected at most 512 maps, found 1 blocks x 520 time steps; choose with" in capsys.readouterr().err
    assert attention.main([*arguments, "--steps", "517-519"]) == 0
    assert attention.main(arguments[:2]) == 0
