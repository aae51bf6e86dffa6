"""Attention maps: their numbers, and the command that shows them."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from PIL import Image

import sdt_ref
from sdt_ref import attention
from sdt_ref.inputs.image import open_picture, preprocess
from sdt_ref.measuring.attention_map import AttentionMap, attention_maps
from sdt_ref.terminal import cli
from sdt_ref.weights import file as weights_file
from tests.networks import Network, input_of, model_of, weights_of
from tests.strategies import networks

CAT = Path(sdt_ref.__file__).parent / "data" / "cat.jpg"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def drawing() -> Any:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[report]'")
    from sdt_ref.drawing import attention

    return attention


@given(networks())
@example(Network(drive=1.5, depth=2))
@example(Network(drive=1.5, spike_mode="plif", time_steps=1, num_heads=2, seed=3))
@example(Network(drive=1.5, dvs_mode=True, frames=True, batch=3, height=4, width=8))
@example(Network(drive=1.5, spike_mode="plif", dvs_mode=True, num_heads=1, time_steps=16))
@example(Network(drive=-100))
@settings(max_examples=20)
def test_maps_are_what_dense_tensors_say(n: Network) -> None:
    result = model_of(n)(input_of(n), record=True)
    for sample in range(n.batch):
        maps = attention_maps(result.spikes, sample)
        assert [seen.block for seen in maps] == list(range(n.depth))
        for j, seen in enumerate(maps):
            q, k, v, before, kv, after = (
                result.spikes[f"MS_SSA_Conv{j}_{hook}"].to_dense()[:, sample].astype(np.int64)
                for hook in ("q_lif", "k_lif", "v_lif", "kv_before", "kv", "x_after_qkv")
            )
            mask = kv.reshape(n.time_steps, n.dim)
            passing = (q * mask[:, :, None, None]).sum(axis=1)
            assert seen.heads == n.num_heads
            assert np.array_equal(seen.mask, mask == 1)
            assert np.array_equal(seen.passing, passing)
            for spikes, dense in ((seen.q, q), (seen.k, k), (seen.v, v), (seen.kv, before), (seen.output, after)):
                assert np.array_equal(spikes, dense.reshape(n.time_steps, -1).sum(axis=1))
            assert np.array_equal(seen.passed, passing.sum(axis=(1, 2)))
            assert np.array_equal(seen.tokens, (passing > 0).sum(axis=(1, 2)))
            if n.spike_mode == "lif" and not n.dvs_mode:  # the official simplification: an OR over tokens
                assert np.array_equal(seen.mask, (k & v).any(axis=(2, 3)))
            if not n.dvs_mode:
                assert np.array_equal(seen.passed, seen.output)


def test_maps_need_recorded_events_of_the_sample() -> None:
    n = Network(batch=2)
    model, x = model_of(n), input_of(n)
    with pytest.raises(sdt_ref.EventsError, match="run the model with record=True"):
        attention_maps(model(x).spikes)
    spikes = model(x, record=True).spikes
    with pytest.raises(sdt_ref.EventsError, match="expected a sample from 0 to 1, found 2"):
        attention_maps(spikes, 2)
    with pytest.raises(sdt_ref.EventsError, match="expected events of MS_SSA_Conv0_q_lif, found NoneType"):
        attention_maps({hook: events for hook, events in spikes.items() if not hook.endswith("q_lif")})


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_table_is_aligned_and_exact(capsys: Capture) -> None:
    assert attention.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cat.jpg, the sample photo  451x300, seen at 32x32"
    rows = lines[3:11]
    assert len({len(row.rstrip()) for row in rows}) == 1
    seen = maps_of_the_cat()[1]
    q, passed = seen.q[3], seen.passed[3]
    expected = f"1 3 {seen.kv[3]} {seen.mask[3].sum()} of 256 {q} {passed} {passed / q:.1%} {seen.tokens[3]} of 64"
    assert rows[-1].split() == expected.split()


def maps_of_the_cat() -> list[AttentionMap]:
    model = sdt_ref.load()
    x = preprocess(open_picture(CAT), model.preprocessing)[None]
    return attention_maps(model(x, record=True).spikes)


def test_json_alone_says_all(capsys: Capture) -> None:
    assert attention.main([str(CAT), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["size"], summary["n_channels"], summary["n_heads"], summary["picture"]) == (32, 256, 8, None)
    assert (summary["arithmetic"], summary["image"]) == ("float32", str(CAT))
    for seen, block in zip(maps_of_the_cat(), summary["blocks"], strict=True):
        assert block["block"] == seen.block
        for t, step in enumerate(block["steps"]):
            assert step["step"] == t
            assert step["channels"] == np.flatnonzero(seen.mask[t]).tolist()
            assert step["passing"] == seen.passing[t].tolist()
            for name in ("q", "k", "v", "kv", "passed", "output", "tokens"):
                assert step[name] == getattr(seen, name)[t]


@pytest.mark.parametrize("columns", ["20", "60"])
def test_no_number_is_cut_off_in_a_narrow_window(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert attention.main(["--size", "128", "--steps", "1", "--blocks", "0"]) == 0
    screen = capsys.readouterr().out
    assert "…" not in screen
    assert "of 1,024" in screen


def test_blocks_and_steps_are_chosen(capsys: Capture) -> None:
    assert attention.main(["--json", "--blocks", "1", "--steps", "2-3,0"]) == 0
    chosen = json.loads(capsys.readouterr().out)["blocks"]
    assert [(block["block"], [step["step"] for step in block["steps"]]) for block in chosen] == [(1, [0, 2, 3])]
    assert chosen[0]["steps"][1]["passing"] == maps_of_the_cat()[1].passing[2].tolist()


def test_a_silent_network_has_no_shares(tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(drive=-100)))
    assert attention.main(["--weights", str(tmp_path / "w.h5")]) == 0
    assert "0 of 16" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_written(ending: str, drawing: Any, tmp_path: Path, capsys: Capture) -> None:
    """Whatever the name holds: markup of pictures and of terminals, signs that the font lacks."""
    photo = tmp_path / "caf\u00e9 $\\x$ \u732b [bold] of a rather long name.jpg"
    photo.write_bytes(CAT.read_bytes())
    path = tmp_path / f"map.{ending}"
    assert attention.main([str(photo), "-o", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["picture"] == str(path)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)
    assert sorted(tmp_path.iterdir()) == sorted([photo, path])


def test_the_picture_follows_the_maps(drawing: Any, tmp_path: Path) -> None:
    """A channel more in the mask, a spike more at a token: another picture, there and nowhere else."""
    n = Network(drive=1.5, batch=1, pooling_stat="0001", num_heads=4)  # 4x4 tokens, 4x4 channels
    [seen] = attention_maps(model_of(n)(input_of(n), record=True).spikes)
    photo = Image.new("RGB", (8, 8), "gray")

    def pixels(shown: AttentionMap) -> np.ndarray:
        drawing.draw(tmp_path / "map.png", [shown], range(3), photo, "photo")
        return np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).astype(int)

    before = pixels(seen)
    assert np.array_equal(before, pixels(seen))
    _, _, _, tokens, channels, *_ = drawing.figure([seen], range(3), photo, "photo").axes  # of step 1
    height, width = before.shape[:2]

    def share_that_changed(after: np.ndarray, axes: Any, row: int, column: int) -> tuple[float, int]:
        """Of one of 4x4 cells of the axes, the share of the pixels that differ; and how many do beside it."""
        box = axes.get_position()
        top, left = (1 - box.y1) * height, box.x0 * width
        high, wide = box.height * height / 4, box.width * width / 4
        inside = np.zeros((height, width), np.bool_)
        inside[
            round(top + row * high) : round(top + (row + 1) * high),
            round(left + column * wide) : round(left + (column + 1) * wide),
        ] = True
        differ = (before != after).any(axis=2)
        differ[round(top + 4 * high) + 1 :] = False  # below stands the number of channels
        return float(differ[inside].mean()), int((differ & ~inside).sum())

    mask, passing = seen.mask.copy(), seen.passing.copy()
    mask[1, 6] ^= True  # head 1, its channel 2
    changed, beside = share_that_changed(pixels(dataclasses.replace(seen, mask=mask)), channels, 1, 2)
    assert changed > 0.7
    assert beside < 100  # a line of pixels around
    passing[1, 0, 3] = 0 if passing[1, 0, 3] else passing.max()
    assert passing.max() == seen.passing.max()  # the scale stays
    changed, beside = share_that_changed(pixels(dataclasses.replace(seen, passing=passing)), tokens, 0, 3)
    assert changed > 0.02
    assert beside == 0


def test_any_number_of_blocks_steps_and_heads_fits(drawing: Any) -> None:
    """Photos do not overlap, and stay within the sheet; long time is wrapped; no text leaves it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for n in (
        Network(time_steps=1, num_heads=1, dim=136, height=4, width=4, batch=1),
        Network(time_steps=16, depth=3, num_heads=16, batch=1, height=8, width=16, drive=1.5),
        Network(time_steps=9, num_heads=2, batch=1, height=16, width=8),
    ):
        maps = attention_maps(model_of(n)(input_of(n), record=True).spikes)
        photo = Image.new("RGB", (n.width, n.height))
        made = drawing.figure(maps, range(n.time_steps), photo, "m" * 99 + ".jpg")
        FigureCanvasAgg(made).draw()
        sheet = made.bbox
        boxes = [axes.get_tightbbox() for axes in made.axes] + [text.get_window_extent() for text in made.texts]
        assert len(made.axes) == 1 + n.depth * (2 * n.time_steps + 1)
        for i, box in enumerate(boxes):
            assert sheet.x0 <= box.x0 < box.x1 <= sheet.x1
            assert sheet.y0 <= box.y0 < box.y1 <= sheet.y1
            assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg"], "picture 'absent.jpg' does not exist"),
        ([""], "expected a file, found a folder"),
        ([__file__], "expected a format that Pillow reads"),
        (["--size", "33"], "expected height and width divisible by 4"),
        (["--weights", "absent.h5"], "weights file 'absent.h5' does not exist"),
        (["--steps", "4"], "--steps: expected numbers from 0 to 3, found '4'"),
        (["--steps", "0,5000"], "--steps: expected numbers from 0 to 3, found '0,5000'"),
        (["--blocks", "2-1"], "--blocks: expected numbers from 0 to 1, found '2-1'"),
        (["--blocks", "one"], "--blocks: expected whole numbers and ranges such as 0,2-3, found 'one'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys: Capture) -> None:
    assert attention.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("folder.png", "it is a folder; name a file in it"),
        ("map.jpg", "expected a name that ends in .png, .svg, .pdf"),
        ("", "expected a name that ends in .png, .svg, .pdf"),
        ("absent/map.png", "cannot write"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_first(
    output: str, message: str, drawing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "load_model", lambda options: pytest.fail("computed in vain"))
    assert attention.main(["-o", output]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_without_matplotlib_there_is_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith(("matplotlib.", "sdt_ref.drawing."))]:
        monkeypatch.delitem(sys.modules, name)
    assert attention.main(["-o", str(tmp_path / "map.png")]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err
        == "error: pictures need matplotlib, which is not installed; in the folder of sdt_ref: pip install '.[report]'\n"
    )
    assert (captured.out, list(tmp_path.iterdir())) == ("", [])
    assert attention.main([]) == 0
    assert "K AND V" in capsys.readouterr().out


def test_event_camera_weights_take_no_photo(drawing: Any, tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(in_channels=2)))
    assert attention.main(["--weights", str(tmp_path / "w.h5"), "-o", str(tmp_path / "map.png")]) == 2
    captured = capsys.readouterr()
    assert "these weights read event-camera frames" in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]


def test_too_large_a_picture_is_refused_but_not_a_table(drawing: Any, tmp_path: Path, capsys: Capture) -> None:
    weights_file.save(tmp_path / "w.h5", weights_of(Network(time_steps=520)))
    arguments = ["--weights", str(tmp_path / "w.h5"), "-o", str(tmp_path / "map.png")]
    assert attention.main(arguments) == 2
    assert "expected at most 512 maps, found 1 blocks x 520 time steps; choose with" in capsys.readouterr().err
    assert attention.main([*arguments, "--steps", "517-519"]) == 0
    assert attention.main(arguments[:2]) == 0
