"""Checkpoints: zip archives and pickles in a row as torch.save writes them, and safetensors.

The oracle reads the tensors with `zipfile`, `json` and NumPy alone, where the pickle of the archive is that of the seed, or
the file is safetensors. Else a pickle may say anything, and what it says is what this reader is for: then there is none.
"""

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.networks import random_tensors

from .. import commands, damage, hostile, pickles, seeds
from ..case import SAME, Case, Done
from ..pickles import Instance, Raw, Stored

NAME = "c.pth"


def make(rng: random.Random, folder: Path) -> Case:
    """One checkpoint, and `convert`."""
    kind, content = rng.choice(KINDS)(rng)
    commands.put(folder, NAME, content)
    argv = ["convert", NAME, commands.maybe_old(folder, "o.h5", rng), *commands.json_or_not(rng)]
    if kind.startswith("safetensors") or not rng.randrange(6):
        argv += [f"--set={name}={value}" for name, value in
                 {"time_steps": 2, "pooling_stat": "0011", "num_heads": 1, "dvs_mode": "false", "TET": "false", "img_size": 8,
                  "dataset": "fuzz"}.items()]  # fmt: skip
    argv += rng.choice(([], [], [], ["--round-float64"], ["--ema"], ["--key", "state_dict"]))
    return Case(kind, argv, same_tensors, ("o.h5",))


