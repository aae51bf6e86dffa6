"""Traces and dumps read with h5py and NumPy alone, for the oracle of `compare`."""

import csv
import io
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np

from . import seeds
from .case import SAME, Case, Done

NEAR = {"f": 1e-3, "i": 0, "u": 0, "b": 0}  # what --tolerance allows at most, of real numbers as a share


def equal(folder: Path, done: Done) -> str:
    """Where the command says that all is equal: whether each number of the dump is the golden trace's."""
    if done.code != 0:
        return SAME
    argv = Case.from_json((folder.parent / "case.json").read_text()).argv
    golden, dump = read(folder / argv[1]), read(folder / argv[2])
    names = [name for name in dump if name in golden]
    if not names:
        return "all equal, and a plain reading has no record in common"
    for name in names:
        expected, found = golden[name], dump[name]
        if _long(expected.shape) != _long(found.shape):
            return f"all equal, and '{name}' has the shapes {expected.shape} and {found.shape}"
        near = NEAR[expected.dtype.kind] * np.maximum(1, np.abs(expected)) if expected.dtype.kind == "f" else 0
        with np.errstate(all="ignore"):
            apart = np.abs(expected.astype(np.float64) - found.reshape(expected.shape)) > near
        if apart.any() or np.isnan(found.astype(np.float64)).any() != np.isnan(expected.astype(np.float64)).any():
            return f"all equal, and '{name}' is not"
    return SAME


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that are longer than 1: PyTorch's [T, B, C, N] is the trace's [T, N, C] where B and N are 1."""
    return tuple(size for size in shape if size > 1)


def read(path: Path) -> dict[str, np.ndarray]:
    """Records by name, [steps, tokens, channels]."""
    content = path.read_bytes()
    if content.startswith(b"\x89HDF"):
        return _hdf5(content)
    if content.startswith(b"PK"):
        return _npz(content)
    return _mem(content.decode()) if b"record:" in content else _csv(content.decode())


def _npz(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()}


def _hdf5(content: bytes) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(io.BytesIO(content)) as file:
        for stage, group in file["records"].items():
            for quantity, node in group.items():
                if f"{stage}/{quantity}" not in seeds.records():
                    continue  # nothing that the network has
                if isinstance(node, h5py.Dataset):
                    found[f"{stage}/{quantity}"] = node[()]
                else:
                    found[f"{stage}/{quantity}"] = _dense(
                        f"{stage}/{quantity}", node["offsets"][()], node["channels"][()]
                    )
    return found


def _shape(name: str) -> tuple[int, ...]:
    return seeds.records()[name].shape


def _dense(name: str, offsets: np.ndarray, channels: np.ndarray) -> np.ndarray:
    shape = _shape(name)
    values = np.zeros((shape[0] * shape[1], shape[2]), np.int64)
    for row in range(len(values)):
        for channel in channels[int(offsets[row]) : int(offsets[row + 1])]:
            values[row, int(channel)] += 1
    return values.reshape(shape)


def _csv(text: str) -> dict[str, np.ndarray]:
    header, *rows = csv.reader(io.StringIO(text, newline=None))
    found: dict[str, np.ndarray] = {}
    for name, step, token, channel, *value in (row for row in rows if row):
        values = found.setdefault(name.strip(), np.zeros(_shape(name.strip()), np.int64))
        values[int(step), int(token), int(channel)] += int(value[0]) if len(header) == 5 else 1
    return found


def _mem(text: str) -> dict[str, np.ndarray]:
    """Only of the record that the seed holds, as its width is told nowhere in the file."""
    name = next(name for name in seeds.records() if name.endswith("/v"))
    if re.findall(r"//\s*record:\s*(\S+)", text) != [name]:
        return {}
    with h5py.File(io.BytesIO(seeds.trace())) as file:
        bits = int(file[f"records/{name}"].attrs["bits"])
    steps, tokens, channels = _shape(name)
    rows = np.zeros((steps * tokens, channels), np.int64)
    address = 0
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    for word in " ".join(line.partition("//")[0] for line in text.splitlines()).split():
        if word.startswith("@"):
            address = int(word[1:], 16)
            continue
        whole = int(word, 16)
        for channel in range(channels):
            number = whole >> bits * channel & (1 << bits) - 1
            rows[address, channel] = number - (1 << bits if number >> bits - 1 else 0)
        address += 1
    return {name: rows.reshape(steps, tokens, channels)}
