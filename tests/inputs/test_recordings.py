"""From a recording to the answer: frames at the network's size, labelled sets, and the command lines."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy import stats

import sdt_ref
from sdt_ref import RecordingError, calibrate, energy, evaluate, explain, infer, trace
from sdt_ref.camera.frames import fit, integrate, prepare
from sdt_ref.camera.opening import is_recording, open_recording
from sdt_ref.camera.recording import CameraEvents, EventFile, survey
from sdt_ref.drawing.recording import _in_colours, _shortened, draw
from sdt_ref.inputs.reading import read
from sdt_ref.inputs.recordings import open_recordings
from sdt_ref.measuring import accuracy
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.config import Preprocessing
from sdt_ref.weights.presets import class_names
from tests import camera_bytes
from tests.equality import assert_same
from tests.networks import Network, model_of, weights_of

GESTURES = class_names("gesture") or ()
DIGITS = class_names("nmnist") or ()
DVS = Network(in_channels=2, frames=True, dvs_mode=True, time_steps=4, num_classes=10, seed=3)
CAT = Path(sdt_ref.__file__).parent / "data" / "cat.jpg"
Capture = pytest.CaptureFixture[str]


def some_events(n: int = 60, side: int = 34, seed: int = 0) -> list[camera_bytes.Event]:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 300_000, n))
    return [
        (int(a), int(x), int(y), int(p))
        for a, x, y, p in zip(t, *rng.integers(0, (side, side, 2), (n, 3)).T, strict=True)
    ]


def save(path: Path, n: Network = DVS, **preprocessing: Any) -> Path:
    """Random weights that read N-MNIST's sensor."""
    weights = weights_of(n)
    how = Preprocessing(**{"size": 36, "frames": True, "sensor": 34, **preprocessing})
    weights_file.save(path, weights_file.Weights(weights.tensors, weights.config, how, DIGITS, {}))
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(tmp_path / "w.h5")


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    path = tmp_path / "digit"  # no ending: the content tells
    path.write_bytes(camera_bytes.nmnist(some_events()))
    return path


def npz(path: Path, events: Sequence[camera_bytes.Event]) -> Path:
    t, x, y, p = np.array(events).T
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, t=t, x=x, y=y, p=p)
    return path


# --- frames -------------------------------------------------------------------------------------------------------------


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


# --- frames at the network's size ---------------------------------------------------------------------------------------


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


def test_neither_kind_is_taken_for_the_other(digit: Path) -> None:
    with pytest.raises(RecordingError, match=r"is a picture \(JPEG\)"):
        read(CAT, Preprocessing(36, frames=True), 4)
    with pytest.raises(sdt_ref.ImageError, match="expected a format that Pillow reads"):
        read(digit, Preprocessing(32), 4)
    assert is_recording(digit)
    assert not is_recording(CAT)
    assert not is_recording("absent")


