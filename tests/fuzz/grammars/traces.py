"""Traces: damaged as HDF5, or in their content under a hash that fits it.

The oracle reads trace and dump with h5py and NumPy alone: where `compare` says that all is equal, each number that the
dump holds must be the trace's.
"""

import random
from pathlib import Path

import h5py
import numpy as np

from .. import commands, damage, hdf5, plain, seeds, signing
from ..case import Case

NAME = "t.h5"


def make(rng: random.Random, folder: Path) -> Case:
    """One trace, and a command that reads it."""
    arithmetic = rng.choice(("fixed", "fixed", "float32", "float64"))
    compared = rng.randrange(3) > 0
    content = seeds.trace(arithmetic, seeds.FEW if compared else seeds.ALL)
    match rng.randrange(6):
        case 0 | 1:
            spans = damage.metadata(content) if rng.randrange(3) else ()
            commands.put(folder, NAME, damage.damaged(content, rng, spans))
            kind = "bytes"
        case 2 | 3:
            commands.put(folder, "other.h5", content)
            kind = hdf5.structure(content, rng, folder / NAME)
        case 4:
            commands.put(folder, NAME, content)
            kind = "numbers"
            with h5py.File(folder / NAME, "r+") as file:
                _other_number(file, rng)
        case _:
            (folder / NAME).write_bytes(content)
            kind = "shapes"
            with h5py.File(folder / NAME, "r+") as file:
                _other_shape(file, rng)
    if rng.randrange(3) and signing.sign(folder / NAME):
        kind += ", signed"
    argv, outputs = _line(arithmetic, compared, rng, folder)
    return Case(kind, argv, plain.equal if argv[0] == "compare" and "--isolated" not in argv else None, outputs)


def _other_number(file: h5py.File, rng: random.Random) -> None:
    """One number of a record."""
    stage = file["records"][rng.choice(list(file["records"]))]
    node = stage[rng.choice(list(stage))]
    array = node[rng.choice(list(node))] if isinstance(node, h5py.Group) else node
    if not array.size:
        return
    values = array[()]
    at = rng.randrange(values.size)
    flat = values.reshape(-1)
    if values.dtype.kind == "f":
        flat[at] = rng.choice((flat[at] + 0.9, np.nan, np.inf, -flat[at], np.nextafter(flat[at], np.inf)))
    else:
        flat[at] ^= 1 << rng.randrange(8 * values.itemsize - 1)
    array[...] = values


def _other_shape(file: h5py.File, rng: random.Random) -> None:
    """A record of another shape, another type, or other attributes."""
    stage = file["records"][rng.choice(list(file["records"]))]
    name = rng.choice(list(stage))
    node = stage[name]
    match rng.randrange(4):
        case 0:
            key = rng.choice(list(node.attrs))
            node.attrs[key] = rng.choice((0, 1, -1, 2, 64, 10**6, 2**40))
        case 1 if isinstance(node, h5py.Dataset):
            had = dict(node.attrs)
            values = node[()]
            values = rng.choice(
                (values[:-1], values[:, :-1], values.reshape(-1), values[..., None], np.concatenate([values] * 2))
            )
            del stage[name]
            stage[name] = values
            stage[name].attrs.update(had)
        case 2 if isinstance(node, h5py.Dataset):
            had = dict(node.attrs)
            values = node[()] + rng.choice((0, 0.1, 0.9)) if node.dtype.kind != "f" else node[()]
            kind = rng.choice(("f4", "f8", "i8", ">i8", "u8", "i1", "c8", "?"))
            del stage[name]
            with np.errstate(all="ignore"):
                stage[name] = values.real.astype(kind)
            stage[name].attrs.update(had)
        case _:
            key = rng.choice(("input", "records"))
            if key == "input" and "input" in file:
                values = file["input"][()]
                del file["input"]
                file["input"] = rng.choice(
                    (values[..., :1], values[0], values.astype("f2"), values[..., None], np.zeros(0, "f4"))
                )
            else:
                file.move(
                    f"records/{stage.name.rpartition('/')[2]}",
                    rng.choice(("records/block.9.attn.q_lif", "records/x", "elsewhere")),
                )


def _line(arithmetic: str, compared: bool, rng: random.Random, folder: Path) -> commands.Line:
    if compared:
        dump = (
            commands.put(folder, "u.npz", seeds.dump_npz(arithmetic))
            if rng.randrange(2)
            else commands.put(folder, "s.h5", seeds.trace(arithmetic))
        )
        order = [NAME, dump] if dump == "u.npz" or rng.randrange(2) else [dump, NAME]
        return ["compare", *order, *commands.json_or_not(rng)], ()
    weights = ["--weights", commands.put(folder, "w.h5", seeds.weights())]
    return rng.choice((["sizing", NAME, *weights, *commands.json_or_not(rng)], ["vectors", NAME, "-o", "o", *weights],
                       ["compare", NAME, commands.put(folder, "u.npz", seeds.dump_npz(arithmetic)), "--isolated", *weights])), ("o",)  # fmt: skip
