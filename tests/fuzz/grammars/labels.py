"""Lists beside the data: labels of another program, class names, trials of a recording."""

import random
from pathlib import Path

import numpy as np

from tests import camera_bytes

from .. import commands, damage, hostile, seeds
from ..case import Case


def make(rng: random.Random, folder: Path) -> Case:
    """One list, and a command that reads it."""
    match rng.randrange(3):
        case 0:
            return _against(rng, folder)
        case 1:
            return _classes(rng, folder)
    return _trials(rng, folder)


def _against(rng: random.Random, folder: Path) -> Case:
    arrays = [np.array([3, 4, 5]), np.array([3.0, 4, np.nan]), np.array(7), np.zeros((0,), int), np.zeros((3, 3), int), np.array(["a"] * 3),
              np.array([2**63], np.uint64), np.array([True] * 3), np.zeros(3, [("a", int)])]  # fmt: skip
    content = camera_bytes.npy(rng.choice(arrays))
    match rng.randrange(4):
        case 0:
            content = damage.damaged(content, rng)
        case 1:
            shape = rng.choice(
                (b"(10000000000,)", b"(" * 90, b"(3,) + (1,)", b"(-3,)", b"(" + b"1," * 60 + b")", b"[3]")
            )
            content = content.replace(b"(3,)", shape)
        case 2:
            content = damage.damaged(rng.choice((camera_bytes.npz(a=np.arange(3)), b"3\n4\n5\n", seeds.weights())), rng)
    name = commands.put(folder, "l.npy", content) if rng.randrange(6) else hostile.path(rng, folder)
    argv = [
        "evaluate",
        commands.put(folder, "p.h5", seeds.pack()),
        "--weights",
        commands.put(folder, "w.h5", seeds.weights()),
    ]
    return Case("against", [*argv, f"--against={name}", *commands.THREADS])


def _classes(rng: random.Random, folder: Path) -> Case:
    lines = [f"class {k}" for k in range(10)]
    for _ in range(rng.randrange(4)):
        lines[rng.randrange(len(lines))] = hostile.text(rng).replace("\n", " ")
    lines *= rng.choice((1, 1, 1, 2, 5000))
    text = rng.choice(("\n", "\r\n", "\r", "\x85")).join(lines)
    content = text.encode(rng.choice(("utf-8", "utf-8", "utf-16", "utf-8-sig")), "surrogatepass")
    content = damage.damaged(content, rng) if rng.randrange(2) else content
    name = commands.put(folder, "l.txt", content) if rng.randrange(6) else hostile.path(rng, folder)
    argv = ["convert", commands.put(folder, "c.pth", seeds.checkpoint()), commands.maybe_old(folder, "o.h5", rng)]
    return Case("classes", [*argv, f"--classes={name}"], None, ("o.h5",))


def _trials(rng: random.Random, folder: Path) -> Case:
    commands.put(folder, "r.aedat", camera_bytes.aedat3([(100 * k, k % 128, 5, k % 2) for k in range(40)]))
    rows = [["class", "startTime_usec", "endTime_usec"], ["10", "0", "1000"], ["3", "900", "2000"]]
    for _ in range(rng.randrange(3)):
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = rng.choice((hostile.number, hostile.text))(rng)
    content = "\n".join(map(",".join, rows * rng.choice((1, 1, 1, 1000)))).encode("utf-8", "surrogatepass")
    commands.put(folder, "r_labels.csv", damage.damaged(content, rng) if rng.randrange(2) else content)
    network = ["--weights", commands.put(folder, "w.h5", seeds.weights_of_recordings(128, 64)), *commands.THREADS]
    argv = (
        ["evaluate", "."]
        if rng.randrange(2)
        else ["infer", "r.aedat", "--trial", rng.choice(("1", "2", hostile.number(rng)))]
    )
    return Case("trials", [*argv, *network, *commands.json_or_not(rng)])
