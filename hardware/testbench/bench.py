"""What the testbenches share: the inputs, the clock, and the registers that are held against golden words."""

import json
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from vectors import Vectors, VectorsError, from_bits

PERIOD_NS = 10
IDLE = 1 / 8  # share of the cycles behind which an idle one follows


class Register:
    """A register of the device, and the record that it must reproduce, row by row (time step, token).

    Attributes
    ----------
    row : row that it holds now; None before the first
    expected : binary digits that it must hold now
    held : by row, the digits that it held; of a row that once was wrong, the wrong ones
    """

    def __init__(self, signal: Any, stage: str, quantity: str, entry: dict[str, Any], words: list[int]) -> None:
        self.signal, self.stage, self.quantity, self.words = signal, stage, quantity, words
        self.bits, self.shape = entry["bits"], entry["shape"]
        self.row: int | None = None
        self.expected = ""
        self.held: dict[int, str] = {}
        self._golden = True

    def expect(self, row: int, word: int | None = None) -> None:
        """From the next cycle on expect the golden row; or, on the way to it, another word."""
        self.row, self._golden = row, word is None
        self.expected = f"{self.words[row] if word is None else word:0{self.bits * self.shape[2]}b}"

    def found(self) -> str:
        """What it holds, binary digits or x or z; kept for the dump if a golden row is due."""
        text = str(self.signal.value)
        if self._golden and self.row is not None and (self.row not in self.held or text != self.expected):
            self.held[self.row] = text
        return text

    def difference(self, text: str) -> dict[str, Any]:
        """Where the digits first differ from what is expected."""
        assert self.row is not None
        cells = [
            [digits[len(digits) - (c + 1) * self.bits : len(digits) - c * self.bits] for c in range(self.shape[2])]
            for digits in (self.expected, text)
        ]
        channel = next(c for c, pair in enumerate(zip(*cells, strict=True)) if pair[0] != pair[1])
        expected, found = (digits[channel] for digits in cells)
        step, token = divmod(self.row, self.shape[1])
        return {
            "record": f"{self.stage}/{self.quantity}",
            "step": step,
            "token": token,
            "channel": channel,
            "expected": int(from_bits(expected, self.bits)[0]),
            "found": int(from_bits(found, self.bits)[0]) if set(found) <= {"0", "1"} else found,
        }


class Bench:
    """One run of one device.

    Attributes
    ----------
    case : what run.py asked for: stage, corner, dump, and what the unit needs
    controls : inputs that are 0 in a cycle that does not name them
    data : inputs that are random in a cycle that does not name them, and the number that they stay below
    checked : numbers compared
    first : the first difference; None without
    unknown : whether a register held x or z
    """

    def __init__(self, dut: Any, vectors: Vectors, case: dict[str, Any]) -> None:
        self.dut, self.vectors, self.case = dut, vectors, case
        self.corners = vectors.manifest["corners"]
        self.controls: tuple[str, ...] = ()
        self.data: dict[str, int] = {}
        self.cycles = self.checked = 0
        self.first: dict[str, Any] | None = None
        self.unknown = False
        self._registers: list[Register] = []
        self._random = random.Random(1)
        self._idled = False

    def record(self, quantity: str, stage: str | None = None) -> str:
        """Name a record of the stage, or of the corner case, if the run is one of the vectors'."""
        corner = self.case["corner"]
        return f"{corner}:{quantity}" if corner in self.corners else f"{stage or self.case['stage']}/{quantity}"

    def register(self, signal: Any, quantity: str, stage: str | None = None) -> Register:
        """Hold a register against a record from now on, in every cycle."""
        name = self.record(quantity, stage)
        entry, words = self.vectors.entry(name), self.vectors.words(name)
        register = Register(signal, stage or self.case["stage"], quantity, entry, words)
        self._registers.append(register)
        return register

    async def cycle(self, **inputs: int) -> None:
        """Drive one cycle and check all registers; now and then do it once more, idle: they must hold."""
        await self._cycle(inputs)
        if inputs and (not self._idled or self._random.random() < IDLE):
            self._idled = True
            await self._cycle({})

    async def _cycle(self, inputs: dict[str, int]) -> None:
        for name in self.controls:
            getattr(self.dut, name).value = inputs.get(name, 0)
        for name, below in self.data.items():
            getattr(self.dut, name).value = inputs[name] if name in inputs else self._random.randrange(below)
        await FallingEdge(self.dut.clk)  # the registers changed at the rising edge before it
        self.cycles += 1
        for register in self._registers:
            if register.row is None:
                continue
            text = register.found()
            self.checked += register.shape[2]
            if text != register.expected:
                self.unknown |= not set(text) <= {"0", "1"}
                self.first = self.first or register.difference(text)

    def finish(self) -> dict[str, Any]:
        """Write the dump, unless it would have to carry x or z; returns the report, by which run.py judges."""
        if self.case["dump"] and not self.unknown:
            dump = {}
            for register in self._registers:
                rows = [from_bits(register.held[row], register.bits) for row in range(len(register.words))]
                dump[f"{register.stage}/{register.quantity}"] = np.stack(rows).reshape(register.shape)
            np.savez_compressed(self.case["dump"], **dump)
        return {"cycles": self.cycles, "checked": self.checked, "first": self.first, "unknown": self.unknown}


def testbench(drive: Callable[[Bench], Awaitable[None]]) -> Any:
    """Make a cocotb test that drives all cases of the job, one after the other, and reports."""

    async def every_register_every_cycle(dut: Any) -> None:
        job = json.loads(os.environ["SDT_REF_JOB"])
        report: dict[str, Any] = {"cases": []}
        try:
            vectors = Vectors(Path(job["vectors"]))
            cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
            for case in job["cases"]:
                bench = Bench(dut, vectors, case)
                await drive(bench)
                report["cases"].append(bench.finish())
        except VectorsError as error:
            report["error"] = str(error)
        except Exception as error:  # such as a port that the device does not have
            report["error"] = f"{dut._name} could not be simulated: {type(error).__name__}: {error}"
        Path(job["report"]).write_text(json.dumps(report))

    every_register_every_cycle.__module__ = drive.__module__
    return cocotb.test()(every_register_every_cycle)
