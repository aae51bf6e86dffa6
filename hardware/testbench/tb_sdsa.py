"""Sends the golden Q, K and V, one token per cycle, and checks K AND V, the mask and the masked Q in every cycle."""

from typing import Any

import cocotb
from bench import Bench


@cocotb.test()
async def every_register_every_cycle(dut: Any) -> None:
    """All time steps and tokens of one attention."""
    bench = Bench(dut)
    attention = bench.job["stage"]
    q, k, v = (bench.vectors.words(f"{attention}.{name}_lif/spikes") for name in "qkv")
    kv, mask, masked = (bench.golden("spikes", f"{attention}.{name}") for name in ("kv", "talking_heads_lif", "masked"))
    steps, tokens, channels = kv.shape
    for signal in (dut.clear, dut.gather, dut.apply):
        signal.value = 0
    bench.start()
    await bench.cycle()
    for step in range(steps):
        dut.clear.value = 1
        await bench.cycle()
        dut.clear.value = 0
        dut.gather.value = 1
        so_far = 0
        for row in range(step * tokens, (step + 1) * tokens):
            dut.k.value, dut.v.value = k[row], v[row]
            await bench.cycle()
            bench.check(kv, row, dut.kv)
            so_far |= kv.words[row]
            held = str(dut.mask.value)
            bench.checked += channels
            if held != f"{so_far:0{channels}b}":
                channel = next(c for c in range(channels) if held[-1 - c] != str(so_far >> c & 1))
                bench.differ(mask, step, 0, channel, so_far >> channel & 1, held[-1 - channel])
        bench.check(mask, step, dut.mask)
        dut.gather.value = 0
        dut.apply.value = 1
        for row in range(step * tokens, (step + 1) * tokens):
            dut.q.value = q[row]
            await bench.cycle()
            bench.check(masked, row, dut.masked)
        dut.apply.value = 0
    bench.finish()
