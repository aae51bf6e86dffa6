"""`report`: what it says, and what it refuses."""

import json
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from sdt_ref import report
from sdt_ref.cost.technology import DEFAULTS, TECHNOLOGIES
from sdt_ref.page.gather import Photo, gather
from sdt_ref.page.write import render
from sdt_ref.terminal import cli
from sdt_ref.weights import file as weights_file
from tests.networks import Network, model_of, weights_of
from tests.page.embedded import Embedded, noise
from tests.shipped import DIGIT

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_the_page_says_what_multiplies(arithmetic: str, tmp_path: Path) -> None:
    """In fixed point nothing does, and no sentence says otherwise."""
    pytest.importorskip("jinja2")
    path = tmp_path / "r.html"
    assert report.main(["-o", str(path), "--arithmetic", arithmetic]) == 0
    words = re.sub(
        r"<[^>]+>", "", path.read_text().partition("<noscript>")[2].partition('<script type="application')[0]
    )
    said = {sentence for sentence in ("of pixels, in the leak", "once, with multiplications") if sentence in words}
    denied = {sentence for sentence in ("the leak is a shift", "reads the bits of the pixels") if sentence in words}
    assert (len(said), len(denied)) == ((2, 0) if arithmetic == "float32" else (0, 2))


def test_one_is_not_plural() -> None:
    pytest.importorskip("jinja2")
    n = Network(time_steps=1, num_classes=1)
    data = gather(model_of(n), Photo("noise", noise(n)), "random", n.height, TECHNOLOGIES[DEFAULTS["float32"]])
    words = " ".join(re.sub(r"<[^>]+>", "", render(data).partition("<header>")[2].partition("<script")[0]).split())
    for said in (
        "1 block of 16 channels",
        "after 1 time step ",
        "It knows 1 class, nothing",
        "at the same photo 1 time.",
    ):
        assert said in words


def test_chosen_steps_alone_are_shown(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("jinja2")
    path = tmp_path / "r.html"
    assert report.main(["-o", str(path), "--steps", "3,0-1", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    data = Embedded(path.read_text()).data
    assert summary["steps"] == data["steps"] == [0, 1, 3]
    assert summary["bytes"] == path.stat().st_size
    assert summary["answer"] == data["answer"][0]
    assert summary["sampled"] == data["sampled"] == [data["sampled"][0]]
    assert "Of 4 time steps the page shows 3: 0, 1, 3." in data["sampled"][0]
    assert len(data["stages"][0]["spikes"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg", "-o", "r.html"], "picture 'absent.jpg' does not exist"),
        ([".", "-o", "r.html"], "expected a file, found a folder"),
        ([__file__, "-o", "r.html"], "expected a format that Pillow reads"),
        (["photo.html", "-o", "photo.html"], "report 'photo.html': it is an input of this run; choose another name"),
        (["photo.html", "-o", "./link.html"], "it is an input of this run"),
        (["photo.html", "-o", "photo.jpg"], "report 'photo.jpg': expected a name that ends in .html or .htm"),
        (["-o", "folder.html"], "it is a folder; name a file in it"),
        (["-o", "absent/r.html"], "cannot write 'absent/r.html'"),
        (["-o", ""], "expected a name that ends in .html"),
        (["-o", "r.html", "--weights", "absent.h5"], "weights file 'absent.h5' does not exist"),
        (
            ["-o", "r.html", "--weights", "events.h5"],
            "weights 'events.h5' read event-camera frames; expected weights for",
        ),
        (["-o", "r.html", "--weights", "sdt-2-64-nmnist"], "weights 'sdt-2-64-nmnist' read event-camera frames"),
        (
            [str(DIGIT), "-o", "r.html"],
            "digit.bin' is a recording; expected a picture; for recordings there are python -m",
        ),
        (["-o", "r.html", "--size", "33"], "expected height and width divisible by 4"),
        (["-o", "r.html", "--steps", "4"], "--steps: expected numbers from 0 to 3, found '4'"),
        (
            ["-o", "r.html", "--steps", "x"],
            "--steps: expected whole numbers and ascending ranges such as 0,2-3, found 'x'",
        ),
        (["-o", "r.html", "--technology", "abacus"], "technology: expected one of 45nm-float32"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    Path("folder.html").mkdir()
    Image.new("RGB", (8, 8)).save("photo.html", "PNG")
    Path("link.html").symlink_to("photo.html")
    weights_file.save("events.h5", weights_of(Network(in_channels=2)))
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert report.main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    assert list(Path("folder.html").iterdir()) == []


def test_without_jinja_it_says_so_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr(cli, "load_model", lambda options: pytest.fail("computed in vain"))
    assert report.main(["-o", str(tmp_path / "r.html")]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err
        == "error: the report needs Jinja2, which is not installed; in the folder of sdt_ref: pip install '.[report]'\n"
    )
    assert (captured.out, list(tmp_path.iterdir())) == ("", [])


def test_it_says_what_it_wrote(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("jinja2")
    path = tmp_path / "r.html"
    path.write_text("an older one")
    assert report.main(["-o", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cat.jpg: cat 45.1%"
    assert lines[1].endswith("r.html: 0.6 MB, one file; open it in a browser")
    assert path.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
