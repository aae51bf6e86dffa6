"""Recordings of every format, damaged.

Where Prophesee's formats and N-MNIST's are accepted, the oracle decodes them word by word. The other formats' repairs are
held by `tests/camera/test_damage.py` and its like; here they have none.
"""

import random
from collections import Counter
from pathlib import Path

from sdt_ref.camera.opening import open_recording
from tests.camera.test_mutations import plainly
from tests.camera_bytes import listed

from .. import commands, damage, hdf5, seeds
from ..case import SAME, Case, Done

DVS128 = "aedat2", "aedat3"
OTHERS = (
    "aedat4",
    "nmnist",
    "text",
    "npz",
    "npz, deflated",
    "npy",
    "npy of frames",
    "evt2",
    "evt21",
    "evt3",
    "dat",
    "hdf5",
)
PLAIN = "evt2", "evt21", "evt3", "dat"
NAME = "r.bin"


def make(rng: random.Random, folder: Path) -> Case:
    """One recording, and a command that reads it."""
    kind = rng.choice((*DVS128, *OTHERS, "hdf5"))
    content = seeds.recording(kind)
    weights = seeds.weights_of_recordings(128, 64) if kind in DVS128 else seeds.weights_of_recordings()
    label, oracle = kind, plain_words if kind in PLAIN else None
    if kind == "hdf5" and rng.randrange(2):
        commands.put(folder, "other.h5", content)
        label = f"hdf5, {hdf5.structure(content, rng, folder / NAME)}"
    else:
        spans = damage.metadata(content) if kind == "hdf5" else [(0, 200)] if rng.randrange(2) else ()
        commands.put(folder, NAME, damage.damaged(content, rng, spans))
    network = ["--weights", commands.put(folder, "w.h5", weights), *commands.THREADS, *commands.json_or_not(rng)]
    match rng.choice(("infer",) * 6 + ("explain", "energy", "trace", "calibrate", "evaluate")):
        case "trace":
            return Case(
                label, ["trace", NAME, "-o", commands.maybe_old(folder, "o.h5", rng), *network], oracle, ("o.h5",)
            )
        case "calibrate":
            return Case(label, ["calibrate", NAME, "-o", "o.toml", *network], oracle, ("o.toml",))
        case "evaluate":
            (folder / "val" / "class 3").mkdir(parents=True)
            (folder / NAME).rename(folder / "val" / "class 3" / NAME)
            return Case(label, ["evaluate", "val", *network])
        case command:
            split = rng.choice(([], [], ["--split-by", "time"])) if command == "infer" else []
            stdin = NAME if not rng.randrange(12) else ""
            return Case(label, [command, "-" if stdin else NAME, *network, *split], oracle, stdin=stdin)


def plain_words(folder: Path, done: Done) -> str:
    """Whether the events and the repairs are those that a plain decoder finds."""
    if done.code:
        return SAME  # named as unreadable
    content = (folder / NAME).read_bytes()
    recording = open_recording(content)
    events = listed(recording)
    expected, repairs = plainly(content)
    return (
        SAME
        if (events, Counter(recording.repairs)) == (expected, repairs)
        else "other events or repairs than a plain decoder finds"
    )
