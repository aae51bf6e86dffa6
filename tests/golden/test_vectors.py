"""Vectors and sizing: every file says what the trace says, corner cases are what their names promise, depths add up."""

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sdt_ref
from sdt_ref import sizing as sizing_command
from sdt_ref import vectors as command
from sdt_ref.golden.corners import NAMES
from sdt_ref.golden.export import export
from sdt_ref.golden.packing import digits, packed, unpacked
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.golden.widths import Sizing, sizing
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights.file import save
from sdt_ref.weights.wiring import NEURON, STREAM
from tests.golden.test_trace import NARROW, NETWORKS, PLAIN, content, traced
from tests.networks import Network, input_of, model_of, weights_of

Capture = pytest.CaptureFixture[str]


@given(st.data())
def test_words_hold_their_numbers(data: st.DataObject) -> None:
    bits, channels = data.draw(st.integers(2, 48)), data.draw(st.integers(1, 70))
    number = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    rows = np.array(data.draw(st.lists(st.lists(number, min_size=channels, max_size=channels), min_size=1, max_size=3)))
    for row, word in zip(rows, packed(rows, bits), strict=True):
        assert len(word) == digits(channels, bits)
        value = int(word, 16)
        for channel, number_ in enumerate(row.tolist()):  # by hand: channel 0 in the lowest bits
            assert value >> (channel * bits) & ((1 << bits) - 1) == number_ % (1 << bits)
        assert unpacked(word, channels, bits).tolist() == row.tolist()


def test_a_spike_is_one_bit() -> None:
    rows = np.array([[1, 0, 0, 0, 0, 1]])
    assert list(packed(rows, 1)) == ["21"]
    assert unpacked("21", 6, 1).tolist() == [1, 0, 0, 0, 0, 1]


@pytest.fixture(scope="module", params=["narrow", "dvs, plif, frames", "two blocks, pooled stream"])
def vectors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any, Any]:
    """Folder of vectors, its trace, manifest and model."""
    folder = tmp_path_factory.mktemp("vectors")
    n, formats = NETWORKS[request.param]
    path, model = traced(folder, n, formats), model_of(n, "fixed", formats=formats)
    with open_trace(path) as trace:
        export(trace, model.read_back(), folder / "out")
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    return folder / "out", path, manifest, model


def of_mem(path: Path, shape: list[int], bits: int) -> np.ndarray:
    """Read words with nothing but int(): the reader that a hardware team would write."""
    words = [int(line, 16) for line in path.read_text().splitlines()]
    numbers = [word >> (c * bits) & ((1 << bits) - 1) for word in words for c in range(shape[-1])]
    if bits > 1:
        numbers = [number - (1 << bits) * (number >> (bits - 1)) for number in numbers]
    return np.array(numbers).reshape(shape)


def test_every_file_is_listed_with_its_hash(vectors: tuple[Path, Path, Any, Any]) -> None:
    folder, _, manifest, _ = vectors
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {*manifest["sha256"], "manifest.json"}
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_every_form_of_a_record_holds_the_same_numbers(vectors: tuple[Path, Path, Any, Any]) -> None:
    folder, path, manifest, _ = vectors
    with open_trace(path) as trace:
        assert manifest["trace"] == trace.sha256
        assert list(manifest["records"]) == list(trace.records)
        for name, values in content(trace).items():
            record = manifest["records"][name]
            files = {form: folder / file for form, file in record["files"].items()}
            assert np.array_equal(np.load(files["npy"]), values)
            assert np.array_equal(of_mem(files["mem"], record["shape"], record["bits"]), values)
            if name.endswith("spikes"):
                spikes = list(zip(*(part.tolist() for part in np.nonzero(values)), strict=True))
                lines = files["aer"].read_text().splitlines()
                assert lines[0] == "# step token channel"
                assert [tuple(map(int, line.split())) for line in lines[1:]] == spikes
                words = struct.iter_unpack("<HHI", files["bin"].read_bytes())
                assert [(step, token, channel) for step, channel, token in words] == spikes


