"""Sound files, small and made once: what the grammars damage, and what stands beside it."""

import io
import json
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from sdt_ref.golden.packing import packed
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.config import Preprocessing
from tests import camera_bytes, prophesee_bytes
from tests.fuzz import pickles
from tests.networks import Network, input_of, model_of, random_tensors, weights_of
from tests.recordings import some_events

NET = Network(dim=8, hidden=8, num_heads=1, time_steps=2, num_classes=10, height=8, width=8, batch=1, drive=1.5, seed=1)
DVS = Network(dim=8, hidden=8, num_heads=1, time_steps=2, num_classes=10, height=8, width=8, batch=1, drive=1.5, seed=3,
              in_channels=2, frames=True, dvs_mode=True)  # fmt: skip
SIDE = 8  # pixels of the pictures
SENSOR = 34  # and of the events, in a sensor of any size
FEW, ALL = ("input", "block.0.attn.q_lif", "head*"), ("*",)  # stages of a trace
SETTINGS = {"time_steps": 2, "pooling_stat": "0011", "num_heads": 1, "dvs_mode": False, "TET": False, "dataset": "fuzz",
            "img_size": 8, "crop_pct": None, "interpolation": "bicubic", "mean": None, "std": [0.2, 0.3, 0.4]}  # fmt: skip
FORMATS = """schema_version = 1
input = { bits = 10, fraction = 7, rounding = "half even", overflow = "saturate" }
[default]
weight = { bits = 8 }
membrane = { bits = 12, fraction = 6, rounding = "floor", overflow = "wrap", leak_rounding = "half up" }
stream = { bits = 12, fraction = 6 }
[stage."block.0.attn.q_conv"]
weight = { bits = 4 }
[stage."block.0.attn.q_lif"]
membrane = { leak = "2^-1 - 2^-4" }
"""


def _written(write: Callable[[Path], object]) -> bytes:
    """The content of a file that a function writes to a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.h5"
        write(path)
        return path.read_bytes()


@cache
def weights() -> bytes:
    """Weights that read pictures of 8 x 8."""
    return _written(lambda path: weights_file.save(path, weights_of(NET)))


@cache
def weights_of_version_1() -> bytes:
    """The same as the first version of the file has them: without a checksum."""
    made = weights_of(NET)
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="v108") as file:
        file.attrs["schema_version"] = 1
        for name, text in (
            ("format", weights_file.FORMAT),
            ("config", made.config.to_json()),
            ("preprocessing", made.preprocessing.to_json()),
            ("classes", json.dumps(made.classes)),
            ("provenance", json.dumps(dict(made.provenance))),
        ):
            file.attrs[name] = np.bytes_(text.encode())
        for name, tensor in made.tensors.items():
            file.create_dataset(f"weights/{name.replace('.', '/')}", data=tensor)
    return stream.getvalue()


@cache
def weights_of_recordings(sensor: int = 34, size: int = 36) -> bytes:
    """Weights that read recordings: N-MNIST's sensor of 34 x 34, or a DVS128 halved."""
    made = weights_of(DVS)
    how = Preprocessing(size=size, frames=True, sensor=sensor)
    return _written(
        lambda path: weights_file.save(path, weights_file.Weights(made.tensors, made.config, how, made.classes, {}))
    )


