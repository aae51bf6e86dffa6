"""The drawing of a recording is that of the run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sdt_ref
from sdt_ref import infer
from sdt_ref.camera.recording import CameraEvents, EventFile, survey
from sdt_ref.drawing.recording import _in_colours, _shortened, draw
from tests.equality import assert_same
from tests.networks import Network, model_of
from tests.recordings import npz, some_events

Capture = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_infer_draws_a_recording(tmp_path: Path, digit: Path, weights: Path) -> None:
    picture = tmp_path / "figure.png"
    assert infer.main([str(digit), "--weights", str(weights), "--figure", str(picture), "--json"]) == 0
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_what_infer_draws_is_its_run(
    digit: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    drawn = []
    monkeypatch.setattr("sdt_ref.drawing.recording.draw", lambda *given: drawn.append(given))
    assert infer.main([str(digit), "--weights", str(weights), "--figure", str(tmp_path / "f.png"), "--json"]) == 0
    _, recording, told, frames, result = drawn[0]
    assert (recording.format, told.events) == ("N-MNIST", len(some_events()))
    expected = sdt_ref.load(weights)(frames[None], record=True)
    assert [float(v) for v in expected.logits[0]] == json.loads(capsys.readouterr().out)["logits"]
    assert result.spikes == expected.spikes
    assert len(result.spikes) > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["$\\frac{b$_^{.npz", "\u540d\u524d.npz", "x" * 200 + ".npz"])
def test_a_drawing_takes_any_name_and_a_single_event(tmp_path: Path, weights: Path, name: str, capsys: Capture) -> None:
    recording, picture = str(npz(tmp_path / name, [(7, 1, 2, 1)])), tmp_path / "figure.png"
    assert infer.main([recording, "--weights", str(weights), "--figure", str(picture), "--json"]) == 0
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_drawing_shows_each_frame_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("sdt_ref.drawing.canvas.save", lambda figure, path: drawn.append(figure))
    frames = np.zeros((20, 2, 8, 8), np.float32)
    frames[np.arange(20), 1, 0, 0] = np.arange(20)
    events = CameraEvents(np.arange(300), *np.zeros((2, 300), np.int32), np.tile(np.array([0, 1, 1], np.uint8), 100))
    recording = EventFile("r.bin", "made", (8, 8), lambda: iter([events]))
    model = model_of(Network(in_channels=2, frames=True))
    draw("x.png", recording, survey(recording), frames, model(frames[None], record=True))
    over_time, *tiles = drawn[0].axes
    steps = [round(k * 19 / 15) for k in range(16)]  # 16 of 20 are shown
    shown = {tile.get_title(): tile.images[0].get_array() for tile in tiles if tile.get_title()}
    assert list(shown) == [f"t = {t}" for t in steps]
    for t, picture in zip(steps, shown.values(), strict=True):
        assert_same(picture, _in_colours(frames[t], 19), f"t = {t}")
    assert [picture[0, 0, 2] for picture in shown.values()] == sorted(
        (p[0, 0, 2] for p in shown.values()), reverse=True
    )
    on, off = (sum(np.asarray(part.get_data().values)) for part in over_time.patches)
    assert (on, off) == (200, -100)


def test_a_long_name_keeps_its_end() -> None:
    assert _shortened("a" * 50 + ".aedat", 20) == "a" * 8 + "..." + "aaa.aedat"
    assert _shortened("short.bin", 20) == "short.bin"
