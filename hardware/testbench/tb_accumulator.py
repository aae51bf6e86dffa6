"""Sends the golden spikes of each token as events, one per cycle, and checks all accumulators after each of them.

The golden trace holds the sums behind the last event; those in between are computed here, in the order of the events.
"""

import numpy as np
from bench import Bench, testbench
from fixed import fitted
from vectors import as_bits


@testbench
async def every_register_every_cycle(bench: Bench) -> None:
    """All time steps and tokens of one layer."""
    case, vectors = bench.case, bench.vectors
    spikes = vectors.values(bench.record("input") if case["corner"] else case["source"])
    weights, (bias,) = (vectors.array(vectors.manifest["layers"][case["layer"]][name]) for name in ("weight", "bias"))
    sums, bits = bench.register(bench.dut.sums, "sum"), case["bits"]
    bench.controls, bench.data = ("start", "event_valid"), {"row": len(weights)}
    await bench.cycle()
    for row, spiking in enumerate(spikes.reshape(-1, spikes.shape[2])):
        events = np.flatnonzero(spiking).tolist()
        so_far = bias
        for count, channel in enumerate([None, *events]):
            if channel is not None:
                so_far = fitted(so_far + weights[channel], bits, case["overflow"] == "wrap")
            sums.expect(row, int(as_bits(so_far, bits), 2) if count < len(events) else None)
            await (bench.cycle(start=1) if channel is None else bench.cycle(event_valid=1, row=channel))
