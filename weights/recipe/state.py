"""What a run leaves on disk: the state that the next run goes on with, and the checkpoint that `sdt_ref.convert` reads.

A state is state.json and the parts that it names. The parts are named by their content and state.json is renamed into
place last, so that a run that dies at any moment leaves either the old state or the new one.
"""

import argparse
import hashlib
import io
import json
import math
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .data import RecipeError
from .model import Network, SpikeDrivenTransformer

FORMAT = "sdt_ref training state"
VERSION = 1
PART = 15 << 20  # bytes of one part, so that each file can travel where 16 MiB is the limit
FACTS = ("stage", "step", "history", "settings")


def prepare_folder(path: str | Path) -> None:
    """Make the folder; RecipeError, before anything is computed, unless files can be written there."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"cannot write '{folder}': {error.strerror}; choose a folder that can be written") from None
    write(folder / "state.probe", b"")
    (folder / "state.probe").unlink()


def write(path: Path, content: bytes) -> None:
    """Write beside the target, then rename, so that no half-written file is ever seen."""
    part = path.with_name(path.name + ".new")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise RecipeError(f"cannot write '{path}': {error.strerror}; choose a folder that can be written") from None


def save(folder: Path, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write the state and drop the one before.

    Parameters
    ----------
    tensors : state_dicts and tensors, in full precision
    facts : position, history and settings, as JSON can hold them
    """
    content = io.BytesIO()
    torch.save(dict(tensors), content)
    whole = content.getvalue()
    digest = hashlib.sha256(whole).hexdigest()
    parts = [f"state-{digest[:12]}-{i}.part" for i in range(math.ceil(len(whole) / PART))]
    for i, part in enumerate(parts):
        write(folder / part, whole[i * PART : (i + 1) * PART])
    manifest = {"format": FORMAT, "version": VERSION, "sha256": digest, "parts": parts, **facts}
    write(folder / "state.json", json.dumps(manifest, indent=1).encode())
    for old in folder.glob("state-*.part"):
        if old.name not in parts:
            old.unlink()


def load(folder: Path, device: torch.device) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return tensors and facts of the state in a folder; None if there is none, RecipeError if it is damaged."""
    path = folder / "state.json"
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_bytes())
        facts = {name: manifest[name] for name in FACTS}
        if manifest["format"] != FORMAT or manifest["version"] != VERSION:
            raise ValueError(f"{manifest['format']!r}, version {manifest['version']!r}")
        whole = b"".join((folder / Path(part).name).read_bytes() for part in manifest["parts"])
        if hashlib.sha256(whole).hexdigest() != manifest["sha256"]:
            raise ValueError("its parts are not those that it names")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise RecipeError(
            f"state '{path}': expected a state of this recipe, found otherwise ({reason}); restore it, or choose "
            "another --out"
        ) from None
    return torch.load(io.BytesIO(whole), map_location=device, weights_only=True), facts


def require_same(folder: Path, saved: Mapping[str, Any], mine: Mapping[str, Any], stage: int) -> None:
    """Refuse a state of other settings, by name; only stages that have not begun may have changed."""
    wanted, found = json.loads(json.dumps(mine)), dict(saved)
    begun = slice(0, min(stage + 1, len(found["stages"])))
    wanted["stages"], found["stages"] = wanted["stages"][begun], found["stages"][begun]
    for name, new in wanted.items():
        old = found.get(name)
        if old != new:
            raise RecipeError(
                f"state '{folder / 'state.json'}': expected the same {name.replace('_', '-')} as before, {old}, found "
                f"{new}; use the same settings, or another --out"
            )


def save_checkpoint(path: Path, weights: Mapping[str, Tensor], args: Mapping[str, Any], epochs: int,
                    accuracy: float | None) -> None:  # fmt: skip
    """Write a checkpoint as timm's CheckpointSaver lays it out; `accuracy` in %, on the held-out part."""
    checkpoint: dict[str, Any] = {
        "epoch": epochs - 1,
        "arch": "sdt",
        "state_dict": OrderedDict((name, tensor.cpu().contiguous()) for name, tensor in weights.items()),
        "version": 2,
        "args": dict(args),
    }
    if accuracy is not None:
        checkpoint["metric"] = accuracy
    content = io.BytesIO()
    torch.save(checkpoint, content)
    write(path, content.getvalue())


def load_checkpoint(path: str | Path) -> tuple[SpikeDrivenTransformer, str]:
    """Read a checkpoint of this recipe or of the official code; return the network and the file's sha256."""
    try:
        content = Path(path).read_bytes()
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        args = checkpoint["args"]
        args = vars(args) if isinstance(args, argparse.Namespace) else args
        model = SpikeDrivenTransformer(Network.from_args(args), args["time_steps"])
        model.load_state_dict(checkpoint["state_dict"])
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError, KeyError, ...
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
        raise RecipeError(f"checkpoint '{path}': expected one of this network ({reason})") from None
    return model, hashlib.sha256(content).hexdigest()
