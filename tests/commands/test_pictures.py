"""The commands on grey and RGBA pictures, on grey of 32 bits, and on the standard input."""

import base64
import importlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import attention, infer, report
from sdt_ref.inputs.image import crop, open_picture, preprocess
from sdt_ref.weights import file as weights_file
from tests.pictures import tiff, weights_for
from tests.shipped import CAT, DIGIT

Capture = pytest.CaptureFixture[str]
OUTPUTS = {"report": ["-o", "out.html"], "trace": ["-o", "out.h5"], "calibrate": ["-o", "out.toml"]}
PICTURE = "infer", "explain", "attention", "report", "energy", "trace", "calibrate"  # commands that take one
RECORDING = "infer", "explain", "energy", "trace"  # that take a recording, too, and then its weights


def run(command: str, *arguments: object) -> int:
    main = importlib.import_module(f"sdt_ref.{command}").main
    return int(main([*map(str, arguments), *OUTPUTS.get(command, [])]))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=[1, 4])
def channels(request: pytest.FixtureRequest) -> int:
    """Weights for so many channels, and two pictures that fit."""
    made: int = request.param
    weights_file.save("w.h5", weights_for(made))
    rng = np.random.default_rng(made)
    for name in ("class 0/0.png", "class 3/0.png"):
        pixels = rng.integers(0, 256, (12, 9, made), np.uint8)
        Path(name).parent.mkdir()
        Image.fromarray(pixels[..., 0] if made == 1 else pixels).save(name)
    return made


# --- one channel and four ---------------------------------------------------------------------------------------------


