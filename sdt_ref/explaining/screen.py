"""The walk and the lens on a screen: in a window of 40 columns or more, with colours or without, or into a file."""

from collections.abc import Iterable, Sequence

import numpy as np
from rich.markup import escape

from ..terminal.screen import Screen, table
from ..terminal.words import many, plain
from ..weights.wiring import HEAD, SPIKES, STREAM
from .additions import BIAS, BIT, EVENT, PIXEL, RESIDUAL, TOKEN, Addition, Sum
from .characters import sparkline
from .lens import Lens, look_into
from .observation import Observation
from .text import heading, note, paragraph, paragraph_of, pictures_below, wrapped
from .walk import POLARITIES, walk

FIRST, LAST = 10, 3  # additions shown of a long list
CLASSES = 5
MOST_STEPS = 8  # whose logits are shown, too; --json has all
FEW = 4  # spikes whose steps are named
IN_TABLE = 4  # columns before a table
COLOURS = ("red", "green", "blue", "opacity")


def show_walk(screen: Screen, run: Observation) -> None:
    """Tell the whole run."""
    for number, chapter in enumerate(walk(run, _plain(screen)), start=1):
        names = _names(chapter.stages)
        heading(screen, f"{number:>2}  {chapter.title}", names)
        for label, text in chapter.paragraphs:
            paragraph(screen, label, text)
        if chapter.closer:
            paragraph(screen, "look", _one_neuron(screen, run, chapter.closer))
        pictures_below(screen, chapter.pictures)
        screen.print()
    heading(screen, "    The answer", "")
    _answer(screen, run)
    screen.print()
    note(
        screen,
        "Closer: --stage NAME, with the names on the right, and --token, --channel, --step; all numbers: --json",
    )


def show_lens(screen: Screen, run: Observation, lens: Lens, step: int, all_additions: bool) -> None:
    """Take one element apart: its membrane at all steps, and the additions behind its current at one of them."""
    screen.print(f"[bold]{escape(lens.stage.name)}[/]")
    for line in wrapped(screen, _place(lens), 4):
        screen.print(f"    {escape(line)}")
    if lens.chosen:
        other = "--token and --channel choose another" if _has_tokens(lens) else "--channel chooses another"
        note(screen, f"{lens.chosen}; {other}")
    if lens.pixels is not None:
        each = ", ".join(_number(pixel) for pixel in lens.pixels)
        when = " at every time step" if len(lens.pixels) < run.time_steps else ", step by step"
        paragraph(screen, "pixel", f"{each}{when}")
    if lens.spikes and lens.stage.kind == SPIKES:
        screen.print()
        _show_and(screen, run, lens)
    if lens.membrane is not None:
        screen.print()
        _show_membrane(screen, run, lens)
    elif lens.sums:
        screen.print()
        _show_values(screen, lens)
    if lens.sums:
        screen.print()
        _show_sum(screen, run, lens, step, all_additions)


def _one_neuron(screen: Screen, run: Observation, name: str) -> str:
    lens = look_into(run, name)
    own = lens.membrane
    assert own is not None
    bars = sparkline(own.h / float(own.threshold), 1.0, _plain(screen))
    fired = np.flatnonzero(own.spikes).tolist()
    few = f"{'spike' if len(fired) == 1 else 'spikes'} at {'step' if len(fired) == 1 else 'steps'} {_listed(fired)}"
    spikes = few if 0 < len(fired) <= FEW else f"{len(fired) or 'no'} spikes"
    return f"one neuron, {_place(lens)}: membrane {bars}, {spikes}; --stage {name} takes it apart"


def _answer(screen: Screen, run: Observation) -> None:
    """The logits of the best classes, step by step, and their softmax."""
    ranking, T = run.model.rank(run.result.logits[0])[:CLASSES], run.time_steps
    steps = range(T) if T <= MOST_STEPS else []
    shown = table("class", *(f"step {t}" for t in steps), "mean logit", "softmax")
    best = np.argsort(-run.result.logits[0], kind="stable")
    for (label, score), k in zip(ranking, best.tolist(), strict=False):
        each = (f"{run.result.logits_per_step[t, 0, k]:.2f}" for t in steps)
        shown.add_row(plain(label), *each, f"{run.result.logits[0, k]:.2f}", f"{score:.1%}")
    screen.print_table(shown, IN_TABLE)


