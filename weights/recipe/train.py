"""Train a Spike-driven Transformer on pictures or event-camera recordings, in runs that stop and go on exactly.

    python -m weights.recipe.train TRAIN.h5 --out DIR --model sdt-2-256 --stages 1:60:2e-3,4:30:1e-3 --minutes 9

Stages follow one another: T = 1 first, where an epoch is cheap, then T = 4, from the averaged weights and BatchNorm
statistics of the stage before. Of a recording, T is the number of frames that it is cut into. DIR takes the state
(state.json and the parts that it names) and one checkpoint, NAME.pth.tar, laid out as timm's CheckpointSaver does,
whose `state_dict` is the moving average of the weights.

Exit codes: 0 done, or stopped at the end of --minutes or --max-steps; 2 bad input, in one line.
"""

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from . import data, state
from .data import Pictures, RecipeError
from .model import Network, SpikeDrivenTransformer

if TYPE_CHECKING:
    from .recordings import Recordings

EVALUATED = 500  # examples at a time
DTYPES = ("bfloat16", "float32")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
# what may differ between a run and the one that goes on with its state: it changes no weight (compile: only rounding)
PER_RUN = ("pack", "out", "device", "threads", "compile", "minutes", "save_minutes", "max_steps", "evaluate_every",
           "teacher")  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A part of the training: T, epochs, and the highest learning rate of its warm-up and cosine."""

    steps: int
    epochs: int
    lr: float


class Training:
    """All that changes while training, and the steps that change it.

    Attributes
    ----------
    model, average : the live weights, and their exponential moving average, which is evaluated and written
    stage, step : position: stages done, and optimiser steps done in the one under way
    history : one record per epoch
    """

    def __init__(self, options: argparse.Namespace, examples: "Pictures | Recordings", device: torch.device) -> None:
        self.options, self.examples, self.device = options, examples, device
        self.classes = len(examples.classes)
        self.trained, held_out = data.split(len(examples.labels), options.held_out)
        self.held_out = torch.from_numpy(held_out).to(device)
        self.epoch_steps = len(self.trained) // options.batch
        if not self.epoch_steps:
            raise RecipeError(f"--batch: expected at most the {len(self.trained)} examples, found {options.batch}")
        if options.crop >= examples.size:
            raise RecipeError(f"--crop: expected less than the {examples.size} pixels there are, found {options.crop}")
        others = {"num_classes": self.classes, "spike_mode": options.spike_mode, **examples.network}
        network = Network.from_name(options.model, **others)
        torch.manual_seed(options.seed)  # of the first weights; every other random number depends on the position alone
        self.model = SpikeDrivenTransformer(network).to(device).to(memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.model).eval()
        self.teacher, self.teacher_digest = _teacher(options.teacher, network, device)
        self.history: list[dict[str, Any]] = []
        self._begin(0)

    def _begin(self, stage: int) -> None:
        """Begin a stage from the average: what was measured is what goes on."""
        self.stage, self.step = stage, 0
        self.model.load_state_dict(self.average.state_dict())
        self.loss = torch.zeros((), device=self.device)  # summed over the steps of this epoch
        self.order: Tensor | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        if stage == len(self.options.stages):
            return
        for model in (self.model, self.average):
            model.steps = self.options.stages[stage].steps
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        groups = [  # neither biases nor BatchNorm nor time constants decay
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.options.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, fused=self.device.type == "cuda")
        live, average = self.model.state_dict().values(), self.average.state_dict().values()
        self._averaged = [pair for pair in zip(average, live, strict=True) if pair[0].is_floating_point()]
        self._copied = [pair for pair in zip(average, live, strict=True) if not pair[0].is_floating_point()]
        self._forward: Callable[[Tensor], Tensor] = self.model
        if self.options.compile:
            self._forward = torch.compile(self.model, mode=self.options.compile, dynamic=False, fullgraph=True)

    @property
    def steps(self) -> int:
        """Optimiser steps of the stage under way."""
        return self.epoch_steps * self.options.stages[self.stage].epochs

    def advance(self) -> None:
        """Do one optimiser step."""
        options, optimizer = self.options, self.optimizer
        assert optimizer is not None, "the last stage is done"
        epoch, within = divmod(self.step, self.epoch_steps)
        if within == 0 or self.order is None:
            shuffled = np.random.default_rng((options.seed, self.stage, epoch)).permutation(self.trained)
            self.order = torch.from_numpy(shuffled).to(self.device)
        if within == 0:
            self.loss.zero_()
        loss = self._loss(self.order[within * options.batch : (within + 1) * options.batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if options.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), options.clip)
        rate = learning_rate(self.step, self.steps, options.warmup * self.epoch_steps, options.stages[self.stage].lr)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        self._follow()
        self.loss += loss.detach()
        self.step += 1

    def _loss(self, index: Tensor) -> Tensor:
        """Cross entropy of the mean over T, or (TET) of each step, with softened labels; the teacher's added."""
        options, position = self.options, (self.options.seed, self.stage, self.step)
        random = torch.Generator(self.device).manual_seed(data.seeded(*position))
        x = self.examples.varied(index, self.model.steps, options, random)
        hard = nn.functional.one_hot(self.examples.labels[index], self.classes).float()
        targets = hard * (1 - options.smoothing) + options.smoothing / self.classes
        x, targets = data.mixed(x, targets, np.random.default_rng((*position, 1)), options.mixup, options.cutmix)
        with self._autocast():
            logits = self._forward(x)  # [T, B, K]
        logits = logits.float() if options.tet else logits.float().mean(0, keepdim=True)
        loss = _cross_entropy(logits, targets)
        if self.teacher is not None:
            with torch.no_grad(), self._autocast():
                soft = (self.teacher(x).float().mean(0) / options.temperature).softmax(-1)
            taught = options.temperature**2 * _cross_entropy(logits / options.temperature, soft)
            loss = (1 - options.teacher_share) * loss + options.teacher_share * taught
        return loss

    def _autocast(self) -> torch.autocast:
        """Convolutions in bfloat16; membranes stay float32 (see model.Fire), and so do the weights themselves."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.dtype == "bfloat16")

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the live weights and BatchNorm statistics, fast at first."""
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step))
        average, live = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(average, live, 1 - decay)
        for count, current in self._copied:
            count.copy_(current)

    def end_epoch(self, seconds: float, examples: int) -> dict[str, Any]:
        """Record an epoch, and evaluate the average if it is its turn; `seconds` went into `examples` examples."""
        epoch = self.step // self.epoch_steps
        record: dict[str, Any] = {
            "T": self.options.stages[self.stage].steps,
            "epoch": epoch,
            "loss": round(self.loss.item() / self.epoch_steps, 4),
            f"{self.examples.kind}_per_s": round(examples / max(seconds, 1e-9)),
        }
        if not math.isfinite(record["loss"]):
            raise RecipeError(
                f"the loss is not finite in epoch {epoch}: lower the learning rate in --stages, or --clip"
            )
        if len(self.held_out) and (epoch % self.options.evaluate_every == 0 or self.step == self.steps):
            record["held_out"] = self.evaluate()
        self.history.append(record)
        return record

    @torch.no_grad()
    def evaluate(self) -> float:
        """Top-1 of the average on the held-out examples, %, in float32, as it will be run."""
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        for index in self.held_out.split(EVALUATED):
            logits = self.average(self.examples.plain(index, self.average.steps, self.options)).mean(0)
            right += (logits.argmax(1) == self.examples.labels[index]).sum()
        return round(100 * right.item() / len(self.held_out), 2)

    def end_stage(self) -> None:
        """Write the checkpoint and begin the next stage."""
        self.write_checkpoint()
        self._begin(self.stage + 1)

    def write_checkpoint(self) -> Path:
        """Write the average as a checkpoint that `sdt_ref.convert` reads; return its path."""
        options, stage = self.options, self.options.stages[min(self.stage, len(self.options.stages) - 1)]
        args = {
            **self.average.network.to_args(),
            **self.examples.args(options),
            "time_steps": stage.steps,
            "TET": options.tet,
            "recipe": json.dumps(self.settings()),
        }
        measured = [record["held_out"] for record in self.history if "held_out" in record]
        path = Path(options.out) / f"{options.model}-{options.dataset}.pth.tar"
        weights, accuracy = self.average.state_dict(), measured[-1] if measured else None
        state.save_checkpoint(path, weights, args, len(self.history), accuracy)
        return path

    def settings(self) -> dict[str, Any]:
        """What a state must share with the run that goes on with it."""
        values = {name: value for name, value in vars(self.options).items() if name not in PER_RUN}
        values["stages"] = [asdict(stage) for stage in self.options.stages]
        return {**values, "data": self.examples.digest, "teacher": self.teacher_digest}

    def save(self) -> None:
        """Keep all that the next run needs; order and augmentation follow from the position."""
        tensors = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer and self.optimizer.state_dict(),  # None: the next stage begins with a new one
            "loss": self.loss,
        }
        facts = {"stage": self.stage, "step": self.step, "history": self.history, "settings": self.settings()}
        state.save(Path(self.options.out), tensors, facts)

    def resume(self) -> bool:
        """Go on with the state in the folder; False if there is none, RecipeError if it is damaged or another run's."""
        folder = Path(self.options.out)
        found = state.load(folder, self.device)
        if found is None:
            return False
        tensors, facts = found
        state.require_same(folder, facts["settings"], self.settings(), facts["stage"])
        self.average.load_state_dict(tensors["average"])
        self._begin(facts["stage"])
        self.model.load_state_dict(tensors["model"])
        if self.optimizer is not None and tensors["optimizer"] is not None:
            self.optimizer.load_state_dict(tensors["optimizer"])
        self.loss.copy_(tensors["loss"])
        self.step, self.history = facts["step"], facts["history"]
        return True


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over steps and examples; logits [T, B, K], probabilities [B, K]."""
    return -(targets * logits.log_softmax(-1)).sum(-1).mean()


def learning_rate(step: int, steps: int, warmup: float, peak: float) -> float:
    """Rise in a straight line for `warmup` steps, then fall along a half cosine to 0 at `steps`."""
    warmup = min(warmup, steps / 2)
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def _teacher(path: str | None, network: Network, device: torch.device) -> tuple[nn.Module | None, str | None]:
    if path is None:
        return None, None
    model, digest = state.load_checkpoint(path)
    for name in ("num_classes", "in_channels"):
        expected, found = getattr(network, name), getattr(model.network, name)
        if expected != found:
            raise RecipeError(f"--teacher: expected {name} {expected}, found {found}")
    return model.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False), digest


class Parser(argparse.ArgumentParser):
    """Errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {' '.join(message.split())}; see --help\n")


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Tell defaults, but not that there is none."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def _stages(text: str) -> tuple[Stage, ...]:
    try:
        stages = tuple(
            Stage(int(steps), int(epochs), float(lr)) for steps, epochs, lr in (s.split(":") for s in text.split(","))
        )
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected T:EPOCHS:LR,..., such as 1:60:2e-3,4:30:1e-3, found '{text}'"
        ) from None
    if not all(1 <= s.steps <= 64 and s.epochs >= 1 and 0 < s.lr <= 1 for s in stages):
        raise argparse.ArgumentTypeError(f"expected T of 1 to 64, one epoch or more, LR in (0, 1], found '{text}'")
    return stages