def test_infer_reads_as_many_channels_as_its_weights(channels: int, capsys: Capture) -> None:
    assert infer.main(["class 0/0.png", "--weights", "w.h5", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    model = sdt_ref.load("w.h5")
    x = preprocess(open_picture("class 0/0.png", channels=channels), model.preprocessing)[None]
    assert x.shape == (1, channels, 8, 8)
    assert summary["logits"] == [float(v) for v in model(x).logits[0]]


@pytest.mark.parametrize("command", [*PICTURE, "evaluate"])
def test_every_command_takes_them(command: str, channels: int, capsys: Capture) -> None:
    if command == "report":
        pytest.importorskip("jinja2")
    data = "." if command in ("evaluate", "calibrate") else "class 0/0.png"
    assert run(command, data, "--weights", "w.h5", "--size", 16) == 0
    captured = capsys.readouterr()
    assert "unreadable" not in captured.out + captured.err
    if command == "explain":
        colours = {1: "grey of 16 x 16 pixels", 4: "3 colours and opacity of 16 x 16 pixels"}[channels]
        assert colours in " ".join(captured.out.split())


def test_explain_names_the_planes(channels: int, capsys: Capture) -> None:
    assert run("explain", "class 0/0.png", "--weights", "w.h5", "--stage", "patch_embed.proj_lif", "--all") == 0
    shown = capsys.readouterr().out
    assert ("opacity" in shown) == (channels == 4)
    assert ("grey" in shown) == (channels == 1)


def test_the_report_shows_what_the_network_sees(channels: int) -> None:
    pytest.importorskip("jinja2")
    assert report.main(["class 0/0.png", "--weights", "w.h5", "-o", "r.html"]) == 0
    embedded = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", Path("r.html").read_text())
    assert embedded
    shown = Image.open(io.BytesIO(base64.b64decode(embedded[1])))
    seen = crop(open_picture("class 0/0.png", channels=channels), weights_for(channels).preprocessing)
    white = Image.new("RGBA", seen.size, "white")
    white.alpha_composite(seen.convert("RGBA"))
    assert shown.mode == "RGB"
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(white)[..., :3]).max() <= 1


def test_a_grey_picture_is_drawn_grey() -> None:
    pytest.importorskip("matplotlib")
    weights_file.save("w.h5", weights_for(1))
    Image.fromarray(np.arange(0, 256, 4, np.uint8).reshape(8, 8)).save("g.png")
    assert attention.main(["g.png", "--weights", "w.h5", "-o", "map.png"]) == 0
    pixels = np.asarray(Image.open("map.png").convert("RGB")).astype(int)
    photo = pixels[40:250, 110:340]  # the heading's
    assert np.ptp(photo, axis=2).max() <= 2
    assert photo.min() < 20
    assert photo.max() > 235


# --- what was assumed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*PICTURE, "evaluate"])
def test_what_was_assumed_of_grey_is_told_in_text_and_json(command: str, capsys: Capture) -> None:
    if command == "report":
        pytest.importorskip("jinja2")
    grey = np.asarray(Image.open(CAT).convert("L"))
    Path("cat").mkdir()
    Path("cat/cat.tif").write_bytes(tiff(grey.astype(np.float32)))
    data = "." if command == "evaluate" else "cat/cat.tif"
    told = "32-bit grey within 0 to 255 taken as black to white"
    assert run(command, data) == 0
    captured = capsys.readouterr()
    assert f"noticed {told}: 1" in " ".join((captured.out + captured.err).split())
    assert run(command, data, "--json") == 0
    assert json.loads(capsys.readouterr().out)["repairs"] == {told: 1}


def test_grey_of_any_depth_gets_one_answer(capsys: Capture) -> None:
    grey = np.asarray(Image.open(CAT).convert("L"))
    Image.fromarray(grey).save("8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save("16.png")
    for name, pixels in {
        "255": grey.astype(np.float32),
        "1": grey.astype(np.float32) / 255,
        "i": grey.astype(np.int32),
    }.items():
        Path(f"{name}.tif").write_bytes(tiff(pixels))
    answers = []
    for name in ("8.png", "16.png", "255.tif", "1.tif", "i.tif"):
        assert infer.main([name, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)["logits"])
    assert all(answer == answers[0] for answer in answers)


# --- the standard input -----------------------------------------------------------------------------------------------


def piped(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))


@pytest.mark.parametrize("command", PICTURE)
def test_a_dash_is_a_picture_from_the_standard_input(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    if command == "report":
        pytest.importorskip("jinja2")
    assert run(command, CAT, "--json") == 0
    expected = capsys.readouterr().out.replace(str(CAT), "standard input")
    piped(CAT.read_bytes(), monkeypatch)
    assert run(command, "-", "--json") == 0
    found = capsys.readouterr().out
    changing = r'"(seconds|bytes|sha256|hash|created)": .*'
    assert re.sub(changing, "", found) == re.sub(changing, "", expected)


@pytest.mark.parametrize("command", RECORDING)
def test_a_dash_is_a_recording_and_takes_its_weights(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(command, DIGIT, "--json") == 0
    expected = capsys.readouterr().out.replace(str(DIGIT), "standard input")
    piped(DIGIT.read_bytes(), monkeypatch)
    assert run(command, "-", "--json") == 0
    assert re.sub(r'"seconds": .*', "", capsys.readouterr().out) == re.sub(r'"seconds": .*', "", expected)


def test_its_name_is_the_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for command in ("infer", "explain", "attention", "energy"):
        piped(CAT.read_bytes(), monkeypatch)
        assert run(command, "-") == 0
        assert capsys.readouterr().out.startswith("standard input"), command
    piped(b"text", monkeypatch)
    assert infer.main(["-"]) == 2
    assert "picture 'standard input': expected a format that Pillow reads" in capsys.readouterr().err


def test_a_trial_needs_a_path(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    piped(DIGIT.read_bytes(), monkeypatch)
    assert infer.main(["-", "--trial", "1"]) == 2
    assert "--trial: expected the path of a recording, which has a table beside it, found the standard input" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
@pytest.mark.parametrize(
    ("pipe", "code", "message"),
    [
        ("cat {cat} | {infer} - --top 1", 0, "standard input  451x300, seen at 32x32"),
        ("cat {digit} | {infer} - --top 1", 0, "standard input  N-MNIST"),
        ("{infer} - --top 1 < {cat}", 0, "standard input  451x300"),
        ("{infer} /dev/stdin --top 1 < {cat}", 0, "stdin  451x300"),
        ("{infer} - < /dev/null", 2, "standard input: expected a picture or a recording, found nothing"),
        ("{infer} - <&-", 2, "'-' reads the standard input: expected a file or a pipe, found none"),
        (
            "cat {cat} | {infer} /dev/stdin",
            2,
            "expected a file, found a pipe or a device; save it as a file first",
        ),
        ("{infer} <(cat {cat})", 2, "expected a file, found a pipe or a device; save it as a file first"),
        (
            "{infer} https://example.org/cat.jpg",
            2,
            "'https://example.org/cat.jpg' is a URL; expected a file: download it",
        ),
    ],
)
def test_pipes(pipe: str, code: int, message: str) -> None:
    command = pipe.format(cat=CAT, digit=DIGIT, infer=f"{sys.executable} -m sdt_ref.infer")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == code
    assert message in (done.stderr if code else done.stdout)
    assert done.stderr.count("\n") == (1 if code else 0)
