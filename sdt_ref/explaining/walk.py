"""The whole run in words, chapter by chapter, in the order of the paper's figure 2."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..measuring.attention_map import AttentionMap, attention_maps
from ..network.encoder import BitPlaneEncoder
from ..terminal.words import many
from ..weights.wiring import Stage
from .characters import TextPicture
from .observation import Observation
from .phrases import Phrases, total

IN, DOES, OUT = "in", "does", "out"
POLARITIES = "OFF", "ON"  # of frames, channel by channel
COLOURS = {1: "grey", 4: "3 colours and opacity"}  # of a picture, by its channels, where they are not all colours


@dataclass(frozen=True, eq=False)
class Chapter:
    """One step of the walk.

    Attributes
    ----------
    title : what happens
    stages : names of the stages it is about
    paragraphs : 'in', 'does' or 'out', and a text
    pictures : to be shown below
    closer : name of a stage, one neuron of which is shown; '' for none
    """

    title: str
    stages: tuple[str, ...]
    paragraphs: tuple[tuple[str, str], ...]
    pictures: tuple[TextPicture, ...] = ()
    closer: str = ""


def walk(run: Observation, plain: bool = False) -> Iterator[Chapter]:
    """Describe a run from the picture to the logits; the caller prints the answer itself.

    Parameters
    ----------
    plain : whether the text uses ASCII alone
    """
    w = Phrases(run, plain)
    yield _input(w)
    yield _first(w)
    for number in "12":
        yield _convolution(w, w.run.stages[f"patch_embed.proj_lif{number}"])
    yield _stream(w)
    maps = attention_maps(run.result.spikes)
    for j, seen in enumerate(maps):
        yield _queries(w, j)
        yield _mask(w, j, seen)
        yield _mlp(w, j)
    yield _head(w)


def _input(w: Phrases) -> Chapter:
    T, channels, height, width = (w.run.time_steps, *w.run.image.shape[1:])
    if w.frames:
        each = f"the same at {w.steps}" if len(w.run.image) < T else "one for each time step"
        polarities = " (OFF and ON)" if channels == len(POLARITIES) else ""
        what = (
            f"{many(len(w.run.image), 'frame')}, {each}: {many(channels, 'channel')}{polarities} of {height} x {width} "
            f"pixels, numbers from {w.run.image.min():g} to {w.run.image.max():g}"
        )
    else:
        colours = COLOURS.get(channels, f"{channels} colours")
        what = (
            f"{colours} of {height} x {width} pixels, real numbers from {w.run.image.min():.2f} to "
            f"{w.run.image.max():.2f}: the same picture at {w.steps}"
        )
    shown = TextPicture("", w.run.image.mean(axis=(0, 1), dtype=np.float64), least=0.0 if w.frames else None)
    return Chapter(f"The {w.source}", ("input",), ((OUT, what),), (shown,))


def _first(w: Phrases) -> Chapter:
    stage = w.run.stages["patch_embed.proj_lif"]
    count = w.count(stage)
    once = f"once, since the {w.source} does not change" if len(w.run.image) < w.run.time_steps else "over all steps"
    if isinstance(w.run.model.patch_embed.proj_conv, BitPlaneEncoder):
        bits = w.run.model.patch_embed.proj_conv.pixels.bits
        work = (
            f"A pixel is a whole number of {bits} bits, and each bit that is set is an event: it adds its weight, "
            f"shifted to its place. {total(count.ac):,} additions, {once}, and no multiplication."
        )
    else:
        pixels = "counts" if w.frames else "numbers"
        work = (
            f"This convolution is the only layer that multiplies, because pixels are {pixels}, not spikes: "
            f"{total(count.mac):,} multiply-accumulates, {once}."
        )
    rows, (height, width, _) = w.run.spike_rows(stage), w.run.size(stage)
    busiest, channel = _telling(rows)
    pictures = (
        TextPicture("spikes, all channels and steps", rows.sum(axis=(0, 2)).reshape(height, width)),
        TextPicture(f"channel {channel} at step {busiest}", rows[busiest, :, channel].reshape(height, width) != 0),
    )
    return Chapter(
        "From pixels to spikes",
        (stage.name,),
        (
            (IN, f"the {w.source}"),
            (DOES, f"3x3 convolution, then leaky neurons. {work} {w.neuron(stage)}"),
            (OUT, f"spikes, {w.shape(stage)}. {w.rates(stage)}"),
        ),
        pictures,
        stage.name,
    )


def _convolution(w: Phrases, stage: Stage) -> Chapter:
    return Chapter(
        "The second convolution" if stage.name.endswith("1") else "The third convolution",
        (stage.name,),
        (
            (IN, w.reading(stage)),
            (DOES, f"3x3 convolution, then neurons. {w.adding(stage)}"),
            (OUT, f"spikes, {w.shape(stage)}. {w.rates(stage)}"),
        ),
        closer=stage.name,
    )


def _stream(w: Phrases) -> Chapter:
    conv, lif, rpe = (w.run.stages[f"patch_embed.{name}"] for name in ("proj_conv3", "proj_lif3", "rpe_conv"))
    pooled = "Its real-valued output, not its spikes, is pooled to the greatest of 3x3 pixels. " if lif.pooled else ""
    u = w.run.stream(rpe.name)
    height, width, _ = w.run.size(rpe)
    return Chapter(
        "The membrane stream begins",
        (conv.name, lif.name, rpe.name),
        (
            (IN, w.reading(conv)),
            (
                DOES,
                f"3x3 convolution. {w.adding(conv)} {pooled}Neurons read it: {w.rates(lif)}"
                f" A last 3x3 convolution (RPE, for relative position) reads their spikes: "
                f"{w.adding(rpe)} Its sums are added to the stream.",
            ),
            (
                OUT,
                f"{w.shape(rpe)}: from here on {height * width} tokens. The stream is real-valued; every layer "
                "reads it through neurons, as spikes, and adds its own sums to it.",
            ),
        ),
        (
            TextPicture(
                "mean of the stream, by token", u.mean(axis=(0, 2), dtype=np.float64).reshape(height, width), True, None
            ),
        ),
        lif.name,
    )


def _queries(w: Phrases, j: int) -> Chapter:
    attn = f"block.{j}.attn"
    first, *three = (w.run.stages[f"{attn}.{name}_lif"] for name in ("shortcut", "q", "k", "v"))
    additions = sum(total(w.count(stage).ac) for stage in three)
    rates = ", ".join(f"{name} {w.rate(stage)}" for name, stage in zip("QKV", three, strict=True))
    pooled = " K and V are then widened to all places beside a spike (3x3)." if w.run.model.config.dvs_mode else ""
    words = (
        "Neurons turn the stream into spikes, and three linear layers read the same spikes for Q, K and V. "
        if j == 0
        else "As in block 0. "
    )
    return Chapter(
        f"Block {j}, attention: Q, K and V",
        (first.name, *(stage.name for stage in three)),
        (
            (IN, f"the stream, {w.shape(first)}"),
            (
                DOES,
                f"{words}{many(additions, 'addition')} of a weight, for "
                f"{many(total(w.count(three[0]).events), 'event')} read three times.{pooled}",
            ),
            (OUT, f"three sets of spikes, each {w.shape(three[0])}. Firing rates: {rates}"),
        ),
        closer=three[0].name,
    )


def _mask(w: Phrases, j: int, seen: AttentionMap) -> Chapter:
    attn = f"block.{j}.attn"
    kv, mask, masked, proj = (
        w.run.stages[f"{attn}.{name}"] for name in ("kv", "talking_heads_lif", "masked", "proj_conv")
    )
    both, passed, q = int(seen.kv.sum()), int(seen.passed.sum()), int(seen.q.sum())
    summed = int(w.run.other_count("attention", mask.name).ac.sum())
    open_channels, T, C = np.count_nonzero(seen.mask, axis=1), *seen.mask.shape
    words = (
        "Mask and add, instead of a matrix product: a spike remains where K AND V both have one. Each channel counts "
        "them over all tokens, and a neuron with the low threshold 0.5 fires if there is any: that channel is open. "
        if j == 0
        else ""
    )
    widened = ""
    if w.run.model.config.dvs_mode:
        widened = ", with those that they reach beside them in token and channel order"
        words += "In dvs mode each of these spikes also reaches its neighbours in token and channel order. " * (j == 0)
    opened = ", ".join(map(str, open_channels)) if T <= 8 else f"{open_channels.min()} to {open_channels.max()}"
    height, width = seen.passing.shape[1:]
    pictures = tuple(
        TextPicture(title, values.reshape(height, width), True)
        for title, values in (
            *((name, _by_token(w, f"{attn}.{name.lower()}_lif")) for name in "QKV"),
            ("Q that passes", seen.passing.sum(axis=0)),
        )
    )
    return Chapter(
        f"Block {j}, attention: mask and add",
        (kv.name, mask.name, masked.name, proj.name),
        (
            (IN, f"{many(q, 'spike')} of Q, {int(seen.k.sum()):,} of K, {int(seen.v.sum()):,} of V"),
            (
                DOES,
                f"{words}{many(both, 'spike')} of K AND V, {many(summed, 'addition')} of 1. Open at the {w.steps}: "
                f"{opened} of {C} channels. {passed:,} of {q:,} spikes of Q stand in open channels and pass.",
            ),
            (
                OUT,
                f"{many(int(seen.output.sum()), 'spike')}{widened}; a linear layer reads them and its sums are added "
                f"to the stream: {w.adding(proj)}",
            ),
        ),
        pictures,
    )


def _mlp(w: Phrases, j: int) -> Chapter:
    first, second, out = (w.run.stages[f"block.{j}.mlp.{name}"] for name in ("fc1_lif", "fc2_lif", "fc2_conv"))
    fc1 = second if second.layer is not None else w.run.stages[f"block.{j}.mlp.fc1_conv"]
    shortcut = "" if fc1 is second else "It adds to the stream, as its outputs are as many as its inputs. "
    return Chapter(
        f"Block {j}, MLP",
        tuple(dict.fromkeys((first.name, fc1.name, second.name, out.name))),
        (
            (IN, f"the stream, {w.shape(first)}"),
            (
                DOES,
                f"Neurons, linear layer, neurons, linear layer. The first: {w.adding(fc1)} {shortcut}Between them, "
                f"spikes, {w.shape(second)}: {w.rates(second)} The second: {w.adding(out)}",
            ),
            (OUT, "the stream, with the sums of the second layer added"),
        ),
        closer=second.name,
    )


def _head(w: Phrases) -> Chapter:
    lif, head = w.run.stages["head_lif"], w.run.stages["head"]
    height, width, _ = w.run.size(w.run.stages[lif.reads[0]])
    mean = "are added up" if w.whole else "are averaged"
    return Chapter(
        "The head",
        (lif.name, head.name),
        (
            (IN, f"the stream, {w.shape(w.run.stages[lif.reads[0]])}"),
            (
                DOES,
                f"The {height * width} tokens of each channel {mean}, one neuron per channel reads that, and the "
                f"classifier reads its spikes. {w.rates(lif)} {w.adding(head)}",
            ),
            (OUT, f"{w.run.result.logits.shape[1]:,} logits at each step; their mean over the {w.steps} decides"),
        ),
        closer=lif.name,
    )


def _telling(rows: np.ndarray) -> tuple[int, int]:
    """Step and channel of the map [tokens] that is nearest to half full: the one with most to see."""
    share = rows.mean(axis=1)  # [T, C]
    step, channel = np.unravel_index(int(np.abs(share - 0.5).argmin()), share.shape)
    return int(step), int(channel)


def _by_token(w: Phrases, name: str) -> np.ndarray:
    return w.run.spike_rows(w.run.stages[name]).sum(axis=(0, 2), dtype=np.int64)
