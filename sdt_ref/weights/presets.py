"""The official configurations by name, and the class names of their data sets.

Source: conf/*.yml of BICLab/Spike-Driven-Transformer @ 3faa822.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ..errors import ConfigError, shown
from .architecture import Architecture

_IMAGENET_NORM = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

# preprocessing of the official evaluation, by data set
DATASETS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "imagenet": {"size": 224, "crop_pct": 0.95, "large_valid": True, **_IMAGENET_NORM},
        "cifar10": {"size": 32, "crop_pct": 1.0, "mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
        "cifar100": {"size": 32, "crop_pct": 1.0, "mean": (0.5071, 0.4867, 0.4408), "std": (0.2675, 0.2565, 0.2761)},
        "cifar10-dvs": {"size": 64, "frames": True, "sensor": 128},
        "gesture": {"size": 128, "frames": True, "sensor": 128},
        "nmnist": {"size": 36, "frames": True, "sensor": 34},  # not an official one; 36 divides by the pools
    }
)

_CLASS_FILES = {"cifar10-dvs": "cifar10"}


@dataclass(frozen=True)
class Preset:
    """One official configuration; heads 8, mlp_ratio 4 and LIF neurons in all of them."""

    dataset: str
    dim: int
    depth: int
    time_steps: int = 4
    TET: bool = False

    @property
    def architecture(self) -> Architecture:
        """The sizes that the tensors of such a checkpoint tell."""
        classes = class_names(self.dataset)
        assert classes is not None
        channels = 2 if "frames" in DATASETS[self.dataset] else 3
        return Architecture(self.dim, self.depth, channels, len(classes), 4 * self.dim, "lif")

    @property
    def settings(self) -> dict[str, Any]:
        """Settings under their names in ModelConfig and Preprocessing."""
        return {
            "time_steps": self.time_steps,
            "pooling_stat": {"imagenet": "1111", "gesture": "0111"}.get(self.dataset, "0011"),
            "num_heads": 8,
            "dvs_mode": self.dataset == "cifar10-dvs",
            "TET": self.TET,
            **DATASETS[self.dataset],
        }


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "sdt-8-384": Preset("imagenet", 384, 8),
        "sdt-6-512": Preset("imagenet", 512, 6),
        "sdt-8-512": Preset("imagenet", 512, 8),
        "sdt-10-512": Preset("imagenet", 512, 10),  # the official file is called 10_384 and says 512
        "sdt-8-768": Preset("imagenet", 768, 8),
        "sdt-2-256-cifar10": Preset("cifar10", 256, 2),
        "sdt-2-512-cifar10": Preset("cifar10", 512, 2),
        "sdt-2-512-cifar10-tet": Preset("cifar10", 512, 2, TET=True),
        "sdt-2-256-cifar100": Preset("cifar100", 256, 2),
        "sdt-2-512-cifar100": Preset("cifar100", 512, 2),
        "sdt-2-256-cifar10-dvs": Preset("cifar10-dvs", 256, 2, time_steps=10, TET=True),
        "sdt-2-256-gesture-t16": Preset("gesture", 256, 2, time_steps=16),
        "sdt-2-256-gesture-t10": Preset("gesture", 256, 2, time_steps=10),
    }
)


def preset(name: str) -> Preset:
    """Look a preset up; raises ConfigError that lists the known ones."""
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"unknown preset {shown(name)}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def base_dataset(name: str) -> str:
    """The data set's bare name: 'torch/cifar10' -> 'cifar10'."""
    return name.lower().rsplit("/", 1)[-1]


def class_names(dataset: str) -> tuple[str, ...] | None:
    """Class names in label order, or None for a data set that is not known."""
    rows = _class_table(_CLASS_FILES.get(dataset, dataset))
    return tuple(name for _, name in rows) if rows else None


def published_folders(dataset: str) -> dict[str, str]:
    """Class name by the folder that the data set has it in, where that is another name.

    ImageNet's are WordNet synsets ('n01440764' -> 'tench'), those of DVS128 Gesture numbers ('10' -> 'other_gestures').
    """
    return {folder: name for folder, name in _class_table(dataset) or () if folder}


@cache
def _class_table(name: str) -> tuple[tuple[str, str], ...] | None:
    source = files("sdt_ref") / "data" / f"{name}.txt"
    if not source.is_file():
        return None
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    pairs = [line.rpartition("\t") for line in lines]
    return tuple((key, label) for key, _, label in pairs)
