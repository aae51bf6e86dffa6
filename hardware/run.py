"""Runs the SystemVerilog of this folder, or your own, against exported vectors on Icarus Verilog.

    python hardware/run.py VECTORS                    all units, all corner cases
    python hardware/run.py VECTORS --unit lif -o dut  one unit; what its registers held goes to dut/lif.npz

Exit code 0: every register equal in every cycle; 1: a difference; 2: bad input.
"""

import argparse
import contextlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "testbench"))  # cocotb hands it on to the simulator

from vectors import Vectors, VectorsError  # noqa: E402

SOURCES = ("fixed.sv", "lif.sv", "lif_array.sv", "accumulator.sv", "sdsa.sv")
ROUNDINGS = ("floor", "half up", "half even", "toward zero")  # numbered as in fixed.sv
ATTENTION = "block.0.attn"
UNITS = ("accumulator", "lif", "sdsa")


@dataclass
class Job:
    """One simulation.

    Attributes
    ----------
    unit, toplevel, parameters : the module
    stage, corner : what is driven: a stage of the trace, or a corner case
    more : what else the testbench must know
    memories : files that $readmemh finds, by name
    """

    unit: str
    toplevel: str
    stage: str
    parameters: dict[str, int]
    corner: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    memories: dict[str, Path] = field(default_factory=dict)


