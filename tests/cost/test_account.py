"""What a run costs: every operation that the engine counts equals an independent dense count; energy, formula, statistic."""

import csv
import io
import json
import math
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import sdt_ref
from sdt_ref import energy as command
from sdt_ref.cost import formula, published
from sdt_ref.cost.account import FIELDS, SYNAPSES, Account, Accountant, reached, saved_by_exit
from sdt_ref.cost.average import Spread
from sdt_ref.cost.official import OfficialStatistic
from sdt_ref.cost.summary import take_stock, to_csv, to_json
from sdt_ref.cost.technology import ON_BITS, TECHNOLOGIES, energy, memory_traffic, technology
from sdt_ref.dense import layers as dense
from sdt_ref.dense import steps
from sdt_ref.engine.events import SpikeEvents
from sdt_ref.engine.neuron import is_or
from sdt_ref.result import OPERATIONS, OperationCount, Result
from sdt_ref.weights.wiring import wiring
from tests.equality import assert_same
from tests.networks import Network, input_of, model_of, weights_of
from tests.strategies import networks

Capture = pytest.CaptureFixture[str]
FLOAT = TECHNOLOGIES["45nm-float32"]


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


# energy


def test_energy_of_each_kind_by_hand() -> None:
    cell = np.zeros((len(FIELDS), 2))
    for field, value in (("ac", 10), ("mac", 3), ("comparisons", 7), ("shifts", 5)):
        cell[FIELDS.index(field)] = value, 0
    account = Account({}, {("a", kind): cell for kind in (SYNAPSES, "leak", "token_mean", *ON_BITS)}, {}, {})
    how = FLOAT.with_values({"shift": 0.5})
    spent = energy(account, how)
    assert spent["a", SYNAPSES].tolist() == pytest.approx([10 * 0.9 + 3 * 4.6 + 7 * 0.9 + 5 * 0.5, 0])
    assert spent["a", "token_mean"][0] == pytest.approx(10 * 0.9 + 3 * 3.7 + 7 * 0.9 + 5 * 0.5)  # it only divides
    assert spent["a", "pool"][0] == pytest.approx(10 * 0.9 + 3 * 3.7 + 7 * 0.03 + 5 * 0.5)


def test_technologies_have_sources_and_the_paper_s_constants() -> None:
    assert FLOAT.mac == pytest.approx(4.6)
    assert FLOAT.add == 0.9
    for how in TECHNOLOGIES.values():
        assert any(year in how.source for year in ("2014", "2021"))
        assert 0 < how.bit <= how.add <= how.mac
    with pytest.raises(sdt_ref.SdtError, match="expected one of 45nm-float32"):
        technology("3nm")
    for value in (-1.0, math.nan, math.inf, 1e300):
        with pytest.raises(sdt_ref.SdtError, match="expected picojoules, 0 to 1e\\+06"):
            FLOAT.with_values({"add": value})
    with pytest.raises(sdt_ref.SdtError, match="expected one of multiply, add"):
        FLOAT.with_values({"name": 1.0})


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_spread_is_that_of_the_sample(values: list[float]) -> None:
    spread = Spread()
    for value in values:
        spread.add(value)
    assert spread.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert spread.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-6)


# the formula


def test_flops_of_the_published_networks() -> None:
    """8-512 at 224: as semantics of the layers say, by hand."""
    sizes = formula.flops(published.PUBLISHED["sdt-8-512"].architecture, published.IMAGENET, 224, 224)
    assert sizes["patch_embed.proj_conv"] == 9 * 224 * 224 * 3 * 64
    assert sizes["patch_embed.proj_conv1"] == 9 * 112 * 112 * 64 * 128
    assert sizes["patch_embed.proj_conv3"] == 9 * 28 * 28 * 256 * 512
    assert sizes["patch_embed.rpe_conv"] == 9 * 14 * 14 * 512 * 512
    assert sizes["block.7.attn.q_conv"] == 196 * 512 * 512
    assert sizes["block.0.mlp.fc1_conv"] == 196 * 512 * 2048
    assert sizes["head"] == 512 * 1000
    assert len(sizes) == 6 + 8 * 6


