"""Which weights of a checkpoint are taken, and under which names."""

import itertools
import json
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdt_ref import WeightsError, convert
from sdt_ref.weights.checkpoint import Conversion
from sdt_ref.weights.checkpoint import convert as convert_checkpoint
from sdt_ref.weights.state import official_name
from tests.equality import assert_same
from tests.networks import Network, random_tensors
from tests.weights.test_safetensors_file import SETTINGS

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")

NETWORKS = {seed: random_tensors(Network(seed=seed)) for seed in (1, 2, 3)}


def state(seed: int = 1, **extra: Any) -> "OrderedDict[str, Any]":
    return OrderedDict((name, torch.tensor(tensor)) for name, tensor in (NETWORKS[seed] | extra).items())


def converted(path: Path, content: Any, **options: Any) -> Conversion:
    torch.save(content, path / "c.pth")
    return convert_checkpoint(path / "c.pth", settings=SETTINGS, **options)


def seed_of(conversion: Conversion) -> int:
    (found,) = (
        s for s, t in NETWORKS.items() if np.array_equal(t["head.weight"], conversion.weights.tensors["head.weight"])
    )
    return found


@pytest.mark.parametrize(
    "key", ["state_dict", "model", "net", "module", "state_dict_ema", "model_ema", "model_state_dict", "any_name"]
)
def test_one_set_is_taken_whatever_its_key(tmp_path: Path, key: str) -> None:
    content = {key: state(), "epoch": 3, "metric": 80.0, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
               "lr_scheduler": {"last": torch.tensor(1.0), "a": 1, "b": 2}, "rng_state": torch.zeros(9, dtype=torch.uint8)}  # fmt: skip
    conversion = converted(tmp_path, content)
    assert seed_of(conversion) == 1
    assert conversion.chosen is not None
    assert (conversion.chosen.key, conversion.chosen.found, conversion.chosen.metric_of) == (key, (key,), key)
    assert (conversion.weights.provenance["state_dict"], conversion.weights.provenance["metric"]) == (key, 80.0)


def test_state_dict_goes_first_and_other_ties_ask(tmp_path: Path) -> None:
    three = {"model": state(1), "state_dict": state(2), "model_ema": state(3)}
    assert seed_of(converted(tmp_path, three)) == 2
    assert seed_of(converted(tmp_path, three, key="model")) == 1
    assert seed_of(converted(tmp_path, three, ema=True)) == 3
    two = {"model": state(1), "model_ema": state(3), "epoch": 1}
    with pytest.raises(
        WeightsError, match="expected one set of weights, found model, model_ema; choose one by --key NAME"
    ):
        converted(tmp_path, two)
    assert seed_of(converted(tmp_path, two, key="model")) == 1
    with pytest.raises(
        WeightsError, match="expected 'weights', found model, model_ema; choose one of these by --key NAME"
    ):
        converted(tmp_path, two, key="weights")
    known_first = {"teacher": state(1), "net": state(2)}
    assert seed_of(converted(tmp_path, known_first)) == 2
    with pytest.raises(WeightsError, match="expected one set of weights, found teacher, student"):
        converted(tmp_path, {"teacher": state(1), "student": state(2)})
    with pytest.raises(WeightsError, match="expected 'model', found a bare state_dict"):
        converted(tmp_path, state(), key="model")


