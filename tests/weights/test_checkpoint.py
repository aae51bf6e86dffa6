"""Conversion of official checkpoints, without ever running code from one."""

import argparse
import collections
import datetime
import enum
import functools
import hashlib
import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdt_ref import ConfigError, SdtError, WeightsError, convert, load
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.checkpoint import convert as convert_checkpoint
from sdt_ref.weights.settings import parse_setting
from tests.equality import assert_same
from tests.networks import Network, input_of, model_of, random_tensors

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")

N = Network(spike_mode="plif", num_heads=2)
ARGS = {"time_steps": 3, "pooling_stat": "0011", "num_heads": 2, "dvs_mode": False, "TET": False, "dataset": "golden",
        "img_size": 8, "crop_pct": None, "interpolation": "bicubic", "mean": None, "std": [0.2, 0.3, 0.4],
        "dim": 16, "lr": 0.1, "amp": True}  # fmt: skip


def state_dict(n: Network = N) -> "OrderedDict[str, Any]":
    state = OrderedDict((name, torch.tensor(tensor)) for name, tensor in random_tensors(n).items())
    state["patch_embed.proj_bn.num_batches_tracked"] = torch.tensor(7)
    state["block.0.attn.talking_heads.weight"] = torch.ones(n.num_heads, n.num_heads, 1)
    if n.spike_mode == "plif":
        state["patch_embed.rpe_lif.w"] = state["block.0.attn.attn_lif.w"] = torch.tensor(0.3)
    return state


def checkpoint(**changes: Any) -> dict[str, Any]:
    made = {"epoch": 3, "arch": "sdt", "state_dict": state_dict(), "optimizer": {"state": {}}, "version": 2,
            "args": argparse.Namespace(**ARGS), "metric": 81.0}  # fmt: skip
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def saved(tmp_path: Path, content: object, **options: Any) -> Path:
    path = tmp_path / "model_best.pth.tar"
    torch.save(content, path, **options)
    return path


def without(*names: str, **changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**{k: v for k, v in {**ARGS, **changes}.items() if k not in names})


def test_a_checkpoint_becomes_the_same_network(tmp_path: Path) -> None:
    path = saved(tmp_path, checkpoint())
    conversion = convert_checkpoint(path)
    for name, tensor in random_tensors(N).items():
        assert_same(conversion.weights.tensors[name], tensor, name)
    weights_file.save(tmp_path / "w.h5", conversion.weights)
    x = input_of(N)
    assert_same(load(tmp_path / "w.h5")(x).logits, model_of(N)(x).logits, "logits")
    provenance = conversion.weights.provenance
    assert provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (provenance["source"], provenance["arch"], provenance["epoch"]) == ("model_best.pth.tar", "sdt", 3)


def test_what_is_ignored_is_listed(tmp_path: Path) -> None:
    conversion = convert_checkpoint(saved(tmp_path, checkpoint()))
    assert conversion.ignored_settings == ["amp", "lr"]
    for_recordings = convert_checkpoint(saved(tmp_path, checkpoint()), settings={"sensor": 128, "num_heads": 2})
    assert for_recordings.ignored_settings == ["amp", "lr", "sensor"]
    assert set(conversion.ignored_tensors) == {
        "patch_embed.proj_bn.num_batches_tracked", "block.0.attn.talking_heads.weight", "patch_embed.rpe_lif.w",
        "block.0.attn.attn_lif.w"}  # fmt: skip


def test_none_means_the_defaults_of_timm(tmp_path: Path) -> None:
    preprocessing = convert_checkpoint(saved(tmp_path, checkpoint())).weights.preprocessing
    assert (preprocessing.crop_pct, preprocessing.mean, preprocessing.std) == (0.9, (0.5,) * 3, (0.2, 0.3, 0.4))


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_zip_and_older_files(tmp_path: Path, options: dict[str, bool]) -> None:
    assert convert_checkpoint(saved(tmp_path, checkpoint(), **options)).weights.architecture.dim == 16


