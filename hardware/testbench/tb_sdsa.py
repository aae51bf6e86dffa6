"""Sends the golden Q, K and V, one token per cycle, and checks K AND V, the mask and the masked Q in every cycle."""

from bench import Bench, testbench


@testbench
async def every_register_every_cycle(bench: Bench) -> None:
    """All time steps and tokens of one attention."""
    dut, attention = bench.dut, bench.case["stage"]
    q, k, v = (bench.vectors.words(f"{attention}.{name}_lif/spikes") for name in "qkv")
    kv = bench.register(dut.kv, "spikes", f"{attention}.kv")
    mask = bench.register(dut.mask, "spikes", f"{attention}.talking_heads_lif")
    masked = bench.register(dut.masked, "spikes", f"{attention}.masked")
    steps, tokens, channels = kv.shape
    bench.controls, bench.data = ("clear", "gather", "apply"), dict.fromkeys("qkv", 1 << channels)
    await bench.cycle()
    for step in range(steps):
        rows = range(step * tokens, (step + 1) * tokens)
        so_far = 0
        mask.expect(step, so_far)
        await bench.cycle(clear=1)
        for row in rows:
            so_far |= kv.words[row]
            kv.expect(row)
            mask.expect(step, so_far if row < rows[-1] else None)
            await bench.cycle(gather=1, k=k[row], v=v[row])
        for row in rows:
            masked.expect(row)
            await bench.cycle(apply=1, q=q[row])