def _number(kind: type, lowest: float, highest: float = math.inf) -> Any:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"expected {kind.__name__} from {lowest} to {highest}, found '{text}'")
        return value

    return read


def _parser() -> Parser:
    parser = Parser(
        prog="python -m weights.recipe.train", formatter_class=Help,
        description="Train a Spike-driven Transformer. The test split of the pack is never opened.",
        epilog="example:\n  python -m weights.recipe.train train.h5 --out run --stages 1:60:2e-3,4:30:1e-3 --minutes 9",
    )  # fmt: skip
    add, whole, real = parser.add_argument, int, float
    add("pack", metavar="PACK.h5", help="pictures or recordings; its group 'train' is read, no other")
    add(
        "--out",
        required=True,
        metavar="DIR",
        help="folder of state and checkpoint; a state there goes on",
    )
    add("--model", default="sdt-2-256", metavar="sdt-DEPTH-DIM", help="network; pooling 0011, mlp_ratio 4, 8 heads")
    add("--spike-mode", default="lif", choices=("lif", "plif"), help="neurons")
    add(
        "--dataset",
        choices=(*data.NORMS, "nmnist"),
        help="gives the normalisation and the class names (default: cifar10 for pictures, nmnist for recordings)",
    )
    add("--stages", default="1:60:2e-3,4:30:1e-3", type=_stages, metavar="T:EPOCHS:LR,...", help="LR: the highest")
    add("--batch", default=256, type=_number(whole, 1), help="examples per step")
    add("--seed", default=0, type=_number(whole, 0, 2**32 - 1), help="of weights, order, augmentation")
    add("--held-out", default=5000, type=_number(whole, 0), metavar="N", help="training examples to tune on")
    add("--weight-decay", default=0.05, type=_number(real, 0, 10), help="of matrices and kernels only")
    add("--warmup", default=2.0, type=_number(real, 0), metavar="EPOCHS", help="of each stage")
    add("--ema", default=0.999, type=_number(real, 0, 0.99999), help="decay of the average per step")
    add("--clip", default=1.0, type=_number(real, 0), help="largest norm of the gradient; 0: any")
    add("--smoothing", default=0.1, type=_number(real, 0, 0.9), help="label smoothing")
    add("--crop", default=4, type=_number(whole, 0), metavar="PIXELS", help="random shift; pictures are reflected")
    add("--cutout", default=8, type=_number(whole, 0), metavar="PIXELS", help="side of the square; 0: none")
    add("--turn", default=0.0, type=_number(real, 0, 180), metavar="DEGREES", help="recordings: random rotation")
    add("--zoom", default=0.0, type=_number(real, 0, 0.9), metavar="SHARE", help="recordings: random scale, 1 +- SHARE")
    add("--drop", default=0.0, type=_number(real, 0, 1), metavar="SHARE", help="recordings: of events lost, at most")
    add("--mixup", default=0.0, type=_number(real, 0, 100), metavar="ALPHA", help="0: none")
    add("--cutmix", default=0.0, type=_number(real, 0, 100), metavar="ALPHA", help="0: none")
    add("--tet", action="store_true", help="a loss per time step (temporal efficient training)")
    add("--teacher", metavar="FILE.pth.tar", help="distil from this checkpoint of the same family")
    add("--teacher-share", default=0.5, type=_number(real, 0, 1), help="of the loss")
    add("--temperature", default=2.0, type=_number(real, 0.1, 100), help="of the distillation")
    add("--dtype", choices=DTYPES, help="of convolutions in training (default: bfloat16 on a GPU)")
    add("--device", choices=("cuda", "cpu"), help="default: cuda if there")
    add("--threads", type=_number(whole, 1, 1024), metavar="N", help="of PyTorch on the CPU")
    add("--compile", nargs="?", const="default", choices=COMPILE_MODES, help="torch.compile, in this mode")
    add("--minutes", type=_number(real, 0), metavar="M", help="stop, and keep the state, after so long")
    add("--max-steps", type=_number(whole, 0), metavar="N", help="stop, and keep the state, after N steps of this run")
    add("--save-minutes", default=3.0, type=_number(real, 0), metavar="M", help="keep the state so often")
    add("--evaluate-every", default=1, type=_number(whole, 1), metavar="EPOCHS", help="on the held-out part")
    return parser


