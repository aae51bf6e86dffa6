"""An evaluation that is ended at any moment goes on with the same command, and ends with the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from sdt_ref import evaluate, sweep
from sdt_ref.errors import ConfigError
from sdt_ref.jobs import folder as parts_folder
from sdt_ref.measuring.results import open_results
from sdt_ref.weights import file as weights_file
from tests.jobs.packs import some_pack
from tests.networks import Network, weights_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

ROOT = Path(__file__).parents[2]
IMAGES = 120
CHUNK = "2"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack, weights, and the results of an undisturbed run in whole.npz and whole.csv."""
    path = tmp_path_factory.mktemp("resume")
    weights_file.save(path / "w.h5", weights_of(Network(seed=1, height=32, width=32)))
    some_pack(path / "pack.h5", IMAGES, 5)
    for ending in ("npz", "csv"):
        assert run(path, f"whole.{ending}") == 1  # of one image that cannot be read
    return path


def line(path: Path, output: str, *more: str) -> list[str]:
    return [str(path / "pack.h5"), "--weights", str(path / "w.h5"), "--threads", "1", "-o", str(path / output), *more]


def run(path: Path, output: str, *more: str) -> int:
    return evaluate.main(line(path, output, *more))


def ended(path: Path, output: str, name: str, share: float) -> tuple[int, str]:
    """End a process of this command when a share of the chunks is there, or after a share of a second before that."""
    command = [sys.executable, "-m", "sdt_ref.evaluate", *line(path, output, "--chunk", CHUNK)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )  # fmt: skip
    wanted, parts = int(share * IMAGES / int(CHUNK)), path / f"{output}.parts"
    while process.poll() is None and len(list(parts.glob("*-*.part"))) < wanted:
        time.sleep(0.001)
    time.sleep(share % 0.01)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=600)
    return process.returncode, said


def goes_on(work: Path, draw: random.Random) -> int:
    """Kill a run at a random moment, perhaps twice, and let it go on; returns how many chunks were there."""
    for old in work.glob("out.*"):
        old.unlink()
    output = f"out.{draw.choice(('npz', 'csv'))}"
    for _ in range(draw.randrange(1, 3)):
        ended(work, output, "SIGKILL", draw.random())
    there = len(list(work.glob("*.parts/*-*.part")))
    if (work / output).exists():  # it was over before
        assert not there
    assert run(work, output, "--chunk", str(draw.choice((5, 7, 64)))) == 1
    assert (work / output).read_bytes() == (work / output.replace("out", "whole")).read_bytes()
    assert not list(work.glob("*.part*"))
    return there


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(work: Path) -> None:
    draw = random.Random(1)
    assert sum(goes_on(work, draw) for _ in range(3))


@pytest.mark.campaign
@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_goes_on_to_the_same_bytes(work: Path) -> None:
    draw = random.Random(2)
    there = [goes_on(work, draw) for _ in range(20)]
    print(there)
    assert sum(map(bool, there)) > 10


PAUSED = """
import signal, sys
from sdt_ref import evaluate, interrupt
from sdt_ref.jobs.folder import PartsFolder

signal.signal(signal.SIGINT, interrupt.end)  # as where it is started as a command
signal.signal(signal.SIGTERM, interrupt.end)

def keep(self, chunk, part, keep=PartsFolder.keep):
    keep(self, chunk, part)
    if chunk.start == 10:
        print("kept", flush=True)
        sys.stdin.readline()

PartsFolder.keep = keep
sys.exit(evaluate.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "word", "code"), [("SIGINT", "interrupted", 130), ("SIGTERM", "terminated", 143)])
def test_an_interrupted_run_says_how_far_it_came_and_how_to_go_on(name: str, word: str, code: int, work: Path) -> None:
    output = f"{word}.npz"
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, *line(work, output, "--chunk", CHUNK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "kept\n"
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=600)
    assert process.returncode == code
    lines = said.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{word} after ")
    assert f" of {IMAGES}; top-1 " in lines[0]
    assert "95 % interval" in lines[0]
    assert lines[0].endswith("the same command goes on there")
    assert not (work / output).exists()
    assert run(work, output) == 1
    assert (work / output).read_bytes() == (work / "whole.npz").read_bytes()


def test_what_is_there_is_not_computed_again(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write of the sixth chunk fails, as a full disk does; the next run keeps five of 60."""
    kept: list[range] = []
    written = parts_folder.PartsFolder.keep

    def keep(folder: parts_folder.PartsFolder, chunk: range, part: object) -> None:
        if len(kept) == 5:
            raise ConfigError("no room")
        kept.append(chunk)
        written(folder, chunk, part)

    monkeypatch.setattr(parts_folder.PartsFolder, "keep", keep)
    assert run(work, "half.npz", "--chunk", CHUNK) == 2
    assert len(kept) == 5
    kept[:] = [range(0)] * 100
    assert run(work, "half.npz", "--chunk", CHUNK) == 1
    assert len(kept) == 100 + IMAGES // int(CHUNK) - 5
    assert (work / "half.npz").read_bytes() == (work / "whole.npz").read_bytes()