def _has_tokens(lens: Lens) -> bool:
    """Whether --token chooses among the elements of its stage."""
    return lens.stage.kind != HEAD and not lens.stage.over_tokens


def _place(lens: Lens) -> str:
    """Where an element stands, in words."""
    height, width, _ = lens.size
    if lens.stage.kind == HEAD:
        return f"class {lens.channel}"
    if height * width == 1:
        return f"channel {lens.channel}"
    row, column = divmod(lens.token, width)
    return f"token {lens.token} (row {row}, column {column}), channel {lens.channel}"


def _show_and(screen: Screen, run: Observation, lens: Lens) -> None:
    steps = [f"step {t}" for t in range(run.time_steps)]
    if IN_TABLE + max(map(len, lens.spikes)) + sum(len(step) + 2 for step in steps) <= screen.width:
        shown = table("spikes of", *steps)
        for name, spikes in lens.spikes.items():
            shown.add_row(name, *("1" if fired else "0" for fired in spikes))
    else:  # names are long and steps may be many: a line for each step
        shown = table("step", *lens.spikes)
        for t in range(run.time_steps):
            shown.add_row(f"{t}", *("1" if spikes[t] else "0" for spikes in lens.spikes.values()))
    screen.print_table(shown, IN_TABLE)
    also = "; in dvs mode also beside such a place, in token and channel order"
    widened = run.model.config.dvs_mode and lens.stage.name.endswith(".masked")
    note(screen, f"A spike of the last where both of the others have one{also * widened}.")


def _show_membrane(screen: Screen, run: Observation, lens: Lens) -> None:
    own = lens.membrane
    assert own is not None
    shown = table("step", "current x", "membrane h", "", "spike", "after reset v")
    for t, h in enumerate(own.h):
        bar = f"[cyan]{sparkline([h / float(own.threshold)], 1.0, _plain(screen))}[/]"
        spike = "[bold]1[/]" if own.spikes[t] else "0"
        shown.add_row(f"{t}", _number(own.x[t]), _number(h), bar, spike, _number(own.v[t]))
    screen.print_table(shown, IN_TABLE)
    for name, spikes in lens.spikes.items():
        screen.print(f"    {escape(name)}: {' '.join('1' if fired else '0' for fired in spikes)}")
    unit = f"; whole numbers, 1.0 is {own.unit:,.0f}" if own.unit != 1 else ""
    change = f"(x - v) * {_number(own.leak)}"
    change = f"rounded({change})" if own.unit != 1 else change
    note(
        screen,
        f"h = v + {change}, with v of the step before; a spike where h >= "
        f"{_number(own.threshold)}, the threshold; then v = 0, else v = h{unit}. Bars: h as a share of the threshold.",
    )


def _show_values(screen: Screen, lens: Lens) -> None:
    what = "logit" if lens.stage.kind == HEAD else "stream"
    shown = table("step", what)
    for t, each in enumerate(lens.sums):
        shown.add_row(f"{t}", _number(each.recorded))
    screen.print_table(shown, IN_TABLE)


def _show_sum(screen: Screen, run: Observation, lens: Lens, step: int, all_additions: bool) -> None:
    """The additions behind one number, first to last, and how it compares with what the engine recorded."""
    shown = lens.sums[step]
    what = {HEAD: "logit", STREAM: "element"}.get(lens.stage.kind, "current")
    paragraph_of(screen, f"The {what} at step {step}", f"{_summary(shown)}, {_source(run, lens)}")
    screen.print()
    analog = any(one.kind == PIXEL for one in shown.additions)
    listed = table("input", *(("pixel", "x weight") if analog else ()), "adds", "sum so far")
    width = _width_of_inputs(run, lens)
    kept = list(shown.additions)
    gap = 0
    if not all_additions and len(kept) > FIRST + LAST + 1:
        gap = len(kept) - FIRST - LAST
        kept = [*kept[:FIRST], *kept[-LAST:]]
    for n, one in enumerate(kept):
        if gap and n == FIRST:
            listed.add_row(f"[dim]... {gap:,} more (--all)[/]")
        factors = ["" if one.pixel is None else _number(factor) for factor in (one.pixel, one.weight)] * analog
        listed.add_row(_cause(run, one, width, lens), *factors, _number(one.value), _number(one.total))
    for conversion in shown.conversions:
        listed.add_row(conversion.words, *[""] * (1 + 2 * analog), _number(conversion.value))
    screen.print_table(listed, IN_TABLE)
    same = bool(shown.value == shown.recorded)
    verdict = "the same number, bit for bit" if same else f"not the same as {_number(shown.value)}"
    note(screen, f"The engine recorded {_number(shown.recorded)}: {verdict}. Added in this order, in {_type(run)}.")


