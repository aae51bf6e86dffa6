"""The commands on recordings of event cameras."""

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy import stats

import sdt_ref
from sdt_ref import calibrate, energy, evaluate, explain, infer, trace
from sdt_ref.camera.frames import integrate
from sdt_ref.camera.opening import open_recording
from sdt_ref.inputs.reading import read
from sdt_ref.measuring import accuracy
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.config import Preprocessing
from tests import camera_bytes
from tests.recordings import DIGITS, gesture_folder, npz, save, some_events
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("split", ["number", "time"])
def test_infer_is_the_engine_on_the_frames(digit: Path, weights: Path, split: str, capsys: Capture) -> None:
    assert infer.main([str(digit), "--weights", str(weights), "--split-by", split, "--time-steps", "5", "--json"]) == 0
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
    arguments = [str(tmp_path / "r.bin"), "--weights", str(weights), "--split-by", "time"]
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
    assert infer.main([recording, "--weights", str(weights), "--time-steps", "1"]) == 0
    screen = capsys.readouterr().out
    assert re.search(r"1 event in 0.0 ms, \d+% ON\n1 frame by number, 1 event each", screen)


def test_too_short_to_split_by_time(tmp_path: Path, weights: Path, capsys: Capture) -> None:
    for last, code in ((4, 0), (3, 2)):
        recording = str(npz(tmp_path / "r.npz", [(0, 1, 1, 0), (last, 2, 2, 1)]))
        assert infer.main([recording, "--weights", str(weights), "--split-by", "time"]) == code
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([str(CAT), "--split-by", "time"], "--split-by: expected weights for recordings"),
        (["DIGIT", "--time-steps", "0", "--weights", "W"], "--time-steps: expected 1 to 4096, found 0"),
        (["DIGIT", "--time-steps", "4097", "--weights", "W"], "--time-steps: expected 1 to 4096, found 4097"),
        (["DIGIT", "--time-steps", f"1{'0' * 30}", "--weights", "W"], "--time-steps: expected 1 to 4096, found 10000"),
        ([str(CAT), "--weights", "W"], "is a JPEG picture; expected a recording of an event camera"),
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

    def spy(source: Any, how: Preprocessing, of_weights: int, *, as_official: bool, **more: Any) -> np.ndarray:
        x = read(source, how, of_weights, **more)
        taken.add((how.size, len(x), more["split"], as_official))
        return x

    monkeypatch.setattr("sdt_ref.measuring.accuracy.read", spy)
    arguments = [str(pack), "--weights", str(weights)]
    assert evaluate.main([*arguments, "--time-steps", "3", "--split-by", "time", "--size", "40"]) == 1
    assert evaluate.main(arguments) == 1
    assert taken == {(40, 3, "time", True), (36, 4, None, True)}


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
    assert evaluate.main([str(pack), "--weights", str(weights), "--time-steps", str(10**20)]) == 2
    assert "--time-steps: expected 1 to 4096, found 1000" in capsys.readouterr().err
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
    assert "0 bytes are stored, which cannot hold the 1099511627776 that it claims" in capsys.readouterr().err


@pytest.mark.slow
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


SPELLINGS = {"0 and 1": (0, 1), "-1 and 1": (-1, 1), "1 and 2": (1, 2), "bool": (False, True), "0 and 255": (0, 255)}


def test_predictions_do_not_depend_on_what_polarities_are_called(
    tmp_path: Path, digit: Path, weights: Path, capsys: Capture
) -> None:
    """In the API and in the command, which tells what it took for what."""
    model = sdt_ref.load(weights)
    expected = model.predict(digit, 10)
    t, x, y, p = np.array(some_events()).T
    for spelling, names in SPELLINGS.items():
        spelled = np.array(names)[p]
        contents = {
            "npz": camera_bytes.npz(t=t, x=x, y=y, p=spelled),
            "npy": camera_bytes.npy(np.stack([t, x, y, spelled], axis=1)),
            "csv": camera_bytes.text(list(zip(t, x, y, spelled.tolist(), strict=True)), "txyp", ",", "t,x,y,p\n"),
        }
        told = {} if spelling in ("0 and 1", "bool") else {f"polarities {spelling} taken as OFF and ON": 60}
        for format, content in contents.items():
            path = tmp_path / f"r.{format}"
            path.write_bytes(content)
            assert model.predict(path, 10) == expected, (spelling, format)
            assert infer.main([str(path), "--weights", str(weights), "--top", "10", "--json"]) == 0
            result = json.loads(capsys.readouterr().out)
            assert [(one["label"], one["score"]) for one in result["predictions"]] == expected
            assert result["repairs"] == told
            assert infer.main([str(path), "--weights", str(weights)]) == 0
            screen = capsys.readouterr().out
            assert all(f"noticed {words}: 60" in screen for words in told)


