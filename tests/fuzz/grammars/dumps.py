"""Dumps of a device: .npz, .csv, .mem and HDF5, damaged; the oracle is that of traces."""

import io
import random
import zipfile
from pathlib import Path

import numpy as np

from tests import camera_bytes

from .. import commands, damage, hdf5, hostile, plain, seeds
from ..case import Case


def make(rng: random.Random, folder: Path) -> Case:
    """One dump, and `compare`."""
    arithmetic = rng.choice(("fixed", "fixed", "fixed", "float32"))
    kind = rng.choice(("npz", "h5", "csv", "mem") if arithmetic == "fixed" else ("npz", "h5"))
    name = f"u.{kind}"
    match kind:
        case "npz":
            commands.put(folder, name, _npz(seeds.dump_npz(arithmetic), rng))
        case "h5" if rng.randrange(2):
            kind = f"h5, {hdf5.structure(seeds.dump_h5(arithmetic), rng, folder / name)}"
        case "h5":
            content = seeds.dump_h5(arithmetic)
            commands.put(folder, name, damage.damaged(content, rng, damage.metadata(content)))
        case "csv":
            commands.put(folder, name, _text(seeds.dump_csv(rng.choice(("/v", "/spikes"))), rng))
        case _:
            commands.put(folder, name, _text(seeds.dump_mem(), rng))
    argv = ["compare", commands.put(folder, "t.h5", seeds.trace(arithmetic)), name, *commands.json_or_not(rng)]
    argv += rng.choice(([], [], [], ["--events", "order"]))
    return Case(kind, argv, plain.equal)


def _npz(content: bytes, rng: random.Random) -> bytes:
    match rng.randrange(4):
        case 0:
            return damage.damaged(content, rng)
        case 1:  # the array, not the archive: its checksum fits
            return _rewritten(content, lambda array: damage.damaged(array, rng, [(0, 128)]), rng)
        case 2:
            shapes = b"(10000000000,)", b"(3, 4, 10000000000)", b"(-1,)", b"(" * 100, b"(0,)", b"(2**40,)"
            return _rewritten(
                content,
                lambda array: array.replace(array[array.index(b"(") : array.index(b")") + 1], rng.choice(shapes)),
                rng,
            )
    arrays = dict(np.load(io.BytesIO(content)))
    name = rng.choice(list(arrays))
    values = arrays.pop(name)
    with np.errstate(all="ignore"):
        made = rng.choice((values.astype("f8") + 0.5, values[:-1], values.astype("f4") * np.nan, values.astype("u8"), values.astype("c8"),
                           values.astype("S4"), values.astype("M8[s]"), np.full(values.shape, 2**62), np.asfortranarray(values),
                           values.astype(">i4"), values[..., None], np.zeros(0), np.array(3)))  # fmt: skip
    arrays[rng.choice((name, name, name, hostile.text(rng).replace("\ud800", ""), name + "2", "head/sum"))] = made
    try:
        return camera_bytes.npz(rng.choice((np.savez, np.savez_compressed)), **arrays)
    except (ValueError, TypeError, UnicodeError):  # a name that no archive can have
        return camera_bytes.npz(**{name: made})


def _rewritten(content: bytes, change: object, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(entries))
    entries[name] = change(entries[name])
    return seeds.zipped(
        entries, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    )


def _text(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(lines))
        parts = lines[at].split(b",")
        part = rng.randrange(len(parts))
        match rng.randrange(8):
            case 0:
                return damage.damaged(content, rng)
            case 1:
                del lines[at]
            case 2:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 3:
                lines[at] = rng.choice(
                    (
                        b"x" * 200_000,
                        b'"' + b"1" * 300_000,
                        b"@" + b"f" * 18,
                        b"// record: a/b",
                        b"/*",
                        b"\x00" * 9,
                        b"zz",
                        b"",
                    )
                )
            case 4 if lines[at]:
                lines.insert(at, b"// a remark" if b"//" in content else b" " * 9)  # as harmless as a blank line
            case 5:
                lines = lines[:at]
                lines.append(b"")
            case _:
                parts[part] = rng.choice((hostile.number, hostile.text))(rng).encode("utf-8", "surrogatepass")
                lines[at] = b",".join(parts)
    return rng.choice((b"\n", b"\n", b"\r\n", b"\r")).join(lines)
