"""A pack of small pictures, of which one cannot be read."""

import io
from pathlib import Path

import h5py
import numpy as np
from PIL import Image


def some_pack(path: Path, images: int, classes: int, broken: int = 7) -> None:
    """Write it: random pictures of 32 x 32 pixels, with labels in turn."""
    rng, files = np.random.default_rng(0), []
    for number in range(images):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(stream, "JPEG")
        files.append(b"broken" if number == broken else stream.getvalue())
    with h5py.File(path, "w") as file:
        file["test/jpeg"] = np.frombuffer(b"".join(files), np.uint8)
        file["test/offset"] = np.cumsum([0, *map(len, files)])
        file["test/label"] = np.arange(images) % classes
