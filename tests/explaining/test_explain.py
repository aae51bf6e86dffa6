"""The narrated walk: what it says is what the engine did, to the last bit."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sdt_ref
from sdt_ref import explain
from sdt_ref.explaining import look_into, observe, walk
from sdt_ref.explaining.characters import TextPicture, side_by_side, sparkline
from sdt_ref.explaining.document import of_lens
from sdt_ref.explaining.membrane import membrane
from sdt_ref.explaining.screen import show_lens, show_walk
from sdt_ref.inputs.image import open_picture, preprocess
from sdt_ref.terminal.screen import Screen
from sdt_ref.terminal.words import many
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.folding import NeuronParameters
from sdt_ref.weights.names import counted_as
from sdt_ref.weights.wiring import NEURON, SPIKES
from tests.equality import small_tiles
from tests.networks import Network, input_of, model_of, weights_of
from tests.strategies import formats_files, networks

CAT = Path(sdt_ref.__file__).parent / "data" / "cat.jpg"
Capture = pytest.CaptureFixture[str]
NARROW_SUMS = 'schema_version = 1\n[default]\naccumulator = { bits = 15, overflow = "%s" }\nbias = { bits = 14 }\n'
KINDS = {
    "lif": Network(batch=1),
    "plif": Network(batch=1, spike_mode="plif", pooling_stat="1111", height=16, width=16, time_steps=4),
    "dvs": Network(batch=1, dvs_mode=True, frames=True, in_channels=2, time_steps=5),
    "mlp_ratio_1": Network(batch=1, hidden=16, depth=2),
    "silent": Network(batch=1, drive=-100, time_steps=1),
    "saturated": Network(batch=1, drive=100),
}


def observed(n: Network, arithmetic: str = "float32", formats: str | None = None) -> Any:
    return observe(model_of(n, arithmetic, formats=formats), input_of(n))


def assert_explained(run: Any, seed: int = 0) -> None:
    """Every stage: the chosen element, and others at random; additions, conversions, membranes, spikes."""
    rng = np.random.default_rng(seed)
    for stage in run.stages.values():
        height, width, channels = run.size(stage)
        others = [(int(rng.integers(height * width)), int(rng.integers(channels))) for _ in range(3)]
        for token, channel in ((None, None), *others):
            lens = look_into(run, stage.name, token, channel)
            where = lens.token, lens.channel
            for t, one in enumerate(lens.sums):
                name = f"{stage.name} {where} step {t}"
                assert one.value == one.recorded, name
                assert type(one.value) is type(one.recorded) or run.model.arithmetic.name == "fixed", name
                total = one.additions[0].value
                for addition in one.additions[1:]:  # as anybody would add them
                    total = total + addition.value
                if "accumulator" not in "".join(k for k, v in run.result.overflows.items() if v.any()):
                    assert total == one.additions[-1].total, name
            if stage.kind == NEURON:
                own = lens.membrane
                assert own is not None
                assert (own.x == run.currents(stage)[:, *where]).all()
                assert ((own.h >= own.threshold) == own.spikes).all()
                assert (own.v == np.where(own.spikes, 0, own.h)).all()
                if not lens.spikes:  # not pooled
                    assert (run.spike_rows(stage)[:, *where] == own.spikes).all()
            if stage.kind == SPIKES and not run.model.config.dvs_mode:
                *inputs, output = lens.spikes.values()
                assert (np.logical_and(*inputs) == output).all()


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["float32", "float64", "fixed"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_is_explained_to_the_last_bit(kind: str, arithmetic: str, capsys: Capture) -> None:
    run = observed(KINDS[kind], arithmetic)
    assert_explained(run)
    screen = Screen()
    show_walk(screen, run)
    for name in run.stages:
        lens = look_into(run, name)
        show_lens(screen, run, lens, 0, all_additions=True)
        json.dumps(of_lens(run, lens), allow_nan=False)
    assert "not the same" not in capsys.readouterr().out


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(networks(), st.sampled_from(["float32", "float64", "fixed"]), st.none() | formats_files(), st.integers(0, 99))
def test_any_network_is_explained(n: Network, arithmetic: str, formats: str | None, seed: int) -> None:
    try:
        run = observed(dataclasses.replace(n, batch=1), arithmetic, formats if arithmetic == "fixed" else None)
    except sdt_ref.FormatError:
        return
    assert_explained(run, seed)
    assert list(walk(run))


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_additions_that_leave_their_accumulator(overflow: str) -> None:
    run = observed(Network(batch=1, drive=2), "fixed", NARROW_SUMS % overflow)
    assert any(v.any() for k, v in run.result.overflows.items() if k.endswith("accumulator"))
    assert_explained(run)


def test_threads_that_share_the_tokens_change_nothing() -> None:
    n = Network(batch=1, depth=2, dim=64, height=16, width=16)
    with small_tiles(4096):
        several = observe(model_of(n, threads=3), input_of(n))
    alone = observe(model_of(n), input_of(n))
    assert_explained(several)
    for name in alone.stages:
        assert json.dumps(of_lens(several, look_into(several, name))) == json.dumps(
            of_lens(alone, look_into(alone, name))
        )


def test_a_membrane_by_hand() -> None:
    lif = NeuronParameters(np.float32(0.5), np.float32(1))
    own = membrane(lif, np.array([1.5, 1.5, 4, -1], np.float32))
    assert own.h.tolist() == [0.75, 1.125, 2, -0.5]
    assert own.v.tolist() == [0.75, 0, 0, -0.5]
    assert own.spikes.tolist() == [False, True, True, False]


def test_the_element_that_is_chosen_spikes_and_rests() -> None:
    run = observed(Network(batch=1, time_steps=4))
    stage = run.stages["block.0.attn.q_lif"]
    count = run.spike_rows(stage).sum(axis=0)
    lens = look_into(run, stage.name)
    assert count[lens.token, lens.channel] == count[count < 4].max()
    assert look_into(run, stage.name, token=3).token == 3
    assert look_into(run, stage.name, channel=7).channel == 7


def test_the_head_s_additions_are_those_counted() -> None:
    run = observed(Network(batch=1))
    lens = look_into(run, "head")
    events = [sum(one.kind == "event" for one in step.additions) for step in lens.sums]
    assert events == run.result.counts["head"].events.tolist()


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_walk_of_the_cat(capsys: Capture) -> None:
    assert explain.main([]) == 0
    screen = capsys.readouterr().out
    assert "cat.jpg, the sample photo  451x300, seen at 32x32" in screen
    model = sdt_ref.load()
    result = model(preprocess(open_picture(CAT), model.preprocessing)[None], record=True)
    words = " ".join(screen.split())
    for name, count in result.counts.items():
        if not name.endswith(("_q_conv", "_k_conv", "_v_conv")):
            assert f"{int((count.ac + count.mac).sum()):,}" in words, name
    assert f"{sum(int(result.counts[f'MS_SSA_Conv0_{n}_conv'].ac.sum()) for n in 'qkv'):,} additions" in words
    for hook in ("MS_SPS_lif", "MS_SPS_lif3", "MS_SSA_Conv0_q_lif", "MS_MLP_Conv1_fc2_lif", "head_lif"):
        assert f"{result.spikes[hook].firing_rate:.3f}" in words, hook
    assert [int(n) for n in re.findall(r"^([ \d]\d)  \S", screen, flags=re.M)] == list(range(1, 13))
    assert "45.1%" in screen.split("The answer")[1]


def test_json_is_the_engine_s_result(capsys: Capture) -> None:
    assert explain.main([str(CAT), "--json", "--arithmetic", "float64", "--threads", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    model = sdt_ref.load(arithmetic="float64")
    result = model(preprocess(open_picture(CAT), model.preprocessing)[None])
    assert told["logits_per_step"] == result.logits_per_step[:, 0].tolist()
    for stage in told["stages"]:
        if stage["layer"] is not None:
            count = result.counts[counted_as(stage["layer"])]
            assert (stage["additions"], stage["multiplications"]) == (count.ac.tolist(), count.mac.tolist())
            assert stage["read_rate"] == (count.firing_rate if count.neurons.any() else None)
        if stage["kind"] == NEURON:
            fired = result.stage_counts["threshold"][stage["name"]]
            assert stage["spikes"] == fired.events.tolist()
            assert stage["firing_rate"] == (fired.events / fired.neurons).tolist()


def test_the_additions_in_the_json_add_up_in_float32(capsys: Capture) -> None:
    """With nothing but the JSON and a 32-bit adder."""
    assert explain.main(["--stage", "block.0.attn.q_conv", "--token", "27", "--channel", "246", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["stage"], told["row"], told["column"]) == ("block.0.attn.q_lif", 3, 3)
    for t, step in enumerate(told["steps"]):
        total = np.float32(0)
        for one in step["additions"]:
            total += np.float32(one["value"])
        assert total == np.float32(told["membrane"]["current"][t]) == np.float32(step["recorded"])
        assert len(step["additions"]) > 40


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stage", "patch_embed.proj_lif"],
        ["--stage", "block.1.mlp.fc2_lif", "--arithmetic", "float64", "--all"],
        ["--stage", "patch_embed.proj_lif", "--arithmetic", "float64"],
        ["--stage", "head_lif", "--arithmetic", "fixed", "--step", "3"],
        ["--stage", "MS_SSA_Conv0_kv"],
        ["--stage", "input"],
        ["--stage", "head", "--channel", "9"],
        ["--size", "64", "--arithmetic", "fixed"],
        ["--weights", "sdt-2-64-nmnist"],
        ["--weights", "sdt-2-64-nmnist", "--stage", "patch_embed.proj_lif"],
    ],
)
@pytest.mark.parametrize("columns", ["40", "60", "80", "120"])
def test_no_line_is_wider_than_the_terminal(
    arguments: list[str], columns: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert explain.main(arguments) == 0
    screen = capsys.readouterr().out
    assert all(len(line) <= int(columns) or len(line.split()) == 1 for line in screen.splitlines())
    assert "\x1b" not in screen
    assert "…" not in screen
    assert ("the same number, bit for bit" in " ".join(screen.split())) == (
        "--stage" in arguments and "input" not in arguments
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg"], "picture 'absent.jpg' does not exist"),
        ([__file__], "expected a format that Pillow reads"),
        (["--stage", "q_lif"], "unknown stage 'q_lif'; did you mean 'block.0.attn.q_lif'? known, with J from 0 to 1: "),
        (["--stage", "block.0.atn.proj_con"], "did you mean 'block.0.attn.proj_conv'?"),
        (["--stage", "block.0.attn.q"], "did you mean 'block.0.attn.q_lif'?"),
        (["--stage", "Block.1.MLP.FC2_LIF"], "did you mean 'block.1.mlp.fc2_lif'?"),
        (["--stage", "talking"], "did you mean 'block.0.attn.talking_heads_lif'?"),
        (["--stage", "MS_SSA_Conv1_q_lf"], "did you mean 'MS_SSA_Conv1_q_lif'?"),
        (["--stage", "block.0.attn.k_con"], "did you mean 'block.0.attn.k_conv'?"),
        (["--stage", "zzz"], "unknown stage 'zzz'; did you mean '"),
        (["--stage", ""], "unknown stage ''; known, with J from 0 to 1: input, patch_embed.proj_lif, "),
        (["--stage", "head", "--channel", "10"], "--channel: expected 0 to 9 in stage 'head', found 10; choose"),
        (["--stage", "block.1.attn.kv", "--token", "-1"], "error: --token: expected 0 to 63 in stage 'block.1.attn.kv', found -1"),
        *(
            (["--stage", stage, "--token", "3"], f"error: --token: expected none, as stage '{stage}' has no tokens, found 3")
            for stage in ("head", "head_lif", "block.0.attn.talking_heads_lif")
        ),
        (["--stage", "head_lif", "--step", "4"], "--step: expected 0 to 3, found 4"),
        (["--token", "3"], "--token: expected --stage NAME with it"),
        (["--channel", "0"], "--channel: expected --stage NAME with it"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(arguments: list[str], message: str, capsys: Capture) -> None:
    assert explain.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_the_walk_of_a_recording_speaks_of_frames(capsys: Capture) -> None:
    assert explain.main(["--weights", "sdt-2-64-nmnist"]) == 0
    screen = capsys.readouterr().out
    told = " ".join(screen.split())
    assert "8 frames, one for each time step: 2 channels (OFF and ON) of 36 x 36 pixels, numbers from 0 to 9" in told
    assert "pixels are counts, not spikes" in told
    assert "picture" not in told
    frames = screen[: screen.index(" 2  From pixels")].splitlines()[6:]
    assert frames[0].strip() == frames[-2].strip(" ░") == ""  # where there are no events there is nothing
    passing = re.search(
        r"([\d,]+) of [\d,]+ spikes of Q stand in open channels and pass. out ([\d,]+) spikes, with those", told
    )
    assert passing is not None
    assert passing[1] != passing[2]  # the second pool, which the text names


def test_a_repaired_recording_says_so(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "cut.bin").write_bytes((CAT.parent / "digit.bin").read_bytes()[:4001])
    assert explain.main([str(tmp_path / "cut.bin")]) == 0
    assert "repaired incomplete record at the end left out: 1\n" in capsys.readouterr().out
    assert explain.main([str(tmp_path / "cut.bin"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repairs"] == {"incomplete record at the end left out": 1}


def test_one_frame_is_no_picture(capsys: Capture) -> None:
    run = observed(dataclasses.replace(KINDS["dvs"], time_steps=1))
    first, second, *_ = walk(run)
    assert first.title == "The frame"
    assert first.paragraphs[0][1].startswith("1 frame, one for each time step: 2 channels (OFF and ON) of 8 x 8 pixels")
    assert "pixels are counts" in second.paragraphs[1][1]


def test_names_stand_whole_beside_many_steps(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    run = observed(dataclasses.replace(KINDS["dvs"], time_steps=16))
    names = [f"block.0.attn.{name}" for name in ("kv", "q_lif", "talking_heads_lif", "masked")]
    for columns, heading in ((60, "step 15"), (100, f"step  {'  '.join(names[1:])}"), (200, "spikes of")):
        monkeypatch.setenv("COLUMNS", str(columns))
        show_lens(Screen(), run, look_into(run, "block.0.attn.masked"), 0, False)
        screen = capsys.readouterr().out
        assert heading in screen
        assert all(name in screen for name in names[1:])
        assert max(map(len, screen.splitlines())) <= columns
        assert "also beside such a place" in " ".join(screen.split())


def test_a_stage_without_tokens_offers_none(capsys: Capture) -> None:
    for stage, other in (("head", "--channel chooses another"), ("block.0.attn.kv", "--token and --channel choose")):
        assert explain.main(["--stage", stage]) == 0
        assert other in capsys.readouterr().out


def test_one_is_not_plural(tmp_path: Path, capsys: Capture) -> None:
    n = Network(depth=1, time_steps=1, pooling_stat="1111", height=32, width=32)
    weights_file.save(tmp_path / "w.h5", weights_of(n))
    assert explain.main([str(CAT), "--weights", str(tmp_path / "w.h5")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 block of 16 channels, 1 time step, float32" in told
    assert not re.search(r"\b1 (blocks|channels|spikes|events|additions|frames|time steps)\b", told)
    assert many(1, "event") == "1 event"
    assert many(0, "event") == "0 events"
    assert many(1234, "event") == "1,234 events"


def test_weights_of_frames_take_no_picture(tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(in_channels=2)))
    assert explain.main([str(CAT), "--weights", str(tmp_path / "w.h5")]) == 2
    captured = capsys.readouterr()
    assert "is a JPEG picture; expected a recording of an event camera" in captured.err
    assert captured.err.count("\n") == 1


def test_one_sample_at_a_time() -> None:
    n = Network(batch=2)
    with pytest.raises(sdt_ref.InputError, match="expected one sample to explain, found 2"):
        observe(model_of(n), input_of(n))


# --- pictures in characters -------------------------------------------------------------------------------------------


def test_characters() -> None:
    assert sparkline([0, 0.5, 1, 2], top=1.0) == "▁▄██"
    assert sparkline([0.999, -1, 0], top=1.0) == "▇▁▁"  # below the threshold is never full
    assert sparkline([0, 0]) == "▁▁"
    dots = TextPicture("", np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 0, 0]], bool))
    assert dots.lines(10) == [" ▀▄█", "▀▀  "]
    assert dots.lines(10, plain=True) == [" ',#", "''  "]
    tokens = TextPicture("", np.array([[0, 4], [1, 2]]), coarse=True)
    assert tokens.lines(10) == ["  ██", "░░▒▒"]
    photo = TextPicture("", np.arange(5.0)[None].repeat(2, axis=0), least=None)
    assert photo.lines(10) == [" ░▒▓█"]
    assert TextPicture("", np.ones((6, 3)), least=None).lines(10) == ["▒▒▒"] * 3  # equal numbers have equal shades
    assert TextPicture("", np.array([[0.0, 0, 0, 5]]), least=None).lines(10) == ["░░░▓"]


def test_pictures_stand_side_by_side_where_there_is_room() -> None:
    two = [TextPicture(name, np.ones((2, 8)), coarse=True) for name in "ab"]
    assert side_by_side(two, 40) == [f"a{' ' * 17}b", f"{'█' * 16}  {'█' * 16}", f"{'█' * 16}  {'█' * 16}"]
    assert side_by_side(two, 20) == ["a", "█" * 16, "█" * 16, "", "b", "█" * 16, "█" * 16]
    large = TextPicture("", np.arange(224 * 224.0).reshape(224, 224), least=None)
    assert max(map(len, large.lines(48))) <= 48
