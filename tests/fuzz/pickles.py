"""Pickles written opcode by opcode, so that one can say what no object of Python says; and checkpoints made of them."""

import math
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdt_ref.weights.torch_file import LEGACY_MAGIC


@dataclass(frozen=True)
class Raw:
    """Opcodes as they are; they leave one value on the stack."""

    content: bytes


@dataclass(frozen=True)
class Instance:
    """An object of a class: called with arguments, then given a state."""

    module: str
    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True)
class Stored:
    """A tensor: numbers of a storage, claimed in any shape, stride, place and count."""

    key: str
    shape: Any
    strides: Any
    offset: Any = 0
    count: Any = None
    kind: Any = "FloatStorage"
    function: str = "_rebuild_tensor_v2"


def text(value: str) -> bytes:
    """A text of any length."""
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def name(module: str, of: str) -> bytes:
    """A class or function that is named."""
    return b"c" + module.encode() + b"\n" + of.encode() + b"\n"


def written(value: Any) -> bytes:
    """The opcodes of a value, of protocol 2."""
    if isinstance(value, Raw):
        return value.content
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        length = value.bit_length() // 8 + 1
        size = b"\x8a" + bytes([length]) if length < 256 else b"\x8b" + struct.pack("<i", length)
        return size + value.to_bytes(length, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if isinstance(value, tuple):
        return b"(" + b"".join(map(written, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(written, value)) + b"e"
    if isinstance(value, Mapping):
        return b"}(" + b"".join(written(part) for item in value.items() for part in item) + b"u"
    if isinstance(value, Instance):
        state = b"" if value.state is None else written(value.state) + b"b"
        return name(value.module, value.name) + written(tuple(value.arguments)) + b"R" + state
    assert isinstance(value, Stored)
    count = value.count if value.count is not None else math.prod(value.shape)
    kind = Raw(name("torch", value.kind)) if isinstance(value.kind, str) else value.kind
    storage = written(("storage", kind, value.key, "cpu", count)) + b"Q"
    hooks = Instance("collections", "OrderedDict")
    arguments = (Raw(storage), value.offset, value.shape, value.strides, False, hooks)
    return name("torch._utils", value.function) + written(arguments) + b"R"


def pickled(value: Any) -> bytes:
    """A whole pickle."""
    return b"\x80\x02" + written(value) + b"."


def stored(tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, Stored], dict[str, bytes]]:
    """Tensors as a pickle has them, and the bytes of their storages."""
    made, storages = {}, {}
    for number, (tensor_name, tensor) in enumerate(tensors.items()):
        strides = tuple(stride // tensor.itemsize for stride in np.ascontiguousarray(tensor).strides[: tensor.ndim])
        made[tensor_name] = Stored(str(number), tensor.shape, strides)
        storages[str(number)] = tensor.tobytes()
    return made, storages


def saved(content: Mapping[str, Any], form: str = "zip") -> bytes:
    """What torch.save writes of a dictionary whose 'state_dict' holds arrays: 'zip' or 'legacy'."""
    tensors, storages = stored(content["state_dict"])
    return packaged(pickled({**content, "state_dict": tensors}), storages, form)


def packaged(pickle: bytes, storages: Mapping[str, bytes], form: str, method: int = zipfile.ZIP_STORED) -> bytes:
    """A pickle and its storages in one file."""
    from tests.fuzz.seeds import zipped

    if form == "zip":
        data = {f"archive/data/{key}": content for key, content in storages.items()}
        return zipped(
            {"archive/data.pkl": pickle, "archive/byteorder": b"little", **data, "archive/version": b"3\n"}, method
        )
    head = b"".join(pickled(value) for value in (LEGACY_MAGIC, 1001, {"little_endian": True}))
    tail = b"".join(struct.pack("<Q", len(content) // 4) + content for content in storages.values())
    return head + pickle + pickled(list(storages)) + tail
