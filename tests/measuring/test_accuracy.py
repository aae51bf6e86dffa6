"""What is counted when labels are compared."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref.inputs.reading import read
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


def test_samples_that_are_read_ahead_keep_their_order_around_one_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network gets the pixels that `read` gives, bit for bit, without those of the sample that is broken."""
    weights = sdt_ref.weights.load()
    rng = np.random.default_rng(3)
    pictures: list[Any] = [Image.fromarray(rng.integers(0, 256, (40, 33, 3), np.uint8)) for _ in range(37)]
    expected = [read(picture, weights.preprocessing, 4, as_official=True) for picture in pictures]
    pictures.insert(20, io.BytesIO(b"broken"))
    run = SpikeDrivenTransformer.__call__
    given: list[np.ndarray] = []

    def spy(model: SpikeDrivenTransformer, x: np.ndarray) -> Any:
        given.extend(x)
        return run(model, x)

    monkeypatch.setattr(SpikeDrivenTransformer, "__call__", spy)
    part = accuracy.Classify().prepare(weights, None)(Item(str(i), p, i) for i, p in enumerate(pictures))
    assert part.arrays["label"].tolist() == list(range(38))
    assert part.notes["names"] == [str(i) for i in range(38)]
    assert [name for name, _ in part.notes["unreadable"]] == ["20"]
    assert np.flatnonzero(part.arrays["predicted"] == accuracy.UNREAD).tolist() == [20]
    assert len(given) == 37
    assert all((x == y).all() for x, y in zip(given, expected, strict=True))


def test_one_more_batch_is_read_while_one_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    run, taken, behind, next_batch = SpikeDrivenTransformer.__call__, 0, [], threading.Event()

    def items() -> Iterator[Item]:
        nonlocal taken
        for i in range(80):
            taken += 1
            if taken == 32:
                next_batch.set()
            yield Item(str(i), grey, 0)

    def spy(model: SpikeDrivenTransformer, x: np.ndarray) -> Any:
        assert next_batch.wait(60)
        result = run(model, x)
        behind.append(taken)
        return result

    monkeypatch.setattr(SpikeDrivenTransformer, "__call__", spy)
    grey = Image.fromarray(np.full((32, 32, 3), 99, np.uint8))
    accuracy.Classify().prepare(sdt_ref.weights.load(), None)(items())
    assert all(found <= 16 * (k + 2) for k, found in enumerate(behind))


def test_an_error_while_samples_are_read_ends_the_chunk() -> None:
    def items() -> Iterator[Item]:
        yield Item("0", Image.new("RGB", (32, 32)), 0)
        raise sdt_ref.ImageError("the pack is damaged")

    before = threading.active_count()
    compute = accuracy.Classify().prepare(sdt_ref.weights.load(), 1)
    with pytest.raises(sdt_ref.ImageError, match="the pack is damaged"):
        compute(items())
    assert threading.active_count() == before
