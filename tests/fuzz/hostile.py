"""Values that nothing expects: numbers, texts, paths."""

import os
import random
from pathlib import Path

NUMBERS = (
    *(
        "-1",
        "0",
        "1",
        "2",
        "3",
        "7",
        "8",
        "16",
        "-0",
        "+1",
        "1e3",
        "1.5",
        "nan",
        "inf",
        "-inf",
        "0x10",
        "1_0",
        "٣",
        " 4 ",
    ),
    *("99999999999999999999", "-99999999999999999999", "2147483648", "4294967296", "9223372036854775808", "1" * 5000),
)
TEXTS = (
    *(
        "",
        " ",
        "-",
        "--",
        "=",
        "a=b",
        ",",
        "0-",
        "-1",
        "0,0",
        "0-4096",
        "3-1",
        "*",
        "[",
        "{}",
        "../..",
        ".",
        "/",
        "\\",
        "'",
        '"',
    ),
    *(
        "\x1b[31mred\x1b[0m",
        "\x07",
        "a\nb",
        "a\rb",
        "\u202egnp",
        "\u0000"[:0] + "\x7f",
        "é",
        "日本",
        "\ud800",
        "🙂" * 40,
    ),
    *("x" * 300, "x" * 20_000, "%s%n", "[bold]x[/]", "[/]", ":dog:", "$(id)", "NaN", "None", "true", "http://a.b/c.h5"),
)

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
