"""Files of torch.save give the numbers that torch.load gives, in both of its formats."""

import argparse
import io
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdt_ref import WeightsError
from sdt_ref.weights.container import damage_named, opened
from sdt_ref.weights.made import Made
from sdt_ref.weights.stored import as_tensor
from sdt_ref.weights.torch_file import LEGACY_MAGIC
from tests.weights.test_pickled import Call

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")

FORMATS = {"zip": {}, "zip, protocol 5": {"pickle_protocol": 5}, "pickles": {"_use_new_zipfile_serialization": False}}


def numbers(tensor: Any) -> np.ndarray:
    found = as_tensor(tensor)
    assert found is not None
    found.require_floats("x")
    assert found.storage is not None
    return found.read("x", found.storage.held.read())


def tensors() -> dict[str, Any]:
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    complex_ones = torch.view_as_complex(torch.randn(3, 2))
    return {
        "whole": base, "column": base[:, 3], "turned": base.t(), "part": base[2:5, 1:7:2], "expanded": base[:1].expand(4, 8),
        "a number": torch.tensor(2.5), "double": base.double(), "half": base.half(), "brain": base.bfloat16(),
        "parameter": torch.nn.Parameter(base.clone()), "negated": complex_ones.conj().imag, "none": torch.zeros(0, 3),
        "fortran": base.t().contiguous().t(),
    }  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_the_numbers_are_those_of_torch(tmp_path: Path, name: str) -> None:
    path = tmp_path / "c.pth"
    made = tensors()
    if name == "pickles":
        del made["negated"]  # PyTorch refuses to write it so
    torch.save({**made, "args": argparse.Namespace(a=1)}, path, **FORMATS[name])
    with opened(path) as (content, _):
        assert list(content) == [*made, "args"]
        assert content["args"].state == {"a": 1}
        for key, tensor in made.items():
            if 0 in tensor.shape:
                continue
            expected = tensor.detach().resolve_neg()
            expected = expected.numpy() if tensor.dtype == torch.float64 else expected.float().numpy()
            np.testing.assert_array_equal(numbers(content[key]), expected, key, strict=True)


class Views(pickle.Pickler):
    """Writes a view of a storage as PyTorch did before version 0.4: its place is in the persistent id."""

    def persistent_id(self, saved: object) -> object:
        view = {"whole": None, "part": ("1", 4, 6)}.get(saved) if isinstance(saved, str) else None
        return ("storage", torch.FloatStorage, "0", "cpu", 10, view) if saved in ("whole", "part") else None


def test_views_of_the_older_format(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"

    def described(storage: str, count: int) -> Call:
        return Call(torch._utils._rebuild_tensor_v2, storage, 0, (count,), (1,), False, OrderedDict())

    with path.open("wb") as file:
        for content in (LEGACY_MAGIC, 1001, {"little_endian": True}):
            pickle.dump(content, file, 2)
        Views(file, 2).dump({"x": described("whole", 10), "y": described("part", 6)})
        pickle.dump(["0"], file, 2)
        file.write(struct.pack("<q", 10) + np.arange(10, dtype="<f4").tobytes())
    expected = {"x": np.arange(10, dtype=np.float32), "y": np.arange(4, 10, dtype=np.float32)}
    with opened(path) as (content, _):
        for name, values in expected.items():
            np.testing.assert_array_equal(torch.load(path, weights_only=True)[name], values)
            np.testing.assert_array_equal(numbers(content[name]), values)


def rezipped(path: Path, change: Any = lambda name, content: content, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path) as old:
        entries = {info.filename: old.read(info) for info in old.infolist()}
    other = path.with_name("rezipped.pth")
    with zipfile.ZipFile(other, "w", compression) as new:
        for name, content in entries.items():
            new.writestr(name, change(name, content))
    return other


def test_archives_that_torch_reads_too(tmp_path: Path) -> None:
    """Packed anew with compression, of a machine with the other byte order, and without checksums."""
    path, x = tmp_path / "c.pth", torch.randn(100)
    torch.save({"x": x}, path)
    swapped = rezipped(path, lambda name, content: (
        x.numpy().byteswap().tobytes() if name.endswith("data/0") else b"big" if name.endswith("byteorder") else content))  # fmt: skip
    packed = rezipped(path, compression=zipfile.ZIP_DEFLATED)
    for file in (swapped, packed):
        np.testing.assert_array_equal(torch.load(file)["x"], x)
        with opened(file) as (content, _):
            np.testing.assert_array_equal(numbers(content["x"]), x.numpy())
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"x": x}, path)
    finally:
        torch.serialization.set_crc32_options(True)
    with opened(path) as (content, _):
        np.testing.assert_array_equal(numbers(content["x"]), x.numpy())


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save({"x": torch.zeros(100)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(bytes(400)) + 200] = 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="Bad CRC-32"), opened(path) as (found, _):
        numbers(found["x"])


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "c.pth"
    torch.save({"x": torch.zeros(100)}, path, **FORMATS[name])
    content = path.read_bytes()
    for length in range(len(content) - 1, 0, -37):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError) as caught, opened(path):
            pass  # although no number is read
        assert "\n" not in str(caught.value)


def described(**changes: Any) -> Made:
    """A tensor of ten numbers, described as torch.save does."""
    buffer = io.BytesIO()
    torch.save({"x": torch.arange(10.0)}, buffer)
    path = changes.pop("path")
    path.write_bytes(buffer.getvalue())
    with opened(path) as (content, _):
        made: Made = content["x"]
    storage, offset, size, strides = made.arguments[:4]
    values = {"storage": storage, "offset": offset, "size": size, "strides": strides, **changes}
    return Made(made.of, (*values.values(), False, {}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offset": 1}, "inside its storage"), ({"offset": -1}, "inside its storage"), ({"strides": (-1,)}, "inside its storage"),
        ({"strides": (2,)}, "inside its storage"), ({"size": (11,)}, "inside its storage"), ({"size": 3}, "cannot be read"),
        ({"size": ("3",)}, "cannot be read"), ({"strides": ()}, "cannot be read"), ({"storage": 1}, "expected dense"),
    ],
)  # fmt: skip
def test_a_tensor_that_reaches_outside_of_its_storage(tmp_path: Path, changes: Any, message: str) -> None:
    path = tmp_path / "c.pth"
    made = described(path=path, **changes)
    with pytest.raises(WeightsError, match=message), damage_named(path):
        numbers(made)


def test_tensors_of_another_kind_are_named(tmp_path: Path) -> None:
    x = torch.zeros(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of its own quantised tensors
        quantised = torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)
    kinds = {"torch.sparse_coo": x.to_sparse(), "device 'meta'": torch.empty(5, device="meta"), "torch.int64": torch.arange(5),
             "torch.quantised": quantised, "torch.complex64": torch.zeros(5, dtype=torch.complex64), "torch.bool": x == 0,
             "torch.float8_e4m3fn": x.to(torch.float8_e4m3fn)}  # fmt: skip
    for kind, tensor in kinds.items():
        torch.save(OrderedDict(x=tensor), tmp_path / "c.pth")
        with (
            pytest.raises(WeightsError, match=f"tensor 'x': expected .*{kind}"),
            opened(tmp_path / "c.pth") as (content, _),
        ):
            numbers(content["x"])
