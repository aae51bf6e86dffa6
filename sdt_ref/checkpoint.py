"""Read an official checkpoint (.pth.tar) without running any code from it, and turn it into a weights file.

What the tensors tell comes from the tensors. Every other setting comes from the first of these that names it: explicit
settings, a YAML file, the checkpoint's own `args`, a preset. Nothing is guessed: what is still missing is refused.
"""

import argparse
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .architecture import MAX_CHANNELS, UNUSED, Architecture, infer
from .config import TIMM_CROP_PCT, TIMM_INTERPOLATION, TIMM_MEAN, TIMM_STD, ModelConfig, Preprocessing, check
from .errors import ConfigError, WeightsError, require_file
from .presets import base_dataset, class_names, preset
from .weights import Weights

EXTRA = "pip install 'sdt_ref[convert]'"
DVS_DATASETS = ("cifar10-dvs", "cifar10-dvs-tet")  # the only ones whose attention has the extra pools
FRAME_DATASETS = (*DVS_DATASETS, "gesture")

# other spellings of a setting -> the official argument's name
ALIASES = {"T": "time_steps", "size": "img_size"}
TOLD_BY_TENSORS = ("dim", "layer", "in_channels", "num_classes", "mlp_ratio", "spike_mode")
SETTINGS = (
    "time_steps",
    "pooling_stat",
    "num_heads",
    "dvs_mode",
    "TET",
    "dataset",
    "img_size",
    "crop_pct",
    "interpolation",
    "mean",
    "std",
    "prefetcher",
    "no_prefetcher",
    "input_size",
)


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
    lookup = _Lookup(settings or {}, config, checkpoint.get("args"), preset_name, architecture)
    model_config, preprocessing = _settings(lookup, architecture, heads)
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


class _Lookup:
    """Settings from their sources, the first that names one winning."""

    def __init__(
        self,
        explicit: Mapping[str, Any],
        config: str | Path | None,
        args: Any,
        preset_name: str | None,
        architecture: Architecture,
    ) -> None:
        self.explicit = explicit = {ALIASES.get(k, k): v for k, v in explicit.items()}
        for name in explicit:
            if name in TOLD_BY_TENSORS:
                raise ConfigError(f"setting '{name}' is told by the tensors and cannot be set; leave it out")
            if name not in SETTINGS:
                raise ConfigError(f"unknown setting '{name}'; known: {', '.join(SETTINGS)}")
        self.layers: list[tuple[str, Mapping[str, Any]]] = [("--set", explicit)]
        if config is not None:
            self.layers.append(("--config", _read_yaml(Path(config))))
        if args is not None:
            self.layers.append(("args", _plain(args)))
        if preset_name is not None:
            self.layers.append(("--preset", _preset_settings(preset_name, architecture)))
        self.sources: dict[str, str] = {}

    def get(self, name: str, *default: Any) -> Any:
        """Value of a setting; ConfigError if no source names it and there is no default."""
        for source, values in self.layers:
            if name in values:
                self.sources[name] = source
                return values[name]
        if default:
            return default[0]
        raise ConfigError(
            f"setting '{name}' is missing: neither --set nor --config nor the checkpoint's args nor --preset gives it; "
            f"pass --set {name}=... or --preset NAME"
        )

    def ignored(self) -> list[str]:
        """Names in the YAML file and in args that nothing here reads."""
        known = {*SETTINGS, *TOLD_BY_TENSORS}
        return sorted(
            {str(k) for source, values in self.layers[1:] if source != "--preset" for k in values if k not in known}
        )


