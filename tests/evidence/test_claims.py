"""Four claims, each with its evidence; and each check goes red on a planted fault."""

import ast
import dataclasses
import importlib
import json
import platform
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest

import sdt_ref
from sdt_ref import claims, kernels
from sdt_ref.cost.account import Accountant
from sdt_ref.evidence import (
    addition_only,
    assembly,
    between,
    boolean_attention,
    event_driven,
    linear,
    llvm_ir,
    lone_attention,
    mask_and_add,
)
from sdt_ref.evidence.addition import Addend, Place, Refused, addends, interpreted
from sdt_ref.evidence.exercises import EXERCISES, TYPES, NumberTypes
from sdt_ref.evidence.screen import CLAIMS
from sdt_ref.evidence.sizes import Sizes
from sdt_ref.terminal.screen import Screen
from sdt_ref.weights import file as weights_file
from tests.commands.test_screens import numbers
from tests.copies import changed_copy
from tests.networks import Network, input_of, model_of, weights_of

SMALL = Network(dim=16, hidden=8, time_steps=2, height=4, width=4, pooling_stat="0101", batch=1)
DVS = Network(dim=16, hidden=8, time_steps=2, height=4, width=4, pooling_stat="0000", batch=1, dvs_mode=True, num_heads=2, frames=True, in_channels=2)  # fmt: skip
WIDE = Network(dim=128, hidden=8, time_steps=2, height=4, width=4, pooling_stat="0000", batch=1, drive=1.0)
SIZES = (16, 32, 64), (32, 64, 128)
FEW = ((1, 2, 1), (2, 1, 1), (1, 2, 2))
ON_X86 = pytest.mark.skipif(assembly.this_machine() is not assembly.X86_64, reason="reads the assembly of x86-64")


def evidence(package: ModuleType, name: str) -> ModuleType:
    return importlib.import_module(f"{package.__name__}.evidence.{name}")


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.campaign
def test_all_four_claims_hold() -> None:
    """The whole command, in a process of its own: of the kernels it must have read every one, in every type."""
    shown = subprocess.run(
        [sys.executable, "-m", "sdt_ref.claims", "--json"], capture_output=True, text=True, timeout=900, check=False
    )
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["holds"]
    assert all(found[claim]["holds"] for claim in CLAIMS)
    read = {kernel["name"]: kernel for kernel in found["addition_only"]["kernels"]}
    assert set(read) == set(EXERCISES)
    for name, kernel in read.items():
        assert {str(numbers) for numbers in TYPES.get(name, ())} <= {code["types"] for code in kernel["codes"]}
        assert name in addition_only.INNER or "as called" not in {code["types"] for code in kernel["codes"]}
        assert kernel["multiplications"] == []
        assert all(code["ir_instructions"] > 5 for code in kernel["codes"])
    assert {name for name, kernel in read.items() if kernel["exempt"]} == {
        "conv3x3_analog",
        "lif_steps",
        "lif_steps_fixed",
        "requantise",
    }
    assert read["lif_steps"]["python_refused"] == "*"
    assert found["addition_only"]["counted"].keys() == {"MS_SPS_proj_conv", "leak", "token_mean", "time_mean"}
    layers = found["event_driven"]["layers"]
    assert len(layers) == 17
    assert sum(layer["ac"][0] for layer in layers) == 213_949_698  # as in test_cost
    assert [growth["costs"][-1]["reads"] for growth in found["linear"]["growths"]] == [43_008, 21_504]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The command with less to compile and fewer sizes."""
    whole, growth, cases = addition_only.addition_only, linear.linear_complexity, mask_and_add.masks_and_adds
    types = {"list_events": (NumberTypes(),), "lif_steps": (NumberTypes(np.float32, np.float32),)}
    monkeypatch.setattr(
        addition_only, "addition_only", lambda result, progress, expected: whole(result, types, progress, expected)
    )
    monkeypatch.setattr(linear, "linear_complexity", lambda progress: growth(*SIZES, progress))
    monkeypatch.setattr(
        mask_and_add, "masks_and_adds", lambda model, progress, result: cases(model, FEW, FEW, progress, result)
    )
    return monkeypatch


@pytest.mark.slow
def test_the_evidence_can_be_read(quick: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a file, and in windows that are too narrow for its tables: no number is lost or cut there."""
    shown, show = {}, claims.show

    def at_all_widths(screen: Screen, *what: Any) -> None:
        for columns in (None, "80", "60", "40"):
            quick.delenv("COLUMNS", raising=False) if columns is None else quick.setenv("COLUMNS", columns)
            show(Screen(), *what)
            shown[columns] = capsys.readouterr().out

    quick.setattr(claims, "show", at_all_widths)
    assert claims.main([]) == 0
    screen = shown[None]
    assert "cat.jpg, the sample photo, at 32x32, float32, 4 time steps" in screen
    assert re.search(r"MS_SPS_proj_conv1 +16,571 +9,221,888 +[\d,]+ +[\d,]+ +[\d,]+ +0\n", screen)
    assert "silenced: 0 additions" in screen
    assert re.search(r"list_events +\d+ +\d+ +0 ", screen)
    assert re.search(r"the leak of the neurons +2,165,760 +2,165,760\n", screen)
    assert re.search(r"slope, log over log +1 +1 +1 +2\n", screen)
    assert screen.count("   holds\n") == 4
    assert screen.endswith("All four claims hold.\n")
    for columns in ("80", "60", "40"):
        assert numbers(screen) - numbers(shown[columns]) == Counter()
        assert "…" not in shown[columns]
        assert all(len(line.rstrip()) <= int(columns) or len(line.split()) == 1 for line in shown[columns].splitlines())


