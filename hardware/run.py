"""Runs the SystemVerilog of this folder, or your own, against exported vectors on Icarus Verilog.

    python hardware/run.py VECTORS                    all units, all corner cases
    python hardware/run.py VECTORS --unit lif -o dut  one unit; what its registers held goes to dut/lif.npz

Exit code 0: every register equal in every cycle; 1: a difference; 2: bad input.
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "testbench"))  # cocotb hands it on to the simulator

from vectors import Vectors, VectorsError  # noqa: E402

SOURCES = ("fixed.sv", "lif.sv", "lif_array.sv", "accumulator.sv", "sdsa.sv")
ROUNDINGS = ("floor", "half up", "half even", "toward zero")  # numbered as in fixed.sv
ATTENTION = "block.0.attn"
LAYER, STAGE = f"{ATTENTION}.q_conv", f"{ATTENTION}.q_lif"
RANDOM = "random"  # random sums: more than a run and its corner cases show
UNITS = ("accumulator", "lif", "sdsa")


@dataclass
class Job:
    """One simulation.

    Attributes
    ----------
    unit, toplevel, parameters : the module
    cases : what is driven, one after the other: a stage of the trace or a corner case, and what the testbench must know
    memories : files that $readmemh finds, by name
    """

    unit: str
    toplevel: str
    parameters: dict[str, int]
    cases: list[dict[str, Any]]
    memories: dict[str, Path] = field(default_factory=dict)


class Parser(argparse.ArgumentParser):
    """Errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Exit."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}; see --help\n")


def main(argv: list[str] | None = None) -> int:
    """Run; returns the exit code."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        return _run_all(vectors, options)
    except (VectorsError, OSError) as error:
        message = f"error: {' '.join(str(error).split())}"
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    try:
        sys.stdout.flush()
    except OSError:  # a full disk: the interpreter must not try again at its exit
        _drop_output()
    print(message, file=sys.stderr)
    return 2


def _say(line: str) -> None:
    """Print at once; a reader that has left is no error, and changes neither what is run nor the exit code."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_tools(rtl: Path) -> None:
    if shutil.which("iverilog") is None:
        raise VectorsError("Icarus Verilog is missing: install the package iverilog")
    if find_spec("cocotb") is None:
        raise VectorsError("cocotb is missing: pip install '.[hardware]'")
    absent = [name for name in SOURCES if not (rtl / name).is_file()]
    if absent:
        raise VectorsError(f"'{rtl}': expected the modules {', '.join(SOURCES)}; there is no {absent[0]}")


def _run_all(vectors: Vectors, options: argparse.Namespace) -> int:
    jobs = _grouped(vectors, options)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        for job in jobs:
            (options.output / f"{job.unit}.npz").unlink(missing_ok=True)  # that of a run before
    _say(f"{'unit':<12} {'stage or corner case':<20} {'cycles':>7} {'numbers':>10}  result")
    equal, unknown = True, []
    with tempfile.TemporaryDirectory(prefix="sdt_ref_") as folder:
        for job in jobs:
            for case, report in zip(job.cases, _simulate(job, vectors, options, Path(folder)), strict=True):
                equal &= report["first"] is None
                if report["unknown"] and case["dump"]:
                    unknown.append(case["dump"])
                result = "not judged" if options.dump_only else _result(report["first"], case, vectors)
                what = f"{job.unit:<12} {case['corner'] or case['stage']:<20}"
                _say(f"{what} {report['cycles']:>7,} {report['checked']:>10,}  {result}")
    _say("")
    for path in unknown:
        _say(f"registers held unknown values (x or z), which no dump can carry: '{path}' was not written")
    if options.dump_only:
        _say(f"nothing was judged; compare the dumps in {options.output} with the golden trace")
        return 1 if unknown else 0
    _say("every register is equal in every cycle" if equal else "there are differences")
    return 0 if equal else 1


def _result(first: dict[str, Any] | None, case: dict[str, Any], vectors: Vectors) -> str:
    if first is None:
        return "equal"
    step = first["step"] if case["corner"] else vectors.manifest["steps"][first["step"]]
    return (
        f"{first['record']} differs: step {step}, token {first['token']}, channel {first['channel']}: "
        f"expected {first['expected']}, found {first['found']}"
    )


# --- what is run ------------------------------------------------------------------------------------------------------


def _grouped(vectors: Vectors, options: argparse.Namespace) -> list[Job]:
    """Make the simulations; cases of the same parameters share one."""
    jobs: dict[str, Job] = {}
    with vectors.described():
        for unit in UNITS if options.unit is None else (options.unit,):
            for job in _jobs(unit, vectors, corners=not options.dump_only):
                key = f"{unit} {job.parameters}"
                if key in jobs:
                    jobs[key].cases += job.cases
                else:
                    jobs[key] = job
    for job in jobs.values():
        for case in job.cases:
            keeps = options.output is not None and not case["corner"]
            case["dump"] = str(options.output / f"{job.unit}.npz") if keeps else ""
    return list(jobs.values())


def _jobs(unit: str, vectors: Vectors, corners: bool) -> Iterator[Job]:
    if unit == "sdsa":
        yield _sdsa(vectors)
        return
    make = _accumulator if unit == "accumulator" else _lif
    if unit == "lif" and corners:
        yield make(vectors, RANDOM)
    yield make(vectors, "")
    for name, corner in vectors.manifest["corners"].items() if corners else ():
        if unit == "lif" or corner["reads"] == "spikes":
            yield make(vectors, name)