def test_a_complete_run_is_summarised_at_once(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(evaluate.Classify, "prepare", lambda *_: pytest.fail("it computes"))
    for ending in ("npz", "csv"):
        before = (work / f"whole.{ending}").read_bytes()
        assert run(work, f"whole.{ending}") == 1
        assert f" of {IMAGES - 1}; 95 % interval" in capsys.readouterr().out
        assert (work / f"whole.{ending}").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "other"),
    [
        (["--arithmetic", "float64"], "settings"),
        (["--size", "64"], "settings"),
        (["--limit", "7"], "data"),
        (["--time-steps", "1"], "settings"),
    ],
)
def test_results_of_another_run_are_refused_by_name(more: list[str], other: str, work: Path, capsys: Capture) -> None:
    before = (work / "whole.npz").read_bytes()
    assert run(work, "whole.npz", *more) == 2
    assert f"expected this run, found one of other {other}; remove it" in capsys.readouterr().err
    assert (work / "whole.npz").read_bytes() == before
    assert not (work / "whole.npz.parts").exists()


def test_data_that_change_between_runs_are_refused(work: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("pack.h5", "w.h5"):
        (tmp_path / name).write_bytes((work / name).read_bytes())
    assert run(tmp_path, "r.csv") == 1
    assert (tmp_path / "r.csv").read_bytes() == (work / "whole.csv").read_bytes()  # paths are no part of it
    with h5py.File(tmp_path / "pack.h5", "r+") as file:
        file["test/label"][3] ^= 1
    assert run(tmp_path, "r.csv") == 2
    assert "found one of other data; remove it" in capsys.readouterr().err


@pytest.mark.parametrize("arithmetic", ["float32", "float64", "fixed"])
def test_the_bytes_do_not_tell_how_they_were_computed(arithmetic: str, work: Path, tmp_path: Path) -> None:
    outputs = {"1": ("1", "1"), "2": ("2", "7"), "3": ("2", "1000")}
    for name, (threads, chunk) in outputs.items():
        assert evaluate.main([str(work / "pack.h5"), "--weights", str(work / "w.h5"), "--arithmetic", arithmetic, "--threads", threads,
                              "--chunk", chunk, "-o", str(tmp_path / f"{name}.npz")]) == 1  # fmt: skip
    assert len({(tmp_path / f"{name}.npz").read_bytes() for name in outputs}) == 1
    with np.load(tmp_path / "1.npz") as file:
        logits, predicted = file["logits"], file["predicted"]
        assert logits.dtype == (np.float32 if arithmetic == "float32" else np.float64)
        assert np.isnan(logits[predicted == -1]).all()
        assert (predicted == -1).sum() == 1
        if arithmetic == "fixed":
            read = predicted >= 0
            assert np.allclose(file["sums"][read] * file["scale"], logits[read], rtol=1e-15, atol=0)  # T is 3
    assert open_results(str(tmp_path / "1.npz")).n == IMAGES


@pytest.mark.parametrize("content", [b"", b"some text", b"PK\x03\x04 no zip"])
def test_an_output_that_is_something_else_is_left_alone(content: bytes, work: Path, capsys: Capture) -> None:
    (work / "mine.npz").write_bytes(content)
    assert run(work, "mine.npz") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (work / "mine.npz").read_bytes() == content
    assert not (work / "mine.npz.parts").exists()


def test_results_that_were_edited_are_no_complete_run(work: Path, capsys: Capture) -> None:
    """Two rows changed places."""
    lines = (work / "whole.csv").read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    (work / "edited.csv").write_bytes(b"".join(lines))
    assert run(work, "edited.csv") == 2
    assert "the file was edited: remove it" in capsys.readouterr().err


def test_no_output_takes_the_place_of_a_picture_of_the_data(work: Path, tmp_path: Path, capsys: Capture) -> None:
    picture = tmp_path / "data" / "class 1" / "1.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(picture)
    Image.new("RGB", (32, 32)).save(picture.with_name("2.png"))
    before = picture.read_bytes()
    data = [str(tmp_path / "data"), "--weights", str(work / "w.h5")]
    assert evaluate.main([*data, "--plot", str(picture)]) == 2
    assert sweep.main([*data, "--plot", str(picture), "--weight-bits", "8", "--membrane-bits", "16"]) == 2
    assert capsys.readouterr().err.count("it is an input of this command") == 2
    assert picture.read_bytes() == before


def test_an_interrupted_run_in_the_folder_of_the_data_goes_on(work: Path, tmp_path: Path) -> None:
    """What is finished lies beside the class folders, and is none."""
    for number in range(3):
        path = tmp_path / "data" / "class 1" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(path)
    line = [str(tmp_path / "data"), "--weights", str(work / "w.h5"), "--chunk", "1", "-o", str(tmp_path / "data" / "r.npz")]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "rows_of", lambda _: pytest.fail("as if it were killed"))
        with pytest.raises(pytest.fail.Exception):
            evaluate.main(line)
    assert (tmp_path / "data" / "r.npz.parts").is_dir()
    assert evaluate.main(line) == 0
    assert not (tmp_path / "data" / "r.npz.parts").exists()
