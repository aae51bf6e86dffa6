"""Weights files: what HDF5 can say and ours does not, and damaged bytes.

The oracle reads the tensors with h5py alone. A file of version 1 has no checksum: that other numbers were read out of it
is counted as "changed"; out of a later one it is a failure.
"""

import random
from pathlib import Path

import h5py
import numpy as np

from .. import commands, damage, hdf5, seeds
from ..case import CHANGED, SAME, Case, Done

NAME = "w.h5"


def make(rng: random.Random, folder: Path) -> Case:
    """One file, and a command that reads it."""
    first = bool(rng.randrange(2))
    content = seeds.weights_of_version_1() if first else seeds.weights()
    if rng.randrange(5) < 2:
        commands.put(folder, NAME, damage.damaged(content, rng, damage.metadata(content)))
        kind = "bytes"
    else:
        commands.put(folder, "other.h5", content)
        kind = hdf5.structure(content, rng, folder / NAME)
    argv, outputs = commands.of_weights(NAME, rng, folder)
    if not rng.randrange(20):  # it would take minutes if the network could run at this size
        argv, outputs = ["claims", "--weights", NAME, "--size", "0"], ()
    return Case(kind, argv, unchanged, outputs)


def unchanged(folder: Path, done: Done) -> str:
    """Whether all that the network reads is what the sound file holds."""
    with h5py.File(folder / NAME) as found:
        version = int(found.attrs["schema_version"])
        same = _content(found) == SOUND.setdefault("content", _of(seeds.weights_of_version_1()))
    return (
        SAME
        if same
        else CHANGED
        if version == 1
        else "other numbers than were written were read from a file with a checksum"
    )


SOUND: dict[str, dict[str, bytes]] = {}


def _of(content: bytes) -> dict[str, bytes]:
    import io

    with h5py.File(io.BytesIO(content)) as file:
        return _content(file)


def _content(file: h5py.File) -> dict[str, bytes]:
    """Type, shape and bytes of what is read: every tensor, and the texts but the provenance."""
    found = {name: bytes(file.attrs[name]) for name in ("config", "preprocessing", "classes")}

    def note(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            values = np.asarray(node[()])
            found[name.replace(".", "/")] = (
                repr((values.dtype.newbyteorder("="), values.shape)).encode() + values.astype("<f4").tobytes()
            )

    file["weights"].visititems(note)
    return found