def test_weight_rows_and_biases_give_the_recorded_sums(vectors: tuple[Path, Path, Any, Any]) -> None:
    """A machine of a dozen lines that reads nothing but the vectors: 1x1 layers, at every addition the accumulator."""
    folder, _, manifest, _ = vectors
    n_sums = 0
    for stage, wired in manifest["wiring"].items():
        layer = manifest["layers"].get(wired["layer"])
        if layer is None or layer["window"] != 1 or wired["kind"] not in (NEURON, STREAM):
            continue
        weight, bias = (
            of_mem(folder / layer[name]["files"]["mem"], layer[name]["shape"], layer[name]["bits"])
            for name in ("weight", "bias")
        )
        assert np.array_equal(np.load(folder / layer["weight"]["files"]["npy"]), weight)
        high = (1 << (layer["accumulator"]["bits"] - 1)) - 1
        spikes = np.load(folder / manifest["records"][f"{wired['reads'][0]}/spikes"]["files"]["npy"])
        total = np.repeat(bias, spikes.shape[0] * spikes.shape[1], axis=0).reshape(*spikes.shape[:2], -1)
        for c in range(spikes.shape[2]):
            total = np.clip(total + spikes[:, :, c, None] * weight[c], -high - 1, high)
        assert np.array_equal(total, np.load(folder / manifest["records"][f"{stage}/sum"]["files"]["npy"])), stage
        n_sums += total.size
    assert n_sums > 100


def test_the_first_layer_reads_planes(vectors: tuple[Path, Path, Any, Any]) -> None:
    folder, _, manifest, model = vectors
    layer = manifest["layers"]["patch_embed.proj_conv"]
    weight = np.load(folder / layer["weight"]["files"]["npy"]).astype(np.int64)
    rows = weight.reshape(3, 3, layer["inputs"], layer["outputs"])
    planes = model.layer("patch_embed.proj_conv").weight.reshape(
        layer["outputs"], layer["planes"], layer["inputs"], 3, 3
    )
    for p in range(layer["planes"]):
        sign = -1 if p == layer["planes"] - 1 else 1
        assert np.array_equal(planes[:, p].transpose(2, 3, 1, 0), sign * rows << p)


def test_corner_cases_are_what_their_names_say(vectors: tuple[Path, Path, Any, Any]) -> None:
    folder, _, manifest, model = vectors
    neuron = manifest["neuron"]["stages"]["block.0.attn.q_lif"]
    threshold, bits = neuron["threshold"], neuron["bits"]
    high, low = (1 << (bits - 1)) - 1, -(1 << (bits - 1))
    layer = model.layer("block.0.attn.q_conv")
    corners = manifest["corners"]

    def record(name: str, quantity: str) -> np.ndarray:
        entry = corners[name]["records"][quantity]
        values = np.load(folder / entry["files"]["npy"]).astype(np.int64)
        assert np.array_equal(of_mem(folder / entry["files"]["mem"], entry["shape"], entry["bits"]), values)
        return values

    assert not record("silent", "input").any()
    assert (record("silent", "sum") == layer.bias).all()
    assert record("all_spikes", "input").all()
    longest = np.load(folder / manifest["records"]["block.0.attn.shortcut_lif/spikes"]["files"]["npy"])
    assert record("longest", "input").sum(axis=2).max() == longest.sum(axis=2).max() > 0
    h, spikes = record("at_threshold", "h"), record("at_threshold", "spikes")
    assert (h[:, 0] == threshold).all()
    assert spikes[:, 0].all()
    assert (h[:, 1] == threshold - 1).all()
    assert not spikes[:, 1].any()
    assert (record("membrane_high", "sum") > high).all()
    assert (record("membrane_low", "sum") < low).all()
    if neuron["overflow"] == "saturate":
        assert (record("membrane_high", "x") == high).all()
        assert (record("membrane_low", "x") == low).all()
    for name, limit in (("accumulator_high", 1), ("accumulator_low", -1)):
        if name not in corners:
            continue
        bits = corners[name]["accumulator_bits"]
        assert bits <= layer.accumulator.bits
        end = (1 << (bits - 1)) - 1 if limit > 0 else -(1 << (bits - 1))
        assert (record(name, "sum") == end).any()
        free = layer.bias + record(name, "input") @ layer.weight[:, :, 0, 0].T
        assert (free * limit > end * limit).any()


def test_a_wide_network_reaches_every_corner(tmp_path: Path) -> None:
    n, formats = NETWORKS["two blocks, pooled stream"]
    with open_trace(traced(tmp_path, n, formats)) as trace:
        manifest = export(trace, model_of(n, "fixed", formats=formats).read_back(), tmp_path / "out")
    assert tuple(manifest["corners"]) == NAMES
    assert manifest["corners_not_reached"] == []


WEAK_LEAK = """schema_version = 1
[stage."block.0.attn.q_lif"]
membrane = { bits = 12, fraction = 10, leak = "2^-8" }"""


