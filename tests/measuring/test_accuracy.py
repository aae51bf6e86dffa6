"""What is counted when labels are compared."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

import sdt_ref
from sdt_ref.measuring import accuracy


def test_accuracy_literal() -> None:
    counted = accuracy.Accuracy()
    logits = np.array([[9, 8, 7, 6, 5, 4.0], [1, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5]])
    counted.add([0, 1, 5], logits, np.array([0, 5, 1]))
    assert (counted.images, counted.top1, counted.top5) == (3, 1, 2)
    assert counted.labels == [(0, 0), (1, 0), (5, 5)]


def test_evaluation_s_memory_does_not_grow_with_the_number_of_images(pack: Path) -> None:
    """The model sees batches of at most 16 CIFAR images, however many there are."""
    model, sizes = sdt_ref.load(), []
    grey = Image.fromarray(np.full((32, 32, 3), 99, np.uint8))
    with h5py.File(pack) as file:
        assert file["test/label"].shape == (3,)

    class Many:
        def __len__(self) -> int:
            return 40

        def __iter__(self) -> Any:
            return ((str(i), grey, 0) for i in range(40))

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

        def __call__(self, x: np.ndarray) -> Any:
            sizes.append(len(x))
            return model(x)

    assert accuracy.measure(Spy(), Many()).images == 40  # type: ignore[arg-type]
    assert sizes == [16, 16, 8]