def test_a_picture_is_read_as_officially_where_that_is_asked(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    how = Preprocessing(8, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert (read(tmp_path / "clear.png", how, 4) == 1).all()  # laid on white
    assert (read(tmp_path / "clear.png", how, 4, as_official=True) == 0).all()


# --- labelled sets ------------------------------------------------------------------------------------------------------


def test_numbered_folders_are_in_the_official_order_of_strings(tmp_path: Path) -> None:
    """DVS128 Gesture: folder 10, other gestures, is the logit at place 2."""
    for k in range(11):
        npz(tmp_path / "test" / str(k) / "a.npz", some_events(side=128))
    labelled = {name: GESTURES[label] for name, _, label in open_recordings(tmp_path, GESTURES)}
    assert list(labelled) == [os.path.join(str(k), "a.npz") for k in (0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert labelled[os.path.join("10", "a.npz")] == "other_gestures"
    assert labelled[os.path.join("2", "a.npz")] == "left_hand_wave"
    assert labelled[os.path.join("9", "a.npz")] == "air_guitar"


def test_without_sub_folders_a_tenth_of_each_class_is_for_testing(tmp_path: Path) -> None:
    """As the official code splits CIFAR10-DVS: the first nine tenths of the names, sorted as strings, rounded up."""
    for k in range(11):
        npz(tmp_path / "cat" / f"cifar10_cat_{k}.npz", some_events())
        npz(tmp_path / "dog" / f"cifar10_dog_{k}.npz", some_events())
    names = lambda split: [Path(name).name for name, *_ in open_recordings(tmp_path, ("cat", "dog"), split)]  # noqa: E731
    assert names("test") == ["cifar10_cat_9.npz", "cifar10_dog_9.npz"]
    assert len(names("train")) == 20
    assert names("train")[:3] == ["cifar10_cat_0.npz", "cifar10_cat_1.npz", "cifar10_cat_10.npz"]
    assert len(names(None)) == 22


def test_the_test_ids_of_cifar10_dvs() -> None:
    """909, 91 to 99, 910 to 999 of each class's 1,000, as the strings sort."""
    names = sorted(f"cifar10_cat_{k}.npz" for k in range(1000))[900:]
    ids = sorted(int(re.findall(r"\d+", name)[1]) for name in names)
    assert ids == [*range(91, 100), 909, *range(910, 1000)]


def test_n_mnist_s_folders_begin_with_capitals(tmp_path: Path) -> None:
    for part in ("Train", "Test"):
        (tmp_path / part / "7").mkdir(parents=True)
        (tmp_path / part / "7" / f"{part}.bin").write_bytes(camera_bytes.nmnist(some_events()))
    for split, name in ((None, "Test"), ("test", "Test"), ("train", "Train")):
        assert [(Path(n).stem, label) for n, _, label in open_recordings(tmp_path, DIGITS, split)] == [(name, 7)]


def gesture_folder(path: Path) -> Path:
    """One recording of two trials, which overlap."""
    events = [(100 * k, k % 128, 5, k % 2) for k in range(40)]
    (path / "user01_lab.aedat").write_bytes(camera_bytes.aedat3(events))
    (path / "user01_lab_labels.csv").write_text("class,startTime_usec,endTime_usec\n11,0,1000\n3,900,2000\n")
    return path


@pytest.mark.parametrize("split", [None, "test"])
def test_trials_are_cut_by_the_table_beside_the_recording(tmp_path: Path, split: str | None) -> None:
    gesture_folder(tmp_path)
    if split is not None:
        (tmp_path / "trials_to_test.txt").write_text("user01_lab.aedat\n")
    trials = list(open_recordings(tmp_path, GESTURES, split))
    assert [(name, GESTURES[label]) for name, _, label in trials] == [
        ("user01_lab_0", "other_gestures"),
        ("user01_lab_900", "left_hand_wave"),
    ]
    assert [integrate(recording, 1, "number", (128, 128)).sum() for _, recording, _ in trials] == [10, 11]


def test_the_published_list_of_test_recordings_is_taken_unasked(tmp_path: Path) -> None:
    gesture_folder(tmp_path)
    (tmp_path / "user01_lab.aedat").rename(tmp_path / "user02_lab.aedat")
    (tmp_path / "user01_lab_labels.csv").rename(tmp_path / "user02_lab_labels.csv")
    gesture_folder(tmp_path)
    for part, name in (("test", "user02_lab"), ("train", "user01_lab")):
        (tmp_path / f"trials_to_{part}.txt").write_text(f"{name}.aedat\n\n")
    named = lambda split: [name for name, *_ in open_recordings(tmp_path, GESTURES, split)]  # noqa: E731
    assert named(None) == named("test") == ["user02_lab_0", "user02_lab_900"]
    assert named("train") == ["user01_lab_0", "user01_lab_900"]


def test_trials_of_classes_that_the_weights_do_not_know(tmp_path: Path) -> None:
    gesture_folder(tmp_path)
    with pytest.raises(RecordingError, match=r"user01_lab_labels.csv': expected classes 1 to 10, .* found 11; choose"):
        open_recordings(tmp_path, DIGITS)


def test_a_tenth_of_few_is_none(tmp_path: Path) -> None:
    npz(tmp_path / "7" / "a.npz", some_events())
    with pytest.raises(RecordingError, match="for --split test, a tenth of each class, found none"):
        open_recordings(tmp_path, DIGITS, "test")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "expected one folder per class, found none"),
        (("7",), "expected recordings (.aedat, .aedat4, .bin, .npz), found none"),
        (
            ("seven",),
            "expected class folders named as the weights' 10 classes (0, 1, 2, 3, ...) or 0 to 9, found 'seven'",
        ),
        (("10",), "found '10'"),
        (("07",), "found '07'"),
    ],
)
def test_folders_that_are_no_data_set(tmp_path: Path, names: Sequence[str], message: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(sdt_ref.SdtError, match=re.escape(message)):
        open_recordings(tmp_path, DIGITS)


# --- the command lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["number", "time"])
def test_infer_is_the_engine_on_the_frames(digit: Path, weights: Path, split: str, capsys: Capture) -> None:
    assert infer.main([str(digit), "--weights", str(weights), "--split", split, "--steps", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    frames = integrate(open_recording(digit), 5, split, (34, 34))
    x = np.pad(frames, ((0, 0), (0, 0), (1, 1), (1, 1))).astype(np.float32)[None]
    logits = sdt_ref.load(weights)(x).logits[0]
    assert told["logits"] == [float(v) for v in logits]
    assert (told["format"], told["sensor"], told["events"], told["split"]) == ("N-MNIST", [34, 34], 60, split)
    assert told["events_on"] == sum(p for *_, p in some_events())
    assert (told["duration_us"], told["time_steps"]) == (some_events()[-1][0] - some_events()[0][0], 5)
    assert (told["sensor_told_by"], told["backwards"], told["repairs"]) == ("the recording", 0, {})


def test_infer_says_what_it_found_and_mended(tmp_path: Path, weights: Path, capsys: Capture) -> None:
    events = [*some_events(), (299_999, 40, 2, 1), (5, 3, 3, 0)]
    (tmp_path / "r.bin").write_bytes(camera_bytes.nmnist(events) + b"\x01\x02")
    assert infer.main([str(tmp_path / "r.bin"), "--weights", str(weights)]) == 0
    screen = capsys.readouterr().out
    on = sum(p for *_, p in some_events())
    assert re.search(rf"r\.bin  N-MNIST, 34x34 pixels, 61 events in \d+\.\d ms, {on / 61:.0%} ON", screen)
    assert on / 61 != 0.5
    assert "4 frames by number, 15 events each, seen at 36x36" in screen
    assert "repaired events beyond the 34x34 sensor left out: 1" in screen
    assert "repaired incomplete record at the end left out: 1" in screen
    assert "noticed events earlier than the one before them, taken in the order of the file: 1" in screen
    arguments = [str(tmp_path / "r.bin"), "--weights", str(weights), "--split", "time"]
    assert infer.main(arguments) == 0
    last = some_events()[-1][0]
    assert f"4 frames by time, {(last - 5) // 4 / 1000:.1f} ms each" in (screen := capsys.readouterr().out)
    assert "noticed events earlier than the one before them, each taken at its own time: 1" in screen
    assert infer.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["backwards"] == 1
    assert told["repairs"] == {
        "events beyond the 34x34 sensor left out": 1,
        "incomplete record at the end left out": 1,
    }


def test_without_weights_the_content_chooses_them(tmp_path: Path, capsys: Capture) -> None:
    assert infer.main([str(npz(tmp_path / "r", some_events()).with_suffix(".npz")), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["classes_known"], told["sensor_told_by"]) == ("npz", 10, "the weights")
    assert len(told["predictions"]) == 5
    assert {one["label"] for one in told["predictions"]} < set(DIGITS)
    (tmp_path / "meant").write_bytes(b"#!AER-DAT\r\n")
    assert infer.main([str(tmp_path / "meant")]) == 2
    assert capsys.readouterr().err.startswith("error: recording")


def test_a_bare_name_is_what_ships_unless_there_is_such_a_file(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = weights_file.DEFAULT_OF_RECORDINGS
    assert weights_file.load(name).provenance
    weights.rename(name)
    assert not weights_file.load(name).provenance
    with pytest.raises(sdt_ref.WeightsError, match="'sdt-2-64' does not exist"):
        weights_file.load("sdt-2-64")


def test_fewer_events_than_frames_stand_in_the_last(tmp_path: Path, weights: Path, capsys: Capture) -> None:
    recording = str(npz(tmp_path / "r.npz", some_events(3)))
    assert infer.main([recording, "--weights", str(weights)]) == 0
    assert "4 frames by number, all events in the last, seen at 36x36" in capsys.readouterr().out
    recording = str(npz(tmp_path / "r.npz", some_events(1)))
    assert infer.main([recording, "--weights", str(weights), "--steps", "1"]) == 0
    screen = capsys.readouterr().out
    assert re.search(r"1 event in 0.0 ms, \d+% ON\n1 frame by number, 1 event each", screen)


def test_too_short_to_split_by_time(tmp_path: Path, weights: Path, capsys: Capture) -> None:
    for last, code in ((4, 0), (3, 2)):
        recording = str(npz(tmp_path / "r.npz", [(0, 1, 1, 0), (last, 2, 2, 1)]))
        assert infer.main([recording, "--weights", str(weights), "--split", "time"]) == code
    assert "expected at least 4 us to split by time into 4 frames, found 3 us" in capsys.readouterr().err


def test_infer_one_trial(tmp_path: Path, capsys: Capture) -> None:
    recording = str(gesture_folder(tmp_path) / "user01_lab.aedat")
    weights = str(save(tmp_path / "w.h5", size=128, sensor=128))
    assert infer.main([recording, "--weights", weights, "--trial", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["events"], told["trial"]) == (11, 2)
    assert infer.main([recording, "--weights", weights, "--trial", "1"]) == 0
    assert capsys.readouterr().out.startswith("user01_lab.aedat, trial 1 of 2  AEDAT 3.1, 128x128 pixels, 10 events")
    assert infer.main([recording, "--weights", weights, "--trial", "3"]) == 2
    assert "--trial: expected 1 to 2, found 3" in capsys.readouterr().err


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


@pytest.mark.parametrize("name", ["$\\frac{b$_^{.npz", "\u540d\u524d.npz", "x" * 200 + ".npz"])
def test_a_drawing_takes_any_name_and_a_single_event(tmp_path: Path, weights: Path, name: str, capsys: Capture) -> None:
    recording, picture = str(npz(tmp_path / name, [(7, 1, 2, 1)])), tmp_path / "figure.png"
    assert infer.main([recording, "--weights", str(weights), "--figure", str(picture), "--json"]) == 0
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().err == ""


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([str(CAT), "--steps", "3"], "--steps: expected weights for recordings with it, found weights for pictures"),
        ([str(CAT), "--split", "time"], "--split: expected weights for recordings"),
        (["DIGIT", "--steps", "0", "--weights", "W"], "--steps: expected 1 to 4096, found 0"),
        (["DIGIT", "--steps", "4097", "--weights", "W"], "--steps: expected 1 to 4096, found 4097"),
        (["DIGIT", "--steps", f"1{'0' * 30}", "--weights", "W"], "--steps: expected 1 to 4096, found 10000"),
        ([str(CAT), "--weights", "W"], "is a picture (JPEG); expected a recording of an event camera"),
        (["DIGIT", "--trial", "1", "--weights", "W"], "error: trials '"),
        (["DIGIT", "--trial", "1", "--weights", "W"], "digit_labels.csv' does not exist"),
        (["DIGIT", "--figure", "x.bmp", "--weights", "W"], "expected a name that ends in .png"),
        (
            ["DIGIT", "--size", "20", "--weights", "W"],
            "setting 'size': expected 34 pixels, as the sensor has, half of it, or more, found 20",
        ),
    ],
)
def test_bad_input_is_one_line(digit: Path, weights: Path, arguments: list[str], message: str, capsys: Capture) -> None:
    given = {"DIGIT": str(digit), "W": str(weights)}
    assert infer.main([given.get(argument, argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Four recordings, of which the second cannot be read, in the layout of a pack."""
    files = [camera_bytes.nmnist(some_events(seed=seed)) for seed in range(4)]
    files[1] = b"broken"
    path = tmp_path / "pack.h5"
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = list(DIGITS)
        file["test/bin"] = np.frombuffer(b"".join(files), np.uint8)
        file["test/offset"] = np.cumsum([0, *map(len, files)])
        file["test/label"] = np.array([3, 4, 5, 6], np.uint8)
    return path


def test_evaluate_counts_recordings(pack: Path, weights: Path, capsys: Capture) -> None:
    assert evaluate.main([str(pack), "--weights", str(weights), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    model = sdt_ref.load(weights)
    found = [model.predict(camera_bytes_of(seed), top=1)[0][0] for seed in (0, 2, 3)]
    assert told["images"] == 3
    assert told["top1_right"] == sum(name == label for name, label in zip(found, ("3", "5", "6"), strict=True))
    assert [one["name"] for one in told["unreadable"]] == ["test/1"]


def test_evaluate_cuts_as_it_is_told(
    pack: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    taken = set()

    def spy(source: Any, how: Preprocessing, steps: int, *, split: str, as_official: bool, **more: Any) -> np.ndarray:
        taken.add((how.size, steps, split, as_official))
        return read(source, how, steps, split=split, **more)

    monkeypatch.setattr("sdt_ref.measuring.accuracy.read", spy)
    arguments = [str(pack), "--weights", str(weights)]
    assert evaluate.main([*arguments, "--steps", "3", "--split-by", "time", "--size", "40"]) == 1
    assert evaluate.main(arguments) == 1
    assert taken == {(40, 3, "time", True), (36, 4, "number", True)}


def camera_bytes_of(seed: int) -> bytes:
    return camera_bytes.nmnist(some_events(seed=seed))


def test_a_small_set_says_how_little_it_tells(pack: Path, weights: Path, capsys: Capture) -> None:
    """SciPy's interval is the same."""
    assert [round(100 * end, 1) for end in accuracy.interval(97, 100)] == [91.5, 99.0]
    for right, total in ((0, 3), (3, 3), (97, 100), (8133, 10_000)):
        ends = stats.binomtest(right, total).proportion_ci(method="wilson")
        assert accuracy.interval(right, total) == pytest.approx((ends.low, ends.high), abs=1e-6)
    assert evaluate.main([str(pack), "--weights", str(weights)]) == 1
    assert re.search(r"top-1 +\d+\.\d\d%   \d of 3; 95 % interval \d+\.\d% to \d+\.\d%", capsys.readouterr().out)


def test_evaluate_refuses_the_other_kind(pack: Path, weights: Path, capsys: Capture) -> None:
    assert evaluate.main([str(pack)]) == 2
    assert "expected HDF5 with jpeg, offset and label, found bin: recordings, which need" in capsys.readouterr().err
    assert evaluate.main([str(pack), "--weights", str(weights), "--steps", str(10**20)]) == 2
    assert "--steps: expected 1 to 4096, found 1000" in capsys.readouterr().err
    assert evaluate.main([str(pack), "--weights", str(weights), "--size", "20"]) == 2  # not: no recording is readable
    assert "expected 34 pixels, as the sensor has" in capsys.readouterr().err
    assert evaluate.main([str(pack), "--split-by", "time"]) == 2
    assert "found weights for pictures" in capsys.readouterr().err
    with h5py.File(pack, "a") as file:
        file["test/jpeg"] = file["test/bin"][()]
        del file["test/bin"]
    assert evaluate.main([str(pack), "--weights", str(weights)]) == 2
    assert "expected HDF5 with bin, offset and label, found jpeg: pictures, which need" in capsys.readouterr().err


def test_a_pack_s_claims_are_not_allocated(tmp_path: Path, weights: Path, capsys: Capture) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file.create_dataset("test/bin", (1 << 40,), np.uint8, chunks=(1 << 20,))  # no byte of it is in the file
        file["test/offset"], file["test/label"] = [0, 1 << 39, 1 << 40], [0, 1]
    assert evaluate.main([str(tmp_path / "p.h5"), "--weights", str(weights)]) == 2
    assert "expected files of at most 1073741824 bytes, found one of 549755813888" in capsys.readouterr().err


def test_the_other_commands_read_recordings_too(
    pack: Path, digit: Path, weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    x = read(digit, sdt_ref.load(weights).preprocessing, 4)[None]
    with_weights = ["--weights", str(weights)]
    assert energy.main([str(digit), *with_weights, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["synaptic_operations"]["effective_acs"] == sum(
        count.ac.sum() for count in sdt_ref.load(weights)(x).counts.values()
    )
    assert energy.main([str(pack), *with_weights]) == 1
    assert "3 recordings" in capsys.readouterr().out
    (tmp_path / "set").mkdir()
    digit.rename(tmp_path / "set" / "digit.bin")
    formats = str(tmp_path / "f.toml")
    assert calibrate.main([str(tmp_path / "set"), *with_weights, "-o", formats]) == 0
    assert "formats from 1 recording\n" in capsys.readouterr().out
    digit = tmp_path / "set" / "digit.bin"
    assert trace.main([str(digit), *with_weights, "--formats", formats, "-o", str(tmp_path / "t.h5")]) == 0
    capsys.readouterr()
    assert explain.main([str(digit), *with_weights]) == 0
    screen = capsys.readouterr().out
    assert "digit.bin  N-MNIST, 34x34 pixels, seen at 36x36" in screen
    assert "The frames" in screen
    assert "4 frames, one for each time step: 2 channels (OFF and ON) of 36 x 36 pixels," in " ".join(screen.split())


def test_every_command_tells_what_it_mended(tmp_path: Path, weights: Path, capsys: Capture) -> None:
    told = "repaired events beyond the 34x34 sensor left out: 2"
    folder = tmp_path / "set" / "7"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.bin").write_bytes(camera_bytes.nmnist([*some_events(), (299_999, 40, 2, 1)]))
    with_weights = ["--weights", str(weights)]
    assert evaluate.main([str(folder.parent), *with_weights]) == 0
    assert told in capsys.readouterr().out
    assert energy.main([str(folder.parent), *with_weights]) == 0
    assert told in capsys.readouterr().err
    assert calibrate.main([str(folder.parent), *with_weights, "-o", str(tmp_path / "f.toml")]) == 0
    assert told in capsys.readouterr().err
    assert trace.main([str(folder / "a.bin"), *with_weights, "-o", str(tmp_path / "t.h5")]) == 0
    assert "repaired events beyond the 34x34 sensor left out: 1" in capsys.readouterr().err
    formats, run = ("-o", str(tmp_path / "f.toml")), ("-o", str(tmp_path / "t.h5"))
    for command, *more in ((evaluate,), (energy,), (calibrate, *formats)):
        assert command.main([str(folder.parent), *with_weights, *more, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["repairs"] == {"events beyond the 34x34 sensor left out": 2}
    assert trace.main([str(folder / "a.bin"), *with_weights, *run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repairs"] == {"events beyond the 34x34 sensor left out": 1}
