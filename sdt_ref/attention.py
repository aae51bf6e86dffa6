"""Command line: which tokens and channels each attention lets through; the work is in `measuring/attention_map.py`."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .inputs.image import crop, on_white, open_picture, preprocess
from .inputs.reading import given_or_sample, source_of
from .measuring.attention_map import AttentionMap, attention_maps
from .terminal import cli
from .terminal.progress import kernels_loading, working
from .terminal.screen import Screen, show_repairs, table
from .terminal.words import plain


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Show the attention on one picture; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    if options.output is not None:
        from .drawing import canvas

        canvas.require(options.output, options.image, options.weights, options.formats)
    model = cli.load_model(options)
    steps = cli.chosen("--steps", options.steps, model.config.time_steps)
    blocks = cli.chosen("--blocks", options.blocks, model.architecture.depth)
    if options.output is not None:
        from .drawing import attention as drawing  # needs matplotlib

        drawing.require_tiles(len(blocks), len(steps))
    preprocessing = model.preprocessing.at(options.size)
    repairs: Counter[str] = Counter()
    with given_or_sample(source_of(options.image)) as (source, name):
        picture = open_picture(source, channels=preprocessing.channels, told=repairs)
    x = preprocess(picture, preprocessing)[None]
    screen = Screen(stderr=True)
    with kernels_loading(screen, model.arithmetic.name), working(screen, "computing"):
        maps = attention_maps(model(x, record=True).spikes)
    maps = [maps[j] for j in blocks]
    if options.output is not None:
        drawing.draw(options.output, maps, steps, on_white(crop(picture, preprocessing)), source.name)
    if options.json:
        about = {"image": str(source), "repairs": dict(repairs), "size": preprocessing.size}
        cli.print_json(_summary(about, model.arithmetic.name, maps, steps, options.output))
        return 0
    screen = Screen()
    screen.print(
        f"[bold]{plain(name)}[/]  {picture.width}x{picture.height}, seen at {preprocessing.size}x{preprocessing.size}\n"
    )
    show_repairs(screen, repairs)
    _show(screen, maps, steps)
    if options.output is not None:
        screen.print(f"\n{plain(options.output)}: {len(blocks)} x {len(steps)} maps")
    return 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("attention", "python -m sdt_ref.attention photo.jpg -o map.png --blocks 1 --steps 0-3")
    parser.add_argument(
        "image",
        nargs="?",
        help="any picture that Pillow opens; '-' reads the standard input (default: a photo of a cat that ships)",
    )
    parser.add_argument("-o", "--output", metavar="MAP.png", help="picture to write, .png, .svg or .pdf")
    parser.add_argument("--blocks", metavar="A-B,C", help="blocks to show (default: all)")
    parser.add_argument("--steps", metavar="A-B,C", help="time steps to show (default: all)")
    cli.add_model_options(parser)
    return parser


def _show(screen: Screen, maps: Sequence[AttentionMap], steps: Sequence[int]) -> None:
    shown = table("block", "step", "K AND V", "channels pass", "Q spikes", "pass", "share", "tokens")
    shown.columns[0].justify = "right"
    for seen in maps:
        for t in steps:
            q, passed, channels = int(seen.q[t]), int(seen.passed[t]), seen.mask[t]
            shown.add_row(
                *(f"{seen.block}", f"{t}", f"{seen.kv[t]:,}", f"{channels.sum():,} of {channels.size:,}"),
                *(f"{q:,}", f"{passed:,}", f"{passed / q:.1%}" if q else ""),
                f"{seen.tokens[t]:,} of {seen.passing[t].size:,}",
            )
    screen.print_table(shown)
    screen.print(
        "[dim]K AND V: spikes that both have, over all tokens; they choose the channels that pass, for every token\n"
        "pass: Q spikes in those channels; tokens: those that have any[/]"
    )


def _summary(
    about: Mapping[str, Any], arithmetic: str, maps: Sequence[AttentionMap], steps: Sequence[int], output: str | None
) -> dict[str, Any]:
    def step(seen: AttentionMap, t: int) -> dict[str, Any]:
        spikes = {name: int(getattr(seen, name)[t]) for name in ("q", "k", "v", "kv", "passed", "output", "tokens")}
        channels = seen.mask[t].nonzero()[0].tolist()
        return {"step": t, **spikes, "channels": channels, "passing": seen.passing[t].tolist()}

    return {
        **about,
        "arithmetic": arithmetic,
        "picture": output,
        "n_channels": maps[0].mask.shape[1],
        "n_heads": maps[0].heads,
        "blocks": [{"block": seen.block, "steps": [step(seen, t) for t in steps]} for seen in maps],
    }


if __name__ == "__main__":
    sys.exit(main())
