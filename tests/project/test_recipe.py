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
from sdt_ref.camera import nmnist
from sdt_ref.camera.frames import integrate
from sdt_ref.camera.recording import EventFile
from sdt_ref.weights.config import Preprocessing
from sdt_ref.weights.file import Weights
from sdt_ref.weights.tensors import UNUSED, tensor_shapes
from tests.equality import assert_same
from tests.golden_cases import case_names, read_small
from tests.networks import Network, input_of, weights_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")

from weights.recipe import data, model, recordings, state, train  # noqa: E402  # they import torch

pytestmark = pytest.mark.slow

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


DIGITS = tuple("0123456789")


def encoded(x: Any, y: Any, p: Any, t: Any) -> bytes:
    """Events as N-MNIST's five bytes each."""
    columns = (x, y, np.asarray(p) << 7 | np.asarray(t) >> 16, np.asarray(t) >> 8 & 255, np.asarray(t) & 255)
    return np.stack(np.broadcast_arrays(*columns), -1).astype(np.uint8).tobytes()


def write_recordings(path: Path, files: list[bytes] | None = None, label: Any = None) -> Path:
    """A pack of recordings: by default a patch of events of one polarity, which is the class."""
    if files is None:
        rng, files, label = np.random.default_rng(0), [], np.arange(40) % 2
        for c in label:
            x, y = np.clip(rng.normal(16.5, 5, (2, 400)), 0, 33).astype(int)
            files.append(encoded(x, y, c, np.sort(rng.integers(0, 1 << 19, 400))))
    with h5py.File(path, "w") as pack:
        pack.attrs["classes"] = DIGITS
        pack["test"] = np.zeros(3)
        group = pack.create_group("train")
        group["bin"] = np.frombuffer(b"".join(files), np.uint8)
        group["offset"] = np.cumsum([0, *map(len, files)])
        group["label"] = np.zeros(len(files), np.uint8) if label is None else label
    return path


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("camera") / "recordings.h5")


CAMERA = ["--held-out", "10", "--batch", "10", "--crop", "1", "--cutout", "0", "--ema", "0.9"]  # 3 steps per epoch


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
    official = tensor_shapes(weights_of(n).architecture)
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


