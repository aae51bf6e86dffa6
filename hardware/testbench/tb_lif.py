"""Drives lif_array with the golden sums, one token per cycle, and checks x, h, spikes and v in every cycle.

In the case 'random' the sums are random, up to the limits of their register, and what must come of them is computed
here. The run that comes after it finds its membranes, which must not count.
"""

import numpy as np
from bench import Bench, testbench
from fixed import fitted, rounded
from vectors import as_bits

QUANTITIES = ("x", "h", "spikes", "v")
RANDOM_STEPS = 4
Words = list[int]


@testbench
async def every_register_every_cycle(bench: Bench) -> None:
    """All time steps and tokens of one stage, or of random sums."""
    dut = bench.dut
    entry, x = (bench.vectors.entry(bench.record(quantity)) for quantity in ("sum", "x"))
    _, tokens, channels = x["shape"]
    shifts = np.broadcast_to(np.array(entry["fraction"]) - x["fraction"][0], channels)
    registers = [bench.register(getattr(dut, quantity), quantity) for quantity in QUANTITIES]
    if bench.case["corner"] == "random":
        sums, expected = random_run(RANDOM_STEPS, tokens, entry["bits"], shifts, bench.case["neuron"])
    else:
        rows = bench.vectors.values(bench.record("sum")).reshape(-1, channels)
        sums, expected = words_of(rows, len(dut.sum) // channels), [None] * len(QUANTITIES)
    dut.shift.value = int(as_bits(shifts, 8), 2)
    bench.controls = ("enable",)
    bench.data = {"sum": 1 << len(dut.sum), "token": tokens, "first_step": 2}
    await bench.cycle()
    for row, word in enumerate(sums):
        for register, words in zip(registers, expected, strict=True):
            register.expect(row, words and words[row])
        await bench.cycle(enable=1, sum=word, token=row % tokens, first_step=int(row < tokens))


def random_run(steps: int, tokens: int, bits: int, shifts: np.ndarray, neuron: dict) -> tuple[list[int], list[Words]]:
    """Words of random sums of all magnitudes, and those of x, h, spikes and v that must come of them."""
    random = np.random.default_rng(1)
    limit = 1 << min(bits - 1, 61 + int(shifts.min()))  # lif.sv shifts in 64 bits
    v = np.zeros((tokens, len(shifts)), np.int64)
    driven: Words = []
    expected: list[Words] = [[] for _ in QUANTITIES]
    for _ in range(steps):
        sums = random.integers(-limit, limit, v.shape) >> random.integers(0, bits, v.shape)
        x = fitted(rounded(sums, shifts, neuron["rounding"]), neuron["bits"], neuron["overflow"] == "wrap")
        h = v + rounded(x - v, neuron["leak_shift"], neuron["leak_rounding"])
        spikes = h >= neuron["threshold"]
        v = np.where(spikes, 0, h)
        driven += words_of(sums, bits)
        for words, numbers in zip(expected, (x, h, spikes, v), strict=True):
            words.extend(words_of(numbers, 1 if numbers is spikes else neuron["bits"]))
    return driven, expected


def words_of(rows: np.ndarray, bits: int) -> Words:
    """One word for each row of numbers."""
    return [int(as_bits(row.astype(np.int64), bits), 2) for row in rows]