def test_a_leak_too_weak_for_the_threshold_leaves_that_corner_out_and_says_so(tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path / "w.h5", weights_of(PLAIN))
    run = str(traced(tmp_path, PLAIN, WEAK_LEAK))
    assert command.main([run, "-o", str(tmp_path / "v"), "--weights", str(tmp_path / "w.h5")]) == 0
    screen = capsys.readouterr().out
    manifest = json.loads((tmp_path / "v" / "manifest.json").read_text())
    absent = manifest["corners_not_reached"]
    assert "at_threshold" in absent
    assert f"not reached in this run or with these registers: {', '.join(absent)}\n" in screen
    assert {*manifest["corners"], *absent} == {*NAMES}


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(golden: Path) -> tuple[str, str]:
    """A trace and its weights."""
    return str(golden), str(golden.with_name("w.h5"))


def test_the_command_writes_a_whole_folder_or_none(files: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    run, weights = files
    out = tmp_path / "vectors"
    assert command.main([run, "-o", str(out), "--weights", weights]) == 0
    screen = capsys.readouterr()
    assert screen.err == ""
    assert "at_threshold" in screen.out
    assert "manifest.json says what is where" in screen.out
    assert command.main([run, "-o", str(out), "--weights", weights]) == 2
    assert "expected a new or an empty one" in capsys.readouterr().err
    assert command.main([run, "-o", str(tmp_path / "other")]) == 2
    assert "trace of other weights" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert command.main([run, "-o", str(tmp_path / "file" / "x"), "--weights", weights]) == 2
    assert capsys.readouterr().err.startswith("error: cannot write '")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "run.h5", "vectors", "w.h5"]


