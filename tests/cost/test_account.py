"""Operations: every one is counted as dense tensors say, in every arithmetic."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.cost.account import SYNAPSES, Accountant, reached, saved_by_exit
from sdt_ref.cost.technology import memory_traffic
from sdt_ref.dense import layers as dense
from sdt_ref.dense import steps
from sdt_ref.engine.events import SpikeEvents
from sdt_ref.engine.neuron import is_or
from sdt_ref.result import OPERATIONS, OperationCount, Result
from sdt_ref.weights.wiring import wiring
from tests.equality import assert_same
from tests.networks import Network, input_of, model_of, weights_of
from tests.strategies import networks


def windows(spikes: np.ndarray, stride: int) -> np.ndarray:
    """Ones in all 3x3 windows over the last two axes of [T, ...], each counted in each window: int64[T]."""
    edge = [(0, 0)] * (spikes.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(spikes.astype(np.int64), edge)
    H, W = spikes.shape[-2:]
    parts = [padded[..., y : y + H : stride, x : x + W : stride] for y in range(3) for x in range(3)]
    return np.sum([part.reshape(len(spikes), -1).sum(axis=1) for part in parts], axis=0)


def per_step(spikes: np.ndarray) -> np.ndarray:
    return spikes.reshape(len(spikes), -1).sum(axis=1, dtype=np.int64)


class Expected:
    """All operations besides the weight layers, from dense tensors: (kind, stage) -> field -> int64[T]."""

    def __init__(self, model: Any, result: Result, batch: int) -> None:
        self.table: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        self.T, self.batch, self.config = len(result.logits_per_step), batch, model.config
        self.result = result
        ones = np.ones(self.T, np.int64)
        # spikes as they leave the neurons, before any pool
        fired = {module: steps(model.neurons[module], current)[1] for module, current in result.currents.items()}
        for module, spikes in fired.items():
            n = spikes[0].size
            self.add("threshold", module, comparisons=n * ones, events=per_step(spikes), neurons=n * ones)
            self.add("leak", module, ac=n * ones, mac=n * ones)
        for stage, pooled in zip(("", "1", "2"), self.config.pools, strict=False):
            if pooled:
                self.pool(f"patch_embed.proj_lif{stage}", fired[f"patch_embed.proj_lif{stage}"], 2)
        if self.config.pools[3]:
            B, C, H, W = fired["patch_embed.proj_lif3"].shape[1:]
            inside = windows(np.ones((1, 2 * H, 2 * W), np.int64), 2)[0]
            self.add("max_pool", "patch_embed.proj_conv3", comparisons=B * C * (inside - H * W) * ones)
        for j in range(model.architecture.depth):
            self.attention(f"block.{j}.attn", f"MS_SSA_Conv{j}", fired)
        stream = next(iter(result.streams.values()))
        for module, u in result.streams.items():
            if module != "patch_embed.proj_conv3":
                self.add("residual", module, ac=u[0].size * ones)
            stream = u
        self.add("token_mean", "head_lif", ac=stream[0].size * ones, mac=batch * stream.shape[2] * ones)
        last = np.zeros(self.T, np.int64)
        last[-1] = result.logits.size
        self.add("time_mean", "head", ac=result.logits.size * ones, mac=last)

    def add(self, kind: str, stage: str, **fields: np.ndarray) -> None:
        self.table[kind, stage] = fields

    def pool(self, stage: str, spikes: np.ndarray, stride: int) -> np.ndarray:
        pooled = dense.max_pool(spikes, stride)
        n = np.full(self.T, pooled[0].size)
        self.add("pool", stage, comparisons=windows(spikes, stride), events=per_step(pooled), neurons=n)
        return pooled

    def attention(self, module: str, hook: str, fired: dict[str, np.ndarray]) -> None:
        q, k, v = (fired[f"{module}.{name}_lif"] for name in "qkv")
        if self.config.dvs_mode:
            k, v = self.pool(f"{module}.k_lif", k, 1), self.pool(f"{module}.v_lif", v, 1)
        T, B, C = q.shape[:3]
        heads = self.config.num_heads

        def in_heads(spikes: np.ndarray) -> np.ndarray:
            return spikes.reshape(T, B, heads, C // heads, -1).swapaxes(-1, -2)  # [T, B, h, N, d]

        kv = in_heads(k & v)
        self.add("attention", f"{module}.kv", comparisons=per_step(k))
        if self.config.dvs_mode:
            kv = self.pool(f"{module}.kv", kv, 1)
        self.add("attention", f"{module}.talking_heads_lif", ac=per_step(kv), events=per_step(kv))
        mask = self.result.spikes[f"{hook}_kv"].to_dense()
        self.add("attention", f"{module}.masked", comparisons=per_step(q))
        if self.config.dvs_mode:
            self.pool(f"{module}.masked", in_heads(q) & mask, 1)


def assert_operations(actual: OperationCount, expected: dict[str, np.ndarray], name: str) -> None:
    for field in OPERATIONS:
        wanted = expected.get(field, np.zeros_like(actual.ac))
        assert_same(getattr(actual, field), np.asarray(wanted, np.int64), f"{field} of {name}")


def assert_operations_equal_dense_counts(n: Network, package: ModuleType = sdt_ref) -> None:
    model, x = model_of(n, package=package), input_of(n)
    result = model(x, record="currents")
    wanted = Expected(model, result, n.batch).table
    found = {(kind, s): c for kind, stages in result.stage_counts.items() if kind != "bias" for s, c in stages.items()}
    assert set(found) == set(wanted)
    for (kind, stage), count in found.items():
        assert_operations(count, wanted[kind, stage], f"{kind} of {stage}")
    biases = result.stage_counts["bias"]
    assert set(biases) == set(model.read_back().layers)
    sides = [n.height * n.width >> 2 * n.pooling_stat[:stage].count("1") for stage in range(5)]
    tokens = {
        "patch_embed.proj_conv": sides[0],
        **{f"patch_embed.proj_conv{k}": sides[k] for k in (1, 2, 3)},
        "head": 1,
    }
    for module, count in biases.items():  # one for each output; of a picture, the first layer's once
        once = module == "patch_embed.proj_conv" and not n.frames
        steps = np.arange(len(count.ac)) < (1 if once else len(count.ac))
        outputs = n.batch * tokens.get(module, sides[4]) * len(model.layer(module).bias)
        assert_operations(count, {"ac": steps * outputs}, f"bias of {module}")


@pytest.mark.slow
@example(Network(dvs_mode=True, num_heads=2, dim=16, height=8, width=4, batch=2))
@example(Network(pooling_stat="1111", height=16, width=16))
@example(Network(hidden=16, frames=True, batch=3))
@given(networks())
@settings(max_examples=40)
def test_every_operation_equals_a_dense_count(n: Network) -> None:
    assert_operations_equal_dense_counts(n)


def brute_force(spikes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Events times outputs that each reaches through a weight that is not zero, one by one: int64[T]."""
    k = weight.shape[2]
    H, W = spikes.shape[-2:]
    total = np.zeros(len(spikes), np.int64)
    for t, _, c, y, x in np.argwhere(spikes):
        for ky, kx in np.ndindex(k, k):
            if 0 <= y - ky + k // 2 < H and 0 <= x - kx + k // 2 < W:
                total[t] += np.count_nonzero(weight[:, c, ky, kx])
    return total


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.3, 1.0]),
)
@settings(max_examples=40)
def test_outputs_reached_equal_those_found_one_by_one(seed: int, k: int, H: int, W: int, firing: float) -> None:
    rng = np.random.default_rng(seed)
    spikes = (rng.random((2, 2, 3, H, W)) < firing).astype(np.uint8)
    weight = rng.integers(-1, 2, (4, 3, k, k))
    reach = np.count_nonzero(weight, axis=0).transpose(1, 2, 0)
    assert_same(reached(SpikeEvents.from_dense(spikes), reach), brute_force(spikes, weight), "outputs reached")


