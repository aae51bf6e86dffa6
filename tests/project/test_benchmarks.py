"""The benchmark's networks fire as wanted, and its engines compute the same thing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as benchmark
from benchmarks import compare as comparison
from benchmarks import counters, fixed, reading
from benchmarks.ceiling import LIST, load_and_add
from benchmarks.compare import compare
from benchmarks.engines import ENGINES, OURS, Engine, MissingLibraryError, make
from benchmarks.growth import Growth
from benchmarks.networks import FIRST_WEIGHT_STEP, PIXEL_STEP, PUBLISHED, WEIGHT_STEP, calibrated, photo, uniform
from sdt_ref.inputs.datasets import open_pictures
from sdt_ref.inputs.image import open_picture
from sdt_ref.kernels import PANEL, aligned
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights
from tests.equality import assert_same

SMALL = {"dim": 64, "depth": 2, "size": 32, "pooling_stat": "0011", "num_classes": 7}


def test_layers_fire_at_the_wanted_rates() -> None:
    weights = calibrated(**SMALL)  # type: ignore[arg-type]
    spikes = SpikeDrivenTransformer(weights)(photo(32), record=True).spikes
    stem = PUBLISHED.stem
    wanted = {"MS_SPS_lif": stem[0], "MS_SPS_lif1": stem[1], "MS_SPS_lif3": stem[3], "MS_SSA_Conv0_first_lif": 0.33,
              "MS_SSA_Conv1_q_lif": 0.22, "MS_SSA_Conv1_k_lif": 0.02, "MS_MLP_Conv1_fc2_lif": 0.15,
              "head_lif": 0.15}  # fmt: skip
    for hook, rate in wanted.items():
        assert spikes[hook].firing_rate == pytest.approx(rate, rel=0.1, abs=0.01), hook  # type: ignore[attr-defined]


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two = (calibrated(**SMALL, rates=uniform(0.2), seed=5) for _ in range(2))  # type: ignore[arg-type]
    assert all(np.array_equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


@pytest.mark.parametrize("size", [32, 64])
def test_no_membrane_comes_near_the_threshold(size: int) -> None:
    """Not nearer than half a step over 2^4, so the order of additions cannot matter."""
    weights = calibrated(**{**SMALL, "size": size})  # type: ignore[arg-type]
    currents = SpikeDrivenTransformer(weights)(photo(size, batch=2), record="currents").currents
    for module, current in currents.items():
        if module == "head_lif" or "talking_heads" in module:
            continue
        half = (FIRST_WEIGHT_STEP * PIXEL_STEP if module == "patch_embed.proj_lif" else WEIGHT_STEP) / 2
        membrane = np.zeros_like(current[0])
        for step in current:
            membrane = (membrane + step) / 2
            assert np.abs(membrane - 1).min() >= half / 2 ** len(current), module
            membrane[membrane >= 1] = 0


def engine_or_skip(name: str, weights: Weights, x: np.ndarray) -> Engine:
    try:
        return make(name, weights, x, threads=2)
    except MissingLibraryError as missing:
        pytest.skip(f"{missing}, or pip install '.[bench]'")


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_computes_the_same_network(name: str) -> None:
    """Float32 engines: not one spike may differ. One block is enough for the compiler, which takes a minute for it."""
    weights = calibrated(**{**SMALL, "depth": 1 if "compiled" in name else 2})  # type: ignore[arg-type]
    x = photo(32, batch=2)
    engine = engine_or_skip(name, weights, x)
    result = SpikeDrivenTransformer(weights)(x, record=True)
    logits = engine.logits(x)
    assert (logits.shape, logits.dtype) == (result.logits.shape, np.float32)
    if engine.kind == "int8":
        assert engine.spikes is None
        return
    np.testing.assert_allclose(logits, result.logits, atol=1e-5)
    assert engine.spikes is not None
    found = dict(zip(result.spikes, engine.spikes(x), strict=True))
    assert {hook: array.dtype for hook, array in found.items()} == dict.fromkeys(result.spikes, np.uint8)
    different = {hook: int((events.to_dense() != found[hook]).sum()) for hook, events in result.spikes.items()}
    assert different == dict.fromkeys(result.spikes, 0)


def test_engines_are_timed_in_turn_with_ours(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = compare(calibrated(**SMALL), photo(32), [OURS, "SciPy sparse"], threads=1, runs=3)  # type: ignore[arg-type]
    assert (ours.name, theirs.name) == (OURS, "SciPy sparse")
    assert len(ours.seconds) == len(theirs.seconds) == len(theirs.ours) == 3
    assert (theirs.different, theirs.labels, ours.ratio) == (0, 1.0, 1.0)
    assert theirs.compared > 100_000
    assert f"SciPy sparse: 0 of {theirs.compared:,} spikes differ" in capsys.readouterr().out


def test_an_engine_that_computes_another_network_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, x = calibrated(**SMALL), photo(32)  # type: ignore[arg-type]
    other = calibrated(**SMALL, seed=3)  # type: ignore[arg-type]
    monkeypatch.setattr(
        comparison, "make", lambda name, w, x, threads: make(name, w if name == OURS else other, x, threads)
    )
    _, row = compare(weights, x, ["SciPy sparse"], threads=1, runs=3, say=lambda line: None)
    assert not row.same
    assert not row.seconds


def test_an_engine_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "benchmarks.engines.openvino_engine", raising=False)
    lines: list[str] = []
    rows = compare(calibrated(**SMALL), photo(32), ["OpenVINO"], threads=1, runs=1, say=lines.append)  # type: ignore[arg-type]
    assert [row.name for row in rows] == [OURS]
    assert lines == ["skipped: OpenVINO needs openvino: pip install openvino"]


def test_a_growth_is_fitted_by_its_exponent() -> None:
    assert Growth("network", "tokens", 2, [1, 2, 4], [4, 14, 51], [1, 2, 3]).slope == pytest.approx(2)


def test_points_below_the_noise_are_left_out() -> None:
    assert Growth("network", "tokens", 1, [1, 2, 4, 8], [1, 5, 7, 11], [2, 3, 3, 3]).slope == pytest.approx(1)
    assert np.isnan(Growth("network", "tokens", 1, [1, 2], [1, 5], [2, 3]).slope)


BAD_OPTIONS = {
    "part": (
        ["engine"],
        "expected one of engines, fixed, counters, reading, sweep, growth, startup, memory; found 'engine'",
    ),
    "network": (["--network", "sdt-9-512"], "found 'sdt-9-512'"),
    "batch": (["--batch", "0"], "expected 1 to 1024, found '0'"),
    "threads": (["--threads", "257"], "expected 1 to 256, found '257'"),
    "runs": (["--runs", "-1"], "expected 1 to 10000, found '-1'"),
    "seed": (["--seed", "x"], "found 'x'"),
    "figure": (["--figure", "figure.bmp"], "ends in .png, .pdf, .svg"),
    "folder": (["--figure", "nowhere/figure.png"], "cannot be written"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options_are_told_before_anything_is_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    options, message = BAD_OPTIONS[name]
    if "--figure" in options:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    try:
        code = benchmark.main(options)
    except SystemExit as stopped:
        code = stopped.code  # type: ignore[assignment]
    assert code == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert message in told.err


def test_without_options_everything_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done: list[str] = []
    for part in (
        "_show_ceilings",
        "_engines",
        "_fixed",
        "_counters",
        "_reading",
        "_sweep",
        "_growth",
        "_startup",
        "_memory",
    ):
        monkeypatch.setattr(benchmark, part, lambda *_, part=part: done.append(part) or [])
    monkeypatch.setattr(benchmark, "_can_draw", lambda *_: False)
    assert benchmark.main([]) == 0
    assert done == [
        "_show_ceilings",
        *["_engines"] * 10,
        "_fixed",
        "_counters",
        "_reading",
        "_sweep",
        "_growth",
        "_startup",
        "_memory",
    ]


@pytest.mark.slow
def test_whole_numbers_are_timed_beside_float32() -> None:
    weights = calibrated(128, 1, 32, "0011", 10)
    pairs = list(fixed.measure(weights, photo(32), 2, 3))
    assert [pair.threads for pair in pairs] == [1, 2]
    for pair in pairs:
        assert (len(pair.float32), len(pair.fixed)) == (3, 3)
        assert pair.ratio > 0
        assert min(pair.additions) > 0


@pytest.mark.slow
def test_the_engine_is_timed_beside_a_copy_that_counts_nothing() -> None:
    cost = counters.measure(calibrated(64, 1, 32, "0011", 10), photo(32), threads=1, runs=3)
    assert (len(cost.counting), len(cost.silent)) == (3, 3)
    assert cost.share == np.median(np.divide(cost.counting, cost.silent)) - 1


def test_the_cost_of_reading_is_the_median_over_pairs_with_its_interval() -> None:
    """Of nine values the second and the eighth: binomial(9, 1/2) is below 2 with 10 / 512, below 3 with 46 / 512."""
    engine, road = [2.0] * 9, [2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8]
    cost = reading.Cost(1, road, engine, engine[:5], engine[:5])
    assert cost.extra == pytest.approx((0.5, 0.2, 0.8))
    assert cost.extra_cpu == (0, 0, 0)
    assert reading.Cost(1, road[:6], engine[:6], road, engine).extra == pytest.approx((0.35, 0.1, 0.6))


def test_generated_pictures_are_of_one_size_and_seed() -> None:
    with reading.generated_pack((50, 37), 3, ["a", "b"], 1) as one, reading.generated_pack((50, 37), 3, "ab", 1) as two:
        items, others = (list(open_pictures(pack, ("a", "b"))) for pack in (one, two))
    assert [label for *_, label in items] == [0, 1, 0]
    assert [open_picture(source).size for _, source, _ in items] == [(50, 37)] * 3
    assert [source.getvalue() for _, source, _ in items] == [source.getvalue() for _, source, _ in others]


def test_the_road_of_evaluate_is_timed_beside_the_engine() -> None:
    weights = calibrated(**SMALL)  # type: ignore[arg-type]
    with reading.generated_pack((50, 37), 20, weights.classes, 1) as pack:
        cost = reading.measure(weights, pack, 18, threads=1, runs=2)
    assert cost.images == 18
    assert [len(seconds) for seconds in (cost.road, cost.engine, cost.road_cpu, cost.engine_cpu)] == [2] * 4
    assert min(cost.road + cost.engine) > 0


def test_a_road_that_finds_other_labels_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = calibrated(**SMALL)  # type: ignore[arg-type]
    monkeypatch.setattr(reading, "_road", lambda *_: np.full(3, -1))
    with (
        reading.generated_pack((32, 32), 3, weights.classes, 1) as pack,
        pytest.raises(AssertionError, match="finds other labels"),
    ):
        reading.measure(weights, pack, 3, threads=1, runs=1)


def test_the_ceiling_adds_rows() -> None:
    rows, panels = np.array([2, 0, 2], np.uint16).repeat(LIST), aligned((3, PANEL), np.float32)
    panels[:] = np.arange(3, dtype=np.float32)[:, None]
    current = aligned(PANEL, np.float32)
    current[:] = 0
    load_and_add(rows, panels, current)
    assert_same(current, np.full(PANEL, 4 * LIST, np.float32), "sums")


@pytest.mark.slow
def test_the_command_checks_measures_and_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    options = ["--network", "shipped", "--batch", "1", "--runs", "1", "--engines", "sdt_ref", "SciPy sparse"]
    figure = tmp_path / "figure.png"
    command = [sys.executable, "-m", "benchmarks", "engines", *options, "--figure", str(figure)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "SciPy sparse: 0 of 2,427,904 spikes differ" in done.stdout
    assert "of the ceiling from L1" in done.stdout
    assert figure.stat().st_size > 10_000
