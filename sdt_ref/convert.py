"""Command line: an official PyTorch checkpoint to a weights file; the work is in `weights/checkpoint.py`."""

import sys
from collections.abc import Iterator, Sequence

from .errors import WeightsError
from .files import require_writable
from .terminal import cli
from .terminal.screen import Screen
from .terminal.words import plain
from .weights.checkpoint import Conversion, convert
from .weights.file import save
from .weights.settings import parse_setting
from .weights.state import BARE, COUNTERS


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Convert a checkpoint; exit code 0, or 2 for bad input, when nothing is written."""
    options = command_line().parse_args(argv)
    require_writable(options.out, WeightsError, options.checkpoint, options.config, options.classes)
    conversion = convert(
        options.checkpoint,
        settings=dict(parse_setting(text) for text in options.set),
        config=options.config,
        preset_name=options.preset,
        ema=options.ema,
        classes=options.classes,
        key=options.key,
        round_float64=options.round_float64,
    )
    save(options.out, conversion.weights)
    if options.json:
        cli.print_json(_summary(conversion))
    else:
        _show(conversion, options.out)
    return 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("convert", "python -m sdt_ref.convert model_best.pth.tar sdt-8-512.h5 --preset sdt-8-512")
    parser.add_argument("checkpoint", metavar="CKPT", help=".pth.tar of the official code, a state_dict, safetensors")
    parser.add_argument("out", metavar="OUT.h5", help="weights file to write")
    parser.add_argument("--config", metavar="FILE.yml", help="YAML configuration of the official code")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting by its official name, such as time_steps=4; it wins",
    )
    parser.add_argument("--preset", metavar="NAME", help="official configuration that supplies what is missing")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--key", metavar="NAME", help="take the weights under this key of the checkpoint")
    chosen.add_argument("--ema", action="store_true", help="take the averaged weights: --key state_dict_ema")
    parser.add_argument("--round-float64", action="store_true", help="round float64 weights that float32 cannot hold")
    parser.add_argument("--classes", metavar="FILE.txt", help="class names, one per line, in label order")
    return parser


def _summary(conversion: Conversion) -> dict[str, object]:
    weights, chosen = conversion.weights, conversion.chosen
    assert chosen is not None
    return {
        "architecture": vars(weights.architecture),
        "config": vars(weights.config),
        "preprocessing": vars(weights.preprocessing),
        "classes": list(weights.classes),
        "provenance": dict(weights.provenance),
        "sources": conversion.sources,
        "ignored_tensors": conversion.ignored_tensors,
        "ignored_settings": conversion.ignored_settings,
        "state_dicts": {"found": list(chosen.found), "taken": chosen.key, "metric_of": chosen.metric_of},
        "rounding": vars(conversion.rounding) if conversion.rounding else None,
        "as_text": conversion.as_text,
    }


def _show(conversion: Conversion, target: str) -> None:
    weights, screen = conversion.weights, Screen()
    parameters = sum(tensor.size for tensor in weights.tensors.values())
    screen.print(
        f"[bold]{plain(target)}[/]: {len(weights.tensors)} tensors, {parameters:,} numbers, {weights.architecture}"
    )
    screen.print(f"sha256 of the checkpoint: {weights.provenance['sha256']}")
    for name, value in {**vars(weights.config), **vars(weights.preprocessing)}.items():
        source = conversion.sources.get({"size": "img_size"}.get(name, name), "")
        screen.print(f"  {name:<14} {plain(value):<32} [dim]{source}[/]")
    screen.print(f"  {'classes':<14} {len(weights.classes)}: {plain(', '.join(weights.classes[:5]))}, ...")
    if conversion.ignored_tensors:
        screen.print(f"ignored tensors, which nothing here reads: {plain(_in_short(conversion.ignored_tensors))}")
    if conversion.ignored_settings:
        screen.print(f"ignored settings: {plain(', '.join(conversion.ignored_settings))}")
    for line in _remarks(conversion):
        screen.print(plain(line))


def _in_short(names: list[str]) -> str:
    """Names of tensors; of counters, which stand at every layer, how many there are."""
    last = [name.rpartition(".")[2] for name in names]
    counts = [f"{last.count(kind)} {kind}" for kind in COUNTERS if kind in last]
    return ", ".join(counts + [name for name, kind in zip(names, last, strict=True) if kind not in COUNTERS])


def _remarks(conversion: Conversion) -> Iterator[str]:
    """What is not so in an ordinary checkpoint: several sets of weights, rounding, objects in the settings."""
    chosen, rounding = conversion.chosen, conversion.rounding
    if chosen and len(chosen.found) == 1 and chosen.key != BARE:
        yield f"weights: {chosen.key}, the only ones in the file"
    elif chosen and len(chosen.found) > 1:
        yield f"weights: {chosen.key} is taken, of {', '.join(chosen.found)} in the file; --key takes another"
        if chosen.metric_of is not None:
            others = "" if chosen.metric_of == chosen.key else ", not of these weights"
            yield f"the metric in the file is that of {chosen.metric_of}{others}"
        elif "metric_of" in conversion.weights.provenance:
            yield "the file does not tell which of them its metric was measured on"
    if rounding:
        yield (
            f"rounded to float32: {rounding.changed:,} of {rounding.values:,} values changed, by at most "
            f"{rounding.largest:.1e} of the value"
        )
    if conversion.as_text:
        found = ", ".join(f"{name} = {text}" for name, text in conversion.as_text.items())
        yield f"objects read as text, none made: {found}"


if __name__ == "__main__":
    sys.exit(main())
