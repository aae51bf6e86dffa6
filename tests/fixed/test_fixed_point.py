"""Fixed point: rounding, overflow and leak by hand and by exact fractions; event engine == dense integers on any format."""

import json
import re
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

import sdt_ref
from sdt_ref import calibrate, infer
from sdt_ref.fixed.formats import ROUNDINGS, Format, Formats, leak_terms, leak_text, rounded, shifted_right
from sdt_ref.measuring import calibration
from tests.commands.test_commands import CAT
from tests.equality import assert_engine_equals_oracle, assert_same
from tests.golden_cases import case_names, read_small
from tests.networks import Network, input_of, model_of, weights_of
from tests.strategies import formats_files, networks


def exactly(value: Fraction, rounding: str) -> int:
    """What a rounding means, on fractions."""
    below = floor(value)
    rest = value - below
    if rounding == "floor":
        return below
    if rounding == "toward zero":
        return below + (value < 0 and rest > 0)
    if rounding == "half up":
        return below + (rest >= Fraction(1, 2))
    return below + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and below % 2 == 1))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@given(value=st.integers(-(2**40), 2**40), shift=st.integers(0, 20))
def test_a_shift_to_the_right_rounds_the_exact_quotient(rounding: str, value: int, shift: int) -> None:
    assert int(shifted_right(np.array(value), shift, rounding)) == exactly(Fraction(value, 2**shift), rounding)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@given(value=st.floats(-(2.0**40), 2.0**40))
@example(value=0.49999999999999994)
@example(value=-0.5)
@example(value=2.5)
def test_real_numbers_round_as_fractions_do(rounding: str, value: float) -> None:
    assert int(rounded(np.array(value), rounding)) == exactly(Fraction(value), rounding)


def test_rounding_of_halves_by_hand() -> None:
    values = np.array([-5, -3, -1, 1, 3, 5])  # halves
    assert shifted_right(values, 1, "floor").tolist() == [-3, -2, -1, 0, 1, 2]
    assert shifted_right(values, 1, "half up").tolist() == [-2, -1, 0, 1, 2, 3]
    assert shifted_right(values, 1, "half even").tolist() == [-2, -2, 0, 0, 2, 2]
    assert shifted_right(values, 1, "toward zero").tolist() == [-2, -1, 0, 0, 1, 2]


def test_overflow_by_hand() -> None:
    values = np.array([-10, -9, -8, 7, 8, 9, 24])
    assert Format(4, 0, overflow="saturate").fit(values).tolist() == [-8, -8, -8, 7, 7, 7, 7]
    assert Format(4, 0, overflow="wrap").fit(values).tolist() == [6, 7, -8, 7, -8, -7, -8]
    assert Format(4, 0).holds(values).tolist() == [False, False, True, True, False, False, False]


@given(st.floats(0, 1))
def test_a_leak_is_the_nearest_sum_of_signed_shifts(factor: float) -> None:
    terms = leak_terms(leak_text(factor))
    assert abs(sum(sign * Fraction(1, 2**shift) for sign, shift in terms) - Fraction(factor)) <= Fraction(1, 512)
    shifts = [shift for _, shift in terms]
    assert all(b - a >= 2 for a, b in pairwise(shifts))  # the non-adjacent form


def test_leaks_by_hand() -> None:
    assert [leak_text(f) for f in (0.5, 0.0, 1.0, 0.4375, 0.75)] == ["2^-1", "0", "2^0", "2^-1 - 2^-4", "2^0 - 2^-2"]
    assert leak_terms("2^-1 - 2^-4") == ((1, 1), (-1, 4))
    for wrong in ("1/2", "2^-9", "2^1", "2^-1 2^-2", "2^0 + 2^-1", "- 2^-1", ""):
        with pytest.raises(sdt_ref.FormatError, match="leak: expected"):
            leak_terms(wrong)


@settings(max_examples=150)
@given(n=networks(), formats=formats_files(), threads=st.integers(1, 3), tile_bytes=st.sampled_from([1 << 18, 700]))
def test_events_equal_dense_integers(n: Network, formats: str, threads: int, tile_bytes: int) -> None:
    try:
        model_of(n, "fixed", formats=formats)
    except sdt_ref.FormatError:  # seldom: weights that no scale holds
        reject()
    assert_engine_equals_oracle(n, "fixed", threads, tile_bytes, formats=formats)


# --- what the whole numbers are ----------------------------------------------------------------------------------------


