"""Dumps of PyTorch networks: names of official hooks and modules, official axes, and where two networks first differ."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import compare as command
from sdt_ref.dense import steps
from sdt_ref.golden.differences import compare
from sdt_ref.golden.dumps import Dump, read_dump
from sdt_ref.golden.trace_file import Trace, open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights.names import stage_of
from sdt_ref.weights.wiring import NEURON
from tests.golden.test_trace import NETWORKS
from tests.golden_cases import case_names, read_full, read_small, write_dump
from tests.networks import Network, input_of, model_of

Arrays = dict[str, np.ndarray]
Capture = pytest.CaptureFixture[str]

DVS = NETWORKS["dvs, plif, frames"][0]
SHAPES = {
    **{name: n for name, (n, _) in NETWORKS.items()},
    "as many tokens as channels": Network(dim=16, pooling_stat="0001", batch=1, seed=4),
}


def official(n: Network, arithmetic: str = "float32") -> Arrays:
    """What a PyTorch network holds, as its hooks and modules name it, [T, 1, ...]."""
    model = model_of(n, arithmetic)
    result = sdt_ref.dense.forward(model, input_of(n))
    held: Arrays = {hook: spikes.to_dense() for hook, spikes in result.spikes.items()}
    neurons = model.read_back().neurons
    for module, current in result.currents.items():
        held[f"{module}/x"] = current
        held[module] = steps(neurons[module], current)[1].astype(arithmetic)  # what it puts out, before any pool
    held |= {f"{module}/u": stream for module, stream in result.streams.items()}
    return held | {"head": result.logits_per_step, "input": input_of(n).astype(arithmetic)}


def traced(folder: Path, n: Network, arithmetic: str = "float32", **chosen: list[int]) -> Path:
    write_trace(folder / "run.h5", model_of(n, arithmetic), input_of(n), **chosen)  # type: ignore[arg-type]
    return folder / "run.h5"


def read(folder: Path, golden: Trace, held: Arrays) -> Arrays:
    np.savez(folder / "torch.npz", **held)
    return read_dump(str(folder / "torch.npz"), golden).values


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("chosen", [{}, {"steps": [1]}])
def test_every_name_and_shape_is_read_into_the_trace(tmp_path: Path, case: str, chosen: dict[str, list[int]]) -> None:
    n = SHAPES[case]
    with open_trace(traced(tmp_path, n, **chosen)) as golden:
        seen = set()
        for name, array in official(n).items():
            dump = read(tmp_path, golden, {name: array})
            ((record, values),) = dump.items()
            seen.add(record)
            assert np.array_equal(values, golden.values(record)), name
        recorded = {name for name in golden.records if not name.endswith(("/h", "/v"))}
        assert seen == recorded


@pytest.mark.parametrize("case", SHAPES)
def test_one_wrong_number_is_found_at_its_exact_place(tmp_path: Path, case: str) -> None:
    """In official axes [T, B, C, H, W] or, of spikes of the attention, [T, B, heads, tokens, channels of a head]."""
    n = SHAPES[case]
    rng = np.random.default_rng(0)
    with open_trace(traced(tmp_path, n)) as golden:
        for name, right in official(n).items():
            if name == "input" or (golden.stages.get(name) or golden.stages["input"]).pooled_behind:
                continue  # the one is not [T, B, ...]; the others are pooled when they are read
            place = tuple(int(rng.integers(length)) for length in right.shape)
            wrong = right.copy()
            spikes = set(np.unique(right)) <= {0, 1} and not name.endswith(("/x", "/u"))
            wrong[place] = 1 - wrong[place] if spikes else wrong[place] + 0.25
            np.savez(tmp_path / "torch.npz", **{name: wrong})
            found = compare(golden, read_dump(str(tmp_path / "torch.npz"), golden)).first
            assert found is not None, name
            step, _, *rest = place
            if right.ndim == 3:
                token, channel = 0, rest[0]
            elif right.shape[2] == n.num_heads and right.shape[-1] * n.num_heads == found.record.channels:
                token, channel = rest[1], rest[0] * right.shape[-1] + rest[2]
            else:
                token, channel = rest[1] * right.shape[-1] + rest[2], rest[0]
            assert (found.step, found.token, found.channel) == (step, token, channel), name
            assert (found.expected, found.found) == (right[place].item(), wrong[place].item())


def as_axes(array: np.ndarray, axes: str, n_heads: int) -> np.ndarray:
    """[T, 1, C, H, W] in other axes."""
    T, _, C, H, W = array.shape
    return {
        "TCHW": array[:, 0],
        "TBNC": np.moveaxis(array.reshape(T, 1, C, H * W), 2, 3),
        "TBCN": array.reshape(T, 1, C, H * W),
        "TBhNd": array.reshape(T, 1, n_heads, C // n_heads, H * W).swapaxes(-1, -2),
        "ThNd": array.reshape(T, n_heads, C // n_heads, H * W).swapaxes(-1, -2),
        "TNC": np.moveaxis(array.reshape(T, C, H * W), 1, 2),
    }[axes]


@pytest.mark.parametrize("axes", ["TCHW", "TBNC", "TBCN", "TBhNd", "ThNd", "TNC"])
def test_other_axes_are_told_by_their_sizes(tmp_path: Path, axes: str) -> None:
    n = NETWORKS["plain"][0]
    with open_trace(traced(tmp_path, n)) as golden:
        name = "block.0.attn.q_lif/x"
        array = as_axes(official(n)[name], axes, n.num_heads)
        assert np.array_equal(read(tmp_path, golden, {name: array})[name], golden.values(name))


def test_axes_that_can_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    n = SHAPES["as many tokens as channels"]
    with open_trace(traced(tmp_path, n)) as golden:
        name = "block.0.attn.q_lif/x"
        array = official(n)[name]
        for axes in ("TBNC", "TBCN"):
            message = (
                r"\(3, 1, 16, 16\) can be read as \[T, B, tokens, C\] and as \[T, B, C, tokens\]; write it as \[steps"
            )
            with pytest.raises(sdt_ref.TraceError, match=message):
                read(tmp_path, golden, {name: as_axes(array, axes, n.num_heads)})
        for axes in ("TCHW", "TBhNd", "TNC"):
            values = read(tmp_path, golden, {name: as_axes(array, axes, n.num_heads)})
            assert np.array_equal(values[name], golden.values(name))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("MS_SSA_Conv0_q_lif", (3, 2, 16, 1, 2), "expected one sample, that of the trace, found 2 in (3, 2, 16, 1, 2); run your network on the trace's dataset 'input'"),
        ("MS_SSA_Conv0_kv", (3, 4, 4, 1, 4), "expected one sample, that of the trace, found 4"),
        ("head_lif", (3, 2, 16), "expected one sample, that of the trace, found 2"),
        ("input", (2, 3, 4, 8), "expected one sample, that of the trace, found 2"),
        ("MS_SSA_Conv0_q_lif", (1, 3, 16, 1, 2), "expected [steps, tokens, channels] = (3, 2, 16), found (1, 3, 16, 1, 2); with PyTorch's axes, [T, B, C, H, W] = (3, 1, 16, 1, 2)"),
        ("MS_SSA_Conv0_q_lif", (4, 1, 16, 1, 2), "found (4, 1, 16, 1, 2)"),
        ("MS_SPS_lif", (3, 1, 4, 32, 1), "found (3, 1, 4, 32, 1)"),
        ("block.0.attn.q_conv", (3, 1, 16, 1, 2), "'block.0.attn.q_conv' is what a layer puts out before BatchNorm; keep 'block.0.attn.q_bn'"),
        ("block.0.attn.proj_bn", (3, 1, 16, 1, 2), "'block.0.attn.proj_bn' is what a layer adds to the residual stream, which no record holds; keep the input of the neurons behind it, as 'MODULE/x'"),
        ("patch_embed.rpe_conv", (3, 1, 16, 1, 2), "is what a layer adds to the residual stream"),
        ("block.0.attn.attn_lif", (3, 1, 16, 1, 2), "unknown record 'block.0.attn.attn_lif'"),
        ("block.1.attn.q_lif", (3, 1, 16, 1, 2), "unknown record 'block.1.attn.q_lif'"),
        ("", (3, 1, 16, 1, 2), "unknown record ''"),
        ("MS_SSA_Conv0_q_lif/spikes", (3, 1, 16, 1, 2), "unknown record 'MS_SSA_Conv0_q_lif/spikes'"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(tmp_path: Path, name: str, shape: tuple[int, ...], message: str,
                                        capsys: Capture) -> None:  # fmt: skip
    run = traced(tmp_path, NETWORKS["plain"][0])
    np.savez(tmp_path / "torch.npz", **{name: np.zeros(shape, np.float32)})
    assert command.main([str(run), str(tmp_path / "torch.npz")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_batch_norm_stands_for_the_current_or_stream_that_it_puts_out(tmp_path: Path) -> None:
    n = NETWORKS["plain"][0]
    with open_trace(traced(tmp_path, n)) as golden:
        held = official(n)
        for norm, record in (
            ("patch_embed.proj_bn", "patch_embed.proj_lif/x"),
            ("patch_embed.proj_bn2", "patch_embed.proj_lif2/x"),
            ("patch_embed.proj_bn3", "patch_embed.proj_conv3/u"),
            ("block.0.attn.v_bn", "block.0.attn.v_lif/x"),
            ("block.0.mlp.fc1_bn", "block.0.mlp.fc2_lif/x"),
        ):
            values = read(tmp_path, golden, {norm: held[record][:, 0]})  # [T * B, C, H, W], as the official code has it
            assert list(values) == [record]
            assert np.array_equal(values[record], golden.values(record))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model."])
def test_modules_within_a_wrapper_are_known(tmp_path: Path, prefix: str) -> None:
    """As named_modules of DistributedDataParallel, or of a compiled network, names them."""
    with open_trace(traced(tmp_path, DVS)) as golden:
        held = {name: array for name, array in official(DVS).items() if "." in name}
        plain, wrapped = (read(tmp_path, golden, {start + name: held[name] for name in held}) for start in ("", prefix))
        assert plain.keys() == wrapped.keys()
        assert all(np.array_equal(wrapped[record], plain[record]) for record in plain)


def test_no_record_comes_twice_under_two_names(tmp_path: Path) -> None:
    n = NETWORKS["plain"][0]
    held = official(n)
    with open_trace(traced(tmp_path, n)) as golden, pytest.raises(sdt_ref.TraceError, match="is in the file twice"):
        read(tmp_path, golden, {name: held[name] for name in ("MS_SSA_Conv0_q_lif", "block.0.attn.q_lif")})


def test_spikes_hold_zero_and_one_alone(tmp_path: Path) -> None:
    n = NETWORKS["plain"][0]
    name = "MS_SSA_Conv0_q_lif"
    spikes = official(n)[name]
    with open_trace(traced(tmp_path, n)) as golden:
        for dtype in (bool, np.uint8, np.float16, np.float64):
            values = read(tmp_path, golden, {name: spikes.astype(dtype)})
            assert np.array_equal(values[f"{stage_of(name)}/spikes"], golden.values(f"{stage_of(name)}/spikes"))
        for wrong in (0.5, 2, -1, np.nan):
            with pytest.raises(sdt_ref.TraceError, match="expected 0 to 1, found"):
                read(tmp_path, golden, {name: spikes.astype(np.float32) * wrong})


def test_spikes_by_official_names_compare_with_a_trace_of_fixed_point_as_well(tmp_path: Path) -> None:
    n = NETWORKS["plain"][0]
    model, x = model_of(n, "fixed"), input_of(n)
    hooks = {hook: spikes.to_dense() for hook, spikes in model(x, record=True).spikes.items()}
    with open_trace(traced(tmp_path, n, "fixed")) as golden:
        assert len(read(tmp_path, golden, hooks)) == len(hooks)
        with pytest.raises(sdt_ref.TraceError, match=r"q_lif/x': expected whole numbers, found float32"):
            read(tmp_path, golden, {"block.0.attn.q_bn": np.zeros((3, 1, 16, 1, 2), np.float32)})


def test_another_input_is_the_first_difference(tmp_path: Path, capsys: Capture) -> None:
    for n in (NETWORKS["plain"][0], DVS):
        run, held = traced(tmp_path, n), official(n)
        held = {name: array for name, array in held.items() if "_lif" not in name or name.startswith("MS_")}
        np.savez(tmp_path / "torch.npz", **held)
        assert command.main([str(run), str(tmp_path / "torch.npz")]) == 0
        held["input"].flat[-1] += 1
        np.savez(tmp_path / "torch.npz", **held)
        assert command.main([str(run), str(tmp_path / "torch.npz")]) == 1
        step, last = (n.time_steps - 1 if n.frames else 0), n.height * n.width - 1
        found = f"first difference: step {step}, input, pixel, token {last} (row {n.height - 1}, column {n.width - 1})"
        assert found in capsys.readouterr().out


# --- the official code ------------------------------------------------------------------------------------------------


def samples(n: int) -> Iterator[tuple[int, slice]]:
    return ((k, slice(k, k + 1)) for k in range(n))


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in case_names() if name != "cifar10_trained"])
def test_the_hooks_of_the_official_code_are_equal_and_a_wrong_spike_is_found(
    name: str, arithmetic: str, tmp_path: Path, capsys: Capture
) -> None:
    case = read_small(name)
    model = sdt_ref.SpikeDrivenTransformer(case.weights, arithmetic)
    run, dump = tmp_path / "run.h5", tmp_path / "official.npz"
    for sample, part in samples(len(case.input)):
        write_trace(run, model, case.input[part])
        write_dump(dump, case.spikes, sample)
        assert command.main([str(run), str(dump)]) == 0
    hooks = {hook: spikes.copy() for hook, spikes in case.spikes.items()}
    hook = "MS_SSA_Conv0_x_after_qkv"
    place = (1, sample, 1, 3, 2)  # step, sample, head, token, channel of the head
    hooks[hook][place] ^= 1
    write_dump(dump, hooks, sample)
    assert command.main([str(run), str(dump)]) == 1
    depth = hooks[hook].shape[-1]
    assert f"step 1, block.0.attn.masked, spikes, token 3 (row 0, column 3), channel {depth + 2}" in (
        capsys.readouterr().out
    )


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in case_names() if name != "cifar10_trained"])
def test_the_modules_of_the_official_code_are_equal(name: str, arithmetic: str, shared: Path, tmp_path: Path) -> None:
    """What each layer of neurons read and put out, before any pool."""
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")
    case = read_full(shared / "golden", name)
    run, dump = tmp_path / "run.h5", str(tmp_path / "official.npz")
    with h5py.File(shared / "golden" / f"{name}.h5") as file:
        for _, part in samples(len(case.input)):
            held = {"input": case.input[part]}
            for module, node in file["float64/neurons"].items():
                held[module], held[f"{module}/x"] = node["spikes"][:, part], node["current"][:, part]
            write_trace(run, sdt_ref.SpikeDrivenTransformer(case.weights, arithmetic), case.input[part])
            np.savez(dump, **held)
            assert command.main([str(run), dump]) == 0
            with open_trace(run) as golden:
                neurons = [name for name, stage in golden.stages.items() if stage.kind == NEURON]
                assert set(read_dump(dump, golden).values) == (
                    {"input/pixel"} | {f"{name}/{q}" for name in neurons for q in ("x", "spikes")}
                )


@pytest.mark.slow
@pytest.mark.parametrize(("arithmetic", "most"), [("float32", 5e-5), ("float64", 1e-12)])
def test_pytorch_differs_by_less_than_is_tolerated(arithmetic: str, most: float, tmp_path: Path) -> None:
    """The shipped weights on the official code's four photos, dumped as docs/golden-kit.md shows it."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")
    from weights.recipe.model import Network as Sizes
    from weights.recipe.model import SpikeDrivenTransformer

    case, model = read_small("cifar10_trained"), sdt_ref.load(arithmetic=arithmetic)
    network = SpikeDrivenTransformer(Sizes.from_name("sdt-2-256"))
    network.load_state_dict({name: torch.tensor(array) for name, array in case.weights.tensors.items()}, strict=False)
    held: dict[str, Any] = {}
    for name, module in network.named_modules():
        if "lif" in name.rpartition(".")[2]:
            module.register_forward_hook(lambda _, inputs, output, name=name: held.update({f"{name}/x": inputs[0]}))
    for _, part in samples(len(case.input)):
        write_trace(tmp_path / "run.h5", model, case.input[part])
        with open_trace(tmp_path / "run.h5") as golden:
            x = torch.from_numpy(golden.input)
            frames = x[:, None].expand(-1, 4, -1, -1, -1)  # this network convolves a static image once
            with torch.no_grad():
                network.eval().to(x.dtype)(frames, held)
            dump = read(tmp_path, golden, {name: array.numpy() for name, array in (held | {"input": x}).items()})
            comparison = compare(golden, Dump(golden.header.steps, dump))
            assert comparison.first is None
            assert comparison.farthest is not None
            assert 0 < comparison.farthest <= most