@pytest.mark.slow
def test_a_claim_that_fails_is_exit_code_1(quick: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    right = linear.linear_complexity
    cost = linear.Cost(16, 32, 1, 1, 1, 1)
    bent = linear.Growth("tokens", (cost, dataclasses.replace(cost, tokens=32, spikes=2, additions=4, reads=2)))
    quick.setattr(linear, "linear_complexity", lambda progress: dataclasses.replace(right(progress), growths=(bent,)))
    assert claims.main([]) == 1
    screen = capsys.readouterr().out
    assert "slope, log over log FAILS" in screen
    assert screen.endswith("Claims that fail: 3.\n")
    assert claims.main(["--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["holds"]
    assert not found["linear"]["holds"]


@pytest.mark.slow
def test_weights_that_read_frames_and_fixed_point(
    quick: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights_file.save(tmp_path / "dvs.h5", weights_of(DVS))
    assert claims.main(["--weights", str(tmp_path / "dvs.h5"), "--arithmetic", "fixed", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input"] == "random frames of 4x4"
    assert found["event_driven"]["layers"][0]["layer"] == "MS_SPS_proj_conv"  # reads bits, so it adds
    assert found["addition_only"]["counted"].keys() <= {"time_mean"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "absent.h5"], "'absent.h5' does not exist"),
        (["--weights", __file__], "expected"),
        (["--arithmetic", "float16"], "expected one of float32, float64, fixed, found 'float16'"),
        (["--size", "30"], "divisible by 4"),
        (["--threads", "0"], "expected 1 to 256"),
    ],
)
def test_bad_input_is_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert captured.err.count("\n") == 1


# --- event-driven -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("network", [SMALL, DVS, dataclasses.replace(SMALL, hidden=16, drive=2.0)])
@pytest.mark.parametrize("arithmetic", ["float64", "fixed"])
def test_networks_are_event_driven(network: Network, arithmetic: str) -> None:
    found = event_driven.event_driven(model_of(network, arithmetic), input_of(network))
    assert found.holds
    assert len(found.layers) == 11 + (arithmetic == "fixed")
    assert any(layer.ac[0] > 0 for layer in found.layers)


NOT_EVENT_DRIVEN = {
    "dense": ("kernels/accumulate.py", "added[p, t] += e - begin", "added[p, t] += n_inputs"),
    "one too many": ("engine/synapse.py", "self.widths @ sum(rows)", "self.widths @ sum(rows) + 1"),
    "counted per list": ("kernels/accumulate.py", "added[p, t] += e - begin", "added[p, t] += e > begin"),
    "more with fewer": ("kernels/accumulate.py", "added[p, t] += e - begin", "added[p, t] += (e - begin) * (n_inputs - (e - begin))"),
    "dense work, not counted": ("kernels/accumulate.py", "                            begin = e\n", "                            begin = e\n                            for _ in range(n_inputs):\n                                copy_panel(current, place, current, place)\n"),
    "a row read twice": ("kernels/fixed.py", "weight = tap * n_inputs + channels[e]", "weight = tap * n_inputs + channels[e] + 0 * int(panels[p, 0, 0])"),
    "wrong layer's spikes": ("weights/names.py", '"masked": "x_after_qkv"', '"masked": "q_lif"'),
}  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("name", NOT_EVENT_DRIVEN)
def test_a_network_that_is_not_event_driven_is_found(tmp_path: Path, name: str) -> None:
    with changed_copy(tmp_path, NOT_EVENT_DRIVEN[name]) as package:
        found = evidence(package, "event_driven").event_driven(model_of(SMALL, package=package), input_of(SMALL))
        assert not found.holds


# --- addition only ----------------------------------------------------------------------------------------------------


def test_every_kernel_has_an_exercise() -> None:
    assert addition_only.all_kernels().keys() == EXERCISES.keys()
    assert {name for name in kernels.__all__ if name.islower() and name != "aligned"} <= EXERCISES.keys()


@pytest.mark.slow
def test_what_the_engine_runs_is_what_is_read() -> None:
    """Each kernel was called with types that its exercises have, in every arithmetic."""
    code = """
import numba, sdt_ref
from sdt_ref.evidence.addition_only import INNER, all_kernels
from sdt_ref.evidence.exercises import EXERCISES, TYPES, NumberTypes
for arithmetic in ("float32", "float64", "fixed"):
    sdt_ref.load(arithmetic=arithmetic).warm_up()
for name, kernel in all_kernels().items():
    exercised = {tuple(map(numba.typeof, a)) for n in TYPES.get(name, (NumberTypes(),)) for a in EXERCISES[name](n)}
    assert name in INNER or set(kernel.signatures) <= exercised, (name, set(kernel.signatures) - exercised)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


FOUND_BY = ("LLVM IR", "assembly", "Python")
Planted = tuple[str, str, str, str, str]

THROUGH_A_POINTER = """import ctypes, ctypes.util
        address = ctypes.cast(ctypes.CDLL(ctypes.util.find_library("m")).fmaf, ctypes.c_void_p).value
        single, first, totals = ir.FloatType(), ir.IntType(32)(0), []
        fused = builder.inttoptr(INDEX(address), ir.FunctionType(single, [single] * 3).as_pointer())
        for total, row in zip(sums, loaded, strict=True):
            numbers = builder.extract_element(row, first), single(1.0), builder.extract_element(total, first)
            totals.append(builder.insert_element(builder.fadd(total, row), builder.call(fused, numbers), first))"""

# name: (kernel, file, what stands there, what somebody writes, where it must be found)
PLANTED: dict[str, Planted] = {
    "spike times weight": ("add_rows", "vector.py", "totals = [add(total, row) for", "totals = [add(total, builder.fmul(total, row)) for", "LLVM IR, assembly"),
    "fused": ("add_rows", "vector.py", "totals = [add(total, row) for", "totals = [builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(row.type, [row.type] * 3), 'llvm.fma.v16f32'), [total, row, row]) for", "LLVM IR, assembly"),
    "divided": ("add_rows", "vector.py", "totals = [add(total, row) for", "totals = [builder.fdiv(total, row) for", "LLVM IR, assembly"),
    "spike times weight, in Python": ("add_rows", "vector.py", "        outputs[at : at + PANEL] += weights[row : row + PANEL]\n    return last", "        outputs[at : at + PANEL] += weights[row : row + PANEL] * 1\n    return last", "Python"),
    "another sum, in Python": ("add_rows", "vector.py", "        outputs[at : at + PANEL] += weights[row : row + PANEL]\n    return last", "        outputs[at : at + PANEL] -= weights[row : row + PANEL]\n    return last", ""),
    "scaled row number": ("add_rows", "vector.py", "element = builder.add(builder.mul(row, INDEX(PANEL)), base)", "element = builder.add(builder.mul(row, row), base)", "LLVM IR"),
    "scaled bias": ("add_rows", "accumulate.py", "copy_panel(bias, p", "copy_panel(bias * bias, p", "LLVM IR, assembly, Python"),
    "scaled current": ("add_rows", "accumulate.py", "cursors[t * count + i] = e", "cursors[t * count + i] = e\n                            current[p, t, at + i, 0] *= bias[p, 0]", "LLVM IR, assembly, Python"),
    "scaled by a shift": ("add_rows", "accumulate.py", "cursors[t * count + i] = e", "cursors[t * count + i] = channels[e] * 4", "LLVM IR, Python"),
    "a library's product": ("add_rows", "accumulate.py", "n_events = 0\n", "n_events = int(np.dot(bias[0], bias[0]))\n", "LLVM IR, Python"),
    "a quotient of channels": ("pool3x3", "pooling.py", "insert(bits, channels[e])", "insert(bits, channels[e] // 3)", "LLVM IR, Python"),
    "shifted channel": ("pool3x3", "pooling.py", "insert(bits, channels[e])", "insert(bits, channels[e] << 1)", "LLVM IR, Python"),
    "scaled channel": ("pool3x3", "pooling.py", "insert(bits, channels[e])", "insert(bits, channels[e] * channels[e])", "LLVM IR, Python"),
    "product in a callee": ("pool3x3", "bitset.py", "builder.add(builder.load(entry, align=2), repeated)", "builder.mul(builder.load(entry, align=2), repeated)", "LLVM IR, assembly"),
    "scaled in a kernel that others call": ("insert", "bitset.py", "bits[channel >> 6] |= ONE <<", "bits[channel * 5 >> 6] |= ONE * np.uint64(channel * 3) <<", "LLVM IR, Python"),
    "shifted event": ("intersect", "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = a_channels[e] << 3", "LLVM IR, Python"),
    "scaled event": ("intersect", "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = a_channels[e] * b_channels[0]", "LLVM IR, Python"),
    "scaled count": ("sum_tokens", "attention.py", "sums[pair, channels[e]] += 1", "sums[pair, channels[e]] *= 3", "LLVM IR, Python"),
    "scaled sum of a checked layer": ("add_rows_checked", "fixed.py", "total = current[p, t, at + i, o] + panels", "total = current[p, t, at + i, o] * panels", "LLVM IR, Python"),
    "halved weights": ("add_rows_checked", "fixed.py", "+ panels[p, weight, o]", "+ (panels[p, weight, o] >> 1)", "LLVM IR, Python"),
    "halved channel": ("intersect", "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = a_channels[e] >> 1", "LLVM IR, Python"),
    "halved channel, by way of an int": ("intersect", "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = int(a_channels[e]) >> 1", "LLVM IR"),
    "a bit more in a channel": ("intersect", "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = a_channels[e] | 4", "Python"),
    "an operation that no addend has": ("intersect", "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = -(-a_channels[e])", "Python"),
    "fused, through a pointer": ("add_rows", "vector.py", "totals = [add(total, row) for total, row in zip(sums, loaded, strict=True)]", THROUGH_A_POINTER, "LLVM IR"),
    "an exempt kernel multiplies registers": ("requantise", "fixed.py", "return b.ashr(b.add(y, add), right)", "return b.ashr(b.mul(y, add), right)", "LLVM IR, assembly, Python"),
    "an exempt kernel does not multiply": ("conv3x3_analog", "vector.py", "product = builder.fmul(value, weights.load(element, k))", "product = weights.load(element, k)", "Python"),
}  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_multiplication_is_found(tmp_path: Path, name: str) -> None:
    kernel, file, old, new, where = PLANTED[name]
    library = (
        "kernels/accumulate.py",
        "from .policy import kernel",
        "import numpy as np\n\nfrom .policy import kernel",
    )
    with changed_copy(tmp_path, library, (f"kernels/{file}", old, new), jit=True) as package:
        of = evidence(package, "exercises").NumberTypes
        numbers = of(np.int32, np.int32) if file == "fixed.py" else of(np.float32, np.float32)
        if kernel not in TYPES:
            numbers = of()
        (found,) = evidence(package, "addition_only").addition_only(exercised={kernel: (numbers,)}).kernels
    assert not found.holds
    (code,) = found.codes
    assert bool(found.refused) == ("Python" in where)
    in_ir = (
        code.ir.on_data
        if found.exemption is None
        else [line for line in code.ir.on_data if addition_only.operation(line) not in ("shl", "ashr")]
    )
    assert bool(in_ir) == ("LLVM IR" in where)
    if code.machine is not None:
        assert bool(code.on_data) == ("assembly" in where)


@pytest.mark.campaign
def test_a_kernel_that_nobody_inspects_is_found(tmp_path: Path) -> None:
    new = (
        "kernels/pooling.py",
        "@kernel\ndef pool3x3",
        "@kernel\ndef scale(x):\n    return 2 * x\n\n\n@kernel\ndef pool3x3",
    )
    with changed_copy(tmp_path, new, jit=True) as package:
        found = evidence(package, "addition_only").addition_only(exercised={})
        assert found.unknown == ("scale",)
        assert not found.holds


def test_an_operation_that_nothing_exempts_is_found() -> None:
    result = sdt_ref.load(threads=1)(np.zeros((1, 3, 32, 32)))
    found = addition_only.addition_only(result, {})
    assert found.holds
    result.stage_counts["bias"]["head"].mac[0] = 1
    assert not addition_only.addition_only(result, {}).holds


@pytest.mark.parametrize("network", [SMALL, DVS])
@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_what_multiplies_is_counted_as_the_shapes_say(network: Network, arithmetic: str) -> None:
    model, x = model_of(network, arithmetic), input_of(network)
    result = model(x, record=True)
    found = addition_only.addition_only(result, {}, expected=addition_only.expected_counts(model, x, result))
    assert found.holds
    assert found.counted == found.expected
    assert len(found.counted) == (0 if arithmetic == "fixed" else 4)


NOT_COUNTED = {
    "leak": ("engine/neuron.py", '{"ac": 1, "mac": 1}', '{"ac": 1}'),
    "token_mean": ("network/head.py", "ac=B * H * W * u.n_channels, mac=divisions)", "ac=B * H * W * u.n_channels)"),
    "time_mean": ("network/head.py", "0 if fixed else total.size", "0"),
    "MS_SPS_proj_conv": ("engine/synapse.py", "self.widths @ sum(taps) * self.n_inputs", "self.widths @ sum(taps)"),
}


@pytest.mark.campaign
@pytest.mark.parametrize("name", NOT_COUNTED)
def test_a_product_that_is_not_counted_is_found(tmp_path: Path, name: str) -> None:
    with changed_copy(tmp_path, NOT_COUNTED[name]) as package:
        model, x, of = model_of(SMALL, package=package), input_of(SMALL), evidence(package, "addition_only")
        result = model(x, record=True)
        found = of.AdditionOnly(None, (), (), of.counted_products(result), of.expected_counts(model, x, result))
        assert found.counted.get(name) != found.expected[name]
        assert not found.holds


BETWEEN = {
    "a dense product of spikes and weights": ("engine/synapse.py", "        cursors = np.empty(steps * size, np.int64)\n", "        cursors = np.empty(steps * size, np.int64)\n        dense = np.einsum('rc,co->ro', events.to_dense().reshape(-1, synapse.n_inputs), synapse.layer().weight)\n", "np.einsum"),
    "a product by operator": ("engine/storing.py", "+= residual.panels[:, :, first : first + count]", "+= 1 * residual.panels[:, :, first : first + count]", "1 * residual.panels[:, :, first:first + count]"),
    "in place": ("network/sdsa.py", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")\n        k *= 1", "k *= 1"),
    "a name inside a listed product": ("engine/synapse.py", "self.widths @ sum(rows)", "self.widths @ np.multiply(1, sum(rows))", "np.multiply"),
    "a name of its own": ("network/mlp.py", "from ..engine.current import", "from operator import mul\n\nfrom ..engine.current import", "import mul"),
    "another library": ("engine/set_operations.py", "import numpy as np\n", "import numpy as np\nimport scipy.signal\n", "import scipy.signal"),
    "a mean": ("network/sdsa.py", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")\n        k.offsets.mean()", "k.offsets.mean()"),
    "at the first convolution": ("network/encoder.py", "return AnalogCurrent(self, image, time_steps)", "return AnalogCurrent(self, image * image, time_steps)", "image * image"),
    "at the head": ("network/head.py", "total += tokens[:, :, :, n]", "total += tokens[:, :, :, n] * total", "tokens[:, :, :, n] * total"),
    "where operations are counted": ("engine/counting.py", "    padded[:steps] = values\n", "    padded[:steps] = values * values\n", "values * values"),
    "where registers are entered": ("fixed/registers.py", "add[:], even[:] = np.maximum(half - 1, 0), shift > 0", "add[:], even[:] = np.maximum(half - 1, 0) * half, shift > 0", "np.maximum(half - 1, 0) * half"),
    "a listed product, once more": ("network/sps.py", "        self.pools = config.pools\n", "        self.pools = config.pools\n        half = self.pools\n        self.twice = 2 * half\n", "2 * half"),
    "a size that is made of data": ("engine/neuron.py", "        T, n, C = current.grid[0], positions(current.grid), current.n_channels\n", "        T, n, C = current.grid[0], positions(current.grid), current.n_channels\n        C = self.threshold\n", "T * size * C"),
    "an attribute that is set to data": ("engine/synapse.py", "self.n_channels = synapse.n_outputs", "self.n_channels = synapse.bias", "n * current.n_channels"),
    "the greatest weight": ("engine/synapse.py", "np.empty(steps * size, np.int64)", "np.empty(steps * synapse.panels.max(), np.int64)", "steps * synapse.panels.max()"),
    "a shift": ("engine/set_operations.py", "return sums.reshape(T, B, -1)", "return sums.reshape(T, B, -1) << 0", "sums.reshape(T, B, -1) << 0"),
}  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("name", BETWEEN)
def test_a_product_between_the_kernels_is_found(tmp_path: Path, name: str) -> None:
    file, old, multiplying, found = BETWEEN[name]
    with changed_copy(tmp_path, (file, old, multiplying)) as package:
        read = evidence(package, "between").between_kernels()
    assert any(text.endswith(f": {found}") for each in read for text in each.found)


def test_every_module_of_engine_and_network_is_read() -> None:
    folder = Path(sdt_ref.__file__).parent
    files = {*folder.glob("engine/**/*.py"), *folder.glob("network/**/*.py"), folder / "fixed/registers.py"}
    read = between.between_kernels()
    assert all(each.holds for each in read)
    assert sum(each.lines for each in read) == sum(len(file.read_text().splitlines()) for file in files)
    assert len(read) == len(files)


def test_every_product_that_is_listed_stands_there() -> None:
    trees = [ast.parse(source) for source in between.sources().values()]
    sizes = Sizes(trees)
    there = Counter(text for tree in trees for _, text in between.products_of(tree, sizes) if text)
    assert there == Counter(text for texts in between.LISTED.values() for text in texts)


SIZES_IN_PYTHON = {
    "2 * 3": True,
    "x.shape[0] * len(x)": True,
    "x.n_channels // kernels.PANEL": True,
    "max(1, -(-count // 64)) * x.dtype.itemsize": True,
    "math.prod(x.shape[1:])": True,
    "[x] * count": True,
    "T * rows(x)": True,
    "T * H": True,
    "T * a": False,
    "T * b": False,
    "T * c": False,
    "k * k": True,
    "i * T": True,
    "LIMIT // T": True,
    "x * 2": False,
    "2.0 * T": False,
    "x[0] * T": False,
    "int(x[0]) * T": False,
    "x.max() * T": False,
    "max(x) * T": False,
    "weight * T": False,
    "first * T": False,
    "total * T": False,
    "item * T": False,
    "data(x) * T": False,
    "unknown * T": False,
    "x.bits * T": False,
}


@pytest.mark.parametrize("expression", SIZES_IN_PYTHON)
def test_what_is_a_size(expression: str) -> None:
    """Names are sizes by all that they are bound to, in the function around them and in the module."""
    module = ast.parse(f"""
LIMIT = 1 << 18

def rows(x) -> int:
    return x.shape[0] * 2

def data(x) -> int:
    return int(x[0])

def of(x: np.ndarray, count: int, weight: np.ndarray, first):
    T, _, H, W = x.shape
    total = 0
    [a, H_again] = x
    (b, (c, d)) = x
    for k in range(T * H):
        total += x[k]
    for i, item in enumerate(x):
        pass
    return {expression}
""")
    returned = module.body[-1].body[-1]  # type: ignore[attr-defined]
    assert Sizes([module]).holds(returned.value) == SIZES_IN_PYTHON[expression]


@pytest.mark.slow
def test_what_multiplies_is_shown(
    tmp_path: Path, quick: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with changed_copy(
        tmp_path, ("kernels/pooling.py", "insert(bits, channels[e])", "insert(bits, channels[e] * 3)"), jit=True
    ) as package:
        of = evidence(package, "exercises").NumberTypes
        found = evidence(package, "addition_only").addition_only(exercised={"pool3x3": (of(),)})
    quick.setattr(addition_only, "addition_only", lambda result, progress, expected: found)
    assert claims.main([]) == 1
    screen = capsys.readouterr().out
    assert re.search(r"pool3x3 FAILS .* refuses \*\n", screen)
    assert "pool3x3: Python: '*'\n" in screen
    assert re.search(r"pool3x3: events: %\S+ = mul .*\n", screen)
    assert screen.endswith("Claims that fail: 2.\n")


@pytest.mark.slow
def test_unknown_machines_are_told(quick: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    quick.setattr(platform, "machine", lambda: "riscv64")
    assert claims.main([]) == 0
    assert "The assembly was NOT read" in capsys.readouterr().out


def test_without_a_compiler_there_is_no_code_to_read(tmp_path: Path) -> None:
    with changed_copy(tmp_path) as package, pytest.raises(package.ConfigError, match="NUMBA_DISABLE_JIT: expected"):
        evidence(package, "addition_only").addition_only()


def test_code_from_the_cache_is_not_mistaken_for_clean_code() -> None:
    with pytest.raises(ValueError, match="loaded from the cache"):
        llvm_ir.read("", lambda name: True)
    with pytest.raises(ValueError, match="loaded from the cache"):
        assembly.read("\t.text\n", assembly.X86_64)


def test_mangled_names() -> None:
    mangled = "_ZN7sdt_ref7kernels6bitset6insertB2v1B40c8tJTIeFIjxB2IKSgI4CrvQ"
    assert llvm_ir.dotted(mangled) == "sdt_ref.kernels.bitset.insert"
    assert llvm_ir.dotted("NRT_incref") == ""


ON_DATA = {
    assembly.X86_64: [
        "vmulps %zmm0, %zmm1, %zmm2", "mulsd %xmm0, %xmm1", "vdivpd %ymm1, %ymm2, %ymm3", "vfmadd231ps %zmm0, %zmm1, %zmm2",
        "vfnmsub213sd %xmm0, %xmm1, %xmm2", "vpmulld %ymm0, %ymm1, %ymm2", "pmullw %xmm0, %xmm1", "vpmulhuw %ymm0, %ymm1, %ymm2",
        "vpmaddwd %zmm0, %zmm1, %zmm2", "vpdpbusd %zmm0, %zmm1, %zmm2", "fmulp %st, %st(1)", "vmulph %zmm0, %zmm1, %zmm2",
        "vsqrtps %zmm0, %zmm1", "vpmaddubsw %ymm0, %ymm1, %ymm2", "fmull 8(%rsp)",
    ],
    assembly.AARCH64: [
        "fmul v4.4s, v4.4s, v0.s[0]", "fmul.4s v0, v1, v2", "fmadd d0, d1, d2, d3", "fmla v0.2d, v1.2d, v2.2d", "fnmul s0, s1, s2",
        "fdiv v0.4s, v1.4s, v2.4s", "mul v0.4s, v1.4s, v2.4s", "mul.8h v0, v1, v2", "mla v0.8h, v1.8h, v2.8h", "sdot v0.4s, v1.16b, v2.16b",
        "smull v0.4s, v1.4h, v2.4h", "sqdmulh v0.4s, v1.4s, v2.4s", "mul z0.s, p0/m, z0.s, z1.s", "umlal2 v0.4s, v1.8h, v2.8h",
    ],
}  # fmt: skip
OF_EITHER = {
    assembly.X86_64: ["imulq %rax, %rcx", "imull $3, %eax, %ecx", "mulxq %rax, %rcx, %rdx", "idivq %rcx", "vpmullq %zmm0, %zmm1, %zmm2", "pmuludq %xmm0, %xmm1"],
    assembly.AARCH64: ["mul x14, x26, x26", "madd x1, x2, x3, x4", "umulh x0, x1, x2", "sdiv x0, x1, x2", "mul z0.d, p0/m, z0.d, z1.d", "smull x0, w1, w2"],
}  # fmt: skip
NEITHER = {
    assembly.X86_64: ["vaddps %zmm0, %zmm1, %zmm2", "paddd %xmm0, %xmm1", "shlq $6, %rax", "leaq (%rax,%rax,2), %rcx", "vmovdqu64 %zmm0, (%rax)", "vpermt2d %zmm0, %zmm1, %zmm2", "callq *%rax", "vfmulfoo", "popcntq %rax, %rcx"],
    assembly.AARCH64: ["fadd v0.4s, v1.4s, v2.4s", "add x0, x1, x2, lsl #6", "fmov d0, x1", "fmax v0.4s, v1.4s, v2.4s", "lsl x0, x1, #6", "movi v0.2d, #0", "cmge v0.4s, v1.4s, v2.4s", "fcmge v0.4s, v1.4s, v2.4s"],
}  # fmt: skip


@pytest.mark.parametrize("architecture", ON_DATA, ids=lambda architecture: architecture.name)
def test_instructions_that_multiply(architecture: assembly.InstructionSet) -> None:
    lines = [*ON_DATA[architecture], *OF_EITHER[architecture], *NEITHER[architecture]]
    text = "_ZN7cpython3abc:\n\tmulsd %xmm0, %xmm1\n\tfmul d0, d1, d2\n_ZN3abc:\n.LBB0_1:\n" + "".join(
        f"\t{line}\n" for line in lines
    )
    found = assembly.read(text, architecture)
    assert found.instructions == len(lines)
    assert list(found.on_data) == ON_DATA[architecture]
    assert list(found.on_either) == OF_EITHER[architecture]


ELSEWHERE = {
    "AArch64": ("aarch64-unknown-linux-gnu", "", ""),
    "AArch64 with SVE": ("aarch64-unknown-linux-gnu", "", "+sve2"),
    "SSE2": ("x86_64-unknown-linux-gnu", "x86-64", ""),
    "AVX2": ("x86_64-unknown-linux-gnu", "haswell", ""),
}


@pytest.fixture(scope="module")
def compiled() -> dict[str, str]:
    """IR of two kernels: one that adds, one that multiplies."""
    made = {}
    for name in ("add_rows", "lif_steps"):
        kernel = numba.njit(nogil=True)(getattr(kernels, name).py_func)
        kernel(*EXERCISES[name](NumberTypes(np.float32, np.float32))[0])
        made[name] = kernel.inspect_llvm(kernel.signatures[0])
    return made


@pytest.mark.slow
@ON_X86
@pytest.mark.parametrize("machine", ELSEWHERE)
def test_the_kernels_add_only_on_other_processors(compiled: dict[str, str], machine: str) -> None:
    """LLVM compiles the same IR for them."""
    triple, cpu, features = ELSEWHERE[machine]
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)

    def read(name: str) -> assembly.AssemblyReading:
        text = re.sub(r"target (triple|datalayout) = .*", "", compiled[name])
        text = re.sub(r'"target-(cpu|features)"="[^"]*"', "", text)
        text = re.sub(r"= (tail )?call i8 @llvm\.x86\.atomic.*", "= add i8 0, 0", text)  # a reference count
        return assembly.read(target.emit_assembly(llvm.parse_assembly(text)), architecture)

    architecture = assembly.ARCHITECTURES[triple.split("-")[0]]
    assert read("add_rows").on_data == ()
    assert read("lif_steps").on_data


@pytest.mark.parametrize("operation", [
    lambda x: x * 2, lambda x: 2 * x, lambda x: np.float32(2) * x, lambda x: x / 2, lambda x: 1 / x, lambda x: x // 2, lambda x: 7 // x,
    lambda x: x % 2, lambda x: divmod(x, 2), lambda x: x**2, lambda x: x << 1, lambda x: 1 << x, lambda x: x @ x,
    lambda x: x | 1, lambda x: 1 ^ x, lambda x: ~x, lambda x: 64 >> x, lambda x: Addend(x >> 1),
    lambda x: np.array([1, 2]) * x, lambda x: addends(np.arange(3)) * x, lambda x: np.dot(addends(np.arange(3)), addends(np.arange(3))),
])  # fmt: skip
def test_an_addend_cannot_be_multiplied(operation: Callable[[Any], Any]) -> None:
    for number in (Addend(3), Place(3)):
        with pytest.raises(Refused):
            operation(number)


def test_an_addend_adds_and_compares() -> None:
    assert (Addend(3) + 4 - Addend(2)).value == 5
    assert (1 - Addend(3)).value == -2
    assert max(Addend(2), Addend(3)) == 3
    assert Addend(2) >= 2 > Addend(1)
    with pytest.raises(TypeError):
        int(Addend(3))
    with pytest.raises(TypeError):
        float(Addend(3))  # type: ignore[arg-type]
    assert [10, 11, 12][Place(1) + 1] == 12
    array = addends(np.zeros(3))
    array[1] = 4
    assert all(isinstance(number, Addend) for number in array)


def test_interpreted_kernels_call_interpreted_kernels() -> None:
    assert interpreted(kernels.pool3x3).__globals__["insert"].__name__ == "insert"
    assert not hasattr(interpreted(kernels.pool3x3).__globals__["insert"], "py_func")


# --- linear -----------------------------------------------------------------------------------------------------------


def test_the_patterns_keep_their_rate_and_costs_are_literal() -> None:
    found = linear.linear_complexity(*SIZES)
    assert found.holds
    first, last = found.growths[0].costs[0], found.growths[0].costs[-1]
    assert (first.spikes, last.spikes) == (3 * 16 * 32 // 4, 3 * 64 * 32 // 4)
    assert (first.softmax, last.softmax) == (2 * 16**2 * 32, 2 * 64**2 * 32)
    assert [growth.slope("additions") for growth in found.growths] == [1.0, 1.0]
    assert [growth.slope("softmax") for growth in found.growths] == [2.0, 1.0]


NOT_LINEAR = {
    "pairs of tokens counted": ("network/sdsa.py", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")", "run.count_other(\"attention\", self.talking_heads_lif.module, ac=kv.events_per_step() * kv.n_tokens)"),
    "all neurons counted": ("network/sdsa.py", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")\n        run.count_other(\"attention\", self.talking_heads_lif.module, ac=5)"),
    "all tokens again for each one": ("network/sdsa.py", "        kv = intersect(k, v, run, self.kv)", "        for _ in range(k.n_tokens):\n            intersect(k, v, Run(run.time_steps, 1), self.kv)\n        kv = intersect(k, v, run, self.kv)"),
    "the mask read by each token": ("kernels/attention.py", "        if i == 0 or row % rows_per_b == 0:", "        if True:"),
    "pairs of tokens, in NumPy": ("network/sdsa.py", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")", "run.count_each(\"attention\", self.talking_heads_lif.module, kv, \"ac\", \"events\")\n        for _ in range(k.n_tokens):\n            np.add(k.channels, 0)"),
    "pairs of tokens visited": ("kernels/attention.py", "            sums[pair, channels[e]] += 1", "            for _ in range(n_tokens):\n                sums[pair, channels[e]] += 1"),
    "pairs of channels visited": ("kernels/attention.py", "            common[n_events] = a_channels[e]", "            for _ in range(a_offsets[row], a_offsets[row + 1]):\n                common[n_events] = a_channels[e]"),
}  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("name", NOT_LINEAR)
def test_attention_that_is_not_linear_is_found(tmp_path: Path, name: str) -> None:
    with changed_copy(tmp_path, NOT_LINEAR[name]) as package:
        assert not evidence(package, "linear").linear_complexity(*SIZES).holds


# --- mask and add -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_attention_is_mask_and_add() -> None:
    found = mask_and_add.masks_and_adds(sizes=FEW, dvs_sizes=(*FEW, (1, 3, 1), (4, 1, 1)))
    assert found.holds
    by_neuron = {tried.neuron: tried for tried in found.exhaustions}
    assert by_neuron["LIF"].cases == 2**6 + 2**6 + 2 * 2**12
    assert by_neuron["PLIF, w = 0"].rule == "OR"
    assert by_neuron["PLIF, w = -1.5"].rule == "count"
    assert by_neuron["PLIF, w = -1.5"].witness == mask_and_add.Witness((1,), (1,), (0,))


@pytest.mark.parametrize("arithmetic", ["float64", "fixed"])
def test_the_attention_of_a_network_that_counts(arithmetic: str) -> None:
    """A PLIF with a small leak, in floating point and in registers."""
    weights = weights_of(dataclasses.replace(SMALL, spike_mode="plif"))
    for name in weights.tensors:
        if name.endswith("talking_heads_lif.w"):
            weights.tensors[name][...] = -1.5
    model = sdt_ref.SpikeDrivenTransformer(weights, arithmetic, 1)
    tried = mask_and_add.masks_and_adds(model, FEW, FEW).exhaustions[0]
    assert (tried.neuron, tried.rule, tried.wrong) == (f"block 0, {arithmetic}", "count", 0)
    assert tried.holds


@pytest.mark.slow
@pytest.mark.parametrize(("fraction", "rule"), [(1, "OR"), (4, "OR"), (12, "count")])
def test_registers_decide_whether_an_attention_is_an_or(fraction: int, rule: str) -> None:
    """A leak below 1/2 whose product with one spike is rounded up to the threshold, or not."""
    formats = f'schema_version = 1\n[default]\nmembrane = {{ leak = "2^-1 - 2^-6", bits = 16, fraction = {fraction} }}'
    model = model_of(WIDE, "fixed", formats=formats)
    found = mask_and_add.masks_and_adds(model, FEW, FEW, result=model(input_of(WIDE), record=True))
    assert found.exhaustions[0].rule == rule
    assert found.holds
    assert bool(Accountant(model).account(input_of(WIDE)).early_exit) == (rule == "OR")


@pytest.mark.parametrize("threshold", [0.49, 0.51])
def test_an_lif_must_be_an_or(monkeypatch: pytest.MonkeyPatch, threshold: float) -> None:
    monkeypatch.setattr(lone_attention, "ATTENTION_THRESHOLD", threshold)
    found = mask_and_add.masks_and_adds(sizes=FEW, dvs_sizes=FEW).exhaustions[0]
    assert (found.neuron, found.rule, found.holds) == ("LIF", "OR", threshold < 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("network", [WIDE, DVS])
@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_the_spikes_of_a_run_are_mask_and_add(network: Network, arithmetic: str) -> None:
    model = model_of(network, arithmetic)
    (seen,) = mask_and_add.masks_and_adds(model, FEW, FEW, result=model(input_of(network), record=True)).recorded
    assert seen.holds
    assert seen.most > (8 if network is WIDE else 0)
    assert seen.compared == (2 * seen.tokens + 1) * seen.channels * network.time_steps * network.batch


def test_all_spikes_are_all() -> None:
    (batch,) = boolean_attention.all_spikes((1, 2, 1))
    assert batch.shape == (3, 1, 64, 2, 1)
    assert len({tuple(case.ravel()) for case in np.moveaxis(batch, 2, 0)}) == 64


NOT_MASK_AND_ADD = {
    "two spikes needed": ("weights/folding.py", "ATTENTION_THRESHOLD = 0.5", "ATTENTION_THRESHOLD = 1.0"),
    "another operand": ("network/sdsa.py", "z = intersect(q, mask, run, self.masked)", "z = intersect(k, mask, run)"),
    "no mask": ("network/sdsa.py", "z = intersect(q, mask, run, self.masked)", "z = q"),
    "OR for AND": ("network/sdsa.py", "kv = intersect(k, v, run, self.kv)", "kv = k"),
    "OR for a neuron that counts": ("network/sdsa.py", "lif.counts(count, tokens)", "lif.counts(np.minimum(count, 1), tokens)"),
    "pool of dvs mode forgotten": ("network/sdsa.py", "            z = pool_tokens(z, self.heads, run, self.masked)", "            pass"),
    "heads forgotten": ("network/sdsa.py", "            kv = pool_tokens(kv, self.heads, run, self.kv)", "            kv = pool_tokens(kv, 1, run)"),
}  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("name", NOT_MASK_AND_ADD)
def test_attention_that_is_not_mask_and_add_is_found(tmp_path: Path, name: str) -> None:
    sizes = ((1, 2, 1), (1, 1, 2))
    with changed_copy(tmp_path, NOT_MASK_AND_ADD[name]) as package:
        found = evidence(package, "mask_and_add").masks_and_adds(sizes=((1, 3, 1),), dvs_sizes=sizes)
        assert any(tried.wrong for tried in found.exhaustions)


NOT_IN_A_RUN = {
    "one word of a set": [("kernels/bitset.py", "    bits[channel >> 6] |= ONE", "    bits[0] |= ONE"), ("kernels/bitset.py", "int((bits[channel >> 6] >>", "int((bits[0] >>")],
    "silent beyond eight tokens": [("network/sdsa.py", "lif.counts(count, tokens)", "lif.counts(np.where(count > 8, 0, count), tokens)")],
}  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("name", NOT_IN_A_RUN)
def test_attention_that_goes_wrong_in_a_large_network_is_found(tmp_path: Path, name: str) -> None:
    with changed_copy(tmp_path, *NOT_IN_A_RUN[name]) as package:
        model, of = model_of(WIDE, package=package), evidence(package, "mask_and_add")
        found = of.masks_and_adds(model, ((1, 2, 1),), ((1, 2, 1),), result=model(input_of(WIDE), record=True))
        assert all(tried.wrong == 0 for tried in found.exhaustions)
        assert not found.holds
