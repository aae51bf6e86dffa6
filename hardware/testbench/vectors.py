"""Reads a folder of vectors (docs/golden-kit.md) with NumPy alone: what a testbench needs to know of it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

FORMAT, SCHEMA_VERSION = "sdt_ref vectors", 1


class VectorsError(ValueError):
    """A folder that is not one of vectors, or is damaged, or asks for what the RTL does not have."""


class Vectors:
    """A folder that `python -m sdt_ref.vectors` wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "manifest.json"
        try:
            self.manifest: dict[str, Any] = json.loads(path.read_text())
        except OSError as error:
            raise VectorsError(f"'{path}': {error.strerror}; write vectors with python -m sdt_ref.vectors") from None
        except ValueError:
            raise VectorsError(f"'{path}' is no JSON; write the vectors anew") from None
        found = self.manifest.get("format"), self.manifest.get("schema_version")
        if found != (FORMAT, SCHEMA_VERSION):
            raise VectorsError(
                f"'{path}': expected {FORMAT!r} of schema {SCHEMA_VERSION}, found {found[0]!r}, {found[1]!r}"
            )

    def file(self, name: str) -> Path:
        """The path of a file, its hash checked; raises VectorsError."""
        path = self.folder / name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise VectorsError(f"'{path}': {error.strerror}; write the vectors anew") from None
        if found != self.manifest["sha256"][name]:
            raise VectorsError(f"'{path}' does not have the hash of the manifest; write the vectors anew")
        return path

    def entry(self, record: str) -> dict[str, Any]:
        """What the manifest says of a record; 'CORNER:QUANTITY' is one of a corner case."""
        corner, colon, quantity = record.partition(":")
        try:
            found = self.manifest["corners"][corner]["records"][quantity] if colon else self.manifest["records"][record]
        except KeyError:
            raise VectorsError(f"the vectors hold no record '{record}'; trace all stages and steps") from None
        return dict(found)

    def words(self, record: str) -> list[int]:
        """One word for each row (step, token) of a record, as in its .mem file."""
        return [int(line, 16) for line in self.file(self.entry(record)["files"]["mem"]).read_text().splitlines()]

    def values(self, record: str) -> np.ndarray:
        """The numbers of a record, [steps, tokens, channels]."""
        return np.load(self.file(self.entry(record)["files"]["npy"])).astype(np.int64)


def as_bits(numbers: np.ndarray, bits: int) -> str:
    """Numbers side by side as the binary digits of one word, the first in the lowest bits."""
    ones = numbers[::-1, None] >> np.arange(bits)[::-1] & 1
    return (ones + ord("0")).astype(np.uint8).tobytes().decode()


def unpacked(word: int, channels: int, bits: int) -> list[int]:
    """The numbers of a word; those of more than one bit are signed."""
    numbers = [word >> (c * bits) & ((1 << bits) - 1) for c in range(channels)]
    return [n - (1 << bits) if bits > 1 and n >> (bits - 1) else n for n in numbers]
