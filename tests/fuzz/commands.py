"""Command lines that read one damaged file, with sound ones beside it."""

import random
from pathlib import Path

from . import seeds

Line = tuple[list[str], tuple[str, ...]]  # arguments, and the files that they may write
THREADS = ("--threads", "1")


def put(folder: Path, name: str, content: bytes) -> str:
    """Write a file; its name."""
    (folder / name).write_bytes(content)
    return name


def maybe_old(folder: Path, name: str, rng: random.Random) -> str:
    """The name of an output, under which now and then an older file stands."""
    return name if rng.randrange(3) else put(folder, name, b"old\n")


def json_or_not(rng: random.Random) -> list[str]:
    """Now and then --json."""
    return ["--json"] * (not rng.randrange(3))


def of_weights(name: str, rng: random.Random, folder: Path) -> Line:
    """Any command that reads weights for pictures."""
    picture = put(folder, "i.png", seeds.picture())
    given = ["--weights", name]
    network = [
        *given,
        *THREADS,
        *json_or_not(rng),
        *rng.choice(([], [], ["--arithmetic", "fixed"], ["--arithmetic", "float64"])),
    ]
    match rng.choice(
        ("infer",) * 8 + ("explain", "energy", "attention", "calibrate", "evaluate", "trace", "report", "traced")
    ):
        case "infer":
            return ["infer", picture, *network], ()
        case "calibrate":
            return ["calibrate", picture, "-o", maybe_old(folder, "o.toml", rng), *given, *THREADS], ("o.toml",)
        case "evaluate":
            return ["evaluate", put(folder, "p.h5", seeds.pack()), *network], ()
        case "trace":
            return ["trace", picture, "-o", maybe_old(folder, "o.h5", rng), *network], ("o.h5",)
        case "report":
            return ["report", picture, "-o", maybe_old(folder, "o.html", rng), *network], ("o.html",)
        case "traced":
            trace = put(folder, "t.h5", seeds.trace("fixed", seeds.ALL))
            return rng.choice((["sizing", trace, *given], ["vectors", trace, "-o", "o", *given],
                               ["compare", trace, put(folder, "u.npz", seeds.dump_npz()), "--isolated", *given])), ("o",)  # fmt: skip
        case command:
            return [command, picture, *network], ()


def of_picture(name: str, rng: random.Random, folder: Path) -> Line:
    """Any command that reads a picture."""
    network = ["--weights", put(folder, "w.h5", seeds.weights()), *THREADS, *json_or_not(rng)]
    match rng.choice(("infer",) * 8 + ("explain", "energy", "attention", "calibrate", "trace", "report")):
        case "calibrate":
            return ["calibrate", name, "-o", maybe_old(folder, "o.toml", rng), *network], ("o.toml",)
        case "trace":
            return ["trace", name, "-o", maybe_old(folder, "o.h5", rng), *network], ("o.h5",)
        case "report":
            return ["report", name, "-o", maybe_old(folder, "o.html", rng), *network], ("o.html",)
        case command:
            return [command, name, *network], ()