def with_zero_weights(n: Network, seed: int) -> Any:
    """A network, one third of whose weights are zero."""
    weights, rng = weights_of(n), np.random.default_rng(seed)
    for name, tensor in weights.tensors.items():
        if name.endswith("conv.weight") or "conv1.weight" in name or name == "head.weight":
            tensor[rng.random(tensor.shape) < 1 / 3] = 0
    return sdt_ref.SpikeDrivenTransformer(weights, threads=1)


@pytest.mark.slow
@given(networks(), st.integers(0, 1000))
@settings(max_examples=20)
def test_effective_and_dense_operations(n: Network, seed: int) -> None:
    """Effective ones need an input and a weight that are not zero; with all weights there they are those performed."""
    model, x = with_zero_weights(n, seed), input_of(n)
    x[..., ::2] = 0  # silent pixels
    result = model(x, record=True)
    account = Accountant(model).of(x, result)
    frames = np.asarray(x, np.float32)
    image = frames[None] if frames.ndim == 4 else frames.swapaxes(0, 1)
    for name, stage in wiring(model.architecture, model.config).items():
        if stage.layer is None:
            continue
        weight = model.layer(stage.layer).weight
        effective = account.get(name, SYNAPSES, "effective_macs") + account.get(name, SYNAPSES, "effective_acs")
        if stage.layer == "patch_embed.proj_conv":
            wanted = np.zeros(len(effective), np.int64)
            wanted[: len(image)] = brute_force(image != 0, weight)
            full = np.zeros_like(wanted)
            full[: len(image)] = brute_force(np.ones_like(image, np.uint8), np.ones_like(weight))
            assert not account.get(name, SYNAPSES, "effective_acs").any()
        else:
            spikes = result.spikes[account.stages[stage.reads[0]].hook].to_dense()
            if spikes.ndim == 3:
                spikes = spikes[..., None, None]
            elif stage.reads[0].endswith(".masked"):
                T, B, h, N, d = spikes.shape
                spikes = spikes.swapaxes(-1, -2).reshape(T, B, h * d, N, 1)
            if stage.pooled:
                spikes = dense.max_pool(spikes, 2)
            wanted = brute_force(spikes, weight)
            full = brute_force(np.ones_like(spikes), np.ones_like(weight))
            assert not account.get(name, SYNAPSES, "effective_macs").any()
        assert_same(effective, wanted, f"effective operations of {name}")
        assert_same(account.get(name, SYNAPSES, "dense"), full, f"dense operations of {name}")
        performed = account.get(name, SYNAPSES, "ac") + account.get(name, SYNAPSES, "mac")
        assert (effective <= performed).all()
        assert (performed <= full).all()
        assert_same(account.get(name, SYNAPSES, "weight_rows") * len(weight), performed, f"weights of {name}")


