"""The training recipe: the network that it trains is the one that sdt_ref runs, and a run that stops goes on exactly."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import convert, evaluate
from sdt_ref.architecture import UNUSED
from sdt_ref.weights import Weights

from .equality import assert_same
from .golden_cases import case_names, read_small
from .networks import Network, input_of, weights_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'sdt_ref[train]'")

from weights.recipe import data, model, state, train  # noqa: E402  # they import torch

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 16
QUICK = [
    "--model",
    "sdt-1-32",
    "--batch",
    "20",
    "--threads",
    "1",
    "--held-out",
    "20",
    "--device",
    "cpu",
    "--warmup",
    "0.5",
]
STAGES = ["--stages", "1:3:1e-2,4:2:5e-3"]  # of 5 steps per epoch


def write_pack(path: Path, n: int = 120) -> Path:
    """Colourful noise, a colour per class, and a group `test` that nobody could read."""
    rng = np.random.default_rng(0)
    label = rng.permutation(np.arange(n) % len(CLASSES)).astype(np.uint8)
    colours = rng.integers(0, 256, (len(CLASSES), 3))
    files = []
    for c in label:
        pixels = np.clip(colours[c] + rng.normal(0, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", quality=95)
        files.append(file.getvalue())
    with h5py.File(path, "w") as pack:
        pack.attrs["classes"] = CLASSES
        pack["test"] = np.zeros(3)
        group = pack.create_group("train")
        group["jpeg"] = np.frombuffer(b"".join(files), np.uint8)
        group["offset"] = np.cumsum([0, *map(len, files)])
        group["label"] = label
    return path


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("pack") / "pack.h5")


def run(pack: Path, out: Path, *more: str) -> Path:
    """Train, and return the checkpoint."""
    assert train.main([str(pack), "--out", str(out), *QUICK, *STAGES, *more]) == 0
    (checkpoint,) = out.glob("*.pth.tar")
    return checkpoint


def content(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)


@pytest.fixture(scope="module")
def trained(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of one uninterrupted run, every trick on."""
    return run(pack, tmp_path_factory.mktemp("trained"), *TRICKS)


TRICKS = ("--mixup", "0.2", "--cutmix", "1", "--cutout", "4", "--ema", "0.9")


# the network


def from_weights(weights: Weights) -> model.SpikeDrivenTransformer:
    """Build the recipe's network with the tensors of a weights file, in float64."""
    a, c = weights.architecture, weights.config
    network = model.Network(a.dim, a.depth, c.num_heads, a.hidden, a.in_channels, a.num_classes, c.pooling_stat,
                            a.spike_mode, c.dvs_mode)  # fmt: skip
    built = model.SpikeDrivenTransformer(network, c.time_steps)
    found = built.load_state_dict({k: torch.tensor(v) for k, v in weights.tensors.items()}, strict=False)
    assert not found.unexpected_keys
    assert all(UNUSED.match(name) for name in found.missing_keys)
    return built.double().eval().to(memory_format=torch.channels_last)


