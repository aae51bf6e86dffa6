"""Values of a checkpoint's settings that are no plain text or number: taken as what they say, or shown as text.

Nothing here calls what a pickle names: `made.Made` is data.
"""

import math
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from .made import Made, Name
from .stored import as_tensor

MOST_ITEMS = 64  # of a list that is a setting; mean and std have three
MOST_BITS = 10_000  # of a whole number; Python prints no more than about 14,000
DEPTH = 3  # of lists in lists that is shown
SHOWN = 5  # of the items of a list
WIDTH = 80  # characters of a value that is shown

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


def plain(value: Any) -> Any:
    """A path, an enum, a NumPy number or array, ... as text, numbers and lists; what is none of these stays.

    A dictionary, and a list that is long or has lists in it, become text: no setting is one.
    """
    if isinstance(value, Made):
        return _object(value)
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, (list, tuple, dict)):
        nested = isinstance(value, dict) or any(isinstance(item, (list, tuple, dict)) for item in value)
        return words(value) if nested or len(value) > MOST_ITEMS else type(value)(plain(item) for item in value)
    huge = isinstance(value, int) and value.bit_length() > MOST_BITS
    return words(value) if huge else value


def _object(value: Made) -> Any:
    encoded = _bytes(value)
    if encoded is not None:
        return encoded
    if value.of.module in _MULTIARRAY:
        found = _numbers(value)
        return value if found is None else found
    parts = value.arguments
    if value.of.module.split(".")[0] == "pathlib" and all(isinstance(part, str) for part in parts):
        return str((PureWindowsPath if "Windows" in value.of.name else PurePosixPath)(*parts))
    if str(value.of) == "torch.device":  # ("cuda", 0)
        return ":".join(str(part) for part in parts if isinstance(part, (str, int)))
    if len(parts) == 1 and value.state is None and isinstance(parts[0], (str, int, float)):
        return parts[0]  # an enum of this value
    return value


def words(value: Any, depth: int = DEPTH) -> str:
    """A value in one short line of text; a part that is too long or too deep is '...'."""
    text = _words(value, depth)
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def _words(value: Any, depth: int) -> str:
    tensor = as_tensor(value) if isinstance(value, Made) else None
    simple = plain(value) if isinstance(value, Made) else value
    if tensor is not None:
        return repr(tensor)
    if isinstance(simple, int):
        return str(simple) if simple.bit_length() <= MOST_BITS else "a huge number"
    if isinstance(simple, (str, bytes)):
        return repr(simple[:WIDTH])
    if simple is None or isinstance(simple, (float, Name)):
        return str(simple)
    return _container(simple, depth) if depth > 0 else "..."


def _container(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        pairs = [f"{_words(key, 0)}: {_words(item, depth - 1)}" for key, item in list(value.items())[:SHOWN]]
        return "{" + _joined(pairs, value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + _joined([_words(item, depth - 1) for item in value[:SHOWN]], value) + "]"
    if isinstance(value, Made):
        content = [*value.arguments, *value.elements[:SHOWN], *([value.items] if value.items else [])]
        return f"{value.of}({_joined([_words(item, depth - 1) for item in content[:SHOWN]], content)})"
    return f"an object of {type(value).__name__}"


def _joined(shown: list[str], content: Any) -> str:
    return ", ".join(shown + ["..."] * (len(content) > len(shown)))


def _bytes(value: Made) -> bytes | None:
    """Protocol 2 has no bytes: it spells them as text, to be encoded."""
    if str(value.of) == "_codecs.encode" and len(value.arguments) == 2 and value.arguments[1] == "latin1":
        text = value.arguments[0]
        return text.encode("latin1") if isinstance(text, str) and max(text, default="") <= "\xff" else None
    return None


def _numbers(value: Made) -> Any:
    """The number of a NumPy scalar, or the list of a small NumPy array; None for any other type of content."""
    if value.of.name == "scalar":
        kind, content = value.arguments
        shape: Any = ()
    elif isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, kind, fortran, content = value.state
        if fortran and len(shape) > 1:
            return None
    else:
        return None
    dtype = _dtype(kind)
    content = _bytes(content) if isinstance(content, Made) else content
    if dtype is None or not isinstance(content, (bytes, bytearray)) or len(content) > 8 * MOST_ITEMS:
        return None
    sizes = isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)
    if not sizes or len(content) != math.prod(shape) * dtype.itemsize:
        return None
    return np.frombuffer(content, dtype).reshape(shape).tolist()


def _dtype(kind: Any) -> np.dtype | None:
    """Numbers and truth values alone: 'f8' with byte order '<'."""
    if not (isinstance(kind, Made) and str(kind.of) == "numpy.dtype" and isinstance(kind.state, tuple)):
        return None
    code, order = kind.arguments[0], kind.state[1]
    known = isinstance(code, str) and re.fullmatch(r"b1|f[248]|[iu][1248]", code) and order in ("<", ">", "|")
    return np.dtype(code).newbyteorder(order) if known else None