def test_the_metric_is_that_of_the_averaged_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"state_dict": state(1), "state_dict_ema": state(2), "metric": 81.5, "epoch": 3}
    plain = converted(tmp_path, content)
    assert seed_of(plain) == 1
    assert "metric" not in plain.weights.provenance
    assert plain.weights.provenance["metric_of"] == {"state_dict_ema": 81.5}
    averaged = converted(tmp_path, content, ema=True)
    assert seed_of(averaged) == 2
    assert (averaged.weights.provenance["metric"], averaged.weights.provenance["state_dict"]) == (
        81.5,
        "state_dict_ema",
    )
    line = [str(tmp_path / "c.pth"), str(tmp_path / "w.h5"), *itertools.chain(*(("--set", f"{k}={json.dumps(v)}") for k, v in SETTINGS.items() if k != "pooling_stat")), "--set", "pooling_stat=0011"]  # fmt: skip
    assert convert.main([*line, "--json"]) == 0
    found = {"found": ["state_dict", "state_dict_ema"], "taken": "state_dict", "metric_of": "state_dict_ema"}
    assert json.loads(capsys.readouterr().out)["state_dicts"] == found
    assert convert.main(line) == 0
    screen = " ".join(capsys.readouterr().out.split())
    assert "weights: state_dict is taken, of state_dict, state_dict_ema in the file" in screen
    assert "the metric in the file is that of state_dict_ema, not of these weights" in screen
    assert convert.main([*line, "--ema"]) == 0
    assert "the metric in the file is that of state_dict_ema\n" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        convert.main([*line, "--ema", "--key", "state_dict"])
    of_neither = converted(tmp_path, {"state_dict": state(1), "model": state(2), "metric": 5.0}).weights.provenance
    assert of_neither["metric_of"] == {"not told": 5.0}


WRAPPERS = ("_orig_mod", "module", "model", "net")


@pytest.mark.parametrize("prefix", [*map(".".join, itertools.permutations(WRAPPERS)), *WRAPPERS, "module.module"])
def test_prefixes_in_any_nesting(tmp_path: Path, prefix: str) -> None:
    conversion = converted(tmp_path, {"state_dict": {f"{prefix}.{name}": tensor for name, tensor in state().items()}})
    for name, tensor in NETWORKS[1].items():
        assert_same(conversion.weights.tensors[name], tensor, name)


def test_wrappers_within_the_network() -> None:
    assert official_name("block.0._orig_mod.attn.module.q_conv.weight") == "block.0.attn.q_conv.weight"
    assert official_name("block.0.net.q_conv.weight") == "block.0.net.q_conv.weight"
    assert official_name("module") == "module"


def test_names_that_collide_without_their_prefixes_are_refused(tmp_path: Path) -> None:
    for prefix in ("module", "_orig_mod.module", "net"):
        with pytest.raises(WeightsError, match=r"tensor 'head\.bias' stands twice"):
            converted(tmp_path, {"state_dict": state() | {f"{prefix}.head.bias": torch.zeros(5)}})


def test_bookkeeping_is_ignored_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """n_averaged of torch's AveragedModel, the counters of thop in every module, those of BatchNorm."""
    counters = {"n_averaged": torch.tensor(3)}
    counters |= {
        f"module.{m}{name}": torch.zeros(1, dtype=torch.float64)
        for m in ("", "block.0.", "block.0.attn.q_conv.")
        for name in ("total_ops", "total_params")
    }
    counters["module.block.0.attn.q_bn.num_batches_tracked"] = torch.tensor(4)
    content = {f"module.{name}": tensor for name, tensor in state().items()} | counters
    conversion = converted(tmp_path, {"state_dict": content})
    assert set(conversion.ignored_tensors) == {name.removeprefix("module.") for name in counters}
    convert._show(conversion, "w.h5")
    screen = " ".join(capsys.readouterr().out.split())
    assert "1 num_batches_tracked, 3 total_ops, 3 total_params, n_averaged" in screen


@pytest.mark.parametrize(
    "name", ["total", "block.0.n_averaged", "total_ops.x", "my_total_ops", "mask", "block.9.attn.q_conv.weight"]
)
def test_every_other_unknown_tensor_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=f"tensor '{name}'|block.9|block.8|block.1"):
        converted(tmp_path, {"state_dict": state() | {name: torch.zeros(1)}})


def test_weights_under_the_name_of_a_counter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"tensor 'head\.total_ops' of shape"):
        converted(tmp_path, {"state_dict": state() | {"head.total_ops": torch.zeros(3)}})


def test_an_averaged_model_of_torch(tmp_path: Path) -> None:
    """As torch itself nests them: compiled, then averaged."""
    net = torch.nn.Sequential(OrderedDict(head=torch.nn.Linear(2, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of its own parts
        names = torch.optim.swa_utils.AveragedModel(torch.compile(net)).state_dict()
    assert set(names) == {"n_averaged", "module._orig_mod.head.weight", "module._orig_mod.head.bias"}
    assert {official_name(name) for name in names} == {"n_averaged", "head.weight", "head.bias"}