@given(networks(), st.sampled_from(["float32", "fixed"]))
@settings(max_examples=30)
def test_formula_plus_pooling_less_borders_is_what_was_counted(n: Network, arithmetic: str) -> None:
    model, x = model_of(n, arithmetic), input_of(n)
    account = Accountant(model).account(x)
    tokens = formula.n_tokens(model.config, n.height, n.width)
    sizes = formula.flops(model.architecture, model.config, n.height, n.width)
    table = formula.estimates(account, sizes, tokens, n.dim, n.batch)
    for name, estimate in table.items():
        if account.stages[name].layer is None:
            module = name.removesuffix(".talking_heads_lif")
            q, k = (account.hook(f"{module}.{p}_lif").sum() for p in "qk")
            assert estimate.acs == pytest.approx((q + k) * n.batch * tokens * n.dim)
            assert not estimate.complete
            continue
        if name == "patch_embed.proj_lif" and arithmetic == "fixed":  # bit planes add what the formula multiplies
            assert not estimate.complete
            assert estimate.macs == n.batch * sizes["patch_embed.proj_conv"] * (n.time_steps if n.frames else 1)
            continue
        assert estimate.complete
        counted = (account.get(name, SYNAPSES, "ac") + account.get(name, SYNAPSES, "mac")).sum()
        assert estimate.macs + estimate.acs + estimate.pooling + estimate.borders == pytest.approx(counted, abs=1e-6)
        assert estimate.pooling >= -1e-6
        assert estimate.borders <= 1e-6
        if account.stages[name].window == 1:
            assert estimate.borders == pytest.approx(0, abs=1e-6)
        if not account.stages[name].pooled:
            assert estimate.pooling == pytest.approx(0, abs=1e-6)


def test_the_ratio_of_the_abstract() -> None:
    """Which rates give 87.2, with Q, K and V and without."""
    for dim, rate in ((384, 0.0196), (512, 0.0184), (768, 0.0171)):
        found = formula.rate_for_ratio(published.PUBLISHED_RATIO, 196, dim, 4, with_qkv=True)
        assert found == pytest.approx(rate, abs=5e-5)
        assert formula.attention_ratio(196, dim, 4, found, found) == pytest.approx(87.2)
    impossible = formula.rate_for_ratio(published.PUBLISHED_RATIO, 196, 512, 4, with_qkv=False)
    assert impossible == pytest.approx(2 * 196 * 4.6 / (4 * 0.9) / 87.2)
    assert impossible > 2  # more than all of Q and K: the operator alone is cheaper than the abstract says
    assert formula.attention_ratio(196, 512, 4, 2.0) > 250


def test_published_energies() -> None:
    rates = {name: published.explaining_rate(row) for name, row in published.PUBLISHED.items()}
    assert [row.millijoules for row in published.PUBLISHED.values()] == [3.90, 3.56, 4.50, 5.53, 6.09]
    for name, row in published.PUBLISHED.items():
        sizes = formula.flops(row.architecture, published.IMAGENET, 224, 224)
        first = sizes.pop("patch_embed.proj_conv") * 4.6
        assert (first + 4 * rates[name] * sum(sizes.values()) * 0.9) / 1e9 == pytest.approx(row.millijoules)
        assert 0.05 < rates[name] < 0.25
    block = formula.vanilla(published.PUBLISHED["sdt-8-512"].architecture, published.IMAGENET, 224, 224)
    assert block.attention == 8 * 2 * 196 * 196 * 512
    assert block.qkv == 8 * 3 * 196 * 512 * 512
    assert block.macs == sum(v for k, v in vars(block).items())


def test_tables_of_published_figures(capsys: Capture) -> None:
    code, out, _ = run(capsys, "--published")
    assert code == 0
    assert re.search(r"sdt-8-512 +4.50 +0.40 +29.41 +0.139 +0.099 +5.8\d\n", out)
    assert re.search(r"sdt-8-768 +288 +31.89 +23% +146.70 *\n", out)
    assert re.search(r"768 +224 +196 +0.0171 +5.74 +4.5\n", out)
    code, out, _ = run(capsys, "--published", "--json")
    tables = json.loads(out)
    assert [len(tables[name]) for name in ("energies", "without_spikes", "ratios")] == [5, 10, 6]


# the official statistic


