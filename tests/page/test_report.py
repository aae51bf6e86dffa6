"""The report: its numbers are the engine's, in the page's data and on a real browser's screen; it fits, and is safe."""

import base64
import dataclasses
import io
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import sdt_ref
from sdt_ref import report
from sdt_ref.cost.account import Accountant
from sdt_ref.cost.technology import DEFAULTS, TECHNOLOGIES, energy
from sdt_ref.engine.events import SpikeEvents
from sdt_ref.engine.neuron import is_or
from sdt_ref.inputs.image import open_picture, preprocess
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.page import sampling
from sdt_ref.page.gather import Photo, gather
from sdt_ref.page.write import MAX_BYTES, render, write
from sdt_ref.terminal import answer, cli
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.tensors import tensor_shapes
from tests import browser
from tests.networks import Network, model_of, weights_of

CAT = Path(sdt_ref.__file__).parent / "data" / "cat.jpg"
DIGIT = CAT.parent / "digit.bin"
Capture = pytest.CaptureFixture[str]
Page = dict[str, Any]


class Embedded(HTMLParser):
    """Reads what a page embeds: its data, its title, and all scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.title, self._inside = "", ""
        self._attributes: dict[str, str | None] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside, self._attributes = tag, dict(attrs)
        if tag == "script":
            self.scripts.append((self._attributes, ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, text: str) -> None:
        if self._inside == "script":
            self.scripts[-1] = (self._attributes, self.scripts[-1][1] + text)
        elif self._inside == "title":
            self.title += text

    @property
    def data(self) -> Page:
        [text] = [text for attributes, text in self.scripts if attributes.get("id") == "data"]
        return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the sample photo."""
    pytest.importorskip("jinja2", reason="Jinja2 is not installed: pip install '.[report]'")
    path = tmp_path_factory.mktemp("report") / "cat.html"
    assert report.main([str(CAT), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def cat_run() -> tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]:
    """The same run, by the engine alone."""
    model = sdt_ref.load()
    x = preprocess(open_picture(CAT), model.preprocessing)[None]
    return model, x, model(x, record="currents")


def noise(n: Network) -> Image.Image:
    return Image.fromarray(np.random.default_rng(n.seed).integers(0, 256, (n.height, n.width, 3), np.uint8))


def unpacked(text: str, *shape: int) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=int(np.prod(shape)))
    return bits.reshape(shape)


def counts(packed: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(packed["data"]), f"<u{packed['bytes']}")
    return values.reshape(packed["shape"]).astype(np.int64)


# --- numbers ----------------------------------------------------------------------------------------------------------


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
        assert (layers[name]["reads"] or {"all": None})["all"] == count.firing_rate


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


