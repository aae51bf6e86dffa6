"""What a trace and a dump may say: whatever contradicts itself, or claims too much, is refused in one line."""

import json
import os
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import compare as command
from sdt_ref.golden import header as header_module
from sdt_ref.golden import trace_file
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.hdf5 import apart
from tests.golden.edits import signed

Capture = pytest.CaptureFixture[str]

Q = "block.0.attn.q_lif"
NEURON = ("neuron", "stages", Q)


def edited(path: Path, edit: Any) -> Path:
    """The trace with a change, under a hash that fits."""
    with h5py.File(path, "a") as file:
        known = {f"{stage}/{quantity}" for stage, group in file["records"].items() for quantity in group}
        edit(file)
        signed(file, known)
    return path


def with_header(path: Path, at: tuple[str, ...], value: Any) -> Path:
    def edit(file: h5py.File) -> None:
        table = json.loads(bytes(file["header"][()]).decode())
        place = table
        for key in at[:-1]:
            place = place[key]
        place[at[-1]] = value
        del file["header"]
        file["header"] = np.bytes_(json.dumps(table).encode())

    return edited(path, edit)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("architecture", "depth"), 10**7, "architecture: depth: expected 1 to 10000, found 10000000"),
        (("architecture", "depth"), 9000, "architecture: depth: expected no more than the 12 stages of neurons, found 9000"),
        (("architecture", "dim"), 10**9, "architecture: dim: expected 1 to 65536, found 1000000000"),
        (("architecture", "dim"), 12, "architecture: dim: expected a multiple of 8, found 12"),
        (("architecture", "hidden"), True, "architecture: hidden: expected 1 to 65536, found True"),
        (("architecture", "spike_mode"), ["lif"], "architecture: spike_mode: expected lif or plif, found ['lif']"),
        (("config", "num_heads"), 3, "config: num_heads: expected a divisor of 16 channels, found 3"),
        (("config", "pooling_stat"), 5, "setting 'pooling_stat': expected four characters of 0 and 1"),
        (("formats",), "a", "header: formats: expected TOML"),
        (("formats",), 3, "header: formats: expected a text, found 3"),
        (("parameters",), "f" * 63, "header: parameters: expected a sha256, found 'fff"),
        (("time_steps",), 0, "header: time_steps: expected 1 or more, found 0"),
        (("time_steps",), 10**15, "header: operations: patch_embed.proj_conv: ac: expected a number for each of 1000"),
        (("steps",), [0, 2, 1], "header: steps: expected each once, in order, found [0, 2, 1]"),
        (("steps",), [0, 3], "header: steps: expected 0 to 2, found 3"),
        (("steps",), [], "header: steps: expected time steps, found []"),
        (("neuron", "fire"), "h > threshold", "header: neuron: fire: expected 'spike = h >= threshold', found 'h > "),
        ((*NEURON, "threshold"), 16, f"header: neuron: {Q}: threshold: expected -16 to 15, found 16"),
        ((*NEURON, "threshold"), 4.0, f"header: neuron: {Q}: threshold: expected -16 to 15, found 4.0"),
        ((*NEURON, "leak"), "2^1", f"header: neuron: {Q}: leak: expected signed powers of two"),
        ((*NEURON, "bits"), 6, f"header: neuron: {Q}: bits: expected 5, found 6"),
        ((*NEURON, "overflow"), "wrap", f"header: neuron: {Q}: overflow: expected 'saturate', found 'wrap'"),
        (("neuron", "stages", "more"), {}, "header: neuron: stages: expected one of 12 names"),
        (("overflows", "nothing.membrane"), [0, 0, 0], "header: overflows: expected one of"),
        (("overflows", "input"), [0, -1, 0], "header: overflows: input: expected 0 or more, found -1"),
        (("operations", "head", "ac"), [0, 0], "operations: head: ac: expected a number for each of 3 time steps"),
        (("operations", "head", "x"), [0, 0, 0], "header: operations: head: expected one of 4 names, such as 'ac', found 'x'"),
        (("arithmetic",), "int8", "header: arithmetic: expected float32 or float64 or fixed, found 'int8'"),
        (("arithmetic",), "float32", "header: formats: expected none of float32"),
        (("more",), 1, "header: expected one of 11 names, such as 'architecture', found 'more'"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_is_refused(golden: Path, at: tuple[str, ...], value: Any, message: str) -> None:
    with pytest.raises(sdt_ref.TraceError) as refused, open_trace(with_header(golden, at, value)):
        pass
    assert message in str(refused.value)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"1" * 5000, b'{"a": NaN}', b"\xff\xfe", b"{}", b"null"])
def test_a_text_that_is_no_header_is_refused(golden: Path, text: bytes) -> None:
    def edit(file: h5py.File) -> None:
        del file["header"]
        file["header"] = np.bytes_(text)

    with pytest.raises(sdt_ref.TraceError), open_trace(edited(golden, edit)):
        pass