def test_prefixes_half_types_and_bare_state_dicts(tmp_path: Path) -> None:
    half = {f"module.{name}": t.half() if t.is_floating_point() else t for name, t in state_dict().items()}
    settings = {k: v for k, v in ARGS.items() if k not in ("dim", "lr", "amp")}
    weights = convert_checkpoint(saved(tmp_path, half), settings=settings).weights
    name = "block.0.mlp.fc1_conv.weight"
    assert_same(weights.tensors[name], random_tensors(N)[name].astype(np.float16).astype(np.float32), name)


def test_bfloat16_and_exact_float64_are_taken_inexact_float64_is_not(tmp_path: Path) -> None:
    bf16 = OrderedDict((k, t.bfloat16() if t.is_floating_point() else t) for k, t in state_dict().items())
    assert (
        convert_checkpoint(saved(tmp_path, checkpoint(state_dict=bf16))).weights.tensors["head.bias"].dtype
        == np.float32
    )
    double = OrderedDict((k, t.double() if t.is_floating_point() else t) for k, t in state_dict().items())
    assert_same(convert_checkpoint(saved(tmp_path, checkpoint(state_dict=double))).weights.tensors["head.bias"],
                random_tensors(N)["head.bias"], "head.bias")  # fmt: skip
    double["head.bias"] += 1e-12
    with pytest.raises(
        WeightsError, match=r"tensor 'head.bias': expected float32, found float64 values .*; --round-float64"
    ):
        convert_checkpoint(saved(tmp_path, checkpoint(state_dict=double)))


def test_ema_by_choice(tmp_path: Path) -> None:
    path = saved(tmp_path, checkpoint(state_dict_ema=state_dict(Network(spike_mode="plif", num_heads=2, seed=9))))
    assert_same(convert_checkpoint(path, ema=True).weights.tensors["head.bias"],
                random_tensors(Network(spike_mode="plif", seed=9))["head.bias"], "head.bias")  # fmt: skip
    with pytest.raises(WeightsError, match="expected 'state_dict_ema', found"):
        convert_checkpoint(saved(tmp_path, checkpoint()), ema=True)