def test_weights_are_rounded_once_at_the_finest_scale_that_holds_them() -> None:
    n = Network(hidden=40, seed=3)
    model, exact = model_of(n, "fixed"), model_of(n, "float64").read_back().layers
    for module, layer in model.read_back().layers.items():
        bits = layer.fraction - (7 if module == "patch_embed.proj_conv" else 0)
        channels = exact[module].weight.shape[1]  # of plane 0, which is not shifted
        weight = layer.weight[:, :channels]
        assert np.abs(np.ldexp(weight, -bits[:, None, None, None]) - exact[module].weight).max() <= 2.0 ** -(
            bits.min() + 1
        )
        assert np.abs(np.ldexp(layer.bias, -layer.fraction) - exact[module].bias).max() <= 2.0 ** -(
            layer.fraction.min() + 1
        )
        assert weight.min() >= -128
        assert weight.max() <= 127
        finer = [
            np.ldexp(exact[module].weight, bits[:, None, None, None] + 1),
            np.ldexp(exact[module].bias, layer.fraction + 1),
        ]
        too_large = np.abs(np.rint(finer[0])).max(axis=(1, 2, 3)) >= 128
        too_large |= np.abs(np.rint(finer[1])) >= 2**15
        assert too_large.any() if module == "head" else (too_large | (bits == 20)).all(), module


