"""Formats files of fixed point: TOML that is sound, with keys changed; TOML that is none.

There is no oracle: what a sound text declares is told by nothing but the readers under test.
"""

import random
import tomllib
from pathlib import Path
from typing import Any

from .. import commands, damage, hostile, seeds
from ..case import Case

NAME = "f.toml"
LITERALS = (
    *("0x" + "f" * 4000, "1" * 4000, "1" * 6000, "-" + "9" * 5000, "1e400", "nan", "-inf", "1979-05-27T07:32:00Z", "07:32:00", "[]", "{}", "true"),
    *("[" * 900 + "]" * 900, "[" * 5000, "{a=" * 400 + "1" + "}" * 400, '"\\u001b[31m"', '"\\u0007"', '"\\uD800"', '"""\na\n"""', "'x'"),
    *('"' + "x" * 20_000 + '"', '"2^-1 - 2^-4 - 2^-9"', '"2^-1' + " + 2^-1" * 3000 + '"', "2.0", "8.0", "49", "-1", "0", "1"),
)  # fmt: skip


def make(rng: random.Random, folder: Path) -> Case:
    """One formats file, and a command in fixed point."""
    kind, content = rng.choice((_keys, _keys, _literals, _bytes, _shapes))(rng)
    commands.put(folder, NAME, content)
    argv, outputs = commands.of_picture("i.png", rng, folder)
    commands.put(folder, "i.png", seeds.picture())
    if argv[0] == "calibrate":
        argv, outputs = ["infer", "i.png", *argv[4:]], ()
    fixed = rng.choice((["--arithmetic", "fixed"], []))
    if not rng.randrange(20):
        argv, outputs = ["claims", *argv[argv.index("--weights") :], "--size", "0"], ()
        argv = [part for part in argv if part != "--json"]
    return Case(kind, [*argv, *fixed, "--formats", NAME], None, outputs)


def _keys(rng: random.Random) -> tuple[str, bytes]:
    return "keys", toml(hostile.worse(tomllib.loads(seeds.FORMATS), rng)).encode("utf-8", "surrogatepass")


def _literals(rng: random.Random) -> tuple[str, bytes]:
    lines = seeds.FORMATS.splitlines()
    at = rng.choice([n for n, line in enumerate(lines) if "=" in line])
    literal = rng.choice(LITERALS)
    parts = lines[at].split(" = ")
    part = rng.randrange(1, len(parts))
    parts[part] = literal + rng.choice(("", ", x", " }", parts[part][parts[part].find(",") :]))
    lines[at] = " = ".join(parts)
    return "literals", "\n".join(lines).encode()


def _bytes(rng: random.Random) -> tuple[str, bytes]:
    return "bytes", damage.damaged(seeds.FORMATS.encode(), rng)


def _shapes(rng: random.Random) -> tuple[str, bytes]:
    """Long, deep, many."""
    key = rng.choice(
        ("a" * 30_000, "a." * 400 + "b", '"\\u001b]0;x\\u0007"', "stage" + ".x" * 1200, "default.membrane", "'é'")
    )
    more = rng.choice((f"{key} = 1\n", f"[{key}]\nbits = 1\n", f"[[{key}]]\n" * 300, "".join(f"k{n} = {n}\n" for n in range(20_000)),
                       "# " + "c" * (2 << 20) + "\n", "x = " + "[" * 20_000, '[stage."block.0.attn.q_conv"]\nweight = { bits = 3 }\n'))  # fmt: skip
    return "shapes", (seeds.FORMATS + more if rng.randrange(2) else more + seeds.FORMATS).encode()


def toml(tree: Any, top: str = "") -> str:
    """A dictionary as TOML, inline below the first level; values that TOML lacks as texts."""
    return (
        "".join(f"{_key(key)} = {_value(value)}\n" for key, value in tree.items())
        if isinstance(tree, dict)
        else "x = 1\n"
    )


def _key(key: Any) -> str:
    return (
        '"'
        + "".join(
            c if c.isprintable() and c not in '"\\' and ord(c) < 0xD800 else f"\\u{ord(c) & 0xFFFF:04x}"
            for c in str(key)
        )
        + '"'
    )


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return (
                f"{value:#x}"
                if isinstance(value, int) and value >= 1 << 200
                else str(value)
                if abs(value) < 1 << 200
                else "-1"
            )
        case dict():
            return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
    return _key(value)
