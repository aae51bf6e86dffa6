"""Frames: events are counted across chunks and fitted to the network's size."""

import numpy as np
import pytest

import sdt_ref
from sdt_ref import RecordingError
from sdt_ref.camera.frames import fit, integrate, prepare
from sdt_ref.camera.recording import CameraEvents, EventFile, survey
from sdt_ref.inputs.reading import read
from sdt_ref.weights.config import Preprocessing
from tests import camera_bytes
from tests.equality import assert_same
from tests.recordings import some_events


@pytest.mark.parametrize("chunk", [1, 7, 60])
@pytest.mark.parametrize("steps", [1, 7, 59, 60, 61])
def test_frames_are_counted_across_chunks(chunk: int, steps: int) -> None:
    events = some_events()
    t, x, y, p = np.array(events).T
    parts = [CameraEvents(t[i : i + chunk], x[i : i + chunk], y[i : i + chunk], p[i : i + chunk]) for i in range(0, 60, chunk)]  # fmt: skip
    recording = EventFile("r", "made", (34, 34), lambda: iter(parts))
    told = survey(recording)
    places = {
        "number": [min(i // (60 // steps), steps - 1) if steps <= 60 else steps - 1 for i in range(60)],
        "time": [min((e[0] - told.first) // (told.duration // steps), steps - 1) for e in events],
    }
    for split, place in places.items():
        expected = np.zeros((steps, 2, 34, 34), np.int64)
        for k, (_, column, row, polarity) in zip(place, events, strict=True):
            expected[k, polarity, row, column] += 1
        assert_same(integrate(recording, steps, split, (34, 34)), expected, split)
        assert_same(
            prepare(recording, Preprocessing(34, frames=True), steps, split), expected.astype(np.float32), split
        )
        file = camera_bytes.nmnist(events)
        assert_same(read(file, Preprocessing(34, frames=True), steps, split=split), expected.astype(np.float32), split)


def test_half_of_a_sensor_is_the_mean_of_four_pixels() -> None:
    frames = np.zeros((1, 2, 4, 4), np.int64)
    frames[0, 1] = [[1, 2, 0, 0], [3, 5, 0, 1], [0, 0, 4, 4], [0, 0, 4, 4]]
    halved = fit(frames, Preprocessing(2, frames=True, sensor=4))
    assert halved.dtype == np.float32
    assert halved[0].tolist() == [[[0, 0], [0, 0]], [[2.75, 0.25], [0, 4]]]


def test_antialiased_halving_weighs_four_by_four_pixels() -> None:
    """Weights 1 3 3 1 of 8; at the border 3 3 1 of 7."""
    frames = np.zeros((1, 1, 8, 8), np.int64)
    frames[0, 0, 3, 0] = 56
    halved = fit(frames, Preprocessing(4, frames=True, sensor=8, antialias=True))[0, 0]
    assert halved[1, 0] == np.float32(56 * 3 / 8 * 3 / 7)
    assert halved[2, 0] == np.float32(56 * 1 / 8 * 3 / 7)
    assert np.count_nonzero(halved) == 2


@pytest.mark.parametrize("antialias", [False, True])
def test_halving_is_what_torchvision_s_resize_calls(antialias: bool) -> None:
    torch = pytest.importorskip("torch")
    frames = np.random.default_rng(0).poisson(0.7, (3, 2, 128, 128))
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(frames.astype(np.float64)),
        size=(64, 64),
        mode="bilinear",
        align_corners=False,
        antialias=antialias,
    )
    ours = fit(frames, Preprocessing(64, frames=True, sensor=128, antialias=antialias))
    assert (ours == resized.float().numpy()).all()


@pytest.mark.parametrize(("side", "size", "first"), [(34, 36, 1), (3, 6, 1), (4, 4, 0)])
def test_a_larger_size_has_silent_borders(side: int, size: int, first: int) -> None:
    frames = np.random.default_rng(1).integers(1, 9, (2, 2, side, side))
    padded = fit(frames, Preprocessing(size, frames=True, sensor=side))
    assert padded.shape == (2, 2, size, size)
    assert (padded[:, :, first : first + side, first : first + side] == frames).all()
    assert padded.sum() == frames.sum()


def test_no_other_size_is_guessed() -> None:
    message = "34 pixels, as the sensor has, half of it, or more, found 20"
    with pytest.raises(sdt_ref.ConfigError, match=f"setting 'size': expected {message}"):
        Preprocessing(20, frames=True, sensor=34)
    with pytest.raises(RecordingError, match=f"expected a size of {message}"):
        fit(np.zeros((1, 2, 34, 34)), Preprocessing(20, frames=True))
