"""`sweep`: a row is what `calibrate` and `evaluate` say; however it is interrupted, the bytes are the same."""

import csv
import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdt_ref import calibrate, evaluate, sweep
from sdt_ref.errors import FormatError
from sdt_ref.fixed import formats
from sdt_ref.inputs.selection import Selection
from sdt_ref.measuring.accuracy import Classify
from sdt_ref.sweeping import running
from sdt_ref.weights import file as weights_file
from tests import camera_bytes
from tests.networks import Network, weights_of
from tests.recordings import save, some_events

Capture = pytest.CaptureFixture[str]
N = Network(seed=5, dim=24, drive=0.0, num_classes=5, height=8, width=8, time_steps=2)
IMAGES = 20
DATA = [".", "--split", "val", "--calibrate-split", "train", "--calibrate-limit", "3", "--threads", "1"]
GRID = ["--weight-bits", "3,8", "--membrane-bits", "2,6", "--stream-bits", "8"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose labels differ from picture to picture, and change with the registers; pictures in two splits."""
    folder = tmp_path_factory.mktemp("sweep")
    weights_file.save(folder / "w.h5", weights_of(N))
    rng = np.random.default_rng(0)
    for split, number in (("val", IMAGES), ("train", 5)):
        for k in range(number):
            path = folder / split / f"class {k % 5}" / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each test, with links to what was made."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(*arguments: str) -> list[dict[str, Any]]:
    assert sweep.main([*DATA, "--weights", "w.h5", "-o", "o.json", *arguments]) == 0
    return list(json.loads(Path("o.json").read_text())["rows"])


def labels(how: dict[str, Any], T: int) -> np.ndarray:
    weights = weights_file.load("w.h5")
    weights = dataclasses.replace(weights, config=dataclasses.replace(weights.config, time_steps=T))
    items = Selection((".",), False, "val", None, weights.classes).open().items(range(IMAGES))
    return Classify(**how, strict_steps=True).prepare(weights, 1)(items).arrays["predicted"]


@pytest.mark.slow
def test_a_row_is_what_calibrate_and_evaluate_say(here: Path, capsys: Capture) -> None:
    rows = rows_of(*GRID, "--time-steps", "2,1")
    assert [(row["time_steps"], row["weight_bits"], row["membrane_bits"]) for row in rows] == [
        (T, *bits) for T in (2, 1) for bits in ((None, None), (3, 2), (3, 6), (8, 2), (8, 6))
    ]
    flips = []
    for row in rows:
        if row["refused"]:
            continue
        T, how = str(row["time_steps"]), []
        fixed = row["arithmetic"] == "fixed"
        if fixed:
            widths = [
                text
                for name in ("weight", "membrane", "stream")
                for text in (f"--{name}-bits", str(row[f"{name}_bits"]))
            ]
            calibrated = ["--weights", "w.h5", "--split", "train", "--limit", "3", "-o", "f.toml", "--time-steps"]
            assert calibrate.main([".", *calibrated, T, *widths]) == 0
            how = ["--formats", "f.toml"]
        capsys.readouterr()
        assert evaluate.main([".", "--split", "val", "--weights", "w.h5", "--time-steps", T, *how, "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        same = ("images", "top1", "top1_right", "top1_interval")
        assert {name: row[name] for name in same} == {name: summary[name] for name in same}
        if fixed:
            own = labels({"arithmetic": "fixed", "formats": formats.load("f.toml")}, row["time_steps"])
            assert row["flips"] == (own != labels({}, row["time_steps"])).sum()
            flips.append(row["flips"])
    assert len(flips) == 4
    assert len(set(flips)) > 1, "the test shows nothing"
    assert min(flips) > 0, "the test shows nothing"
    assert not Path("o.json.parts").exists()


@pytest.mark.slow
def test_of_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "dvs.h5")
    name = weights_file.load("dvs.h5").classes[0]
    (tmp_path / "val" / name).mkdir(parents=True)
    (tmp_path / "val" / name / "1.bin").write_bytes(camera_bytes.nmnist(some_events()))
    data = [".", "--split", "val", "--weights", "dvs.h5", "--json"]
    assert sweep.main([*data, "--calibrate-split", "val", "--time-steps", "2,3", "--membrane-bits", "8"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    for row in rows[::2]:
        assert evaluate.main([*data, "--time-steps", str(row["time_steps"])]) == 0
        assert row["top1_right"] == json.loads(capsys.readouterr().out)["top1_right"]
    assert [(row["time_steps"], row["images"]) for row in rows] == [(2, 1), (2, 1), (3, 1), (3, 1)]


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_a_point_that_cannot_be_is_a_row_that_says_so(here: Path, capsys: Capture) -> None:
    none, held = rows_of(*GRID)[1:3]
    assert none["refused"] == "calibrate: a membrane needs 3 bits to hold its thresholds 1 and 0.5, found 2"
    assert [none[name] for name in ("images", "top1_right", "top1", "top1_interval", "flips")] == [None] * 5
    assert held["refused"] is None
    printed = capsys.readouterr().out
    assert len(re.findall(r"^2 +\d +2 +8  does not hold$", printed, re.M)) == 2
    assert f"T = 2, weights 3, membranes 2, stream 8 bits, and 1 more: does not hold: {none['refused']}.\n" in printed


def test_what_only_a_run_refuses_is_such_a_row(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sums over more tokens than 64 bits hold are."""
    classified = Classify._part

    def narrow(task: Classify, *others: Any) -> Any:
        if task.formats and task.formats.default["weight"]["bits"] == 3:
            raise FormatError("too many tokens")
        return classified(task, *others)

    monkeypatch.setattr(Classify, "_part", narrow)
    rows = rows_of("--weight-bits", "3,8")
    assert [(row["refused"], bool(row["images"])) for row in rows] == [
        (None, True),
        ("too many tokens", False),
        (None, True),
    ]
    assert not Path("o.json.parts").exists()


def test_what_cannot_be_read_is_listed(here: Path, capsys: Capture) -> None:
    (here / "own" / "class 1").mkdir(parents=True)
    (here / "own" / "class 1" / "1.png").write_bytes((here / "val" / "class 1" / "1.png").read_bytes())
    (here / "own" / "class 1" / "2.png").write_bytes(b"none")
    arguments = [*DATA, "--weights", "w.h5", *GRID, "--split", "own", "--json"]
    assert sweep.main(arguments) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["unreadable"]] == ["class 1/2.png"]
    assert {row["images"] for row in found["rows"] if not row["refused"]} == {1}
    (here / "own" / "class 1" / "1.png").unlink()
    assert sweep.main([*arguments[:-1], "-o", "none.csv"]) == 1
    assert "top1_low,top1_high,refused\n2,float32,,,,0,0,,,,,\n" in Path("none.csv").read_text()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--weight-bits", "17"], "'weight.bits': expected 2 to 16, found 17"),
    (["--membrane-bits", "1-8"], "'membrane.bits': expected 2 to 48, found 1"),
    (["--stream-bits", "8;12"], "--stream-bits: expected whole numbers and ascending ranges such as 0,2-3, found '8;12'"),
    (["--time-steps", "0"], "--time-steps: expected 1 to 4096, found 0"),
    (["--time-steps", "1-4096"], "expected at most 1,000 points, found 8,192; give shorter lists"),
    (["--threads", "257", "-o", "o.json"], "threads: expected 1 to 256, found 257"),
    (["--calibrate-limit", "0"], "--calibrate-limit: expected 1 or more"),
    (["--chunk", "0"], "--chunk: expected 1 or more"),
    (["--calibrate-split", "none"], "expected a sub-folder 'none', found none"),
    (["-o", "o.txt"], "table 'o.txt': expected a name that ends in .csv, .tex, .md, .json"),
    (["-o", "no/o.csv"], "cannot write 'no/o.csv': its folder does not exist"),
    (["--calibrate-on", "o.csv", "-o", "o.csv"], "cannot write 'o.csv': it is an input of this command"),
    (["--plot", "o.gif"], "picture 'o.gif': expected a name that ends in .png, .svg, .pdf"),
    (["--plot", "o.png", "--time-steps", "1-33"], "--plot: expected at most 32 values of T, found 33"),
])  # fmt: skip
def test_what_is_refused(arguments: list[str], message: str, here: Path, capsys: Capture) -> None:
    Path("o.csv").write_text("old")
    if "--plot" in arguments:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[report]'")
    before = sorted(path.name for path in here.iterdir())
    assert sweep.main([*DATA, "--weights", "w.h5", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert sorted(path.name for path in here.iterdir()) == before
    assert Path("o.csv").read_text() == "old"


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed, in its order; the command is interrupted before the work that `stop` says."""
    done: list[str] = []
    chosen, classified = running.choose, Classify._part

    def stop_or(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            if done.count("stop") and len(done) == int(done[0]) + 2:
                raise KeyboardInterrupt
            done.append(name)
            return call(*arguments)

        return counted

    monkeypatch.setattr(running, "choose", stop_or("calibrate", chosen))
    monkeypatch.setattr(Classify, "_part", stop_or("chunk", classified))
    return done


def run(*arguments: str, code: int = 0) -> bytes:
    assert sweep.main([*DATA, "--weights", "w.h5", "-o", "o.csv", *GRID, *arguments]) == code
    return Path("o.csv").read_bytes() if code == 0 else b""


@pytest.mark.slow
def test_it_goes_on_where_it_was_and_ends_with_the_same_bytes(here: Path, work: list[str], capsys: Capture) -> None:
    """Interrupted before each piece of work in turn: what was finished is not done again."""
    whole = run("--chunk", "8")
    steps = list(work)
    assert steps == ["calibrate"] * 2 + ["chunk"] * 9  # two of the four points cannot be
    for k in range(len(steps)):
        work[:] = [str(k), "stop"]
        Path("o.csv").unlink()
        assert run("--chunk", "8", code=130) == b""
        assert not Path("o.csv").exists()
        work.clear()
        assert run("--chunk", "8") == whole
        assert work == steps[k:]
        assert not Path("o.csv.parts").exists()


@pytest.mark.slow
def test_neither_threads_nor_chunks_change_a_byte(here: Path, work: list[str]) -> None:
    """Nor does another size of chunks after an interruption."""
    whole = run()
    for more in (["--chunk", "1"], ["--chunk", "7", "--threads", "2"]):
        assert run(*more) == whole
    work[:] = ["2", "stop"]
    run("--chunk", "7", code=130)
    work.clear()
    assert run("--chunk", "5", "--threads", "2") == whole


OTHERS: dict[str, Callable[[Path, pytest.MonkeyPatch], list[str]]] = {}


def other(what: str) -> Callable[..., None]:
    return lambda change: OTHERS.update({what: change})


@other("weights")
def _(here: Path, _: pytest.MonkeyPatch) -> list[str]:
    weights_file.save(here / "other.h5", weights_of(dataclasses.replace(N, seed=6)))
    return ["--weights", "other.h5"]


@other("data")
def _(here: Path, _: pytest.MonkeyPatch) -> list[str]:
    return ["--limit", "19"]


@other("data to calibrate on")
def _(here: Path, _: pytest.MonkeyPatch) -> list[str]:
    return ["--calibrate-limit", "2"]


@other("settings (weight_bits [3, 8], not [8])")
def _(here: Path, _: pytest.MonkeyPatch) -> list[str]:
    return ["--weight-bits", "8"]


@other("code")
def _(here: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setattr(running, "code_digest", lambda: "0" * 64)
    return []


@pytest.mark.slow
@pytest.mark.parametrize("what", OTHERS)
def test_another_run_is_refused_by_name(
    what: str, here: Path, work: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    work[:] = ["2", "stop"]
    run(code=130)
    work.clear()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        run(*OTHERS[what](here, patch), code=2)
    named = what.removesuffix(" to calibrate on")
    assert capsys.readouterr().err == (
        f"error: folder 'o.csv.parts': expected this run, found one of other {named}; remove it, or choose another "
        "output\n"
    )
    assert work == []
    run()
    assert work == ["chunk"] * 3, "nothing was lost"


@pytest.mark.slow
def test_without_an_output_nothing_is_kept(here: Path, work: list[str], capsys: Capture) -> None:
    before = sorted(here.iterdir())
    work[:] = ["3", "stop"]
    assert sweep.main([*DATA, "--weights", "w.h5", *GRID]) == 130
    work.clear()
    assert sweep.main([*DATA, "--weights", "w.h5", *GRID]) == 0
    assert work == ["calibrate"] * 2 + ["chunk"] * 3
    assert sorted(here.iterdir()) == before


# A process in which the command ends itself before a piece of work: `end` is the handler of signals.
ENDING = """
import os, signal, sys
from sdt_ref import interrupt, sweep
from sdt_ref.measuring.accuracy import Classify
from sdt_ref.sweeping import running
left, name, *arguments = int(sys.argv[1]), *sys.argv[2:]
def ending(call):
    def counted(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL) if name == "SIGKILL" else interrupt.end(getattr(signal, name))
        return call(*arguments)
    return counted
running.choose, Classify._part = ending(running.choose), ending(Classify._part)
sys.exit(sweep.main(arguments))
"""


def process(here: Path, left: int, name: str, **how: Any) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-c", ENDING, str(left), name, *DATA, "--weights", "w.h5", "-o", "o.csv", *GRID]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [*line, "--chunk", "8"], cwd=here, capture_output=True, text=True, check=False, env=environment, **how
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_signals_leave_what_is_finished_and_say_how_to_go_on(here: Path) -> None:
    whole = run("--chunk", "8")
    Path("o.csv").unlink()
    for left, name, said in (  # after so many pieces of work
        (1, "SIGINT", "interrupted after 0 of 5 points; the same command goes on there\n"),
        (2, "SIGKILL", ""),
        (3, "SIGTERM", "terminated after 8 of 20; 2 of 5 points done, top-1 {}; the same command goes on there\n"),
        (4, "SIGKILL", ""),
    ):
        done = process(here, left, name)
        number = getattr(signal, name)
        assert done.returncode == (-number if name == "SIGKILL" else 128 + number), done.stderr
        assert re.fullmatch(said.replace("{}", r"\d+\.\d\d%"), done.stderr), done.stderr
        assert not Path("o.csv").exists()
        assert Path("o.csv.parts").is_dir()
    done = process(here, 99, "")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("o.csv").read_bytes() == whole
    assert not Path("o.csv.parts").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits on the size of a file")
def test_a_full_disk_is_one_line_and_loses_nothing(here: Path) -> None:
    import resource

    whole = run()
    Path("o.csv").unlink()
    for most in (100, 600, 1000):
        done = process(here, 99, "", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))  # noqa: B023
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(
            r"error: cannot write 'o\.csv\.parts/[^']+': File too large; make room, .*\n", done.stderr
        ), done.stderr
    assert run() == whole


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_forms_say_the_same(here: Path, capsys: Capture) -> None:
    rows = rows_of(*GRID, "--time-steps", "1,2", "--json")
    assert json.loads(capsys.readouterr().out) == json.loads(Path("o.json").read_text())
    texts = {}
    for ending in ("csv", "tex", "md"):
        assert sweep.main([*DATA, "--weights", "w.h5", *GRID, "--time-steps", "1,2", "-o", f"o.{ending}"]) == 0
        texts[ending] = Path(f"o.{ending}").read_text()
    for row, found in zip(rows, csv.DictReader(io.StringIO(texts["csv"])), strict=True):
        expected = {**row, **dict(zip(("top1_low", "top1_high"), row["top1_interval"] or (None, None), strict=True))}
        del expected["top1_interval"]
        assert found == {name: "" if value is None else str(value) for name, value in expected.items()}
    _, _, head, line, *lines = texts["md"].splitlines()
    assert head.count("|") == line.count("|") == 8
    for row, cells in zip(rows, lines, strict=True):
        T, weights, *_, top1, interval, flips = (cell.strip() for cell in cells.strip("|").split("|"))
        assert (T, weights) == (str(row["time_steps"]), str(row["weight_bits"] or "float32"))
        assert flips == ("" if row["flips"] is None else str(row["flips"]))
        if row["refused"]:
            assert (top1, interval) == ("does not hold", "")
        else:
            low, high = row["top1_interval"]
            assert (top1, interval) == (f"{row['top1']:.2%}", f"{low:.1%} to {high:.1%}")


@pytest.mark.slow
def test_latex_has_as_many_columns_in_each_line_as_it_declares(here: Path) -> None:
    assert sweep.main([*DATA, "--weights", "w.h5", *GRID, "--time-steps", "1,2", "-o", "o.tex"]) == 0
    text = Path("o.tex").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[0] == r"\begin{tabular}{rrrrrrr}"
    assert lines[-1] == r"\end{tabular}"
    rows = [line for line in lines if line.endswith(r" \\")]
    assert len(rows) == 2 + 10
    for line in rows:
        spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d)}", line))
        assert line.count("&") + 1 + spans == 7, line
        assert not re.search(r"(?<!\\)[%#_$]", line), line
    assert text.count(r"\midrule") == 2


def test_the_command_needs_no_picture_library(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert sweep.main([*DATA, "--weights", "w.h5", *GRID, "--plot", "o.png"]) == 2
    assert "pictures need matplotlib" in capsys.readouterr().err
    run()
