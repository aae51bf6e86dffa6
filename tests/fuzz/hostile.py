"""Values that nothing expects: numbers, texts, paths."""

import contextlib
import copy
import json
import os
import random
from pathlib import Path
from typing import Any

NUMBERS = (
    *("-1", "0", "1", "2", "3", "7", "8", "16", "-0", "+1", "1e3", "1.5", "nan", "inf", "-inf", "0x10", "1_0", "٣", " 4 "),
    *("99999999999999999999", "-99999999999999999999", "2147483648", "4294967296", "9223372036854775808", "1" * 5000),
)  # fmt: skip
TEXTS = (
    *("", " ", "-", "--", "=", "a=b", ",", "0-", "-1", "0,0", "0-4096", "3-1", "*", "[", "{}", "../..", ".", "/", "\\", "'", '"'),
    *("\x1b[31mred\x1b[0m", "\x07", "a\nb", "a\rb", "\u202egnp", "\x7f", "é", "日本", "\ud800", "🙂" * 40),
    *("x" * 300, "x" * 20_000, "%s%n", "[bold]x[/]", "[/]", ":dog:", "$(id)", "NaN", "None", "true", "http://a.b/c.h5"),
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/stdin", "/dev/urandom", "/dev/fd/0", "/dev/tty", "/proc/self/mem", "/proc/self/maps",
           "/proc/self/environ")  # fmt: skip


def number(rng: random.Random) -> str:
    """A number, or what may be taken for one."""
    return rng.choice(NUMBERS) if rng.randrange(4) else str(rng.randint(-100, 100))


def text(rng: random.Random) -> str:
    """Any text that a command line can carry."""
    return (
        rng.choice(TEXTS)
        if rng.randrange(8)
        else "".join(chr(rng.randint(1, 0x2FF)) for _ in range(rng.randint(1, 20)))
    )


def path(rng: random.Random, folder: Path, *, devices: bool = True) -> str:
    """A path at which no plain file is; made below the folder. Devices are for reading alone."""
    kind = rng.choice(
        (
            "loop",
            "nowhere",
            "folder",
            "pipe",
            "long",
            "missing",
            "text",
            "below",
            "empty",
            "linked",
            *["device"] * (3 * devices),
        )
    )
    if kind in ("loop", "nowhere", "folder", "pipe", "linked", "empty", "below") and os.path.lexists(folder / kind):
        return kind
    match kind:
        case "loop":
            (folder / kind).symlink_to(kind)
        case "nowhere":
            (folder / kind).symlink_to("not/there")
        case "folder":
            (folder / kind).mkdir()
        case "pipe":
            os.mkfifo(folder / kind)
        case "linked":
            os.mkfifo(folder / "behind")
            (folder / kind).symlink_to("behind")
        case "long":
            return "x" * rng.choice((255, 256, 5000))
        case "missing":
            return "no/such/file"
        case "below":
            (folder / kind).write_text("plain")
            return f"{kind}/file"
        case "empty":
            (folder / kind).write_bytes(b"")
        case "device":
            return rng.choice(DEVICES)
        case _:
            return text(rng).replace("/", "_").replace("\\", "_")
    return kind


def value(rng: random.Random) -> Any:
    """A value of JSON that nothing expects; the sizes are bounded, what they claim is not."""
    nested: Any = 0
    for _ in range(rng.choice((3, 30, 300))):
        nested = [nested] if rng.randrange(2) else {"a": nested}
    return rng.choice((None, True, False, -1, 0, 1, 2, 3, 10**7, 10**9, 2**31, 2**63, 2**64, 10**400, -(10**400), 1.5, 1e308, -0.0,
                       float("nan"), float("inf"), "", "x", "0011", "2", "\x1b[31m", "\u202e", "\ud800", "x" * 5000, [], {}, [0], [[]],
                       [1] * 3000, ["\x07"] * 50, {"\x1b": 1}, {str(n): n for n in range(300)}, nested))  # fmt: skip


def worse(tree: Any, rng: random.Random) -> Any:
    """A tree of dictionaries and lists with one to three places changed, lost, doubled or exchanged."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = tree
        while isinstance(place, (dict, list)) and place:
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
            inner = place[key]
            if isinstance(inner, (dict, list)) and inner and rng.randrange(4):
                place = inner
                continue
            match rng.randrange(7):
                case 0:
                    del place[key]
                case 1 if isinstance(place, dict):
                    place[text(rng)] = inner
                case 2 if isinstance(place, dict):
                    place[key] = place[rng.choice(list(place))]
                case 3 if isinstance(inner, (int, float)) and not isinstance(inner, bool):
                    more = rng.choice((-1, 1, 0.5, 10**6, -(10**6)))
                    place[key] = inner + (int(more) if abs(inner) > 1 << 1000 else more)  # no float is so large
                case 4 if isinstance(place, list):
                    place.append(value(rng))
                case _:
                    place[key] = value(rng)
            break
    return tree


def as_json(tree: Any, rng: random.Random) -> bytes:
    """JSON of any tree: numbers that are none, keys that stand twice."""
    with contextlib.suppress(RecursionError):
        written = json.dumps(tree, ensure_ascii=bool(rng.randrange(2)))
        if not rng.randrange(12):
            written = written.replace("{", '{"time_steps": 1, "time_steps": 2, ', 1)
        if not rng.randrange(12):
            written = "[" * 100_000
        return written.encode("utf-8", "surrogatepass")
    return b"{"
