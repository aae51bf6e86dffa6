"""What is counted when labels are compared."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref.inputs.selection import Item
from sdt_ref.measuring import accuracy
from sdt_ref.measuring.results import Rows
from sdt_ref.network.model import SpikeDrivenTransformer


def test_accuracy_literal() -> None:
    counted = accuracy.Accuracy()
    logits = np.array([[9, 8, 7, 6, 5, 4.0], [1, 1, 1, 1, 1, 1], [np.nan] * 6, [0, 1, 2, 3, 4, 5]])
    counted.add(Rows(list("abcd"), np.array([0, 5, 5, 1]), np.array([0, 0, -1, 5]), logits))
    assert (counted.images, counted.top1, counted.top5) == (3, 1, 2)


def test_evaluation_s_memory_does_not_grow_with_the_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model sees batches of at most 16 CIFAR images, however many there are."""
    run, sizes = SpikeDrivenTransformer.__call__, []

    def spy(model: SpikeDrivenTransformer, x: np.ndarray) -> Any:
        sizes.append(len(x))
        return run(model, x)

    monkeypatch.setattr(SpikeDrivenTransformer, "__call__", spy)
    grey = Image.fromarray(np.full((32, 32, 3), 99, np.uint8))
    compute = accuracy.Classify().prepare(sdt_ref.weights.load(), None)
    part = compute(Item(str(i), grey, 0) for i in range(40))
    assert (part.arrays["predicted"] >= 0).sum() == 40
    assert sizes == [16, 16, 8]
