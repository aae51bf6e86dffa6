"""The kit in hardware/: it runs on Icarus Verilog, and a bug planted in any module is found and named by `compare`."""

import dataclasses
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from sdt_ref import compare
from sdt_ref.golden.export import export
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.golden.writing import write_trace
from tests.golden.test_trace import NETWORKS
from tests.networks import Network, input_of, model_of

pytestmark = pytest.mark.slow

HARDWARE = Path(__file__).parents[2] / "hardware"
Capture = pytest.CaptureFixture[str]

SMALL = Network(dim=16, hidden=24, time_steps=3, height=8, width=8, pooling_stat="0001", batch=1, drive=1.5)
FORMATS = """schema_version = 1
[default]
weight = { bits = 6 }
membrane = { bits = 6, fraction = 2, rounding = "half even", overflow = "saturate", leak_rounding = "toward zero" }
[stage."block.0.attn.q_conv"]
accumulator = { bits = 7, overflow = "saturate" }
bias = { bits = 6 }"""
WRAPPING = """schema_version = 1
[default]
weight = { bits = 6 }
membrane = { bits = 7, fraction = 4, rounding = "half up", overflow = "wrap", leak_rounding = "floor" }
[stage."block.0.attn.q_conv"]
accumulator = { bits = 8, overflow = "wrap" }
bias = { bits = 6, fraction = 2 }"""
WIDE = """schema_version = 1
[default]
membrane = { bits = 36, fraction = 32, rounding = "toward zero", leak_rounding = "half even" }"""
SLOW = "schema_version = 1\n[default]\nmembrane = { leak = '2^-6', rounding = 'floor', leak_rounding = 'half even' }"
MACHINES: dict[str, tuple[Network, str | None]] = {
    "saturate": (SMALL, FORMATS),
    "wrap": (SMALL, WRAPPING),
    "wide": (dataclasses.replace(SMALL, drive=0.2), WIDE),  # the threshold is 2^32; some biases are negative
    "a leak of 2^-6": (SMALL, SLOW),
    "dvs, plif, frames": (NETWORKS["dvs, plif, frames"][0], None),
}


@pytest.fixture(scope="module")
def icarus() -> None:
    if shutil.which("iverilog") is None or find_spec("cocotb") is None:
        pytest.skip("Icarus Verilog or cocotb is not installed: apt install iverilog; pip install '.[hardware]'")


