"""Drives lif_array with the golden sums, one token per cycle, and checks x, h, spikes and v in every cycle."""

from typing import Any

import cocotb
import numpy as np
from bench import Bench
from vectors import as_bits


@cocotb.test()
async def every_register_every_cycle(dut: Any) -> None:
    """All time steps and tokens of one stage."""
    bench = Bench(dut)
    name = f"{bench.job['corner']}:sum" if bench.job["corner"] else f"{bench.job['stage']}/sum"
    sums = bench.vectors.words(name)
    outputs = {quantity: bench.golden(quantity) for quantity in ("x", "h", "spikes", "v")}
    _, tokens, channels = outputs["x"].shape
    fraction = bench.vectors.entry(name)["fraction"]
    to = bench.vectors.entry(name.replace("sum", "x"))["fraction"][0]
    shifts = [own - to for own in fraction] * (channels // len(fraction))
    dut.shift.value = int(as_bits(np.array(shifts), 8), 2)
    dut.enable.value = 1
    bench.start()
    await bench.cycle()
    for row, word in enumerate(sums):
        dut.sum.value = word
        dut.token.value = row % tokens
        dut.first_step.value = int(row < tokens)
        await bench.cycle()
        for quantity, golden in outputs.items():
            bench.check(golden, row, getattr(dut, quantity))
    bench.finish()
