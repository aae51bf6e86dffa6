"""Labelled recordings of an event camera, all of them in memory, and their augmentation in the device's memory.

A pack is HDF5 with a group per split: `bin` uint8 (N-MNIST's files, unchanged, back to back), `offset` int64 (n + 1),
`label` (n); attribute `classes` of the root. Only the group `train` is ever opened here. Bytes become events, and
events become frames, by sdt_ref's own functions: training reads as inference does.
"""

import argparse
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sdt_ref.camera.frames import prepare
from sdt_ref.camera.opening import open_recording
from sdt_ref.camera.recording import EventFile
from sdt_ref.errors import RecordingError
from sdt_ref.weights.config import Preprocessing

from .data import RecipeError, cut_out, read

# N-MNIST's 34x34 pixels amid silent ones, for two poolings want a multiple of 4
INPUT = Preprocessing(size=36, sensor=34, frames=True)


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
    size: ClassVar[int] = INPUT.size

    def frames(self, steps: int) -> Tensor:
        """Return all recordings as T = `steps` frames, uint8 [n, T, 2, H, W]; cut once, then remembered."""
        if steps not in self._frames:
            frames = np.empty((len(self.files), steps, 2, INPUT.size, INPUT.size), np.uint8)
            for i, file in enumerate(self.files):
                counts = prepare(file, INPUT, steps)
                if counts.max() > np.iinfo(np.uint8).max:
                    raise RecipeError(
                        f"recording '{file.name}': expected at most 255 events of a pixel in one of {steps} frames, "
                        f"found {counts.max():.0f}; take more frames in --stages"
                    )
                frames[i] = counts
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
        return {"dataset": options.dataset, "img_size": INPUT.size, "sensor": INPUT.sensor}


def load(path: str | Path, device: torch.device) -> Recordings:
    """Read the training part of a pack; RecipeError if it is missing, not such a pack, or holds none of N-MNIST's."""
    raw, offset, label, classes = read(path, "bin")
    files = []
    for i, (begin, end) in enumerate(pairwise(offset)):
        try:
            files.append(open_recording(raw[begin:end].tobytes(), f"{path}: train/{i}"))
            prepare(files[-1], INPUT, 1)  # what is damaged shows before anything is trained
        except RecordingError as error:
            raise RecipeError(error) from None
    digest = hashlib.sha256(raw.tobytes() + label.tobytes()).hexdigest()
    return Recordings(tuple(files), torch.from_numpy(label.astype(np.int64)).to(device), classes, digest)


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