def vectors_of(folder: Path, machine: str, stages: tuple[str, ...] = ("*",)) -> Path:
    """Write run.h5 and the vectors of a small machine; returns the folder of vectors."""
    n, formats = MACHINES[machine]
    model = model_of(n, "fixed", formats=formats)
    write_trace(folder / "run.h5", model, input_of(n), stages)
    with open_trace(folder / "run.h5") as trace:
        export(trace, model.read_back(), folder / "vectors")
    return folder / "vectors"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The vectors of a machine, made once."""
    return functools.cache(lambda machine: vectors_of(tmp_path_factory.mktemp("hardware"), machine))


@pytest.fixture(scope="module")
def vectors(made: Callable[[str], Path]) -> Path:
    return made("saturate")


def planted(folder: Path, file: str, old: str, new: str) -> Path:
    """Copy the modules, with one change in one of them."""
    shutil.copytree(HARDWARE / "rtl", folder / "rtl")
    source = (folder / "rtl" / file).read_text()
    assert source.count(old) == 1
    (folder / "rtl" / file).write_text(source.replace(old, new))
    return folder / "rtl"


def kit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HARDWARE / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.usefixtures("icarus")
@pytest.mark.parametrize("machine", ["saturate", "wrap", "wide"])
def test_every_register_is_equal_in_every_cycle(made: Callable[[str], Path], tmp_path: Path, machine: str) -> None:
    folder = made(machine)
    done = kit(folder, "-o", tmp_path / "dut")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "every register is equal in every cycle" in done.stdout
    corners = json.loads((folder / "manifest.json").read_text())["corners"]
    assert {"silent", "at_threshold", "membrane_low"} <= set(corners)
    lines = done.stdout.splitlines()
    for name, corner in corners.items():
        assert sum(f" {name} " in line for line in lines) == 1 + (corner["reads"] == "spikes")
    for unit in ("accumulator", "lif", "sdsa"):
        assert compare.main([str(folder.parent / "run.h5"), str(tmp_path / "dut" / f"{unit}.npz")]) == 0


# what it is: unit, file, what stands there, what is planted, the stage and quantity to be named, the machine if another
BUGS = {
    "a spike only above the threshold": ("lif", "lif.sv", "charged >= THRESHOLD", "charged > THRESHOLD", "q_lif", "spikes"),
    "not reset by a spike": ("lif", "lif.sv", "spike ? '0 : charged", "charged", "q_lif", "v"),
    "sums do not saturate": ("lif", "lif.sv", "fixed::fitted(aligned, BITS, WRAP)", "fixed::fitted(aligned, BITS, 1)", "q_lif", "x"),
    "halves always up": ("lif", "fixed.sv", "(dropped > half) || ((dropped == half) && down[0])", "dropped >= half", "q_lif", "x"),
    "halves down": ("lif", "fixed.sv", "up = dropped >= half", "up = dropped > half", "q_lif", "x", "wrap"),
    "floor is ceiling": ("lif", "fixed.sv", "default:     up = 0", "default:     up = dropped != 0", "q_lif", "h", "wrap"),
    "the leak rounds down": ("lif", "fixed.sv", "(value < 0) && (dropped != 0)", "0", "q_lif", "h"),
    "no sign of the shift": ("lif", "lif.sv", "input  logic signed [7:0]", "input  logic [7:0]", "q_lif", "x", "wrap"),
    "the shift of channel 0 for all": ("lif", "lif_array.sv", "shift[c*8+:8]", "shift[0+:8]", "q_lif", "x"),
    "a threshold of 32 bits": ("lif", "lif.sv", "longint THRESHOLD", "int THRESHOLD", "q_lif", "spikes", "wide"),
    "a distance as wide as the membrane": ("lif", "lif.sv", "distance = held - v_before", "distance = fixed::fitted(held - v_before, BITS, 1)", "q_lif", "h"),
    "always enabled": ("lif", "lif_array.sv", "if (enable)", "if (1)", "q_lif", "x"),
    "membranes written without enable": ("lif", "lif_array.sv", "always_ff @(posedge clk)\n", "always_ff @(posedge clk) if (!enable) membranes[token] <= v_next; else\n", "q_lif", "h"),
    "membranes of the run before": ("lif", "lif_array.sv", "assign v_before = first_step ? '0 : membranes", "initial for (int t = 0; t < TOKENS; t++) membranes[t] = '0;\n        assign v_before = membranes", "q_lif", "h"),
    "the membrane of the next token": ("lif", "lif_array.sv", "membranes[token] <=", "membranes[(token + 1) % TOKENS] <=", "q_lif", "h"),
    "the last weight bit lost": ("accumulator", "accumulator.sv", "total = sum + weight;", "total = sum + (weight & ~1);", "q_lif", "sum"),
    "an accumulator that wraps": ("accumulator", "accumulator.sv", "fixed::fitted(total, BITS, WRAP)", "fixed::fitted(total, BITS, 1)", "q_lif", "sum"),
    "an accumulator without its least number": ("accumulator", "fixed.sv", "(value < low) fitted = low", "(value < low) fitted = low + 1", "q_lif", "sum"),
    "the biases forgotten": ("accumulator", "accumulator.sv", "BITS'(bias)", "'0", "q_lif", "sum"),
    "no sign of the biases": ("accumulator", "accumulator.sv", "logic signed [BIAS_BITS-1:0] bias", "logic [BIAS_BITS-1:0] bias", "q_lif", "sum", "wide"),
    "the row of the next channel": ("accumulator", "accumulator.sv", "weights[row]", "weights[(row + 1) % ROWS]", "q_lif", "sum"),
    "adds without an event": ("accumulator", "accumulator.sv", "if (start || event_valid) sums", "sums", "q_lif", "sum"),
    "K or V": ("sdsa", "sdsa.sv", "kv <= k & v;", "kv <= k | v;", "kv", "spikes"),
    "K and V forgotten without gather": ("sdsa", "sdsa.sv", "if (gather) kv <= k & v;", "kv <= gather ? k & v : '1;", "kv", "spikes"),
    "the mask of the last token alone": ("sdsa", "sdsa.sv", "mask | (k & v)", "(k & v)", "talking_heads_lif", "spikes"),
    "the mask never cleared": ("sdsa", "sdsa.sv", "if (clear) mask <= '0;\n        else if (gather)", "if (gather)", "talking_heads_lif", "spikes"),
    "the mask without gather": ("sdsa", "sdsa.sv", "else if (gather) mask", "else mask", "talking_heads_lif", "spikes"),
    "the mask not applied": ("sdsa", "sdsa.sv", "masked <= q & mask;", "masked <= q;", "masked", "spikes"),
    "masked without apply": ("sdsa", "sdsa.sv", "masked <= q & mask;", "masked <= q & mask;\n        else masked <= '1;", "masked", "spikes"),
}  # fmt: skip


# what the run of the small network does not show, the corner cases and random sums do
ONLY_BESIDES = {"sums do not saturate", "a distance as wide as the membrane", "an accumulator without its least number"}
# a device that never clears its mask never knows it: no dump can say so
UNKNOWN = {"the mask never cleared"}


@pytest.mark.campaign
@pytest.mark.usefixtures("icarus")
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_named(
    made: Callable[[str], Path], tmp_path: Path, capsys: Capture, bug: str
) -> None:
    unit, file, old, new, stage, quantity, *machine = BUGS[bug]
    vectors = made(*machine or ["saturate"])
    done = kit(vectors, "--unit", unit, "--rtl", planted(tmp_path, file, old, new), "-o", tmp_path / "dut")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "there are differences" in done.stdout
    assert f"block.0.attn.{stage}/{quantity} differs: " in done.stdout
    arguments = [str(vectors.parent / "run.h5"), str(tmp_path / "dut" / f"{unit}.npz")]
    if bug in UNKNOWN:
        assert (compare.main(arguments), "unknown values" in done.stdout) == (2, True)
        return
    code = compare.main([*arguments, "--json"])
    assert code == (bug not in ONLY_BESIDES)
    if code:
        found = json.loads(capsys.readouterr().out)["first"]
        assert (found["stage"], found["quantity"]) == (f"block.0.attn.{stage}", quantity)


@pytest.mark.usefixtures("icarus")
def test_dumps_without_judging(vectors: Path, tmp_path: Path) -> None:
    done = kit(vectors, "--unit", "sdsa", "-o", tmp_path / "dut", "--dump-only", "--waves")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was judged" in done.stdout
    assert sorted(path.name for path in (tmp_path / "dut").iterdir()) == ["sdsa.fst", "sdsa.npz"]


@pytest.mark.usefixtures("icarus")
@pytest.mark.parametrize(
    ("unit", "file", "old", "new", "named"),
    [
        ("sdsa", "sdsa.sv", "<= q & mask", "<= q[0] ? 'x : q & mask", "masked/spikes differs: step "),
        ("lif", "lif_array.sv", "h[c*BITS+:BITS] <= h_next",
         "h[c*BITS+:BITS] <= c == 3 && token == 1 ? 'x : h_next",
         "q_lif/h differs: step 0, token 1, channel 3: expected "),
    ],
)  # fmt: skip
def test_an_unknown_value_is_a_difference_and_leaves_no_dump(
    vectors: Path, tmp_path: Path, capsys: Capture, unit: str, file: str, old: str, new: str, named: str
) -> None:
    rtl, dump = planted(tmp_path, file, old, new), tmp_path / "dut" / f"{unit}.npz"
    dump.parent.mkdir()
    for option in ([], ["--dump-only"]):
        dump.write_bytes(b"of a run before")
        done = kit(vectors, "--unit", unit, "--rtl", rtl, "-o", dump.parent, *option)
        assert (done.returncode, done.stderr) == (1, "")
        assert f"unknown values (x or z), which no dump can carry: '{dump}' was not written" in done.stdout
        assert compare.main([str(vectors.parent / "run.h5"), str(dump)]) == 2
        assert f"'{dump}'" in capsys.readouterr().err
        if not option:
            assert named in done.stdout
            assert ", found X" in done.stdout


@pytest.mark.usefixtures("icarus")
def test_a_reader_that_leaves_changes_nothing(vectors: Path, tmp_path: Path) -> None:
    for rtl, code in ((HARDWARE / "rtl", 0), (planted(tmp_path, "sdsa.sv", "q & mask", "q"), 1)):
        command = [sys.executable, str(HARDWARE / "run.py"), str(vectors), "--unit", "sdsa", "--rtl", str(rtl)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            running.stdout.close()
            assert (running.wait(timeout=600), running.stderr.read()) == (code, "")


def refused(*arguments: object) -> str:
    done = kit(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    return done.stderr


@pytest.mark.usefixtures("icarus")
def test_what_cannot_run_is_one_line_and_exit_code_2(vectors: Path, tmp_path: Path) -> None:
    assert "write vectors with python -m sdt_ref.vectors" in refused(tmp_path)
    assert "expected the modules fixed.sv, " in refused(vectors, "--rtl", tmp_path)
    assert "invalid choice: 'lift'" in refused(vectors, "--unit", "lift")
    assert "--dump-only and --waves need -o DIR" in refused(vectors, "--waves")
    copy = tmp_path / "copy"
    shutil.copytree(vectors, copy)
    (copy / "layers" / "block.0.attn.q_conv" / "weight.mem").write_text("00\n")
    assert "does not have the hash of the manifest" in refused(copy)
    (copy / "records" / "block.0.attn.kv" / "spikes.mem").unlink()
    assert "kv/spikes.mem': No such file or directory; write the vectors anew" in refused(copy, "--unit", "sdsa")
    rtl = planted(tmp_path, "sdsa.sv", "module sdsa #(", "module sdsa (")
    assert "sdsa could not be simulated: " in refused(vectors, "--unit", "sdsa", "--rtl", rtl)
    shutil.rmtree(rtl)
    source = (HARDWARE / "rtl" / "sdsa.sv").read_text().replace("masked", "output_of_mine")
    shutil.copytree(HARDWARE / "rtl", rtl)
    (rtl / "sdsa.sv").write_text(source)
    assert "sdsa could not be simulated: AttributeError: sdsa contains no " in refused(
        vectors, "--unit", "sdsa", "--rtl", rtl
    )


@pytest.mark.usefixtures("icarus")
def test_a_damaged_manifest_is_one_line_and_exit_code_2(vectors: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(vectors, copy)
    path = copy / "manifest.json"
    whole = json.loads(path.read_text())
    for content, message in (("{}", "expected 'sdt_ref vectors' of schema 1, found None, None"),
                             ("[]", "expected an object, found list"), ("{", "is no JSON")):  # fmt: skip
        path.write_text(content)
        assert message in refused(copy)
    for key in ("steps", "neuron", "wiring", "records", "layers", "corners", "sha256"):
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != key}))
        assert f"lacks '{key}'; write the vectors anew" in refused(copy)
        path.write_text(json.dumps({**whole, key: 1}))
        assert "write the vectors anew" in refused(copy) or key == "steps"


@pytest.mark.usefixtures("icarus")
def test_what_the_modules_do_not_have_is_refused(made: Callable[[str], Path], tmp_path: Path) -> None:
    plif, slow = made("dvs, plif, frames"), made("a leak of 2^-6")
    assert "lif.sv has leaks of one term, such as 2^-1; found 2^" in refused(plif)
    assert "dvs mode, whose attention pools; sdsa.sv does not" in refused(plif, "--unit", "sdsa")
    one_count = "talking_heads_lif': with a leak of 2^-6 one count does not reach the threshold"
    assert one_count in refused(slow)
    few = vectors_of(tmp_path, "saturate", ("block.0.attn.q_lif", "block.0.attn.shortcut_lif"))
    assert "the vectors hold no record 'block.0.attn.kv/spikes'" in refused(few, "--unit", "sdsa")
    for folder, unit in ((plif, "accumulator"), (slow, "lif"), (few, "lif")):  # and what they do have is run
        done = kit(folder, "--unit", unit)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
