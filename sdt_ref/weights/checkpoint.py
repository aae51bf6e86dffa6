"""Turn an official checkpoint (.pth.tar) into a weights file, without running any code from it.

What the tensors tell comes from the tensors. Every other setting comes from the first of these that names it: explicit
settings, a YAML file, the checkpoint's own `args`, a preset. Nothing is guessed: what is still missing is refused.
"""

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, WeightsError
from ..files import as_path, read_text
from .architecture import Architecture
from .container import opened
from .file import Weights
from .inert import plain, words
from .presets import class_names
from .settings import Lookup, dataset_of, read_settings
from .state import Chosen, Rounding, as_float32, choose, require_held, tensors_of
from .tensors import infer

LONGEST_FACT = 1000  # characters of a text that is passed on from the checkpoint, or bits of a number


@dataclass(frozen=True)
class Conversion:
    """A converted checkpoint, and what was left out of it.

    Attributes
    ----------
    ignored_tensors : names that the official forward pass never reads
    ignored_settings : names of args and YAML keys that have no effect on inference
    sources : setting -> where its value came from
    chosen : the set of weights that was taken, of which; None where no checkpoint was read
    rounding : what rounding to float32 changed; None where nothing was rounded
    as_text : what was read as text alone -> the text: objects in args, of which none was made; notes of safetensors
    """

    weights: Weights
    ignored_tensors: list[str] = field(default_factory=list)
    ignored_settings: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    chosen: Chosen | None = None
    rounding: Rounding | None = None
    as_text: dict[str, str] = field(default_factory=dict)


def convert(
    path: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    preset_name: str | None = None,
    ema: bool = False,
    classes: str | Path | None = None,
    key: str | None = None,
    round_float64: bool = False,
) -> Conversion:
    """Convert a checkpoint.

    Parameters
    ----------
    path : .pth.tar written by timm's CheckpointSaver, a bare state_dict, or safetensors
    settings : explicit settings by official argument name; they win
    config : YAML file of the official code
    preset_name : official configuration that supplies what nothing else does
    ema : take the averaged weights, `state_dict_ema` or else `model_ema`
    classes : text file with one class name per line
    key : take the weights under this key
    round_float64 : round float64 values that float32 cannot hold

    Raises
    ------
    WeightsError
        the file is missing, not a checkpoint, pickles a call that makes no value, or is another network
    ConfigError
        a setting is missing, unknown or out of range
    """
    source = as_path(path, "checkpoint", WeightsError)
    with opened(source) as (content, file):
        chosen = choose(content, key, ema, source)
        stored, ignored_tensors, heads = tensors_of(chosen.state)
        # before a number is read: a small file can claim huge tensors
        architecture = infer({name: tensor.shape for name, tensor in stored.items()})
        require_held(stored, os.fstat(file.fileno()).st_size)
        tensors, rounding = as_float32(stored, round_float64)
        lookup = Lookup(settings or {}, config, content.get("args"), preset_name, architecture)
        about = {name: plain(content.get(name)) for name in ("arch", "epoch", "metric")}
        as_text = {name: words(content[name]) for name in ("__metadata__",) if name in content} | lookup.as_text
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BinaryIO lacks readinto
    model_config, preprocessing = read_settings(lookup, architecture, heads)
    if heads is not None:
        lookup.sources["num_heads"] = "tensors"
    dataset = dataset_of(lookup)
    provenance = {
        "source": source.name,
        "sha256": digest,
        "state_dict": chosen.key,
        **{name: about[name] for name in ("arch", "epoch") if _is_plain(about[name])},
        **_metric(chosen, about["metric"]),
    }
    if dataset:
        provenance["dataset"] = dataset
    weights = Weights(tensors, model_config, preprocessing, _classes(classes, dataset, architecture), provenance)
    return Conversion(weights, ignored_tensors, lookup.ignored(), lookup.sources, chosen, rounding, as_text)


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_FACT
    if isinstance(value, int):
        return value.bit_length() <= LONGEST_FACT
    return isinstance(value, float) and math.isfinite(value)


def _metric(chosen: Chosen, metric: Any) -> dict[str, Any]:
    """The metric, if it is that of the weights taken; else under the name of those that it was measured on."""
    if not _is_plain(metric):
        return {}
    if chosen.metric_of == chosen.key:
        return {"metric": metric}
    return {"metric_of": {chosen.metric_of or "not told": metric}}


def _classes(path: str | Path | None, dataset: str, architecture: Architecture) -> tuple[str, ...]:
    if path is not None:
        lines = read_text(path, "class names", ConfigError).splitlines()
        return tuple(line.strip() for line in lines if line.strip())
    known = class_names(dataset)
    if known is not None and len(known) == architecture.num_classes:
        return known
    return tuple(f"class {k}" for k in range(architecture.num_classes))
