"""Labelled recordings of an event camera, all of them in memory, and their augmentation in the device's memory.

A pack is HDF5 with a group per split: `bin` uint8 (N-MNIST's files, unchanged, back to back), `offset` int64 (n + 1),
`label` (n); attribute `classes` of the root. Only the group `train` is ever opened here. Bytes become events, and
events become frames, by sdt_ref's own functions: training counts as inference does.
"""

import argparse
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sdt_ref.camera import nmnist
from sdt_ref.camera.events import EventFile
from sdt_ref.camera.frames import integrate

from .data import RecipeError, cut_out, read

SIZE = 36  # pixels of a frame's side: the sensor's 34 and a border of zeros, for two poolings want a multiple of 4


@dataclass(frozen=True)
class Recordings:
    """Training recordings; `plain` and `varied` make the network's input of some of them, as of `Pictures`.

    Attributes
    ----------
    files : one per recording
    labels : int64 [n]
    classes : names by label
    digest : of the encoded files and labels, to know the same data again
    """

    files: tuple[EventFile, ...]
    labels: Tensor
    classes: tuple[str, ...]
    digest: str
    _frames: dict[int, Tensor] = field(default_factory=dict)

    kind: ClassVar[str] = "recordings"
    datasets: ClassVar[tuple[str, ...]] = ("nmnist",)
    network: ClassVar[Mapping[str, Any]] = MappingProxyType({"in_channels": 2, "dvs_mode": True})
    size: ClassVar[int] = SIZE

    def frames(self, steps: int) -> Tensor:
        """Return all recordings as T = `steps` frames, uint8 [n, T, 2, H, W]; cut once, then remembered."""
        if steps not in self._frames:
            frames = np.zeros((len(self.files), steps, 2, SIZE, SIZE), np.uint8)
            width, height = nmnist.SENSOR
            left, top = (SIZE - width) // 2, (SIZE - height) // 2
            for i, file in enumerate(self.files):
                counts = integrate(file, steps, "number", nmnist.SENSOR)
                if counts.max() > np.iinfo(np.uint8).max:
                    raise RecipeError(
                        f"{file.name}: expected at most 255 events of a pixel in one of {steps} frames, found "
                        f"{counts.max()}; take more frames in --stages"
                    )
                frames[i, :, :, top : top + height, left : left + width] = counts
            self._frames[steps] = torch.from_numpy(frames).to(self.labels.device)
        return self._frames[steps]

    def plain(self, index: Tensor, steps: int, options: argparse.Namespace) -> Tensor:
        """Recordings as they are, for evaluation: int64 [B] -> float32 [B, T, 2, H, W], unscaled counts."""
        return self.frames(steps)[index].float()

    def varied(self, index: Tensor, steps: int, options: argparse.Namespace, random: torch.Generator) -> Tensor:
        """Recordings for training, augmented: int64 [B] -> float32 [B, T, 2, H, W]."""
        x = self.frames(steps)[index]
        x = moved(x, random, options.crop, options.turn, options.zoom).float()
        if options.drop:
            x = thinned(x, random, options.drop)
        return cut_out(x, random, options.cutout) if options.cutout else x

    def args(self, options: argparse.Namespace) -> dict[str, Any]:
        """What a checkpoint's `args` tell of the network's input."""
        return {"dataset": options.dataset, "img_size": SIZE, "sensor_fit": "pad"}


def load(path: str | Path, device: torch.device) -> Recordings:
    """Read the training part of a pack; RecipeError if it is missing, or not such a pack of N-MNIST's recordings."""
    raw, offset, label, classes = read(path, "bin")
    names = [f"pack '{path}': recording {i}" for i in range(len(label))]
    files = tuple(_file(name, raw[begin:end]) for name, begin, end in zip(names, offset[:-1], offset[1:], strict=True))
    digest = hashlib.sha256(raw.tobytes() + label.tobytes()).hexdigest()
    return Recordings(files, torch.from_numpy(label.astype(np.int64)).to(device), classes, digest)


def _file(name: str, raw: np.ndarray) -> EventFile:
    """Look at the bytes of a recording, uint8 [5 n], before anything is trained."""
    if not len(raw) or len(raw) % nmnist.RECORD:
        raise RecipeError(f"{name}: expected events of {nmnist.RECORD} bytes each, found {len(raw)} bytes")
    (width, height), events = nmnist.SENSOR, nmnist.decode(raw)
    x, y = int(events.x.max()), int(events.y.max())
    if x >= width or y >= height:
        raise RecipeError(f"{name}: expected events within {width}x{height} pixels, found x up to {x}, y up to {y}")
    return EventFile(name, "N-MNIST", nmnist.SENSOR, lambda: iter([nmnist.decode(raw)]))


def moved(frames: Tensor, random: torch.Generator, shift: int, turn: float, zoom: float) -> Tensor:
    """Shift, turn and scale each recording, all its frames alike; what comes in from outside the frame is 0.

    A target pixel takes the count of the pixel nearest to where it comes from, so that counts stay whole.

    Parameters
    ----------
    frames : uint8 [B, T, 2, H, W]
    shift : pixels; by up to so many, down or up and right or left
    turn : degrees; by up to so many, either way, around the middle
    zoom : share; larger or smaller by up to so much
    """
    (b, (h, w)), device = (len(frames), frames.shape[-2:]), frames.device
    dy, dx = torch.randint(-shift, shift + 1, (2, b, 1, 1), generator=random, device=device)
    angle, scale = 2 * torch.rand(2, b, 1, 1, generator=random, device=device) - 1
    angle, scale = angle * math.radians(turn), 1 + scale * zoom
    y = torch.arange(h, device=device)[:, None] - (h - 1) / 2  # [H, 1], from the middle
    x = torch.arange(w, device=device) - (w - 1) / 2  # [W]
    from_y = ((angle.cos() * y + angle.sin() * x) / scale + (h - 1) / 2).round().long() + dy  # [B, H, W]
    from_x = ((angle.cos() * x - angle.sin() * y) / scale + (w - 1) / 2).round().long() + dx
    inside = (from_y >= 0) & (from_y < h) & (from_x >= 0) & (from_x < w)
    pixel = (from_y * w + from_x).where(inside, 0)
    taken = frames.flatten(3).gather(3, pixel.flatten(1)[:, None, None].expand(*frames.shape[:3], h * w))
    return taken.unflatten(3, (h, w)) * inside[:, None, None]


def thinned(x: Tensor, random: torch.Generator, drop: float) -> Tensor:
    """Lose events by chance: of each recording, counts [B, T, 2, H, W], a share of its own from 0 up to `drop`."""
    lost = drop * torch.rand(len(x), 1, 1, 1, 1, generator=random, device=x.device)
    return torch.binomial(x, (1 - lost).expand_as(x), generator=random)
