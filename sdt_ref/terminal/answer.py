"""The answer to one picture or recording on a screen: the classes, and what each layer did for it."""

import dataclasses
import math

import numpy as np

from ..network.model import SpikeDrivenTransformer
from ..result import OperationCount, Result
from ..weights.names import layer_in_words
from .screen import Screen, table
from .words import plain

BAR = 32  # characters of a full bar
BESIDE_BAR = 28  # columns of a class and its share, where room is short
NEAR_TIE = {"fixed": 0.5}  # logits so close may as well stand the other way round: docs/fixed-point.md, section 6
NEAR_TIE_OF_FLOATS = 0.01
NAMED = 12  # classes that are named on one line; of more, the first few


def stages(model: SpikeDrivenTransformer, result: Result) -> dict[str, OperationCount]:
    """Operations of each weight layer under a reader's name: 'block 0: attention q, k, v' adds up three layers."""
    named: dict[str, OperationCount] = {}
    for layer in model.weight_layers:
        count = result.counts[layer]
        name = layer_in_words(layer)
        if name in named:  # q, k and v read the same spikes
            have = named[name]
            named[name] = dataclasses.replace(have, ac=have.ac + count.ac, mac=have.mac + count.mac)
        else:
            named[name] = count
    return named


def show_classes(screen: Screen, model: SpikeDrivenTransformer) -> None:
    """Say what the weights can answer at all."""
    preprocessing, classes = model.preprocessing, model.classes
    known = ", ".join(classes) if len(classes) <= NAMED else ", ".join(classes[: NAMED // 2]) + ", ..."
    what = (
        f"frames of {preprocessing.size}x{preprocessing.size}"
        if preprocessing.frames
        else f"{preprocessing.size}x{preprocessing.size}"
    )
    screen.print(f"[dim]The weights know {len(classes)} classes at {what}, nothing else: {plain(known)}[/]\n")


def show_ranking(screen: Screen, ranking: list[tuple[str, float]]) -> None:
    """Print the best classes, each with its share as a number and as a bar."""
    shown = table("", "", "", show_header=False)
    shown.columns[2].justify = "left"
    full = "#" if screen.options.ascii_only else "█"
    room = min(BAR, screen.width - BESIDE_BAR)
    for label, score in ranking:
        shown.add_row(plain(label), f"{score:6.1%}", f"[cyan]{full * round(score * room)}[/]")
    screen.print_table(shown)
    screen.print()


def margin(logits: np.ndarray) -> float | None:
    """How far the greatest logit is above the next; None where there is one class. logits : [K]."""
    if len(logits) < 2:
        return None
    second, first = np.sort(logits)[-2:].tolist()
    return first - second


def is_near_tie(model: SpikeDrivenTransformer, logits: np.ndarray) -> bool:
    """Whether rounding alone could have put the second class first. logits : [K]."""
    apart = margin(logits)
    return apart is not None and apart < NEAR_TIE.get(model.arithmetic.name, NEAR_TIE_OF_FLOATS)


def show_tie(screen: Screen, model: SpikeDrivenTransformer, logits: np.ndarray) -> None:
    """Say so when the answer is near a tie. logits : [K]."""
    if is_near_tie(model, logits):
        (first, _), (second, _), *_ = model.rank(logits)
        screen.print(
            f"[yellow]near a tie[/] {plain(first)} is {margin(logits):.2g} above {plain(second)} in logits: rounding "
            "could swap them\n"
        )


def show_stages(screen: Screen, model: SpikeDrivenTransformer, result: Result) -> None:
    """Print firing rate and operations of each weight layer."""
    shown = table("stage", "firing rate", "additions", "multiplications")
    for name, count in stages(model, result).items():
        rate, ac, mac = count.firing_rate, int(count.ac.sum()), int(count.mac.sum())
        analog = math.isnan(rate)
        shown.add_row(name, "analog" if analog else f"{rate:.3f}", "" if analog else f"{ac:,}", f"{mac:,}")
    totals = [sum(int(getattr(count, kind).sum()) for count in result.counts.values()) for kind in ("ac", "mac")]
    shown.add_row("[bold]all weight layers[/]", "", *(f"[bold]{total:,}[/]" for total in totals))
    screen.print_table(shown)
    screen.print(
        "[dim]firing rate: spikes per neuron and time step that the stage reads; operations: all time steps[/]\n"
    )