def test_official_statistic_divides_by_one_batch_less() -> None:
    statistic = OfficialStatistic()
    batches = [np.zeros((4, b, 2, 1, 1), np.uint8) for b in (3, 3, 1)]
    batches[0][1] = 1
    batches[2][1, 0, 0] = 1
    for dense_spikes in batches:
        statistic.add({"lif": SpikeEvents.from_dense(dense_spikes)})
    table = statistic.table()
    assert table["firing_rate"]["t1"]["lif"] == (1 + 0 + 0.5) / 2  # the short batch weighs as much as the others
    assert table["firing_rate"]["t0"]["lif"] == 0
    assert list(table) == ["non_zero", "firing_rate"]
    assert list(table["non_zero"]) == ["t0", "t1", "t2", "t3"]


@pytest.mark.parametrize("T", [3, 5])
def test_official_statistic_knows_four_time_steps(T: int) -> None:
    with pytest.raises(sdt_ref.SdtError, match=f"expected 4 time steps, found {T}"):
        OfficialStatistic().add({"lif": SpikeEvents.from_dense(np.ones((T, 1, 1, 1, 1), np.uint8))})


def test_official_statistic_of_one_batch_is_refused() -> None:
    statistic = OfficialStatistic()
    statistic.add({"lif": SpikeEvents.from_dense(np.ones((4, 1, 1, 1, 1), np.uint8))})
    with pytest.raises(sdt_ref.SdtError, match="expected two batches at least, found 1"):
        statistic.table()


# the report and the command


def test_report_of_two_pictures_is_the_mean_of_both() -> None:
    n = Network(batch=2, pooling_stat="0011")
    model, x = model_of(n), input_of(n)
    both, first, second = (take_stock(model, inputs, 8, FLOAT) for inputs in (x, x[:1], x[1:]))
    assert both is not None
    assert first is not None
    assert second is not None
    parts = [energy(each.account, FLOAT) for each in (first, second)]
    for cell, pj in energy(both.account, FLOAT).items():
        assert pj == pytest.approx((parts[0][cell] + parts[1][cell]) / 2)
    totals = [sum(pj.sum() for pj in each.values()) for each in parts]
    assert both.average.spreads["counted"].mean == pytest.approx(np.mean(totals))
    assert both.average.spreads["counted"].deviation == pytest.approx(np.std(totals, ddof=1))
    assert take_stock(model, [], 8, FLOAT) is None


def test_csv_and_json_say_the_same() -> None:
    n = Network(batch=1, dvs_mode=True)
    report = take_stock(model_of(n), input_of(n), 8, FLOAT)
    assert report is not None
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    summary = json.loads(json.dumps(to_json(report, memory=True), allow_nan=False))
    assert "nan" not in to_csv(report)
    assert sum(float(row["picojoules"]) for row in rows) == pytest.approx(summary["picojoules"]["counted"]["mean"])
    acs = sum(
        sum(kind.get("ac", []))
        for stage in summary["stages"].values()
        for name, kind in stage.items()
        if name != "formula"
    )
    assert acs == sum(float(row["ac"]) for row in rows)
    assert {(row["stage"], row["kind"]) for row in rows} == {
        (stage, kind) for stage, kinds in summary["stages"].items() for kind in kinds if kind != "formula"
    }


def run(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    code = command.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def picture(path: Path, seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)).save(path)
    return path


def test_command_counts_pictures_of_a_folder_and_skips_unreadable_ones(tmp_path: Path, capsys: Capture) -> None:
    for k in range(3):
        picture(tmp_path / f"{k}.png", k)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code, out, err = run(capsys, tmp_path, "--csv", tmp_path / "e.csv", "--plot", tmp_path / "e.png", "--memory")
    assert code == 1
    assert "3 pictures" in out
    assert "+-" in out
    assert "memory, 5 pJ per 32 bits" in out
    assert "nan" not in out.lower()
    assert err.startswith("unreadable broken.png")
    with Image.open(tmp_path / "e.png") as drawn:
        assert drawn.size[0] > 600
    assert (tmp_path / "e.csv").read_text().startswith("stage,kind,time_step,ac,")
    code, out, err = run(capsys, tmp_path, "--json", "--limit", 2)
    summary = json.loads(out)
    assert (summary["pictures"], code) == (2, 0)


