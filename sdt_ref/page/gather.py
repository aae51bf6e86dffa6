"""All that the page shows of one run, as JSON takes it; every number is the engine's, or a selection of its numbers."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..cost.account import Account, Accountant, rate
from ..cost.technology import Technology
from ..engine.events import SpikeEvents
from ..errors import one_line
from ..inputs.image import crop, on_white, preprocess
from ..measuring.attention_map import AttentionMap, attention_maps
from ..network.model import SpikeDrivenTransformer
from ..result import Result
from ..weights.names import group, short
from ..weights.wiring import Stage
from .membranes import FIRING, HIGHEST, LOWEST, Histograms
from .operations import operations
from .sampling import (
    MOST_STEPS,
    Plan,
    Shape,
    added_up,
    bits_of,
    counts_per_position,
    evenly,
    left_out,
    packed_bits,
    packed_counts,
    plan,
)
from .sentences import A_SINGLE_ONE, sentence

FORMAT, VERSION = "sdt_ref report", 1
LONGEST_NAME = 200  # characters of a class or a file
LEADING = 6  # classes that are drawn
THUMBNAIL = 320  # longer side of the photo as it was given, pixels
LARGEST_SEEN = 384  # of the photo as the network sees it; a larger one is reduced


@dataclass(frozen=True)
class Photo:
    """A picture and where it comes from.

    Attributes
    ----------
    name : of the file
    picture : as `open_picture` returns it
    """

    name: str
    picture: Image.Image


def gather(
    model: SpikeDrivenTransformer,
    photo: Photo,
    weights: str,
    size: int,
    technology: Technology,
    steps: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Run a network on a photo once, and gather what the page shows.

    Parameters
    ----------
    weights : where they come from, in words
    size : pixels, height and width of what the network sees
    technology : that energies are meant in
    steps : time steps to show, ascending; None shows all, or MOST_STEPS of them, evenly spaced

    Raises ImageError when the weights read event-camera frames, InputError for a size that the pools do not divide.
    """
    settings = model.preprocessing.at(size)
    x = preprocess(photo.picture, settings)[None]
    taken = Histograms(model)
    result = model(x, record=taken)
    accountant = Accountant(model)
    account = accountant.of(x, result)
    T = account.time_steps
    maps = attention_maps(result.spikes)
    tokens = maps[0].passing.shape[1:]
    shown = {name: stage for name, stage in account.stages.items() if stage.hook}
    shapes = {name: _shape(_events(result, stage), tokens) for name, stage in shown.items()}
    what = plan(shapes.values(), evenly(T, MOST_STEPS) if steps is None else steps)
    seen = on_white(crop(photo.picture, settings))
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(shown):
        groups.setdefault(group(name), []).append(place)
    return {
        "format": FORMAT,
        "version": VERSION,
        "photo": _photo(photo, seen),
        "network": {
            "weights": one_line(weights, LONGEST_NAME),
            "arithmetic": model.arithmetic.name,
            "time_steps": T,
            "blocks": model.architecture.depth,
            "channels": model.architecture.dim,
            "heads": model.config.num_heads,
            "dvs_mode": model.config.dvs_mode,
            "classes": len(model.classes),
            "knows": _names(model.classes if len(model.classes) <= 20 else model.classes[:6]),
            "patches": list(tokens),
        },
        "steps": list(what.steps),
        "answer": [
            {"label": one_line(label, LONGEST_NAME), "score": score}
            for label, score in model.rank(result.logits[0])[:LEADING]
        ],
        "scores": _scores(model, result.logits_per_step[:, 0], what.steps),
        "stages": [_stage(stage, shapes[name], what, result, account, taken) for name, stage in shown.items()],
        "groups": [{"name": group, "stages": places} for group, places in groups.items()],
        "blocks": [_block(each, what, f"block.{each.block}.attn.kv" in account.early_exit) for each in maps],
        "operations": operations(model, account, size, technology, what.steps),
        "sampled": [*left_out(what, shapes.values(), T), *_smaller(seen)],
    }


def _names(classes: Iterable[str]) -> list[str]:
    """Names of classes, as a page shows them, whatever a weights file calls them."""
    return [one_line(name, LONGEST_NAME) for name in classes]


def _events(result: Result, stage: Stage) -> SpikeEvents:
    events = result.spikes[stage.hook]
    assert isinstance(events, SpikeEvents)
    return events


def _shape(events: SpikeEvents, tokens: tuple[int, ...]) -> Shape:
    """Of a stage; spikes in heads have their tokens in one row, and they stand for the same positions."""
    height, width = events.grid[2:] or (1, 1)
    if height * width == tokens[0] * tokens[1]:
        height, width = tokens
    return Shape(events.n_channels, height, width)