def test_nothing_is_built_from_a_claim(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    monkeypatch.setattr(trace_file, "wiring", lambda *sizes: built.append(sizes))
    with pytest.raises(sdt_ref.TraceError), open_trace(with_header(golden, ("architecture", "depth"), 10**7)):
        pass
    assert not built
    monkeypatch.setattr(header_module, "LONGEST", 100)
    monkeypatch.setattr("sdt_ref.golden.validation.LONGEST", 100)
    with pytest.raises(sdt_ref.TraceError, match=r"header: expected at most 100 bytes, found"), open_trace(golden):
        pass


@pytest.mark.parametrize("name", ["format", "schema_version", "sha256"])
def test_a_damaged_text_beside_the_records_does_not_run_without_end(
    golden: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in tests/hdf5: HDF5 walks a heap of texts of variable length for ever where one has no size."""
    monkeypatch.setattr(apart, "SECONDS", 1)
    with h5py.File(golden, "a") as file:
        file.attrs[name] = "text"
    content = bytearray(golden.read_bytes())
    at = content.index(b"GCOL") + 16
    content[at + 24 : at + 40] = bytes(16)  # behind the one text, 16 bytes of head and 8 of its own
    golden.write_bytes(content)
    expected = "expected text of fixed length|expected text, found damage"
    with pytest.raises(sdt_ref.TraceError, match=f"attribute '{name}': ({expected})"), open_trace(golden):
        pass


def _with(name: str, change: Any) -> Any:
    def edit(file: h5py.File) -> None:
        values, attributes = file[name][()], dict(file[name].attrs)
        del file[name]
        file[name] = change(values)
        file[name].attrs.update(attributes)

    return edit


def _labels(name: str, **values: Any) -> Any:
    return lambda file: file[f"records/{name}"].attrs.update(values)


def _at_least(values: np.ndarray) -> np.ndarray:
    changed = values.astype(np.int16)
    changed[1, 1, 3] = 16
    return changed


def _swapped(channels: np.ndarray) -> np.ndarray:
    return np.concatenate([channels[1::-1], channels[2:]])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_with(f"records/{Q}/h", _at_least), f"record '{Q}/h': expected -16 to 15, which 5 bits hold, found 16"),
        (_with(f"records/{Q}/spikes/channels", _swapped), f"events in the shape of '{Q}/spikes'"),
        (_labels(f"{Q}/h", bits=6), f"record '{Q}/h': bits: expected 5, found 6"),
        (_labels(f"{Q}/h", fraction=[3]), f"record '{Q}/h': fraction: expected [2], found [3]"),
        (_labels(f"{Q}/sum", fraction=np.zeros(3, int)), f"record '{Q}/sum': fraction: expected [0], found [0, 0, 0]"),
        (_labels(f"{Q}/h", height=2, width=1), f"record '{Q}/h': height: expected 1, found 2"),
        (_labels(f"{Q}/h", channels=2**62), f"record '{Q}/h': channels: expected 16, found 4611686018427387904"),
        (_labels(f"{Q}/h", bits=5.0), f"record '{Q}/h': bits: expected a whole number, found 'float64 of shape ()'"),
        (lambda f: f.__setitem__("records/none/x", 1), "expected groups records/STAGE, found 'none'"),
        (lambda f: f.__setitem__(f"records/{Q}/y", 1), f"unknown record '{Q}/y'"),
        (_with(f"records/{Q}/h", lambda v: np.zeros(97, int)), f"record '{Q}/h': expected at most 96 numbers, found 97"),
        (_with("input", lambda x: x[..., :3, :]), "input: expected [1, 3, H, W] or [1, 3, 3, H, W] that the pools divide"),
        (_with("input", lambda x: np.full_like(x, np.nan)), "input: expected finite numbers in float64"),
        (_with("input", lambda x: x.astype("f4")), "input: expected finite numbers in float64, found float32"),
    ],
)  # fmt: skip
def test_records_that_cannot_be_are_refused(golden: Path, edit: Any, message: str) -> None:
    with pytest.raises(sdt_ref.TraceError) as refused, open_trace(edited(golden, edit)):
        pass
    assert message in str(refused.value)


def test_weights_of_another_network_are_not_those_of_the_trace(golden: Path) -> None:
    """The sizes in a header are no part of the hash of the parameters."""

    def edit(file: h5py.File) -> None:
        for stage in list(file["records"]):
            if stage != "head":
                del file[f"records/{stage}"]

    path = edited(with_header(golden, ("architecture", "hidden"), 40), edit)
    with (
        open_trace(path) as trace,
        pytest.raises(sdt_ref.TraceError, match=r"trace of another network: expected .*hidden=40.* found .*=24"),
    ):
        trace.parameters(golden.parent / "w.h5")


# --- dumps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"bits": 5, "fraction": [2], "height": 1, "width": 2, "channels": 16}, ""),
        ({"bits": np.int8(5), "fraction": 2}, ""),
        ({"fraction": np.full(16, 2)}, ""),
        ({"note": "by hand"}, ""),
        ({"bits": 6}, "bits: expected 5, found 6"),
        ({"fraction": 3}, "fraction: expected [2], found 3"),
        ({"fraction": [2] * 15 + [1]}, "fraction: expected [2], found [2, 2, 2, 2, 2, 2, 2, 2, ...]"),
        ({"height": 2, "width": 1}, "height: expected 1, found 2"),
        ({"channels": "16"}, "channels: expected 16, found object of shape ()"),
        ({"width": np.zeros(5000)}, "width: expected 2, found float64 of shape (5000,)"),
        ({"bits": h5py.Empty("i8")}, "bits: expected 5, found nothing"),
    ],
)  # fmt: skip
def test_what_a_dump_declares_is_compared(golden: Path, declared: dict[str, Any], message: str,
                                          capsys: Capture) -> None:  # fmt: skip
    dump = golden.parent / "dut.h5"
    with open_trace(golden) as trace, h5py.File(dump, "w") as file:
        file[f"records/{Q}/h"] = trace.values(f"{Q}/h")
        file[f"records/{Q}/h"].attrs.update(declared)
    assert command.main([str(golden), str(dump)]) == (2 if message else 0)
    assert message in capsys.readouterr().err


def test_fractions_of_a_trace_are_compared(golden: Path, capsys: Capture) -> None:
    """Those of an accumulator follow from the weights, so that no header contradicts them."""
    dump = Path(shutil.copy(golden, golden.parent / "dut.h5"))
    edited(dump, _labels(f"{Q}/sum", fraction=np.full(16, 7)))
    assert command.main([str(golden), str(dump)]) == 2
    assert f"record '{Q}/sum': fraction: expected [" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["h5", "npz", "csv", "mem"])
def test_what_is_no_plain_file_is_refused_at_once(golden: Path, form: str, capsys: Capture) -> None:
    pipe, folder = golden.parent / f"pipe.{form}", golden.parent / f"folder.{form}"
    os.mkfifo(pipe)
    folder.mkdir()
    for path, found in ((pipe, "found a pipe or a device"), (folder, "found a folder")):
        for arguments in ([str(golden), str(path)], [str(path), str(golden)]):
            assert command.main(arguments) == 2
            error = capsys.readouterr().err
            assert found in error
            assert error.count("\n") == 1


def test_an_archive_costs_no_more_memory_than_its_record(golden: Path, capsys: Capture) -> None:
    """Its header claims 200 MB, and so many zeros are packed there."""
    claimed = 200 << 20
    with (
        zipfile.ZipFile(golden.parent / "dut.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{Q}/h.npy", "w", force_zip64=True) as member,
    ):
        member.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", claimed))
        for _ in range(claimed >> 20):
            member.write(bytes(1 << 20))
    with open_trace(golden) as trace:
        tracemalloc.start()
        with pytest.raises(sdt_ref.TraceError, match=r"that numpy.savez wrote"):
            sdt_ref.golden.dumps.read_dump(str(golden.parent / "dut.npz"), trace)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dut.csv", "record,step,token,channel,value\n" + "a" * (2 << 20) + "\n", "line 2: expected at most 1,048,576"),
        ("dut.csv", "record,step,token,channel,value\n" + f"{Q}/h,0,0,0,1\n" * 97, f"line 98: expected 96 lines of '{Q}/h'"),
        ("dut.csv", "record,step,token,channel\n" + f"{Q}/spikes,0,0,0\n" * 97, f"line 98: expected 96 lines of '{Q}"),
        ("dut.mem", f"// record: {Q}/h\n" + " " * (2 << 20) + "\n", "expected at most 1,"),
        ("dut.mem", f"// record: {Q}/h\n" + "/* " * 200_000 + "\n", "line 2: expected hexadecimal digits, found '/*'"),
        ("dut.mem", f"// record: {Q}/h\x1b[31m\n00\n", r"unknown record 'block.0.attn.q_lif/h\x1b[31m'"),
    ],
)  # fmt: skip
def test_a_text_is_read_no_further_than_the_record_needs(golden: Path, name: str, text: str, message: str,
                                                         capsys: Capture) -> None:  # fmt: skip
    (golden.parent / name).write_text(text)
    assert command.main([str(golden), str(golden.parent / name)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_comment_that_is_not_closed_hides_nothing(golden: Path) -> None:
    """As in a path: '// out/*.mem'."""
    with open_trace(golden) as trace:
        words = "\n".join(["0" * 20] * 6)
        (golden.parent / "dut.mem").write_text(f"// record: {Q}/h of out/*.mem\n{words}\n")
        assert not sdt_ref.golden.dumps.read_dump(str(golden.parent / "dut.mem"), trace).values[f"{Q}/h"].any()
