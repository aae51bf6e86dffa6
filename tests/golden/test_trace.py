"""Traces: every register is what the oracle computes, recording changes nothing, and no half-written file is complete."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import calibrate
from sdt_ref import trace as command
from sdt_ref.golden.dumps import read_dump
from sdt_ref.golden.replay import isolated
from sdt_ref.golden.trace_file import Trace, open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights.file import save
from tests.equality import assert_same, small_tiles
from tests.networks import Network, input_of, model_of, weights_of
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]

NARROW = """schema_version = 1
input = { bits = 5, fraction = 3, rounding = "half up", overflow = "saturate" }
[default]
weight = { bits = 6 }
bias = { bits = 9, rounding = "floor" }
accumulator = { bits = 9, overflow = "saturate" }
membrane = { bits = 5, fraction = 2, rounding = "toward zero", overflow = "saturate", leak_rounding = "half even" }
stream = { bits = 6, fraction = 2, rounding = "half even", overflow = "wrap" }"""
PLAIN = Network(dim=16, hidden=24, time_steps=3, height=4, width=8, pooling_stat="0101", batch=1, drive=1.5, seed=1)
NETWORKS = {
    "plain": (PLAIN, None),
    "narrow": (PLAIN, NARROW),
    "a shortcut of its own": (Network(dim=16, hidden=16, time_steps=4, pooling_stat="0001", batch=1, seed=2), None),
    "dvs, plif, frames": (
        Network(dim=16, hidden=8, time_steps=4, height=4, width=5, pooling_stat="0000", batch=1, dvs_mode=True,
                num_heads=2, spike_mode="plif", frames=True, in_channels=2, seed=5),
        None,
    ),
    "two blocks, pooled stream": (
        Network(dim=80, hidden=40, time_steps=2, depth=2, pooling_stat="1001", batch=1, seed=3), NARROW,
    ),
}  # fmt: skip


def traced(folder: Path, n: Network, formats: str | None = None, name: str = "run.h5", threads: int = 1) -> Path:
    write_trace(folder / name, model_of(n, "fixed", threads, formats=formats), input_of(n))
    return folder / name


def content(trace: Trace) -> dict[str, np.ndarray]:
    return {name: trace.values(name) for name in trace.records}


@pytest.mark.parametrize("case", NETWORKS)
def test_every_register_is_what_the_oracle_computes(tmp_path: Path, case: str) -> None:
    n, formats = NETWORKS[case]
    path = traced(tmp_path, n, formats)
    with open_trace(path) as golden:
        stages = [f"{s.name}/{q}" for s in golden.stages.values() for q in s.quantities]
        assert list(golden.records) == stages
        comparison = isolated(golden, model_of(n, "fixed", formats=formats).read_back(), read_dump(str(path), golden))
        assert comparison.first is None
        n_numbers = sum(values.size for values in content(golden).values())
        assert sum(summary.compared for summary in comparison.stages.values()) == n_numbers


@pytest.mark.parametrize("case", NETWORKS)
def test_recorded_spikes_are_those_of_the_result(tmp_path: Path, case: str) -> None:
    n, formats = NETWORKS[case]
    result = model_of(n, "fixed", formats=formats)(input_of(n), record=True)
    with open_trace(traced(tmp_path, n, formats)) as golden:
        of_hook = {stage.hook: name for name, stage in golden.stages.items() if stage.hook}
        assert set(of_hook) == set(result.spikes)
        for hook, events in result.spikes.items():
            offsets, channels = golden.events(f"{of_hook[hook]}/spikes")
            assert_same(offsets, events.offsets, hook)
            assert_same(channels, events.channels, hook)
        head = golden.records["head/sum"]
        per_step = np.ldexp(golden.values("head/sum")[:, 0], -int(head.fraction[0]))
        assert_same(per_step, result.logits_per_step[:, 0], "logits")


def test_recording_changes_no_result(tmp_path: Path) -> None:
    n, formats = NETWORKS["narrow"]
    model, x = model_of(n, "fixed", formats=formats), input_of(n)
    plain = model(x)
    recorded = write_trace(tmp_path / "run.h5", model, x)
    assert_same(recorded.logits_per_step, plain.logits_per_step, "logits")
    assert {k: v.tolist() for k, v in recorded.overflows.items()} == {k: v.tolist() for k, v in plain.overflows.items()}
    for layer, count in plain.counts.items():
        for kind in ("ac", "mac", "events", "neurons"):
            assert_same(getattr(recorded.counts[layer], kind), getattr(count, kind), layer)
    assert any(v.any() for v in plain.overflows.values())


def test_the_hash_is_the_same_for_any_number_of_threads_and_for_repeated_runs(tmp_path: Path) -> None:
    n, formats = NETWORKS["narrow"]
    hashes = []
    with small_tiles(700):
        for k, threads in enumerate((1, 2, 3, 1)):
            with open_trace(traced(tmp_path, n, formats, f"{k}.h5", threads)) as golden:
                hashes.append(golden.sha256)
    assert len(set(hashes)) == 1
    other = Network(**{**vars(n), "seed": 9})
    with open_trace(traced(tmp_path, other, formats, "other.h5")) as golden:
        assert golden.sha256 not in hashes


def test_the_header_says_what_was_run(tmp_path: Path) -> None:
    n, formats = NETWORKS["narrow"]
    with open_trace(traced(tmp_path, n, formats)) as golden:
        header = golden.header
        assert golden.formats == sdt_ref.fixed.formats.Formats.from_toml(header.formats)
        assert header.time_steps == 3
        assert header.steps == [0, 1, 2]
        q = header.neuron["stages"]["block.0.attn.q_lif"]
        assert q == {
            "leak": "2^-1", "leak_rounding": "half even", "threshold": 4, "bits": 5, "fraction": 2,
            "rounding": "toward zero", "overflow": "saturate",
        }  # fmt: skip
        tokens = golden.records["block.0.attn.q_lif/v"].tokens
        assert header.neuron["stages"]["head_lif"]["threshold"] == 4 * tokens
        assert header.operations["block.0.attn.q_conv"]["ac"] == [
            16 * golden.values("block.0.attn.shortcut_lif/spikes")[t].sum() for t in range(3)
        ]
        with pytest.raises(
            sdt_ref.TraceError, match=r"^trace of other weights: expected .* in the shipped weights; name"
        ):
            golden.parameters()


def test_selected_stages_and_steps(tmp_path: Path) -> None:
    model, x = model_of(PLAIN, "fixed"), input_of(PLAIN)
    write_trace(tmp_path / "all.h5", model, x)
    write_trace(tmp_path / "some.h5", model, x, ["block.0.attn.*", "head"], [2, 0])
    with open_trace(tmp_path / "all.h5") as everything, open_trace(tmp_path / "some.h5") as some:
        assert some.header.steps == [0, 2]
        assert {record.stage for record in some.records.values()} == {
            name for name in everything.stages if name.startswith("block.0.attn.") or name == "head"
        }
        for name, values in content(some).items():
            assert_same(values, everything.values(name)[[0, 2]], name)


def test_a_run_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(stage: str) -> None:
        if stage.endswith("q_lif"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_trace(tmp_path / "run.h5", model_of(PLAIN, "fixed"), input_of(PLAIN), progress=interrupt)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_a_killed_run_leaves_does_not_read_as_complete(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom sdt_ref.golden.writing import write_trace\nfrom tests.networks import input_of, model_of\n"
        "from tests.golden.test_trace import PLAIN\n"
        "kill = lambda stage: os._exit(9) if stage == 'head_lif' else None\n"
        "write_trace(sys.argv[1], model_of(PLAIN, 'fixed'), input_of(PLAIN), progress=kill)\n"
    )
    target = tmp_path / "run.h5"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(target)], cwd=root, check=False, timeout=600)
    assert done.returncode == 9
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".part")
    with pytest.raises(sdt_ref.TraceError, match=r"cannot be read|not complete|damaged"), open_trace(left):
        pass


def test_a_file_without_its_hash_is_not_complete(tmp_path: Path) -> None:
    path = traced(tmp_path, PLAIN)
    with h5py.File(path, "a") as file:
        del file.attrs["sha256"]
    with pytest.raises(sdt_ref.TraceError, match=r"run\.h5': not complete: .*; record it again$"), open_trace(path):
        pass


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = traced(tmp_path, PLAIN)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(whole), 12):
        path.write_bytes(whole[: int(cut)])
        with pytest.raises(sdt_ref.TraceError), open_trace(path):
            pass
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        file["records/block.0.attn.q_lif/h"][1, 1, 3] += 1
    with pytest.raises(sdt_ref.TraceError, match="does not have the hash"), open_trace(path):
        pass
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 3
    with pytest.raises(sdt_ref.TraceError, match="schema version: expected 1 or 2, found 3"), open_trace(path):
        pass
    for version in (True, 1.0, "1"):
        with h5py.File(path, "a") as file:
            file.attrs["schema_version"] = version
        with pytest.raises(sdt_ref.TraceError, match="schema version: expected 1 or 2, found"), open_trace(path):
            pass
    for name, text in (("no.h5", None), ("empty.h5", b""), ("text.h5", b"x" * 4096)):
        if text is not None:
            (tmp_path / name).write_bytes(text)
        with pytest.raises(sdt_ref.TraceError), open_trace(tmp_path / name):
            pass


@pytest.mark.parametrize("stage", ["block.0.attn.q_lif/h", "block.0.attn.q_lif/spikes"])
@pytest.mark.parametrize("change", [{"bits": 6}, {"fraction": [3]}, {"height": 2, "width": 1}, {"channels": 17}])
def test_the_hash_is_also_that_of_widths_and_sizes(tmp_path: Path, stage: str, change: dict[str, object]) -> None:
    path = traced(tmp_path, PLAIN, NARROW)
    with h5py.File(path, "a") as file:
        attributes = file[f"records/{stage}"].attrs
        assert (attributes["height"], attributes["width"]) == (1, 2)
        attributes.update(change)
    with pytest.raises(sdt_ref.TraceError, match="does not have the hash"), open_trace(path):
        pass


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "run.h5"
    arguments = ["-o", str(path), "--stages", "block.0.attn.q_lif,head", "--steps", "0-1,3"]
    assert command.main(arguments) == 0
    screen = capsys.readouterr()
    assert screen.err == ""
    assert "block.0.attn.q_lif sum x h spikes v     64      256" in screen.out
    assert "6 records of 3 of 4 time steps" in screen.out
    with open_trace(path) as golden:
        assert f"sha256 of the content {golden.sha256}" in screen.out
    assert command.main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"]["head/sum"] == {"bits": 32, "shape": [3, 1, 10]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stages", "block.7.*"], "trace: no stage matches 'block.7.*'; stages are input, "),
        (["--steps", "4"], "trace: expected steps from 0 to 3, found 4"),
        (["--steps", "2-1"], "--steps: expected whole numbers and ascending ranges such as 0,2-3, found '2-1'"),
        (["--steps", "0-999999"], "trace: expected steps from 0 to 3, found 4\n"),
        (["--steps", "one"], "--steps: expected whole numbers and ascending ranges such as 0,2-3, found 'one'"),
        (["nowhere.png"], "picture 'nowhere.png' does not exist"),
    ],
)
def test_what_cannot_be_traced_is_refused(arguments: list[str], message: str, tmp_path: Path, capsys: Capture) -> None:
    assert command.main([*arguments, "-o", str(tmp_path / "run.h5")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_trace_is_of_fixed_point_unless_another_arithmetic_is_asked_for(tmp_path: Path, capsys: Capture) -> None:
    assert "fixed (default) for whole numbers" in " ".join(command.command_line().format_help().split())
    formats = tmp_path / "f.toml"
    formats.write_text(NARROW)
    for arguments, message in (
        (["--arithmetic", "int8"], "arithmetic: expected one of float32, float64, fixed, found 'int8'"),
        (
            ["--arithmetic", "float32", "--formats", str(formats)],
            "formats: expected arithmetic 'fixed' with them, found",
        ),
    ):
        assert command.main([*arguments, "-o", str(tmp_path / "run.h5")]) == 2
        assert capsys.readouterr().err.startswith(f"error: {message}")
    assert command.main(["-o", str(tmp_path / "run.h5"), "--stages", "head"]) == 0
    with open_trace(tmp_path / "run.h5") as golden:
        assert golden.header.arithmetic == "fixed"


def test_a_folder_that_is_not_there_is_refused_before_the_run(tmp_path: Path, capsys: Capture) -> None:
    assert command.main(["-o", str(tmp_path / "no" / "run.h5")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_nothing_is_lost_by_an_output_that_is_no_new_file(tmp_path: Path, capsys: Capture) -> None:
    """An input, also through a link; a folder, a pipe; no name at all. Refused before the run."""
    photo, pipe, link, again = (tmp_path / name for name in ("photo.jpg", "pipe", "link.jpg", "hard.jpg"))
    shutil.copy(CAT, photo)
    os.mkfifo(pipe)
    link.symlink_to(photo)
    again.hardlink_to(photo)
    for output, message in (
        (photo, "it is an input of this command; name another file"),
        (link, "it is an input of this command"),
        (again, "it is an input of this command"),
        (tmp_path, "it is a folder; name a file in it"),
        (pipe, "it is a device or a pipe"),
        ("", "expected the name of a file"),
    ):
        for main in (command.main, calibrate.main):
            assert main([str(photo), "-o", str(output)]) == 2
            error = capsys.readouterr().err
            assert error.startswith(f"error: cannot write '{output}': {message}")
            assert error.count("\n") == 1
    (tmp_path / "all").mkdir()
    photo.rename(tmp_path / "all" / "photo.jpg")
    photo = tmp_path / "all" / "photo.jpg"
    assert calibrate.main([str(photo.parent), "-o", str(photo)]) == 2
    assert "it is an input of this command" in capsys.readouterr().err
    assert photo.read_bytes() == CAT.read_bytes()
    assert pipe.is_fifo()


def test_a_file_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.h5").symlink_to("run.h5")
    traced(tmp_path, PLAIN, name="link.h5")
    assert (tmp_path / "link.h5").is_symlink()
    with open_trace(tmp_path / "run.h5"):
        pass


def test_one_sample_only(tmp_path: Path) -> None:
    n = Network(**{**vars(PLAIN), "batch": 2})
    with pytest.raises(sdt_ref.InputError, match=r"^trace: expected one sample, found 2$"):
        write_trace(tmp_path / "run.h5", model_of(n, "fixed"), input_of(n))


def test_weights_of_a_trace_are_found_by_their_hash(tmp_path: Path) -> None:
    save(tmp_path / "w.h5", weights_of(PLAIN))
    with open_trace(traced(tmp_path, PLAIN, NARROW)) as golden:
        assert golden.parameters(tmp_path / "w.h5").neurons