@pytest.fixture
def counted(tmp_path: Path, digit: Path) -> Path:
    """The official code's file of frames, of the digit, in another number than the weights'."""
    path = tmp_path / "frames_number_5_split_by_number" / "test" / "7" / "a.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, frames=integrate(open_recording(digit), 5, "number", (34, 34)).astype(np.float64))
    return path


def test_infer_takes_frames_as_they_are(counted: Path, digit: Path, weights: Path, capsys: Capture) -> None:
    with_weights = ["--weights", str(weights), "--top", "10"]
    assert infer.main([str(digit), *with_weights, "--time-steps", "5", "--json"]) == 0
    of_events = json.loads(capsys.readouterr().out)
    for more in ([], ["--time-steps", "5"]):
        assert infer.main([str(counted), *with_weights, *more, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["layers"] == of_events["layers"]
        assert (told["logits"], told["time_steps"]) == (of_events["logits"], 5)
        assert (told["format"], told["sensor"], told["events"]) == ("frames", [34, 34], 60)
        assert told["events_on"] == of_events["events_on"]
        assert (told["duration_us"], told["split"], told["repairs"]) == (None, None, {})
    expected = [(one["label"], one["score"]) for one in told["predictions"]]
    assert sdt_ref.load(weights).predict(counted, 10) == expected
    assert infer.main([str(counted), *with_weights]) == 0
    screen = capsys.readouterr().out
    assert re.match(r"a\.npz  frames, 34x34 pixels, 60 events, \d\d% ON\n5 frames as counted before, seen at", screen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time-steps", "4"], "expected 4 frames, found 5 that were counted before; leave out --time-steps"),
        (["--split-by", "number"], "expected events, to split them by number, found frames that were counted before"),
        (["--split-by", "time"], "expected events, to split them by time, found frames that were counted before"),
        (["--trial", "1"], "--trial: expected a recording of events with it, found frames that were counted before"),
        (["--figure", "x.png"], "--figure: expected a recording of events with it, found frames that were counted"),
    ],
)
def test_what_frames_cannot_do(
    counted: Path, weights: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(counted.parent)
    assert infer.main([str(counted), "--weights", str(weights), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert [entry.name for entry in Path().iterdir()] == ["a.npz"]


@pytest.mark.slow
def test_the_other_commands_read_frames_too(counted: Path, weights: Path, tmp_path: Path, capsys: Capture) -> None:
    """Of folders, too; beside frames of another number, each counts on its own, or is told."""
    model, with_weights, folder = sdt_ref.load(weights), ["--weights", str(weights)], counted.parents[2]
    frames = np.load(counted)["frames"]
    np.savez(counted.with_name("b.npz"), frames=frames[:3])
    assert evaluate.main([str(folder), *with_weights, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    found = [model.predict(counted.with_name(name), 1)[0][0] for name in ("a.npz", "b.npz")]
    assert (told["images"], told["top1_right"], told["unreadable"]) == (2, found.count("7"), [])
    assert evaluate.main([str(folder), *with_weights, "--time-steps", "3", "--json"]) == 1
    (unreadable,) = json.loads(capsys.readouterr().out)["unreadable"]
    assert "a.npz': expected 3 frames, found 5 that were counted before" in unreadable["reason"]
    x = read(counted, model.preprocessing, 4)[None]
    assert x.shape == (1, 5, 2, 36, 36)
    assert energy.main([str(counted), *with_weights, "--json"]) == 0
    operations = json.loads(capsys.readouterr().out)["synaptic_operations"]["effective_acs"]
    assert operations == sum(count.ac.sum() for count in model(x).counts.values())
    assert energy.main([str(folder), *with_weights, "--json"]) == 1
    (unreadable,) = json.loads(capsys.readouterr().out)["unreadable"]
    assert re.search(r"b\.npz': expected 5 frames, as before, found 3$", unreadable["reason"])
    assert calibrate.main([str(folder), *with_weights, "-o", str(tmp_path / "f.toml")]) == 2
    assert re.search(r"b\.npz': expected 5 frames, as before, found 3\n$", capsys.readouterr().err)
    assert calibrate.main([str(counted), *with_weights, "-o", str(tmp_path / "f.toml")]) == 0
    assert "formats from 1 recording\n" in capsys.readouterr().out
    assert trace.main([str(counted), *with_weights, "-o", str(tmp_path / "t.h5")]) == 0
    assert "of 5 of 5 time steps" in capsys.readouterr().out
    assert explain.main([str(counted), *with_weights]) == 0
    screen = capsys.readouterr().out
    assert "a.npz  frames, 34x34 pixels, seen at 36x36" in screen
    assert "5 frames, one for each time step" in screen
