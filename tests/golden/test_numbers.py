"""Traces in floating point: what they hold, what their hash covers, and where another network first differs."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import compare as command
from sdt_ref import sizing, vectors
from sdt_ref import trace as trace_command
from sdt_ref.golden.differences import TOLERANCE, cause, compare
from sdt_ref.golden.dumps import Dump, read_dump
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights.wiring import HEAD, NEURON, STREAM
from tests.equality import assert_same, small_tiles
from tests.golden.test_trace import NETWORKS, PLAIN, content
from tests.networks import Network, input_of, model_of

Capture = pytest.CaptureFixture[str]

OLD = Path(__file__).parents[1] / "data" / "traces" / "schema-1.h5"
ARITHMETICS = ["float32", "float64"]


def traced(folder: Path, n: Network, arithmetic: str = "float32", name: str = "run.h5", threads: int = 1) -> Path:
    write_trace(folder / name, model_of(n, arithmetic, threads), input_of(n))
    return folder / name


def as_rows(official: np.ndarray) -> np.ndarray:
    """[T, 1, C, H, W] -> [T, tokens, C]."""
    return np.moveaxis(official[:, 0], 1, -1).reshape(len(official), -1, official.shape[2])


# --- what a trace holds -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("case", NETWORKS)
def test_every_number_is_the_oracles(tmp_path: Path, case: str, arithmetic: str) -> None:
    n, _ = NETWORKS[case]
    model, x = model_of(n, arithmetic), input_of(n)
    oracle = sdt_ref.dense.forward(model, x)
    with open_trace(traced(tmp_path, n, arithmetic)) as golden:
        assert golden.header.arithmetic == arithmetic
        assert_same(golden.input, x.astype(arithmetic), "input")
        expected = []
        for name, stage in golden.stages.items():
            expected += [f"{name}/{q}" for q in stage.quantities if q != "sum" or stage.kind == HEAD]
            if stage.kind == STREAM:
                assert_same(golden.values(f"{name}/u"), as_rows(oracle.streams[name]), name)
            if stage.hook:
                offsets, channels = golden.events(f"{name}/spikes")
                events = model(x, record=True).spikes[stage.hook] if name == "head_lif" else None
                assert events is None or (offsets.tolist(), channels.tolist()) == (
                    events.offsets.tolist(), events.channels.tolist(),  # type: ignore[attr-defined]
                )  # fmt: skip
            if stage.kind == NEURON:
                current = oracle.currents[name]
                rows = current.reshape(len(current), 1, -1) if stage.over_tokens else as_rows(current)
                assert_same(golden.values(f"{name}/x"), rows, name)
                neuron, before = golden.header.neuron["stages"][name], np.zeros_like(rows[0])
                for t, x_t in enumerate(rows):  # by hand: charge, fire, reset
                    h = before + (x_t - before) * rows.dtype.type(neuron["leak"])
                    fired = h >= rows.dtype.type(neuron["threshold"])
                    before = np.where(fired, rows.dtype.type(0), h)
                    assert_same(golden.values(f"{name}/h")[t], h, name)
                    assert_same(golden.values(f"{name}/v")[t], before, name)
                    if not stage.pooled_behind:
                        assert_same(golden.values(f"{name}/spikes")[t], fired.astype(np.int64), name)
        assert list(golden.records) == expected
        frames = np.broadcast_to(
            np.moveaxis(x.astype(arithmetic), -3, -1), (1, n.time_steps, n.height, n.width, n.in_channels)
        )
        pixels = frames.reshape(n.time_steps, -1, n.in_channels)
        assert_same(golden.values("input/pixel"), pixels, "pixels")
        assert_same(golden.values("head/sum"), oracle.logits_per_step, "logits")


def test_recording_changes_no_result(tmp_path: Path) -> None:
    n, _ = NETWORKS["dvs, plif, frames"]
    model, x = model_of(n), input_of(n)
    assert_same(write_trace(tmp_path / "run.h5", model, x).logits_per_step, model(x).logits_per_step, "logits")


def test_the_input_is_kept_as_a_network_takes_it_also_in_fixed_point(tmp_path: Path) -> None:
    x = input_of(PLAIN)
    write_trace(tmp_path / "run.h5", model_of(PLAIN, "fixed"), x, ["head"], [1])
    with h5py.File(tmp_path / "run.h5") as file:
        assert np.array_equal(file["input"][()], x)


# --- the hash ---------------------------------------------------------------------------------------------------------


def test_the_hash_is_the_same_for_any_number_of_threads_and_differs_between_arithmetics(tmp_path: Path) -> None:
    hashes: dict[str, set[str]] = {}
    with small_tiles(700):
        for arithmetic in ARITHMETICS:
            for threads in (1, 2, 3):
                with open_trace(traced(tmp_path, PLAIN, arithmetic, threads=threads)) as golden:
                    hashes.setdefault(arithmetic, set()).add(golden.sha256)
    assert [len(found) for found in hashes.values()] == [1, 1]
    assert not set.intersection(*hashes.values())


def rewritten(path: Path, name: str, values: np.ndarray) -> None:
    """Put another array in the place of one, with the attributes that it had."""
    with h5py.File(path, "a") as file:
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)


@pytest.mark.parametrize("name", ["records/block.0.attn.q_lif/h", "records/head/sum", "input"])
def test_the_hash_covers_types_and_bytes(tmp_path: Path, name: str) -> None:
    path = traced(tmp_path, PLAIN)
    with h5py.File(path) as file:
        values = file[name][()]
    ulp, zero = values.copy(), values.copy()
    ulp.flat[3] = np.nextafter(ulp.flat[3], np.float32(9))
    zero.flat[3] = -zero.flat[3] if zero.flat[3] else np.float32(-0.0)
    rewritten(path, name, values)
    with open_trace(path):
        pass
    for other in (values.astype(np.float64), values.view(np.int32), ulp, zero):
        rewritten(path, name, other)
        with pytest.raises(sdt_ref.TraceError, match="does not have the hash"), open_trace(path):
            pass


def resigned(path: Path) -> None:
    """Give a changed file the hash of its content."""
    from sdt_ref.golden.hashing import array_hash, file_hash

    with h5py.File(path, "a") as file:
        hashes = {"input": array_hash((), [file["input"][()]], 2)}
        for stage in file["records"]:
            for quantity, node in file[f"records/{stage}"].items():
                a = node.attrs
                attributes = (
                    int(a["bits"]),
                    a["fraction"].tolist(),
                    int(a["height"]),
                    int(a["width"]),
                    int(a["channels"]),
                )
                arrays = [node["offsets"][()], node["channels"][()]] if quantity == "spikes" else [node[()]]
                hashes[f"{stage}/{quantity}"] = array_hash(attributes, arrays, 2)
        text = bytes(file["header"][()]).decode()
        file.attrs["sha256"] = np.bytes_(file_hash(text, hashes).encode())


@pytest.mark.parametrize("arithmetic", ["fixed", *ARITHMETICS])
def test_content_that_contradicts_itself_is_refused_under_a_fitting_hash(tmp_path: Path, arithmetic: str) -> None:
    path = traced(tmp_path, PLAIN, arithmetic)
    resigned(path)
    with open_trace(path):
        pass
    whole = path.read_bytes()
    with h5py.File(path) as file:
        head, offsets = file["records/head/sum"][()], file["records/head_lif/spikes/offsets"][()]
    other = {"fixed": np.float64, "float32": np.float64, "float64": np.float32}[arithmetic]
    for name, values in (
        ("records/head/sum", head.astype(other)),
        ("records/head/sum", head[:1]),
        ("records/head_lif/spikes/offsets", offsets[::-1].copy()),
        ("records/head_lif/spikes/offsets", offsets[:-1]),
        ("records/head_lif/spikes/channels", np.full(offsets[-1], 16, np.uint16)),
    ):
        path.write_bytes(whole)
        rewritten(path, name, values)
        resigned(path)
        with pytest.raises(sdt_ref.TraceError, match=r"in the shape of '.*record the run again"), open_trace(path):
            pass


# --- older traces -----------------------------------------------------------------------------------------------------


def test_a_trace_of_schema_1_opens_with_its_own_hash_and_compares(tmp_path: Path, capsys: Capture) -> None:
    """It was written when there was no other schema."""
    n, formats = NETWORKS["narrow"]
    write_trace(tmp_path / "new.h5", model_of(n, "fixed", formats=formats), input_of(n))
    with open_trace(OLD) as old:
        assert old.sha256 == "deda4afc7622a2639e7dedbc51793f5ff37b68de88cf2d7a59f4b7f6273b5630"
        assert (old.header.arithmetic, old.input, len(old.records)) == ("fixed", None, 7)
        assert old.values("head/sum")[:, 0].tolist() == [
            [32, 35, -1, 6, -11], [50, 36, 3, -9, 5], [26, 49, 2, 22, -22],
        ]  # fmt: skip
        np.savez(tmp_path / "dut.npz", **content(old))
        with open_trace(tmp_path / "new.h5") as new:
            assert all(np.array_equal(values, new.values(name)) for name, values in content(old).items())
    assert command.main([str(OLD), str(tmp_path / "dut.npz")]) == 0
    assert command.main([str(OLD), str(OLD), "--json"]) == 0
    assert "all equal" in capsys.readouterr().out


def test_a_trace_of_schema_1_that_holds_real_numbers_is_refused(tmp_path: Path) -> None:
    """Its hash takes them as whole ones, so that 0.9 would be as good as 0."""
    path = Path(shutil.copy(OLD, tmp_path / "old.h5"))
    with h5py.File(path) as file:
        values = file["records/head/sum"][()]
    rewritten(path, "records/head/sum", values + np.where(values < 0, -0.9, 0.9))
    expected = r"expected whole numbers .* 'head/sum', .* found float64"
    with pytest.raises(sdt_ref.TraceError, match=expected), open_trace(path):
        pass
    with h5py.File(path, "a") as file:
        header = json.loads(bytes(file["header"][()]).decode())
        del file["header"]
        file["header"] = np.bytes_(json.dumps({**header, "arithmetic": "float64"}).encode())
    with pytest.raises(sdt_ref.TraceError, match="schema 1 is of whole numbers, found float64"), open_trace(path):
        pass


# --- the first difference ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("case", NETWORKS)
def test_one_wrong_number_of_any_record_is_found_at_its_place(tmp_path: Path, case: str, arithmetic: str) -> None:
    n, _ = NETWORKS[case]
    rng = np.random.default_rng(0)
    with open_trace(traced(tmp_path, n, arithmetic)) as golden:
        bound = TOLERANCE[arithmetic]
        for name, record in golden.records.items():
            right = golden.values(name)
            place = tuple(int(rng.integers(length)) for length in right.shape)
            spikes = record.quantity == "spikes"
            for change in (1,) if spikes else (1.5 * bound, -1.5 * bound, np.nan, np.inf, -np.inf):
                wrong = right.copy() if spikes else right.astype(np.float64)
                wrong[place] = 1 - wrong[place] if spikes else wrong[place] + change
                found = compare(golden, Dump(golden.header.steps, {name: wrong})).first
                assert found is not None, (name, change)
                assert (found.record.name, found.step, found.token, found.channel) == (name, *place)
                assert found.expected == right[place]
                assert np.array_equal(found.found, wrong[place], equal_nan=True)
                cause(golden, found)
                loose = compare(golden, Dump(golden.header.steps, {name: wrong}), tolerance=1e9).first
                assert (loose is None) == (not spikes and bool(np.isfinite(change)))
            if not spikes:
                near = right.astype(np.float64) + rng.choice([-0.5, 0.5], right.shape) * bound
                comparison = compare(golden, Dump(golden.header.steps, {name: near}))
                assert comparison.first is None
                assert comparison.farthest == pytest.approx(bound / 2)


def test_the_zeros_are_equal_and_no_nan_equals_another(tmp_path: Path) -> None:
    name = "block.0.attn.q_lif/x"
    path = traced(tmp_path, PLAIN)
    with h5py.File(path) as file:
        values = file[f"records/{name}"][()]
    values[0, 0, :3] = 0.0, np.nan, np.inf
    rewritten(path, f"records/{name}", values)
    resigned(path)
    with open_trace(path) as golden:
        dump = golden.values(name)
        dump[0, 0, 0] = -0.0
        comparison = compare(golden, Dump(golden.header.steps, {name: dump}))
        assert comparison.stages["block.0.attn.q_lif"].different == 2
        assert comparison.first is not None
        assert comparison.first.channel == 1


def test_the_first_difference_is_the_first_in_time_then_in_data_flow(tmp_path: Path) -> None:
    with open_trace(traced(tmp_path, PLAIN)) as golden:
        values = content(golden)
        for name, place in (("patch_embed.proj_lif/x", (2, 0, 0)), ("block.0.mlp.fc1_lif/h", (1, 1, 5)),
                            ("block.0.mlp.fc1_lif/x", (1, 1, 9)), ("head/sum", (1, 0, 0))):  # fmt: skip
            values[name][place] += 1
        found = compare(golden, Dump(golden.header.steps, values)).first
        assert found is not None
        assert (found.step, found.record.name, found.token, found.channel) == (1, "block.0.mlp.fc1_lif/x", 1, 9)


@pytest.mark.parametrize("case", ["plain", "a shortcut of its own", "two blocks, pooled stream"])
def test_the_events_that_contributed_add_up_to_the_current(tmp_path: Path, case: str) -> None:
    n, _ = NETWORKS[case]
    layers = model_of(n, "float64").read_back().layers
    rng = np.random.default_rng(0)
    n_checked = 0
    with open_trace(traced(tmp_path, n, "float64")) as golden:
        for name, stage in golden.stages.items():
            if stage.kind not in (NEURON, STREAM) or stage.layer is None or (stage.kind == STREAM and stage.pooled):
                continue
            quantity = "x" if stage.kind == NEURON else "u"
            layer, record = layers[stage.layer], golden.records[f"{name}/{quantity}"]
            source = golden.records["input/pixel" if stage.reads == ("input",) else f"{stage.reads[0]}/spikes"]
            width = -(-source.width // 2) if stage.pooled else source.width
            for _ in range(3):
                values = golden.values(record.name)
                place = tuple(int(rng.integers(length)) for length in values.shape)
                values[place] += 1
                found = compare(golden, Dump(golden.header.steps, {record.name: values})).first
                assert found is not None
                why = cause(golden, found)
                assert why.source == source.name
                total, reach = float(layer.bias[found.channel]), stage.window // 2
                for token, c in why.events:
                    dy, dx = token // width - found.token // width, token % width - found.token % width
                    number = golden.values("input/pixel")[found.step, token, c] if stage.reads == ("input",) else 1.0
                    total += float(layer.weight[found.channel, c, dy + reach, dx + reach]) * number
                if not why.not_shown:  # where a residual is pooled, it is named and not shown
                    total += sum(why.registers.values())
                    assert total == pytest.approx(found.expected, abs=1e-12)
                    n_checked += len(why.events)
    assert n_checked > 100


@pytest.mark.parametrize(
    ("case", "name", "registers", "not_shown"),
    [
        ("plain", "block.0.attn.q_lif/x", [], ""),
        ("plain", "block.0.attn.q_lif/h", ["block.0.attn.q_lif/x", "block.0.attn.q_lif/v of the step before"], ""),
        ("plain", "block.0.attn.q_lif/spikes", ["block.0.attn.q_lif/h", "threshold"], ""),
        ("plain", "block.0.attn.q_lif/v", ["block.0.attn.q_lif/h", "block.0.attn.q_lif/spikes"], ""),
        ("plain", "block.0.attn.kv/spikes", ["block.0.attn.k_lif/spikes", "block.0.attn.v_lif/spikes"], ""),
        ("plain", "block.0.attn.proj_conv/u", ["patch_embed.rpe_conv/u"], ""),
        ("plain", "block.0.attn.shortcut_lif/x", ["patch_embed.rpe_conv/u"], ""),
        ("plain", "head_lif/x", [], "block.0.mlp.fc2_conv/u: this is the mean over its tokens"),
        ("plain", "patch_embed.proj_lif3/x", [], "patch_embed.proj_conv3/u: this is the greatest of 3x3"),
        ("plain", "head/sum", [], ""),
        ("dvs, plif, frames", "block.0.attn.k_lif/spikes", ["block.0.attn.k_lif/h", "threshold"], "block.0.attn.k_lif/h of the neighbours"),
        ("dvs, plif, frames", "block.0.attn.talking_heads_lif/x", [], "events of block.0.attn.kv: they are pooled"),
    ],
)  # fmt: skip
def test_the_numbers_that_a_number_was_computed_from(tmp_path: Path, case: str, name: str, registers: list[str],
                                                     not_shown: str) -> None:  # fmt: skip
    n, _ = NETWORKS[case]
    with open_trace(traced(tmp_path, n)) as golden:
        values = golden.values(name)
        values[1, -1, 3] = 1 - values[1, -1, 3] if name.endswith("spikes") else values[1, -1, 3] + 1
        found = compare(golden, Dump(golden.header.steps, {name: values})).first
        assert found is not None
        why = cause(golden, found)
        assert list(why.registers) == registers
        assert (" ".join(why.not_shown)).startswith(not_shown)
        assert bool(why.not_shown) == bool(not_shown)
        for label, value in why.registers.items():
            record, _, before = label.partition(" of the")
            expected = golden.header.neuron["stages"][found.record.stage]["threshold"] if label == "threshold" else (
                golden.values(record)[0 if before else 1, -1, 3])  # fmt: skip
            assert value == expected


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_command_traces_in_any_arithmetic(tmp_path: Path, arithmetic: str, capsys: Capture) -> None:
    path = tmp_path / "run.h5"
    arguments = ["-o", str(path), "--arithmetic", arithmetic, "--stages", "block.0.attn.q_lif,head"]
    assert trace_command.main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["arithmetic"], list(report["records"])) == (
        arithmetic,
        [f"block.0.attn.q_lif/{q}" for q in ("x", "h", "spikes", "v")] + ["head/sum"],
    )
    assert report["records"]["head/sum"]["bits"] == int(arithmetic[-2:])
    with open_trace(path) as golden:
        model = sdt_ref.load(arithmetic=arithmetic)
        assert np.array_equal(golden.values("head/sum"), model(golden.input).logits_per_step)
    assert command.main([str(path), str(path)]) == 0
    within = {"float32": "0.0001", "float64": "1e-06"}[arithmetic]
    assert f"numbers within {within} count as equal; the farthest are 0.0e+00 apart" in capsys.readouterr().out


def test_what_needs_whole_numbers_refuses_by_name(tmp_path: Path, capsys: Capture) -> None:
    run = str(traced(tmp_path, PLAIN))
    write_trace(tmp_path / "fixed.h5", model_of(PLAIN, "fixed"), input_of(PLAIN))
    for main, arguments, name in (
        (vectors.main, [run, "-o", str(tmp_path / "v")], "vectors"),
        (sizing.main, [run], "sizing"),
        (sizing.main, [str(tmp_path / "fixed.h5"), run], "sizing"),
        (command.main, [run, run, "--isolated"], "--isolated"),
    ):
        assert main(arguments) == 2
        found = (
            f"error: {name}: expected a trace in fixed point, found float32; record the run with --arithmetic fixed\n"
        )
        assert capsys.readouterr().err == found
    with open_trace(run) as golden:
        for what in ("parameters", "formats"):
            with pytest.raises(sdt_ref.TraceError, match="expected a trace in fixed point, found float32"):
                golden.parameters() if what == "parameters" else golden.formats
    for form, text in (
        ("dut.csv", "record,step,token,channel,value\nhead/sum,0,0,0,1\n"),
        ("dut.mem", "// record: head/sum\n0\n"),
    ):
        (tmp_path / form).write_text(text)
        assert command.main([run, str(tmp_path / form)]) == 2
        assert "'head/sum' holds real numbers; write it to a file that ends in .npz or .h5" in capsys.readouterr().err
    np.savez(tmp_path / "dut.npz", **{"head_lif/sum": np.zeros((3, 1, 16))})
    assert command.main([run, str(tmp_path / "dut.npz")]) == 2
    assert "record 'head_lif/sum' is of fixed point, and the golden trace of float32" in capsys.readouterr().err


def test_traces_of_two_arithmetics_are_of_two_runs(tmp_path: Path, capsys: Capture) -> None:
    narrow, wide = traced(tmp_path, PLAIN), traced(tmp_path, PLAIN, "float64", "wide.h5")
    assert command.main([str(narrow), str(wide)]) == 2
    assert "a trace of another run: its arithmetic differs from the golden's" in capsys.readouterr().err
    with open_trace(wide) as golden:
        np.savez(tmp_path / "wide.npz", **content(golden))
    assert command.main([str(narrow), str(tmp_path / "wide.npz")]) == 0  # as numbers, they are near


@pytest.mark.parametrize(
    ("arithmetic", "text", "message"),
    [
        ("float32", "much", "--tolerance: expected a number for float32, found 'much'"),
        ("float64", "-1", "--tolerance: expected 0 or more, found -1.0"),
        ("float64", "nan", "--tolerance: expected 0 or more, found nan"),
        ("float64", "inf", "--tolerance: expected 0 or more, found inf"),
        ("fixed", "1.5", "--tolerance: expected a whole number in fixed point, found '1.5'"),
        ("fixed", "-1", "--tolerance: expected 0 or more, found -1"),
    ],
)
def test_a_tolerance_that_is_none_is_refused(tmp_path: Path, arithmetic: str, text: str, message: str,
                                             capsys: Capture) -> None:  # fmt: skip
    run = str(traced(tmp_path, PLAIN, arithmetic))
    assert command.main([run, run, "--tolerance", text]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_the_tolerance_is_what_is_asked_for_and_json_says_what_differs(tmp_path: Path, capsys: Capture) -> None:
    path, name = traced(tmp_path, PLAIN), "block.0.attn.q_lif/x"
    dump = str(tmp_path / "dut.npz")
    with open_trace(path) as golden:
        values = golden.values(name).astype(np.float64)
        expected = float(values[2, 1, 5])
        values[2, 1, 5] += 0.25
        np.savez(dump, **{name: values})
    assert command.main([str(path), dump, "--tolerance", "0.2500001"]) == 0
    assert command.main([str(path), dump, "--tolerance", "0.2499999", "--json"]) == 1
    capsys.readouterr()
    assert command.main([str(path), dump, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    first = report["first"]
    assert (report["arithmetic"], report["tolerance"], report["farthest"]) == ("float32", 1e-4, 0.25)
    assert (first["step"], first["token"], first["channel"]) == (2, 1, 5)
    assert (first["expected"], first["found"]) == (expected, expected + 0.25)
    assert (first["expected_hex"], first["found_hex"]) == (expected.hex(), (expected + 0.25).hex())
    assert report["stages"]["block.0.attn.q_lif"]["largest"] == 0.25
    assert command.main([str(path), dump]) == 1
    screen = capsys.readouterr().out
    assert "first difference: step 2, block.0.attn.q_lif, x, token 1 (row 0, column 1), channel 5" in screen
    assert expected.hex() in screen
    assert "2.5e-01" in screen
    values[2, 1, 5] = np.nan
    np.savez(dump, **{name: values})
    assert command.main([str(path), dump, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["first"]["found"], report["first"]["found_hex"], report["farthest"]) == (None, "nan", None)
    assert report["stages"]["block.0.attn.q_lif"]["largest"] is None


def test_the_json_of_fixed_point_stays(tmp_path: Path, capsys: Capture) -> None:
    run = str(traced(tmp_path, PLAIN, "fixed"))
    assert command.main([run, run, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == [
        "golden", "equal", "steps", "records", "not_compared", "first", "stages",
    ]  # fmt: skip


def test_any_type_of_number_compares_as_a_number(tmp_path: Path) -> None:
    with open_trace(traced(tmp_path, Network(**{**vars(PLAIN), "dyadic": True}))) as golden:
        for dtype in (np.float16, np.float64, np.longdouble):
            values = {
                name: golden.values(name).astype(dtype) for name in golden.records if name.endswith(("/x", "/spikes"))
            }
            np.savez(tmp_path / "dut.npz", **values)
            assert compare(golden, read_dump(str(tmp_path / "dut.npz"), golden), tolerance=0.01).first is None
        with h5py.File(tmp_path / "dut.h5", "w") as file:
            for name, array in values.items():
                file[f"records/{name}"] = array.astype(np.float64)
        assert compare(golden, read_dump(str(tmp_path / "dut.h5"), golden)).first is None
        spikes = {name: golden.values(name).astype(bool) for name in golden.records if name.endswith("/spikes")}
        np.savez(tmp_path / "dut.npz", **spikes)
        comparison = compare(golden, read_dump(str(tmp_path / "dut.npz"), golden))
        assert (comparison.first, comparison.farthest) == (None, None)
        for wrong in (0.5, -1, 2, np.nan):
            name = "block.0.attn.q_lif/spikes"
            np.savez(tmp_path / "dut.npz", **{name: np.full(golden.values(name).shape, wrong)})
            with pytest.raises(sdt_ref.TraceError, match=r"expected 0 to 1, found"):
                read_dump(str(tmp_path / "dut.npz"), golden)
        np.savez(tmp_path / "dut.npz", **{"head/sum": golden.values("head/sum").astype(np.complex64)})
        with pytest.raises(sdt_ref.TraceError, match="expected real numbers, found complex64"):
            read_dump(str(tmp_path / "dut.npz"), golden)