def main(argv: list[str] | None = None) -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, metavar="VECTORS", help="folder that python -m sdt_ref.vectors wrote")
    parser.add_argument("--unit", choices=UNITS, help="run this one alone")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write what the registers held: DIR/UNIT.npz")
    parser.add_argument("--rtl", type=Path, default=HERE / "rtl", metavar="DIR", help="take the modules from here")
    parser.add_argument("--dump-only", action="store_true", help="write the dumps and judge nothing; needs -o")
    parser.add_argument("--waves", action="store_true", help="keep waveforms in DIR/UNIT.fst; needs -o")
    options = parser.parse_args(argv)
    if options.output is None and (options.dump_only or options.waves):
        parser.error("--dump-only and --waves need -o DIR")
    try:
        vectors = Vectors(options.vectors)
        _check_tools(options.rtl)
        equal = _run_all(vectors, options)
    except (VectorsError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if options.dump_only:
        print(f"\nnothing was judged; compare the dumps in {options.output} with the golden trace")
        return 0
    print(f"\n{'every register is equal in every cycle' if equal else 'there are differences'}")
    return 0 if equal else 1


def _check_tools(rtl: Path) -> None:
    if shutil.which("iverilog") is None:
        raise VectorsError("Icarus Verilog is missing: install the package iverilog")
    if find_spec("cocotb") is None:
        raise VectorsError("cocotb is missing: pip install 'sdt_ref[hardware]'")
    absent = [name for name in SOURCES if not (rtl / name).is_file()]
    if absent:
        raise VectorsError(f"'{rtl}': expected the modules {', '.join(SOURCES)}; there is no {absent[0]}")


def _run_all(vectors: Vectors, options: argparse.Namespace) -> bool:
    jobs = [job for job in _jobs(vectors) if options.unit in (None, job.unit)]
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    print(f"{'unit':<12} {'stage or corner case':<20} {'cycles':>7} {'numbers':>10}  result")
    equal = True
    with tempfile.TemporaryDirectory(prefix="sdt_ref_") as folder:
        for job in jobs:
            report = _simulate(job, vectors, options, Path(folder))
            first = report["first"]
            result = "equal"
            if first is not None:
                equal = False
                result = (
                    f"{first['quantity']} differs: step {first['step']}, token {first['token']}, channel "
                    f"{first['channel']}: expected {first['expected']}, found {first['found']}"
                )
            if options.dump_only:
                result = "not judged"
            what = f"{job.unit:<12} {job.corner or job.stage:<20}"
            print(f"{what} {report['cycles']:>7,} {report['checked']:>10,}  {result}", flush=True)
    return equal


# --- what is run ------------------------------------------------------------------------------------------------------


def _jobs(vectors: Vectors) -> Iterator[Job]:
    manifest = vectors.manifest
    layer, stage = f"{ATTENTION}.q_conv", f"{ATTENTION}.q_lif"
    if manifest["steps"] != list(range(manifest["time_steps"])):
        raise VectorsError("the vectors lack time steps, and membranes depend on all before; trace without --steps")
    accumulator = manifest["layers"][layer]["accumulator"]
    bits, wraps = accumulator["bits"], accumulator["overflow"] == "wrap"
    yield _accumulator(vectors, layer, stage, bits, wraps)
    yield _lif(vectors, stage, "")
    yield _sdsa(vectors)
    for name, corner in manifest["corners"].items():
        if corner["reads"] == "spikes":
            wraps = corner["accumulator_overflow"] == "wrap"
            yield _accumulator(vectors, layer, stage, corner["accumulator_bits"], wraps, name)
        yield _lif(vectors, stage, name)


def _accumulator(vectors: Vectors, layer: str, stage: str, bits: int, wraps: bool, corner: str = "") -> Job:
    described = vectors.manifest["layers"][layer]
    parameters = {
        "ROWS": described["weight"]["shape"][0],
        "OUTPUTS": described["outputs"],
        "WEIGHT_BITS": described["weight"]["bits"],
        "BIAS_BITS": described["bias"]["bits"],
        "BITS": bits,
        "WRAP": int(wraps),
    }
    memories = {f"{name}.mem": vectors.file(described[name]["files"]["mem"]) for name in ("weight", "bias")}
    source = vectors.manifest["wiring"][stage]["reads"][0]
    return Job("accumulator", "accumulator", stage, parameters, corner,
               {"layer": layer, "source": source, "bits": bits, "wrap": wraps}, memories)  # fmt: skip


def _lif(vectors: Vectors, stage: str, corner: str) -> Job:
    neuron = vectors.manifest["neuron"]["stages"][stage]
    sums, x = (vectors.entry(f"{corner}:{q}" if corner else f"{stage}/{q}") for q in ("sum", "x"))
    parameters = {
        "CHANNELS": x["shape"][2],
        "TOKENS": x["shape"][1],
        "SUM_BITS": sums["bits"],
        "BITS": neuron["bits"],
        "THRESHOLD": neuron["threshold"],
        "ROUNDING": ROUNDINGS.index(neuron["rounding"]),
        "WRAP": int(neuron["overflow"] == "wrap"),
        "LEAK_SHIFT": _leak_shift(stage, neuron),
        "LEAK_ROUNDING": ROUNDINGS.index(neuron["leak_rounding"]),
    }
    return Job("lif", "lif_array", stage, parameters, corner)


def _leak_shift(stage: str, neuron: dict[str, Any]) -> int:
    base, _, exponent = neuron["leak"].partition("^")
    if base != "2" or not exponent.lstrip("-").isdecimal():
        raise VectorsError(f"stage '{stage}': lif.sv has leaks of one term, such as 2^-1; found {neuron['leak']}")
    return -int(exponent)


def _sdsa(vectors: Vectors) -> Job:
    mask = f"{ATTENTION}.talking_heads_lif"
    if vectors.manifest["wiring"][mask]["pooled"]:
        raise VectorsError("the vectors are of dvs mode, whose attention pools; sdsa.sv does not")
    neuron = vectors.manifest["neuron"]["stages"][mask]
    if _leak_shift(mask, neuron) > 1:
        raise VectorsError(f"stage '{mask}': with a leak of {neuron['leak']} one count does not reach the threshold")
    channels = vectors.entry(f"{ATTENTION}.kv/spikes")["shape"][2]
    return Job("sdsa", "sdsa", ATTENTION, {"CHANNELS": channels})


# --- how it is run ----------------------------------------------------------------------------------------------------


def _simulate(job: Job, vectors: Vectors, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from cocotb_tools.runner import get_runner

    values = "_".join(str(value) for value in job.parameters.values())
    build, report = folder / f"{job.toplevel}_{values}", folder / "report.json"
    report.unlink(missing_ok=True)
    build.mkdir(exist_ok=True)
    for name, path in job.memories.items():
        (build / name).unlink(missing_ok=True)
        (build / name).symlink_to(path.resolve())
    keeps = options.output is not None and not job.corner
    asked = {
        "vectors": str(vectors.folder.resolve()),
        "stage": job.stage,
        "corner": job.corner,
        "dump": str(options.output.resolve() / f"{job.unit}.npz") if keeps else "",
        "report": str(report),
        **job.more,
    }
    runner, log = get_runner("icarus"), folder / "log"
    runner.log.setLevel(logging.ERROR)  # it says when it need not compile again
    with contextlib.suppress(Exception, SystemExit):  # then there is no report, and the log says why
        runner.build(
            sources=[options.rtl.resolve() / name for name in SOURCES],
            hdl_toplevel=job.toplevel,
            parameters=job.parameters,
            build_args=["-g2012"],
            build_dir=build,
            timescale=("1ns", "1ps"),
            waves=options.waves and keeps,
            log_file=log,
        )
        runner.test(
            test_module=f"tb_{job.unit}",
            hdl_toplevel=job.toplevel,
            build_dir=build,
            test_dir=build,
            waves=options.waves and keeps,
            log_file=log,
            extra_env={"SDT_REF_JOB": json.dumps(asked)},
        )
    if options.waves and keeps:
        for wave in build.glob("*.fst"):
            shutil.copy(wave, options.output / f"{job.unit}.fst")
    if not report.exists():
        tail = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else ["no output"]
        raise VectorsError(f"{job.toplevel} could not be simulated: {' | '.join(tail)}")
    return dict(json.loads(report.read_text()))


if __name__ == "__main__":
    sys.exit(main())
