"""All that the page shows of one run, as JSON takes it; every number is the engine's, or a selection of its numbers."""

import base64
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..attention_map import AttentionMap, attention_maps
from ..cost.account import SYNAPSES, Account, Accountant, rate
from ..cost.formula import estimates, flops, n_tokens, vanilla
from ..cost.report import layers_of
from ..cost.screen import KINDS
from ..cost.technology import Technology, energy
from ..events import SpikeEvents
from ..image import crop, preprocess
from ..model import SpikeDrivenTransformer
from ..result import Result
from ..wiring import Stage
from .membranes import FIRING, HIGHEST, LOWEST, Histograms
from .sampling import (
    MOST_STEPS,
    Plan,
    Shape,
    added_up,
    bits_of,
    counts_per_position,
    evenly,
    packed_bits,
    packed_counts,
    plan,
)
from .words import group_of, name_and_sentence

FORMAT, VERSION = "sdt_ref report", 1
LEADING = 6  # classes that are drawn
THUMBNAIL = 320  # longer side of the photo as it was given, pixels
LARGEST_SEEN = 512  # of the photo as the network sees it; a larger one is reduced


@dataclass(frozen=True)
class Photo:
    """A picture and where it comes from.

    Attributes
    ----------
    name : of the file
    picture : 8-bit RGB, as `open_picture` returns it
    """

    name: str
    picture: Image.Image


