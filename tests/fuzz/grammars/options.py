"""Command lines: sound ones of all commands, with options added, changed and lost, and paths at which no plain file is.

There is no oracle. The greatest numbers are either beyond what a command takes, or small enough for its time limit.
"""

import random
from collections.abc import Callable
from pathlib import Path

from sdt_ref.terminal.cli import COMMANDS

from .. import hostile, warm
from ..case import Case

Make = Callable[[random.Random, Path], str]
OUTPUTS = ("o", "o.npz", "o.h5", "o.html", "o.toml", "o.png", "o.csv", "o.tex", "o.svg", "o.pdf", "o.md")


def _number(rng: random.Random, folder: Path) -> str:
    return hostile.number(rng)


def _text(rng: random.Random, folder: Path) -> str:
    return hostile.text(rng)


def _input(rng: random.Random, folder: Path) -> str:
    return (
        hostile.path(rng, folder)
        if rng.randrange(4)
        else rng.choice(("w.h5", "d.h5", "i.png", "r.bin", "t.h5", "u.npz", "p.h5", "c.pth", "f.toml", "."))
    )


def _output(rng: random.Random, folder: Path) -> str:
    match rng.randrange(4):
        case 0:
            return rng.choice(OUTPUTS)
        case 1:
            return rng.choice(("w.h5", "i.png", "t.h5", "f.toml", "no/such/o.h5", "o.HTML", "o.", ".h5", "o.h5/"))
    made = hostile.path(rng, folder, devices=False)
    return (
        f"{made}{rng.choice(('', '', '.h5', '.html', '.toml', '/o.h5'))}"
        if len(made) < 250 and made not in ("", ".")
        else made
    )


def _one_of(*names: str) -> Make:
    return lambda rng, folder: rng.choice((*names, hostile.text(rng)))


def _bits(rng: random.Random, folder: Path) -> str:
    return rng.choice(("4", "2-4", "8,8,16", "0", "1-99", "4,", hostile.text(rng)))


def _no_place(rng: random.Random, folder: Path) -> str:
    """Neither a number of processes to start, nor an address that is worth a try."""
    return rng.choice(("0", "2000", "-1", "x", "", "foo://x:1", "tcp://"))


def _flag(rng: random.Random, folder: Path) -> str:
    return "" if rng.randrange(8) else hostile.text(rng)


MODEL: dict[str, Make] = {"--weights": _input, "--arithmetic": _one_of("fixed", "float32", "float64"), "--formats": _input, "--size": _number,
                          "--time-steps": _number, "--threads": _number, "--json": _flag}  # fmt: skip
DATA: dict[str, Make] = {
    "--chunk": _number,
    "--time-limit": _number,
    "--workers": _one_of("0", "2000"),
    "--scheduler": _one_of("tcp://127.0.0.1:1"),
}
TECHNOLOGY = _one_of("45nm-float32", "45nm-int8", "7nm-int32")
OF: dict[str, dict[str, Make]] = {
    "infer": {"--top": _number, "--split-by": _one_of("number", "time"), "--trial": _number, "--figure": _output, **MODEL},
    "explain": {"--stage": _one_of("block.0.attn.q_lif", "head", "patch_embed.proj_lif"), "--token": _number, "--channel": _number,
                "--step": _number, "--all": _flag, **MODEL},
    "evaluate": {"--split": _one_of("test"), "--classes-by-order": _flag, "--limit": _number, "--split-by": _one_of("number"),
                 "--against": _input, "-o": _output, "--plot": _output, **DATA, **MODEL},
    "energy": {"--split": _text, "--limit": _number, "--technology": TECHNOLOGY, "--pj": _one_of("add=1", "add=nan", "add=-1", "add=1e999", "x=1"),
               "--memory": _flag, "--csv": _output, "--table": _output, "--plot": _output, "--official-statistic": _flag,
               "--published": _flag, "--batch": _number, **DATA, **MODEL},
    "claims": MODEL,
    "attention": {"-o": _output, "--blocks": _text, "--steps": _text, **MODEL},
    "report": {"--steps": _text, "--technology": TECHNOLOGY, **MODEL},
    "calibrate": {"--split": _text, "--limit": _number, "--time-steps": _number, "--weight-bits": _number, "--input-bits": _number,
                  "--membrane-bits": _number, "--stream-bits": _number, "--size": _number, "--threads": _number, **DATA, "--json": _flag},
    "sweep": {"--weight-bits": _bits, "--membrane-bits": _bits, "--stream-bits": _bits, "--time-steps": _bits, "--split": _one_of("test"),
              "--limit": _number, "--classes-by-order": _flag, "--calibrate-on": _input, "--calibrate-split": _text, "--calibrate-limit": _number,
              "-o": _output, "--plot": _output, "--weights": _input, "--size": _number, "--threads": _number, **DATA, "--json": _flag},
    "trace": {"--stages": _one_of("block.0.*", "head*", "*", "block.0.*,x"), "--steps": _text, **MODEL},
    "compare": {"--record": _one_of("head/sum", "block.0.attn.q_lif/spikes"), "--events": _one_of("set", "order"), "--tolerance": _number,
                "--isolated": _flag, "--weights": _input, "--json": _flag},
    "vectors": {"--weights": _input, "--json": _flag},
    "sizing": {"--weights": _input, "--json": _flag},
    "convert": {"--config": _input, "--set": _one_of("time_steps=1", "mean=[NaN,1,2]", "=", "img_size=10"), "--preset": _one_of("sdt-8-512"),
                "--key": _text, "--ema": _flag, "--round-float64": _flag, "--classes": _input, "--json": _flag},
}  # fmt: skip


def make(rng: random.Random, folder: Path) -> Case:
    """One command line."""
    warm.sound(folder)
    command = rng.choice(list(COMMANDS))
    lines = [line for line in warm.RUNS if line[0] == command] or [[command, *warm.WEIGHTS, *warm.THREADS]]
    argv = list(rng.choice(lines))
    if rng.randrange(3):
        argv = [part if part not in warm.INPUTS or rng.randrange(4) else _input(rng, folder) for part in argv]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        option = rng.choice(list(OF[command]))
        value = OF[command][option](rng, folder)
        joined = option.startswith("--") and value and rng.randrange(2)
        argv += (
            [f"{option}={value}"]
            if joined
            else [option, *([value] if value or OF[command][option] is not _flag else [])]
        )
    match rng.randrange(12):
        case 0:
            del argv[rng.randrange(1, len(argv))]
        case 1:
            argv.insert(rng.randrange(1, len(argv) + 1), hostile.text(rng))
        case 2:
            argv = [argv[0], *(_output(rng, folder) if argv[n] == "-o" else part for n, part in enumerate(argv[1:]))]
    if command == "claims":  # it would take minutes
        argv += ["--size", "0"]
    argv = [part.replace("\x00", "") for part in argv]
    return Case(command, argv, None, _written(argv), memory=2048, may_lack_memory=True)


def _written(argv: list[str]) -> tuple[str, ...]:
    """Names after options that name a file to write, and what `convert` writes."""
    named = [
        argv[n + 1] for n, part in enumerate(argv[:-1]) if part in ("-o", "--figure", "--csv", "--table", "--plot")
    ]
    named += [
        part.partition("=")[2] for part in argv if part.startswith(("--figure=", "--csv=", "--table=", "--plot="))
    ]
    return tuple(str(Path(name)) for name in [*named, *(argv if argv[0] == "convert" else [])] if name and name != ".")
