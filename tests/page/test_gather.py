"""The page holds the run: every number in it is the engine's."""

from pathlib import Path

import numpy as np
import pytest

import sdt_ref
from sdt_ref.cost.account import Accountant
from sdt_ref.cost.technology import DEFAULTS, TECHNOLOGIES, energy
from sdt_ref.engine.neuron import is_or
from sdt_ref.inputs.image import preprocess
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.page import sampling
from sdt_ref.page.gather import Photo, gather
from sdt_ref.page.write import render
from sdt_ref.terminal import answer
from tests.networks import Network, model_of
from tests.page.embedded import Embedded, Page, counts, noise, unpacked


def assert_of_the_run(data: Page, model: SpikeDrivenTransformer, x: np.ndarray, result: sdt_ref.Result) -> None:
    """Everything that the page holds is what a recorded run of the engine says."""
    steps, T = data["steps"], len(result.logits_per_step)
    assert [stage["hook"] for stage in data["stages"]] == list(result.spikes)
    for stage in data["stages"]:
        events = result.spikes[stage["hook"]]
        dense = events.to_dense()[steps, 0].astype(np.int64)
        if dense.ndim == 4 and ("_kv" in stage["hook"] or "qkv" in stage["hook"]):  # [T, h, N, d]
            dense = np.moveaxis(dense, 2, 3).reshape(len(steps), stage["channels"], -1)
        dense = dense.reshape(len(steps), stage["channels"], stage["height"], stage["width"])
        assert stage["spikes"] == dense.sum(axis=(1, 2, 3)).tolist()
        assert stage["rate"] == pytest.approx(dense.mean(axis=(1, 2, 3)), rel=1e-12)
        assert stage["mean_rate"] == events.firing_rate
        chosen = stage["sample"]["channels"]
        shape = len(steps), len(chosen), stage["height"], stage["width"]
        assert np.array_equal(unpacked(stage["sample"]["bits"], *shape), dense[:, chosen])
        if stage["height"] * stage["width"] > 1:
            block, per_position = stage["map"]["block"], dense.sum(axis=1)
            padded = np.pad(per_position, [(0, 0), (0, -stage["height"] % block), (0, -stage["width"] % block)])
            summed = padded.reshape(len(steps), padded.shape[1] // block, block, -1, block).sum(axis=(2, 4))
            assert np.array_equal(counts(stage["map"]), summed)
            assert stage["map"]["max"] == summed.max()
        assert_membranes(stage, model, result, steps)
    for block in data["blocks"]:
        q, mask = (next(s for s in data["stages"] if s["hook"] == block["stages"][part]) for part in ("q", "mask"))
        opened = unpacked(block["mask"], len(steps), mask["channels"]).astype(np.int64)
        assert block["open"] == opened.sum(axis=1).tolist() == mask["spikes"]
        dense = result.spikes[q["hook"]].to_dense()[steps, 0].astype(np.int64)
        passing = (dense * opened[:, :, None, None]).sum(axis=1)
        assert block["passed"] == passing.sum(axis=(1, 2)).tolist()
        assert block["tokens"] == np.count_nonzero(passing, axis=(1, 2)).tolist()
        if block["passing"]["shape"] == list(passing.shape):
            assert np.array_equal(counts(block["passing"]), passing)
        for part, hook in (("q", "q_lif"), ("k", "k_lif"), ("v", "v_lif"), ("kv", "kv_before")):
            spikes = result.spikes[f"MS_SSA_Conv{block['block']}_{hook}"].to_dense()[steps, 0]
            assert block[part] == spikes.reshape(len(steps), -1).sum(axis=1).tolist()
    assert_answer(data, model, result)
    account = Accountant(model).of(x, result)
    spent = energy(account, TECHNOLOGIES[DEFAULTS[model.arithmetic.name]])
    operations = data["operations"]
    for field in ("ac", "mac", "comparisons", "shifts"):
        assert operations["sum"][field]["all"] == account.total(field)
        assert sum(kind[field]["all"] for kind in operations["kinds"]) == account.total(field)
        if len(steps) == T:
            assert sum(operations["sum"][field]["steps"]) == account.total(field)
    assert operations["sum"]["picojoules"]["all"] == pytest.approx(sum(pj.sum() for pj in spent.values()), rel=1e-12)
    layers = {layer["name"]: layer for layer in operations["layers"]}
    for name, count in answer.stages(model, result).items():
        assert layers[name]["ac"]["steps"] == count.ac[steps].tolist()
        assert layers[name]["mac"]["all"] == count.mac.sum()
        assert (layers[name]["reads"] or {"all": None})["all"] == (count.firing_rate if count.neurons.any() else None)


def assert_membranes(stage: Page, model: SpikeDrivenTransformer, result: sdt_ref.Result, steps: list[int]) -> None:
    """The histogram has every neuron; those above the threshold are the spikes; floats are binned as NumPy bins them."""
    if stage["module"] not in result.currents:
        assert "membrane" not in stage
        return
    table = np.array(stage["membrane"]["counts"])
    neurons = stage["channels"] * stage["height"] * stage["width"]
    assert (table.sum(axis=1) == neurons).all()
    fired = table[:, stage["membrane"]["firing"] :].sum(axis=1)
    if not (model.config.dvs_mode and stage["name"] in ("K", "V")):  # their official spikes are behind a pool
        assert fired.tolist() == stage["spikes"]
    if model.arithmetic.name == "fixed":
        return
    neuron = model.neurons[stage["module"]]
    edges = np.linspace(stage["membrane"]["lowest"], stage["membrane"]["highest"], table.shape[1] + 1)
    v = np.zeros_like(result.currents[stage["module"]][0])
    for t, x in enumerate(result.currents[stage["module"]]):
        h = v + (x - v) * neuron.leak
        v = np.where(h >= neuron.threshold, 0, h).astype(h.dtype)
        if t in steps:
            inside = np.clip(h.astype(np.float64) / float(neuron.threshold), edges[0], np.nextafter(edges[-1], 0))
            assert np.array_equal(np.histogram(inside, edges)[0], table[steps.index(t)])


def assert_answer(data: Page, model: SpikeDrivenTransformer, result: sdt_ref.Result) -> None:
    steps, scores = data["steps"], data["scores"]
    assert [(best["label"], best["score"]) for best in data["answer"]] == model.rank(result.logits[0])[:6]
    logits = result.logits_per_step[:, 0]
    assert np.array_equal(np.array(scores["logit"]), logits[steps][:, scores["classes"]].T)
    for i, t in enumerate(steps):
        mean = logits[: t + 1].astype(np.float64).mean(axis=0)
        softmax = np.exp(mean - mean.max()) / np.exp(mean - mean.max()).sum()
        assert [line[i] for line in scores["score"]] == pytest.approx(softmax[scores["classes"]], rel=1e-4, abs=1e-12)
    if steps[-1] == len(logits) - 1:
        assert [line[-1] for line in scores["score"]][:6] == [best["score"] for best in data["answer"]]


@pytest.mark.slow
def test_the_page_of_the_sample_photo_holds_the_run(
    cat: Path, cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    data = Embedded(cat.read_text()).data
    assert (data["format"], data["version"], data["steps"]) == ("sdt_ref report", 1, [0, 1, 2, 3])
    assert data["sampled"] == []
    assert all(len(stage["sample"]["channels"]) == stage["channels"] for stage in data["stages"])
    assert_of_the_run(data, *cat_run)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "arithmetic"),
    [
        (Network(), "float32"),
        (Network(drive=1.5, depth=2, spike_mode="plif", num_heads=2, seed=3), "float64"),
        (Network(drive=1.5, dvs_mode=True, spike_mode="plif", time_steps=5), "float32"),
        (Network(hidden=16, drive=1.5, pooling_stat="0000", height=6, width=6), "float32"),
        (Network(drive=1.5, dyadic=True, pooling_stat="1111", height=16, width=16, num_classes=1), "float32"),
        (Network(drive=1.5, time_steps=1, num_classes=9), "fixed"),
        (Network(drive=1.5, depth=2), "fixed"),
        (Network(drive=-100), "float32"),
        (Network(drive=100, time_steps=40), "float32"),
    ],
)
def test_any_network_of_pictures_has_its_page(n: Network, arithmetic: str) -> None:
    pytest.importorskip("jinja2")
    model, picture = model_of(n, arithmetic), noise(n)
    data = gather(model, Photo("noise", picture), "random", n.height, TECHNOLOGIES[DEFAULTS[arithmetic]])
    again = Embedded(render(data)).data
    assert again == data
    x = preprocess(picture, model.preprocessing)[None]
    assert_of_the_run(again, model, x, model(x, record="currents"))
    assert data["steps"] == (list(range(n.time_steps)) if n.time_steps <= 32 else sampling.evenly(40, 32))
    for block in data["blocks"]:
        neuron = model.neurons[f"block.{block['block']}.attn.talking_heads_lif"]
        assert block["is_or"] == (not n.dvs_mode and is_or(neuron))