def _photo(photo: Photo, seen: Image.Image) -> dict[str, Any]:
    small = on_white(photo.picture)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return {
        "name": one_line(photo.name, LONGEST_NAME),
        "width": photo.picture.width,
        "height": photo.picture.height,
        "given": _url(small, "JPEG", quality=85),
        "size": seen.width,
        "seen": _url(seen.reduce(_reduced(seen)), "PNG"),
    }


def _reduced(seen: Image.Image) -> int:
    """The factor by which the photo as the network sees it is made smaller."""
    return -(-max(seen.size) // LARGEST_SEEN)


def _smaller(seen: Image.Image) -> list[str]:
    """The same in words; nothing where it is shown as it is."""
    by = _reduced(seen)
    return [f"The photo as the network sees it is shown at 1/{by} of its size."] if by > 1 else []


def _url(picture: Image.Image, kind: str, **options: int) -> str:
    """As the page embeds it: pixels alone, without the place and the camera that a photo may tell."""
    picture, stream = picture.copy(), io.BytesIO()
    picture.info.clear()
    picture.save(stream, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _scores(model: SpikeDrivenTransformer, logits: np.ndarray, steps: Sequence[int]) -> dict[str, Any]:
    """The answer after each step: the softmax of the mean of the logits so far, for the classes that lead. [T, K]."""
    total, after = np.zeros_like(logits[0]), np.empty(logits.shape)
    for t, step in enumerate(logits):
        total = total + step
        mean = total / logits.dtype.type(t + 1)  # the last one is Result.logits
        after[t, np.argsort(-mean, kind="stable")] = [score for _, score in model.rank(mean)]
    best = np.argsort(-after[-1], kind="stable")[:LEADING].tolist()
    leaders = [k for k in dict.fromkeys(after[list(steps)].argmax(axis=1).tolist()) if k not in best]
    classes = [*best, *leaders[:2]]
    return {
        "labels": _names(model.classes[k] for k in classes),
        "classes": classes,
        "score": after[list(steps)][:, classes].T.tolist(),
        "logit": logits[list(steps)][:, classes].T.astype(np.float64).tolist(),
    }


def _stage(
    stage: Stage, shape: Shape, what: Plan, result: Result, account: Account, taken: Histograms
) -> dict[str, Any]:
    events, steps = _events(result, stage), list(what.steps)
    said = sentence(stage.name)
    if stage.over_tokens and stage.name.replace("talking_heads_lif", "kv") in account.early_exit:
        said += A_SINGLE_ONE
    spikes = events.events_per_step()
    neurons = shape.channels * shape.height * shape.width
    channels = what.chosen(shape)
    gathered: dict[str, Any] = {
        "hook": stage.hook,
        "module": stage.name,
        "group": group(stage.name),
        "name": short(stage.name),
        "sentence": said,
        "channels": shape.channels,
        "height": shape.height,
        "width": shape.width,
        "spikes": spikes[steps].tolist(),
        "rate": rate(spikes, np.full(len(spikes), neurons))[steps].tolist(),
        "mean_rate": events.firing_rate,
        "sample": {"channels": channels.tolist(), "bits": packed_bits(bits_of(events, steps, channels))},
    }
    if shape.has_map:
        counts = counts_per_position(events, steps).reshape(-1, shape.height, shape.width)
        gathered["map"] = {"block": what.block(shape), **packed_counts(added_up(counts, what.block(shape)))}
    if stage.name in taken.counts:
        gathered["membrane"] = {
            "lowest": LOWEST,
            "highest": HIGHEST,
            "firing": FIRING,
            "counts": taken.counts[stage.name][steps].tolist(),
        }
    return gathered


def _block(attention: AttentionMap, what: Plan, is_or: bool) -> dict[str, Any]:
    steps = list(what.steps)
    shape = Shape(attention.mask.shape[1], *attention.passing.shape[1:])
    numbers = {
        name: getattr(attention, name)[steps].tolist() for name in ("q", "k", "v", "kv", "passed", "output", "tokens")
    }
    return {
        "block": attention.block,
        "heads": attention.heads,
        "is_or": is_or,
        "stages": {part: f"MS_SSA_Conv{attention.block}_{hook}" for part, hook in PARTS.items()},
        **numbers,
        "open": attention.mask[steps].sum(axis=1).tolist(),
        "mask": packed_bits(attention.mask[steps]),
        "passing": packed_counts(added_up(attention.passing[steps], what.block(shape))),
    }


PARTS = {"q": "q_lif", "k": "k_lif", "v": "v_lif", "kv": "kv_before", "mask": "kv", "masked": "x_after_qkv"}
