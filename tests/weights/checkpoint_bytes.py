"""Checkpoints byte by byte: pickles as programs of opcodes, archives, the older format, safetensors."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pickle import encode_long
from typing import Any

import numpy as np

from sdt_ref.weights.torch_file import LEGACY_MAGIC
from tests.networks import Network, random_tensors

SETTINGS = {"time_steps": 3, "pooling_stat": "0011", "num_heads": 1, "TET": False, "dataset": "golden", "img_size": 8, "crop_pct": 1,
            "interpolation": None, "mean": None, "std": None, "dvs_mode": False}  # fmt: skip


def text(value: str) -> bytes:
    """The opcode of a text."""
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    """The opcode of a whole number of any size."""
    content = encode_long(value)
    return b"\x8b" + struct.pack("<i", len(content)) + content


def name(module: str, attribute: str) -> bytes:
    """The opcode of a class or function."""
    return f"c{module}\n{attribute}\n".encode()


def tuple_of(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def list_of(*parts: bytes) -> bytes:
    """A list."""
    return b"](" + b"".join(parts) + b"e"


def dict_of(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A dictionary."""
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """What pickle would call."""
    return name(module, attribute) + tuple_of(*arguments) + b"R"


def laughs(levels: int = 60, width: int = 10, at: int = 100) -> bytes:
    """Lists in lists in lists, each shared by all places of the next; `at` is a free place in the memo."""
    inside = text("ha")
    for level in range(levels):
        put, get = b"r" + struct.pack("<I", at + level), b"j" + struct.pack("<I", at + level)
        inside = b"](" + inside + put + get * (width - 1) + b"e"
    return inside


def storage(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    """A storage outside of the pickle."""
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"), number(count)) + b"Q"


def tensor(stored: bytes, shape: Iterable[int], strides: Iterable[int], offset: int = 0) -> bytes:
    """A tensor."""
    sizes = (tuple_of(*(number(n) for n in row)) for row in (shape, strides))
    return call("torch._utils", "_rebuild_tensor_v2", stored, number(offset), *sizes, b"\x89", b"}")


def plain(value: Any) -> bytes:
    """A value of Python without a class of its own."""
    return pickle.dumps(value, 2)[2:-1]


NETWORK = random_tensors(Network())


def arranged(
    *, shared: bool = False, tensors: Mapping[str, np.ndarray] = NETWORK
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The small network: name -> opcodes of its tensor; storage -> bytes. All may lie in one storage."""
    if not shared:
        stored = {str(at): np.ascontiguousarray(values).tobytes() for at, values in enumerate(tensors.values())}
        rows = [(storage(str(at), values.size), values, 0) for at, values in enumerate(tensors.values())]
    else:
        stored = {"0": b"".join(np.ascontiguousarray(values).tobytes() for values in tensors.values())}
        starts = np.cumsum([0, *(values.size for values in tensors.values())]).tolist()
        rows = [(storage("0", starts[-1]), v, at) for v, at in zip(tensors.values(), starts[:-1], strict=True)]
    made = {
        key: tensor(held, v.shape, [s // 4 for s in np.ascontiguousarray(v).strides], at)
        for key, (held, v, at) in zip(tensors, rows, strict=True)
    }
    return made, stored


def checkpoint(
    changes: Mapping[str, bytes] | None = None,
    args: Mapping[str, bytes] | None = None,
    others: Mapping[str, bytes] | None = None,
) -> bytes:
    """The pickle of a checkpoint: `changes` of its tensors, of its settings, and `others` beside them."""
    state = dict_of((text(key), value) for key, value in (arranged()[0] | dict(changes or {})).items())
    settings = {key: plain(value) for key, value in SETTINGS.items()} | dict(args or {})
    parts = {
        "state_dict": state,
        "args": dict_of((text(key), value) for key, value in settings.items()),
        **(others or {}),
    }
    return b"\x80\x02" + dict_of((text(key), value) for key, value in parts.items()) + b"."


def archive(program: bytes, stored: Mapping[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A file of torch.save as it is today."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("c/data.pkl", program)
        for key, content in (arranged()[1] if stored is None else stored).items():
            file.writestr(f"c/data/{key}", content)
    return buffer.getvalue()


def legacy(program: bytes, keys: bytes = b"\x80\x02].", rest: bytes = b"") -> bytes:
    """A file of torch.save as it was before 2020."""
    first: list[Any] = [LEGACY_MAGIC, 1001, {}]
    return b"".join([*(pickle.dumps(value, 2) for value in first), program, keys, rest])


def safetensors(header: bytes | dict[str, Any], body: bytes = b"", length: int | None = None) -> bytes:
    """A file of safetensors."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content + body
