"""The safetensors format: 8 bytes with the length of a header, the header in JSON, then the numbers in a row.

Source: https://github.com/huggingface/safetensors. The header tells type, shape and place of every tensor; it has no
settings, and nothing in it can be run.
"""

import json
import math
import os
from typing import Any, BinaryIO

from ..errors import shown
from .made import name_of
from .stored import ITEM_SIZES, Held, Storage, Tensor, contiguous, sizes

MOST_HEADER = 16 * 2**20  # bytes; each tensor takes about a hundred
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
          "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"}  # fmt: skip


def read_safetensors(file: BinaryIO) -> dict[str, Any]:
    """The tensors by name under 'state_dict', and the texts of '__metadata__' where there are any.

    The file must stay open. ValueError, KeyError, TypeError or AttributeError for a damaged file.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(MOST_HEADER, size - 8):
        raise ValueError(f"a header of {length:,} bytes in a file of {size:,}")
    header = json.loads(file.read(length), object_pairs_hook=_once)
    content = {"__metadata__": header.pop("__metadata__")} if "__metadata__" in header else {}
    start, end = 8 + length, 0
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = sizes(entry["data_offsets"])
        if first != end or last < first:
            raise ValueError(f"the numbers of {shown(name)} overlap others or leave a gap")
        end = last
        tensors[name] = _tensor(file, start + first, last - first, entry)
    if start + end != size:
        raise ValueError(f"{end:,} bytes of numbers, found {size - start:,}")
    return {"state_dict": {name: tensors[name] for name in header}, **content}


def _tensor(file: BinaryIO, start: int, length: int, entry: dict[str, Any]) -> Tensor:
    dtype, shape = DTYPES.get(entry["dtype"], name_of(entry["dtype"])), sizes(entry["shape"])
    if any(n < 0 for n in shape):
        raise ValueError("a size below 0")
    if dtype in ITEM_SIZES and math.prod(shape) * ITEM_SIZES[dtype] != length:
        raise ValueError(f"{length:,} bytes for shape {shown(shape)}")

    def read() -> bytes:
        file.seek(start)
        return file.read(length)

    return Tensor(dtype, shape, contiguous(shape), 0, Storage(dtype, math.prod(shape), Held(length, read)))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary of the header; ValueError where a name stands twice, and one of two tensors would be lost."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name that stands twice")
    return content
