"""The command lines as people run them: what they print, where, and with which exit code."""

import dataclasses
import importlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import evaluate, infer
from sdt_ref.files import require_writable, written_whole
from sdt_ref.inputs.datasets import Samples, open_pictures, spread
from sdt_ref.measuring import accuracy
from sdt_ref.terminal import cli
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.presets import class_names
from tests.networks import Network, weights_of

CAT = Path(sdt_ref.__file__).parent / "data" / "cat.jpg"
CIFAR10 = class_names("cifar10") or ()
Capture = pytest.CaptureFixture[str]


def module(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    options.setdefault("env", dict(os.environ))  # without the COLUMNS that readline, in this process, hands down
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=120, check=False, **options
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes, three pictures, and two files that are none."""
    rng = np.random.default_rng(0)
    for name in ("cat/1.png", "cat/10.png", "dog/2.jpg"):
        (tmp_path / "val" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "val" / name)
    (tmp_path / "val" / "cat" / "2.png").write_bytes(b"broken")
    (tmp_path / "val" / "cat" / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Three pictures of which the second cannot be read."""
    jpegs = []
    for shade in (0, 255):
        stream = io.BytesIO()
        Image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(stream, "JPEG")
        jpegs.append(stream.getvalue())
    jpegs.insert(1, b"broken")
    path = tmp_path / "pack.h5"
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = list(CIFAR10)
        file["test/jpeg"] = np.frombuffer(b"".join(jpegs), np.uint8)
        file["test/offset"] = np.cumsum([0, *map(len, jpegs)])
        file["test/label"] = np.array([3, 4, 5], np.uint8)
        file["train/label"] = np.zeros(0, np.uint8)
    return path


# --- infer ------------------------------------------------------------------------------------------------------------


def test_infer_without_an_image_classifies_the_cat(capsys: Capture) -> None:
    assert infer.main([]) == 0
    screen = capsys.readouterr().out
    assert "cat.jpg, the sample photo  451x300, seen at 32x32" in screen
    assert "know 10 classes at 32x32, nothing else: airplane" in screen
    assert next(line for line in screen.splitlines() if "%" in line).startswith("cat")
    assert "patch embedding: proj conv1" in screen
    assert "block 1: attention q, k, v" in screen


def test_infer_json_is_the_engine_s_result(capsys: Capture) -> None:
    assert infer.main([str(CAT), "--json", "--top", "2", "--arithmetic", "float64", "--threads", "1"]) == 0
    summary = json.loads(capsys.readouterr().out)
    model = sdt_ref.load(arithmetic="float64")
    ranking = model.predict(CAT, top=2)
    assert [(p["label"], p["score"]) for p in summary["predictions"]] == ranking
    assert (summary["arithmetic"], summary["size"], summary["classes_known"], summary["threads"]) == (
        "float64",
        32,
        10,
        1,
    )
    layer = summary["layers"]["MS_SPS_proj_conv1"]
    assert len(layer["ac"]) == summary["time_steps"] == 4
    assert layer["firing_rate"] == pytest.approx(sum(layer["events"]) / (4 * 32 * 32 * 32))


def test_infer_leaves_scipy_importable(capsys: Capture) -> None:
    """It is kept out only while the kernels load."""
    assert infer.main(["--json"]) == 0
    capsys.readouterr()
    importlib.import_module("scipy.linalg")


def test_infer_at_another_size(capsys: Capture) -> None:
    assert infer.main(["--size", "64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg"], "picture 'absent.jpg' does not exist"),
        (["a" * 300], "found a path that cannot be read"),
        ([__file__], "expected a format that Pillow reads"),
        (["--top", "0"], "--top: expected 1 or more, found 0"),
        (["--size", "33"], "expected height and width divisible by 4 (pooling_stat 0011), found 33x33"),
        (["--size", "0"], "setting 'size': expected 1 to 8192 pixels, found 0"),
        (["--threads", "0"], "threads: expected 1 to 256"),
        (["--arithmetic", "int4"], "arithmetic: expected one of float32, float64, fixed, found 'int4'"),
        (
            ["--weights", "nope"],
            "weights file 'nope' does not exist; the weights that ship are sdt-2-256-cifar10 and sdt-2-64-nmnist",
        ),
        (["--weights", str(CAT)], "expected HDF5 written by sdt_ref.convert"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(arguments: list[str], message: str, capsys: Capture) -> None:
    assert infer.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_event_camera_weights_take_no_photo(tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(in_channels=2)))
    assert infer.main([str(CAT), "--weights", str(tmp_path / "w.h5")]) == 2
    assert "is a picture (JPEG); expected a recording of an event camera" in capsys.readouterr().err


def test_an_empty_name_is_no_default(capsys: Capture, pack: Path) -> None:
    """'infer "$photo"' with an unset variable must not classify the cat."""
    assert infer.main([""]) == 2
    assert evaluate.main([str(pack), "--against", ""]) == 2
    assert capsys.readouterr().out == ""


def test_logits_that_overflow_are_refused(tmp_path: Path, capsys: Capture) -> None:
    n = Network(drive=100)
    weights = weights_of(n)
    tensors = {**weights.tensors, "head.weight": np.full((5, 16), 3e38, np.float32)}
    weights_file.save(tmp_path / "w.h5", dataclasses.replace(weights, tensors=tensors))
    assert infer.main(["--weights", str(tmp_path / "w.h5")]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert "the logits overflow float32; use arithmetic float64" in captured.err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_encoding_of_the_terminal(encoding: str, tmp_path: Path) -> None:
    photo = tmp_path / "caf\u00e9[bold] \u732b.jpg"
    photo.write_bytes(CAT.read_bytes())
    shown = module(
        "sdt_ref.infer",
        str(photo),
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        encoding=encoding,
    )
    assert shown.returncode == 0, shown.stderr
    assert "##" in shown.stdout
    assert "[bold]" in shown.stdout


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX shells")
@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        (">&-", 0),
        ("absent.jpg 2>&-", 2),
        (">/dev/full", 2),
        ("--json >/dev/full", 2),
        ("| true", 0),
        ("absent.jpg 2>&1 | true", 2),
    ],
)
def test_closed_and_full_streams(redirection: str, code: int) -> None:
    command = f"set -o pipefail; {sys.executable} -m sdt_ref.infer {redirection}"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert shown.returncode == code, shown.stderr
    assert "Traceback" not in shown.stderr
    if "2>&-" in redirection:
        assert shown.stdout == ""


