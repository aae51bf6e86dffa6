"""Compare with activations recorded from the official code, and print the numbers.

    python -m tests.golden_cases              the small copies in tests/data/official
    python -m tests.golden_cases FOLDER       full-size cases: NAME.h5 beside NAME.pth.tar (needs PyTorch)
    python -m tests.golden_cases FOLDER --copy    make the small copies anew

A full case has, for float64 and float32, the official hooks, logits and (float64) the input current of every neuron
layer. Its small copy keeps all spikes, as bits, and every 16th current; both arithmetics recorded the same spikes.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

from sdt_ref.golden import differences as golden_kit
from sdt_ref.golden.dumps import read_dump
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.checkpoint import convert
from sdt_ref.weights.file import Weights

SMALL = Path(__file__).parent / "data/official"
STRIDE = 16  # of the currents in a small copy
SHIPPED = "cifar10_trained"  # its weights are the shipped ones


@dataclass
class Case:
    """Official activations of one network on one input."""

    name: str
    weights: Weights
    input: np.ndarray
    spikes: dict[str, np.ndarray]
    currents: dict[str, np.ndarray]
    current_stride: int
    logits: dict[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """What differs from the official code: spikes over all hooks, and the largest gap in currents and logits."""

    name: str
    arithmetic: str
    spikes: int
    different: int
    first: str
    current: float | None  # None where no currents were recorded
    logits: float


def case_names(folder: Path = SMALL) -> list[str]:
    """Names of the cases in a folder."""
    return sorted(path.stem for path in folder.glob("*.h5") if not path.name.endswith(".weights.h5"))


def read_full(folder: Path, name: str) -> Case:
    """Read a case as the official code recorded it."""
    with h5py.File(folder / f"{name}.h5") as file:
        wide = file["float64"]
        spikes = {hook: node[()] for hook, node in wide["hooks"].items()}
        for hook, node in file["float32/hooks"].items():
            assert np.array_equal(node[()], spikes[hook]), f"{name}: the recorded arithmetics differ in {hook}"
        currents = {k: node["current"][()] for k, node in wide.get("neurons", {}).items() if "current" in node}
        logits = {arithmetic: file[arithmetic]["logits"][()] for arithmetic in ("float64", "float32")}
        weights = convert(folder / f"{name}.pth.tar").weights
        return Case(name, weights, file["input"][()], spikes, currents, 1, logits)


def read_small(name: str) -> Case:
    """Read a small copy."""
    with h5py.File(SMALL / f"{name}.h5") as file:
        spikes = {
            hook: np.unpackbits(node[()], count=int(np.prod(node.attrs["shape"]))).reshape(node.attrs["shape"])
            for hook, node in file["hooks"].items()
        }
        currents = {module: node[()] for module, node in file["currents"].items()}
        logits = {arithmetic: file[f"logits/{arithmetic}"][()] for arithmetic in ("float64", "float32")}
        weights = weights_file.load(None if name == SHIPPED else SMALL / f"{name}.weights.h5")
        return Case(name, weights, file["input"][()], spikes, currents, STRIDE, logits)


def write_small(case: Case) -> None:
    """Write a small copy."""
    if case.name != SHIPPED:
        weights_file.save(SMALL / f"{case.name}.weights.h5", case.weights)
    with h5py.File(SMALL / f"{case.name}.h5", "w") as file:
        packing = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        file.create_dataset("input", data=case.input, **packing)
        for arithmetic, logits in case.logits.items():
            file[f"logits/{arithmetic}"] = logits
        for hook, spikes in case.spikes.items():
            node = file.create_dataset(f"hooks/{hook}", data=np.packbits(spikes), **packing)
            node.attrs["shape"] = spikes.shape
        file.create_group("currents")
        for module, current in case.currents.items():
            file.create_dataset(f"currents/{module}", data=current.ravel()[::STRIDE], **packing)


def compare(case: Case, arithmetic: str) -> Difference:
    """Trace each sample of a case, and compare its spikes as `sdt_ref.compare` does; then currents and logits.

    `first` names the first differing spike, in time and in the order of the data flow.
    """
    model = SpikeDrivenTransformer(case.weights, arithmetic)
    compared, different, first = 0, 0, ""
    currents: list[dict[str, np.ndarray]] = []
    logits = []
    with TemporaryDirectory() as folder:
        trace, dump = Path(folder) / "run.h5", Path(folder) / "official.npz"
        for n in range(len(case.input)):
            result = write_trace(trace, model, case.input[n : n + 1])
            write_dump(dump, case.spikes, n)
            with open_trace(trace) as golden:
                assert {stage.hook for stage in golden.stages.values() if stage.hook} == set(case.spikes), case.name
                comparison = golden_kit.compare(golden, read_dump(str(dump), golden))
                currents.append({module: golden.values(f"{module}/x") for module in case.currents})
            logits.append(result.logits_per_step if case.weights.config.TET else result.logits)
            compared += sum(summary.compared for summary in comparison.stages.values())
            different += sum(summary.different for summary in comparison.stages.values())
            if comparison.first and not first:
                found = comparison.first
                first = f"sample {n}, step {found.step}, {found.record.name}[{found.token}, {found.channel}]"
    gaps = [
        float(np.abs(together(currents, module)[:: case.current_stride] - official.ravel()).max())
        for module, official in case.currents.items()
    ]
    gap = float(np.abs(np.concatenate(logits, axis=-2) - case.logits[arithmetic]).max())
    return Difference(case.name, arithmetic, compared, different, first, max(gaps, default=None), gap)


def write_dump(path: Path, hooks: dict[str, np.ndarray], sample: int) -> None:
    """What the official code's hooks hold of one sample, [T, 1, ...], as the golden kit reads it."""
    np.savez(path, **{hook: spikes[:, sample : sample + 1] for hook, spikes in hooks.items()})


def together(samples: list[dict[str, np.ndarray]], module: str) -> np.ndarray:
    """A current of all samples in the order of the official tensor [T, B, C, H, W]; each is [T, tokens, C]."""
    return np.stack([np.moveaxis(sample[module], -1, 1) for sample in samples], axis=1).ravel()


def differences(folder: Path | None) -> Iterator[Difference]:
    """Compare every case of a folder, or every small copy, in both arithmetics."""
    for name in case_names(folder or SMALL):
        case = read_full(folder, name) if folder else read_small(name)
        for arithmetic in ("float64", "float32"):
            yield compare(case, arithmetic)


def main(arguments: list[str]) -> int:
    """Print one line per case and arithmetic."""
    folder = Path(arguments[0]) if arguments else None
    if folder and "--copy" in arguments:
        for name in case_names(folder):
            write_small(read_full(folder, name))
    print(
        f"{'case':<16} {'arithmetic':<10} {'neuron states':>13} {'differ':>6}  {'currents':>8}  {'logits':>8}  first difference"
    )
    for d in differences(folder):
        current = "-" if d.current is None else f"{d.current:.1e}"
        print(
            f"{d.name:<16} {d.arithmetic:<10} {d.spikes:>13,} {d.different:>6}  {current:>8}  {d.logits:>8.1e}  {d.first}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
