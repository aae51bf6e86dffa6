"""Pictures made by hand: TIFF of any depth, as files have it, and networks that read grey or RGBA."""

import dataclasses
import struct

import numpy as np

import sdt_ref
from sdt_ref.weights.config import Preprocessing
from tests.networks import Network, weights_of

KINDS = {"u": 1, "i": 2, "f": 3}  # of TIFF's SampleFormat


def tiff(pixels: np.ndarray, *, photometric: int = 1, bits: int | None = None, tags: dict[int, int | bytes] | None = None,
         big_endian: bool = False) -> bytes:  # fmt: skip
    """A grey TIFF of one strip; pixels [H, W]; `bits` 12 packs two pixels into three bytes; `tags` are added."""
    order = ">" if big_endian else "<"
    height, width = pixels.shape
    if bits == 12:
        first, second = pixels.astype(np.uint16).reshape(-1, 2).T
        data = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()
    else:
        data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    entries: dict[int, int | bytes] = {
        256: width, 257: height, 258: bits or 8 * pixels.dtype.itemsize, 259: 1, 262: photometric, 273: 0, 277: 1,
        278: height, 279: len(data), 339: KINDS[pixels.dtype.kind], **(tags or {}),
    }  # fmt: skip
    table = 8 + 2 + 12 * len(entries) + 4
    texts = b"".join(value for _, value in sorted(entries.items()) if isinstance(value, bytes))
    entries[273], at = table + len(texts), table
    rows = b""
    for tag, value in sorted(entries.items()):
        if isinstance(value, bytes):  # longer than four bytes: it stands behind the table
            rows += struct.pack(f"{order}HHII", tag, 2, len(value), at)
            at += len(value)
        else:
            rows += struct.pack(f"{order}HHII", tag, 4, 1, value)
    head = struct.pack(f"{order}2sHIH", b"MM" if big_endian else b"II", 42, 8, len(entries))
    return head + rows + bytes(4) + texts + data


def weights_for(channels: int, size: int = 8) -> sdt_ref.weights.Weights:
    """Draw a network that reads pictures of 1, 3 or 4 channels, a different mean and deviation for each."""
    numbers = tuple(0.4 + 0.05 * k for k in range(channels))
    preprocessing = Preprocessing(size, 1.0, mean=numbers, std=tuple(n / 2 for n in numbers))
    return dataclasses.replace(
        weights_of(Network(in_channels=channels, height=size, width=size)), preprocessing=preprocessing
    )