def _accumulator(vectors: Vectors, corner: str) -> Job:
    layer = vectors.manifest["layers"][LAYER]
    accumulator = layer["accumulator"]
    bits, overflow = accumulator["bits"], accumulator["overflow"]
    if corner:
        case = vectors.manifest["corners"][corner]
        bits, overflow = case["accumulator_bits"], case["accumulator_overflow"]
    parameters = {
        "ROWS": layer["weight"]["shape"][0],
        "OUTPUTS": layer["outputs"],
        "WEIGHT_BITS": layer["weight"]["bits"],
        "BIAS_BITS": layer["bias"]["bits"],
        "BITS": bits,
        "WRAP": int(overflow == "wrap"),
    }
    source = f"{vectors.manifest['wiring'][STAGE]['reads'][0]}/spikes"
    for record in (f"{corner}:input", f"{corner}:sum") if corner else (source, f"{STAGE}/sum"):
        vectors.entry(record)
    memories = {f"{name}.mem": vectors.file(layer[name]["files"]["mem"]) for name in ("weight", "bias")}
    case = {
        "stage": STAGE,
        "corner": corner,
        "layer": LAYER,
        "source": source,
        "bits": bits,
        "overflow": overflow,
    }
    return Job("accumulator", "accumulator", parameters, [case], memories)


def _lif(vectors: Vectors, corner: str) -> Job:
    manifest = vectors.manifest
    if manifest["steps"] != list(range(manifest["time_steps"])):
        raise VectorsError("the vectors lack time steps, and membranes depend on all before; trace without --steps")
    neuron = manifest["neuron"]["stages"][STAGE]
    corners = manifest["corners"]
    prefixes = [f"{name}:" for name in corners] if corner in corners else [f"{STAGE}/"]  # corner cases share one device
    sums, x, *_ = (
        [vectors.entry(f"{prefix}{quantity}") for prefix in prefixes] for quantity in ("sum", "x", "h", "spikes", "v")
    )
    parameters = {
        "CHANNELS": x[0]["shape"][2],
        "TOKENS": max(entry["shape"][1] for entry in x),
        "SUM_BITS": max(entry["bits"] for entry in sums),
        "BITS": neuron["bits"],
        "THRESHOLD": neuron["threshold"],
        "ROUNDING": ROUNDINGS.index(neuron["rounding"]),
        "WRAP": int(neuron["overflow"] == "wrap"),
        "LEAK_SHIFT": _leak_shift(STAGE, neuron),
        "LEAK_ROUNDING": ROUNDINGS.index(neuron["leak_rounding"]),
    }
    case = {"stage": STAGE, "corner": corner, "neuron": {**neuron, "leak_shift": parameters["LEAK_SHIFT"]}}
    return Job("lif", "lif_array", parameters, [case])


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
    names = ("kv", "talking_heads_lif", "masked", "q_lif", "k_lif", "v_lif")
    kv, *_ = (vectors.entry(f"{ATTENTION}.{name}/spikes") for name in names)
    return Job("sdsa", "sdsa", {"CHANNELS": kv["shape"][2]}, [{"stage": ATTENTION, "corner": ""}])


# --- how it is run ----------------------------------------------------------------------------------------------------


def _simulate(job: Job, vectors: Vectors, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Run one simulation; returns a report for each of its cases."""
    from cocotb_tools.runner import get_runner

    build = Path(tempfile.mkdtemp(dir=folder))
    report, log = build / "report.json", build / "log"
    for name, path in job.memories.items():
        (build / name).symlink_to(path.resolve())
    cases = [{**case, "dump": str(Path(case["dump"]).resolve()) if case["dump"] else ""} for case in job.cases]
    asked = {"vectors": str(vectors.folder.resolve()), "report": str(report), "cases": cases}
    waves = options.waves and any(case["dump"] for case in cases)
    runner = get_runner("icarus")
    runner.log.setLevel(logging.ERROR)
    with contextlib.suppress(Exception, SystemExit):  # then there is no report, and the log says why
        runner.build(
            sources=[options.rtl.resolve() / name for name in SOURCES],
            hdl_toplevel=job.toplevel,
            parameters=job.parameters,
            build_args=["-g2012"],
            build_dir=build,
            timescale=("1ns", "1ps"),
            waves=waves,
            log_file=log,
        )
        runner.test(
            test_module=f"tb_{job.unit}",
            hdl_toplevel=job.toplevel,
            build_dir=build,
            test_dir=build,
            waves=waves,
            log_file=log,
            extra_env={"SDT_REF_JOB": json.dumps(asked)},
        )
    if waves:
        for wave in build.glob("*.fst"):
            shutil.copy(wave, options.output / f"{job.unit}.fst")
    if not report.exists():
        tail = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else ["no output"]
        raise VectorsError(f"{job.toplevel} could not be simulated: {' | '.join(tail)}")
    found = json.loads(report.read_text())
    if "error" in found:
        raise VectorsError(found["error"])
    return list(found["cases"])


if __name__ == "__main__":
    sys.exit(main())
