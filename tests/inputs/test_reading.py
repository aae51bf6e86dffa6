"""A picture or a recording becomes the network's input; neither is taken for the other."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import RecordingError
from sdt_ref.camera.opening import is_recording
from sdt_ref.inputs.reading import first_steps, read, require_alike
from sdt_ref.weights.config import Preprocessing
from tests import camera_bytes
from tests.recordings import npz, some_events
from tests.shipped import CAT


def test_a_recording_of_another_sensor_is_refused(tmp_path: Path) -> None:
    recording = camera_bytes.aedat2(some_events(side=128))
    with pytest.raises(RecordingError, match="a sensor of 34x34 pixels, which the weights read, found 128x128; choose"):
        read(recording, Preprocessing(36, frames=True, sensor=34), 4)
    np.savez(tmp_path / "small.npz", sensor=[16, 34], **camera_bytes.columns(some_events(side=16)))
    with pytest.raises(RecordingError, match="a sensor of 34x34 pixels, which the weights read, found 16x34; choose"):
        read(tmp_path / "small.npz", Preprocessing(36, frames=True, sensor=34), 4)
    beyond = npz(tmp_path / "r.npz", [(5, 34, 0, 1)])  # an npz tells no sensor
    with pytest.raises(RecordingError, match="events within 34x34 pixels, found x up to 34"):
        read(beyond, Preprocessing(36, frames=True, sensor=34), 4)
    within = read(npz(tmp_path / "s.npz", some_events()), Preprocessing(36, frames=True, sensor=34), 4)
    assert (within == read(camera_bytes.nmnist(some_events()), Preprocessing(36, frames=True, sensor=34), 4)).all()


def test_neither_kind_is_taken_for_the_other(digit: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is a JPEG picture"):
        read(CAT, Preprocessing(36, frames=True), 4)
    with pytest.raises(
        sdt_ref.ImageError, match=r"expected a format that Pillow reads .*, found a recording of an event"
    ):
        read(digit, Preprocessing(32), 4)
    for kind in ("TIFF", "BMP"):
        Image.new("L", (8, 8)).save(tmp_path / "p", kind)
        with pytest.raises(RecordingError, match=f"is a {kind} picture"):
            read(tmp_path / "p", Preprocessing(36, frames=True), 4)
    assert is_recording(digit)
    assert not is_recording(CAT)
    assert not is_recording("absent")


def test_a_picture_is_read_as_officially_where_that_is_asked(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    how = Preprocessing(8, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert (read(tmp_path / "clear.png", how, 4) == 1).all()  # laid on white
    assert (read(tmp_path / "clear.png", how, 4, as_official=True) == 0).all()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_a_pipe_is_refused_before_it_can_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(sdt_ref.ImageError, match="found a pipe or a device; save it as a file first"):
        read(tmp_path / "pipe", Preprocessing(8), 4)
    with pytest.raises(RecordingError, match="found a pipe or a device; save it as a file first"):
        read(tmp_path / "pipe", Preprocessing(36, frames=True), 4)


def test_the_channels_are_those_of_the_weights() -> None:
    for channels in (1, 3, 4):
        how = Preprocessing(8, mean=(0.5,) * channels, std=(0.5,) * channels)
        assert read(CAT, how, 4).shape == (channels, 8, 8)


def test_the_first_recording_that_can_be_read_says_how_many_frames_all_have(tmp_path: Path) -> None:
    how = Preprocessing(36, frames=True, sensor=34)
    for T in (6, 5):
        np.savez(tmp_path / f"{T}.npz", frames=np.ones((T, 2, 34, 34), np.float32))
    (tmp_path / "broken.npz").write_bytes(b"broken")
    broken, six, five = [(name, tmp_path / f"{name}.npz", -1) for name in ("broken", "6", "5")]
    events = ("events", npz(tmp_path / "e.npz", some_events()), -1)
    assert first_steps([broken, six, five], how, 4) == 6
    assert first_steps([events, six], how, 4) == 4
    assert first_steps([six, five], how, 5, strict_steps=True) == 5
    assert first_steps([broken], how, 4) is None
    assert first_steps([("cat", CAT, -1)], Preprocessing(32), 4) is None
    x = read(five[1], how, 4)
    for steps in (5, None):
        require_alike("5", x, steps)
    with pytest.raises(RecordingError, match="recording '5': expected 6 frames, as before, found 5"):
        require_alike("5", x, 6)