def activations(weights: Weights, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    record: dict[str, Any] = {}
    with torch.no_grad():
        logits = from_weights(weights)(torch.tensor(x, dtype=torch.float64), record)
    return logits.numpy(), {name: spikes.numpy() for name, spikes in record.items()}


@pytest.mark.parametrize("name", case_names())
def test_every_spike_is_the_official_codes(name: str) -> None:
    case = read_small(name)
    logits, spikes = activations(case.weights, case.input)
    assert set(spikes) == set(case.spikes)
    for hook, official in case.spikes.items():
        assert np.array_equal(spikes[hook].reshape(official.shape), official), hook
    official = case.logits["float64"]
    np.testing.assert_allclose(logits if official.ndim == 3 else logits.mean(0), official, rtol=0, atol=1e-9)


NETWORKS = [
    Network(pooling_stat="0000", hidden=16), Network(pooling_stat="1111", height=16, width=16, depth=2),
    Network(spike_mode="plif", pooling_stat="0111", hidden=64, seed=3), Network(TET=True, time_steps=1, width=12),
    Network(frames=True, in_channels=2, dvs_mode=True, spike_mode="plif", num_heads=2, seed=5),
    Network(frames=True, in_channels=2, pooling_stat="0111"), Network(drive=-100), Network(drive=100),
]  # fmt: skip


@pytest.mark.parametrize("n", NETWORKS, ids=range(len(NETWORKS)))
def test_every_spike_is_the_engines(n: Network) -> None:
    weights, x = weights_of(n), input_of(n)
    logits, spikes = activations(weights, x)
    result = sdt_ref.SpikeDrivenTransformer(weights, "float64")(x, record=True)
    assert set(spikes) == set(result.spikes)
    for hook, events in result.spikes.items():
        dense = events.to_dense()  # type: ignore[attr-defined]
        assert np.array_equal(spikes[hook].reshape(dense.shape), dense), hook
    np.testing.assert_allclose(logits, result.logits_per_step, rtol=0, atol=1e-9)


@pytest.mark.parametrize("spike_mode", ["lif", "plif"])
def test_the_state_dict_has_the_official_names_and_shapes(spike_mode: str) -> None:
    n = Network(dim=16, depth=2, spike_mode=spike_mode)
    official = weights_of(n).architecture.tensors()
    network = model.Network(16, 2, 4, n.hidden, 3, n.num_classes, spike_mode=spike_mode)
    mine = {k: tuple(v.shape) for k, v in model.SpikeDrivenTransformer(network).state_dict().items()}
    assert {k: v for k, v in mine.items() if not UNUSED.match(k)} == official
    unread = set(mine) - set(official)
    assert mine["block.1.attn.talking_heads.weight"] == (4, 4, 1)
    assert sum(name.endswith("num_batches_tracked") for name in unread) == 5 + 6 * 2
    assert len(mine) == 30 + 40 * 2 + 2 + (5 + 8 * 2 + 1 if spike_mode == "plif" else 0)


@pytest.mark.parametrize(("name", "parameters"), [("sdt-2-256", 2_567_082), ("sdt-2-512", 10_233_546)])
def test_the_networks_have_the_published_size(name: str, parameters: int) -> None:
    with torch.device("meta"):
        built = model.SpikeDrivenTransformer(model.Network.from_name(name))
    assert sum(p.numel() for p in built.parameters()) == parameters
    assert model.Network.from_args(built.network.to_args()) == built.network


# its neurons


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_membranes_are_float32_and_charge_in_the_official_order(dtype: Any) -> None:
    current = (torch.randn(4 * 5000, generator=torch.Generator().manual_seed(0)) + 1).to(dtype)
    current[:3] = torch.tensor([2.0, 1.99999988, 1.0]).to(dtype)
    spikes = model.Fire.apply(current, torch.tensor(0.5), 1.0, 4, False)
    assert spikes.dtype == dtype
    v, official = np.zeros(5000, np.float32), []
    for x in current.float().numpy().reshape(4, -1):
        h = v + (x - v) / np.float32(2)
        official.append(h >= 1)
        v = np.where(h >= 1, np.float32(0), h)
    assert_same(spikes.float().numpy().reshape(4, -1) == 1, np.array(official), "spikes")
    assert spikes[0] == 1
    assert spikes[1] == (dtype == torch.bfloat16)  # where it is rounded to 2


class Step(torch.autograd.Function):
    """The Heaviside step alone, for a neuron that autograd differentiates."""

    @staticmethod
    def forward(ctx: Any, u: Any) -> Any:
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        s = torch.sigmoid(4 * ctx.saved_tensors[0])
        return grad * 4 * s * (1 - s)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("threshold", [1.0, 0.5])
def test_the_gradient_is_that_of_the_plain_neuron(static: bool, threshold: float) -> None:
    steps, generator = 5, torch.Generator().manual_seed(1)
    x = torch.randn(7 if static else steps * 7, 3, generator=generator, dtype=torch.float64) + 1
    weight = torch.randn(steps * 7, 3, generator=generator, dtype=torch.float64)
    gradients = []
    for fused in (True, False):
        mine, w = x.clone().requires_grad_(), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        if fused:
            spikes = model.Fire.apply(mine, w.sigmoid(), threshold, steps, static)
        else:
            v, fired = torch.zeros(7, 3, dtype=torch.float64), []
            for current in [mine] * steps if static else mine.chunk(steps):
                h = v + (current - v) * w.sigmoid()
                fired.append(Step.apply(h - threshold))
                v = (1 - fired[-1].detach()) * h
            spikes = torch.cat(fired)
        assert 0.1 < spikes.mean() < 0.9
        (spikes * weight).sum().backward()
        gradients.append((mine.grad, w.grad))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


# its data


def test_a_shift_reflects_at_the_border() -> None:
    pictures = torch.randint(0, 256, (3, 9, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    index = torch.tensor([2, 0, 1] * 40)
    shifted = data.augmented(pictures, index, torch.Generator().manual_seed(3), 2).numpy()
    seen = set()
    for i, found in zip(index.tolist(), shifted, strict=True):
        padded = np.pad(pictures[i].numpy(), ((2, 2), (2, 2), (0, 0)), mode="reflect")
        windows = {
            (y, x, f): padded[y : y + 9, x : x + 8][:, :: 1 - 2 * f] for y in range(5) for x in range(5) for f in (0, 1)
        }
        (match,) = (key for key, window in windows.items() if np.array_equal(window, found))
        seen.add(match)
    assert len(seen) > 40  # of 50
    assert_same(
        data.augmented(pictures, index, torch.Generator(), 0).sort(2)[0].numpy(),
        pictures[index].sort(2)[0].numpy(),
        "flips",
    )


def test_cutout_and_mixing() -> None:
    x = torch.ones(200, 2, 8, 8)
    cut = data.cut_out(x, torch.Generator().manual_seed(0), 4)
    removed = (cut == 0).sum((1, 2, 3)) / 2
    assert removed.max() == 16
    assert removed.min() >= 4  # a corner
    assert torch.equal(cut[:, 0], cut[:, 1])
    for mixup, cutmix in ((1.0, 0.0), (0.0, 1.0)):
        pictures = torch.arange(3.0)[:, None, None, None].expand(3, 1, 8, 8)
        mixed, targets = data.mixed(pictures, torch.eye(3), np.random.default_rng(4), mixup, cutmix)
        share = targets[1, 1].item()
        assert 0 < share < 1
        assert torch.allclose(targets.sum(1), torch.ones(3))
        assert mixed[1].mean().item() == pytest.approx(share * 1 + (1 - share) * 0, abs=1e-6)
        assert set(mixed[2].unique().tolist()) == {1.0, 2.0} or mixup
    assert data.mixed(x, targets, np.random.default_rng(0), 0, 0)[0] is x


def test_the_copy_of_the_training_part_is_the_same_data(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "train.h5"
    assert data.main([str(pack), str(small)]) == 0
    assert str(small.stat().st_size) in capsys.readouterr().out.replace(",", "")
    with h5py.File(small) as file:
        assert list(file) == ["train"]
    one, other = (data.load(path, torch.device("cpu")) for path in (pack, small))
    assert one.digest == other.digest
    assert one.classes == other.classes == CLASSES
    assert torch.equal(one.pixels, other.pixels)
    expected = (one.pixels[5].double() / 255 - torch.tensor([0.4914, 0.4822, 0.4465])) / torch.tensor(
        [0.247, 0.2435, 0.2616]
    )
    torch.testing.assert_close(
        data.normalised(one.pixels[5:6], "cifar10")[0].permute(1, 2, 0).double(), expected, rtol=1e-5, atol=1e-5
    )


def test_the_held_out_part_is_no_training_data() -> None:
    trained, held_out = data.split(100, 30)
    assert len(held_out) == 30
    assert sorted([*trained, *held_out]) == list(range(100))
    assert_same(data.split(100, 30)[1], held_out, "the same ones always")


# a run


def test_the_loss_falls_at_one_step_and_at_four(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = run(pack, tmp_path, "--ema", "0.8", "--stages", "1:6:2e-2,4:4:1e-2")
    history = json.loads((tmp_path / "state.json").read_text())["history"]
    assert [record["T"] for record in history] == [1] * 6 + [4] * 4
    assert history[0]["loss"] > history[5]["loss"] + 0.3
    assert history[9]["loss"] < history[5]["loss"]
    assert history[9]["held_out"] >= 40  # of 10 classes
    assert content(checkpoint)["metric"] == history[9]["held_out"]
    weights_file = tmp_path / "w.h5"
    assert convert.main([str(checkpoint), str(weights_file)]) == 0
    capsys.readouterr()
    assert (
        evaluate.main([str(pack), "--split", "train", "--weights", str(weights_file), "--json", "--threads", "1"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["top1"] > 0.4


def test_the_checkpoint_converts_to_the_same_network(trained: Path, pack: Path, tmp_path: Path) -> None:
    weights = sdt_ref.checkpoint.convert(trained).weights
    assert vars(weights.config) == {
        "time_steps": 4,
        "pooling_stat": "0011",
        "num_heads": 8,
        "dvs_mode": False,
        "TET": False,
    }
    assert weights.classes == CLASSES
    assert weights.preprocessing.size == SIDE
    assert weights.preprocessing.mean == (0.4914, 0.4822, 0.4465)
    ours, _ = state.load_checkpoint(trained)
    pictures = data.load(pack, torch.device("cpu"))
    x = data.normalised(pictures.pixels[:4], "cifar10").double()
    record: dict[str, Any] = {}
    with torch.no_grad():
        logits = ours.double().eval()(x, record)
    result = sdt_ref.SpikeDrivenTransformer(weights, "float64")(x.numpy(), record=True)
    for hook, events in result.spikes.items():
        dense = events.to_dense()  # type: ignore[attr-defined]
        assert np.array_equal(record[hook].numpy().reshape(dense.shape), dense), hook
    np.testing.assert_allclose(logits.numpy(), result.logits_per_step, rtol=0, atol=1e-9)


def test_stopped_runs_end_at_the_same_bits(
    trained: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "PART", 40_000)
    for steps in ("0", "3", "12", "5", "1", "3", "99"):  # within epochs, at an epoch's and a stage's end
        checkpoint = run(pack, tmp_path, *TRICKS, "--max-steps", steps)
        parts = json.loads((tmp_path / "state.json").read_text())["parts"]
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted([checkpoint.name, "state.json", *parts])
        assert len(parts) > 3
        assert max(p.stat().st_size for p in tmp_path.glob("*.part")) <= 40_000
    one, other = content(trained), content(checkpoint)
    assert other["epoch"] == 4
    for name, tensor in one["state_dict"].items():
        assert torch.equal(tensor, other["state_dict"][name]), name
    del one["state_dict"], other["state_dict"]
    assert one == other
    first, last = (json.loads((path.parent / "state.json").read_text())["history"] for path in (trained, checkpoint))
    assert [(r["loss"], r["held_out"]) for r in first] == [(r["loss"], r["held_out"]) for r in last]
    before = checkpoint.read_bytes()
    assert run(pack, tmp_path, *TRICKS).read_bytes() == before, "a finished run has nothing to do"


@pytest.mark.parametrize("ema", ["0", "0.9"])
def test_the_checkpoint_holds_the_average(ema: str, pack: Path, tmp_path: Path) -> None:
    weights = content(run(pack, tmp_path, "--max-steps", "3", "--ema", ema))["state_dict"]
    tensors, _ = state.load(tmp_path, torch.device("cpu"))  # type: ignore[misc]
    assert all(torch.equal(weights[name], tensor) for name, tensor in tensors["average"].items())
    assert all(torch.equal(weights[name], tensor) for name, tensor in tensors["model"].items()) == (ema == "0")


def test_minutes_stop_a_run_and_later_stages_may_change(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(pack, tmp_path, "--minutes", "0")
    assert "stopped in stage 1 of 2, after step 0 of 15" in capsys.readouterr().out
    run(pack, tmp_path, "--max-steps", "2", "--stages", "1:3:1e-2,2:1:1e-3")
    run(pack, tmp_path, "--stages", "1:3:1e-2")
    assert content(run(pack, tmp_path, "--stages", "1:3:1e-2,2:1:1e-3"))["args"]["time_steps"] == 2
    assert "going on from stage 2, step 0" in capsys.readouterr().out


def test_distillation_steps_and_bfloat16(trained: Path, pack: Path, tmp_path: Path) -> None:
    tricks = ["--teacher", str(trained), "--tet", "--dtype", "bfloat16", "--spike-mode", "plif", "--max-steps", "18"]
    checkpoint = run(pack, tmp_path, *tricks)
    weights = sdt_ref.checkpoint.convert(checkpoint).weights
    assert weights.config.TET
    assert weights.architecture.spike_mode == "plif"
    assert all(tensor.dtype == np.float32 for tensor in weights.tensors.values())
    assert weights.tensors["head_lif.w"] != 0  # time constants learn
    assert (
        json.loads((tmp_path / "state.json").read_text())["settings"]["teacher"]
        == hashlib.sha256(trained.read_bytes()).hexdigest()
    )


def test_a_run_that_dies_while_it_writes_leaves_the_old_state(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pack, tmp_path, "--max-steps", "2")
    write = state.write

    def dies(path: Path, content: bytes) -> None:
        if path.name == "state.json":
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(state, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            run(pack, tmp_path, "--max-steps", "2")
    _, facts = state.load(tmp_path, torch.device("cpu"))  # type: ignore[misc]
    assert facts["step"] == 2


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [train.learning_rate(step, 100, 10, 1.0) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[0] > 0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001


# bad input


def spoil(pack: Path, tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "bad.h5"
    path.write_bytes(pack.read_bytes())
    with h5py.File(path, "a") as file:
        for name, value in changes.items():
            del file["train"][name]
            if value is not None:
                file["train"][name] = value
    return path


PACKS: dict[str, tuple[dict[str, Any], str]] = {
    "no labels": ({"label": None}, "expected HDF5 with train/jpeg"),
    "labels too large": ({"label": np.full(120, 10)}, "expected labels 0 to 9, found up to 10"),
    "offsets beyond the end": ({"offset": np.arange(121) * 10**6}, "expected ascending offsets within"),
    "offsets too few": ({"offset": np.arange(5)}, "expected n labels, n + 1 offsets"),
    "no pictures": ({"jpeg": np.zeros(10**6, np.uint8)}, "expected JPEG pictures of one size"),
}


@pytest.mark.parametrize("name", PACKS)
def test_a_bad_pack(name: str, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes, message = PACKS[name]
    assert train.main([str(spoil(pack, tmp_path, **changes)), "--out", str(tmp_path / "out"), *QUICK]) == 2
    assert_one_line(capsys, message)


def assert_one_line(capsys: pytest.CaptureFixture[str], message: str) -> None:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_bad_arguments(pack: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "text.h5").write_text("hello")
    out = ["--out", str(tmp_path / "out")]
    for arguments, message in (
        ([str(tmp_path / "absent.h5"), *out], "expected a file, found nothing"),
        ([str(tmp_path), *out], "expected a file, found a folder"),
        ([str(tmp_path / "text.h5"), *out], "expected HDF5 with train/jpeg"),
        ([str(pack), "--out", str(tmp_path / "file")], "cannot write"),
        ([str(pack), "--out", str(tmp_path / "file" / "below")], "cannot write"),
        ([str(pack), "--out", "/proc/recipe"], "cannot write"),
        ([str(pack), *out, "--model", "vit"], "expected sdt-DEPTH-DIM"),
        ([str(pack), *out, "--model", "sdt-2-30"], "expected sdt-DEPTH-DIM"),
        ([str(pack), *out, "--batch", "500"], "expected at most the 100 pictures, found 500"),
        ([str(pack), *out, "--held-out", "120"], "expected fewer than the 120 pictures"),
        ([str(pack), *out, "--crop", "16"], "expected less than the 16 pixels"),
        ([str(pack), *out, "--teacher", str(tmp_path / "absent")], "expected one of this network"),
        ([str(pack), *out, "--teacher", str(pack)], "expected one of this network"),
    ):
        assert train.main([arguments[0], *QUICK, *arguments[1:]]) == 2, arguments
        assert_one_line(capsys, message)
    for option, value, message in (
        ("--stages", "1:2", "expected T:EPOCHS:LR"), ("--stages", "0:1:1", "expected T of 1 to 64"),
        ("--batch", "x", "expected int from 1"), ("--ema", "nan", "expected float from 0"), ("--colour", "1", "unrecognized"),
    ):  # fmt: skip
        with pytest.raises(SystemExit, match="2"):
            train.main([str(pack), *out, option, value])
        assert_one_line(capsys, message)
    if not torch.cuda.is_available():
        assert train.main([str(pack), *out, "--device", "cuda"]) == 2
        assert_one_line(capsys, "expected a GPU, found none")
    assert data.main([str(pack)]) == 2
    assert_one_line(capsys, "expected two files")
    assert data.main([str(pack), str(tmp_path / "no" / "t.h5")]) == 2
    assert_one_line(capsys, "cannot write")


def test_a_state_of_another_run_is_refused(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(pack, tmp_path, "--max-steps", "1")
    capsys.readouterr()
    path = tmp_path / "state.json"
    (part,) = tmp_path.glob("*.part")
    good, whole = path.read_text(), part.read_bytes()
    arguments = [str(pack), "--out", str(tmp_path), *QUICK, *STAGES]

    def refused(message: str, *more: str) -> None:
        assert train.main([*arguments, *more]) == 2
        assert_one_line(capsys, message)

    refused("expected the same smoothing as before, 0.1, found 0.2", "--smoothing", "0.2")
    refused("expected the same stages as before", "--stages", "1:4:1e-2,4:2:5e-3")
    refused("expected the same model as before, sdt-1-32, found sdt-1-64", "--model", "sdt-1-64")
    other = write_pack(tmp_path / "other.h5", 140)
    assert train.main([str(other), *arguments[1:]]) == 2
    assert_one_line(capsys, "expected the same data as before")
    for text, message in (
        ("{", "expected a state of this recipe"), ("[]", "expected a state of this recipe"), ("{}", "no 'stage'"),
        (good.replace("training state", "weights"), "'sdt_ref weights', version 1"),
        (good.replace(part.name, "absent.part"), "No such file"),
    ):  # fmt: skip
        path.write_text(text)
        refused(message)
    path.write_text(good)
    part.write_bytes(whole[:-1])
    refused("its parts are not those that it names")
    part.write_bytes(whole)
    assert train.main([*arguments, "--max-steps", "1"]) == 0
