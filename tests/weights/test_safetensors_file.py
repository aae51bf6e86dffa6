"""safetensors, from bytes made by hand and as the library writes them."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdt_ref import WeightsError
from sdt_ref.weights import checkpoint
from sdt_ref.weights.checkpoint import Conversion
from tests.equality import assert_same
from tests.networks import Network, random_tensors

N = Network()
SETTINGS = {"time_steps": 3, "pooling_stat": "0011", "num_heads": 1, "TET": False, "dataset": "golden", "img_size": 8, "crop_pct": 1,
            "interpolation": None, "mean": None, "std": None, "dvs_mode": False}  # fmt: skip


def written(path: Path, entries: dict[str, Any], body: bytes, length: int | None = None) -> Path:
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + body)
    return path


def by_hand(
    path: Path, tensors: dict[str, np.ndarray], dtype: str = "F32", notes: dict[str, str] | None = None
) -> Path:
    entries: dict[str, Any] = {} if notes is None else {"__metadata__": notes}
    body = b""
    for name, tensor in tensors.items():
        content = tensor.tobytes() if dtype == "F32" else (tensor.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        entries[name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    return written(path, entries, body)


def converted(path: Path) -> Conversion:
    return checkpoint.convert(path, settings=SETTINGS)


def test_bytes_made_by_hand(tmp_path: Path) -> None:
    tensors = random_tensors(N)
    prefixed = {f"model.{name}": tensor for name, tensor in tensors.items()}
    conversion = converted(by_hand(tmp_path / "m.safetensors", prefixed, notes={"format": "pt"}))
    for name, tensor in tensors.items():
        assert_same(conversion.weights.tensors[name], tensor, name)
    assert conversion.as_text == {"__metadata__": "{'format': 'pt'}"}
    brain = converted(by_hand(tmp_path / "b.safetensors", tensors, "BF16")).weights.tensors["head.bias"]
    assert_same(brain, (tensors["head.bias"].view(np.uint32) & 0xFFFF0000).view(np.float32), "head.bias")


def test_as_the_library_writes_it(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed: pip install '.[test]'")
    tensors = random_tensors(N)
    library.save_file(tensors, tmp_path / "m.safetensors", {"format": "np"})
    found = converted(tmp_path / "m.safetensors").weights.tensors
    for name, tensor in tensors.items():
        assert_same(found[name], tensor, name)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED: dict[str, tuple[Any, bytes, int | None]] = {
    "a header of 10^9 bytes": ({"a": ENTRY}, bytes(8), 10**9),
    "overlapping": ({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12), None),
    "the same place": ({"a": ENTRY, "b": ENTRY}, bytes(8), None),
    "a gap": ({"a": {**ENTRY, "data_offsets": [8, 16]}}, bytes(16), None),
    "backwards": ({"a": {**ENTRY, "data_offsets": [0, -8]}}, bytes(8), None),
    "cut short": ({"a": ENTRY}, bytes(7), None),
    "too long": ({"a": ENTRY}, bytes(9), None),
    "another size": ({"a": {**ENTRY, "shape": [3]}}, bytes(8), None),
    "a negative size": ({"a": {**ENTRY, "shape": [-2, -1]}}, bytes(8), None),
    "many axes": ({"a": {**ENTRY, "shape": [1] * 100}}, bytes(8), None),
    "no offsets": ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8), None),
    "no entry": ({"a": 3}, bytes(8), None),
    "a list": ([1, 2], b"", None),
    "no tensor": ({}, b"", None),
    "half a header": ({"a": ENTRY}, bytes(8), 20),
    "integers": ({"head.weight": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8), None),
    "an unknown type": ({"head.weight": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}, bytes(8), None),
}

READ = {  # sound files, of no use
    "no tensor": "expected 'state_dict' to hold tensors, found few or none",
    "a list": "a file of no known kind",
    "integers": r"found torch\.int64",
    "an unknown type": r"found torch\.F8_E4M3",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    entries, body, length = DAMAGED[name]
    path = written(tmp_path / "m.safetensors", entries, body, length)
    message = READ.get(name, r"expected a PyTorch file, found one that cannot be read \(")
    with pytest.raises(WeightsError, match=message) as caught:
        converted(path)
    assert "\n" not in str(caught.value)
