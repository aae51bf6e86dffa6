"""Whether the chunks of an array unpack to what the array says: HDF5 reads beyond the end of a shorter one.

Each chunk went through filters, in turn; here they are undone, but only so far that the length is known.
Source: The HDF Group, HDF5 file format, version 3.0, IV.A.2.l; Marc Lehmann, LibLZF.
"""

import bz2
import zlib
from typing import Any

from ..errors import shown
from .refused import Refused

GZIP, SHUFFLE, FLETCHER, BZIP2, LZF, BLOSC, LZ4, BITSHUFFLE = 1, 2, 3, 307, 32000, 32001, 32004, 32008


def require_whole_chunks(array: Any, path: str, size: int) -> None:
    """Refuse an array of which a chunk is shorter or longer than it must be.

    Parameters
    ----------
    array : dataset of h5py
    size : of the file, in bytes
    """
    if not array.chunks:
        return
    settings, length = array.id.get_create_plist(), array.id.get_type().get_size()
    for side in array.chunks:
        length *= side
    filters = [settings.get_filter(k)[0] for k in range(settings.get_nfilters())]
    places: list[tuple[int, ...]] = []

    def note(chunk: Any) -> None:
        if not 0 <= chunk.size <= size:
            raise Refused(f"array {shown(path)}: expected chunks inside of the file, found one of {chunk.size} bytes")
        places.append(chunk.chunk_offset)

    array.id.chunk_iter(note)
    for place in places:
        skipped, content = array.id.read_direct_chunk(place)
        used = [number for k, number in enumerate(filters) if not skipped >> k & 1]
        found = _length(bytes(content), used, length)
        if found != length:
            raise Refused(f"array {shown(path)}: expected chunks of {length} bytes, found one of {found}")


def _length(content: bytes, filters: list[int], most: int) -> int:
    """Bytes of a chunk without its filters, of which the last is undone first; at most one more than `most`."""
    for k in reversed(range(len(filters))):
        number = filters[k]
        if number == FLETCHER:
            content = content[:-4]
        elif number in (GZIP, BZIP2):
            content = _unpacked(zlib.decompressobj() if number == GZIP else bz2.BZ2Decompressor(), content, most)
        elif number != SHUFFLE:  # behind which the length is what its first bytes, or marks between the bytes, say
            return _said(content, number, most)
    return len(content)


def _unpacked(unpacking: Any, content: bytes, most: int) -> bytes:
    try:
        return unpacking.decompress(content, most + 1)
    except (zlib.error, OSError, EOFError):
        return b""


def _said(content: bytes, number: int, most: int) -> int:
    """The length of what one filter has packed; `most` where it does not say it."""
    if number == LZF:
        return _length_of_lzf(content)
    if number == BLOSC:
        return int.from_bytes(content[4:8], "little")
    if number in (LZ4, BITSHUFFLE) and len(content) >= 12:
        return int.from_bytes(content[:8], "big")
    return most


def _length_of_lzf(content: bytes) -> int:
    at = length = 0
    while at < len(content):
        mark = content[at]
        if mark < 32:  # so many bytes and one more follow as they are
            at += mark + 2
            length += mark + 1
        else:  # bytes that stood before
            more = content[at + 1] if mark >> 5 == 7 and at + 1 < len(content) else 0
            at += 2 + (mark >> 5 == 7)
            length += (mark >> 5) + more + 2
    return length if at == len(content) else 0