def test_command_without_a_readable_picture_shows_no_table(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code, out, err = run(capsys, tmp_path / "broken.png", "--plot", tmp_path / "e.png")
    assert (code, out) == (1, "")
    assert "unreadable" in err
    code, out, _ = run(capsys, tmp_path / "broken.png", "--json")
    assert code == 1
    assert len(json.loads(out)["unreadable"]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["broken.png"]


def test_command_prints_the_official_statistic(tmp_path: Path, capsys: Capture) -> None:
    for k in range(3):
        picture(tmp_path / f"{k}.png", k)
    code, out, _ = run(capsys, tmp_path, "--official-statistic", "--batch", 2, "--json")
    assert code == 0
    table = json.loads(out)["firing_rate"]
    model = sdt_ref.load()
    from sdt_ref.inputs.image import open_picture, preprocess

    inputs = np.stack(
        [preprocess(open_picture(tmp_path / f"{k}.png", as_official=True), model.preprocessing) for k in range(3)]
    )
    rates = [
        model(part, record=True).spikes["MS_SPS_lif"].to_dense().mean(axis=(1, 2, 3, 4))
        for part in (inputs[:2], inputs[2:])
    ]
    assert [table[f"t{t}"]["MS_SPS_lif"] for t in range(4)] == pytest.approx((rates[0] + rates[1]).tolist())
    code, out, _ = run(capsys, tmp_path, "--official-statistic", "--batch", 2)
    assert "so each rate is 2.0000 times the true one" in out


def test_no_picture_is_lost(tmp_path: Path, capsys: Capture) -> None:
    file = picture(tmp_path / "a.png")
    before = file.read_bytes()
    for where in (tmp_path, file):
        for option in ("--csv", "--plot"):
            code, out, err = run(capsys, where, option, file)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert "it is an input of this command" in err
    code, _, err = run(capsys, file, "--csv", tmp_path / "z.png", "--plot", tmp_path / "z.png")
    assert code == 2
    assert "expected two files" in err
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_values_of_one_s_own_may_be_zero_and_limits_huge(tmp_path: Path, capsys: Capture) -> None:
    zeros = [f"--pj={name}=0" for name in ("add", "multiply", "compare", "bit", "word")]
    code, out, _ = run(capsys, picture(tmp_path / "a.png"), *zeros, "--memory", "--limit", 10**20)
    assert code == 0
    assert "which is more than the formula" in out


def test_result_tables_are_made_once_and_lent_safely() -> None:
    n = Network()
    result = model_of(n)(input_of(n))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: id(result.counts["head"]), range(50)))
    assert len(set(made)) == 1
    result.other_counts["time_mean"].ac[:] = 7
    assert result.other_counts["time_mean"].ac.tolist() != [7] * n.time_steps
    copied = pickle.loads(pickle.dumps(result))
    assert copied.counts["head"].ac.tolist() == result.counts["head"].ac.tolist()
    assert result != copied
    assert len({result, copied}) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--published", "--csv", "{}/x.csv"], "--published: expected neither --csv nor --plot"),
        (["{}/none.png"], "picture '{}/none.png' does not exist"),
        (["{}"], "folder '{}': expected pictures"),
        (["--limit", "0"], "--limit: expected 1 or more, found 0"),
        (["--batch", "0"], "--batch: expected 1 or more, found 0"),
        (["--pj", "add"], "--pj: expected NAME=PJ such as add=0.05, found 'add'"),
        (["--pj", "add=nan"], "energy of 'add': expected picojoules, 0 to 1e+06, found nan"),
        (["--technology", "1nm"], "technology: expected one of 45nm-float32"),
        (["--plot", "{}/a.jpeg"], "expected a name that ends in .png, .svg, .pdf"),
        (["--plot", "{}/none/a.png"], "cannot write '{}/none/a.png'"),
        (["--csv", "{}"], "cannot write '{}': it is a folder"),
        (["--official-statistic"], "expected two batches at least, found 1"),
        (["--size", "30"], "expected height and width divisible by 4"),
        (["--weights", "{}/none.h5"], "weights file '{}/none.h5' does not exist"),
        (["--split", "x", "{}"], "expected a sub-folder 'x'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    code, out, err = run(capsys, *(a.replace("{}", str(tmp_path)) for a in arguments))
    assert (code, out) == (2, "")
    assert message.replace("{}", str(tmp_path)) in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
