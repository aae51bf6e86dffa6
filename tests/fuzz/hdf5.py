"""HDF5 files of which one thing is not as it should be: what the format can say, and no sound file of ours does."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import hostile
from .damage import damaged

Node = tuple[h5py.Group, str]  # a group, and the name of what stands in it
HUGE = 10**9
FILTERS = 32001, 32015, 32004, 32000, 305, 4, 5, 6, 0xFFFF  # Blosc, Zstandard, LZ4, LZF, szip, nbit, scale-offset, none


def structure(content: bytes, rng: random.Random, path: Path) -> str:
    """Write a file with one to three features that nothing of ours has; the name of the last."""
    path.write_bytes(content)
    done = "nothing"
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        feature = rng.choice(list(FEATURES))
        with h5py.File(path, "r+") as file:
            try:
                FEATURES[feature](file, rng)
            except (
                ValueError,
                TypeError,
                RuntimeError,
                OSError,
                LookupError,
            ):  # not at this place; what is gone is gone
                done = "names" if done == "nothing" else done
                continue
        done = feature
    return done


def _nodes(file: h5py.File, kind: type = object) -> list[Node]:
    """All that is reached without links that lead elsewhere."""
    found: list[Node] = []
    file.visititems(
        lambda name, node: found.append((node.parent, name.rpartition("/")[2])) if isinstance(node, kind) else None
    )
    return found


def numbers(node: h5py.Dataset) -> np.ndarray:
    """The numbers of a data set; ValueError where reading them may crash HDF5, or takes more memory than there is."""
    if node.is_virtual or node.external or node.nbytes > 1 << 24:
        raise ValueError("not to be read")
    return np.asarray(node[()])


def _array(file: h5py.File, rng: random.Random) -> tuple[h5py.Group, str, np.ndarray]:
    """Any array, taken out of the file."""
    group, name = rng.choice(_nodes(file, h5py.Dataset))
    values = numbers(group[name])
    _with_attributes(group, name)
    return group, name, values


_kept: dict[str, Any] = {}


def _with_attributes(group: h5py.Group, name: str) -> None:
    _kept.clear()
    _kept.update(group[name].attrs)
    del group[name]


def _put(group: h5py.Group, name: str, **how: Any) -> None:
    """A data set in the place of another, with its attributes."""
    made = group.create_dataset(name, **how)
    for key, value in _kept.items():
        made.attrs[key] = value


def _virtual(file: h5py.File, rng: random.Random) -> None:
    group, name, values = _array(file, rng)
    shape = values.shape or (1,)
    layout = h5py.VirtualLayout(shape, values.dtype)
    whole = f"{group.name}/{name}".replace("//", "/")
    others = [f"{g.name}/{n}".replace("//", "/") for g, n in _nodes(file, h5py.Dataset)]
    target, inside = rng.choice(((".", whole), (".", rng.choice(others)), ("other.h5", whole), (Path(file.filename).name, whole),
                                 ("/dev/zero", whole), ("part-%b.h5", whole)))  # fmt: skip
    layout[...] = h5py.VirtualSource(target, inside, shape)
    made = group.create_virtual_dataset(name, layout)
    made.attrs.update(_kept)


def _external(file: h5py.File, rng: random.Random) -> None:
    group, name, values = _array(file, rng)
    where = rng.choice(
        ("/etc/passwd", "/dev/zero", "absent", "beside", "pipe", "/proc/self/environ", "folder", "../files/beside")
    )
    folder = Path(file.filename).parent
    (folder / "beside").write_bytes(values.tobytes())
    if where == "folder":
        (folder / "folder").mkdir(exist_ok=True)
    size = rng.choice((max(values.nbytes, 1), h5py.h5f.UNLIMITED))
    _put(group, name, shape=values.shape or (1,), dtype=values.dtype, external=[(where, rng.choice((0, 1)), size)])


def _linked(file: h5py.File, rng: random.Random) -> None:
    group, name = rng.choice(_nodes(file))
    whole = f"{group.name}/{name}".replace("//", "/")
    other = rng.choice(_nodes(file))
    del group[name]
    match rng.randrange(7):
        case 0:
            group[name] = h5py.SoftLink(whole)  # to itself
        case 1:
            group[name] = h5py.SoftLink(rng.choice(("/absent", f"{other[0].name}/{other[1]}", "..", ".")))
        case 2:
            group[name] = h5py.ExternalLink("absent.h5", whole)
        case 3:
            group[name] = h5py.ExternalLink(Path(file.filename).name, whole)
        case 4:
            group[name] = h5py.ExternalLink(
                rng.choice(("/dev/zero", "/etc/passwd", "pipe", "\x1b[31m", ".")), rng.choice(("/", ""))
            )
        case 5:
            group[name] = group  # a circle
        case _:
            group[name] = file


def _typed(file: h5py.File, rng: random.Random) -> None:
    group, name, values = _array(file, rng)
    kinds: list[Any] = [
        *("f2", "f4", "f8", ">f4", "f16", "i1", "u1", "i4", ">i8", "u8", "c8", "S1", "S100", "V7"),
        *(h5py.string_dtype(), h5py.vlen_dtype(np.float32), h5py.ref_dtype, h5py.regionref_dtype),
        *(
            h5py.enum_dtype({"A": 0, "B": 1}),
            np.dtype([("r", "f4"), ("i", "f4")]),
            np.dtype(("f4", (2,))),
            np.dtype("?"),
        ),
        np.dtype([("a", h5py.string_dtype()), ("b", "f4", (3,))]),
    ]
    kind = np.dtype(rng.choice(kinds))
    if rng.randrange(2) and kind.kind in "fiub" and values.dtype.kind in "fiub":
        with np.errstate(all="ignore"):
            _put(group, name, data=values.astype(kind))
    else:
        made = rng.choice((values.shape, (), (1,)))
        _put(group, name, shape=made, dtype=kind)


def _named_type(file: h5py.File, rng: random.Random) -> None:
    group, name = rng.choice(_nodes(file))
    del group[name]
    group[name] = np.dtype(rng.choice(("f4", "i8", "S7")))


def _space(file: h5py.File, rng: random.Random) -> None:
    group, name, values = _array(file, rng)
    match rng.randrange(6):
        case 0:
            _put(group, name, data=h5py.Empty(values.dtype))
        case 1:
            _put(group, name, data=values.flat[0] if values.size else values.dtype.type(0))
        case 2:
            _put(group, name, data=values.reshape((1,) * rng.randint(1, 28 - values.ndim) + values.shape))
        case 3:
            _put(group, name, shape=tuple(rng.choice((0, 1, n)) for n in values.shape or (1,)), dtype=values.dtype)
        case 4:
            _put(group, name, data=np.concatenate([values, values]) if values.ndim else np.stack([values, values]))
        case _:
            _put(group, name, data=values.T if values.ndim > 1 else values[..., None])


def _claims(file: h5py.File, rng: random.Random) -> None:
    """Numbers without end that no byte stands for."""
    group, name, values = _array(file, rng)
    shape = list(values.shape or (1,))
    shape[rng.randrange(len(shape))] = rng.choice((HUGE, 10**7, 2**31, 2**40, 2**62))
    chunks = rng.choice((True, tuple(min(n, 64) for n in shape), None))
    if values.dtype.kind in "fiu" and rng.randrange(2):
        _put(group, name, shape=tuple(shape), dtype=values.dtype, chunks=chunks, fillvalue=rng.choice((0, 1, 7)))
    else:
        _put(
            group,
            name,
            shape=tuple(shape),
            dtype=values.dtype,
            chunks=chunks,
            maxshape=(None,) * len(shape) if chunks else None,
        )


def _chunks(file: h5py.File, rng: random.Random) -> None:
    group, name, values = _array(file, rng)
    wide = [*(values.shape or (1,))]
    wide[0] = rng.choice((10**6, 10**8, 9 * 10**8 // max(1, int(np.prod(wide[1:])))))
    how = rng.choice(({}, {"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}))
    made = group.create_dataset(
        name, shape=values.shape or (1,), dtype=values.dtype, chunks=tuple(wide), maxshape=(None,) * len(wide), **how
    )
    made.attrs.update(_kept)


def _filtered(file: h5py.File, rng: random.Random) -> None:
    group, name, values = _array(file, rng)
    values = values if values.ndim else values.reshape(1)
    if rng.randrange(2):
        how = rng.choice(
            ({"compression": "gzip"}, {"compression": "lzf", "shuffle": True}, {"fletcher32": True}, {"scaleoffset": 3})
        )
        _put(group, name, data=values, chunks=tuple(max(1, n) for n in values.shape), **how)
        return
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(tuple(max(1, n) for n in values.shape))
    for _ in range(rng.choice((1, 1, 2, 30))):
        plist.set_filter(
            rng.choice(FILTERS),
            h5py.h5z.FLAG_OPTIONAL,
            tuple(rng.choice((0, 1, rng.randrange(2**31))) for _ in range(rng.randrange(6))),
        )
    space = h5py.h5s.create_simple(values.shape)
    made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(values.dtype), space, plist)
    # as if each filter had been at work
    made.write_direct_chunk((0,) * values.ndim, rng.choice((values.tobytes(), b"", rng.randbytes(40))), filter_mask=0)
    h5py.Dataset(made).attrs.update(_kept)


def _many(file: h5py.File, rng: random.Random) -> None:
    group, _ = rng.choice(_nodes(file))
    match rng.randrange(4):
        case 0:
            for n in range(2000):
                group.create_group(f"many{n}")
        case 1:
            group.create_group("/".join(["deep"] * 400))
        case 2:
            for n in range(300):
                group[f"again{n}"] = group
        case _:
            for n in range(300):
                group.attrs[f"many{n}"] = n


def _renamed(file: h5py.File, rng: random.Random) -> None:
    group, name = rng.choice(_nodes(file))
    match rng.randrange(4):
        case 0:
            group.move(name, rng.choice(("\x1b[31m", "x" * 3000, "a.b", "é", "..b", name.upper(), name + ".")))
        case 1:
            del group[name]
        case 2:
            group.copy(name, name + rng.choice(("2", ".x", "\n")))
        case _:
            other, of = rng.choice(_nodes(file))
            moved = group[name]
            if not of.startswith(name):
                del other[of]
                other[of] = moved


def _numbers(file: h5py.File, rng: random.Random) -> None:
    group, name = rng.choice(_nodes(file, h5py.Dataset))
    node = group[name]
    values = numbers(node)
    if values.dtype.kind not in "fiu" or not values.size:
        return
    most: Any = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
    flat = values.reshape(-1)
    special = [most.min, most.max, 0, 1] + ([np.nan, np.inf, -np.inf, most.tiny] if values.dtype.kind == "f" else [])
    for _ in range(rng.choice((1, 3, flat.size if flat.size < 50 else 1))):
        flat[rng.randrange(flat.size)] = rng.choice(special)
    node[...] = values.reshape(node.shape)


def _attribute(file: h5py.File, rng: random.Random) -> None:
    nodes = [file, *(group[name] for group, name in _nodes(file))]
    node = rng.choice([node for node in nodes if len(node.attrs)] or [file]) if rng.randrange(4) else file
    name = rng.choice(list(node.attrs) or ["format"])
    had = node.attrs.get(name)
    match rng.randrange(10):
        case 0:
            del node.attrs[name]
        case 1 | 2:
            node.attrs[name] = rng.choice(
                (np.int64(8 * 10**9), -1, 0, 1, 2, 3, 10**7, 2**63 - 1, 1.5, np.nan, True, np.float16(2), 1 + 2j)
            )
        case 3:
            node.attrs[name] = rng.choice(("text", "\x1b[31m", "é" * 4000, "", "sdt_ref trace"))
        case 4:
            node.attrs.create(
                name, rng.choice((np.zeros(8000), np.array([], "S3"), np.array([[b"a"], [b"b"]]), np.zeros((3, 0))))
            )
        case 5:
            node.attrs[name] = h5py.Empty(rng.choice(("f4", "S3")))
        case 6:
            node.attrs.create(name, ["a", "b\x07", "c" * 300], dtype=h5py.string_dtype())
        case 7:
            file["type of an attribute"] = np.dtype("i4")
            node.attrs.create(name, 1, dtype=file["type of an attribute"])
        case 8:
            kind = np.dtype([("a", "i4"), ("b", h5py.string_dtype())])
            node.attrs.create(name, np.zeros(2, kind), dtype=kind)
        case _:
            content = bytes(had) if isinstance(had, (bytes, np.bytes_)) else b"text"
            node.attrs[name] = np.bytes_(damaged(content, rng) or b"x")


def _json(file: h5py.File, rng: random.Random) -> None:
    """A text of JSON in an attribute or a data set."""
    found: list[tuple[Any, str, bytes]] = [
        (file.attrs, name, bytes(v)) for name, v in file.attrs.items() if isinstance(v, (bytes, np.bytes_))
    ]
    if "header" in file:
        found += [(file, "header", bytes(file["header"][()]))]
    table, name, text = rng.choice([one for one in found if one[2][:1] in (b"{", b"[")])
    made = np.bytes_(hostile.as_json(hostile.worse(json.loads(text), rng), rng))
    del table[name]
    table[name] = made


FEATURES: dict[str, Callable[[h5py.File, random.Random], None]] = {
    "virtual": _virtual, "external": _external, "links": _linked, "types": _typed, "named types": _named_type,
    "spaces": _space, "claims": _claims, "chunks": _chunks, "filters": _filtered, "many": _many, "names": _renamed,
    "numbers": _numbers, "attributes": _attribute, "json": _json,
}  # fmt: skip