def test_bit_planes_sum_to_the_product_of_pixels_and_weights() -> None:
    n = Network(in_channels=2, height=4, width=4, pooling_stat="0000", seed=4)
    model, x = model_of(n, "fixed"), input_of(n)
    whole = np.clip(np.rint(x * 128), -512, 511).astype(np.int64)
    padded = np.pad(whole, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    layer = model.layer("patch_embed.proj_conv")
    sums = np.einsum("bcyxij,ocij->boyx", windows, layer.weight[:, :2]) + layer.bias[:, None, None]
    membrane = Format(16, 11, "half up")
    expected = membrane.fit(membrane.align(sums, layer.fraction[:, None, None]))
    assert_same(model(x, record="currents").currents["patch_embed.proj_lif"][0], expected, "first current")


def test_a_saturating_sum_follows_the_order_of_its_inputs() -> None:
    """Bias 100, weights 100, -100, 100 in 8 bits: 127, 27, 127; in another order -100 + 100 + 100 + 100 is 127 too, then not."""
    layer = sdt_ref.fixed.quantise.FixedLayer(
        np.array([100, -100, 100]).reshape(1, 3, 1, 1), np.array([100]), np.zeros(1, np.int64), Format(8, 0), True, 1, None,
        np.dtype(np.int32), np.dtype(np.int32))  # fmt: skip
    for spikes, expected in (([1, 1, 1], 127), ([1, 1, 0], 27), ([0, 1, 1], 100), ([1, 0, 1], 127)):
        events = sdt_ref.SpikeEvents.from_dense(np.array(spikes, np.uint8).reshape(1, 1, 3))
        run = sdt_ref.engine.run.Run(1, 1)
        current = sdt_ref.engine.synapse.Synapse("layer", layer, "layer")(events)
        assert sdt_ref.engine.storing.store(current, run).array.ravel().tolist() == [expected]
    assert run.overflows["layer.accumulator"].tolist() == [2]


WIDE_REGISTERS = """schema_version = 1
input = { bits = 16, fraction = 12 }
[default]
weight = { bits = 16 }
bias = { bits = 32 }
accumulator = { bits = 44 }
membrane = { bits = 32, fraction = 24 }
stream = { bits = 32, fraction = 24 }"""


@pytest.mark.parametrize("name", case_names())
def test_wide_registers_find_the_first_spikes_of_the_official_code(name: str) -> None:
    """Deeper down a spike that fell on the other side moves others, so that the first layers tell most."""
    case = read_small(name)
    formats = (
        WIDE_REGISTERS.replace("fraction = 12", "fraction = 9") if np.abs(case.input).max() > 7 else WIDE_REGISTERS
    )
    model = sdt_ref.SpikeDrivenTransformer(case.weights, "fixed", formats=Formats.from_toml(formats))
    result = model(case.input, record=True)
    looser = 20 if name == "plif" else 1  # its leaks are rounded to 8 bits
    for hook, most in (("MS_SPS_lif", 1e-4), ("MS_SPS_lif1", 1e-3), ("MS_SPS_lif2", 2e-3)):
        assert (result.spikes[hook].to_dense() != case.spikes[hook]).mean() <= looser * most, hook
    assert not any(beyond.any() for beyond in result.overflows.values())


# --- what is refused ---------------------------------------------------------------------------------------------------

HEAD = "schema_version = 1\n"
REFUSED = {
    "no TOML": ("schema_version = ", "expected TOML, found"),
    "no version": ("", "expected schema_version = 1, found None"),
    "true is no version": ("schema_version = true", "expected schema_version = 1, found True"),
    "1.0 is no version": ("schema_version = 1.0", "expected schema_version = 1, found 1.0"),
    "newer version": ("schema_version = 2", "expected schema_version = 1, found 2"),
    "unknown name": (HEAD + "weights = 3", "unknown name 'weights'"),
    "unknown register": (HEAD + "default.acumulator.bits = 3", "unknown register 'acumulator'; known: input, weight"),
    "unknown key": (HEAD + "default.membrane.bit = 3", "'membrane' has no key 'bit'; it has bits, fraction"),
    "no table": (HEAD + "default.membrane = 3", "'membrane': expected a table such as { bits = 8 }, found 3"),
    "too wide": (HEAD + "default.weight.bits = 17", "'weight.bits': expected 2 to 16, found 17"),
    "true is no width": (HEAD + "default.weight.bits = true", "'weight.bits': expected 2 to 48, found True"),
    "rounding": (HEAD + 'default.bias.rounding = "up"', "expected one of floor, half up, half even, toward zero, found 'up'"),
    "unhashable": (HEAD + "default.bias.rounding = []", "'bias.rounding': expected one of"),
    "unknown stage": (HEAD + "stage.q_conv.weight.bits = 3", "this network has no stage 'q_conv'"),
    "register of another stage": (HEAD + "stage.head_lif.weight.bits = 3", "stage 'head_lif' has no register 'weight'; it has membrane"),
    "stream of a layer that adds to none": (HEAD + 'stage."block.0.attn.q_conv".stream.bits = 9', "has no register 'stream'"),
    "weights beyond": (HEAD + "default.weight.fraction = 20", "8 bits with 20 fraction bits do not hold its weights: found"),
    "biases beyond": (HEAD + "default.bias = { bits = 4, fraction = 9 }", "do not hold its biases"),
    "threshold beyond": (HEAD + "default.membrane = { bits = 4, fraction = 3 }", "does not hold its threshold 1.0"),
    "threshold between": (HEAD + "default.membrane.fraction = 0", "does not hold its threshold 0.5"),
    "silent overflow": (HEAD + "default.accumulator.bits = 16", "an accumulator of 16 bits may overflow: its sums reach from"),
    "biases beyond the accumulator": (HEAD + 'default.accumulator = { bits = 3, overflow = "wrap" }', "does not hold its biases"),
    "head with many scales": (HEAD + 'stage.head.weight.scale = "channel"', "expected layer, as its logits are compared"),
    "leak": (HEAD + 'default.membrane.leak = "1/2"', "leak: expected signed powers of two"),
    "too far apart": (HEAD + "default.membrane = { bits = 48, fraction = 40 }\ndefault.stream.fraction = 0", "too far apart"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_formats_that_make_no_machine_are_refused(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(sdt_ref.FormatError, match=re.escape(message)) as refusal:
        sdt_ref.load(arithmetic="fixed", formats=tmp_path / "f.toml")
    assert "\n" not in str(refusal.value)


def test_an_overflow_that_is_declared_an_error_names_its_register_and_step() -> None:
    formats = HEAD + 'default.membrane = { bits = 6, fraction = 4, overflow = "error" }'
    with pytest.raises(
        sdt_ref.FormatError, match=r"register '.*_lif\.membrane' of 6 bits: .* do not fit, the first in time step 0"
    ):
        model_of(Network(drive=5.0), "fixed", formats=formats)(input_of(Network()))


@pytest.mark.parametrize(("text", "side", "stage", "found"), [
    ("membrane = { bits = 47, fraction = 33 }\nstream = { bits = 48, fraction = 20 }", 16, "head_lif", 69),
    ("membrane = { bits = 48, fraction = 38, leak = '2^-8' }\nstream = { bits = 48, fraction = 38 }", 16, "head_lif", 65),
    ("membrane = { bits = 47, fraction = 40, leak = '2^-8' }\nstream = { bits = 40, fraction = 38 }", 128,
     "block.0.attn.talking_heads_lif", 65),
])  # fmt: skip
def test_sums_over_tokens_that_outgrow_64_bits_are_refused(text: str, side: int, stage: str, found: int) -> None:
    """Less is accepted: test_specification.py runs 64."""
    n = Network(dim=8, height=side, width=side, pooling_stat="0000", batch=1, time_steps=1)
    model = model_of(n, "fixed", formats=f"{HEAD}[default]\naccumulator.bits = 48\n{text}")
    message = rf"^stage '{stage}': expected sums over {side**2:,} tokens that need 64 bits .*, found {found}; declare"
    for run in (model, lambda x: sdt_ref.dense.forward(model, x)):
        with pytest.raises(sdt_ref.FormatError, match=message) as refused:
            run(input_of(n))
        assert "\n" not in str(refused.value)


def test_formats_without_fixed_point_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(HEAD)
    with pytest.raises(sdt_ref.ConfigError, match="formats: expected arithmetic 'fixed' with them, found 'float32'"):
        sdt_ref.load(formats=tmp_path / "f.toml")


def test_a_formats_file_goes_through_its_text() -> None:
    formats = Formats.from_toml(
        HEAD + 'input.bits = 9\ndefault.weight.bits = 4\nstage."block.0.attn.q_lif".membrane.leak = "2^-2"'
    )
    again = Formats.from_toml(formats.to_toml())
    assert again.to_toml() == formats.to_toml()
    assert again.register("block.0.attn.q_lif", "membrane") == formats.register("block.0.attn.q_lif", "membrane")
    assert again.register("", "input")["bits"] == 9


# --- the command lines -------------------------------------------------------------------------------------------------


def test_calibrate_writes_formats_that_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "formats.toml"
    assert calibrate.main([str(CAT), "-o", str(target), "--weight-bits", "6"]) == 0
    assert "formats from 1 picture" in capsys.readouterr().out
    assert infer.main(["--formats", str(target), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["arithmetic"] == "fixed"
    assert all(sum(layer["mac"]) == 0 for layer in answer["layers"].values())
    assert sum(answer["layers"]["MS_SPS_proj_conv"]["ac"]) > 0
    model = sdt_ref.load(arithmetic="fixed", formats=target)
    assert not any(b.any() for r, b in model(np.zeros((1, 3, 32, 32))).overflows.items() if r.endswith("accumulator"))


def test_an_overflow_counts_in_the_picture_and_not_while_the_kernels_load(tmp_path: Path) -> None:
    """Black, with which they are loaded, overflows this register; the cat does not."""
    (tmp_path / "f.toml").write_text(
        HEAD + '[stage."block.1.attn.talking_heads_lif"]\nmembrane = { overflow = "error", bits = 12 }'
    )
    model = sdt_ref.load(arithmetic="fixed", formats=tmp_path / "f.toml")
    side = model.config.size_divisor
    with pytest.raises(sdt_ref.FormatError, match="do not fit"):
        model(np.zeros((1, 3, side, side)))
    assert infer.main([str(CAT), "--formats", str(tmp_path / "f.toml"), "--json"]) == 0


@pytest.mark.parametrize("bits", [(3, 16), (48, 16), (16, 48), (48, 48), (48, 2)])
def test_calibration_chooses_fractions_that_its_widths_can_run_with(bits: tuple[int, int]) -> None:
    n = Network(batch=1)
    chosen = calibration.calibrate(weights_of(n), [input_of(n)], calibration.Widths(membrane=bits[0], stream=bits[1]))
    model = sdt_ref.SpikeDrivenTransformer(weights_of(n), "fixed", 1, Formats.from_toml(chosen.to_toml()))
    assert model(input_of(n)).logits.shape == (1, n.num_classes)


@pytest.mark.parametrize(("arguments", "message"), [
    ([str(CAT), "-o", "no/such/folder/f.toml"], "choose a folder that can be written"),
    ([str(CAT), "-o", "f.toml", "--weight-bits", "1"], "'weight.bits': expected 2 to 48, found 1"),
    ([str(CAT), "-o", "f.toml", "--limit", "0"], "--limit: expected 1 or more"),
    ([str(CAT), "-o", "f.toml", "--membrane-bits", "2"], "a membrane needs 3 bits to hold its thresholds 1 and 0.5, found 2"),
    (["none.jpg", "-o", "f.toml"], "none.jpg"),
])  # fmt: skip
def test_calibrate_refuses(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                           capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert calibrate.main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
