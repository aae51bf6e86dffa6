"""Rounding, overflow and leaks by hand and as fractions; what the whole numbers are."""

from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.fixed.formats import ROUNDINGS, Format, leak_terms, leak_text, rounded, shifted_right
from tests.networks import Network, model_of


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


def test_weights_are_rounded_once_at_the_finest_scale_that_holds_them() -> None:
    n = Network(hidden=40, seed=3)
    model, exact = model_of(n, "fixed"), model_of(n, "float64").read_back().layers
    for module, layer in model.read_back().layers.items():
        first = module == "patch_embed.proj_conv"
        bits, width, bias_width = (layer.fraction - 7, 12, 24) if first else (layer.fraction, 8, 16)
        channels = exact[module].weight.shape[1]  # of plane 0, which is not shifted
        weight = layer.weight[:, :channels]
        assert np.abs(np.ldexp(weight, -bits[:, None, None, None]) - exact[module].weight).max() <= 2.0 ** -(
            bits.min() + 1
        )
        assert np.abs(np.ldexp(layer.bias, -layer.fraction) - exact[module].bias).max() <= 2.0 ** -(
            layer.fraction.min() + 1
        )
        assert weight.min() >= -(2 ** (width - 1))
        assert weight.max() < 2 ** (width - 1)
        finer = [
            np.ldexp(exact[module].weight, bits[:, None, None, None] + 1),
            np.ldexp(exact[module].bias, layer.fraction + 1),
        ]
        too_large = np.abs(np.rint(finer[0])).max(axis=(1, 2, 3)) >= 2 ** (width - 1)
        too_large |= np.abs(np.rint(finer[1])) >= 2 ** (bias_width - 1)
        assert too_large.any() if module == "head" else (too_large | (bits == 20)).all(), module
