"""Checkpoints of kilobytes that claim gigabytes, or hours: one for each way known. Each is refused, or read right."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from sdt_ref.weights.architecture import Architecture
from sdt_ref.weights.settings import SETTINGS as NAMES
from sdt_ref.weights.tensors import tensor_shapes
from tests.weights.checkpoint_bytes import (
    NETWORK,
    SETTINGS,
    archive,
    arranged,
    call,
    checkpoint,
    dict_of,
    laughs,
    legacy,
    list_of,
    name,
    number,
    plain,
    safetensors,
    storage,
    tensor,
    text,
    tuple_of,
)

GET = {at: b"j" + struct.pack("<I", at) for at in range(20)}
PUT = {at: b"r" + struct.pack("<I", at) for at in range(20)}
HEAD, STATE, ARGS = b"\x80\x02", text("state_dict"), text("args")
MILLION = 1_000_000
LARGE = text("x" * 50_000_000)  # packs to 50 kB
COLLIDING = 2**61 - 1  # the hash of every multiple is 0


def packed(program: bytes, stored: dict[str, bytes] | None = None) -> bytes:
    return archive(program, stored, zipfile.ZIP_DEFLATED)


def with_setting(value: bytes, setting: str = "time_steps") -> bytes:
    return packed(checkpoint(args={setting: value}))


def flood(opcodes: bytes, times: int, before: bytes = b"") -> bytes:
    return packed(HEAD + before + opcodes * times + b".")


def expanded(architecture: Architecture, axis: int = 0) -> bytes:
    """Every tensor of a large network, each a view that repeats one number."""
    state = {
        key: tensor(storage("0", 1), shape, [axis] * len(shape)) for key, shape in tensor_shapes(architecture).items()
    }
    return HEAD + dict_of([(STATE, dict_of((text(k), v) for k, v in state.items())), (ARGS, plain(SETTINGS))]) + b"."


def at_the_end(count: int) -> bytes:
    """The small network, each tensor a view of the last numbers of one long storage."""
    state = {key: tensor(storage("0", count), v.shape, [0] * v.ndim, count - 1) for key, v in NETWORK.items()}
    return HEAD + dict_of([(STATE, dict_of((text(k), v) for k, v in state.items())), (ARGS, plain(SETTINGS))]) + b"."


def with_directory(change: Callable[[zipfile.ZipInfo], None]) -> bytes:
    """A sound archive whose directory says something else of the first storage."""
    content = archive(checkpoint())
    info = next(i for i in zipfile.ZipFile(io.BytesIO(content)).infolist() if i.filename == "c/data/0")
    at = content.rindex(b"c/data/0", 0, content.rindex(b"c/data/1")) - 46
    before = info.compress_size, info.file_size
    change(info)
    sizes = struct.pack("<II", info.compress_size, info.file_size)
    assert content[at + 20 : at + 28] == struct.pack("<II", *before)
    return content[: at + 16] + struct.pack("<I", info.CRC) + sizes + content[at + 28 :]


def bomb(entry: str, size: int, claimed: int, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive whose entry unpacks to `size` zeros and says that it has `claimed`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = packer.compress(bytes(size)) + packer.flush()
    parts = [(b"c/data.pkl", checkpoint(), 0, None)] if entry != "c/data.pkl" else []
    parts.append((entry.encode(), content, method, claimed))
    return by_hand(parts)


def by_hand(parts: list[tuple[bytes, bytes, int, int | None]], places: int = 1) -> bytes:
    """An archive of (name, packed bytes, method, claimed size); each entry stands `places` times in the directory."""
    body, directory, count = b"", b"", 0
    for file, content, method, claimed in parts:
        size = len(content) if claimed is None else claimed
        fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, 0, len(content), size, len(file), 0)
        entry = b"PK\x01\x02\x14\0" + fields + bytes(10) + struct.pack("<I", len(body)) + file
        directory += entry * places
        count += places
        body += b"PK\x03\x04" + fields + file + content
    end = struct.pack("<HHHHIIH", 0, 0, count % 65536, count % 65536, len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def doubled(levels: int) -> bytes:
    return text("x") + b"2\x86" * levels


def sizes_of_sizes(levels: int, width: int = 60) -> bytes:
    """torch.Size of lists of torch.Size of lists, each shared."""
    inside = number(1)
    for level in range(levels):
        put, get = b"r" + struct.pack("<I", 50 + level), b"j" + struct.pack("<I", 50 + level)
        inside = name("torch", "Size") + b"](" + inside + put + get * (width - 1) + b"e\x85R"
    return inside


def many(values: bytes, times: int = 200_000) -> bytes:
    """Settings of many names that share one value."""
    shared = text("shared") + values + PUT[10]
    return dict_of([(b"", shared), *((number(at), GET[10]) for at in range(times))])


def of_args(value: bytes) -> bytes:
    state = dict_of((text(key), made) for key, made in arranged()[0].items())
    return packed(HEAD + dict_of([(STATE, state), (ARGS, value)]) + b".")


def of_state(value: bytes) -> bytes:
    return packed(HEAD + dict_of([(STATE, value), (ARGS, plain(SETTINGS))]) + b".")


def of_bias(*place: Any) -> bytes:
    return packed(checkpoint({"head.bias": tensor(storage("0", 5), *place)}))


def axes(count: int) -> bytes:
    return tensor(storage("0", 1), [1] * count, [0] * count)


HUGE = number(1 << 40_000)
F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

CASES: dict[str, Callable[[], bytes]] = {
    # --- lists that are shared
    **{f"laughs in {setting}": lambda setting=setting: with_setting(laughs(), setting) for setting in NAMES},  # type: ignore[misc]
    **{f"pairs of laughs in {setting}": lambda setting=setting, n=n: with_setting(list_of(*[laughs(12, 10, 100 + 40 * k) for k in range(n)]), setting) for setting, n in (("img_size", 2), ("input_size", 3))},  # type: ignore[misc]
    "laughs as settings": lambda: of_args(laughs()),
    "laughs as weights": lambda: of_state(laughs()),
    "laughs as a tensor": lambda: packed(checkpoint({"head.bias": laughs()})),
    "laughs as a shape": lambda: packed(checkpoint({"head.bias": call("torch._utils", "_rebuild_tensor_v2", storage("0", 1), number(0), laughs(), laughs(), b"\x89", b"}")})),
    "laughs as the layout of a sparse tensor": lambda: packed(checkpoint({"head.bias": call("torch._utils", "_rebuild_sparse_tensor", laughs(), tuple_of(b"N", b"N", b"N"))})),
    "laughs as the type of a tensor": lambda: packed(checkpoint({"head.bias": call("torch._utils", "_rebuild_tensor_v3", storage("0", 1), number(0), tuple_of(), tuple_of(), b"\x89", b"}", laughs())})),
    "laughs as a metric": lambda: packed(checkpoint(others={"metric": laughs(), "epoch": laughs(at=300), "arch": laughs(at=500)})),
    "laughs in a name": lambda: packed(checkpoint(others={"x": laughs() + laughs(at=300) + b"\x93"})),
    "laughs as a key": lambda: packed(checkpoint(args={"a": dict_of([(laughs(), b"N")])})),
    "laughs of tuples as a key": lambda: packed(checkpoint(args={"a": dict_of([(doubled(100), b"N"), (doubled(100), b"N")])})),
    "sizes of sizes": lambda: with_setting(sizes_of_sizes(10), "img_size"),
    "sizes of sizes under many names": lambda: of_args(many(sizes_of_sizes(10))),
    "a list in itself": lambda: with_setting(b"]" + PUT[3] + GET[3] + b"a", "dataset"),
    "settings in themselves": lambda: of_args(b"}" + PUT[3] + text("time_steps") + GET[3] + b"s"),
    "weights in themselves": lambda: of_state(b"}" + PUT[3] + text("a") + GET[3] + b"s"),
    "a tuple doubled": lambda: with_setting(doubled(100_000), "mean"),
    "an object in itself": lambda: of_args(name("a", "B") + b")R" + PUT[3] + dict_of([(text("x"), GET[3])]) + b"b"),
    "a node of omegaconf in itself": lambda: with_setting(name("omegaconf.nodes", "AnyNode") + b")R" + PUT[3] + dict_of([(text("_val"), GET[3])]) + b"b"),
    # --- work that is named many times
    "one set of weights under many names": lambda: packed(HEAD + b"}(" + STATE + dict_of((text(k), v) for k, v in arranged()[0].items()) + PUT[3] + b"".join(number(at) + GET[3] for at in range(200_000)) + b"u."),
    "copies of a dictionary": lambda: packed(checkpoint(others={"x": dict_of((number(at), b"N") for at in range(1000)) + PUT[3] + (b"0" + name("collections", "OrderedDict") + GET[3] + b"\x85R") * 100_000})),
    "a long text in many names": lambda: packed(checkpoint(others={"x": LARGE + PUT[3] + (b"0" + GET[3] + GET[3] + b"\x93") * 1000})),
    "a long text in many attributes": lambda: packed(checkpoint(others={"x": LARGE + PUT[3] + (b"0" + name("builtins", "getattr") + name("a", "B") + GET[3] + b"\x86R") * 1000})),
    "a long text as the name of many storages": lambda: packed(checkpoint(others={"x": LARGE + PUT[3] + (b"0(" + text("storage") + name("torch", "FloatStorage") + GET[3] + b"NNtQ") * 1000})),
    "a long text as bytes in many settings": lambda: of_args(many(call("_codecs", "encode", LARGE, text("latin1")))),
    "a long text in a path of many parts": lambda: with_setting(name("pathlib", "PosixPath") + b"(" + LARGE + b"2" * 2000 + b"tR", "dataset"),
    "a long text as a device of many parts": lambda: with_setting(name("torch", "device") + b"(" + LARGE + b"2" * 2000 + b"tR", "dataset"),
    "a number of many axes in many settings": lambda: of_args(many(call("numpy.core.multiarray", "scalar", call("numpy", "dtype", text("f8"), b"\x89", b"\x88") + tuple_of(number(3), text("<"), b"N", b"N", b"N") + b"b", text("x"), b"(" + number(2**60) * 100_000 + b"t"))),
    "keys with one hash": lambda: packed(checkpoint(args={"a": dict_of((number(at * COLLIDING), b"N") for at in range(100_000))})),
    "places in the memo with one hash": lambda: packed(HEAD + b"N" + b"".join(b"p%d\n" % (at * COLLIDING) for at in range(100_000)) + b"."),
    "a tensor in wrappers": lambda: packed(checkpoint(others={"x": name("torch._utils", "_rebuild_parameter") + PUT[0] + b"0" + GET[0] * 100_000 + tensor(storage("0", 1), (), ()) + b"\x85R" * 100_000})),
    "a tensor in sparse tensors under many names": lambda: of_state(b"}(" + text("a") + sparse(900) + PUT[11] + b"".join(number(at) + GET[11] for at in range(200_000)) + b"u"),
    "a million tensors of 64 axes": lambda: of_state(b"}(" + text("a") + axes(64) + PUT[11] + b"".join(number(at) + GET[11] for at in range(400_000)) + b"u"),
    "parts of the state of an object": lambda: of_args(name("a", "B") + b")R" + b"(" + dict_of((number(at), b"N") for at in range(10_000)) + b"2" * 100_000 + b"tb"),
    # --- floods
    **{f"a flood of {what}": partial(flood, opcodes, 900_000 // steps, before) for what, opcodes, steps, before in (
        ("dictionaries", b"}", 1, b""), ("sets", b"\x8f", 1, b""), ("places in the memo", b"\x94", 1, b"N"), ("copies", b"2", 1, b"N"),
        ("tuples", b"\x85", 1, b"N"), ("names", b"cA\nB\n", 1, b""), ("marks", b"(", 1, b""), ("objects", GET[0] + b")\x81", 3, name("A", "B") + PUT[0]),
        ("storages", GET[0] + b"Q", 2, storage("0", 1)[:-1] + PUT[0]), ("frozen sets", b"(\x91", 2, b""), ("tensors", GET[0] + GET[1] + b"R", 3, name("torch._utils", "_rebuild_tensor_v2") + PUT[0] + b")" + PUT[1]))},  # type: ignore[misc]
    "a flood of steps": lambda: flood(b"N0", 10 * MILLION),
    "a flood of steps in every part": lambda: legacy(HEAD + b"N0" * 400_000 + b"].", HEAD + b"N0" * 400_000 + b"]."),
    "a flood of steps before all": lambda: HEAD + b"N0" * 900_000 + b"N.",
    # --- lengths
    **{f"a length of 2^{bits} in {opcode!r}": lambda opcode=opcode, bits=bits, wide=wide: packed(HEAD + opcode + struct.pack("<Q" if wide else "<I", 2**bits - 1) + b"abc.") for opcode in (b"\x8d", b"\x8e", b"\x96", b"X", b"B", b"\x8b", b"\x95") for wide in (opcode in (b"\x8d", b"\x8e", b"\x96", b"\x95"),) for bits in ((31, 40, 63, 64) if wide else (31, 32))},  # type: ignore[misc]
    "a name of 100 kB": lambda: packed(checkpoint(others={"x": name("a" * 100_000, "B")})),
    "a name of 60 kB": lambda: packed(checkpoint(others={"x": name("a" * 60_000, "B")})),
    "a pickle of a gigabyte": lambda: packed(HEAD + text("x" * (1 << 30))),
    # --- numbers of many digits
    **{f"a huge number as {what}": lambda what=what: packed(checkpoint(others={what: HUGE})) for what in ("epoch", "metric", "arch")},  # type: ignore[misc]
    **{f"a huge number as {setting}": lambda setting=setting: with_setting(HUGE, setting) for setting in NAMES},  # type: ignore[misc]
    "a huge number as keys": lambda: packed(HEAD + dict_of([(HUGE, dict_of((text(k), v) for k, v in arranged()[0].items())), (ARGS, dict_of([(HUGE, b"N"), *((text(k), plain(v)) for k, v in SETTINGS.items())]))]) + b"."),
    "a huge number as the name of a tensor": lambda: of_state(dict_of([(HUGE, axes(1)), (number(3), axes(1))])),
    "a huge number as the size of a storage": lambda: packed(checkpoint({"head.bias": tensor(storage("0", 1 << 40_000), (5,), (1,))})),
    **{f"a tensor of {what}": partial(of_bias, *a) for what, a in (
        ("10^12 numbers", ((10**12,), (0,))), ("huge sizes", ((1 << 40_000,), (1,))), ("huge steps", ((5,), (1 << 40_000,))), ("a huge offset", ((5,), (1,), 1 << 40_000)),
        ("a negative offset", ((5,), (1,), -1)), ("negative steps", ((5,), (-1,))), ("negative sizes", ((-5,), (1,))), ("10^5 axes", ([1] * 100_000, [1] * 100_000)))},
    # --- more numbers than the file holds
    "a network of one number": lambda: archive(expanded(Architecture(8192, 2, 3, 1000, 32768, "lif")), {"0": bytes(4)}),
    "a network of one number, 8 GB": lambda: archive(expanded(Architecture(16384, 2, 3, 1000, 16384, "lif")), {"0": bytes(4)}),
    "a network of 9999 blocks": lambda: archive(expanded(Architecture(8, 9999, 3, 10, 8, "lif")), {"0": bytes(4)}),
    "a block of a far number": lambda: packed(checkpoint({"block.9999.mlp.fc1_conv.weight": axes(4)})),
    "views of the end of a long storage": lambda: packed(at_the_end(100 * MILLION), {"0": bytes(400 * MILLION)}),
    "views of the end of a longer storage": lambda: packed(at_the_end(300 * MILLION), {"0": bytes(1200 * MILLION)}),
    "a storage that says it is longer": lambda: archive(checkpoint({"head.bias": tensor(storage("0", 10**9), (5,), (1,), 10**8)})),
    # --- archives
    "an entry that says it has 4 GB": lambda: with_directory(lambda info: setattr(info, "file_size", 2**32 - 2)),
    "an entry that says it is packed in 4 GB": lambda: with_directory(lambda info: setattr(info, "compress_size", 2**32 - 2)),
    "an entry that unpacks to more than it says": lambda: bomb("c/data/0", 1 << 30, 1728),
    "a pickle that unpacks to more than it says": lambda: bomb("c/data.pkl", 1 << 30, 1000),
    "a pickle that unpacks to a gigabyte": lambda: bomb("c/data.pkl", 1 << 30, 1 << 30),
    "a million entries": lambda: by_hand([(b"c/data.pkl", checkpoint(), 0, None)], MILLION),
    "a hundred thousand entries": lambda: by_hand([(b"c/data.pkl", checkpoint(), 0, None)], 100_000),
    "a hundred thousand long names": lambda: by_hand([(b"a/" * 15_000 + b"x", b"", 0, None)] * 200),
    "compressed by bzip2": lambda: archive(checkpoint(), compression=zipfile.ZIP_BZIP2),
    "compressed by lzma": lambda: archive(checkpoint(), compression=zipfile.ZIP_LZMA),
    "no entry of that name": lambda: archive(checkpoint({"head.bias": tensor(storage("../../etc/passwd", 5), (5,), (1,))})),
    # --- the older format
    "a storage of 2^63 bytes": lambda: legacy(HEAD + dict_of([(STATE, dict_of([(text("a"), tensor(storage("0", 2**62), (5,), (1,)))]))]) + b".", HEAD + list_of(text("0")) + b".", struct.pack("<Q", 2**62)),
    "keys that are no list": lambda: legacy(checkpoint(), HEAD + HUGE + b"."),
    "keys that no tensor has": lambda: legacy(checkpoint(), HEAD + list_of(text("x"), text("y")) + b".", bytes(100)),
    # --- safetensors
    **{f"safetensors: {what}": partial(bytes, content) for what, content in {  # type: ignore[misc]
        "a header of 2^63 bytes": safetensors({"a": F32}, bytes(8), 2**63), "a deep header": safetensors(b'{"a":' + b"[" * 100_000),
        "deep notes": safetensors(b'{"__metadata__":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}"),
        "a name twice": safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
        "huge offsets": safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[' + b"0," + b"9" * 4000 + b"]}}"), "huger offsets": safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[' + b"0," + b"9" * 5000 + b"]}}"),
        "offsets that are fractions": safetensors({"a": {**F32, "data_offsets": [0.0, 8.0]}}, bytes(8)), "offsets that are no numbers": safetensors({"a": {**F32, "data_offsets": [float("nan"), float("inf")]}}, bytes(8)),
        "huge sizes": safetensors({"a": {**F32, "shape": [2**62, 2**62]}}, bytes(8)), "a type that is a list": safetensors({"a": {**F32, "dtype": [[]]}}, bytes(8)), "truth for a size": safetensors({"a": {**F32, "shape": [True, 2]}}, bytes(8)),
        "a type of 4 bits": safetensors({"head.weight": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, bytes(1)),
    }.items()},
    "safetensors: many empty entries": lambda: safetensors(b"{" + b",".join(b'"%d":{}' % at for at in range(1_500_000)) + b"}"),
    "safetensors: many lists": lambda: safetensors(b'{"a":[' + b",".join([b"[]"] * 5_000_000) + b"]}"),
    "safetensors: 100,000 tensors": lambda: safetensors({f"{at}": {"dtype": "F32", "shape": [], "data_offsets": [4 * at, 4 * at + 4]} for at in range(100_000)}, bytes(400_000)),
}  # fmt: skip


def sparse(levels: int) -> bytes:
    """A sparse tensor whose values are a sparse tensor, and so on."""
    inside = tensor(storage("0", 1), (), ())
    for _ in range(levels):
        inside = call(
            "torch._utils",
            "_rebuild_sparse_tensor",
            text("x"),
            tuple_of(b"N", call("torch._utils", "_rebuild_parameter", inside), b"N"),
        )
    return inside


READ = {  # right: what claims much is shared, not read, or read once
    "laughs in sensor", "laughs in antialias", "laughs as a metric", "laughs as a key", "laughs of tuples as a key", "keys with one hash",
    "a tensor in wrappers", "a huge number as epoch", "a huge number as metric", "a huge number as arch", "a huge number as sensor",
    "a huge number as antialias", "a huge number as keys", "views of the end of a long storage", "an entry that says it is packed in 4 GB",
}  # fmt: skip
HEAVY = (
    "flood",
    "gigabyte",
    "many ",
    "million",
    "hundred",
    "views of",
    "9999",
    "long",
    "wrappers",
    "safetensors: 1",
    "more than it says",
)
