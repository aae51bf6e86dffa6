"""Values of a checkpoint's settings that are no plain text or number: taken as what they say, or shown as text.

Nothing here calls what a pickle names: `made.Made` is data. A pickle may name one list a million times, in lists in
lists: no value costs more than a few of its items, and no more of it is written than is shown.
"""

import math
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from ..errors import shown
from .made import Made, Name
from .stored import as_tensor, sizes

MOST_ITEMS = 64  # of a list that is a setting; mean and std have three
MOST_TEXT = 4096  # characters of a path, and of bytes that are spelt as text
MOST_BITS = 10_000  # of a whole number; Python prints no more than about 14,000
LEVELS = 3  # of objects in lists in objects that are looked into
DEPTH = 3  # of lists in lists that is shown
SHOWN = 5  # of the items of a list
WIDTH = 80  # characters of a value that is shown

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


def plain(value: Any, levels: int = LEVELS) -> Any:
    """A path, an enum, a NumPy number or array, ... as text, numbers and lists; what is none of these stays.

    A dictionary stays, and a list that is long or has lists in it: no setting is one. `levels` of lists and objects
    within one another are looked into.
    """
    if isinstance(value, Made):
        return _object(value, levels) if levels else value
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, (list, tuple)) and levels and len(value) <= MOST_ITEMS:
        nested = any(isinstance(item, (list, tuple, dict)) for item in value)
        return value if nested else type(value)(plain(item, levels - 1) for item in value)
    return value


def _object(value: Made, levels: int) -> Any:
    encoded = _bytes(value)
    if encoded is not None:
        return encoded
    if value.of.module in _MULTIARRAY:
        found = _numbers(value)
        return value if found is None else found
    parts = value.arguments
    if str(value.of) == "torch.Size":
        return plain(parts[0], levels - 1)
    if value.of.module.startswith("omegaconf.") and isinstance(value.state, dict):
        inside = value.state.get("_val", value.state.get("_content"))  # of a node; of a list
        return value if isinstance(inside, dict) else plain(inside, levels - 1)
    short = len(parts) <= MOST_ITEMS and sum(len(part) for part in parts if isinstance(part, str)) <= MOST_TEXT
    if short and value.of.module.split(".")[0] == "pathlib" and all(isinstance(part, str) for part in parts):
        return str((PureWindowsPath if "Windows" in value.of.name else PurePosixPath)(*parts))
    if short and str(value.of) == "torch.device":  # ("cuda", 0)
        return ":".join(
            shown(part) if isinstance(part, int) else part for part in parts if isinstance(part, (str, int))
        )
    if len(parts) == 1 and value.state is None and isinstance(parts[0], (str, int, float)):
        return parts[0]  # an enum of this value
    return value


def words(value: Any, depth: int = DEPTH) -> str:
    """A value in one short line of text; a part that is too long or too deep is '...'."""
    text = ""
    for piece in _pieces(value, depth):  # each has a character at least, so no more are made than fit
        text += piece
        if len(text) > WIDTH:
            return text[: WIDTH - 3] + "..."
    return text


def _pieces(value: Any, depth: int) -> Iterator[str]:
    tensor = as_tensor(value) if isinstance(value, Made) else None
    simple = plain(value, 2) if isinstance(value, Made) else value
    if tensor is not None:
        yield repr(tensor)
    elif isinstance(simple, int):
        yield str(simple) if simple.bit_length() <= MOST_BITS else "a huge number"
    elif isinstance(simple, (str, bytes)):
        yield repr(simple[:WIDTH])
    elif simple is None or isinstance(simple, (float, Name)):
        yield str(simple)
    else:
        yield from _container(simple, depth) if depth > 0 else ("...",)


def _container(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        pairs = (chain(_pieces(key, 0), (": ",), _pieces(item, depth - 1)) for key, item in value.items())
        yield from _listed("{", pairs, "}")
    elif isinstance(value, (list, tuple)):
        yield from _listed("[", (_pieces(item, depth - 1) for item in value), "]")
    elif isinstance(value, Made):
        content = chain(value.arguments, value.elements[:SHOWN], [value.items] if value.items else [])
        yield from _listed(f"{value.of}(", (_pieces(item, depth - 1) for item in content), ")")
    else:
        yield f"an object of {type(value).__name__}"


def _listed(begin: str, items: Iterator[Iterator[str]], end: str) -> Iterator[str]:
    yield begin
    for at, item in enumerate(islice(items, SHOWN + 1)):
        if at:
            yield ", "
        yield from item if at < SHOWN else ("...",)
    yield end


def _bytes(value: Made) -> bytes | None:
    """Protocol 2 has no bytes: it spells them as text, to be encoded."""
    if str(value.of) == "_codecs.encode" and len(value.arguments) == 2 and value.arguments[1] == "latin1":
        text = value.arguments[0]
        short = isinstance(text, str) and len(text) <= MOST_TEXT
        return text.encode("latin1") if short and max(text, default="") <= "\xff" else None
    return None


def _numbers(value: Made) -> Any:
    """The number or text of a NumPy scalar, or the list of a small NumPy array; None for any other type of content."""
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
    if min(axes := sizes(shape), default=0) < 0 or len(content) != math.prod(axes) * dtype.itemsize:
        return None
    return np.frombuffer(content, dtype).reshape(axes).tolist()


def _dtype(kind: Any) -> np.dtype | None:
    """Numbers, truth values and text alone: 'f8' with byte order '<'."""
    if not (isinstance(kind, Made) and str(kind.of) == "numpy.dtype" and isinstance(kind.state, tuple)):
        return None
    code, order = kind.arguments[0], kind.state[1]
    known = (
        isinstance(code, str)
        and re.fullmatch(r"b1|f[248]|[iu][1248]|[US][1-9]\d{0,2}", code)
        and order in ("<", ">", "|")
    )
    return np.dtype(code).newbyteorder(order) if known else None
