"""Every command that writes a file, on tiny networks: what it takes, what it writes, and what a reader finds there."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sdt_ref.fixed import formats
from sdt_ref.golden.export import MANIFEST
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.weights import file as weights_file
from tests import camera_bytes
from tests.networks import Network, random_tensors, weights_of
from tests.recordings import save, some_events
from tests.weights.test_safetensors_file import SETTINGS, by_hand

N = Network(seed=1)


@dataclass(frozen=True)
class Writing:
    """A run of a command that writes one file, or one folder.

    arguments : in the folder that `prepare` fills; OUT stands for what is written
    out : its name
    read : what a reader finds in it; it raises where that is not complete
    replaces : whether it takes the place of an old file, whatever that is
    """

    arguments: str
    out: str
    read: Callable[[Path], Any]
    replaces: bool = True


def prepare(folder: Path) -> None:
    """Write all that the commands read; the trace is the one of `trace`."""
    weights_file.save(folder / "w.h5", weights_of(N))
    save(folder / "dvs.h5")
    (folder / "digit.bin").write_bytes(camera_bytes.nmnist(some_events()))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    (folder / "val" / "class 0").mkdir(parents=True)
    (folder / "six" / "val" / "class 0").mkdir(parents=True)
    for path in ("photo.png", "val/class 0/1.png", *(f"six/val/class 0/{number}.png" for number in range(6))):
        Image.fromarray(pixels).save(folder / path)
    by_hand(folder / "m.safetensors", random_tensors(N))
    (folder / "c.yml").write_text(json.dumps(SETTINGS))


def read_weights(path: Path) -> Any:
    read = weights_file.load(path)
    return read.config, {name: tensor.tobytes() for name, tensor in read.tensors.items()}


def read_trace(path: Path) -> Any:
    with open_trace(path) as trace:
        return trace.sha256, {name: trace.values(name).tobytes() for name in trace.records}


def read_folder(path: Path) -> Any:
    """Every file is there, and is what the manifest says."""
    manifest = json.loads((path / MANIFEST).read_text())
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest, name
    return manifest


def read_picture(path: Path) -> Any:
    return np.asarray(Image.open(path)).tobytes()


def read_drawing(path: Path) -> Any:
    """PDF or SVG; date and names in it are others in each run, and as long."""
    content = path.read_bytes()
    assert content.rstrip().endswith((b"%%EOF", b"</svg>"))
    return len(content)


def read_bytes(path: Path) -> Any:
    return path.read_bytes()


OF_PHOTO = "photo.png --weights w.h5 --threads 1"
WRITING = {
    "convert": Writing("convert m.safetensors OUT --config c.yml", "out.h5", read_weights),
    "trace": Writing(f"trace {OF_PHOTO} -o OUT", "out.h5", read_trace),
    "vectors": Writing("vectors run.h5 -o OUT --weights w.h5", "out", read_folder),
    "calibrate": Writing(f"calibrate {OF_PHOTO} -o OUT", "out.toml", formats.load),
    "report": Writing(f"report {OF_PHOTO} -o OUT", "out.html", read_bytes),
    "attention": Writing(f"attention {OF_PHOTO} -o OUT", "out.png", read_picture),
    "infer": Writing("infer digit.bin --weights dvs.h5 --threads 1 --figure OUT", "out.png", read_picture),
    "energy --csv": Writing(f"energy {OF_PHOTO} --csv OUT", "out.csv", read_bytes),
    "energy --plot": Writing(f"energy {OF_PHOTO} --plot OUT", "out.png", read_picture),
}
FORMS = {  # the same commands, other kinds of files
    "attention .pdf": Writing(f"attention {OF_PHOTO} -o OUT", "out.pdf", read_drawing),
    "attention .svg": Writing(f"attention {OF_PHOTO} -o OUT", "out.svg", read_drawing),
    **{
        f"energy {ending}": Writing(f"energy {OF_PHOTO} --table OUT", f"out{ending}", read_bytes)
        for ending in (".csv", ".tex", ".md")
    },
}
OF_DATA = {  # over a data set: what is finished is kept in OUT.parts until all is
    "calibrate on six": Writing("calibrate six --chunk 1 --weights w.h5 --threads 1 -o OUT", "out.toml", formats.load),
    "energy of six": Writing("energy six --chunk 1 --weights w.h5 --threads 1 --csv OUT", "out.csv", read_bytes),
    "evaluate six": Writing(
        "evaluate six --chunk 1 --weights w.h5 --threads 1 -o OUT", "out.npz", read_bytes, replaces=False
    ),
    "sweep six": Writing(
        "sweep six --weight-bits 8 --membrane-bits 16 --calibrate-on photo.png --chunk 1 --weights w.h5 --threads 1 "
        "-o OUT",
        "out.csv",
        read_bytes,
    ),
}
PRINTING = {  # every command, for what it prints
    "infer": "infer photo.png --weights w.h5",
    "explain": "explain photo.png --weights w.h5",
    "evaluate": "evaluate . --weights w.h5 --split val",
    "energy": "energy photo.png --weights w.h5",
    "claims": "claims --weights w.h5",
    "attention": "attention photo.png --weights w.h5",
    "report": "report photo.png --weights w.h5 -o printed.html",
    "calibrate": "calibrate photo.png --weights w.h5 -o printed.toml",
    "sweep": "sweep . --weights w.h5 --split val --calibrate-on photo.png",
    "trace": "trace photo.png --weights w.h5 -o printed.h5",
    "compare": "compare run.h5 run.h5",
    "vectors": "vectors run.h5 -o printed --weights w.h5",
    "sizing": "sizing run.h5 --weights w.h5",
    "convert": "convert m.safetensors printed2.h5 --config c.yml",
}
