"""Import every command and compile or load every kernel, so that a forked process does neither."""

import contextlib
import importlib
import io
import os
import tempfile
from functools import cache
from pathlib import Path

from sdt_ref.network.warm_up import compile_all
from sdt_ref.terminal.cli import COMMANDS

from . import damage, seeds
from .case import GRAMMARS, grammar
from .grammars import pictures

ARITHMETIC = ("float32", "float64", "fixed")


@cache
def up() -> None:
    """Once for each process: the kernels, the sound files, and one run of every command but `claims`, which takes minutes."""
    for arithmetic in ARITHMETIC:
        compile_all(arithmetic)
    for name in GRAMMARS:
        grammar(name)
    for command in COMMANDS:
        importlib.import_module(f"sdt_ref.{command}")
    for content in (seeds.weights(), seeds.weights_of_version_1(), seeds.weights_of_recordings(128, 64), seeds.recording("hdf5"), seeds.pack("bin"),
                    seeds.pack(), *(each(name) for each in (seeds.trace, seeds.dump_h5) for name in ARITHMETIC)):  # fmt: skip
        damage.metadata(content)
    for kind in pictures.kinds():
        seeds.picture(*kind)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            sound(Path(folder))
            for argv in RUNS:
                importlib.import_module(f"sdt_ref.{argv[0]}").main(argv[1:])
        finally:
            os.chdir(here)


def sound(folder: Path) -> None:
    """Write the sound files that the command lines below name."""
    for name, content in {
        "w.h5": seeds.weights(), "d.h5": seeds.weights_of_recordings(), "i.png": seeds.picture(),
        "r.bin": seeds.recording("nmnist"), "t.h5": seeds.trace("fixed", seeds.ALL), "u.npz": seeds.dump_npz(), "p.h5": seeds.pack(),
        "c.pth": seeds.checkpoint(), "f.toml": seeds.FORMATS.encode(),
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)


THREADS = ["--threads", "1"]
WEIGHTS = ["--weights", "w.h5"]
INPUTS = "w.h5", "d.h5", "i.png", "r.bin", "t.h5", "u.npz", "p.h5", "c.pth"
RUNS = [  # each command at its work
    ["infer", "i.png", *WEIGHTS, *THREADS],
    ["infer", "r.bin", "--weights", "d.h5", *THREADS],
    ["explain", "i.png", *WEIGHTS, *THREADS],
    ["evaluate", "p.h5", *WEIGHTS, *THREADS],
    ["energy", "i.png", *WEIGHTS, *THREADS],
    ["attention", "i.png", *WEIGHTS, *THREADS],
    ["report", "i.png", "-o", "o.html", *WEIGHTS, *THREADS],
    ["calibrate", "i.png", "-o", "o.toml", *WEIGHTS, *THREADS],
    ["sweep", "p.h5", "--calibrate-on", "i.png", "-o", "o.csv", *WEIGHTS, *THREADS],
    ["trace", "i.png", "-o", "o.h5", *WEIGHTS, *THREADS],
    ["compare", "t.h5", "u.npz"],
    ["vectors", "t.h5", "-o", "o", *WEIGHTS],
    ["sizing", "t.h5", *WEIGHTS],
    ["convert", "c.pth", "o2.h5"],
]
