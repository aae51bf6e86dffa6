"""Bytes that are damaged: turned bits, cuts, what is put in, copied or overwritten."""

import io
import random
from collections.abc import Sequence

import h5py

Span = tuple[int, int]
FEW = b"\x00", b"\xff", b"\x7f", b"\x80", b"\x01"


def damaged(content: bytes, rng: random.Random, spans: Sequence[Span] = ()) -> bytes:
    """Damage bytes once to four times, seven times in eight within one of the spans, if there are any."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        first, last = rng.choice(spans) if spans and rng.randrange(8) else (0, len(changed))
        at = rng.randint(min(first, len(changed)), min(last, len(changed)))
        length = rng.choice((1, 1, 2, 4, 8, 16, 64))
        match rng.randrange(12):
            case 0 | 1 | 2 | 3 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 4 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 5:
                changed[at : at + length] = rng.choice(FEW) * length
            case 6:
                changed[at : at + length] = rng.randbytes(length)
            case 7:
                del changed[at : at + length]
            case 8:
                changed[at:at] = rng.choice((rng.randbytes(length), rng.choice(FEW) * length))
            case 9:
                source = rng.randint(0, len(changed))
                changed[at : at + length] = changed[source : source + length]
            case 10:  # a number of 2, 4 or 8 bytes
                width = rng.choice((2, 4, 8))
                value = rng.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, 10**9, len(content), -1))
                changed[at : at + width] = (value % 256**width).to_bytes(width, "little")
            case _:
                del changed[rng.randint(0, len(changed)) :]
    return bytes(changed)


def metadata(content: bytes) -> list[Span]:
    """The spans of an HDF5 file that hold no numbers of a data set of more than 512 bytes."""
    data: list[Span] = []

    def note(_: str, node: object) -> None:
        if not isinstance(node, h5py.Dataset) or node.nbytes <= 512:
            return
        if node.chunks is None:
            if (first := node.id.get_offset()) is not None:
                data.append((first, first + node.id.get_storage_size()))
            return
        for n in range(node.id.get_num_chunks()):
            chunk = node.id.get_chunk_info(n)
            data.append((chunk.byte_offset, chunk.byte_offset + chunk.size))

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(note)
    spans, at = [], 0
    for first, last in sorted(data):
        if first > at:
            spans.append((at, first))
        at = max(at, last)
    return [*spans, (at, len(content))] if at < len(content) else spans
