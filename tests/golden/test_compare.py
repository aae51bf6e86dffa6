"""Comparing dumps: every kind of recorded value that is wrong is found and named; malformed dumps are refused."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import compare as command
from sdt_ref.golden.differences import cause, compare
from sdt_ref.golden.dumps import Dump, canonical, read_dump
from sdt_ref.golden.packing import packed
from sdt_ref.golden.replay import isolated
from sdt_ref.golden.trace_file import Trace, open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights.file import Weights, save
from sdt_ref.weights.wiring import NEURON, STREAM
from tests.golden.test_trace import NARROW, NETWORKS, PLAIN, content, traced
from tests.networks import Network, input_of, model_of, weights_of

pytestmark = pytest.mark.slow

Capture = pytest.CaptureFixture[str]


def flipped(trace: Trace, name: str, seed: int = 0) -> tuple[np.ndarray, tuple[int, ...]]:
    """The values of a record with the lowest bit of one of them flipped, and where."""
    values = trace.values(name)
    place = tuple(int(k) for k in np.unravel_index(np.random.default_rng(seed).integers(values.size), values.shape))
    values[place] ^= 1
    return values, place


# --- every kind of value, in every form of dump -----------------------------------------------------------------------


@pytest.mark.campaign
@pytest.mark.parametrize("case", NETWORKS)
def test_one_flipped_bit_of_any_record_is_found_and_named(tmp_path: Path, case: str) -> None:
    n, formats = NETWORKS[case]
    model = model_of(n, "fixed", formats=formats)
    with open_trace(traced(tmp_path, n, formats)) as trace:
        for k, name in enumerate(trace.records):
            values, (step, token, channel) = flipped(trace, name, k)
            dump = Dump(trace.header.steps, {**content(trace), name: values})
            found = compare(trace, dump).first
            assert found is not None, name
            assert (found.record.name, found.step, found.token, found.channel) == (name, step, token, channel)
            assert (found.expected, found.found) == (
                trace.values(name)[step, token, channel],
                values[step, token, channel],
            )
            if k % 5 == 0:  # the oracle takes a while
                alone = isolated(trace, model.read_back(), dump)
                if name != "input/pixel":  # that is where the network begins
                    assert name.rpartition("/")[2] in alone.stages[found.record.stage].quantities
                assert sum(summary.different for summary in alone.stages.values()) > 0


def written(trace: Trace, path: Path, values: dict[str, np.ndarray]) -> Path:
    """Write a dump in the form that the path ends in."""
    if path.suffix == ".npz":
        np.savez(path, **values)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, array in values.items():
                file[f"records/{name}"] = array
    elif path.suffix == ".mem":
        ((name, array),) = values.items()
        words = packed(array.reshape(-1, array.shape[2]), trace.records[name].bits)
        path.write_text(f"// record: {name}\n" + "\n".join(words) + "\n")
    else:
        lines = []
        for name, array in values.items():
            if name.endswith("spikes"):
                lines += [f"{name},{t},{n},{c}\n" for t, n, c in canonical(array, trace.header.steps)]
            else:
                lines += [f"{name},{t},{n},{c},{v}\n" for (t, n, c), v in np.ndenumerate(array)]
        spikes = next(iter(values)).endswith("spikes")
        path.write_text(f"record,step,token,channel{'' if spikes else ',value'}\n" + "".join(lines))
    return path


@pytest.mark.parametrize("form", [".npz", ".h5", ".mem", ".csv"])
def test_every_form_reads_as_it_was_written(golden: Path, tmp_path: Path, form: str) -> None:
    with open_trace(golden) as trace:
        for name in trace.records:
            values = {name: trace.values(name)}
            if form == ".csv" and name.endswith("spikes") and not values[name].any():
                continue  # no line to write
            path = written(trace, tmp_path / f"dump{form}", values)
            dump = read_dump(str(path), trace)
            assert list(dump.values) == [name]
            assert np.array_equal(dump.values[name], values[name])
            assert compare(trace, dump).first is None
            wrong, place = flipped(trace, name)
            found = compare(trace, read_dump(str(written(trace, path, {name: wrong})), trace)).first
            assert found is not None
            assert (found.step, found.token, found.channel) == place


def test_words_may_have_addresses_comments_and_underscores(golden: Path, tmp_path: Path) -> None:
    name = "block.0.attn.q_lif/v"
    with open_trace(golden) as trace:
        values = trace.values(name)
        words = list(packed(values.reshape(-1, values.shape[2]), 5))
        half = len(words) // 2
        lines = [f"@{half:x}", *(word.upper() for word in words[half:]), "/* two", "lines */ @0 // from the start"]
        lines += [" ".join(f"{word[:2]}_{word[2:]}" for word in words[:half])]
        (tmp_path / "dut.mem").write_text("\n".join(lines) + "\n")
        dump = read_dump(str(tmp_path / "dut.mem"), trace, name)
        assert np.array_equal(dump.values[name], values)


# --- the first difference ---------------------------------------------------------------------------------------------


def test_the_first_difference_is_the_first_in_time_then_in_data_flow(golden: Path) -> None:
    with open_trace(golden) as trace:
        values = content(trace)
        for name, place in (("patch_embed.proj_lif/sum", (2, 0, 0)), ("block.0.mlp.fc1_lif/h", (1, 1, 5)),
                            ("block.0.mlp.fc1_lif/x", (1, 1, 9)), ("head/sum", (1, 0, 0))):  # fmt: skip
            values[name][place] ^= 1
        comparison = compare(trace, Dump(trace.header.steps, values))
        found = comparison.first
        assert found is not None
        assert (found.step, found.record.name, found.token, found.channel) == (1, "block.0.mlp.fc1_lif/x", 1, 9)
        summary = comparison.stages["block.0.mlp.fc1_lif"]
        assert (summary.different, summary.quantities) == (2, ["x", "h"])
        assert comparison.stages["block.0.attn.q_lif"].different == 0


@pytest.mark.parametrize("case", ["plain", "a shortcut of its own", "two blocks, pooled stream"])
def test_the_events_that_contributed_add_up_to_the_sum(tmp_path: Path, case: str) -> None:
    n, _ = NETWORKS[case]
    layers = model_of(n, "fixed").read_back().layers
    rng = np.random.default_rng(0)
    n_checked = 0
    with open_trace(traced(tmp_path, n)) as trace:
        for name, stage in trace.stages.items():
            if stage.kind not in (NEURON, STREAM) or stage.layer is None:
                continue
            layer, record = layers[stage.layer], trace.records[f"{name}/sum"]
            source = trace.records["input/pixel" if stage.reads == ("input",) else f"{stage.reads[0]}/spikes"]
            width = -(-source.width // 2) if stage.pooled else source.width
            for _ in range(3):
                values = trace.values(record.name)
                step, token, channel = (int(rng.integers(length)) for length in values.shape)
                values[step, token, channel] ^= 1
                found = compare(trace, Dump(trace.header.steps, {record.name: values})).first
                assert found is not None
                why = cause(trace, found)
                assert (why.source, why.not_shown) == (source.name, ())
                total, reach = int(layer.bias[channel]), stage.window // 2
                for place, c, *plane in why.events:
                    dy, dx = place // width - token // width, place % width - token % width
                    row = sum(plane) * source.channels + c
                    total += int(layer.weight[channel, row, dy + reach, dx + reach])
                assert total == found.expected
                n_checked += len(why.events)
    assert n_checked > 100


def test_the_registers_that_a_number_was_computed_from(golden: Path) -> None:
    with open_trace(golden) as trace:
        for name, inputs in (
            ("block.0.attn.q_lif/x", ["block.0.attn.q_lif/sum"]),
            ("block.0.attn.q_lif/h", ["block.0.attn.q_lif/x", "block.0.attn.q_lif/v of the step before"]),
            ("block.0.attn.q_lif/spikes", ["block.0.attn.q_lif/h", "threshold"]),
            ("block.0.attn.kv/spikes", ["block.0.attn.k_lif/spikes", "block.0.attn.v_lif/spikes"]),
            ("block.0.attn.masked/spikes", ["block.0.attn.q_lif/spikes", "block.0.attn.talking_heads_lif/spikes"]),
            ("block.0.attn.proj_conv/u", ["block.0.attn.proj_conv/sum", "patch_embed.rpe_conv/u"]),
            ("block.0.attn.shortcut_lif/sum", ["patch_embed.rpe_conv/u"]),
        ):
            values = trace.values(name)
            values[1, -1, 3] ^= 1
            found = compare(trace, Dump(trace.header.steps, {name: values})).first
            assert found is not None
            registers = cause(trace, found).registers
            assert list(registers) == inputs
            for label, value in registers.items():
                record, _, before = label.partition(" of the")
                if record in trace.records:
                    token = 0 if "talking" in record else -1
                    assert value == trace.values(record)[0 if before else 1, token, 3]


def test_counts_come_from_the_spikes_of_one_channel(tmp_path: Path) -> None:
    with open_trace(traced(tmp_path, Network(batch=1, drive=1.5))) as trace:
        name = "block.0.attn.talking_heads_lif/sum"
        values = trace.values(name)
        step, _, channel = (int(k) for k in np.unravel_index(values.argmax(), values.shape))
        values[step, 0, channel] ^= 1
        found = compare(trace, Dump(trace.header.steps, {name: values})).first
        assert found is not None
        why = cause(trace, found)
        assert why.source == "block.0.attn.kv/spikes"
        assert len(why.events) == found.expected > 0
        assert {c for _, c in why.events} == {channel}


def test_what_passes_the_mask_into_a_pool_is_what_led_to_a_spike(tmp_path: Path) -> None:
    n, formats = NETWORKS["dvs, plif, frames"]
    stage, seen = "block.0.attn.masked/spikes", set()
    with open_trace(traced(tmp_path, n, formats)) as trace:
        values = trace.values(stage)
        for place in [*np.argwhere(values == 0)[::7], *np.argwhere(values)]:
            wrong = values.copy()
            wrong[tuple(place)] ^= 1
            found = compare(trace, Dump(trace.header.steps, {stage: wrong})).first
            assert found is not None
            why = cause(trace, found)
            assert (why.registers, why.source, why.not_shown) == ({}, "block.0.attn.q_lif/spikes", ())
            assert bool(why.events) == bool(found.expected)
            assert {c // 8 for _, c in why.events} <= {found.channel // 8}
            seen.add(found.expected)
    assert seen == {0, 1}


@pytest.mark.parametrize(
    ("case", "name", "registers", "not_shown"),
    [
        ("dvs, plif, frames", "block.0.attn.k_lif/spikes", ["block.0.attn.k_lif/h", "threshold"], "k_lif/h of the neighbours: its spikes are recorded behind a pool"),
        ("dvs, plif, frames", "block.0.attn.k_lif/v", ["block.0.attn.k_lif/h", "threshold"], ""),
        ("dvs, plif, frames", "block.0.attn.talking_heads_lif/sum", [], "events of block.0.attn.kv: they are pooled over 3x3 of (token, channel)"),
        ("narrow", "head_lif/sum", [], "block.0.mlp.fc2_conv/u: this is the sum over its tokens"),
        ("narrow", "patch_embed.proj_lif3/sum", [], "patch_embed.proj_conv3/u: this is the greatest of 3x3"),
        ("narrow", "patch_embed.rpe_conv/u", ["patch_embed.rpe_conv/sum"], "patch_embed.proj_conv3/u, the residual: the greatest of 3x3"),
    ],
)  # fmt: skip
def test_what_is_not_shown_is_said(tmp_path: Path, case: str, name: str, registers: list[str], not_shown: str,
                                   capsys: Capture) -> None:  # fmt: skip
    n, formats = NETWORKS[case]
    path = traced(tmp_path, n, formats)
    with open_trace(path) as trace:
        values = trace.values(name)
        values[0, 0, 0] ^= 1
        dump = written(trace, tmp_path / "dut.npz", {name: values})
    assert command.main([str(path), str(dump)]) == 1
    shown = capsys.readouterr().out
    assert [line.split()[2] for line in shown.splitlines() if "computed from" in line] == registers
    assert shown.count("not shown") == bool(not_shown)
    assert not_shown in shown


def test_what_was_not_recorded_is_said(tmp_path: Path) -> None:
    """And a step that was left out is not taken for the step before."""
    stage = "block.0.attn.q_lif"
    write_trace(tmp_path / "run.h5", model_of(PLAIN, "fixed"), input_of(PLAIN), [stage], [0, 2])
    with open_trace(tmp_path / "run.h5") as trace:
        for step, index, absent in ((0, 0, []), (2, 1, [f"{stage}/v of the step before: not recorded"])):
            values = trace.values(f"{stage}/h")
            values[index, 0, 0] ^= 1
            found = compare(trace, Dump(trace.header.steps, {f"{stage}/h": values})).first
            assert found is not None
            assert found.step == step
            why = cause(trace, found)
            assert list(why.registers) == [f"{stage}/x"]
            assert list(why.not_shown) == [*absent, "block.0.attn.shortcut_lif/spikes: not recorded"]


def test_tolerance_is_for_numbers_not_for_spikes(golden: Path) -> None:
    with open_trace(golden) as trace:
        values = content(trace)
        values["block.0.attn.q_lif/h"][0, 0, 0] += 2 if values["block.0.attn.q_lif/h"][0, 0, 0] < 0 else -2
        dump = Dump(trace.header.steps, values)
        assert compare(trace, dump, tolerance=1).first is not None
        assert compare(trace, dump, tolerance=2).first is None
        values["block.0.attn.q_lif/spikes"][0, 0, 0] ^= 1
        assert compare(trace, dump, tolerance=2).first is not None


def test_the_order_of_events_counts_only_when_asked(golden: Path, tmp_path: Path) -> None:
    name = "block.0.attn.shortcut_lif/spikes"
    with open_trace(golden) as trace:
        path = written(trace, tmp_path / "dut.csv", {name: trace.values(name)})
        header, *lines = path.read_text().splitlines()
        lines[3], lines[4] = lines[4], lines[3]
        path.write_text("\n".join([header, *lines]) + "\n")
        dump = read_dump(str(path), trace)
        assert compare(trace, dump).first is None
        found = compare(trace, dump, events="order").first
        assert found is not None
        first = lines[4].split(",")[1:]
        assert [found.step, found.token, found.channel] == [int(part) for part in first]
        sent = lines[3].split(",")[1:]
        assert found.note.endswith(f"the device sent step {sent[0]}, token {sent[1]}, channel {sent[2]} here")
        with pytest.raises(sdt_ref.TraceError, match="expected a dump with lists of events"):
            compare(trace, Dump(trace.header.steps, content(trace)), events="order")
        dump.values["head_lif/spikes"] = trace.values("head_lif/spikes")
        with pytest.raises(sdt_ref.TraceError, match="found 'head_lif/spikes' without an order"):
            compare(trace, dump, events="order")


# --- isolated ---------------------------------------------------------------------------------------------------------


def test_an_early_error_hides_no_later_one_when_registers_are_isolated(tmp_path: Path) -> None:
    """A device with wrong weights in two layers: its trace differs almost everywhere, but only two layers are at fault."""
    n = Network(batch=1)
    weights = weights_of(n)
    tensors = {name: array.copy() for name, array in weights.tensors.items()}
    for module in ("patch_embed.proj_conv1", "block.0.mlp.fc2_conv"):
        tensors[f"{module}.weight"][:4] *= -1
    wrong = Weights(tensors, weights.config, weights.preprocessing, weights.classes, weights.provenance)
    write_trace(tmp_path / "device.h5", sdt_ref.SpikeDrivenTransformer(wrong, "fixed", 1), input_of(n))
    with open_trace(traced(tmp_path, n)) as trace, open_trace(tmp_path / "device.h5") as held:
        dump = Dump(trace.header.steps, content(held))
        differing = [name for name, summary in compare(trace, dump).stages.items() if summary.different]
        alone = isolated(trace, model_of(n, "fixed").read_back(), dump)
        at_fault = {name: summary.quantities for name, summary in alone.stages.items() if summary.different}
    assert len(differing) > 8
    assert at_fault == {"patch_embed.proj_lif1": ["sum"], "block.0.mlp.fc2_conv": ["sum"]}


def test_a_wrong_spike_is_charged_once(golden: Path) -> None:
    """A device that misses a spike and so keeps its membrane: of its own inputs only the spike is wrong."""
    stage = "block.0.attn.q_lif"
    with open_trace(golden) as trace:
        held = {name: values for name, values in content(trace).items() if name.startswith(stage)}
        place = tuple(np.argwhere(held[f"{stage}/spikes"])[-1])
        assert place[0] == 2  # the last step, so that nothing follows from it
        held[f"{stage}/spikes"][place] = 0
        held[f"{stage}/v"][place] = held[f"{stage}/h"][place]
        dump = Dump(trace.header.steps, held)
        summary = isolated(trace, model_of(PLAIN, "fixed", formats=NARROW).read_back(), dump).stages[stage]
        assert (summary.different, summary.quantities) == (1, ["spikes"])
        held[f"{stage}/v"][place] = 0  # a membrane that another spike reset is wrong as well
        assert isolated(trace, model_of(PLAIN, "fixed", formats=NARROW).read_back(), dump).stages[stage].quantities == [
            "v",
            "spikes",
        ]


@pytest.mark.parametrize("setting", ["pooling_stat", "dvs_mode", "num_heads"])
def test_weights_with_other_settings_are_not_those_of_the_trace(tmp_path: Path, setting: str, capsys: Capture) -> None:
    """The same numbers, and so the same hash, but another network."""
    n = Network(batch=1)
    other = {"pooling_stat": "0101", "dvs_mode": True, "num_heads": 2}[setting]
    save(tmp_path / "w.h5", weights_of(Network(**{**vars(n), setting: other})))
    run = str(traced(tmp_path, n))
    assert command.main([run, run, "--isolated", "--weights", str(tmp_path / "w.h5")]) == 2
    error = capsys.readouterr().err
    assert f"trace of other settings: expected {setting} {getattr(n, setting)}, found {other} in" in error
    assert error.count("\n") == 1


def test_weights_with_another_t_are_those_of_the_trace(tmp_path: Path, capsys: Capture) -> None:
    """A run may take more or fewer steps than its weights say; the trace has its own."""
    n = Network(batch=1, time_steps=5)
    save(tmp_path / "w.h5", weights_of(Network(batch=1, time_steps=2)))
    run = str(traced(tmp_path, n))
    assert command.main([run, run, "--isolated", "--weights", str(tmp_path / "w.h5")]) == 0
    assert "time steps 0, 1, 2, 3, 4: all equal" in capsys.readouterr().out


def test_what_the_dump_lacks_is_computed(golden: Path) -> None:
    model = model_of(PLAIN, "fixed", formats=NARROW)
    with open_trace(golden) as trace:
        spikes = {name: values for name, values in content(trace).items() if name.endswith("spikes")}
        assert isolated(trace, model.read_back(), Dump(trace.header.steps, spikes)).first is None
        spikes["block.0.attn.q_lif/spikes"][0, 0, 0] ^= 1
        found = isolated(trace, model.read_back(), Dump(trace.header.steps, spikes)).first
        assert found is not None
        assert found.record.name == "block.0.attn.q_lif/spikes"


def test_isolation_needs_the_input_and_all_steps(tmp_path: Path) -> None:
    model = model_of(PLAIN, "fixed")
    for stages, steps, message in ((["*"], [1, 2], "expected all 3 time steps"), (["block*"], None, "'input/pixel'")):
        write_trace(tmp_path / "run.h5", model, input_of(PLAIN), stages, steps)
        with open_trace(tmp_path / "run.h5") as trace, pytest.raises(sdt_ref.TraceError, match=message):
            isolated(trace, model.read_back(), Dump(trace.header.steps, content(trace)))


# --- the command ------------------------------------------------------------------------------------------------------


def test_exit_codes_and_what_is_said(golden: Path, tmp_path: Path, capsys: Capture) -> None:
    assert command.main([str(golden), str(golden)]) == 0
    assert "all equal" in capsys.readouterr().out
    with open_trace(golden) as trace:
        name = "block.0.attn.q_lif/sum"
        values, (step, token, channel) = flipped(trace, name, 4)
        path = str(written(trace, tmp_path / "dut.npz", {**content(trace), name: values}))
        expected = trace.values(name)[step, token, channel]
    assert command.main([str(golden), path]) == 1
    screen = capsys.readouterr()
    assert screen.err == ""
    assert f"first difference: step {step}, block.0.attn.q_lif, sum, token {token} (row" in screen.out
    assert f"0x{expected & 511:03x}" in screen.out
    assert "of block.0.attn.shortcut_lif/spikes contributed" in screen.out
    assert command.main([str(golden), path, "--isolated", "--weights", str(tmp_path / "w.h5"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["first"]["stage"], report["first"]["quantity"]) == ("block.0.attn.q_lif", "sum")
    assert report["first"]["expected"] == expected
    assert command.main([str(golden), path, "--isolated"]) == 2
    assert "trace of other weights" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX shells")
@pytest.mark.parametrize("more", ["", "--json"])
def test_a_reader_that_leaves_does_not_turn_a_difference_into_success(golden: Path, tmp_path: Path, more: str) -> None:
    with open_trace(golden) as trace:
        path = written(trace, tmp_path / "dut.npz", {NAME: flipped(trace, NAME)[0]})
    line = f"set -o pipefail; {sys.executable} -m sdt_ref.compare {golden} {path} {more} | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (1, "")


NAME = "block.0.attn.q_lif/v"
WORD = "0" * 20  # 16 numbers of 5 bits
CSV = "record,step,token,channel,value\n"
SPIKES = "record,step,token,channel\nblock.0.attn.q_lif/spikes,"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("dut.txt", "", "expected a file that ends in .h5, .npz, .csv, .mem"),
        ("dut.csv", "", "is empty"),
        ("dut.csv", "a,b\n", "line 1: expected 'record,step,token,channel,value', or for spikes"),
        ("dut.csv", CSV, "has a header and no lines; write records without any spike"),
        ("dut.csv", f"{CSV}{NAME},0,0,0", "ends in the middle of a line"),
        ("dut.csv", f"{CSV}{NAME},0,0,0\n", "line 2: expected 5 columns, found 4"),
        ("dut.csv", f"{CSV}{'a' * 200000},0,0,0,1\n", "line 2: field larger than field limit"),
        ("dut.csv", f"{CSV}{NAME},0,0_0,0,1\n", "line 2: expected a whole number, found '0,0_0,0,1'"),
        ("dut.csv", f"{CSV}{NAME},0,0,0,\u0663\n", "line 2: expected a whole number, found '0,0,0,\u0663'"),
        ("dut.csv", f"{CSV}{NAME},0,0,0,x\n", "line 2: found '0,0,0,x', which holds an unknown value (x)"),
        ("dut.csv", f"{CSV}{NAME},0,0,0,1.5\n", "line 2: expected a whole number, found '0,0,0,1.5'"),
        ("dut.csv", f"{CSV}{NAME},0,0,0,{10**30}\n", "line 2: a number does not fit its register"),
        ("dut.csv", f"{CSV}{NAME},9,0,0,1\n", "line 2: time step 9 is not in the golden trace"),
        ("dut.csv", f"{CSV}{NAME},0,99,0,1\n", f"record '{NAME}': token: expected 0 to 1, found 99"),
        ("dut.csv", f"{CSV}nothing,0,0,0,1\n", "unknown record 'nothing'; records are STAGE/QUANTITY, such as 'input/pixel'"),
        ("dut.csv", f"{CSV}{NAME},0,0,0,1\n", f"record '{NAME}': expected every number once (96), found step 0, token 0, channel 1 0 times"),
        ("dut.csv", f"{CSV}{NAME},0,0,0,1\n{NAME},0,0,0,1\n", f"record '{NAME}': expected every number once (96), found step 0, token 0, channel 0 2 times"),
        ("dut.csv", f"{SPIKES}0,0,16\n", "channel: expected 0 to 15, found 16"),
        ("dut.csv", f"{SPIKES}0,0,1\nblock.0.attn.q_lif/spikes,0,0,1\n", "the spike of step 0, token 0, channel 1 is listed 2 times"),
        ("dut.mem", "00\n", "does not say which record it holds; name it with --record STAGE/QUANTITY"),
        ("dut.mem", f"// record: {NAME}\n00xx\n", "line 2: found '00xx', which holds an unknown value (x)"),
        ("dut.mem", f"// record: {NAME}\n{WORD}\nzz\n", "line 3: found 'zz', which holds an unknown value (z)"),
        ("dut.mem", f"// record: {NAME}\n{WORD} g\n", "line 2: expected hexadecimal digits, found 'g'; a word of"),
        ("dut.mem", f"// record: {NAME}\n{WORD}\n__\n", "line 3: expected hexadecimal digits, found '__'"),
        ("dut.mem", f"// record: {NAME}\n{WORD[:-1]}\n", "line 2: expected all digits of the word, found 19: is it cut off?"),
        ("dut.mem", f"// record: {NAME}\n0x{WORD}\n", "line 2: expected hexadecimal digits alone, without a sign or '0x', found '0x0000"),
        ("dut.mem", f"// record: {NAME}\n-{WORD[1:]}\n", "line 2: expected hexadecimal digits alone, without a sign"),
        ("dut.mem", f"// record: {NAME}\n+{WORD[1:]}\n", "line 2: expected hexadecimal digits alone, without a sign"),
        ("dut.mem", f"// record: {NAME}\n0x{WORD[2:]}\n", f"line 2: found '0x{WORD[2:]}', which holds an unknown value (x)"),
        ("dut.mem", f"// record: {NAME}\n@-1 {WORD}\n", "line 2: expected an address, '@' and up to 18 hexadecimal digits, found '@-1'"),
        ("dut.mem", f"// record: {NAME}\n@{'f' * 5000} {WORD}\n", "line 2: expected an address, '@' and up to 18"),
        ("dut.mem", f"// record: {NAME}\n// record: {NAME}\n{WORD}\n", "expected one line '// record: ...', found 2"),
        ("dut.mem", f"// record: {NAME}\n{'f' * 21}\n", "line 2: the word is too wide; a word of"),
        ("dut.mem", f"// record: {NAME}\n{WORD}\n{WORD}\n{WORD}\n", f"record '{NAME}': expected 6 words (3 time steps of 2 tokens), found 3; the first that is missing is 3"),
        ("dut.mem", f"// record: {NAME}\n@9 {WORD}\n", "line 2: expected each address from 0 to 5 once, found 9"),
        ("dut.mem", f"// record: {NAME}\n{WORD} @0 {WORD}\n", "line 2: expected each address from 0 to 5 once, found 0 again"),
        ("dut.npz", "PK", "expected arrays of numbers that numpy.savez wrote"),
        ("dut.h5", "no", "expected HDF5 of records, found a damaged one ("),
    ],
)  # fmt: skip
def test_a_malformed_dump_is_refused(golden: Path, tmp_path: Path, file: str, text: str, message: str,
                                     capsys: Capture) -> None:  # fmt: skip
    (tmp_path / file).write_text(text)
    assert command.main([str(golden), str(tmp_path / file)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: dump '{tmp_path / file}': ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds no record, so that there is nothing to compare"),
        ({NAME: np.zeros((3, 2, 16))}, "expected whole numbers, found float64"),
        ({NAME: np.zeros((3, 2, 15), int)}, "expected [steps, tokens, channels] = (3, 2, 16), found (3, 2, 15)"),
        ({NAME: np.full((3, 2, 16), 31, np.uint8)}, "expected -16 to 15, found 31 at step 0, token 0, channel 0; numbers are signed"),
        ({"block.0.attn.q_lif/spikes": np.full((3, 2, 16), 2)}, "expected 0 to 1, found 2"),
        ({"block.0.attn.q_lif/y": np.zeros(1, int)}, "unknown record 'block.0.attn.q_lif/y'"),
        ({NAME: np.array(["x"])}, "expected whole numbers, found <U1"),
        ({NAME: np.array([None])}, "expected whole numbers, found object"),
    ],
)  # fmt: skip
def test_malformed_arrays_are_refused(golden: Path, tmp_path: Path, arrays: dict[str, np.ndarray], message: str,
                                      capsys: Capture) -> None:  # fmt: skip
    np.savez(tmp_path / "dut.npz", **arrays)
    assert command.main([str(golden), str(tmp_path / "dut.npz")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def h5_dump(path: Path, content: dict[str, Any]) -> str:
    """An HDF5 dump; None stands for an empty group."""
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if value is None:
                file.create_group(f"records/{name}")
            else:
                file[f"records/{name}"] = value
    return str(path)


LISTED = "block.0.attn.q_lif/spikes"
OFFSETS = np.zeros(3 * 2 + 1, int)  # no spikes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected groups records/STAGE, found none"),
        ({"block.0.attn.q_lif": None}, "expected a group 'records/block.0.attn.q_lif' that holds records, found one"),
        ({NAME: np.zeros((3, 2, 16), int), "nothing": None}, "expected a group 'records/nothing' that holds records"),
        ({"block.0.attn.q_lif": np.zeros(3, int)}, "expected a group 'records/block.0.attn.q_lif'"),
        ({NAME: np.zeros((3, 2, 16))}, "expected whole numbers, found float64"),
        ({NAME: h5py.Empty("i4")}, "expected numbers, found none"),
        ({f"{LISTED}/offsets": OFFSETS}, "channels: expected whole numbers along one axis, found no such dataset"),
        ({f"{LISTED}/offsets": OFFSETS + 0.5, f"{LISTED}/channels": OFFSETS[:0]}, "offsets: expected whole numbers along one axis, found float64 of shape (7,)"),
        ({f"{LISTED}/offsets": OFFSETS, f"{LISTED}/channels": np.full(2, np.nan)}, "channels: expected whole numbers along one axis, found float64"),
        ({f"{LISTED}/offsets": OFFSETS, f"{LISTED}/channels": np.array([b"1"])}, "channels: expected whole numbers along one axis, found |S1"),
        ({f"{LISTED}/offsets": OFFSETS[None], f"{LISTED}/channels": OFFSETS[:0]}, "found int64 of shape (1, 7)"),
        ({f"{LISTED}/offsets": OFFSETS, f"{LISTED}/channels": np.zeros(97, int)}, "channels: expected 96 numbers at most, found 97"),
        ({f"{LISTED}/offsets": 5, f"{LISTED}/channels": OFFSETS[:0]}, "found int64 of shape ()"),
        ({f"{NAME}/offsets": OFFSETS, f"{NAME}/channels": OFFSETS[:0]}, "expected a dataset, found a group; lists of events are of spikes"),
    ],
)  # fmt: skip
def test_a_malformed_hdf5_dump_is_refused(golden: Path, tmp_path: Path, content: dict[str, Any], message: str,
                                          capsys: Capture) -> None:  # fmt: skip
    assert command.main([str(golden), h5_dump(tmp_path / "dut.h5", content)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([(f"{NAME}.npy", npy(np.zeros((3, 2, 16), int))), (f"{NAME}.npy", npy(np.ones((3, 2, 16), int)))], "is in the file twice"),
        ([(f"{NAME}.npy", npy(np.zeros((3, 2, 16), int))), (NAME, npy(np.ones((3, 2, 16), int)))], "is in the file twice"),
        ([(f"{NAME}.npy", b"garbage")], "that numpy.savez wrote"),
        ([(f"{NAME}.npy", npy(np.zeros((3, 2, 16), int)) + b"more")], "expected 96 numbers, found more"),
        ([(f"{NAME}.npy", npy(np.zeros((3, 2, 16), int))[:-8])], "that numpy.savez wrote"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_malformed_archive_is_refused(golden: Path, tmp_path: Path, members: list[tuple[str, bytes]], message: str,
                                        capsys: Capture) -> None:  # fmt: skip
    with zipfile.ZipFile(tmp_path / "dut.npz", "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    assert command.main([str(golden), str(tmp_path / "dut.npz")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_shape_that_is_claimed_costs_no_memory(golden: Path, tmp_path: Path, capsys: Capture) -> None:
    """Two TB by its header, in all forms that have one."""
    shape = (3, 2, 1 << 38)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "dut.npz", "w") as archive:
        archive.writestr(f"{NAME}.npy", header.getvalue())
    with h5py.File(tmp_path / "dut.h5", "w") as file:
        file.create_dataset(f"records/{NAME}", shape, "i8", chunks=(1, 1, 1024))
    for name, message in (
        ("dut.npz", f"expected [steps, tokens, channels] = (3, 2, 16), found {shape}"),
        ("dut.h5", "0 bytes are stored, which cannot hold the 13194139533312 that it claims"),
    ):
        assert command.main([str(golden), str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err


def test_a_record_that_is_named_twice_must_be_the_same(golden: Path, tmp_path: Path, capsys: Capture) -> None:
    with open_trace(golden) as trace:
        path = written(trace, tmp_path / "dut.mem", {NAME: trace.values(NAME)})
    assert command.main([str(golden), str(path), "--record", NAME]) == 0
    assert command.main([str(golden), str(path), "--record", "block.0.attn.q_lif/h"]) == 2
    assert (
        f"expected the record of --record, 'block.0.attn.q_lif/h', found the line '// record: {NAME}'"
        in capsys.readouterr().err
    )


def test_a_dump_that_is_cut_off_is_refused_wherever_it_is_cut(golden: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with open_trace(golden) as trace:
        for form in (".npz", ".h5", ".mem", ".csv"):
            whole = written(trace, tmp_path / f"dut{form}", {NAME: trace.values(NAME)}).read_bytes()
            for cut in [len(whole) - 1, *rng.integers(0, len(whole), 10).tolist()]:
                (tmp_path / f"dut{form}").write_bytes(whole[:cut])
                with pytest.raises(sdt_ref.TraceError, match=rf"^dump '.*dut{form}'"):
                    read_dump(str(tmp_path / f"dut{form}"), trace)


def test_a_trace_of_another_run_is_refused(golden: Path, tmp_path: Path, capsys: Capture) -> None:
    for name, n, formats, what in (
        ("formats.h5", PLAIN, None, "its formats differ"),
        ("weights.h5", Network(**{**vars(PLAIN), "drive": 0.25}), NARROW, "its parameters differ"),
        ("size.h5", Network(**{**vars(PLAIN), "hidden": 40}), NARROW, "its architecture differ"),
    ):
        other = traced(tmp_path, n, formats, name)
        assert command.main([str(golden), str(other)]) == 2
        assert f"a trace of another run: {what}" in capsys.readouterr().err
    write_trace(tmp_path / "input.h5", model_of(PLAIN, "fixed", formats=NARROW), input_of(PLAIN) + 1)
    assert command.main([str(golden), str(tmp_path / "input.h5")]) == 2
    assert "another run: its input differs" in capsys.readouterr().err


def test_a_trace_of_some_stages_and_steps_is_compared_where_both_have_them(golden: Path, tmp_path: Path) -> None:
    model = model_of(PLAIN, "fixed", formats=NARROW)
    write_trace(tmp_path / "some.h5", model, input_of(PLAIN), ["block.0.attn.*"], [2])
    with open_trace(golden) as trace:
        dump = read_dump(str(tmp_path / "some.h5"), trace)
        assert dump.steps == [2]
        assert compare(trace, dump).first is None
    with open_trace(tmp_path / "some.h5") as trace:
        dump = read_dump(str(golden), trace)
        assert (dump.steps, len(dump.extra) > 0) == ([2], True)
        assert compare(trace, dump).first is None
