"""Labelled training pictures, all of them in the device's memory, and their augmentation there.

    python -m weights.recipe.data PACK.h5 TRAIN.h5     copy the training part alone, compressed to a third

A pack is HDF5 with a group per split: `jpeg` uint8 (all files back to back), `offset` int64 (n + 1), `label` (n);
attribute `classes` of the root. Only the group `train` is ever opened here.
"""

import argparse
import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import h5py
import numpy as np
import torch
from PIL import Image
from torch import Tensor

SPLIT = "train"
SPLIT_SEED = 2023  # of the held-out part
DECODERS = 8  # threads; Pillow decodes without Python's lock

# mean and standard deviation of values in 0..1, as in the official configurations
NORMS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = MappingProxyType(
    {
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    }
)


class RecipeError(ValueError):
    """What a user can cause and mend; one line: what was wrong, expected, found."""


@dataclass(frozen=True)
class Pictures:
    """Training pictures; `plain` and `varied` make the network's input of some of them.

    Attributes
    ----------
    pixels : uint8 [n, H, W, C], the order of channels-last memory
    labels : int64 [n]
    classes : names by label
    digest : of the encoded files and labels, to know the same data again
    """

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    digest: str

    kind: ClassVar[str] = "pictures"
    datasets: ClassVar[tuple[str, ...]] = tuple(NORMS)
    network: ClassVar[Mapping[str, Any]] = MappingProxyType({"in_channels": 3, "dvs_mode": False})

    @property
    def size(self) -> int:
        """The shorter side of a picture, pixels."""
        return min(self.pixels.shape[1:3])

    def plain(self, index: Tensor, steps: int, options: argparse.Namespace) -> Tensor:
        """Pictures as they are, for evaluation: int64 [B] -> float32 [B, C, H, W], normalised."""
        return normalised(self.pixels[index], options.dataset)

    def varied(self, index: Tensor, steps: int, options: argparse.Namespace, random: torch.Generator) -> Tensor:
        """Pictures for training, augmented: int64 [B] -> float32 [B, C, H, W]."""
        x = normalised(augmented(self.pixels, index, random, options.crop), options.dataset)
        return cut_out(x, random, options.cutout) if options.cutout else x

    def args(self, options: argparse.Namespace) -> dict[str, Any]:
        """What a checkpoint's `args` tell of the network's input."""
        mean, std = NORMS[options.dataset]
        return {
            "dataset": f"torch/{options.dataset}",
            "img_size": self.pixels.shape[1],
            "crop_pct": 1.0,
            "interpolation": "bicubic",
            "mean": list(mean),
            "std": list(std),
        }


def load(path: str | Path, device: torch.device) -> Pictures:
    """Decode the training part of a pack; RecipeError if it is missing, or not such a pack."""
    jpeg, offset, label, classes = read(path, "jpeg")

    def decode(i: int) -> np.ndarray:
        with Image.open(io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes())) as picture:
            return np.asarray(picture.convert("RGB"))

    try:
        with ThreadPoolExecutor(DECODERS) as pool:
            pixels = np.stack(list(pool.map(decode, range(len(label)))))
    except (OSError, ValueError) as error:  # not a picture; or pictures of several sizes
        raise RecipeError(f"pack '{path}': expected JPEG pictures of one size ({error})") from None
    digest = hashlib.sha256(jpeg.tobytes() + label.tobytes()).hexdigest()
    return Pictures(
        torch.from_numpy(pixels).to(device), torch.from_numpy(label.astype(np.int64)).to(device), classes, digest
    )


def copy_training_part(source: str | Path, target: str | Path) -> int:
    """Write the training part of a pack as a pack of its own, and return its size in bytes.

    Deflate finds the JPEG header that all small pictures share: CIFAR-10's 50,000 take 15.7 MB instead of 46 MB.
    """
    out, (jpeg, offset, label, classes) = Path(target), read(source, "jpeg")
    part = out.with_name(out.name + ".part")
    try:
        with h5py.File(part, "w") as file:
            group = file.create_group(SPLIT)
            chunks = (min(len(jpeg), 1 << 20),)
            group.create_dataset("jpeg", data=jpeg, chunks=chunks, compression="gzip", compression_opts=9)
            group.create_dataset("offset", data=offset, compression="gzip")
            group.create_dataset("label", data=label, compression="gzip")
            file.attrs["classes"] = classes
        part.replace(out)
    except OSError as error:
        raise RecipeError(f"cannot write '{out}': {error}") from None
    return out.stat().st_size


def holds(path: str | Path, content: str) -> bool:
    """Tell whether the training part of a pack has its files under `content`; False for what is no pack at all."""
    try:
        with h5py.File(path, "r") as file:
            return f"{SPLIT}/{content}" in file
    except (OSError, RuntimeError, TypeError, ValueError):
        return False


