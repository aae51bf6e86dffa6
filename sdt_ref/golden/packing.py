"""Rows of whole numbers as hexadecimal words, and back: what `$readmemh` reads and `$writememh` writes.

A word holds one row, all its channels side by side: channel 0 in the lowest bits, each number as wide as its register
and in two's complement. It is written with as many digits as its bits need.
"""

from collections.abc import Iterator

import numpy as np

BLOCK = 1024  # rows that are packed at a time


def packed(rows: np.ndarray, bits: int) -> Iterator[str]:
    """Numbers [rows, channels] -> one word per row, lower-case hexadecimal."""
    n_digits = digits(rows.shape[1], bits)
    for first in range(0, len(rows), BLOCK):
        octets = np.ascontiguousarray(rows[first : first + BLOCK], "<i8").view(np.uint8)
        ones = np.unpackbits(octets.reshape(-1, rows.shape[1], 8), axis=2, count=bits, bitorder="little")
        words = np.packbits(ones.reshape(len(ones), -1), axis=1, bitorder="little")[:, ::-1]
        for word in words:
            yield word.tobytes().hex().rjust(n_digits, "0")[-n_digits:]


def unpacked(word: str, channels: int, bits: int) -> np.ndarray:
    """One word -> its numbers, int64[channels].

    Raises ValueError for what is no hexadecimal number, or has bits beyond the last channel.
    """
    value = int(word, 16)
    if value >> (channels * bits):
        raise ValueError("the word is too wide")
    octets = np.frombuffer(value.to_bytes((channels * bits + 7) // 8, "little"), np.uint8)
    ones = np.unpackbits(octets, count=channels * bits, bitorder="little").reshape(channels, bits).astype(np.int64)
    weights = np.int64(1) << np.arange(bits, dtype=np.int64)
    if bits > 1:
        weights[-1] = -weights[-1]
    return ones @ weights


def digits(channels: int, bits: int) -> int:
    """Hexadecimal digits of a word."""
    return (channels * bits + 3) // 4
