"""What the testbenches share: the job, the clock, and the checker that holds registers against golden rows."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from vectors import Vectors, unpacked

PERIOD_NS = 10


@dataclass
class Golden:
    """A record that a device must reproduce, row by row."""

    stage: str
    quantity: str
    bits: int
    shape: list[int]
    words: list[int]
    held: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.held = np.zeros(self.shape, np.int64)


class Bench:
    """One run of one device.

    Attributes
    ----------
    job : what run.py asked for: folder, what to drive, where to write
    checked : numbers compared
    first : the first difference; None without
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.job = json.loads(os.environ["SDT_REF_JOB"])
        self.vectors = Vectors(Path(self.job["vectors"]))
        self.cycles = self.checked = 0
        self.first: dict[str, Any] | None = None
        self._golden: dict[str, Golden] = {}

    def golden(self, quantity: str, stage: str | None = None) -> Golden:
        """A record of the stage (of the corner case, if the job is one)."""
        stage = stage or self.job["stage"]
        name = f"{self.job['corner']}:{quantity}" if self.job["corner"] else f"{stage}/{quantity}"
        entry = self.vectors.entry(name)
        golden = Golden(stage, quantity, entry["bits"], entry["shape"], self.vectors.words(name))
        self._golden[f"{stage}/{quantity}"] = golden
        return golden

    def start(self) -> None:
        """Start the clock. Inputs change at its falling edge, registers at its rising edge."""
        cocotb.start_soon(Clock(self.dut.clk, PERIOD_NS, unit="ns").start())

    async def cycle(self) -> None:
        """Wait until the registers have taken what is driven."""
        await FallingEdge(self.dut.clk)
        self.cycles += 1

    def check(self, golden: Golden, row: int, signal: Any) -> None:
        """Hold a register, the packed numbers of one row, against the golden row."""
        step, token = divmod(row, golden.shape[1])
        text = str(signal.value)
        channels = golden.shape[2]
        self.checked += channels
        if set(text) <= {"0", "1"}:
            word = int(text, 2)
            golden.held[step, token] = unpacked(word, channels, golden.bits)
            if word == golden.words[row]:
                return
            expected = unpacked(golden.words[row], channels, golden.bits)
            found: list[Any] = golden.held[step, token].tolist()
        else:
            expected = unpacked(golden.words[row], channels, golden.bits)
            cells = [text[len(text) - (c + 1) * golden.bits : len(text) - c * golden.bits] for c in range(channels)]
            found = [cell if set(cell) - {"0", "1"} else unpacked(int(cell, 2), 1, golden.bits)[0] for cell in cells]
        channel = next(c for c in range(channels) if expected[c] != found[c])
        self.differ(golden, step, token, channel, expected[channel], found[channel])

    def differ(self, golden: Golden, step: int, token: int, channel: int, expected: int, found: Any) -> None:
        """Note the first difference."""
        if self.first is None:
            self.first = {
                "stage": golden.stage,
                "quantity": golden.quantity,
                "step": self.vectors.manifest["steps"][step] if not self.job["corner"] else step,
                "token": token,
                "channel": channel,
                "expected": expected,
                "found": found,
            }

    def finish(self) -> None:
        """Write the dump and the report, by which run.py judges; without one, fail if anything differed."""
        if self.job["dump"]:
            np.savez_compressed(self.job["dump"], **{name: golden.held for name, golden in self._golden.items()})
        if self.job["report"]:
            report = {"cycles": self.cycles, "checked": self.checked, "first": self.first}
            Path(self.job["report"]).write_text(json.dumps(report))
        else:
            assert self.first is None, self.first
