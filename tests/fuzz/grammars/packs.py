"""Packs of pictures and of recordings; the oracle counts the labels with h5py."""

import json
import random
from pathlib import Path

import h5py

from .. import commands, damage, hdf5, seeds
from ..case import SAME, Case, Done

NAME = "p.h5"


def make(rng: random.Random, folder: Path) -> Case:
    """One pack, and a command that reads it."""
    recordings = not rng.randrange(4)
    content = seeds.pack("bin" if recordings else "jpeg")
    if rng.randrange(5) < 2:
        commands.put(folder, NAME, damage.damaged(content, rng, damage.metadata(content)))
        kind = "bytes"
    else:
        commands.put(folder, "other.h5", content)
        kind = hdf5.structure(content, rng, folder / NAME)
    weights = seeds.weights_of_recordings() if recordings else seeds.weights()
    network = ["--weights", commands.put(folder, "w.h5", weights), *commands.THREADS]
    match rng.randrange(6):
        case 0:
            return Case(
                kind, ["calibrate", NAME, "-o", commands.maybe_old(folder, "o.toml", rng), *network], None, ("o.toml",)
            )
        case 1:
            return Case(kind, ["energy", NAME, *network, *commands.json_or_not(rng)])
    more = rng.choice(([], [], ["--classes-by-order"], ["--split", "test"], ["--limit", "2"]))
    return Case(kind, ["evaluate", NAME, "--json", *network, *more], None if "2" in more else all_counted)


def all_counted(folder: Path, done: Done) -> str:
    """Whether each label is of something that was classified or named as unreadable."""
    said = json.loads(done.out)
    with h5py.File(folder / NAME) as file:
        lengths = [len(group["label"]) for group in file.values() if isinstance(group, h5py.Group) and "label" in group]
    counted = said["images"] + len(said["unreadable"])
    return SAME if counted in lengths else f"{counted} of {lengths} labels were counted"
