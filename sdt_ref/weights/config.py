"""What the tensors of a checkpoint cannot tell: settings of the network, and how a picture becomes its input."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import ConfigError, shown

MOST_STEPS = 4096  # T at most; the published networks have 4 to 16
MOST_HEADS = 65_536  # as many as channels at most
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "hamming", "box")
NORMALISATIONS = ("prefetcher", "to_tensor")

# timm 0.6.12's generic image model: what an official config means where it says nothing
TIMM_MEAN = TIMM_STD = (0.5, 0.5, 0.5)
TIMM_CROP_PCT = 0.9
TIMM_INTERPOLATION = "bicubic"


def check(condition: bool, name: str, expected: str, found: object) -> None:
    """Raise ConfigError unless `condition` holds."""
    if not condition:
        raise ConfigError(f"setting '{name}': expected {expected}, found {shown(found)}")


def is_int(value: object) -> bool:
    """Tell whether a value is a whole number; True and False are not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


class _Settings:
    """Frozen settings that go through JSON unchanged."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))  # type: ignore[call-overload]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from a mapping; unknown and missing names are refused by name."""
        fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise ConfigError(f"unknown setting {shown(unknown[0])}; known: {', '.join(fields)}")
        missing = [n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in values]
        if missing:
            raise ConfigError(f"setting '{missing[0]}' is missing")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


@dataclass(frozen=True)
class ModelConfig(_Settings):
    """Settings of the network that its tensors do not tell.

    Attributes
    ----------
    time_steps : T of a static image; frames bring their own T
    pooling_stat : four of '0' and '1': which stage of the patch embedding pools
    num_heads : attention heads; without dvs_mode they do not change the result
    dvs_mode : whether attention has its four extra 3x3 pools
    TET : whether the checkpoint was trained with a loss per time step; the logits are averaged over T all the same

    Raises ConfigError when a value is out of range. Source: the official train.py and conf/*.yml.
    """

    time_steps: int
    pooling_stat: str
    num_heads: int
    dvs_mode: bool
    TET: bool

    def __post_init__(self) -> None:
        ok = is_int(self.time_steps) and 1 <= self.time_steps <= MOST_STEPS
        check(ok, "time_steps", f"1 to {MOST_STEPS}", self.time_steps)
        stat = self.pooling_stat
        check(
            isinstance(stat, str) and len(stat) == 4 and set(stat) <= {"0", "1"},
            "pooling_stat",
            "four characters of 0 and 1, such as '0011'",
            stat,
        )
        ok = is_int(self.num_heads) and 1 <= self.num_heads <= MOST_HEADS
        check(ok, "num_heads", f"a positive whole number, {MOST_HEADS} at most", self.num_heads)
        check(isinstance(self.dvs_mode, bool), "dvs_mode", "true or false", self.dvs_mode)
        check(isinstance(self.TET, bool), "TET", "true or false", self.TET)

    @property
    def pools(self) -> tuple[bool, bool, bool, bool]:
        """Whether stage 0, 1, 2, 3 of the patch embedding pools."""
        first, second, third, fourth = (character == "1" for character in self.pooling_stat)
        return first, second, third, fourth

    @property
    def size_divisor(self) -> int:
        """Height and width must be divisible by this."""
        return int(2 ** self.pooling_stat.count("1"))


@dataclass(frozen=True)
class Preprocessing(_Settings):
    """How a picture becomes the input: resize, centre crop, normalise. Source: timm 0.6.12, create_loader.

    Attributes
    ----------
    size : height and width of the crop, pixels
    crop_pct : the shorter side is resized to floor(size / crop_pct)
    interpolation : Pillow's name of the resampling filter
    mean, std : per channel, of values in 0..1: three numbers for RGB, one for grey, four for RGBA
    normalisation : 'prefetcher', (u8 - 255 mean) / (255 std), or 'to_tensor', (u8 / 255 - mean) / std; float32 both
    large_valid : at size 288, use the official second ImageNet evaluation: shorter side 320, bilinear, 'to_tensor'
    frames : the network reads event-camera frames, unscaled counts; it takes no picture
    sensor : of frames, the camera's height and width, pixels; None: the size. If the size is half of it, 2x2 pixels are
        averaged; a larger size is filled up with silent pixels, the sensor in the middle; no other size is possible
    antialias : halve as torchvision from 0.17 on does, not as the 0.14 of the official code, which averages 2x2 pixels
    """

    size: int
    crop_pct: float = TIMM_CROP_PCT
    interpolation: str = TIMM_INTERPOLATION
    mean: tuple[float, ...] = TIMM_MEAN
    std: tuple[float, ...] = TIMM_STD
    normalisation: str = "prefetcher"
    large_valid: bool = False
    frames: bool = False
    sensor: int | None = None
    antialias: bool = False

    def __post_init__(self) -> None:
        check(is_int(self.size) and 1 <= self.size <= 8192, "size", "1 to 8192 pixels", self.size)
        check(_is_real(self.crop_pct) and 0.05 <= self.crop_pct <= 1, "crop_pct", "0.05 to 1", self.crop_pct)
        check(
            self.interpolation in INTERPOLATIONS,
            "interpolation",
            f"one of {', '.join(INTERPOLATIONS)}",
            self.interpolation,
        )
        for name, values in (("mean", self.mean), ("std", self.std)):
            check(
                isinstance(values, tuple) and len(values) in (1, 3, 4) and all(_is_real(v) for v in values),
                name,
                "three finite numbers, or one for grey, four for RGBA",
                values,
            )
        check(len(self.std) == len(self.mean), "std", f"{len(self.mean)} numbers, as many as 'mean'", self.std)
        check(all(v > 0 for v in self.std), "std", "positive numbers", self.std)
        check(self.normalisation in NORMALISATIONS, "normalisation", " or ".join(NORMALISATIONS), self.normalisation)
        check(isinstance(self.large_valid, bool), "large_valid", "true or false", self.large_valid)
        check(isinstance(self.frames, bool), "frames", "true or false", self.frames)
        ok = self.sensor is None or (is_int(self.sensor) and 1 <= self.sensor <= 8192)
        check(ok, "sensor", "1 to 8192 pixels", self.sensor)
        fits = self.sensor is None or self.sensor <= self.size or self.sensor == 2 * self.size
        check(fits, "size", f"{self.sensor} pixels, as the sensor has, half of it, or more", self.size)
        check(isinstance(self.antialias, bool), "antialias", "true or false", self.antialias)

    @property
    def channels(self) -> int:
        """Channels of a picture: 3 of RGB, 1 of grey, 4 of RGBA."""
        return len(self.mean)

    @property
    def resize(self) -> int:
        """Length of the shorter side before the crop, pixels."""
        return 320 if self._is_large_valid else math.floor(self.size / self.crop_pct)

    @property
    def filter(self) -> str:
        """The resampling filter that this size is evaluated with."""
        return "bilinear" if self._is_large_valid else self.interpolation

    @property
    def formula(self) -> str:
        """The normalisation that this size is evaluated with."""
        return "to_tensor" if self._is_large_valid else self.normalisation

    @property
    def _is_large_valid(self) -> bool:
        return self.large_valid and self.size == 288

    def at(self, size: int | None) -> Self:
        """The same preprocessing at another size; None keeps it."""
        return self if size is None else dataclasses.replace(self, size=size)


def _is_real(value: object) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond float64
        return False