def test_the_page_of_the_sample_photo_holds_the_run(
    cat: Path, cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    data = Embedded(cat.read_text()).data
    assert (data["format"], data["version"], data["steps"]) == ("sdt_ref report", 1, [0, 1, 2, 3])
    assert data["sampled"] == []
    assert all(len(stage["sample"]["channels"]) == stage["channels"] for stage in data["stages"])
    assert_of_the_run(data, *cat_run)


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


@pytest.mark.parametrize("arithmetic", ["float32", "fixed"])
def test_the_page_says_what_multiplies(arithmetic: str, tmp_path: Path) -> None:
    """In fixed point nothing does, and no sentence says otherwise."""
    pytest.importorskip("jinja2")
    path = tmp_path / "r.html"
    assert report.main(["-o", str(path), "--arithmetic", arithmetic]) == 0
    words = re.sub(
        r"<[^>]+>", "", path.read_text().partition("<noscript>")[2].partition('<script type="application')[0]
    )
    said = {sentence for sentence in ("of pixels, in the leak", "once, with multiplications") if sentence in words}
    denied = {sentence for sentence in ("the leak is a shift", "reads the bits of the pixels") if sentence in words}
    assert (len(said), len(denied)) == ((2, 0) if arithmetic == "float32" else (0, 2))


def test_one_is_not_plural() -> None:
    pytest.importorskip("jinja2")
    n = Network(time_steps=1, num_classes=1)
    data = gather(model_of(n), Photo("noise", noise(n)), "random", n.height, TECHNOLOGIES[DEFAULTS["float32"]])
    words = " ".join(re.sub(r"<[^>]+>", "", render(data).partition("<header>")[2].partition("<script")[0]).split())
    for said in (
        "1 block of 16 channels",
        "after 1 time step ",
        "It knows 1 class, nothing",
        "at the same photo 1 time.",
    ):
        assert said in words


def test_chosen_steps_alone_are_shown(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("jinja2")
    path = tmp_path / "r.html"
    assert report.main(["-o", str(path), "--steps", "3,0-1", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    data = Embedded(path.read_text()).data
    assert summary["steps"] == data["steps"] == [0, 1, 3]
    assert summary["bytes"] == path.stat().st_size
    assert summary["answer"] == data["answer"][0]
    assert summary["sampled"] == data["sampled"] == [data["sampled"][0]]
    assert "Of 4 time steps the page shows 3: 0, 1, 3." in data["sampled"][0]
    assert len(data["stages"][0]["spikes"]) == 3


# --- what fits --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.builds(sampling.Shape, st.integers(1, 4096), st.integers(1, 300), st.integers(1, 300)), max_size=80),
    st.integers(1, 32),
)
@example([sampling.Shape(3072, 18, 18)] * 70, 4)
@settings(max_examples=60)
def test_a_plan_fills_the_page_and_does_not_overflow(shapes: list[sampling.Shape], T: int) -> None:
    plan = sampling.plan(shapes, range(T))
    mapped = [shape for shape in shapes if shape.has_map]

    def n_bytes(more: int) -> int:
        each = dataclasses.replace(plan, channels=plan.channels + more)
        return sum(len(each.chosen(shape)) * shape.height * shape.width for shape in mapped) * T // 8

    assert plan.channels >= 1
    if plan.channels > 1:
        assert n_bytes(0) <= sampling.SPIKE_BYTES
    if any(shape.channels > plan.channels for shape in mapped):
        assert n_bytes(1) > sampling.SPIKE_BYTES
    for shape in shapes:
        chosen = plan.chosen(shape)
        assert (np.diff(chosen) > 0).all()
        assert 0 <= chosen[0] <= chosen[-1] < shape.channels
        assert np.ptp(np.diff(chosen)) <= 1 if len(chosen) > 1 else True
        assert -(-max(shape.height, shape.width) // plan.block(shape)) <= plan.side


@given(st.integers(1, 5000), st.integers(2, 64))
def test_steps_are_evenly_spaced_with_both_ends(n: int, most: int) -> None:
    chosen = sampling.evenly(n, most)
    assert len(chosen) == min(n, most)
    assert (chosen[0], chosen[-1]) == (0, n - 1)
    assert chosen == sorted(set(chosen))


def test_packing_by_hand() -> None:
    assert base64.b64decode(sampling.packed_bits(np.array([[1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0]], bool))) == (
        bytes([0b10000001, 0b11000000])
    )
    packed = sampling.packed_counts(np.array([[[1, 258]]]))
    assert packed == {"shape": [1, 1, 2], "bytes": 2, "max": 258, "data": base64.b64encode(b"\1\0\2\1").decode()}
    added = sampling.added_up(np.arange(15).reshape(1, 3, 5), 2)
    assert added.tolist() == [[[0 + 1 + 5 + 6, 2 + 3 + 7 + 8, 4 + 9], [10 + 11, 12 + 13, 14]]]
    events = SpikeEvents.from_dense(np.array([[[[[1, 0]], [[0, 0]], [[1, 1]]]]]))  # [1, 1, 3, 1, 2]
    assert sampling.bits_of(events, [0], np.array([0, 2])).tolist() == [[[True, False], [True, True]]]
    assert sampling.counts_per_position(events, [0]).tolist() == [[2, 1]]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """The report of SDT-8-768 at 288 pixels, with random weights that fire plausibly; and its data."""
    pytest.importorskip("jinja2")
    rng = np.random.default_rng(0)
    architecture = sdt_ref.weights.architecture.Architecture(768, 8, 3, 1000, 3072, "lif")
    tensors = {}
    for name, shape in tensor_shapes(architecture).items():
        if name.endswith("running_var"):
            value = np.ones(shape)
        elif name.endswith("running_mean") or "conv.bias" in name:
            value = np.zeros(shape)
        elif "_bn" in name:
            value = np.full(shape, 1.5 if name.endswith("weight") else -0.1)
        else:
            gain = 1 if "embed.proj_conv.weight" in name else 6
            value = rng.standard_normal(shape, np.float32) * np.sqrt(gain / max(1, np.prod(shape[1:])))
        tensors[name] = np.asarray(value, np.float32)
    config = sdt_ref.weights.config.ModelConfig(4, "1111", 8, False, False)
    preprocessing, names = sdt_ref.weights.config.Preprocessing(224), tuple(map("class {}".format, range(1000)))
    model = SpikeDrivenTransformer(weights_file.Weights(tensors, config, preprocessing, names, {}))
    del tensors
    picture = Image.fromarray(rng.integers(0, 256, (288, 288, 3), np.uint8))  # takes most room as PNG
    data = gather(model, Photo("noise.png", picture), "random", 288, TECHNOLOGIES["45nm-float32"])
    path = tmp_path_factory.mktemp("wide") / "wide.html"
    write(path, render(data))
    return path, data


def test_a_large_network_fits_and_says_what_it_sampled(wide: tuple[Path, Page], cat: Path) -> None:
    path, data = wide
    print(f"{path.stat().st_size:,} and {cat.stat().st_size:,} bytes")
    assert cat.stat().st_size < 1_000_000
    assert 2_000_000 < path.stat().st_size < MAX_BYTES == 5_000_000
    channels, maps = data["sampled"]
    kept = {len(stage["sample"]["channels"]) for stage in data["stages"] if "map" in stage}
    assert len(kept) == 1
    assert max(kept) >= 16
    assert channels.startswith(f"Channels one by one: {max(kept)} of each stage that has more (up to 3,072)")
    assert "add up squares of up to 3 x 3 positions" in maps
    first = data["stages"][0]
    assert counts(first["map"]).sum(axis=(1, 2)).tolist() == first["spikes"]
    assert all(np.sum(stage["membrane"]["counts"]) == 4 * 96 * 288 * 288 for stage in data["stages"][:1])
    text = path.read_text()
    assert channels in text
    assert "this page holds a sample" in text
    assert "this page holds a sample" not in cat.read_text()


def test_too_large_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sdt_ref.SdtError, match=r"expected less than 5 MB, found 5.0 MB; choose fewer with --steps"):
        write(tmp_path / "r.html", "x" * MAX_BYTES)
    assert list(tmp_path.iterdir()) == []


# --- what comes from outside ------------------------------------------------------------------------------------------

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>&amp;\u2028\"'"


def hostile_page(tmp_path: Path) -> Path:
    pytest.importorskip("jinja2")
    n = Network(drive=1.5)
    weights = dataclasses.replace(weights_of(n), classes=tuple(f"{k} {HOSTILE}" for k in range(n.num_classes)))
    weights_file.save(tmp_path / "<b>w.h5", weights)
    photo = tmp_path / "<img src=x onerror=window.hacked=3> \"' {{ 7*7 }} & <script>.png"
    noise(n).save(photo)
    path = tmp_path / "r.html"
    assert report.main([str(photo), "--weights", str(tmp_path / "<b>w.h5"), "-o", str(path)]) == 0
    return path


def test_names_from_outside_are_no_markup(tmp_path: Path) -> None:
    path = hostile_page(tmp_path)
    page = Embedded(path.read_text())
    assert [attributes.get("type") for attributes, _ in page.scripts] == ["application/json", None]
    assert page.data["photo"]["name"].startswith("<img src=x onerror=window.hacked=3> \"' {{ 7*7 }}")
    assert page.data["answer"][0]["label"][2:] == HOSTILE
    assert page.title.startswith(page.data["photo"]["name"])
    assert path.read_text().count("<script") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    photo = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg")
    Path(photo).write_bytes(CAT.read_bytes())
    assert report.main([photo, "-o", str(tmp_path / "r.html")]) == 0
    assert Embedded((tmp_path / "r.html").read_text()).data["photo"]["name"] == "\ufffd\ufffd.jpg"


def test_a_photo_leaves_its_place_and_camera_behind(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    picture = Image.new("RGB", (64, 64), "gray")
    exif = Image.Exif()
    exif[0x010F] = "CAMERA-MAKER"
    picture.save(tmp_path / "p.jpg", exif=exif, comment=b"A-SECRET")
    assert report.main([str(tmp_path / "p.jpg"), "-o", str(tmp_path / "r.html")]) == 0
    data = Embedded((tmp_path / "r.html").read_text()).data
    for shown in ("given", "seen"):
        raw = base64.b64decode(data["photo"][shown].partition(",")[2])
        assert b"CAMERA-MAKER" not in raw
        assert b"A-SECRET" not in raw
        assert Image.open(io.BytesIO(raw)).size == ((64, 64) if shown == "given" else (32, 32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg", "-o", "r.html"], "picture 'absent.jpg' does not exist"),
        ([".", "-o", "r.html"], "expected a file, found a folder"),
        ([__file__, "-o", "r.html"], "expected a format that Pillow reads"),
        (["photo.html", "-o", "photo.html"], "report 'photo.html': it is an input of this run; choose another name"),
        (["photo.html", "-o", "./link.html"], "it is an input of this run"),
        (["photo.html", "-o", "photo.jpg"], "report 'photo.jpg': expected a name that ends in .html or .htm"),
        (["-o", "folder.html"], "it is a folder; name a file in it"),
        (["-o", "absent/r.html"], "cannot write 'absent/r.html'"),
        (["-o", ""], "expected a name that ends in .html"),
        (["-o", "r.html", "--weights", "absent.h5"], "weights file 'absent.h5' does not exist"),
        (
            ["-o", "r.html", "--weights", "events.h5"],
            "weights 'events.h5' read event-camera frames; expected weights for",
        ),
        (["-o", "r.html", "--weights", "sdt-2-64-nmnist"], "weights 'sdt-2-64-nmnist' read event-camera frames"),
        (
            [str(DIGIT), "-o", "r.html"],
            "digit.bin' is a recording; expected a picture; for recordings there are python -m",
        ),
        (["-o", "r.html", "--size", "33"], "expected height and width divisible by 4"),
        (["-o", "r.html", "--steps", "4"], "--steps: expected numbers from 0 to 3, found '4'"),
        (["-o", "r.html", "--steps", "x"], "--steps: expected whole numbers and ranges such as 0,2-3, found 'x'"),
        (["-o", "r.html", "--technology", "abacus"], "technology: expected one of 45nm-float32"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    Path("folder.html").mkdir()
    Image.new("RGB", (8, 8)).save("photo.html", "PNG")
    Path("link.html").symlink_to("photo.html")
    weights_file.save("events.h5", weights_of(Network(in_channels=2)))
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert report.main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    assert list(Path("folder.html").iterdir()) == []


def test_without_jinja_it_says_so_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr(cli, "load_model", lambda options: pytest.fail("computed in vain"))
    assert report.main(["-o", str(tmp_path / "r.html")]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err
        == "error: the report needs Jinja2, which is not installed; in the folder of sdt_ref: pip install '.[report]'\n"
    )
    assert (captured.out, list(tmp_path.iterdir())) == ("", [])


def test_it_says_what_it_wrote(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("jinja2")
    path = tmp_path / "r.html"
    path.write_text("an older one")
    assert report.main(["-o", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cat.jpg: cat 45.1%"
    assert lines[1].endswith("r.html: 0.6 MB, one file; open it in a browser")
    assert path.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser.chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def page(driver: Any, cat: Path) -> Any:
    """The sample photo's report, just opened."""
    browser.look_at(driver)
    browser.open_page(driver, cat.as_uri())
    driver.execute_script("localStorage.clear()")
    return driver


@pytest.fixture
def shown(page: Any) -> Iterator[Callable[[str], str]]:
    """Text of the first element that a selector finds."""
    yield lambda selector: page.execute_script("return document.querySelector(arguments[0]).textContent", selector)
    assert browser.said(page) == []


def go_to(page: Any, step: int) -> None:
    """Move the slider with the keyboard, as a person does."""
    from selenium.webdriver.common.keys import Keys

    slider = page.find_element("id", "step")
    slider.send_keys(Keys.HOME)
    for _ in range(step):
        slider.send_keys(Keys.ARROW_RIGHT)


def picture(page: Any, selector: str) -> str:
    return page.execute_script("return document.querySelector(arguments[0]).toDataURL()", selector)


def test_it_loads_from_a_file_in_silence(driver: Any, cat: Path) -> None:
    browser.look_at(driver)
    start = time.perf_counter()
    browser.open_page(driver, cat.as_uri())
    print(f"loaded and drawn in {time.perf_counter() - start:.2f} s")
    assert browser.said(driver) == []
    assert browser.asked(driver) == [cat.as_uri()]
    assert driver.title.startswith("cat.jpg: cat")
    assert driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []


def test_it_asks_a_server_for_one_file(driver: Any, cat: Path) -> None:
    paths: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, form: str, *arguments: Any) -> None:
            paths.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=cat.parent)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/{cat.name}"
            browser.open_page(driver, address)
            go_to(driver, 1)
            assert browser.asked(driver) == [address]
        finally:
            server.shutdown()
            thread.join()
    assert paths == [f"/{cat.name}"]
    assert browser.said(driver) == []


def test_each_time_step_shows_the_engines_numbers(
    page: Any, shown: Callable[[str], str], cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    model, x, result = cat_run
    account = Accountant(model).of(x, result)
    spent = energy(account, TECHNOLOGIES["45nm-float32"])
    total = sum(pj.sum() for pj in spent.values())
    assert f"{total / 1e9:.3f} mJ for this photo" in shown(".sums")
    assert f"{account.total('ac'):,}" in shown(".sums")
    assert shown(".label") == model.rank(result.logits[0])[0][0]
    maps = sdt_ref.measuring.attention_map.attention_maps(result.spikes)
    for t in range(4):
        go_to(page, t)
        assert shown("#time") == f"time step {t}"
        rates = page.execute_script("return [...document.querySelectorAll('.stage .rate')].map(e => e.textContent)")
        assert rates == [
            f"{spikes.events_per_step()[t] * 4 / (spikes.n_rows * spikes.n_channels):.3f}"
            for spikes in result.spikes.values()
        ]
        mean = result.logits_per_step[: t + 1, 0].mean(axis=0)
        label, score = model.rank(mean)[0]
        assert shown("#sofar") == f"so far: {label}, {100 * score:.1f} %"
        ranking = page.execute_script("return [...document.querySelectorAll('#ranking b')].map(e => e.textContent)")
        assert ranking[:3] == [label for label, _ in model.rank(mean)[:3]]
        first = account.stages["patch_embed.proj_lif"]
        assert shown("#rate") == f"{account.fired(first.name)[t]:.3f}"
        assert shown("#spikes") == f"{result.spikes[first.hook].events_per_step()[t]:,}"
        assert f"fire: {result.spikes[first.hook].events_per_step()[t]:,}" in shown("#histogram")
        seen = maps[0]
        for part, n in (("q", seen.q[t]), ("k", seen.k[t]), ("v", seen.v[t]), ("kv", seen.kv[t])):
            assert shown(f".part.{part} figcaption") == f"{n:,} spike{'' if n == 1 else 's'}"
        assert shown(".part.mask figcaption") == f"{seen.mask[t].sum()} of 256 channels open"
        share = f"{100 * seen.passed[t] / seen.q[t]:.1f} % of Q"
        assert share in shown(".part.passing figcaption")
        assert f"in {seen.tokens[t]} of 64 patches" in shown(".part.passing figcaption")
        cells = page.execute_script(
            "return [...document.querySelectorAll('#layers tbody tr')].map(r => [...r.children].map(c => c.textContent))"
        )
        layers = answer.stages(model, result)
        for name, rate, operations, _, _, whole in cells:
            if name in layers:
                count = layers[name]
                if count.firing_rate is not None:
                    assert rate == f"{count.events[t] * 4 / count.neurons.sum():.3f}"
                    assert operations == f"{count.ac[t]:,}"
                assert float(whole) == pytest.approx((count.ac.sum() * 0.9 + count.mac.sum() * 4.6) / 1e6, abs=0.006)


def test_the_slider_changes_every_picture(page: Any, shown: Callable[[str], str]) -> None:
    selectors = ["#map", "#tiles", ".stage[data-stage='9'] canvas", *(f".part.{p} canvas" for p in ("q", "k", "mask"))]
    go_to(page, 0)
    before = {selector: picture(page, selector) for selector in selectors}
    charts = {chart: page.find_element("id", chart).get_attribute("innerHTML") for chart in ("chart", "histogram")}
    go_to(page, 3)
    for selector, was in before.items():
        assert picture(page, selector) != was, selector
    for chart, drawn in charts.items():
        assert page.find_element("id", chart).get_attribute("innerHTML") != drawn
    go_to(page, 0)
    assert {selector: picture(page, selector) for selector in selectors} == before


def test_pictures_show_the_engines_spikes(
    page: Any, shown: Callable[[str], str], cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    """One channel over the photo: orange at the patches where it spikes, grey elsewhere."""
    result = cat_run[2]
    page.find_element("id", "single").click()
    channel = int(shown("#picked").split(":")[0])
    opened = np.flatnonzero(result.spikes["MS_SSA_Conv0_kv"].to_dense()[3].ravel())
    assert channel == opened[0]
    for part, hook in (("q", "q_lif"), ("k", "k_lif"), ("v", "v_lif")):
        spikes = result.spikes[f"MS_SSA_Conv0_{hook}"].to_dense()[3, 0, channel]
        png = base64.b64decode(picture(page, f".part.{part} canvas").partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        size = len(pixels) / 8
        middle = ((np.arange(8) + 0.5) * size).astype(int)
        colours = pixels[middle][:, middle]
        assert np.array_equal(colours[..., 0] - colours[..., 2] > 60, spikes == 1)
    page.find_element("id", "open").click()
    assert int(shown("#picked").split(":")[0]) == opened[1]
    assert shown(".part.mask figcaption") == f"channel {opened[1]} is open"
    png = base64.b64decode(picture(page, ".part.mask canvas").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    middle = ((np.arange(16) + 0.5) * len(pixels) / 16).astype(int)
    colours = pixels[middle][:, middle]
    assert np.array_equal(np.flatnonzero(colours[..., 0] - colours[..., 2] > 60), opened)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_photo_shows_around_the_spikes(
    width: int, scheme: str, driver: Any, cat: Path, cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    """Coloured in the middle of each patch with spikes; most of every picture is the grey photo, with its contrast."""
    browser.look_at(driver, width, scheme=scheme)
    browser.open_page(driver, cat.as_uri())
    for part, hook in (("q", "q_lif"), ("k", "k_lif"), ("v", "v_lif")):
        counts = cat_run[2].spikes[f"MS_SSA_Conv0_{hook}"].to_dense()[3, 0].sum(axis=0)
        png = base64.b64decode(picture(driver, f".part.{part} canvas").partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        grey = np.ptp(pixels, axis=2) <= 2
        middle = ((np.arange(8) + 0.5) * len(pixels) / 8).astype(int)
        assert np.array_equal(~grey[middle][:, middle], counts > 0)
        assert 0.5 < grey.mean() < 0.9
        assert np.ptp(np.percentile(pixels[grey], (2, 98))) > 80


def test_a_click_on_the_mask_chooses_its_channel(page: Any, shown: Callable[[str], str]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    mask = page.find_element("css selector", ".part.mask canvas")
    side = mask.size["width"] / 16
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", mask)
    ActionChains(page).move_to_element_with_offset(mask, round(2.5 * side), round(-1.5 * side)).click().perform()
    assert shown("#picked").startswith(f"{6 * 16 + 10}: ")  # the offset is from the middle


def test_all_is_reached_with_the_keyboard(
    page: Any, shown: Callable[[str], str], cat_run: tuple[SpikeDrivenTransformer, np.ndarray, sdt_ref.Result]
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        ActionChains(page).send_keys(*keys).perform()

    def focused() -> Any:
        return page.switch_to.active_element

    result = cat_run[2]
    press(Keys.TAB)
    assert focused().get_attribute("class") == "skip"
    press(Keys.TAB)
    assert focused().get_attribute("id") == "theme"
    press(Keys.TAB)
    assert focused().get_attribute("id") == "play"
    press(Keys.ARROW_LEFT)  # from anywhere
    assert shown("#time") == "time step 2"
    press(Keys.TAB, Keys.HOME)
    assert shown("#time") == "time step 0"
    press(Keys.END)
    assert shown("#time") == "time step 3"
    for _ in range(40):  # to the first stage
        press(Keys.TAB)
        if focused().get_attribute("data-stage") == "0":
            break
    press(Keys.TAB, Keys.ENTER)
    assert shown("#detail-title") == "patch embedding: conv 1"
    assert focused().get_attribute("aria-pressed") == "true"
    page.find_element("id", "next").send_keys(Keys.ENTER)
    assert shown("#detail-title") == "patch embedding: conv 2"
    assert focused().get_attribute("id") == "next"
    page.find_element("id", "next").send_keys(Keys.ENTER, Keys.ENTER)
    assert shown("#detail-title") == "block 0: input"  # the card has moved below the next row, the focus with it
    assert focused().get_attribute("id") == "next"

    spikes = result.spikes["MS_SSA_Conv0_first_lif"].to_dense()[3, 0].astype(int)
    page.find_element("id", "map").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert shown("#map-note") == f"row 1, column 1: {spikes.sum(axis=0)[1, 1]} spikes"
    page.find_element("id", "tiles").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert shown("#map-title") == "Channel 9"
    assert shown("#map-note").startswith(f"{spikes[9].sum()} spike")
    page.find_element("id", "more").send_keys(Keys.ENTER)
    assert shown("#tiles-title") == "Channels 64 to 127"

    page.find_element("css selector", ".part.v canvas").send_keys(*[Keys.ARROW_RIGHT] * 4)
    q, k, v, kv, z = (
        result.spikes[f"MS_SSA_Conv0_{hook}"].to_dense()[3, 0].astype(int)
        for hook in ("q_lif", "k_lif", "v_lif", "kv_before", "x_after_qkv")
    )
    assert shown("#patch") == (
        f"Patch in row 0, column 3: K {k[:, 0, 3].sum()}, V {v[:, 0, 3].sum()}, both {kv[:, 3].sum()}; "
        f"Q {q[:, 0, 3].sum()}, of which {z[:, 3].sum()} pass"
    )
    page.find_element("css selector", "[data-block='1']").send_keys(Keys.ENTER)
    assert shown(".part.q figcaption") == f"{result.spikes['MS_SSA_Conv1_q_lif'].events_per_step()[3]:,} spikes"


def test_it_plays(page: Any, shown: Callable[[str], str]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    play = page.find_element("id", "play")
    play.click()
    assert shown("#time") == "time step 0"
    assert play.get_attribute("aria-pressed") == "true"
    WebDriverWait(page, 10, 0.05).until(lambda _: play.get_attribute("aria-pressed") == "false")
    assert shown("#time") == "time step 3"


def test_it_follows_the_persons_colours_and_the_button(driver: Any, cat: Path) -> None:
    def ground() -> int:
        rgb = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, rgb[4:-1].split(",")))

    for scheme, dark in (("light", False), ("dark", True)):
        browser.look_at(driver, scheme=scheme)
        browser.open_page(driver, cat.as_uri())
        driver.execute_script("localStorage.clear()")
        browser.open_page(driver, cat.as_uri())
        assert (ground() < 200) == dark
        before = picture(driver, "#tiles")
        driver.find_element("id", "theme").click()
        assert (ground() < 200) != dark
        assert picture(driver, "#tiles") != before
        browser.open_page(driver, cat.as_uri())  # it remembers
        assert (ground() < 200) != dark
        driver.execute_script("localStorage.clear()")
    assert browser.said(driver) == []


@pytest.mark.parametrize("width", [320, 390, 820])
def test_a_phone_shows_it_without_scrolling_sideways(width: int, driver: Any, cat: Path, wide: Any) -> None:
    browser.look_at(driver, width, 844)
    for path in (cat, wide[0]):
        browser.open_page(driver, path.as_uri())
        driver.execute_script("for (const more of document.querySelectorAll('details')) more.open = true")
        for chosen in ("[data-stage='9']", "#single", "[data-stage='1']"):
            driver.execute_script("document.querySelector(arguments[0]).click()", chosen)
            beyond = driver.execute_script(
                """
                return [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > arguments[0]
                    && !e.closest(".scroll, .row")).map((e) => e.outerHTML.slice(0, 200));
            """,
                width,
            )
            assert beyond == []
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        small = driver.execute_script(
            "return [...document.querySelectorAll('button')].filter(b => b.offsetParent && b.offsetHeight < 32).length"
        )
        assert small == 0


def test_every_picture_and_control_has_a_name(page: Any, shown: Callable[[str], str]) -> None:
    nameless = page.execute_script("""
        const name = (e) => [e.getAttribute("aria-label") || e.textContent, e.getAttribute("alt"), e.labels?.[0]?.textContent].join(" ");
        const named = (e) => /[a-z]{2}/i.test(name(e));  // an arrow alone tells nothing
        const pictures = [...document.querySelectorAll("canvas, img, svg")].filter((e) => !e.closest("[aria-hidden=true]") && !e.closest("[hidden]"));
        return [...pictures, ...document.querySelectorAll("button, input")].filter((e) => !named(e)).map((e) => e.outerHTML);
    """)
    assert nameless == []
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "slider", "img", "application", "image"}
    unnamed = [
        n
        for n in tree
        if n.get("role", {}).get("value") in roles and not n.get("ignored") and not n.get("name", {}).get("value")
    ]
    assert unnamed == []
    assert page.execute_script("return document.documentElement.lang") == "en"
    assert page.execute_script("return document.querySelectorAll('h1').length") == 1


def test_a_large_network_loads_too(driver: Any, wide: tuple[Path, Page]) -> None:
    path, data = wide
    browser.look_at(driver)
    start = time.perf_counter()
    browser.open_page(driver, path.as_uri())
    print(f"loaded and drawn in {time.perf_counter() - start:.2f} s")
    go_to(driver, 1)
    rates = driver.execute_script("return [...document.querySelectorAll('.stage .rate')].map(e => e.textContent)")
    assert rates == [f"{stage['rate'][1]:.3f}" for stage in data["stages"]]
    kept = len(data["stages"][0]["sample"]["channels"])
    assert f"{kept} of 96 kept" in driver.find_element("id", "tiles-title").text
    assert browser.said(driver) == []
    assert browser.asked(driver) == [path.as_uri()]


@pytest.mark.parametrize(
    "n",
    [
        Network(drive=-100),
        Network(drive=1.5, time_steps=1, num_classes=1, pooling_stat="1111", height=16, width=16),
        Network(drive=1.5, time_steps=40, dvs_mode=True, spike_mode="plif"),
    ],
    ids=["silent", "one of everything", "long"],
)
def test_odd_networks_load_in_silence(n: Network, driver: Any, tmp_path: Path) -> None:
    data = gather(model_of(n), Photo("noise", noise(n)), "random", n.height, TECHNOLOGIES["45nm-float32"])
    write(tmp_path / "r.html", render(data))
    browser.look_at(driver)
    browser.open_page(driver, (tmp_path / "r.html").as_uri())
    driver.execute_script("for (const button of document.querySelectorAll('.stage, #single, #open')) button.click()")
    assert driver.find_element("id", "step").is_enabled() == (n.time_steps > 1)
    if n.time_steps > 1:
        go_to(driver, 1)
    assert browser.said(driver) == []


def test_hostile_names_do_nothing_in_a_browser(driver: Any, tmp_path: Path) -> None:
    path = hostile_page(tmp_path)
    browser.look_at(driver)
    browser.open_page(driver, path.as_uri())
    go_to(driver, 1)
    assert driver.execute_script("return window.hacked ?? 'safe'") == "safe"
    assert HOSTILE in driver.execute_script("return document.querySelector('.label').textContent")
    assert driver.execute_script("return document.querySelector('#ranking b').textContent").endswith(HOSTILE)
    assert driver.execute_script("return document.querySelectorAll('img').length") == 2
    assert browser.said(driver) == []
    assert browser.asked(driver) == [path.as_uri()]


def test_no_other_script_can_run(page: Any) -> None:
    """The page's own policy stops what slipped through, and every request."""
    page.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.hacked = 4";
        document.body.append(script);
        const image = new Image();
        image.src = "https://example.invalid/x.png";
    """)
    assert page.execute_script("return window.hacked ?? 'safe'") == "safe"
    assert all("Content Security Policy" in message for message in browser.said(page))
