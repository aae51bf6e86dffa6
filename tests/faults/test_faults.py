"""Planted faults: each is a change that a tired programmer could make, and each must turn a check red.

The checks are those of the property tests: event engine == dense oracle on whole networks, folding == BatchNorm, and
literal cases. They run on a changed copy of the package, as plain Python.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.copies import changed_copy
from tests.cost.test_account import assert_operations_equal_dense_counts
from tests.engine.test_neuron import TWO_ROUNDINGS, spikes_of
from tests.equality import assert_engine_equals_oracle, assert_same
from tests.networks import Network, weights_of
from tests.weights.test_folding import unfolded

pytestmark = pytest.mark.campaign

# few pixels and channels, for plain Python; many tiles; every branch of the network
NETWORKS = [
    Network(dim=16, hidden=24, time_steps=2, height=4, width=8, pooling_stat="0101", batch=2, seed=1),
    Network(dim=16, hidden=16, time_steps=3, height=4, width=4, pooling_stat="0001", batch=1, dyadic=True, seed=2),
    Network(dim=16, hidden=8, time_steps=4, height=4, width=5, pooling_stat="0000", batch=2, dvs_mode=True, num_heads=2,
            spike_mode="plif", frames=True, in_channels=2, seed=5),
    Network(dim=16, hidden=8, time_steps=2, height=6, width=4, pooling_stat="1000", batch=2, dvs_mode=True, num_heads=4,
            drive=0.0, seed=6),
    Network(dim=16, hidden=8, time_steps=2, height=2, width=4, pooling_stat="0010", batch=1, depth=2, drive=2.0, seed=4),
    Network(dim=80, hidden=16, time_steps=2, height=2, width=2, pooling_stat="0000", batch=1, dyadic=True, seed=7),
    Network(dim=80, hidden=400, time_steps=3, height=2, width=2, pooling_stat="0000", batch=1, seed=8),
]  # fmt: skip


def engine_equals_oracle(package: ModuleType) -> None:
    for n in NETWORKS:
        assert_engine_equals_oracle(n, "float32", threads=1, tile_bytes=700, package=package)
    assert_engine_equals_oracle(NETWORKS[-1], "float32", threads=1, package=package)  # several panels at a time


# narrow registers, which overflow; every rounding and both ways to go on
FORMATS = [
    (NETWORKS[0], """schema_version = 1
input = { bits = 5, fraction = 3, rounding = "half up", overflow = "saturate" }
[default]
weight = { bits = 6 }
bias = { bits = 9, rounding = "floor" }
accumulator = { bits = 9, overflow = "saturate" }
membrane = { bits = 5, fraction = 1, rounding = "toward zero", overflow = "saturate", leak_rounding = "half even" }
stream = { bits = 6, fraction = 2, rounding = "half even", overflow = "saturate" }
[stage."patch_embed.rpe_conv"]
stream = { bits = 7, fraction = 3 }"""),
    (NETWORKS[1], """schema_version = 1
input = { bits = 4, fraction = 1, rounding = "floor", overflow = "wrap" }
[default]
weight = { bits = 4, scale = "layer" }
bias = { bits = 12, fraction = 3, rounding = "half even" }
accumulator = { bits = 12, overflow = "wrap" }
membrane = { bits = 8, fraction = 6, rounding = "half up", overflow = "wrap", leak = "2^-1 - 2^-4" }
stream = { bits = 5, fraction = 3, rounding = "toward zero", overflow = "wrap" }"""),
    (NETWORKS[2], """schema_version = 1
