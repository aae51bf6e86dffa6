"""Read an official checkpoint (.pth.tar) without running any code from it, and turn it into a weights file.

What the tensors tell comes from the tensors. Every other setting comes from the first of these that names it: explicit
settings, a YAML file, the checkpoint's own `args`, a preset. Nothing is guessed: what is still missing is refused.
"""

import argparse
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, WeightsError, require_file
from .architecture import Architecture
from .file import Weights
from .presets import base_dataset, class_names
from .settings import EXTRA, Lookup, read_settings
from .tensors import MAX_CHANNELS, UNUSED, infer


@dataclass(frozen=True)
class Conversion:
    """A converted checkpoint, and what was left out of it.

    Attributes
    ----------
    ignored_tensors : names that the official forward pass never reads
    ignored_settings : names of args and YAML keys that have no effect on inference
    sources : setting -> where its value came from
    """

    weights: Weights
    ignored_tensors: list[str] = field(default_factory=list)
    ignored_settings: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)


def convert(
    path: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    preset_name: str | None = None,
    ema: bool = False,
    classes: str | Path | None = None,
) -> Conversion:
    """Convert a checkpoint.

    Parameters
    ----------
    path : .pth.tar written by timm's CheckpointSaver, or a bare state_dict
    settings : explicit settings by official argument name; they win
    config : YAML file of the official code
    preset_name : official configuration that supplies what nothing else does
    ema : take `state_dict_ema` instead of `state_dict`
    classes : text file with one class name per line

    Raises
    ------
    WeightsError
        the file is missing, not a checkpoint, pickles anything but tensors and plain settings, or is another network
    ConfigError
        a setting is missing, unknown or out of range
    """
    source = Path(path)
    checkpoint, digest = _load(source)
    tensors, ignored_tensors, heads = _tensors(checkpoint, ema, source)
    architecture = infer({name: tensor.shape for name, tensor in tensors.items()})
    lookup = Lookup(settings or {}, config, checkpoint.get("args"), preset_name, architecture)
    model_config, preprocessing = read_settings(lookup, architecture, heads)
    if heads is not None:
        lookup.sources["num_heads"] = "tensors"
    dataset = base_dataset(str(lookup.get("dataset", "") or ""))
    provenance = {
        "source": source.name,
        "sha256": digest,
        "state_dict": "state_dict_ema" if ema else "state_dict",
        **{k: checkpoint[k] for k in ("arch", "epoch", "metric") if _is_plain(checkpoint.get(k))},
    }
    if dataset:
        provenance["dataset"] = dataset
    weights = Weights(tensors, model_config, preprocessing, _classes(classes, dataset, architecture), provenance)
    return Conversion(weights, ignored_tensors, lookup.ignored(), lookup.sources)


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _load(path: Path) -> tuple[Mapping[str, Any], str]:
    """Unpickle tensors and plain settings only; returns the checkpoint and the file's sha256."""
    require_file(path, "checkpoint", WeightsError)
    try:
        import torch
    except ImportError:
        raise WeightsError(f"reading a checkpoint needs PyTorch, which is not installed: {EXTRA}") from None
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ...
        text = str(error)
        forbidden = re.search(r"GLOBAL (\S+)", text)
        if forbidden:
            raise WeightsError(
                f"checkpoint '{path}' pickles '{forbidden[1]}': expected only tensors and plain settings; it was not "
                "executed. Save its state_dict alone, and convert that"
            ) from None
        reason = (
            re.split(r"[.\n]", text)[0][:200] or type(error).__name__
        )  # the rest is torch's advice to its own users
        raise WeightsError(
            f"checkpoint '{path}': expected a PyTorch file, found one that cannot be read ({reason})"
        ) from None
    if not isinstance(checkpoint, Mapping):
        raise WeightsError(f"checkpoint '{path}': expected a dictionary, found {type(checkpoint).__name__}")
    return checkpoint, digest


def _tensors(
    checkpoint: Mapping[str, Any], ema: bool, path: Path
) -> tuple[dict[str, np.ndarray], list[str], int | None]:
    """Return the tensors that inference reads as float32, the names of the others, and the number of heads if told."""
    import torch

    key = "state_dict_ema" if ema else "state_dict"
    state = checkpoint.get(key)
    if state is None and not ema and checkpoint and all(isinstance(v, torch.Tensor) for v in checkpoint.values()):
        state = checkpoint  # a bare state_dict
    if not isinstance(state, Mapping) or not state:
        found = ", ".join(map(str, list(checkpoint)[:5])) or "nothing"
        raise WeightsError(f"checkpoint '{path}': expected '{key}', found {found}")
    tensors, ignored, heads = {}, [], None
    for full_name, tensor in state.items():
        name = str(full_name).removeprefix("module.")
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(f"tensor '{name}': expected a tensor, found {type(tensor).__name__}")
        if UNUSED.match(name):
            ignored.append(name)
            if name.endswith("talking_heads.weight"):
                if not tensor.ndim or tensor.shape[0] not in ((heads,) if heads else range(1, MAX_CHANNELS)):
                    raise WeightsError(
                        f"tensor '{name}': expected as many rows as heads, in all blocks the same number"
                    )
                heads = tensor.shape[0]
            continue
        if name in tensors:
            raise WeightsError(f"tensor '{name}' stands twice, with and without 'module.'")
        if tensor.is_nested:
            raise WeightsError(f"tensor '{name}': expected dense numbers, found a nested tensor")
        tensors[name] = tensor
    infer({name: tuple(tensor.shape) for name, tensor in tensors.items()})  # a small file can claim huge tensors
    return {name: _float32(name, tensor) for name, tensor in tensors.items()}, ignored, heads


def _float32(name: str, tensor: Any) -> np.ndarray:
    """Widen half types; float64 only if nothing is lost."""
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or not tensor.dtype.is_floating_point:
        raise WeightsError(
            f"tensor '{name}': expected dense floating-point numbers, found {tensor.dtype}, {tensor.layout}"
        )
    if tensor.is_meta:
        raise WeightsError(f"tensor '{name}': expected numbers, found a tensor without any (device 'meta')")
    narrow = tensor.detach().resolve_neg().to(torch.float32)
    if tensor.dtype == torch.float64 and not torch.equal(narrow.double().nan_to_num(), tensor.nan_to_num()):
        raise WeightsError(f"tensor '{name}': expected float32, found float64 values that float32 cannot hold exactly")
    return np.array(narrow.numpy(), order="C")


def _classes(path: str | Path | None, dataset: str, architecture: Architecture) -> tuple[str, ...]:
    if path is not None:
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"class names '{path}' cannot be read: {error}") from None
        return tuple(line.strip() for line in lines if line.strip())
    known = class_names(dataset)
    if known is not None and len(known) == architecture.num_classes:
        return known
    return tuple(f"class {k}" for k in range(architecture.num_classes))