def read(source: str | Path, content: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Read the training part of a pack whose files stand under `content`.

    Returns
    -------
    uint8 [bytes], integer [n + 1], integer [n] : the files, where each begins and the last one ends, their labels
    tuple of str                                : class names

    Raises RecipeError when it is missing, or its numbers do not fit one another.
    """
    path = Path(source)
    if not path.is_file():
        raise RecipeError(f"pack '{path}': expected a file, found {'a folder' if path.is_dir() else 'nothing'}")
    try:
        with h5py.File(path, "r") as file:
            group = file[SPLIT]
            files, offset, label = (np.asarray(group[name][()]) for name in (content, "offset", "label"))
            classes = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in file.attrs["classes"])
    except (OSError, KeyError, AttributeError, RuntimeError, TypeError, ValueError) as error:  # h5py raises them all
        reason = " ".join(str(error).split())
        raise RecipeError(
            f"pack '{path}': expected HDF5 with {SPLIT}/{content}, offset, label, and classes ({reason})"
        ) from None
    whole = all(np.issubdtype(a.dtype, np.integer) and a.ndim == 1 for a in (files, offset, label))
    if not whole or files.dtype != np.uint8 or not len(label) or len(offset) != len(label) + 1:
        raise RecipeError(f"pack '{path}': expected n labels, n + 1 offsets and bytes, found otherwise")
    if offset[0] < 0 or (offset[1:] < offset[:-1]).any() or offset[-1] > len(files):
        raise RecipeError(f"pack '{path}': expected ascending offsets within {len(files)} bytes, found otherwise")
    if label.min() < 0 or label.max() >= len(classes):
        raise RecipeError(f"pack '{path}': expected labels 0 to {len(classes) - 1}, found up to {label.max()}")
    return files, offset, label, classes


def seeded(*key: int) -> int:
    """Mix whole numbers into a seed of 32 bits, all that PyTorch's generator on the CPU takes."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def split(n: int, held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on, and `held_out` others to tune on: the same ones always, so that no teacher has seen them."""
    if not 0 <= held_out < n:
        raise RecipeError(f"--held-out: expected fewer than the {n} examples, found {held_out}")
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def normalised(pixels: Tensor, dataset: str) -> Tensor:
    """uint8 [B, H, W, C] -> float32 [B, C, H, W] in channels-last memory: (u8 - 255 mean) / (255 std)."""
    mean, std = (torch.tensor([255 * x for x in numbers], device=pixels.device) for numbers in NORMS[dataset])
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


def augmented(pictures: Tensor, index: Tensor, random: torch.Generator, crop: int) -> Tensor:
    """Pick pictures, each shifted by up to `crop` pixels (reflected at the border) and flipped or not.

    uint8 [n, H, W, C], int64 [B] -> uint8 [B, H, W, C]
    """
    b, (h, w) = len(index), pictures.shape[1:3]
    device = pictures.device
    dy, dx = torch.randint(-crop, crop + 1, (2, b, 1), generator=random, device=device)
    flip = torch.rand(b, 1, generator=random, device=device) < 0.5
    y = _reflected(torch.arange(h, device=device) + dy, h)
    x = torch.arange(w, device=device)
    x = _reflected(torch.where(flip, x.flip(0), x) + dx, w)
    return pictures[index[:, None, None], y[:, :, None], x[:, None, :]]


def _reflected(position: Tensor, size: int) -> Tensor:
    return size - 1 - (size - 1 - position.abs()).abs()


def cut_out(x: Tensor, random: torch.Generator, side: int) -> Tensor:
    """Set a square of each example [B, ..., H, W], at a random centre, to 0: pictures' mean, or no events."""
    b, (h, w) = len(x), x.shape[-2:]

    def strip(size: int) -> Tensor:
        start = torch.randint(0, size, (b, 1), generator=random, device=x.device) - side // 2
        position = torch.arange(size, device=x.device)
        return (position >= start) & (position < start + side)

    square = strip(h)[:, :, None] & strip(w)[:, None, :]  # [B, H, W]
    return x.masked_fill(square.view(b, *[1] * (x.dim() - 3), h, w), 0.0)


def mixed(
    x: Tensor, targets: Tensor, numbers: np.random.Generator, mixup: float, cutmix: float
) -> tuple[Tensor, Tensor]:
    """Mix each example with the next of the batch: mixup, or a pasted rectangle (CutMix), in turn by chance.

    Parameters
    ----------
    x, targets : pictures [B, C, H, W] or frames [B, T, C, H, W], and class probabilities [B, K]
    mixup, cutmix : the parameter of the Beta distribution of the share; 0 switches it off
    """
    choices = [kind for kind, alpha in (("mixup", mixup), ("cutmix", cutmix)) if alpha > 0]
    if not choices:
        return x, targets
    kind = choices[numbers.integers(len(choices))]
    alpha = mixup if kind == "mixup" else cutmix
    share = float(numbers.beta(alpha, alpha))  # of the example itself
    other, other_targets = x.roll(1, 0), targets.roll(1, 0)
    if kind == "mixup":
        x = share * x + (1 - share) * other
    else:
        h, w = x.shape[-2:]
        rows, columns = (round(size * (1 - share) ** 0.5) for size in (h, w))
        top, left = int(numbers.integers(h - rows + 1)), int(numbers.integers(w - columns + 1))
        x = x.clone()
        x[..., top : top + rows, left : left + columns] = other[..., top : top + rows, left : left + columns]
        share = 1 - rows * columns / (h * w)
    return x, share * targets + (1 - share) * other_targets


def fail(error: Any) -> int:
    """Say in one line what was wrong, and return the exit code of bad input."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


def main(argv: Sequence[str] | None = None) -> int:
    """Copy the training part; exit code 0, or 2 for bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 2 or arguments[0].startswith("-"):
        return fail("expected two files: python -m weights.recipe.data PACK.h5 TRAIN.h5")
    try:
        print(f"{arguments[1]}: {copy_training_part(*arguments):,} bytes")
    except RecipeError as error:
        return fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