def _plain(args: Any) -> Mapping[str, Any]:
    if isinstance(args, Mapping):
        return args
    if isinstance(args, argparse.Namespace):
        return vars(args)
    raise WeightsError(f"checkpoint 'args': expected a Namespace or a dictionary, found {type(args).__name__}")


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"--config needs PyYAML, which is not installed: {EXTRA}") from None
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config '{path}' cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError) as error:  # PyYAML raises them all
        raise ConfigError(f"config '{path}': expected YAML, found {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"config '{path}': expected names and values, found {type(values).__name__}")
    return {ALIASES.get(str(k), str(k)): v for k, v in values.items()}


def _preset_settings(name: str, architecture: Architecture) -> dict[str, Any]:
    chosen = preset(name)
    for size in ("dim", "depth", "in_channels", "num_classes", "hidden"):
        expected, found = getattr(chosen.architecture, size), getattr(architecture, size)
        if expected != found:
            raise ConfigError(
                f"preset '{name}': expected {size} {expected}, found {found} in the tensors; choose another preset, or "
                "give each setting by --set"
            )
    values = {ALIASES.get(k, k): v for k, v in chosen.settings.items()}
    return {"crop_pct": None, "interpolation": None, "mean": None, "std": None, **values, "dataset": chosen.dataset}


def _settings(lookup: _Lookup, architecture: Architecture, heads: int | None) -> tuple[ModelConfig, Preprocessing]:
    dataset = base_dataset(str(lookup.get("dataset", "") or ""))
    told = lookup.explicit.get("num_heads", heads)
    if heads is not None and told != heads:
        raise ConfigError(f"setting 'num_heads': expected {heads}, as talking_heads.weight tells, found {told!r}")
    dvs_mode = lookup.get("dvs_mode", dataset in DVS_DATASETS if dataset else None)
    config = ModelConfig(
        time_steps=lookup.get("time_steps"),
        pooling_stat=_pooling_stat(lookup.get("pooling_stat")),
        num_heads=heads if heads is not None else lookup.get("num_heads"),
        dvs_mode=dvs_mode if dvs_mode is not None else lookup.get("dvs_mode"),
        TET=lookup.get("TET"),
    )
    if architecture.in_channels != 3 or dataset in FRAME_DATASETS:
        return config, Preprocessing(size=_image_size(lookup), frames=True)
    prefetcher, no_prefetcher = lookup.get("prefetcher", True), lookup.get("no_prefetcher", False)
    check(isinstance(prefetcher, bool), "prefetcher", "true or false", prefetcher)
    check(isinstance(no_prefetcher, bool), "no_prefetcher", "true or false", no_prefetcher)
    return config, Preprocessing(
        size=_image_size(lookup),
        crop_pct=_or(lookup.get("crop_pct"), TIMM_CROP_PCT),
        interpolation=lookup.get("interpolation") or TIMM_INTERPOLATION,
        mean=_three(lookup.get("mean"), TIMM_MEAN),
        std=_three(lookup.get("std"), TIMM_STD),
        normalisation="to_tensor" if no_prefetcher or not prefetcher else "prefetcher",
        large_valid=dataset == "imagenet",
    )


def _image_size(lookup: _Lookup) -> Any:
    """`input_size`, (channels, height, width), goes before `img_size`, as in timm."""
    input_size = lookup.get("input_size", None)
    if input_size is None:
        return lookup.get("img_size")
    if not isinstance(input_size, (list, tuple)) or len(input_size) != 3 or input_size[1] != input_size[2]:
        raise ConfigError(f"setting 'input_size': expected (channels, size, size), found {input_size!r}")
    return input_size[1]


def _or(value: Any, default: Any) -> Any:
    """None means timm's default, as in the official code."""
    return default if value is None else value


def _three(value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    if value is None:
        return default
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * 3 if len(values) == 1 else values


def _pooling_stat(value: Any) -> Any:
    """YAML and JSON read an unquoted 1111 as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


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


def parse_setting(text: str) -> tuple[str, Any]:
    """Read 'key=value' from the command line: JSON values, bare words as text.

    Raises ConfigError without '='.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--set '{text}': expected key=value, such as --set time_steps=4")
    if name == "pooling_stat":
        return name, value
    try:
        return name, json.loads(value.lower() if value.lower() in ("true", "false", "none") else value)
    except (ValueError, RecursionError):
        return name, None if value.lower() == "none" else value
