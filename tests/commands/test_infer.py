"""`infer`: what it prints, where, and with which exit code."""

import dataclasses
import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import sdt_ref
from sdt_ref import infer
from sdt_ref.terminal.answer import is_near_tie, margin
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.arithmetic import arithmetic as arithmetic_named
from tests.networks import Network, weights_of
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]


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
    assert summary["layers"]["MS_SPS_proj_conv"]["firing_rate"] is None  # JSON has no NaN


WATCHED = """
import sys
from numba.core import event
from sdt_ref import infer

with event.install_recorder("numba:compile") as compiled:
    code = infer.main(["--json"])
print(code, len(compiled.buffer), *sys.modules, file=sys.stderr)
"""


@pytest.mark.slow
def test_a_second_infer_compiles_nothing_and_imports_nothing_that_it_does_not_need(capsys: Capture) -> None:
    """What a start takes is imports, and a compiler where it runs."""
    assert infer.main(["--json"]) == 0  # compiles what is not compiled yet
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=True, timeout=600)
    code, compiled, *modules = done.stderr.split()
    assert (code, compiled) == ("0", "0")
    others = ("torch", "matplotlib", "jinja2", "scipy.linalg", "scipy.sparse")
    rooms = ("page", "drawing", "explaining", "evidence", "cost", "golden")
    assert not {*others, *(f"sdt_ref.{room}" for room in rooms)} & set(modules)


def test_infer_loads_the_weights_once_and_runs_the_network_on_one_image_once(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    loaded, run = [], []
    load, call = weights_file.load, sdt_ref.SpikeDrivenTransformer.__call__
    monkeypatch.setattr(weights_file, "load", lambda *given: loaded.append(given) or load(*given))
    monkeypatch.setattr(
        sdt_ref.SpikeDrivenTransformer,
        "__call__",
        lambda model, x, *how, **more: run.append(x.shape) or call(model, x, *how, **more),
    )
    assert infer.main(["--json"]) == 0
    assert len(loaded) == 1
    assert run == [(1, 3, 4, 4), (1, 3, 32, 32)]  # the first one loads the kernels


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
    assert "is a JPEG picture; expected a recording of an event camera" in capsys.readouterr().err


def test_logits_that_overflow_are_refused(tmp_path: Path, capsys: Capture) -> None:
    n = Network(drive=100)
    weights = weights_of(n)
    tensors = {**weights.tensors, "head.weight": np.full((5, 16), 3e38, np.float32)}
    weights_file.save(tmp_path / "w.h5", dataclasses.replace(weights, tensors=tensors))
    assert infer.main(["--weights", str(tmp_path / "w.h5")]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert "the logits overflow float32; use arithmetic float64" in captured.err


@pytest.mark.parametrize(("arithmetic", "near"), [("float32", False), ("fixed", True)])
def test_an_answer_near_a_tie_is_told(arithmetic: str, near: bool, capsys: Capture) -> None:
    """The sample: cat before frog, by 0.48 in float32, by 0.35 in fixed point, where rounding moves logits by as much."""
    assert infer.main(["--arithmetic", arithmetic, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    first, second = sorted(told["logits"])[:-3:-1]
    assert (told["margin"], told["near_tie"]) == (first - second, near)
    assert 0.3 < told["margin"] < 0.5
    assert infer.main(["--arithmetic", arithmetic, "--top", "1"]) == 0
    line = f"near a tie cat is {told['margin']:.2f} above frog in logits: rounding could swap them"
    assert (line in " ".join(capsys.readouterr().out.split())) == near


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_numbers_that_do_not_fit_their_registers_are_told(arithmetic: str, tmp_path: Path, capsys: Capture) -> None:
    """A pixel of 600 events in each of eight frames, where the default register holds 511; another of 500."""
    pixels = [*[(5, 7)] * 600, *[(20, 9)] * 500] * 8
    x, y = np.array(pixels).T
    np.savez(tmp_path / "hot.npz", x=x, y=y, t=np.arange(len(x)), p=np.arange(len(x)) % 1100 < 1000)
    arguments = [str(tmp_path / "hot.npz"), "--arithmetic", arithmetic]
    assert infer.main([*arguments, "--json"]) == 0
    beyond = json.loads(capsys.readouterr().out)["overflows"]
    assert infer.main(arguments) == 0
    screen = " ".join(capsys.readouterr().out.split())
    assert beyond.get("input") == ([1] * 8 if arithmetic == "fixed" else None)
    assert ("numbers that did not fit their registers: input 8" in screen) == (arithmetic == "fixed")


def test_a_tie_has_its_bounds() -> None:
    fixed, float32 = (types.SimpleNamespace(arithmetic=arithmetic_named(name)) for name in ("fixed", "float32"))
    assert margin(np.array([1.0])) is None
    assert not is_near_tie(fixed, np.array([1.0]))
    for model, bound in ((fixed, 0.5), (float32, 0.01)):
        assert is_near_tie(model, np.array([3.0, 1.0, 3.0]))
        assert is_near_tie(model, np.array([3.0, 1.0, 3.0 - 0.99 * bound]))
        assert not is_near_tie(model, np.array([0.0, -1.0, bound]))
