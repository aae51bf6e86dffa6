"""Labels alone, as NumPy's .npy has them: integers along one axis, which another program predicted."""

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import numpy as np

from ...camera.array import read_npy_header
from ...errors import ConfigError, reason_of, shown
from .rows import BLOCK, Content, Rows, reading

WHAT = "labels"


def open_labels(path: str, total: int | None) -> tuple[Content, int]:
    """Look at the header; the labels, and how many are read.

    Parameters
    ----------
    total : images of the data set, whose labels stand first; None reads all

    Raises ConfigError for another array, or too few labels.
    """
    with reading(path, WHAT) as file:
        n = _header(file, total)[0]
    return Content(None, None, False, partial(_rows, path, total)), n


def _header(file: BinaryIO, total: int | None) -> tuple[int, "np.dtype[np.integer]"]:
    try:
        shape, _, dtype = read_npy_header(file)
    except Exception as error:  # numpy raises OSError, ValueError, EOFError, TokenError, MemoryError, ...
        raise ConfigError(f"expected a .npy file of integers ({reason_of(error)})") from None
    if len(shape) != 1 or shape[0] < (total or 0) or dtype.kind not in "iu":
        least = f"at least {total} " if total else ""
        raise ConfigError(f"expected {least}integers along one axis, found {shown(dtype)} of shape {shown(shape)}")
    return (shape[0] if total is None else total), dtype


def _rows(path: str, total: int | None, most: int) -> Iterator[Rows]:
    with reading(path, WHAT) as file:
        n, dtype = _header(file, total)
        most = min(most, BLOCK // 8)
        for first in range(0, n, most):
            wanted = min(most, n - first) * dtype.itemsize
            content = file.read(wanted)
            if len(content) < wanted:
                raise ConfigError(f"expected {shown(n)} integers, as its header says, found fewer")
            values = np.frombuffer(content, dtype)
            greatest = min(np.iinfo(dtype).max, np.iinfo(np.int64).max)
            predicted = np.minimum(values, greatest).astype(np.int64)
            yield Rows([], np.zeros(0, np.int64), predicted, np.zeros((len(predicted), 0), np.float32))