class Step(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is a variable here
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


# recordings


def test_the_frames_are_the_packages_within_a_border_of_zeros(camera: Path) -> None:
    loaded = recordings.load(camera, torch.device("cpu"))
    with h5py.File(camera) as pack:
        raw, offset = pack["train/bin"][()], pack["train/offset"][()]
    for steps in (1, 4, 7):
        found = loaded.frames(steps)
        assert found.dtype == torch.uint8
        assert loaded.frames(steps) is found, "cut once"
        for i in (0, 39):
            file = EventFile("", "", nmnist.SENSOR, lambda i=i: iter([nmnist.decode(raw[offset[i] : offset[i + 1]])]))  # type: ignore[misc]
            counts = integrate(file, steps, "number", nmnist.SENSOR)
            assert_same(found[i].numpy(), np.pad(counts, ((0, 0), (0, 0), (1, 1), (1, 1))).astype(np.uint8), "frames")
    x = loaded.plain(torch.tensor([39, 0]), 4, train._parser().parse_args(["", "--out", ""]))
    assert x.dtype == torch.float32
    assert torch.equal(x, loaded.frames(4)[[39, 0]].float())


def test_frames_by_hand(tmp_path: Path) -> None:
    file = encoded([0, 33, 7, 7, 7], [1, 33, 9, 9, 9], [0, 1, 1, 1, 0], [3, 5, 7, 8, 70002])
    frames = recordings.load(write_recordings(tmp_path / "r.h5", [file]), torch.device("cpu")).frames(2)[0]
    assert frames.shape == (2, 2, 36, 36)
    found = {tuple(place): frames[tuple(place)].item() for place in frames.nonzero().tolist()}
    # [t, p, y + 1, x + 1]; 5 // 2 events in the first frame and the others in the last, whatever their times
    assert found == {(0, 0, 2, 1): 1, (0, 1, 34, 34): 1, (1, 1, 10, 8): 2, (1, 0, 10, 8): 1}


def test_a_shift_of_recordings_lets_zeros_in() -> None:
    frames = torch.randint(0, 256, (120, 3, 2, 6, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shifted = recordings.moved(frames, torch.Generator().manual_seed(1), 2, 0.0, 0.0)
    seen = set()
    for before, after in zip(frames.numpy(), shifted.numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (0, 0), (2, 2), (2, 2)))
        windows = {(y, x): padded[:, :, y : y + 6, x : x + 7] for y in range(5) for x in range(5)}
        (match,) = (key for key, window in windows.items() if np.array_equal(window, after))
        seen.add(match)
    assert len(seen) > 20  # of 25
    assert torch.equal(recordings.moved(frames, torch.Generator(), 0, 0.0, 0.0), frames)


@pytest.mark.parametrize(("turn", "zoom"), [(180.0, 0.0), (0.0, 0.5)])
def test_turned_and_scaled_recordings_keep_distances_and_whole_counts(turn: float, zoom: float) -> None:
    frames = torch.zeros(300, 2, 2, 36, 36, dtype=torch.uint8)
    frames[:, 1, 0, 17:19, 24:26] = 7  # 7 pixels right of the middle
    found = recordings.moved(frames, torch.Generator().manual_seed(2), 0, turn, zoom)
    assert set(found.unique().tolist()) == {0, 7}
    assert not found[:, 0].any()
    assert not found[:, 1, 1].any()
    i, y, x = found[:, 1, 0].nonzero().double().T
    distance, angle = torch.hypot(y - 17.5, x - 17.5), torch.atan2(y - 17.5, x - 17.5).rad2deg()
    assert len(i.unique()) == 300
    if turn:
        assert distance.min() > 5.5
        assert distance.max() < 8.5
        assert torch.histc(angle, 8, -180, 180).min() > 50, "all around"
    else:
        assert 3 < distance.min() < 4
        assert 10 < distance.max() < 12
        assert angle.abs().max() < 15


def test_thinned_recordings_lose_events_by_a_share_of_their_own() -> None:
    x = torch.full((400, 2, 2, 10, 10), 5.0)
    found = recordings.thinned(x, torch.Generator().manual_seed(0), 0.4)
    assert set(found.unique().tolist()) == {0, 1, 2, 3, 4, 5}
    lost = 1 - found.mean((1, 2, 3, 4)) / 5
    assert lost.mean().item() == pytest.approx(0.2, abs=0.02)
    assert lost.std().item() == pytest.approx(0.4 / 12**0.5, abs=0.02)
    assert lost.max() < 0.45


def test_cutout_and_mixing_take_all_frames_alike() -> None:
    x = torch.rand(50, 3, 2, 8, 8) + 1
    cut = data.cut_out(x, torch.Generator().manual_seed(0), 4) == 0
    assert cut.any((1, 2, 3, 4)).all()
    assert torch.equal(cut, cut[:, :1, :1].expand_as(cut))
    blank = torch.arange(3.0)[:, None, None, None, None].expand(3, 4, 2, 8, 8)
    mixed, targets = data.mixed(blank, torch.eye(3), np.random.default_rng(4), 0.0, 1.0)
    assert 0 < targets[1, 1] < 1
    assert mixed[1].mean().item() == pytest.approx(targets[1, 1].item(), abs=1e-6)
    assert torch.equal(mixed, mixed[:, :1, :1].expand_as(mixed))


def test_the_held_out_part_is_no_training_data() -> None:
    trained, held_out = data.split(100, 30)
    assert len(held_out) == 30
    assert sorted([*trained, *held_out]) == list(range(100))
    assert_same(data.split(100, 30)[1], held_out, "the same ones always")


# a run


def test_the_loss_falls_at_one_step_and_at_four(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Long enough to learn on any machine: six seeds, which stand for other roundings, gave 38 to 93 %."""
    pack = write_pack(tmp_path / "pack.h5", 240)
    checkpoint = run(pack, tmp_path, "--ema", "0.8", "--stages", "1:20:2e-2,4:6:1e-2", "--held-out", "40")
    history = json.loads((tmp_path / "state.json").read_text())["history"]
    assert [record["T"] for record in history] == [1] * 20 + [4] * 6
    assert history[0]["loss"] > history[19]["loss"] + 0.3
    assert history[-1]["loss"] < history[19]["loss"]
    assert history[-1]["held_out"] >= 40  # of 10 classes; this seed gave 78
    assert content(checkpoint)["metric"] == history[-1]["held_out"]
    weights_file = tmp_path / "w.h5"
    assert convert.main([str(checkpoint), str(weights_file)]) == 0
    capsys.readouterr()
    assert (
        evaluate.main([str(pack), "--split", "train", "--weights", str(weights_file), "--json", "--threads", "1"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["top1"] > 0.4


def test_the_checkpoint_converts_to_the_same_network(trained: Path, pack: Path, tmp_path: Path) -> None:
    weights = sdt_ref.weights.checkpoint.convert(trained).weights
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


def test_recordings_train_and_convert_to_the_same_network(
    camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, varied = [], recordings.Recordings.varied

    def spy(*arguments: Any) -> Any:
        seen.append((x := varied(*arguments)).shape)
        return x

    monkeypatch.setattr(recordings.Recordings, "varied", spy)
    checkpoint = run(camera, tmp_path, *CAMERA, "--batch", "5", "--stages", "2:6:1e-2,3:4:5e-3", "--turn", "5")
    history = json.loads((tmp_path / "state.json").read_text())["history"]
    assert [record["T"] for record in history] == [2] * 6 + [3] * 4
    assert seen == [(5, 2, 2, 36, 36)] * 36 + [(5, 3, 2, 36, 36)] * 24
    assert history[-1]["loss"] < history[0]["loss"] - 0.3
    assert history[-1]["held_out"] >= 90  # of 2 classes
    assert all(record["recordings_per_s"] > 0 for record in history)
    args = content(checkpoint)["args"]
    assert {name: args[name] for name in ("dataset", "img_size", "sensor", "in_channels", "TET")} == {
        "dataset": "nmnist", "img_size": 36, "sensor": 34, "in_channels": 2, "TET": False,
    }  # fmt: skip
    assert convert.main([str(checkpoint), str(tmp_path / "w.h5")]) == 0  # nothing else to be said
    weights = sdt_ref.weights.load(tmp_path / "w.h5")
    assert vars(weights.config) == {
        "time_steps": 3, "pooling_stat": "0011", "num_heads": 8, "dvs_mode": True, "TET": False,
    }  # fmt: skip
    assert weights.classes == DIGITS
    assert weights.preprocessing == Preprocessing(size=36, sensor=34, frames=True)
    x = recordings.load(camera, torch.device("cpu")).frames(3)[[0, 13, 39]].double()
    record: dict[str, Any] = {}
    with torch.no_grad():
        logits = state.load_checkpoint(checkpoint)[0].double().eval()(x, record)
    result = sdt_ref.SpikeDrivenTransformer(weights, "float64")(x.numpy(), record=True)
    for hook, events in result.spikes.items():
        dense = events.to_dense()  # type: ignore[attr-defined]
        assert np.array_equal(record[hook].numpy().reshape(dense.shape), dense), hook
    np.testing.assert_allclose(logits.numpy(), result.logits_per_step, rtol=0, atol=1e-9)


def assert_same_run(one: Path, other: Path) -> None:
    """Two checkpoints, and the histories beside them, are the same to the bit; seconds aside."""
    first, last = (json.loads((path.parent / "state.json").read_text())["history"] for path in (one, other))
    assert [(r["loss"], r["held_out"]) for r in first] == [(r["loss"], r["held_out"]) for r in last]
    a, b = content(one), content(other)
    weights, others = a.pop("state_dict"), b.pop("state_dict")
    assert a == b
    assert list(weights) == list(others)
    for name, tensor in weights.items():
        assert torch.equal(tensor, others[name]), name


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
    assert content(checkpoint)["epoch"] == 4
    assert_same_run(trained, checkpoint)
    before = checkpoint.read_bytes()
    assert run(pack, tmp_path, *TRICKS).read_bytes() == before, "a finished run has nothing to do"


def test_stopped_runs_on_recordings_end_at_the_same_bits(camera: Path, tmp_path: Path) -> None:
    tricks = [
        *CAMERA,
        "--stages",
        "2:2:1e-2,3:1:5e-3",
        "--turn",
        "9",
        "--zoom",
        "0.1",
        "--drop",
        "0.3",
        "--mixup",
        "0.2",
    ]
    whole = run(camera, tmp_path / "whole", *tricks)
    for steps in ("2", "4", "1", "99"):  # within an epoch, at a stage's end, within the next one
        checkpoint = run(camera, tmp_path / "parts", *tricks, "--max-steps", steps)
    assert_same_run(whole, checkpoint)


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
    weights = sdt_ref.weights.checkpoint.convert(checkpoint).weights
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


EVENT = encoded([3, 4], [5, 6], [0, 1], [10, 20])
RECORDINGS: dict[str, tuple[list[bytes], dict[str, Any], str]] = {
    "an event cut short": ([EVENT, EVENT[:-1]], {}, "bad.h5: train/1': expected AEDAT 2.0"),
    "no events": ([b"", EVENT], {}, "bad.h5: train/0' is empty"),
    "beyond the sensor": (
        [EVENT, encoded([99, 98], [1, 2], [0, 1], [0, 1])],
        {},
        "bad.h5: train/1': expected AEDAT 2.0",
    ),
    "of another camera": ([b"#!AER-DAT2.0\r\n" + bytes(8)], {}, "expected a sensor of 34x34 pixels"),
    "too many events": (
        [encoded([2] * 600, [3], [1], np.arange(600))] * 40,
        {},
        "expected at most 255 events of a pixel in one of 2 frames, found 300",
    ),
    "labels too large": ([EVENT], {"label": [10]}, "expected labels 0 to 9, found up to 10"),
    "offsets that go back": (
        [EVENT] * 2,
        {"offset": np.array([0, 20, 10], np.uint64)},
        "expected ascending offsets within 20 bytes",
    ),
    "no offsets": ([EVENT], {"offset": None}, "expected HDF5 with train/bin, offset, label"),
    "files that are a group": ([EVENT], {"bin": "group"}, "expected HDF5 with train/bin"),
    "files that are numbers": ([EVENT], {"bin": np.zeros(10)}, "expected n labels, n + 1 offsets and bytes"),
    "a split that is no group": ([EVENT], {"": np.zeros(3)}, "expected HDF5 with train/"),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_bad_pack_of_recordings(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, changes, message = RECORDINGS[name]
    pack = write_recordings(tmp_path / "bad.h5", files)
    with h5py.File(pack, "a") as file:
        for key, value in changes.items():
            place = f"train/{key}".rstrip("/")
            del file[place]
            if isinstance(value, str):
                file.create_group(place)
            elif value is not None:
                file[place] = value
    assert train.main([str(pack), "--out", str(tmp_path / "out"), *QUICK, "--stages", "2:1:1e-3"]) == 2
    assert_one_line(capsys, message)


def assert_one_line(capsys: pytest.CaptureFixture[str], message: str) -> None:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_bad_arguments(
    pack: Path, camera: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
        ([str(pack), *out, "--batch", "500"], "expected at most the 100 examples, found 500"),
        ([str(pack), *out, "--held-out", "120"], "expected fewer than the 120 examples"),
        ([str(pack), *out, "--crop", "16"], "expected less than the 16 pixels"),
        ([str(pack), *out, "--teacher", str(tmp_path / "absent")], "expected one of this network"),
        ([str(pack), *out, "--teacher", str(pack)], "expected one of this network"),
        ([str(pack), *out, "--dataset", "nmnist"], "expected cifar10 or cifar100 for a pack of pictures, found nmnist"),
        ([str(camera), *out, "--dataset", "cifar10"], "expected nmnist for a pack of recordings, found cifar10"),
        ([str(camera), *out, "--teacher", str(trained)], "--teacher: expected in_channels 2, found 3"),
        ([str(camera), *out, "--crop", "36"], "expected less than the 36 pixels"),
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
