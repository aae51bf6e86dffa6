"""`--time-steps` of pictures: another T than that of the weights, in every command that runs the network."""

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sdt_ref
from sdt_ref import infer
from sdt_ref.inputs.reading import read
from sdt_ref.terminal import cli
from sdt_ref.weights import file as weights_file
from tests.shipped import CAT, DIGIT

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
@pytest.mark.parametrize("T", [1, 5])
def test_a_picture_is_shown_for_so_many_steps(arithmetic: str, T: int, capsys: Capture) -> None:
    """The answer is the oracle's on as many equal frames; but the first convolution is computed once."""
    assert infer.main([str(CAT), "--arithmetic", arithmetic, "--time-steps", str(T), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    model = sdt_ref.load(arithmetic=arithmetic)
    frames = np.repeat(read(CAT, model.preprocessing, 0)[None, None], T, axis=1)
    expected = sdt_ref.dense.forward(model, frames)
    assert told["time_steps"] == T
    assert told["logits"] == expected.logits[0].tolist()
    for name, count in expected.counts.items():
        once = name == "MS_SPS_proj_conv"
        for kind in ("ac", "mac"):
            done = getattr(count, kind).tolist()
            assert told["layers"][name][kind] == (done[:1] + [0] * (T - 1) if once else done), (name, kind)


RUNS: dict[str, list[str]] = {
    "infer": [],
    "explain": [],
    "evaluate": ["FOLDER"],
    "energy": [],
    "claims": [],
    "attention": [],
    "report": ["-o", "OUT.html"],
    "calibrate": ["FOLDER", "-o", "OUT.toml"],
    "trace": ["-o", "OUT.h5"],
}


def test_every_command_that_takes_weights_is_run_here_or_reads_what_another_ran() -> None:
    for name in cli.COMMANDS:
        known = importlib.import_module(f"sdt_ref.{name}").command_line()._option_string_actions
        assert ("--time-steps" in known) == (name in RUNS or name == "sweep"), name  # which takes a list: test_sweep


@pytest.mark.slow
@pytest.mark.parametrize("command", [pytest.param(c, marks=[pytest.mark.campaign] * (c == "claims")) for c in RUNS])
def test_a_command_tells_the_same_as_with_weights_of_that_many_steps(
    command: str, tmp_path: Path, capsys: Capture
) -> None:
    if command == "report":
        pytest.importorskip("jinja2")
    weights = weights_file.load()
    other = dataclasses.replace(weights, config=dataclasses.replace(weights.config, time_steps=2))
    weights_file.save(tmp_path / "w.h5", other)
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / CAT.name).write_bytes(CAT.read_bytes())

    def told(*more: str) -> dict[str, Any]:
        names = {"FOLDER": str(tmp_path / "data")}
        arguments = [names.get(a, a.replace("OUT", str(tmp_path / "out"))) for a in RUNS[command]]
        assert importlib.import_module(f"sdt_ref.{command}").main([*arguments, *more, "--json"]) == 0
        facts: dict[str, Any] = json.loads(capsys.readouterr().out)
        for of_one_run in ("seconds", "bytes"):  # the page has the name of its weights
            facts.pop(of_one_run, None)
        return facts

    asked = told("--time-steps", "2")
    assert asked == told("--weights", str(tmp_path / "w.h5"))
    if command != "evaluate":  # one picture, of which only the rank is told
        assert asked != told()


@pytest.mark.parametrize("command", RUNS)
@pytest.mark.parametrize("T", ["0", "-1", "4097", f"1{'0' * 30}"])
def test_so_many_steps_are_refused_by_name(command: str, T: str, tmp_path: Path, capsys: Capture) -> None:
    if command == "report":
        pytest.importorskip("jinja2")
    arguments = [a.replace("FOLDER", str(CAT)).replace("OUT", str(tmp_path / "out")) for a in RUNS[command]]
    assert importlib.import_module(f"sdt_ref.{command}").main([*arguments, "--time-steps", T]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: --time-steps: expected 1 to 4096, found {int(T)}\n"
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


def test_of_a_recording_as_many_frames_are_made(capsys: Capture) -> None:
    explained = importlib.import_module("sdt_ref.explain")
    assert explained.main([str(DIGIT), "--time-steps", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["time_steps"] == 3