def _summary(shown: Sum) -> str:
    counts = {kind: sum(one.kind == kind for one in shown.additions) for kind in (EVENT, BIT, PIXEL, TOKEN)}
    names = {EVENT: "event", BIT: "set bit", PIXEL: "pixel", TOKEN: "token"}
    parts = [many(count, names[kind]) + " times weights" * (kind == PIXEL) for kind, count in counts.items() if count]
    parts = parts or ["no event"]
    if shown.additions and shown.additions[0].kind == BIAS and shown.additions[0].value != 0:
        parts.insert(0, "a bias")
    if shown.additions and shown.additions[-1].kind == RESIDUAL:
        parts.append("the stream before")
    return " + ".join(parts)


def _source(run: Observation, lens: Lens) -> str:
    """Where the additions come from."""
    stage = lens.stage
    if stage.layer is None and not stage.over_tokens:
        stage = run.stages[stage.reads[0]]  # neurons that read the stream
    pooled = ", pooled" if stage.pooled else ""
    height, width, _ = run.size(stage)
    own = stage.layer is not None and stage.window == 1 and height * width > 1
    return f"from {stage.reads[0]}{pooled}{', same token' * own}"


def _width_of_inputs(run: Observation, lens: Lens) -> int:
    """Columns of the picture that the additions come from."""
    stage = lens.stage
    if stage.layer is None and not stage.over_tokens:
        stage = run.stages[stage.reads[0]]
    source = run.stages[stage.reads[0]]
    width = run.size(source)[1]
    return width // 2 if stage.pooled and stage.layer is not None else width


def _cause(run: Observation, one: Addition, width: int, lens: Lens) -> str:
    if one.kind == BIAS:
        return "bias" if one.value != 0 or lens.stage.layer is not None else "start"
    assert one.token is not None
    row, column = divmod(one.token, max(width, 1))
    place = f"row {row}, column {column}" if width > 1 else f"token {one.token}"
    if one.kind == RESIDUAL:
        return "the stream before"
    if one.kind == TOKEN:
        return place
    if one.kind in (PIXEL, BIT):
        assert one.channel is not None
        plane, channel = divmod(one.channel, run.image.shape[1])
        names = {3: COLOURS, 4: COLOURS, 1: ("grey",), 2: POLARITIES}.get(run.image.shape[1])
        colour = f"channel {channel}" if names is None else names[channel]
        return f"row {row} col {column} {colour}" if one.kind == PIXEL else f"{place}, bit {plane} of {colour}"
    return f"{place}, channel {one.channel}" if _window(run, lens) > 1 else f"channel {one.channel}"


def _window(run: Observation, lens: Lens) -> int:
    """Side of the kernel through which the additions come."""
    stage = lens.stage
    return stage.window if stage.layer is not None else run.stages[stage.reads[0]].window


def _type(run: Observation) -> str:
    return "whole numbers" if run.model.arithmetic.name == "fixed" else run.model.arithmetic.name


def _number(value: object) -> str:
    """In full: the shortest decimal that reads back as the same number."""
    return f"{int(value):,}" if isinstance(value, (int, np.integer)) else str(value)


def _listed(numbers: Sequence[int]) -> str:
    return (
        ", ".join(map(str, numbers)) if len(numbers) < 2 else f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    )


def _names(stages: Iterable[str]) -> str:
    """Names with what they share said once: 'block.0.attn.q_lif k_lif'."""
    names = list(stages)
    path = names[0].rpartition(".")[0]
    if path and all(name.rpartition(".")[0] == path for name in names):
        return " ".join([names[0], *(name.rpartition(".")[2] for name in names[1:])])
    return " ".join(names)


def _plain(screen: Screen) -> bool:
    return screen.options.ascii_only