def test_wrong_options_are_one_line(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        infer.main(["--colour"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "sdt-ref infer: error: unknown option '--colour'; see --help\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_has_an_example(command: str) -> None:
    shown = module(f"sdt_ref.{command}", "--help")
    assert shown.returncode == 0
    assert f"example:\n  python -m sdt_ref.{command} " in shown.stdout
    assert "--json" in shown.stdout


def test_the_dispatcher(capsys: Capture) -> None:
    assert cli.main(["infer", "--json", "--top", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "cat"
    assert cli.main(["--help"]) == 0
    assert "evaluate" in capsys.readouterr().out
    assert cli.main([]) == 2
    capsys.readouterr()
    assert cli.main(["dance"]) == 2
    assert (
        "unknown command 'dance'; known: infer, explain, evaluate, energy, claims, attention, report, calibrate, trace, "
        "compare, vectors, sizing, convert" in capsys.readouterr().err
    )


def test_a_closed_pipe_is_quiet() -> None:
    shown = subprocess.run(
        f"{sys.executable} -m sdt_ref.infer | head -c 10", shell=True, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in shown.stderr
    assert "Exception" not in shown.stderr


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX")
def test_progress_goes_to_stderr_and_output_has_no_escape_codes(pack: Path) -> None:
    shown = module("sdt_ref.evaluate", str(pack), "--json")
    assert shown.returncode == 1
    json.loads(shown.stdout)
    assert "\x1b" not in module("sdt_ref.infer").stdout


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_evaluate_a_folder_skips_and_lists_what_it_cannot_read(tree: Path, capsys: Capture) -> None:
    assert evaluate.main([str(tree)]) == 1
    screen = capsys.readouterr().out
    assert "of 3" in screen
    assert "unreadable cat/2.png: picture" in screen
    assert "notes.txt" not in screen


def test_folders_are_read_in_natural_order_with_the_labels_of_the_weights(tree: Path) -> None:
    pictures = open_pictures(tree, CIFAR10)
    assert [(name, label) for name, _, label in pictures] == [
        ("cat/1.png", 3), ("cat/2.png", 3), ("cat/10.png", 3), ("dog/2.jpg", 5)]  # fmt: skip
    assert len(pictures) == 4


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX shells")
@pytest.mark.parametrize("more", ["", "--json"])
def test_a_reader_that_leaves_does_not_turn_a_failed_check_into_success(tree: Path, more: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m sdt_ref.evaluate {tree} {more} | true"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (shown.returncode, shown.stderr) == (1, "")


def test_links_to_nowhere_are_listed_and_odd_digits_are_no_numbers(tree: Path, capsys: Capture) -> None:
    (tree / "val" / "dog" / "gone.png").symlink_to("nowhere.png")
    (tree / "val" / "dog" / "img1\u00b23.png").write_bytes((tree / "val" / "cat" / "1.png").read_bytes())
    assert evaluate.main([str(tree), "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 4
    assert [u["name"] for u in summary["unreadable"]] == ["cat/2.png", "dog/gone.png"]


def test_a_locked_folder_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not skipped in silence; the super-user may enter any folder, so the lock is played."""
    scandir = os.scandir

    def locked(path: Any) -> Any:
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(sdt_ref.ImageError, match=r"Permission denied.; check its permissions"):
        open_pictures(tree, CIFAR10)


def test_a_damaged_picture_inside_a_pack_is_one_line(pack: Path, capsys: Capture) -> None:
    with h5py.File(pack, "r+") as file:
        jpeg = file["test/jpeg"][()]
        del file["test/jpeg"]
        node = file.create_dataset("test/jpeg", data=jpeg, chunks=(len(jpeg),), compression="gzip")
        node.id.write_direct_chunk((0,), b"junk")
    assert evaluate.main([str(pack)]) == 2
    assert "file 0 cannot be read" in capsys.readouterr().err


def test_half_known_folder_names_are_refused(tmp_path: Path) -> None:
    """'plane' is none of the classes, but 'bird' is: taking the folders by position would call a bird an airplane."""
    for name in ("plane", "car", *CIFAR10[2:]):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / name / "a.png")
    with pytest.raises(sdt_ref.ImageError, match="class folder 'car' is unknown"):
        open_pictures(tmp_path, CIFAR10)


def test_folders_may_be_synsets_or_as_many_as_classes(tmp_path: Path) -> None:
    for name in ("n02123045", "n01440764"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / name / "a.JPEG")
    assert [label for *_, label in open_pictures(tmp_path, class_names("imagenet") or ())] == [0, 281]
    assert [label for *_, label in open_pictures(tmp_path, ("first", "second"))] == [0, 1]
    with pytest.raises(
        sdt_ref.ImageError, match=r"class folder 'n01440764' is unknown to the weights, which know 10 classes"
    ):
        open_pictures(tmp_path, CIFAR10)


def test_evaluate_a_pack(pack: Path, tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "labels.npy", np.arange(3))
    assert evaluate.main([str(pack), "--json", "--against", str(tmp_path / "labels.npy")]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["images"], [u["name"] for u in summary["unreadable"]]) == (2, ["test/1"])
    assert 0 <= summary["agreeing"] <= 2
    assert evaluate.main([str(pack), "--limit", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 1


def test_a_limit_takes_as_many_evenly_spread() -> None:
    assert list(spread(10, None)) == list(range(10))
    assert list(spread(10, 3)) == [0, 3, 6]
    assert list(spread(10, 5)) == [0, 2, 4, 6, 8]
    assert list(spread(10, 6)) == [0, 1, 3, 5, 6, 8]  # not the first six
    assert list(spread(3, 10**20)) == [0, 1, 2]
    assert list(spread(0, 4)) == []


def test_evaluate_and_energy_take_the_same_ones(tree: Path, capsys: Capture) -> None:
    """Of cat/1, cat/2 (broken), cat/10 and dog/2 the first and the third."""
    labelled = open_pictures(tree, CIFAR10)
    counted = accuracy.measure(sdt_ref.load(), labelled, limit=2)
    assert [number for number, _ in counted.labels] == [0, 2]
    assert counted.unreadable == []
    assert [name for name, _ in Samples([str(tree)], CIFAR10, limit=2)] == ["cat/1.png", "cat/10.png"]
    assert evaluate.main([str(tree), "--limit", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 2


def test_the_labels_of_another_program_are_of_the_whole_set(tree: Path, tmp_path: Path, capsys: Capture) -> None:
    """Each picture is compared with the label at its own place, also where only some are classified."""
    labelled = open_pictures(tree, CIFAR10)
    own = dict(accuracy.measure(sdt_ref.load(), labelled).labels)
    np.save(tmp_path / "labels.npy", [own.get(number, 99) for number in range(len(labelled))])
    assert evaluate.main([str(tree), "--limit", "2", "--json", "--against", str(tmp_path / "labels.npy")]) == 0
    assert json.loads(capsys.readouterr().out)["agreeing"] == 2
    np.save(tmp_path / "labels.npy", [own[0], 99, own[2]])
    assert evaluate.main([str(tree), "--limit", "2", "--json", "--against", str(tmp_path / "labels.npy")]) == 2
    assert "expected at least 4 integers" in capsys.readouterr().err


def test_pack_labels_are_matched_by_class_name(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = list(reversed(CIFAR10))
    assert [label for *_, label in open_pictures(pack, CIFAR10)] == [6, 5, 4]


def test_pack_classes_may_be_bytes(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = np.array([name.encode() for name in reversed(CIFAR10)])
    assert [label for *_, label in open_pictures(pack, CIFAR10)] == [6, 5, 4]


def spoil(name: str, value: Any) -> Any:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            if name == "classes":
                file.attrs[name] = value
            else:
                del file[name]
                if value is not None:
                    file[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda p: p.unlink(), [], "does not exist"),
        (lambda p: p.write_bytes(b""), [], "expected HDF5 with jpeg, offset and label"),
        (lambda p: os.truncate(p, 500), [], "expected HDF5 with jpeg, offset and label"),
        (spoil("test", None), ["--split", "test"], "expected split 'test', found train"),
        (spoil("test/label", None), [], "expected HDF5 with jpeg, offset and label"),
        (spoil("test/label", np.array([3, 4, 99])), [], "expected labels 0 to 9, found 3 to 99"),
        (spoil("test/label", np.array([3, 4])), [], "offset does not fit 2 labels"),
        (spoil("test/offset", np.array([0, 5, 3, 9])), [], "offset does not fit"),
        (spoil("test/offset", np.array([0, 5, 9, 10**9])), [], "offset does not fit"),
        (spoil("classes", ["cat", "spoon"]), [], "class 'spoon' is unknown to the weights"),
        (spoil("classes", [*CIFAR10[:9], "spoon"]), [], "class 'spoon' is unknown to the weights"),
        (None, ["--limit", "0"], "--limit: expected 1 or more, found 0"),
        (None, ["--split", "val"], "expected split 'val', found test, train; choose with --split"),
        (None, ["--split", "train"], "expected HDF5 with jpeg"),
        (None, ["--size", "30"], "divisible by 4"),
        (None, ["--against", "absent.npy"], "expected a .npy file of integers"),
    ],
)
def test_a_bad_pack_is_refused(pack: Path, change: Any, arguments: list[str], message: str, capsys: Capture) -> None:
    if change:
        change(pack)
    assert evaluate.main([str(pack), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_empty_folders_are_refused(tmp_path: Path, capsys: Capture) -> None:
    assert evaluate.main([str(tmp_path)]) == 2
    assert "expected one folder per class, found none" in capsys.readouterr().err
    (tmp_path / "cat").mkdir()
    assert evaluate.main([str(tmp_path)]) == 2
    assert "expected pictures (.bmp" in capsys.readouterr().err
    assert evaluate.main([str(tmp_path), "--split", "val"]) == 2
    assert "expected a sub-folder 'val'" in capsys.readouterr().err


def test_accuracy_literal() -> None:
    counted = accuracy.Accuracy()
    logits = np.array([[9, 8, 7, 6, 5, 4.0], [1, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5]])
    counted.add([0, 1, 5], logits, np.array([0, 5, 1]))
    assert (counted.images, counted.top1, counted.top5) == (3, 1, 2)
    assert counted.labels == [(0, 0), (1, 0), (5, 5)]


def test_evaluation_s_memory_does_not_grow_with_the_number_of_images(pack: Path) -> None:
    """The model sees batches of at most 16 CIFAR images, however many there are."""
    model, sizes = sdt_ref.load(), []
    grey = Image.fromarray(np.full((32, 32, 3), 99, np.uint8))
    with h5py.File(pack) as file:
        assert file["test/label"].shape == (3,)

    class Many:
        def __len__(self) -> int:
            return 40

        def __iter__(self) -> Any:
            return ((str(i), grey, 0) for i in range(40))

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

        def __call__(self, x: np.ndarray) -> Any:
            sizes.append(len(x))
            return model(x)

    assert accuracy.measure(Spy(), Many()).images == 40  # type: ignore[arg-type]
    assert sizes == [16, 16, 8]


LONG = "a" * 300


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("report", ["-o", f"{LONG}.html"]),
        ("attention", ["-o", f"{LONG}.png"]),
        ("energy", ["--csv", f"{LONG}.csv"]),
        ("energy", ["--plot", f"{LONG}.png"]),
        ("trace", ["-o", f"{LONG}.h5"]),
        ("calibrate", [str(CAT.parent), "-o", f"{LONG}.toml"]),
        ("vectors", ["run.h5", "-o", LONG]),
        ("energy", [LONG]),
        ("evaluate", [LONG]),
        ("infer", [LONG]),
    ],
)
def test_a_name_that_is_too_long_is_said_in_words(
    command: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    if command == "vectors":
        assert importlib.import_module("sdt_ref.trace").main(["-o", "run.h5"]) == 0
        capsys.readouterr()
    before = list(tmp_path.iterdir())
    assert importlib.import_module(f"sdt_ref.{command}").main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search("the name is too long for the disk; choose a shorter one|File name too long", captured.err)
    assert "Errno" not in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == before


def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path: Path) -> None:
    """The unfinished file beside it has a shorter one."""
    target = tmp_path / ("ä" * 127)  # 254 bytes
    require_writable(target, sdt_ref.SdtError)
    with written_whole(target, sdt_ref.SdtError) as part:
        part.write_text("all of it")
    assert target.read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [target]
