"""Sends the golden spikes of each token as events, one per cycle, and checks all accumulators after each of them.

The golden trace holds the sums behind the last event; those in between are computed here, in the order of the events.
"""

from typing import Any

import cocotb
import numpy as np
from bench import Bench
from vectors import as_bits


@cocotb.test()
async def every_register_every_cycle(dut: Any) -> None:
    """All time steps and tokens of one layer."""
    bench = Bench(dut)
    job = bench.job
    layer = bench.vectors.manifest["layers"][job["layer"]]
    spikes = bench.vectors.values(f"{job['corner']}:input" if job["corner"] else f"{job['source']}/spikes")
    weights, (bias,) = (np.load(bench.vectors.file(layer[name]["files"]["npy"])) for name in ("weight", "bias"))
    golden = bench.golden("sum")
    n_tokens, bits = golden.shape[1], job["bits"]
    dut.event_valid.value = 0
    dut.start.value = 0
    bench.start()
    await bench.cycle()
    for row in range(golden.shape[0] * n_tokens):
        step, token = divmod(row, n_tokens)
        events = np.flatnonzero(spikes[step, token]).tolist()
        dut.start.value = 1
        await bench.cycle()
        dut.start.value = 0
        dut.event_valid.value = 1
        sums = bias.astype(np.int64)
        for channel in events:
            dut.row.value = channel
            await bench.cycle()
            sums = fitted(sums + weights[channel], bits, job["wrap"])
            held = str(dut.sums.value)
            bench.checked += len(sums)
            if held != as_bits(sums, bits):
                cells = [held[len(held) - (o + 1) * bits : len(held) - o * bits] for o in range(len(sums))]
                wanted = [f"{int(total) & ((1 << bits) - 1):0{bits}b}" for total in sums]
                o = next(o for o in range(len(sums)) if cells[o] != wanted[o])
                known = set(cells[o]) <= {"0", "1"}
                found = int(cells[o], 2) - (int(cells[o][0]) << bits) if known else cells[o]
                bench.differ(golden, step, token, o, int(sums[o]), found)
        dut.event_valid.value = 0
        bench.check(golden, row, dut.sums)
    bench.finish()


def fitted(sums: np.ndarray, bits: int, wrap: bool) -> np.ndarray:
    """Numbers written to registers of so many bits."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return ((sums - low) & ((1 << bits) - 1)) + low if wrap else np.clip(sums, low, high)
