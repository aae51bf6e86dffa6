"""Tensors as a checkpoint stores them: which numbers of which storage, read only when they are wanted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import WeightsError
from .made import Made, Name

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


@dataclass(eq=False)
class Storage:
    """Numbers of one type in a row.

    Attributes
    ----------
    dtype : such as 'float32'; 'bytes' where only the tensor knows
    count : of numbers, or of bytes
    read : (first byte, number of bytes) -> bytes
    order : of the bytes in a number, as NumPy writes it
    """

    dtype: str
    count: int
    read: Callable[[int, int], bytes]
    order: str = "<"


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor whose numbers are still in the file; strides and offset count numbers. `kind` names an unusual one."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()
    offset: int = 0
    storage: Storage | None = None
    negated: bool = False
    kind: str = "strided"

    def __repr__(self) -> str:
        return f"a tensor of shape {self.shape}"

    def require_floats(self, name: str) -> None:
        """Raise WeightsError for anything but dense floating-point numbers."""
        if self.kind == "meta":
            raise WeightsError(f"tensor '{name}': expected numbers, found a tensor without any (device 'meta')")
        if self.kind != "strided" or self.dtype not in FLOATS or self.storage is None:
            raise WeightsError(
                f"tensor '{name}': expected dense floating-point numbers, found torch.{self.dtype}, torch.{self.kind}"
            )

    def read(self, name: str) -> np.ndarray:
        """The numbers, float64 or float32; half types are widened. WeightsError for a damaged file."""
        self.require_floats(name)
        assert self.storage is not None
        reach = 1 + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.strides)) < 0 or self.offset + reach > self.storage.count:
            raise WeightsError(f"tensor '{name}': expected numbers inside its storage, found a damaged file")
        item = np.dtype(self.storage.order + FLOATS[self.dtype])
        content = self.storage.read(self.offset * item.itemsize, reach * item.itemsize)
        if len(content) != reach * item.itemsize:
            raise WeightsError(f"tensor '{name}': expected {reach * item.itemsize} bytes, found the file cut short")
        row = np.frombuffer(content, item)
        if self.dtype == "bfloat16":
            row = (row.astype(np.uint32) << 16).view(np.float32)
        byte_strides = [stride * row.itemsize for stride in self.strides]
        values = np.lib.stride_tricks.as_strided(row, self.shape, byte_strides)
        wide = np.array(values, np.float64 if self.dtype == "float64" else np.float32, order="C")
        return np.negative(wide) if self.negated else wide


def as_tensor(value: Any) -> Tensor | None:
    """The tensor that PyTorch would have made here; None for anything else."""
    if isinstance(value, Tensor):
        return value
    while isinstance(value, Made) and value.of.module in ("torch._utils", "torch._tensor"):
        function, arguments = value.of.name, value.arguments
        if function in WRAPPERS:
            value = arguments[0]
        elif function == "_rebuild_from_type_v2":  # (function, class, its arguments, attributes)
            whole = isinstance(arguments[0], Name) and isinstance(arguments[2], tuple)
            value = Made(arguments[0], arguments[2]) if whole else None
        else:
            return _rebuilt(function, arguments)
    return None


def _rebuilt(function: str, arguments: tuple[Any, ...]) -> Tensor | None:
    if function == "_rebuild_meta_tensor_no_storage":
        return Tensor(arguments[0].name, _sizes(arguments[1]), kind="meta")
    if function == "_rebuild_sparse_tensor":
        layout, (_, values, *_rest) = arguments
        inner = as_tensor(values)
        kind = layout.arguments[0] if isinstance(layout, Made) else str(layout)
        return Tensor(inner.dtype if inner else "tensor", (), kind=kind.removeprefix("torch."))
    if not isinstance(arguments[0], Storage):
        return Tensor("tensor", (), kind=function.removeprefix("_rebuild_"))
    storage, offset, size, strides = arguments[:4]
    if function == "_rebuild_qtensor":
        return Tensor(storage.dtype, _sizes(size), kind="quantised")
    dtype = storage.dtype if function != "_rebuild_tensor_v3" else arguments[6].name
    if storage.dtype == "bytes":
        storage = Storage(dtype, storage.count // ITEM_SIZES.get(dtype, 1), storage.read, storage.order)
    metadata = arguments[6] if function == "_rebuild_tensor_v2" and len(arguments) > 6 else {}
    negated = isinstance(metadata, dict) and metadata.get("neg") is True
    return Tensor(dtype, _sizes(size), _sizes(strides), int(offset), storage, negated)


def _sizes(value: Any) -> tuple[int, ...]:
    numbers = value.arguments[0] if isinstance(value, Made) else value  # torch.Size
    if not (isinstance(numbers, (tuple, list)) and all(isinstance(n, int) for n in numbers)):
        raise TypeError("sizes that are no whole numbers")
    return tuple(numbers)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of numbers that lie in C order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