def _prepare(options: argparse.Namespace) -> torch.device:
    """Choose device and dtype, and refuse what cannot work before any data is read."""
    name = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise RecipeError("--device cuda: expected a GPU, found none; leave --device out to train on the CPU")
    options.dtype = options.dtype or ("bfloat16" if name == "cuda" else "float32")
    try:
        Network.from_name(options.model)
    except ValueError as error:
        raise RecipeError(f"--model: {error}") from None
    if options.threads:
        torch.set_num_threads(options.threads)
    if name == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = False  # held-out accuracy is that of float32
    state.prepare_folder(options.out)
    return torch.device(name)


def _load(options: argparse.Namespace, device: torch.device) -> "Pictures | Recordings":
    """Read what the pack holds, pictures or recordings; --dataset must be one of its kind."""
    examples: Pictures | Recordings
    if data.holds(options.pack, "bin"):
        from . import recordings  # needs sdt_ref, which pictures do without

        examples = recordings.load(options.pack, device)
    else:
        examples = data.load(options.pack, device)
    options.dataset = options.dataset or examples.datasets[0]
    if options.dataset not in examples.datasets:
        wanted = " or ".join(examples.datasets)
        raise RecipeError(f"--dataset: expected {wanted} for a pack of {examples.kind}, found {options.dataset}")
    return examples


