"""Command line: a walk through one run, down to the additions behind one membrane; the work is in `explaining/`."""

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np

from .errors import ConfigError, shown
from .explaining import Lens, look_into, observe
from .explaining.document import of_lens, of_walk
from .explaining.screen import show_lens, show_walk
from .inputs.reading import describe, given_or_sample, read, source_of
from .terminal import cli
from .terminal.progress import kernels_loading, working
from .terminal.screen import Screen, show_repairs
from .terminal.words import many, plain


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Explain one run; exit code 0, or 2 for bad input."""
    options = command_line().parse_args(argv)
    for option in ("token", "channel", "step", "all"):
        given = getattr(options, option)
        if options.stage is None and given is not None and given is not False:
            raise ConfigError(f"--{option}: expected --stage NAME with it")
    image = source_of(options.image)
    model = cli.load_model(options, image)
    preprocessing = model.preprocessing.at(options.size)
    T, strict = model.config.time_steps, options.time_steps is not None
    with given_or_sample(image, preprocessing.frames) as (source, name):
        repairs: Counter[str] = Counter()
        x = read(source, preprocessing, T, strict_steps=strict, repairs=repairs)[None]
        kind = describe(source, preprocessing)
    screen = Screen(stderr=True)
    with kernels_loading(screen, model.arithmetic.name), working(screen, "computing"):
        run = observe(model, x)
        lens = None if options.stage is None else look_into(run, options.stage, options.token, options.channel)
        step = None if lens is None else _step(lens, options.step, run.time_steps)
    if options.json:
        about = {"image": str(source), "size": preprocessing.size, "repairs": repairs}
        cli.print_json({**about, **(of_walk(run) if lens is None else of_lens(run, lens))})
        return 0
    screen = Screen()
    seen = f"{kind}, seen at {preprocessing.size}x{preprocessing.size}"
    between = "  " if len(name) + 2 + len(seen) <= screen.width else "\n"
    screen.print(f"[bold]{plain(name)}[/]{between}{seen}")
    show_repairs(screen, repairs)
    size = f"{many(model.architecture.depth, 'block')} of {many(model.architecture.dim, 'channel')}"
    screen.print(f"[dim]{size}, {many(run.time_steps, 'time step')}, {model.arithmetic.name}[/]\n")
    if lens is None:
        show_walk(screen, run)
    else:
        show_lens(screen, run, lens, step or 0, options.all)
    return 0


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("explain", "python -m sdt_ref.explain photo.jpg --stage block.0.attn.q_lif --channel 7")
    parser.add_argument(
        "image",
        nargs="?",
        metavar="PICTURE|RECORDING",
        help="what to run on; '-' reads the standard input (default: a sample that ships)",
    )
    parser.add_argument("--stage", metavar="NAME", help="look into one stage, such as block.0.attn.q_lif")
    parser.add_argument(
        "--token", type=cli.whole_number, metavar="N", help="of that stage: token, row by row (default: chosen)"
    )
    parser.add_argument(
        "--channel", type=cli.whole_number, metavar="N", help="of that stage: channel or class (default: chosen)"
    )
    parser.add_argument(
        "--step", type=cli.whole_number, metavar="T", help="whose additions to list (default: of the first spike)"
    )
    parser.add_argument("--all", action="store_true", help="list all additions")
    cli.add_model_options(parser)
    return parser


def _step(lens: Lens, step: int | None, time_steps: int) -> int:
    """The time step whose additions are shown: the one asked for, or of the first spike, or of the greatest number."""
    if step is not None:
        if not 0 <= step < time_steps:
            raise ConfigError(f"--step: expected 0 to {time_steps - 1}, found {shown(step)}; choose one of them")
        return step
    if lens.membrane is not None and lens.membrane.spikes.any():
        return int(lens.membrane.spikes.argmax())
    return int(np.argmax([one.recorded for one in lens.sums])) if lens.sums else 0


if __name__ == "__main__":
    sys.exit(main())
