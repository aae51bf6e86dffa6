"""Top-1 and top-5 over a labelled set of pictures or recordings, in batches of constant memory."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from typing import Any

import numpy as np

from ..errors import InputError
from ..fixed.formats import Formats
from ..fixed.quantise import FixedLayer
from ..inputs.reading import UNREADABLE, read
from ..inputs.selection import Item
from ..jobs.ahead import ahead
from ..jobs.job import Compute, Part
from ..network.model import SpikeDrivenTransformer
from ..result import Result
from ..weights.arithmetic import FIXED
from ..weights.file import Weights
from .results.rows import UNREAD, Rows

# pixels x channels of the first stage in one batch, or numbers in its frames, if those are more: 16 pictures of
# 32 x 32, one of 224 x 224
BATCH_NEURONS = 1 << 19


@dataclass
class Accuracy:
    """What was counted.

    Attributes
    ----------
    images, top1, top5 : pictures or recordings classified, and right within the first 1 and 5
    """

    images: int = 0
    top1: int = 0
    top5: int = 0

    def add(self, rows: Rows) -> None:
        """Count some. Equal logits rank in label order."""
        read = rows.predicted != UNREAD
        labels, logits = rows.labels[read], rows.logits[read]
        ranks = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        self.images += len(labels)
        self.top1 += int((ranks[:, 0] == labels).sum())
        self.top5 += int((ranks == labels[:, None]).any(axis=1).sum())


def interval(right: int, total: int) -> tuple[float, float]:
    """Where the true share lies with 95 % confidence, if the set was drawn by chance.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    z = 1.959964  # standard deviations of a normal distribution that leave out 2.5 % on each side
    share, spread = right / total, z**2 / total
    half = z * math.sqrt((share * (1 - share) + spread / 4) / total)
    low, high = (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)
    return max(low, 0.0), min(high, 1.0)  # rounding


@dataclass(frozen=True)
class Classify:
    """The task of classifying samples one by one; those that cannot be read are listed.

    Attributes
    ----------
    arithmetic, formats : see `network.model`
    size : as in Preprocessing.at
    strict_steps, split : of recordings; see `inputs.reading.read`
    """

    arithmetic: str = "float32"
    formats: Formats | None = None
    size: int | None = None
    strict_steps: bool = False
    split: str | None = None

    def settings(self) -> Mapping[str, Any]:
        """All that changes numbers."""
        return {"task": "classify", **asdict(self)}

    def prepare(self, weights: Weights, threads: int | None) -> Compute:
        """Build the network.

        A part has the arrays label int64[n], predicted int64[n], UNREAD where a sample could not be read, and logits
        [n, K], NaN there; in fixed point also sums int64[n, K], the head's whole numbers summed over the time steps,
        and scale: logits are sums * scale. Its notes are names, unreadable as [name, reason], and repairs.
        """
        model = SpikeDrivenTransformer(weights, self.arithmetic, threads, self.formats)
        return lambda items: self._part(model, items)

    def _part(self, model: SpikeDrivenTransformer, items: Iterable[Item]) -> Part:
        repairs: Counter[str] = Counter()
        names: list[str] = []
        labels: list[int] = []
        unreadable: list[tuple[str, str]] = []

        def readable() -> Iterator[tuple[int, np.ndarray]]:
            for item in items:
                names.append(item.name)
                labels.append(item.label)
                try:
                    x = read(
                        item.source,
                        model.preprocessing.at(self.size),
                        model.config.time_steps,
                        strict_steps=self.strict_steps,
                        split=self.split,
                        as_official=True,
                        repairs=repairs,
                    )
                except UNREADABLE as error:
                    unreadable.append((item.name, str(error)))
                else:
                    yield len(names) - 1, x

        places: list[int] = []
        results: list[Result] = []
        size = self._batch(model)
        with closing(ahead(readable(), size)) as samples:
            for group in _batches(samples, size):
                numbers, inputs = zip(*group, strict=True)
                places += numbers
                results.append(model(np.stack(inputs)))
        notes = {"names": names, "unreadable": unreadable, "repairs": repairs}
        return Part({"label": np.array(labels), **_arrays(model, len(names), places, results)}, notes)

    def _batch(self, model: SpikeDrivenTransformer) -> int:
        frames = model.config.time_steps if model.preprocessing.frames else 0
        channels = max(model.architecture.widths[0], model.architecture.in_channels * frames)
        return max(1, BATCH_NEURONS // (model.preprocessing.at(self.size).size ** 2 * channels))


def rows_of(part: Part) -> Rows:
    """What `Classify` made of a chunk, as the rows of a file; fixed-point sums have the scale of the first of them."""
    arrays = part.arrays
    scale = float(arrays["scale"][0]) if "scale" in arrays else None
    return Rows(part.notes["names"], arrays["label"], arrays["predicted"], arrays["logits"], arrays.get("sums"), scale)


def require_one_scale(part: Part, scales: set[float]) -> None:
    """Add the scales of a part to those of the run before it.

    Raises InputError where they are several: fixed-point sums over several numbers of frames are not comparable.
    """
    scales.update(part.arrays.get("scale", np.zeros(0)).tolist())
    if len(scales) > 1:
        raise InputError(
            "--output: expected recordings of one number of frames in fixed point, found several; choose it with "
            "--time-steps"
        )


def _arrays(
    model: SpikeDrivenTransformer, n: int, places: Sequence[int], results: Sequence[Result]
) -> dict[str, np.ndarray]:
    """The arrays of n samples, of which those at some places were classified."""
    shape = n, len(model.classes)
    logits = np.full(shape, np.nan, model.arithmetic.dtype)
    predicted = np.full(n, UNREAD)
    if results:
        logits[places] = np.concatenate([result.logits for result in results])
        predicted[places] = np.argmax(logits[places], axis=1)
    rows = {"predicted": predicted, "logits": logits}
    if model.arithmetic is not FIXED:
        return rows
    head = model.layer("head")
    assert isinstance(head, FixedLayer)
    bits = int(head.fraction[0])  # the head has one scale
    sums, scale = np.zeros(shape, np.int64), np.full(n, 2.0**-bits / model.config.time_steps)
    if results:
        steps = [np.ldexp(result.logits_per_step, bits) for result in results]  # whole numbers
        sums[places] = np.concatenate([each.astype(np.int64).sum(axis=0) for each in steps])
        scale[places] = np.concatenate([np.full(each.shape[1], 2.0**-bits / len(each)) for each in steps])
    return {**rows, "sums": sums, "scale": scale}


def _batches(items: Iterator[tuple[int, np.ndarray]], size: int) -> Iterator[list[tuple[int, np.ndarray]]]:
    """At most so many at a time, of one shape: frames that were counted before may have another T."""
    for _, alike in groupby(items, lambda item: item[1].shape):
        while group := list(islice(alike, size)):
            yield group
