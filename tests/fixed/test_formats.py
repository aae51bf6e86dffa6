"""Formats files: what makes no machine is refused."""

import re
from pathlib import Path

import pytest

import sdt_ref
from sdt_ref.errors import LONGEST, FormatError
from sdt_ref.fixed.formats import Formats, load
from tests.networks import Network, input_of, model_of

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


def _texts() -> dict[str, tuple[str, str]]:
    """Texts that are no formats, and what is said of each."""
    first = "schema_version = 1\n"
    return {
        "hexadecimal digits": (f"{first}default.weight.bits = 0x{'f' * 5000}", "found a whole number of 20000 bits"),
        "decimal digits": (f"{first}default.weight.bits = {'9' * 5000}", "expected TOML, found Exceeds the limit"),
        "not a number": (f"{first}default.weight.bits = nan", "expected 2 to 48, found nan"),
        "infinite": (f"{first}default.membrane.fraction = -inf", "expected 0 to 40, found -inf"),
        "a date": (f"{first}default.weight.bits = 2020-01-01", "found a value of type date"),
        "a time": (f"{first}default.weight.rounding = 07:00:00", "found a value of type time"),
        "an array of tables": (f"{first}[[default]]\nbits = 1", "expected a table, found"),
        "nested arrays": (first + "a = " + "[" * 10**5, "expected TOML, found maximum recursion depth exceeded"),
        "nested tables": (first + "a = " + "{a = " * 10**5, "expected TOML, found maximum recursion depth exceeded"),
        "a name of many parts": (
            first + "a" + ".a" * 10**5 + " = 1",
            "expected at most 64 dots in a line, found 100000",
        ),
        "names of many parts": (
            first + "\n".join(f"k{k}{'.a' * 900} = 1" for k in range(500)),
            "expected at most 64 dots in a line, found 900",
        ),
        "names in a name, as TOML sees it": (
            first + "a." + "\u2028#a" * 9 + ".a" * 900,
            "expected at most 64 dots in a line",
        ),
        "an escape in a name": (f'{first}["\\u001b[31m\\u202e"]', r"unknown name '\\x1b\[31m\\u202e'"),
        "a long name": (f"{first}[{'k' * 10**6}]", r"unknown name 'k{76}\.\.\.; known"),
        "a long value": (f'{first}default.weight.rounding = "{"k" * 10**6}"', r"found 'k{76}\.\.\.$"),
        "a leak of many terms": (f'{first}default.membrane.leak = "{"+2^-1-2^-1" * 10**5}"', "found 200000"),
    }


@pytest.mark.parametrize("name", _texts())
def test_a_hostile_text_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    text, message = _texts()[name]
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(FormatError, match=message):
        Formats.from_toml(text)
    with pytest.raises(FormatError) as caught:
        load(tmp_path / "f.toml")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= LONGEST


def test_a_formats_file_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("schema_version = 1\n#" + " " * (1 << 20))
    with pytest.raises(FormatError, match="expected a text of at most 1,048,576 bytes, found more"):
        load(tmp_path / "f.toml")