@given(networks())
@settings(max_examples=20)
def test_totals_add_up(n: Network) -> None:
    model, x = model_of(n), input_of(n)
    result = model(x, record=True)
    account = Accountant(model).of(x, result)
    for field in OPERATIONS:
        layers = sum(getattr(count, field).sum() for count in result.counts.values())
        others = sum(getattr(count, field).sum() for count in result.other_counts.values())
        assert account.total(field) == layers + others
        assert account.total(field, SYNAPSES) == layers
    weights = sum((count.ac + count.mac).sum() for count in result.counts.values())
    membranes = 2 * result.other_counts["threshold"].neurons.sum()
    assert memory_traffic(account) == {"weights": (weights, 32 * weights), "membranes": (membranes, 32 * membranes)}


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.sampled_from([0.1, 1.0]))
@settings(max_examples=40)
def test_an_early_exit_makes_the_comparisons_up_to_the_first_hit(seed: int, k_rate: float, v_rate: float) -> None:
    rng = np.random.default_rng(seed)
    k, v = (rng.random((3, 2, 5, 2, 4)) < rate for rate in (k_rate, v_rate))
    made = np.zeros(3, np.int64)
    for t, b, c in np.ndindex(k.shape[:3]):
        for hears, there in zip(k[t, b, c].ravel(), v[t, b, c].ravel(), strict=True):
            made[t] += hears
            if hears and there:
                break
    events = SpikeEvents.from_dense(k.astype(np.uint8))
    saved = saved_by_exit(events, SpikeEvents.from_dense((k & v).astype(np.uint8)))
    assert_same(events.events_per_step() - saved, made, "comparisons of an early exit")


def test_an_attention_is_an_or_where_one_token_reaches_the_threshold() -> None:
    for w, expected in ((0.0, True), (0.5, True), (-1e-3, False)):
        n = Network(spike_mode="plif")
        weights = weights_of(n)
        weights.tensors["block.0.attn.talking_heads_lif.w"] = np.float32(w)
        for arithmetic in ("float32", "fixed"):
            model = sdt_ref.SpikeDrivenTransformer(weights, arithmetic, 1)
            leak = model.neurons["block.0.attn.talking_heads_lif"]
            assert is_or(leak) == (expected or arithmetic == "fixed"), (w, arithmetic)  # -0.001 rounds to 1/2 there
            account = Accountant(model).account(input_of(n))
            assert bool(account.early_exit) == is_or(leak)


def test_fixed_point_shifts_and_multiplies_nothing() -> None:
    n = Network(spike_mode="plif")
    model = model_of(
        n,
        "fixed",
        formats='schema_version = 1\n[default]\nmembrane = { leak = "2^-1 + 2^-3", bits = 16, fraction = 11 }',
    )
    account = Accountant(model).account(input_of(n))
    assert account.total("mac") == 0
    updates = account.total("neurons", "threshold")
    assert account.total("shifts", "leak") == 2 * updates
    assert account.total("ac", "leak") == 3 * updates  # x - v, and two terms
    one = account.get("patch_embed.proj_lif", "register", "shifts")
    moved = np.count_nonzero(model.layer("patch_embed.proj_conv").fraction != 11)
    assert one.tolist() == [n.batch * n.height * n.width * moved] * n.time_steps


def test_traffic_of_narrow_numbers() -> None:
    n = Network(batch=1)
    text = 'schema_version = 1\n[default]\nweight = { bits = 6 }\n[stage."head_lif"]\nmembrane = { bits = 20 }'
    account = Accountant(model_of(n, "fixed", formats=text)).account(input_of(n))
    moved = memory_traffic(account)
    assert moved["weights"][1] == 6 * moved["weights"][0]
    head = 2 * account.get("head_lif", "threshold", "neurons").sum()
    assert moved["membranes"][1] == 16 * moved["membranes"][0] + 4 * head
