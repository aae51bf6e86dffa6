"""Command line: an official PyTorch checkpoint to a weights file; the work is in `weights/checkpoint.py`."""

import sys
from collections.abc import Sequence

from .errors import WeightsError
from .files import require_writable
from .terminal import cli
from .terminal.screen import Screen
from .terminal.words import plain
from .weights.checkpoint import Conversion, convert
from .weights.file import save
from .weights.settings import parse_setting


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
    parser.add_argument("checkpoint", metavar="CKPT", help=".pth.tar of the official code, or a bare state_dict")
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
    parser.add_argument("--ema", action="store_true", help="take state_dict_ema instead of state_dict")
    parser.add_argument("--classes", metavar="FILE.txt", help="class names, one per line, in label order")
    return parser


def _summary(conversion: Conversion) -> dict[str, object]:
    weights = conversion.weights
    return {
        "architecture": vars(weights.architecture),
        "config": vars(weights.config),
        "preprocessing": vars(weights.preprocessing),
        "classes": list(weights.classes),
        "provenance": dict(weights.provenance),
        "sources": conversion.sources,
        "ignored_tensors": conversion.ignored_tensors,
        "ignored_settings": conversion.ignored_settings,
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
    unread = conversion.ignored_tensors
    counters = sum(name.endswith("num_batches_tracked") for name in unread)
    others = [name for name in unread if not name.endswith("num_batches_tracked")]
    screen.print(
        f"ignored tensors, which nothing here reads: {counters} num_batches_tracked, {plain(', '.join(others))}"
    )
    if conversion.ignored_settings:
        screen.print(f"ignored settings: {plain(', '.join(conversion.ignored_settings))}")


if __name__ == "__main__":
    sys.exit(main())
