"""The kit in hardware/: it runs on Icarus Verilog, and a bug planted in any module is found and named by `compare`."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sdt_ref import compare
from sdt_ref.golden.export import export
from sdt_ref.golden.trace import open_trace, write_trace

from .networks import Network, input_of, model_of
from .test_trace import NETWORKS

HARDWARE = Path(__file__).parents[1] / "hardware"
Capture = pytest.CaptureFixture[str]

SMALL = Network(dim=16, hidden=24, time_steps=3, height=8, width=8, pooling_stat="0001", batch=1, drive=1.5)
FORMATS = """schema_version = 1
[default]
weight = { bits = 6 }
membrane = { bits = 8, fraction = 2, rounding = "half even", overflow = "saturate", leak_rounding = "toward zero" }
[stage."block.0.attn.q_conv"]
accumulator = { bits = 7, overflow = "OVERFLOW" }
bias = { bits = 7 }"""


@pytest.fixture(scope="module")
def icarus() -> None:
    if shutil.which("iverilog") is None or find_spec("cocotb") is None:
        pytest.skip("Icarus Verilog or cocotb is not installed: apt install iverilog; pip install 'sdt_ref[hardware]'")


def vectors_of(folder: Path, overflow: str, n: Network = SMALL) -> Path:
    """Write run.h5 and the vectors of a small machine; returns the folder of vectors."""
    model = model_of(n, "fixed", formats=FORMATS.replace("OVERFLOW", overflow))
    write_trace(folder / "run.h5", model, input_of(n))
    with open_trace(folder / "run.h5") as trace:
        export(trace, model, folder / "vectors")
    return folder / "vectors"


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vectors_of(tmp_path_factory.mktemp("hardware"), "saturate")


def kit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HARDWARE / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.usefixtures("icarus")
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_every_register_is_equal_in_every_cycle(tmp_path: Path, overflow: str) -> None:
    folder = vectors_of(tmp_path, overflow)
    done = kit(folder, "-o", tmp_path / "dut")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "every register is equal in every cycle" in done.stdout
    corners = json.loads((folder / "manifest.json").read_text())["corners"]
    assert {"silent", "at_threshold", "membrane_low"} <= set(corners)
    lines = done.stdout.splitlines()
    for name, corner in corners.items():
        assert sum(f" {name} " in line for line in lines) == 1 + (corner["reads"] == "spikes")
    for unit in ("accumulator", "lif", "sdsa"):
        assert compare.main([str(tmp_path / "run.h5"), str(tmp_path / "dut" / f"{unit}.npz")]) == 0


BUGS = {
    "a spike only above the threshold": ("lif", "lif.sv", "charged >= THRESHOLD", "charged > THRESHOLD", "q_lif", "spikes"),
    "not reset by a spike": ("lif", "lif.sv", "spike ? '0 : charged", "charged", "q_lif", "v"),
    "sums do not saturate": ("lif", "lif.sv", "fixed::fitted(aligned, BITS, WRAP)", "fixed::fitted(aligned, BITS, 1)", "q_lif", "x"),
    "halves always up": ("lif", "fixed.sv", "(dropped > half) || ((dropped == half) && down[0])", "dropped >= half", "q_lif", "x"),
    "the leak rounds down": ("lif", "fixed.sv", "(value < 0) && (dropped != 0)", "0", "q_lif", "h"),
    "the last weight bit lost": ("accumulator", "accumulator.sv", "total = sum + weight;", "total = sum + (weight & ~1);", "q_lif", "sum"),
    "an accumulator that wraps": ("accumulator", "accumulator.sv", "fixed::fitted(total, BITS, WRAP)", "fixed::fitted(total, BITS, 1)", "q_lif", "sum"),
    "the biases forgotten": ("accumulator", "accumulator.sv", "BITS'(bias)", "'0", "q_lif", "sum"),
    "K or V": ("sdsa", "sdsa.sv", "kv <= k & v;", "kv <= k | v;", "kv", "spikes"),
    "the mask of the last token alone": ("sdsa", "sdsa.sv", "mask | (k & v)", "(k & v)", "talking_heads_lif", "spikes"),
    "the mask never cleared": ("sdsa", "sdsa.sv", "if (clear) mask <= '0;\n        else if (gather)", "if (gather)", "talking_heads_lif", "spikes"),
    "the mask not applied": ("sdsa", "sdsa.sv", "masked <= q & mask;", "masked <= q;", "masked", "spikes"),
}  # fmt: skip


# what the run of the small network does not show, the corner cases do
ONLY_IN_CORNERS = {"sums do not saturate"}


@pytest.mark.usefixtures("icarus")
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_named(vectors: Path, tmp_path: Path, capsys: Capture, bug: str) -> None:
    unit, file, old, new, stage, quantity = BUGS[bug]
    shutil.copytree(HARDWARE / "rtl", tmp_path / "rtl")
    source = (tmp_path / "rtl" / file).read_text()
    assert source.count(old) == 1
    (tmp_path / "rtl" / file).write_text(source.replace(old, new))
    done = kit(vectors, "--unit", unit, "--rtl", tmp_path / "rtl", "-o", tmp_path / "dut")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "there are differences" in done.stdout
    arguments = [str(vectors.parent / "run.h5"), str(tmp_path / "dut" / f"{unit}.npz")]
    code = compare.main([*arguments, "--json"])
    assert code == (bug not in ONLY_IN_CORNERS)
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
def test_an_unknown_value_is_a_difference(vectors: Path, tmp_path: Path) -> None:
    shutil.copytree(HARDWARE / "rtl", tmp_path / "rtl")
    source = (tmp_path / "rtl" / "sdsa.sv").read_text()
    (tmp_path / "rtl" / "sdsa.sv").write_text(
        source.replace("if (clear) mask <= '0;\n        else if (gather)", "if (gather)")
    )
    done = kit(vectors, "--unit", "sdsa", "--rtl", tmp_path / "rtl")
    assert done.returncode == 1
    assert "found X" in done.stdout


@pytest.mark.usefixtures("icarus")
def test_what_cannot_run_is_one_line_and_exit_code_2(vectors: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        done = kit(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        return done.stderr

    assert "write vectors with python -m sdt_ref.vectors" in refused(tmp_path)
    assert "expected the modules fixed.sv, " in refused(vectors, "--rtl", tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(vectors, copy)
    (copy / "layers" / "block.0.attn.q_conv" / "weight.mem").write_text("00\n")
    assert "does not have the hash of the manifest" in refused(copy)
    (copy / "manifest.json").write_text("{}")
    assert "expected 'sdt_ref vectors' of schema 1, found None, None" in refused(copy)
    shutil.copytree(HARDWARE / "rtl", tmp_path / "rtl")
    (tmp_path / "rtl" / "sdsa.sv").write_text("module sdsa (")
    assert "sdsa could not be simulated: " in refused(vectors, "--unit", "sdsa", "--rtl", tmp_path / "rtl")


@pytest.mark.usefixtures("icarus")
def test_what_the_modules_do_not_have_is_refused(tmp_path: Path) -> None:
    done = kit(vectors_of(tmp_path, "saturate", NETWORKS["dvs, plif, frames"][0]))
    assert done.returncode == 2
    assert "lif.sv has leaks of one term, such as 2^-1; found 2^" in done.stderr
