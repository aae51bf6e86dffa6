"""Reads a folder of vectors (docs/golden-kit.md) with NumPy alone: what a testbench needs to know of it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
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
        self.path = path = folder / "manifest.json"
        try:
            self.manifest: dict[str, Any] = json.loads(path.read_text())
        except OSError as error:
            raise VectorsError(f"'{path}': {error.strerror}; write vectors with python -m sdt_ref.vectors") from None
        except (ValueError, RecursionError):
            raise VectorsError(f"'{path}' is no JSON; write the vectors anew") from None
        if not isinstance(self.manifest, dict):
            raise VectorsError(f"'{path}': expected an object, found {type(self.manifest).__name__}; write it anew")
        found = self.manifest.get("format"), self.manifest.get("schema_version")
        if found != (FORMAT, SCHEMA_VERSION):
            raise VectorsError(
                f"'{path}': expected {FORMAT!r} of schema {SCHEMA_VERSION}, found {found[0]!r}, {found[1]!r}"
            )

    @contextmanager
    def described(self) -> Iterator[None]:
        """Read the manifest; what it lacks, or has in another form, is a VectorsError."""
        try:
            yield
        except KeyError as error:
            raise VectorsError(f"'{self.path}' lacks {error}; write the vectors anew") from None
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, VectorsError):
                raise
            raise VectorsError(f"'{self.path}' is damaged ({error}); write the vectors anew") from None

    def file(self, name: str) -> Path:
        """The path of a file, its hash checked; raises VectorsError."""
        with self.described():
            path, expected = self.folder / name, self.manifest["sha256"][name]
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise VectorsError(f"'{path}': {error.strerror}; write the vectors anew") from None
        if found != expected:
            raise VectorsError(f"'{path}' does not have the hash of the manifest; write the vectors anew")
        return path

    def entry(self, record: str) -> dict[str, Any]:
        """What the manifest says of a record; 'CORNER:QUANTITY' is one of a corner case."""
        corner, colon, quantity = record.partition(":")
        with self.described():
            records = self.manifest["corners"][corner]["records"] if colon else self.manifest["records"]
            if (quantity if colon else record) not in records:
                raise VectorsError(f"the vectors hold no record '{record}'; trace all stages and steps")
            entry = records[quantity if colon else record]
            return {key: entry[key] for key in ("bits", "fraction", "shape", "files")}

    def words(self, record: str) -> list[int]:
        """One word for each row (step, token) of a record, as in its .mem file."""
        entry = self.entry(record)
        with self.described():
            return [int(line, 16) for line in self.file(entry["files"]["mem"]).read_text().splitlines()]

    def values(self, record: str) -> np.ndarray:
        """The numbers of a record, [steps, tokens, channels]."""
        return self.array(self.entry(record))

    def array(self, entry: dict[str, Any]) -> np.ndarray:
        """The numbers of an entry of the manifest: a record, or the weights or biases of a layer."""
        with self.described():
            return np.load(self.file(entry["files"]["npy"])).astype(np.int64)


def as_bits(numbers: np.ndarray, bits: int) -> str:
    """Numbers side by side as the binary digits of one word, the first in the lowest bits."""
    ones = numbers[::-1, None] >> np.arange(bits)[::-1] & 1
    return (ones + ord("0")).astype(np.uint8).tobytes().decode()


def from_bits(digits: str, bits: int) -> np.ndarray:
    """Take the numbers from the binary digits of one word; those of more than one bit are signed."""
    ones = np.frombuffer(digits.encode(), np.uint8).reshape(-1, bits)[::-1] & 1
    weights = np.int64(1) << np.arange(bits, dtype=np.int64)[::-1]
    weights[0] *= -1 if bits > 1 else 1
    return ones @ weights
