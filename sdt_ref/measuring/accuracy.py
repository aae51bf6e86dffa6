"""Top-1 and top-5 over a labelled set of pictures or recordings, in batches of constant memory."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice

import numpy as np

from ..inputs.datasets import Labelled, spread, taken
from ..inputs.reading import UNREADABLE, read
from ..network.model import SpikeDrivenTransformer

# pixels x channels of the first stage in one batch, or numbers in its frames, if those are more: 16 pictures of
# 32 x 32, one of 224 x 224
BATCH_NEURONS = 1 << 19


@dataclass
class Accuracy:
    """What was counted.

    Attributes
    ----------
    images, top1, top5 : pictures or recordings classified, and right within the first 1 and 5
    labels : predicted label of each one that could be read, with its number in the set
    unreadable : (name, reason) of those that could not be read
    repairs : what was mended in recordings, and how often
    """

    images: int = 0
    top1: int = 0
    top5: int = 0
    labels: list[tuple[int, int]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)

    def add(self, numbers: list[int], logits: np.ndarray, labels: np.ndarray) -> None:
        """Count one batch: logits [B, K], labels [B]. Equal logits rank in label order."""
        ranks = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        self.images += len(labels)
        self.top1 += int((ranks[:, 0] == labels).sum())
        self.top5 += int((ranks == labels[:, None]).any(axis=1).sum())
        self.labels += zip(numbers, ranks[:, 0].tolist(), strict=True)


def interval(right: int, total: int) -> tuple[float, float]:
    """Where the true share lies with 95 % confidence, if the set was drawn by chance.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    z = 1.959964  # standard deviations of a normal distribution that leave out 2.5 % on each side
    share, spread = right / total, z**2 / total
    half = z * math.sqrt((share * (1 - share) + spread / 4) / total)
    low, high = (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)
    return max(low, 0.0), min(high, 1.0)  # rounding


def measure(
    model: SpikeDrivenTransformer,
    labelled: Labelled,
    size: int | None = None,
    limit: int | None = None,
    progress: Callable[[Accuracy], None] = lambda _: None,
    *,
    strict_steps: bool = False,
    split: str | None = None,
) -> Accuracy:
    """Classify pictures or recordings and count the right ones; unreadable ones are skipped and listed.

    Parameters
    ----------
    size : as in Preprocessing.at
    limit : classify only so many, evenly spread; None takes all
    progress : called after every batch
    strict_steps, split : of recordings; see `inputs.reading.read`
    """
    preprocessing, time_steps = model.preprocessing.at(size), model.config.time_steps
    frames = time_steps if preprocessing.frames else 0
    channels = max(model.architecture.widths[0], model.architecture.in_channels * frames)
    batch = max(1, BATCH_NEURONS // (preprocessing.size**2 * channels))
    counted = Accuracy()

    def readable() -> Iterator[tuple[int, np.ndarray, int]]:
        wanted = spread(len(labelled), limit)
        for number, (name, source, label) in zip(wanted, taken(labelled, wanted), strict=True):
            try:
                x = read(
                    source,
                    preprocessing,
                    time_steps,
                    strict_steps=strict_steps,
                    split=split,
                    as_official=True,
                    repairs=counted.repairs,
                )
                yield number, x, label
            except UNREADABLE as error:
                counted.unreadable.append((name, str(error)))

    for group in _batches(readable(), batch):
        numbers, inputs, labels = zip(*group, strict=True)
        counted.add(list(numbers), model(np.stack(inputs)).logits, np.array(labels))
        progress(counted)
    return counted


def _batches(items: Iterator[tuple[int, np.ndarray, int]], size: int) -> Iterator[list[tuple[int, np.ndarray, int]]]:
    """At most so many at a time, of one shape: frames that were counted before may have another T."""
    for _, alike in groupby(items, lambda item: item[1].shape):
        while group := list(islice(alike, size)):
            yield group