def test_the_command_prints_json(files: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    run, weights = files
    assert command.main([run, "-o", str(tmp_path / "v"), "--weights", weights, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["corners"]) >= {"silent", "at_threshold"}


# --- sizing -----------------------------------------------------------------------------------------------------------


def measured(folder: Path, n: Network, formats: str | None, *seeds: int) -> tuple[Sizing, list[dict[str, np.ndarray]]]:
    model, contents, opened = model_of(n, "fixed", formats=formats), [], []
    for seed in seeds:
        write_trace(folder / f"{seed}.h5", model, input_of(Network(**{**vars(n), "seed": seed})))
    for seed in seeds:
        with open_trace(folder / f"{seed}.h5") as trace:
            contents.append(content(trace))
            opened.append((trace.sha256, trace.header.overflows))
    traces = [open_trace(folder / f"{seed}.h5") for seed in seeds]
    entered = [reader.__enter__() for reader in traces]
    try:
        return sizing(entered, model.read_back()), contents
    finally:
        for reader in traces:
            reader.__exit__(None, None, None)


@pytest.mark.parametrize("case", NETWORKS)
def test_sizing_is_what_numpy_finds_in_the_records(tmp_path: Path, case: str) -> None:
    n, formats = NETWORKS[case]
    report, runs = measured(tmp_path, n, formats, 1, 2)
    for stage, lists in report.lists.items():
        per_list = np.concatenate([run[f"{stage}/spikes"].sum(axis=2).ravel() for run in runs])
        assert np.array_equal(lists.lengths, np.bincount(per_list, minlength=len(lists.lengths)))
        assert lists.worst == per_list.max()
        assert lists.mean == pytest.approx(per_list.mean())
        assert lists.percentile(99) == np.sort(per_list)[int(np.ceil(0.99 * len(per_list))) - 1]
        assert lists.steps == [int(step) for run in runs for step in run[f"{stage}/spikes"].sum(axis=(1, 2))]
    for (stage, register), width in report.widths.items():
        quantities = {"membrane": ("h", "v"), "sum": ("sum",), "stream": ("u",), "input": ("pixel",)}[register]
        values = np.concatenate([run[f"{stage}/{q}"].ravel() for run in runs for q in quantities])
        assert width.least <= values.min()
        assert width.greatest >= values.max()
        if register != "membrane":
            assert (width.least, width.greatest) == (values.min(), values.max())
        low, high = -(1 << (width.seen - 1)), (1 << (width.seen - 1)) - 1
        assert low <= width.least <= width.greatest <= high
        assert width.seen == 1 or not (low // 2 <= width.least and width.greatest <= high // 2)
        if width.proven is not None:
            assert width.proven >= width.seen
        if register == "membrane" and width.did_not_fit:
            assert width.seen > width.bits
    for stage, margin in report.margins.items():
        h = np.concatenate([run[f"{stage}/h"].ravel() for run in runs])
        assert margin.above == min((h - margin.threshold)[h >= margin.threshold], default=None)
        assert margin.below == min((margin.threshold - h)[h < margin.threshold], default=None)


def test_overflows_are_counted_with_their_first_step(tmp_path: Path) -> None:
    report, _ = measured(tmp_path, PLAIN, NARROW, 1)
    model = model_of(PLAIN, "fixed", formats=NARROW)
    overflows = model(input_of(PLAIN)).overflows
    beyond = {key: width for key, width in report.widths.items() if width.did_not_fit}
    assert len(beyond) > 3
    for (stage, register), width in beyond.items():
        name = "input" if register == "input" else f"{stage}.{register}"
        if register == "sum":
            layer = "proj_conv1" if stage.endswith("lif1") else stage.rpartition(".")[2].replace("_lif", "_conv")
            name = f"{stage.rpartition('.')[0]}.{layer}.accumulator"
        if name in overflows:
            assert width.did_not_fit == overflows[name].sum()
            assert width.first_step == np.flatnonzero(overflows[name])[0]
    assert any(register == "membrane" for _, register in beyond)


def test_weight_rows_are_fetched_once_for_each_spike_and_output_position(tmp_path: Path) -> None:
    report, runs = measured(tmp_path, PLAIN, None, 1)
    spikes = runs[0]["block.0.attn.shortcut_lif/spikes"]
    assert report.rows["block.0.attn.q_conv"] == spikes.sum(axis=(1, 2)).tolist()
    s = runs[0]["patch_embed.proj_lif3/spikes"]  # [T, 1 * 2 tokens, C]: a 3x3 kernel reaches both positions
    assert report.rows["patch_embed.rpe_conv"] == (2 * s.sum(axis=(1, 2))).tolist()


def test_traces_of_different_machines_are_not_mixed(tmp_path: Path) -> None:
    paths = traced(tmp_path, PLAIN, None, "a.h5"), traced(tmp_path, PLAIN, NARROW, "b.h5")
    with open_trace(paths[0]) as a, open_trace(paths[1]) as b, pytest.raises(sdt_ref.TraceError, match="different"):
        sizing([a, b], model_of(PLAIN, "fixed").read_back())


@pytest.mark.parametrize(
    ("change", "stages", "message"),
    [
        ({"height": 8}, ("*", "*"), "pictures of different sizes: 'input/pixel' has 4x8 tokens of 10 bits, and 8x8 of 10"),
        ({"height": 8, "width": 4}, ("*", "*"), "pictures of different sizes: 'input/pixel' has 4x8"),
        ({"height": 8}, ("input", "head"), "pictures of different sizes; measure each by itself"),
        ({"pooling_stat": "0110"}, ("*", "*"), "different machines: their config differ"),
        ({"time_steps": 2}, ("*", "*"), "different machines: their config differ"),
    ],
)  # fmt: skip
def test_traces_of_other_sizes_and_settings_are_not_mixed(tmp_path: Path, change: dict[str, Any],
                                                          stages: tuple[str, str], message: str) -> None:  # fmt: skip
    """The parameters are the same in all of them."""
    for name, n, stage in (("a", PLAIN, stages[0]), ("b", Network(**{**vars(PLAIN), **change}), stages[1])):
        write_trace(tmp_path / f"{name}.h5", model_of(n, "fixed"), input_of(n), [stage])
    with (
        open_trace(tmp_path / "a.h5") as a,
        open_trace(tmp_path / "b.h5") as b,
        pytest.raises(sdt_ref.TraceError, match=re.escape(message)),
    ):
        sizing([a, b], model_of(PLAIN, "fixed").read_back())


def test_traces_of_other_time_steps_are_not_mixed(tmp_path: Path) -> None:
    """With frames their number is the data's, not the settings'."""
    model, frames = model_of(PLAIN, "fixed"), np.repeat(input_of(PLAIN)[:, None], 4, axis=1)
    for name, x in (("a", frames), ("b", frames[:, :2])):
        write_trace(tmp_path / f"{name}.h5", model, x)
    with (
        open_trace(tmp_path / "a.h5") as a,
        open_trace(tmp_path / "b.h5") as b,
        pytest.raises(sdt_ref.TraceError, match="different machines: their time_steps differ"),
    ):
        sizing([a, b], model.read_back())


def test_the_sizing_command(files: tuple[str, str], capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    run, weights = files
    monkeypatch.setenv("COLUMNS", "80")
    assert sizing_command.main([run, run, "--weights", weights]) == 0
    screen = capsys.readouterr().out
    assert "Registers, 2 runs" in screen
    assert "did not fit the membrane of" in screen
    assert "…" not in screen
    assert max(map(len, screen.splitlines())) <= 100
    assert sizing_command.main([run, "--weights", weights, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["runs"] == 1
    assert sizing_command.main(["nowhere.h5"]) == 2
    assert capsys.readouterr().err == "error: trace 'nowhere.h5' does not exist\n"