def _content(**changes: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    tensors, storages = pickles.stored(random_tensors(seeds.NET))
    args = Instance("argparse", "Namespace", (), seeds.SETTINGS)
    return {"epoch": 3, "arch": "sdt", "state_dict": tensors, "args": args, "metric": 81.0, **changes}, storages


def _bytes(rng: random.Random) -> tuple[str, bytes]:
    form = rng.choice(("zip", "legacy", "safetensors"))
    content = seeds.checkpoint(form)
    return f"{form}, bytes", damage.damaged(content, rng, [(0, 6000), (len(content) - 5000, len(content))])


def _pickle_bytes(rng: random.Random) -> tuple[str, bytes]:
    """The pickle is damaged, not the archive around it."""
    content, storages = _content()
    return "pickle, bytes", pickles.packaged(damage.damaged(pickles.pickled(content), rng), storages, "zip")


def _tensors(rng: random.Random) -> tuple[str, bytes]:
    """Tensors that claim other numbers than their storages have."""
    content, storages = _content()
    name = rng.choice(list(content["state_dict"]))
    had = content["state_dict"][name]
    huge = rng.choice((10**9, 2**31, 2**40, 2**63, 10**30, -1))
    changes: list[Any] = [
        Stored(had.key, (huge,), (0,)), Stored(had.key, had.shape, tuple(0 for _ in had.shape)), Stored(had.key, had.shape, had.strides, huge),
        Stored(had.key, had.shape, had.strides, 0, huge), Stored("absent", had.shape, had.strides), Stored("../../etc/passwd", had.shape, had.strides),
        Stored(had.key, (1,) * 70, (0,) * 70), Stored(had.key, had.shape, tuple(-n for n in had.strides)), Stored(had.key, [3, 3], None),
        Stored(had.key, None, None, 0, 8), Stored(had.key, ("a",), (1,), 0, 8), Stored(had.key, (huge,) * 3, (0, 0, 0)), Stored(had.key, had.shape, ()),
        Stored(had.key, had.shape, had.strides, kind=rng.choice(("DoubleStorage", "HalfStorage", "LongStorage", "QInt8Storage", "UntypedStorage",
                                                               "Float4_e2m1fn_x2Storage", "Float8_e4m3fnStorage", "xStorage"))),
        Stored(had.key, had.shape, had.strides, kind=rng.choice((None, "x" * 100_000, 3))),
        Stored(had.key, had.shape, had.strides, function=rng.choice(("_rebuild_qtensor", "_rebuild_tensor_v3", "_rebuild_sparse_tensor",
                                                                     "_rebuild_meta_tensor_no_storage", "_rebuild_nested_tensor", "_rebuild_x"))),
        _value(rng),
    ]  # fmt: skip
    content["state_dict"] = {**content["state_dict"], name: rng.choice(changes)}
    return "tensors", pickles.packaged(pickles.pickled(content), storages, rng.choice(("zip", "zip", "legacy")))


def _settings(rng: random.Random) -> tuple[str, bytes]:
    """Anything at all where a setting is meant."""
    where = rng.choice(("args", "args", "args", "epoch", "arch", "metric", "state_dict", "state_dict_ema"))
    changes: dict[str, Any] = {where: _value(rng)}
    if where == "args" and rng.randrange(4):
        settings = {**seeds.SETTINGS, rng.choice([*seeds.SETTINGS, hostile.text(rng)]): _value(rng)}
        changes = {
            "args": rng.choice(
                (Instance("argparse", "Namespace", (), settings), settings, Instance("a.b", "C", (), (None, settings)))
            )
        }
    content, storages = _content(**changes)
    return "settings", pickles.packaged(pickles.pickled(content), storages, rng.choice(("zip", "zip", "legacy")))


def _laughs(levels: int, each: int, opening: bytes, closing: bytes) -> Raw:
    """Lists of lists that are shared."""
    parts = [b"]q\x00"]
    for n in range(1, levels):
        last = b"h" + bytes([n - 1])
        parts.append(b"0" + opening + b"(" * (closing not in (b"t", b"d")) + last * each + closing + b"q" + bytes([n]))
    return Raw(b"".join(parts))


def _value(rng: random.Random) -> Any:
    tensor = Stored("0", (8,), (1,))
    return rng.choice((
        lambda: _laughs(rng.choice((9, 40, 200)), rng.choice((2, 9)), b"]", b"e"),
        lambda: _laughs(rng.choice((9, 40, 200)), rng.choice((2, 9)), b"(", b"t"),
        lambda: Raw(b"]q\x00h\x00a"),  # a list that is in itself
        lambda: Raw(b"}q\x00" + pickles.text("a") + b"h\x00s"),
        lambda: Raw(b"]" * 50_000 + b"a" * 49_999),
        lambda: Raw(b")" + b"\x85" * 50_000),
        lambda: tensor, lambda: [tensor] * 3, lambda: 10**6000, lambda: -(10**6000), lambda: float("nan"), lambda: float("inf"), lambda: b"\x00" * 300,
        lambda: hostile.text(rng), lambda: "x" * 200_000, lambda: {hostile.text(rng): 1}, lambda: {tensor: 1} if False else {(1, 2): 3},
        lambda: None, lambda: True, lambda: 0, lambda: -1, lambda: [], lambda: {}, lambda: (), lambda: 1.5,
        lambda: Raw(pickles.name("builtins", "bytearray") + pickles.written((rng.choice((10**9, 10**10, 2**62)),)) + b"R"),
        lambda: Instance("builtins", rng.choice(("range", "list", "str", "set", "object", "getattr", "eval", "slice")), ([1, 2],)),
        lambda: Instance("x" * 100_000, "Y"), lambda: Instance("a\x1b", "\x07B"), lambda: Instance("os", "system", ("true",)),
        lambda: Instance("numpy.core.multiarray", "scalar", (Instance("numpy", "dtype", ("f8", False, True)), b"\x00" * 8)),
        lambda: Instance("collections", "OrderedDict", ([["a", 1], ["b", 2]],)), lambda: Instance("collections", "defaultdict", (3,)),
        lambda: Raw(b"X" + struct.pack("<I", rng.choice((2**31, 2**32 - 1, 10**6))) + b"abc"),
        lambda: Raw(b"\x8d" + struct.pack("<Q", rng.choice((2**62, 2**63, 10**10))) + b"abc"),
        lambda: Raw(b"\x96" + struct.pack("<Q", 10**10) + b"abc"), lambda: Raw(b"\x8b" + struct.pack("<i", 2**30)),
        lambda: Raw(b"I" + b"9" * 6000 + b"\n"), lambda: Raw(b"L" + b"9" * 6000 + b"L\n"), lambda: Raw(b"F" + b"1" * 500 + b"\n"),
        lambda: Raw(b"U\x03abc"), lambda: Raw(b"S'\\x1b'\n"), lambda: Raw(b"V\\ud800\n"), lambda: Raw(b"\x82\x01"), lambda: Raw(b"\x98"),
        lambda: Raw(b"h\xff"), lambda: Raw(b"r\xff\xff\xff\xff"), lambda: Raw(b"N" + b"2" * 3000 + b"0" * 3000), lambda: Raw(b"e"), lambda: Raw(b"."),
    ))()  # fmt: skip


def _archive(rng: random.Random) -> tuple[str, bytes]:
    """The zip archive around the pickle: its directory, its names, its sizes."""
    content, storages = _content()
    pickle = pickles.pickled(content)
    entries = {"archive/data.pkl": pickle, "archive/byteorder": b"little", **{f"archive/data/{key}": data for key, data in storages.items()},
               "archive/version": b"3\n"}  # fmt: skip
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    match rng.randrange(7):
        case 0:
            entries["archive/data.pkl"] = bytes(rng.choice((10**6, 5 * 10**7)))  # it inflates
            method = zipfile.ZIP_DEFLATED
        case 1:
            entries[rng.choice(list(entries))] = rng.choice((b"", b"x", b"big"))
        case 2:
            del entries[rng.choice(list(entries))]
        case 3:
            entries |= {
                rng.choice(
                    (
                        "other/data.pkl",
                        "data.pkl",
                        "../data.pkl",
                        "x.npy",
                        "archive/constants.pkl",
                        "\x1b[31m",
                        "a/" * 2000,
                    )
                ): b"x"
            }
        case 4:
            entries |= {f"archive/many/{n}": b"" for n in range(3000)}
        case 5:
            made = bytearray(seeds.zipped(entries, method))
            at = made.rindex(b"PK\x05\x06")
            place = rng.choice(
                (
                    at + rng.randrange(22),
                    made.index(b"PK\x01\x02") + rng.randrange(46),
                    made.index(b"PK\x03\x04") + rng.randrange(30),
                )
            )
            width = rng.choice((1, 2, 4))
            made[place : place + width] = rng.choice((b"\xff", b"\x00", b"\x7f")) * width
            return "archive", bytes(made)
        case _:
            made = bytearray(seeds.zipped(entries, method))
            sizes = [n for n in range(len(made)) if made[n : n + 4] == b"PK\x01\x02"]
            at = rng.choice(sizes)
            made[at + 16 : at + 20] = bytes(4) if rng.randrange(2) else made[at + 16 : at + 20]  # no checksum
            made[at + 20 : at + 28] = struct.pack(
                "<II", *rng.choice(((0xFFFFFFFE, 0xFFFFFFFE), (0, 0), (10**9, 10**9), (5, 10**9)))
            )
            return "archive", bytes(made)
    return "archive", seeds.zipped(entries, method)


def _safetensors(rng: random.Random) -> tuple[str, bytes]:
    content = seeds.checkpoint("safetensors")
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = hostile.as_json(hostile.worse(header, rng), rng)
    size = rng.choice((len(text), len(text), len(text), len(text), 0, 2**63, 10**8, len(text) + 1))
    return "safetensors, header", struct.pack("<Q", size) + text + content[8 + length :]


def _no_checkpoint(rng: random.Random) -> tuple[str, bytes]:
    contents = (seeds.weights(), seeds.dump_npz(), seeds.picture(), seeds.pack(), b"", b"PK\x03\x04", b"\x80\x02.", b"\x80\x02]q\x00h\x00a.",
                b"<html>", b"\x1f\x8b" + bytes(9), seeds.recording("aedat4"), b"version https://git-lfs.github.com/spec/v1\n")  # fmt: skip
    return "something else", damage.damaged(rng.choice(contents), rng)


KINDS: tuple[Callable[[random.Random], tuple[str, bytes]], ...] = (
    _bytes, _bytes, _pickle_bytes, _tensors, _settings, _settings, _archive, _safetensors, _no_checkpoint,
)  # fmt: skip


def same_tensors(folder: Path, done: Done) -> str:
    """Whether the weights file holds what a plain reading of the checkpoint does."""
    content = (folder / NAME).read_bytes()
    expected = (
        _plain_zip(content)
        if content.startswith(b"PK")
        else _plain_safetensors(content)
        if content[6:9] == b"\0\0{"
        else None
    )
    if expected is None:
        return SAME
    with h5py.File(folder / "o.h5") as file:
        for name, tensor in random_tensors(seeds.NET).items():
            found = np.asarray(file[f"weights/{name.replace('.', '/')}"][()])
            if found.tobytes() not in (expected[name].tobytes(), tensor.tobytes()):
                return f"tensor '{name}' is not what the checkpoint holds"
    return SAME


def _plain_zip(content: bytes) -> dict[str, np.ndarray] | None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    if entries.get("data.pkl") != pickles.pickled(_content()[0]) or entries.get("byteorder") == b"big":
        return None
    names = random_tensors(seeds.NET)
    return {name: np.frombuffer(entries[f"data/{number}"], "<f4") for number, name in enumerate(names)}


def _plain_safetensors(content: bytes) -> dict[str, np.ndarray]:
    length = int.from_bytes(content[:8], "little")
    kinds = {"F32": "<f4", "F64": "<f8", "F16": "<f2"}
    found = {}
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name != "__metadata__" and entry["dtype"] in kinds:
            first, last = entry["data_offsets"]
            values = np.frombuffer(content[8 + length + first : 8 + length + last], kinds[entry["dtype"]])
            found[name.removeprefix("model.").removeprefix("module.")] = values.astype(np.float32)
    return found