def gather(
    model: SpikeDrivenTransformer,
    photo: Photo,
    size: int,
    how: Technology,
    steps: Sequence[int] | None = None,
    weights: str = "the weights that ship with sdt_ref",
) -> dict[str, Any]:
    """Run a network on a photo once, and gather what the page shows.

    Parameters
    ----------
    size : pixels, height and width of what the network sees
    how : technology that energies are meant in
    steps : time steps to show, ascending; None shows all, or MOST_STEPS of them, evenly spaced
    weights : where they come from, in words

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
    seen = crop(photo.picture, settings)
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(shown):
        groups.setdefault(group_of(name), []).append(place)
    return {
        "format": FORMAT,
        "version": VERSION,
        "photo": _photo(photo, seen),
        "network": {
            "weights": weights,
            "arithmetic": model.arithmetic.name,
            "time_steps": T,
            "blocks": model.architecture.depth,
            "channels": model.architecture.dim,
            "heads": model.config.num_heads,
            "classes": len(model.classes),
            "knows": list(model.classes) if len(model.classes) <= 20 else list(model.classes[:6]),
            "patches": list(tokens),
        },
        "steps": list(what.steps),
        "answer": [{"label": label, "score": score} for label, score in model.rank(result.logits[0])[:LEADING]],
        "scores": _scores(model, result.logits_per_step[:, 0], what.steps),
        "stages": [_stage(stage, shapes[name], what, result, account, taken) for name, stage in shown.items()],
        "groups": [{"name": group, "stages": places} for group, places in groups.items()],
        "blocks": [_block(each, what) for each in maps],
        "operations": _operations(model, account, size, how, what.steps),
        "sampled": _sampled(what, shapes.values(), T, seen),
    }


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
    small = photo.picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return {
        "name": photo.name,
        "width": photo.picture.width,
        "height": photo.picture.height,
        "given": _url(small, "JPEG", quality=85),
        "size": seen.width,
        "seen": _url(seen.reduce(_reduced(seen)), "PNG"),
    }


def _reduced(seen: Image.Image) -> int:
    return -(-max(seen.size) // LARGEST_SEEN)


def _url(picture: Image.Image, kind: str, **how: int) -> str:
    stream = io.BytesIO()
    picture.save(stream, kind, **how)
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
        "labels": [model.classes[k] for k in classes],
        "classes": classes,
        "score": after[list(steps)][:, classes].T.tolist(),
        "logit": logits[list(steps)][:, classes].T.astype(np.float64).tolist(),
    }


def _stage(
    stage: Stage, shape: Shape, what: Plan, result: Result, account: Account, taken: Histograms
) -> dict[str, Any]:
    events, steps = _events(result, stage), list(what.steps)
    name, sentence = name_and_sentence(stage.name)
    spikes = events.events_per_step()
    neurons = shape.channels * shape.height * shape.width
    channels = what.chosen(shape)
    gathered: dict[str, Any] = {
        "hook": stage.hook,
        "module": stage.name,
        "group": group_of(stage.name),
        "name": name,
        "sentence": sentence,
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


def _block(seen: AttentionMap, what: Plan) -> dict[str, Any]:
    steps = list(what.steps)
    shape = Shape(seen.mask.shape[1], *seen.passing.shape[1:])
    numbers = {
        name: getattr(seen, name)[steps].tolist() for name in ("q", "k", "v", "kv", "passed", "output", "tokens")
    }
    return {
        "block": seen.block,
        "heads": seen.heads,
        "stages": {part: f"MS_SSA_Conv{seen.block}_{hook}" for part, hook in PARTS.items()},
        **numbers,
        "open": seen.mask[steps].sum(axis=1).tolist(),
        "mask": packed_bits(seen.mask[steps]),
        "passing": packed_counts(added_up(seen.passing[steps], what.block(shape))),
    }


PARTS = {"q": "q_lif", "k": "k_lif", "v": "v_lif", "kv": "kv_before", "mask": "kv", "masked": "x_after_qkv"}


def _operations(
    model: SpikeDrivenTransformer, account: Account, size: int, how: Technology, steps: Sequence[int]
) -> dict[str, Any]:
    """Operations and energies, by layer as `python -m sdt_ref.energy` lists them, by kind, and in all."""
    counted, tokens = energy(account, how), n_tokens(model.config, size, size)
    by_formula = estimates(account, flops(model.architecture, model.config, size, size), tokens, model.architecture.dim)

    def of(cells: Sequence[tuple[str, str]]) -> dict[str, Any]:
        numbers: dict[str, Any] = {}
        for field in ("ac", "mac", "comparisons", "shifts"):
            per_step = np.sum([account.get(*cell, field) for cell in cells], axis=0)
            numbers[field] = {"steps": per_step[list(steps)].tolist(), "all": int(per_step.sum())}
        spent = np.sum([counted[cell] for cell in cells], axis=0)
        return {**numbers, "picojoules": {"steps": spent[list(steps)].tolist(), "all": float(spent.sum())}}

    layers = []
    for words, stages in layers_of(account, by_formula).items():
        kind = SYNAPSES if (stages[0], SYNAPSES) in counted else "attention"
        layers.append({"name": words, "reads": _reads(account, stages[0], steps), **of([(s, kind) for s in stages])})
    kinds = []
    for kind, words in KINDS.items():
        cells = [cell for cell in counted if cell[1] == kind]
        if cells:
            kinds.append({"name": words, **of(cells)})
    without = vanilla(model.architecture, model.config, size, size)
    return {
        "technology": {"name": how.name, "source": how.source, "mac": how.mac, "add": how.add},
        "layers": layers,
        "kinds": kinds,
        "sum": of(list(counted)),
        "formula": sum(estimate.energy(how) for estimate in by_formula.values()),
        "without_spikes": {"macs": without.macs, "picojoules": without.macs * how.mac},
    }


def _reads(account: Account, stage: str, steps: Sequence[int]) -> dict[str, Any] | None:
    """Firing rate of what a layer reads; None where that is analog, and of the attention, which has no weights."""
    events, neurons = (account.get(stage, SYNAPSES, field) for field in ("events", "neurons"))
    if not neurons.any():
        return None
    per_step = rate(events, neurons)[list(steps)]
    return {
        "steps": [None if np.isnan(each) else float(each) for each in per_step],
        "all": int(events.sum()) / int(neurons.sum()),
    }


def _sampled(what: Plan, shapes: Collection[Shape], time_steps: int, seen: Image.Image) -> list[str]:
    """What was left out, in sentences; none where the page holds everything."""
    said = []
    if len(what.steps) < time_steps:
        said.append(
            f"Of {time_steps} time steps the page shows {len(what.steps)}: {_listed(what.steps)}. "
            "Sums over all time steps hold all of them."
        )
    wide = max((shape.channels for shape in shapes if shape.has_map), default=0)
    if wide > what.channels:
        said.append(
            f"Channels one by one: {what.channels} of each stage that has more (up to {wide:,}), evenly spaced. Maps of "
            "all channels, rates, histograms, masks, operations and energies leave no channel out."
        )
    block = max((what.block(shape) for shape in shapes), default=1)
    if block > 1:
        said.append(
            f"Maps of more than {what.side} x {what.side} positions add up squares of up to {block} x {block} positions "
            "in one cell."
        )
    if _reduced(seen) > 1:
        said.append(f"The photo as the network sees it is shown at 1/{_reduced(seen)} of its size.")
    return said


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps)) if len(steps) <= 8 else f"{', '.join(map(str, steps[:4]))}, ..., {steps[-1]}"
