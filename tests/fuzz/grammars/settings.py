"""Settings of a conversion: YAML files and --set. PyYAML reads them; where it is missing, only --set is left.

There is no oracle: YAML has many spellings of one value, and PyYAML is what reads them.
"""

import importlib.util
import random
from pathlib import Path
from typing import Any

from .. import commands, damage, hostile, seeds
from ..case import Case

NAME = "s.yml"
SOUND = """time_steps: 2
pooling_stat: "0011"
num_heads: 1
dvs_mode: false
TET: false
dataset: fuzz
img_size: 8
crop_pct: null
interpolation: bicubic
mean: [0.4, 0.5, 0.6]
std: [0.2, 0.3, 0.4]
"""
LITERALS = (
    *("1" * 5000, "0x" + "f" * 5000, "0b" + "1" * 9000, "0o7", "1_000", "1:30:00", "190:20:30.15", ".inf", ".nan", "-.inf", "~", "yes", "=", "<<"),
    *("!!python/object/apply:os.system [x]", "!!binary aGVs", "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2001-12-14", "!!int x", "!!float ''"),
    *("!!str", "!x y", "&a [*a]", "*b", "{a: *a}", "[" * 900 + "]" * 900, "[" * 3000, "? ", "- - - - 1", "|\n  x", ">\n  x", "2001-99-99", "2001-12-14"),
    *('"\\x1b[31m"', '"\\uD800"', "'" + "x" * 50_000 + "'", "[" + "1, " * 5000 + "1]", "{" + "".join(f"k{n}: {n}, " for n in range(500)) + "}"),
    *("0.5", "-1", "0", "1e400", "8192", "[8, 8]", "[3, 8, 8]", "[0.1]", "[0, 0, 0]", "0011", "9", "true", "1:2"),
)  # fmt: skip


def make(rng: random.Random, folder: Path) -> Case:
    """Settings, and `convert`."""
    out = commands.maybe_old(folder, "o.h5", rng)
    argv = ["convert", commands.put(folder, "c.pth", seeds.checkpoint()), out, *commands.json_or_not(rng)]
    if importlib.util.find_spec("yaml") is None or not rng.randrange(5):
        names = [line.partition(":")[0] for line in SOUND.splitlines()]
        given = [f"{rng.choice((*names, hostile.text(rng)))}={_setting(rng)}" for _ in range(rng.choice((1, 1, 2, 3)))]
        return Case("set", [*argv, *(f"--set={text}" for text in given)], None, ("o.h5",))
    kind, text = rng.choice((_values, _values, _laughs, _bytes))(rng)
    commands.put(folder, NAME, text)
    return Case(kind, [*argv, "--config", NAME], None, ("o.h5",))


def _setting(rng: random.Random) -> str:
    tree: Any = hostile.value(rng)
    return rng.choice(
        (hostile.text(rng), hostile.number(rng), hostile.as_json(tree, rng).decode("utf-8", "surrogatepass")[:60_000])
    )


def _values(rng: random.Random) -> tuple[str, bytes]:
    lines = SOUND.splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        name = lines[at].partition(":")[0]
        lines[at] = f"{rng.choice((name, name, name, rng.choice(LITERALS)))}: {rng.choice(LITERALS)}"
    return "values", "\n".join(lines).encode("utf-8", "surrogatepass")


def _laughs(rng: random.Random) -> tuple[str, bytes]:
    """Lists or dictionaries of shared ones: a text that grows with each level."""
    levels, each = rng.choice(((9, 9), (20, 2), (30, 9), (300, 2), (3, 50)))
    lines = ["a0: &a0 [x, x]"]
    for n in range(1, levels):
        inner = (
            ", ".join([f"*a{n - 1}"] * each) if rng.randrange(8) else ", ".join(f"k{k}: *a{n - 1}" for k in range(each))
        )
        lines.append(f"a{n}: &a{n} " + (f"{{{inner}}}" if ":" in inner else f"[{inner}]"))
    name = rng.choice([line.partition(":")[0] for line in SOUND.splitlines()])
    merged = rng.choice(
        (f"{name}: *a{levels - 1}", f"{name}: {{*a{levels - 1} : 1}}", f"<<: *a{levels - 1}", f"{name}: &b [*b]")
    )
    kept = "".join(line + "\n" for line in SOUND.splitlines() if not line.startswith(name))
    return "aliases", ("\n".join(lines) + f"\n{kept}{merged}\n").encode()


def _bytes(rng: random.Random) -> tuple[str, bytes]:
    return "bytes", damage.damaged(SOUND.encode(rng.choice(("utf-8", "utf-8", "utf-16"))), rng)