@cache
def picture(kind: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture of 8 x 8 in a format of Pillow."""
    rng = np.random.default_rng(0)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats that go out of use
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).convert(mode).save(stream, kind)
    return stream.getvalue()


@cache
def trace(arithmetic: str = "fixed", stages: tuple[str, ...] = FEW) -> bytes:
    """A trace of the picture's weights; of few stages, so that it is read in no time."""
    formats = FORMATS if arithmetic == "fixed" else None
    return _written(lambda path: write_trace(path, model_of(NET, arithmetic, formats=formats), input_of(NET), stages))


@cache
def records(arithmetic: str = "fixed") -> dict[str, np.ndarray]:
    """What a trace holds, [steps, tokens, channels]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.h5"
        path.write_bytes(trace(arithmetic))
        with open_trace(path) as opened:
            return {name: opened.values(name) for name in opened.records}


@cache
def dump_npz(arithmetic: str = "fixed", names: int = 6) -> bytes:
    """Some records of the trace as .npz."""
    return camera_bytes.npz(**dict(list(records(arithmetic).items())[:names]))


@cache
def dump_h5(arithmetic: str = "fixed") -> bytes:
    """Some records of the trace as plain HDF5; spikes as lists of events."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, values in list(records(arithmetic).items())[:6]:
            if name.endswith("spikes"):
                rows = values.reshape(-1, values.shape[2])
                file[f"records/{name}/offsets"] = np.cumsum([0, *rows.sum(1)])
                file[f"records/{name}/channels"] = np.nonzero(rows)[1].astype(np.uint16)
            else:
                file[f"records/{name}"] = values
    return stream.getvalue()


def _record(ending: str) -> tuple[str, np.ndarray]:
    return next((name, values) for name, values in records().items() if name.endswith(ending))


@cache
def dump_csv(ending: str = "/v") -> bytes:
    """One record of the trace as .csv: numbers, or a spike per line."""
    name, values = _record(ending)
    if ending == "/spikes":
        lines = [f"{name},{s},{t},{c}" for s, t, c in np.argwhere(values)]
        return "\n".join(["record,step,token,channel", *lines, ""]).encode()
    lines = [f"{name},{s},{t},{c},{values[s, t, c]}" for s, t, c in np.ndindex(values.shape)]
    return "\n".join(["record,step,token,channel,value", *lines, ""]).encode()


@cache
def dump_mem() -> bytes:
    """One record of the trace as words."""
    name, values = _record("/v")
    with h5py.File(io.BytesIO(trace())) as file:
        bits = int(file[f"records/{name}"].attrs["bits"])
    words = packed(values.reshape(-1, values.shape[2]), bits)
    return "\n".join([f"// record: {name}", "@0", *words, ""]).encode()


@cache
def pack(content: str = "jpeg") -> bytes:
    """Three pictures, or recordings."""
    files = [picture("JPEG"), picture("PNG"), picture("JPEG")] if content == "jpeg" else [recording("nmnist")] * 3
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs["classes"] = [f"class {k}" for k in range(10)]
        file[f"test/{content}"] = np.frombuffer(b"".join(files), np.uint8)
        file["test/offset"] = np.cumsum([0, *map(len, files)])
        file["test/label"] = np.array([3, 4, 5], np.uint8)
    return stream.getvalue()


@cache
def recording(kind: str) -> bytes:
    """Events in one of the formats that `tests.camera_bytes` and `tests.prophesee_bytes` write."""
    events = some_events(40, SENSOR)
    writers = {"nmnist": camera_bytes.nmnist, "aedat2": camera_bytes.aedat2, "aedat3": camera_bytes.aedat3,
               "aedat4": camera_bytes.aedat4, "text": camera_bytes.text,
               "npz": lambda e: camera_bytes.npz(**camera_bytes.columns(e)),
               "npz, deflated": lambda e: camera_bytes.npz(np.savez_compressed, **camera_bytes.columns(e)),
               "npy": lambda e: camera_bytes.npy(camera_bytes.structured(e)),
               "npy of frames": lambda e: camera_bytes.npy(np.ones((2, 2, SENSOR, SENSOR), np.float32)),
               "evt2": prophesee_bytes.evt2, "evt21": prophesee_bytes.evt21, "evt3": prophesee_bytes.evt3,
               "dat": prophesee_bytes.dat, "hdf5": _events_as_hdf5}  # fmt: skip
    return writers[kind](events)


def _events_as_hdf5(events: list[camera_bytes.Event]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, column in camera_bytes.columns(events).items():
            file.create_dataset(f"events/{name}", data=column, compression="gzip", chunks=(16,))
    return stream.getvalue()


@cache
def checkpoint(form: str = "zip") -> bytes:
    """A checkpoint of the picture's network: 'zip', 'legacy' or 'safetensors'."""
    tensors = random_tensors(NET)
    if form == "safetensors":
        return safetensors(tensors)
    args = pickles.Instance("argparse", "Namespace", (), SETTINGS)
    return pickles.saved({"epoch": 3, "arch": "sdt", "state_dict": tensors, "args": args, "metric": 81.0}, form)


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """The header's length, the header, the numbers."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        end = len(body) + tensor.nbytes
        entries[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [len(body), end]}
        body += tensor.tobytes()
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + body


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive, the same at any time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A picture that says it is so large, with hardly a byte of pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