[default]
membrane = { bits = 12, fraction = 9, rounding = "half even", leak_rounding = "toward zero" }
stream = { bits = 12, fraction = 11, rounding = "floor" }"""),
    (NETWORKS[6], "schema_version = 1"),
]  # fmt: skip


MANY_TOKENS = Network(dim=16, hidden=8, time_steps=2, height=4, width=8, pooling_stat="0000", batch=1, drive=5.0)
NARROW_COUNTS = 'schema_version = 1\n[stage."block.0.attn.talking_heads_lif"]\nmembrane = { bits = 3, fraction = 1 }'


def whole_engine_equals_whole_oracle(package: ModuleType) -> None:
    for n, formats in FORMATS:
        assert_engine_equals_oracle(n, "fixed", threads=1, tile_bytes=1400, package=package, formats=formats)
    n, formats = FORMATS[-1]
    assert_engine_equals_oracle(n, "fixed", threads=1, package=package, formats=formats)  # several panels at a time


def sums_of_bytes_are_exact(package: ModuleType) -> None:
    """The most rows of the largest weights: 16 bits hold them in parts only."""
    for weight in (-128, 127):
        layer = package.weights.folding.Layer(np.full((64, 600, 1, 1), weight, np.int8), np.zeros(64, np.int8))
        synapse = package.engine.synapse.Synapse("layer", layer)
        synapse.dtype, synapse.bias = np.dtype(np.int32), synapse.bias.astype(np.int32)
        spikes = package.SpikeEvents.from_dense(np.ones((1, 1, 600), np.uint8))
        assert (package.engine.storing.store(synapse(spikes), package.engine.run.Run(1, 1)).array == 600 * weight).all()


def a_team_equals_the_oracle(package: ModuleType) -> None:
    """Also in a network whose attention remembers, and for two samples, whose tokens every thread takes a share of."""
    for n in NETWORKS[:2]:
        assert_engine_equals_oracle(n, "float32", threads=2, tile_bytes=300, package=package)
    assert_engine_equals_oracle(MANY_TOKENS, "fixed", 2, 300, package, NARROW_COUNTS)


def folding_equals_batch_norm(package: ModuleType) -> None:
    weights = weights_of(Network())
    parameters = package.weights.folding.fold(weights, package.weights.arithmetic.FLOAT64)
    for module in ("patch_embed.proj_conv1", "block.0.attn.proj_conv", "block.0.mlp.fc1_conv"):
        layer = parameters.layers[module]
        x = np.random.default_rng(0).standard_normal(layer.weight.shape[1:])
        folded = np.tensordot(layer.weight, x, axes=3) + layer.bias
        np.testing.assert_allclose(folded, unfolded(weights, module, x), rtol=1e-12, atol=1e-12)
    thresholds = {name: float(neuron.threshold) for name, neuron in parameters.neurons.items()}
    assert thresholds.pop("block.0.attn.talking_heads_lif") == 0.5
    assert set(thresholds.values()) == {1.0}
    assert {float(neuron.leak) for neuron in parameters.neurons.values()} == {0.5}


def oracle_is_literally_right(package: ModuleType) -> None:
    layers, folding, steps = package.dense.layers, package.weights.folding, package.dense.steps
    current = np.tile(np.array([2, 1.75, 1], np.float32), (4, 1))
    neuron = folding.NeuronParameters(np.float32(0.5), np.float32(1))
    assert steps(neuron, current)[1].T.tolist() == [[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]
    assert steps(neuron, TWO_ROUNDINGS)[1].tolist() == [[0, 0], [0, 1]]
    weight = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    corner = np.zeros((1, 1, 1, 2, 2), np.uint8)
    corner[..., 0, 0] = 1
    layer = folding.Layer(weight, np.ones(1, np.float32))
    assert_same(layers.conv(corner, layer).ravel(), np.array([5, 4, 2, 1], np.float32), "conv")
    assert layers.fan_out(np.ones((1, 1, 1, 3, 3), np.uint8), layer).tolist() == [4 + 6 + 4 + 6 + 9 + 6 + 4 + 6 + 4]
    below = np.full((1, 1, 1, 2, 2), -5.0)
    assert_same(layers.max_pool(below, 2), below[..., :1, :1], "pool")


def neurons_round_twice(package: ModuleType) -> None:
    for repeats in (1, 8, 9):  # parts of a vector, and several
        assert spikes_of(np.tile(TWO_ROUNDINGS, repeats), 0.5, 1.0, package).tolist() == [
            [0, 0] * repeats,
            [0, 1] * repeats,
        ]


def operations_equal_dense_counts(package: ModuleType) -> None:
    for n in (Network(pooling_stat="1111", height=16, width=16), Network(dvs_mode=True, depth=2, frames=True)):
        assert_operations_equal_dense_counts(n, package)


Check = Callable[[ModuleType], None]
COUNTS = operations_equal_dense_counts
ENGINE, FOLDING, ORACLE = engine_equals_oracle, folding_equals_batch_norm, oracle_is_literally_right
NEURON, TEAM, FIXED = neurons_round_twice, a_team_equals_the_oracle, whole_engine_equals_whole_oracle

ADD = "kernels/accumulate.py"
LIF = "kernels/lif.py"
VECTOR = "kernels/vector.py"
BITSET = "kernels/bitset.py"
ANALOG = "kernels/analog.py"
POOL = "kernels/pooling.py"
SDSA = "kernels/attention.py"
FIXED_KERNELS = "kernels/fixed.py"

# name: (the check that must turn red, file, what stands there, what the tired programmer writes)
FAULTS: dict[str, tuple[Check, str, str, str]] = {
    # additions
    "pairwise sum": (ENGINE, VECTOR, "        outputs[at : at + PANEL] += weights[row : row + PANEL]\n    return last", "        outputs[at : at + PANEL] += weights[row : row + PANEL] + (0 if e % 2 else 1e-3) - (0 if e % 2 else 1e-3)\n    return last"),
    "events backwards": (ENGINE, VECTOR, "    for e in range(first, last):\n        if rows[e] >= limit:", "    for e in [last - 1 - k for k in range(last - first)]:\n        if rows[e] >= limit:"),
    "rows beyond the slab forgotten": (ENGINE, VECTOR, "        if rows[e] >= limit:\n            return e", "        if rows[e] >= limit:\n            return last"),
    "other panels forgotten": (ENGINE, ADD, "for p in range(n_panels):", "for p in range(1):"),
    "cursors not reset for the next panel": (ENGINE, ADD, "if limit == slab else", "if limit == slab and p == 0 else"),
    "panel of other outputs": (ENGINE, ADD, "weights = (p * window**2 + tap) * n_inputs * PANEL", "weights = tap * n_inputs * PANEL"),
    "bias forgotten": (ENGINE, ADD, "copy_panel(bias, p * PANEL,", "copy_panel(bias * 0, p * PANEL,"),
    "border missed": (ENGINE, ADD, "0 <= x + dx < width:", "0 <= x + dx < width - 1:"),
    "border wraps to the next row": (ENGINE, ADD, " and 0 <= x + dx < width:", " and 0 <= x + dx + 1:"),
    "kernel mirrored": (ENGINE, ADD, "first + i + dy * width + dx", "first + i + dy * width - dx"),
    "taps not in canonical order": (ENGINE, ADD, "for tap in range(window**2):", "for tap in range(window**2)[::-1]:"),
    "image of another time step": (ENGINE, ADD, "row = t * n_rows + first", "row = first"),
    "additions counted at step 0": (ENGINE, ADD, "added[p, t] += e - begin", "added[p, 0] += e - begin"),
    "additions counted per list": (ENGINE, ADD, "added[p, t] += e - begin", "added[p, t] += 1"),
    "fan-out forgotten": (ENGINE, "engine/synapse.py", "self.widths @ sum(rows)", "sum(rows).sum(axis=0)"),
    "padding counted": (ENGINE, "engine/synapse.py", "np.diff([*range(0, self.n_outputs, kernels.PANEL), self.n_outputs])", "np.full(len(self.panels), kernels.PANEL)"),
    # operations outside the weight layers
    "bias counted at every step of a picture": (COUNTS, "engine/counting.py", "padded[:steps] = values", "padded[:] = values"),
    "shortcut of the patch embedding counted nowhere": (COUNTS, "engine/storing.py", "if residual is not None:\n        run.count_other", "if residual is not None and len(current.grid) < 4:\n        run.count_other"),
    "thresholds of one time step": (COUNTS, "engine/neuron.py", "\"comparisons\": neurons, ", "\"comparisons\": neurons // time_steps, "),
    "spikes behind the pool taken for those that fire": (COUNTS, "engine/neuron.py", "np.diff(offsets)", "np.diff(offsets) // 2"),
    "each event pooled once": (COUNTS, "engine/set_operations.py", "@ columns @ rows", "@ (columns > 0) @ (rows > 0)"),
    "edges of the token pool": (COUNTS, "engine/set_operations.py", "- reached(tokens[:2]) - reached(tokens[-2:])", ""),
    "ANDs of the wrong operand": (COUNTS, "engine/set_operations.py", "run.count_each(\"attention\", stage, events,", "run.count_each(\"attention\", stage, mask,"),
    "maxima of whole windows": (COUNTS, "network/sps.py", "(3 * (H // 2) - 1) * (3 * (W // 2) - 1)", "9 * (H // 2) * (W // 2)"),
    "sums of K AND V counted before the pool": (COUNTS, "network/sdsa.py", "kv, \"ac\", \"events\")", "k, \"ac\", \"events\")"),
    "divisions of the mean at every step": (COUNTS, "network/head.py", "divisions[-1] = 0 if fixed else total.size", "divisions[:] = total.size"),
    # neurons
    "> for >=": (ENGINE, VECTOR, "    fired = h >= threshold\n", "    fired = h > threshold\n"),
    "soft reset": (ENGINE, VECTOR, "np.where(fired, 0, h)", "np.where(fired, h - threshold, h)"),
    "(v + x) / 2": (NEURON, VECTOR, "h = membrane + (x - membrane) * leak\n    fired", "h = (membrane + x) * leak\n    fired"),
    "no leak": (ENGINE, VECTOR, "h = membrane + (x - membrane) * leak\n    fired", "h = membrane + x * leak\n    fired"),
    "one rounding too few": (NEURON, VECTOR, "h = membrane + (x - membrane) * leak\n    fired", "h = (membrane + (x.astype(float) - membrane) * float(leak)).astype(x.dtype)\n    fired"),
    "neurons of another panel": (ENGINE, LIF, "place = ((p * n_frames + frame) * n_places + i) * PANEL", "place = (frame * n_places + i) * PANEL"),
    "channels of another panel": (ENGINE, LIF, "append(fired[p, t, i], p * PANEL,", "append(fired[p, t, i], 0,"),
    "panels beyond the scratch forgotten": (ENGINE, "engine/neuron.py", "for p in range(0, P, len(scratch)):", "for p in range(0, len(scratch), len(scratch)):"),
    "membrane left over": (ENGINE, LIF, "membrane[o] = 0", "membrane[o] += 0"),
    "PLIF run as LIF": (ENGINE, "engine/neuron.py", "self.leak = parameters.leak", "self.leak = parameters.leak * 0 + parameters.leak.dtype.type(0.5)"),
    "neurons of another layer": (ENGINE, "network/sdsa.py", "self.k_lif(self.k_conv(s), run)", "self.q_lif(self.k_conv(s), run)"),
    # registers
    "fixed: shifted to the left by nothing": (FIXED, FIXED_KERNELS, "    y = x << left\n", "    y = x\n"),
    "fixed: rounding constant forgotten": (FIXED, FIXED_KERNELS, "return (y + add +", "return (y +"),
    "fixed: halves not to even": (FIXED, FIXED_KERNELS, " + ((y >> right) & even)", ""),
    "fixed: negative numbers rounded down": (FIXED, FIXED_KERNELS, " + ((y >> sign) & negative)", ""),
    "fixed: saturates where it should wrap": (FIXED, FIXED_KERNELS, "if wrap else inside\n    return fits", "if False else inside\n    return fits"),
    "fixed: overflow at the bottom missed": (FIXED, FIXED_KERNELS, "np.minimum(np.maximum(x, low), high)", "np.minimum(x, high)"),
    "fixed: > for >=": (FIXED, FIXED_KERNELS, "    fired = h >= threshold\n", "    fired = h > threshold\n"),
    "fixed: soft reset": (FIXED, FIXED_KERNELS, "np.where(fired, 0, h)", "np.where(fired, h - threshold, h)"),
    "fixed: terms of the leak all added": (FIXED, FIXED_KERNELS, "if sign > 0 else part - (difference << shift)", "if True else part"),
    "fixed: leak not rounded": (FIXED, "fixed/registers.py", "Format(2, 0, rounding), dtype)", "Format(2, 0, 'floor'), dtype)"),
    "fixed: membrane left over": (FIXED, FIXED_KERNELS, "                membrane[o] = 0\n", "                membrane[o] += 0\n"),
    "fixed: residual not brought to the stream's units": (FIXED, FIXED_KERNELS, "residual, place, residual_shifts, p * STEPS", "residual, place, residual_shifts * 0, p * STEPS"),
    "fixed: sum with the residual not fitted": (FIXED, FIXED_KERNELS, "overflows[t] += add_panel(scratch, 0, low, high, wrap, target, place)", "target.reshape(-1)[place : place + PANEL] += scratch"),
    "fixed: shifts of another panel": (FIXED, FIXED_KERNELS, "convert_panel(current, start, shifts, p * STEPS * PANEL,", "convert_panel(current, start, shifts, 0,"),
    "fixed: sums fitted only at the end": (FIXED, FIXED_KERNELS, "current[p, t, at + i, o] = ((total - low) & span) + low if wrap else inside", "current[p, t, at + i, o] = total"),
    "fixed: kernel positions before planes": (FIXED, FIXED_KERNELS, "                for plane in range(planes):\n                    begin", "                for plane in range(planes)[::-1]:\n                    begin"),
    "fixed: overflows counted once per sum": (FIXED, FIXED_KERNELS, "overflows[p, t] += total != inside", "overflows[p, t] = overflows[p, t] or total != inside"),
    "fixed: overflows of the first step": (FIXED, FIXED_KERNELS, "overflows[t] += convert_panel(current", "overflows[0] += convert_panel(current"),
    "fixed: threshold of one token": (FIXED, "engine/neuron.py", "self.threshold * units.tokens if units.mean else self.threshold", "self.threshold"),
    "fixed: membrane of one token": (FIXED, "fixed/registers.py", "return (tokens - 1).bit_length()", "return 0"),
    "fixed: a bit too many": (FIXED, "fixed/registers.py", "return (tokens - 1).bit_length()", "return tokens.bit_length()"),
    "fixed: sign plane missing": (FIXED, "network/encoder.py", "numbers = np.arange(bits * C)", "numbers = np.arange((bits - 1) * C)"),
    "fixed: tokens of a share": (TEAM, "network/sdsa.py", "partial(self._attend, run), sum_tokens(kv), kv.n_tokens)", "lambda count: self._attend(run, count, kv.n_tokens), sum_tokens(kv))"),
    # pools
    "pool before LIF": (ENGINE, "network/sps.py", "s = run.record(\"MS_SPS_lif\", self.proj_lif(self.proj_conv(image, run.time_steps), run))", "s = run.record(\"MS_SPS_lif\", self.proj_lif(max_pool(store(self.proj_conv(image, run.time_steps), run), run) if self.pools[0] else self.proj_conv(image, run.time_steps), run))"),
    "stage 3 pools spikes": (ENGINE, "network/sps.py", "        if self.pools[3]:\n            x_feat = max_pool(x_feat, run, self.proj_conv3.module)\n        s = run.record(\"MS_SPS_lif3\", self.proj_lif3(x_feat, run))", "        s = run.record(\"MS_SPS_lif3\", self.proj_lif3(x_feat, run))\n        if self.pools[3]:\n            s = pool(s, 2, run)\n            x_feat = max_pool(x_feat, run)"),
    "pool window too small": (ENGINE, POOL, "min(y + 2, height)", "min(y + 1, height)"),
    "pool reaches into the next image": (ENGINE, POOL, "min(y + 2, height)", "y + 2"),
    "pool of the wrong image": (ENGINE, POOL, "// out_height * height", "// out_height * 0"),
    "pooled currents padded with zero": (ENGINE, ANALOG, "pooled[image, p, o] = current[image, 2 * y * width + 2 * x, o]", "pooled[image, p, o] = 0"),
    "bits left over": (ENGINE, BITSET, "        bits[w] = 0\n", ""),
    # attention
    "K OR V": (ENGINE, SDSA, "n_events += contains(bits, a_channels[e])", "n_events += 1"),
    "mask of another time step": (ENGINE, SDSA, "b = row // rows_per_b", "b = row % (len(b_offsets) - 1)"),
    "mask of the token before": (ENGINE, SDSA, "if i == count - 1 or (row + 1) % rows_per_b == 0:", "if i == count - 1:"),
    "mask forgotten at the start of a tile": (ENGINE, SDSA, "if i == 0 or row % rows_per_b == 0:", "if row % rows_per_b == 0:"),
    "V masked instead of Q": (ENGINE, "network/sdsa.py", "z = intersect(q, mask, run, self.masked)", "z = intersect(v, mask, run, self.masked)"),
    "Q pooled too": (ENGINE, "network/sdsa.py", "k, v = pool(k, 1, run, self.k_lif.module), pool(v, 1, run, self.v_lif.module)", "k, v, q = pool(k, 1, run), pool(v, 1, run), pool(q, 1, run)"),
    "K AND V not pooled": (ENGINE, "network/sdsa.py", "            kv = pool_tokens(kv, self.heads, run, self.kv)\n", "            pass\n"),
    "channels cross heads": (ENGINE, "engine/set_operations.py", "low = channel - (channel % depth > 0)", "low = channel - (channel > 0)"),
    "tokens cross images": (ENGINE, SDSA, "stop = row + min(n_tokens - token, 2)", "stop = min(row + 2, len(offsets) - 1)"),
    "tokens in columns": (ENGINE, SDSA, "start = row - min(token, 1)", "start = row"),
    "slow PLIF mask made an OR": (ENGINE, "network/sdsa.py", "lif.counts(count, tokens)", "lif.counts((count > 0) * 9, tokens)"),
    # shortcuts, head, data flow
    "RPE without its residual": (ENGINE, "network/sps.py", ", residual=x_feat)", ")"),
    "attention without its shortcut": (ENGINE, "network/sdsa.py", ", residual=u)", ")"),
    "outer shortcut kept at mlp_ratio 1": (ENGINE, "network/mlp.py", "y = u = store(y, run, residual=u)", "y = store(y, run, residual=u)"),
    "mean over tokens backwards": (ENGINE, "network/head.py", "total += tokens[:, :, :, n]", "total = tokens[:, :, :, n] + total if n % 2 else total + tokens[:, :, :, H * W - n] if n > 1 else total"),
    "mean after the neurons": (ENGINE, "network/head.py", "total / u.dtype.type(H * W))", "total)"),
    "mean over steps forgotten": (ENGINE, "network/head.py", "return total / logits.dtype.type(len(logits))", "return total"),
    "static image only at step 0": (ENGINE, LIF, "frame = t if n_frames > 1 else 0", "frame = t"),
    "frames all like the first": (ENGINE, ANALOG, "pixel = (frame * n_rows + position", "pixel = (position"),
    "tiles joined in the wrong order": (ENGINE, "engine/events.py", "for same_step in zip(*steps, strict=True) for step in same_step", "for tile in steps for step in tile"),
    # token-parallel
    "attention to one's own tokens": (TEAM, "engine/token_parallel.py", "act(*(sum(shares[1:], shares[0]) for shares in zip(*self._parts, strict=True)))", "act(*self._parts[0])"),
    "tokens of two images mixed": (TEAM, "engine/stored.py", "axis=3,", "axis=2,"),
    "shares of the events in the wrong order": (TEAM, "engine/events.py", "for share in shares\n        ]", "for share in shares[::-1]\n        ]"),
    "currents of the first thread": (TEAM, "engine/token_parallel.py", "np.concatenate(arrays, axis=-1)", "np.concatenate([arrays[0]] * len(arrays), axis=-1)"),
    "operations of the first thread": (TEAM, "engine/token_parallel.py", "    for rank in ranks:\n        run.counter.merge", "    for rank in ranks[:1]:\n        run.counter.merge"),
    # folding
    "epsilon forgotten": (FOLDING, "weights/folding.py", ") + BATCH_NORM_EPSILON)", "))"),
    "bias not scaled": (FOLDING, "weights/folding.py", "(bias - wide(f\"{norm}.running_mean\")) * gain", "bias - wide(f\"{norm}.running_mean\") * gain"),
    "mean added": (FOLDING, "weights/folding.py", "bias - wide(", "bias + wide("),
    "beta forgotten": (FOLDING, "weights/folding.py", " + wide(f\"{norm}.bias\"))", ")"),
    "attention threshold 1": (FOLDING, "weights/folding.py", "ATTENTION_THRESHOLD = 0.5", "ATTENTION_THRESHOLD = 1.0"),
    "decay is tau": (FOLDING, "weights/folding.py", "LIF_LEAK = 0.5", "LIF_LEAK = 2.0"),
    # the oracle itself
    "oracle: > for >=": (ORACLE, "dense/neuron.py", "h >= neuron.threshold", "h > neuron.threshold"),
    "oracle: soft reset": (ORACLE, "dense/neuron.py", "np.where(spikes, h.dtype.type(0), h)", "h - spikes"),
    "oracle: mirrored kernel": (ORACLE, "dense/layers.py", "ky : ky + H, kx : kx + W]  #", "2 - ky : 2 - ky + H, kx : kx + W]  #"),
    "oracle: no bias": (ORACLE, "dense/layers.py", "out[:] = layer.bias[:, None, None]", "out[:] = 0"),
    "oracle: zero padding in the pool": (ORACLE, "dense/layers.py", "lowest = -np.inf if x.dtype.kind == \"f\" else np.iinfo(x.dtype).min", "lowest = 0"),
    "oracle: borders not counted": (ORACLE, "dense/layers.py", "min(y + pad, H - 1)", "(y + pad)"),
}  # fmt: skip


@pytest.mark.parametrize("check", [ENGINE, TEAM, FOLDING, ORACLE, NEURON], ids=lambda check: check.__name__)
def test_an_unchanged_copy_is_green(tmp_path: Path, check: Check) -> None:
    with changed_copy(tmp_path) as package:
        check(package)


# in the instructions that compiled kernels get, where plain Python does not come by
COMPILED_FAULTS: dict[str, tuple[str, str, str]] = {
    "> for >=": (VECTOR, 'fcmp_ordered(">=", h', 'fcmp_ordered(">", h'),
    "one vector forgotten": (
        VECTOR,
        "for total, row in zip(sums, loaded, strict=True)]\n",
        "for total, row in zip(sums[:1] + sums[:-1], loaded, strict=True)]\n",
    ),
    "rows beyond the slab forgotten": (
        VECTOR,
        "        return e\n\n    return signature, generate",
        "        return last\n\n    return signature, generate",
    ),
    "one vector of biases forgotten": (VECTOR, "for k in read.vectors:", "for k in read.vectors[1:]:"),
    "multiplied and added in one rounding": (
        VECTOR,
        "product = builder.fmul(value, weights.load(element, k))\n                builder.store(builder.fadd(builder.load(total), product), total)",
        "product = builder.fmul(value, weights.load(element, k), flags=('contract',))\n                builder.store(builder.fadd(builder.load(total), product, flags=('contract',)), total)",
    ),
    "channels of the first byte": (BITSET, "builder.add(base, index(8 * byte))", "builder.add(base, index(0))"),
    "places counted, not spikes": (BITSET, "builder.ctpop(value)", "builder.ctpop(index(255))"),
    "too many bytes for 16 bits": (VECTOR, "ROWS_OF_BYTES = 255", "ROWS_OF_BYTES = 1000"),
    "fixed: > for >=": (FIXED_KERNELS, 'icmp_signed(">=", h', 'icmp_signed(">", h'),
    "fixed: halves not to even": (FIXED_KERNELS, "b.and_(b.ashr(y, right), even)", "even"),
    "fixed: never negative": (FIXED_KERNELS, "b.and_(b.ashr(y, sign), negative)", "negative"),
    "fixed: wraps one too far": (
        FIXED_KERNELS,
        "around = b.add(b.and_(b.sub(x, low), b.sub(high, low)), low)",
        "around = inside",
    ),
    "fixed: overflows of the last vector": (
        FIXED_KERNELS,
        "                overflows = builder.add(overflows, more)\n            return overflows\n",
        "                overflows = more\n            return overflows\n",
    ),
    "fixed: terms of the leak all added": (
        FIXED_KERNELS,
        "builder.select(adds, builder.add(before, moved), builder.sub(before, moved))",
        "builder.add(before, moved)",
    ),
    "membrane kept after a spike": (
        VECTOR,
        "builder.select(fired, ir.Constant(inputs.type, [0.0] * inputs.lanes), h)",
        "h",
    ),
}
COMPILED_NETWORKS = [
    Network(dim=512, hidden=64, time_steps=2, height=4, width=2, pooling_stat="0000", batch=1, dyadic=True),
    Network(dim=512, hidden=64, time_steps=2, height=4, width=8, pooling_stat="0000", batch=1),  # products are rounded
]


def compiled_engine_equals_oracle(package: ModuleType) -> None:
    for n in COMPILED_NETWORKS:
        assert_engine_equals_oracle(n, package=package)
    for n, formats in FORMATS[:3]:
        assert_engine_equals_oracle(n, "fixed", package=package, formats=formats)
    sums_of_bytes_are_exact(package)


@pytest.mark.parametrize("name", COMPILED_FAULTS)
def test_a_fault_in_compiled_instructions_is_caught(tmp_path: Path, name: str) -> None:
    with (
        changed_copy(tmp_path, COMPILED_FAULTS[name], jit=True) as package,
        pytest.raises((AssertionError, IndexError)),
    ):
        compiled_engine_equals_oracle(package)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(tmp_path: Path, name: str) -> None:
    check, *change = FAULTS[name]
    with changed_copy(tmp_path, tuple(change)) as package, pytest.raises((AssertionError, IndexError, ValueError)):
        check(package)