def test_rounding_is_asked_for_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    double = OrderedDict((k, t.double() if t.is_floating_point() else t) for k, t in state_dict().items())
    expected = double["head.bias"] = torch.tensor(
        [1 + 2.0**-40, 3 - 2.0**-30, 0.5, 2.0**-160, -0.0], dtype=torch.float64
    )
    path = saved(tmp_path, checkpoint(state_dict=double))
    conversion = convert_checkpoint(path, round_float64=True)
    assert_same(conversion.weights.tensors["head.bias"], expected.float().numpy(), "head.bias")
    rounding = conversion.rounding
    assert rounding is not None
    assert (rounding.changed, rounding.largest) == (3, 1.0)  # the fourth becomes 0
    assert rounding.values == sum(t.size for t in random_tensors(N).values())
    assert convert.main([str(path), str(tmp_path / "w.h5"), "--round-float64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rounding"] == vars(rounding)
    assert convert.main([str(path), str(tmp_path / "w.h5"), "--round-float64"]) == 0
    assert "rounded to float32: 3 of" in capsys.readouterr().out
    assert convert_checkpoint(saved(tmp_path, checkpoint()), round_float64=True).rounding is None
    double["head.bias"] = torch.full((5,), 1e300, dtype=torch.float64)
    with pytest.raises(WeightsError, match=r"'head.bias': expected values of float32's range, found 1e\+300"):
        convert_checkpoint(saved(tmp_path, checkpoint(state_dict=double)), round_float64=True)


class Filter(enum.Enum):
    BICUBIC = "bicubic"


class Configuration(dict[str, Any]):
    """A class with attributes of its own beside the settings, which are items."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.frozen = True


class Slotted:
    """A class whose settings are slots."""

    __slots__ = tuple(ARGS)

    def __init__(self, settings: dict[str, Any]) -> None:
        for name in ARGS:
            setattr(self, name, settings[name])


class Registry(dict[str, Any]):
    """A class of settings that keeps them as items, as many packages have one."""


def test_objects_in_the_settings_are_read_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a setting needs is taken as the number or text that it says; nothing is imported for the rest."""
    objects = {"output": Path("runs/1"), "gpu": torch.device("cuda:0"), "precision": torch.float16, "started": datetime.timedelta(1),
               "seen": collections.Counter("ab"), "tags": {"x"}, "make": functools.partial(int, 3), "table": np.array([{}], object)}  # fmt: skip
    args = without(img_size=(8, 8), time_steps=np.int64(3), TET=np.bool_(False), interpolation=Filter.BICUBIC,
                   std=np.array([0.25, 0.5, 0.75]), **objects)  # fmt: skip
    ordinary = convert_checkpoint(saved(tmp_path, checkpoint(args=without(std=[0.25, 0.5, 0.75])))).weights
    for made in (args, Registry(vars(args)), collections.OrderedDict(vars(args))):
        path = saved(
            tmp_path, checkpoint(args=made, metric=np.float64(81.0), optimizer={"state": {0: {"step": np.int64(3)}}})
        )
        conversion = convert_checkpoint(path)
        assert conversion.weights.config == ordinary.config
        assert conversion.weights.preprocessing == ordinary.preprocessing
        assert conversion.weights.provenance["metric"] == 81.0
        shown = conversion.as_text
        assert (shown["time_steps"], shown["output"], shown["gpu"], shown["precision"]) == (
            "3",
            "'runs/1'",
            "'cuda:0'",
            "torch.float16",
        )
        assert shown["started"] == "datetime.timedelta(1, 0, 0)"
        assert set(objects) <= set(conversion.ignored_settings)
    assert convert.main([str(path), str(tmp_path / "w.h5"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["as_text"] == shown
    assert convert.main([str(path), str(tmp_path / "w.h5")]) == 0
    assert "objects read as text, none made: " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kind", [Configuration, Slotted, collections.UserDict])
def test_settings_that_a_class_keeps_beside_or_within_others_are_read(kind: Any, tmp_path: Path) -> None:
    ordinary = convert_checkpoint(saved(tmp_path, checkpoint())).weights
    conversion = convert_checkpoint(saved(tmp_path, checkpoint(args=kind({**ARGS, "img_size": torch.Size([8, 8])}))))
    assert (conversion.weights.config, conversion.weights.preprocessing) == (ordinary.config, ordinary.preprocessing)


def test_settings_of_omegaconf_are_read(tmp_path: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf", reason="omegaconf is not installed")
    ordinary = convert_checkpoint(saved(tmp_path, checkpoint())).weights
    conversion = convert_checkpoint(saved(tmp_path, checkpoint(args=omegaconf.OmegaConf.create(ARGS))))
    assert (conversion.weights.config, conversion.weights.preprocessing) == (ordinary.config, ordinary.preprocessing)


def test_weights_that_are_the_only_ones_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, checkpoint(state_dict=None, state_dict_ema=state_dict()))
    assert convert.main([str(path), str(tmp_path / "w.h5")]) == 0
    assert "weights: state_dict_ema, the only ones in the file" in capsys.readouterr().out


def test_settings_in_a_class_that_keeps_them_elsewhere_are_given_otherwise(tmp_path: Path) -> None:
    path = saved(tmp_path, checkpoint(args=collections.deque([1])))
    settings = {k: v for k, v in ARGS.items() if k not in ("dim", "lr", "amp")}
    assert convert_checkpoint(path, settings=settings).as_text["args"].startswith("collections.deque(")
    with pytest.raises(ConfigError, match="setting 'time_steps' is missing"):
        convert_checkpoint(path)


def test_settings_win_over_config_over_args_over_preset(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path = saved(tmp_path, checkpoint(args=without("TET")))
    config = tmp_path / "c.yml"
    config.write_text("time_steps: 5\npooling_stat: '0101'\nTET: true\nweird-key: 1\n")
    conversion = convert_checkpoint(path, settings={"time_steps": 7}, config=config)
    made = conversion.weights.config
    assert (made.time_steps, made.pooling_stat, made.TET) == (7, "0101", True)
    assert conversion.sources["time_steps"] == "--set"
    assert conversion.sources["pooling_stat"] == "--config"
    assert conversion.sources["img_size"] == "args"
    assert conversion.sources["num_heads"] == "tensors"
    assert "weird-key" in conversion.ignored_settings


def test_settings_of_timm(tmp_path: Path) -> None:
    """input_size goes before img_size; an empty interpolation is the default; without prefetcher, another formula."""
    args = without(dataset="imagenet", interpolation="", input_size=[3, 24, 24], no_prefetcher=True)
    made = convert_checkpoint(saved(tmp_path, checkpoint(args=args))).weights.preprocessing
    assert (made.size, made.interpolation, made.normalisation, made.large_valid) == (24, "bicubic", "to_tensor", True)
    made = convert_checkpoint(saved(tmp_path, checkpoint(args=without(prefetcher=False)))).weights.preprocessing
    assert (made.normalisation, made.large_valid) == ("to_tensor", False)
    made = convert_checkpoint(saved(tmp_path, checkpoint(args=without(prefetcher=True)))).weights.preprocessing
    assert made.normalisation == "prefetcher"


def test_yaml_reads_some_pooling_stats_as_octal_numbers(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path, config = saved(tmp_path, checkpoint(args=without("pooling_stat"))), tmp_path / "c.yml"
    for number in range(16):
        stat = f"{number:04b}"
        config.write_text(f"pooling_stat: {stat}\n")
        if stat.startswith("1"):  # no octal: YAML reads 1111 as it is written
            assert convert_checkpoint(path, config=config).weights.config.pooling_stat == stat
            continue
        with pytest.raises(
            ConfigError, match=f'unquoted {stat} as the number {int(stat, 8)} .octal.; write pooling_stat: "{stat}"'
        ):
            convert_checkpoint(path, config=config)
        config.write_text(f'pooling_stat: "{stat}"\n')
        assert convert_checkpoint(path, config=config).weights.config.pooling_stat == stat


def test_a_data_set_of_pictures_made_of_frames_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    n = Network(spike_mode="plif", num_heads=2, in_channels=2)
    path = saved(
        tmp_path, checkpoint(state_dict=state_dict(n), args=without("dvs_mode", dataset="cifar10-dvs-tet", img_size=64))
    )
    with pytest.raises(
        ConfigError, match=r"'cifar10-dvs-tet' is not supported: .*--set dataset=cifar10-dvs runs the network on raw"
    ):
        convert_checkpoint(path)
    weights = convert_checkpoint(path, settings={"dataset": "cifar10-dvs"}).weights
    assert (weights.preprocessing.frames, weights.preprocessing.sensor, weights.config.dvs_mode) == (True, 128, True)
    assert weights.provenance["dataset"] == "cifar10-dvs"
    assert convert.main([str(path), str(tmp_path / "w.h5")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_metric_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    assert "metric" not in convert_checkpoint(saved(tmp_path, checkpoint(metric=float("nan")))).weights.provenance


def test_a_preset_supplies_what_nothing_else_does(tmp_path: Path) -> None:
    n = Network(dim=256, depth=2, hidden=1024, num_classes=10, num_heads=8)
    path = saved(tmp_path, state_dict(n) | {"block.1.attn.talking_heads.weight": torch.ones(8, 8, 1)})
    weights = convert_checkpoint(path, preset_name="sdt-2-256-cifar10").weights
    assert (weights.config.time_steps, weights.preprocessing.std[0], weights.classes[3]) == (4, 0.247, "cat")
    for name, message in (
        ("sdt-2-512-cifar10", "expected dim 512, found 256"),
        ("sdt-2-256-cifar100", "expected num_classes 100, found 10"),
        ("sdt-2-256-cifar10-dvs", "expected in_channels 2, found 3"),
    ):
        with pytest.raises(ConfigError, match=f"preset '{name}': {message} in the tensors"):
            convert_checkpoint(path, preset_name=name)
    with pytest.raises(ConfigError, match="unknown preset 'sdt'; known: sdt-8-384"):
        convert_checkpoint(path, preset_name="sdt")


@pytest.mark.parametrize(
    "name", ["time_steps", "pooling_stat", "TET", "img_size", "crop_pct", "mean", "std", "interpolation"]
)
def test_a_missing_setting_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"setting '{name}' is missing: .* pass --set {name}=... or --preset NAME"):
        convert_checkpoint(saved(tmp_path, checkpoint(args=without(name))))


def test_dvs_mode_comes_from_args_or_from_the_data_set(tmp_path: Path) -> None:
    for dataset, expected in (
        ("cifar10-dvs", True),
        ("gesture", False),
        ("torch/cifar10", False),
    ):
        path = saved(tmp_path, checkpoint(args=without("dvs_mode", dataset=dataset, img_size=64)))
        weights = convert_checkpoint(path).weights
        assert weights.config.dvs_mode is expected, dataset
        assert weights.preprocessing.frames is (dataset not in ("torch/cifar10",)), dataset
        assert weights.preprocessing.sensor == (128 if weights.preprocessing.frames else None), dataset
        assert not weights.preprocessing.antialias
    path = saved(tmp_path, checkpoint(args=without(dataset="cifar10-dvs", img_size=64)))
    chosen = convert_checkpoint(path, settings={"antialias": True, "sensor": 64}).weights.preprocessing
    assert (chosen.antialias, chosen.sensor) == (True, 64)
    path = saved(tmp_path, checkpoint(args=without(dvs_mode=True, dataset="gesture", img_size=128)))
    assert convert_checkpoint(path).weights.config.dvs_mode
    with pytest.raises(ConfigError, match="setting 'dvs_mode' is missing"):
        convert_checkpoint(saved(tmp_path, checkpoint(args=without("dvs_mode", "dataset"))))


def of_channels(channels: int, **args: Any) -> dict[str, Any]:
    n = Network(spike_mode="plif", num_heads=2, in_channels=channels)
    rest = vars(without("dataset", "mean", "std", "crop_pct"))
    return checkpoint(state_dict=state_dict(n), args=argparse.Namespace(**{**rest, **args}))


@pytest.mark.parametrize("channels", [1, 4])
def test_networks_of_one_channel_and_four_read_pictures_where_their_data_set_is_one(
    channels: int, tmp_path: Path
) -> None:
    numbers = [0.1, 0.2, 0.3, 0.4][:channels]
    for dataset in ("torch/cifar10", "imagenet", "mnist", "my-pictures"):
        args = {"dataset": dataset, "mean": numbers, "std": [0.5], "crop_pct": None}
        made = convert_checkpoint(saved(tmp_path, of_channels(channels, **args))).weights.preprocessing
        assert (made.frames, made.channels, made.mean, made.std) == (False, channels, tuple(numbers), (0.5,) * channels)
    unset = {"dataset": "mnist", "mean": None, "std": None, "crop_pct": 1.0}
    made = convert_checkpoint(saved(tmp_path, of_channels(channels, **unset))).weights.preprocessing
    assert (made.mean, made.std, made.frames) == ((0.5,) * channels, (0.5,) * channels, False)


def test_what_decides_between_pictures_and_frames(tmp_path: Path) -> None:
    """The data set; without one, settings that only pictures have; frames else, and always where no picture fits."""
    some = {"mean": [0.5], "std": [0.5], "crop_pct": 1.0, "dvs_mode": False}
    unset = {"mean": None, "std": None, "crop_pct": None, "dvs_mode": False}
    for channels, args, frames in (
        (1, {"dataset": "nmnist", **some}, True),
        (4, {"dataset": "gesture", **some}, True),
        (3, {"dataset": "cifar10-dvs", **some}, True),
        (3, some, False),
        (1, some, False),
        (4, some, False),
        (1, unset, True),
        (1, {"dvs_mode": False}, True),
        (2, {"dataset": "torch/cifar10", **some}, True),
        (2, some, True),
        (5, {"dataset": "mnist", **some}, True),
    ):
        weights = convert_checkpoint(saved(tmp_path, of_channels(channels, img_size=128, **args))).weights
        assert weights.preprocessing.frames is frames, (channels, args)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_as_many_numbers_as_channels(name: str, tmp_path: Path) -> None:
    args = {"dataset": "mnist", "mean": [0.5], "std": [0.5], "crop_pct": 1.0, name: [0.1, 0.2, 0.3]}
    with pytest.raises(
        ConfigError, match=f"'{name}': expected one finite number, one for each channel of the input, found"
    ):
        convert_checkpoint(saved(tmp_path, of_channels(1, **args)))
    with pytest.raises(ConfigError, match=f"setting '{name}' is missing"):
        convert_checkpoint(saved(tmp_path, of_channels(1, **{k: v for k, v in args.items() if k != name})))


def test_a_grey_checkpoint_reads_a_grey_picture(tmp_path: Path) -> None:
    args = {"dataset": "mnist", "mean": 0.1307, "std": 0.3081, "crop_pct": 1.0, "img_size": 8}
    weights = convert_checkpoint(saved(tmp_path, of_channels(1, **args))).weights
    assert (weights.preprocessing.mean, weights.preprocessing.std) == ((0.1307,), (0.3081,))
    weights_file.save(tmp_path / "w.h5", weights)
    assert len(load(tmp_path / "w.h5").predict(np.arange(64, dtype=np.uint8).reshape(8, 8))) == 5


def test_heads_are_told_by_the_tensors_or_else_by_a_setting(tmp_path: Path) -> None:
    state = state_dict()
    del state["block.0.attn.talking_heads.weight"]
    path = saved(tmp_path, checkpoint(state_dict=state, args=without(num_heads=4)))
    assert convert_checkpoint(path).weights.config.num_heads == 4


class Bomb:
    """Unpickled by anything careless, it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, options: dict[str, bool]) -> None:
    target = tmp_path / "touched"
    path = saved(tmp_path, checkpoint(extra=Bomb(target)), **options)
    with pytest.raises(WeightsError, match="expected only tensors and plain settings; it was not executed"):
        convert_checkpoint(path)
    assert not target.exists()
    path.write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(WeightsError):
        convert_checkpoint(path)
    assert not target.exists()


def spikformer() -> "OrderedDict[str, Any]":
    state = state_dict()
    for name in list(state):
        if ".attn.q_conv" in name:
            state[name.replace("q_conv", "q_linear")] = state.pop(name)
    return state


V2 = OrderedDict({"downsample1_1.encode_conv.weight": torch.zeros(8, 3, 7, 7), "head.weight": torch.zeros(10, 64)})

BAD_CHECKPOINTS: dict[str, tuple[Any, str]] = {
    "another network, V2": (checkpoint(state_dict=V2), r"expected a Spike-driven Transformer \(V1\), found downsample1_1"),
    "another network, Spikformer": (checkpoint(state_dict=spikformer()), "block.0.attn.q_conv.weight' is missing"),
    "unknown tensor": (checkpoint(state_dict=state_dict() | {"extra": torch.zeros(2)}), "tensor 'extra' of shape .* not understood"),
    "not finite": (checkpoint(state_dict=state_dict() | {"head.bias": torch.full((5,), torch.nan)}), "'head.bias': expected finite"),
    "no state_dict": ({"model": 1, "epoch": 2}, "expected 'state_dict', found model, epoch"),
    "empty state_dict": (checkpoint(state_dict=OrderedDict()), "expected 'state_dict'"),
    "a tensor": (torch.zeros(3), "expected a dictionary, found Tensor"),
    "an integer tensor": (checkpoint(state_dict=state_dict() | {"head.bias": torch.arange(5)}), "found torch.int64"),
    "a number": (checkpoint(state_dict=state_dict() | {"head.bias": 3}), "tensor 'head.bias': expected a tensor, found int"),
    "args a list": (checkpoint(args=[1]), "checkpoint 'args': expected a Namespace or a dictionary, found list"),
    "a bad setting": (checkpoint(args=without(pooling_stat="12")), "'pooling_stat': expected four characters of 0 and 1"),
    "pooling_stat octal": (checkpoint(args=without(pooling_stat=9)), "'pooling_stat': expected four characters of 0 and 1, found 9: YAML reads an unquoted 0011"),
    "pooling_stat a number": (checkpoint(args=without(pooling_stat=7)), "'pooling_stat': expected four characters of 0 and 1, such as '0011', found '7'"),
    "img_size not square": (checkpoint(args=without(img_size=(8, 16))), r"'img_size': expected one size, or two that are equal, found \(8, 16\)"),
    "an object where a number is meant": (checkpoint(args=without(time_steps=collections.deque([1]))), "'time_steps': expected 1 to 4096, found an object of collections.deque"),
    "an object where the name of a data set is meant": (checkpoint(args=without(dataset=collections.deque())), "'dataset': expected a name, found an object of collections.deque"),
    "a tensor where a name is meant": (checkpoint(args=without(dataset=torch.zeros(2))), "'dataset': expected a name, found an object of torch"),
    "an object where a tensor is meant": (checkpoint(state_dict=state_dict() | {"head.bias": collections.deque()}), "'head.bias': expected a tensor, found an object of collections.deque"),
    "a pickled module": (torch.nn.Linear(2, 2), r"found a pickled module \(torch.nn.modules.linear.Linear\); save its state_dict"),
    "a pickled module in a dictionary": ({"model": torch.nn.Linear(2, 2), "epoch": 1}, r"'model' is a pickled module \(torch.nn.modules.linear.Linear\); save its state_dict"),
    "mean beyond float": (checkpoint(args=without(mean=[10**400, 1, 1])), "'mean': expected three finite numbers"),
    "input_size not square": (checkpoint(args=without(input_size=[3, 8, 16])), "'input_size': expected"),
    "a tensor without numbers": (checkpoint(state_dict=state_dict() | {"head.bias": torch.empty(5, device="meta")}), "found a tensor without any"),
    "an unread tensor elsewhere": (checkpoint(state_dict=state_dict() | {"foo.talking_heads.weight": torch.zeros(2)}), "not understood"),
    "prefetcher in words": (checkpoint(args=without(prefetcher="False")), "'prefetcher': expected true or false, found 'False'"),
    "heads that differ": (checkpoint(state_dict=state_dict() | {"block.0.attn.talking_heads.weight": torch.ones(0, 2, 1)}), "expected as many rows as heads"),
    "a huge claim": (checkpoint(state_dict=state_dict() | {"head.bias": torch.zeros(1).expand(10**12)}), "'head.bias': expected shape"),
    "a sparse tensor": (checkpoint(state_dict=state_dict() | {"head.bias": torch.zeros(5).to_sparse()}), "found torch.float32, torch.sparse_coo"),
    "std of two": (checkpoint(args=without(std=[1, 2])), "'std': expected three finite numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CHECKPOINTS)
def test_a_bad_checkpoint_is_refused_and_nothing_written(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = BAD_CHECKPOINTS[name]
    path, out = saved(tmp_path, content), tmp_path / "w.h5"
    with pytest.raises(SdtError, match=message):
        convert_checkpoint(path)
    assert convert.main([str(path), str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.unlink(), "does not exist"),
        (lambda p: (p.unlink(), p.mkdir()), "expected a file, found a folder"),
        (lambda p: p.write_bytes(b""), "found an empty file"),
        (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "cannot be read"),
        (lambda p: p.write_text("hello"), "found text, which begins 'hello'"),
    ],
)
def test_a_file_that_is_no_checkpoint(tmp_path: Path, spoil: Any, message: str) -> None:
    path = saved(tmp_path, checkpoint())
    spoil(path)
    with pytest.raises(WeightsError, match=message) as caught:
        convert_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = saved(tmp_path, checkpoint()), tmp_path / "w.h5"
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\nd\ne\n")
    assert (
        convert.main([str(path), str(out), "--set", "T=6", "--set", "TET=True", "--classes", str(names), "--json"]) == 0
    )
    summary = json.loads(capsys.readouterr().out)
    assert summary["config"]["time_steps"] == 6
    assert load(out).config.TET
    assert load(out).classes == ("a", "b", "c", "d", "e")
    assert convert.main([str(path), str(out)]) == 0
    odd = tmp_path / "b[x].h5"
    assert (
        convert.main([str(saved(tmp_path, checkpoint(args=without(**{"[/weird]": 1, "lr": 1, "amp": 1})))), str(odd)])
        == 0
    )
    assert "[/weird]" in capsys.readouterr().out
    saved(tmp_path, checkpoint())
    assert convert.main([str(path), str(out)]) == 0
    screen = capsys.readouterr().out
    assert "ignored settings: amp, lr" in screen
    assert "talking_heads.weight" in screen
    before = path.read_bytes()
    for arguments, message in (
        ([str(path), str(path)], "it is an input of this command"),
        ([str(path), str(names), "--classes", str(names)], "it is an input of this command"),
        ([str(path), str(tmp_path)], "it is a folder"),
        ([str(path), "/dev/null"], "it is a device or a pipe"),
        (
            [str(path), str(out), "--set", "num_heads=4"],
            "'num_heads': expected 2, the rows of talking_heads.weight, found 4",
        ),
        ([str(path), str(out), "--set", "mean=" + "[" * 60_000], "'mean': expected three finite numbers"),
        ([str(path), str(tmp_path / "no" / "w.h5")], "cannot write"),
        ([str(path), str(out), "--set", "colour=1"], "unknown setting 'colour'"),
        ([str(path), str(out), "--set", "dim=32"], "follows from the tensors"),
        ([str(path), str(out), "--set", "T"], "expected key=value"),
        ([str(path), str(out), "--config", str(names)], "expected names and values, found str"),
        ([str(path), str(out), "--config", "absent.yml"], "does not exist"),
        ([str(path), str(out), "--classes", "absent.txt"], "does not exist"),
    ):
        assert convert.main(arguments) == 2
        assert message in capsys.readouterr().err
    assert path.read_bytes() == before


def test_settings_on_the_command_line() -> None:
    assert parse_setting("pooling_stat=0011") == ("pooling_stat", "0011")
    assert parse_setting("mean=[0.1, 0.2, 0.3]") == ("mean", [0.1, 0.2, 0.3])
    assert parse_setting("TET=False") == ("TET", False)
    assert parse_setting("crop_pct=none") == ("crop_pct", None)
    assert parse_setting("interpolation=bilinear") == ("interpolation", "bilinear")


def test_the_golden_checkpoints_are_the_small_copies(shared: Path) -> None:
    copies = sorted((Path(__file__).parents[1] / "data/official").glob("*.weights.h5"))
    assert len(copies) == 6
    for small in copies:
        converted = convert_checkpoint(shared / "golden" / small.name.replace(".weights.h5", ".pth.tar")).weights
        copy = weights_file.load(small)
        assert converted.config == copy.config
        for name, tensor in converted.tensors.items():
            assert_same(copy.tensors[name], tensor, name)
    shipped, source = weights_file.load(), shared / "checkpoints" / "sdt-2-256-cifar10.pth.tar"
    assert convert_checkpoint(source).weights.provenance == shipped.provenance