def _run(training: Training, started: float) -> bool:
    """Train until done (True), or until the run's minutes or steps are used up; keep the state now and then."""
    options = training.options
    saved = since = time.monotonic()
    done = counted = 0
    while training.stage < len(options.stages):
        if training.step == training.steps:
            training.end_stage()
            continue
        out_of_time = options.minutes is not None and time.monotonic() - started > 60 * options.minutes
        if out_of_time or done == options.max_steps:
            break
        training.advance()
        done, counted = done + 1, counted + 1
        if training.step % training.epoch_steps == 0:
            _wait(training.device)
            record = training.end_epoch(time.monotonic() - since, counted * options.batch)
            print(json.dumps({**record, "minute": round((time.monotonic() - started) / 60, 2)}), flush=True)
            since, counted = time.monotonic(), 0
        if time.monotonic() - saved > 60 * options.save_minutes:
            training.save()
            saved = time.monotonic()
    training.save()
    return training.stage == len(options.stages)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main(argv: Sequence[str] | None = None) -> int:
    """Train; exit code 0, or 2 for bad input."""
    started = time.monotonic()
    options = _parser().parse_args(argv)
    try:
        device = _prepare(options)
        training = Training(options, _load(options, device), device)
        if training.resume():
            print(f"going on from stage {training.stage + 1}, step {training.step}", flush=True)
        finished = _run(training, started)
        path = training.write_checkpoint()
    except RecipeError as error:
        return data.fail(error)
    except torch.OutOfMemoryError:
        return data.fail("not enough memory on the device; use a smaller --batch")
    if finished:
        print(f"finished: {path}")
    else:
        print(
            f"stopped in stage {training.stage + 1} of {len(options.stages)}, after step {training.step} of "
            f"{training.steps}; the same command goes on. So far: {path}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
