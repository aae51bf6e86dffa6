"""Test vectors for any RTL flow: records, weights and corner cases as plain files, with a manifest of them all."""

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TraceError
from ..files import folder_written_whole
from ..fixed.formats import Formats
from ..fixed.quantise import FixedLayer, FixedParameters, bits_for
from .corners import LAYER, NAMES, STAGE, corners
from .packing import packed
from .records import Record, narrowest
from .trace_file import Trace

FORMAT, SCHEMA_VERSION = "sdt_ref vectors", 1
MANIFEST = "manifest.json"

PACKING = {
    "npy": "NumPy arrays: records [steps, tokens, channels], weights [rows, outputs]",
    "mem": "for $readmemh: one word per line and row, channel (or output) 0 in its lowest bits, each number 'bits' "
    "wide in two's complement; rows of records go step by step, token by token",
    "aer": "text: step, token and channel of one spike per line, in this order of precedence; '#' begins a comment",
    "bin": "the same spikes as 8-byte words, little-endian: uint16 step, uint16 channel, uint32 token",
    "weight": "one row per kernel row, kernel column and input channel, in this order: the row that a spike adds. "
    "A layer with more than one plane reads numbers: bit p of an input adds its row shifted left by p, the last bit "
    "(the sign) subtracts it; all of one plane are added before those of the next",
    "order": "a sum begins with the bias; rows are added in the order in which they stand",
    "units": "a register r with f fraction bits stands for r * 2**-f",
}


def export(
    trace: Trace,
    parameters: FixedParameters,
    folder: str | os.PathLike[str],
    progress: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Write all vectors of a trace to a new folder; returns the manifest.

    Parameters
    ----------
    parameters : that were traced, see `Trace.parameters`
    progress : called with the name of each record

    Raises TraceError when the folder is not empty or cannot be written; nothing half-written stays.
    """
    with folder_written_whole(folder, TraceError) as part:
        manifest = _written(trace, parameters, _Folder(part), progress)
    return manifest


def _written(
    trace: Trace, parameters: FixedParameters, folder: "_Folder", progress: Callable[[str], None]
) -> dict[str, Any]:
    records, layers, cases = {}, {}, {}
    for name, record in trace.records.items():
        progress(name)
        records[name] = folder.write_record(f"records/{name}", record, trace.values(name), trace.header.steps)
    for module, layer in parameters.layers.items():
        progress(module)
        assert isinstance(layer, FixedLayer)
        layers[module] = _write_layer(folder, module, layer, trace.formats)
    for corner in corners(trace, parameters):
        progress(corner.name)
        steps = list(range(trace.header.time_steps))
        cases[corner.name] = {
            "text": corner.text,
            "layer": LAYER,
            "stage": STAGE,
            "reads": corner.reads,
            "accumulator_bits": corner.accumulator.bits,
            "accumulator_overflow": corner.accumulator.overflow,
            "records": {
                quantity: folder.write_record(f"corners/{corner.name}/{quantity}", record, values, steps)
                for quantity, (record, values) in corner.records.items()
            },
        }
    wired = {
        stage.name: {key: value for key, value in dataclasses.asdict(stage).items() if key not in ("name", "hook")}
        for stage in trace.stages.values()
    }
    manifest = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "trace": trace.sha256,
        "parameters": trace.header.parameters,
        "time_steps": trace.header.time_steps,
        "steps": trace.header.steps,
        "formats": trace.header.formats,
        "packing": PACKING,
        "neuron": trace.header.neuron,
        "wiring": wired,
        "records": records,
        "layers": layers,
        "corners": cases,
        "corners_not_reached": [name for name in NAMES if name not in cases],
        "sha256": folder.hashes,
    }
    folder.write_text(MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return manifest


def _write_layer(folder: "_Folder", module: str, layer: FixedLayer, formats: Formats) -> dict[str, Any]:
    outputs, inputs, window, _ = layer.weight.shape
    inputs //= layer.planes
    described: dict[str, Any] = {
        "window": window,
        "planes": layer.planes,
        "inputs": inputs,
        "outputs": outputs,
        "fraction": layer.fraction.tolist(),
        "accumulator": {"bits": layer.accumulator.bits, "overflow": layer.accumulator.overflow},
    }
    first_plane = layer.weight[:, :inputs]  # bit 0 of the inputs; the other planes are this one, shifted
    rows = {"weight": first_plane.transpose(2, 3, 1, 0).reshape(-1, outputs), "bias": layer.bias[None]}
    for name, values in rows.items():
        declared = formats.register(module, name)["bits"]
        bits = max(declared, bits_for(int(values.min()), int(values.max())))
        files = folder.write_numbers(f"layers/{module}/{name}", values, bits)
        described[name] = {"bits": bits, "shape": list(values.shape), "files": files}
    return described


class _Folder:
    """Writes files, and keeps the hash of each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.hashes: dict[str, str] = {}

    def write_record(self, name: str, record: Record, values: np.ndarray, steps: list[int]) -> dict[str, Any]:
        """Write one record [steps, tokens, channels] in every form; returns its entry in the manifest."""
        files = self.write_numbers(name, values, record.bits)
        if record.bits == 1:
            step, token, channel = np.nonzero(values)
            step = np.asarray(steps)[step]
            lines = (f"{t} {n} {c}\n" for t, n, c in zip(step.tolist(), token.tolist(), channel.tolist(), strict=True))
            files["aer"] = self.write_text(f"{name}.aer", "# step token channel\n" + "".join(lines))
            words = np.empty(len(step), [("step", "<u2"), ("channel", "<u2"), ("token", "<u4")])
            words["step"], words["channel"], words["token"] = step, channel, token
            files["bin"] = self._write(f"{name}.bin", words.tobytes())
        return {
            "bits": record.bits,
            "fraction": record.fraction.tolist(),
            "shape": list(values.shape),
            "height": record.height,
            "width": record.width,
            "files": files,
        }

    def write_numbers(self, name: str, values: np.ndarray, bits: int) -> dict[str, str]:
        """Write numbers [..., channels] as .npy and .mem; returns the paths."""
        words = "\n".join(packed(values.reshape(-1, values.shape[-1]), bits))
        array = values.astype(np.uint8 if bits == 1 else narrowest(bits))
        npy = io.BytesIO()
        np.save(npy, array)
        files = {"npy": self._write(f"{name}.npy", npy.getvalue())}
        return {**files, "mem": self.write_text(f"{name}.mem", words + "\n")}

    def write_text(self, name: str, text: str) -> str:
        """Write a text file; returns its path in the folder."""
        return self._write(name, text.encode())

    def _write(self, name: str, content: bytes) -> str:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.hashes[name] = hashlib.sha256(content).hexdigest()
        return name
