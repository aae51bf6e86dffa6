"""Tensors as a checkpoint stores them: which numbers of which storage, read only when they are wanted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Foreign, WeightsError, shown
from .made import Made, Name, name_of

# of floating-point types: the name, NumPy's type without byte order; bfloat16 is the upper half of a float32
FLOATS = {"float16": "f2", "float32": "f4", "float64": "f8", "bfloat16": "u2"}
ITEM_SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
              "uint8": 1, "bool": 1, "complex32": 4, "complex64": 8, "complex128": 16, "qint8": 1, "quint8": 1,
              "qint32": 4}  # fmt: skip
STORAGES = {"Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
            "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
            "ComplexFloat": "complex64", "ComplexDouble": "complex128", "QInt8": "qint8", "QUInt8": "quint8",
            "QInt32": "qint32"}  # fmt: skip
# functions of torch._utils that wrap a tensor, which is their first argument
WRAPPERS = ("_rebuild_parameter", "_rebuild_parameter_with_state", "_rebuild_device_tensor_from_cpu_tensor")
MOST_WRAPPERS = 8  # around one another; PyTorch writes one or two
MOST_AXES, MOST_NUMBERS = 64, 2**63 - 1  # of a tensor, as in PyTorch


@dataclass(eq=False)
class Held:
    """Bytes in a row that a file holds: how many there are, as it says, and what reads all of them."""

    size: int
    read: Callable[[], bytes]


@dataclass(eq=False)
class Storage(Foreign):
    """Numbers of one type in a row.

    Attributes
    ----------
    dtype : such as 'float32'; 'bytes' where only the tensor knows
    count : of numbers, or of bytes
    held : the bytes; storages that share them have the same object here
    order : of the bytes in a number, as NumPy writes it
    """

    dtype: str
    count: int
    held: Held
    order: str = "<"

    def __repr__(self) -> str:
        return "a storage"


@dataclass(frozen=True, eq=False)
class Tensor(Foreign):
    """A tensor whose numbers are still in the file; strides and offset count numbers. `kind` names an unusual one."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()
    offset: int = 0
    storage: Storage | None = None
    negated: bool = False
    kind: str = "strided"

    def __repr__(self) -> str:
        return f"a tensor of shape {shown(self.shape)}"

    @property
    def reach(self) -> int:
        """Numbers of the storage from the tensor's first to its last."""
        return 1 + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))

    def require_floats(self, name: str) -> None:
        """Raise WeightsError for anything but dense floating-point numbers inside their storage."""
        if self.kind == "meta":
            raise WeightsError(f"tensor '{name}': expected numbers, found a tensor without any (device 'meta')")
        if self.kind != "strided" or self.dtype not in FLOATS or self.storage is None:
            raise WeightsError(
                f"tensor '{name}': expected dense floating-point numbers, found torch.{self.dtype}, torch.{self.kind}"
            )
        if min((self.offset, *self.strides)) < 0 or self.offset + self.reach > self.storage.count:
            raise WeightsError(f"tensor '{name}': expected numbers inside its storage, found a damaged file")

    def read(self, name: str, content: bytes) -> np.ndarray:
        """The numbers, float64 or float32; half types are widened. WeightsError for a file that is cut short.

        `content` is what the storage holds.
        """
        assert self.storage is not None
        reach = self.reach
        item = np.dtype(self.storage.order + FLOATS[self.dtype])
        if (self.offset + reach) * item.itemsize > len(content):
            raise WeightsError(f"tensor '{name}': expected {reach * item.itemsize} bytes, found the file cut short")
        row = np.frombuffer(content, item, reach, self.offset * item.itemsize)
        if self.dtype == "bfloat16":
            row = (row.astype(np.uint32) << 16).view(np.float32)
        byte_strides = [stride * row.itemsize for stride in self.strides]
        values = np.lib.stride_tricks.as_strided(row, self.shape, byte_strides)
        wide = np.array(values, np.float64 if self.dtype == "float64" else np.float32, order="C")
        return np.negative(wide) if self.negated else wide


def as_tensor(value: Any) -> Tensor | None:
    """The tensor that PyTorch would have made here; None for anything else."""
    for _ in range(MOST_WRAPPERS):
        if isinstance(value, Tensor):
            return value
        if not isinstance(value, Made) or value.of.module not in ("torch._utils", "torch._tensor"):
            return None
        function, arguments = value.of.name, value.arguments
        if function in WRAPPERS:
            value = arguments[0]
        elif function == "_rebuild_from_type_v2":  # (function, class, its arguments, attributes)
            whole = isinstance(arguments[0], Name) and isinstance(arguments[2], tuple)
            value = Made(arguments[0], arguments[2]) if whole else None
        else:
            return _rebuilt(function, arguments)
    raise ValueError(f"a tensor in more than {MOST_WRAPPERS} wrappers")


def _rebuilt(function: str, arguments: tuple[Any, ...]) -> Tensor | None:
    if function == "_rebuild_meta_tensor_no_storage":
        return Tensor(arguments[0].name, sizes(arguments[1]), kind="meta")
    if function == "_rebuild_sparse_tensor":
        layout, (_, values, *_rest) = arguments
        dense = isinstance(values, Made) and values.of.name.startswith("_rebuild_tensor")
        inner = _rebuilt(values.of.name, values.arguments) if dense else None
        kind = name_of(layout.arguments[0] if isinstance(layout, Made) else layout)
        return Tensor(inner.dtype if inner else "tensor", (), kind=kind.removeprefix("torch."))
    if not isinstance(arguments[0], Storage):
        return Tensor("tensor", (), kind=function.removeprefix("_rebuild_"))
    storage, offset, size, strides = arguments[:4]
    if function == "_rebuild_qtensor":
        return Tensor(storage.dtype, sizes(size), kind="quantised")
    dtype = storage.dtype if function != "_rebuild_tensor_v3" else arguments[6].name
    if storage.dtype == "bytes":
        storage = Storage(dtype, storage.count // ITEM_SIZES.get(dtype, 1), storage.held, storage.order)
    metadata = arguments[6] if function == "_rebuild_tensor_v2" and len(arguments) > 6 else {}
    negated = isinstance(metadata, dict) and metadata.get("neg") is True
    (offset,) = sizes((offset,))
    return Tensor(dtype, sizes(size), sizes(strides), offset, storage, negated)


def sizes(value: Any) -> tuple[int, ...]:
    """Whole numbers, as many as axes; TypeError for anything else, and what PyTorch does not count to."""
    numbers = value.arguments[0] if isinstance(value, Made) else value  # torch.Size
    if not (isinstance(numbers, (tuple, list)) and len(numbers) <= MOST_AXES):
        raise TypeError(f"sizes that are no list of at most {MOST_AXES} whole numbers")
    if not all(type(n) is int and abs(n) <= MOST_NUMBERS for n in numbers):
        raise TypeError("sizes that are no whole numbers")
    return tuple(numbers)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of numbers that lie in C order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
